//! The log against a model, hostile writers, a console without room.
#![expect(clippy::cast_possible_truncation, reason = "the numbers of tests are small")]

use crate::{ENTRY_OVERHEAD, Logd, PIECE_MAX, Position, Printer, Store};
use hybrid_interfaces::log::{self, Level, ReaderClient, ReaderLoopback, ReaderServer, Record, SinkRings, sink};
use hybrid_ring::Region;
use proptest::prelude::*;

fn record(text: &str) -> Record<'static> {
    Record { level: Level::Info, at_ns: 5, dropped_before: 0, target: "t".into(), text: text.to_owned().into() }
}

/// The obviously right log: a list of everything ever written, each with whether it is still kept.
#[derive(Default)]
struct Model {
    entries: Vec<(usize, String, bool)>,
}

impl Model {
    fn weight(&self, source: usize) -> usize {
        self.kept().filter(|(_, entry)| entry.0 == source).map(|(_, entry)| entry.1.len() + 1 + ENTRY_OVERHEAD).sum()
    }

    fn kept(&self) -> impl Iterator<Item = (usize, &(usize, String, bool))> {
        self.entries.iter().enumerate().filter(|(_, entry)| entry.2)
    }

    fn push(&mut self, source: usize, text: &str, limit: usize, sources: usize) {
        let weight = text.len() + 1 + ENTRY_OVERHEAD;
        self.entries.push((source, text.to_owned(), false));
        loop {
            let total: usize = (0..sources).map(|source| self.weight(source)).sum();
            if total + weight <= limit {
                break;
            }
            // The last of the heaviest, as `max_by_key` has it.
            let heaviest = (0..sources).max_by_key(|&source| self.weight(source)).expect("sources");
            match self.entries.iter_mut().find(|entry| entry.0 == heaviest && entry.2) {
                Some(entry) => entry.2 = false,
                None => return,
            }
        }
        self.entries.last_mut().expect("pushed").2 = true;
    }
}

#[derive(Clone, Debug)]
enum Action {
    Push(usize, String),
    Read(usize),
    Open(usize, usize),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (0usize..3, "[a-z]{0,60}").prop_map(|(source, text)| Action::Push(source, text)),
        3 => (0usize..3).prop_map(Action::Read),
        1 => (0usize..3, 0usize..12).prop_map(|(cursor, newest)| Action::Open(cursor, newest)),
    ]
}

proptest! {
    #[test]
    fn store_agrees_with_the_model(actions in proptest::collection::vec(action(), 0..120), limit in 0usize..1200) {
        let (mut store, mut model) = (Store::new(limit), Model::default());
        for name in ["a", "b", "c"] {
            store.add_source(name);
        }
        let mut cursors = [(Position::default(), 0usize); 3];
        for action in actions {
            match action {
                Action::Push(source, text) => {
                    store.push(source, &record(&text), 9);
                    model.push(source, &text, limit, 3);
                    prop_assert!(store.weight() <= limit);
                }
                Action::Open(cursor, newest) => {
                    cursors[cursor].0 = Position::before_end(&store, newest);
                    let kept: Vec<usize> = model.kept().map(|(sequence, _)| sequence).collect();
                    let place = kept.len() - newest.min(kept.len());
                    cursors[cursor].1 = kept.get(place).copied().unwrap_or(model.entries.len());
                }
                Action::Read(cursor) => {
                    let (position, expected) = &mut cursors[cursor];
                    let (found, missed) = position.advance(&store);
                    let wanted = model.kept().find(|(sequence, _)| sequence >= expected);
                    prop_assert_eq!(found.map(|(entry, _)| entry.sequence as usize), wanted.map(|(sequence, _)| sequence));
                    prop_assert_eq!(found.map(|(entry, _)| entry.text().to_owned()), wanted.map(|(_, entry)| entry.1.clone()));
                    let end = wanted.map_or(model.entries.len(), |(sequence, _)| sequence);
                    prop_assert_eq!(missed as usize, end - *expected);
                    *expected = wanted.map_or(end, |(sequence, _)| sequence + 1);
                }
            }
        }
    }

    /// Whatever the console takes and when: the text is that of all entries in order, with gaps only where entries were overwritten.
    #[test]
    fn printer_prints_every_entry_once_or_counts_it(actions in proptest::collection::vec(prop_oneof![Just(None), (0usize..4).prop_map(Some)], 0..60)) {
        let mut store = Store::new(600);
        let source = store.add_source("app");
        let (mut printer, mut out, mut written) = (Printer::default(), Vec::new(), 0u64);
        for action in actions.into_iter().chain([Some(usize::MAX)]) {
            match action {
                None => {
                    store.push(source, &record(&format!("n{written} {}", "x".repeat(written as usize % 50))), u64::MAX);
                    written += 1;
                }
                Some(mut room) => {
                    printer.print(&store, |piece| {
                        assert!((1..=PIECE_MAX).contains(&piece.len()));
                        let has_room = room > 0;
                        if has_room {
                            room -= 1;
                            out.extend_from_slice(piece);
                        }
                        has_room
                    });
                }
            }
        }
        let mut next = 0;
        for line in String::from_utf8(out).expect("text").lines() {
            if let Some(gap) = line.strip_prefix("[------------] ") {
                next += gap.split(' ').next().expect("count").parse::<u64>().expect("number");
            } else {
                let wanted = format!("I app: n{next} ");
                prop_assert!(line.contains(&wanted), "{}", line);
                next += 1;
            }
        }
        prop_assert_eq!(next, written);
    }
}

