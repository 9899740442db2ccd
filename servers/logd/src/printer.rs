//! Prints the log as far as the console has room; loses nothing of it.

use crate::line::{write_entry, write_gap};
use crate::store::{Position, Store};
use alloc::string::String;

/// Most bytes of one piece for the console (the bound of its ring's records).
pub const PIECE_MAX: usize = 512;

/// Where the printing stands: the next entry, and the rest of the line before it.
#[derive(Debug, Default)]
pub struct Printer {
    position: Position,
    line: String,
    printed: usize,
}

impl Printer {
    /// Offers pieces of at most `PIECE_MAX` bytes to `push` until it refuses one or everything is printed. Returns whether it refused;
    /// then call again when there is room. Entries that were overwritten meanwhile are replaced by a line that counts them.
    pub fn print(&mut self, store: &Store, mut push: impl FnMut(&[u8]) -> bool) -> bool {
        loop {
            while let Some(rest) = self.line.as_bytes().get(self.printed..).filter(|rest| !rest.is_empty()) {
                let piece = &rest[..rest.len().min(PIECE_MAX)];
                if !push(piece) {
                    return true;
                }
                self.printed += piece.len();
            }
            self.line.clear();
            self.printed = 0;
            let (found, missed) = self.position.advance(store);
            if missed > 0 {
                write_gap(&mut self.line, missed);
            }
            match found {
                Some((entry, component)) => write_entry(&mut self.line, entry, component),
                None if missed == 0 => return false,
                None => {}
            }
        }
    }
}
