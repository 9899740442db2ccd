//! Full tables, lost rings and silent providers; no protocol cases.
#![expect(clippy::cast_possible_truncation, reason = "the numbers of tests are small")]

use super::simulation::{EchoProvider, Simulation};
use crate::limits::{CONNECTIONS_MAX, PEER_CONNECTIONS_MAX};
use crate::server::Counts;
use hybrid_interfaces::net::stack::Address;
use hybrid_interfaces::provider::Request;

/// The `place`-th of many connections: no peer has more than a hundred.
fn connect_one_of_many(sim: &mut Simulation, place: usize) -> u32 {
    sim.connect_from(Address::V4([10, 0, 3, (place / 100) as u8]), 1 << 20)
}

/// A connection that is a little younger than all others.
fn connect_later(sim: &mut Simulation) -> u32 {
    sim.now += 1000;
    sim.connect()
}

#[test]
fn idle_connection_that_waited_longest_goes_first_whatever_its_patience() {
    let mut sim = Simulation::new();
    let kept = sim.connect();
    sim.get(kept, "/");
    EchoProvider::new(0).work(&mut sim);
    sim.pass(5);
    let clients: Vec<u32> = (0..PEER_CONNECTIONS_MAX).map(|_| connect_later(&mut sim)).collect();
    assert!(sim.world.clients[&kept].is_aborted, "5 of its 60 s");
    assert!(clients.iter().all(|client| !sim.world.clients[client].is_aborted), "none of their 10 s");
}

#[test]
fn connections_beyond_the_table_take_the_place_of_idle_ones() {
    let mut sim = Simulation::new();
    let clients: Vec<u32> = (0..CONNECTIONS_MAX).map(|place| connect_one_of_many(&mut sim, place)).collect();
    sim.get(clients[0], "/");
    let more = sim.connect();
    assert_eq!(sim.server.counts().connections, CONNECTIONS_MAX);
    assert!(!sim.world.clients[&clients[0]].is_aborted);
    assert_eq!(clients.iter().filter(|client| sim.world.clients[client].is_aborted).count(), 1);
    sim.get(more, "/");
    EchoProvider::new(0).work(&mut sim);
    assert_eq!(sim.statuses(more), ["200"]);
}

#[test]
fn busy_table_refuses_the_next_connection() {
    let mut sim = Simulation::new();
    for place in 0..CONNECTIONS_MAX {
        let client = connect_one_of_many(&mut sim, place);
        sim.send(client, "GET / HT");
    }
    let more = sim.connect();
    assert!(sim.world.clients[&more].is_aborted);
    assert_eq!(sim.server.counts().connections, CONNECTIONS_MAX);
}

#[test]
fn one_peer_with_many_connections_keeps_nobody_out() {
    let mut sim = Simulation::new();
    let other = sim.connect_from(Address::V4([10, 0, 3, 1]), 1 << 20);
    let clients: Vec<u32> = (0..600).map(|_| connect_later(&mut sim)).collect();
    assert_eq!(sim.server.counts().connections, PEER_CONNECTIONS_MAX + 1);
    assert!(clients[..280].iter().all(|client| sim.world.clients[client].is_aborted), "its own idle ones go first");
    assert!(clients[280..].iter().all(|client| !sim.world.clients[client].is_aborted));
    for &client in &clients[280..] {
        sim.send(client, "GET / HT");
    }
    let more = sim.connect();
    assert!(sim.world.clients[&more].is_aborted, "its busy ones stay");
    sim.get(other, "/");
    EchoProvider::new(0).work(&mut sim);
    assert_eq!(sim.statuses(other), ["200"]);
}

#[test]
fn one_ipv6_network_is_one_peer() {
    let mut sim = Simulation::new();
    for place in 0..600u16 {
        let mut address = [0x20; 16];
        address[14..].copy_from_slice(&place.to_be_bytes());
        sim.connect_from(Address::V6(address), 1 << 20);
    }
    assert_eq!(sim.server.counts().connections, PEER_CONNECTIONS_MAX);
}

