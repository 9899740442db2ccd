//! Who waits at a listener to be accepted: in which order, and in whose places; who knocks there.
use super::super::epoll::Link;
use super::super::object::{Held, Id, Object};
use super::super::pieces::Buffer;
use super::super::socket::is_for;
use super::super::{Pages, Process};
use super::{Owed, Stage, Tcp, WAITING_MAX};
use crate::net::{Command, Peer, WINDOW};
use crate::number::Errno;
use crate::world::World;

/// Who waits at a listener: those who came, one behind the other, and how many knock.
///
/// INV-LINE-1: from `first` on, by who is behind whom, stand exactly those that wait at the listener, `count` of them in the order in which they came;
/// `placed` of them have a place that the host stack counts. Exactly `knocking` sockets wait to be let in. Tests hold it against all sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in super::super) struct Line {
    first: Link,
    last: Link,
    count: u16,
    placed: u16,
    knocking: u16,
}

impl Line {
    /// Who waits longest.
    pub(super) fn first(self) -> Option<Id> {
        self.first.map(usize::from)
    }

    pub(in super::super) const fn knocking(self) -> u16 {
        self.knocking
    }

    /// The host stack that counted them died; they still wait.
    pub(super) const fn forget_places(&mut self) {
        self.placed = 0;
    }
}

impl<S: Pages> Process<S> {
    fn line(&mut self, listener: Id) -> Option<&mut Line> {
        match &mut self.tcp_of(listener)?.stage {
            Stage::Listening { line, .. } => Some(line),
            _ => None,
        }
    }

    /// Puts a socket at the end of a listener's line.
    pub(in super::super) fn line_up(&mut self, id: Id, listener: Id, has_place: bool) {
        let link = u16::try_from(id).ok();
        let Some(line) = self.line(listener) else { return };
        let last = line.last;
        (line.first, line.last) = (line.first.or(link), link);
        (line.count, line.placed) = (line.count + 1, line.placed + u16::from(has_place));
        if let Some(tcp) = last.and_then(|last| self.tcp_of(last.into())) {
            tcp.behind = link;
        }
        if let Some(tcp) = self.tcp_of(id) {
            (tcp.waits_at, tcp.behind, tcp.has_place) = (Some(listener), None, has_place);
        }
        self.files.touch(Some(listener), true, false);
    }

    /// The line of a listener that is gone: nobody accepts them.
    pub(super) fn release_line(&mut self, world: &mut impl World, line: Line) {
        let mut next = line.first();
        while let Some(id) = next {
            next = self.tcp_of(id).and_then(|tcp| tcp.behind).map(usize::from);
            self.release(world, id);
        }
    }

    /// Whether the line of a listener has room.
    pub(in super::super) fn has_room_at(&self, listener: Id) -> bool {
        match self.files.objects.get(listener).map(|held| &held.object) {
            Some(Object::Tcp(Tcp { stage: Stage::Listening { places, line, .. }, .. })) => {
                usize::from(line.count) < usize::from(*places).clamp(1, WAITING_MAX)
            }
            _ => false,
        }
    }

    /// A socket waits for room in a listener's line.
    pub(in super::super) fn knocks(&mut self, id: Id, listener: Id) {
        self.knocked += 1;
        let now = self.knocked;
        if let Some(tcp) = self.tcp_of(id) {
            tcp.stage = Stage::Knocking(listener, now);
        }
        if let Some(line) = self.line(listener) {
            line.knocking += 1;
        }
    }

    /// One that did is let in, or gone.
    pub(super) fn knocks_no_more(&mut self, listener: Id) {
        if let Some(line) = self.line(listener) {
            line.knocking = line.knocking.saturating_sub(1);
        }
    }

    /// Who has knocked longest; it does not any more. All sockets are looked at only if somebody does.
    pub(in super::super) fn take_knocking(&mut self, listener: Id) -> Option<Id> {
        self.line(listener).filter(|line| line.knocking > 0)?;
        let id = self.first_knocking(listener)?;
        self.knocks_no_more(listener);
        self.tcp_of(id)?.stage = Stage::Fresh;
        Some(id)
    }

    pub(in super::super) fn first_knocking(&self, listener: Id) -> Option<Id> {
        let knocking = self.sockets().filter_map(|(id, tcp)| match tcp.stage {
            Stage::Knocking(at, since) if at == listener => Some((since, id)),
            _ => None,
        });
        knocking.min().map(|(_, id)| id)
    }

    /// `None`: nobody waits to be accepted. The object that is accepted.
    pub(in super::super) fn take_waiting(&mut self, argument: u64) -> Result<Option<Id>, Errno> {
        let (listener, tcp) = self.tcp(argument)?;
        if !tcp.is_listening() {
            return Err(Errno::EINVAL);
        }
        match tcp.error.take() {
            Some(error) => Err(error),
            None => Ok(self.line(listener).and_then(|line| line.first())),
        }
    }

