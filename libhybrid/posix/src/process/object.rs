//! What a descriptor stands for, and whether it is ready; descriptors are numbers of these, epoll and poll ask these.
use super::datagram::Datagram;
use super::fs::{Directory, File};
use super::pieces::Buffer;
use super::synthetic::Text;
use super::tcp::Tcp;
use crate::output::Stream;

/// Bits of `poll` and `epoll` (include/uapi/linux/eventpoll.h; `struct pollfd` has the same).
pub mod poll {
    /// Reading does not wait.
    pub const IN: u32 = 1;
    /// Never here: urgent data.
    pub const PRI: u32 = 2;
    /// Writing does not wait.
    pub const OUT: u32 = 4;
    /// An error waits to be told.
    pub const ERR: u32 = 8;
    /// The other end is gone.
    pub const HUP: u32 = 16;
    /// There is no such descriptor.
    pub const INVALID: u32 = 32;
    /// As `IN`.
    pub const RDNORM: u32 = 64;
    /// As `OUT`.
    pub const WRNORM: u32 = 256;
    /// The other end sends no more.
    pub const RDHUP: u32 = 0x2000;
}

/// Number of an object.
pub(super) type Id = usize;

/// An open file description: what descriptors that were duplicated share.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) object: Object,
    /// Descriptors that stand for it.
    pub(super) count: u16,
    /// `O_NONBLOCK`
    pub(super) is_nonblocking: bool,
    /// A connect was begun, and no call has told yet how it went.
    pub(super) owes_connect: bool,
    pub(super) edges: Edges,
    /// The first of the watches that epolls have of it.
    pub(super) watch: super::epoll::Link,
}

impl Held {
    /// An object without a descriptor.
    pub(super) const fn new(object: Object) -> Self {
        let edges = Edges { input: 0, output: 0 };
        Self { object, count: 0, is_nonblocking: false, owes_connect: false, edges, watch: None }
    }
}

/// How often something became readable or writable, or more so: what edge-triggered watches go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Edges {
    pub(super) input: u32,
    pub(super) output: u32,
}

impl Edges {
    /// One more of each direction that is true.
    pub(super) const fn bump(&mut self, input: bool, output: bool) {
        self.input = self.input.wrapping_add(input as u32);
        self.output = self.output.wrapping_add(output as u32);
    }

    /// What a new watch has seen: less than anything.
    pub(super) const fn before(self) -> Self {
        Self { input: self.input.wrapping_sub(1), output: self.output.wrapping_sub(1) }
    }
}

/// Each kind of thing.
#[derive(Debug)]
pub(super) enum Object {
    /// Standard input: at its end.
    Input,
    /// A line of the log for each line that is written.
    Output(Stream),
    /// The program's terminal, in place of both.
    Terminal,
    /// `/dev/null`
    Null,
    /// `/dev/zero`
    Zero,
    /// `/dev/urandom`
    Random,
    /// A file whose text the personality makes, and where its reader is.
    Text(Text, u64),
    /// An end of a pipe: reads or writes, never both.
    Pipe(Ends),
    Event(Event),
    /// A set of signals (`signalfd`).
    Signals(u64),
    Timer(Timer),
    Epoll(super::epoll::Queue),
    Tcp(Tcp),
    Datagram(Datagram),
    /// Of a file server.
    File(File),
    Directory(Directory),
}

impl Object {
    /// The place of what is open at a file server, and the server's number.
    pub(super) const fn opened(&self) -> Option<(usize, u32)> {
        match self {
            Self::File(file) => Some(file.opened()),
            Self::Directory(directory) => directory.opened(),
            _ => None,
        }
    }
}

/// The pipes that an end reads from and writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) reads: Option<usize>,
    pub(super) writes: Option<usize>,
}

/// Bytes from one end to the other.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) buffer: Buffer,
    /// Who reads; `None` when it was closed.
    pub(super) reader: Option<Id>,
    /// Who writes.
    pub(super) writer: Option<Id>,
}

/// Bytes of a pipe's buffer.
pub(super) const PIPE_BYTES: u64 = 16 * 1024;
/// What is written to a pipe in one piece or not at all (`PIPE_BUF`).
pub(super) const PIPE_ATOMIC: u64 = 4096;

/// A counter (`eventfd`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) count: u64,
    /// Each read takes one.
    pub(super) is_semaphore: bool,
}

impl Event {
    /// The most that it counts to.
    pub(super) const MOST: u64 = u64::MAX - 1;

    /// What a read gives; `None` if there is nothing.
    pub(super) fn take(&mut self) -> Option<u64> {
        let taken = if self.is_semaphore { self.count.min(1) } else { self.count };
        self.count -= taken;
        (taken > 0).then_some(taken)
    }

    /// Whether there was room for so many more; else nothing changed.
    pub(super) fn add(&mut self, more: u64) -> bool {
        let has_room = more <= Self::MOST - self.count;
        if has_room {
            self.count += more;
        }
        has_room
    }
}

/// A timer (`timerfd`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Timer {
    /// When it expires next.
    pub(super) next: Option<u64>,
    /// From then on again and again, if not 0.
    pub(super) interval: u64,
    /// How often it expired since the last read.
    pub(super) expired: u64,
}

impl Timer {
    /// Counts what expired until now; whether anything did.
    pub(super) fn pass(&mut self, now: u64) -> bool {
        let Some(next) = self.next.filter(|next| *next <= now) else { return false };
        let further = (now - next).checked_div(self.interval).unwrap_or(0);
        self.expired = self.expired.saturating_add(1).saturating_add(further);
        let last = next.saturating_add(further.saturating_mul(self.interval));
        self.next = (self.interval > 0).then(|| last.saturating_add(self.interval));
        true
    }
}
