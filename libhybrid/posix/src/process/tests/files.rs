//! Files against a file server that a test makes: single cases, and a server that lies, dies or is full.
mod locks;
mod model;
mod tree;

use super::*;
use crate::files::Lock;
pub(super) use tree::FakeTree;
pub(super) use tree::Lie;

/// Where paths and data are put, and where answers go.
const PATH: u64 = STACK.0;
const OTHER: u64 = STACK.0 + 4096;
const DATA: u64 = BASE;
const BACK: u64 = BASE + 64 * 1024;

const CURRENT: u64 = 0xffff_ff9c;
const CREATE: u64 = 0o100;
const EXCLUSIVE: u64 = 0o200;
const TRUNCATE: u64 = 0o1000;
const APPEND: u64 = 0o2000;
const DIRECTORY: u64 = 0o4_0000;
const READ_WRITE: u64 = 2;

impl Program {
    /// With directories at these points.
    pub(super) fn with_files(points: &[&str]) -> Self {
        let mut program = Self::new();
        for point in points {
            program.process.mount(point);
            program.world.trees.push(FakeTree::new());
        }
        program
    }

    pub(super) fn path(&mut self, address: u64, path: &str) -> u64 {
        self.world.write(address, format!("{path}\0").as_bytes()).unwrap();
        address
    }

    /// A call about a path from the current directory.
    pub(super) fn on_path(&mut self, number: u64, path: &str, rest: &[u64]) -> i64 {
        let path = self.path(PATH, path);
        self.call(number, &[&[CURRENT, path], rest].concat())
    }

    fn open_at(&mut self, path: &str, flags: u64) -> i64 {
        self.on_path(number::OPENAT, path, &[flags, 0o600])
    }

    /// A descriptor of a file that can be opened.
    pub(super) fn opened(&mut self, path: &str, flags: u64) -> u64 {
        u64::try_from(self.open_at(path, flags)).unwrap()
    }

    fn rename_to(&mut self, from: &str, to: &str, flags: u64) -> i64 {
        let (from, to) = (self.path(PATH, from), self.path(OTHER, to));
        self.call(number::RENAMEAT2, &[CURRENT, from, CURRENT, to, flags])
    }

    pub(super) fn names(&mut self, descriptor: u64, room: u64) -> Vec<String> {
        let mut names = Vec::new();
        loop {
            let length = self.call(number::GETDENTS64, &[descriptor, BACK, room]);
            assert!(length >= 0, "{length}");
            if length == 0 {
                return names;
            }
            let mut at = BACK;
            while at < BACK + length as u64 {
                let mut head = [0; 19];
                self.world.read(at, &mut head).unwrap();
                let length = u16::from_le_bytes([head[16], head[17]]);
                let mut name = vec![0; usize::from(length) - 19];
                self.world.read(at + 19, &mut name).unwrap();
                names.push(String::from_utf8(name).unwrap().trim_end_matches('\0').into());
                at += u64::from(length);
            }
        }
    }
}

fn failed(errno: Errno) -> i64 {
    errno.negated()
}

#[test]
fn paths_lead_to_the_place_whose_mount_point_is_longest_and_nowhere_else() {
    let mut program = Program::with_files(&["/data", "/data/deep"]);
    assert!(program.open_at("/data/x", CREATE | READ_WRITE) >= 0);
    assert!(program.open_at("/data/deep/y", CREATE | READ_WRITE) >= 0);
    assert_eq!(program.world.trees[0].all().keys().collect::<Vec<_>>(), ["", "/x"]);
    assert_eq!(program.world.trees[1].all().keys().collect::<Vec<_>>(), ["", "/y"]);
    assert_eq!(program.open_at("/elsewhere", 0), failed(Errno::ENOENT));
    assert_eq!(program.open_at("/elsewhere", CREATE | READ_WRITE), failed(Errno::EACCES));
    assert_eq!(program.world.told, ["openat refused: no directory was granted there"]);
    assert_eq!(program.open_at("/data/x/", 0), failed(Errno::ENOTDIR));
    assert_eq!(program.open_at("/data/x/", READ_WRITE), failed(Errno::ENOTDIR));
    assert_eq!(program.open_at("/data", CREATE | READ_WRITE), failed(Errno::EISDIR));
    assert_eq!(program.open_at("/data/../data/./deep/../x", 0), 5);
    assert_eq!(program.rename_to("/data/x", "/data/deep/x", 0), failed(Errno::EXDEV));
    assert_eq!(program.rename_to("/data/deep", "/data/other", 0), failed(Errno::EBUSY));
    assert_eq!(program.on_path(number::UNLINKAT, "/data/deep", &[0x200]), failed(Errno::EBUSY));
    assert_eq!(program.on_path(number::MKDIRAT, "/data/deep", &[0]), failed(Errno::EEXIST));
    let root = program.opened("/", DIRECTORY);
    assert_eq!(program.names(root, 4096), [".", "..", "data"]);
    let data = program.opened("/data", 0);
    assert_eq!(program.names(data, 4096), [".", "..", "deep", "x"]);
}

