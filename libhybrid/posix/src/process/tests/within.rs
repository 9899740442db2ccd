//! Streams within the component: its own addresses, names and pairs; both directions against a simple model.
use super::datagrams::{OWN, path, v4};
use super::readiness as bits;
use super::*;
use std::collections::VecDeque;

const FROM: u64 = STACK.0;
const TO: u64 = STACK.0 + 0x4000;
const NONBLOCK: u64 = 0o4000;
const AGAIN: i64 = -11;
const V4: u64 = 2;
const UNIX: u64 = 1;
const SILENT: u64 = 0x4000;

impl Program {
    pub(super) fn stream(&mut self, family: u64, flags: u64) -> u64 {
        self.call(number::SOCKET, &[family, 1 | flags, 0]).cast_unsigned()
    }

    pub(super) fn listening(&mut self, family: u64, address: &[u8], backlog: u64) -> u64 {
        let socket = self.stream(family, NONBLOCK);
        assert_eq!(self.with_address(number::BIND, socket, address), 0);
        assert_eq!(self.call(number::LISTEN, &[socket, backlog]), 0);
        socket
    }

    pub(super) fn accept(&mut self, listener: u64) -> u64 {
        let socket = self.call(number::ACCEPT4, &[listener, 0, 0, NONBLOCK]);
        u64::try_from(socket).unwrap_or_else(|_| panic!("{socket}"))
    }

    /// Both ends of a connection to this address: who connected first.
    fn connected(&mut self, family: u64, address: &[u8]) -> (u64, u64) {
        let listener = self.listening(family, address, 5);
        let client = self.stream(family, NONBLOCK);
        assert_eq!(self.with_address(number::CONNECT, client, address), 0);
        let server = self.accept(listener);
        assert_eq!(self.call(number::CLOSE, &[listener]), 0);
        (client, server)
    }

    pub(super) fn send(&mut self, socket: u64, bytes: &[u8]) -> i64 {
        self.world.write(FROM, bytes).unwrap();
        self.call(number::SENDTO, &[socket, FROM, bytes.len() as u64, SILENT, 0, 0])
    }

    pub(super) fn read(&mut self, socket: u64, most: u64) -> Result<Vec<u8>, i64> {
        let result = self.call(number::READ, &[socket, TO, most]);
        usize::try_from(result).map(|length| self.bytes(TO, length)).map_err(|_| result)
    }
}

#[test]
fn localhost_connects_the_components_own_sockets_without_a_network() {
    let mut program = Program::new();
    let listener = program.listening(V4, &v4(OWN, 0), 5);
    let name = program.name(number::GETSOCKNAME, listener).unwrap();
    assert_eq!(&name[4..8], OWN);
    assert_eq!(program.call(number::ACCEPT4, &[listener, 0, 0, 0]), AGAIN);
    let client = program.stream(V4, NONBLOCK);
    assert_eq!(program.with_address(number::CONNECT, client, &name), 0);
    assert_eq!(program.ready(listener), bits::IN);
    assert_eq!(program.call(number::ACCEPT4, &[listener, 8, 8, 0]), Errno::EFAULT.negated(), "it still waits");
    let server = program.accept(listener);
    let own = program.name(number::GETSOCKNAME, client).unwrap();
    assert_eq!(program.name(number::GETPEERNAME, server).unwrap(), own);
    assert_eq!(program.name(number::GETPEERNAME, client).unwrap(), name);
    assert_eq!(program.name(number::GETSOCKNAME, server).unwrap(), name);
    assert_eq!(program.with_address(number::CONNECT, client, &name), Errno::EISCONN.negated());
    assert_eq!(program.read(server, 10), Err(AGAIN));
    assert_eq!((program.send(client, b"ping"), program.read(server, 10)), (4, Ok(b"ping".to_vec())));
    assert_eq!(program.call(number::SHUTDOWN, &[client, 1]), 0);
    assert_eq!(program.ready(server), bits::IN | bits::OUT);
    assert_eq!(program.read(server, 10), Ok(Vec::new()));
    assert_eq!(program.send(client, b"x"), Errno::EPIPE.negated());
    assert_eq!((program.send(server, b"pong"), program.read(client, 10)), (4, Ok(b"pong".to_vec())));
    for socket in [client, server, listener] {
        assert_eq!(program.call(number::CLOSE, &[socket]), 0);
    }
    assert!(program.all_is_free());
}

