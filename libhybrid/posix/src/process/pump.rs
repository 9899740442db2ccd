//! Standard streams between a program and who spawned it: its pipes or files at one end, rings at the other.
//!
//! Each side has an ordinary pipe for each stream, one end of which is lent to the other side: a *pump* moves its bytes to or from the ring
//! whenever something changed. So all that programs do with pipes they can do with these, and no byte costs a call. A parent can lend a file or its
//! terminal instead: its pump reads it and writes it at the file's own offset, as the child would. What the parent could read itself goes to a
//! child only by [demand](super::demand).
//!
//! INV-PUMP-1: a pump counts as a descriptor of the object that it holds, so that the pipe's other end sees an end when it goes and not before.
use super::demand::Demand;
use super::object::{Ends, Held, Id, Object};
use super::{Pages, Process};
use crate::family::{CHANNELS, Channel, Other, PIECE_MAX, Piece, Stream};
use crate::files::INLINE_MAX;
use crate::number::Errno;
use crate::world::World;
use alloc::vec::Vec;

/// Most pieces that a pump takes before others have their turn: more than a ring holds.
const TURN: usize = 256;

/// One stream of one program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pump {
    pub(super) other: Other,
    pub(super) channel: Channel,
    pub(super) object: Id,
    /// The other side was told that nobody reads what it writes.
    is_told: bool,
    /// Its file took something no more, or could not be read: nothing else is written to it, or read of it.
    pub(super) has_failed: bool,
    /// What the child asked for and was not given: bytes of a read; 0: whether there are any.
    pub(super) demanded: Option<u32>,
    /// The child was ended, and that is told later: it reads no more.
    pub(super) is_over: bool,
}

/// What a pump moves bytes to or from.
#[derive(Debug, Clone, Copy)]
enum Lent {
    Pipe(usize),
    File,
    Terminal,
}

impl Pump {
    /// Whether it is a child's input.
    const fn is_input(self) -> bool {
        matches!((self.other, self.channel), (Other::Child(_), Channel::Input))
    }

    /// Whether it takes bytes out of a pipe or file, into a ring.
    const fn sends(self) -> bool {
        sends(self.other, self.channel)
    }
}

/// Whether this program writes the stream that it shares with the other one.
const fn sends(other: Other, channel: Channel) -> bool {
    matches!((other, channel), (Other::Child(_), Channel::Input))
        || matches!((other, channel), (Other::Parent, Channel::Output | Channel::Error))
}

/// What is known of one stream beside its pipe.
#[derive(Debug)]
struct State {
    other: Other,
    channel: Channel,
    /// The other side writes or reads no more of it.
    is_over: bool,
    /// Bytes that came and found no room in the pipe; or that were read of a file and found none in the ring.
    rest: Vec<u8>,
}

/// All of a program.
#[derive(Debug, Default)]
pub(super) struct Pumps {
    all: Vec<Pump>,
    /// Of those that there is something to say of.
    states: Vec<State>,
    scratch: Vec<u8>,
    /// While who spawned this program may have input for it.
    pub(super) demand: Option<Demand>,
}

impl Pumps {
    fn state(&mut self, other: Other, channel: Channel) -> Option<&mut State> {
        self.states.iter_mut().find(|state| (state.other, state.channel) == (other, channel))
    }

    /// The pump itself, of which a copy is at work.
    pub(super) fn own(&mut self, pump: Pump) -> Option<&mut Pump> {
        self.all.iter_mut().find(|own| own.other == pump.other && own.channel == pump.channel)
    }

    /// Whether somebody wants bytes of it.
    fn has_taker(&self, other: Other, channel: Channel) -> bool {
        !sends(other, channel) && self.all.iter().any(|pump| (pump.other, pump.channel) == (other, channel))
    }

    fn is_over(&mut self, other: Other, channel: Channel) -> bool {
        self.state(other, channel).is_some_and(|state| state.is_over)
    }

    fn has_rest(&self, other: Other, channel: Channel) -> bool {
        self.states.iter().any(|state| (state.other, state.channel) == (other, channel) && !state.rest.is_empty())
    }

    /// Its state, if somebody wants bytes of it.
    fn taken(&mut self, other: Other, channel: Channel) -> Option<&mut State> {
        if self.has_taker(other, channel) { self.made(other, channel) } else { None }
    }

