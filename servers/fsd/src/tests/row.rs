//! Writes that wait to be joined: what a reader sees, when the store is told, what a loss of power leaves.
use super::model::{Tree, tree};
use super::power::{Dice, RamDisk};
use super::{BLOCKS, CLIENT, OTHER, begin, redox};
use crate::cache::{CHUNK, Cached};
use crate::row::ROW_MAX;
use crate::{Found, Memory, Node, Server, Store};
use libhybrid::interfaces::fs::{Creation, Error, Files, Kind};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// A store that lets writes wait, writes down what it is told, and fails when it shall, altogether or for one file.
struct Told {
    store: Memory,
    told: Rc<RefCell<Vec<String>>>,
    fails: Rc<Cell<bool>>,
    rotten: Rc<Cell<Option<Node>>>,
    has_room: Rc<Cell<bool>>,
}

impl Told {
    fn tell(&self, what: &str) -> Result<(), Error> {
        self.told.borrow_mut().push(what.into());
        if self.fails.get() { Err(Error::Broken) } else { Ok(()) }
    }
}

impl Store for Told {
    fn root(&self) -> Node {
        self.store.root()
    }
    fn found(&mut self, node: Node) -> Result<Found, Error> {
        self.store.found(node)
    }
    fn lookup(&mut self, directory: Node, name: &str) -> Result<Found, Error> {
        self.store.lookup(directory, name)
    }
    fn create(&mut self, directory: Node, name: &str, kind: Kind, now_ns: u64) -> Result<Found, Error> {
        self.tell("create")?;
        let made = self.store.create(directory, name, kind, now_ns)?;
        // The number of the file that was rotten is given again.
        Ok(Found { node: self.rotten.get().unwrap_or(made.node), ..made })
    }
    fn remove(&mut self, directory: Node, name: &str) -> Result<(), Error> {
        self.tell("remove")?;
        self.store.remove(directory, name)
    }
    fn rename(&mut self, from: (Node, &str), to: (Node, &str)) -> Result<(), Error> {
        self.tell("rename")?;
        self.store.rename(from, to)
    }
    fn read(&mut self, file: Node, offset: u64, data: &mut [u8]) -> Result<usize, Error> {
        self.store.read(file, offset, data)
    }
    fn write(&mut self, file: Node, offset: u64, data: &[u8], now_ns: u64) -> Result<(), Error> {
        self.tell(&format!("write {offset}+{}", data.len()))?;
        if self.rotten.get() == Some(file) {
            return Err(Error::Broken);
        }
        self.store.write(file, offset, data, now_ns)
    }
    fn set_size(&mut self, file: Node, size: u64, now_ns: u64) -> Result<(), Error> {
        self.tell("size")?;
        self.store.set_size(file, size, now_ns)
    }
    fn list(&mut self, directory: Node) -> Result<Vec<(String, Node)>, Error> {
        self.store.list(directory)
    }
    fn open(&mut self, node: Node) {
        self.store.open(node);
    }
    fn close(&mut self, node: Node) -> Result<(), Error> {
        self.told.borrow_mut().push("close".into());
        self.store.close(node)
    }
    fn sync(&mut self) -> Result<(), Error> {
        self.tell("sync")
    }
    fn may_wait(&self) -> bool {
        self.has_room.get()
    }
    fn capacity(&self) -> u64 {
        self.store.capacity()
    }
}

/// Two files that are open, `a` and `b`, over such a store.
struct Case {
    kept: Cached<Told>,
    files: [Node; 2],
    told: Rc<RefCell<Vec<String>>>,
    fails: Rc<Cell<bool>>,
    rotten: Rc<Cell<Option<Node>>>,
    has_room: Rc<Cell<bool>>,
    now: u64,
}

impl Case {
    fn new() -> Self {
        let (told, fails, rotten) = (Rc::default(), Rc::new(Cell::new(false)), Rc::default());
        let has_room = Rc::new(Cell::new(true));
        let store = Told {
            store: Memory::new(4 << 20),
            told: Rc::clone(&told),
            fails: Rc::clone(&fails),
            rotten: Rc::clone(&rotten),
            has_room: Rc::clone(&has_room),
        };
        let mut kept = Cached::new(store);
        let root = kept.root();
        let files = ["a", "b"].map(|name| kept.create(root, name, Kind::File, 1).expect("room").node);
        files.iter().for_each(|file| kept.open(*file));
        told.borrow_mut().clear();
        Self { kept, files, told, fails, rotten, has_room, now: 1 }
    }

