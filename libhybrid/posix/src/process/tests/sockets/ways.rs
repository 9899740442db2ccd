//! Connects that fail or are given up, listeners that are shut, errors behind what was moved, options and flags.
use super::super::datagrams::{OWN, v4};
use super::*;

const SOL_SOCKET: u64 = 1;
const TCP: u64 = 6;
const V4: u64 = 2;
const V6: u64 = 10;
const UNIX: u64 = 1;
const AGAIN: i64 = -11;
const FAR: [u8; 4] = [10, 0, 2, 2];

impl Program {
    fn set(&mut self, socket: u64, level: u64, name: u64, value: &[u8]) -> i64 {
        self.world.write(AT, value).unwrap();
        self.call(number::SETSOCKOPT, &[socket, level, name, AT, value.len() as u64])
    }

    fn get(&mut self, socket: u64, level: u64, name: u64) -> Result<Vec<u8>, i64> {
        self.put(AT + 64, &[16]);
        match self.call(number::GETSOCKOPT, &[socket, level, name, AT, AT + 64]) {
            0 => {
                let length = self.world.words::<1>(AT + 64)[0];
                Ok(self.bytes(AT, usize::try_from(length).unwrap()))
            }
            errno => Err(errno),
        }
    }

    fn receive_flags(&mut self, socket: u64, length: u64, flags: u64) -> i64 {
        self.call(number::RECVFROM, &[socket, FROM, length, flags, 0, 0])
    }
}

fn time(seconds: u64) -> Vec<u8> {
    [seconds, 0].map(u64::to_le_bytes).concat()
}

#[test]
fn connect_is_limited_by_the_time_for_sending_and_goes_on() {
    let mut program = Program::with_stack();
    let socket = program.stream(V4, 0);
    assert_eq!(program.set(socket, SOL_SOCKET, 20, &time(1)), 0);
    assert_eq!(program.set(socket, SOL_SOCKET, 21, &time(5)), 0);
    program.world.write(FROM, &v4(FAR, 80)).unwrap();
    assert_eq!(program.on(0, number::CONNECT, &[socket, FROM, 16]), Outcome::Park);
    assert_eq!(program.process.next_deadline(), Some(5_000_000_000));
    program.at(5_000_000_000);
    assert_eq!(program.process.take_result(0), Some(Errno::EINPROGRESS.negated()));
    program.hear([Event::Connected { connection: crate::net::FIRST_OWN, local: LOCAL, credit: 10 }]);
    assert_eq!(program.with_address(number::CONNECT, socket, &v4(FAR, 80)), 0);
}

/// The refusal is told once; then the socket is as it was bound, and what the first try had is free.
#[test]
fn socket_whose_connect_failed_may_try_again() {
    let mut program = Program::with_stack();
    let own = crate::net::FIRST_OWN;
    let memory = program.process.areas.free_bytes();
    let socket = program.stream(V4, 0o4000);
    assert_eq!(program.with_address(number::BIND, socket, &v4([0; 4], 4321)), 0);
    for number in 0..3 {
        assert_eq!(program.with_address(number::CONNECT, socket, &v4(FAR, 80)), Errno::EINPROGRESS.negated());
        assert!(program.said()[0].ends_with("port: 4321 })"));
        program.hear([Event::Closed(own + number, Reason::Reset)]);
        assert_eq!(program.with_address(number::CONNECT, socket, &v4(FAR, 80)), Errno::ECONNREFUSED.negated());
    }
    assert_eq!(program.with_address(number::CONNECT, socket, &v4(FAR, 80)), Errno::EINPROGRESS.negated());
    program.hear([Event::Connected { connection: own + 3, local: LOCAL, credit: 10 }]);
    assert_eq!(program.with_address(number::CONNECT, socket, &v4(FAR, 80)), 0);
    // One that was open is not begun anew.
    program.hear([Event::Closed(own + 3, Reason::Reset)]);
    assert_eq!(program.call(number::READ, &[socket, FROM, 1]), Errno::ECONNRESET.negated());
    assert!(program.with_address(number::CONNECT, socket, &v4(FAR, 80)) != Errno::EINPROGRESS.negated());
    assert_eq!(program.call(number::CLOSE, &[socket]), 0);
    assert_eq!(program.process.areas.free_bytes(), memory);
}

#[test]
fn error_behind_a_part_that_was_written_is_told_by_the_next_call() {
    let mut program = Program::with_stack();
    let socket = program.accepted(3_000);
    assert_eq!(program.on(0, number::WRITE, &[socket, FROM, 5_000]), Outcome::Park);
    program.hear([Event::Closed(1, Reason::Reset)]);
    assert_eq!(program.process.take_result(0), Some(3_000));
    assert_eq!(program.call(number::READ, &[socket, FROM, 1]), Errno::ECONNRESET.negated());
    assert_eq!(program.call(number::READ, &[socket, FROM, 1]), 0);
}