    /// What this program asks the other one for, if that is its parent.
    fn demand_of(&mut self, other: Other) -> Option<&mut Demand> {
        self.demand.as_mut().filter(|_| other == Other::Parent)
    }

    /// What is the input of a child.
    pub(super) fn lent_mut(&mut self, other: Other) -> Option<&mut Pump> {
        let is_input = |pump: &&mut Pump| pump.other == other && pump.is_input();
        self.all.iter_mut().find(is_input)
    }

    /// A child asks for input. Who asks for bytes still waits for them when somebody else only looks.
    fn demanded(&mut self, other: Other, bytes: u32) {
        if let Some(pump) = self.lent_mut(other) {
            pump.demanded = pump.demanded.max(Some(bytes));
        }
    }

    /// Whether a piece can be kept until its pipe takes it. Without memory it stays in its ring.
    fn has_room(&mut self, other: Other, channel: Channel) -> bool {
        let is_kept = self.has_taker(other, channel);
        !is_kept || self.made(other, channel).is_some_and(|state| state.rest.try_reserve(PIECE_MAX).is_ok())
    }

    /// Its state, made if need be: at most three for each other side.
    fn made(&mut self, other: Other, channel: Channel) -> Option<&mut State> {
        if self.state(other, channel).is_none() {
            self.states.push(State { other, channel, is_over: false, rest: Vec::new() });
        }
        self.state(other, channel)
    }
}

impl<S: Pages> Process<S> {
    /// An end of a pipe, or a file, is a stream of somebody else, too.
    pub(super) fn lend(&mut self, other: Other, channel: Channel, object: Id) {
        if let Some(held) = self.files.objects.get_mut(object) {
            held.count += 1;
            self.pumps.all.push(Pump {
                other,
                channel,
                object,
                is_told: false,
                has_failed: false,
                demanded: None,
                is_over: false,
            });
        }
    }

    /// Whether streams of this one are open or have something unread.
    pub(super) fn is_lent_to(&self, other: Other) -> bool {
        self.pumps.all.iter().any(|pump| pump.other == other)
    }

    pub(super) fn has_pumps(&self) -> bool {
        !self.pumps.all.is_empty()
    }

    /// The program's own standard streams, as who spawned it wanted them; before its first instruction.
    ///
    /// # Errors
    /// `ENOMEM` if the heap has no room for their pipes.
    pub fn set_streams(&mut self, world: &mut impl World, streams: [Stream; 3]) -> Result<(), Errno> {
        for ((channel, number), stream) in CHANNELS.into_iter().zip(0_u64..).zip(streams) {
            match stream {
                Stream::Own => {}
                Stream::Closed => _ = self.close(world, number)?,
                Stream::Nothing => {
                    let id = self.files.id(number)?;
                    if let Some(held) = self.files.objects.get_mut(id) {
                        held.object = Object::Null;
                    }
                }
                Stream::Parent => self.open_stream(world, channel, number)?,
            }
        }
        Ok(())
    }

    /// The descriptor becomes an end of a new pipe, and the other end is the parent's.
    fn open_stream(&mut self, world: &mut impl World, channel: Channel, number: u64) -> Result<(), Errno> {
        let pipe = self.new_pipe(world)?;
        let (reads, writes) = (Ends { reads: Some(pipe), writes: None }, Ends { reads: None, writes: Some(pipe) });
        let (own, lent) = if channel == Channel::Input { (reads, writes) } else { (writes, reads) };
        let id = self.files.id(number)?;
        let other = self.files.objects.insert(0, Held::new(Object::Pipe(lent)), Errno::ENFILE)?;
        if let Some(held) = self.files.objects.get_mut(id) {
            held.object = Object::Pipe(own);
        }
        if let Some(pipe) = self.files.pipes.get_mut(pipe) {
            let (reader, writer) = if channel == Channel::Input { (id, other) } else { (other, id) };
            (pipe.reader, pipe.writer) = (Some(reader), Some(writer));
        }
        if channel == Channel::Input {
            self.pumps.demand = Some(Demand::of(pipe));
        }
        self.lend(Other::Parent, channel, other);
        Ok(())
    }

