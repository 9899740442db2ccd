//! The generator: tested noise goes in, numbers come out, and neither tells of the other; knows no device.
//!
//! INV-POOL-1: nothing comes out before [`SEED_BYTES`] of noise passed the health tests in a row.
//! INV-POOL-2: the key that made a number is gone before the number is given out, so who reads the memory later learns no earlier number
//! (fast key erasure, D. J. Bernstein 2017).
use crate::health::{CLAIMED_BITS, Health, Sick};
use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

/// Noise for a seed: SP 800-90B §4.3 wants the tests to pass 1,024 samples at the start, and they may be used.
pub const SEED_BYTES: usize = 1024;
/// The seed has entropy for the key twice over.
const _: () = assert!(SEED_BYTES * CLAIMED_BITS >= 2 * 256);
/// What separates this use of SHA-256 from others.
const DOMAIN: &[u8] = b"hybrid entropyd seed 1";
const KEY: usize = 32;

/// Not enough noise yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unseeded;

/// The generator's state.
#[derive(Default)]
pub struct Pool {
    key: Zeroizing<[u8; KEY]>,
    health: Health,
    /// Noise that is in the key, up to what a seed needs.
    tested: usize,
}

impl Pool {
    /// Mixes noise into the key. Adding cannot harm: what was not known stays so, whatever is mixed in.
    ///
    /// # Errors
    /// [`Sick`]: the noise is not mixed in; before the first number all noise so far counts for nothing.
    pub fn absorb(&mut self, noise: &[u8]) -> Result<(), Sick> {
        self.health.test(noise).inspect_err(|_sick| {
            if !self.is_seeded() {
                self.tested = 0;
            }
        })?;
        let mut mixed = Sha256::new().chain_update(DOMAIN).chain_update(*self.key).chain_update(noise).finalize();
        self.key.copy_from_slice(&mixed);
        mixed.zeroize();
        self.tested = SEED_BYTES.min(self.tested + noise.len());
        Ok(())
    }

    /// Whether numbers come out.
    #[must_use]
    pub fn is_seeded(&self) -> bool {
        self.tested >= SEED_BYTES
    }

    /// Fills `numbers`.
    ///
    /// # Errors
    /// [`Unseeded`].
    pub fn fill(&mut self, numbers: &mut [u8]) -> Result<(), Unseeded> {
        if !self.is_seeded() {
            return Err(Unseeded);
        }
        // The generator wipes its own state at the end.
        let mut generator = ChaCha20Rng::from_seed(*self.key);
        generator.fill_bytes(&mut *self.key);
        generator.fill_bytes(numbers);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Noise as good as any: what SHA-256 makes of numbers.
    fn noise(seed: u8, len: usize) -> Vec<u8> {
        let block = |at: u8| Sha256::digest([seed, at]).to_vec();
        (0..=u8::MAX).flat_map(block).take(len).collect()
    }

    fn numbers(pool: &mut Pool, len: usize) -> Result<Vec<u8>, Unseeded> {
        let mut numbers = vec![0; len];
        pool.fill(&mut numbers).map(|()| numbers)
    }

    #[test]
    fn nothing_comes_out_before_the_seed_is_whole() {
        let mut pool = Pool::default();
        assert_eq!(pool.absorb(&noise(1, SEED_BYTES - 1)), Ok(()));
        assert_eq!(numbers(&mut pool, 8), Err(Unseeded));
        assert_eq!(pool.absorb(&noise(2, 1)), Ok(()));
        assert!(numbers(&mut pool, 8).is_ok());
    }

    #[test]
    fn noise_of_a_broken_device_seeds_nothing() {
        let mut pool = Pool::default();
        assert_eq!(pool.absorb(&noise(1, SEED_BYTES - 1)), Ok(()));
        assert_eq!(pool.absorb(&[0; 256]), Err(Sick::Repeats));
        assert_eq!(pool.absorb(&noise(2, 255)), Ok(()));
        assert_eq!(numbers(&mut pool, 8), Err(Unseeded), "what came before counts no more");
        assert_eq!(pool.absorb(&noise(3, SEED_BYTES)), Ok(()));
        let before = numbers(&mut pool, 8);
        assert!(before.is_ok());
        // A device that breaks later takes nothing away.
        assert_eq!(pool.absorb(&[0; 256]), Err(Sick::Repeats));
        assert!(numbers(&mut pool, 8).is_ok());
    }

    #[test]
    fn key_changes_with_every_number_and_is_no_number() {
        let mut pool = Pool::default();
        pool.absorb(&noise(1, SEED_BYTES)).expect("healthy");
        let keys: Vec<_> = (0..100)
            .map(|_| {
                let before = *pool.key;
                let made = numbers(&mut pool, KEY).expect("seeded");
                assert!(made != *pool.key && *pool.key != before && made != before);
                made
            })
            .collect();
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    proptest! {
        /// Each byte of noise counts, wherever it stands; the same noise gives the same numbers, however it is cut.
        #[test]
        fn every_byte_of_noise_matters(seed: u8, at in 0..SEED_BYTES, flip in 1_u8.., len in 0..600_usize) {
            let whole = noise(seed, SEED_BYTES);
            let mut other = whole.clone();
            other[at] ^= flip;
            let (mut first, mut second) = (Pool::default(), Pool::default());
            first.absorb(&whole).expect("healthy");
            second.absorb(&other).expect("healthy");
            let (ours, theirs) = (numbers(&mut first, len + 16), numbers(&mut second, len + 16));
            prop_assert_ne!(&ours, &theirs);
            // And later noise parts two generators that were alike.
            let mut third = Pool::default();
            third.absorb(&whole).expect("healthy");
            prop_assert_eq!(&numbers(&mut third, len + 16), &ours);
            third.absorb(&[flip]).expect("healthy");
            prop_assert_ne!(numbers(&mut third, 16), numbers(&mut first, 16));
        }
    }
}
