//! Text on its way to the terminal's ring; waits for room, never drops.
use alloc::vec::Vec;
use hybrid_ipc::{BytesProducer, RingError};

/// The longest record of a terminal's output ring, bytes (`ipc-idl/console/console.idl`).
pub const RECORD_MAX: usize = 512;

/// The writing side of the terminal. Who prints looks at [`Screen::is_clear`] first: so at most one step's text waits here.
pub struct Screen {
    ring: BytesProducer<RECORD_MAX>,
    waiting: Vec<u8>,
}

impl Screen {
    /// A screen that prints into `ring`.
    pub fn new(ring: BytesProducer<RECORD_MAX>) -> Self {
        Self { ring, waiting: Vec::new() }
    }

    /// Whether all text is in the ring.
    pub fn is_clear(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds text; [`Screen::flush`] moves it.
    pub fn print(&mut self, text: &[u8]) {
        self.waiting.extend_from_slice(text);
    }

    /// Moves as much as fits. If not all did, the terminal rings when there is room. Returns whether to ring the terminal.
    ///
    /// # Errors
    /// The ring is corrupt: the terminal is gone for good.
    pub fn flush(&mut self) -> Result<bool, RingError> {
        let mut moved = 0;
        while let Some(rest @ [_, ..]) = self.waiting.get(moved..) {
            let record = rest.get(..RECORD_MAX).unwrap_or(rest);
            if !self.ring.push_or_ask(record)? {
                break;
            }
            moved += record.len();
        }
        self.waiting.drain(..moved);
        Ok(self.ring.publish())
    }
}
