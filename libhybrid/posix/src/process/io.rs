//! Reading, writing and waiting: a call that cannot go on yet is tried again whenever something changed.
//!
//! INV-IO-1: a try either answers or leaves everything as it was but for the bytes that it counts in [`Call::done`].
use super::address::Family;
use super::messages::{self, MSG_TRUNC};
use super::object::{Id, Object};
use super::pieces::{CHUNK, Pieces};
use super::signals::{self, AGAIN};
use super::tcp::{Stage, Tcp};
use super::threads::each;
use super::{Outcome, Pages, Process};
use crate::futex::Thread;
use crate::number::{self, Answer, Errno, low};
use crate::output::Stream;
use crate::world::{self, World};

const MSG_OOB: u32 = 1;
pub(super) const MSG_PEEK: u32 = 2;
const MSG_DONTWAIT: u32 = 0x40;
const MSG_WAITALL: u32 = 0x100;
const MSG_ERRQUEUE: u32 = 0x2000;
pub(super) const MSG_NOSIGNAL: u32 = 0x4000;
const SIGPIPE: u8 = 13;
/// How often all is moved and tried before others have the lock: far more than what honest programs bring about together.
const ROUNDS: usize = 16;

/// A call that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) args: [u64; 6],
    /// What its descriptor led to when it began to wait, if it waits for one.
    pub(super) object: Option<Id>,
    /// Bytes that it has moved so far; for others, whether it was begun.
    pub(super) done: u64,
}

/// Whether a call is one that can wait for a descriptor.
const fn can_wait(number: u64) -> bool {
    is_reading(number)
        || is_writing(number)
        || matches!(
            number,
            number::PPOLL
                | number::PSELECT6
                | number::EPOLL_PWAIT
                | number::ACCEPT
                | number::ACCEPT4
                | number::CONNECT
                | number::WAIT4
                | number::WAITID
                | number::RT_SIGSUSPEND
                | number::RT_SIGTIMEDWAIT
        )
}

pub(super) const fn is_reading(number: u64) -> bool {
    matches!(number, number::READ | number::READV | number::RECVFROM | number::RECVMSG)
}

pub(super) const fn is_writing(number: u64) -> bool {
    matches!(number, number::WRITE | number::WRITEV | number::SENDTO | number::SENDMSG)
}

/// Whether a call is about the descriptor that is its first argument, and that one alone.
const fn has_descriptor(number: u64) -> bool {
    is_reading(number)
        || is_writing(number)
        || matches!(number, number::EPOLL_PWAIT | number::ACCEPT | number::ACCEPT4 | number::CONNECT)
}

/// Whether a call has moved bytes, which count whatever ends its wait.
pub(super) const fn has_moved(call: &Call) -> bool {
    call.done > 0 && (is_reading(call.number) || is_writing(call.number))
}

/// Whether a call that a signal interrupts is made again. Waits for readiness and for signals never are, on Linux either.
pub(super) const fn goes_on(number: u64, restarts: bool) -> bool {
    let is_asked = matches!(number, number::PPOLL | number::PSELECT6 | number::EPOLL_PWAIT);
    let is_for_signals = matches!(number, number::RT_SIGSUSPEND | number::RT_SIGTIMEDWAIT);
    number == number::EXIT_GROUP || restarts && !is_asked && !is_for_signals
}

