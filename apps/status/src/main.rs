//! Wires the status page to its callers and rings; all logic is in the library.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use hybrid_interfaces::log::ReaderClient;
use hybrid_interfaces::provider::{HostClient, HostRings};
use hybrid_interfaces::security::InspectClient;
use hybrid_provider::Serving;
use libhybrid::ipc::CallError;
use libhybrid::{EndpointCaller, Env, PeerNews, now_ns, stop};
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
    let mut host = HostClient::new(env.client("provider"));
    register(&mut host);
    while let Ok(must_ring) = serving.on_bell() {
        session.bell.ring_if(must_ring);
        let _any_bell = env.wait();
        for change in env.peer_changes() {
            if change.of_use("provider") == Some(PeerNews::Back)
                && let Ok(rings) = HostRings::client(change.session.region())
            {
                serving.begin_again(rings);
                register(&mut host);
            }
        }
    }
    log::error!("the protocol server broke the session: nothing is served any more");
    stop()
}

fn register(host: &mut HostClient<EndpointCaller>) {
    match host.register(ENDPOINT) {
        Ok(()) => log::info!("the status page is at {ENDPOINT}"),
        Err(CallError::ServerDied) => log::warn!("no protocol server yet: {ENDPOINT} is served when it is back"),
        Err(error) => log::error!("cannot serve {ENDPOINT}: {error:?}"),
    }
}
