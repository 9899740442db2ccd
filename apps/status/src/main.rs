//! Wires the status page to its callers and rings; all logic is in the library.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use hybrid_interfaces::log::ReaderClient;
use hybrid_interfaces::provider::{HostClient, HostRings};
use hybrid_interfaces::security::InspectClient;
use hybrid_provider::Serving;
use libhybrid::{Env, now_ns, stop};
use status::{Gatherer, Status};

libhybrid::component!(run);

/// The page is at the root of the device.
const ENDPOINT: &str = "/";

fn run(env: Env) -> ! {
    let gatherer = Gatherer::new(InspectClient::new(env.client("inspect")), ReaderClient::new(env.client("reader")));
    let session = env.session("provider");
    let Ok(rings) = HostRings::client(session.region()) else {
        panic!("the provider region is not as its interface says");
    };
    let mut serving = Serving::new(Status::new(gatherer, now_ns), rings);
    match HostClient::new(env.client("provider")).register(ENDPOINT) {
        Ok(()) => log::info!("the status page is at {ENDPOINT}"),
        Err(error) => log::error!("cannot serve {ENDPOINT}: {error:?}"),
    }
    while let Ok(must_ring) = serving.on_bell() {
        session.bell.ring_if(must_ring);
        let _any_bell = env.wait();
    }
    log::error!("the protocol server broke the session: nothing is served any more");
    stop()
}
