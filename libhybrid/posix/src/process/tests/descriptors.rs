//! Pipes, counters, timers, poll, select and epoll: against simple models, and by what Linux's pages say.
use super::readiness as bits;
use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

const FROM: u64 = STACK.0;
const NONBLOCK: u64 = 0o4000;
const AGAIN: i64 = -11;
const EDGE: u32 = 1 << 31;
const ONCE: u32 = 1 << 30;

impl Program {
    /// A new pipe: its reading and its writing end.
    pub(super) fn pipe(&mut self, flags: u64) -> (u64, u64) {
        assert_eq!(self.call(number::PIPE2, &[AT, flags]), 0);
        let [both] = self.world.words(AT);
        (both & 0xffff_ffff, both >> 32)
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.world.write(FROM, bytes).unwrap();
    }

    pub(super) fn counter(&mut self, count: u64, flags: u64) -> u64 {
        self.call(number::EVENTFD2, &[count, flags]).cast_unsigned()
    }

    fn add(&mut self, counter: u64, more: u64) -> i64 {
        self.put(AT, &[more]);
        self.call(number::WRITE, &[counter, AT, 8])
    }

    pub(super) fn control(&mut self, epoll: u64, operation: u64, descriptor: u64, events: u32, data: u64) -> i64 {
        self.put(AT, &[events.into(), data]);
        self.call(number::EPOLL_CTL, &[epoll, operation, descriptor, AT])
    }

    /// What an epoll tells now: data and events.
    pub(super) fn told(&mut self, epoll: u64, most: u64) -> Vec<(u64, u32)> {
        let count = self.call(number::EPOLL_PWAIT, &[epoll, AT + 64, most, 0]);
        (0..count.cast_unsigned())
            .map(|index| {
                let [events, data] = self.world.words(AT + 64 + index * 16);
                (data, events as u32)
            })
            .collect()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Write(u64),
    Read(u64),
}

fn pipe_step() -> impl Strategy<Value = Step> {
    let length = || prop_oneof![0_u64..64, 3_000_u64..5_000, 10_000_u64..30_000];
    prop_oneof![length().prop_map(Step::Write), length().prop_map(Step::Read)]
}

proptest! {
    #[test]
    fn pipe_under_random_calls_is_a_queue_of_bytes(steps in proptest::collection::vec(pipe_step(), 0..60)) {
        let (mut program, mut model) = (Program::new(), VecDeque::<u8>::new());
        let (reader, writer) = program.pipe(NONBLOCK);
        let mut next = 0_u8;
        for step in steps {
            match step {
                Step::Write(length) => {
                    let bytes: Vec<u8> = (0..length).map(|at| next.wrapping_add(at as u8)).collect();
                    program.put_bytes(&bytes);
                    let room = 16 * 1024 - model.len() as u64;
                    let fits = if length <= 4096 && length > room { 0 } else { length.min(room) };
                    let wanted = if length > 0 && fits == 0 { AGAIN } else { fits as i64 };
                    prop_assert_eq!(program.call(number::WRITE, &[writer, FROM, length]), wanted);
                    model.extend(&bytes[..fits as usize]);
                    next = next.wrapping_add(fits as u8);
                }
                Step::Read(length) => {
                    let there = length.min(model.len() as u64);
                    let wanted = if length > 0 && there == 0 { AGAIN } else { there as i64 };
                    prop_assert_eq!(program.call(number::READ, &[reader, FROM, length]), wanted);
                    let mut read = vec![0; there as usize];
                    program.world.read(FROM, &mut read).unwrap();
                    prop_assert!(model.drain(..there as usize).eq(read));
                }
            }
        }
        for end in [reader, writer] {
            prop_assert_eq!(program.call(number::CLOSE, &[end]), 0);
        }
        prop_assert_eq!(program.process.areas.free_bytes(), PAGES as u64 * PAGE, "a pipe keeps no memory");
    }
}

#[derive(Debug, Clone)]
enum Turn {
    Add(usize, u64),
    Take(usize),
    Watch(usize, u32),
    Change(usize, u32),
    Forget(usize),
    Wait,
}

fn turn() -> impl Strategy<Value = Turn> {
    let events = (0_u32..4, any::<bool>(), any::<bool>()).prop_map(|(which, edge, once)| {
        let events = if which & 1 != 0 { bits::IN } else { 0 } | if which & 2 != 0 { bits::OUT } else { 0 };
        events | if edge { EDGE } else { 0 } | if once { ONCE } else { 0 }
    });
    let object = || 0_usize..3;
    prop_oneof![
        3 => (object(), 0_u64..3).prop_map(|(object, more)| Turn::Add(object, more)),
        2 => object().prop_map(Turn::Take),
        2 => (object(), events.clone()).prop_map(|(object, events)| Turn::Watch(object, events)),
        1 => (object(), events).prop_map(|(object, events)| Turn::Change(object, events)),
        1 => object().prop_map(Turn::Forget),
        3 => Just(Turn::Wait),
    ]
}

/// A counter and how it is watched: events, and the edges that were not told.
#[derive(Clone, Copy, Default)]
struct Model {
    count: u64,
    watch: Option<(u32, bool, bool)>,
    is_off: bool,
}

impl Model {
    fn tell(&mut self) -> u32 {
        let Some((events, input, output)) = self.watch.filter(|_| !self.is_off) else { return 0 };
        let state = (if self.count > 0 { bits::IN } else { 0 } | bits::OUT) & events;
        let is_edge = state & bits::IN != 0 && input || state & bits::OUT != 0 && output;
        if state == 0 || events & EDGE != 0 && !is_edge {
            return 0;
        }
        (self.watch, self.is_off) = (Some((events, false, false)), events & ONCE != 0);
        state
    }

