//! Wires the kernel's list, the shown graph and the alarm to the comparison; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]
extern crate alloc;

use alloc::vec::Vec;

use auditd::fact::Fact;
use auditd::{List, Server};
use hybrid_capgraph::{Graph, layout};
use libhybrid::drv::Mmio;
use libhybrid::interfaces::live::dispatch_live;
use libhybrid::interfaces::time::AlarmClient;
use libhybrid::ipc::{Incoming, Outgoing};
use libhybrid::sys::Audit;
use libhybrid::{Component, EndpointCaller, Env, log, now_ns};

libhybrid::component!(run);

/// As many capabilities as the heap has room to compare, twice those of the gateway: a list without end is none.
const FACTS_MAX: usize = 12_000;
/// How long nobody looks, unless somebody asks.
const INTERVAL_NS: u64 = 10_000_000_000;

struct Kernel(Audit);

impl List for Kernel {
    fn facts(&mut self) -> Option<Vec<Fact>> {
        let mut facts = Vec::new();
        let mut is_first = true;
        while facts.len() < FACTS_MAX {
            if self.0.list(is_first, |entry| facts.push(Fact::of(entry))).ok()? == 0 {
                return Some(facts);
            }
            is_first = false;
        }
        None
    }

    fn now_ns(&self) -> u64 {
        now_ns()
    }
}

struct Auditd {
    server: Server<Kernel>,
    alarm: AlarmClient<EndpointCaller>,
}

impl Auditd {
    /// While timed is down the next look waits for it, or for who asks.
    fn sleep(&mut self) {
        let _unable = self.alarm.set(now_ns().saturating_add(INTERVAL_NS));
    }
}

impl Component for Auditd {
    fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        dispatch_live(&mut self.server, incoming, outgoing);
    }

    fn on_bell(&mut self, _bits: u64) {
        if let Ok(Some(_expired)) = self.alarm.pull_expired() {
            self.server.compare();
            self.sleep();
        }
    }

    fn on_peer(&mut self, change: &libhybrid::PeerChange) {
        if change.of_use("alarm") == Some(libhybrid::PeerNews::Back) {
            self.sleep();
        }
    }
}

/// The graph as securityd shows it: its length, then its bytes.
fn graph(shown: &Mmio) -> Option<Graph> {
    if shown.len() < 8 {
        return None;
    }
    let length = usize::try_from(shown.read64(0)).ok().filter(|length| *length <= shown.len() - 8)?;
    let bytes: Vec<u8> = (8..8 + length).map(|at| shown.read8(at)).collect();
    Graph::decode(&bytes).ok()
}

fn run(env: Env) -> ! {
    let graph = graph(&env.mmio("list"));
    if graph.is_none() {
        log::error!("no graph is shown to compare with");
    }
    let server = Server::new(Kernel(Audit::at(layout::SLOT_AUDIT.into())), graph);
    let mut auditd = Auditd { server, alarm: AlarmClient::new(env.client("alarm")) };
    // Nothing below this priority has run yet when the system starts: the first word is said before a frame is received.
    auditd.server.compare();
    auditd.sleep();
    env.serve(&mut auditd)
}
