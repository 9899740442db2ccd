//! TCP: transfers over a bad wire, bursts, half-close, resets, dead peers, TIME-WAIT.
use super::simulation::*;
use crate::*;
use smoltcp::socket::tcp::State;
use smoltcp::time::Duration;
use std::vec::Vec;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut chance = Chance(seed | 1);
    (0..len).map(|_| chance.below(256) as u8).collect()
}

/// How a client echoes.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    AtOnce,
    /// It reads no more until it has written what it read.
    InTurns,
    /// When all has come.
    AtTheEnd,
}

/// The peer sends `data` and gets it back from a client that echoes.
fn echo(world: &mut World, data: &[u8], manner: Manner, limit: Duration) {
    world.listen(0, 7, 8).expect("free port");
    let peer = world.peer_connect(7, 40000);
    let (mut sent, mut echoed, mut back) = (0, 0, Vec::new());
    world.until("echo", limit, |world| {
        let socket = world.peer_tcp(peer);
        if socket.may_send() && sent < data.len() {
            sent += socket.send_slice(&data[sent..]).unwrap_or(0);
            if sent == data.len() {
                socket.close();
            }
        }
        while socket.can_recv() {
            socket.recv(|bytes| (bytes.len(), back.extend_from_slice(bytes))).expect("can receive");
        }
        if let Some(&(_, connection, _)) = world.clients.accepted.first()
            && world.known(0, connection).closed.is_none()
        {
            if manner != Manner::InTurns || echoed == world.known(0, connection).data.len() {
                world.give_back(0, connection);
            }
            if manner != Manner::AtTheEnd || world.known(0, connection).is_peer_finished {
                let ready = world.known(0, connection).data[echoed..].to_vec();
                echoed += world.send(0, connection, &ready);
            }
            if world.known(0, connection).is_peer_finished && echoed == world.known(0, connection).data.len() {
                world.command(0, Command::Finish { connection });
            }
        }
        back.len() == data.len()
    });
    assert_eq!(back, data);
    let connection = world.clients.accepted[0].1;
    world.until("close", MINUTE, |world| world.known(0, connection).closed.is_some());
    assert_eq!(world.known(0, connection).closed, Some(CloseReason::Finished));
    assert_eq!(world.stack.connection_count(), 0);
}

#[test]
fn echo_perfect_wire_returns_all() {
    echo(&mut World::new(), &pattern(2 << 20, 1), Manner::AtOnce, MINUTE);
}

#[test]
fn echo_by_a_client_that_reads_no_more_until_it_has_written_returns_all() {
    echo(&mut World::new(), &pattern(200_000, 3), Manner::InTurns, MINUTE);
}

#[test]
fn echo_lossy_reordering_wire_returns_all() {
    for seed in 1..6 {
        let mut world = World::new();
        world.chance = Chance(seed * 0x9e37_79b9);
        for wire in [&mut world.to_peer, &mut world.to_stack] {
            wire.loss_percent = 3;
            wire.is_wild = true;
        }
        // Not both ways at once: a smoltcp peer that retransmits acknowledges with an old sequence number, which this side then
        // rightly ignores. Other peers do not.
        echo(&mut world, &pattern(200_000, seed), Manner::AtTheEnd, Duration::from_secs(1200));
    }
}

#[test]
fn echo_tiny_rings_returns_all() {
    let mut world = World::new();
    world.driver_room = 2;
    world.event_room = 1;
    echo(&mut world, &pattern(300_000, 9), Manner::AtOnce, Duration::from_secs(600));
}

#[test]
fn accept_burst_all_are_accepted() {
    let mut world = World::new();
    world.listen(0, 80, 128).expect("free port");
    let peers: Vec<_> = (0..200).map(|number| world.peer_connect(80, 20000 + number)).collect();
    world.until("burst", SECOND * 30, |world| world.clients.accepted.len() == 200);
    for peer in peers {
        assert_eq!(world.peer_tcp(peer).state(), State::Established);
    }
    assert_eq!(world.stack.connection_count(), 200);
}

