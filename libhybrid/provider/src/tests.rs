//! The provider's end against a simulated protocol server, over real rings.
#![expect(clippy::cast_possible_truncation, reason = "the numbers of tests are small")]

use crate::{Body, Lost, Provider, Request, Responder, Serving, Turn};
use hybrid_interfaces::provider::{
    BODY_CREDIT, CHUNK_MAX, Chunk, CreditBody, HostRings, HostServerRings, Outcome, Protocol, Request as Message,
    RequestHead, Requester, Response, Verb, host,
};
use hybrid_ring::Region;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Echoes; `/big/<n>` is n bytes.
struct Echo;

impl Provider for Echo {
    const BODY_MAX: usize = 20_000;

    fn handle(&mut self, request: &Request<'_>, respond: &mut Responder) {
        match (request.verb, request.path) {
            (Verb::Create, "/echo") => respond.body("x/y", request.body.to_vec()),
            (Verb::Read | Verb::Describe, path) => {
                match path.strip_prefix("/big/").and_then(|count| count.parse::<usize>().ok()) {
                    Some(count) => respond.body("x/y", Body::from(Rc::<[u8]>::from(pattern(count)))),
                    None => respond.not_found(),
                }
            }
            _ => respond.verb_not_allowed("GET, POST"),
        }
    }
}

fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|place| (place % 251) as u8).collect()
}

/// The protocol server's end: keeps the credits and checks every rule of the interface.
struct Server {
    rings: HostServerRings,
    scratch: Vec<u8>,
    open: BTreeMap<u32, Seen>,
    done: BTreeMap<u32, Seen>,
    body_credit: BTreeMap<u32, u32>,
}

#[derive(Default, Clone, Debug, PartialEq)]
struct Seen {
    outcome: Option<Outcome>,
    length: Option<u64>,
    body: Vec<u8>,
    credit: usize,
}

impl Server {
    fn pair() -> (Self, Serving<Echo>) {
        let region = Region::on_heap(host::REGION_BYTES);
        let rings = HostRings::server(&region).expect("fits");
        let server = Server {
            rings,
            scratch: Vec::new(),
            open: BTreeMap::new(),
            done: BTreeMap::new(),
            body_credit: BTreeMap::new(),
        };
        (server, Serving::new(Echo, HostRings::client(&region).expect("fits")))
    }

    fn head(&mut self, request: u32, verb: Verb, path: &str, has_body: bool) -> bool {
        let requester =
            Requester { protocol: Protocol::Http, address: "10.0.2.2".into(), is_encrypted: false, identity: None };
        let head = RequestHead {
            request,
            verb,
            path: path.into(),
            query: "".into(),
            requester,
            metadata: Vec::new(),
            has_body,
        };
        let is_sent = self.rings.requests.push(&Message::Head(head)).is_ok();
        if is_sent {
            self.open.insert(request, Seen { credit: BODY_CREDIT, ..Seen::default() });
            self.body_credit.insert(request, BODY_CREDIT as u32);
        }
        is_sent
    }

    fn body(&mut self, request: u32, data: &[u8], is_last: bool) -> bool {
        let credit = self.body_credit.get_mut(&request).expect("open");
        if (*credit as usize) < data.len() {
            return false;
        }
        let is_sent = self.rings.requests.push(&Message::Body(Chunk { request, data: data.into(), is_last })).is_ok();
        *credit -= if is_sent { data.len() as u32 } else { 0 };
        is_sent
    }

    /// Takes at most `count` messages; gives credit back when `is_generous`.
    fn take(&mut self, count: usize, is_generous: bool) {
        for _ in 0..count {
            let Some(response) = self.rings.responses.pop(&mut self.scratch).expect("whole") else { return };
            match response {
                Response::Head(head) => {
                    let seen = self.open.get_mut(&head.request).expect("open");
                    assert_eq!(seen.outcome, None, "one head");
                    (seen.outcome, seen.length) = (Some(head.outcome), head.length);
                    if !head.has_body {
                        let seen = self.open.remove(&head.request).expect("open");
                        self.done.insert(head.request, seen);
                    }
                }
                Response::Body(chunk) => {
                    let seen = self.open.get_mut(&chunk.request).expect("open");
                    assert!(seen.outcome.is_some(), "head first");
                    assert!(chunk.data.len() <= seen.credit, "within the credit");
                    seen.credit -= chunk.data.len();
                    seen.body.extend_from_slice(&chunk.data);
                    if chunk.is_last {
                        assert_eq!(seen.length, Some(seen.body.len() as u64));
                        let seen = self.open.remove(&chunk.request).expect("open");
                        self.done.insert(chunk.request, seen);
                    } else if is_generous && seen.credit < BODY_CREDIT / 2 {
                        let bytes = (BODY_CREDIT - seen.credit) as u32;
                        if self
                            .rings
                            .requests
                            .push(&Message::Credit(CreditBody { request: chunk.request, bytes }))
                            .is_ok()
                        {
                            seen.credit = BODY_CREDIT;
                        }
                    }
                }
                Response::Credit(credit) => {
                    let left = self.body_credit.get_mut(&credit.request).expect("open");
                    *left += credit.bytes;
                    assert!(*left <= BODY_CREDIT as u32, "no more than was taken");
                }
                Response::Aborted(_) => panic!("hybrid-provider never gives up"),
            }
        }
    }
}

