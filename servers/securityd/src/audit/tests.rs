//! Tests of the audit trail: bounds, chaining, and any sequence of records and denials against a simple model.

use alloc::string::String;
use alloc::vec::Vec;

use hybrid_capgraph::{trail_hash, trail_start};
use hybrid_interfaces::security::{AuditRecord, Chain, RecordKind};
use proptest::prelude::*;

use super::{Audit, DENIALS_MAX, EVENTS_MAX, LINE_MAX, cut};
use crate::denials::{Denials, LINES_MAX};

fn records(audit: &Audit, chain: Chain) -> Vec<AuditRecord<'_>> {
    let (mut records, mut next) = (Vec::new(), 0);
    while let Some(record) = audit.at(chain, next) {
        next = record.sequence + 1;
        records.push(record);
    }
    records
}

/// INV-AUDIT-2 of what is kept, as somebody who reads it can check it.
fn assert_chained(audit: &Audit, chain: Chain) {
    let span = audit.span(chain, 0);
    let (mut before, mut next) = (span.before, span.first);
    for record in records(audit, chain) {
        assert_eq!(record.sequence, next);
        before = trail_hash(&before, next, record.at_ns, record.kind.name(), &record.text);
        assert_eq!(record.hash, before);
        next += 1;
    }
    assert_eq!(next, span.next);
    assert_eq!(span.forgotten.iter().sum::<u64>(), span.first, "each record is kept or counted as forgotten");
    assert!(next - span.first <= if chain == Chain::Events { EVENTS_MAX } else { DENIALS_MAX } as u64);
}

#[test]
fn trail_without_records_begins_with_its_chain() {
    let audit = Audit::default();
    assert_eq!(audit.at(Chain::Events, 0), None);
    let span = audit.span(Chain::Denials, 3);
    assert_eq!((span.first, span.next, span.waiting, span.before), (0, 0, 3, trail_start("denials")));
}

#[test]
fn chain_that_is_full_forgets_the_oldest_and_counts_it_by_kind() {
    let mut audit = Audit::default();
    audit.record(0, RecordKind::Faulted, "first");
    (0..EVENTS_MAX + 4).for_each(|index| audit.record(1, RecordKind::Granted, alloc::format!("{index}")));
    let oldest = audit.at(Chain::Events, 0).unwrap();
    assert_eq!((oldest.sequence, oldest.text.as_ref()), (5, "4"));
    let forgotten = audit.span(Chain::Events, 0).forgotten;
    let of = |kind: RecordKind| forgotten[usize::from(kind.code()) - 1];
    assert_eq!((of(RecordKind::Granted), of(RecordKind::Faulted), of(RecordKind::Gap)), (4, 1, 0));
    assert_chained(&audit, Chain::Events);
}

#[test]
fn denials_push_out_no_event() {
    let mut audit = Audit::default();
    audit.record(0, RecordKind::Granted, "granted");
    (0..3 * DENIALS_MAX).for_each(|index| audit.record(1, RecordKind::Denied, alloc::format!("{index}")));
    assert_eq!(records(&audit, Chain::Events).len(), 1);
    assert_eq!(records(&audit, Chain::Denials).len(), DENIALS_MAX);
    assert_chained(&audit, Chain::Denials);
}

#[test]
fn cut_never_splits_a_character() {
    let mut text = String::from("aµµ");
    cut(&mut text, 4);
    assert_eq!(text, "aµ");
    cut(&mut text, 0);
    assert_eq!(text, "");
}

/// What happens to a trail.
#[derive(Debug, Clone)]
enum Step {
    Event(u8, String),
    Denials(u16),
    Pass(u64),
    Read(bool, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u8..8, ".{0,300}").prop_map(|(kind, text)| Step::Event(kind, text)),
        2 => (1_u16..400).prop_map(Step::Denials),
        2 => (0_u64..100_000_000_000).prop_map(Step::Pass),
        1 => (any::<bool>(), prop_oneof![0_u64..2000, any::<u64>()]).prop_map(|(chain, at)| Step::Read(chain, at)),
    ]
}

