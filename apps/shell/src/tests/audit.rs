//! `audit`, which prints more than the ring of the terminal holds.
use super::Desk;
use hybrid_interfaces::security::{Audit, AuditRecord, AuditSpan, Chain, RecordKind};
use hybrid_ipc::ClientId;

/// 500 events, the first 3 of which are forgotten, and no denials.
pub(super) struct FakeAudit;

impl Audit for FakeAudit {
    fn span(&mut self, _: ClientId, chain: Chain) -> AuditSpan {
        let (first, next) = if chain == Chain::Events { (3, 500) } else { (0, 0) };
        AuditSpan { first, next, before: [0xab; 32], waiting: 2, forgotten: vec![3, 0, 0, 0, 0, 0, 0, 0, 0, 1] }
    }

    fn record(&mut self, _: ClientId, _: Chain, sequence: u64) -> Option<AuditRecord<'_>> {
        let text = format!("something {sequence}\n");
        Some(AuditRecord { sequence, at_ns: 7, kind: RecordKind::Granted, hash: [1; 32], text: text.into() })
    }
}

#[test]
fn audit_longer_than_the_ring_waits_for_room_and_loses_nothing() {
    let text = Desk::new().type_line("audit");
    let hash = "01".repeat(32);
    for sequence in 3..500 {
        assert!(text.contains(&format!("\r\nevents {sequence} 7 Granted something {sequence}\\x0a sha256={hash}\r\n")));
    }
    let head = format!("first=3 next=500 waiting=2 before={} forgotten=Granted:3,Gap:1\r\n", "ab".repeat(32));
    assert!(text.contains(&format!("# chain events {head}")), "{text}");
    assert!(
        text.ends_with("forgotten=Granted:3,Gap:1\r\n# end of the trail\r\n> "),
        "the chain without records ends too"
    );
}