#[test]
fn small_answers_come_at_once() {
    let (mut server, mut serving) = Server::pair();
    assert!(server.head(1, Verb::Read, "/big/10", false));
    assert!(server.head(2, Verb::Read, "/nothing", false));
    assert!(server.head(3, Verb::Delete, "/", false));
    assert!(server.head(4, Verb::Describe, "/big/99999", false));
    assert!(server.rings.responses.request_bell().expect("sound"));
    assert_eq!(
        serving.on_bell(),
        Ok(Turn { must_ring: true, has_more: true }),
        "the first is sent before the second is made"
    );
    while serving.on_bell().expect("sound").has_more {}
    server.take(100, false);
    let summary: Vec<_> =
        server.done.iter().map(|(request, seen)| (*request, seen.outcome, seen.body.len(), seen.length)).collect();
    assert_eq!(
        summary,
        [
            (1, Some(Outcome::Ok), 10, Some(10)),
            (2, Some(Outcome::NotFound), 10, Some(10)),
            (3, Some(Outcome::VerbNotAllowed), 17, Some(17)),
            (4, Some(Outcome::Ok), 0, Some(99999)),
        ]
    );
}

#[test]
fn turn_is_short_however_many_requests_wait() {
    let (mut server, mut serving) = Server::pair();
    let count = (1..=40).take_while(|request| server.head(*request, Verb::Read, "/big/10", false)).count();
    assert!(count > 16, "the ring holds several turns' requests: {count}");
    let mut answered = 0;
    loop {
        let turn = serving.on_bell().expect("sound");
        server.take(1000, true);
        let more = server.done.len() - answered;
        assert!(more <= 1, "{more} answers in one turn");
        answered += more;
        if !turn.has_more {
            break;
        }
    }
    assert_eq!(answered, count, "no request is left without a bell to come for it");
}

#[test]
fn bodies_are_collected_bounded_and_credited() {
    let (mut server, mut serving) = Server::pair();
    let data = pattern(20_000);
    for (request, data, expected) in [
        (1, &data[..], Outcome::Ok),
        (2, &[&data[..], &[1]].concat()[..], Outcome::TooLarge),
        (3, &data[..0], Outcome::Ok),
    ] {
        assert!(server.head(request, Verb::Create, "/echo", true));
        let mut chunks: Vec<&[u8]> = data.chunks(CHUNK_MAX).collect();
        chunks.push(&[]);
        for (place, chunk) in chunks.iter().enumerate() {
            let is_last = place + 1 == chunks.len();
            while !server.body(request, chunk, is_last) {
                serving.on_bell().expect("sound");
                server.take(100, true);
            }
        }
        for _ in 0..4 {
            serving.on_bell().expect("sound");
            server.take(100, true);
        }
        assert_eq!(server.done[&request].outcome, Some(expected));
    }
    assert_eq!(server.done[&1].body, data);
    assert_eq!(server.done[&2].body, b"");
}

#[test]
fn cancelled_requests_are_forgotten() {
    let (mut server, mut serving) = Server::pair();
    server.head(1, Verb::Read, "/big/100000", false);
    server.head(2, Verb::Create, "/echo", true);
    while serving.on_bell().expect("sound").has_more {}
    server.take(100, false);
    for request in [1, 2, 77] {
        server.rings.requests.push(&Message::Cancelled(request)).expect("room");
    }
    server.rings.requests.push(&Message::Credit(CreditBody { request: 1, bytes: 4096 })).expect("room");
    serving.on_bell().expect("sound");
    assert!(serving.is_idle());
    assert_eq!(server.rings.responses.pop(&mut server.scratch), Ok(None));
}

