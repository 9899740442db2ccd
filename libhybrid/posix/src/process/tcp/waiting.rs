//! Who waits at a listener to be accepted: in which order, and in whose places.
use super::super::object::{Held, Id, Object};
use super::super::pieces::Buffer;
use super::super::socket::is_for;
use super::super::{Pages, Process};
use super::{Owed, Stage, Tcp, WAITING_MAX};
use crate::net::{Command, Peer, WINDOW};
use crate::number::Errno;
use crate::world::World;

impl<S: Pages> Process<S> {
    /// Who waits longest at a listener.
    pub(super) fn first_waiting(&self, listener: Id) -> Option<Id> {
        let waiting =
            self.sockets().filter_map(|(id, tcp)| Some((tcp.waits_at.filter(|(at, _)| *at == listener)?.1, id)));
        waiting.min().map(|(_, id)| id)
    }

    pub(in super::super) fn has_waiting(&self, listener: Id) -> bool {
        self.first_waiting(listener).is_some()
    }

    /// `None`: nobody waits to be accepted. The object that is accepted.
    pub(in super::super) fn take_waiting(&mut self, argument: u64) -> Result<Option<Id>, Errno> {
        let (listener, tcp) = self.tcp(argument)?;
        if !tcp.is_listening() {
            return Err(Errno::EINVAL);
        }
        match tcp.error.take() {
            Some(error) => Err(error),
            None => Ok(self.first_waiting(listener)),
        }
    }

    /// It has a descriptor now, so another one may wait.
    pub(in super::super) fn is_taken(&mut self, world: &mut impl World, id: Id) {
        let Some(tcp) = self.tcp_of(id) else { return };
        let has_place = core::mem::take(&mut tcp.has_place);
        if let Some((at, _)) = tcp.waits_at.take().filter(|_| has_place) {
            self.free_place(world, at);
        }
    }

    /// A place at a listener is free again: the host stack is told now, or when its ring has room.
    fn free_place(&mut self, world: &mut impl World, at: Id) {
        if let Some(Tcp { stage: Stage::Listening { listener: Some(_), free, .. }, .. }) = self.tcp_of(at) {
            *free = free.saturating_add(1);
            self.has_free_places = true;
            self.free_places(world);
        }
    }

    /// Tells the host stack of the places that are free again, behind what it is owed before.
    pub(super) fn free_places(&mut self, world: &mut impl World) {
        if !self.has_free_places || !self.owed.is_empty() {
            return;
        }
        for id in self.files.objects.numbers() {
            let Some(Tcp { stage: Stage::Listening { listener: Some(listener), free, .. }, .. }) = self.tcp_of(id)
            else {
                continue;
            };
            if *free > 0 {
                if !world.command(Command::Taken(*listener, *free)) {
                    return;
                }
                *free = 0;
            }
        }
        self.has_free_places = false;
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
        let found =
            self.sockets().find(|(_, tcp)| is_it(tcp)).map(|(id, tcp)| (id, tcp.family, tcp.options.is_v6_only));
        let Some((at, family, is_v6_only)) = found else {
            return self.owe(world, Owed::Abort(connection));
        };
        // The host stack's listeners are of both families.
        let is_welcome = is_for(family, is_v6_only, peer.address) && self.places_at(at) < WAITING_MAX;
        let buffer = if is_welcome { Buffer::new(&mut self.areas, world, WINDOW).ok() } else { None };
        let Some(buffer) = buffer else { return self.turn_down(world, connection, at) };
        self.queued += 1;
        let tcp = Tcp {
            stage: Stage::Open(connection),
            address: local.address,
            port: local.port,
            peer: Some(peer),
            credit: credit.into(),
            waits_at: Some((at, self.queued)),
            has_place: true,
            ..Tcp::new(family)
        };
        let Ok(id) = self.files.objects.insert(0, Held::new(Object::Tcp(tcp)), Errno::ENFILE) else {
            buffer.free(&mut self.areas);
            return self.turn_down(world, connection, at);
        };
        if let Some(tcp) = self.tcp_of(id) {
            tcp.buffer = Some(buffer);
        }
        self.files.touch(Some(at), true, false);
    }

    /// Who wait at a listener in places of the host stack.
    fn places_at(&self, listener: Id) -> usize {
        let waits = |tcp: &Tcp| tcp.has_place && tcp.waits_at.is_some_and(|(at, _)| at == listener);
        self.sockets().filter(|(_, tcp)| waits(tcp)).count()
    }

    /// Somebody came for whom there is nothing: no memory, or no listener of that family.
    fn turn_down(&mut self, world: &mut impl World, connection: u32, at: Id) {
        self.owe(world, Owed::Abort(connection));
        self.free_place(world, at);
    }
}