#[test]
fn who_is_not_there_refuses_and_what_was_not_granted_is_told() {
    let mut program = Program::new();
    let socket = program.stream(V4, 0);
    assert_eq!(program.with_address(number::CONNECT, socket, &v4(OWN, 80)), Errno::ECONNREFUSED.negated());
    assert_eq!(program.with_address(number::CONNECT, socket, &v4([10, 0, 2, 2], 80)), Errno::EACCES.negated());
    assert_eq!(program.with_address(number::BIND, socket, &v4([0; 4], 80)), Errno::EACCES.negated());
    assert_eq!(program.with_address(number::BIND, socket, &v4([10, 0, 2, 15], 80)), Errno::EADDRNOTAVAIL.negated());
    assert_eq!(program.world.told.len(), 2, "{:?}", program.world.told);
    let _there = program.listening(V4, &v4(OWN, 80), 1);
    assert_eq!(program.with_address(number::BIND, socket, &v4(OWN, 80)), Errno::EADDRINUSE.negated());
    assert_eq!(program.with_address(number::BIND, socket, &v4([127, 0, 0, 2], 80)), 0);
    assert_eq!(program.with_address(number::CONNECT, socket, &v4([0; 4], 80)), 0, "no address is the own one");
}

#[test]
fn full_backlog_makes_them_wait_until_somebody_is_accepted_or_the_listener_goes() {
    let mut program = Program::new();
    let listener = program.listening(V4, &v4(OWN, 80), 0);
    let sockets = [program.stream(V4, 0), program.stream(V4, NONBLOCK), program.stream(V4, 0)];
    program.world.write(AT, &v4(OWN, 80)).unwrap();
    let connect = |program: &mut Program, at: usize| program.on(at as u8, number::CONNECT, &[sockets[at], AT, 16]);
    assert_eq!(connect(&mut program, 0), Outcome::Done(0));
    assert_eq!(connect(&mut program, 1), Outcome::Done(Errno::EINPROGRESS.negated()));
    assert_eq!(connect(&mut program, 2), Outcome::Park);
    assert_eq!(program.ready(sockets[1]), 0);
    assert_eq!(connect(&mut program, 1), Outcome::Done(Errno::EALREADY.negated()));
    let _first = program.accept(listener);
    assert_eq!(program.ready(sockets[1]), bits::OUT);
    assert_eq!(program.process.take_result(2), None);
    assert_eq!(program.call(number::CLOSE, &[listener]), 0);
    assert_eq!(program.process.take_result(2), Some(Errno::ECONNREFUSED.negated()));
    assert_eq!(program.ready(sockets[1]) & bits::ERR, bits::ERR);
    assert_eq!(program.read(sockets[1], 1), Err(Errno::ECONNRESET.negated()), "nobody accepted it");
    assert_eq!(program.read(sockets[1], 1), Ok(Vec::new()));
}

#[test]
fn who_knocks_first_is_let_in_first() {
    let mut program = Program::new();
    let spare = program.stream(V4, NONBLOCK);
    let listener = program.listening(V4, &v4(OWN, 80), 0);
    let early = [program.stream(V4, NONBLOCK), program.stream(V4, NONBLOCK)];
    for (socket, connected) in early.into_iter().zip([0, Errno::EINPROGRESS.negated()]) {
        assert_eq!(program.with_address(number::CONNECT, socket, &v4(OWN, 80)), connected);
    }
    // It came later, though its place is a lower one.
    assert_eq!(program.call(number::CLOSE, &[spare]), 0);
    let late = program.stream(V4, NONBLOCK);
    assert!(late < early[1]);
    assert_eq!(program.with_address(number::CONNECT, late, &v4(OWN, 80)), Errno::EINPROGRESS.negated());
    let _first = program.accept(listener);
    assert_eq!((program.ready(early[1]), program.ready(late)), (bits::OUT, 0));
}