#[test]
fn accept_full_backlog_drops_and_recovers() {
    let mut world = World::new();
    world.is_reading = false;
    world.listen(0, 80, 4).expect("free port");
    let peers: Vec<_> = (0..10).map(|number| world.peer_connect(80, 20000 + number)).collect();
    world.run(SECOND * 2);
    assert_eq!(world.stack.connection_count(), 4);
    assert!(world.stack.refused().0 >= 6);
    assert_eq!(world.clients.accepted.len(), 0);
    world.is_reading = true;
    world.until("the rest", MINUTE, |world| world.clients.accepted.len() >= 10);
    for peer in peers {
        assert_eq!(world.peer_tcp(peer).state(), State::Established);
    }
}

#[test]
fn connect_total_bound_is_kept() {
    let mut world = World::new();
    world.listen(0, 80, 128).expect("free port");
    for number in 0..300 {
        world.peer_connect(80, 20000 + number);
    }
    world.run(SECOND * 3);
    // Two sessions share the total.
    assert_eq!(world.clients.accepted.len(), CONNECTIONS_MAX / 2);
    assert_eq!(world.stack.connection_count(), CONNECTIONS_MAX / 2);
    // One goes, one of the waiting comes in.
    let (_, connection, _) = world.clients.accepted[0];
    world.command(0, Command::Abort { connection });
    world.until("next", MINUTE, |world| world.clients.accepted.len() > CONNECTIONS_MAX / 2);
}

#[test]
fn short_connections_many_in_a_row_leave_nothing() {
    let mut world = World::new();
    world.listen(0, 80, 64).expect("free port");
    let mut served = 0;
    for number in 0..2000_u32 {
        // The ports come round while the first ones still are in TIME-WAIT.
        let peer = world.peer_connect(80, 20000 + u16::try_from(number % 50).expect("small"));
        world.until("answer", SECOND * 10, |world| {
            while served < world.clients.accepted.len() {
                let (_, connection, _) = world.clients.accepted[served];
                served += 1;
                world.send(0, connection, b"HTTP/1.1 200 OK\r\n\r\n");
                world.command(0, Command::Finish { connection });
            }
            let socket = world.peer_tcp(peer);
            if !socket.may_recv() && socket.may_send() && !socket.is_listening() && socket.state() == State::CloseWait {
                socket.close();
            }
            socket.recv(|bytes| (bytes.len(), ())).ok();
            socket.state() == State::Closed && served == number as usize + 1
        });
        world.peer_sockets.remove(peer);
        // The client forgets what is closed, so that the world stays small.
        world.clients.connections.retain(|_, known| known.closed.is_none());
    }
    world.until("all closed", MINUTE, |world| world.clients.connections.values().all(|each| each.closed.is_some()));
    assert_eq!(world.stack.connection_count(), 0);
    assert_eq!(world.stack.refused().0, 0);
}

#[test]
fn close_by_peer_first_client_may_still_send() {
    let mut world = World::new();
    world.listen(0, 80, 4).expect("free port");
    let peer = world.peer_connect(80, 20000);
    world.until("accept", SECOND, |world| world.clients.accepted.len() == 1);
    let connection = world.clients.accepted[0].1;
    world.peer_tcp(peer).send_slice(b"request").expect("open");
    world.peer_tcp(peer).close();
    world.until("end", SECOND, |world| world.known(0, connection).is_peer_finished);
    assert_eq!(world.known(0, connection).data, b"request");
    let answer = pattern(50_000, 3);
    let mut sent = 0;
    let mut got = Vec::new();
    world.until("answer", SECOND * 10, |world| {
        sent += world.send(0, connection, &answer[sent..]);
        let socket = world.peer_tcp(peer);
        if socket.can_recv() {
            socket.recv(|bytes| (bytes.len(), got.extend_from_slice(bytes))).expect("can receive");
        }
        got.len() == answer.len()
    });
    assert_eq!(got, answer);
    world.command(0, Command::Finish { connection });
    world.until("closed", SECOND * 5, |world| world.known(0, connection).closed.is_some());
    assert_eq!(world.known(0, connection).closed, Some(CloseReason::Finished));
}