    fn write(&mut self, file: usize, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.now += 1;
        self.kept.write(self.files[file], offset, data, self.now)
    }

    fn read(&mut self, offset: u64, len: usize) -> Vec<u8> {
        let mut data = vec![0; len];
        let read = self.kept.read(self.files[0], offset, &mut data).expect("it can be read");
        data.truncate(read);
        data
    }

    /// What the store was told since this was asked last.
    fn told(&self) -> String {
        std::mem::take(&mut *self.told.borrow_mut()).join(", ")
    }
}

#[test]
fn writes_that_touch_are_one_and_are_read_before_the_store_has_them() {
    let mut case = Case::new();
    case.write(0, 0, b"first").expect("room");
    assert_eq!(case.told(), "write 0+5", "the first of a row is the store's at once");
    for (at, byte) in [(5, b'A'), (6, b'B'), (6, b'C'), (7, b'D')] {
        case.write(0, at, &[byte]).expect("room");
    }
    case.write(0, 3, b"xy").expect("room");
    assert_eq!(case.told(), "");
    assert_eq!((case.read(3, 5), case.read(4, 100), case.read(8, 9)), (b"xyACD".into(), b"yACD".into(), vec![]));
    let file = case.files[0];
    let found = case.kept.found(file).expect("there");
    assert_eq!((found.size, found.modified_ns), (8, case.now));
    let (root, names) = (case.kept.root(), ["a", "b"]);
    assert_eq!(names.map(|name| case.kept.lookup(root, name).map(|found| found.size)), [Ok(8), Ok(0)]);
    assert_eq!(case.told(), "", "none of it needed the store");
    assert_eq!(case.read(0, 8), b"firxyACD");
    assert_eq!(case.told(), "write 3+5", "what is read of it beside the row needs it");
    assert_eq!(case.kept.found(file).map(|found| (found.size, found.modified_ns)), Ok((8, case.now)));
}

#[test]
fn whatever_else_changes_comes_after_what_waits() {
    type Act = fn(&mut Case) -> Result<(), Error>;
    let acts: [(&str, Act); 9] = [
        ("write 0+1", |case| case.write(1, 0, b"z")),
        ("write 500+1", |case| {
            // Beside the row: it waits itself then, until the next one.
            case.write(0, 500, b"z")?;
            case.kept.sync()
        }),
        ("write 131072+1", |case| case.write(0, CHUNK as u64, b"z")),
        ("create", |case| {
            let root = case.kept.root();
            case.kept.create(root, "c", Kind::File, 9).map(|_| ())
        }),
        ("remove", |case| {
            let root = case.kept.root();
            case.kept.remove(root, "b")
        }),
        ("rename", |case| {
            let root = case.kept.root();
            case.kept.rename((root, "b"), (root, "c"))
        }),
        ("size", |case| case.kept.set_size(case.files[0], 3, 9)),
        ("close", |case| case.kept.close(case.files[0])),
        ("sync", |case| case.kept.sync()),
    ];
    for (what, act) in acts {
        let mut case = Case::new();
        case.write(0, 0, b"first").expect("room");
        case.write(0, 5, b"A").expect("room");
        case.write(0, 6, b"B").expect("room");
        assert_eq!(case.told(), "write 0+5");
        act(&mut case).expect("room");
        assert!(case.told().starts_with(&format!("write 5+2, {what}")), "{what}");
        // And when the disk does not take what waits, nothing else is done, and it waits on.
        let mut case = Case::new();
        case.write(0, 0, b"first").expect("room");
        case.write(0, 5, b"A").expect("room");
        case.told();
        case.fails.set(true);
        assert_eq!(act(&mut case), Err(Error::Broken), "{what}");
        let told = case.told();
        let is_only_closed = told == "write 5+1, close" && what == "close";
        assert!(told == "write 5+1" || is_only_closed, "{what}: {told}");
        case.fails.set(false);
        if what != "close" {
            assert_eq!(case.read(5, 1), b"A");
            case.kept.sync().expect("it works again");
            assert_eq!(case.told(), "write 5+1, sync", "{what}");
        }
    }
}

