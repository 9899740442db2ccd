//! The health tests of raw noise (NIST SP 800-90B §4.4); they find a source that broke, never prove that one is good.

/// Bits of min-entropy that are claimed for a byte. A good device has 8; claiming 1 lets the tests be strict on failures and lenient on
/// chance, and makes the seed eight times as long as a good device would need.
pub(crate) const CLAIMED_BITS: usize = 1;
/// §4.4.1 with a false alarm in 2^30: 1 + 30 / [`CLAIMED_BITS`].
const REPEATED: u32 = 31;
/// §4.4.2: samples of a window that are not binary.
const WINDOW: u32 = 512;
/// §4.4.2 with a false alarm in 2^30: one more than the 1 − 2^-30 quantile of the binomial distribution of 512 trials at 2^-1.
const FREQUENT: u32 = 325;

/// Noise that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sick {
    /// One value came again and again.
    Repeats,
    /// One value came too often in a window.
    Prefers,
}

/// Both tests, running over all noise of a source.
#[derive(Debug, Default)]
pub struct Health {
    last: Option<u8>,
    run: u32,
    first: u8,
    seen: u32,
    equal: u32,
}

impl Health {
    /// Tests the next bytes. After a failure the tests begin anew.
    ///
    /// # Errors
    /// [`Sick`]: none of these bytes may be believed, nor those before them since the start.
    pub fn test(&mut self, noise: &[u8]) -> Result<(), Sick> {
        noise.iter().try_for_each(|&byte| self.sample(byte)).inspect_err(|_sick| *self = Self::default())
    }

    fn sample(&mut self, byte: u8) -> Result<(), Sick> {
        self.run = if self.last == Some(byte) { self.run + 1 } else { 1 };
        self.last = Some(byte);
        if self.run >= REPEATED {
            return Err(Sick::Repeats);
        }
        if self.seen == 0 {
            (self.first, self.equal) = (byte, 0);
        }
        self.equal += u32::from(self.first == byte);
        self.seen = (self.seen + 1) % WINDOW;
        if self.equal >= FREQUENT { Err(Sick::Prefers) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_that_is_stuck_is_found() {
        assert_eq!(Health::default().test(&[0; 30]), Ok(()));
        assert_eq!(Health::default().test(&[0; 31]), Err(Sick::Repeats));
        let mut health = Health::default();
        assert_eq!((health.test(&[9; 30]), health.test(&[9; 1])), (Ok(()), Err(Sick::Repeats)), "across calls");
        assert_eq!(health.test(&[9; 30]), Ok(()), "anew after a failure");
    }

    #[test]
    fn device_that_prefers_a_value_is_found() {
        // Two of three bytes are one value, never for long.
        let noise: Vec<u8> = (0..=170).flat_map(|other| [7, 7, other]).collect();
        assert_eq!(Health::default().test(&noise), Err(Sick::Prefers));
        // Every other one is not too much.
        let noise: Vec<u8> = (0..=255).cycle().take(2048).flat_map(|other: u8| [7, other | 8]).collect();
        assert_eq!(Health::default().test(&noise), Ok(()));
    }

    #[test]
    fn cutoff_is_the_quantile_that_its_source_names() {
        // Exact in f64: powers of two and sums of at most 512 binomials, from the small end.
        let mut term = 2.0_f64.powi(-512);
        let mut tail = 0.0;
        for above in 0..=(WINDOW - FREQUENT) {
            tail += term;
            term *= f64::from(WINDOW - above) / f64::from(above + 1);
        }
        // P(X >= FREQUENT) is below 2^-30, and one less would not be.
        assert!(tail < 2.0_f64.powi(-30));
        assert!(tail + term > 2.0_f64.powi(-30));
    }
}
