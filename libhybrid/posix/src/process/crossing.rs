//! Streams by name that lead to another component, or come from one, over hybrid.local.
//!
//! A connection is one within the component whose far end is a socket of the personality's own: what arrives there goes into the rings, and what the
//! neighbour says comes out of it. So queues, halves and readiness are those of `within`, and no byte costs a call.
//!
//! INV-CROSSING-1: what a neighbour may still send fits into the pipe that it goes to, so words are taken at once and no connection holds up others.
//! INV-CROSSING-2: a neighbour that says what its connection does not allow is as one that died; it can be no more than `CONNECTIONS_MAX` connections,
//! and is refused another one while so many sockets that came of its own wait to be accepted, closed by it or not.
//! INV-CROSSING-3: each word that a neighbour may say uses up something that it was given, so who hears it comes to an end.
//! INV-CROSSING-4: a connection of which there is something to say is due: whatever changes its far end, or is heard of it, marks it, and it stays so while
//! what is said finds no room. Tests hold it against all connections.
#[cfg(test)]
mod check;

use super::address;
use super::object::{Ends, Held, Id, Object};
use super::slab::Slab;
use super::tcp::{Stage, Tcp};
use super::{Pages, Process};
use crate::neighbour::{CHUNK, CONNECTIONS_MAX, Heard, Neighbours, Reason, WINDOW, Word};
use crate::number::Errno;
use crate::world::World;

/// The most connections with all neighbours together.
const PLACES_MAX: usize = 1 << 16;

const _: () = assert!(WINDOW == super::object::PIPE_BYTES, "INV-CROSSING-1: a whole window fits");

/// One connection with a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Crossing {
    neighbour: usize,
    number: u32,
    /// The socket that stands for the neighbour, as long as anything goes to or fro.
    far: Option<Id>,
    is_caller: bool,
    /// It was accepted: data goes over it.
    is_open: bool,
    /// Bytes that may be sent, and that may come.
    credit: u64,
    granted: u64,
    /// The neighbour sends, or reads, no more.
    has_finished: bool,
    is_deaf: bool,
    /// What is to be said last, if that was not said yet.
    last: Option<Reason>,
    is_last_heard: bool,
}

impl Crossing {
    const fn new(neighbour: usize, number: u32, far: Option<Id>, is_caller: bool) -> Self {
        Self {
            neighbour,
            number,
            far,
            is_caller,
            is_open: false,
            credit: 0,
            granted: 0,
            has_finished: false,
            is_deaf: false,
            last: None,
            is_last_heard: false,
        }
    }

    const fn open(&mut self) {
        (self.is_open, self.credit, self.granted) = (true, WINDOW, WINDOW);
    }

    /// Both sides have said their last word: the number is free.
    const fn is_over(&self) -> bool {
        self.far.is_none() && self.last.is_none() && self.is_last_heard
    }
}

/// All of a program.
#[derive(Debug)]
pub(super) struct Crossings {
    all: Slab<Crossing>,
    next_number: u32,
    /// Who has the first turn when all that is to be said is said: the next behind who said something last.
    turn: usize,
}

impl Default for Crossings {
    fn default() -> Self {
        Self { all: Slab::new(PLACES_MAX), next_number: 0, turn: 0 }
    }
}

impl Crossings {
    fn of(&self, neighbour: usize) -> impl Iterator<Item = &Crossing> {
        self.all.all().map(|(_, crossing)| crossing).filter(move |crossing| crossing.neighbour == neighbour)
    }

    fn place(&self, neighbour: usize, number: u32) -> Option<usize> {
        let mut all = self.all.all();
        all.find(|(_, crossing)| (crossing.neighbour, crossing.number) == (neighbour, number)).map(|(at, _)| at)
    }

    /// A number that no connection with this neighbour has.
    fn free_number(&mut self, neighbour: usize) -> u32 {
        while self.place(neighbour, self.next_number).is_some() {
            self.next_number = self.next_number.wrapping_add(1);
        }
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        number
    }

    /// Keeps one more, if there are not too many; its place.
    fn add(&mut self, crossing: Crossing) -> Result<usize, Errno> {
        if self.of(crossing.neighbour).count() >= CONNECTIONS_MAX {
            return Err(Errno::EAGAIN);
        }
        self.all.insert(0, crossing, Errno::EAGAIN)
    }
}

