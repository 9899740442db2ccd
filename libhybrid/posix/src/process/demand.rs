//! Input by demand: what a child did not ask for stays its parent's, who may read on or hand it to the next.
//!
//! A child says how much its read wants when it has nothing; its parent's personality takes at most so much of the terminal, pipe or file that it
//! lent, as one read, and hands it over. Who only asks whether there is input (`poll`) is told, and nothing is taken. A pipe or file that nobody
//! but the child can read any more is sent as fast as the child takes it, unasked ([`super::pump`]).
//!
//! INV-DEMAND-1: of a terminal, and of a pipe or file that this program has a descriptor of, no more is taken for a child than it demanded.
use super::object::{Id, Object, poll};
use super::pump::Pump;
use super::{Pages, Process};
use crate::family::{Channel, Other, PIECE_MAX, Piece};
use crate::number::Errno;
use crate::world::World;
use core::cell::Cell;

/// The most that a demand is answered with: as much as certainly has room in a ring that its reader has emptied.
const ANSWER_MAX: usize = 8 * 1024;

/// The program's own input, as it demands it of who spawned it.
#[derive(Debug)]
pub(super) struct Demand {
    /// The pipe that it comes out of.
    pipe: usize,
    /// What the parent was asked for and did not answer: bytes of a read; 0: whether there are any.
    asked: Option<u32>,
    /// It was asked, and the ring had no room for the question.
    is_unsaid: bool,
    /// A read would not wait.
    is_ready: bool,
    /// The next read is at the end.
    is_at_end: bool,
    /// Somebody looked whether there is input, and there was none.
    pub(super) was_missed: Cell<bool>,
}

impl Demand {
    pub(super) const fn of(pipe: usize) -> Self {
        let was_missed = Cell::new(false);
        Self { pipe, asked: None, is_unsaid: false, is_ready: false, is_at_end: false, was_missed }
    }

    /// Bytes came; none are the end, for one read.
    pub(super) const fn answer(&mut self, bytes: &[u8]) {
        (self.asked, self.is_ready) = (None, false);
        self.is_at_end |= bytes.is_empty();
    }

    /// The parent says that a read would not wait.
    pub(super) const fn be_ready(&mut self) {
        if matches!(self.asked, Some(0)) {
            self.asked = None;
        }
        self.is_ready = true;
    }

    /// Whether there is something to ask; a read asks for more than a look does.
    const fn ask(&mut self, bytes: u32) -> bool {
        if matches!(self.asked, Some(asked) if asked >= bytes) {
            return false;
        }
        (self.asked, self.is_ready) = (Some(bytes), false);
        true
    }
}

impl<S: Pages> Process<S> {
    /// A read of so many bytes found a pipe empty. If that is the program's input: whether it is at its end; else the parent is asked.
    pub(super) fn demand(&mut self, world: &mut impl World, pipe: usize, bytes: u64) -> bool {
        let Some(demand) = self.pumps.demand.as_mut().filter(|demand| demand.pipe == pipe) else { return false };
        if demand.is_at_end {
            return true;
        }
        demand.is_unsaid |= demand.ask(u32::try_from(bytes).unwrap_or(u32::MAX).max(1));
        self.say_demand(world);
        false
    }

    /// A read was told of the end.
    pub(super) fn pass_end(&mut self, pipe: usize) {
        if let Some(demand) = self.pumps.demand.as_mut().filter(|demand| demand.pipe == pipe) {
            demand.is_at_end = false;
        }
    }

    /// Says what was not said yet, if the ring has room for it.
    pub(super) fn say_demand(&mut self, world: &mut impl World) {
        let Some(demand) = self.pumps.demand.as_mut().filter(|demand| demand.is_unsaid) else { return };
        let Some(relations) = world.relations() else { return };
        // Not behind output that nobody may take before this program has read.
        let piece = Piece::Demand(demand.asked.unwrap_or(0));
        demand.is_unsaid = !relations.push(Other::Parent, Channel::Error, piece);
    }

    /// What is ready of an empty pipe, by what the parent said.
    pub(super) fn demanded_state(&self, pipe: usize) -> u32 {
        let Some(demand) = self.pumps.demand.as_ref().filter(|demand| demand.pipe == pipe) else { return 0 };
        let is_there = demand.is_ready || demand.is_at_end;
        demand.was_missed.set(demand.was_missed.get() || !is_there);
        if is_there { poll::IN } else { 0 }
    }

    /// A read took the last bytes of a pipe. If that is the program's input and is watched, that is as if somebody had looked and found nothing: a
    /// watch by edge was told of those bytes and is not looked at before more come, and who read fewer than it wanted does not read again.
    pub(super) fn miss_watched(&mut self, pipe: usize, reader: Option<Id>) {
        let is_watched = reader.and_then(|id| self.files.objects.get(id)).is_some_and(|held| held.watch.is_some());
        if is_watched && self.pumps.demand.as_ref().is_some_and(|demand| demand.pipe == pipe) {
            let _is_noted = self.demanded_state(pipe);
            // A thread may wait for it by now.
            self.files.is_changed = true;
        }
    }

