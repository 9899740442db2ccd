//! The Random interface over the generator, and when it wants noise again; knows no capabilities.
use crate::health::Sick;
use crate::pool::Pool;
use alloc::borrow::Cow;
use alloc::vec;
use libhybrid::interfaces::entropy::{FILL_MAX, Random};
use libhybrid::ipc::ClientId;
use libhybrid::log;

/// After so many answers fresh noise is mixed in: so who once read the key does not know it for ever.
const ANSWERS_PER_SEED: u32 = 256;

/// The server.
#[derive(Default)]
pub struct Server {
    pool: Pool,
    answers: u32,
    /// Noise that was refused, and how often that was told: at 1, 2, 4, …
    sick: u32,
}

impl Server {
    /// Takes noise of the source.
    ///
    /// # Errors
    /// [`Sick`]: it is no noise, and is not used.
    pub fn absorb(&mut self, noise: &[u8]) -> Result<(), Sick> {
        self.pool.absorb(noise).inspect_err(|sick| {
            self.sick = self.sick.saturating_add(1);
            if self.sick.is_power_of_two() {
                log::error!("the source's noise is none ({sick:?}), {} times so far", self.sick);
            }
        })
    }

    /// Whether numbers come out.
    #[must_use]
    pub fn is_seeded(&self) -> bool {
        self.pool.is_seeded()
    }

    /// Whether fresh noise is due: true once after so many answers, whether any can be had or not.
    #[must_use]
    pub fn is_noise_due(&mut self) -> bool {
        let is_due = self.answers >= ANSWERS_PER_SEED;
        if is_due {
            self.answers = 0;
        }
        is_due
    }
}

impl Random for Server {
    fn fill(&mut self, _client: ClientId, len: u16) -> Cow<'_, [u8]> {
        let mut numbers = vec![0; usize::from(len).min(FILL_MAX)];
        match self.pool.fill(&mut numbers) {
            Ok(()) => self.answers = self.answers.saturating_add(1),
            // `main` serves only once the generator is seeded; if it did not, nobody would get zeros for numbers.
            Err(_unseeded) => numbers.clear(),
        }
        numbers.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libhybrid::interfaces::entropy::{RandomClient, RandomLoopback, RandomServer};

    /// Healthy bytes, for tests only.
    fn noise(len: usize) -> Vec<u8> {
        (0..=u8::MAX).cycle().take(len).collect()
    }

    #[test]
    fn clients_get_as_many_numbers_as_they_ask_for() {
        let mut server = Server::default();
        server.absorb(&noise(1024)).expect("healthy");
        let loopback = RandomLoopback::new(RandomServer::new(server));
        let mut client = RandomClient::new(loopback.connect(5));
        let first = client.fill(16).expect("served");
        assert_eq!((first.len(), client.fill(256).expect("served").len()), (16, 256));
        assert_ne!(first, client.fill(16).expect("served"));
        assert_eq!(client.fill(0).expect("served").len(), 0);
        assert_eq!(client.fill(u16::MAX).expect("served").len(), FILL_MAX, "no more than a message holds");
    }

    #[test]
    fn unseeded_server_gives_nothing_rather_than_zeros() {
        let loopback = RandomLoopback::new(RandomServer::new(Server::default()));
        assert_eq!(RandomClient::new(loopback.connect(5)).fill(16).expect("served").len(), 0);
    }

    #[test]
    fn noise_is_due_now_and_again() {
        let mut server = Server::default();
        assert_eq!(server.absorb(&noise(1024)), Ok(()));
        for _ in 0..3 {
            for _ in 0..ANSWERS_PER_SEED {
                assert!(!server.is_noise_due());
                assert_eq!(server.fill(ClientId::of(5), 8).len(), 8);
            }
            assert!(server.is_noise_due());
        }
    }
}
