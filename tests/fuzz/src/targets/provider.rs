//! A provider's end of the rings, with a protocol server that lies.

use super::decoders::requests;
use crate::input::Input;
use hybrid_interfaces::provider::{
    BODY_CREDIT, Chunk, CreditBody, HostRings, HostServerRings, Request as Message, Response, host,
};
use hybrid_provider::{Provider, Request, Responder, Serving};
use hybrid_ring::Region;

/// Answers with the body, many times over.
struct Echo;

impl Provider for Echo {
    fn handle(&mut self, request: &Request<'_>, respond: &mut Responder) {
        assert!(request.body.len() <= Self::BODY_MAX);
        let _ = (request.field("accept"), request.query.len());
        respond.body("text/plain", request.body.repeat(3));
        respond.field("x-a", "b");
    }
}

/// Requests in any order with any numbers, raw bytes and scribbles. As long as the response ring is left alone, what comes out of it decodes, and
/// all bodies together stay within all credit together (INV-PROV-1).
pub fn target_provider(data: &[u8]) {
    let _bytes = run(data);
}

/// Body bytes that came back.
fn run(data: &[u8]) -> u64 {
    let mut input = Input::new(data);
    let region = Region::on_heap(host::REGION_BYTES);
    let mut server = HostRings::server(&region).expect("fits");
    let mut serving = Serving::new(Echo, HostRings::client(&region).expect("fits"));
    let (mut credit, mut received) = (0_u64, 0_u64);
    let mut is_honest = true;
    while let Some(step) = input.byte() {
        match step % 16 {
            0..=6 => {
                let message = message(&mut input);
                let added = match &message {
                    Message::Head(_) => BODY_CREDIT as u64,
                    Message::Credit(credit) => u64::from(credit.bytes),
                    _ => 0,
                };
                if server.requests.push(&message).is_ok() {
                    credit = credit.saturating_add(added);
                }
            }
            7 => _ = server.requests.ring().try_push(input.piece(300)),
            8 if step < 64 => {
                // Either ring's header, or anything.
                let place = [0, host::RESPONSES_RING_OFFSET, input.below(host::REGION_BYTES / 8) * 8][input.below(3)];
                let offset = if place.is_multiple_of(8) { place } else { 0 } + input.below(16) * 8;
                is_honest = false;
                let _is_inside = region.scribble(offset, input.word());
            }
            9..=11 => {
                let taken = take(&mut server, input.below(8));
                assert!(taken.is_some() || !is_honest, "what the provider sends decodes");
                received += taken.unwrap_or(0);
                assert!(received <= credit || !is_honest, "{received} bytes for a credit of {credit}");
            }
            _ => {
                if serving.on_bell().is_err() {
                    return received;
                }
            }
        }
    }
    received
}

/// A message with a number that may be in use.
fn message<'a>(input: &mut Input<'a>) -> Message<'a> {
    let [read, create, ..] = requests();
    let (kind, number) = (input.any(), u32::from(input.any() % 80));
    match kind % 8 {
        0 | 1 => with_number(read, number),
        2 | 3 => with_number(create, number),
        4 | 5 => Message::Body(Chunk { request: number, data: input.piece(2000).into(), is_last: kind & 8 != 0 }),
        6 => Message::Credit(CreditBody {
            request: number,
            bytes: if kind & 8 == 0 { u32::from(input.any()) } else { u32::MAX },
        }),
        _ => Message::Cancelled(number),
    }
}

fn with_number(message: Message<'_>, number: u32) -> Message<'_> {
    match message {
        Message::Head(mut head) => {
            head.request = number;
            Message::Head(head)
        }
        other => other,
    }
}

/// Takes at most so many answers; the bytes of their bodies. None if one does not decode.
fn take(server: &mut HostServerRings, count: usize) -> Option<u64> {
    let (mut scratch, mut bytes) = (Vec::new(), 0);
    for _ in 0..count {
        match server.responses.pop(&mut scratch).ok()? {
            None => break,
            Some(Response::Body(chunk)) => bytes += chunk.data.len() as u64,
            Some(_) => {}
        }
    }
    let _must_ring = server.responses.release();
    Some(bytes)
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let read = vec![0, 0, 1, 12, 9, 4, 9, 4];
    let write = [
        &[0, 2, 7, 0, 4, 7, 0, 5][..],
        b"hello",
        &[0, 12, 7, 0, 3],
        b"abc",
        &[12, 9, 7, 0, 6, 7, 50, 12, 9, 7, 0, 7, 7, 12],
    ]
    .concat();
    let hostile = vec![7, 0, 3, 1, 2, 3, 12, 8, 1, 0, 2, 255, 255, 0, 0, 0, 0, 0, 0, 12, 9, 3];
    vec![read, write, hostile]
}

#[cfg(test)]
mod tests {
    use super::{run, samples};

    #[test]
    fn samples_reach_the_answers() {
        assert!(samples().iter().any(|sample| run(sample) > 0));
    }
}
