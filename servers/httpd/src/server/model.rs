//! The order of answers against a model, under random scheduling.
#![expect(clippy::cast_possible_truncation, reason = "the numbers of tests are small")]

use super::simulation::{EchoProvider, Simulation};
use crate::server::Counts;
use proptest::prelude::*;

/// One request as a client makes it, and the body that its answer must have.
#[derive(Clone, Debug)]
struct Ask {
    text: Vec<u8>,
    answer: Vec<u8>,
}

fn ask(kind: u8, size: usize, body: Vec<u8>) -> Ask {
    let mut answer = format!("/{size} ").into_bytes();
    answer.extend((0..size).map(|place| b'a' + (place % 26) as u8));
    let query = if kind.is_multiple_of(3) { "?chunked" } else { "" };
    let mut text = match kind {
        0..=3 => return Ask { text: format!("GET /{size}{query} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes(), answer },
        4 | 5 => {
            format!("POST /{size}{query} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes()
        }
        _ => format!("PUT /{size}{query} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes(),
    };
    if kind < 6 {
        text.extend_from_slice(&body);
    } else {
        for chunk in body.chunks(100) {
            text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            text.extend_from_slice(chunk);
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"0\r\n\r\n");
    }
    answer.extend_from_slice(&body);
    Ask { text, answer }
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let one = (0u8..8, prop_oneof![0usize..50, 0usize..30_000], proptest::collection::vec(b'A'..=b'Z', 0..600));
    proptest::collection::vec(one.prop_map(|(kind, size, body)| ask(kind, size, body)), 1..6)
}

#[derive(Clone, Debug)]
enum Action {
    Deliver(usize, usize),
    SendCredit(usize, u32),
    Take,
    Answer(usize, usize),
    Rings(usize, usize),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (0usize..4, 1usize..3000).prop_map(|(client, len)| Action::Deliver(client, len)),
        2 => (0usize..4, 1u32..8000).prop_map(|(client, bytes)| Action::SendCredit(client, bytes)),
        4 => Just(Action::Take),
        4 => (0usize..8, 1usize..5000).prop_map(|(pick, step)| Action::Answer(pick, step)),
        1 => (0usize..4, 0usize..5).prop_map(|(inbox, tcp)| Action::Rings(inbox, tcp)),
    ]
}

/// The bodies of the answers in what a client got.
fn bodies(mut got: &[u8]) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    while !got.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(len) = response.parse(got).expect("a head") else { panic!("a whole head") };
        assert_eq!(response.code, Some(200));
        let length = response.headers.iter().find(|field| field.name == "Content-Length");
        got = &got[len..];
        let mut body = Vec::new();
        match length {
            Some(field) => {
                let length: usize = std::str::from_utf8(field.value).expect("text").parse().expect("number");
                body.extend_from_slice(&got[..length]);
                got = &got[length..];
            }
            None => loop {
                let end = got.windows(2).position(|pair| pair == b"\r\n").expect("a chunk");
                let size = usize::from_str_radix(std::str::from_utf8(&got[..end]).expect("text"), 16).expect("hex");
                body.extend_from_slice(&got[end + 2..end + 2 + size]);
                got = &got[end + 4 + size..];
                if size == 0 {
                    break;
                }
            },
        }
        bodies.push(body);
    }
    bodies
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Every request gets its own answer, whole, in the order of the requests, whatever happens when; and nothing is left behind.
    #[test]
    fn answers_come_whole_and_in_order(plans in proptest::collection::vec(asks(), 4), actions in proptest::collection::vec(action(), 0..200)) {
        let mut sim = Simulation::new();
        let mut provider = EchoProvider::new(0);
        let clients: Vec<u32> = (0..plans.len()).map(|_| sim.connect_with(500)).collect();
        let texts: Vec<Vec<u8>> = plans.iter().map(|asks| asks.iter().flat_map(|ask| ask.text.clone()).collect()).collect();
        let mut delivered = vec![0; plans.len()];
        for action in actions {
            match action {
                Action::Deliver(client, len) => {
                    let end = (delivered[client] + len).min(texts[client].len());
                    delivered[client] += sim.deliver(clients[client], &texts[client][delivered[client]..end]);
                }
                Action::SendCredit(client, bytes) => sim.give_send_credit(clients[client], bytes),
                Action::Take => {
                    provider.take(&mut sim);
                }
                Action::Answer(pick, step) => {
                    provider.answer(&mut sim, pick, step);
                }
                Action::Rings(inbox, tcp) => (sim.world.inbox_room, sim.world.tcp_room) = (inbox, tcp),
            }
        }
        for _ in 0..200 {
            (sim.world.inbox_room, sim.world.tcp_room) = (usize::MAX, usize::MAX);
            sim.server.on_provider_room(0, &mut sim.world);
            sim.settle();
            for client in 0..plans.len() {
                delivered[client] += sim.deliver(clients[client], &texts[client][delivered[client]..]);
                sim.give_send_credit(clients[client], 100_000);
            }
            provider.work(&mut sim);
        }
        for (client, asks) in plans.iter().enumerate() {
            prop_assert_eq!(delivered[client], texts[client].len());
            let wanted: Vec<Vec<u8>> = asks.iter().map(|ask| ask.answer.clone()).collect();
            prop_assert!(bodies(&sim.world.clients[&clients[client]].got) == wanted, "client {}", client);
            sim.close(clients[client]);
        }
        prop_assert!(provider.is_idle());
        prop_assert_eq!(sim.server.counts(), Counts::default());
    }
}