/// Says something, if there is room.
fn say(world: &mut impl World, neighbour: usize, word: Word<'_>) -> bool {
    world.neighbours().is_some_and(|neighbours| neighbours.say(neighbour, word))
}

/// Whom a path leads to.
fn find(neighbours: &dyn Neighbours, path: &[u8]) -> Option<usize> {
    (0..neighbours.count()).find(|at| neighbours.client(*at).is_none() && neighbours.path(*at) == path)
}

/// Whether a route leads to a stream at a path.
pub(super) fn leads_to(world: &mut impl World, path: &[u8]) -> bool {
    world.neighbours().is_some_and(|neighbours| find(neighbours, path).is_some())
}

impl<S: Pages> Process<S> {
    /// Begins a connection to who listens at a path in another component.
    pub(super) fn cross(
        &mut self,
        world: &mut impl World,
        id: Id,
        path: &[u8],
        waits: bool,
        nobody: Errno,
    ) -> Result<(), Errno> {
        let neighbour = find(world.neighbours().ok_or(nobody)?, path).ok_or(nobody)?;
        // One that died and came back meanwhile is told of first, so that nothing is said to a life that is over.
        world.notice_peers();
        self.hear_neighbours(world);
        if !world.neighbours().is_some_and(|neighbours| neighbours.is_up(neighbour)) {
            return Err(Errno::ECONNREFUSED);
        }
        let mut far = Tcp::new(address::Family::Unix);
        (far.path, far.is_hidden) = (Some(address::copy(path)?), true);
        let far = self.files.objects.insert(0, Held::new(Object::Tcp(far)), Errno::ENOBUFS)?;
        let begun = self.link(world, id, far).and_then(|()| self.begin_crossing(world, neighbour, far, waits));
        if begun.is_err() {
            self.close_called(far);
            self.release(world, far);
        }
        if let Some(tcp) = self.tcp_of(id) {
            tcp.stage = if begun.is_ok() { Stage::Calling(far) } else { Stage::Fresh };
            tcp.by = begun.is_ok().then_some(None);
        }
        begun
    }

    fn begin_crossing(&mut self, world: &mut impl World, neighbour: usize, far: Id, waits: bool) -> Result<(), Errno> {
        if !self.has_room_for(world) {
            return Err(Errno::ENOMEM);
        }
        let number = self.crossings.free_number(neighbour);
        let place = self.crossings.add(Crossing::new(neighbour, number, None, true))?;
        if !say(world, neighbour, Word::Connect(number, waits)) {
            self.crossings.all.take(place);
            return Err(Errno::EAGAIN);
        }
        self.set_far(place, far);
        Ok(())
    }

    /// Gives a connection its far end, of which there may be something to say already.
    fn set_far(&mut self, place: usize, far: Id) {
        if let Some(crossing) = self.crossings.all.get_mut(place) {
            crossing.far = Some(far);
        }
        if let Some(tcp) = self.tcp_of(far) {
            tcp.crossing = u16::try_from(place).ok();
        }
        self.files.due.insert(place);
    }

    /// Makes room for all that the neighbours may open: what they say is heard only then, so no lack of memory looks like a breach of theirs.
    fn has_room_for(&mut self, world: &mut impl World) -> bool {
        let count = world.neighbours().map_or(0, |neighbours| neighbours.count());
        let wanted = count.saturating_mul(CONNECTIONS_MAX).min(PLACES_MAX);
        self.crossings.all.make_room(wanted) && self.files.due.make_room(wanted)
    }

    /// The program's own ends of a connection, from the far end's.
    fn own_ends(&self, far: Id) -> Option<Ends> {
        self.far_ends(far).map(|ends| Ends { reads: ends.writes, writes: ends.reads })
    }

    /// A socket that nobody accepted has its connection no more.
    pub(super) fn close_called(&mut self, far: Id) {
        if let Some(ends) = self.own_ends(far) {
            self.close_ends(ends);
        }
    }

