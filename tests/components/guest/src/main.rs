//! Answers requests with the greeting that it was installed with; panics when it is told to.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use hybrid_provider::{Provider, Request, Responder, Serving, Verb};
use libhybrid::interfaces::provider::{HostClient, HostRings};
use libhybrid::{Env, PeerNews, log};

libhybrid::component!(run);

struct Guest {
    greeting: &'static str,
    life: u16,
}

impl Provider for Guest {
    fn handle(&mut self, request: &Request<'_>, respond: &mut Responder) {
        match (request.verb, request.path) {
            (Verb::Read, "/") => respond.text(format!("{} in life {}\n", self.greeting, self.life)),
            (Verb::Read, "/panic") => panic!("in life {}, on request", self.life),
            _ => respond.not_found(),
        }
    }
}

fn run(env: Env) -> ! {
    let guest = Guest { greeting: env.parameter("greeting").unwrap_or("nothing"), life: env.start().generation };
    log::info!("{} moved in", guest.greeting);
    let session = env.session("provider");
    let Ok(rings) = HostRings::client(session.region()) else { libhybrid::stop() };
    let mut serving = Serving::new(guest, rings);
    let mut host = HostClient::new(env.client("provider"));
    if host.register("/").is_err() {
        log::info!("refused as it must be: to serve beyond its prefix");
    }
    let _served_or_told_when_back = host.register("/guest");
    while let Ok(must_ring) = serving.on_bell() {
        session.bell.ring_if(must_ring);
        let _any_bell = env.wait();
        for change in env.peer_changes() {
            if change.of_use("provider") == Some(PeerNews::Back)
                && let Ok(rings) = HostRings::client(change.session.region())
            {
                serving.begin_again(rings);
                let _as_above = host.register("/guest");
            }
        }
    }
    libhybrid::stop()
}
