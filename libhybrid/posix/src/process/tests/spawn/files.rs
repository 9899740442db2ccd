//! Files of a parent and its children: as streams, pipes that two share, where a child starts, paths of programs.
use super::super::files::Lie;
use super::*;
use proptest::prelude::*;

const CREATE: u64 = 0o100;
const APPEND: u64 = 0o2000;
const READ_WRITE: u64 = 2;
const DIRECTORY: u64 = 0o4_0000;
const CHDIR: u64 = 4;
const FCHDIR: u64 = 5;
/// Where the path of a file action is.
const WHERE: u64 = AT + 0x4800;

fn parent_with_files(points: &[&str]) -> Program {
    let mut program = Program::with_files(points);
    program.world.kin = Some(FakeKin { may_spawn: true, ..FakeKin::default() });
    program
}

impl Program {
    fn content(&self, path: &str) -> Vec<u8> {
        self.world.trees[0].all()[path].clone().unwrap()
    }

    fn says_output(&mut self, process: u16, bytes: &[u8]) {
        self.kin().says(Other::Child(process), Channel::Output, Said::Bytes(bytes.to_vec()));
    }

    /// Whether a child was told that nobody reads its output.
    fn was_refused(&mut self, process: u16) -> bool {
        let said = self.kin().out.get(&key(Other::Child(process), Channel::Output));
        said.is_some_and(|said| said.contains(&Said::Ends(Channel::Output)))
    }

    fn chdir_spawn(&mut self, directory: &str) -> i64 {
        self.world.write(WHERE, format!("{directory}\0").as_bytes()).unwrap();
        self.spawn("/bin/w", &[(CHDIR, 0, 0, WHERE)])
    }
}

#[test]
fn input_that_is_a_pipe_is_lent_to_a_child_and_stays_this_programs() {
    let mut program = Program::parent();
    let (reads, writes) = program.pipe(0);
    assert_eq!(program.call(number::DUP3, &[reads, 0, 0]), 0);
    assert_eq!(program.call(number::WRITE, &[writes, AT, 8]), 8);
    assert_eq!(program.spawn("/bin/w", &[]), 20);
    assert_eq!(program.kin().streams, [[Stream::Parent, Stream::Own, Stream::Own]]);
    assert!(program.kin().out.is_empty());
    assert_eq!(program.call(number::READ, &[0, AT, 100]), 8, "nobody else wanted it");
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 0, 0, 0)]), 21);
    assert_eq!(program.kin().streams.last(), Some(&[Stream::Parent, Stream::Own, Stream::Own]));
}

#[test]
fn file_actions_open_files_from_where_the_child_starts_and_leave_no_descriptor() {
    const OPEN: u64 = 3;
    let mut program = parent_with_files(&["/"]);
    assert_eq!(program.on_path(number::MKDIRAT, "/d", &[0o700]), 0);
    let spawn = |program: &mut Program, path: &str, flags: u64, to: u64, all: &[Act]| {
        program.lay_spawn("/bin/w", [&["w"], &[]], None, all);
        program.world.write(WHERE, format!("{path}\0").as_bytes()).unwrap();
        program.world.write(WHERE + 0x100, b"/d\0").unwrap();
        let at = all.iter().position(|(command, ..)| *command == OPEN).unwrap() as u64;
        program.put(ACTIONS + at * 40 + 8, &[to, 0, flags, WHERE]);
        program.call(number::SPAWN, &[REQUEST])
    };
    let open: Act = (OPEN, 0, 0, 0);
    // Both output and errors, by a number of their own, in the directory of the child.
    let all = [(CHDIR, 0, 0, WHERE + 0x100), open, (DUP2, 1, 9, 0), (DUP2, 2, 9, 0)];
    assert_eq!(spawn(&mut program, "out", CREATE | 1, 9, &all), 20);
    assert_eq!(program.kin().streams, [[Stream::Own, Stream::Parent, Stream::Parent]]);
    program.says_output(20, b"kept");
    program.bell();
    assert_eq!(program.content("/d/out"), b"kept");
    assert_eq!(spawn(&mut program, "/d/out", 0, 0, &[open]), 21);
    assert_eq!(program.kin().streams.last(), Some(&[Stream::Parent, Stream::Own, Stream::Own]));
    program.kin().running.clear();
    // The error of opening is that of the call.
    assert_eq!(spawn(&mut program, "/none", 0, 0, &[open]), Errno::ENOENT.negated());
    assert_eq!(spawn(&mut program, "/d", 1, 1, &[open]), Errno::EISDIR.negated());
    assert_eq!(spawn(&mut program, "/d/out", 0, 1, &[open]), Errno::EOPNOTSUPP.negated(), "it cannot be written");
    assert_eq!(program.counter(0, 0), 3, "no descriptor is left");
}