    /// Takes all that neighbours say, and says what there is to say.
    pub(super) fn hear_neighbours(&mut self, world: &mut impl World) {
        let count = world.neighbours().map_or(0, |neighbours| neighbours.count());
        // Without memory all words stay where they are until the next time.
        if self.has_room_for(world) {
            for at in 0..count {
                self.hear_neighbour(world, at);
            }
        }
        self.tell_neighbours(world);
    }

    fn hear_neighbour(&mut self, world: &mut impl World, at: usize) {
        let mut scratch = core::mem::take(&mut self.scratch);
        while let Some(heard) = world.neighbours().and_then(|neighbours| neighbours.hear(at, &mut scratch)) {
            let is_word = match heard {
                Heard::Word(word) => self.on_word(world, at, word).is_some(),
                Heard::Lost => {
                    self.lose(world, at);
                    true
                }
            };
            if !is_word {
                world.neighbours().into_iter().for_each(|neighbours| neighbours.break_off(at));
                self.lose(world, at);
                break;
            }
        }
        self.scratch = scratch;
    }

    /// The neighbour is gone, and all connections with it.
    fn lose(&mut self, world: &mut impl World, neighbour: usize) {
        for at in self.crossings.all.numbers() {
            if self.crossings.all.get(at).is_none_or(|crossing| crossing.neighbour != neighbour) {
                continue;
            }
            if let Some((far, crossing)) = self.crossings.all.take(at).and_then(|it| Some((it.far?, it))) {
                let errno = if crossing.is_open { Errno::ECONNRESET } else { Errno::ECONNREFUSED };
                self.cut(world, far, Some(errno));
            }
        }
    }

    /// Where the pipes of a far end are, while it has any.
    fn far_ends(&self, far: Id) -> Option<Ends> {
        match self.files.objects.get(far).map(|held| &held.object) {
            Some(Object::Tcp(Tcp { stage: Stage::Within(ends), .. })) => Some(*ends),
            _ => None,
        }
    }

    /// A far end goes; the program's own socket is told why, unless everything is well.
    fn cut(&mut self, world: &mut impl World, far: Id, error: Option<Errno>) {
        let own = self.far_ends(far).and_then(|ends| self.other_end(ends));
        let is_called = own.and_then(|id| self.tcp_of(id)).is_some_and(|tcp| tcp.stage == Stage::Calling(far));
        if is_called {
            self.close_called(far);
        }
        self.release(world, far);
        let Some((id, tcp)) = own.and_then(|id| Some((id, self.tcp_of(id)?))) else { return };
        if is_called {
            tcp.stage = Stage::Closed;
        }
        tcp.error = error.or(tcp.error).or(is_called.then_some(Errno::ECONNREFUSED));
        self.files.touch(Some(id), true, true);
    }

    /// `None`: this is not allowed there and then.
    fn on_word(&mut self, world: &mut impl World, neighbour: usize, word: Word<'_>) -> Option<()> {
        let number = match word {
            Word::Connect(number, waits) => return self.on_connect(world, neighbour, number, waits),
            Word::Accepted(number)
            | Word::Data(number, _)
            | Word::Credit(number, _)
            | Word::Finished(number)
            | Word::Deaf(number)
            | Word::Closed(number, _) => number,
        };
        let place = self.crossings.place(neighbour, number)?;
        self.files.due.insert(place);
        let crossing = self.crossings.all.get_mut(place).filter(|crossing| !crossing.is_last_heard)?;
        let far = crossing.far;
        match word {
            Word::Closed(_, reason) => {
                crossing.is_last_heard = true;
                self.on_closed_far(world, place, reason);
            }
            Word::Accepted(_) if crossing.is_caller && !crossing.is_open => {
                crossing.open();
                self.on_accepted_far(far);
            }
            // Nothing else is said of one that is not open.
            _ if !crossing.is_open => return None,
            // Of none there would be no end (INV-CROSSING-3).
            Word::Data(_, bytes) if !bytes.is_empty() && !crossing.has_finished => {
                crossing.granted = crossing.granted.checked_sub(bytes.len() as u64)?;
                self.on_far_data(world, far, bytes)?;
            }
            Word::Credit(_, bytes @ 1..) => {
                crossing.credit = crossing.credit.checked_add(bytes.into()).filter(|credit| *credit <= WINDOW)?;
            }
            Word::Finished(_) if !crossing.has_finished => {
                crossing.has_finished = true;
                self.shut_far(far, false, true);
            }
            Word::Deaf(_) if !crossing.is_deaf => {
                crossing.is_deaf = true;
                self.shut_far(far, true, false);
            }
            _ => return None,
        }
        Some(())
    }

