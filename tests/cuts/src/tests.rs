//! Logs of a disk that the test itself writes: whole ones pass, and whatever is wrong with one is found.
#![expect(clippy::expect_used, reason = "a mistake of a test ends the test")]
use crate::campaign::{Judge, Said, Verdict, parse};
use crate::disk::{Dice, Replay};
use crate::log::write::{Deed, add, empty};
use crate::log::{self, SECTOR};
use fsd::{BLOCK, Blocks, Cached, DeviceError, Redox, Store};
use hello_files::plan::{self, Step};
use libhybrid::interfaces::fs::Kind;
use std::cell::RefCell;
use std::rc::Rc;

/// Blocks of the disk, and where it begins in the log.
const BLOCKS: u64 = 2048;
const FIRST: u64 = 5000;
const SECTORS: u64 = (BLOCK / SECTOR) as u64;
const ROUNDS: u64 = 8;

/// A disk that logs.
#[derive(Clone)]
struct Logged {
    disk: Rc<RefCell<Vec<u8>>>,
    log: Rc<RefCell<Vec<u8>>>,
    /// It says that it flushed, and does not.
    lies: bool,
}

impl Blocks for Logged {
    fn count(&self) -> u64 {
        BLOCKS
    }

    fn read(&mut self, first: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        let at = usize::try_from(first).expect("small") * BLOCK;
        data.copy_from_slice(&self.disk.borrow()[at..at + data.len()]);
        Ok(())
    }

    fn write(&mut self, first: u64, data: &[u8]) -> Result<(), DeviceError> {
        let at = usize::try_from(first).expect("small") * BLOCK;
        self.disk.borrow_mut()[at..at + data.len()].copy_from_slice(data);
        add(&mut self.log.borrow_mut(), &Deed::Write(FIRST + first * SECTORS, data));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        if !self.lies {
            add(&mut self.log.borrow_mut(), &Deed::Flush);
        }
        Ok(())
    }
}

/// Plays the components' steps on a logged disk; gives the log and what was said.
fn played(lies: bool) -> (Vec<u8>, String) {
    let disk = Logged {
        disk: Rc::new(RefCell::new(vec![0; usize::try_from(BLOCKS).expect("small") * BLOCK])),
        log: Rc::new(RefCell::new(empty())),
        lies,
    };
    let mut store = Cached::new(Redox::mount(disk.clone()).expect("a disk that works"));
    let mut said = String::new();
    let root = store.root();
    let mut work = |name: &str, steps: Vec<Step>, store: &mut dyn Store| {
        let home = match store.lookup(root, name) {
            Ok(found) => found.node,
            Err(_) => store.create(root, name, Kind::Directory, 1).expect("room").node,
        };
        for step in steps {
            if let Step::Kept(number) = step {
                let bytes = disk.log.borrow().len();
                said += &format!("{bytes} {name}: kept {number}\n");
            } else {
                take(store, home, step);
            }
        }
    };
    work("rounds", plan::round(1), &mut store);
    work("still", plan::still(), &mut store);
    (2..=ROUNDS).for_each(|number| work("rounds", plan::round(number), &mut store));
    let log = disk.log.borrow().clone();
    (log, said)
}

fn take(store: &mut dyn Store, home: u64, step: Step) {
    let (at, base) = (
        |store: &mut dyn Store, path: &str| match path.split_once('/') {
            Some((directory, _)) => store.lookup(home, directory).expect("there").node,
            None => home,
        },
        |path: &str| path.rsplit('/').next().expect("a name").to_string(),
    );
    match step {
        Step::MakeDirectory(path) => drop(store.create(home, &path, Kind::Directory, 1).expect("room")),
        Step::Create(path) => {
            let directory = at(store, &path);
            store.create(directory, &base(&path), Kind::File, 1).expect("room");
        }
        Step::Append(path, data) => {
            let directory = at(store, &path);
            let file = store.lookup(directory, &base(&path)).expect("there");
            store.write(file.node, file.size, &data, 1).expect("room");
        }
        Step::WriteAt(path, offset, data) => {
            let file = store.lookup(home, &path).expect("there");
            store.write(file.node, offset, &data, 1).expect("room");
        }
        Step::Rename(from, to) => store.rename((home, &from), (home, &to)).expect("there"),
        Step::Remove(path) => store.remove(home, &path).expect("there"),
        Step::Sync => store.sync().expect("a disk that works"),
        Step::Kept(_) => {}
    }
}

fn judged(name: &str, log: &[u8], said: &str, cuts: usize) -> Verdict {
    let (entries, said) = (log::parse(log).expect("a log"), parse(said).expect("lines"));
    let judge = Judge::new(name, &entries, &said).expect("room");
    judge.cut(FIRST, BLOCKS * SECTORS, cuts, 7).expect("nothing beyond the disk")
}

#[test]
fn whole_log_passes() {
    let (log, said) = played(false);
    let verdict = judged("whole", &log, &said, 60);
    assert!(verdict.failures.is_empty(), "{verdict}");
}

#[test]
fn disk_that_only_says_that_it_flushes_is_found() {
    let (log, said) = played(true);
    let verdict = judged("lies", &log, &said, 60);
    let is_told = |words: &str| verdict.failures.iter().any(|failure| failure.contains(words));
    assert!(is_told("was said, and"), "{verdict}");
}