#[test]
fn folder_of_programs_is_a_directory_before_any_call_about_files() {
    let mut program = parent_with_files(&["/"]);
    assert_eq!(program.chdir_spawn("/bin"), 20);
}

#[test]
fn output_is_in_the_file_when_its_child_was_waited_for() {
    let mut program = parent_with_files(&["/"]);
    let file = program.opened("x", CREATE | READ_WRITE);
    program.world.write(PATH, b"ab").unwrap();
    assert_eq!(program.call(number::WRITE, &[file, PATH, 2]), 2);
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 1, file, 0), (DUP2, 2, file, 0)]), 20);
    assert_eq!(program.kin().streams, [[Stream::Own, Stream::Parent, Stream::Parent]]);
    assert_eq!(program.call(number::CLOSE, &[file]), 0);
    program.says_output(20, &[b'o'; PIECE_MAX]);
    program.kin().says(Other::Child(20), Channel::Error, Said::Bytes(b"err".to_vec()));
    program.says_output(20, b"end");
    program.kin().ends(20, Ending::Exit(0));
    assert_eq!(program.call(number::WAIT4, &[20, 0, 0, 0]), 20);
    let content = program.content("/x");
    assert_eq!((content.len(), &content[..3]), (2 + PIECE_MAX + 6, b"abo".as_slice()));
    assert_eq!((program.world.trees[0].open_count(), program.kin().forgotten.clone()), (0, vec![20]));
}

#[test]
fn file_is_read_at_its_own_offset_as_far_as_there_is_room_and_then_ends() {
    let mut program = parent_with_files(&["/"]);
    let file = program.opened("x", CREATE | READ_WRITE);
    assert_eq!(program.call(number::WRITE, &[file, STACK.0, 3000]), 3000);
    assert_eq!(program.call(number::LSEEK, &[file, 100, 0]), 100);
    program.kin().is_full = true;
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 0, file, 0)]), 20);
    assert_eq!(program.kin().streams, [[Stream::Parent, Stream::Own, Stream::Own]]);
    assert!(program.kin().out.is_empty());
    program.kin().is_full = false;
    program.bell();
    // As long as it is this program's, too, by what the child wants of it; then all of it.
    assert!(program.kin().out.is_empty());
    program.kin().says(Other::Child(20), Channel::Error, Said::Demand(1000));
    program.bell();
    assert_eq!(program.kin().bytes(Other::Child(20), Channel::Input).len(), 1000);
    assert_eq!(program.call(number::LSEEK, &[file, 0, 1]), 1100, "the offset is shared, as on Linux");
    let other = program.call(number::FCNTL, &[file, 0, 0]).cast_unsigned();
    assert_eq!((program.call(number::CLOSE, &[file]), program.call(number::CLOSE, &[other])), (0, 0));
    assert_eq!(program.kin().bytes(Other::Child(20), Channel::Input).len(), 2900);
    let said = program.kin().out[&key(Other::Child(20), Channel::Input)].clone();
    assert_eq!(said.iter().filter(|said| **said == Said::Ends(Channel::Input)).count(), 1);
    // One that is inherited is as one that is given by an action; its end is no end for good while it can grow.
    let file = program.opened("x", READ_WRITE);
    assert_eq!((program.call(number::DUP3, &[file, 0, 0]), program.call(number::LSEEK, &[0, 2999, 0])), (0, 2999));
    assert_eq!(program.spawn("/bin/w", &[]), 21);
    assert_eq!(program.kin().streams.last(), Some(&[Stream::Parent, Stream::Own, Stream::Own]));
    for _ in 0..2 {
        program.kin().says(Other::Child(21), Channel::Error, Said::Demand(9));
        program.bell();
    }
    let said = program.kin().out[&key(Other::Child(21), Channel::Input)].clone();
    assert_eq!(said, [Said::Bytes(vec![0]), Said::Bytes(vec![])]);
}

