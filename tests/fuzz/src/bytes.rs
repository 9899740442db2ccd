//! Inputs: random ones, and good ones with mistakes; the same for the same seed.

/// The longest input.
const LENGTH_MAX: u64 = 4096;

/// A stream of inputs.
pub struct Source(u64);

impl Source {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number (xorshift64*, Vigna 2016).
    fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.number() % (limit.max(1) as u64)).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        // Edges are more interesting than the middle.
        match self.number() % 4 {
            0 => [0, 1, 0x7f, 0x80, 0xff, b'\r', b'\n', b' '][self.below(8)],
            _ => self.number().to_le_bytes()[0],
        }
    }

    /// The next input: now and then random bytes, else a sample with some mistakes.
    pub fn input(&mut self, samples: &[Vec<u8>]) -> Vec<u8> {
        if samples.is_empty() || self.number().is_multiple_of(8) {
            let length = self.number() % LENGTH_MAX;
            return (0..self.number() % (length + 1)).map(|_| self.byte()).collect();
        }
        let mut input = samples[self.below(samples.len())].clone();
        for _ in 0..self.number() % 6 {
            self.spoil(&mut input, samples);
        }
        input
    }

    fn spoil(&mut self, input: &mut Vec<u8>, samples: &[Vec<u8>]) {
        let at = self.below(input.len());
        match self.number() % 6 {
            0 if !input.is_empty() => input[at] = self.byte(),
            1 if !input.is_empty() => input[at] ^= 1 << (self.number() % 8),
            2 => input.truncate(at),
            3 => input.insert(at, self.byte()),
            4 if !input.is_empty() => {
                // A part again, which makes lists longer than their count.
                let end = at + self.below(input.len() - at);
                let part = input[at..end].to_vec();
                input.extend(part);
            }
            _ => {
                let other = &samples[self.below(samples.len())];
                input.extend_from_slice(&other[self.below(other.len())..]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn input_is_the_same_for_the_same_seed() {
        let samples = vec![b"good".to_vec(), Vec::new()];
        let (mut one, mut other) = (Source::new(7), Source::new(7));
        for _ in 0..1000 {
            assert_eq!(one.input(&samples), other.input(&samples));
        }
    }
}