impl<S: Pages> Process<S> {
    /// Calls that can wait; `None` for others.
    pub(super) fn waiting_call(
        &mut self,
        world: &mut impl World,
        thread: Thread,
        number: u64,
        args: [u64; 6],
    ) -> Option<Outcome> {
        if !can_wait(number) {
            return None;
        }
        if let Some(outcome) = self.read_random(world, number, args) {
            return Some(outcome);
        }
        if let Err(errno) = self.mask_wait(world, thread, number, args) {
            return Some(errno.into());
        }
        self.pass_timers(world.now_ns());
        // A program that never waits hears of its connections, too.
        if self.files.has_sockets {
            self.take_events(world);
        }
        self.pump(world);
        self.take_typed(world);
        let mut call = Call { number, args, object: None, done: 0 };
        if let Some(answer) = self.attempt(world, thread, &mut call) {
            return Some(self.answered(world, thread, &call, answer));
        }
        // What it moved counts, whatever keeps it from waiting for the rest.
        let ended = |otherwise: i64| Outcome::Done(if has_moved(&call) { call.done.cast_signed() } else { otherwise });
        let (deadline, late) = match self.limit(world, &call) {
            Ok(limit) => limit,
            Err(errno) => return Some(ended(errno.negated())),
        };
        if deadline.is_some_and(|deadline| deadline <= world.now_ns()) {
            self.give_up(world, &call);
            return Some(ended(late));
        }
        if deadline.is_some() && !self.may_wait_until(world, number) {
            return Some(ended(Errno::EACCES.negated()));
        }
        call.object = if has_descriptor(number) { self.files.id(args[0]).ok() } else { None };
        if let Some(slot) = self.slot(thread) {
            slot.call = Some(call);
        }
        Some(self.park(thread, deadline, late))
    }

    /// What of a call is told, and to whom a broken pipe is a signal.
    fn answered(&mut self, world: &mut impl World, thread: Thread, call: &Call, answer: Answer) -> Outcome {
        if self.breaks(thread, call, answer) {
            self.deliver(world, thread, Errno::EPIPE.negated())
        } else {
            answer.into()
        }
    }

    /// Whether a call raised SIGPIPE on its thread. Datagrams never do.
    fn breaks(&mut self, thread: Thread, call: &Call, answer: Answer) -> bool {
        let is_silent = is_socket_call(call.number) && flags(call) & MSG_NOSIGNAL != 0;
        let is_datagram = || self.files.id(call.args[0]).is_ok_and(|id| self.is_datagram(id));
        let is_broken = is_writing(call.number) && answer == Err(Errno::EPIPE) && !is_silent && !is_datagram();
        if is_broken {
            self.raise(thread, SIGPIPE);
        }
        is_broken
    }

    /// A thread that waited goes on with this result; a signal that the call raised meanwhile comes first.
    pub fn resumed(&mut self, world: &mut impl World, thread: Thread, result: i64) -> Outcome {
        let result = match result {
            signals::ASK if self.interruption(thread) == Some(false) => Errno::EINTR.negated(),
            signals::ASK => AGAIN,
            result => result,
        };
        self.deliver(world, thread, result)
    }

    /// Tries all calls that wait, as long as that changes anything; but not for ever, if another program says more all the time.
    pub fn retry(&mut self, world: &mut impl World) {
        if self.files.is_changed {
            self.retry_changed(world);
        }
    }

    /// Apart, since most calls change nothing that anybody waits for.
    #[inline(never)]
    fn retry_changed(&mut self, world: &mut impl World) {
        for _ in 0..ROUNDS {
            if !core::mem::take(&mut self.files.is_changed) {
                return;
            }
            self.pump(world);
            self.tell_neighbours(world);
            for thread in each(self.parked) {
                let Some(mut call) = self.parked_call(thread) else { continue };
                let answer = self.attempt(world, thread, &mut call);
                if let Some(slot) = self.slot(thread) {
                    slot.call = answer.is_none().then_some(call);
                }
                if let Some(answer) = answer {
                    let _is_told_by_resumed = self.breaks(thread, &call, answer);
                    let result = answer.map_or_else(Errno::negated, u64::cast_signed);
                    self.answer(1 << thread, result);
                }
            }
            if !self.files.is_changed {
                // Who waits for that signal looks again.
                self.tell_ends(world);
            }
        }
        self.tell_ends(world);
    }

