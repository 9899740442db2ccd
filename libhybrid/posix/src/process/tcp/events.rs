//! What the host stack tells of connections, its death and its next life: taken at once, whatever the program does.
use super::super::{Pages, Process};
use super::{Owed, Stage, Tcp, say};
use crate::net::{Event, Peer, Reason};
use crate::number::Errno;
use crate::world::World;

impl<S: Pages> Process<S> {
    /// Takes all that the stack says.
    pub fn take_events(&mut self, world: &mut impl World) {
        while let Some(owed) = self.owed.front().copied() {
            if !say(world, owed) {
                break;
            }
            let _it = self.owed.pop_front();
            // A program that is about to end may wait for that.
            self.files.is_changed |= self.exiting.is_some() && self.owed.is_empty();
        }
        self.free_places(world);
        self.find_room(world);
        let mut scratch = core::mem::take(&mut self.scratch);
        while let Some(event) = world.event(&mut scratch) {
            self.on_event(world, event);
        }
        self.scratch = scratch;
        if world.has_udp() {
            self.take_arrivals(world);
        }
        self.hear_neighbours(world);
    }

    /// Who found no room in the ring is told when there is some.
    fn find_room(&mut self, world: &mut impl World) {
        if !self.are_stuck || !world.has_command_room() {
            return;
        }
        self.are_stuck = false;
        for id in self.files.objects.numbers() {
            if self.tcp_of(id).is_some_and(|tcp| core::mem::take(&mut tcp.is_stuck)) {
                self.files.touch(Some(id), false, true);
            }
        }
    }

    fn on_event(&mut self, world: &mut impl World, event: Event<'_>) {
        match event {
            Event::Accepted { connection, listener, peer, local, credit } => {
                self.on_accepted(world, (connection, listener), (peer, local), credit);
            }
            Event::Connected { connection, local, credit } => {
                self.change(connection, |tcp| {
                    (tcp.stage, tcp.credit) = (Stage::Open(connection), credit.into());
                    (tcp.address, tcp.port) = (local.address, local.port);
                    (true, true)
                });
            }
            Event::Data(connection, bytes) => self.on_data(world, connection, bytes),
            Event::Finished(connection) => {
                self.change(connection, |tcp| {
                    tcp.has_peer_finished = true;
                    (true, false)
                });
            }
            Event::Credit(connection, more) => {
                self.change(connection, |tcp| {
                    tcp.credit = tcp.credit.saturating_add(more.into());
                    (false, true)
                });
            }
            Event::Closed(connection, reason) => {
                self.change(connection, |tcp| {
                    tcp.has_failed = matches!(tcp.stage, Stage::Connecting(_));
                    tcp.error = error_of(reason, tcp.has_failed);
                    tcp.stage = Stage::Closed;
                    (true, true)
                });
            }
            Event::Lost => self.on_lost(),
            Event::Back => self.on_back(world),
        }
    }

    /// Changes the socket of a connection; what `act` returns says in which directions it became readier. False if nobody has it.
    fn change(&mut self, connection: u32, act: impl FnOnce(&mut Tcp) -> (bool, bool)) -> bool {
        let found = self.sockets().find(|(_, tcp)| tcp.connection() == Some(connection)).map(|(id, _)| id);
        let Some((id, tcp)) = found.and_then(|id| Some((id, self.tcp_of(id)?))) else { return false };
        let (input, output) = act(tcp);
        self.files.touch(Some(id), input, output);
        true
    }

    fn on_data(&mut self, world: &mut impl World, connection: u32, bytes: &[u8]) {
        let (mut is_kept, mut due) = (false, 0);
        let is_there = self.change(connection, |tcp| {
            if tcp.is_read_shut {
                (is_kept, due) = (true, tcp.give_back(bytes.len() as u64));
            } else {
                is_kept = tcp.buffer.as_mut().is_some_and(|buffer| buffer.push(world, bytes) == Ok(bytes.len()));
            }
            (true, false)
        });
        self.owe_credit(world, connection, due);
        // Nobody will ever read it, or the stack broke its word.
        if !is_there || !is_kept {
            self.owe(world, Owed::Abort(connection));
        }
    }

    fn on_lost(&mut self) {
        self.owed.clear();
        self.files.is_changed |= self.exiting.is_some();
        for id in self.files.objects.numbers() {
            let Some(tcp) = self.tcp_of(id) else { continue };
            // The next life counts anew.
            tcp.has_place = false;
            if let Stage::Listening { free, line, .. } = &mut tcp.stage {
                *free = 0;
                line.forget_places();
            }
            if tcp.connection().is_none() {
                continue;
            }
            tcp.has_failed = matches!(tcp.stage, Stage::Connecting(_));
            (tcp.stage, tcp.error) = (Stage::Closed, Some(Errno::ECONNRESET));
            self.files.touch(Some(id), true, true);
        }
    }

    /// Listeners listen again, where the new stack lets them.
    fn on_back(&mut self, world: &mut impl World) {
        for id in self.files.objects.numbers() {
            let Some(Tcp {
                stage: Stage::Listening { listener, places, .. }, address, path: None, port, error, ..
            }) = self.tcp_of(id)
            else {
                continue;
            };
            if address.is_own() {
                continue;
            }
            match world.listen(Peer { address: *address, port: *port }, *places) {
                Ok(anew) => *listener = Some(anew),
                // It died once more, and comes back once more.
                Err(Errno::ENETDOWN) => {}
                // Its number may be another listener's in this life. Within the component it listens as before.
                Err(errno) => {
                    (*listener, *error) = (None, Some(errno));
                    self.files.touch(Some(id), true, true);
                }
            }
        }
    }
}

fn error_of(reason: Reason, is_connecting: bool) -> Option<Errno> {
    match reason {
        Reason::Finished => None,
        Reason::Reset if is_connecting => Some(Errno::ECONNREFUSED),
        Reason::Reset => Some(Errno::ECONNRESET),
        Reason::TimedOut => Some(Errno::ETIMEDOUT),
        Reason::Unreachable => Some(Errno::ENETUNREACH),
        Reason::NoRoom => Some(Errno::ENOBUFS),
        Reason::InUse => Some(Errno::EADDRINUSE),
        Reason::BadAddress => Some(Errno::EADDRNOTAVAIL),
    }
}
