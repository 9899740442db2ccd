//! A store that remembers against the same store without; what is asked of the store again, and what is not.
use super::power::RamDisk;
use crate::cache::{CHUNK, CHUNKS, Cached};
use crate::{Found, Memory, Node, Redox, Store};
use libhybrid::interfaces::fs::{Error, Kind};
use proptest::prelude::*;
use std::cell::Cell;
use std::rc::Rc;

#[derive(Debug, Clone)]
enum Op {
    Create(usize, bool),
    Remove(usize),
    Rename(usize, usize),
    /// From here on it is a file of those that are open.
    Open(usize),
    Close(usize),
    Read(usize, u64, usize),
    Write(usize, u64, usize, u8),
    SetSize(usize, u64),
    Found(usize),
    FoundRoot,
    Lookup(usize),
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn op() -> impl Strategy<Value = Op> {
    let name = || 0..NAMES.len();
    let open = || 0..4_usize;
    let at = || prop_oneof![0_u64..200, 131_000_u64..131_200, 262_100_u64..262_200];
    let len = || prop_oneof![0_usize..300, 60_000_usize..66_000, 131_000_usize..140_000];
    prop_oneof![
        3 => (name(), any::<bool>()).prop_map(|(name, is_file)| Op::Create(name, is_file)),
        1 => name().prop_map(Op::Remove),
        1 => (name(), name()).prop_map(|(from, to)| Op::Rename(from, to)),
        3 => name().prop_map(Op::Open),
        1 => open().prop_map(Op::Close),
        6 => (open(), at(), len()).prop_map(|(open, at, len)| Op::Read(open, at, len)),
        4 => (open(), at(), len(), any::<u8>()).prop_map(|(open, at, len, byte)| Op::Write(open, at, len, byte)),
        2 => (open(), at()).prop_map(|(open, size)| Op::SetSize(open, size)),
        2 => open().prop_map(Op::Found),
        2 => Just(Op::FoundRoot),
        2 => name().prop_map(Op::Lookup),
    ]
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Nothing(Result<(), Error>),
    Node(Result<Found, Error>),
    Data(Result<Vec<u8>, Error>),
}

/// A store, and the files in it that are open. What a server would not ask is not asked.
struct Used<S> {
    store: S,
    open: Vec<Node>,
    now: u64,
}

impl<S: Store> Used<S> {
    fn new(store: S) -> Self {
        Self { store, open: Vec::new(), now: 0 }
    }