#[test]
fn names_connect_streams_until_their_listener_closes() {
    let mut program = Program::new();
    let name = path(b"/run/service\0");
    let listener = program.listening(UNIX, &name, 0);
    let client = program.stream(UNIX, NONBLOCK);
    assert_eq!(program.with_address(number::BIND, client, &path(b"\0client")), 0);
    assert_eq!(program.with_address(number::CONNECT, client, &name), 0);
    let third = program.stream(UNIX, NONBLOCK);
    assert_eq!(program.with_address(number::CONNECT, third, &name), AGAIN, "the queue is full");
    let server = program.accept(listener);
    assert_eq!(program.name(number::GETPEERNAME, server).unwrap(), path(b"\0client"));
    assert_eq!(program.name(number::GETPEERNAME, client).unwrap(), name);
    program.put(AT + 8, &[12]);
    assert_eq!(program.call(number::GETSOCKOPT, &[server, 1, 17, AT, AT + 8]), 0);
    assert_eq!(program.world.words::<1>(AT), [7 | 7 << 32]);
    let datagram = program.datagrams(UNIX, 0);
    assert_eq!(program.with_address(number::CONNECT, datagram, &name), Errno::EPROTOTYPE.negated());
    assert_eq!(program.with_address(number::BIND, datagram, &name), Errno::EADDRINUSE.negated());
    assert_eq!(program.with_address(number::CONNECT, third, &name), 0);
    assert_eq!(program.call(number::CLOSE, &[listener]), 0);
    assert_eq!(program.read(third, 1), Err(Errno::ECONNRESET.negated()), "nobody accepted it");
    let third = program.stream(UNIX, NONBLOCK);
    assert_eq!(program.with_address(number::CONNECT, third, &name), Errno::ENOENT.negated());
    assert_eq!(program.with_address(number::BIND, datagram, &name), 0, "the name is free");
    assert_eq!(program.call(number::CLOSE, &[client]), 0);
    assert_eq!(program.ready(server) & bits::HUP, bits::HUP);
}

#[test]
fn who_closes_with_something_unread_resets_and_what_was_sent_is_read_first() {
    let mut program = Program::new();
    let (client, server) = program.connected(V4, &v4(OWN, 80));
    assert_eq!((program.send(server, b"last"), program.send(client, b"unread")), (4, 6));
    assert_eq!(program.call(number::CLOSE, &[server]), 0);
    assert_eq!(program.ready(client) & bits::ERR, bits::ERR);
    assert_eq!(program.read(client, 10), Ok(b"last".to_vec()));
    assert_eq!(program.read(client, 10), Err(Errno::ECONNRESET.negated()));
    assert_eq!(program.read(client, 10), Ok(Vec::new()));
}

#[test]
fn listener_at_every_address_is_reached_from_outside_and_within() {
    let mut program = Program::new();
    program.world.net = Some(sockets::FakeStack::default());
    let listener = program.listening(V4, &v4([0; 4], 80), 5);
    let client = program.stream(V4, 0);
    assert_eq!(program.with_address(number::CONNECT, client, &v4(OWN, 80)), 0);
    let server = program.accept(listener);
    assert_eq!((program.send(client, b"in"), program.read(server, 9)), (2, Ok(b"in".to_vec())));
    let twin = program.stream(V4, 0);
    assert_eq!(program.with_address(number::BIND, twin, &v4(OWN, 80)), Errno::EADDRINUSE.negated());
}

#[test]
fn broken_stream_calls_the_handler_and_then_returns_the_error() {
    let mut program = Program::new();
    let (client, server) = program.connected(UNIX, &path(b"\0x"));
    program.put(AT, &[0x4000, 0, 0, 0]);
    assert_eq!(program.call(number::RT_SIGACTION, &[13, AT, 0, 8]), 0);
    // One that waits for room learns of it, too.
    program.call(number::FCNTL, &[client, 4, 0]);
    assert_eq!(program.on(1, number::WRITE, &[client, FROM, 0x8000]), Outcome::Park);
    assert_eq!(program.call(number::CLOSE, &[server]), 0);
    assert_eq!(program.process.take_result(1), Some(0x4000), "what was written before counts");
    let Outcome::Deliver(delivery) = program.on(0, number::WRITE, &[client, FROM, 1]) else { panic!("no signal") };
    assert_eq!((delivery.handler, delivery.signal), (0x4000, 13));
    let epipe = Outcome::Done(Errno::EPIPE.negated());
    assert_eq!(program.process.handled(&mut program.world, 0, delivery), epipe);
    assert_eq!(program.send(client, b"x"), Errno::EPIPE.negated(), "MSG_NOSIGNAL");
}

