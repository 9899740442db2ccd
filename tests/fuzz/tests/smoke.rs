//! A moment of every target, with a fixed seed: each takes inputs, and its samples are good ones.
use hybrid_fuzz::driver::{Bounds, feed, samples};
use hybrid_fuzz::targets;
use std::time::Duration;

#[test]
fn every_target_takes_hostile_bytes() {
    // With 22 targets some seven seconds; the driver (`cargo xtask test fuzz`) takes longer.
    let bounds = Bounds { time: Duration::from_millis(300), count: u64::MAX };
    for target in &targets::ALL {
        match feed(target, 20_261_124, bounds) {
            Ok(count) => assert!(count > 0, "{}", target.name),
            Err(finding) => panic!("{}: {}\n{}", target.name, finding.what, finding.replay),
        }
    }
}

#[test]
fn every_target_has_samples_and_a_name_of_its_own() {
    for (number, target) in targets::ALL.iter().enumerate() {
        assert!(!samples(target).is_empty(), "{}", target.name);
        assert!(targets::ALL.iter().skip(number + 1).all(|other| other.name != target.name), "{}", target.name);
    }
}

#[test]
fn samples_are_accepted_by_their_decoders() {
    for target in &targets::ALL {
        let Some(accepts) = target.accepts else { continue };
        let good = (target.samples)();
        assert!(!good.is_empty() && good.iter().all(|sample| accepts(sample)), "{}", target.name);
    }
}