    /// Whether [`Self::retry`] left something for another turn. No bell tells of it: somebody who waits goes on without one.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.files.is_changed
    }

    /// One try; `None` if the call has to wait. Only a call that was begun before may change what it did.
    fn attempt(&mut self, world: &mut impl World, thread: Thread, call: &mut Call) -> Option<Answer> {
        // Its number may lead to something else by now, by dup2: that is not what it waits for.
        if call.object.is_some_and(|object| self.files.id(call.args[0]) != Ok(object)) {
            return Some(if has_moved(call) { Ok(call.done) } else { Err(Errno::EBADF) });
        }
        let tried = match call.number {
            number if is_reading(number) => self.try_read(world, call),
            number if is_writing(number) => self.try_write(world, call),
            number::PPOLL | number::PSELECT6 | number::EPOLL_PWAIT => return self.try_readiness(world, call),
            number::WAIT4 | number::WAITID => return self.try_wait(world, call),
            // Who waits for a lock asks again when its time comes.
            number::RT_SIGSUSPEND | number::FLOCK | number::FCNTL => return None,
            number::RT_SIGTIMEDWAIT => return self.try_sigwait(world, thread, call),
            number::EXIT_GROUP => return self.has_said_all(world).then_some(Ok(AGAIN.cast_unsigned())),
            number::CONNECT => self.try_connect(world, call),
            _ => self.try_accept(world, call),
        };
        match tried {
            Ok(Some(result)) => Some(Ok(result)),
            Ok(None) if !self.is_nonblocking(call) => None,
            Ok(None) | Err(_) if has_moved(call) => Some(Ok(call.done)),
            Ok(None) if call.number == number::CONNECT => Some(Err(Errno::EINPROGRESS)),
            Ok(None) => Some(Err(Errno::EAGAIN)),
            Err(errno) => Some(Err(errno)),
        }
    }

    /// What is ready; nothing, where somebody else has to tell that first.
    fn try_readiness(&mut self, world: &mut impl World, call: &Call) -> Option<Answer> {
        let answer = match call.number {
            number::PPOLL => self.try_poll(world, call.args),
            number::PSELECT6 => self.try_select(world, call.args),
            _ => self.try_epoll(world, call.args),
        };
        if answer.is_none() {
            self.demand_news(world);
        }
        answer
    }

    fn is_nonblocking(&self, call: &Call) -> bool {
        let is_asked = is_socket_call(call.number) && flags(call) & MSG_DONTWAIT != 0;
        is_asked || self.files.held(call.args[0]).is_ok_and(|held| held.is_nonblocking)
    }

    /// Until when the call waits, and what it returns then.
    fn limit(&mut self, world: &mut impl World, call: &Call) -> Result<(Option<u64>, i64), Errno> {
        let in_time = |world: &mut _, address: u64| match address {
            0 => Ok(None),
            address => super::time::read_time(world, address).map(|ns| Some(World::now_ns(world).saturating_add(ns))),
        };
        Ok(match call.number {
            number::PPOLL => (in_time(world, call.args[2])?, 0),
            number::PSELECT6 => (in_time(world, call.args[4])?, 0),
            number::EPOLL_PWAIT => {
                let ms = u64::try_from(number::int(call.args[3])).ok();
                (ms.map(|ms| world.now_ns().saturating_add(ms.saturating_mul(1_000_000))), 0)
            }
            number::WAIT4 | number::WAITID | number::RT_SIGSUSPEND => (None, 0),
            number::RT_SIGTIMEDWAIT => (in_time(world, call.args[2])?, Errno::EAGAIN.negated()),
            number if is_reading(number) && self.is_terminal(call.args[0]) => {
                (self.typing_limit().map(|ns| world.now_ns().saturating_add(ns)), 0)
            }
            number => {
                let is_connect = number == number::CONNECT;
                let wait = self.socket_limit(call.args[0], is_connect || is_writing(number));
                // By name it did not even begin.
                let goes_on = is_connect && self.tcp(call.args[0]).is_ok_and(|(_, tcp)| tcp.family != Family::Unix);
                let late = if goes_on { Errno::EINPROGRESS } else { Errno::EAGAIN };
                (wait.map(|ns| world.now_ns().saturating_add(ns)), late.negated())
            }
        })
    }

    /// What a call leaves behind whose time is over: `select` found nothing.
    pub(super) fn give_up(&mut self, world: &mut impl World, call: &Call) {
        if call.number == number::PSELECT6 {
            let _were_readable = self.clear_sets(world, call.args);
        }
    }

    fn try_read(&mut self, world: &mut impl World, call: &mut Call) -> Result<Option<u64>, Errno> {
        let id = self.files.id(call.args[0])?;
        let pieces = pieces(world, call)?;
        let flags = if is_socket_call(call.number) { flags(call) } else { 0 };
        self.refuse_queues(id, flags)?;
        let (is_peek, wants_length) = (flags & MSG_PEEK != 0, flags & MSG_TRUNC != 0);
        if let Some(Object::Datagram(_)) = self.files.objects.get(id).map(|held| &held.object) {
            return self.receive_message(world, id, call, pieces, (is_peek, wants_length));
        }
        // Of TCP what is cut off is dropped, and only counted.
        let is_dropped = wants_length && self.tcp_of(id).is_some_and(|tcp| tcp.family != Family::Unix);
        let pieces = if is_dropped { Pieces::Nowhere(pieces.total(world)?) } else { pieces };
        if flags & MSG_WAITALL != 0 && !is_peek && self.is_stream(id) {
            return self.read_all(world, id, call, pieces);
        }
        let read = self.read_object(world, id, pieces, is_peek)?;
        if read.is_some() {
            messages::tell_nobody(world, call)?;
        }
        Ok(read)
    }

    /// There are no urgent data, and a socket of a host has a queue of errors in which nothing ever is.
    fn refuse_queues(&mut self, id: Id, flags: u32) -> Result<(), Errno> {
        let (family, is_stream) = match self.files.objects.get(id).map(|held| &held.object) {
            Some(Object::Tcp(tcp)) => (tcp.family, true),
            Some(Object::Datagram(datagram)) => (datagram.family, false),
            _ => return Ok(()),
        };
        match family {
            Family::V4 | Family::V6 if flags & MSG_ERRQUEUE != 0 => Err(Errno::EAGAIN),
            Family::Unix if flags & MSG_OOB != 0 && !is_stream => Err(Errno::EOPNOTSUPP),
            _ if flags & MSG_OOB != 0 && is_stream => Err(Errno::EINVAL),
            _ => Ok(()),
        }
    }

    fn is_stream(&self, id: Id) -> bool {
        matches!(self.files.objects.get(id).map(|held| &held.object), Some(Object::Tcp(_)))
    }

    /// `MSG_WAITALL`: what has come is taken, and the rest waited for, but for the end and for an error.
    fn read_all(
        &mut self,
        world: &mut impl World,
        id: Id,
        call: &mut Call,
        pieces: Pieces,
    ) -> Result<Option<u64>, Errno> {
        messages::tell_nobody(world, call)?;
        let total = pieces.total(world)?;
        loop {
            // An error behind what was read is for the next call.
            if call.done > 0 && self.tcp_of(id).is_some_and(|tcp| tcp.error.is_some()) && !self.has_data(id) {
                return Ok(Some(call.done));
            }
            match self.receive(world, id, pieces.behind(call.done), false) {
                Ok(Some(read)) => {
                    call.done += read;
                    if read == 0 || call.done >= total {
                        return Ok(Some(call.done));
                    }
                }
                Ok(None) => return Ok(None),
                Err(errno) => return Err(errno),
            }
        }
    }

    fn has_data(&self, id: Id) -> bool {
        match self.files.objects.get(id).map(|held| &held.object) {
            Some(Object::Tcp(Tcp { stage: Stage::Within(ends), .. })) => self.readable_within(*ends) > 0,
            Some(Object::Tcp(tcp)) => tcp.readable() > 0,
            _ => false,
        }
    }

    pub(super) fn read_object(
        &mut self,
        world: &mut impl World,
        id: Id,
        pieces: Pieces,
        is_peek: bool,
    ) -> Result<Option<u64>, Errno> {
        let held = self.files.objects.get_mut(id).ok_or(Errno::EBADF)?;
        match &mut held.object {
            Object::Input | Object::Null => Ok(Some(0)),
            Object::Zero => fill_with(world, pieces, |_, chunk| {
                chunk.fill(0);
                Ok(())
            })
            .map(Some),
            Object::Text(text, at) => {
                let (text, from) = (*text, *at);
                let read = self.read_text(world, text, from, pieces)?;
                if let Some(Object::Text(_, at)) = self.files.objects.get_mut(id).map(|held| &mut held.object) {
                    *at += read;
                }
                Ok(Some(read))
            }
            Object::Pipe(ends) => {
                let ends = *ends;
                self.read_pipe(world, ends, pieces, is_peek)
            }
            Object::Event(event) => {
                let mut counted = *event;
                let Some(count) = counted.take() else { return small(world, pieces).map(|()| None) };
                put_word(world, pieces, count)?;
                held.object = Object::Event(counted);
                self.files.touch(Some(id), false, true);
                Ok(Some(8))
            }
            Object::Signals(set) => {
                let set = *set;
                self.read_signals(world, set, pieces)
            }
            Object::Timer(timer) if timer.expired > 0 => {
                put_word(world, pieces, timer.expired)?;
                timer.expired = 0;
                Ok(Some(8))
            }
            Object::Timer(_) => small(world, pieces).map(|()| None),
            Object::Tcp(_) => self.receive(world, id, pieces, is_peek),
            Object::File(_) => self.read_file(world, id, pieces).map(Some),
            Object::Terminal => {
                let is_nonblocking = held.is_nonblocking;
                self.read_terminal(world, pieces, is_nonblocking)
            }
            Object::Directory(_) => Err(Errno::EISDIR),
            Object::Output(_) => Err(Errno::EBADF),
            // `read_random` reads it; this is a socket's call.
            Object::Random => Err(Errno::ENOTSOCK),
            Object::Epoll(_) | Object::Datagram(_) => Err(Errno::EINVAL),
        }
    }

    fn try_write(&mut self, world: &mut impl World, call: &mut Call) -> Result<Option<u64>, Errno> {
        let id = self.files.id(call.args[0])?;
        // Descriptors that nobody gets would be lost without a word.
        if has_control(world, call)? {
            self.tell(world, call.number, "control data goes nowhere: no descriptors and no options with a message");
            return Err(Errno::EINVAL);
        }
        let pieces = pieces(world, call)?;
        let held = self.files.objects.get_mut(id).ok_or(Errno::EBADF)?;
        match &mut held.object {
            Object::Null | Object::Zero | Object::Random => pieces.total(world).map(Some),
            Object::Output(stream) => {
                let stream = *stream;
                self.put(world, stream, pieces).map(Some)
            }
            Object::Pipe(ends) => {
                let ends = *ends;
                self.write_pipe(world, ends, pieces, &mut call.done)
            }
            Object::Event(event) => {
                let mut word = [0; 8];
                if pieces.total(world)? < 8 || pieces.read(world, 0, &mut word)? < 8 {
                    return Err(Errno::EINVAL);
                }
                let more = u64::from_le_bytes(word);
                if more == u64::MAX {
                    return Err(Errno::EINVAL);
                }
                if !event.add(more) {
                    return Ok(None);
                }
                self.files.touch(Some(id), true, false);
                Ok(Some(8))
            }
            Object::Tcp(_) => self.transmit(world, id, pieces, &mut call.done),
            Object::Datagram(_) => self.send(world, id, call, pieces),
            Object::File(_) => self.write_file(world, id, pieces).map(Some),
            Object::Terminal => self.write_terminal(world, pieces, &mut call.done),
            Object::Input | Object::Text(..) | Object::Directory(_) => Err(Errno::EBADF),
            Object::Signals(_) | Object::Timer(_) | Object::Epoll(_) => Err(Errno::EINVAL),
        }
    }

    /// Text to the log; what was written before a part that cannot be read counts.
    fn put(&mut self, world: &mut impl World, stream: Stream, pieces: Pieces) -> Answer {
        let total = pieces.total(world)?;
        let [out, error] = &mut self.lines;
        let line = if stream == Stream::Out { out } else { error };
        let mut done = 0;
        while done < total {
            let mut chunk = [0; CHUNK];
            match pieces.read(world, done, &mut chunk) {
                Err(errno) if done == 0 => return Err(errno),
                Err(_) | Ok(0) => break,
                Ok(length) => {
                    let written = chunk.get(..length).unwrap_or_default();
                    line.write(written, &mut |text| world.line(stream, text));
                    done += length as u64;
                }
            }
        }
        Ok(done)
    }

    /// Tells what was written and not ended.
    pub(super) fn flush(&mut self, world: &mut impl World) {
        let [out, error] = &mut self.lines;
        out.flush(&mut |text| world.line(Stream::Out, text));
        error.flush(&mut |text| world.line(Stream::Error, text));
    }
}