#[test]
fn thread_that_waited_to_write_gets_the_signal_when_it_goes_on() {
    let mut program = Program::new();
    let (reader, writer) = program.pipe(0);
    assert_eq!(program.call(number::WRITE, &[writer, FROM, 0x4000]), 0x4000);
    assert_eq!(program.on(1, number::WRITE, &[writer, FROM, 1]), Outcome::Park);
    assert_eq!(program.call(number::CLOSE, &[reader]), 0);
    let epipe = Errno::EPIPE.negated();
    assert_eq!(program.process.take_result(1), Some(epipe));
    assert_eq!(program.process.resumed(&mut program.world, 1, epipe), Outcome::Ended(Ending::Signal(13)));
}

#[test]
fn what_has_no_place_leaves_nothing_behind() {
    let mut program = Program::new();
    let memory = program.process.areas.free_bytes();
    // Each takes two buffers; the heap of a test has room for three of them.
    let mut pairs = 0;
    while program.call(number::SOCKETPAIR, &[1, 1, 0, AT]) == 0 {
        pairs += 1;
    }
    assert_eq!(pairs, memory / (2 * 16 * 1024));
    assert_eq!(program.call(number::SOCKETPAIR, &[1, 1, 0, AT]), Errno::ENOMEM.negated());
    let listener = program.listening(V4, &v4(OWN, 80), 5);
    let client = program.stream(V4, 0);
    assert_eq!(program.with_address(number::CONNECT, client, &v4(OWN, 80)), Errno::ENOMEM.negated());
    assert_eq!(program.call(number::ACCEPT4, &[listener, 0, 0, 0]), AGAIN, "nobody waits there");
    assert_eq!(program.call(number::CLOSE_RANGE, &[3, 200, 0]), 0);
    assert!(program.all_is_free());
    // What the program cannot be told of is not there.
    for (number, args) in
        [(number::PIPE2, &[8, 0][..]), (number::SOCKETPAIR, &[1, 1, 0, 8]), (number::SOCKETPAIR, &[1, 2, 0, 8])]
    {
        assert_eq!(program.call(number, args), Errno::EFAULT.negated());
    }
    assert!(program.all_is_free());
}

#[test]
fn pairs_that_have_no_place_leave_nothing_behind_where_there_is_memory() {
    let mut program = Program::with_memory(4, 8 * PAGES);
    let mut open = 0;
    while program.call(number::EVENTFD2, &[0, 0]) > 0 {
        open += 1;
    }
    assert_eq!(open, super::super::DESCRIPTORS_MAX - 3);
    let memory = program.process.areas.free_bytes();
    assert_eq!(program.call(number::CLOSE, &[3]), 0);
    for (number, args) in [(number::PIPE2, &[AT, 0][..]), (number::SOCKETPAIR, &[1, 1, 0, AT])] {
        assert_eq!(program.call(number, args), Errno::ENFILE.negated());
        assert_eq!(program.call(number::EVENTFD2, &[0, 0]), 3);
        assert_eq!(program.call(number::CLOSE, &[3]), 0);
    }
    assert_eq!(program.process.areas.free_bytes(), memory);
}

