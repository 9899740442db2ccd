//! Whether the source of randomness answers without a wait, as far as is known from those who asked it.
//!
//! Threads ask it without the lock, so an answer may come late: after the server that gave it died, and when the next one is there already.

/// What is known. Who asks takes a copy along, and brings it back with the answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seeded {
    is_seeded: bool,
    /// So many servers died.
    deaths: u32,
}

impl Seeded {
    /// Whether who asks it now does not wait.
    #[must_use]
    pub const fn is_seeded(self) -> bool {
        self.is_seeded
    }

    /// It answered one that asked when `asked` was known. Of a failure nothing is known: only a death takes away what is, and that is told anyway.
    pub const fn answered(&mut self, asked: Self) {
        if self.deaths == asked.deaths {
            self.is_seeded = true;
        }
    }

    /// The server died.
    pub const fn gone(&mut self) {
        (self.is_seeded, self.deaths) = (false, self.deaths.wrapping_add(1));
    }

    /// The next one is there. It is taken for seeded, since whoever asks for nothing but what is there at once would never learn that it is: who asks
    /// it before waits for its noise, as at the first.
    pub const fn back(&mut self) {
        self.is_seeded = true;
    }
}

#[cfg(test)]
mod tests {
    use super::Seeded;

    #[test]
    fn answers_that_come_late_change_nothing() {
        let mut known = Seeded::default();
        assert!(!known.is_seeded());
        known.answered(known);
        assert!(known.is_seeded());
        // One that the dead server answered, before the next one is there, and after.
        let old = known;
        known.gone();
        known.answered(old);
        assert!(!known.is_seeded());
        known.back();
        known.answered(old);
        assert!(known.is_seeded());
        known.gone();
        known.answered(known);
        assert!(known.is_seeded());
    }
}