/// A component with a directory on a disk, one in memory and one to look at only, whoever serves them.
#[test]
fn several_directories_are_one_tree_and_nothing_moves_between_them() {
    let mut program = Program::with_files(&["/data", "/tmp", "/system"]);
    program.world.trees[2].is_read_only = true;
    assert!(program.open_at("/data/x", CREATE | READ_WRITE) >= 0);
    assert!(program.open_at("/tmp/x", CREATE | READ_WRITE) >= 0);
    let root = program.opened("/", DIRECTORY);
    assert_eq!(program.names(root, 4096), [".", "..", "data", "system", "tmp"]);
    for (from, to) in [("/data/x", "/tmp/y"), ("/tmp/x", "/data/y"), ("/tmp/x", "/system/y"), ("/data/x", "/tmp/x")] {
        assert_eq!(program.rename_to(from, to, 0), failed(Errno::EXDEV), "{from} {to}");
    }
    let mut link = |from: &str, to: &str| {
        let (from, to) = (program.path(PATH, from), program.path(OTHER, to));
        program.call(number::LINKAT, &[CURRENT, from, CURRENT, to, 0])
    };
    assert_eq!(link("/data/x", "/tmp/y"), failed(Errno::EXDEV));
    assert_eq!(link("/data/x", "/tmp/x"), failed(Errno::EEXIST));
    assert_eq!(link("/data/x", "/data/y"), failed(Errno::EPERM));
    assert_eq!(link("/data/x", "/nowhere"), failed(Errno::EACCES));
    assert_eq!(link("", "/data/y"), failed(Errno::EPERM));
    assert_eq!(program.open_at("/system/x", CREATE | READ_WRITE), failed(Errno::EROFS));
    for place in 0..2 {
        assert_eq!(program.world.trees[place].all().keys().collect::<Vec<_>>(), ["", "/x"]);
    }
    // Files of the same server's number are told apart by their place.
    let device = |program: &mut Program, path: &str| {
        assert_eq!(program.on_path(number::NEWFSTATAT, path, &[BACK, 0]), 0);
        u64::from_le_bytes(program.bytes(BACK, 8).try_into().unwrap())
    };
    assert_ne!(device(&mut program, "/data/x"), device(&mut program, "/tmp/x"));
}

