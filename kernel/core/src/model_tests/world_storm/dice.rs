//! Decisions of a storm: from a seed, or from the bytes of a fuzzer.

/// Where decisions come from.
pub(super) enum Dice<'a> {
    /// A generator (xorshift64*), never 0.
    Seed(u64),
    /// Bytes; zeros when they are used up.
    Bytes(&'a [u8]),
}

impl Dice<'_> {
    pub(super) fn new(seed: u64) -> Self {
        // Neighbouring seeds must not give similar sequences.
        let mixed = (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Dice::Seed((mixed ^ (mixed >> 31)) | 1)
    }

    /// True when there is nothing left to decide by.
    pub(super) fn is_used_up(&self) -> bool {
        matches!(self, Dice::Bytes([]))
    }

    pub(super) fn word(&mut self) -> u64 {
        match self {
            Dice::Seed(state) => {
                *state ^= *state >> 12;
                *state ^= *state << 25;
                *state ^= *state >> 27;
                state.wrapping_mul(0x2545_f491_4f6c_dd1d)
            }
            Dice::Bytes(bytes) => {
                let (first, rest) = bytes.split_at(bytes.len().min(8));
                *bytes = rest;
                first.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
            }
        }
    }

    /// A number below `end` (not 0).
    pub(super) fn below(&mut self, end: u64) -> u64 {
        match self {
            Dice::Bytes(bytes) if end <= 256 => {
                let Some((first, rest)) = bytes.split_first() else { return 0 };
                let value = u64::from(*first) % end;
                *bytes = rest;
                value
            }
            _ => (self.word() >> 11) % end,
        }
    }

    pub(super) fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap()
    }

    /// True in `of` out of 100 cases.
    pub(super) fn percent(&mut self, of: u64) -> bool {
        self.below(100) < of
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }
}
