//! Spawning against a fake supervisor and fake rings: what a child is given, how it ends, and streams as a model.
use super::hostile::argument;
use super::*;
use crate::family::{CHANNELS, Channel, News, Other, PIECE_MAX, Piece, Relations, Stream};
use std::collections::{BTreeMap, VecDeque};

mod demand;
mod files;
mod flood;
mod lost;
mod signals;
mod terminal;
mod waits;

const PATH: u64 = AT + 0x1000;
const LISTS: u64 = AT + 0x2000;
const TEXTS: u64 = AT + 0x3000;
const ACTIONS: u64 = AT + 0x5000;
const REQUEST: u64 = AT + 0x100;

/// What a ring holds: bytes, or which stream ended.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    Bytes(Vec<u8>),
    Ends(Channel),
    Demand(u32),
    Ready,
}

/// A supervisor with two instances of `/bin/w`, and the other side of all streams.
#[derive(Debug, Default)]
pub(super) struct FakeKin {
    may_spawn: bool,
    running: Vec<u16>,
    given: Vec<u8>,
    arguments: u16,
    streams: Vec<[Stream; 3]>,
    news: VecDeque<News>,
    signals: Vec<u8>,
    sent: Vec<(u16, u8)>,
    forgotten: Vec<u16>,
    ending: Option<Ending>,
    /// What this program said, by whom it said it to, in one queue each.
    out: BTreeMap<(u32, u8), Vec<Said>>,
    /// What it is to hear.
    heard: BTreeMap<(u32, u8), VecDeque<Said>>,
    is_full: bool,
    /// How often it was asked for programs, and whether it is there to answer.
    asked: usize,
    is_away: bool,
    /// Rings that the other side broke: they say for ever that they end.
    broken: Vec<(u32, u8)>,
    /// A ring that always has this, as often as it is asked; and how often it was.
    endless: Option<((u32, u8), Vec<u8>)>,
    heard_endless: usize,
}

fn key(other: Other, channel: Channel) -> (u32, u8) {
    let other = if let Other::Child(process) = other { process.into() } else { 0 };
    (other, channel as u8)
}

impl FakeKin {
    fn ends(&mut self, process: u16, ending: Ending) {
        self.running.retain(|other| *other != process);
        self.news.push_back(News::Ended(process, ending));
    }

    fn says(&mut self, other: Other, ring: Channel, said: Said) {
        self.heard.entry(key(other, ring)).or_default().push_back(said);
    }

    fn bytes(&self, other: Other, channel: Channel) -> Vec<u8> {
        let said = self.out.get(&key(other, channel)).into_iter().flatten();
        said.flat_map(|said| if let Said::Bytes(bytes) = said { bytes.clone() } else { vec![] }).collect()
    }
}

impl Relations for FakeKin {
    fn may_spawn(&self) -> bool {
        self.may_spawn
    }

    fn spawn(&mut self, path: &str, given: &[u8], arguments: u16, streams: [Stream; 3]) -> Result<u16, Errno> {
        if path != "/bin/w" {
            return Err(Errno::ENOENT);
        }
        let process = (20..22).find(|process| !self.running.contains(process)).ok_or(Errno::EAGAIN)?;
        (self.given, self.arguments) = (given.to_vec(), arguments);
        self.streams.push(streams);
        self.running.push(process);
        Ok(process)
    }

    fn programs(&mut self) -> Result<Vec<String>, Errno> {
        self.asked += 1;
        if self.is_away { Err(Errno::EIO) } else { Ok(["/bin/w", "/opt/x/y"].map(String::from).to_vec()) }
    }

    fn signal(&mut self, process: u16, signal: u8) -> Result<(), Errno> {
        self.sent.push((process, signal));
        if self.running.contains(&process) { Ok(()) } else { Err(Errno::ESRCH) }
    }

    fn look(&mut self) {}

    fn news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    fn forget(&mut self, process: u16) {
        self.forgotten.push(process);
    }

    fn signalled(&mut self) -> Option<u8> {
        self.signals.pop()
    }

    fn ending(&mut self, ending: Ending) {
        self.ending = Some(ending);
    }

