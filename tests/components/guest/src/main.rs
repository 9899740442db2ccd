//! Answers requests with the greeting that it was installed with; panics when it is told to.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use hybrid_provider::{Lost, Provider, Request, Responder, Verb, serve};
use libhybrid::{Env, log};

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
    let mut is_first = true;
    let Lost = serve(&env, "provider", guest, |host| {
        if core::mem::take(&mut is_first) && host.register("/").is_err() {
            log::info!("refused as it must be: to serve beyond its prefix");
        }
        let _served_or_told_when_back = host.register("/guest");
    });
    libhybrid::stop()
}