    /// Moves what can be moved.
    pub(super) fn pump(&mut self, world: &mut impl World) {
        if !world.has_others() {
            return;
        }
        self.say_demand(world);
        let mut index = 0;
        while let Some(pump) = self.pumps.all.get(index).copied() {
            let goes_on = if pump.sends() { self.send_pieces(world, pump) } else { self.take_pieces(world, pump) };
            if goes_on {
                index += 1;
                continue;
            }
            self.pumps.all.swap_remove(index);
            if (pump.other, pump.channel) == (Other::Parent, Channel::Input) {
                // Its pipe may be another one's soon.
                self.pumps.demand = None;
            }
            self.release(world, pump.object);
            if !self.is_lent_to(pump.other) {
                self.pumps.states.retain(|state| state.other != pump.other);
                self.forget_reaped(world);
            }
        }
    }

    /// The pipe of which a pump holds an end.
    fn pipe_of(&self, pump: Pump) -> Option<usize> {
        match self.files.objects.get(pump.object).map(|held| &held.object) {
            Some(Object::Pipe(Ends { reads, writes })) => {
                if pump.sends() {
                    *reads
                } else {
                    *writes
                }
            }
            _ => None,
        }
    }

    /// What a pump holds.
    fn lent(&self, pump: Pump) -> Option<Lent> {
        match self.files.objects.get(pump.object).map(|held| &held.object) {
            Some(Object::File(_)) => Some(Lent::File),
            Some(Object::Terminal) => Some(Lent::Terminal),
            _ => self.pipe_of(pump).map(Lent::Pipe),
        }
    }

    /// From the pipe or file to the ring; false when it is over.
    fn send_pieces(&mut self, world: &mut impl World, pump: Pump) -> bool {
        // A program that ends gives its children nothing more.
        let hears = self.exiting.is_none() || !pump.is_input();
        for ring in CHANNELS.into_iter().filter(|ring| hears && !sends(pump.other, *ring)) {
            self.hear(world, pump.other, ring);
        }
        // With what was heard.
        let pump = self.pumps.own(pump).map_or(pump, |own| *own);
        let is_gone = pump.is_over || self.pumps.is_over(pump.other, pump.channel) || self.is_gone(pump.other);
        let is_shared = self.files.objects.get(pump.object).is_some_and(|held| held.count > 1);
        match self.lent(pump).filter(|_| !is_gone) {
            Some(Lent::Pipe(at)) if !(is_shared && pump.is_input()) => self.send_pipe(world, pump, at),
            Some(Lent::File) if !is_shared => self.send_file(world, pump),
            Some(_) => {
                self.serve(world, pump);
                true
            }
            None => false,
        }
    }

    /// Says that nothing more comes; false when that was heard.
    fn send_end(world: &mut impl World, pump: Pump) -> bool {
        let mut told = world.relations().into_iter();
        !told.all(|it| it.push(pump.other, pump.channel, Piece::Ends(pump.channel)))
    }

    /// Reads the file as far as the ring has room. One that cannot be read any more ends there, and the log says so.
    fn send_file(&mut self, world: &mut impl World, pump: Pump) -> bool {
        for _ in 0..TURN {
            let Some(state) = self.pumps.made(pump.other, pump.channel) else { return false };
            let mut rest = core::mem::take(&mut state.rest);
            if rest.is_empty() {
                let mut bytes = [0; INLINE_MAX];
                let read = if pump.has_failed { Ok(0) } else { self.read_piece(world, pump.object, &mut bytes) };
                if let Err(errno) = read {
                    self.note_unread(world, pump, errno);
                }
                let length = read.unwrap_or(0);
                if length == 0 {
                    return Self::send_end(world, pump);
                }
                rest.extend_from_slice(bytes.get(..length).unwrap_or_default());
            }
            let Some(relations) = world.relations() else { return false };
            let is_sent = relations.push(pump.other, pump.channel, Piece::Bytes(&rest));
            if is_sent {
                rest.clear();
            }
            if let Some(state) = self.pumps.state(pump.other, pump.channel) {
                state.rest = rest;
            }
            if !is_sent {
                return true;
            }
        }
        // A child that reads as fast as it is sent something: others have their turn before it goes on.
        self.files.is_changed = true;
        true
    }

