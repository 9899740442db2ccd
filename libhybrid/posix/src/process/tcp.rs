//! TCP sockets on hybrid.net.stack.Tcp: who waits to be accepted, what waits to be read, what may be sent.
//!
//! INV-TCP-1: what the stack may deliver on a connection always fits into its buffer, so events are taken at once and no connection holds up others.
mod ends;
mod events;
mod waiting;

pub(super) use waiting::Line;

use super::address::Family;
use super::epoll::Link;
use super::object::{Ends, Id, Object, poll};
use super::options::Options;
use super::pieces::{Buffer, Pieces};
use super::{Pages, Process};
use crate::net::{Address, CHUNK, Command, FIRST_OWN, Peer, WIDE_WINDOW, WINDOW};
use crate::number::Errno;
use crate::world::World;
use alloc::vec::Vec;

/// Connections of one listener that the program has not accepted yet, of each kind; the host stack answers no more peers than it listens for.
pub(super) const WAITING_MAX: usize = 128;
/// A connection that brought so much gets a large buffer: there is more to come, and a larger window costs less for each byte.
const MUCH: u64 = 8 * WINDOW;
/// So many connections have one at most; it is the program's memory.
pub(super) const WIDE_MAX: usize = 4;
/// What is said again when the stack's ring has room.
pub(super) const OWED_MAX: usize = 64;

/// A socket.
#[derive(Debug)]
pub(super) struct Tcp {
    pub(super) family: Family,
    pub(super) options: Options,
    pub(super) stage: Stage,
    /// At which address it is reached: every one, one of the component's own, or one of the device.
    pub(super) address: Address,
    /// Its own port; 0 if none was chosen yet.
    pub(super) port: u16,
    /// What the program bound it to; the above are of its connection.
    pub(super) bound: Peer,
    pub(super) peer: Option<Peer>,
    /// Its name within the component; of who was accepted, its listener's.
    pub(super) path: Option<Vec<u8>>,
    /// Nobody finds it by its name: that is its listener's, or was unlinked.
    pub(super) is_hidden: bool,
    /// That another component is at the other end, and which instance if that is known.
    pub(super) by: Option<Option<u16>>,
    buffer: Option<Buffer>,
    /// Bytes that were read and not given back yet.
    owed: u64,
    /// Bytes that were read since it was last asked whether it gets a large buffer.
    taken: u64,
    /// Bytes that may be sent.
    credit: u64,
    has_peer_finished: bool,
    pub(super) is_read_shut: bool,
    pub(super) is_write_shut: bool,
    /// The host stack's ring had no room for what it sent last.
    is_stuck: bool,
    /// Its connect failed: once that was told, it may try again.
    pub(super) has_failed: bool,
    /// Told once, by the next call or `SO_ERROR`.
    pub(super) error: Option<Errno>,
    /// The connection with a neighbour whose far end it is.
    pub(super) crossing: Option<u16>,
    /// The listener in whose line it is, and who is behind it there.
    pub(super) waits_at: Option<Id>,
    behind: Link,
    /// While it waits, it has a place that the host stack counts.
    has_place: bool,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Fresh,
    Listening {
        /// Of the host stack, if it is reached from outside.
        listener: Option<u16>,
        /// So many may wait to be accepted.
        places: u16,
        /// Places that are free again, of which the host stack was not told yet: counted, as no queue holds any number of them.
        free: u16,
        line: Line,
    },
    /// Waits until a listener of the component has room, since then.
    Knocking(Id, u64),
    /// Connected within the component, or by name with another one.
    Within(Ends),
    /// The same as soon as another component accepts it, with this far end.
    Calling(Id),
    Connecting(u32),
    Open(u32),
    /// It was open, or would have been.
    Closed,
}

/// What the ring had no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owed {
    Finish(u32),
    Abort(u32),
    Credit(u32, u32),
}

impl Tcp {
    pub(super) fn new(family: Family) -> Self {
        Self {
            family,
            options: Options::default(),
            stage: Stage::Fresh,
            address: family.any(),
            port: 0,
            bound: Peer { address: family.any(), port: 0 },
            peer: None,
            path: None,
            is_hidden: false,
            by: None,
            buffer: None,
            owed: 0,
            taken: 0,
            credit: 0,
            has_peer_finished: false,
            is_read_shut: false,
            is_write_shut: false,
            is_stuck: false,
            has_failed: false,
            error: None,
            crossing: None,
            waits_at: None,
            behind: None,
            has_place: false,
        }
    }

    pub(super) const fn is_listening(&self) -> bool {
        matches!(self.stage, Stage::Listening { .. })
    }

    fn connection(&self) -> Option<u32> {
        match self.stage {
            Stage::Connecting(connection) | Stage::Open(connection) => Some(connection),
            _ => None,
        }
    }

    /// Bytes that can be read now.
    pub(super) fn readable(&self) -> u64 {
        self.buffer.as_ref().map_or(0, Buffer::len)
    }