/// A write to `a` waits, and the store will not take it, while the disk works for all else.
fn rotten_case() -> Case {
    let mut case = Case::new();
    case.write(0, 0, b"first").expect("room");
    case.write(0, 5, b"A").expect("room");
    case.rotten.set(Some(case.files[0]));
    case
}

#[test]
fn row_of_one_rotten_file_stops_others_once_and_its_users_are_told_once() {
    type Act = fn(&mut Case) -> Result<(), Error>;
    let tellers: [Act; 4] = [
        |case| case.write(0, 0, b"z"),
        |case| case.kept.set_size(case.files[0], 3, 9),
        |case| case.kept.close(case.files[0]),
        // What the server asks for a session that syncs, and has it open.
        |case| if case.kept.has_lost(case.files[0]) { Err(Error::Broken) } else { Ok(()) },
    ];
    for tell in tellers {
        let mut case = rotten_case();
        assert_eq!(case.write(1, 0, b"mine"), Err(Error::Broken), "it may be the disk");
        assert_eq!(case.write(1, 0, b"mine"), Ok(()));
        assert_eq!((case.kept.sync(), case.write(1, 4, b"!")), (Ok(()), Ok(())));
        case.rotten.set(None);
        assert_eq!(case.read(0, 9), b"first", "what the store has");
        assert_eq!((tell(&mut case), tell(&mut case)), (Err(Error::Broken), Ok(())));
    }
    // By the file's own client: each attempt is answered, and then it goes on.
    let mut case = rotten_case();
    assert_eq!(
        [case.kept.set_size(case.files[0], 3, 9), case.kept.set_size(case.files[0], 3, 9)],
        [Err(Error::Broken); 2]
    );
    case.rotten.set(None);
    assert_eq!((case.write(0, 3, b"xyz"), case.read(0, 9)), (Ok(()), b"firxyz".into()));
}

#[test]
fn row_waits_as_long_as_the_whole_disk_fails() {
    let mut case = rotten_case();
    case.rotten.set(None);
    case.fails.set(true);
    (0..9).for_each(|_| assert_eq!(case.write(1, 0, b"mine"), Err(Error::Broken)));
    case.fails.set(false);
    assert_eq!((case.kept.sync(), case.kept.has_lost(case.files[0])), (Ok(()), false));
    assert_eq!(case.read(0, 9), b"firstA");
}

#[test]
fn new_file_of_the_number_of_a_lost_one_is_whole() {
    let mut case = rotten_case();
    let (root, file) = (case.kept.root(), case.files[0]);
    assert_eq!([case.kept.close(file), case.kept.sync()], [Err(Error::Broken), Ok(())]);
    case.kept.remove(root, "a").expect("there");
    let again = case.kept.create(root, "c", Kind::File, 9).expect("room").node;
    assert_eq!((again, case.kept.has_lost(again)), (file, false));
}

#[test]
fn sync_tells_the_session_that_has_the_file_open() {
    let Case { kept, rotten, .. } = Case::new();
    let mut server = Server::new(vec![("data", Box::new(kept))], 3, super::clock);
    let _rings = [begin(&mut server, CLIENT, "/data/x", 1 << 20), begin(&mut server, OTHER, "/data/y", 1 << 20)];
    let open = server.open_to_write(CLIENT, "log", Creation::Always, false).expect("room");
    server.write_for_test(CLIENT, open.file, Some(0), b"first").expect("room");
    server.write_for_test(CLIENT, open.file, Some(5), b"A").expect("room");
    rotten.set(Some(open.status.id));
    assert_eq!([server.sync(OTHER), server.sync(OTHER), server.sync(OTHER)], [Err(Error::Broken), Ok(()), Ok(())]);
    assert_eq!([server.sync(CLIENT), server.sync(CLIENT)], [Err(Error::Broken), Ok(())]);
}