#[test]
fn file_that_does_not_allow_it_is_no_stream() {
    let mut program = parent_with_files(&["/"]);
    let _made = program.opened("x", CREATE | READ_WRITE);
    let (reads, writes) = (program.opened("x", 0), program.opened("x", 1));
    let directory = program.opened("/", DIRECTORY);
    let refused = Errno::EOPNOTSUPP.negated();
    for action in [(DUP2, 1, reads, 0), (DUP2, 0, writes, 0), (DUP2, 1, directory, 0)] {
        assert_eq!(program.spawn("/bin/w", &[action]), refused, "{action:?}");
    }
}

#[test]
fn file_that_takes_no_more_is_told_and_nothing_is_written_behind_the_gap() {
    for fails in [
        (|program: &mut Program| program.world.trees[0].quota = Some(3000)) as fn(&mut Program),
        |program| program.world.trees[0].lie = Some(Lie::WrongEnd),
        |program| program.world.trees[0].is_away = true,
    ] {
        let mut program = parent_with_files(&["/"]);
        let file = program.opened("x", CREATE | READ_WRITE);
        assert_eq!(program.spawn("/bin/w", &[(DUP2, 1, file, 0)]), 20);
        program.says_output(20, &[b'a'; PIECE_MAX]);
        program.bell();
        fails(&mut program);
        program.says_output(20, &[b'b'; PIECE_MAX]);
        program.says_output(20, b"c");
        program.bell();
        assert!(program.was_refused(20));
        program.world.trees[0].lie = None;
        program.says_output(20, b"d");
        program.kin().ends(20, Ending::Signal(13));
        assert_eq!(program.call(number::WAIT4, &[20, AT + 8, 0, 0]), 20);
        assert!(!program.content("/x").iter().any(|byte| matches!(byte, b'c' | b'd')));
        assert_eq!(program.kin().forgotten, [20]);
    }
    // A file that cannot be read any more ends.
    let mut program = parent_with_files(&["/"]);
    let file = program.opened("x", CREATE | READ_WRITE);
    program.world.trees[0].is_away = true;
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 0, file, 0)]), 20);
    for _ in 0..2 {
        program.kin().says(Other::Child(20), Channel::Error, Said::Demand(9));
        program.bell();
    }
    let said = program.kin().out[&key(Other::Child(20), Channel::Input)].clone();
    assert_eq!(said, [Said::Bytes(vec![]), Said::Bytes(vec![])]);
    assert_eq!(program.call(number::CLOSE, &[file]), 0);
    assert_eq!(program.kin().out[&key(Other::Child(20), Channel::Input)][2..], [Said::Ends(Channel::Input)]);
    assert_eq!(program.world.told, ["input of a child ends early, as its file cannot be read: error 5"]);
    // It is not read again while its end finds no room.
    let mut program = parent_with_files(&["/"]);
    let file = program.opened("x", CREATE | READ_WRITE);
    assert_eq!(program.call(number::WRITE, &[file, PATH, 2]), 2);
    assert_eq!(program.call(number::LSEEK, &[file, 0, 0]), 0);
    (program.world.trees[0].is_away, program.kin().is_full) = (true, true);
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 0, file, 0)]), 20);
    assert_eq!(program.call(number::CLOSE, &[file]), 0);
    (program.world.trees[0].is_away, program.kin().is_full) = (false, false);
    program.bell();
    assert_eq!(program.kin().out[&key(Other::Child(20), Channel::Input)], [Said::Ends(Channel::Input)]);
    assert_eq!(program.world.told.len(), 1);
}

#[test]
fn long_file_is_sent_in_turns_with_what_else_there_is_to_do() {
    let mut program = parent_with_files(&["/"]);
    let file = program.opened("x", CREATE | READ_WRITE);
    for _ in 0..10 {
        assert_eq!(program.call(number::WRITE, &[file, STACK.0, 0xf000]), 0xf000);
    }
    assert_eq!(program.call(number::LSEEK, &[file, 0, 0]), 0);
    program.kin().is_full = true;
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 0, file, 0)]), 20);
    assert_eq!(program.call(number::CLOSE, &[file]), 0);
    program.kin().is_full = false;
    program.process.pump(&mut program.world);
    assert_eq!(program.kin().bytes(Other::Child(20), Channel::Input).len(), 256 * 800, "others have their turn");
    program.process.retry(&mut program.world);
    assert_eq!(program.kin().bytes(Other::Child(20), Channel::Input).len(), 10 * 0xf000, "and it goes on by itself");
}

