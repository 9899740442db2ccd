//! Pipes, pairs of sockets, counters and timers: what a program makes for itself alone.
use super::descriptors::{O_CLOEXEC, O_NONBLOCK};
use super::object::{Ends, Event, Id, Object, PIPE_ATOMIC, PIPE_BYTES, Pipe, Timer, poll};
use super::pieces::{Buffer, Pieces};
use super::{Pages, Process};
use crate::number::{self, Answer, Errno, low};
use crate::world::{self, World};

const EFD_SEMAPHORE: u32 = 1;
const TFD_TIMER_ABSTIME: u32 = 1;
const NS: u64 = 1_000_000_000;

impl<S: Pages> Process<S> {
    /// Calls that make or set one of these; `None` for others.
    pub(super) fn own_call(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Option<Answer> {
        Some(match number {
            number::PIPE2 => self.pipe(world, args[0], low(args[1])),
            number::EVENTFD2 => self.eventfd(args),
            number::SIGNALFD4 => self.signalfd(world, args),
            number::TIMERFD_CREATE => self.timerfd(args),
            number::TIMERFD_SETTIME => self.set_timer(world, args),
            number::TIMERFD_GETTIME => self.timer_left(world, args),
            _ => return None,
        })
    }

    pub(super) fn new_pipe(&mut self, world: &mut impl World) -> Result<usize, Errno> {
        let at = self.files.pipes.reserve(Errno::ENFILE)?;
        let buffer = Buffer::new(&mut self.areas, world, PIPE_BYTES)?;
        _ = self.files.pipes.put(at, Pipe { buffer, reader: None, writer: None })?;
        Ok(at)
    }

    /// One that has no ends.
    pub(super) fn free_pipe(&mut self, at: usize) {
        if let Some(pipe) = self.files.pipes.take(at) {
            pipe.buffer.free(&mut self.areas);
        }
    }

    fn pipe(&mut self, world: &mut impl World, address: u64, flags: u32) -> Answer {
        if flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
            return Err(Errno::EINVAL);
        }
        let pipe = self.new_pipe(world)?;
        let first = self.open_end(Ends { reads: Some(pipe), writes: None }, flags)?;
        let second = match self.open_end(Ends { reads: None, writes: Some(pipe) }, flags) {
            Ok(second) => second,
            Err(errno) => {
                self.close(world, first)?;
                return Err(errno);
            }
        };
        let told = world.write(address, &super::socket::two_numbers(first, second));
        if told.is_err() {
            [first, second].into_iter().for_each(|number| _ = self.close(world, number));
        }
        told.map(|()| 0)
    }

    fn open_end(&mut self, ends: Ends, flags: u32) -> Answer {
        let number = self.files.open(Object::Pipe(ends), flags).inspect_err(|_| self.close_ends(ends))?;
        let id = self.files.id(number).ok();
        if let Some(pipe) = ends.reads.and_then(|pipe| self.files.pipes.get_mut(pipe)) {
            pipe.reader = id;
        }
        if let Some(pipe) = ends.writes.and_then(|pipe| self.files.pipes.get_mut(pipe)) {
            pipe.writer = id;
        }
        Ok(number)
    }

    /// An end is gone: the other one learns of it, and a pipe without ends is no more.
    pub(super) fn close_ends(&mut self, ends: Ends) {
        for (at, is_reader) in [(ends.reads, true), (ends.writes, false)] {
            let Some((at, pipe)) = at.and_then(|at| Some((at, self.files.pipes.get_mut(at)?))) else { continue };
            let own = if is_reader { &mut pipe.reader } else { &mut pipe.writer };
            *own = None;
            let other = pipe.reader.or(pipe.writer);
            self.files.touch(other, true, true);
            if other.is_none()
                && let Some(pipe) = self.files.pipes.take(at)
            {
                pipe.buffer.free(&mut self.areas);
            }
        }
    }

    /// `None`: it would wait.
    pub(super) fn read_pipe(
        &mut self,
        world: &mut impl World,
        ends: Ends,
        pieces: Pieces,
        is_peek: bool,
    ) -> Result<Option<u64>, Errno> {
        let at = ends.reads.ok_or(Errno::EBADF)?;
        let pipe = self.files.pipes.get_mut(at).ok_or(Errno::EBADF)?;
        let total = pieces.total(world)?;
        if total == 0 {
            return Ok(Some(0));
        }
        if pipe.buffer.len() == 0 {
            let is_at_end = pipe.writer.is_none() || self.demand(world, at, total);
            self.pass_end(at);
            return Ok(is_at_end.then_some(0));
        }
        let taken = pipe.buffer.pop_to(world, pieces, is_peek)?;
        let (writer, reader, is_empty) = (pipe.writer, pipe.reader, pipe.buffer.len() == 0);
        self.files.touch(writer, false, true);
        if is_empty {
            self.miss_watched(at, reader);
        }
        Ok(Some(taken))
    }

