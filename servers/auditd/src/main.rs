//! Wires the kernel's list and the shown graph to the comparison; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]
extern crate alloc;

use alloc::vec::Vec;

use auditd::fact::Fact;
use auditd::{List, Server};
use hybrid_capgraph::{Graph, layout};
use libhybrid::drv::Mmio;
use libhybrid::interfaces::live::dispatch_live;
use libhybrid::ipc::{Incoming, Outgoing};
use libhybrid::sys::Audit;
use libhybrid::{Component, Env, log, now_ns};

libhybrid::component!(run);

/// As many capabilities as the heap has room to compare: eight times those of the gateway, and a third more than the largest product (`gateway-utils`)
/// has. A list without end is none.
const FACTS_MAX: usize = 56_000;

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

struct Auditd(Server<Kernel>);

impl Component for Auditd {
    fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        dispatch_live(&mut self.0, incoming, outgoing);
    }

    fn on_bell(&mut self, _bits: u64) {}
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
    // It looks when it is asked: the supervisor asks before anything starts that moves frames, after each new life, and now and then.
    env.serve(&mut Auditd(server))
}