    fn push(&mut self, other: Other, channel: Channel, piece: Piece<'_>) -> bool {
        if self.is_full {
            return false;
        }
        let said = match piece {
            Piece::Bytes(bytes) => Said::Bytes(bytes.to_vec()),
            Piece::Ends(channel) => Said::Ends(channel),
            Piece::Demand(bytes) => Said::Demand(bytes),
            Piece::Ready => Said::Ready,
        };
        self.out.entry(key(other, channel)).or_default().push(said);
        true
    }

    fn next<'a>(&mut self, other: Other, ring: Channel, scratch: &'a mut Vec<u8>) -> Option<Piece<'a>> {
        if self.broken.contains(&key(other, ring)) {
            return Some(Piece::Ends(ring));
        }
        if let Some((_, bytes)) = self.endless.as_ref().filter(|(at, _)| *at == key(other, ring)) {
            self.heard_endless += 1;
            assert!(self.heard_endless < 100_000, "it never ends");
            scratch.clone_from(bytes);
            return Some(Piece::Bytes(scratch));
        }
        Some(match self.heard.get_mut(&key(other, ring))?.pop_front()? {
            Said::Bytes(bytes) => {
                *scratch = bytes;
                Piece::Bytes(scratch)
            }
            Said::Ends(channel) => Piece::Ends(channel),
            Said::Demand(bytes) => Piece::Demand(bytes),
            Said::Ready => Piece::Ready,
        })
    }
}

/// A file action: command, to, from, address of a path.
type Act = (u64, u64, u64, u64);
const DUP2: u64 = 2;

impl Program {
    fn parent() -> Self {
        let mut program = Self::new();
        program.world.kin = Some(FakeKin { may_spawn: true, ..FakeKin::default() });
        program
    }

    fn kin(&mut self) -> &mut FakeKin {
        self.world.kin.as_mut().unwrap()
    }

    /// Lays out a call of posix_spawn: a name, arguments, environment, and where it is searched for.
    fn lay_spawn(&mut self, name: &str, strings: [&[&str]; 2], search: Option<&str>, actions: &[Act]) {
        let mut text = TEXTS;
        let mut put = |program: &mut Self, string: &str| {
            let at = text;
            program.world.write(at, string.as_bytes()).unwrap();
            program.world.write(at + string.len() as u64, &[0]).unwrap();
            text += string.len() as u64 + 1;
            at
        };
        program_path(self, name);
        let mut list = LISTS;
        let mut lists = [0; 2];
        for (place, strings) in lists.iter_mut().zip(strings) {
            *place = list;
            for string in strings {
                let at = put(self, string);
                self.put(list, &[at]);
                list += 8;
            }
            self.put(list, &[0]);
            list += 8;
        }
        let search = search.map_or(0, |search| put(self, search));
        for (index, (command, to, from, path)) in actions.iter().enumerate() {
            self.put(ACTIONS + 40 * index as u64, &[*command, *to, *from, 0, *path]);
        }
        self.put(REQUEST, &[PATH, lists[0], lists[1], search, ACTIONS, actions.len() as u64]);
    }

    fn spawn(&mut self, name: &str, actions: &[Act]) -> i64 {
        self.lay_spawn(name, [&["w", "a b"], &["X=1"]], None, actions);
        self.call(number::SPAWN, &[REQUEST])
    }

    fn bell(&mut self) {
        self.process.take_news(&mut self.world);
        self.process.expire(&mut self.world);
    }

    fn status(&mut self) -> u32 {
        world::read_u32(&self.world, AT + 8).unwrap()
    }
}

fn program_path(program: &mut Program, name: &str) {
    program.world.write(PATH, name.as_bytes()).unwrap();
    program.world.write(PATH + name.len() as u64, &[0]).unwrap();
}