    fn on_closed_far(&mut self, world: &mut impl World, place: usize, reason: Reason) {
        let Some(crossing) = self.crossings.all.get_mut(place) else { return };
        if let Some(far) = crossing.far.take() {
            crossing.last = Some(Reason::Finished);
            let error = match reason {
                Reason::Finished => None,
                Reason::Reset => Some(Errno::ECONNRESET),
                Reason::NobodyListens => Some(Errno::ECONNREFUSED),
                Reason::Full => Some(Errno::EAGAIN),
            };
            self.cut(world, far, error);
        }
        self.forget_over(place);
    }

    /// Somebody of another component knocks.
    fn on_connect(&mut self, world: &mut impl World, neighbour: usize, number: u32, waits: bool) -> Option<()> {
        let neighbours = world.neighbours()?;
        let client = neighbours.client(neighbour)?;
        let path = neighbours.path(neighbour);
        let listener = self.path_listener(path).ok();
        if self.crossings.place(neighbour, number).is_some() {
            return None;
        }
        let place = self.crossings.add(Crossing::new(neighbour, number, None, false)).ok()?;
        // Many may come at once.
        self.feed_tables(world);
        let joined = listener.ok_or(Reason::NobodyListens).and_then(|listener| {
            if !waits && !self.has_room_at(listener) || self.waiting_of(client) >= CONNECTIONS_MAX {
                return Err(Reason::Full);
            }
            let mut far = Tcp::new(address::Family::Unix);
            far.by = Some(Some(client));
            let far = self.files.objects.insert(0, Held::new(Object::Tcp(far)), Errno::ENOBUFS);
            let far = far.map_err(|_| Reason::Full)?;
            match self.knock(world, far, listener) {
                Ok(()) => Ok(far),
                Err(_) => {
                    self.files.objects.take(far);
                    Err(Reason::Full)
                }
            }
        });
        match joined {
            Ok(far) => self.set_far(place, far),
            Err(reason) => {
                self.crossings.all.get_mut(place)?.last = Some(reason);
                self.files.due.insert(place);
            }
        }
        Some(())
    }

    /// Sockets that came of a client's connections and were not accepted yet. Those that it closed meanwhile keep their place and their pipes.
    fn waiting_of(&self, client: u16) -> usize {
        self.sockets().filter(|(_, tcp)| tcp.waits_at.is_some() && tcp.by == Some(Some(client))).count()
    }

    fn on_accepted_far(&mut self, far: Option<Id>) {
        let own = far.and_then(|far| self.far_ends(far)).and_then(|ends| self.other_end(ends));
        let ends = far.and_then(|far| self.own_ends(far));
        let Some((id, tcp)) = own.and_then(|id| Some((id, self.tcp_of(id)?))) else { return };
        if let Some(ends) = ends {
            tcp.stage = Stage::Within(ends);
        }
        self.files.touch(Some(id), true, true);
    }

    /// What nobody reads any more is dropped. `None`: not all had room, which cannot be.
    fn on_far_data(&mut self, world: &mut impl World, far: Option<Id>, bytes: &[u8]) -> Option<()> {
        let writes = far.and_then(|far| self.far_ends(far)).and_then(|ends| ends.writes);
        let Some(pipe) = writes.and_then(|at| self.files.pipes.get_mut(at)) else { return Some(()) };
        if pipe.reader.is_none() {
            return Some(());
        }
        let is_whole = pipe.buffer.push(world, bytes) == Ok(bytes.len());
        let reader = pipe.reader;
        self.files.touch(reader, true, false);
        is_whole.then_some(())
    }