#[test]
fn paths_of_the_current_directory_and_of_open_ones() {
    let mut program = Program::with_files(&["/"]);
    for directory in ["/a", "/a/b", "/a/b/c"] {
        assert_eq!(program.on_path(number::MKDIRAT, directory, &[0o700]), 0);
    }
    let path = program.path(PATH, "a/b");
    assert_eq!(program.call(number::CHDIR, &[path]), 0);
    assert_eq!(program.call(number::GETCWD, &[BACK, 64]), 5);
    assert_eq!(program.bytes(BACK, 5), b"/a/b\0");
    let file = program.opened("c/x", CREATE | EXCLUSIVE | READ_WRITE);
    assert_eq!(program.open_at("c/x", CREATE | EXCLUSIVE), failed(Errno::EEXIST));
    let above = program.opened("..", DIRECTORY);
    let path = program.path(PATH, "b/c/x");
    assert_eq!(program.call(number::OPENAT, &[above, path, 0]), 5);
    assert_eq!(program.call(number::OPENAT, &[file, path, 0]), failed(Errno::ENOTDIR));
    assert_eq!(program.call(number::OPENAT, &[77, path, 0]), failed(Errno::EBADF));
    assert_eq!(program.call(number::FCHDIR, &[above]), 0);
    assert_eq!(program.on_path(number::FACCESSAT, "b/c/x", &[0]), 0);
    let path = program.path(PATH, "b/c/x");
    assert_eq!(program.call(number::CHDIR, &[path]), failed(Errno::ENOTDIR));
    assert_eq!(program.open_at("", 0), failed(Errno::ENOENT));
    assert_eq!(program.open_at(&"x".repeat(253), CREATE), failed(Errno::ENAMETOOLONG));
    assert_eq!(program.open_at(&"x/".repeat(300), 0), failed(Errno::ENAMETOOLONG));
    assert_eq!(program.open_at(&"x/".repeat(600), 0), failed(Errno::ENAMETOOLONG));
    program.world.write(PATH, b"\xff\0").unwrap();
    assert_eq!(program.call(number::OPENAT, &[CURRENT, PATH, 0]), failed(Errno::EILSEQ));
    assert_eq!(program.call(number::OPENAT, &[CURRENT, 0, 0]), failed(Errno::EFAULT));
}

#[test]
fn what_is_read_only_says_so_and_can_be_read() {
    let mut program = Program::with_files(&["/"]);
    assert_eq!(program.on_path(number::MKDIRAT, "d", &[0]), 0);
    let _file = program.opened("x", CREATE | READ_WRITE);
    program.world.trees[0].is_read_only = true;
    let refused = failed(Errno::EROFS);
    assert_eq!(program.open_at("x", READ_WRITE), refused);
    assert_eq!(program.open_at("x", TRUNCATE), refused);
    assert_eq!(program.open_at("new", CREATE), refused);
    assert_eq!(program.open_at("new", READ_WRITE), failed(Errno::ENOENT));
    assert_eq!(program.open_at("d", READ_WRITE), failed(Errno::EISDIR));
    assert_eq!(program.open_at("x", CREATE | EXCLUSIVE), failed(Errno::EEXIST));
    assert_eq!(program.open_at("x", CREATE), 4);
    assert_eq!(program.on_path(number::MKDIRAT, "new", &[0]), refused);
    assert_eq!(program.on_path(number::MKDIRAT, "d", &[0]), failed(Errno::EEXIST));
    assert_eq!(program.on_path(number::UNLINKAT, "x", &[0]), refused);
    assert_eq!(program.rename_to("x", "y", 0), refused);
    assert_eq!(program.on_path(number::FACCESSAT, "x", &[2]), refused);
    assert_eq!(program.on_path(number::FACCESSAT, "x", &[4]), 0);
    let opened = program.opened("x", 0);
    let nothing = program.path(PATH, "");
    assert_eq!(program.call(number::FACCESSAT2, &[opened, nothing, 2, 0x1000]), refused);
    assert_eq!(program.call(number::FACCESSAT2, &[opened, nothing, 4, 0x1000]), 0);
    assert_eq!(program.on_path(number::FACCESSAT, "/etc/hosts", &[2]), failed(Errno::EACCES));
    assert_eq!(program.on_path(number::FACCESSAT, "/dev/null", &[2]), 0);
    assert_eq!(program.on_path(number::FACCESSAT, "x", &[1]), failed(Errno::EACCES));
    assert_eq!(program.on_path(number::NEWFSTATAT, "x", &[BACK, 0]), 0);
    assert_eq!(program.world.words::<3>(BACK)[2] as u32, 0o10_0400);
}

