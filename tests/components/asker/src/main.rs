//! Counts the instructions of access decisions, where one is a nanosecond of the virtual counter; decides nothing.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use hybrid_access::{Access, Peer, Protocol, Question, Transport, Verb};
use libhybrid::sys::{count_per_second, count_virtual};
use libhybrid::{Env, log};

libhybrid::component!(run);

/// Questions between two readings of the counter.
const BATCH: u64 = 128;
/// Batches of each kind; the first are not counted.
const BATCHES: usize = 65;
const WARM_UP: usize = 4;

fn run(env: Env) -> ! {
    let mut remembers = Access::new(env.client("access"), move || env.policy_epoch());
    // Without an epoch nothing is remembered: each question is a call.
    let mut forgets = Access::new(env.client("access"), || 0);
    let allowed = question(Verb::Get);
    measure("remembered", || remembers.ask(&allowed).is_ok());
    measure("asked", || forgets.ask(&allowed).is_ok());
    let denied = question(Verb::Delete);
    measure("denied", || remembers.ask(&denied).is_ok());
    log::info!("asker: done");
    loop {
        let _bits = env.wait();
    }
}

/// As httpd asks about a request.
const fn question(verb: Verb) -> Question<'static> {
    let (protocol, transport, peer) = (Protocol::Http, Transport::Plain, Peer::V4([10, 0, 2, 2]));
    Question { protocol, transport, verb, peer, identity: None, endpoint: "/api/status" }
}

fn measure(kind: &str, mut ask: impl FnMut() -> bool) {
    let mut costs = Vec::new();
    for number in 0..WARM_UP + BATCHES {
        let before = count_virtual();
        let is_answered = (0..BATCH).all(|_| core::hint::black_box(ask()));
        let ticks = count_virtual() - before;
        if !is_answered {
            return log::error!("asker: no answer to {kind}");
        }
        if number >= WARM_UP {
            costs.push(ticks * (1_000_000_000 / count_per_second().max(1)) / BATCH);
        }
    }
    costs.sort_unstable();
    let at = |place: usize| costs.get(place).copied().unwrap_or(0);
    log::info!("asker: {kind} {} {} {}", at(BATCHES / 2), at(0), at(BATCHES - 1));
}