    /// Who waited longest has a descriptor now, so another one may wait.
    pub(in super::super) fn is_taken(&mut self, world: &mut impl World, listener: Id) {
        let Some(first) = self.line(listener).and_then(|line| line.first()) else { return };
        let Some(tcp) = self.tcp_of(first) else { return };
        let (behind, has_place) = (tcp.behind.take(), core::mem::take(&mut tcp.has_place));
        tcp.waits_at = None;
        if let Some(line) = self.line(listener) {
            (line.first, line.last) = (behind, line.last.filter(|_| behind.is_some()));
            line.count = line.count.saturating_sub(1);
            line.placed = line.placed.saturating_sub(has_place.into());
        }
        if has_place {
            self.free_place(world, listener);
        }
    }

    /// A place at a listener is free again: the host stack is told now, behind what it is owed before, or when its ring has room.
    fn free_place(&mut self, world: &mut impl World, at: Id) {
        let Some(Tcp { stage: Stage::Listening { listener: Some(_), free, .. }, .. }) = self.tcp_of(at) else { return };
        *free = free.saturating_add(1);
        self.has_free_places |= !self.owed.is_empty() || !self.tell_free(world, at);
    }

    /// Whether the host stack knows of all places at a listener that are free.
    fn tell_free(&mut self, world: &mut impl World, at: Id) -> bool {
        match self.tcp_of(at).map(|tcp| &mut tcp.stage) {
            Some(Stage::Listening { listener: Some(listener), free, .. }) if *free > 0 => {
                let is_told = world.command(Command::Taken(*listener, *free));
                *free = if is_told { 0 } else { *free };
                is_told
            }
            _ => true,
        }
    }

    /// Tells the host stack of the places that it could not be told of before. INV-PLACES-1: there are none but while `has_free_places`.
    pub(super) fn free_places(&mut self, world: &mut impl World) {
        if self.has_free_places && self.owed.is_empty() {
            self.has_free_places = !self.files.objects.numbers().all(|id| self.tell_free(world, id));
        }
    }

    pub(super) fn on_accepted(
        &mut self,
        world: &mut impl World,
        (connection, listener): (u32, u16),
        (peer, local): (Peer, Peer),
        credit: u32,
    ) {
        // Many may come at once.
        self.feed_tables(world);
        let is_it = |tcp: &Tcp| matches!(tcp.stage, Stage::Listening { listener: Some(own), .. } if own == listener);
        let found = self.sockets().find(|(_, tcp)| is_it(tcp)).map(|(id, tcp)| (id, tcp.family, tcp.options));
        let Some((at, family, options)) = found else {
            return self.owe(world, Owed::Abort(connection));
        };
        // The host stack's listeners are of both families.
        let has_room = self.line(at).is_some_and(|line| usize::from(line.placed) < WAITING_MAX);
        let is_welcome = is_for(family, options.is_v6_only, peer.address) && has_room;
        let buffer = if is_welcome { Buffer::new(&mut self.areas, world, WINDOW).ok() } else { None };
        let Some(buffer) = buffer else { return self.turn_down(world, connection, at) };
        let tcp = Tcp {
            stage: Stage::Open(connection),
            address: local.address,
            port: local.port,
            peer: Some(peer),
            credit: credit.into(),
            options,
            ..Tcp::new(family)
        };
        let Ok(id) = self.files.objects.insert(0, Held::new(Object::Tcp(tcp)), Errno::ENFILE) else {
            buffer.free(&mut self.areas);
            return self.turn_down(world, connection, at);
        };
        if let Some(tcp) = self.tcp_of(id) {
            tcp.buffer = Some(buffer);
        }
        self.line_up(id, at, true);
    }

    /// Somebody came for whom there is nothing: no memory, or no listener of that family.
    fn turn_down(&mut self, world: &mut impl World, connection: u32, at: Id) {
        self.owe(world, Owed::Abort(connection));
        self.free_place(world, at);
    }
}

#[cfg(test)]
impl<S: Pages> Process<S> {
    /// Holds INV-LINE-1 and INV-PLACES-1 against all sockets, one by one.
    pub(in super::super) fn check_lines(&self) {
        for (id, tcp) in self.sockets() {
            let is_listening = |at: Id| self.sockets().any(|(id, tcp)| id == at && tcp.is_listening());
            assert!(tcp.waits_at.is_none_or(is_listening), "{id} waits at none that listens");
            assert!(tcp.waits_at.is_some() || (tcp.behind, tcp.has_place) == (None, false));
            let Stage::Listening { line, free, .. } = tcp.stage else { continue };
            assert!(free == 0 || self.has_free_places);
            let of = |at: Id| self.sockets().find(|(id, _)| *id == at).expect("one in a line is there").1;
            let row = core::iter::successors(line.first, |at| of((*at).into()).behind);
            let mut row: alloc::vec::Vec<Id> = row.take(2000).map(usize::from).collect();
            assert_eq!(line.last.map(usize::from), row.last().copied());
            assert_eq!(usize::from(line.count), row.len());
            row.sort_unstable();
            let waits = |tcp: &Tcp| tcp.waits_at == Some(id);
            assert!(self.sockets().filter(|(_, tcp)| waits(tcp)).map(|(id, _)| id).eq(row), "{line:?}");
            let placed = self.sockets().filter(|(_, tcp)| waits(tcp) && tcp.has_place).count();
            let knocking = self.sockets().filter(|(_, tcp)| matches!(tcp.stage, Stage::Knocking(at, _) if at == id));
            assert_eq!((line.placed.into(), line.knocking.into()), (placed, knocking.count()));
        }
    }
}