#[test]
fn status_is_told_in_each_of_its_forms() {
    let mut program = Program::with_files(&["/"]);
    let file = program.opened("x", CREATE | READ_WRITE);
    assert_eq!(program.call(number::WRITE, &[file, DATA, 5000]), 5000);
    assert_eq!(program.call(number::FSTAT, &[file, BACK]), 0);
    let by_descriptor: [u64; 16] = program.world.words(BACK);
    assert_eq!(program.on_path(number::NEWFSTATAT, "x", &[BACK, 0]), 0);
    assert_eq!(program.world.words::<16>(BACK), by_descriptor);
    let [_, id, mode, _, _, _, size, block, blocks, _, _, seconds, ns, ..] = by_descriptor;
    assert_eq!((id, mode, size, block, blocks), (2, 0o10_0600 | 1 << 32, 5000, 4096, 16));
    assert_eq!((seconds, ns), (5, 1));
    assert_eq!(program.on_path(number::STATX, "x", &[0, 0x7ff, BACK]), 0);
    let words: [u64; 16] = program.world.words(BACK);
    assert_eq!((words[3] >> 32, words[4], words[5], words[6], words[14]), (0o10_0600, 2, 5000, 16, 5));
    assert_eq!(program.call(number::STATX, &[0, 0, 0, 0x7ff, 0]), failed(Errno::EFAULT));
    assert_eq!(program.on_path(number::NEWFSTATAT, "x/", &[BACK, 0]), failed(Errno::ENOTDIR));
    assert_eq!(program.on_path(number::READLINKAT, "x", &[BACK, 64]), failed(Errno::EINVAL));
    assert_eq!(program.call(number::FSTATFS, &[file, BACK]), 0);
    assert_eq!(program.world.words::<4>(BACK)[1..], [4096, 256, 192]);
    program.world.trees[0].lie = Some(Lie::HugeSize);
    assert_eq!(program.call(number::FSTAT, &[file, BACK]), 0);
    assert_eq!(program.world.words::<7>(BACK)[6], i64::MAX as u64);
    assert_eq!(program.call(number::LSEEK, &[file, 0, 2]), failed(Errno::EINVAL));
}

#[test]
fn quota_that_is_full_ends_a_write_early_then_says_so() {
    let mut program = Program::with_files(&["/"]);
    program.world.trees[0].quota = Some(70_000);
    let file = program.opened("x", CREATE | READ_WRITE);
    program.put(PATH, &[DATA, 60_000, DATA, 60_000]);
    assert_eq!(program.call(number::WRITEV, &[file, PATH, 2]), 65_536);
    assert_eq!(program.call(number::WRITE, &[file, DATA, 60_000]), failed(Errno::ENOSPC));
    assert_eq!(program.call(number::FALLOCATE, &[file, 0, 0, 80_000]), failed(Errno::ENOSPC));
    assert_eq!(program.call(number::FTRUNCATE, &[file, 10]), 0);
    assert_eq!(program.call(number::LSEEK, &[file, 0, 1]), 65_536);
}

#[test]
fn server_that_dies_fails_its_old_files_and_not_the_next_open() {
    let mut program = Program::with_files(&["/"]);
    let file = program.opened("x", CREATE | READ_WRITE);
    program.world.trees[0].is_away = true;
    let failed = failed(Errno::EIO);
    assert_eq!(program.call(number::WRITE, &[file, DATA, 10]), failed);
    assert_eq!(program.call(number::WRITE, &[file, DATA, 10_000]), failed);
    assert_eq!(program.call(number::READ, &[file, BACK, 10]), failed);
    assert_eq!(program.open_at("x", 0), failed);
    program.world.trees[0].restart();
    assert_eq!(program.call(number::READ, &[file, BACK, 10]), failed);
    assert_eq!(program.call(number::FSTAT, &[file, BACK]), failed);
    assert_eq!(program.call(number::CLOSE, &[file]), 0);
    let file = program.opened("x", READ_WRITE);
    assert_eq!(program.call(number::READ, &[file, BACK, 10]), 0);
}

