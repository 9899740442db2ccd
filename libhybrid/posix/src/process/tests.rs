//! The system calls against a fake world: a few pages of memory, a clock that a test moves, and what was told.
#![expect(clippy::cast_possible_truncation, reason = "offsets in a test's few pages")]
mod alarm;
mod crossing;
mod datagrams;
mod descriptors;
mod files;
mod hostile;
mod identity;
mod random;
mod refusals;
mod sockets;
mod spawn;
mod tables;
mod terminal;
mod time;
mod watches;
mod within;

use super::*;
use crate::areas::{Areas, PAGE, Stacks};
use crate::output::Stream;
use crate::world;
use proptest::prelude::*;

const BASE: u64 = 0x1000_0000;
const PAGES: usize = 32;
/// Where tests put what a program would have on its stack.
const STACK: (u64, u64) = (0x6fff_0000, 0x7000_0000);
const AT: u64 = 0x6fff_8000;

#[derive(Default)]
struct Fake {
    heap: Vec<u8>,
    stack: Vec<u8>,
    now: u64,
    has_no_alarm: bool,
    random: Option<u8>,
    is_unseeded: bool,
    told: Vec<String>,
    net: Option<sockets::FakeStack>,
    udp: Option<datagrams::FakePorts>,
    trees: Vec<files::FakeTree>,
    kin: Option<spawn::FakeKin>,
    wire: Option<terminal::FakeWire>,
    neighbours: Option<crossing::FakeNeighbours>,
    /// Pieces that the personality's allocator was given.
    given: usize,
}

impl Fake {
    fn place(&self, address: u64, bytes: usize) -> Result<(bool, usize), Errno> {
        let inside = |base: u64, memory: &Vec<u8>| {
            let at = usize::try_from(address.checked_sub(base)?).ok()?;
            (at.checked_add(bytes)? <= memory.len()).then_some(at)
        };
        let heap = inside(BASE, &self.heap).map(|at| (true, at));
        heap.or_else(|| inside(STACK.0, &self.stack).map(|at| (false, at))).ok_or(Errno::EFAULT)
    }

    fn words<const N: usize>(&self, address: u64) -> [u64; N] {
        world::read_words(self, address).unwrap()
    }
}

impl World for Fake {
    fn notice_peers(&mut self) {
        if let Some(ports) = &mut self.udp {
            ports.notice();
        }
    }

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Errno> {
        let (is_heap, at) = self.place(address, into.len())?;
        let memory = if is_heap { &self.heap } else { &self.stack };
        into.copy_from_slice(&memory[at..at + into.len()]);
        Ok(())
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let (is_heap, at) = self.place(address, bytes.len())?;
        let memory = if is_heap { &mut self.heap } else { &mut self.stack };
        memory[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn zero(&mut self, address: u64, bytes: u64) {
        self.write(address, &vec![0; bytes as usize]).unwrap();
    }

    fn add_to_runtime(&mut self, _pages: crate::areas::Kept) {
        self.given += 1;
    }

    fn copy(&mut self, from: u64, to: u64, bytes: u64) -> Result<(), Errno> {
        let mut moved = vec![0; bytes as usize];
        self.read(from, &mut moved)?;
        self.write(to, &moved)
    }

    fn now_ns(&self) -> u64 {
        self.now
    }

    fn resolution_ns(&self) -> u64 {
        16
    }

    fn has_alarm(&self) -> bool {
        !self.has_no_alarm
    }

    fn relations(&mut self) -> Option<&mut dyn crate::family::Relations> {
        self.kin.as_mut().map(|kin| kin as &mut dyn crate::family::Relations)
    }

    fn has_random(&self) -> bool {
        self.random.is_some()
    }

    fn is_seeded(&self) -> bool {
        !self.is_unseeded
    }

    fn has_tcp(&self) -> bool {
        self.net.is_some()
    }

    fn listen(&mut self, own: crate::net::Peer, places: u16) -> Result<u16, Errno> {
        self.net.as_mut().ok_or(Errno::EACCES)?.listen(own, places)
    }

    fn has_address(&mut self, address: crate::net::Address) -> Result<bool, Errno> {
        self.net.as_ref().map(|_| address == sockets::LOCAL.address).ok_or(Errno::EACCES)
    }

    fn unlisten(&mut self, listener: u16) {
        self.net.as_mut().unwrap().said.push(format!("unlisten {listener}"));
    }

    fn command(&mut self, command: crate::net::Command<'_>) -> bool {
        self.net.as_mut().unwrap().command(command)
    }

    fn has_command_room(&mut self) -> bool {
        self.net.as_ref().unwrap().has_room()
    }

    fn event<'a>(&mut self, scratch: &'a mut Vec<u8>) -> Option<crate::net::Event<'a>> {
        self.net.as_mut()?.event(scratch)
    }