    fn send_pipe(&mut self, world: &mut impl World, pump: Pump, at: usize) -> bool {
        loop {
            let Some(pipe) = self.files.pipes.get_mut(at) else { return false };
            let writer = pipe.writer;
            if pipe.buffer.len() == 0 {
                return writer.is_some() || Self::send_end(world, pump);
            }
            let mut bytes = [0; PIECE_MAX];
            let Ok(length) = pipe.buffer.peek(world, 0, &mut bytes) else { return false };
            let Some(relations) = world.relations() else { return false };
            if !relations.push(pump.other, pump.channel, Piece::Bytes(bytes.get(..length).unwrap_or_default())) {
                return true;
            }
            pipe.buffer.drop_front(length as u64);
            self.files.touch(writer, false, true);
        }
    }

    /// From the ring to the pipe or file, or to nowhere if nobody reads that any more; false when it is over.
    fn take_pieces(&mut self, world: &mut impl World, pump: Pump) -> bool {
        // Whether it ended is asked before its last words are.
        let is_gone = self.is_gone(pump.other);
        let Some(lent) = self.lent(pump) else { return false };
        let is_read = match lent {
            Lent::Pipe(at) => self.files.pipes.get(at).is_some_and(|pipe| pipe.reader.is_some()),
            Lent::File => !pump.has_failed,
            Lent::Terminal => true,
        };
        if !is_read && !pump.is_told {
            self.tell_unread(world, pump);
        }
        // At a terminal the end waits for what was heard, and not for what a child that runs on says then.
        let hears = is_gone || self.exiting.is_none() || !matches!(lent, Lent::Terminal);
        // Who is taken from and says more all the time gets no longer turn: what was heard asks for another.
        for _ in 0..TURN {
            if !(self.fill(world, pump, lent, is_read) && hears && self.hear(world, pump.other, pump.channel)) {
                break;
            }
        }
        let has_rest = self.pumps.has_rest(pump.other, pump.channel);
        has_rest || !(is_gone || self.pumps.is_over(pump.other, pump.channel))
    }

    fn tell_unread(&mut self, world: &mut impl World, pump: Pump) {
        let ends = Piece::Ends(pump.channel);
        let is_told = world.relations().is_none_or(|relations| relations.push(pump.other, pump.channel, ends));
        if let Some(own) = self.pumps.own(pump) {
            own.is_told = is_told;
        }
    }

    /// Gives the pipe or file what came and had no room; whether there is room for more.
    fn fill(&mut self, world: &mut impl World, pump: Pump, lent: Lent, is_read: bool) -> bool {
        match lent {
            Lent::Pipe(at) => self.fill_pipe(world, pump, at, is_read),
            Lent::File => self.fill_file(world, pump, is_read),
            Lent::Terminal => self.fill_terminal(world, pump),
        }
    }

    fn fill_terminal(&mut self, world: &mut impl World, pump: Pump) -> bool {
        let Some(state) = self.pumps.state(pump.other, pump.channel) else { return true };
        let mut rest = core::mem::take(&mut state.rest);
        let mut done = 0;
        while let Some(piece @ [_, ..]) = rest.get(done..) {
            let piece = piece.get(..super::terminal::PIECE).unwrap_or(piece);
            if !self.print(world, piece) {
                break;
            }
            done += piece.len();
        }
        rest.drain(..done);
        let is_printed = rest.is_empty();
        if let Some(state) = self.pumps.state(pump.other, pump.channel) {
            state.rest = rest;
        }
        is_printed
    }

    /// A file that is full, or whose server is away, is to the other side a stream that nobody reads; what it wrote since is lost, as with a pipe.
    fn fill_file(&mut self, world: &mut impl World, pump: Pump, is_read: bool) -> bool {
        let Some(state) = self.pumps.state(pump.other, pump.channel) else { return true };
        let mut rest = core::mem::take(&mut state.rest);
        let has_failed = is_read && !rest.is_empty() && self.write_piece(world, pump.object, &rest).is_err();
        rest.clear();
        if let Some(state) = self.pumps.state(pump.other, pump.channel) {
            state.rest = rest;
        }
        if let Some(own) = self.pumps.own(pump).filter(|_| has_failed) {
            own.has_failed = true;
            // Its next turn tells the other side.
            self.files.is_changed = true;
        }
        !has_failed
    }

