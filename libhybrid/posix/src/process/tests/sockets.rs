//! TCP sockets against a host stack that says what a test tells it to.
mod lines;
mod ways;

use super::super::tcp::{OWED_MAX, WIDE_MAX};
use super::readiness as bits;
use super::*;
use crate::net::{Address, CHUNK, Command, Event, Peer, Reason, WIDE_WINDOW, WINDOW};
use std::collections::VecDeque;

const FROM: u64 = STACK.0;
pub(super) const PEER: Peer = Peer { address: Address::V4([10, 0, 2, 2]), port: 5555 };
/// The device's end of what is not the listener's.
pub(super) const LOCAL: Peer = Peer { address: Address::V4([10, 0, 2, 15]), port: 40_000 };

#[derive(Default)]
pub(super) struct FakeStack {
    pub(super) said: Vec<String>,
    events: VecDeque<Event<'static>>,
    ports: Vec<u16>,
    /// How many may wait at who began to listen last.
    places: u16,
    is_full: bool,
}

impl FakeStack {
    pub(super) fn listen(&mut self, Peer { address, port }: Peer, places: u16) -> Result<u16, Errno> {
        assert!(address.is_any() || address == LOCAL.address, "not heard from outside");
        if self.ports.contains(&port) {
            return Err(Errno::EADDRINUSE);
        }
        self.ports.push(port);
        self.places = places;
        Ok(self.ports.len() as u16 - 1)
    }

    pub(super) fn command(&mut self, command: Command<'_>) -> bool {
        if !self.is_full {
            self.said.push(match command {
                Command::Send(connection, bytes) => format!("send {connection} {}", bytes.len()),
                other => format!("{other:?}"),
            });
        }
        !self.is_full
    }

    pub(super) fn has_room(&self) -> bool {
        !self.is_full
    }

    pub(super) fn event<'a>(&mut self, scratch: &'a mut Vec<u8>) -> Option<Event<'a>> {
        let event = self.events.pop_front()?;
        let Event::Data(connection, data) = event else { return Some(event) };
        scratch.clear();
        scratch.extend_from_slice(data);
        Some(Event::Data(connection, scratch))
    }
}

impl Program {
    fn with_stack() -> Self {
        let mut program = Self::new();
        program.world.net = Some(FakeStack::default());
        program
    }

    pub(super) fn hear(&mut self, events: impl IntoIterator<Item = Event<'static>>) {
        self.world.net.as_mut().unwrap().events.extend(events);
        self.process.take_events(&mut self.world);
        self.process.expire(&mut self.world);
        self.process.check_lines();
    }

    fn said(&mut self) -> Vec<String> {
        core::mem::take(&mut self.world.net.as_mut().unwrap().said)
    }

