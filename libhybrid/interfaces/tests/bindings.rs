//! The system's own interfaces: every type round-trips, nothing hostile panics, clients reach servers.
use hybrid_interfaces::log::{
    Cursor, CursorNext, Entry, Level, Reader, ReaderClient, ReaderLoopback, ReaderServer, Record,
};
use hybrid_interfaces::net::stack::{TcpClientRings, TcpCommand, TcpEvent, TcpRings, tcp};
use hybrid_interfaces::provider::{Request, Response};
use hybrid_interfaces::security::Instance;
use hybrid_interfaces::time::{Alarm, AlarmClient, AlarmExpired, AlarmLoopback, AlarmServer, alarm};
use hybrid_interfaces::{fuzz_decode, fuzz_values};
use hybrid_ipc::{CallError, ClientId, Region, Sampler};
use proptest::prelude::*;
use std::borrow::Cow;

proptest! {
    #[test]
    fn every_type_round_trips(seed: u64) {
        fuzz_values(seed);
    }

    #[test]
    fn hostile_bytes_never_panic(data: Vec<u8>) {
        fuzz_decode(&data);
    }

    /// Valid values with one byte changed get deeper into the decoders than random bytes.
    #[test]
    fn damaged_values_never_panic(seed: u64, at: usize, byte: u8) {
        let sampler = &mut Sampler::new(seed);
        let mut buffer = vec![0; 65536];
        for length in [
            Request::sample(sampler).encode(&mut buffer), Response::sample(sampler).encode(&mut buffer),
            TcpEvent::sample(sampler).encode(&mut buffer), Instance::sample(sampler).encode(&mut buffer),
        ] {
            let length = length.expect("largest values are smaller");
            buffer[at % length] = byte;
            fuzz_decode(&buffer[..length]);
        }
    }

    #[test]
    fn wire_format_is_postcard(seed: u64) {
        let sampler = &mut Sampler::new(seed);
        let mut buffer = vec![0; 65536];
        let value = Request::sample(sampler);
        let length = value.encode(&mut buffer).expect("largest values are smaller");
        prop_assert_eq!(&buffer[..length], &postcard::to_allocvec(&value).expect("allocates")[..]);
        let value = TcpCommand::sample(sampler);
        let length = value.encode(&mut buffer).expect("largest values are smaller");
        prop_assert_eq!(&buffer[..length], &postcard::to_allocvec(&value).expect("allocates")[..]);
    }
}

#[derive(Default)]
struct Log {
    texts: Vec<String>,
}

struct Position(usize);

impl Reader for Log {
    type Cursor = Position;

    fn open(&mut self, _: ClientId, newest: u16) -> Position {
        Position(self.texts.len().saturating_sub(usize::from(newest)))
    }
}

impl Cursor<Log> for Position {
    fn next<'a>(&'a mut self, server: &'a mut Log, _: ClientId) -> CursorNext<'a> {
        let entry = server.texts.get(self.0).map(|text| Entry {
            sequence: u64::try_from(self.0).unwrap_or(0),
            at_ns: 1,
            level: Level::Info,
            dropped_before: 0,
            component: Cow::Borrowed("test"),
            target: Cow::Borrowed(""),
            text: Cow::Borrowed(text),
        });
        self.0 += usize::from(entry.is_some());
        CursorNext { entry, missed: 0 }
    }
}

#[test]
fn log_reader_follows_the_log() {
    let loopback = ReaderLoopback::new(ReaderServer::new(Log { texts: vec!["one".into(), "two".into()] }));
    let mut client = ReaderClient::new(loopback.connect(3));
    let mut cursor = client.open(1).expect("there is room");
    let mut next = || cursor.next().expect("alive").entry.map(|entry| entry.text.into_owned());
    assert_eq!(next().as_deref(), Some("two"));
    assert_eq!(next(), None);
    loopback.server().server.texts.push("three".into());
    assert_eq!(next().as_deref(), Some("three"));
    drop(cursor);
    assert_eq!(loopback.server().objects.cursor.count(ClientId::of(3)), 0, "dropping closes");
    let cursors: Vec<_> = (0..4).map(|_| client.open(0).expect("there is room")).collect();
    assert_eq!(client.open(0).map(|_| ()), Err(CallError::Quota));
    loopback.kill();
    drop(cursors);
    assert_eq!(client.open(0).map(|_| ()), Err(CallError::ServerDied));
}

#[derive(Default)]
struct Clock {
    deadline_ns: Option<u64>,
}

impl Alarm for Clock {
    fn set(&mut self, _: ClientId, deadline_ns: u64) {
        self.deadline_ns = Some(deadline_ns);
    }
    fn cancel(&mut self, _: ClientId) {
        self.deadline_ns = None;
    }
    fn pull_expired(&mut self, _: ClientId) -> Option<AlarmExpired> {
        self.deadline_ns.take().map(|deadline_ns| AlarmExpired { deadline_ns })
    }
}

#[test]
fn alarm_is_pulled_once() {
    let loopback = AlarmLoopback::new(AlarmServer::new(Clock::default()));
    let mut client = AlarmClient::new(loopback.connect(1));
    client.set(7).expect("alive");
    assert_eq!(client.pull_expired(), Ok(Some(AlarmExpired { deadline_ns: 7 })));
    assert_eq!(client.pull_expired(), Ok(None));
    assert_eq!((alarm::INTERFACE, alarm::REGION_BYTES, alarm::ordinal::EXPIRED), ("hybrid.time.Alarm", 0, 3));
}

#[test]
fn rings_carry_the_largest_records() {
    let region = Region::on_heap(tcp::REGION_BYTES);
    let TcpClientRings { mut events, .. } = TcpRings::client(&region).expect("large enough");
    let mut server = TcpRings::server(&region).expect("large enough");
    let mut scratch = Vec::new();
    for seed in 0..100 {
        let event = TcpEvent::sample(&mut Sampler::new(seed));
        server.events.push(&event).expect("there is room");
        assert_eq!(events.pop(&mut scratch), Ok(Some(event)));
    }
    const { assert!(Record::MAX_ENCODED < 512 && TcpEvent::MAX_ENCODED > 2048) };
}