    fn edge(&mut self, new_input: bool, new_output: bool) {
        self.watch = self.watch.map(|(events, input, output)| (events, input | new_input, output | new_output));
    }
}

proptest! {
    #[test]
    fn epoll_under_random_calls_tells_levels_edges_and_once_as_a_model_does(
        turns in proptest::collection::vec(turn(), 0..80)
    ) {
        let mut program = Program::new();
        let counters: Vec<u64> = (0..3).map(|_| program.counter(0, NONBLOCK)).collect();
        let epoll = program.call(number::EPOLL_CREATE1, &[0]).cast_unsigned();
        let mut models = [Model::default(); 3];
        for turn in turns {
            match turn {
                Turn::Add(object, more) => {
                    prop_assert_eq!(program.add(counters[object], more), 8);
                    models[object].count += more;
                    models[object].edge(true, false);
                }
                Turn::Take(object) => {
                    let count = models[object].count;
                    let wanted = if count > 0 { 8 } else { AGAIN };
                    prop_assert_eq!(program.call(number::READ, &[counters[object], AT, 8]), wanted);
                    if count > 0 {
                        prop_assert_eq!(program.world.words(AT), [count]);
                        models[object].count = 0;
                        models[object].edge(false, true);
                    }
                }
                Turn::Watch(object, events) => {
                    let wanted = if models[object].watch.is_some() { Errno::EEXIST.negated() } else { 0 };
                    prop_assert_eq!(program.control(epoll, 1, counters[object], events, object as u64), wanted);
                    if wanted == 0 {
                        (models[object].watch, models[object].is_off) = (Some((events, true, true)), false);
                    }
                }
                Turn::Change(object, events) => {
                    let wanted = if models[object].watch.is_some() { 0 } else { Errno::ENOENT.negated() };
                    prop_assert_eq!(program.control(epoll, 3, counters[object], events, object as u64), wanted);
                    if wanted == 0 {
                        (models[object].watch, models[object].is_off) = (Some((events, true, true)), false);
                    }
                }
                Turn::Forget(object) => {
                    let wanted = if models[object].watch.take().is_some() { 0 } else { Errno::ENOENT.negated() };
                    prop_assert_eq!(program.control(epoll, 2, counters[object], 0, 0), wanted);
                }
                Turn::Wait => {
                    let mut told = program.told(epoll, 8);
                    told.sort_unstable();
                    let wanted: Vec<(u64, u32)> = models
                        .iter_mut()
                        .enumerate()
                        .map(|(at, model)| (at as u64, model.tell()))
                        .filter(|(_, state)| *state != 0)
                        .collect();
                    prop_assert_eq!(told, wanted);
                }
            }
        }
    }
}

#[test]
fn epoll_with_little_room_passes_nobody_over() {
    let mut program = Program::new();
    let epoll = program.call(number::EPOLL_CREATE1, &[0]).cast_unsigned();
    for data in 0..3 {
        let counter = program.counter(1, 0);
        assert_eq!(program.control(epoll, 1, counter, bits::IN, data), 0);
    }
    let told: Vec<u64> = (0..6).map(|_| program.told(epoll, 1)[0].0).collect();
    assert_eq!(told, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn watch_ends_with_the_last_descriptor_of_its_object() {
    let mut program = Program::new();
    let epoll = program.call(number::EPOLL_CREATE1, &[0]).cast_unsigned();
    let counter = program.counter(1, 0);
    assert_eq!(program.control(epoll, 1, counter, bits::IN, 9), 0);
    let copy = program.call(number::DUP, &[counter]).cast_unsigned();
    assert_eq!(program.call(number::CLOSE, &[counter]), 0);
    assert_eq!(program.told(epoll, 8), [(9, bits::IN)], "as on Linux, the copy keeps it");
    assert_eq!(program.call(number::CLOSE, &[copy]), 0);
    assert_eq!(program.told(epoll, 8), []);
    assert_eq!(program.control(epoll, 1, epoll, bits::IN, 0), Errno::EINVAL.negated());
    assert_eq!(program.control(epoll, 1, 77, bits::IN, 0), Errno::EBADF.negated());
    assert_eq!(program.control(0, 1, 1, bits::OUT, 0), Errno::EINVAL.negated());
}

#[test]
fn calls_that_wait_go_on_when_another_thread_makes_them_ready() {
    let mut program = Program::new();
    let (reader, writer) = program.pipe(0);
    let second = program.thread();
    assert_eq!(program.on(0, number::READ, &[reader, FROM, 100]), Outcome::Park);
    program.put_bytes(b"abc");
    assert_eq!(program.on(second, number::WRITE, &[writer, FROM, 3]), Outcome::Done(3));
    assert_eq!((program.process.take_woken(), program.process.take_result(0)), (1, Some(3)));
    // More than there is room for is written bit by bit.
    assert_eq!(program.on(0, number::WRITE, &[writer, FROM, 20_000]), Outcome::Park);
    assert_eq!(program.on(second, number::READ, &[reader, FROM, 5_000]), Outcome::Done(5_000));
    assert_eq!(program.process.take_result(0), Some(20_000));
    // A poll, a select and an epoll wait for one thing; the first two look at all they were given.
    let counter = program.counter(0, 0);
    let epoll = program.call(number::EPOLL_CREATE1, &[0]).cast_unsigned();
    assert_eq!(program.control(epoll, 1, counter, bits::IN, 5), 0);
    assert_eq!(program.on(0, number::EPOLL_PWAIT, &[epoll, AT + 64, 8, u64::MAX]), Outcome::Park);
    program.put(AT, &[7]);
    assert_eq!(program.on(second, number::WRITE, &[counter, AT, 8]), Outcome::Done(8));
    assert_eq!(program.process.take_result(0), Some(1));
    assert_eq!(program.world.words(AT + 64), [u64::from(bits::IN), 5]);
}

#[test]
fn waits_end_in_time_and_select_says_then_that_nothing_is_there() {
    let mut program = Program::new();
    let counter = program.counter(0, 0);
    program.put(AT + 8, &[1 << counter]);
    program.put(AT + 128, &[0, 500]);
    let select = [counter + 1, AT + 8, 0, 0, AT + 128];
    assert_eq!(program.on(0, number::PSELECT6, &select), Outcome::Park);
    program.at(500);
    assert_eq!(program.process.take_result(0), Some(0));
    assert_eq!(program.world.words(AT + 8), [0]);
    program.add(counter, 1);
    program.put(AT + 8, &[1 << counter]);
    assert_eq!(program.call(number::PSELECT6, &select), 1);
    assert_eq!(program.world.words(AT + 8), [1 << counter]);
    assert_eq!(program.call(number::EPOLL_PWAIT, &[counter, AT, 1, 0]), Errno::EINVAL.negated());
}

#[test]
fn timer_counts_what_expired_and_wakes_who_waits_for_it() {
    let mut program = Program::new();
    let timer = program.call(number::TIMERFD_CREATE, &[1, 0]).cast_unsigned();
    program.put(AT, &[0, 100, 0, 250]);
    assert_eq!(program.call(number::TIMERFD_SETTIME, &[timer, 0, AT, 0]), 0);
    assert_eq!(program.process.next_deadline(), Some(250));
    assert_eq!(program.on(0, number::READ, &[timer, AT, 8]), Outcome::Park);
    program.at(249);
    assert_eq!(program.process.take_result(0), None);
    program.at(560);
    assert_eq!(program.process.take_result(0), Some(8));
    assert_eq!(program.world.words(AT), [4]);
    assert_eq!(program.call(number::TIMERFD_GETTIME, &[timer, AT]), 0);
    assert_eq!(program.world.words(AT), [0, 100, 0, 90]);
    program.put(AT, &[0, 0, 0, 0]);
    assert_eq!(program.call(number::TIMERFD_SETTIME, &[timer, 0, AT, 0]), 0);
    assert_eq!(program.process.next_deadline(), None);
}

#[test]
fn ends_that_close_are_the_end_of_input_and_a_broken_pipe() {
    let mut program = Program::new();
    let (reader, writer) = program.pipe(0);
    program.put_bytes(b"rest");
    assert_eq!(program.call(number::WRITE, &[writer, FROM, 4]), 4);
    assert_eq!(program.call(number::CLOSE, &[writer]), 0);
    assert_eq!(program.call(number::READ, &[reader, FROM, 9]), 4);
    assert_eq!(program.call(number::READ, &[reader, FROM, 9]), 0);
    let (reader, writer) = program.pipe(0);
    assert_eq!(program.call(number::CLOSE, &[reader]), 0);
    // std ignores SIGPIPE, C programs die of it.
    program.put(AT, &[1, 0, 0, 0]);
    assert_eq!(program.call(number::RT_SIGACTION, &[13, AT, 0, 8]), 0);
    assert_eq!(program.call(number::WRITE, &[writer, FROM, 1]), Errno::EPIPE.negated());
    program.put(AT, &[0, 0, 0, 0]);
    assert_eq!(program.call(number::RT_SIGACTION, &[13, AT, 0, 8]), 0);
    assert_eq!(program.on(0, number::WRITE, &[writer, FROM, 1]), Outcome::Ended(Ending::Signal(13)));
}

#[test]
fn descriptors_are_numbers_of_shared_objects() {
    let mut program = Program::new();
    let counter = program.counter(3, 0);
    assert_eq!(counter, 3, "the lowest that is free");
    assert_eq!(program.call(number::FCNTL, &[counter, 0, 10]), 10);
    assert_eq!(program.call(number::DUP3, &[counter, 0, 0]), 0);
    assert_eq!(program.call(number::FCNTL, &[10, 4, NONBLOCK]), 0);
    assert_eq!(program.call(number::FCNTL, &[counter, 3]), 2 | NONBLOCK as i64, "the flag is the object's");
    assert_eq!(program.call(number::READ, &[0, AT, 8]), 8);
    assert_eq!(program.call(number::READ, &[10, AT, 8]), AGAIN);
    assert_eq!(program.call(number::DUP3, &[5, 6, 0]), Errno::EBADF.negated());
    assert_eq!(program.call(number::DUP3, &[counter, 5_000, 0]), Errno::EBADF.negated());
    assert_eq!(program.call(number::FCNTL, &[counter, 0, 5_000]), Errno::EINVAL.negated());
    let most = (0..5_000).map(|_| program.call(number::DUP, &[counter])).take_while(|number| *number > 0).count();
    assert_eq!(most, DESCRIPTORS_MAX - 5);
    assert_eq!(program.call(number::EVENTFD2, &[0, 0]), Errno::EMFILE.negated());
    assert_eq!(program.call(number::CLOSE_RANGE, &[3, u64::MAX, 0]), 0);
    assert_eq!(program.counter(0, 0), 3);
}

#[test]
fn synthetic_files_say_what_the_component_knows_and_nothing_else_is_there() {
    let mut program = Program::new();
    program.world.random = Some(7);
    let open = |program: &mut Program, path: &str, flags: u64| {
        program.put_bytes(format!("{path}\0").as_bytes());
        program.call(number::OPENAT, &[0, FROM, flags])
    };
    let hosts = open(&mut program, "/etc/hosts", 0).cast_unsigned();
    let length = program.call(number::READ, &[hosts, AT, 500]);
    let mut text = vec![0; length as usize];
    program.world.read(AT, &mut text).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), "127.0.0.1 localhost prog\n::1 localhost prog\n");
    assert_eq!(program.call(number::READ, &[hosts, AT, 500]), 0);
    assert_eq!(program.call(number::LSEEK, &[hosts, 4, 0]), 4);
    assert_eq!(program.call(number::READ, &[hosts, AT, 500]), length - 4);
    let servers = open(&mut program, "/etc/resolv.conf", 0).cast_unsigned();
    assert_eq!(program.call(number::READ, &[servers, AT, 500]), "nameserver 10.0.2.3\n".len() as i64);
    let random = open(&mut program, "/dev/urandom", 0).cast_unsigned();
    assert_eq!(program.call(number::READ, &[random, AT, 8]), 8);
    assert_eq!(program.world.words(AT), [0x0707_0707_0707_0707]);
    let null = open(&mut program, "/dev/null", 2).cast_unsigned();
    assert_eq!(program.call(number::WRITE, &[null, AT, 100]), 100);
    assert_eq!(program.call(number::PWRITE64, &[null, AT, 100, 7]), 100);
    assert_eq!(program.call(number::PREAD64, &[null, AT, 100, 7]), 0);
    let zero = open(&mut program, "/dev/zero", 0).cast_unsigned();
    assert_eq!(program.call(number::PREAD64, &[zero, AT, 8, 1 << 40]), 8);
    assert_eq!(program.world.words(AT), [0]);
    assert_eq!(open(&mut program, "/etc/hosts", 1), Errno::EACCES.negated());
    assert_eq!(open(&mut program, "/dev/../etc/hosts/", 0), Errno::ENOTDIR.negated());
    assert_eq!(open(&mut program, "/etc/shadow", 0), Errno::ENOENT.negated());
    assert_eq!(open(&mut program, "/etc/shadow", 0o102), Errno::EACCES.negated());
}

#[test]
fn user_group_and_names_of_ports_are_files() {
    let mut program = Program::new();
    let mut text = |path: &str| {
        program.put_bytes(format!("{path}\0").as_bytes());
        let file = program.call(number::OPENAT, &[0, FROM, 0]).cast_unsigned();
        let mut text = vec![0; usize::try_from(program.call(number::READ, &[file, AT, 4096])).unwrap()];
        program.world.read(AT, &mut text).unwrap();
        assert_eq!(program.call(number::FSTAT, &[file, AT]), 0);
        assert_eq!(program.world.words::<7>(AT)[6], text.len() as u64, "its size");
        assert_eq!(program.call(number::OPENAT, &[0, FROM, 1]), Errno::EACCES.negated());
        String::from_utf8(text).unwrap()
    };
    assert_eq!(text("/etc/passwd"), "prog:x:7:7:prog:/:/bin/sh\n");
    assert_eq!(text("/etc/group"), "prog:x:7:\n");
    let services = text("/etc/services");
    for line in ["http 80/tcp", "https 443/tcp", "domain 53/udp", "secure-mqtt 8883/tcp"] {
        assert!(services.lines().any(|it| it == line), "{line}");
    }
    assert!(services.ends_with('\n'), "whole");
}

#[test]
fn links_of_the_program_and_of_descriptors_are_read() {
    let mut program = Program::new();
    let link = |program: &mut Program, path: &str, room: u64| {
        program.put_bytes(format!("{path}\0").as_bytes());
        let length = program.call(number::READLINKAT, &[0, FROM, AT, room]);
        let mut text = vec![0; usize::try_from(length).map_err(|_| length)?];
        program.world.read(AT, &mut text).unwrap();
        Ok::<_, i64>(String::from_utf8(text).unwrap())
    };
    assert_eq!(program.call(number::EPOLL_CREATE1, &[0]), 3);
    assert_eq!(program.call(number::SOCKET, &[2, 1, 0]), 4);
    program.put_bytes(b"/\0");
    assert_eq!(program.call(number::OPENAT, &[0, FROM, 0]), 5);
    for (path, told) in [
        ("/proc/self/exe", "/bin/prog"),
        ("/proc/self/fd/0", "/dev/null"),
        ("/proc/self/fd/1", "pipe:[2]"),
        ("/proc/self/../self/fd/3", "anon_inode:[eventpoll]"),
        ("/proc/self/fd/4", "socket:[5]"),
        ("/proc/self/fd/5", "/"),
    ] {
        assert_eq!(link(&mut program, path, 100).as_deref(), Ok(told), "{path}");
    }
    assert_eq!(link(&mut program, "/proc/self/exe", 4).as_deref(), Ok("/bin"));
    assert_eq!(link(&mut program, "/proc/self/exe", 0), Err(Errno::EINVAL.negated()));
    assert_eq!(link(&mut program, "/etc/hosts", 9), Err(Errno::EINVAL.negated()));
    for path in ["/proc/self/fd/9", "/proc/self/fd/x", "/proc/self/fd/-1", "/proc/self/nothing"] {
        assert_eq!(link(&mut program, path, 9), Err(Errno::ENOENT.negated()), "{path}");
    }
}

#[test]
fn sets_at_the_end_of_the_address_space_are_not_the_programs() {
    let mut program = Program::new();
    for address in [u64::MAX - 7, u64::MAX] {
        let sets = [1024, address, address, address, 0];
        assert_eq!(program.call(number::PSELECT6, &sets), Errno::EFAULT.negated());
    }
}