#[test]
fn flooder_overwrites_itself_only() {
    let mut store = Store::new(4096);
    let (quiet, loud) = (store.add_source("quiet"), store.add_source("loud"));
    for number in 0..5 {
        store.push(quiet, &record(&format!("important {number}")), 9);
    }
    for _ in 0..10_000 {
        store.push(loud, &record("noise noise noise noise"), 9);
    }
    let mut position = Position::default();
    let kept: Vec<_> =
        core::iter::from_fn(|| position.advance(&store).0.map(|(entry, name)| (name, entry.text().to_owned())))
            .collect();
    assert_eq!(kept.iter().filter(|(name, _)| *name == "quiet").count(), 5);
    assert!(kept.len() > 20);
}

#[test]
fn time_of_an_entry_is_not_after_its_arrival() {
    let mut store = Store::new(4096);
    let source = store.add_source("liar");
    store.push(source, &Record { at_ns: u64::MAX, ..record("future") }, 77);
    assert_eq!(store.at(0).map(|(entry, _)| entry.at_ns), Some(77));
}

fn lines(logd: &mut Logd) -> Vec<String> {
    let mut out = Vec::new();
    logd.print(|piece| {
        out.extend_from_slice(piece);
        true
    });
    String::from_utf8(out).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn hostile_writers_lose_only_their_session() {
    let mut logd = Logd::new(65536, "logd");
    let regions = [0, 1, 2].map(|_| Region::on_heap(sink::REGION_BYTES));
    for (region, name) in regions.iter().zip(["good", "scribbler", "babbler"]) {
        logd.add_sink(name, SinkRings::server(region).expect("fits"));
    }
    let mut good = SinkRings::client(&regions[0]).expect("fits");
    good.records.push(&record("one")).expect("room");
    // A record that decodes to nothing.
    let mut raw = SinkRings::client(&regions[1]).expect("fits");
    raw.records.ring().try_push(&[0xff; 9]).expect("room");
    // A length that is impossible.
    let mut raw = SinkRings::client(&regions[2]).expect("fits");
    raw.records.ring().try_push(&[7; 600]).expect("room");
    for now in [10, 20] {
        logd.collect(now, |_| {});
    }
    good.records.push(&record("two\nforged")).expect("room");
    logd.collect(30, |_| {});
    let text = lines(&mut logd);
    assert_eq!(text.len(), 4, "{text:#?}");
    assert!(text[0].ends_with("I good: one"));
    assert!(text[1].ends_with("E logd: the log ring of scribbler is corrupt: its session is closed"));
    assert!(text[2].ends_with("E logd: the log ring of babbler is corrupt: its session is closed"));
    assert!(text[3].ends_with("I good: two\\nforged"));
}

#[test]
fn writer_that_waits_for_room_is_rung() {
    let mut logd = Logd::new(65536, "logd");
    let region = Region::on_heap(sink::REGION_BYTES);
    logd.add_sink("app", SinkRings::server(&region).expect("fits"));
    let mut rings = SinkRings::client(&region).expect("fits");
    while rings.records.push(&record("full")).is_ok() {}
    assert_eq!(rings.records.ring().request_space(300), Ok(true));
    let mut rung = Vec::new();
    logd.collect(1, |place| rung.push(place));
    assert_eq!(rung, [0]);
}

#[test]
fn reader_follows_over_ipc() {
    let mut logd = Logd::new(65536, "logd");
    for number in 0..5 {
        logd.note(Level::Info, &format!("entry {number}"), number);
    }
    let loopback = ReaderLoopback::new(ReaderServer::new(logd));
    let mut reader = ReaderClient::new(loopback.connect(3));
    let mut cursor = reader.open(2).expect("a cursor");
    let mut texts = Vec::new();
    while let Some(entry) = cursor.next().expect("alive").entry {
        assert_eq!(entry.component, "logd");
        texts.push(entry.text.into_owned());
    }
    assert_eq!(texts, ["entry 3", "entry 4"]);
    let more: Vec<_> = (0..3).map(|_| reader.open(0)).collect();
    assert!(more.iter().all(Result::is_ok));
    assert_eq!(reader.open(0).err(), Some(hybrid_ipc::CallError::Quota));
    drop(more);
    assert!(reader.open(u16::MAX).is_ok());
    let _ = log::NAME_MAX;
}

#[test]
fn writer_that_is_started_anew_goes_on_under_its_name() {
    let mut logd = Logd::new(65536, "logd");
    let region = Region::on_heap(sink::REGION_BYTES);
    logd.add_sink("app", SinkRings::server(&region).expect("fits"));
    let mut first = SinkRings::client(&region).expect("fits");
    first.records.push(&record("last words")).expect("room");
    logd.collect(1, |_| {});
    logd.end_sink(0);
    // What a client that counts as gone still writes is not read.
    first.records.push(&record("too late")).expect("room");
    logd.collect(2, |_| {});
    let region = region.at_epoch(2);
    logd.begin_sink(0, SinkRings::server(&region).expect("fits"));
    let mut second = SinkRings::client(&region).expect("fits");
    second.records.push(&record("hello again")).expect("room");
    logd.collect(3, |_| {});
    let text = lines(&mut logd);
    assert_eq!(text.len(), 2, "{text:#?}");
    assert!(text[0].ends_with("app: last words") && text[1].ends_with("app: hello again"), "{text:#?}");
}

/// A console that takes some of what it is offered and dies: what it printed and what its successor prints together are all lines.
#[test]
fn console_that_dies_costs_no_line() {
    use hybrid_interfaces::console::{OutputRings, output};
    for taken in 0..12 {
        let mut logd = Logd::new(65536, "logd");
        for number in 0..8 {
            logd.note(Level::Info, &format!("entry {number} {}", "x".repeat(number * 100)), number as u64);
        }
        let all = lines(&mut logd);
        let mut logd = Logd::new(65536, "logd");
        for number in 0..8 {
            logd.note(Level::Info, &format!("entry {number} {}", "x".repeat(number * 100)), number as u64);
        }
        let region = Region::on_heap(output::REGION_BYTES);
        let (mut client, mut server) =
            (OutputRings::client(&region).expect("fits"), OutputRings::server(&region).expect("fits"));
        assert!(!logd.print(|piece| client.output.push(piece).is_ok()));
        let (mut printed, mut scratch) = (Vec::new(), Vec::new());
        for _ in 0..taken {
            if let Some(piece) = server.output.pop(&mut scratch).expect("sound") {
                printed.extend_from_slice(piece);
            }
        }
        // Of the last piece that it took, it printed nothing.
        printed.truncate(printed.len().saturating_sub(1));
        let ring = client.output.ring();
        let untaken = ring.record_max() - ring.room().expect("sound");
        logd.rewind(untaken);
        printed.push(b'\n');
        let mut printed = String::from_utf8(printed).expect("text").lines().map(str::to_owned).collect::<Vec<_>>();
        printed.extend(lines(&mut logd));
        assert!(all.iter().all(|line| printed.contains(line)), "after {taken}: {printed:#?}");
        assert!(printed.len() <= all.len() + 3, "after {taken}, too much twice: {printed:#?}");
    }
}