    /// Every address of port 80.
    fn put_address(&mut self) {
        self.world.write(FROM, &[2, 0, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    }

    pub(super) fn listener(&mut self, flags: u64) -> u64 {
        let socket = self.call(number::SOCKET, &[2, 1 | flags, 0]).cast_unsigned();
        self.put_address();
        assert_eq!(self.call(number::BIND, &[socket, FROM, 16]), 0);
        assert_eq!(self.call(number::LISTEN, &[socket, 10]), 0);
        socket
    }

    /// A connection of number 1 that was accepted, with so much credit.
    fn accepted(&mut self, credit: u32) -> u64 {
        let listener = self.listener(0);
        self.hear([Event::Accepted { connection: 1, listener: 0, peer: PEER, local: LOCAL, credit }]);
        let socket = self.call(number::ACCEPT4, &[listener, 0, 0, 0]).cast_unsigned();
        assert!(socket < 100);
        assert_eq!(self.said(), ["Taken(0, 1)"]);
        socket
    }
}

#[test]
fn listener_hands_out_connections_in_order_with_their_peers() {
    let mut program = Program::with_stack();
    let listener = program.listener(0o4000);
    assert_eq!(program.call(number::ACCEPT4, &[listener, 0, 0, 0]), Errno::EAGAIN.negated());
    let accepted = |connection| Event::Accepted { connection, listener: 0, peer: PEER, local: LOCAL, credit: 100 };
    program.hear([accepted(8), accepted(3), Event::Data(3, b"hello")]);
    program.put(AT + 32, &[16]);
    let first = program.call(number::ACCEPT4, &[listener, AT, AT + 32, 0o4000]).cast_unsigned();
    let [head, _] = program.world.words(AT);
    assert_eq!(head.to_le_bytes(), [2, 0, 21, 179, 10, 0, 2, 2]);
    let second = program.call(number::ACCEPT4, &[listener, 0, 0, 0]).cast_unsigned();
    assert_eq!(program.call(number::READ, &[first, AT, 100]), Errno::EAGAIN.negated());
    assert_eq!(program.call(number::READ, &[second, AT, 100]), 5);
    let twin = program.call(number::SOCKET, &[2, 1, 0]).cast_unsigned();
    program.put_address();
    assert_eq!(program.call(number::BIND, &[twin, FROM, 16]), Errno::EADDRINUSE.negated());
    // Another component's port is found in use when the host stack is asked.
    program.world.net.as_mut().unwrap().ports.push(81);
    program.world.write(FROM, &[2, 0, 0, 81]).unwrap();
    assert_eq!(program.call(number::BIND, &[twin, FROM, 16]), 0);
    assert_eq!(program.call(number::LISTEN, &[twin, 10]), Errno::EADDRINUSE.negated());
}

#[test]
fn listener_that_closes_resets_who_waits_and_who_comes_later() {
    let mut program = Program::with_stack();
    let listener = program.listener(0);
    let accepted = |connection| Event::Accepted { connection, listener: 0, peer: PEER, local: LOCAL, credit: 100 };
    program.hear((0..10).map(accepted));
    assert_eq!(program.said(), [""; 0]);
    assert_eq!(program.call(number::CLOSE, &[listener]), 0);
    let aborted = (0..10).map(|connection| format!("Abort({connection})")).collect::<Vec<_>>();
    assert_eq!(program.said(), [vec!["unlisten 0".into()], aborted].concat());
    program.hear([accepted(20)]);
    assert_eq!(program.said(), ["Abort(20)"]);
    assert_eq!(program.process.areas.free_bytes(), PAGES as u64 * PAGE);
}

/// As on Linux one more may wait than the program asks for; the host stack has 128 places at most.
#[test]
fn listener_has_one_place_more_than_it_asks_for() {
    for (backlog, places) in [(0, 1), (2, 3), (127, 128), (128, 128), (u64::MAX, 128)] {
        let mut program = Program::with_stack();
        let socket = program.call(number::SOCKET, &[2, 1, 0]).cast_unsigned();
        program.put_address();
        assert_eq!(program.call(number::BIND, &[socket, FROM, 16]), 0);
        assert_eq!(program.call(number::LISTEN, &[socket, backlog]), 0);
        assert_eq!(program.world.net.as_ref().unwrap().places, places);
        program.world.net.as_mut().unwrap().ports.clear();
        program.hear([Event::Lost, Event::Back]);
        assert_eq!(program.world.net.as_ref().unwrap().places, places, "at the next life, too");
    }
}

/// The host stack counts who waits, so each that leaves the queue is told once: also when the ring has no room, and not to a next life.
#[test]
fn places_of_who_was_accepted_are_given_back() {
    let mut program = Program::with_stack();
    let listener = program.listener(0);
    let accepted = |connection| Event::Accepted { connection, listener: 0, peer: PEER, local: LOCAL, credit: 100 };
    let accept = |program: &mut Program| assert!(program.call(number::ACCEPT4, &[listener, 0, 0, 0]) > 0);
    program.hear((0..8).map(accepted));
    accept(&mut program);
    assert_eq!(program.said(), ["Taken(0, 1)"]);
    program.world.net.as_mut().unwrap().is_full = true;
    (0..3).for_each(|_| accept(&mut program));
    program.world.net.as_mut().unwrap().is_full = false;
    program.hear([Event::Closed(4, Reason::Reset)]);
    assert_eq!(program.said(), ["Taken(0, 3)"]);
    // One that ended while it waited had its place all the same.
    accept(&mut program);
    assert_eq!(program.said(), ["Taken(0, 1)"]);
    program.world.net.as_mut().unwrap().ports.clear();
    program.hear([Event::Lost, Event::Back]);
    accept(&mut program);
    assert_eq!(program.said(), [""; 0]);
}

/// More is owed than is kept, and the places are not lost with it.
#[test]
fn places_are_given_back_whatever_else_the_stack_is_owed() {
    let mut program = Program::with_memory(4, 40 * PAGES);
    program.world.net = Some(FakeStack::default());
    let listener = program.listener(0);
    let accepted = |connection| Event::Accepted { connection, listener: 0, peer: PEER, local: LOCAL, credit: 100 };
    program.hear((0..2).map(accepted));
    program.world.net.as_mut().unwrap().is_full = true;
    // Data of connections that nobody has is answered with resets.
    program.hear((100..100 + OWED_MAX as u32).map(|connection| Event::Data(connection, b"x")));
    (0..2).for_each(|_| assert!(program.call(number::ACCEPT4, &[listener, 0, 0, 0]) > 0));
    assert_eq!(program.world.told, [""; 0], "no connection stays open");
    program.world.net.as_mut().unwrap().is_full = false;
    program.hear([]);
    let said = program.said();
    assert_eq!((said.len(), said.last().map(String::as_str)), (OWED_MAX + 1, Some("Taken(0, 2)")));
    program.hear([]);
    assert_eq!(program.said(), [""; 0], "once");
}

/// More than the host stack may tell.
#[test]
fn queue_of_a_listener_is_bounded() {
    let mut program = Program::with_memory(4, 40 * PAGES);
    program.world.net = Some(FakeStack::default());
    let _listener = program.listener(0);
    let accepted = |connection| Event::Accepted { connection, listener: 0, peer: PEER, local: LOCAL, credit: 100 };
    program.hear((0..129_u32).map(accepted));
    assert_eq!(program.said(), ["Abort(128)", "Taken(0, 1)"]);
}

/// What `getsockname` says: port and address in the order of the network.
fn own_end(program: &mut Program, socket: u64) -> [u8; 6] {
    program.put(AT + 32, &[16]);
    assert_eq!(program.call(number::GETSOCKNAME, &[socket, AT, AT + 32]), 0);
    let [head] = program.world.words::<1>(AT);
    let [_, _, rest @ ..] = head.to_le_bytes();
    rest
}

#[test]
fn own_end_is_that_of_the_host_stack() {
    let mut program = Program::with_stack();
    let told = [0x9c, 0x40, 10, 0, 2, 15];
    let socket = program.accepted(100);
    assert_eq!(own_end(&mut program, socket), told);
    let begin = |program: &mut Program, own: Option<[u8; 6]>| {
        let socket = program.call(number::SOCKET, &[2, 0o4001, 0]).cast_unsigned();
        if let Some([p, q, a, b, c, d]) = own {
            program.world.write(FROM, &[2, 0, p, q, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
            assert_eq!(program.call(number::BIND, &[socket, FROM, 16]), 0);
        }
        program.world.write(FROM, &[2, 0, 0, 80, 10, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        assert_eq!(program.call(number::CONNECT, &[socket, FROM, 16]), Errno::EINPROGRESS.negated());
        socket
    };
    let own = crate::net::FIRST_OWN;
    let socket = begin(&mut program, None);
    assert_eq!(own_end(&mut program, socket), [0; 6]);
    program.hear([Event::Connected { connection: own, local: LOCAL, credit: 10 }]);
    assert_eq!(own_end(&mut program, socket), told);
    // What was bound is what the host stack is asked for, and what is told.
    let wanted = [0x10, 0xe1, 10, 0, 2, 15];
    for (number, end, reason, error) in [
        (1, wanted, Reason::InUse, Errno::EADDRINUSE),
        (2, [0x10, 0xe2, 0, 0, 0, 0], Reason::BadAddress, Errno::EADDRNOTAVAIL),
    ] {
        program.said();
        let socket = begin(&mut program, Some(end));
        let [p, q, octets @ ..] = end;
        let asked = Command::Connect(
            own + number,
            Peer { port: 80, ..PEER },
            Peer { address: Address::V4(octets), port: u16::from_be_bytes([p, q]) },
        );
        assert_eq!((program.said(), own_end(&mut program, socket)), (vec![format!("{asked:?}")], end));
        program.hear([Event::Closed(own + number, reason)]);
        assert_eq!(program.call(number::CONNECT, &[socket, FROM, 16]), error.negated());
    }
}

/// The fake's listeners are heard at every address and at the device's.
#[test]
fn listener_at_the_address_of_the_device_is_heard_from_outside() {
    let mut program = Program::with_stack();
    let socket = program.call(number::SOCKET, &[2, 1, 0]).cast_unsigned();
    program.world.write(FROM, &[2, 0, 0, 80, 10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    assert_eq!(program.call(number::BIND, &[socket, FROM, 16]), 0);
    assert_eq!(program.call(number::LISTEN, &[socket, 10]), 0);
    assert_eq!(program.world.net.as_ref().unwrap().ports, [80]);
    program.world.net.as_mut().unwrap().ports.clear();
    program.hear([Event::Lost, Event::Back]);
    assert_eq!(program.world.net.as_ref().unwrap().ports, [80], "in the next life, too");
    program.hear([Event::Accepted { connection: 6, listener: 0, peer: PEER, local: LOCAL, credit: 100 }]);
    assert!(program.call(number::ACCEPT4, &[socket, 0, 0, 0]) >= 0);
}

#[test]
fn connections_for_which_there_is_no_place_are_reset_and_leave_nothing() {
    let mut program = Program::with_memory(4, 8 * PAGES);
    program.world.net = Some(FakeStack::default());
    let listener = program.listener(0);
    while program.call(number::EVENTFD2, &[0, 0]) >= 0 {}
    let memory = program.process.areas.free_bytes();
    program.hear((0..100).map(|connection| Event::Accepted {
        connection,
        listener: 0,
        peer: PEER,
        local: LOCAL,
        credit: 100,
    }));
    assert_eq!(
        (program.said().len(), program.process.areas.free_bytes()),
        (200, memory),
        "each is reset, and its place free"
    );
    assert_eq!(program.call(number::CLOSE, &[4]), 0);
    program.hear([Event::Accepted { connection: 200, listener: 0, peer: PEER, local: LOCAL, credit: 100 }]);
    assert_eq!((program.said().len(), program.call(number::ACCEPT4, &[listener, 0, 0, 0])), (0, 4));
}

#[test]
fn reading_gives_credit_back_and_sees_the_end() {
    let mut program = Program::with_stack();
    let socket = program.accepted(100);
    assert_eq!(program.on(0, number::READ, &[socket, FROM, 8_000]), Outcome::Park);
    program.hear([Event::Data(1, &[7; 2_048]), Event::Data(1, &[7; 2_048]), Event::Data(1, &[7; 2_048])]);
    assert_eq!(program.process.take_result(0), Some(6_144));
    assert_eq!(program.said(), ["Credit(1, 6144)"]);
    program.hear([Event::Finished(1)]);
    assert_eq!(program.call(number::READ, &[socket, FROM, 8_000]), 0);
    assert_eq!(program.call(number::CLOSE, &[socket]), 0);
    assert_eq!(program.said(), ["Finish(1)"]);
    program.hear([Event::Data(1, b"hello")]);
    assert_eq!(program.said(), ["Abort(1)"], "nobody will read it");
}

/// Who ends closes what it has: what was written goes out, and only who sent what was not read gets a reset.
#[test]
fn end_of_the_program_closes_its_connections() {
    let mut program = Program::with_stack();
    let socket = program.accepted(100);
    let accepted = |connection| Event::Accepted { connection, listener: 0, peer: PEER, local: LOCAL, credit: 100 };
    program.hear([accepted(2), accepted(3)]);
    let unread = program.call(number::ACCEPT4, &[socket - 1, 0, 0, 0]).cast_unsigned();
    assert_eq!(program.said(), ["Taken(0, 1)"]);
    program.world.net.as_mut().unwrap().events.push_back(Event::Data(2, b"hello"));
    assert_eq!(program.call(number::WRITE, &[socket, FROM, 100]), 100);
    assert!(unread > socket);
    assert_eq!(program.on(0, number::EXIT_GROUP, &[3]), Outcome::Ended(Ending::Exit(3)));
    assert_eq!(program.said(), ["send 1 100", "Finish(1)", "Abort(2)", "Abort(3)"]);
}

/// A ring that is full is waited for; a stack that dies meanwhile is not.
#[test]
fn end_of_the_program_waits_until_the_stack_was_told() {
    for dies in [false, true] {
        let mut program = Program::with_stack();
        program.accepted(100);
        program.world.net.as_mut().unwrap().is_full = true;
        assert_eq!(program.on(0, number::EXIT_GROUP, &[3]), Outcome::Park);
        program.hear([]);
        assert_eq!(program.process.take_result(0), None);
        if dies {
            program.hear([Event::Lost]);
        } else {
            program.world.net.as_mut().unwrap().is_full = false;
            program.hear([]);
            assert_eq!(program.said(), ["Finish(1)"]);
        }
        let again = program.process.take_result(0).unwrap();
        assert!(matches!(program.process.resumed(&mut program.world, 0, again), Outcome::Done(_)));
        assert_eq!(program.on(0, number::EXIT_GROUP, &[3]), Outcome::Ended(Ending::Exit(3)));
    }
}

/// What comes after `shutdown(SHUT_RD)` is dropped with what was there, and its credit given back: the peer never stalls.
#[test]
fn who_reads_no_more_goes_on_giving_credit() {
    let mut program = Program::with_stack();
    let socket = program.accepted(100);
    program.hear([Event::Data(1, &[7; 3_000])]);
    assert_eq!(program.call(number::SHUTDOWN, &[socket, 0]), 0);
    assert_eq!((program.said(), program.call(number::READ, &[socket, FROM, 10])), (vec![], 0));
    program.hear([Event::Data(1, &[7; 5_192])]);
    assert_eq!(program.said(), ["Credit(1, 8192)"]);
    for _ in 0..10 {
        program.hear([Event::Data(1, &[7; CHUNK])]);
        assert_eq!(
            (program.said(), program.call(number::READ, &[socket, FROM, 10])),
            (vec!["Credit(1, 8192)".into()], 0)
        );
    }
    assert_eq!(program.call(number::CLOSE, &[socket]), 0);
    assert_eq!(program.said(), ["Finish(1)"], "nothing is unread");
}

/// A connection that brings much gets a large buffer, a few of them do, and none where there is no memory for it.
#[test]
fn bulk_widens_the_window_of_few() {
    let memory = 8 * PAGES as u64 * PAGE;
    let mut program = Program::with_memory(4, 8 * PAGES);
    program.world.net = Some(FakeStack::default());
    let listener = program.listener(0);
    let connections = 1..=u32::try_from(WIDE_MAX).unwrap() + 1;
    program.hear(connections.clone().map(|connection| Event::Accepted {
        connection,
        listener: 0,
        peer: PEER,
        local: LOCAL,
        credit: 1,
    }));
    let mut sockets = Vec::new();
    for connection in connections {
        let socket = program.call(number::ACCEPT4, &[listener, 0, 0, 0]).cast_unsigned();
        sockets.push(socket);
        assert_eq!(program.said(), ["Taken(0, 1)"]);
        for round in 1..=9_u64 {
            program.hear([Event::Data(connection, &[7; CHUNK])]);
            assert_eq!(program.call(number::READ, &[socket, FROM, WINDOW]), 8_192);
            let given = match round {
                8 if connection as usize <= WIDE_MAX => vec![format!("Credit({connection}, {WIDE_WINDOW})")],
                // Half of what it has room for now is given back at once.
                9 if connection as usize <= WIDE_MAX => vec![],
                _ => vec![format!("Credit({connection}, {WINDOW})")],
            };
            assert_eq!(program.said(), given, "round {round} of {connection}");
        }
    }
    let narrow = sockets.len() as u64 * WINDOW;
    assert_eq!(program.process.areas.free_bytes(), memory - narrow - WIDE_MAX as u64 * (WIDE_WINDOW - WINDOW));
    program.hear([Event::Data(1, &[1; CHUNK]), Event::Data(1, &[2; CHUNK]), Event::Data(1, &[3; CHUNK])]);
    assert_eq!(program.call(number::READ, &[sockets[0], FROM, 3 * WINDOW]), 3 * 8_192);
    sockets.into_iter().for_each(|socket| assert_eq!(program.call(number::CLOSE, &[socket]), 0));
    assert_eq!(program.process.areas.free_bytes(), memory);
}

#[test]
fn window_stays_where_there_is_no_memory_for_more() {
    let mut program = Program::with_stack();
    let socket = program.accepted(100);
    let used = program.call(number::MMAP, &[0, 28 * PAGE, 3, 0x22, u64::MAX, 0]);
    assert!(used > 0);
    while program.call(number::MMAP, &[0, PAGE, 3, 0x22, u64::MAX, 0]) > 0 {}
    for _ in 0..20 {
        program.hear([Event::Data(1, &[7; CHUNK])]);
        assert_eq!(program.call(number::READ, &[socket, FROM, WINDOW]), 8_192);
        assert_eq!(program.said(), ["Credit(1, 8192)"]);
    }
}

#[test]
fn writing_keeps_to_the_credit_and_to_the_ring() {
    let mut program = Program::with_stack();
    let socket = program.accepted(3_000);
    assert_eq!(program.on(0, number::WRITE, &[socket, FROM, 5_000]), Outcome::Park);
    assert_eq!(program.said(), ["send 1 3000"]);
    program.hear([Event::Credit(1, 5_000)]);
    assert_eq!((program.process.take_result(0), program.said()), (Some(5_000), vec!["send 1 2000".into()]));
    program.world.net.as_mut().unwrap().is_full = true;
    assert_eq!(program.on(0, number::WRITE, &[socket, FROM, 10]), Outcome::Park);
    program.world.net.as_mut().unwrap().is_full = false;
    program.hear([]);
    assert_eq!(program.process.take_result(0), Some(10));
    assert_eq!(program.call(number::SHUTDOWN, &[socket, 1]), 0);
    let no_signal = [socket, FROM, 10, 0x4000, 0, 0];
    assert_eq!(program.call(number::SENDTO, &no_signal), Errno::EPIPE.negated());
    program.hear([Event::Closed(1, Reason::Reset)]);
    assert_eq!(program.call(number::READ, &[socket, FROM, 10]), Errno::ECONNRESET.negated());
}

#[test]
fn connecting_waits_or_is_told_by_readiness() {
    let mut program = Program::with_stack();
    let own = crate::net::FIRST_OWN;
    program.world.write(FROM, &[2, 0, 0, 80, 10, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    let blocking = program.call(number::SOCKET, &[2, 1, 0]).cast_unsigned();
    assert_eq!(program.on(0, number::CONNECT, &[blocking, FROM, 16]), Outcome::Park);
    program.hear([Event::Connected { connection: own, local: LOCAL, credit: 10 }]);
    assert_eq!(program.process.take_result(0), Some(0));
    let other = program.call(number::SOCKET, &[2, 0o4001, 0]).cast_unsigned();
    assert_eq!(program.call(number::CONNECT, &[other, FROM, 16]), Errno::EINPROGRESS.negated());
    assert_eq!(program.call(number::CONNECT, &[other, FROM, 16]), Errno::EALREADY.negated());
    program.put(AT, &[other | u64::from(bits::OUT) << 32]);
    program.put(AT + 16, &[0, 0]);
    assert_eq!(program.call(number::PPOLL, &[AT, 1, AT + 16]), 0);
    program.hear([Event::Closed(own + 1, Reason::Reset)]);
    assert_eq!(program.call(number::PPOLL, &[AT, 1, 0]), 1);
    program.put(AT + 8, &[4]);
    assert_eq!(program.call(number::GETSOCKOPT, &[other, 1, 4, AT, AT + 8]), 0);
    assert_eq!(program.world.words::<1>(AT)[0] as u32, Errno::ECONNREFUSED.number());
}

#[test]
fn connect_whose_wait_a_signal_ended_goes_on_when_it_is_made_again() {
    let name = [2, 0, 0, 80, 10, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0];
    for opens_between in [false, true] {
        let mut program = Program::with_stack();
        let own = crate::net::FIRST_OWN;
        program.world.write(FROM, &name).unwrap();
        program.put(AT + 32, &[0xcafe, 0x1000_0000, 0, 0]);
        assert_eq!(program.call(number::RT_SIGACTION, &[15, AT + 32, 0, 8]), 0);
        let socket = program.call(number::SOCKET, &[2, 1, 0]).cast_unsigned();
        let connect = [socket, FROM, 16];
        assert_eq!(program.on(0, number::CONNECT, &connect), Outcome::Park);
        program.process.signal_program(&mut program.world, 15);
        let again = program.process.take_result(0).unwrap();
        assert!(matches!(program.process.resumed(&mut program.world, 0, again), Outcome::Deliver(_)));
        if opens_between {
            program.hear([Event::Connected { connection: own, local: LOCAL, credit: 10 }]);
            assert_eq!(program.on(0, number::CONNECT, &connect), Outcome::Done(0));
        } else {
            assert_eq!(program.on(0, number::CONNECT, &connect), Outcome::Park);
            program.hear([Event::Connected { connection: own, local: LOCAL, credit: 10 }]);
            assert_eq!(program.process.take_result(0), Some(0));
        }
        assert_eq!(program.call(number::CONNECT, &connect), Errno::EISCONN.negated());
    }
}

#[test]
fn control_data_is_refused_by_streams_too_and_nothing_is_sent() {
    let mut program = Program::with_stack();
    let socket = program.accepted(100);
    program.put(AT + 0x300, &[FROM, 4]);
    program.put(AT + 0x200, &[0, 0, AT + 0x300, 1, FROM, 24, 0]);
    assert_eq!(program.call(number::SENDMSG, &[socket, AT + 0x200, 0]), Errno::EINVAL.negated());
    assert_eq!(program.said(), [""; 0]);
    program.put(AT + 0x200, &[0, 0, AT + 0x300, 1, FROM, 0, 0]);
    assert_eq!(program.call(number::SENDMSG, &[socket, AT + 0x200, 0]), 4);
}

#[test]
fn stack_that_dies_resets_connections_and_listeners_listen_again() {
    let mut program = Program::with_stack();
    let socket = program.accepted(100);
    program.hear([Event::Lost]);
    assert_eq!(program.call(number::READ, &[socket, FROM, 10]), Errno::ECONNRESET.negated());
    program.world.net.as_mut().unwrap().ports.clear();
    program.hear([Event::Back]);
    assert_eq!(program.world.net.as_ref().unwrap().ports, [80]);
    // Another component was faster: the number may be that of its listener, so who comes there is not let in.
    let listener = socket - 1;
    program.hear([Event::Lost, Event::Back]);
    program.put(AT, &[listener | u64::from(bits::IN) << 32]);
    assert_eq!(program.call(number::PPOLL, &[AT, 1, 0]), 1);
    assert_eq!(program.call(number::ACCEPT4, &[listener, 0, 0, 0]), Errno::EADDRINUSE.negated());
    assert_eq!(program.said(), [""; 0]);
    program.hear([Event::Accepted { connection: 5, listener: 0, peer: PEER, local: LOCAL, credit: 100 }]);
    assert_eq!(program.said(), ["Abort(5)"]);
    program.world.net.as_mut().unwrap().ports.clear();
    program.hear([Event::Back, Event::Accepted { connection: 6, listener: 0, peer: PEER, local: LOCAL, credit: 100 }]);
    assert!(program.call(number::ACCEPT4, &[listener, 0, 0, 0]) >= 0);
}

#[test]
fn addresses_that_are_not_the_machines_are_refused() {
    let mut program = Program::with_stack();
    let socket = program.call(number::SOCKET, &[2, 1, 0]).cast_unsigned();
    program.world.write(FROM, &[2, 0, 0, 80, 10, 0, 2, 16, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    assert_eq!(program.call(number::BIND, &[socket, FROM, 16]), Errno::EADDRNOTAVAIL.negated());
    assert_eq!(program.call(number::BIND, &[socket, FROM, 3]), Errno::EINVAL.negated());
    assert_eq!(program.call(number::SOCKET, &[2, 3, 1]), Errno::EPERM.negated());
    assert_eq!(program.call(number::SOCKET, &[16, 1, 0]), Errno::EAFNOSUPPORT.negated());
    assert_eq!(program.call(number::LISTEN, &[1, 1]), Errno::ENOTSOCK.negated());
}
