//! Asks securityd what peers may do, and remembers answers while the policy stands; decides nothing by itself.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod cache;
#[cfg(test)]
mod tests;

use cache::Cache;
use core::convert::Infallible;
use hybrid_interfaces::security::{AccessClient, Decision};
pub use hybrid_interfaces::security::{Peer, Protocol, Reason, Transport, Verb};
use hybrid_ipc::{CallError, Caller};

/// Everything that a decision can depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question<'a> {
    /// What is spoken.
    pub protocol: Protocol,
    /// How it comes.
    pub transport: Transport,
    /// What is wanted.
    pub verb: Verb,
    /// Who asks.
    pub peer: Peer<'a>,
    /// Who the peer proved to be; a protocol server that checks nothing says `None`.
    pub identity: Option<&'a str>,
    /// Of what: begins with '/', normalised and decoded; empty with [`Verb::Connect`].
    pub endpoint: &'a str,
}

/// An access decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be.
    Allow,
    /// It may be, while the peer has fewer than so many requests open.
    Limit(u32),
    /// It may not be.
    Deny(Reason),
}

/// The way to securityd, with what is remembered. `E` reads the epoch of the policy in force from securityd's page (`Env::policy_epoch`);
/// 0 if there is no such page: then nothing is remembered.
#[derive(Debug)]
pub struct Access<C, E> {
    client: AccessClient<C>,
    epoch: E,
    cache: Cache,
    hits: u32,
}

impl<C: Caller, E: Fn() -> u64> Access<C, E> {
    /// Asks through `caller`.
    #[must_use]
    pub fn new(caller: C, epoch: E) -> Self {
        Self { client: AccessClient::new(caller), epoch, cache: Cache::new(), hits: 0 }
    }

    /// Whether the peer may.
    ///
    /// # Errors
    /// Securityd cannot be asked, or the question is beyond the bounds of its interface: then nothing is allowed.
    pub fn ask(&mut self, question: &Question<'_>) -> Result<Verdict, CallError<Infallible>> {
        let hash = cache::hash(question);
        let epoch = (self.epoch)();
        if epoch != 0
            && let Some(verdict) = self.cache.find(question, hash, epoch)
        {
            self.hits = self.hits.saturating_add(1);
            return Ok(verdict);
        }
        let Question { protocol, transport, verb, peer, identity, endpoint } = question;
        let answer = self.client.decide(*protocol, *transport, *verb, peer, *identity, endpoint, self.hits)?;
        self.hits = 0;
        let verdict = match answer.decision {
            Decision::Allow => Verdict::Allow,
            Decision::Limit => Verdict::Limit(answer.limit),
            Decision::Deny => return Ok(Verdict::Deny(answer.reason)),
        };
        if epoch != 0 && answer.epoch != 0 {
            self.cache.keep(question, hash, answer.epoch, verdict);
        }
        Ok(verdict)
    }
}