#[test]
fn reset_without_room_is_said_later() {
    let mut sim = Simulation::new();
    let clients: Vec<u32> = (0..PEER_CONNECTIONS_MAX).map(|_| connect_later(&mut sim)).collect();
    sim.world.tcp_room = 0;
    let more: Vec<u32> = (0..3).map(|_| connect_later(&mut sim)).collect();
    assert_eq!(sim.server.counts().connections, PEER_CONNECTIONS_MAX);
    assert!(clients.iter().all(|client| !sim.world.clients[client].is_aborted));
    // The peer of one ends it before the reset is said: that number may be another's soon.
    sim.close(clients[1]);
    sim.world.tcp_room = 1;
    sim.settle();
    assert!(sim.world.clients[&clients[0]].is_aborted);
    sim.world.tcp_room = usize::MAX;
    sim.settle();
    let aborted = |client: &&u32| sim.world.clients[client].is_aborted;
    assert_eq!(clients.iter().filter(aborted).collect::<Vec<_>>(), [&clients[0], &clients[2]]);
    for client in clients.into_iter().chain(more) {
        sim.close(client);
    }
    assert!(sim.server.is_empty_but_for_reserves());
}

#[test]
fn provider_cannot_buy_time_with_empty_words() {
    let mut sim = Simulation::new();
    let (empty, steady) = (sim.connect(), sim.connect());
    sim.get(empty, "/");
    sim.get(steady, "/");
    let requests = [sim.take_head(0).request, sim.take_head(0).request];
    for request in requests {
        sim.respond_head(0, request, Some(100), true);
    }
    for _ in 0..40 {
        sim.respond_body(0, requests[0], b"", false);
        sim.respond_body(0, requests[1], b"x", false);
        sim.pass(1);
    }
    assert!(sim.world.clients[&empty].is_aborted, "no byte in 30 s");
    assert!(!sim.world.clients[&steady].is_aborted);
}

#[test]
fn credit_of_nothing_is_a_fault() {
    let mut sim = Simulation::new();
    let client = sim.connect();
    sim.send(client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n");
    let head = sim.take_head(0);
    sim.respond_credit(0, head.request, 0);
    assert_eq!(sim.statuses(client), ["502"]);
    assert_eq!(sim.server.counts().exchanges, 0);
}

#[test]
fn provider_that_breaks_its_ring_of_requests_fails_at_once() {
    let mut sim = Simulation::new();
    let clients = [sim.connect(), sim.connect(), sim.connect()];
    sim.get(clients[0], "/");
    sim.get(clients[1], "/");
    sim.take_head(0);
    sim.world.broken = Some(0);
    sim.get(clients[2], "/");
    for client in clients {
        assert_eq!(sim.statuses(client), ["502"], "without waiting for a time-out");
    }
    sim.get(clients[0], "/");
    assert_eq!(sim.statuses(clients[0]), ["502", "503"]);
    assert_eq!(sim.server.counts(), Counts { connections: 3, ..Counts::default() });
}

#[test]
fn broken_ring_is_found_by_credit_body_and_cancellation_too() {
    type Touch = fn(&mut Simulation, u32, u32);
    let touches: [Touch; 3] = [
        |sim, _, request| {
            sim.respond_head(0, request, Some(100_000), true);
            sim.respond_body(0, request, &[b'x'; 4096], false);
            sim.respond_body(0, request, &[b'x'; 4096], false);
        },
        |sim, client, _| sim.send(client, "0123456789"),
        |sim, client, _| sim.close(client),
    ];
    for touch in touches {
        let mut sim = Simulation::new();
        let (client, other) = (sim.connect(), sim.connect());
        sim.send(client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n");
        sim.get(other, "/");
        let Some(Request::Head(head)) = sim.take(0) else { panic!("a head") };
        sim.world.broken = Some(0);
        touch(&mut sim, client, head.request);
        assert_eq!(sim.statuses(other), ["502"]);
        assert_eq!(sim.server.counts().exchanges, 0);
    }
}
