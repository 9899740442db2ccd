//! Answers that may be taken again, in a bounded table: for the same question in the same epoch.

use alloc::string::String;
use alloc::vec::Vec;
use hybrid_interfaces::security::Peer;

use crate::{Question, Verdict};

/// Answers that are remembered: pairs of places, one pair for each value of a hash's last bits. Who floods them makes others slower, and
/// gets no other answer.
pub(crate) const PLACES: usize = 64;
const PAIRS: usize = PLACES / 2;

#[derive(Debug)]
struct Entry {
    hash: u64,
    epoch: u64,
    /// Protocol, transport, verb.
    words: [u8; 3],
    peer: Peer<'static>,
    identity: Option<String>,
    endpoint: String,
    verdict: Verdict,
}

/// Remembers.
///
/// # Invariants
/// * INV-REMEMBER-1: an answer is only given for the question that it was an answer to, in every part, and for the epoch it came with.
/// * INV-REMEMBER-2: no denial is in it.
#[derive(Debug)]
pub(crate) struct Cache {
    places: Vec<Option<Entry>>,
    /// The place of each pair that was filled last.
    newest: [bool; PAIRS],
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self { places: (0..PLACES).map(|_| None).collect(), newest: [false; PAIRS] }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.places.iter().flatten().count()
    }

    pub(crate) fn find(&self, question: &Question<'_>, hash: u64, epoch: u64) -> Option<Verdict> {
        let pair = pair(hash);
        let places = self.places.get(2 * pair..2 * pair + 2)?;
        places
            .iter()
            .flatten()
            .find(|entry| entry.hash == hash && entry.epoch == epoch && entry.is(question))
            .map(|entry| entry.verdict)
    }

    pub(crate) fn keep(&mut self, question: &Question<'_>, hash: u64, epoch: u64, verdict: Verdict) {
        let pair = pair(hash);
        let is_second = !self.newest[pair];
        self.newest[pair] = is_second;
        self.places[2 * pair + usize::from(is_second)] = Some(Entry {
            hash,
            epoch,
            words: words(question),
            peer: question.peer.clone().into_owned(),
            identity: question.identity.map(String::from),
            endpoint: question.endpoint.into(),
            verdict,
        });
    }
}

impl Entry {
    fn is(&self, question: &Question<'_>) -> bool {
        self.words == words(question)
            && self.endpoint == question.endpoint
            && self.peer == question.peer
            && self.identity.as_deref() == question.identity
    }
}

const fn words(question: &Question<'_>) -> [u8; 3] {
    [question.protocol as u8, question.transport as u8, question.verb as u8]
}

const fn pair(hash: u64) -> usize {
    (hash >> 32) as usize & (PAIRS - 1)
}

/// Where to look; equality is what decides, so nothing but speed hangs on it.
pub(crate) fn hash(question: &Question<'_>) -> u64 {
    let [protocol, transport, verb] = words(question);
    let mut hash = Hash(u64::from_le_bytes([protocol, transport, verb, 0, 0, 0, 0, 0]));
    match &question.peer {
        Peer::V4(address) => hash.bytes(address),
        Peer::V6(address) => hash.bytes(address),
        Peer::Component(name) => hash.bytes(name.as_bytes()),
    }
    hash.bytes(question.identity.unwrap_or_default().as_bytes());
    hash.bytes(question.endpoint.as_bytes());
    hash.0
}

/// FxHash, as rustc has it: a rotation and a multiplication for eight bytes.
struct Hash(u64);

impl Hash {
    const fn word(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.word(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last));
    }
}
