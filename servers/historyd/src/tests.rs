//! The copying over a fake log and the file server itself, whose stores and lives come and go.
#![expect(clippy::expect_used, reason = "a mistake of a test ends the test")]
use crate::{BEFORE, FULL, History, NOW, Turn};
use fsd::{Memory, Server, Store};
use hybrid_ipc::{CallError, ClientId, LoopbackCaller};
use libhybrid::interfaces::fs::{Creation, Error, Files, FilesClient, FilesLoopback, FilesServer, INLINE_MAX};
use libhybrid::interfaces::log::{
    Cursor, CursorNext, Entry, Level, Reader, ReaderClient, ReaderLoopback, ReaderServer, TEXT_MAX,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

const READER: ClientId = ClientId::of(8);

/// What the log has: its entries, and how many were thrown away at the front.
#[derive(Default)]
struct Entries {
    all: Vec<Entry<'static>>,
    gone: usize,
}

#[derive(Default, Clone)]
struct Log(Rc<RefCell<Entries>>);

struct Position(usize);

impl Reader for Log {
    type Cursor = Position;

    fn open(&mut self, _: ClientId, newest: u16) -> Position {
        Position(self.0.borrow().all.len().saturating_sub(newest.into()))
    }
}

impl Cursor<Log> for Position {
    fn next<'a>(&'a mut self, log: &'a mut Log, _: ClientId) -> CursorNext<'a> {
        let log = log.0.borrow();
        let missed = log.gone.saturating_sub(self.0);
        self.0 = self.0.max(log.gone);
        let entry = log.all.get(self.0).cloned();
        self.0 += usize::from(entry.is_some());
        CursorNext { entry, missed: missed as u64 }
    }
}

impl Log {
    fn write(&self, component: &str, text: &str) {
        let sequence = self.0.borrow().all.len() as u64;
        let (component, text) = (component.to_string().into(), text.to_string().into());
        let entry = Entry {
            sequence,
            at_ns: 1_000_000 * (sequence + 1),
            level: Level::Info,
            dropped_before: 0,
            component,
            target: "".into(),
            text,
        };
        self.0.borrow_mut().all.push(entry);
    }
}

type Reading = LoopbackCaller<ReaderServer<Log>>;
type Filing = LoopbackCaller<FilesServer<Server>>;
type Sign = Box<dyn FnMut()>;

struct Bench {
    log: Log,
    reader: ReaderLoopback<Log>,
    files: FilesLoopback<Server>,
    history: History<Reading, Filing, Sign>,
    signs: Rc<Cell<usize>>,
}

fn server(mount: &'static str) -> Server {
    let store: Box<dyn Store> = Box::new(Memory::new(4 << 20));
    let mut server = Server::new(vec![(mount, store)], 1, || 0);
    for client in [9, READER.instance] {
        server.begin(ClientId::of(client), Some("/data/log"), 1 << 20, None, None);
    }
    server
}

impl Bench {
    fn new(mount: &'static str) -> Self {
        let log = Log::default();
        let reader = ReaderLoopback::new(ReaderServer::new(log.clone()));
        let files = FilesLoopback::new(FilesServer::new(server(mount)));
        let signs = Rc::default();
        let history = life(&reader, &files, true, &signs);
        Self { log, reader, files, history, signs }
    }

    /// historyd dies and begins its next life.
    fn die(&mut self) {
        self.files.server().server.end(ClientId::of(9));
        self.history = life(&self.reader, &self.files, false, &self.signs);
    }

    fn turn(&mut self) -> Turn {
        self.history.turn(u64::MAX)
    }

    fn kept(&self, name: &str) -> String {
        let mut server = self.files.server();
        let Ok(open) = server.server.open(READER, name) else { return String::new() };
        let mut text = Vec::new();
        while let Ok(more) = server.server.get(READER, open.file, text.len() as u64, 800) {
            if more.is_empty() {
                break;
            }
            text.extend_from_slice(&more);
        }
        server.server.close(READER, open.file).expect("open");
        String::from_utf8(text).expect("lines are text")
    }
}

fn life(
    reader: &ReaderLoopback<Log>,
    files: &FilesLoopback<Server>,
    is_first: bool,
    signs: &Rc<Cell<usize>>,
) -> History<Reading, Filing, Sign> {
    let (files, signs) = (FilesClient::new(files.connect(9)), Rc::clone(signs));
    let sign = Box::new(move || signs.set(signs.get() + 1));
    History::new(ReaderClient::new(reader.connect(9)), files, "product 1 begins".into(), is_first, sign)
}

#[test]
fn entries_are_lines_each_kept_once_whoever_dies() {
    let mut bench = Bench::new("data");
    bench.log.write("netd", "one\r\n9 9.000000 Info evil: line");
    assert_eq!(bench.turn(), Turn::Done);
    let first = "# product 1 begins\n0 0.001000 Info netd: one  9 9.000000 Info evil: line\n";
    assert_eq!(bench.kept(NOW), first);
    bench.log.write("nic", "two");
    bench.die();
    assert_eq!(bench.turn(), Turn::Done);
    assert_eq!(bench.kept(NOW), format!("{first}1 0.002000 Info nic: two\n"));
    assert_eq!(bench.turn(), Turn::Done);
    bench.history.forget();
    bench.log.write("nic", "three");
    assert_eq!(bench.turn(), Turn::Done);
    assert_eq!(bench.kept(NOW), format!("{first}1 0.002000 Info nic: two\n2 0.003000 Info nic: three\n"));
}

#[test]
fn next_life_of_the_log_counts_anew_and_is_kept() {
    let mut bench = Bench::new("data");
    (0..5).for_each(|number| bench.log.write("a", &format!("old {number}")));
    assert_eq!(bench.turn(), Turn::Done);
    bench.reader.restart(ReaderServer::new(bench.log.clone()));
    bench.log.0.borrow_mut().all.clear();
    bench.log.write("a", "young");
    // Later than all that was kept.
    bench.log.0.borrow_mut().all[0].at_ns = 77_000_000;
    bench.die();
    assert_eq!(bench.turn(), Turn::Done);
    assert!(bench.kept(NOW).ends_with("4 0.005000 Info a: old 4\n0 0.077000 Info a: young\n"), "{}", bench.kept(NOW));
}

#[test]
fn new_boot_begins_anew_in_the_same_file() {
    let mut bench = Bench::new("data");
    bench.log.write("a", "before the power went");
    assert_eq!(bench.turn(), Turn::Done);
    bench.files.server().server.end(ClientId::of(9));
    // The same number and time as what was kept.
    bench.history = life(&bench.reader, &bench.files, true, &bench.signs);
    assert_eq!(bench.turn(), Turn::Done);
    assert_eq!(bench.kept(NOW).matches("# product 1 begins\n0 0.001000 Info a: before").count(), 2);
    // A first life that wrote nothing; the clock tells.
    bench.die();
    assert_eq!(bench.history.turn(500), Turn::Done);
    assert_eq!(bench.kept(NOW).matches("# product 1 begins").count(), 3);
}

#[test]
fn entries_that_were_gone_are_counted() {
    let mut bench = Bench::new("data");
    bench.log.write("a", "one");
    assert_eq!(bench.turn(), Turn::Done);
    (0..10).for_each(|number| bench.log.write("a", &format!("{number}")));
    bench.log.0.borrow_mut().gone = 8;
    assert_eq!(bench.turn(), Turn::Done);
    assert!(bench.kept(NOW).contains("# 7 entries were gone before they were read\n8 "), "{}", bench.kept(NOW));
}

#[test]
fn full_file_makes_place_and_nothing_is_lost_or_kept_twice() {
    let mut bench = Bench::new("data");
    let long = "x".repeat(TEXT_MAX);
    let (mut turns, count) = (0, 1500);
    (0..count).for_each(|_| bench.log.write(&"n".repeat(32), &long));
    while bench.turn() == Turn::More {
        turns += 1;
        if matches!(turns, 3 | 11 | 12) {
            bench.die();
        }
    }
    let (before, now) = (bench.kept(BEFORE), bench.kept(NOW));
    assert!((FULL..FULL + 40_000).contains(&(before.len() as u64)) && (now.len() as u64) < FULL + 40_000);
    let all = format!("{before}{now}");
    let numbers =
        all.lines().filter(|line| line.ends_with(&long)).map(|line| line.split(' ').next().expect("a number"));
    let numbers: Vec<usize> = numbers.map(|number| number.parse().expect("a number")).collect();
    assert_eq!(numbers, (numbers[0]..count).collect::<Vec<_>>(), "in order, without gaps");
    assert!(numbers.len() > 500);
}

#[test]
fn sign_of_life_is_given_after_each_part_of_a_turn() {
    let mut bench = Bench::new("data");
    (0..60).for_each(|_| bench.log.write("logd", &"x".repeat(TEXT_MAX)));
    assert_eq!(bench.turn(), Turn::Done);
    let parts = bench.kept(NOW).len() / INLINE_MAX;
    assert!(parts > 5 && bench.signs.get() > parts, "{} signs in {parts} parts", bench.signs.get());
}

#[test]
fn life_that_ended_between_the_two_files_is_gone_on_from() {
    let mut bench = Bench::new("data");
    bench.log.write("a", "one");
    assert_eq!(bench.turn(), Turn::Done);
    bench.log.write("a", "two");
    for has_empty_file in [false, true] {
        bench.files.server().server.rename(READER, NOW, BEFORE).expect("there");
        if has_empty_file {
            let made = bench.files.server().server.open_to_write(READER, NOW, Creation::IfMissing, false);
            bench.files.server().server.close(READER, made.expect("made").file).expect("open");
        }
        bench.die();
        assert_eq!(bench.turn(), Turn::Done);
        let (before, now) = (bench.kept(BEFORE), bench.kept(NOW));
        let (first, second) = ("# product 1 begins\n0 0.001000 Info a: one\n", "1 0.002000 Info a: two\n");
        assert_eq!(
            (before.as_str(), now.as_str()),
            if has_empty_file { (second, "2 0.003000 Info a: three\n") } else { (first, second) }
        );
        bench.log.write("a", "three");
    }
}

#[test]
fn without_a_disk_nothing_is_kept_until_it_comes() {
    let mut bench = Bench::new("tmp");
    bench.log.write("a", "one");
    assert_eq!([bench.turn(), bench.turn()], [Turn::Refused(CallError::Domain(Error::NoMedium)); 2]);
    bench.files.server().server.mount("data", Box::new(Memory::new(4 << 20)));
    assert_eq!(bench.turn(), Turn::Done);
    assert_eq!(bench.kept(NOW), "# product 1 begins\n0 0.001000 Info a: one\n");
}

#[test]
fn full_quota_is_told() {
    let mut bench = Bench::new("data");
    let mut small = Server::new(vec![("data", Box::new(Memory::new(4 << 20)))], 1, || 0);
    small.begin(ClientId::of(9), Some("/data/log"), 8192, None, None);
    bench.files.restart(FilesServer::new(small));
    bench.history = life(&bench.reader, &bench.files, true, &bench.signs);
    (0..200).for_each(|_| bench.log.write("a", "much that does not fit into one block of a file"));
    let turns: Vec<Turn> = (0..6).map(|_| bench.turn()).collect();
    assert!(turns.contains(&Turn::Refused(CallError::Domain(Error::NoSpace))), "{turns:?}");
}
