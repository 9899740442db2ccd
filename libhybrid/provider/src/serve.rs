//! The loop of a component that is a provider and nothing else; knows no requests.
use crate::{Lost, Provider, Serving};
use hybrid_interfaces::provider::{HostClient, HostRings};
use hybrid_rt::{EndpointCaller, Env, PeerNews};

/// Serves on the use `name` of `hybrid.provider.Host`, until its server breaks the rings. `register` is to register the endpoints: it is called
/// at the beginning, and again when the server was started anew.
///
/// # Panics
/// If `component.toml` declares no such use.
pub fn serve(
    env: &Env,
    name: &str,
    provider: impl Provider,
    mut register: impl FnMut(&mut HostClient<EndpointCaller>),
) -> Lost {
    let session = env.session(name);
    let Ok(rings) = HostRings::client(session.region()) else { return Lost };
    let mut serving = Serving::new(provider, rings);
    let mut host = HostClient::new(env.client(name));
    register(&mut host);
    while let Ok(turn) = serving.on_bell() {
        session.bell.ring_if(turn.must_ring);
        let _any_bell = if turn.has_more { env.poll() } else { env.wait() };
        for change in env.peer_changes() {
            if change.of_use(name) == Some(PeerNews::Back)
                && let Ok(rings) = HostRings::client(change.session.region())
            {
                serving.begin_again(rings);
                register(&mut host);
            }
        }
    }
    Lost
}
