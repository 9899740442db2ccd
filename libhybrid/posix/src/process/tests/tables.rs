//! Tables of many descriptors: each has its memory, pages of the heap, before it needs it, whatever comes at once.
use super::datagrams::{OWN, path, v4};
use super::sockets::{FakeStack, LOCAL, PEER};
use super::*;
use crate::net::Event;

const NONBLOCK: u64 = 0o4000;
/// Places of each table for which there is memory from the start.
const FEW: usize = 64;
const ANY: [u8; 4] = [0; 4];

impl Program {
    /// One that has memory for a thousand of everything.
    fn with_much() -> Self {
        let mut program = Self::with_memory(1, 12_000);
        program.world.net = Some(FakeStack::default());
        program
    }

    /// Each table that has more than a few places got a piece for each time that it was doubled.
    fn check_tables(&self) {
        let files = &self.process.files;
        let capacities =
            [files.descriptors.capacity(), files.objects.capacity(), files.pipes.capacity(), files.watches.capacity()];
        let grown: u32 = capacities.iter().map(|capacity| (capacity.max(&FEW) / FEW).ilog2()).sum();
        assert_eq!(self.world.given, grown as usize, "places of each table: {capacities:?}");
    }

    fn listener_of(&mut self, address: [u8; 4], port: u16, backlog: u64) -> u64 {
        let socket = self.call(number::SOCKET, &[2, 1 | NONBLOCK, 0]).cast_unsigned();
        assert_eq!(self.with_address(number::BIND, socket, &v4(address, port)), 0);
        assert_eq!(self.call(number::LISTEN, &[socket, backlog]), 0);
        socket
    }
}

#[test]
fn every_growth_of_a_table_has_its_pages_first_also_for_pairs() {
    for before in 0..2 {
        let mut program = Program::with_much();
        (0..before).for_each(|_| _ = program.counter(0, 0));
        let epoll = program.call(number::EPOLL_CREATE1, &[0]).cast_unsigned();
        loop {
            let made = [
                program.call(number::PIPE2, &[AT, 0]),
                program.call(number::SOCKETPAIR, &[1, 1, 0, AT]),
                program.call(number::SOCKETPAIR, &[1, 2, 0, AT]),
            ];
            program.check_tables();
            if made != [0; 3] {
                assert!(made.iter().all(|made| [0, Errno::EMFILE.negated(), Errno::ENFILE.negated()].contains(made)));
                break;
            }
            let [both] = program.world.words(AT);
            assert_eq!(program.control(epoll, 1, both >> 32, 0, 0), 0);
            program.check_tables();
        }
        assert_eq!(program.process.files.objects.capacity(), DESCRIPTORS_MAX);
    }
}

#[test]
fn burst_of_connections_grows_the_tables_and_none_is_reset() {
    let mut program = Program::with_much();
    let listeners: Vec<u64> = (0..6).map(|port| program.listener_of(ANY, 80 + port, 128)).collect();
    let accepted = |listener| {
        (0..64).map(move |at| Event::Accepted {
            connection: 1 + at + 64 * u32::from(listener),
            listener,
            peer: PEER,
            local: LOCAL,
            credit: 100,
        })
    };
    program.hear((0..6).flat_map(accepted));
    program.process.feed_tables(&mut program.world);
    program.check_tables();
    assert_eq!(program.world.net.as_ref().unwrap().said, [""; 0], "no connection is aborted");
    for listener in listeners {
        for _ in 0..64 {
            assert!(program.call(number::ACCEPT4, &[listener, 0, 0, 0]) > 0);
            program.check_tables();
        }
    }
}

#[test]
fn many_who_are_let_in_at_once_grow_the_tables_and_none_is_refused() {
    let mut program = Program::with_much();
    let listener = program.listener_of(OWN, 80, 1);
    for _ in 0..64 {
        let client = program.call(number::SOCKET, &[2, 1 | NONBLOCK, 0]).cast_unsigned();
        program.with_address(number::CONNECT, client, &v4(OWN, 80));
    }
    program.check_tables();
    assert_eq!(program.call(number::LISTEN, &[listener, 64]), 0);
    program.check_tables();
    assert_eq!((0..64).filter(|_| program.call(number::ACCEPT4, &[listener, 0, 0, 0]) > 0).count(), 64);
    // By a name it is the same.
    let named = program.call(number::SOCKET, &[1, 1, 0]).cast_unsigned();
    assert_eq!(program.with_address(number::BIND, named, &path(b"\0l")), 0);
    program.check_tables();
}

#[test]
fn number_far_beyond_the_others_has_its_pages_first() {
    for by_fcntl in [true, false] {
        let mut program = Program::with_much();
        let far =
            if by_fcntl { program.call(number::FCNTL, &[0, 0, 900]) } else { program.call(number::DUP3, &[0, 900, 0]) };
        assert_eq!((far, program.world.given), (900, 1));
        assert_eq!(program.process.files.descriptors.capacity(), 901 + 8);
    }
}

#[test]
fn table_whose_pages_were_not_there_gets_them_when_they_are() {
    let mut program = Program::with_much();
    let all = program.process.areas.free_bytes();
    let address = program.call(number::MMAP, &[0, all, RW, ANONYMOUS, u64::MAX, 0]).cast_unsigned();
    while program.counter(0, 0) < 100 {}
    assert_eq!(program.world.given, 0, "the program has all pages");
    assert_eq!(program.call(number::MUNMAP, &[address, all]), 0);
    while program.counter(0, 0) < 126 {}
    assert_eq!(program.world.given, 2, "of descriptors and of objects");
}

#[test]
fn pages_of_a_table_are_not_the_programs_any_more() {
    let mut program = Program::with_much();
    let before = program.process.areas.free_bytes();
    while program.counter(0, 0) < 70 {}
    let kept = before - program.process.areas.free_bytes();
    assert!(kept > 0 && program.world.given > 0);
    for (number, args, errno) in [
        (number::MUNMAP, [BASE, kept, 0, 0], Errno::EINVAL),
        (number::MMAP, [BASE, kept, RW, ANONYMOUS | 0x10], Errno::ENOMEM),
        (number::MREMAP, [BASE, kept, 2 * kept, 1], Errno::EFAULT),
        (number::MADVISE, [BASE, kept, 4, 0], Errno::ENOMEM),
        (number::MPROTECT, [BASE, kept, 1, 0], Errno::ENOMEM),
    ] {
        assert_eq!(program.call(number, &args), errno.negated(), "{number}");
    }
    let taken = program.call(number::MMAP, &[0, before - kept, RW, ANONYMOUS, u64::MAX, 0]);
    assert_eq!(taken.cast_unsigned(), BASE + kept, "all others are");
}
