//! What a neighbour can take of a program, and what it may not say.
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

/// What a client may not say, after a connection 1 that was accepted and one 2 that waits; each is the end of the session.
#[test]
fn neighbour_that_breaks_its_word_is_as_one_that_died() {
    let whole = || Said::Data(1, vec![0; CHUNK]);
    let cases = [
        vec![Said::Connect(1, true)],
        vec![Said::Accepted(1)],
        vec![Said::Data(2, vec![1])],
        vec![Said::Data(1, Vec::new())],
        vec![Said::Data(7, vec![1])],
        vec![Said::Credit(1, 1)],
        vec![Said::Credit(1, 0)],
        vec![Said::Credit(1, u32::MAX)],
        vec![Said::Finished(2)],
        vec![Said::Deaf(2)],
        vec![Said::Finished(1), Said::Finished(1)],
        vec![Said::Deaf(1), Said::Deaf(1)],
        vec![Said::Finished(1), Said::Data(1, vec![1])],
        vec![Said::Closed(7, Reason::Finished)],
        vec![Said::Closed(2, Reason::Finished), Said::Closed(2, Reason::Finished)],
        vec![Said::Closed(1, Reason::Reset), Said::Credit(1, 1)],
        vec![whole(), whole(), Said::Data(1, vec![1])],
        (10..10 + CONNECTIONS_MAX as u32).map(|number| Said::Connect(number, true)).collect(),
    ];
    for case in cases {
        let mut pair = Pair::new();
        let listener = pair.listener(0);
        pair.calls.borrow_mut().push_back(Said::Connect(1, true));
        pair.server.ring();
        let accepted = pair.server.accept(listener);
        pair.calls.borrow_mut().extend([Said::Connect(3, true), Said::Connect(2, true)]);
        pair.server.ring();
        assert_eq!(pair.server.process.crossing_count(), 3);
        // What it is answered has no room: nothing is over that only one side ended.
        pair.server.session().room = 0;
        pair.calls.borrow_mut().extend(case.iter().cloned());
        pair.server.ring();
        assert!(!pair.server.session().is_up, "{case:?}");
        assert_eq!(pair.server.process.crossing_count(), 0, "{case:?}");
        let _what_came = pair.server.read(accepted, WINDOW);
        assert_ne!(pair.server.ready(accepted) & bits::HUP, 0, "{case:?}");
    }
}

#[test]
fn server_that_breaks_its_word_is_as_one_that_died() {
    let cases = [
        vec![Said::Connect(0, true)],
        vec![Said::Accepted(5)],
        vec![Said::Data(0, vec![1])],
        vec![Said::Accepted(0), Said::Accepted(0)],
        vec![Said::Accepted(0), Said::Credit(0, 1)],
    ];
    for case in cases {
        let mut pair = Pair::new();
        let socket = pair.calling();
        pair.answers.borrow_mut().extend(case.iter().cloned());
        pair.client.ring();
        assert!(!pair.client.session().is_up, "{case:?}");
        assert_ne!(pair.client.error(socket), 0, "{case:?}");
        assert_eq!(pair.client.process.crossing_count(), 0, "{case:?}");
        let again = pair.client.stream(UNIX, NONBLOCK);
        let refused = Errno::ECONNREFUSED.negated();
        assert_eq!(pair.client.with_address(number::CONNECT, again, &path(PLACE)), refused);
    }
}