#[test]
fn server_that_lies_is_found_out_where_it_matters() {
    let lied = |lie: Lie, number: u64, rest: &[u64]| {
        let mut program = Program::with_files(&["/"]);
        assert_eq!(program.on_path(number::MKDIRAT, "d", &[0]), 0);
        let file = program.opened("x", CREATE | READ_WRITE);
        assert_eq!(program.call(number::WRITE, &[file, DATA, 40_000]), 40_000);
        let directory = program.opened("/", 0);
        program.world.trees[0].lie = Some(lie);
        let descriptor = if number == number::GETDENTS64 { directory } else { file };
        let result = program.call(number, &[&[descriptor], rest].concat());
        (result, program.world.trees[0].is_abandoned)
    };
    let error = failed(Errno::EIO);
    for lie in [Lie::MoreThanAsked, Lie::LessThanSaid, Lie::RecordTooLong, Lie::EmptyRecords] {
        assert_eq!(lied(lie, number::PREAD64, &[BACK, 30_000, 0]), (error, true), "{lie:?}");
    }
    assert_eq!(lied(Lie::MoreThanAsked, number::PREAD64, &[BACK, 10, 0]), (error, false));
    assert_eq!(lied(Lie::WrongEnd, number::WRITE, &[DATA, 10]), (error, false));
    assert_eq!(lied(Lie::WrongEnd, number::WRITE, &[DATA, 10_000]), (error, false));
    for lie in [Lie::NameWithSlash, Lie::TooManyEntries] {
        // What is its own, the directory tells all the same.
        assert_eq!(lied(lie, number::GETDENTS64, &[BACK, 24]), (24, false), "{lie:?}");
        assert_eq!(lied(lie, number::GETDENTS64, &[BACK, 4096]), (48, true), "{lie:?}");
    }
    let (told, is_abandoned) = lied(Lie::SameNameAgain, number::GETDENTS64, &[BACK, 4096]);
    assert_eq!((told, is_abandoned), (48 + 24, true));
    let mut program = Program::with_files(&["/"]);
    program.world.trees[0].lie = Some(Lie::DirectoryToWrite);
    assert_eq!(program.open_at("x", CREATE | READ_WRITE), error);
    assert_eq!(program.world.trees[0].open_count(), 0);
}

#[test]
fn directories_are_read_in_pieces_from_the_start_and_from_told_places() {
    let mut program = Program::with_files(&["/"]);
    let mut expected = vec![".".to_string(), "..".to_string()];
    for at in 0..200 {
        let name = format!("n{at:03}");
        let file = program.opened(&name, CREATE | READ_WRITE);
        assert_eq!(program.call(number::CLOSE, &[file]), 0);
        expected.push(name);
    }
    let directory = program.opened("/", DIRECTORY);
    for room in [24, 100, 1000, 32_768] {
        assert_eq!(program.call(number::LSEEK, &[directory, 0, 0]), 0);
        assert_eq!(program.names(directory, room), expected, "{room}");
    }
    // A call that fails behind `.` and `..` loses nothing, and the server is listened to as before.
    assert_eq!(program.call(number::LSEEK, &[directory, 2, 0]), 2);
    assert_eq!(program.call(number::GETDENTS64, &[directory, BACK, 23]), failed(Errno::EINVAL));
    assert_eq!(program.call(number::GETDENTS64, &[directory, 8, 4096]), failed(Errno::EFAULT));
    assert!(!program.world.trees[0].is_abandoned);
    assert_eq!(program.names(directory, 1000), expected[2..]);
    assert_eq!(program.call(number::LSEEK, &[directory, 150, 0]), 150);
    assert_eq!(program.names(directory, 200), expected[150..]);
    assert_eq!(program.call(number::GETDENTS64, &[directory, BACK, 4096]), 0);
    assert_eq!(program.call(number::LSEEK, &[directory, 0, 0]), 0);
    assert_eq!(program.call(number::GETDENTS64, &[directory, BACK, 23]), failed(Errno::EINVAL));
    let file = program.opened("n000", 0);
    assert_eq!(program.call(number::GETDENTS64, &[file, BACK, 4096]), failed(Errno::ENOTDIR));
    assert_eq!(program.call(number::READ, &[directory, BACK, 10]), failed(Errno::EISDIR));
}

