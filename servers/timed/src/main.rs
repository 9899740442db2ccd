//! Wires the EL1 physical timer, its interrupt and the clients' bells to the alarms; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]
extern crate alloc;

use alloc::vec::Vec;
use libhybrid::drv::{Irq, timer};
use libhybrid::interfaces::time::dispatch_alarm;
use libhybrid::ipc::{Incoming, Outgoing};
use libhybrid::{Bell, Component, Env, PeerChange, PeerNews, log, now_ns};
use timed::{Server, Timer};

libhybrid::component!(run);

struct Hardware {
    bells: Vec<Bell>,
}

impl Timer for Hardware {
    fn now_ns(&self) -> u64 {
        now_ns()
    }

    fn arm(&mut self, deadline_ns: Option<u64>) {
        match deadline_ns {
            Some(deadline_ns) => timer::arm(deadline_ns),
            None => timer::disarm(),
        }
    }

    fn ring(&mut self, client: usize) {
        self.bells.get(client).copied().unwrap_or_default().ring();
    }
}

struct Timed {
    server: Server<Hardware>,
    irq: Irq,
}

impl Component for Timed {
    fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        dispatch_alarm(&mut self.server, incoming, outgoing);
    }

    fn on_bell(&mut self, bits: u64) {
        self.server.turn();
        if self.irq.is_in(bits) && self.irq.ack().is_err() {
            log::error!("interrupt {} cannot be acknowledged", self.irq.number());
        }
    }

    fn on_peer(&mut self, change: &PeerChange) {
        if let Some((client, PeerNews::Gone(_))) = change.of_client("alarm") {
            self.server.forget(client);
        }
    }
}

fn run(env: Env) -> ! {
    let (clients, bells) =
        env.provided("alarm").iter().filter_map(|session| Some((session.client?, session.bell))).unzip();
    let irq = env.irq("timer");
    timer::disarm();
    if irq.ack().is_err() {
        log::error!("interrupt {} cannot be acknowledged: no alarm will fire", irq.number());
    }
    env.serve(&mut Timed { server: Server::new(clients, Hardware { bells }), irq })
}