#[test]
fn row_has_an_end_and_does_not_begin_without_room() {
    let mut case = Case::new();
    let all = 2 * ROW_MAX + 2;
    for at in 0..all as u64 {
        case.write(0, at, &[u8::try_from(at).expect("small")]).expect("room");
    }
    assert_eq!(case.told(), format!("write 0+1, write 1+{ROW_MAX}, write {}+{ROW_MAX}", ROW_MAX + 1));
    let expected: Vec<u8> = (0..all).map(|at| u8::try_from(at).expect("small")).collect();
    assert_eq!(case.read(0, 1000), expected);
    case.told();
    case.has_room.set(false);
    case.write(0, 0, b"x").expect("room");
    case.write(0, 1, b"y").expect("room");
    assert_eq!(case.told(), "write 0+1, write 1+1");
    // What would leave the record does not wait.
    case.has_room.set(true);
    case.write(0, CHUNK as u64 - 1, &[1, 2]).expect("room");
    assert_eq!(case.told(), format!("write {}+2", CHUNK - 1));
}

/// One state of the only file.
fn state(log: &[u8]) -> Tree {
    Tree::from([("log".to_string(), Some(log.to_vec()))])
}

/// A file that stays open is appended to and changed in small pieces, beside others; each piece is an operation.
fn cut(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let disk = RamDisk::new(BLOCKS);
    // So that it goes on into the second record.
    let mut log: Vec<u8> = vec![1; 120_000];
    let mut server = super::server(&disk);
    let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
    let file = server.open_to_write(CLIENT, "log", Creation::Always, false).expect("room").file;
    server.write_for_test(CLIENT, file, Some(0), &log).expect("room");
    server.sync(CLIENT).expect("a disk that works");
    disk.cut_after(4 + dice.roll(200));
    let mut states = vec![state(&log)];
    while disk.has_power() {
        let roll = dice.roll(60);
        let (at, len) = match roll {
            0..=40 => (log.len(), 1 + dice.roll(300)),
            _ => (usize::try_from(dice.roll(log.len() as u64 + 1)).expect("small"), 1 + dice.roll(3000)),
        };
        let (len, byte) = (usize::try_from(len).expect("small"), u8::try_from(dice.roll(256)).expect("small"));
        let answer = if roll == 59 {
            server.sync(CLIENT)
        } else {
            log.resize(log.len().max(at + len), 0);
            log[at..at + len].fill(byte);
            states.push(state(&log));
            server.write_for_test(CLIENT, file, (roll > 40).then_some(at as u64), &vec![byte; len]).map(|_| ())
        };
        match answer {
            Ok(()) if roll == 59 => states = vec![state(&log)],
            Ok(()) => {}
            Err(error) => assert!(!disk.has_power(), "seed {seed}: {error:?}"),
        }
        if log.len() > 180_000 {
            break;
        }
    }
    disk.cut_after(0);
    disk.power_on(&mut dice);
    let mut server = super::server(&disk);
    let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
    let found = tree(&mut server).expect("it can be read");
    assert!(states.contains(&found), "seed {seed}: none of {} states", states.len());
}

#[test]
fn power_that_goes_while_writes_wait_leaves_what_some_of_them_left() {
    (1..=30).for_each(cut);
}

/// The point of it: two thousand small writes are some thirty operations of the disk's store, of which each may need a checkpoint.
#[test]
fn row_of_small_writes_is_few_operations_of_the_disks_store() {
    let disk = RamDisk::new(BLOCKS);
    let mut store = redox(&disk);
    let root = store.root();
    let file = store.create(root, "a", Kind::File, 1).expect("room").node;
    store.open(file);
    let before = disk.flushes();
    for at in 0..2000 {
        store.write(file, at * 10, &[7; 10], 2).expect("room");
    }
    store.sync().expect("a disk that works");
    let (flushes, rows) = (disk.flushes() - before, 2000 / ROW_MAX as u64 + 2);
    assert!(flushes <= 2 * (rows + 1), "{flushes} flushes for {rows} rows");
}

#[test]
fn disk_that_fails_is_not_sound_also_when_nothing_waits_for_it() {
    let disk = RamDisk::new(BLOCKS);
    let mut store = redox(&disk);
    assert!(store.is_sound());
    disk.cut_after(0);
    assert_eq!((store.sync(), store.is_sound()), (Ok(()), false));
}