#[test]
fn descriptors_of_a_file_share_its_offset_and_close_it_last() {
    let mut program = Program::with_files(&["/"]);
    let file = program.opened("x", CREATE | READ_WRITE | APPEND);
    let same = program.call(number::DUP, &[file]).cast_unsigned();
    assert_eq!(program.call(number::WRITE, &[file, DATA, 10]), 10);
    assert_eq!(program.call(number::LSEEK, &[same, 0, 1]), 10);
    assert_eq!(program.call(number::FCNTL, &[same, 3]), (READ_WRITE | APPEND) as i64);
    assert_eq!(program.call(number::CLOSE, &[file]), 0);
    assert_eq!(program.world.trees[0].open_count(), 1);
    assert_eq!(program.call(number::CLOSE, &[same]), 0);
    assert_eq!(program.world.trees[0].open_count(), 0);
    let opened = (0..100).map(|_| program.open_at("x", 0)).take_while(|number| *number >= 0).count();
    assert_eq!((opened, program.open_at("x", 0)), (64, failed(Errno::EMFILE)));
    let epoll = program.call(number::EPOLL_CREATE1, &[0]).cast_unsigned();
    assert_eq!(program.call(number::EPOLL_CTL, &[epoll, 1, 3, AT]), failed(Errno::EPERM));
    program.put(AT, &[3 | 5 << 32]);
    assert_eq!(program.call(number::PPOLL, &[AT, 1, 0]), 1);
}

#[test]
fn files_are_mapped_as_copies_and_never_shared_for_writing() {
    let mut program = Program::with_files(&["/"]);
    let file = program.opened("x", CREATE | READ_WRITE);
    program.world.write(PATH, b"written").unwrap();
    assert_eq!(program.call(number::PWRITE64, &[file, PATH, 7, 4096]), 7);
    let at = program.call(number::MMAP, &[0, 5000, RW, 2, file, 4096]);
    assert_eq!(program.bytes(at as u64, 8), b"written\0");
    program.world.write(at as u64, b"W").unwrap();
    assert_eq!(program.call(number::PREAD64, &[file, PATH, 1, 4096]), 1);
    assert_eq!(program.bytes(PATH, 1), b"w");
    assert!(program.call(number::MMAP, &[0, 7, 1, 1, file, 4096]) > 0);
    assert_eq!(program.call(number::MMAP, &[0, 7, RW, 1, file, 0]), failed(Errno::ENODEV));
    assert_eq!(program.call(number::MMAP, &[0, 7, RW, 2, file, 1]), failed(Errno::EINVAL));
    let reader = program.opened("x", 0);
    assert_eq!(program.call(number::MMAP, &[0, 7, RW, 1, reader, 0]), failed(Errno::EACCES));
    let writer = program.opened("x", 1);
    assert_eq!(program.call(number::MMAP, &[0, 7, 1, 2, writer, 0]), failed(Errno::EACCES));
    assert_eq!(program.call(number::MMAP, &[0, 7, 1, 2, 1, 0]), failed(Errno::ENODEV));
}

/// `struct flock`
fn range(program: &mut Program, kind: u64, start: u64, length: u64) -> u64 {
    program.put(AT, &[kind, start, length, 0]);
    AT
}

