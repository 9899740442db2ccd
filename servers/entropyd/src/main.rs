//! Wires the source to the generator, and the generator to its clients; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use entropyd::{Server, Sick};
use libhybrid::interfaces::entropy::{SourceClient, dispatch_random};
use libhybrid::ipc::{Incoming, Outgoing};
use libhybrid::{Component, EndpointCaller, Env, log, stop};

libhybrid::component!(run);

struct Entropyd {
    server: Server,
    source: SourceClient<EndpointCaller>,
    /// That there is no source was told.
    is_lack_told: bool,
}

impl Entropyd {
    /// Asks the source once. False: it has nothing now, or is not there.
    fn seed(&mut self) -> Result<bool, Sick> {
        // A source that is being started again rings when it is back; a generator that is seeded can wait.
        let Ok(noise) = self.source.read() else {
            if !self.is_lack_told && !self.server.is_seeded() {
                log::info!("there is no source of noise now: waits until there is one");
            }
            self.is_lack_told = true;
            return Ok(false);
        };
        self.server.absorb(&noise).map(|()| !noise.is_empty())
    }

    /// Numbers stay good without fresh noise; the log tells of noise that is none.
    fn seed_again(&mut self) {
        let _outcome = self.seed();
    }
}

impl Component for Entropyd {
    fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        dispatch_random(&mut self.server, incoming, outgoing);
        if self.server.is_noise_due() {
            self.seed_again();
        }
    }

    fn on_bell(&mut self, _bits: u64) {
        // It rings after a read that found nothing.
        if let Ok(Some(_ready)) = self.source.pull_ready() {
            self.seed_again();
        }
    }
}

fn run(env: Env) -> ! {
    let source = SourceClient::new(env.client("source"));
    let mut entropyd = Entropyd { server: Server::default(), source, is_lack_told: false };
    log::info!("waits for noise; who needs numbers waits too");
    while !entropyd.server.is_seeded() {
        match entropyd.seed() {
            Ok(true) => {}
            Ok(false) => {
                let _bits = env.wait();
                env.peer_changes().for_each(drop);
                let _ready = entropyd.source.pull_ready();
            }
            // The supervisor starts it again, and gives up on it when the source stays as it is.
            Err(_sick) => stop(),
        }
    }
    log::info!("seeded");
    env.serve(&mut entropyd)
}