    fn has_udp(&self) -> bool {
        self.udp.is_some()
    }

    fn bind_port(&mut self, port: u16) -> Result<(u16, u16), Errno> {
        self.udp.as_mut().ok_or(Errno::EACCES)?.bind(port)
    }

    fn unbind_port(&mut self, socket: u16) {
        self.udp.as_mut().unwrap().bound.retain(|(bound, _)| *bound != socket);
    }

    fn source(&mut self, to: crate::net::Address) -> Result<crate::net::Address, Errno> {
        self.udp.as_ref().unwrap().source(to)
    }

    fn send_datagram(&mut self, socket: u16, peer: crate::net::Peer, bytes: &[u8]) -> Result<bool, Errno> {
        self.udp.as_mut().unwrap().send(socket, peer, bytes)
    }

    fn has_datagram_room(&mut self) -> bool {
        !self.udp.as_ref().unwrap().is_full
    }

    fn arrival<'a>(&mut self, scratch: &'a mut Vec<u8>) -> Option<crate::net::Arrival<'a>> {
        self.udp.as_mut()?.arrival(scratch)
    }

    fn name_servers(&mut self) -> heapless::Vec<crate::net::Address, 3> {
        self.udp.iter().flat_map(|ports| ports.servers.iter().copied()).collect()
    }

    fn neighbours(&mut self) -> Option<&mut dyn crate::neighbour::Neighbours> {
        self.neighbours.as_mut().map(|all| all as &mut dyn crate::neighbour::Neighbours)
    }

    fn wire(&mut self) -> Option<&mut dyn crate::console::Wire> {
        self.wire.as_mut().map(|wire| wire as &mut dyn crate::console::Wire)
    }

    fn tree(&mut self, place: usize) -> Option<&mut dyn crate::files::Tree> {
        self.trees.get_mut(place).map(|tree| tree as &mut dyn crate::files::Tree)
    }

    fn line(&mut self, stream: Stream, text: &str) {
        self.told.push(format!("{stream:?} {text}"));
    }

    fn note(&mut self, text: core::fmt::Arguments<'_>) {
        self.told.push(text.to_string());
    }
}

struct Program {
    process: Process<Vec<u8>>,
    world: Fake,
}

impl Program {
    fn new() -> Self {
        Self::with_threads(4)
    }

    fn with_threads(threads: u8) -> Self {
        Self::with_memory(threads, PAGES)
    }

    fn with_memory(threads: u8, pages: usize) -> Self {
        let identity = Identity {
            instance: 7,
            name: "prog",
            version: "1.2",
            stack: STACK,
            threads,
            min_stack: 0,
            name_servers: "10.0.2.3",
            name_options: "",
        };
        let heap = vec![0; pages * 4096];
        let stack = vec![0; (STACK.1 - STACK.0) as usize];
        let areas = Areas::new(BASE, vec![0; pages], Stacks::default());
        Self { process: Process::new(identity, areas), world: Fake { heap, stack, ..Fake::default() } }
    }

    fn on(&mut self, thread: Thread, number: u64, args: &[u64]) -> Outcome {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        let outcome = self.process.call(&mut self.world, thread, number, all);
        self.process.feed_tables(&mut self.world);
        self.process.check_watches();
        self.process.check_lines();
        self.check_due();
        outcome
    }