const EVENTS: [RecordKind; 8] = [
    RecordKind::Granted,
    RecordKind::Revoked,
    RecordKind::Started,
    RecordKind::Stopped,
    RecordKind::Faulted,
    RecordKind::Policy,
    RecordKind::Power,
    RecordKind::Refused,
];

/// The trail as securityd uses it: denials go through their counter, and the end of a window leaves a gap mark.
#[derive(Default)]
struct Used {
    audit: Audit,
    denials: Denials,
    now: u64,
    /// Model: every event ever, and how many denials there were.
    events: Vec<(RecordKind, String)>,
    denied: u64,
    /// How many of them gap marks tell, of marks that are forgotten too.
    marked: u64,
}

impl Used {
    fn take(&mut self, step: Step) {
        match step {
            Step::Event(kind, mut text) => {
                let kind = EVENTS[usize::from(kind)];
                self.audit.record(self.now, kind, text.clone());
                cut(&mut text, LINE_MAX);
                self.events.push((kind, text));
            }
            Step::Denials(count) => (0..count).for_each(|_| {
                self.denied += 1;
                if self.denials.count(self.now) {
                    self.audit.record(self.now, RecordKind::Denied, "x");
                }
            }),
            Step::Pass(ns) => {
                self.now += ns;
                if let Some(untold) = self.denials.untold(self.now) {
                    self.marked += u64::from(untold);
                    self.audit.record(self.now, RecordKind::Gap, alloc::format!("{untold}"));
                }
            }
            Step::Read(is_event, at) => {
                let chain = if is_event { Chain::Events } else { Chain::Denials };
                let (span, found) = (self.audit.span(chain, 0), self.audit.at(chain, at));
                let expected = Some(at.max(span.first)).filter(|at| *at < span.next);
                assert_eq!(found.map(|record| record.sequence), expected);
            }
        }
    }

    fn check(&self) {
        assert_chained(&self.audit, Chain::Events);
        assert_chained(&self.audit, Chain::Denials);
        let kept = records(&self.audit, Chain::Events);
        let newest = self.events.len().saturating_sub(EVENTS_MAX);
        assert_eq!(kept.len(), self.events.len() - newest);
        for (record, (kind, text)) in kept.iter().zip(&self.events[newest..]) {
            assert_eq!((record.kind, record.text.as_ref()), (*kind, text.as_str()));
        }
        // Each denial is told once: by a record, by a gap mark, or it waits for one.
        let span = self.audit.span(Chain::Denials, self.denials.waiting());
        let forgotten = span.forgotten[usize::from(RecordKind::Denied.code()) - 1];
        let kept = records(&self.audit, Chain::Denials);
        let one_by_one = kept.iter().filter(|record| record.kind == RecordKind::Denied).count() as u64 + forgotten;
        assert_eq!(one_by_one + self.marked + u64::from(span.waiting), self.denied);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn trail_of_any_history_is_chained_bounded_and_tells_every_event_and_counts_every_denial(
        steps in prop::collection::vec(step(), 0..300)
    ) {
        let mut used = Used { denials: Denials::new(), ..Used::default() };
        steps.into_iter().for_each(|step| used.take(step));
        used.check();
    }

    #[test]
    fn flood_of_denials_makes_few_records(count in 1_u32..200_000, spacing_ns in 1_u64..1_000_000) {
        let mut used = Used { denials: Denials::new(), ..Used::default() };
        for _ in 0..count {
            used.take(Step::Pass(spacing_ns));
            used.take(Step::Denials(1));
        }
        used.check();
        // A window has at most so many records and a mark; the k-th of a flood lasts 2^k s.
        let windows = u64::from(count).saturating_mul(spacing_ns) / 1_000_000_000 + 1;
        let made = used.audit.span(Chain::Denials, 0).next;
        prop_assert!(made <= (u64::from(LINES_MAX) + 1) * (windows + 1), "{made} records in {windows} s");
    }
}