#[test]
fn listener_that_is_shut_wakes_who_accepts_and_may_listen_again() {
    let mut program = Program::with_stack();
    let listener = program.listener(0);
    assert_eq!(program.call(number::SHUTDOWN, &[listener, 1]), 0);
    assert_eq!(program.on(1, number::ACCEPT4, &[listener, 0, 0, 0]), Outcome::Park);
    assert_eq!(program.call(number::SHUTDOWN, &[listener, 2]), 0);
    assert_eq!(program.process.take_result(1), Some(Errno::EINVAL.negated()));
    assert_eq!(program.said(), ["unlisten 0"]);
    assert_eq!(program.call(number::ACCEPT4, &[listener, 0, 0, 0]), Errno::EINVAL.negated());
    assert_eq!(program.call(number::SHUTDOWN, &[listener, 2]), Errno::ENOTCONN.negated());
    program.world.net.as_mut().unwrap().ports.clear();
    assert_eq!(program.call(number::LISTEN, &[listener, 10]), 0);
    assert_eq!(program.world.net.as_ref().unwrap().ports, [80], "where it was bound");
    // Who waited there is reset.
    program.hear([Event::Accepted { connection: 1, listener: 0, peer: PEER, local: LOCAL, credit: 1 }]);
    assert_eq!(program.call(number::SHUTDOWN, &[listener, 0]), 0);
    assert_eq!(program.said(), ["unlisten 0", "Abort(1)"]);
}

#[test]
fn connect_under_way_that_is_shut_fails() {
    let mut program = Program::with_stack();
    let socket = program.stream(V4, 0);
    program.world.write(FROM, &v4(FAR, 80)).unwrap();
    assert_eq!(program.on(1, number::CONNECT, &[socket, FROM, 16]), Outcome::Park);
    program.said();
    assert_eq!(program.call(number::SHUTDOWN, &[socket, 2]), 0);
    let own = crate::net::FIRST_OWN;
    assert_eq!(program.said(), [format!("Abort({own})")]);
    assert_eq!(program.process.take_result(1), Some(Errno::ECONNRESET.negated()));
    program.hear([Event::Closed(own, Reason::Reset)]);
    assert_eq!(program.on(1, number::CONNECT, &[socket, FROM, 16]), Outcome::Park);
    // One that waits at a full listener of the component, too.
    let listener = program.stream(V4, 0);
    assert_eq!(program.with_address(number::BIND, listener, &v4(OWN, 81)), 0);
    assert_eq!(program.call(number::LISTEN, &[listener, 0]), 0);
    let [first, second] = [0; 2].map(|_| program.stream(V4, 0o4000));
    assert_eq!(program.with_address(number::CONNECT, first, &v4(OWN, 81)), 0);
    assert_eq!(program.with_address(number::CONNECT, second, &v4(OWN, 81)), Errno::EINPROGRESS.negated());
    assert_eq!(program.call(number::SHUTDOWN, &[second, 2]), 0);
    assert_eq!(program.with_address(number::CONNECT, second, &v4(OWN, 81)), Errno::ECONNRESET.negated());
    assert!(program.call(number::ACCEPT4, &[listener, 0, 0, 0]) > 0);
    assert_eq!(program.with_address(number::CONNECT, second, &v4(OWN, 81)), 0, "there is room now");
}

#[test]
fn who_is_accepted_has_the_options_of_the_listener() {
    let mut program = Program::with_stack();
    let listener = program.listener(0);
    let options = [(SOL_SOCKET, 20, time(3)), (SOL_SOCKET, 21, time(4)), (TCP, 1, vec![1, 0, 0, 0])];
    let more = [(SOL_SOCKET, 9, vec![1, 0, 0, 0]), (SOL_SOCKET, 13, vec![1, 0, 0, 0, 7, 0, 0, 0])];
    for (level, name, value) in options.iter().chain(&more) {
        assert_eq!(program.set(listener, *level, *name, value), 0);
    }
    program.hear([Event::Accepted { connection: 1, listener: 0, peer: PEER, local: LOCAL, credit: 1 }]);
    let within = program.stream(V4, 0);
    assert_eq!(program.with_address(number::CONNECT, within, &v4(OWN, 80)), 0);
    for _ in 0..2 {
        let accepted = program.call(number::ACCEPT4, &[listener, 0, 0, 0]).cast_unsigned();
        for (level, name, value) in options.iter().chain(&more) {
            assert_eq!(program.get(accepted, *level, *name).as_ref(), Ok(value), "{name}");
        }
    }
}