    /// A call of the first thread that ends at once.
    fn call(&mut self, number: u64, args: &[u64]) -> i64 {
        let mut outcome = self.on(0, number, args);
        loop {
            outcome = match outcome {
                Outcome::Done(result) => return result,
                Outcome::Numbers(numbers) => self.fetch(0, numbers),
                other => panic!("{other:?}"),
            }
        }
    }

    /// The source answers.
    fn fetch(&mut self, thread: Thread, numbers: Numbers) -> Outcome {
        let bytes = vec![self.world.random.unwrap(); numbers.length()];
        self.process.fetched(&mut self.world, thread, numbers, Ok(&bytes))
    }

    /// Time passes.
    fn at(&mut self, now: u64) {
        self.world.now = now;
        self.process.expire(&mut self.world);
        self.process.check_watches();
        self.process.check_lines();
    }

    fn put(&mut self, address: u64, words: &[u64]) {
        world::write_words(&mut self.world, address, words).unwrap();
    }

    fn thread(&mut self) -> Thread {
        self.process.begin_thread(&mut self.world, THREAD, AT, AT + 8).unwrap()
    }
}

/// What pthread_create asks for.
const THREAD: u64 = 0x7d_0f00;
const ANONYMOUS: u64 = 0x22;
const RW: u64 = 3;

#[test]
fn write_becomes_lines_and_the_rest_comes_at_the_end() {
    let mut program = Program::new();
    program.world.write(AT, b"hello\nworld").unwrap();
    assert_eq!(program.call(number::WRITE, &[1, AT, 11]), 11);
    program.put(AT + 64, &[AT, 5, AT + 6, 5]);
    assert_eq!(program.call(number::WRITEV, &[2, AT + 64, 2]), 10);
    assert_eq!(program.on(0, number::EXIT_GROUP, &[3]), Outcome::Ended(Ending::Exit(3)));
    assert_eq!(program.world.told, ["Out hello", "Out world", "Error helloworld"]);
}

#[test]
fn stack_of_a_thread_is_above_pages_that_cannot_be_opened_or_in_the_heap_which_is_told_once() {
    let mut program = Program::new();
    let identity = program.process.identity;
    let guard = BASE + 20 * PAGE;
    let stacks = Stacks { base: guard, guard: 2 * PAGE, bytes: 4 * PAGE, count: 1 };
    program.process = Process::new(identity, Areas::new(BASE, vec![0; 16 + 6], stacks));
    // As musl does.
    assert_eq!(program.call(number::MAP_STACK, &[6 * PAGE, 2 * PAGE]), guard as i64);
    assert_eq!(program.call(number::MPROTECT, &[guard + 2 * PAGE, 4 * PAGE, RW]), 0);
    let no_memory = Errno::ENOMEM.negated();
    assert_eq!(program.call(number::MPROTECT, &[guard + PAGE, PAGE, RW]), no_memory);
    assert_eq!(program.call(number::MMAP, &[guard, PAGE, RW, ANONYMOUS | 0x10, 0, 0]), no_memory);
    assert_eq!(program.call(number::MADVISE, &[guard, 7 * PAGE, 4]), no_memory);
    assert_eq!(program.call(number::MPROTECT, &[guard + 6 * PAGE, PAGE, RW]), Errno::EACCES.negated());
    // An ordinary mapping, whatever its size and access, is in the heap.
    assert_eq!(program.call(number::MMAP, &[0, 4 * PAGE, 0, ANONYMOUS, 0, 0]), BASE as i64);
    assert_eq!(program.world.told, ["mprotect refused: only pages of the heap can be changed"]);
    for place in [4, 7] {
        assert_eq!(program.call(number::MAP_STACK, &[3 * PAGE, PAGE]), (BASE + place * PAGE) as i64);
    }
    assert_eq!(
        program.world.told[1..],
        ["map_stack refused: thread_stack is less, or all are taken: the stack is in the heap"]
    );
    assert_eq!(program.call(number::MUNMAP, &[guard, 6 * PAGE]), 0);
    assert_eq!(program.call(number::MAP_STACK, &[3 * PAGE, PAGE]), (guard + PAGE) as i64);
    // For one thread more than may run it is no news: `clone` refuses that one.
    let mut program = Program::with_threads(1);
    program.process.areas = Areas::new(BASE, vec![0; 16 + 6], stacks);
    assert_eq!(program.call(number::MAP_STACK, &[7 * PAGE, PAGE]), BASE as i64);
    assert!(program.world.told.is_empty());
}

