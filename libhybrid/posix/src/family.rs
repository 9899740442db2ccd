//! What a program wants of those that it spawns, and of who spawned it: hybrid.process without its encoding.

use crate::number::Errno;
use crate::process::Ending;
use alloc::string::String;
use alloc::vec::Vec;

/// The most bytes and the most strings of arguments and environment together, each string with a zero byte at its end.
pub const GIVEN_MAX: usize = 32 * 1024;
/// As [`GIVEN_MAX`].
pub const STRINGS_MAX: usize = 1024;
/// The longest path of a program.
pub const PATH_MAX: usize = 64;
/// The most programs that a parent asks for.
pub const PROGRAMS_MAX: u16 = 512;
/// How a string of the environment begins that is the directory in which the program starts, or it does not start: a path from the root follows.
pub const ASKED: &[u8] = b"=";
/// How one begins that is its parent's own directory: it starts there if it has it, else at its root.
pub const INHERITED: &[u8] = b"=~";
/// Most bytes of one piece of a stream.
pub const PIECE_MAX: usize = 2048;

/// One of the three standard streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Descriptor 0.
    Input,
    /// Descriptor 1.
    Output,
    /// Descriptor 2.
    Error,
}

/// All of them, by descriptor.
pub const CHANNELS: [Channel; 3] = [Channel::Input, Channel::Output, Channel::Error];

/// Where a standard stream of a spawned program leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Input is at its end, output is lines of its log.
    Own,
    /// As `/dev/null`.
    Nothing,
    /// To who spawned it.
    Parent,
    /// There is none.
    Closed,
}

/// What one side of the streams says to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// At most [`PIECE_MAX`] of it. None of its input, to a child: that is at its end, for one read.
    Bytes(&'a [u8]),
    /// Its writer writes no more of it, or its reader reads no more.
    Ends(Channel),
    /// A child that waits for so many bytes of its input; 0: it only wants to know when there are any.
    Demand(u32),
    /// To a child: a read of its input would not wait.
    Ready,
}

/// Whom a program shares streams with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other {
    /// Who spawned it.
    Parent,
    /// The child of this number.
    Child(u16),
}

/// What there is to know of children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// One ended.
    Ended(u16, Ending),
    /// Whoever knew about them died: all that were spawned are ended.
    Lost,
}

/// What [`Relations::given`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The number of who spawned it.
    pub parent: u16,
    /// How many of the strings are arguments; the others are the environment.
    pub arguments: u16,
    /// Strings, each with a zero byte at its end. A variable without a name is the directory in which it starts.
    pub strings: Vec<u8>,
    /// Where its streams lead.
    pub streams: [Stream; 3],
}

impl Given {
    /// Each string, and whether it is an argument.
    pub fn strings(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let strings = self.strings.split_inclusive(|byte| *byte == 0).filter_map(|string| string.strip_suffix(&[0]));
        strings.zip(0_u16..).map(|(string, at)| (string, at < self.arguments))
    }

    /// The directory in which it starts, and whether it was asked for, rather than inherited; `None`: the root.
    #[must_use]
    pub fn directory(&self) -> Option<(&[u8], bool)> {
        let (last, _) =
            self.strings().filter(|(string, is_argument)| !is_argument && string.starts_with(ASKED)).last()?;
        let inherited = last.strip_prefix(INHERITED).map(|directory| (directory, false));
        inherited.or_else(|| last.strip_prefix(ASKED).map(|directory| (directory, true)))
    }
}

/// The supervisor and the streams of a program's family, as far as they were granted. Nothing waits.
pub trait Relations {
    /// Whether it may spawn at all.
    fn may_spawn(&self) -> bool;

    /// Starts a program; its number.
    ///
    /// # Errors
    /// `ENOENT` if nothing is at that path, `EAGAIN` if all instances of it run, `E2BIG`, `EACCES` if it was isolated, `EIO` if it cannot be
    /// started or the supervisor is away.
    fn spawn(&mut self, path: &str, given: &[u8], arguments: u16, streams: [Stream; 3]) -> Result<u16, Errno>;

    /// The paths of the programs that it may spawn, [`PROGRAMS_MAX`] of them at most.
    ///
    /// # Errors
    /// `EIO` if the supervisor is away.
    fn programs(&mut self) -> Result<Vec<String>, Errno>;

    /// Sends a signal to a child that runs.
    ///
    /// # Errors
    /// `ESRCH` if it does not run.
    fn signal(&mut self, process: u16, signal: u8) -> Result<(), Errno>;

    /// Something may have happened to children that no bell told yet.
    fn look(&mut self);

    /// What happened to children and was not told yet.
    fn news(&mut self) -> Option<News>;

    /// A child that ended is nobody's any more.
    fn forget(&mut self, process: u16);

    /// A signal from who spawned it.
    fn signalled(&mut self) -> Option<u8>;

    /// The program is about to end like this.
    fn ending(&mut self, ending: Ending);

    /// Says something about a stream. False if there is no room: then a bell comes when there is.
    fn push(&mut self, other: Other, channel: Channel, piece: Piece<'_>) -> bool;

    /// What the other side said next in the ring of this stream, which is one that it writes; bytes are in `scratch`. After `None` a bell comes
    /// when there is more.
    fn next<'a>(&mut self, other: Other, ring: Channel, scratch: &'a mut Vec<u8>) -> Option<Piece<'a>>;
}