/// Nothing is urgent, no queue of errors has any, and of TCP what is cut off is dropped.
#[test]
fn flags_of_receiving_do_what_they_say() {
    let mut program = Program::with_stack();
    let socket = program.accepted(100);
    let datagram = program.datagrams(V4, 0);
    assert_eq!(program.receive_flags(socket, 1, 0x2000), AGAIN, "and does not wait");
    assert_eq!(program.receive_flags(datagram, 1, 0x2000), AGAIN);
    program.hear([Event::Data(1, b"hello world")]);
    assert_eq!(program.receive_flags(socket, 1, 1), Errno::EINVAL.negated());
    program.world.write(FROM, b"kept").unwrap();
    assert_eq!(program.receive_flags(socket, 4, 0x20 | 2), 4);
    assert_eq!(program.receive_flags(socket, 6, 0x20), 6);
    assert_eq!(program.bytes(FROM, 4), b"kept");
    assert_eq!(program.receive_flags(socket, 9, 0), 5);
    assert_eq!(program.bytes(FROM, 5), b"world");
    assert_eq!(program.call(number::SOCKETPAIR, &[UNIX, 2, 0, AT]), 0);
    let pair = program.world.words::<1>(AT)[0] & 0xffff_ffff;
    assert_eq!(program.receive_flags(pair, 1, 1), Errno::EOPNOTSUPP.negated());
}

#[test]
fn listener_that_was_bound_to_nothing_has_some_port() {
    let mut program = Program::with_stack();
    for family in [V4, V6] {
        let socket = program.stream(family, 0);
        assert_eq!(program.call(number::LISTEN, &[socket, 1]), 0);
        let [port, _, ..] = own_end(&mut program, socket);
        assert!(port >= 0xc0);
    }
    let socket = program.stream(UNIX, 0);
    assert_eq!(program.call(number::LISTEN, &[socket, 1]), Errno::EINVAL.negated());
}

#[test]
fn numbers_that_change_nothing_are_kept_and_told() {
    let mut program = Program::with_stack();
    let socket = program.stream(V4, 0);
    let word = |value: u32| value.to_le_bytes().to_vec();
    for (level, name, before, good, bad) in [
        (TCP, 4, 12, 60, 0),
        (TCP, 5, 12, 32_767, 32_768),
        (TCP, 6, 2, 127, 128),
        (TCP, 18, 0, 5_000, u32::MAX),
        (SOL_SOCKET, 18, 1, 100, u32::MAX),
    ] {
        assert_eq!(program.get(socket, level, name), Ok(word(before)));
        assert_eq!(program.set(socket, level, name, &word(good)), 0);
        assert_eq!(program.set(socket, level, name, &word(bad)), Errno::EINVAL.negated());
        assert_eq!(program.get(socket, level, name), Ok(word(good)));
    }
    assert_eq!(program.set(socket, SOL_SOCKET, 18, &word(0)), 0);
    assert_eq!(program.get(socket, SOL_SOCKET, 18), Ok(word(1)));
    let datagram = program.datagrams(V4, 0);
    assert_eq!(program.set(datagram, TCP, 4, &word(60)), Errno::ENOPROTOOPT.negated());
}

/// INV-EPOLL-2 for the room in the host stack's ring.
#[test]
fn watch_by_edge_is_told_of_room_in_the_ring() {
    let mut program = Program::with_stack();
    let socket = program.accepted(100);
    program.call(number::FCNTL, &[socket, 4, 0o4000]);
    let epoll = program.call(number::EPOLL_CREATE1, &[0]).cast_unsigned();
    let wanted = bits::OUT | 1 << 31;
    program.world.write(AT, &[wanted.to_le_bytes(), [0; 4], [0; 4]].concat()).unwrap();
    assert_eq!(program.call(number::EPOLL_CTL, &[epoll, 1, socket, AT]), 0);
    let wait = |program: &mut Program| program.call(number::EPOLL_PWAIT, &[epoll, AT, 4, 0, 0, 8]);
    assert_eq!([wait(&mut program), wait(&mut program)], [1, 0]);
    program.world.net.as_mut().unwrap().is_full = true;
    assert_eq!(program.call(number::WRITE, &[socket, FROM, 10]), AGAIN);
    program.hear([]);
    assert_eq!(wait(&mut program), 0);
    program.world.net.as_mut().unwrap().is_full = false;
    program.hear([]);
    assert_eq!([wait(&mut program), wait(&mut program)], [1, 0]);
    assert_eq!(program.call(number::WRITE, &[socket, FROM, 10]), 10);
}

/// Who is ended by a signal of its parent or an operator waits for nobody, and closes nevertheless.
#[test]
fn program_that_is_told_to_end_closes_its_connections() {
    let mut program = Program::with_stack();
    let socket = program.accepted(100);
    assert_eq!(program.on(0, number::READ, &[socket, FROM, 1]), Outcome::Park);
    program.process.signal_program(&mut program.world, 15);
    program.process.asked |= 1 << 14;
    let result = program.process.take_result(0).unwrap();
    let ended = program.process.resumed(&mut program.world, 0, result);
    assert_eq!(ended, Outcome::Ended(Ending::Signal(15)));
    assert_eq!(program.said(), ["Finish(1)"]);
}