#[test]
fn descriptors_that_are_closed_or_never_were_say_so() {
    let mut program = Program::new();
    assert_eq!(program.call(number::READ, &[0, AT, 5]), 0);
    assert_eq!(program.call(number::CLOSE, &[1]), 0);
    let bad = Errno::EBADF.negated();
    for (number, args) in [
        (number::WRITE, [1, AT, 1]),
        (number::CLOSE, [1, 0, 0]),
        (number::WRITE, [3, AT, 1]),
        (number::WRITE, [u64::MAX, AT, 1]),
        (number::WRITE, [0, AT, 1]),
        (number::FSTAT, [77, AT, 0]),
    ] {
        assert_eq!(program.call(number, &args), bad, "{number}");
    }
    assert_eq!(program.call(number::WRITE, &[2, 12, 1]), Errno::EFAULT.negated());
    assert_eq!(program.call(number::LSEEK, &[0, 0, 0]), Errno::ESPIPE.negated());
    assert_eq!(program.call(number::IOCTL, &[2, 0x5413, AT]), Errno::ENOTTY.negated());
}

#[test]
fn refusal_is_told_once_for_each_call_and_reason_with_its_name() {
    let mut program = Program::new();
    program.world.write(AT, b"/x\0").unwrap();
    for _ in 0..3 {
        assert_eq!(program.call(number::OPENAT, &[0, AT, 0]), Errno::ENOENT.negated());
        assert_eq!(program.call(number::OPENAT, &[0, AT, 0o100]), Errno::EACCES.negated());
        assert_eq!(program.call(number::SOCKET, &[2, 3, 1]), Errno::EPERM.negated());
        assert_eq!(program.call(number::MEMFD_CREATE, &[0]), Errno::ENOSYS.negated());
        assert_eq!(program.call(463, &[0]), Errno::ENOSYS.negated());
        assert_eq!(program.call(u64::MAX, &[0]), Errno::ENOSYS.negated());
        assert_eq!(program.call(number::BRK, &[0]), Errno::ENOSYS.negated());
        assert_eq!(program.call(number::CLONE, &[0x4111]), Errno::ENOSYS.negated());
    }
    assert_eq!(program.world.told.len(), 6, "{:?}", program.world.told);
    assert_eq!(program.world.told[0], "openat refused: its component was granted no files");
    assert_eq!(program.world.told[3], "system call 463 refused: the personality does not have it");
}

