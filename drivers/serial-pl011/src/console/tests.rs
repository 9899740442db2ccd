//! Tests of the sessions against a fake register block; no hardware, no kernel.
use super::{Console, Notice, Session};
use crate::uart::Uart;
use crate::uart::fake::Fake;
use hybrid_ipc::{BytesConsumer, BytesProducer};
use hybrid_ring::{Consumer, HEADER_BYTES, Producer, Region};

const RING: usize = 1024;
const INPUT_AT: usize = HEADER_BYTES + RING;

/// A client's ends of its rings, and the memory.
struct Client {
    region: Region,
    output: Producer,
    input: Consumer,
}

fn pair(name: &str) -> (Client, Session) {
    let region = Region::on_heap(2 * (HEADER_BYTES + RING));
    let client = Client {
        output: Producer::new(&region, 0, RING).expect("fits"),
        input: Consumer::new(&region, INPUT_AT, RING).expect("fits"),
        region: region.clone(),
    };
    let session = Session {
        name: name.into(),
        output: BytesConsumer::new(&region, 0, RING).expect("fits"),
        input: Some(BytesProducer::new(&region, INPUT_AT, RING).expect("fits")),
    };
    (client, session)
}

fn console(room: usize) -> (Fake, [Client; 2], Console<Fake>) {
    let fake = Fake::default();
    fake.0.borrow_mut().room = room;
    let (first, first_session) = pair("first");
    let (second, second_session) = pair("second");
    let console = Console::new(Uart::new(fake.clone()), vec![first_session, second_session]);
    (fake, [first, second], console)
}

fn sent(fake: &Fake) -> String {
    String::from_utf8_lossy(&fake.0.borrow().sent).into_owned()
}

#[test]
fn advance_sends_whole_records_of_the_sessions_in_turn() {
    let (fake, [mut first, mut second], mut console) = console(1000);
    for text in ["a1 ", "a2 ", "a3 "] {
        first.output.try_push(text.as_bytes()).expect("room");
    }
    second.output.try_push(b"b1 ").expect("room");
    assert!(!console.advance(|_, _| {}));
    assert_eq!(sent(&fake), "a1 b1 a2 a3 ");
}

#[test]
fn advance_with_a_full_fifo_goes_on_where_it_stopped() {
    let (fake, [mut first, _], mut console) = console(2);
    first.output.try_push(b"hello").expect("room");
    assert!(!console.advance(|_, _| {}));
    assert_eq!(sent(&fake), "he");
    fake.0.borrow_mut().room = 100;
    console.advance(|_, _| {});
    assert_eq!(sent(&fake), "hello");
}

#[test]
fn advance_adds_the_carriage_return_that_a_bare_line_feed_lacks() {
    let (fake, [mut first, _], mut console) = console(100);
    first.output.try_push(b"a\nb\r\n\n").expect("room");
    console.advance(|_, _| {});
    assert_eq!(sent(&fake), "a\r\nb\r\n\r\n");
}

#[test]
fn advance_gives_typed_bytes_to_every_terminal_and_rings_those_that_sleep() {
    let (fake, [mut first, mut second], mut console) = console(100);
    assert!(first.input.request_bell().expect("sound ring"));
    fake.0.borrow_mut().typed.extend(b"ls".map(u32::from));
    let mut notices = Vec::new();
    console.advance(|_, notice| notices.push(notice));
    assert_eq!(notices, [Notice::Ring(0)]);
    for client in [&mut first, &mut second] {
        let mut buffer = [0; 64];
        assert_eq!(client.input.pop(&mut buffer), Ok(Some(2)));
        assert_eq!(&buffer[..2], b"ls");
    }
}

#[test]
fn advance_with_a_terminal_that_never_reads_counts_its_loss_and_serves_the_other() {
    let (fake, [_, mut second], mut console) = console(100);
    for _ in 0..200 {
        fake.0.borrow_mut().typed.extend([u32::from(b'x'); 16]);
        console.advance(|_, _| {});
        let mut buffer = [0; 64];
        while second.input.pop(&mut buffer).expect("sound ring").is_some() {}
        let _ = second.input.release();
    }
    assert!(console.lost_input > 0);
    fake.0.borrow_mut().typed.push_back(u32::from(b'!'));
    console.advance(|_, _| {});
    assert_eq!(second.input.pop(&mut [0; 64]), Ok(Some(1)));
}

#[test]
fn advance_with_a_corrupt_ring_ends_that_session_only() {
    let (fake, [first, mut second], mut console) = console(100);
    first.region.scribble(0, 1 << 32 | 3).expect("inside");
    second.output.try_push(b"fine").expect("room");
    let mut notices = Vec::new();
    console.advance(|_, notice| notices.push(notice));
    assert_eq!(notices, [Notice::Ended(0)]);
    assert_eq!(sent(&fake), "fine");
    second.output.try_push(b" still").expect("room");
    console.advance(|_, notice| notices.push(notice));
    assert_eq!(notices.len(), 1, "an ended session is not told of twice");
    assert_eq!(sent(&fake), "fine still");
}

#[test]
fn advance_with_a_client_that_waits_for_room_rings_it() {
    let (_fake, [mut first, _], mut console) = console(2000);
    while first.output.try_push(&[b'x'; 100]).is_ok() {}
    first.output.request_space(100).expect("sound ring");
    let mut notices = Vec::new();
    console.advance(|_, notice| notices.push(notice));
    assert!(notices.contains(&Notice::Ring(0)));
    assert!(first.output.try_push(&[b'y'; 100]).is_ok());
}

#[test]
fn advance_with_endless_output_stops_to_look_at_its_input() {
    let (_fake, [mut first, _], mut console) = console(100_000);
    let mut pushed = 0;
    while first.output.try_push(b"").is_ok() {
        pushed += 1;
    }
    assert!(pushed > super::TURNS_MAX);
    assert!(console.advance(|_, _| {}), "more is left");
}

#[test]
fn client_that_is_started_anew_prints_and_types_again_and_the_other_is_not_disturbed() {
    let (fake, [mut first, mut second], mut console) = console(1000);
    first.output.try_push(b"old ").expect("room");
    console.end(0);
    second.output.try_push(b"other ").expect("room");
    assert!(!console.advance(|_, _| {}));
    fake.0.borrow_mut().typed.extend(b"k".map(u32::from));
    assert!(!console.advance(|_, _| {}));
    assert_eq!(
        (sent(&fake).as_str(), console.lost_input),
        ("other ", 0),
        "a dead client neither prints nor loses input"
    );
    let region = first.region.at_epoch(2);
    let (mut output, mut input) =
        (Producer::new(&region, 0, RING).expect("fits"), Consumer::new(&region, INPUT_AT, RING).expect("fits"));
    output.try_push(b"new").expect("room");
    let rings = Session {
        name: "first".into(),
        output: BytesConsumer::new(&region, 0, RING).expect("fits"),
        input: Some(BytesProducer::new(&region, INPUT_AT, RING).expect("fits")),
    };
    console.begin(0, rings);
    fake.0.borrow_mut().typed.extend(b"y".map(u32::from));
    assert!(!console.advance(|_, notice| assert!(matches!(notice, Notice::Ring(_)))));
    let mut typed = [0; 8];
    assert_eq!((input.pop(&mut typed), typed[0]), (Ok(Some(1)), b'y'));
    assert_eq!(sent(&fake), "other new");
}