#[test]
fn reset_by_peer_is_told() {
    let mut world = World::new();
    world.listen(0, 80, 4).expect("free port");
    let peer = world.peer_connect(80, 20000);
    world.until("accept", SECOND, |world| world.clients.accepted.len() == 1);
    let connection = world.clients.accepted[0].1;
    world.peer_tcp(peer).abort();
    world.until("closed", SECOND, |world| world.known(0, connection).closed.is_some());
    assert_eq!(world.known(0, connection).closed, Some(CloseReason::Reset));
}

#[test]
fn peer_dead_is_timed_out() {
    let mut world = World::new();
    world.listen(0, 80, 4).expect("free port");
    world.peer_connect(80, 20000);
    world.until("accept", SECOND, |world| world.clients.accepted.len() == 1);
    let connection = world.clients.accepted[0].1;
    world.to_peer.loss_percent = 100;
    world.until("closed", MINUTE, |world| world.known(0, connection).closed.is_some());
    assert_eq!(world.known(0, connection).closed, Some(CloseReason::TimedOut));
    assert_eq!(world.stack.connection_count(), 0);
}

#[test]
fn peer_idle_but_alive_is_kept() {
    let mut world = World::new();
    world.listen(0, 80, 4).expect("free port");
    world.peer_connect(80, 20000);
    world.until("accept", SECOND, |world| world.clients.accepted.len() == 1);
    let before = world.polls;
    world.run(MINUTE * 10);
    let connection = world.clients.accepted[0].1;
    assert_eq!(world.known(0, connection).closed, None);
    // The world itself polls twenty times a second.
    assert!(world.polls - before < 10 * 60 * 25, "{} polls", world.polls - before);
}

#[test]
fn finish_peer_never_ends_is_given_up() {
    let mut world = World::new();
    world.listen(0, 80, 4).expect("free port");
    let peer = world.peer_connect(80, 20000);
    world.until("accept", SECOND, |world| world.clients.accepted.len() == 1);
    let connection = world.clients.accepted[0].1;
    world.command(0, Command::Finish { connection });
    world.run(SECOND * 30);
    assert_eq!(world.peer_tcp(peer).state(), State::CloseWait);
    assert_eq!(world.known(0, connection).closed, None);
    world.run(SECOND * 40);
    assert_eq!(world.known(0, connection).closed, Some(CloseReason::TimedOut));
}

#[test]
fn slow_client_connection_does_not_hold_up_another() {
    let mut world = World::new();
    world.listen(0, 80, 4).expect("free port");
    let slow = world.peer_connect(80, 20000);
    let quick = world.peer_connect(80, 20001);
    world.until("accept", SECOND, |world| world.clients.accepted.len() == 2);
    let of = |world: &World, port: u16| {
        world.clients.accepted.iter().find(|(_, _, peer)| peer.port == port).expect("accepted").1
    };
    let (slow_id, quick_id) = (of(&world, 20000), of(&world, 20001));
    let data = pattern(100_000, 5);
    let mut sent = [0, 0];
    world.until("quick one", SECOND * 10, |world| {
        for (index, peer) in [slow, quick].into_iter().enumerate() {
            let from = sent[index];
            sent[index] += world.peer_tcp(peer).send_slice(&data[from..]).expect("open");
        }
        world.give_back(0, quick_id);
        world.known(0, quick_id).data.len() == data.len()
    });
    assert_eq!(world.known(0, quick_id).data, data);
    assert_eq!(world.known(0, slow_id).data.len(), 8192, "credit is what is delivered, and no more");
    world.until("slow one", SECOND * 60, |world| {
        let from = sent[0];
        sent[0] += world.peer_tcp(slow).send_slice(&data[from..]).expect("open");
        world.give_back(0, slow_id);
        world.known(0, slow_id).data.len() == data.len()
    });
    assert_eq!(world.known(0, slow_id).data, data);
}