#[test]
fn memory_is_mapped_zero_and_never_executable() {
    let mut program = Program::new();
    assert_eq!(program.call(number::MMAP, &[0, 5000, RW, ANONYMOUS, u64::MAX, 0]), BASE as i64);
    program.put(BASE + 4096, &[u64::MAX]);
    assert_eq!(program.call(number::MADVISE, &[BASE + PAGE, 1, 4]), 0);
    assert_eq!(program.world.words(BASE + 4096), [0]);
    program.put(BASE, &[u64::MAX]);
    assert_eq!(program.call(number::MUNMAP, &[BASE, 5000]), 0);
    assert_eq!(program.call(number::MMAP, &[0, 1, RW, ANONYMOUS, 0, 0]), BASE as i64);
    assert_eq!(program.world.words(BASE), [0]);
    let refused = Errno::EACCES.negated();
    assert_eq!(program.call(number::MMAP, &[0, 1, 7, ANONYMOUS, 0, 0]), refused);
    assert_eq!(program.call(number::MMAP, &[0, 1, 5, ANONYMOUS, 0, 0]), refused);
    assert_eq!(program.call(number::MPROTECT, &[BASE, PAGE, 5]), refused);
    assert_eq!(program.call(number::MPROTECT, &[STACK.0, PAGE, 1]), refused);
    assert_eq!(program.call(number::MPROTECT, &[BASE, PAGE, 1]), 0);
    assert_eq!(program.call(number::MMAP, &[0, 1, 1, 2, 3, 0]), Errno::EBADF.negated());
    let noreplace = [BASE, 1, RW, ANONYMOUS | 0x10_0000, 0, 0];
    assert_eq!(program.call(number::MMAP, &noreplace), Errno::EEXIST.negated());
    assert_eq!(program.call(number::MMAP, &[BASE, 1, RW, ANONYMOUS | 0x10, 0, 0]), BASE as i64);
}

#[test]
fn memory_that_grows_is_moved_with_its_content() {
    let mut program = Program::new();
    assert_eq!(program.call(number::MMAP, &[0, PAGE, RW, ANONYMOUS, 0, 0]), BASE as i64);
    assert_eq!(program.call(number::MMAP, &[0, PAGE, RW, ANONYMOUS, 0, 0]), (BASE + PAGE) as i64);
    program.put(BASE, &[42]);
    assert_eq!(program.call(number::MREMAP, &[BASE, PAGE, 2 * PAGE, 0]), Errno::ENOMEM.negated());
    let moved = program.call(number::MREMAP, &[BASE, PAGE, 2 * PAGE, 1]).cast_unsigned();
    assert_eq!((moved, program.world.words(moved)), (BASE + 2 * PAGE, [42]));
    assert_eq!(program.call(number::MREMAP, &[moved, 2 * PAGE, PAGE, 0]).cast_unsigned(), moved);
    // As musl looks for the end of the main stack.
    assert_eq!(program.call(number::MREMAP, &[STACK.0, PAGE, 2 * PAGE, 0]), Errno::ENOMEM.negated());
    assert_eq!(program.call(number::MREMAP, &[STACK.0 - PAGE, PAGE, 2 * PAGE, 0]), Errno::EFAULT.negated());
}

#[test]
fn futex_wait_is_woken_or_ends_by_its_time() {
    let mut program = Program::new();
    let (second, third) = (program.thread(), program.thread());
    program.put(AT, &[5]);
    assert_eq!(program.on(second, number::FUTEX, &[AT, 128, 4, 0]), Outcome::Done(Errno::EAGAIN.negated()));
    assert_eq!(program.on(second, number::FUTEX, &[AT, 128, 5, 0]), Outcome::Park);
    program.put(AT + 16, &[0, 100]);
    // Absolute, by WAIT_BITSET; std's form.
    assert_eq!(program.on(third, number::FUTEX, &[AT, 137, 5, AT + 16, 0, 2]), Outcome::Park);
    assert_eq!(program.call(number::FUTEX, &[AT, 138, 9, 0, 0, 1]), 1);
    assert_eq!(program.process.take_woken(), 1 << second);
    assert_eq!((program.process.take_result(second), program.process.take_result(third)), (Some(0), None));
    program.at(100);
    assert_eq!(program.process.take_result(third), Some(Errno::ETIMEDOUT.negated()));
    assert_eq!(program.call(number::FUTEX, &[AT, 129, 1]), 0);
    assert_eq!(program.call(number::FUTEX, &[AT + 1, 129, 1]), Errno::EINVAL.negated());
    assert_eq!(program.call(number::FUTEX, &[AT, 6, 1]), Errno::ENOSYS.negated());
}

