//! What a neighbour can take of a server: nothing that is left behind counts for less than what is open.
use super::*;

/// It connects, closes what was accepted for it, and begins anew: what it leaves in the queue is no more than it could have there open.
#[test]
fn client_leaves_no_more_in_the_queue_than_its_connections() {
    let mut pair = Pair::new();
    // Room for all that it tries.
    pair.server = neighbour_with(1000, Some(CLIENT), &pair.answers, &pair.calls);
    let listener = pair.listener(128);
    for round in 0..3 * CONNECTIONS_MAX {
        let socket = pair.calling();
        pair.settle();
        let expected = if round < CONNECTIONS_MAX { 0 } else { Errno::EAGAIN.number() };
        assert_eq!(pair.client.error(socket), expected, "{round}");
        assert_eq!(pair.client.call(number::CLOSE, &[socket]), 0);
        pair.settle();
    }
    // One is accepted: there is room for one.
    let closed = pair.server.accept(listener);
    assert_eq!(pair.server.read(closed, 1), Ok(Vec::new()));
    let (in_time, late) = (pair.calling(), pair.calling());
    pair.settle();
    assert_eq!((pair.client.error(in_time), pair.client.error(late)), (0, Errno::EAGAIN.number()));
}

#[test]
fn refused_socket_may_try_again_once_that_was_told() {
    let mut pair = Pair::new();
    let socket = pair.calling();
    pair.settle();
    let again = |pair: &mut Pair| pair.client.with_address(number::CONNECT, socket, &path(PLACE));
    assert_eq!(again(&mut pair), Errno::ECONNREFUSED.negated(), "of the one before");
    assert_eq!(again(&mut pair), Errno::EINPROGRESS.negated());
    pair.settle();
    assert_eq!(pair.client.error(socket), Errno::ECONNREFUSED.number());
    let listener = pair.listener(5);
    assert_eq!(again(&mut pair), Errno::EINPROGRESS.negated());
    pair.settle();
    assert_eq!(again(&mut pair), 0);
    let server = pair.server.accept(listener);
    assert_eq!(pair.client.send(socket, b"at last"), 7);
    pair.settle();
    assert_eq!(pair.server.read(server, 9), Ok(b"at last".into()));
    // The same of one that waits.
    assert_eq!(pair.server.call(number::CLOSE, &[listener]), 0);
    let waits = pair.client.stream(UNIX, 0);
    pair.client.world.write(AT, &path(PLACE)).unwrap();
    for _ in 0..2 {
        assert_eq!(pair.client.on(1, number::CONNECT, &[waits, AT, 12]), Outcome::Park);
        pair.settle();
        assert_eq!(pair.client.process.take_result(1), Some(Errno::ECONNREFUSED.negated()));
    }
}

#[test]
fn room_for_all_that_a_neighbour_may_open_is_there_before_its_first_word() {
    let mut pair = Pair::new();
    pair.server.ring();
    assert!(pair.server.process.crossing_room() >= CONNECTIONS_MAX);
}

#[test]
fn ring_that_is_found_broken_by_who_writes_it_is_the_end_of_all_connections() {
    let mut pair = Pair::new();
    let listener = pair.listener(5);
    let (client, _server) = pair.open(listener);
    let asking = pair.calling();
    pair.client.session().is_broken = true;
    // Nothing rings.
    assert_eq!(pair.client.send(client, b"x"), 1);
    assert_eq!(pair.client.process.crossing_count(), 0);
    assert_eq!(pair.client.read(client, 1), Err(Errno::ECONNRESET.negated()));
    assert_eq!(pair.client.error(asking), Errno::ECONNREFUSED.number());
}

/// Each always has more to send than fits.
#[test]
fn every_connection_has_its_turn_at_a_ring_with_room_for_one_word() {
    let mut pair = Pair::new();
    let listener = pair.listener(5);
    let open: Vec<(u64, u64)> = (0..3).map(|_| pair.open(listener)).collect();
    pair.client.session().room = 1;
    let mut read = [0; 3];
    for _ in 0..60 {
        open.iter().for_each(|(client, _)| while pair.client.send(*client, &[1; 4096]) > 0 {});
        pair.server.ring();
        for (bytes, (_, server)) in read.iter_mut().zip(&open) {
            *bytes += pair.server.read(*server, 2 * WINDOW).map_or(0, |read| read.len());
        }
        pair.client.ring();
    }
    let (least, most) = (read.iter().min().unwrap(), read.iter().max().unwrap());
    assert!(2 * least > *most, "{read:?}");
}