#[test]
fn data_before_late_credit_survives_time_wait() {
    let mut world = World::new();
    world.listen(0, 80, 4).expect("free port");
    let peer = world.peer_connect(80, 20000);
    world.until("accept", SECOND, |world| world.clients.accepted.len() == 1);
    let connection = world.clients.accepted[0].1;
    world.command(0, Command::Finish { connection });
    let data = pattern(12_000, 5);
    world.run(SECOND);
    world.peer_tcp(peer).send_slice(&data).expect("open");
    world.peer_tcp(peer).close();
    world.run(SECOND * 20); // Longer than TIME-WAIT.
    assert_eq!(world.known(0, connection).data.len(), 8192);
    assert_eq!(world.known(0, connection).closed, None);
    world.give_back(0, connection);
    world.until("rest", SECOND, |world| world.known(0, connection).closed.is_some());
    assert_eq!(world.known(0, connection).data, data);
    assert_eq!(world.known(0, connection).closed, Some(CloseReason::Finished));
}

#[test]
fn connect_to_peer_exchanges_data() {
    let mut world = World::new();
    let peer = world.peer_listen(99);
    let connection = FIRST_CLIENT_CONNECTION + 5;
    let to = IpEndpoint::new(PEER_ADDRESS.into(), 99);
    world.command(1, Command::Connect { connection, peer: to, local: ANY });
    world.until("connected", SECOND * 10, |world| world.clients.connections.contains_key(&(1, connection)));
    assert!(world.known(1, connection).is_open);
    world.send(1, connection, b"hello");
    world.until("data", SECOND, |world| world.peer_tcp(peer).can_recv());
    world.peer_tcp(peer).send_slice(b"you").expect("open");
    world.peer_tcp(peer).close();
    world.until("answer", SECOND, |world| world.known(1, connection).is_peer_finished);
    assert_eq!(world.known(1, connection).data, b"you");
    world.command(1, Command::Finish { connection });
    world.until("closed", SECOND, |world| world.known(1, connection).closed.is_some());
    assert_eq!(world.known(1, connection).closed, Some(CloseReason::Finished));
}

#[test]
fn connect_failures_are_told_once() {
    let mut world = World::new();
    let number = |offset: u32| FIRST_CLIENT_CONNECTION + offset;
    let refused = IpEndpoint::new(PEER_ADDRESS.into(), 9);
    let absent = IpEndpoint::new(IpAddress::v4(10, 0, 0, 77), 9);
    let portless = IpEndpoint::new(PEER_ADDRESS.into(), 0);
    world.command(0, Command::Connect { connection: number(0), peer: refused, local: ANY });
    world.command(0, Command::Connect { connection: number(1), peer: absent, local: ANY });
    world.command(0, Command::Connect { connection: number(2), peer: portless, local: ANY });
    world.until("ends", MINUTE, |world| {
        world.clients.connections.values().filter(|known| known.closed.is_some()).count() == 3
    });
    assert_eq!(world.known(0, number(0)).closed, Some(CloseReason::Reset));
    assert_eq!(world.known(0, number(1)).closed, Some(CloseReason::TimedOut));
    assert_eq!(world.known(0, number(2)).closed, Some(CloseReason::Unreachable));
    assert_eq!(world.stack.connection_count(), 0);
}