    fn act(&mut self, op: &Op) -> Option<Answer> {
        let root = self.store.root();
        self.now += 1;
        let (store, now) = (&mut self.store, self.now);
        let opened = |open: &Vec<Node>, at: usize| open.get(at).copied();
        Some(match *op {
            Op::Create(name, is_file) => {
                let kind = if is_file { Kind::File } else { Kind::Directory };
                if store.lookup(root, NAMES[name]).is_ok() {
                    return None;
                }
                Answer::Node(store.create(root, NAMES[name], kind, now))
            }
            Op::Remove(name) => Answer::Nothing(store.remove(root, NAMES[name])),
            Op::Rename(from, to) => {
                let kind = |store: &mut S, name: usize| store.lookup(root, NAMES[name]).ok().map(|found| found.kind);
                if from == to || kind(store, to).is_some_and(|other| kind(store, from) != Some(other)) {
                    return None;
                }
                Answer::Nothing(store.rename((root, NAMES[from]), (root, NAMES[to])))
            }
            Op::Open(name) => {
                let found = store.lookup(root, NAMES[name]);
                if let Ok(found) = found
                    && found.kind == Kind::File
                    && self.open.len() < 4
                {
                    store.open(found.node);
                    self.open.push(found.node);
                }
                Answer::Node(found)
            }
            Op::Close(at) => {
                let node = opened(&self.open, at)?;
                self.open.remove(at);
                Answer::Nothing(store.close(node))
            }
            Op::Read(at, offset, len) => {
                let mut data = vec![0; len];
                let read = store.read(opened(&self.open, at)?, offset, &mut data);
                Answer::Data(read.map(|read| data[..read].to_vec()))
            }
            Op::Write(at, offset, len, byte) => {
                Answer::Nothing(store.write(opened(&self.open, at)?, offset, &vec![byte; len], now))
            }
            Op::SetSize(at, size) => Answer::Nothing(store.set_size(opened(&self.open, at)?, size, now)),
            Op::Found(at) => Answer::Node(store.found(opened(&self.open, at)?)),
            Op::FoundRoot => Answer::Node(store.found(root)),
            Op::Lookup(name) => Answer::Node(store.lookup(root, NAMES[name])),
        })
    }
}

fn compare<S: Store>(plain: S, kept: S, ops: &[Op]) -> Result<(), TestCaseError> {
    let (mut plain, mut kept) = (Used::new(plain), Used::new(Cached::new(kept)));
    for op in ops {
        let (expected, got) = (plain.act(op), kept.act(op));
        let is_same = expected == got;
        prop_assert!(is_same, "{op:?} is answered otherwise");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_kept_is_what_the_store_would_answer(ops in proptest::collection::vec(op(), 1..80)) {
        compare(Memory::new(4 << 20), Memory::new(4 << 20), &ops)?;
        let disk = || Redox::mount(RamDisk::new(2048)).expect("a disk that works");
        compare(disk(), disk(), &ops)?;
    }
}

/// Counts what it is asked, and fails when it is told to.
struct Counting {
    store: Memory,
    asked: Rc<Cell<usize>>,
    fails: Rc<Cell<bool>>,
}

impl Counting {
    fn ask(&self) -> Result<(), Error> {
        self.asked.set(self.asked.get() + 1);
        if self.fails.get() { Err(Error::Broken) } else { Ok(()) }
    }
}

impl Store for Counting {
    fn root(&self) -> Node {
        self.store.root()
    }
    fn found(&mut self, node: Node) -> Result<Found, Error> {
        self.ask()?;
        self.store.found(node)
    }
    fn lookup(&mut self, directory: Node, name: &str) -> Result<Found, Error> {
        self.ask()?;
        self.store.lookup(directory, name)
    }
    fn create(&mut self, directory: Node, name: &str, kind: Kind, now_ns: u64) -> Result<Found, Error> {
        self.store.create(directory, name, kind, now_ns)
    }
    fn remove(&mut self, directory: Node, name: &str) -> Result<(), Error> {
        self.store.remove(directory, name)
    }
    fn rename(&mut self, from: (Node, &str), to: (Node, &str)) -> Result<(), Error> {
        self.store.rename(from, to)
    }
    fn read(&mut self, file: Node, offset: u64, data: &mut [u8]) -> Result<usize, Error> {
        self.ask()?;
        self.store.read(file, offset, data)
    }
    fn write(&mut self, file: Node, offset: u64, data: &[u8], now_ns: u64) -> Result<(), Error> {
        self.store.write(file, offset, data, now_ns)
    }
    fn set_size(&mut self, file: Node, size: u64, now_ns: u64) -> Result<(), Error> {
        self.store.set_size(file, size, now_ns)
    }
    fn list(&mut self, directory: Node) -> Result<Vec<(String, Node)>, Error> {
        self.store.list(directory)
    }
    fn open(&mut self, node: Node) {
        self.store.open(node);
    }
    fn close(&mut self, node: Node) -> Result<(), Error> {
        self.store.close(node)
    }
    fn sync(&mut self) -> Result<(), Error> {
        self.store.sync()
    }
    fn capacity(&self) -> u64 {
        self.store.capacity()
    }
}

#[test]
fn store_is_asked_once_and_again_after_a_change_and_after_a_failure() {
    let (asked, fails) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let store = Counting { store: Memory::new(4 << 20), asked: Rc::clone(&asked), fails: Rc::clone(&fails) };
    let mut kept = Cached::new(store);
    let root = kept.root();
    let file = kept.create(root, "a", Kind::File, 1).expect("room").node;
    kept.open(file);
    let chunks = CHUNKS + 1;
    kept.write(file, 0, &vec![7; chunks * CHUNK], 2).expect("room");
    let read = |kept: &mut Cached<Counting>, chunk: usize| {
        asked.set(0);
        let mut byte = [0];
        let at = chunk as u64 * CHUNK as u64 + 5;
        (kept.read(file, at, &mut byte).map(|_| byte[0]), asked.get())
    };
    // Of the file what it is, and the chunk; then the chunk only, then nothing.
    assert_eq!([0, 1, 1].map(|chunk| read(&mut kept, chunk)), [(Ok(7), 2), (Ok(7), 1), (Ok(7), 0)]);
    // As many as are kept push out the first.
    for chunk in 2..chunks {
        assert_eq!(read(&mut kept, chunk), (Ok(7), 1));
    }
    assert_eq!(read(&mut kept, 0), (Ok(7), 1));
    kept.write(file, 5, &[8], 3).expect("room");
    fails.set(true);
    assert_eq!(read(&mut kept, 0), (Err(Error::Broken), 1));
    fails.set(false);
    assert_eq!([0, 0].map(|chunk| read(&mut kept, chunk)), [(Ok(8), 2), (Ok(8), 0)]);
    asked.set(0);
    assert_eq!((kept.lookup(root, "a").map(|found| found.node), asked.get()), (Ok(file), 0));
    kept.remove(root, "a").expect("there");
    assert_eq!((kept.lookup(root, "a").err(), asked.get()), (Some(Error::NotFound), 1));
    assert_eq!(read(&mut kept, 0), (Ok(8), 2));
}
