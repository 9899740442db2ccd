//! Wires the status page to its callers and rings; all logic is in the library.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use hybrid_interfaces::live::LiveClient;
use hybrid_interfaces::log::ReaderClient;
use hybrid_interfaces::provider::HostClient;
use hybrid_interfaces::security::InspectClient;
use hybrid_provider::{Lost, serve};
use libhybrid::ipc::CallError;
use libhybrid::{EndpointCaller, Env, now_ns, stop};
use status::{Gatherer, Status};

libhybrid::component!(run);

/// The page is at the root of the device.
const ENDPOINT: &str = "/";

fn run(env: Env) -> ! {
    let inspect = InspectClient::new(env.client("inspect"));
    let reader = ReaderClient::new(env.client("reader"));
    let gatherer = Gatherer::new(inspect, reader, LiveClient::new(env.client("live")));
    let Lost = serve(&env, "provider", Status::new(gatherer, now_ns), register);
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
