//! Components that a Unix socket leads to or comes from, and what is said to them: hybrid.local without its encoding.

use alloc::vec::Vec;

/// Most bytes of one piece of data.
pub const CHUNK: usize = 8192;
/// What a side may send when a connection is opened, and the most that it may ever have left.
pub const WINDOW: u64 = 16384;
/// Connections with one neighbour that exist at once.
pub const CONNECTIONS_MAX: usize = 32;

/// Why a connection ended, or was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Everything that was sent was taken, or will be.
    Finished,
    /// Something was lost.
    Reset,
    /// Nobody listens at the path.
    NobodyListens,
    /// The listener's queue is full.
    Full,
}

/// What one side says of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word<'a> {
    /// Open it; whether to wait for room in the listener's queue.
    Connect(u32, bool),
    /// It is open.
    Accepted(u32),
    /// At most [`CHUNK`] bytes, within the credit.
    Data(u32, &'a [u8]),
    /// So many bytes more may be sent.
    Credit(u32, u32),
    /// No more data comes.
    Finished(u32),
    /// What comes is not read any more.
    Deaf(u32),
    /// The last word of this side.
    Closed(u32, Reason),
}

/// What is heard of a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard<'a> {
    /// It said something.
    Word(Word<'a>),
    /// It died, or broke its ring: all connections are gone.
    Lost,
}

/// The sessions that were granted, by number. Nothing waits.
pub trait Neighbours {
    /// How many there are.
    fn count(&self) -> usize;

    /// The path of the socket at which it is reached, or from which this program is.
    fn path(&self, at: usize) -> &[u8];

    /// Who connects to this program, rather than the other way round: its instance.
    fn client(&self, at: usize) -> Option<u16>;

    /// Whether it is there, and was not caught breaking its word.
    fn is_up(&self, at: usize) -> bool;

    /// Says something. False if there is no room: then a bell comes when there is; or while it is away; or if it broke its ring: then it is not up,
    /// and that it is lost is heard next.
    fn say(&mut self, at: usize, word: Word<'_>) -> bool;

    /// What it said next; data is in `scratch`, which grows. After `None` a bell comes when there is more.
    fn hear<'a>(&mut self, at: usize, scratch: &'a mut Vec<u8>) -> Option<Heard<'a>>;

    /// It broke its word: nothing is said to it, and nothing heard of it, until it was started anew.
    fn break_off(&mut self, at: usize);
}