    /// `None`: it would wait for more room; `done` bytes are written. What fits into `PIPE_BUF` is written whole.
    pub(super) fn write_pipe(
        &mut self,
        world: &mut impl World,
        ends: Ends,
        pieces: Pieces,
        done: &mut u64,
    ) -> Result<Option<u64>, Errno> {
        let pipe = ends.writes.and_then(|at| self.files.pipes.get_mut(at)).ok_or(Errno::EBADF)?;
        let total = pieces.total(world)?;
        if total == 0 {
            return Ok(Some(0));
        }
        let Some(reader) = pipe.reader else { return Err(Errno::EPIPE) };
        if total <= PIPE_ATOMIC && pipe.buffer.room() < total {
            return Ok(None);
        }
        let more = pipe.buffer.push_from(world, pieces, *done)?;
        let is_stuck = more == 0 && pipe.buffer.room() > 0;
        *done += more;
        self.files.touch((more > 0).then_some(reader), true, false);
        Ok((*done >= total || is_stuck).then_some(*done))
    }

    /// Readiness of an end.
    pub(super) fn pipe_state(&self, ends: Ends) -> u32 {
        let of = |at: Option<usize>| at.and_then(|at| self.files.pipes.get(at));
        let mut state = 0;
        if let Some(pipe) = of(ends.reads) {
            state |= if pipe.buffer.len() > 0 { poll::IN } else { 0 };
            state |= if pipe.writer.is_some() { 0 } else { poll::HUP };
        }
        if state == 0
            && let Some(at) = ends.reads
        {
            state |= self.demanded_state(at);
        }
        if let Some(pipe) = of(ends.writes) {
            let is_open = pipe.reader.is_some();
            state |= if !is_open || pipe.buffer.room() >= PIPE_ATOMIC { poll::OUT } else { 0 };
            state |= if is_open { 0 } else { poll::ERR };
        }
        state
    }

    fn eventfd(&mut self, args: [u64; 6]) -> Answer {
        let flags = low(args[1]);
        if flags & !(O_CLOEXEC | O_NONBLOCK | EFD_SEMAPHORE) != 0 {
            return Err(Errno::EINVAL);
        }
        let event = Event { count: low(args[0]).into(), is_semaphore: flags & EFD_SEMAPHORE != 0 };
        self.files.open(Object::Event(event), flags & !EFD_SEMAPHORE)
    }

    fn timerfd(&mut self, args: [u64; 6]) -> Answer {
        // CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME: the same here
        if !matches!(low(args[0]), 0 | 1 | 7) || low(args[1]) & !(O_CLOEXEC | O_NONBLOCK) != 0 {
            return Err(Errno::EINVAL);
        }
        self.files.open(Object::Timer(Timer::default()), low(args[1]))
    }

    fn timer(&mut self, argument: u64) -> Result<(Id, &mut Timer), Errno> {
        let id = self.files.id(argument)?;
        match self.files.objects.get_mut(id).map(|held| &mut held.object) {
            Some(Object::Timer(timer)) => Ok((id, timer)),
            _ => Err(Errno::EINVAL),
        }
    }

    /// `struct itimerspec`: interval and first, seconds and nanoseconds of each.
    fn set_timer(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let [argument, flags, new, old, ..] = args;
        self.timer(argument)?;
        let [interval_s, interval_ns, first_s, first_ns] = world::read_words(world, new)?;
        let (interval, first) = (time(interval_s, interval_ns)?, time(first_s, first_ns)?);
        if first > 0 && !self.may_wait_until(world, number::TIMERFD_SETTIME) {
            return Err(Errno::EACCES);
        }
        if old != 0 {
            self.timer_left(world, [argument, old, 0, 0, 0, 0])?;
        }
        let start = if low(flags) & TFD_TIMER_ABSTIME != 0 { 0 } else { world.now_ns() };
        let (_, timer) = self.timer(argument)?;
        *timer = Timer { next: (first > 0).then(|| start.saturating_add(first)), interval, expired: 0 };
        Ok(0)
    }

    fn timer_left(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let now = world.now_ns();
        self.pass_timers(now);
        let (_, timer) = self.timer(args[0])?;
        let (left, interval) = (timer.next.map_or(0, |next| next.saturating_sub(now)), timer.interval);
        world::write_words(world, args[1], &[interval / NS, interval % NS, left / NS, left % NS])?;
        Ok(0)
    }

    /// Counts what expired.
    pub(super) fn pass_timers(&mut self, now: u64) {
        if !self.files.has_timers {
            return;
        }
        for id in self.files.objects.numbers() {
            if let Some(Object::Timer(timer)) = self.files.objects.get_mut(id).map(|held| &mut held.object)
                && timer.pass(now)
            {
                self.files.touch(Some(id), true, false);
            }
        }
    }

    /// When the next timer expires.
    pub(super) fn next_timer(&self) -> Option<u64> {
        if !self.files.has_timers {
            return None;
        }
        let next = |held: &super::object::Held| if let Object::Timer(timer) = held.object { timer.next } else { None };
        self.files.objects.all().filter_map(|(_, held)| next(held)).min()
    }
}

fn time(seconds: u64, ns: u64) -> Result<u64, Errno> {
    if ns >= NS || seconds > i64::MAX.cast_unsigned() {
        return Err(Errno::EINVAL);
    }
    Ok(seconds.saturating_mul(NS).saturating_add(ns))
}