#[test]
fn pipe_between_two_children_ends_with_its_writer_and_breaks_with_its_reader() {
    let mut program = Program::parent();
    let (reads, writes) = program.pipe(0);
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 1, writes, 0)]), 20);
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 0, reads, 0)]), 21);
    assert_eq!((program.call(number::CLOSE, &[writes]), program.call(number::CLOSE, &[reads])), (0, 0));
    for _ in 0..30 {
        program.says_output(20, &[1; PIECE_MAX]);
    }
    program.bell();
    assert_eq!(program.kin().bytes(Other::Child(21), Channel::Input).len(), 30 * PIECE_MAX);
    program.says_output(20, b"last");
    program.kin().ends(20, Ending::Exit(0));
    assert_eq!(program.call(number::WAIT4, &[20, 0, 0, 0]), 20);
    program.bell();
    let said = program.kin().out[&key(Other::Child(21), Channel::Input)].clone();
    assert_eq!(said.last(), Some(&Said::Ends(Channel::Input)));
    // The reader ends: the other one is told, as by EPIPE.
    let (reads, writes) = program.pipe(0);
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 1, writes, 0)]), 20);
    program.kin().ends(21, Ending::Exit(0));
    assert_eq!(program.call(number::WAIT4, &[21, 0, 0, 0]), 21);
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 0, reads, 0)]), 21);
    assert_eq!((program.call(number::CLOSE, &[writes]), program.call(number::CLOSE, &[reads])), (0, 0));
    program.kin().says(Other::Child(21), Channel::Output, Said::Ends(Channel::Input));
    program.bell();
    assert!(program.was_refused(20));
}

#[test]
fn child_starts_where_its_parent_is_or_says() {
    let mut program = parent_with_files(&["/"]);
    assert_eq!(program.on_path(number::MKDIRAT, "/d", &[0o700]), 0);
    let _file = program.opened("/x", CREATE | READ_WRITE);
    assert_eq!(program.chdir_spawn("d/../d"), 20);
    assert_eq!(program.kin().given, b"w\0a b\0X=1\0=/d\0");
    program.kin().running.clear();
    assert_eq!(program.chdir_spawn("/"), 20);
    assert_eq!(program.kin().given, b"w\0a b\0X=1\0", "the root needs no word");
    assert_eq!(program.chdir_spawn("/nowhere"), Errno::ENOENT.negated());
    assert_eq!(program.chdir_spawn("/x"), Errno::ENOTDIR.negated());
    assert_eq!(program.chdir_spawn("/bin/w"), Errno::ENOTDIR.negated());
    program.kin().running.clear();
    let directory = program.opened("/d", DIRECTORY);
    assert_eq!(program.spawn("/bin/w", &[(FCHDIR, directory, 0, 0)]), 20);
    assert!(program.kin().given.ends_with(b"\0=/d\0"));
    assert_eq!(program.spawn("/bin/w", &[(FCHDIR, 1, 0, 0)]), Errno::ENOTDIR.negated());
    assert_eq!(program.spawn("/bin/w", &[(6, 1, 0, 0)]), Errno::EINVAL.negated());
    let path = program.path(WHERE, "/d");
    assert_eq!(program.call(number::CHDIR, &[path]), 0);
    assert_eq!(program.spawn("/bin/w", &[]), 21);
    assert!(program.kin().given.ends_with(b"\0=~/d\0"), "it is inherited");
    // What the program has without a name in its own environment says nothing of it.
    program.kin().running.clear();
    program.lay_spawn("/bin/w", [&["w", "=a"], &["=C:=x", "X=1"]], None, &[]);
    assert_eq!(program.call(number::SPAWN, &[REQUEST]), 20);
    assert_eq!(program.kin().given, b"w\0=a\0X=1\0=~/d\0");
    // Its string counts among the others.
    program.kin().running.clear();
    program.lay_spawn("/bin/w", [&[], &[]], None, &[]);
    let (list, text) = (BASE, BASE + 0x3000);
    assert_eq!(program.call(number::MMAP, &[0, 0x4000, RW, ANONYMOUS, u64::MAX, 0]), list.cast_signed());
    program.world.write(text, b"x").unwrap();
    program.put(REQUEST + 8, &[list]);
    for (words, answer) in [(1023, 20), (1024, Errno::E2BIG.negated())] {
        (0..words).for_each(|at| program.put(list + 8 * at, &[text]));
        assert_eq!(program.call(number::SPAWN, &[REQUEST]), answer);
    }
}