#[test]
fn futex_requeue_moves_waiters_to_another_word() {
    let mut program = Program::new();
    let (second, third) = (program.thread(), program.thread());
    program.put(AT, &[0]);
    for thread in [second, third] {
        assert_eq!(program.on(thread, number::FUTEX, &[AT, 128, 0, 0]), Outcome::Park);
    }
    assert_eq!(program.call(number::FUTEX, &[AT, 132, 1, 5, AT + 4, 9]), Errno::EAGAIN.negated());
    assert_eq!(program.call(number::FUTEX, &[AT, 131, 1, 5, AT + 4]), 2);
    assert_eq!(program.process.take_result(second), Some(0));
    assert_eq!(program.call(number::FUTEX, &[AT, 129, 5]), 0);
    assert_eq!(program.call(number::FUTEX, &[AT + 4, 129, 5]), 1);
    assert_eq!(program.process.take_result(third), Some(0));
}

#[test]
fn thread_tells_its_number_and_clears_its_word_at_its_end() {
    let mut program = Program::with_threads(3);
    assert_eq!(program.call(number::GETTID, &[]), 7);
    let thread = program.thread();
    let number = 7 | 1 << 16;
    assert_eq!((thread, program.world.words::<1>(AT)[0]), (1, number));
    assert_eq!(program.on(thread, number::GETTID, &[]), Outcome::Done(number as i64));
    let last = program.thread();
    let none = program.process.begin_thread(&mut program.world, THREAD, AT, AT);
    assert_eq!(none, Err(Errno::EAGAIN));
    program.put(AT + 8, &[number]);
    assert_eq!(program.on(0, number::FUTEX, &[AT + 8, 128, number, 0]), Outcome::Park);
    assert_eq!(program.on(thread, number::EXIT, &[0]), Outcome::ThreadEnded);
    assert_eq!(program.world.words::<1>(AT + 8), [0]);
    assert_eq!((program.process.take_woken(), program.process.take_result(0)), (1, Some(0)));
    assert_eq!(program.on(0, number::EXIT, &[0]), Outcome::ThreadEnded);
    assert_eq!(program.on(last, number::EXIT, &[4]), Outcome::Ended(Ending::Exit(4)));
    let fork = program.process.begin_thread(&mut program.world, 0x4111, AT, AT);
    assert_eq!(fork, Err(Errno::ENOSYS));
}

#[test]
fn poll_tells_what_is_ready_and_waits_for_the_time_otherwise() {
    let mut program = Program::new();
    program.put(AT, &[1 << 32, 1 | 4 << 32, 9 | 4 << 32, 0xffff_ffff | 1 << 32]);
    program.put(AT + 64, &[0, 0]);
    assert_eq!(program.call(number::PPOLL, &[AT, 4, AT + 64, 0, 8]), 3);
    let found = program.world.words::<4>(AT).map(|entry| entry >> 48);
    assert_eq!(found, [1, 4, 32, 0]);
    assert_eq!(program.call(number::PPOLL, &[AT + 24, 1, AT + 64]), 0);
    program.put(AT + 64, &[1, 0]);
    assert_eq!(program.on(0, number::PPOLL, &[AT + 24, 1, AT + 64]), Outcome::Park);
    program.at(1_000_000_000);
    assert_eq!(program.process.take_result(0), Some(0));
    assert_eq!(program.call(number::PPOLL, &[AT, 5000, 0]), Errno::EINVAL.negated());
    assert_eq!(program.call(number::PPOLL, &[8, 1, 0]), Errno::EFAULT.negated());
}