#[test]
fn child_is_given_arguments_and_environment_and_waited_for_once() {
    let mut program = Program::parent();
    assert_eq!(program.call(number::WAIT4, &[u64::MAX, 0, 0, 0]), Errno::ECHILD.negated());
    assert_eq!(program.spawn("/bin/w", &[]), 20);
    assert_eq!((program.kin().given.clone(), program.kin().arguments), (b"w\0a b\0X=1\0".to_vec(), 2));
    assert_eq!(program.kin().streams, [[Stream::Own; 3]]);
    assert_eq!(program.spawn("/bin/w", &[]), 21);
    assert_eq!(program.spawn("/bin/w", &[]), Errno::EAGAIN.negated());
    // None has ended; then the second does, while the program waits for any.
    assert_eq!(program.call(number::WAIT4, &[u64::MAX, AT + 8, 1, 0]), 0);
    assert_eq!(program.on(0, number::WAIT4, &[u64::MAX, AT + 8, 0, 0]), Outcome::Park);
    program.kin().ends(21, Ending::Exit(5));
    program.bell();
    assert_eq!((program.process.take_result(0), program.status()), (Some(21), 5 << 8));
    assert_eq!(program.kin().forgotten, [21]);
    assert_eq!(program.call(number::WAIT4, &[21, 0, 0, 0]), Errno::ECHILD.negated());
    // waitid looks first without taking.
    program.kin().ends(20, Ending::Signal(11));
    for (options, left) in [(4 | 0x0100_0000, 0), (4, 0), (4, Errno::ECHILD.negated())] {
        assert_eq!(program.call(number::WAITID, &[1, 20, AT + 64, options, 0]), left);
    }
    assert_eq!(program.world.words::<3>(AT + 64), [17, 2, 20 << 32 | 20].map(|word: u64| word));
    assert_eq!(program.kin().forgotten, [21, 20]);
}

#[test]
fn child_is_not_given_what_the_program_was_told_of_its_own_stacks() {
    let mut program = Program::parent();
    program.process.identity.min_stack = 61440;
    let environment: [&[&str]; 2] =
        [&["w"], &["RUST_MIN_STACK=61440", "X=1", "RUST_MIN_STACK=4096", "RUST_MIN_STACK=614400"]];
    program.lay_spawn("/bin/w", environment, None, &[]);
    assert_eq!(program.call(number::SPAWN, &[REQUEST]), 20);
    assert_eq!(program.kin().given, b"w\0X=1\0RUST_MIN_STACK=4096\0RUST_MIN_STACK=614400\0");
}

#[test]
fn program_without_the_grant_or_with_a_name_that_is_none_gets_the_error() {
    let mut program = Program::new();
    assert_eq!(program.spawn("/bin/w", &[]), Errno::EACCES.negated());
    assert_eq!(program.world.told, ["spawn refused: its component was granted no programs"]);
    let mut program = Program::parent();
    assert_eq!(program.spawn("/bin/x", &[]), Errno::ENOENT.negated());
    assert_eq!(program.spawn("", &[]), Errno::ENOENT.negated());
    assert_eq!(program.spawn("../bin//w", &[]), 20);
    for (name, search, expected) in [
        ("w", "/usr/bin:/bin", 21),
        ("w", "/usr/bin", Errno::ENOENT.negated()),
        ("x", "/usr/bin:/bin", Errno::ENOENT.negated()),
        ("", "/bin", Errno::ENOENT.negated()),
    ] {
        program.lay_spawn(name, [&[], &[]], Some(search), &[]);
        assert_eq!(program.call(number::SPAWN, &[REQUEST]), expected, "{name} {search}");
    }
}

#[test]
fn child_is_given_no_more_than_has_room() {
    // The same word, again and again.
    let spawn = |words: usize, length: usize| {
        let mut program = Program::parent();
        program.lay_spawn("/bin/w", [&[], &[]], None, &[]);
        let (list, text) = (BASE, BASE + 0x4000);
        assert_eq!(program.call(number::MMAP, &[0, 0x10000, RW, ANONYMOUS, u64::MAX, 0]), BASE.cast_signed());
        program.world.write(text, &vec![b'x'; length]).unwrap();
        (0..words).for_each(|at| program.put(list + 8 * at as u64, &[text]));
        program.put(REQUEST + 8, &[list]);
        (program.call(number::SPAWN, &[REQUEST]), program.kin().given.len())
    };
    assert_eq!(spawn(1024, 31), (20, 32 * 1024));
    assert_eq!(spawn(1025, 1), (Errno::E2BIG.negated(), 0));
    assert_eq!(spawn(1024, 32), (Errno::E2BIG.negated(), 0));
    assert_eq!(spawn(1, 32 * 1024 - 1), (20, 32 * 1024));
    assert_eq!(spawn(1, 32 * 1024), (Errno::E2BIG.negated(), 0));
}