/// Blocks and header without a barrier between them: some cut has the header and not what it points to.
#[test]
fn barrier_that_is_missing_is_found() {
    let (log, said) = played(false);
    let entries = log::parse(&log).expect("a log");
    let mut without = empty();
    for (index, entry) in entries.iter().enumerate() {
        let is_before_header =
            entries.get(index + 1).is_some_and(|next| next.first >= FIRST && next.first < FIRST + 256 * SECTORS);
        match entry.data {
            _ if entry.is_flush && is_before_header => {}
            _ if entry.is_flush => add(&mut without, &Deed::Flush),
            Some(data) => add(&mut without, &Deed::Write(entry.first, data)),
            None => {}
        }
    }
    // What was said counts from the end of the other log, which is longer: that can only ask for less.
    let verdict = judged("barrier", &without, &said, 150);
    assert!(verdict.failures.iter().any(|failure| failure.contains("cannot be mounted")), "{verdict}");
}

/// A sync that answers too early: what is said to be kept is not on the disk yet.
#[test]
fn word_that_comes_too_early_is_found() {
    let (log, said) = played(false);
    let ends: Vec<u64> = log::parse(&log).expect("a log").iter().map(|entry| entry.end).collect();
    let early: String = said
        .lines()
        .map(|line| {
            let (bytes, rest) = line.split_once(' ').expect("two words");
            let end: u64 = bytes.parse().expect("a number");
            let before = ends.iter().rev().filter(|other| **other < end).nth(2).expect("entries before");
            format!("{before} {rest}\n")
        })
        .collect();
    let verdict = judged("early", &log, &early, 200);
    assert!(verdict.failures.iter().any(|failure| failure.contains("was said, and")), "{verdict}");
}

/// Somebody else's blocks change although nobody wrote to them.
#[test]
fn write_into_anothers_file_is_found() {
    let (mut log, said) = played(false);
    let place = |what: &str| -> u64 {
        let line = said.lines().find(|line| line.contains(what)).expect("it was said");
        line.split(' ').next().and_then(|bytes| bytes.parse().ok()).expect("a number")
    };
    let of_still = place("rounds: kept") + 1..=place("still: kept");
    // Where the largest file of `still` begins, which nothing moves ever after: any other block may be somebody else's by the end.
    let largest =
        plan::still().into_iter().filter_map(|step| if let Step::Append(_, data) = step { Some(data) } else { None });
    let largest = largest.max_by_key(Vec::len).expect("it writes");
    let entries = log::parse(&log).expect("a log");
    let holds = |data: &[u8]| data.windows(64).any(|window| window == &largest[..64]);
    let mut own = entries.iter().filter(|entry| of_still.contains(&entry.end) && entry.data.is_some_and(holds));
    let own = own.next().expect("it was written");
    let (first, data) = (own.first, vec![0x5a; own.data.map_or(0, <[u8]>::len)]);
    add(&mut log, &Deed::Write(first, &data));
    add(&mut log, &Deed::Flush);
    for _ in 0..200 {
        add(&mut log, &Deed::Flush);
    }
    let verdict = judged("others", &log, &said, 40);
    assert!(verdict.failures.iter().any(|failure| failure.contains("still")), "{verdict}");
}

#[test]
fn write_beyond_the_partition_is_found() {
    let (mut log, said) = played(false);
    add(&mut log, &Deed::Write(FIRST - 1, &[1; SECTOR]));
    let (entries, said): (_, Vec<Said>) = (log::parse(&log).expect("a log"), parse(&said).expect("lines"));
    let judge = Judge::new("beyond", &entries, &said).expect("room");
    assert!(judge.cut(FIRST, BLOCKS * SECTORS, 1, 7).is_err());
}

/// What waits is lost, kept or torn; what was flushed or written through is there.
#[test]
fn cut_keeps_what_was_flushed_and_some_of_the_rest() {
    let mut log = empty();
    let bytes = |byte| vec![byte; 2 * SECTOR];
    add(&mut log, &Deed::Write(0, &bytes(1)));
    add(&mut log, &Deed::Flush);
    add(&mut log, &Deed::Write(0, &bytes(2)));
    add(&mut log, &Deed::Write(8, &bytes(3)));
    add(&mut log, &Deed::Durable(8, &bytes(4)));
    add(&mut log, &Deed::Discard(16, 1));
    let entries = log::parse(&log).expect("a log");
    assert_eq!(entries.last().map(|entry| (entry.first, entry.count, entry.data)), Some((16, 1, None)));
    let mut replay = Replay::new(0, 24);
    assert!(entries.iter().all(|entry| replay.play(entry)));
    let mut seen = std::collections::BTreeSet::new();
    let mut dice = Dice::new(1);
    for _ in 0..200 {
        let mut blocks = vec![0; 3 * BLOCK];
        replay.cut(&mut dice).read(0, &mut blocks).expect("inside");
        seen.insert([blocks[0], blocks[SECTOR], blocks[BLOCK], blocks[2 * BLOCK]]);
    }
    let (first, durable): (Vec<_>, Vec<_>) = seen.iter().map(|bytes| ((bytes[0], bytes[1]), bytes[2])).unzip();
    assert!([(1, 1), (1, 2), (2, 1), (2, 2)].iter().all(|pair| first.contains(pair)), "{seen:?}");
    assert!(durable.iter().all(|byte| *byte == 4), "{seen:?}");
    assert!(seen.iter().any(|bytes| bytes[3] == 0xdd), "{seen:?}");
}