    /// Closes ends of a far end's pipes.
    fn shut_far(&mut self, far: Option<Id>, reading: bool, writing: bool) {
        let Some((far, ends)) = far.and_then(|far| Some((far, self.far_ends(far)?))) else { return };
        let only = |is: bool, at: Option<usize>| if is { at } else { None };
        if let Some(tcp) = self.tcp_of(far) {
            tcp.stage = Stage::Within(Ends { reads: only(!reading, ends.reads), writes: only(!writing, ends.writes) });
        }
        self.close_ends(Ends { reads: only(reading, ends.reads), writes: only(writing, ends.writes) });
    }

    fn forget_over(&mut self, place: usize) {
        if self.crossings.all.get(place).is_some_and(Crossing::is_over) {
            self.crossings.all.take(place);
        }
    }

    /// Says all that there is to say and room for; who said something last has the last turn the next time.
    pub(super) fn tell_neighbours(&mut self, world: &mut impl World) {
        let Some(neighbours) = world.neighbours().map(|neighbours| neighbours.count()) else { return };
        let turn = self.crossings.turn;
        self.tell_due(world, turn, usize::MAX);
        self.tell_due(world, 0, turn);
        // Whose ring was found broken by what was said to it is lost, and no bell tells that.
        for at in 0..neighbours {
            if world.neighbours().is_some_and(|neighbours| !neighbours.is_up(at)) {
                self.hear_neighbour(world, at);
            }
        }
    }

    /// Those that are due from one place on and below another, each once: what finds no room stays due.
    fn tell_due(&mut self, world: &mut impl World, from: usize, below: usize) {
        let mut next = self.files.due.next(from);
        while let Some(at) = next.filter(|at| *at < below) {
            self.files.due.remove(at);
            self.tell_crossing(world, at);
            next = self.files.due.next(at + 1);
        }
    }

    fn tell_crossing(&mut self, world: &mut impl World, at: usize) {
        let Some(crossing) = self.crossings.all.get(at).copied() else { return };
        if let Some(far) = crossing.far
            && let Some(reason) = self.tell_far(world, at, far)
        {
            self.end_crossing(world, at, far, reason);
        }
        let Some(crossing) = self.crossings.all.get_mut(at).filter(|crossing| crossing.far.is_none()) else { return };
        if let Some(reason) = crossing.last {
            let (neighbour, number) = (crossing.neighbour, crossing.number);
            if self.say_of(world, at, neighbour, Word::Closed(number, reason))
                && let Some(crossing) = self.crossings.all.get_mut(at)
            {
                crossing.last = None;
            }
        }
        self.forget_over(at);
    }

    /// Says something of a connection, which is due again if there is no room.
    fn say_of(&mut self, world: &mut impl World, at: usize, neighbour: usize, word: Word<'_>) -> bool {
        let is_said = say(world, neighbour, word);
        if is_said {
            self.crossings.turn = at + 1;
        } else {
            self.files.due.insert(at);
        }
        is_said
    }

    /// This side of a connection is over.
    fn end_crossing(&mut self, world: &mut impl World, at: usize, far: Id, reason: Reason) {
        if let Some(crossing) = self.crossings.all.get_mut(at) {
            (crossing.far, crossing.last) = (None, Some(reason));
        }
        self.release(world, far);
    }

    /// Says what is new of a far end. Some: why it ends.
    fn tell_far(&mut self, world: &mut impl World, at: usize, far: Id) -> Option<Reason> {
        let (stage, error) = self.tcp_of(far).map(|tcp| (tcp.stage, tcp.error))?;
        let ends = match stage {
            Stage::Within(_) if error.is_some() => return Some(Reason::Reset),
            Stage::Within(ends) => ends,
            Stage::Knocking(..) => return None,
            _ if error == Some(Errno::ECONNREFUSED) => return Some(Reason::NobodyListens),
            _ => return Some(Reason::Full),
        };
        let is_left = self.other_end(ends).is_none();
        let crossing = self.crossings.all.get_mut(at)?;
        let (neighbour, number) = (crossing.neighbour, crossing.number);
        if !crossing.is_open {
            if crossing.is_caller {
                return is_left.then_some(Reason::Finished);
            }
            if !self.say_of(world, at, neighbour, Word::Accepted(number)) {
                return None;
            }
            self.crossings.all.get_mut(at)?.open();
        }
        self.send_far(world, at, ends);
        let of = |at: Option<usize>| at.and_then(|at| self.files.pipes.get(at));
        let has_sent = of(ends.reads).is_none_or(|pipe| pipe.writer.is_none() && pipe.buffer.len() == 0);
        let is_unread = of(ends.writes).is_none_or(|pipe| pipe.reader.is_none());
        if has_sent && is_unread {
            return Some(Reason::Finished);
        }
        if has_sent && ends.reads.is_some() && self.say_of(world, at, neighbour, Word::Finished(number)) {
            self.shut_far(Some(far), true, false);
        }
        if is_unread && ends.writes.is_some() && self.say_of(world, at, neighbour, Word::Deaf(number)) {
            self.shut_far(Some(far), false, true);
        }
        self.give_credit(world, at, ends);
        None
    }