#[test]
fn file_actions_say_what_streams_are() {
    let mut program = Program::parent();
    let (reads, writes) = program.pipe(0);
    // 1 to the pipe, 2 to where 1 goes then, 0 closed.
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 1, writes, 0), (DUP2, 2, 1, 0), (1, 0, 0, 0)]), 20);
    program_path(&mut program, "/dev/null");
    let null = AT + 0x4800;
    program.world.write(null, b"/dev/null\0").unwrap();
    // Its input is the pipe's end that writes, which it cannot read; /dev/null by name.
    assert_eq!(program.spawn("/bin/w", &[(3, 1, 0, null)]), 21);
    let streams = program.kin().streams.clone();
    assert_eq!(streams[0], [Stream::Closed, Stream::Parent, Stream::Parent]);
    assert_eq!(streams[1], [Stream::Own, Stream::Nothing, Stream::Own]);
    program.kin().running.clear();
    let refused = Errno::EOPNOTSUPP.negated();
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 0, writes, 0)]), refused);
    assert_eq!(program.spawn("/bin/w", &[(3, 1, 0, PATH)]), Errno::EACCES.negated(), "no program can be read");
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 1, 99, 0)]), Errno::EBADF.negated());
    assert_eq!(program.spawn("/bin/w", &[(1, 5, 0, 0), (DUP2, 1, 5, 0)]), Errno::EBADF.negated());
    // What is closed on exec is not there, unless it was duplicated.
    assert_eq!(program.call(number::FCNTL, &[2, 2, 1]), 0);
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 0, reads, 0)]), 20);
    assert_eq!(program.kin().streams.last(), Some(&[Stream::Parent, Stream::Own, Stream::Closed]));
}

#[test]
fn output_of_a_child_is_read_to_its_end_and_then_it_is_forgotten() {
    let mut program = Program::parent();
    let (reads, writes) = program.pipe(0);
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 1, writes, 0)]), 20);
    assert_eq!(program.call(number::CLOSE, &[writes]), 0);
    assert_eq!(program.on(0, number::READ, &[reads, AT + 512, 100]), Outcome::Park);
    program.kin().says(Other::Child(20), Channel::Output, Said::Bytes(b"hello".to_vec()));
    program.bell();
    assert_eq!(program.process.take_result(0), Some(5));
    // Much more than the pipe holds, and then it is killed: what it said before is still there.
    for piece in 0..20 {
        program.kin().says(Other::Child(20), Channel::Output, Said::Bytes(vec![piece; PIECE_MAX]));
    }
    program.kin().ends(20, Ending::Signal(9));
    assert_eq!(program.call(number::WAIT4, &[20, AT + 8, 0, 0]), 20);
    assert_eq!((program.status(), program.kin().forgotten.len()), (9, 0));
    let mut total = 0;
    loop {
        match program.call(number::READ, &[reads, AT + 512, 1000]) {
            0 => break,
            length => total += length,
        }
    }
    assert_eq!((total, program.kin().forgotten.clone()), (20 * PIECE_MAX as i64, vec![20]));
}

#[test]
fn input_of_a_child_ends_or_is_not_read_any_more() {
    let mut program = Program::parent();
    let (reads, writes) = program.pipe(0);
    assert_eq!(program.call(number::WRITE, &[writes, AT, 8]), 8);
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 0, reads, 0)]), 20);
    assert_eq!(program.call(number::CLOSE, &[reads]), 0);
    assert_eq!(program.kin().bytes(Other::Child(20), Channel::Input).len(), 8, "what was there before it");
    program.kin().is_full = true;
    assert_eq!(program.call(number::WRITE, &[writes, AT, 8]), 8);
    assert_eq!(program.call(number::CLOSE, &[writes]), 0);
    program.kin().is_full = false;
    program.bell();
    let said = program.kin().out.values().flatten().cloned().collect::<Vec<_>>();
    assert_eq!((said.len(), said.last()), (3, Some(&Said::Ends(Channel::Input))));
    // Another one stops reading: who writes to it gets EPIPE, and SIGPIPE.
    let (reads, writes) = program.pipe(0);
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 0, reads, 0)]), 21);
    assert_eq!(program.call(number::CLOSE, &[reads]), 0);
    program.put(AT + 32, &[1, 0, 0, 0]);
    assert_eq!(program.call(number::RT_SIGACTION, &[13, AT + 32, 0, 8]), 0);
    program.kin().says(Other::Child(21), Channel::Output, Said::Ends(Channel::Input));
    program.bell();
    assert_eq!(program.call(number::WRITE, &[writes, AT, 8]), Errno::EPIPE.negated());
}

