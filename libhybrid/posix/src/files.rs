//! What a program wants of a directory that was granted: hybrid.fs.Files without its encoding.

use crate::number::Errno;
use alloc::string::String;
use alloc::vec::Vec;

/// Most bytes that travel without a ring.
pub const INLINE_MAX: usize = 800;
/// Most bytes of one record of the data rings, and of one transfer.
pub const CHUNK_MAX: usize = 16384;
/// Most bytes of one read or write.
pub const TRANSFER_MAX: usize = 65536;
/// Most records that one answer puts into a ring.
pub const RECORDS_MAX: usize = 64;
/// Longest path and name below a directory, bytes.
pub const PATH_MAX: usize = 400;
/// As [`PATH_MAX`], of one name.
pub const NAME_MAX: usize = 252;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bytes.
    File,
    /// Names.
    Directory,
}

/// What the server says of a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// Bytes that count against the quota.
    pub allocated: u64,
    /// Since the system started; 0 for what is older.
    pub modified_ns: u64,
    /// No other file's as long as it exists.
    pub id: u64,
}

/// Whether a file that is not there is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It must be there.
    Never,
    /// If need be.
    IfMissing,
    /// It must not be there.
    Always,
}

/// Who else may lock a whole file; in the order of strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lock {
    /// Everybody.
    None,
    /// Others to share it.
    Shared,
    /// Nobody.
    Exclusive,
}

/// Where a write goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// To this byte.
    Offset(u64),
    /// To the end, wherever that is then.
    End,
}

/// One directory that was granted, and what is below it. Paths are plain names with one `/` between each two; the empty one is the directory.
///
/// Errors are those of Linux: `EIO` for a server that is away, numbers of files of its earlier life and answers that mean nothing, `EROFS` for a
/// change that the route does not allow, `ENOSPC` beyond the quota, `EAGAIN` for a lock that somebody else has.
#[expect(clippy::missing_errors_doc, reason = "as the trait says")]
pub trait Tree {
    /// Whether its route allows no changes.
    fn is_read_only(&mut self) -> bool;

    /// For reading; the file's number, and what it is.
    fn open(&mut self, path: &str) -> Result<(u32, Status), Errno>;

    /// For reading and writing; a file only.
    fn open_to_write(&mut self, path: &str, creation: Creation, is_emptied: bool) -> Result<(u32, Status), Errno>;

    /// Its number is not used any more.
    fn close(&mut self, file: u32);

    /// What an open file is.
    fn status(&mut self, file: u32) -> Result<Status, Errno>;

    /// What is at a path.
    fn find(&mut self, path: &str) -> Result<Status, Errno>;

    /// At most [`INLINE_MAX`] bytes; fewer than `into` holds only at the end of the file.
    fn get(&mut self, file: u32, offset: u64, into: &mut [u8]) -> Result<usize, Errno>;

    /// Makes at most [`TRANSFER_MAX`] bytes ready for [`Self::pop`]; how many it says there are.
    fn read(&mut self, file: u32, offset: u64, len: u32) -> Result<u32, Errno>;

    /// The next record that was made ready, in place of what is in `into`. False: there is none.
    fn pop(&mut self, into: &mut Vec<u8>) -> Result<bool, Errno>;

    /// Writes at most [`INLINE_MAX`] bytes; where they end.
    fn put(&mut self, file: u32, at: At, data: &[u8]) -> Result<u64, Errno>;

    /// Hands over at most [`CHUNK_MAX`] bytes for [`Self::write`].
    fn push(&mut self, data: &[u8]) -> Result<(), Errno>;

    /// Writes the `len` bytes that were handed over; where they end.
    fn write(&mut self, file: u32, at: At, len: u32) -> Result<u64, Errno>;

    /// Cuts a file, or lengthens it by zeros.
    fn set_size(&mut self, file: u32, size: u64) -> Result<(), Errno>;

    /// Makes entries of a directory ready, those after a name; how many it says there are, 0 only at the end.
    fn list(&mut self, file: u32, after: &str) -> Result<u16, Errno>;

    /// The next entry that was made ready: its name in place of what is in `name`, its kind and id.
    fn entry(&mut self, name: &mut String) -> Result<Option<(Kind, u64)>, Errno>;

    /// What was made ready is not what the server said: it is not listened to any more in this life.
    fn abandon(&mut self);

    /// Makes a directory.
    fn make_directory(&mut self, path: &str) -> Result<(), Errno>;

    /// Takes a file's name away.
    fn remove_file(&mut self, path: &str) -> Result<(), Errno>;

    /// Removes an empty directory.
    fn remove_directory(&mut self, path: &str) -> Result<(), Errno>;

    /// In one step, in place of what is there.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), Errno>;

    /// All that was done is there after a loss of power.
    fn sync(&mut self) -> Result<(), Errno>;

    /// Of the whole file, against other open files.
    fn lock(&mut self, file: u32, lock: Lock) -> Result<(), Errno>;

    /// Bytes that may be had, and that are.
    fn space(&mut self) -> Result<(u64, u64), Errno>;
}