    /// Sends what was written, as far as there is credit and room.
    fn send_far(&mut self, world: &mut impl World, at: usize, ends: Ends) {
        let Some(crossing) = self.crossings.all.get_mut(at) else { return };
        let Some(pipe) = ends.reads.and_then(|at| self.files.pipes.get_mut(at)) else { return };
        let mut chunk = core::mem::take(&mut self.scratch);
        let mut is_moved = false;
        // Without memory it waits for the next turn, as it does without room.
        let has_chunk = chunk.len() >= CHUNK || chunk.try_reserve(CHUNK - chunk.len()).is_ok();
        if has_chunk {
            chunk.resize(chunk.len().max(CHUNK), 0);
        }
        while has_chunk && crossing.credit > 0 && pipe.buffer.len() > 0 {
            let most = usize::try_from(crossing.credit).unwrap_or(CHUNK).min(CHUNK);
            let Ok(length) = pipe.buffer.peek(world, 0, chunk.get_mut(..most).unwrap_or_default()) else { break };
            let bytes = chunk.get(..length).unwrap_or_default();
            if !say(world, crossing.neighbour, Word::Data(crossing.number, bytes)) {
                break;
            }
            crossing.credit -= length as u64;
            pipe.buffer.drop_front(length as u64);
            is_moved = true;
        }
        self.scratch = chunk;
        if crossing.credit > 0 && pipe.buffer.len() > 0 {
            self.files.due.insert(at);
        }
        let writer = pipe.writer.filter(|_| is_moved);
        if is_moved {
            self.crossings.turn = at + 1;
        }
        self.files.touch(writer, false, true);
    }

    /// What was read makes room for as much.
    fn give_credit(&mut self, world: &mut impl World, at: usize, ends: Ends) {
        let Some(crossing) = self.crossings.all.get_mut(at) else { return };
        let pipe = ends.writes.and_then(|at| self.files.pipes.get(at)).filter(|pipe| pipe.reader.is_some());
        let more = pipe.map_or(0, |pipe| pipe.buffer.room().saturating_sub(crossing.granted));
        let (neighbour, number) = (crossing.neighbour, crossing.number);
        if more >= WINDOW / 2
            && let Ok(bytes) = u32::try_from(more)
            && self.say_of(world, at, neighbour, Word::Credit(number, bytes))
            && let Some(crossing) = self.crossings.all.get_mut(at)
        {
            crossing.granted += more;
        }
    }

    /// The program is about to end: each neighbour is told whether it got everything.
    pub(super) fn leave_neighbours(&mut self, world: &mut impl World) {
        if world.neighbours().is_none() {
            return;
        }
        self.tell_neighbours(world);
        for at in self.crossings.all.numbers() {
            let Some(far) = self.crossings.all.get(at).and_then(|crossing| crossing.far) else { continue };
            let of = |at: Option<usize>| at.and_then(|at| self.files.pipes.get(at));
            let ends = self.far_ends(far);
            let is_lost = |at: Option<usize>| of(at).is_some_and(|pipe| pipe.buffer.len() > 0);
            let is_lost = ends.is_none_or(|ends| is_lost(ends.reads) || is_lost(ends.writes));
            let reason = if is_lost { Reason::Reset } else { Reason::Finished };
            self.end_crossing(world, at, far, reason);
            self.tell_crossing(world, at);
        }
    }
}