#[test]
fn unread_output_is_told_and_dropped() {
    let mut program = Program::parent();
    let (reads, writes) = program.pipe(0);
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 1, writes, 0)]), 20);
    assert_eq!((program.call(number::CLOSE, &[writes]), program.call(number::CLOSE, &[reads])), (0, 0));
    program.bell();
    for _ in 0..30 {
        program.kin().says(Other::Child(20), Channel::Output, Said::Bytes(vec![1; PIECE_MAX]));
        program.bell();
    }
    let out = program.kin().out.clone();
    assert_eq!(out.values().flatten().collect::<Vec<_>>(), [&Said::Ends(Channel::Output)]);
    assert!(program.kin().heard.values().all(VecDeque::is_empty));
    program.kin().ends(20, Ending::Exit(0));
    assert_eq!(program.call(number::WAIT4, &[20, 0, 0, 0]), 20);
    assert_eq!(program.kin().forgotten, [20]);
}

fn child(streams: [Stream; 3]) -> Program {
    let mut program = Program::new();
    program.world.kin = Some(FakeKin::default());
    program.process.spawned_by(9);
    program.process.set_streams(&mut program.world, streams).unwrap();
    program
}

#[test]
fn spawned_program_reads_and_writes_its_streams_and_ends_when_they_are_told() {
    let mut program = child([Stream::Parent, Stream::Parent, Stream::Nothing]);
    assert_eq!(program.call(number::GETPPID, &[]), 9);
    assert_eq!(program.on(0, number::READ, &[0, AT + 64, 64]), Outcome::Park);
    program.kin().says(Other::Parent, Channel::Input, Said::Bytes(b"abc".to_vec()));
    program.kin().says(Other::Parent, Channel::Input, Said::Ends(Channel::Input));
    program.bell();
    assert_eq!(program.process.take_result(0), Some(3));
    assert_eq!(program.call(number::READ, &[0, AT + 64, 64]), 0);
    assert_eq!(program.call(number::WRITE, &[2, AT + 64, 3]), 3);
    assert_eq!(program.call(number::WRITE, &[1, AT + 64, 3]), 3);
    assert_eq!(program.kin().bytes(Other::Parent, Channel::Output), b"abc");
    // Its parent reads nothing for a while: the end waits.
    program.kin().is_full = true;
    assert_eq!(program.call(number::WRITE, &[1, AT + 64, 2]), 2);
    assert_eq!(program.on(0, number::EXIT_GROUP, &[4]), Outcome::Park);
    assert_eq!(program.kin().ending, None);
    program.kin().is_full = false;
    program.bell();
    assert_eq!(program.process.take_result(0), Some(AGAIN));
    assert!(!program.process.is_plain(0, AGAIN));
    assert_eq!(program.process.resumed(&mut program.world, 0, AGAIN), Outcome::Done(AGAIN));
    assert_eq!(program.on(0, number::EXIT_GROUP, &[4]), Outcome::Ended(Ending::Exit(4)));
    assert_eq!(program.kin().ending, Some(Ending::Exit(4)));
    assert_eq!(program.kin().bytes(Other::Parent, Channel::Output), b"abcab");
}

