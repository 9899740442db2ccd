//! A moment of every target, with a fixed seed: each takes inputs, and its samples are good ones.
use hybrid_fuzz::{feed, targets};
use hybrid_start::StartInfo;
use std::time::Duration;

#[test]
fn every_target_takes_hostile_bytes() {
    for target in &targets::ALL {
        let count = feed(target, 20_261_124, Duration::from_millis(300));
        assert!(count > 0, "{}", target.name);
    }
}

#[test]
fn samples_are_accepted_by_their_decoders() {
    let samples = |name: &str| {
        let target = targets::ALL.iter().find(|target| target.name == name);
        target.map(|target| (target.samples)()).unwrap_or_default()
    };
    assert!(samples("start-info").iter().all(|bytes| StartInfo::decode(bytes).is_ok()));
    assert!(samples("bundle").iter().all(|bytes| hybrid_capgraph::Bundle::parse(bytes).is_ok()));
    assert!(samples("program").iter().all(|bytes| hybrid_capgraph::Program::parse(bytes).is_ok()));
    for name in ["start-info", "bundle", "program", "http1"] {
        assert!(!samples(name).is_empty(), "{name}");
    }
}
