//! The log's entries as lines of a file; knows no bells, no alarm and no disk.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

mod line;
#[cfg(test)]
mod tests;

use alloc::string::String;
use core::convert::Infallible;
use libhybrid::interfaces::fs::{Creation, Error, FilesClient, INLINE_MAX};
use libhybrid::interfaces::log::{CursorClient, Entry, ReaderClient};
use libhybrid::ipc::{CallError, Caller};
use line::Mark;

/// The file that grows, and what it is called once it is full.
pub const NOW: &str = "now";
/// See [`NOW`].
pub const BEFORE: &str = "before";
/// Bytes of a full file.
pub const FULL: u64 = 256 << 10;
/// Entries of one turn, so that pings are answered between two.
const ENTRIES_AT_ONCE: usize = 64;
/// More than the log keeps.
const ALL: u16 = u16::MAX;

/// What came of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// All that there was is kept.
    Done,
    /// There is more.
    More,
    /// One of the servers died, or does not know this life of the other; the next turn begins anew.
    Again,
    /// Nothing can be kept, or nothing read, for this reason.
    Refused(CallError<Error>),
}

/// Why a turn ended early.
enum End {
    Again,
    Refused(CallError<Error>),
}

impl From<CallError<Error>> for End {
    fn from(error: CallError<Error>) -> Self {
        match error {
            // Opened in an earlier life of the server.
            CallError::Domain(Error::BadFile) | CallError::ServerDied | CallError::Stale => Self::Again,
            error => Self::Refused(error),
        }
    }
}

/// The log has no reasons of its own.
impl From<CallError<Infallible>> for End {
    fn from(error: CallError<Infallible>) -> Self {
        Self::from(error.map(|never| -> Error { match never {} }))
    }
}

/// The open file.
struct Kept {
    file: u32,
    size: u64,
    /// Of the last entry that is durable.
    mark: Option<Mark>,
}

/// Copies entries from the log to the file.
pub struct History<L: Caller, F: Caller, S: FnMut()> {
    reader: ReaderClient<L>,
    files: FilesClient<F>,
    /// Gives a sign of life: after each call that may have waited for a disk, since one turn makes many.
    sign: S,
    /// What a new boot's first line says.
    title: String,
    /// A boot's first line is to be written, whatever the file's last one says.
    is_first: bool,
    cursor: Option<CursorClient<L::Received>>,
    kept: Option<Kept>,
}

impl<L: Caller, F: Caller, S: FnMut()> History<L, F, S> {
    /// `title` says what was booted; `is_first`: this is the first life since. `sign` is called between the parts of a turn.
    pub fn new(reader: ReaderClient<L>, files: FilesClient<F>, title: String, is_first: bool, sign: S) -> Self {
        Self { reader, files, sign, title, is_first, cursor: None, kept: None }
    }

    /// Either server has another life, or had: both are asked anew. Nothing is lost, since the file says what it has.
    pub fn forget(&mut self) {
        // Closed rather than left to its server, which may be the same one as before.
        if let Some(kept) = self.kept.take() {
            let _unless_it_died = self.files.close(kept.file);
        }
        self.cursor = None;
    }

    /// Keeps what is new. `now_ns` is the entries' clock.
    pub fn turn(&mut self, now_ns: u64) -> Turn {
        let ended = match self.advance(now_ns) {
            Ok(true) => return Turn::Done,
            Ok(false) => return Turn::More,
            Err(End::Again) => Turn::Again,
            Err(End::Refused(error)) => Turn::Refused(error),
        };
        self.forget();
        ended
    }

    /// True: to the end of the log.
    fn advance(&mut self, now_ns: u64) -> Result<bool, End> {
        let mut kept = match self.kept.take() {
            Some(kept) => kept,
            None => self.open(now_ns)?,
        };
        let done = self.copy(&mut kept);
        self.kept = Some(kept);
        done
    }