#[test]
fn child_is_in_the_directory_that_it_is_given_or_does_not_start() {
    let given = crate::family::Given {
        parent: 9,
        arguments: 2,
        strings: b"w\0=a\0=x\0X=1\0=/d\0".to_vec(),
        streams: [Stream::Own; 3],
    };
    assert_eq!(given.directory(), Some((b"/d".as_slice(), true)));
    let inherited = crate::family::Given { strings: b"w\0=a\0=~/d\0".to_vec(), ..given.clone() };
    assert_eq!(inherited.directory(), Some((b"/d".as_slice(), false)));
    let nowhere = crate::family::Given { strings: b"w\0=a\0X=1\0".to_vec(), ..given };
    assert_eq!(nowhere.directory(), None);
    let mut program = Program::with_files(&["/"]);
    assert_eq!(program.on_path(number::MKDIRAT, "/d", &[0o700]), 0);
    // One that nobody asked for, and that is not there: it starts at its root.
    assert_eq!(program.process.start_in(&mut program.world, (b"/e", false)), Ok(()));
    assert_eq!(program.call(number::GETCWD, &[AT, 64]), 2);
    assert_eq!(
        program.world.told.last().unwrap(),
        "starts at its root: the directory of who spawned it is not in its tree"
    );
    assert_eq!(program.process.start_in(&mut program.world, (b"/d", true)), Ok(()));
    assert_eq!(program.call(number::GETCWD, &[AT, 64]), 3);
    for (directory, errno) in [(b"/e".as_slice(), Errno::ENOENT), (b"", Errno::ENOENT), (b"/\xff", Errno::EILSEQ)] {
        assert_eq!(program.process.start_in(&mut program.world, (directory, true)), Err(errno));
    }
    assert_eq!(program.process.end_unstarted(&mut program.world), Outcome::Ended(Ending::Exit(127)));
    // Without files there is one directory.
    let mut program = Program::new();
    assert_eq!(program.process.start_in(&mut program.world, (b"/d", true)), Ok(()));
    assert_eq!(program.call(number::GETCWD, &[AT, 64]), 2);
}

#[test]
fn programs_are_at_their_paths_and_in_their_folders() {
    let mut program = parent_with_files(&["/"]);
    program.kin().is_away = true;
    assert_eq!(program.on_path(number::MKDIRAT, "/opt2", &[0o700]), 0);
    assert_eq!(program.on_path(number::FACCESSAT, "/bin/w", &[1]), Errno::ENOENT.negated());
    program.kin().is_away = false;
    assert_eq!(program.on_path(number::FACCESSAT, "/bin/w", &[1]), 0);
    let asked = program.kin().asked;
    for (path, wanted, expected) in [
        ("/bin/w", 4, Err(Errno::EACCES)),
        ("/bin/w", 2, Err(Errno::EACCES)),
        ("/bin/x", 0, Err(Errno::ENOENT)),
        ("/bin", 1, Ok(0)),
        ("/opt/x", 1, Ok(0)),
        ("/opt/x/y", 1, Ok(0)),
        ("/opt/x/y/", 0, Err(Errno::ENOTDIR)),
        ("/op", 0, Err(Errno::ENOENT)),
    ] {
        let expected: i64 = expected.unwrap_or_else(Errno::negated);
        assert_eq!(program.on_path(number::FACCESSAT, path, &[wanted]), expected, "{path} {wanted}");
    }
    assert_eq!(program.kin().asked, asked, "it asks once");
    assert_eq!(program.on_path(number::NEWFSTATAT, "/bin/w", &[AT, 0]), 0);
    assert_eq!(program.world.words::<3>(AT)[2] & 0xffff_ffff, 0o10_0100);
    let path = program.path(WHERE, "/bin/w");
    let open = |program: &mut Program, flags| program.call(number::OPENAT, &[0, path, flags]);
    assert_eq!((open(&mut program, 0), open(&mut program, CREATE | READ_WRITE)), (-13, -13));
    assert_eq!(program.on_path(number::UNLINKAT, "/bin/w", &[0]), Errno::EACCES.negated());
    let (root, folder) = (program.opened("/", DIRECTORY), program.opened("/opt", DIRECTORY));
    let bin = program.opened("/bin", DIRECTORY);
    assert_eq!(program.names(root, 4096), [".", "..", "bin", "opt", "opt2"]);
    assert_eq!(
        (program.names(folder, 4096), program.names(bin, 4096)),
        ([".", "..", "x"].map(String::from).to_vec(), [".", "..", "w"].map(String::from).to_vec(),)
    );
}