#[test]
fn program_that_ends_lets_no_other_thread_go_on() {
    let mut program = child([Stream::Own, Stream::Parent, Stream::Own]);
    let other = program.process.begin_thread(&mut program.world, THREAD, AT + 0x80, AT + 0x88).unwrap();
    program.kin().is_full = true;
    assert_eq!(program.call(number::WRITE, &[1, AT + 64, 2]), 2);
    program.put(AT + 32, &[0xcafe, 0, 0, 0]);
    assert_eq!(program.call(number::RT_SIGACTION, &[15, AT + 32, 0, 8]), 0);
    assert_eq!(program.on(0, number::EXIT_GROUP, &[4]), Outcome::Park);
    // It writes no more, has no end of its own, and no handler runs.
    assert_eq!(program.on(other, number::WRITE, &[1, AT + 64, 3]), Outcome::Park);
    program.kin().signals = vec![15];
    program.bell();
    assert_eq!((program.process.take_result(other), program.process.next_deadline()), (None, None));
    program.kin().is_full = false;
    program.bell();
    assert_eq!((program.process.take_result(0), program.process.take_result(other)), (Some(AGAIN), None));
    assert_eq!(program.on(0, number::EXIT_GROUP, &[4]), Outcome::Ended(Ending::Exit(4)));
    assert_eq!(program.kin().bytes(Other::Parent, Channel::Output).len(), 2);
}

#[test]
fn spawned_program_whose_output_is_unread_gets_a_broken_pipe_behind_unread_input() {
    let mut program = child([Stream::Parent, Stream::Parent, Stream::Closed]);
    assert_eq!(program.call(number::WRITE, &[2, AT, 1]), Errno::EBADF.negated());
    program.kin().says(Other::Parent, Channel::Input, Said::Bytes(b"unread".to_vec()));
    program.kin().says(Other::Parent, Channel::Input, Said::Ends(Channel::Output));
    program.bell();
    assert_eq!(program.on(0, number::WRITE, &[1, AT, 1]), Outcome::Ended(Ending::Signal(13)));
    assert_eq!(program.kin().ending, Some(Ending::Signal(13)));
}

#[test]
fn wait_tells_nothing_twice_and_keeps_nothing() {
    let mut program = Program::parent();
    assert_eq!((program.spawn("/bin/w", &[]), program.spawn("/bin/w", &[])), (20, 21));
    // Nothing yet: zeros.
    program.put(AT + 64, &[7; 16]);
    assert_eq!(program.call(number::WAITID, &[0, 0, AT + 64, 4 | 1, 0]), 0);
    assert_eq!(program.world.words::<16>(AT + 64), [0; 16]);
    // Two that waited are told of one each.
    let other = program.process.begin_thread(&mut program.world, THREAD, AT + 0x80, AT + 0x88).unwrap();
    for thread in [0, other] {
        assert_eq!(program.on(thread, number::WAIT4, &[u64::MAX, 0, 0, 0]), Outcome::Park);
    }
    program.kin().ends(20, Ending::Exit(0));
    program.kin().ends(21, Ending::Signal(0x80));
    program.process.expire(&mut program.world);
    let told = [0, other].map(|thread| program.process.take_result(thread));
    assert_eq!(told, [Some(20), Some(21)]);
    // A status that cannot be written is lost, and the instance is not.
    assert_eq!(program.spawn("/bin/w", &[]), 20);
    program.kin().ends(20, Ending::Exit(0));
    assert_eq!(program.call(number::WAIT4, &[20, 8, 0, 0]), Errno::EFAULT.negated());
    assert_eq!(program.kin().forgotten, [20, 21, 20]);
    // What a child says of its end is no signal.
    assert_eq!(program.spawn("/bin/w", &[]), 20);
    program.kin().ends(20, Ending::Signal(0x7f));
    assert_eq!(program.call(number::WAIT4, &[20, AT + 8, 0, 0]), 20);
    assert_eq!(program.status(), 9);
    // Who ignores SIGCHLD waits in vain.
    program.put(AT + 32, &[1, 0, 0, 0]);
    assert_eq!(program.call(number::RT_SIGACTION, &[17, AT + 32, 0, 8]), 0);
    assert_eq!(program.spawn("/bin/w", &[]), 20);
    assert_eq!(program.on(0, number::WAIT4, &[20, 0, 0, 0]), Outcome::Park);
    program.kin().ends(20, Ending::Exit(3));
    program.bell();
    assert_eq!(program.process.take_result(0), Some(Errno::ECHILD.negated()));
}