    /// So many bytes were read, or dropped. What of these and earlier ones is to be given back now, if it is worth a command.
    fn give_back(&mut self, bytes: u64) -> u64 {
        self.owed += bytes;
        let capacity = self.buffer.as_ref().map_or(0, Buffer::capacity);
        if self.owed >= capacity / 2 { core::mem::take(&mut self.owed) } else { 0 }
    }

    fn is_at_end(&self) -> bool {
        self.has_peer_finished || self.is_read_shut || self.stage == Stage::Closed
    }

    /// Readiness; a listener is ready if somebody waits.
    pub(super) fn state(&self) -> u32 {
        let when = |is: bool, bits: u32| if is { bits } else { 0 };
        match self.stage {
            Stage::Fresh => poll::OUT | poll::HUP,
            Stage::Listening { line, .. } => {
                when(line.first().is_some(), poll::IN) | when(self.error.is_some(), poll::ERR | poll::IN)
            }
            // Those within the component are told by `within`.
            Stage::Connecting(_) | Stage::Knocking(..) | Stage::Within(_) | Stage::Calling(_) => 0,
            Stage::Open(_) | Stage::Closed => {
                let (is_gone, is_at_end) = (self.stage == Stage::Closed, self.is_at_end());
                when(self.readable() > 0 || is_at_end, poll::IN)
                    | when(is_at_end, poll::RDHUP)
                    | when(is_gone || self.is_write_shut || self.credit > 0 && !self.is_stuck, poll::OUT)
                    | when(is_gone || is_at_end && self.is_write_shut, poll::HUP)
                    | when(self.error.is_some(), poll::ERR | poll::IN | poll::OUT)
            }
        }
    }
}

impl<S: Pages> Process<S> {
    /// The socket of a descriptor.
    ///
    /// # Errors
    /// `EBADF`, `ENOTSOCK`.
    pub(super) fn tcp(&mut self, argument: u64) -> Result<(Id, &mut Tcp), Errno> {
        let id = self.files.id(argument)?;
        Ok((id, self.tcp_of(id).ok_or(Errno::ENOTSOCK)?))
    }

    pub(super) fn tcp_of(&mut self, id: Id) -> Option<&mut Tcp> {
        match self.files.objects.get_mut(id).map(|held| &mut held.object) {
            Some(Object::Tcp(tcp)) => Some(tcp),
            _ => None,
        }
    }

    pub(super) fn sockets(&self) -> impl Iterator<Item = (Id, &Tcp)> {
        self.files.objects.all().filter_map(|(id, held)| match &held.object {
            Object::Tcp(tcp) => Some((id, tcp)),
            _ => None,
        })
    }

    /// How long a socket's calls wait at most.
    pub(super) fn socket_limit(&mut self, argument: u64, is_writing: bool) -> Option<u64> {
        let options = self.options(self.files.id(argument).ok()?)?;
        Some(if is_writing { options.send_ns } else { options.receive_ns }).filter(|ns| *ns > 0)
    }

    /// Begins to open a connection.
    pub(super) fn open_connection(&mut self, world: &mut impl World, id: Id, peer: Peer) -> Result<(), Errno> {
        let connection = self.next_connection;
        let own = self.tcp_of(id).ok_or(Errno::ENOTSOCK)?.own();
        let buffer = Buffer::new(&mut self.areas, world, WINDOW)?;
        if !world.command(Command::Connect(connection, peer, own)) {
            buffer.free(&mut self.areas);
            return Err(Errno::EAGAIN);
        }
        self.next_connection = connection.checked_add(1).unwrap_or(FIRST_OWN);
        if let Some(tcp) = self.tcp_of(id) {
            (tcp.stage, tcp.peer, tcp.buffer) = (Stage::Connecting(connection), Some(peer), Some(buffer));
        }
        Ok(())
    }

    /// `None`: nothing is there yet.
    pub(super) fn receive(
        &mut self,
        world: &mut impl World,
        id: Id,
        pieces: Pieces,
        is_peek: bool,
    ) -> Result<Option<u64>, Errno> {
        let Some(tcp) = self.tcp_of(id) else { return Err(Errno::ENOTSOCK) };
        if let Stage::Within(ends) = tcp.stage {
            return self.receive_within(world, id, ends, pieces, is_peek);
        }
        if let (Some(buffer), false) = (tcp.buffer.as_mut().filter(|buffer| buffer.len() > 0), tcp.is_read_shut) {
            let taken = buffer.pop_to(world, pieces, is_peek)?;
            if !is_peek {
                let (is_empty, capacity) = (buffer.len() == 0, buffer.capacity());
                tcp.taken = tcp.taken.saturating_add(taken);
                let mut due = tcp.give_back(taken);
                if let Stage::Open(connection) = tcp.stage {
                    if is_empty && capacity == WINDOW && tcp.taken >= MUCH {
                        due += self.widen(world, id);
                    }
                    self.owe_credit(world, connection, due);
                }
            }
            return Ok(Some(taken));
        }
        if let Some(error) = tcp.error.take() {
            return Err(error);
        }
        match tcp.stage {
            _ if tcp.is_at_end() => Ok(Some(0)),
            Stage::Open(_) if pieces.total(world)? == 0 => Ok(Some(0)),
            Stage::Open(_) | Stage::Connecting(_) | Stage::Knocking(..) | Stage::Calling(_) => Ok(None),
            _ => Err(Errno::ENOTCONN),
        }
    }

