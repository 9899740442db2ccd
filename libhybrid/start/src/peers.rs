//! What a component is told of its peers while it runs: the layout of one read-only page; it maps and rings nothing.
//!
//! securityd writes the page, the component reads it. It holds levels, not events: whoever looks late sees the newest state of
//! each peer, and tells by the epoch whether the peer was another one meanwhile.
//!
//! | word | content |
//! |---:|---|
//! | 0 | changes: grows by one after each change of other words |
//! | 1 | ping: the number that the component shall write into [`ANSWER_OFFSET`](crate::ANSWER_OFFSET) |
//! | 2 | epoch of the access policy in force, from 1 (`hybrid.security.Access`) |
//! | 3 | in images of the fault campaign only: an order to fail (`fault`) |
//! | 8 + i | use i, in the order of [`StartInfo::uses`](crate::StartInfo::uses) |
//! | 40 + k | client k of all sessions of all provided interfaces, in the order of [`StartInfo::provides`](crate::StartInfo::provides) |
//!
//! # Invariants
//!
//! * INV-PEERS-1: securityd writes a peer's word before that peer's new instance runs, and rings the supervision bit afterwards: a
//!   component that looks before it handles an event never takes the new instance's event for one of the old.
//! * INV-PEERS-2: a session's epoch grows whenever either side is started anew, and both sides see the same.
//! * INV-PEERS-3: securityd writes the new epoch of the access policy before the new policy answers anything.

/// Words of the page.
pub const WORDS: usize = 512;
/// Word that counts changes.
pub const CHANGES: usize = 0;
/// Word with the newest ping.
pub const PING: usize = 1;
/// Word with the epoch of the access policy.
pub const POLICY: usize = 2;
/// Word of use 0.
pub const USES: usize = 8;
/// Word of the first client.
pub const CLIENTS: usize = 40;
/// The bit of a notification with which securityd rings: look at this page.
pub const SUPERVISION_BIT: u8 = 62;

/// How a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It runs, or is about to for the first time.
    Up,
    /// It died, and is being started anew: worth waiting for.
    Restarting,
    /// It is not there, and nobody says when it will be.
    Down,
    /// There is no session with it: nobody asked for it yet, or it was ended while both sides run.
    Closed,
}

/// One peer as its word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// How it is.
    pub condition: Condition,
    /// Which meeting of the two sides this is; what is in the rings from another one is not read.
    pub epoch: u32,
}

impl Peer {
    /// What a session begins with.
    pub const FIRST: Self = Self { condition: Condition::Up, epoch: 1 };

    /// The word for it: bits 0–7 the condition, 32–63 the epoch.
    #[must_use]
    pub const fn word(self) -> u64 {
        let condition = match self.condition {
            Condition::Up => 1,
            Condition::Restarting => 2,
            Condition::Down => 3,
            Condition::Closed => 4,
        };
        condition | (self.epoch as u64) << 32
    }

    /// What a word says; what no securityd writes counts as a peer that is down.
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        let condition = match word & 0xff {
            1 => Condition::Up,
            2 => Condition::Restarting,
            4 => Condition::Closed,
            _ => Condition::Down,
        };
        Self { condition, epoch: (word >> 32) as u32 }
    }
}

/// Word of use `index`; `None` beyond the page.
#[must_use]
pub const fn use_word(index: usize) -> Option<usize> {
    if index < CLIENTS - USES { Some(USES + index) } else { None }
}

/// Word of client `index`; `None` beyond the page.
#[must_use]
pub const fn client_word(index: usize) -> Option<usize> {
    if index < WORDS - CLIENTS { Some(CLIENTS + index) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_of_a_peer_says_what_it_was_made_of() {
        for condition in [Condition::Up, Condition::Restarting, Condition::Down, Condition::Closed] {
            for epoch in [0, 1, 7, u32::MAX] {
                let peer = Peer { condition, epoch };
                assert_eq!(Peer::from_word(peer.word()), peer);
            }
        }
        assert_eq!(Peer::from_word(0).condition, Condition::Down);
        assert_eq!(Peer::from_word(0xff).condition, Condition::Down);
    }

    #[test]
    fn words_of_uses_and_clients_do_not_meet() {
        assert_eq!((use_word(31), use_word(32)), (Some(39), None));
        assert_eq!((client_word(0), client_word(471), client_word(472)), (Some(40), Some(511), None));
    }
}
