//! epoll over everything that can be watched, under random calls, against a look at all watches one by one.
use super::datagrams::{FakePorts, path, v4};
use super::readiness as bits;
use super::sockets::{FakeStack, LOCAL, PEER};
use super::*;
use crate::net::Event;
use std::collections::VecDeque;

const FROM: u64 = STACK.0;
const NONBLOCK: u64 = 0o4000;
const EDGE: u32 = 1 << 31;
const ONCE: u32 = 1 << 30;
const ADD: u64 = 1;
const DELETE: u64 = 2;
const MODIFY: u64 = 3;
const EPOLLS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Write(usize, u64),
    Read(usize, u64),
    Control(usize, u64, usize, u32),
    Wait(usize, u64),
    Dup(usize),
    Close(usize),
    Shut(usize, u64),
    SetTimer(usize, u64),
    Pass(u64),
    /// Connects a socket for datagrams to one of two names.
    Connect(usize, usize),
    Knock,
    Accept,
    Hear(Event<'static>),
    Room(bool),
    CloseEpoll(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let length = || prop_oneof![Just(8_u64), 1_u64..100, 3_000_u64..9_000];
    let events = (0_u32..8, proptest::bool::ANY, proptest::bool::ANY).prop_map(|(which, edge, once)| {
        let [input, output, end] = [bits::IN, bits::OUT, bits::RDHUP];
        let chosen = [(1, input), (2, output), (4, end)].map(|(bit, event)| if which & bit != 0 { event } else { 0 });
        chosen.iter().sum::<u32>() | if edge { EDGE } else { 0 } | if once { ONCE } else { 0 }
    });
    let heard = prop_oneof![
        Just(Event::Data(1, b"heard")),
        Just(Event::Credit(1, 50)),
        Just(Event::Finished(1)),
        Just(Event::Closed(1, crate::net::Reason::Reset)),
        Just(Event::Lost),
        (2_u32..9).prop_map(|connection| Event::Accepted {
            connection,
            listener: 0,
            peer: PEER,
            local: LOCAL,
            credit: 9
        }),
    ];
    let any = || 0_usize..32;
    prop_oneof![
        6 => (any(), length()).prop_map(|(at, length)| Step::Write(at, length)),
        6 => (any(), length()).prop_map(|(at, length)| Step::Read(at, length)),
        8 => (0..EPOLLS, prop_oneof![4 => Just(ADD), 1 => Just(DELETE), 2 => Just(MODIFY)], any(), events)
            .prop_map(|(epoll, operation, at, events)| Step::Control(epoll, operation, at, events)),
        6 => (0..EPOLLS, 1_u64..20).prop_map(|(epoll, most)| Step::Wait(epoll, most)),
        1 => any().prop_map(Step::Dup),
        1 => any().prop_map(Step::Close),
        1 => (any(), 0_u64..3).prop_map(|(at, how)| Step::Shut(at, how)),
        1 => (any(), 1_u64..50).prop_map(|(at, ns)| Step::SetTimer(at, ns)),
        1 => (1_u64..50).prop_map(Step::Pass),
        2 => (any(), 0_usize..2).prop_map(|(at, name)| Step::Connect(at, name)),
        1 => Just(Step::Knock),
        1 => Just(Step::Accept),
        2 => heard.prop_map(Step::Hear),
        1 => proptest::bool::ANY.prop_map(Step::Room),
        1 => (0..EPOLLS).prop_map(Step::CloseEpoll),
    ]
}

/// A program with one of each thing that can be watched.
struct Mix {
    program: Program,
    epolls: [u64; EPOLLS],
    descriptors: Vec<u64>,
    listener: u64,
}

impl Mix {
    fn new() -> Self {
        let mut program = Program::with_memory(1, 4 * PAGES);
        (program.world.net, program.world.udp) = (Some(FakeStack::default()), Some(FakePorts::default()));
        program.put(AT, &[1, 0, 0, 0]);
        assert_eq!(program.call(number::RT_SIGACTION, &[13, AT, 0, 8]), 0, "no write is the program's end");
        let mut descriptors = vec![0, 1];
        let mut both = |program: &mut Program| {
            let [both] = program.world.words::<1>(AT);
            descriptors.extend([both & 0xffff_ffff, both >> 32]);
        };
        assert_eq!(program.call(number::PIPE2, &[AT, NONBLOCK]), 0);
        both(&mut program);
        for kind in [1, 2] {
            assert_eq!(program.call(number::SOCKETPAIR, &[1, kind | NONBLOCK, 0, AT]), 0);
            both(&mut program);
        }
        descriptors.push(program.call(number::EVENTFD2, &[0, NONBLOCK]).cast_unsigned());
        descriptors.push(program.call(number::TIMERFD_CREATE, &[1, NONBLOCK]).cast_unsigned());
        for name in [b"\0a", b"\0b"] {
            let socket = program.datagrams(1, NONBLOCK);
            assert_eq!(program.with_address(number::BIND, socket, &path(name)), 0);
            descriptors.push(socket);
        }
        descriptors.push(program.datagrams(1, NONBLOCK));
        let outside = program.datagrams(2, NONBLOCK);
        assert_eq!(program.with_address(number::CONNECT, outside, &v4([10, 0, 2, 2], 9)), 0);
        descriptors.push(outside);
        let listener = program.call(number::SOCKET, &[1, 1 | NONBLOCK, 0]).cast_unsigned();
        assert_eq!(program.with_address(number::BIND, listener, &path(b"\0l")), 0);
        assert_eq!(program.call(number::LISTEN, &[listener, 1]), 0);
        let outer = program.listener(NONBLOCK);
        program.hear([Event::Accepted { connection: 1, listener: 0, peer: PEER, local: LOCAL, credit: 100 }]);
        let accepted = program.call(number::ACCEPT4, &[outer, 0, 0, NONBLOCK]).cast_unsigned();
        descriptors.extend([listener, outer, accepted]);
        let epolls = [(); EPOLLS].map(|()| program.call(number::EPOLL_CREATE1, &[0]).cast_unsigned());
        Self { program, epolls, descriptors, listener }
    }

    fn at(&self, at: usize) -> u64 {
        self.descriptors[at % self.descriptors.len()]
    }

    fn keep(&mut self, made: i64) {
        if let Ok(made) = u64::try_from(made) {
            self.descriptors.push(made);
        }
    }

    fn do_call(&mut self, step: Step) {
        let program = &mut self.program;
        let at = |at: usize| self.descriptors[at % self.descriptors.len()];
        match step {
            Step::Write(to, length) => _ = program.call(number::WRITE, &[at(to), FROM, length]),
            Step::Read(from, length) => _ = program.call(number::READ, &[at(from), FROM, length]),
            Step::Control(epoll, operation, of, events) => {
                // One of the epolls among the rest.
                let of = of % (self.descriptors.len() + EPOLLS);
                let of = self.descriptors.iter().chain(&self.epolls).nth(of).copied().unwrap();
                _ = program.control(self.epolls[epoll], operation, of, events, of);
            }
            Step::Wait(epoll, most) => self.wait(epoll, most),
            Step::Dup(of) => {
                let made = program.call(number::DUP, &[at(of)]);
                self.keep(made);
            }
            Step::Close(of) => {
                let number = self.at(of);
                // What the other steps need stays.
                if number > 1 && number != self.listener && self.descriptors.len() > 2 {
                    self.descriptors.retain(|each| *each != number);
                    assert_eq!(self.program.call(number::CLOSE, &[number]), 0);
                }
            }
            Step::Shut(of, how) => _ = program.call(number::SHUTDOWN, &[at(of), how]),
            Step::SetTimer(of, ns) => {
                program.put(AT, &[0, ns, 0, ns]);
                _ = program.call(number::TIMERFD_SETTIME, &[at(of), 0, AT, 0]);
            }
            Step::Pass(ns) => program.at(program.world.now + ns),
            Step::Connect(of, name) => {
                _ = program.with_address(number::CONNECT, at(of), &path([b"\0a", b"\0b"][name]));
            }
            Step::Knock => {
                let client = program.call(number::SOCKET, &[1, 1 | NONBLOCK, 0]);
                if let Ok(client) = u64::try_from(client) {
                    _ = program.with_address(number::CONNECT, client, &path(b"\0l"));
                }
                self.keep(client);
            }
            Step::Accept => {
                let made = program.call(number::ACCEPT4, &[self.listener, 0, 0, NONBLOCK]);
                self.keep(made);
            }
            Step::Hear(event) => {
                program.hear([event]);
                program.process.check_watches();
            }
            Step::Room(has_room) => program.world.udp.as_mut().unwrap().is_full = !has_room,
            Step::CloseEpoll(epoll) => {
                assert_eq!(program.call(number::CLOSE, &[self.epolls[epoll]]), 0);
                self.epolls[epoll] = program.call(number::EPOLL_CREATE1, &[0]).cast_unsigned();
            }
        }
    }

    /// A look tells as much as there is room for, of what all watches have to tell.
    fn wait(&mut self, epoll: usize, most: u64) {
        let epoll = self.epolls[epoll];
        // What the call itself learns first.
        self.program.process.pass_timers(self.program.world.now);
        self.program.process.take_events(&mut self.program.world);
        let mut wanted: VecDeque<(u64, u32)> = self.program.process.reports(epoll).into();
        let told = self.program.told(epoll, most);
        assert_eq!(told.len(), wanted.len().min(most as usize), "{told:?} of {wanted:?}");
        for each in told {
            let found = wanted.iter().position(|wanted| *wanted == each);
            assert!(found.and_then(|at| wanted.remove(at)).is_some(), "{each:?} is told, and not one of {wanted:?}");
        }
    }
}

proptest! {
    #[test]
    fn epoll_tells_what_a_look_at_all_watches_finds(steps in proptest::collection::vec(step(), 0..150)) {
        let mut mix = Mix::new();
        for step in steps {
            mix.do_call(step);
        }
        // Watches leave nothing behind.
        for descriptor in mix.descriptors.drain(..).chain(mix.epolls) {
            mix.program.call(number::CLOSE, &[descriptor]);
        }
        prop_assert_eq!(mix.program.process.watch_count(), 0);
    }
}

#[test]
fn watches_are_as_many_as_there_may_be_and_one_more_is_refused() {
    let mut program = Program::new();
    let epolls: Vec<u64> = (0..64).map(|_| program.call(number::EPOLL_CREATE1, &[0]).cast_unsigned()).collect();
    let counters: Vec<u64> = (0..WATCHES_MAX / 64).map(|_| program.counter(1, NONBLOCK)).collect();
    for epoll in &epolls {
        for counter in &counters {
            assert_eq!(program.control(*epoll, ADD, *counter, bits::IN, *counter), 0);
        }
    }
    let further = program.counter(1, NONBLOCK);
    assert_eq!(program.control(epolls[0], ADD, further, bits::IN, 0), Errno::ENOSPC.negated());
    assert_eq!(program.call(number::CLOSE, &[counters[0]]), 0);
    assert_eq!(program.control(epolls[0], ADD, further, bits::IN, 7), 0);
    assert!(program.told(epolls[0], 100).contains(&(7, bits::IN)));
}

#[test]
fn socket_that_is_given_a_target_with_room_is_told_though_nothing_came() {
    let mut mix = Mix::new();
    let (epoll, program) = (mix.epolls[0], &mut mix.program);
    let sender = program.datagrams(1, NONBLOCK);
    assert_eq!(program.with_address(number::CONNECT, sender, &path(b"\0a")), 0);
    while program.call(number::WRITE, &[sender, FROM, 3_000]) > 0 {}
    assert_eq!(program.control(epoll, ADD, sender, bits::OUT, 5), 0);
    assert_eq!(program.told(epoll, 9), []);
    assert_eq!(program.with_address(number::CONNECT, sender, &path(b"\0b")), 0);
    assert_eq!(program.told(epoll, 9), [(5, bits::OUT)]);
    // As well if the host stack has room before it says so.
    let outside = program.datagrams(2, NONBLOCK);
    assert_eq!(program.with_address(number::CONNECT, outside, &v4([10, 0, 2, 2], 9)), 0);
    assert_eq!(program.control(epoll, MODIFY, sender, 0, 5), 0);
    assert_eq!(program.control(epoll, ADD, outside, bits::OUT, 6), 0);
    program.world.udp.as_mut().unwrap().is_full = true;
    assert_eq!(program.call(number::WRITE, &[outside, FROM, 9]), Errno::EAGAIN.negated());
    assert_eq!(program.told(epoll, 9), []);
    program.world.udp.as_mut().unwrap().is_full = false;
    assert_eq!(program.call(number::WRITE, &[outside, FROM, 9]), 9);
    assert_eq!(program.told(epoll, 9), [(6, bits::OUT)]);
}

#[test]
fn watch_by_edge_is_told_of_the_room_of_another_target() {
    let mut mix = Mix::new();
    let (epoll, program) = (mix.epolls[0], &mut mix.program);
    let sender = program.datagrams(1, NONBLOCK);
    assert_eq!(program.with_address(number::CONNECT, sender, &path(b"\0a")), 0);
    assert_eq!(program.control(epoll, ADD, sender, bits::OUT | EDGE, 5), 0);
    assert_eq!(program.told(epoll, 9), [(5, bits::OUT)]);
    while program.call(number::WRITE, &[sender, FROM, 3_000]) > 0 {}
    assert_eq!(program.told(epoll, 9), []);
    assert_eq!(program.with_address(number::CONNECT, sender, &path(b"\0b")), 0);
    assert_eq!(program.told(epoll, 9), [(5, bits::OUT)]);
    assert_eq!(program.told(epoll, 9), [], "once");
    // As well if a call finds that the host stack has room again.
    let outside = program.datagrams(2, NONBLOCK);
    assert_eq!(program.with_address(number::CONNECT, outside, &v4([10, 0, 2, 2], 9)), 0);
    assert_eq!(program.control(epoll, ADD, outside, bits::OUT | EDGE, 6), 0);
    assert_eq!(program.told(epoll, 9), [(6, bits::OUT)]);
    program.world.udp.as_mut().unwrap().is_full = true;
    assert_eq!(program.call(number::WRITE, &[outside, FROM, 9]), Errno::EAGAIN.negated());
    program.world.udp.as_mut().unwrap().makes_room = true;
    assert_eq!(program.call(number::WRITE, &[outside, FROM, 9]), 9);
    assert_eq!(program.told(epoll, 9), [(6, bits::OUT)]);
}

#[test]
fn epolls_in_epolls_tell_what_the_innermost_has_and_wake_who_waits() {
    let mut program = Program::with_threads(2);
    let second = program.thread();
    let epolls: Vec<u64> = (0..5).map(|_| program.call(number::EPOLL_CREATE1, &[0]).cast_unsigned()).collect();
    for pair in epolls.windows(2) {
        assert_eq!(program.control(pair[0], ADD, pair[1], bits::IN, pair[1]), 0);
    }
    let counter = program.counter(0, NONBLOCK);
    assert_eq!(program.control(epolls[4], ADD, counter, bits::IN, counter), 0);
    assert_eq!(program.told(epolls[0], 9), []);
    // What waits at the outermost hears of the innermost, each time anew, also if nobody looked in between.
    for _ in 0..3 {
        assert_eq!(program.on(second, number::EPOLL_PWAIT, &[epolls[0], AT, 9, u64::MAX]), Outcome::Park);
        program.put(AT + 64, &[1]);
        assert_eq!(program.call(number::WRITE, &[counter, AT + 64, 8]), 8);
        assert_eq!(program.process.take_result(second), Some(1));
        assert_eq!(program.world.words::<2>(AT), [bits::IN.into(), epolls[1]]);
        assert_eq!(program.told(epolls[4], 9), [(counter, bits::IN)]);
        assert_eq!(program.call(number::READ, &[counter, AT + 64, 8]), 8);
        assert_eq!(program.told(epolls[0], 9), []);
    }
    // poll sees it, too; what leaves the innermost leaves all.
    program.put(AT + 64, &[1]);
    assert_eq!(program.call(number::WRITE, &[counter, AT + 64, 8]), 8);
    program.put(AT, &[epolls[0] | 1 << 32, 0, 0]);
    assert_eq!(program.call(number::PPOLL, &[AT, 1, AT + 8]), 1);
    assert_eq!(program.call(number::CLOSE, &[counter]), 0);
    assert_eq!(program.told(epolls[0], 9), []);
}

#[test]
fn epolls_in_a_circle_too_deep_or_watched_by_too_many_are_refused() {
    let mut program = Program::new();
    let epolls: Vec<u64> = (0..8).map(|_| program.call(number::EPOLL_CREATE1, &[0]).cast_unsigned()).collect();
    let mut add = |outer: usize, inner: usize| program.control(epolls[outer], ADD, epolls[inner], bits::IN, 0);
    let (circle, invalid) = (Errno::ELOOP.negated(), Errno::EINVAL.negated());
    assert_eq!(add(0, 0), invalid);
    // Five in a row, joined in the middle.
    for (outer, inner) in [(0, 1), (3, 4), (1, 2), (2, 3)] {
        assert_eq!(add(outer, inner), 0);
    }
    for (outer, inner) in [(4, 0), (1, 0), (4, 3), (4, 5), (5, 0)] {
        assert_eq!(add(outer, inner), circle, "{outer} {inner}");
    }
    assert_eq!((add(3, 5), add(5, 1), add(0, 3)), (0, circle, 0));
    assert_eq!((add(1, 4), add(2, 4), add(6, 4)), (0, 0, 0));
    assert_eq!(add(7, 4), invalid);
}
