//! Prints the log as far as the console has room; loses nothing of it.

use crate::line::{write_entry, write_gap};
use crate::store::{Position, Store};
use alloc::collections::VecDeque;
use alloc::string::String;
use libhybrid::ring::RECORD_HEADER_BYTES;

/// Most bytes of one piece for the console (the bound of its ring's records).
pub const PIECE_MAX: usize = 512;

/// Pieces whose entries are remembered: more than fit into the console's ring, whose shortest record takes 16 of its 16384 bytes.
const REMEMBERED_MAX: usize = 1025;

/// Where the printing stands: the next entry, and the rest of the line before it.
#[derive(Debug, Default)]
pub struct Printer {
    position: Position,
    /// Where the line's entry is.
    line_at: Position,
    line: String,
    printed: usize,
    /// The newest pieces: where the entry of each is, and the bytes that it takes in the ring.
    pieces: VecDeque<(Position, usize)>,
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
                if self.pieces.len() >= REMEMBERED_MAX {
                    self.pieces.pop_front();
                }
                self.pieces.push_back((self.line_at, piece.len().next_multiple_of(8) + RECORD_HEADER_BYTES));
            }
            self.line.clear();
            self.printed = 0;
            self.line_at = self.position;
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

    /// The console died, and did not take the last `untaken` bytes of its ring: goes back to the first entry that it may not have printed.
    /// That includes the last piece that it took, of which it may have printed nothing; so a line can come twice, and none is lost.
    pub fn rewind(&mut self, untaken: usize) {
        let (mut lost, mut start) = (0, self.line_at);
        while let Some((position, bytes)) = self.pieces.pop_back() {
            start = position;
            if lost >= untaken {
                break;
            }
            lost += bytes;
        }
        self.position = start;
        self.pieces.clear();
        self.line.clear();
        self.printed = 0;
    }
}