#[test]
fn unlisten_told_connections_stay() {
    let mut world = World::new();
    let listener = world.listen(0, 80, 4).expect("free port");
    let peer = world.peer_connect(80, 20000);
    world.until("accept", SECOND, |world| world.clients.accepted.len() == 1);
    assert_eq!(world.stack.unlisten(1, listener), Err(Refusal::NotFound), "of another session");
    world.stack.unlisten(0, listener).expect("mine");
    assert_eq!(world.stack.unlisten(0, listener), Err(Refusal::NotFound));
    let late = world.peer_connect(80, 20001);
    world.until("refused", SECOND * 5, |world| world.peer_tcp(late).state() == State::Closed);
    assert_eq!(world.peer_tcp(peer).state(), State::Established);
    world.listen(1, 80, 4).expect("free again");
}

#[test]
fn neighbor_that_becomes_known_wakes_all_that_wait() {
    let mut world = World::new();
    for number in 0..20 {
        let peer = IpEndpoint::new(PEER_ADDRESS.into(), 99);
        world.peer_listen(99);
        world.command(0, Command::Connect { connection: FIRST_CLIENT_CONNECTION + number, peer, local: ANY });
    }
    // One asks, the others wait for the answer, and not for a second.
    world.until("connected", Duration::from_millis(20), |world| {
        world.clients.connections.values().filter(|known| known.is_open).count() == 20
    });
}

#[test]
fn short_exchange_sends_no_needless_segments() {
    let mut world = World::new();
    world.listen(0, 80, 4).expect("free port");
    let peer = world.peer_connect(80, 20000);
    world.until("accept", SECOND, |world| world.clients.accepted.len() == 1);
    let connection = world.clients.accepted[0].1;
    let before = world.to_peer.carried;
    world.peer_tcp(peer).send_slice(b"request").expect("open");
    world.until("request", SECOND, |world| world.known(0, connection).data == b"request");
    world.give_back(0, connection);
    world.send(0, connection, b"answer");
    world.command(0, Command::Finish { connection });
    world.run(Duration::from_millis(100));
    assert_eq!(world.to_peer.carried - before, 1, "answer, acknowledgement and end in one segment");
}

#[test]
fn client_with_more_room_gets_more_and_no_more_than_it_said() {
    let mut world = World::new();
    world.listen(0, 80, 4).expect("free port");
    let peer = world.peer_connect(80, 20000);
    world.until("accept", SECOND, |world| world.clients.accepted.len() == 1);
    let connection = world.clients.accepted[0].1;
    let data = pattern(100_000, 5);
    let mut sent = 0;
    let mut send = |world: &mut World| sent += world.peer_tcp(peer).send_slice(&data[sent..]).expect("open");
    send(&mut world);
    world.run(SECOND * 2);
    assert_eq!(world.known(0, connection).data.len(), 8192);
    world.known(0, connection).extra = 20_000;
    world.command(0, Command::Credit { connection, bytes: 20_000 });
    for _ in 0..20 {
        send(&mut world);
        world.run(SECOND);
    }
    assert_eq!(world.known(0, connection).data.len(), 28_192);
    world.until("all", SECOND * 60, |world| {
        send(world);
        world.give_back(0, connection);
        world.known(0, connection).data.len() == data.len()
    });
    assert_eq!(world.known(0, connection).data, data);
}

/// Segments that were taken in together are acknowledged at once, not after the delay of a single one (RFC 9293 §3.8.6.3).
#[test]
fn segments_that_came_together_are_acknowledged_without_delay() {
    let mut world = World::new();
    world.listen(0, 80, 4).expect("free port");
    let peer = world.peer_connect(80, 20000);
    world.until("accept", SECOND, |world| world.clients.accepted.len() == 1);
    world.run(SECOND);
    world.peer_tcp(peer).set_nagle_enabled(false);
    world.peer_tcp(peer).send_slice(&[7; 2048]).expect("open");
    // Two segments, two ways of 200 µs; the delay is 10 ms.
    for _ in 0..50 {
        world.run(Duration::from_micros(100));
    }
    assert_eq!(world.peer_tcp(peer).send_queue(), 0);
}