    /// Opens the file, and learns from its last line what it has; from the one before it, if it has none.
    fn open(&mut self, now_ns: u64) -> Result<Kept, End> {
        let open = self.files.open_to_write(NOW, Creation::IfMissing, false)?;
        (self.sign)();
        let mut kept = Kept { file: open.file, size: open.status.size, mark: None };
        let last = if kept.size == 0 { self.last_of_before() } else { self.last_of(kept.file, kept.size) };
        match last {
            // What is later than now was written before the clock began anew.
            Ok(mark) if !self.is_first && mark.is_some_and(|mark| mark.at_us <= now_ns / 1000) => kept.mark = mark,
            Ok(_) => {
                let title = line::own(&self.title);
                self.put(&mut kept, &title)?;
                self.is_first = false;
            }
            Err(error) => {
                self.kept = Some(kept);
                return Err(error);
            }
        }
        Ok(kept)
    }

    fn last_of(&mut self, file: u32, size: u64) -> Result<Option<Mark>, End> {
        let tail = size.saturating_sub(INLINE_MAX as u64);
        let tail = self.files.get(file, tail, u16::try_from(INLINE_MAX).unwrap_or(0))?;
        Ok(Mark::last_of(&tail))
    }

    /// A life that ended between the two names left an empty file, or none.
    fn last_of_before(&mut self) -> Result<Option<Mark>, End> {
        let open = match self.files.open(BEFORE) {
            Err(CallError::Domain(Error::NotFound)) => return Ok(None),
            open => open?,
        };
        let last = self.last_of(open.file, open.status.size);
        self.files.close(open.file)?;
        last
    }

    fn copy(&mut self, kept: &mut Kept) -> Result<bool, End> {
        let (mut lines, mut mark, mut is_end, mut is_changed) = (String::new(), kept.mark, false, false);
        for _ in 0..ENTRIES_AT_ONCE {
            let Some((entry, missed)) = self.next()? else {
                is_end = true;
                break;
            };
            if missed > 0 {
                lines.push_str(&line::own(&alloc::format!("{missed} entries were gone before they were read")));
            }
            if mark.is_some_and(|mark| mark.covers(&entry)) {
                continue;
            }
            lines.push_str(&line::of(&entry));
            mark = Some(Mark::of(&entry));
            if lines.len() > INLINE_MAX - line::MAX - line::OWN_MAX {
                self.put(kept, &lines)?;
                lines.clear();
                is_changed = true;
            }
        }
        if !lines.is_empty() {
            self.put(kept, &lines)?;
            is_changed = true;
        }
        if is_changed {
            self.files.sync()?;
            (self.sign)();
            kept.mark = mark;
            self.make_room(kept)?;
        }
        Ok(is_end)
    }

    /// The next entry of the log, and how many there were before it that nobody can read any more.
    fn next(&mut self) -> Result<Option<(Entry<'static>, u64)>, End> {
        let cursor = match self.cursor.take() {
            Some(cursor) => cursor,
            None => self.reader.open(ALL)?,
        };
        let cursor = self.cursor.insert(cursor);
        let next = cursor.next()?;
        Ok(next.entry.map(|entry| (entry, next.missed)))
    }

    fn put(&mut self, kept: &mut Kept, lines: &str) -> Result<(), End> {
        kept.size = self.files.put(kept.file, 0, true, lines.as_bytes())?;
        (self.sign)();
        Ok(())
    }

    /// A full file makes place for a new one.
    fn make_room(&mut self, kept: &mut Kept) -> Result<(), End> {
        if kept.size < FULL {
            return Ok(());
        }
        self.files.rename(NOW, BEFORE)?;
        let open = self.files.open_to_write(NOW, Creation::IfMissing, true)?;
        let full = core::mem::replace(&mut kept.file, open.file);
        kept.size = 0;
        self.files.close(full)?;
        self.files.sync().map_err(End::from)
    }
}
