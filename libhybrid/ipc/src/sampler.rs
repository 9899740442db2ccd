//! Random choices for property tests of generated types; not for anything secret.
use alloc::string::String;
use alloc::vec::Vec;

/// A source of choices that follows from its seed, so that a failing test can be repeated.
#[derive(Clone, Debug)]
pub struct Sampler {
    state: u64,
}

impl Sampler {
    /// A source for one sample.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Any number (splitmix64, Steele et al. 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Any number, the smallest and largest of each width often.
    pub fn u64(&mut self) -> u64 {
        let value = self.next();
        let width = u32::try_from(self.below(65)).unwrap_or(64);
        match self.below(4) {
            0 => 0,
            1 => u64::MAX.checked_shr(width).unwrap_or(0),
            _ => value.checked_shr(width).unwrap_or(0),
        }
    }

    /// A number below `count`; 0 if that is 0.
    pub fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        usize::try_from(self.next().checked_rem(count).unwrap_or(0)).unwrap_or(0)
    }

    /// A length from 0 to `max`, both often.
    pub fn length(&mut self, max: usize) -> usize {
        match self.below(4) {
            0 => 0,
            1 => max,
            _ => self.below(max.saturating_add(1)),
        }
    }

    /// One of `values`.
    ///
    /// # Panics
    /// If there are none.
    #[expect(clippy::expect_used, reason = "the IDL has no empty enums, and this is for tests")]
    pub fn one_of<'v, T>(&mut self, values: &'v [T]) -> &'v T {
        let at = self.below(values.len());
        values.get(at).expect("below the length")
    }

    /// A text of at most `max` bytes, with characters of one to four bytes.
    pub fn text(&mut self, max: usize) -> String {
        let length = self.length(max);
        let mut text = String::new();
        loop {
            let letter = *self.one_of(&['a', '/', '\0', 'é', '水', '🦀']);
            if text.len().saturating_add(letter.len_utf8()) > length {
                let rest = length.saturating_sub(text.len());
                text.extend(core::iter::repeat_n('.', rest));
                return text;
            }
            text.push(letter);
        }
    }

    /// Bytes, at most `max`.
    pub fn bytes(&mut self, max: usize) -> Vec<u8> {
        let length = self.length(max);
        (0..length).map(|_| self.u8()).collect()
    }

    /// True or false.
    pub fn bool(&mut self) -> bool {
        self.below(2) == 0
    }
}

macro_rules! integers {
    ($($type:ident),*) => {
        impl Sampler {
            $(/// Any number of this type, the extreme ones often.
            pub fn $type(&mut self) -> $type {
                let bytes = self.u64().to_le_bytes();
                bytes.first_chunk().map_or($type::MAX, |chunk| $type::from_le_bytes(*chunk))
            })*
        }
    };
}

integers!(u8, u16, u32, i8, i16, i32, i64);
