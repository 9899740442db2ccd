//! How sockets end: `shutdown`, the last `close`, and the end of the program.
use super::super::address::Family;
use super::super::object::Id;
use super::super::{Pages, Process};
use super::{Line, Owed, Stage, Tcp};
use crate::number::{Answer, Errno};
use crate::world::World;

impl<S: Pages> Process<S> {
    /// Ends a direction, or both.
    pub(in super::super) fn shut_stream(
        &mut self,
        world: &mut impl World,
        argument: u64,
        reading: bool,
        writing: bool,
    ) -> Answer {
        let (id, tcp) = self.tcp(argument)?;
        if let Stage::Within(ends) = tcp.stage {
            return self.shut_within(id, ends, reading, writing);
        }
        let connection = match tcp.stage {
            Stage::Open(connection) => connection,
            Stage::Closed => return Ok(0),
            Stage::Listening { listener, line, .. } => {
                if reading {
                    self.listen_no_more(world, id, listener, line);
                }
                return Ok(0);
            }
            Stage::Connecting(_) | Stage::Knocking(..) if tcp.family != Family::Unix => {
                self.connect_no_more(world, id);
                return Ok(0);
            }
            _ => return Err(Errno::ENOTCONN),
        };
        let is_new = writing && !tcp.is_write_shut;
        tcp.is_read_shut |= reading;
        tcp.is_write_shut |= writing;
        // The peer may go on sending, and what it sends is dropped, with what is here.
        let dropped = tcp.buffer.as_mut().filter(|_| reading).map_or(0, |buffer| {
            let length = buffer.len();
            buffer.drop_front(length);
            length
        });
        let due = tcp.give_back(dropped);
        self.owe_credit(world, connection, due);
        if is_new {
            self.owe(world, Owed::Finish(connection));
        }
        self.files.touch(Some(id), true, true);
        Ok(0)
    }

    /// A listener that was shut is what it was before it listened; who waits there to accept is told.
    fn listen_no_more(&mut self, world: &mut impl World, id: Id, listener: Option<u16>, line: Line) {
        self.close_listener(world, id, listener, line);
        if let Some(tcp) = self.tcp_of(id) {
            (tcp.stage, tcp.error) = (Stage::Fresh, None);
        }
        self.files.touch(Some(id), true, true);
    }

    fn close_listener(&mut self, world: &mut impl World, id: Id, listener: Option<u16>, line: Line) {
        if let Some(listener) = listener {
            world.unlisten(listener);
        }
        self.turn_away(id, line);
        self.release_line(world, line);
    }

    /// A connect under way is given up, and fails.
    fn connect_no_more(&mut self, world: &mut impl World, id: Id) {
        let Some(tcp) = self.tcp_of(id) else { return };
        (tcp.error, tcp.has_failed) = (Some(Errno::ECONNRESET), true);
        match core::mem::replace(&mut tcp.stage, Stage::Closed) {
            Stage::Connecting(connection) => self.owe(world, Owed::Abort(connection)),
            Stage::Knocking(listener, _) => self.knocks_no_more(listener),
            _ => {}
        }
        self.files.touch(Some(id), true, true);
    }

    /// A connect that failed was told: the socket is as it was bound, and may try again.
    pub(in super::super) fn begin_anew(&mut self, id: Id) {
        let Some(tcp) = self.tcp_of(id) else { return };
        let fresh = Tcp {
            options: tcp.options,
            address: tcp.bound.address,
            port: tcp.bound.port,
            bound: tcp.bound,
            path: tcp.path.take(),
            is_hidden: tcp.is_hidden,
            ..Tcp::new(tcp.family)
        };
        let failed = core::mem::replace(tcp, fresh);
        if let Some(buffer) = failed.buffer {
            buffer.free(&mut self.areas);
        }
    }

    /// The last descriptor is gone. What the peer sent and nobody read is lost, so the peer gets a reset for it.
    pub(in super::super) fn close_tcp(&mut self, world: &mut impl World, id: Id, tcp: Tcp) {
        let has_unread = tcp.readable() > 0;
        match tcp.stage {
            Stage::Within(ends) => {
                // Nobody accepted it, as its listener is closed.
                let is_turned_away = tcp.waits_at.is_some();
                let is_reset = is_turned_away || self.readable_within(ends) > 0 || tcp.options.is_abortive();
                self.close_within(ends, is_reset);
            }
            Stage::Listening { listener, line, .. } => self.close_listener(world, id, listener, line),
            Stage::Knocking(listener, _) => self.knocks_no_more(listener),
            Stage::Calling(far) => self.close_called(far),
            Stage::Connecting(connection) => self.owe(world, Owed::Abort(connection)),
            Stage::Open(connection) if has_unread || tcp.options.is_abortive() || tcp.waits_at.is_some() => {
                self.owe(world, Owed::Abort(connection));
            }
            Stage::Open(connection) if !tcp.is_write_shut => self.owe(world, Owed::Finish(connection)),
            _ => {}
        }
        if let Some(buffer) = tcp.buffer {
            buffer.free(&mut self.areas);
        }
    }

    /// The program ends: each connection is closed as its last descriptor would close it, so that what was written goes out.
    pub(in super::super) fn leave_host_stack(&mut self, world: &mut impl World) {
        if !self.files.has_sockets {
            return;
        }
        self.take_events(world);
        for id in self.files.objects.numbers() {
            let Some(tcp) = self.tcp_of(id).filter(|tcp| tcp.connection().is_some()) else { continue };
            // It stays in the line that it is in.
            let ended = Tcp {
                stage: core::mem::replace(&mut tcp.stage, Stage::Closed),
                options: tcp.options,
                is_write_shut: tcp.is_write_shut,
                waits_at: tcp.waits_at,
                buffer: tcp.buffer.take(),
                ..Tcp::new(tcp.family)
            };
            self.close_tcp(world, id, ended);
        }
    }
}