proptest! {
    /// Whatever is said in rings and done with pipes: bytes come in order, each once, and the end comes after the last.
    #[test]
    fn bytes_between_a_parent_and_a_child_are_as_a_queue(
        steps in proptest::collection::vec((0_u8..5, 1_usize..PIECE_MAX), 1..60)
    ) {
        let mut program = Program::parent();
        let ((reads, output), (input, writes)) = (program.pipe(0), program.pipe(0));
        prop_assert_eq!(program.spawn("/bin/w", &[(DUP2, 1, output, 0), (DUP2, 0, input, 0)]), 20);
        for number in [reads, writes] {
            prop_assert_eq!(program.call(number::FCNTL, &[number, 4, 0o4000]), 0);
        }
        program.call(number::CLOSE, &[output]);
        program.call(number::CLOSE, &[input]);
        let (mut expected, mut got, mut written, mut next) = (Vec::new(), Vec::new(), Vec::new(), 0_u8);
        let mut series = |length: usize| -> Vec<u8> {
            (0..length).map(|_| { next = next.wrapping_add(1); next }).collect()
        };
        for (step, length) in steps {
            match step {
                0 => {
                    let bytes = series(length);
                    expected.extend(bytes.clone());
                    program.kin().says(Other::Child(20), Channel::Output, Said::Bytes(bytes));
                }
                1 => {
                    let read = program.call(number::READ, &[reads, AT + 0x100, length as u64]);
                    let mut bytes = vec![0; usize::try_from(read).unwrap_or(0)];
                    program.world.read(AT + 0x100, &mut bytes).unwrap();
                    got.extend(bytes);
                }
                2 => {
                    let bytes = series(length);
                    program.world.write(AT + 0x1000, &bytes).unwrap();
                    let sent = program.call(number::WRITE, &[writes, AT + 0x1000, length as u64]);
                    written.extend(&bytes[..usize::try_from(sent).unwrap_or(0)]);
                }
                3 => program.kin().is_full ^= true,
                _ => program.bell(),
            }
        }
        program.kin().is_full = false;
        program.kin().says(Other::Child(20), Channel::Output, Said::Ends(Channel::Output));
        program.call(number::CLOSE, &[writes]);
        program.bell();
        loop {
            let read = program.call(number::READ, &[reads, AT + 0x100, 4000]);
            prop_assert!(read >= 0);
            let mut bytes = vec![0; usize::try_from(read).unwrap_or(0)];
            program.world.read(AT + 0x100, &mut bytes).unwrap();
            if bytes.is_empty() {
                break;
            }
            got.extend(bytes);
        }
        prop_assert_eq!(got, expected);
        prop_assert_eq!(program.kin().bytes(Other::Child(20), Channel::Input), written);
        let said: Vec<Said> = program.kin().out.values().flatten().cloned().collect();
        prop_assert_eq!(said.last(), Some(&Said::Ends(Channel::Input)));
    }

    /// Calls of posix_spawn whose every word is anything, and rings whose other side says anything.
    #[test]
    fn hostile_requests_and_rings_never_panic(
        words in proptest::array::uniform6(argument()),
        actions in proptest::collection::vec((0_u64..8, argument(), argument(), argument()), 0..40),
        said in proptest::collection::vec((0_usize..3, 0_usize..3, 0_usize..7), 0..40),
        broken in proptest::option::of((0_usize..3, 0_usize..3)),
    ) {
        let mut program = Program::parent();
        program.put(REQUEST, &words);
        program.call(number::SPAWN, &[REQUEST]);
        let (reads, writes) = program.pipe(0);
        program.lay_spawn("/bin/w", [&["w"], &[]], None, &actions);
        program.call(number::SPAWN, &[REQUEST]);
        program.kin().running.clear();
        program.spawn("/bin/w", &[(DUP2, 0, reads, 0), (DUP2, 1, writes, 0), (DUP2, 2, writes, 0)]);
        let others = [Other::Parent, Other::Child(20), Other::Child(21)];
        for (other, ring, kind) in said {
            let all = [Said::Bytes(vec![7; 2000]), Said::Bytes(vec![]), Said::Ready, Said::Demand(u32::MAX)];
            let said = all.into_iter().chain(CHANNELS.map(Said::Ends)).nth(kind).unwrap();
            program.kin().says(others[other], CHANNELS[ring], said);
            program.bell();
        }
        program.kin().broken.extend(broken.map(|(other, ring)| key(others[other], CHANNELS[ring])));
        program.bell();
        program.kin().news.push_back(News::Lost);
        program.bell();
    }
}