    /// A wait for readiness begins: if it is for the program's input, too, the parent is to tell.
    pub(super) fn demand_news(&mut self, world: &mut impl World) {
        let Some(demand) = self.pumps.demand.as_mut().filter(|demand| demand.was_missed.take()) else { return };
        demand.is_unsaid |= demand.ask(0);
        self.say_demand(world);
    }

    /// Gives a child what it demanded, if it is there.
    pub(super) fn serve(&mut self, world: &mut impl World, pump: Pump) {
        let Some(wanted) = pump.demanded else { return };
        let is_served = match wanted {
            0 => self.state_of_input(world, pump.object) && tell(world, pump, Piece::Ready),
            wanted => self.give(world, pump, usize::try_from(wanted).unwrap_or(usize::MAX).min(ANSWER_MAX)),
        };
        if is_served && let Some(own) = self.pumps.own(pump) {
            own.demanded = None;
        }
    }

    /// Whether a read would not wait; if that is not known, who knows is asked.
    fn state_of_input(&mut self, world: &mut impl World, object: Id) -> bool {
        let is_ready = self.state(object) & (poll::IN | poll::HUP) != 0;
        if !is_ready {
            self.demand_news(world);
        }
        is_ready
    }

    /// One read of so much at most; false if there was nothing, or no room for it.
    fn give(&mut self, world: &mut impl World, pump: Pump, most: usize) -> bool {
        let mut given = 0;
        while given < most {
            let mut bytes = [0; PIECE_MAX];
            let room = bytes.get_mut(..PIECE_MAX.min(most - given)).unwrap_or_default();
            let Some((length, is_last)) = self.look_at_input(world, pump, room, given == 0) else { break };
            // An end is told where it is all that there is to tell, and is there for the next read else.
            if length == 0 && given > 0 || !tell(world, pump, Piece::Bytes(bytes.get(..length).unwrap_or_default())) {
                break;
            }
            self.take_input(pump, length);
            given += length;
            if length == 0 || is_last {
                return true;
            }
        }
        given > 0
    }

    /// The next bytes of a pipe, file or terminal, which stay there, and whether a read ends behind them. None are the end; `None`: it would wait,
    /// and who has them is asked, if that may be.
    fn look_at_input(
        &mut self,
        world: &mut impl World,
        pump: Pump,
        bytes: &mut [u8],
        may_ask: bool,
    ) -> Option<(usize, bool)> {
        match self.files.objects.get(pump.object).map(|held| &held.object) {
            Some(Object::Pipe(ends)) => {
                let at = ends.reads?;
                let pipe = self.files.pipes.get(at)?;
                if pipe.buffer.len() > 0 {
                    return pipe.buffer.peek(world, 0, bytes).ok().map(|length| (length, false));
                }
                if pipe.writer.is_none() {
                    return Some((0, true));
                }
                (may_ask && self.demand(world, at, bytes.len() as u64)).then_some((0, true))
            }
            Some(Object::File(_)) if pump.has_failed => Some((0, true)),
            Some(Object::File(_)) => {
                let read = self.look_at_piece(world, pump.object, bytes);
                if let Err(errno) = read {
                    self.note_unread(world, pump, errno);
                }
                Some((read.unwrap_or(0), false))
            }
            Some(Object::Terminal) => self.look_at_typed(bytes),
            _ => Some((0, true)),
        }
    }

    /// They were handed over.
    fn take_input(&mut self, pump: Pump, length: usize) {
        let writer = match self.files.objects.get(pump.object).map(|held| &held.object) {
            Some(Object::Pipe(ends)) => {
                let Some(at) = ends.reads else { return };
                if length == 0 {
                    self.pass_end(at);
                }
                let Some(pipe) = self.files.pipes.get_mut(at) else { return };
                pipe.buffer.drop_front(length as u64);
                pipe.writer
            }
            Some(Object::File(_)) => {
                self.pass_piece(pump.object, length);
                None
            }
            Some(Object::Terminal) => {
                self.take_seen(length);
                None
            }
            _ => None,
        };
        self.files.touch(writer, false, true);
    }

    /// What a child that can read no more demanded is not taken for it.
    pub(super) fn forget_demand(&mut self, process: u16) {
        if let Some(pump) = self.pumps.lent_mut(Other::Child(process)) {
            (pump.is_over, self.files.is_changed) = (true, true);
        }
    }

    /// A file is as one that ends where it cannot be read, and the log says so.
    pub(super) fn note_unread(&mut self, world: &mut impl World, pump: Pump, errno: Errno) {
        let error = -errno.negated();
        world.note(format_args!("input of a child ends early, as its file cannot be read: error {error}"));
        if let Some(own) = self.pumps.own(pump) {
            own.has_failed = true;
        }
    }
}

fn tell(world: &mut impl World, pump: Pump, piece: Piece<'_>) -> bool {
    world.relations().is_some_and(|relations| relations.push(pump.other, pump.channel, piece))
}