#[derive(Debug, Clone)]
enum Step {
    Write(bool, usize),
    Read(bool, u64),
    Peek(bool, u64),
    Finish(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let length = || prop_oneof![0_usize..64, 3_000_usize..5_000, 10_000_usize..16_000];
    prop_oneof![
        4 => (any::<bool>(), length()).prop_map(|(end, length)| Step::Write(end, length)),
        3 => (any::<bool>(), length()).prop_map(|(end, length)| Step::Read(end, length as u64)),
        1 => (any::<bool>(), length()).prop_map(|(end, length)| Step::Peek(end, length as u64)),
        1 => any::<bool>().prop_map(Step::Finish),
    ]
}

/// One direction: bytes that wait, and whether more may come.
#[derive(Default)]
struct Direction {
    bytes: VecDeque<u8>,
    is_finished: bool,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Each direction is a bounded queue of bytes with an end; what is short goes whole or waits, and readiness says which.
    #[test]
    fn connection_does_what_two_bounded_queues_of_bytes_do(
        is_unix: bool,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut program = Program::new();
        let (family, address) = if is_unix { (UNIX, path(b"/s")) } else { (V4, v4(OWN, 80)) };
        let (first, second) = program.connected(family, &address);
        let ends = [first, second];
        // By who writes.
        let mut model = [Direction::default(), Direction::default()];
        let mut next = 0_u8;
        for step in steps {
            match step {
                Step::Write(end, length) => {
                    let direction = &mut model[usize::from(end)];
                    let bytes: Vec<u8> = (0..length).map(|at| next.wrapping_add(at as u8)).collect();
                    let room = 16 * 1024 - direction.bytes.len();
                    let written = match () {
                        () if direction.is_finished => Errno::EPIPE.negated(),
                        () if length == 0 => 0,
                        () if length <= 4096 && room < length || room == 0 => AGAIN,
                        () => length.min(room) as i64,
                    };
                    prop_assert_eq!(program.send(ends[usize::from(end)], &bytes), written);
                    let taken = usize::try_from(written).unwrap_or(0);
                    direction.bytes.extend(&bytes[..taken]);
                    next = next.wrapping_add(taken as u8);
                }
                Step::Read(end, most) | Step::Peek(end, most) => {
                    let is_peek = matches!(step, Step::Peek(..));
                    let direction = &mut model[usize::from(!end)];
                    let socket = ends[usize::from(end)];
                    let result = program.call(number::RECVFROM, &[socket, TO, most, if is_peek { 2 } else { 0 }, 0, 0]);
                    let length = direction.bytes.len().min(most as usize);
                    if most > 0 && direction.bytes.is_empty() && !direction.is_finished {
                        prop_assert_eq!(result, AGAIN);
                        continue;
                    }
                    prop_assert_eq!(result, length as i64);
                    let expected: Vec<u8> = direction.bytes.iter().copied().take(length).collect();
                    prop_assert_eq!(program.bytes(TO, length), expected);
                    if !is_peek {
                        direction.bytes.drain(..length);
                    }
                }
                Step::Finish(end) => {
                    prop_assert_eq!(program.call(number::SHUTDOWN, &[ends[usize::from(end)], 1]), 0);
                    model[usize::from(end)].is_finished = true;
                }
            }
            for end in [0, 1] {
                let (own, other) = (&model[end], &model[1 - end]);
                let can_read = !other.bytes.is_empty() || other.is_finished;
                let can_write = own.is_finished || 16 * 1024 - own.bytes.len() >= 4096;
                let ready = program.ready(ends[end]);
                prop_assert_eq!((ready & bits::IN != 0, ready & bits::OUT != 0), (can_read, can_write));
            }
        }
        for end in ends {
            prop_assert_eq!(program.call(number::CLOSE, &[end]), 0);
        }
        prop_assert!(program.all_is_free());
    }
}

#[test]
fn reader_that_waits_for_all_gets_it_or_what_came_before_the_wait_ended() {
    const ALL: u64 = 0x100;
    const INTO: u64 = AT + 0x200;
    let mut program = Program::new();
    let second = program.thread();
    assert_eq!(program.call(number::SOCKETPAIR, &[1, 1, 0, AT]), 0);
    let [both] = program.world.words::<1>(AT);
    let (near, far) = (both & 0xffff_ffff, both >> 32);
    let send = |program: &mut Program, bytes: &[u8]| {
        program.world.write(AT, bytes).unwrap();
        assert_eq!(program.call(number::WRITE, &[far, AT, bytes.len() as u64]), bytes.len() as i64);
    };
    let read = |program: &Program, length: usize| {
        let mut bytes = vec![0; length];
        program.world.read(INTO, &mut bytes).unwrap();
        bytes
    };
    let receive = [near, INTO, 10, ALL, 0, 0];
    send(&mut program, b"abc");
    assert_eq!(program.on(second, number::RECVFROM, &receive), Outcome::Park);
    send(&mut program, b"defg");
    assert_eq!(program.process.take_result(second), None);
    send(&mut program, b"hijkl");
    assert_eq!(program.process.take_result(second), Some(10));
    assert_eq!(read(&program, 10), b"abcdefghij");
    // Into pieces; two bytes are there.
    program.put(AT + 0x100, &[INTO, 3, INTO + 3, 5]);
    program.put(AT + 0x140, &[0, 0, AT + 0x100, 2, 0, 0, u64::MAX]);
    assert_eq!(program.on(second, number::RECVMSG, &[near, AT + 0x140, ALL]), Outcome::Park);
    send(&mut program, b"mnopqrs");
    assert_eq!(program.process.take_result(second), Some(8));
    assert_eq!(read(&program, 8), b"klmnopqr");
    // A signal, the end of its time, a call that does not wait: what came counts.
    program.put(AT + 32, &[0xcafe, 0, 0, 0]);
    assert_eq!(program.call(number::RT_SIGACTION, &[10, AT + 32, 0, 8]), 0);
    assert_eq!(program.on(second, number::RECVFROM, &receive), Outcome::Park);
    program.process.signal_program(&mut program.world, 10);
    assert_eq!(program.process.take_result(second), Some(1));
    let delivery = program.process.resumed(&mut program.world, second, 1);
    assert!(matches!(delivery, Outcome::Deliver(Delivery { result: 1, .. })), "{delivery:?}");
    program.put(AT + 64, &[1, 0]);
    assert_eq!(program.call(number::SETSOCKOPT, &[near, 1, 20, AT + 64, 16]), 0);
    send(&mut program, b"tu");
    assert_eq!(program.on(second, number::RECVFROM, &receive), Outcome::Park);
    program.at(1_000_000_000);
    assert_eq!(program.process.take_result(second), Some(2));
    assert_eq!(program.call(number::RECVFROM, &[near, INTO, 10, ALL | 0x40]), Errno::EAGAIN.negated());
    send(&mut program, b"vwx");
    assert_eq!(program.call(number::RECVFROM, &[near, INTO, 10, ALL | 2]), 3);
    assert_eq!(program.call(number::RECVFROM, &[near, INTO, 10, ALL | 0x40]), 3);
    // Nobody would end the wait in time.
    send(&mut program, b"12");
    program.world.has_no_alarm = true;
    assert_eq!(program.call(number::RECVFROM, &receive), 2);
    program.world.has_no_alarm = false;
    // The end.
    send(&mut program, b"yz");
    assert_eq!(program.on(second, number::RECVFROM, &receive), Outcome::Park);
    assert_eq!(program.call(number::CLOSE, &[far]), 0);
    assert_eq!(program.process.take_result(second), Some(2));
    assert_eq!(program.call(number::RECVFROM, &receive), 0);
}

#[test]
fn who_waits_at_a_number_takes_nothing_from_what_that_leads_to_later() {
    let mut program = Program::new();
    let second = program.thread();
    let pair = |program: &mut Program| {
        assert_eq!(program.call(number::SOCKETPAIR, &[1, 1, 0, AT]), 0);
        let [both] = program.world.words::<1>(AT);
        (both & 0xffff_ffff, both >> 32)
    };
    let (near, far) = pair(&mut program);
    let (other, its_far) = pair(&mut program);
    assert_eq!(program.on(second, number::READ, &[near, AT + 0x200, 10]), Outcome::Park);
    assert_eq!(program.call(number::DUP3, &[other, near, 0]).cast_unsigned(), near);
    assert_eq!(program.call(number::WRITE, &[its_far, AT, 3]), 3);
    assert_eq!(program.process.take_result(second), Some(Errno::EBADF.negated()));
    // Whom it was for has it.
    assert_eq!(program.call(number::READ, &[near, AT + 0x200, 10]), 3);
    assert_eq!(program.call(number::READ, &[far, AT + 0x200, 10]), 0);
}

#[test]
fn reader_whose_descriptor_is_closed_meanwhile_gets_what_it_took() {
    let mut program = Program::new();
    let second = program.thread();
    assert_eq!(program.call(number::SOCKETPAIR, &[1, 1, 0, AT]), 0);
    let [both] = program.world.words::<1>(AT);
    let (near, far) = (both & 0xffff_ffff, both >> 32);
    assert_eq!(program.call(number::WRITE, &[far, AT, 3]), 3);
    assert_eq!(program.on(second, number::RECVFROM, &[near, AT + 0x200, 10, 0x100, 0, 0]), Outcome::Park);
    assert_eq!(program.call(number::CLOSE, &[near]), 0);
    assert_eq!(program.process.take_result(second), Some(3));
}
