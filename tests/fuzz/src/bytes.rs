//! Inputs: random ones, and good ones with mistakes; the same for the same seed.

/// The longest input, bytes.
const LENGTH_MAX: usize = 6000;
/// Numbers that lie on edges; their low bytes are taken.
const EDGES: [u64; 16] = [
    0,
    1,
    2,
    7,
    8,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 40,
    i64::MAX as u64,
    u64::MAX - 7,
    u64::MAX,
];

/// A stream of inputs.
#[derive(Clone, Debug)]
pub struct Source(u64);

impl Source {
    /// The stream of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // Odd, so never zero; and neighbours begin far from each other.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number (xorshift64*, Vigna 2016).
    fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`, 0 for 0.
    fn below(&mut self, limit: usize) -> usize {
        // The high bits are the better ones.
        usize::try_from((self.number() >> 16) % (limit.max(1) as u64)).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        match self.below(4) {
            // Edges are more interesting than the middle.
            0 => *[0, 1, 0x7f, 0x80, 0xff, b'\r', b'\n', b' '].get(self.below(8)).unwrap_or(&0),
            _ => self.number().to_be_bytes()[0],
        }
    }

    /// The next input: now and then random bytes, else a sample with some mistakes.
    pub fn input(&mut self, samples: &[Vec<u8>]) -> Vec<u8> {
        if samples.is_empty() || self.below(8) == 0 {
            let longest = [16, 64, 400, LENGTH_MAX][self.below(4)];
            return (0..self.below(longest)).map(|_| self.byte()).collect();
        }
        let mut input = samples[self.below(samples.len())].clone();
        let mistakes = if self.below(4) == 0 { self.below(40) } else { self.below(6) };
        for _ in 0..mistakes {
            self.spoil(&mut input, samples);
        }
        // Samples may be longer than random inputs: only what was added is cut.
        let longest = samples.iter().map(Vec::len).max().unwrap_or(0).max(LENGTH_MAX) * 2;
        input.truncate(longest);
        input
    }

    fn spoil(&mut self, input: &mut Vec<u8>, samples: &[Vec<u8>]) {
        let at = self.below(input.len());
        let end = at + self.below((input.len() - at).min(64) + 1);
        match self.below(10) {
            0 if !input.is_empty() => input[at] = self.byte(),
            1 if !input.is_empty() => input[at] ^= 1 << self.below(8),
            2 if self.below(4) == 0 => input.truncate(at),
            3 => input.insert(at, self.byte()),
            // A part again, which makes lists longer than their count.
            4 => drop(input.splice(at..at, input[at..end].to_vec())),
            5 => drop(input.drain(at..end)),
            6 => self.put_edge(input, at),
            // A part elsewhere.
            7 if !input.is_empty() => {
                let part = input[at..end].to_vec();
                let to = self.below(input.len());
                let room = part.len().min(input.len() - to);
                input[to..to + room].copy_from_slice(&part[..room]);
            }
            8 => {
                let other = &samples[self.below(samples.len())];
                let from = self.below(other.len());
                let length = self.below((other.len() - from).min(256) + 1);
                drop(input.splice(at..at, other[from..from + length].iter().copied()));
            }
            _ => (0..self.below(9)).for_each(|_| input.push(self.byte())),
        }
    }

    /// Overwrites 1, 2, 4 or 8 bytes with a number from an edge, in either byte order.
    fn put_edge(&mut self, input: &mut [u8], at: usize) {
        let edge = EDGES[self.below(EDGES.len())].wrapping_add(self.number() % 3).wrapping_sub(1);
        let width = 1 << self.below(4);
        let bytes = edge.to_le_bytes();
        let is_reversed = self.below(2) == 0;
        for (index, to) in input.iter_mut().skip(at).take(width).enumerate() {
            *to = if is_reversed { bytes[width - 1 - index] } else { bytes[index] };
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

    #[test]
    fn inputs_are_not_all_alike() {
        let mut source = Source::new(7);
        let inputs: std::collections::BTreeSet<Vec<u8>> =
            (0..500).map(|_| source.input(&[b"a good sample".to_vec()])).collect();
        assert!(inputs.len() > 300, "only {} of 500", inputs.len());
        assert!(inputs.iter().any(|input| input.len() > 1000));
    }
}