    /// A connection whose buffer is empty gets a large one, if there is memory for it and few have one. So many bytes more it has room for.
    fn widen(&mut self, world: &mut impl World, id: Id) -> u64 {
        if let Some(tcp) = self.tcp_of(id) {
            tcp.taken = 0;
        }
        let is_wide = |tcp: &Tcp| tcp.buffer.as_ref().is_some_and(|buffer| buffer.capacity() > WINDOW);
        if self.sockets().filter(|(_, tcp)| is_wide(tcp)).count() >= WIDE_MAX {
            return 0;
        }
        let Ok(wide) = Buffer::new(&mut self.areas, world, WIDE_WINDOW) else { return 0 };
        match self.tcp_of(id) {
            Some(tcp) => {
                if let Some(narrow) = tcp.buffer.replace(wide) {
                    narrow.free(&mut self.areas);
                }
                WIDE_WINDOW - WINDOW
            }
            None => {
                wide.free(&mut self.areas);
                0
            }
        }
    }

    /// `None`: the stack takes no more now; `done` bytes are sent.
    pub(super) fn transmit(
        &mut self,
        world: &mut impl World,
        id: Id,
        pieces: Pieces,
        done: &mut u64,
    ) -> Result<Option<u64>, Errno> {
        let total = pieces.total(world)?;
        let Some(tcp) = self.tcp_of(id) else { return Err(Errno::ENOTSOCK) };
        if *done > 0 && tcp.error.is_some() && tcp.family != Family::Unix {
            // An error behind what was written is for the next call; by name that one is `EPIPE`, on Linux, too.
            return Ok(Some(*done));
        }
        if let Some(error) = tcp.error.take() {
            return Err(error);
        }
        let connection = match tcp.stage {
            _ if tcp.is_write_shut => return Err(Errno::EPIPE),
            Stage::Within(ends) => return self.transmit_within(world, ends, pieces, done),
            Stage::Open(connection) => connection,
            Stage::Closed => return Err(Errno::EPIPE),
            Stage::Connecting(_) | Stage::Knocking(..) | Stage::Calling(_) => return Ok(None),
            _ => return Err(Errno::ENOTCONN),
        };
        let mut credit = tcp.credit;
        let mut chunk = core::mem::take(&mut self.scratch);
        let sent = send(world, &mut chunk, (connection, &mut credit), pieces, (done, total));
        self.scratch = chunk;
        let is_stuck = matches!(sent, Ok(true));
        if let Some(tcp) = self.tcp_of(id) {
            let was_stuck = core::mem::replace(&mut tcp.is_stuck, is_stuck);
            tcp.credit = credit;
            if was_stuck && !is_stuck && credit > 0 {
                // Found by this call, and told to nobody yet.
                self.files.touch(Some(id), false, true);
            }
        }
        self.are_stuck |= is_stuck;
        sent?;
        Ok((*done >= total).then_some(*done))
    }

    fn owe_credit(&mut self, world: &mut impl World, connection: u32, due: u64) {
        if due > 0 {
            self.owe(world, Owed::Credit(connection, u32::try_from(due).unwrap_or(u32::MAX)));
        }
    }

    /// Says it now, or when the ring has room.
    fn owe(&mut self, world: &mut impl World, owed: Owed) {
        let is_said = self.owed.is_empty() && say(world, owed);
        if !is_said && self.owed.push_back(owed).is_err() {
            world.note(format_args!("the host stack takes nothing: a connection stays open"));
        }
    }
}

/// Sends what the credit and the ring have room for, and counts it. Whether the ring had none.
fn send(
    world: &mut impl World,
    chunk: &mut Vec<u8>,
    (connection, credit): (u32, &mut u64),
    pieces: Pieces,
    (done, total): (&mut u64, u64),
) -> Result<bool, Errno> {
    while *done < total && *credit > 0 {
        let most = usize::try_from((total - *done).min(*credit)).unwrap_or(CHUNK).min(CHUNK);
        chunk.try_reserve(most.saturating_sub(chunk.len())).map_err(|_| Errno::ENOMEM)?;
        chunk.resize(chunk.len().max(most), 0);
        let length = pieces.read(world, *done, chunk.get_mut(..most).unwrap_or_default())?;
        if length == 0 {
            break;
        }
        if !world.command(Command::Send(connection, chunk.get(..length).unwrap_or_default())) {
            return Ok(true);
        }
        *credit -= length as u64;
        *done += length as u64;
    }
    Ok(false)
}

fn say(world: &mut impl World, owed: Owed) -> bool {
    world.command(match owed {
        Owed::Finish(connection) => Command::Finish(connection),
        Owed::Abort(connection) => Command::Abort(connection),
        Owed::Credit(connection, bytes) => Command::Credit(connection, bytes),
    })
}