    fn fill_pipe(&mut self, world: &mut impl World, pump: Pump, at: usize, is_read: bool) -> bool {
        let Some(state) = self.pumps.state(pump.other, pump.channel).filter(|state| !state.rest.is_empty()) else {
            return true;
        };
        let pipe = self.files.pipes.get_mut(at).filter(|_| is_read);
        let (moved, reader) = match pipe {
            // What the heap cannot take is lost with the pipe.
            Some(pipe) => (pipe.buffer.push(world, &state.rest).unwrap_or(state.rest.len()), pipe.reader),
            None => (state.rest.len(), None),
        };
        state.rest.drain(..moved.min(state.rest.len()));
        let is_empty = state.rest.is_empty();
        self.files.touch(reader.filter(|_| moved > 0), true, false);
        is_empty
    }

    /// Takes what the other side said next in a ring, unless what it said before is still here; whether it said anything new. A ring that the
    /// other side broke says for ever that it ends: that is heard once.
    fn hear(&mut self, world: &mut impl World, other: Other, ring: Channel) -> bool {
        if self.pumps.has_rest(other, ring) || !self.pumps.has_room(other, ring) {
            return false;
        }
        let mut scratch = core::mem::take(&mut self.pumps.scratch);
        let piece = world.relations().and_then(|relations| relations.next(other, ring, &mut scratch));
        let is_new = match piece {
            Some(Piece::Ends(channel)) => {
                let state = self.pumps.made(other, channel);
                state.is_some_and(|state| !core::mem::replace(&mut state.is_over, true))
            }
            Some(Piece::Bytes(bytes)) => {
                if let Some(state) = self.pumps.taken(other, ring) {
                    state.rest.extend_from_slice(bytes);
                }
                self.pumps.demand_of(other).into_iter().for_each(|demand| demand.answer(bytes));
                self.touch_demand(other);
                true
            }
            Some(Piece::Ready) => {
                self.pumps.demand_of(other).into_iter().for_each(Demand::be_ready);
                self.touch_demand(other);
                true
            }
            // Also if it asked for as much before: there may be more behind it.
            Some(Piece::Demand(bytes)) => {
                self.pumps.demanded(other, bytes);
                true
            }
            None => false,
        };
        // Another pump may be whom it concerns.
        self.files.is_changed |= is_new;
        self.pumps.scratch = scratch;
        is_new
    }

    /// Readers of the program's own input look again.
    fn touch_demand(&mut self, other: Other) {
        let pump = self.pumps.all.iter().find(|pump| (pump.other, pump.channel) == (other, Channel::Input)).copied();
        let pipe = pump.filter(|_| other == Other::Parent).and_then(|pump| self.pipe_of(pump));
        let reader = pipe.and_then(|at| self.files.pipes.get(at)?.reader);
        self.files.touch(reader, true, false);
    }

    /// A child that ended says and reads nothing more. A parent that did has ended this program, too.
    fn is_gone(&self, other: Other) -> bool {
        matches!(other, Other::Child(process) if self.has_ended(process))
    }

    /// Whether the parent got all output, and the terminal all that children which ended printed, and of others what was heard; nobody will
    /// write more.
    pub(super) fn is_drained(&mut self, world: &mut impl World) -> bool {
        self.pump(world);
        if self.pumps.all.iter().any(|pump| self.is_to_print(*pump)) {
            return false;
        }
        let mut sending = self.pumps.all.iter().filter(|pump| pump.other == Other::Parent && pump.sends());
        sending.all(|pump| {
            let pipe = self.pipe_of(*pump).and_then(|at| self.files.pipes.get(at));
            pipe.is_none_or(|pipe| pipe.buffer.len() == 0)
        })
    }

    /// Whether a pump has something for the terminal. That of a child which ended is there as long as it has.
    fn is_to_print(&self, pump: Pump) -> bool {
        let has_rest = || self.pumps.has_rest(pump.other, pump.channel);
        matches!(self.lent(pump), Some(Lent::Terminal)) && !pump.sends() && (self.is_gone(pump.other) || has_rest())
    }
}