#[test]
fn credit_and_cancellations_are_taken_at_the_bound_of_answers() {
    let (mut server, mut serving) = Server::pair();
    let large = BODY_CREDIT + 1;
    for request in 1..=200 {
        while !server.head(request, Verb::Read, &format!("/big/{large}"), false) {
            serving.on_bell().expect("sound");
            server.take(1000, false);
        }
    }
    for _ in 0..800 {
        serving.on_bell().expect("sound");
        server.take(1000, false);
    }
    assert_eq!(server.open.len(), 128, "all wait for credit");
    assert_eq!(server.done.len(), 72);
    assert!(server.done.values().all(|seen| seen.outcome == Some(Outcome::Unavailable)), "nothing stays in the ring");
    for request in 1..=64 {
        server.rings.requests.push(&Message::Credit(CreditBody { request, bytes: 1 })).expect("room");
        server.open.get_mut(&request).expect("open").credit += 1;
        server.rings.requests.push(&Message::Cancelled(request + 64)).expect("room");
        server.open.remove(&(request + 64));
    }
    while serving.on_bell().expect("sound").has_more {
        server.take(1000, false);
    }
    server.take(1000, false);
    assert!(server.open.is_empty() && serving.is_idle());
    assert!((1..=64).all(|request| server.done[&request].body == pattern(large)));
}

#[test]
fn garbage_of_the_server_is_lost_not_panic() {
    let region = Region::on_heap(host::REGION_BYTES);
    let mut server = HostRings::server(&region).expect("fits");
    let mut serving = Serving::new(Echo, HostRings::client(&region).expect("fits"));
    server.requests.ring().try_push(&[0xee; 40]).expect("room");
    assert_eq!(serving.on_bell(), Err(Lost));
}

#[derive(Clone, Debug)]
enum Action {
    Get(usize),
    Post(usize),
    Bell,
    Take(usize),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => (0usize..40_000).prop_map(Action::Get),
        2 => (0usize..4096).prop_map(Action::Post),
        3 => Just(Action::Bell),
        3 => (1usize..30).prop_map(Action::Take),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the order of requests, bells and credits: each request gets one whole, right answer.
    #[test]
    fn every_request_is_answered_once(actions in proptest::collection::vec(action(), 0..150)) {
        let (mut server, mut serving) = Server::pair();
        let mut expected = BTreeMap::new();
        for (request, action) in (1u32..).zip(actions) {
            match action {
                Action::Get(count) => {
                    if server.head(request, Verb::Read, &format!("/big/{count}"), false) {
                        expected.insert(request, pattern(count));
                    }
                }
                Action::Post(count) => {
                    // Only whole requests: a head without room for its body would wait for ever here.
                    if server.rings.requests.ring().room().expect("sound") > 8192 && server.head(request, Verb::Create, "/echo", true) {
                        assert!(server.body(request, &pattern(count), true));
                        expected.insert(request, pattern(count));
                    }
                }
                Action::Bell => {
                    serving.on_bell().expect("sound");
                }
                Action::Take(count) => server.take(count, true),
            }
        }
        for _ in 0..500 {
            serving.on_bell().expect("sound");
            server.take(1000, true);
            for (request, seen) in &mut server.open {
                if seen.credit < BODY_CREDIT / 2 && server.rings.requests.push(&Message::Credit(CreditBody { request: *request, bytes: (BODY_CREDIT - seen.credit) as u32 })).is_ok() {
                    seen.credit = BODY_CREDIT;
                }
            }
            if server.open.is_empty() {
                break;
            }
        }
        prop_assert!(server.open.is_empty());
        for (request, body) in expected {
            prop_assert_eq!(&server.done[&request].body, &body);
        }
    }
}

#[test]
fn server_that_is_started_anew_is_served_and_owed_nothing_of_the_old_one() {
    let region = Region::on_heap(host::REGION_BYTES);
    let (mut old, mut serving) = Server::pair();
    assert!(old.head(1, Verb::Create, "/", true) && old.body(1, b"half", false));
    assert!(serving.on_bell().is_ok() && !serving.is_idle());
    let anew = region.at_epoch(2);
    let (mut server, _) = Server::pair();
    server.rings = HostRings::server(&anew).expect("fits");
    serving.begin_again(HostRings::client(&anew).expect("fits"));
    assert!(serving.is_idle());
    // The same number, now another request.
    assert!(server.head(1, Verb::Read, "/hello", false));
    assert!(serving.on_bell().is_ok());
    server.take(10, true);
    assert_eq!(server.done.len(), 1, "{:?}", server.open);
    assert!(server.open.is_empty());
}
