//! httpd when its peers die and come back: what fails at once, what goes on, and that nothing is left behind.

use super::simulation::{EchoProvider, Simulation};
use hybrid_interfaces::provider::Error;

#[test]
fn provider_that_dies_is_503_until_its_next_life_registers() {
    let mut sim = Simulation::new();
    let (client, other) = (sim.connect(), sim.connect());
    sim.server.register(0, "/old").expect("free");
    sim.get(client, "/");
    sim.get(other, "/lamp");
    sim.server.on_provider_gone(0, &mut sim.world);
    sim.settle();
    assert_eq!(sim.statuses(client), ["503"], "at once, not after its time");
    sim.get(client, "/old");
    assert_eq!(sim.statuses(client), ["503", "503"]);
    EchoProvider::new(1).work(&mut sim);
    assert_eq!(sim.statuses(other), ["200"], "the others go on");
    // Its next life has a ring of its own, and finds there nothing of the last one's.
    sim.world.inboxes[0].clear();
    assert_eq!(sim.server.register(0, "/"), Ok(()));
    sim.get(client, "/");
    assert_eq!(sim.world.inboxes[0].len(), 1);
    EchoProvider::new(0).work(&mut sim);
    assert_eq!(sim.statuses(client), ["503", "503", "200"]);
    assert_eq!(sim.server.routes.owner("/old"), None, "what the last life served is over");
}

#[test]
fn provider_that_stays_away_loses_its_endpoint_to_another() {
    let mut sim = Simulation::new();
    let client = sim.connect();
    sim.server.on_provider_gone(0, &mut sim.world);
    assert_eq!(sim.server.register(1, "/"), Ok(()));
    assert_eq!(sim.server.register(0, "/"), Err(Error::EndpointInUse));
    sim.get(client, "/");
    EchoProvider::new(1).work(&mut sim);
    assert_eq!(sim.statuses(client), ["200"]);
}

#[test]
fn provider_that_dies_ten_thousand_times_leaves_nothing() {
    let mut sim = Simulation::new();
    for round in 0..10_000 {
        let client = sim.connect();
        sim.server.register(0, "/").expect("its own");
        sim.get(client, "/");
        if round % 2 == 0 {
            sim.server.on_provider_gone(0, &mut sim.world);
        } else {
            // The stack dies instead, and with it the client.
            sim.server.on_stack_lost(&mut sim.world);
            sim.server.on_provider_gone(0, &mut sim.world);
        }
        sim.settle();
        sim.world.inboxes[0].clear();
        sim.close(client);
        assert!(sim.server.is_empty_but_for_reserves(), "round {round}");
    }
}