#[test]
fn signals_end_the_program_wait_or_call_their_handler() {
    let mut program = Program::new();
    // abort(): raise under a block, then the block ends.
    program.put(AT, &[u64::MAX]);
    assert_eq!(program.call(number::RT_SIGPROCMASK, &[0, AT, AT + 8, 8]), 0);
    assert_eq!(program.call(number::TKILL, &[7, 6]), 0);
    assert_eq!(program.on(0, number::RT_SIGPROCMASK, &[2, AT + 8, 0, 8]), Outcome::Ended(Ending::Signal(6)));
    // A handler.
    program.put(AT + 32, &[0xcafe, 0, 0, 1 << 14]);
    assert_eq!(program.call(number::RT_SIGACTION, &[10, AT + 32, AT + 64, 8]), 0);
    assert_eq!(program.world.words(AT + 64), [0; 4]);
    let delivery = Delivery { handler: 0xcafe, signal: 10, blocked_after: 0, result: 0 };
    assert_eq!(program.on(0, number::KILL, &[7, 10]), Outcome::Deliver(delivery));
    // It is blocked while it is handled, and handled again afterwards.
    assert_eq!(program.call(number::TGKILL, &[7, 7, 10]), 0);
    assert_eq!(program.process.handled(&mut program.world, 0, delivery), Outcome::Deliver(delivery));
    assert_eq!(program.process.handled(&mut program.world, 0, delivery), Outcome::Done(0));
    // Ignored, harmless, nobody, nothing.
    program.put(AT + 32, &[1, 0, 0, 0]);
    assert_eq!(program.call(number::RT_SIGACTION, &[13, AT + 32, 0, 8]), 0);
    assert_eq!(program.call(number::KILL, &[0, 13]), 0);
    assert_eq!(program.call(number::KILL, &[7, 17]), 0);
    assert_eq!(program.call(number::KILL, &[8, 9]), Errno::ESRCH.negated());
    assert_eq!(program.call(number::KILL, &[7, 65]), Errno::EINVAL.negated());
    assert_eq!(program.call(number::RT_SIGACTION, &[9, AT + 32, 0, 8]), Errno::EINVAL.negated());
    let other = program.thread();
    let number = 7 | u64::from(other) << 16;
    assert_eq!(program.call(number::TKILL, &[number, 0]), 0);
    assert_eq!(program.call(number::TKILL, &[number, 10]), Errno::ENOSYS.negated());
    assert_eq!(program.on(0, number::TKILL, &[number, 15]), Outcome::Ended(Ending::Signal(15)));
}

#[test]
fn memory_is_always_there_and_nothing_of_it_is_written_back() {
    let mut program = Program::new();
    let at = program.call(number::MMAP, &[0, 8192, 3, 0x22, u64::MAX, 0]).cast_unsigned();
    for number in [number::MLOCK, number::MUNLOCK, number::MLOCKALL, number::MUNLOCKALL] {
        assert_eq!(program.call(number, &[at, 8192]), 0);
    }
    assert_eq!(program.call(number::MSYNC, &[at, 8192, 4]), 0);
    assert_eq!(program.call(number::MSYNC, &[at + 1, 8192, 4]), Errno::EINVAL.negated());
    assert_eq!(program.call(number::MUNMAP, &[at, 8192]), 0);
    assert_eq!(program.call(number::MSYNC, &[at, 8192, 4]), Errno::ENOMEM.negated());
}

#[test]
fn handler_that_is_good_for_once_leaves_the_default_behind_and_one_may_come_again_while_it_runs() {
    let mut program = Program::new();
    program.put(AT, &[0xcafe, 0x8000_0000, 0, 0]);
    assert_eq!(program.call(number::RT_SIGACTION, &[15, AT, 0, 8]), 0);
    let delivery = Delivery { handler: 0xcafe, signal: 15, blocked_after: 0, result: 0 };
    assert_eq!(program.on(0, number::TKILL, &[7, 15]), Outcome::Deliver(delivery));
    // As handlers do that tidy up and end by the same signal.
    assert_eq!(program.call(number::TKILL, &[7, 15]), 0);
    let end = program.process.handled(&mut program.world, 0, delivery);
    assert_eq!(end, Outcome::Ended(Ending::Signal(15)));

    let mut program = Program::new();
    program.put(AT, &[0xcafe, 0x4000_0000, 0, 0]);
    assert_eq!(program.call(number::RT_SIGACTION, &[15, AT, 0, 8]), 0);
    assert_eq!(program.on(0, number::TKILL, &[7, 15]), Outcome::Deliver(delivery));
    assert_eq!(program.on(0, number::TKILL, &[7, 15]), Outcome::Deliver(delivery));
}