const fn is_socket_call(number: u64) -> bool {
    matches!(number, number::RECVFROM | number::RECVMSG | number::SENDTO | number::SENDMSG)
}

/// The flags of a socket's call.
fn flags(call: &Call) -> u32 {
    let at = if matches!(call.number, number::RECVMSG | number::SENDMSG) { call.args[2] } else { call.args[3] };
    low(at)
}

/// Whether a message brings control data.
fn has_control(world: &impl World, call: &Call) -> Result<bool, Errno> {
    if call.number != number::SENDMSG {
        return Ok(false);
    }
    let [control, length] = world::read_words(world, call.args[1].wrapping_add(32))?;
    Ok(control != 0 && low(length) != 0)
}

/// Where the bytes of a call are. `struct msghdr`: name, its length, list, its length, control data and its length, flags.
fn pieces(world: &impl World, call: &Call) -> Result<Pieces, Errno> {
    Ok(match call.number {
        number::READV | number::WRITEV => Pieces::List(call.args[1], call.args[2]),
        number::RECVMSG | number::SENDMSG => {
            let [list, count] = world::read_words(world, call.args[1].wrapping_add(16))?;
            Pieces::List(list, count)
        }
        _ => Pieces::One(call.args[1], call.args[2]),
    })
}

/// What gives and takes words of eight bytes wants room for one.
fn small(world: &impl World, pieces: Pieces) -> Result<(), Errno> {
    if pieces.total(world)? < 8 { Err(Errno::EINVAL) } else { Ok(()) }
}

fn put_word(world: &mut impl World, pieces: Pieces, word: u64) -> Result<(), Errno> {
    small(world, pieces)?;
    pieces.fill(world, 0, &word.to_le_bytes()).map(|_| ())
}

/// Fills what the program reads into with what `make` makes, at most 64 KiB in one call.
fn fill_with<W: World>(
    world: &mut W,
    pieces: Pieces,
    mut make: impl FnMut(&mut W, &mut [u8]) -> Result<(), Errno>,
) -> Answer {
    let total = pieces.total(world)?.min(64 * 1024);
    let mut done = 0;
    while done < total {
        let mut chunk = [0; CHUNK];
        let length = usize::try_from(total - done).unwrap_or(CHUNK).min(CHUNK);
        let chunk = chunk.get_mut(..length).unwrap_or_default();
        match make(world, chunk).and_then(|()| pieces.write(world, done, chunk)) {
            Ok(0) => break,
            Ok(length) => done += length as u64,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}
