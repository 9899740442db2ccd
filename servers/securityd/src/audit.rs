//! The audit trail: what was granted, revoked, started, denied and faulted, numbered and chained by hashes; bounded.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use hybrid_capgraph::{Digest, trail_hash, trail_start};
use hybrid_interfaces::security::{AuditRecord, AuditSpan, Chain, RecordKind};

use crate::install::World;
use crate::kernel::Kernel;

/// Events of authority that are kept: grants, revocations, starts, faults, stops, policies, power.
pub const EVENTS_MAX: usize = 768;
/// Denials and gap marks that are kept.
pub const DENIALS_MAX: usize = 256;
/// Bytes of a record's text; longer ones are cut.
pub const LINE_MAX: usize = 240;

/// The trail.
///
/// INV-AUDIT-1: Denials, which a peer on the network causes as it likes, take no event's place: each kind has a chain of its own.
/// INV-AUDIT-2: In a chain the numbers have no gap, and each hash covers the one before it; only the oldest records are
/// forgotten, and the hash before the oldest kept is known, so that what is kept can be checked, and held against what was read before.
#[derive(Debug)]
pub struct Audit {
    events: Kept,
    denials: Kept,
}

#[derive(Debug)]
struct Record {
    at_ns: u64,
    kind: RecordKind,
    text: String,
    hash: Digest,
}

/// The newest records of a chain.
#[derive(Debug)]
struct Kept {
    max: usize,
    records: VecDeque<Record>,
    /// Number of the oldest record kept.
    first: u64,
    /// Hash of the record before it.
    before: Digest,
    /// How many were forgotten, by kind.
    forgotten: [u64; KINDS],
}

/// [`RecordKind`]s, whose ordinals begin with 1.
const KINDS: usize = RecordKind::Verdict as usize;

impl Kept {
    fn new(chain: &str, max: usize) -> Self {
        Self { max, records: VecDeque::new(), first: 0, before: trail_start(chain), forgotten: [0; KINDS] }
    }

    fn next(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    fn push(&mut self, at_ns: u64, kind: RecordKind, mut text: String) {
        cut(&mut text, LINE_MAX);
        text.shrink_to_fit();
        let before = self.records.back().map_or(&self.before, |newest| &newest.hash);
        let hash = trail_hash(before, self.next(), at_ns, kind.name(), &text);
        if self.records.len() >= self.max
            && let Some(oldest) = self.records.pop_front()
        {
            self.first += 1;
            self.before = oldest.hash;
            if let Some(count) = self.forgotten.get_mut(oldest.kind as usize - 1) {
                *count += 1;
            }
        }
        self.records.push_back(Record { at_ns, kind, text, hash });
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self { events: Kept::new("events", EVENTS_MAX), denials: Kept::new("denials", DENIALS_MAX) }
    }
}

impl Audit {
    /// Adds a record; denials and gap marks go to their own chain.
    pub fn record(&mut self, at_ns: u64, kind: RecordKind, text: impl Into<String>) {
        let is_denial = matches!(kind, RecordKind::Denied | RecordKind::Gap);
        let kept = if is_denial { &mut self.denials } else { &mut self.events };
        kept.push(at_ns, kind, text.into());
    }

    /// Record `sequence` of a chain, or the oldest one kept after it.
    #[must_use]
    pub fn at(&self, chain: Chain, sequence: u64) -> Option<AuditRecord<'_>> {
        let kept = self.chain(chain);
        let sequence = sequence.max(kept.first);
        let record = kept.records.get(usize::try_from(sequence - kept.first).ok()?)?;
        let Record { at_ns, kind, text, hash } = record;
        Some(AuditRecord { sequence, at_ns: *at_ns, kind: *kind, hash: *hash, text: text.as_str().into() })
    }

    /// Where a chain begins and ends; `waiting` denials have no record yet.
    #[must_use]
    pub fn span(&self, chain: Chain, waiting: u32) -> AuditSpan {
        let kept = self.chain(chain);
        let forgotten = Vec::from(kept.forgotten);
        AuditSpan { first: kept.first, next: kept.next(), before: kept.before, waiting, forgotten }
    }

    const fn chain(&self, chain: Chain) -> &Kept {
        match chain {
            Chain::Events => &self.events,
            Chain::Denials => &self.denials,
        }
    }
}

impl<K: Kernel> World<K> {
    /// Adds a record of now.
    pub(crate) fn note(&mut self, kind: RecordKind, text: impl Into<String>) {
        let at = self.kernel.now_ns();
        self.audit.record(at, kind, text);
    }
}

/// Cuts a text to at most `max` bytes, at a character's end.
pub fn cut(text: &mut String, max: usize) {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
}

#[cfg(test)]
mod tests;