#[test]
fn locks_are_exact_within_the_program_and_whole_files_towards_others() {
    let mut program = Program::with_files(&["/"]);
    let (one, two) = (program.opened("x", CREATE | READ_WRITE), program.opened("x", READ_WRITE));
    let lock = |program: &mut Program, descriptor, command, kind, start, length| {
        let address = range(program, kind, start, length);
        program.call(number::FCNTL, &[descriptor, command, address])
    };
    // Ranges of the program do not exclude its own, and come to the strongest for others.
    assert_eq!(lock(&mut program, one, 6, 0, 0, 10), 0);
    assert_eq!(program.world.trees[0].strongest("x"), Lock::Shared);
    assert_eq!(lock(&mut program, two, 6, 1, 5, 10), 0);
    assert_eq!(program.world.trees[0].strongest("x"), Lock::Exclusive);
    assert_eq!(lock(&mut program, two, 6, 2, 5, 10), 0);
    assert_eq!(program.world.trees[0].strongest("x"), Lock::Shared);
    // An open file's own exclude the program's where they meet.
    assert_eq!(lock(&mut program, two, 37, 0, 0, 4), 0);
    assert_eq!(lock(&mut program, one, 6, 1, 2, 1), failed(Errno::EAGAIN));
    assert_eq!(lock(&mut program, one, 5, 1, 2, 1), 0);
    assert_eq!(program.world.words::<4>(AT)[1..3], [0, 4]);
    assert_eq!(lock(&mut program, two, 37, 2, 0, 0), 0);
    // What another component has.
    assert_eq!(lock(&mut program, one, 6, 2, 0, 0), 0);
    program.world.trees[0].lock_elsewhere("x", Lock::Shared);
    assert_eq!(lock(&mut program, one, 6, 1, 0, 1), failed(Errno::EAGAIN));
    assert_eq!(lock(&mut program, one, 5, 1, 0, 1), 0);
    assert_eq!(program.world.words::<1>(AT)[0] & 0xffff, 0);
    assert_eq!(lock(&mut program, one, 6, 0, 0, 1), 0);
    assert_eq!(program.call(number::FLOCK, &[two, 2 | 4]), failed(Errno::EAGAIN));
    assert_eq!(program.call(number::FLOCK, &[two, 1]), 0);
    assert_eq!(program.call(number::FLOCK, &[two, 8]), 0);
    // Closing any descriptor of the file gives up what the program has.
    assert_eq!(program.world.trees[0].strongest("x"), Lock::Shared);
    assert_eq!(program.call(number::CLOSE, &[two]), 0);
    assert_eq!(program.world.trees[0].strongest("x"), Lock::None);
    let reader = program.opened("x", 0);
    assert_eq!(lock(&mut program, reader, 6, 1, 0, 1), failed(Errno::EBADF));
    assert_eq!(lock(&mut program, reader, 6, 7, 0, 1), failed(Errno::EINVAL));
}

#[test]
fn what_nobody_keeps_is_refused_unless_nothing_is_lost() {
    let mut program = Program::with_files(&["/"]);
    let file = program.opened("x", CREATE | READ_WRITE);
    assert_eq!(program.call(number::FCHMOD, &[file, 0o644]), 0);
    assert_eq!(program.on_path(number::FCHMODAT, "missing", &[0o644]), failed(Errno::ENOENT));
    assert_eq!(program.call(number::FCHOWN, &[file, 7, u64::MAX]), 0);
    assert_eq!(program.on_path(number::FCHOWNAT, "x", &[1, 1, 0]), failed(Errno::EPERM));
    assert_eq!(program.on_path(number::UTIMENSAT, "x", &[0, 0]), failed(Errno::EPERM));
    program.put(AT, &[0, 0x3fff_fffe, 0, 0x3fff_fffe]);
    assert_eq!(program.call(number::UTIMENSAT, &[file, 0, AT, 0]), 0);
    let target = program.path(OTHER, "target");
    let link = program.path(PATH, "link");
    assert_eq!(program.call(number::SYMLINKAT, &[target, CURRENT, link]), failed(Errno::EPERM));
    assert_eq!(program.open_at("/", 0o2004_0002), failed(Errno::EOPNOTSUPP));
    assert_eq!(program.call(number::UMASK, &[0o77]), 0o22);
    assert_eq!(program.call(number::UMASK, &[0o22]), 0o77);
    assert_eq!(program.rename_to("x", "x", 1), failed(Errno::EEXIST));
    assert_eq!(program.rename_to("x", "y", 1), 0);
    assert_eq!(program.rename_to("y", "x", 2), failed(Errno::EINVAL));
    assert_eq!(program.call(number::FDATASYNC, &[file]), 0);
    assert_eq!(program.call(number::SYNC, &[]), 0);
    assert_eq!(program.world.trees[0].syncs, 2);
    assert_eq!(program.call(number::COPY_FILE_RANGE, &[file, 0, file, 0, 1, 0]), failed(Errno::ENOSYS));
}