#[test]
fn folder_of_programs_is_the_servers_directory_if_there_is_one_and_has_the_programs_too() {
    let mut program = parent_with_files(&["/", "/opt/x"]);
    // Nobody made /bin: it is there for its programs, and nothing can be made in it.
    assert_eq!(program.on_path(number::MKDIRAT, "/bin", &[0o700]), Errno::EEXIST.negated());
    assert_eq!(program.on_path(number::UNLINKAT, "/bin", &[0x200]), Errno::EBUSY.negated());
    let refused = program.on_path(number::OPENAT, "/bin/a", &[CREATE | READ_WRITE, 0o600]);
    assert_eq!(refused, Errno::ENOENT.negated());
    // The server has one, and the other is a mount point.
    crate::files::Tree::make_directory(&mut program.world.trees[0], "bin").unwrap();
    for (folder, file, listed) in [("/bin", "/bin/a", ["a", "w"]), ("/opt/x", "/opt/x/z", ["y", "z"])] {
        let file = program.opened(file, CREATE | READ_WRITE);
        assert_eq!(program.call(number::CLOSE, &[file]), 0);
        let open = program.opened(folder, DIRECTORY);
        let mut names = program.names(open, 4096);
        names.sort();
        assert_eq!(names, [&[".", ".."], listed.as_slice()].concat());
        let path = program.path(WHERE, folder);
        assert_eq!(program.call(number::CHDIR, &[path]), 0);
    }
    assert_eq!(program.on_path(number::FACCESSAT, "/bin/w", &[1]), 0);
    assert_eq!(program.on_path(number::UNLINKAT, "/bin/a", &[0]), 0);
    assert_eq!(program.on_path(number::UNLINKAT, "/bin", &[0x200]), 0, "what the server has of it");
    assert_eq!(program.on_path(number::FACCESSAT, "/bin", &[1]), 0);
}

proptest! {
    /// Two children that append to one file: it has what each wrote, in its order, whenever bells ring; and nothing else.
    #[test]
    fn file_has_what_each_child_wrote_in_order(
        pieces in proptest::collection::vec((any::<bool>(), 1..PIECE_MAX, any::<bool>()), 0..40),
    ) {
        let mut program = parent_with_files(&["/"]);
        let file = program.opened("x", CREATE | APPEND | 1);
        for process in [20, 21] {
            prop_assert_eq!(program.spawn("/bin/w", &[(DUP2, 1, file, 0)]), process);
        }
        let mut expected = [Vec::new(), Vec::new()];
        for (at, (is_second, length, rings)) in pieces.into_iter().enumerate() {
            // The lowest bit tells who wrote it.
            let bytes = vec![(at as u8) << 1 | u8::from(is_second); length];
            expected[usize::from(is_second)].extend_from_slice(&bytes);
            program.says_output(20 + u16::from(is_second), &bytes);
            if rings {
                program.bell();
            }
        }
        for process in [20, 21] {
            program.kin().ends(process, Ending::Exit(0));
            prop_assert_eq!(program.call(number::WAIT4, &[process.into(), 0, 0, 0]), i64::from(process));
        }
        let (second, first): (Vec<u8>, Vec<u8>) = program.content("/x").into_iter().partition(|byte| byte & 1 == 1);
        prop_assert_eq!([first, second], expected);
    }
}
