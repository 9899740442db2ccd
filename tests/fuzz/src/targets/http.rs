//! HTTP: the protocol engine alone, and all of httpd between hostile clients and hostile providers.

use crate::input::Input;
use httpd::engine::{Answer, ProtocolEngine, Step};
use httpd::http1::{Head, Http1};
use httpd::limits::RECEIVE_CREDIT;
use httpd::{Asked, Outside, Reason, Refusal, Server, Status, Verdict};
use hybrid_interfaces::net::stack::{
    AcceptedBody, Address, CHUNK_MAX, CloseReason, ClosedBody, CreditBody as TcpCredit, DataBody, Peer, TcpCommand,
    TcpEvent,
};
use hybrid_interfaces::provider::{Chunk, CreditBody, Outcome, Request, Response, ResponseHead};
use std::collections::BTreeMap;

/// What a connection gave back.
#[derive(Debug, PartialEq, Eq)]
struct Outcomes {
    written: Vec<u8>,
    requests: Vec<String>,
    consumed: usize,
    is_over: bool,
}

/// An HTTP connection. However its bytes are split, the same requests are seen and the same bytes are written (INV-H1-2).
pub fn target_http1(data: &[u8]) {
    let whole = converse(data, |_| usize::MAX);
    assert!(whole.consumed <= data.len());
    let pieces = converse(data, |at| 1 + usize::from(data.get(at).copied().unwrap_or(0)) % 23);
    assert_eq!(whole, pieces, "in pieces");
    if data.len() <= 2048 {
        assert_eq!(whole, converse(data, |_| 1), "byte by byte");
    }
}

fn converse(data: &[u8], length: impl Fn(usize) -> usize) -> Outcomes {
    let (mut engine, mut head) = (Http1::default(), Head::default());
    let mut outcomes = Outcomes { written: Vec::new(), requests: Vec::new(), consumed: 0, is_over: false };
    let mut at = 0;
    while at < data.len() {
        let end = at.saturating_add(length(at)).min(data.len());
        engine.receive(&data[at..end]);
        drive(&mut engine, &mut head, &mut outcomes);
        at = end;
    }
    engine.peer_finished();
    drive(&mut engine, &mut head, &mut outcomes);
    outcomes
}

/// Answers every request when its body is there: with an error, chunked, or with a length, as the path's length says.
fn drive(engine: &mut Http1, head: &mut Head, outcomes: &mut Outcomes) {
    // Each turn uses input or ends; so many turns without either are an endless loop.
    for _ in 0..100_000 {
        outcomes.consumed += engine.take_consumed() as usize;
        let step = engine.poll(head, 1000, false);
        match step {
            Step::Starved | Step::Waiting => return,
            Step::Over | Step::Truncated => {
                outcomes.is_over = true;
                return engine.end();
            }
            Step::Invalid(status) => _ = engine.answer_error(status, true, &mut outcomes.written),
            Step::Request(stream) => {
                outcomes.requests.push(format!("{} {}", head.method.name(), head.path));
                let (kind, has_body) = (head.path.len() % 3, head.has_body());
                engine.accept();
                if kind == 0 {
                    engine.answer_error(Status::NotFound, false, &mut outcomes.written);
                    continue;
                }
                engine.invite_body(&mut outcomes.written);
                if !has_body {
                    answer(engine, stream, kind, &mut outcomes.written);
                }
            }
            Step::Body { stream, data, is_last } => {
                let length = data.len();
                assert!(length <= 1000 && (length > 0 || is_last));
                engine.take_body(length, is_last);
                if is_last {
                    answer(
                        engine,
                        stream,
                        outcomes.requests.last().map_or(1, |text| text.len() % 2),
                        &mut outcomes.written,
                    );
                }
            }
        }
    }
    panic!("the engine goes round in circles");
}

fn answer(engine: &mut Http1, stream: u32, kind: usize, out: &mut Vec<u8>) {
    let length = (kind == 1).then_some(10);
    let answer = Answer { status: Status::Ok, media_type: "text/plain", length, has_body: true };
    engine.answer(stream, &answer, [("x-a", "b")].into_iter(), out).expect("the request is open");
    engine.answer_body(stream, b"01234", false, out).expect("within the length");
    engine.answer_body(stream, b"56789", true, out).expect("within the length");
}

pub(super) fn requests() -> Vec<Vec<u8>> {
    [
        &b"GET / HTTP/1.1\r\nHost: device\r\n\r\n"[..],
        b"\r\nHEAD /a/../b?c=%20 HTTP/1.1\r\nHost: device\r\nConnection: close\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: device\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
        b"POST /xy HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nX: y\r\n\r\nGET /yz HTTP/1.1\r\nHost: d\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: device\r\n\r\nGET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /%41 HTTP/1.0\r\n\r\n",
        b"GET http://device:80/abc;d?e HTTP/1.1\r\nHost: device:80\r\nAccept: */*\r\nX-Long:   a b  \r\n\r\n",
        b"PUT /xx HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\n\r\nabcDELETE /xy HTTP/1.1\r\nHost: d\r\nConnection: keep-alive, x\r\n\r\n",
    ]
    .map(<[u8]>::to_vec)
    .into()
}

const SECOND: u64 = 1_000_000_000;
const CLIENTS_MAX: usize = 40;

/// A client as the stack sees it.
#[derive(Default)]
struct Client {
    send_credit: u32,
    uncredited: u32,
    is_over: bool,
}

/// Everything around httpd. It checks what httpd says to the stack, which trusts nobody either: too much, or after the end, would
/// cost httpd the connection.
#[derive(Default)]
struct World {
    clients: BTreeMap<u32, Client>,
    /// Requests that providers heard of, newest last.
    heard: [Vec<u32>; 2],
    /// Messages until a ring is full.
    tcp_room: usize,
    provider_room: usize,
    verdict: u8,
    /// Bytes for clients so far.
    sent: usize,
}

impl Outside for World {
    fn tcp(&mut self, command: &TcpCommand<'_>) -> Result<(), Refusal> {
        self.tcp_room = self.tcp_room.checked_sub(1).ok_or(Refusal::Full)?;
        match command {
            TcpCommand::Send(data) => {
                let client = self.clients.get_mut(&data.connection).expect("a known connection");
                assert!(!client.is_over && data.data.len() <= CHUNK_MAX, "nothing after the end");
                let length = u32::try_from(data.data.len()).unwrap_or(u32::MAX);
                client.send_credit = client.send_credit.checked_sub(length).expect("within the credit");
                self.sent += data.data.len();
            }
            TcpCommand::Finish(number) | TcpCommand::Abort(number) => {
                self.clients.get_mut(number).expect("a known connection").is_over = true;
            }
            TcpCommand::Credit(credit) => {
                let client = self.clients.get_mut(&credit.connection).expect("a known connection");
                client.uncredited = client.uncredited.checked_sub(credit.bytes).expect("no more than was delivered");
            }
            TcpCommand::Connect(_) | TcpCommand::Taken(_) => panic!("httpd connects to nobody, and keeps no queue"),
        }
        Ok(())
    }

    fn provider(&mut self, session: usize, request: &Request<'_>) -> Result<(), Refusal> {
        self.provider_room = self.provider_room.checked_sub(1).ok_or(Refusal::Full)?;
        let mut bytes = vec![0; Request::MAX_ENCODED];
        request.encode(&mut bytes).expect("within the bounds of the interface");
        if let Request::Head(head) = request {
            self.heard[session].push(head.request);
        }
        Ok(())
    }

    fn is_all_taken(&mut self, _session: usize) -> bool {
        self.provider_room > 0
    }

    fn decide_connection(&mut self, _peer: &Address) -> Verdict {
        if self.verdict == 1 { Verdict::Deny(Reason::NoRule) } else { Verdict::Limit(20) }
    }

    fn decide_request(&mut self, _asked: &Asked<'_>) -> Verdict {
        [Verdict::Allow, Verdict::Deny(Reason::Rate), Verdict::Deny(Reason::Rule), Verdict::Limit(2)]
            [usize::from(self.verdict % 4)]
    }
}

/// httpd with clients that send anything, two providers that answer anything, full rings and passing time.
pub fn target_httpd(data: &[u8]) {
    let _bytes = run(data);
}

/// Bytes that clients got.
fn run(data: &[u8]) -> usize {
    let mut input = Input::new(data);
    let mut server: Server = Server::new(["status", "lamp"]);
    server.register(0, "/").expect("free");
    server.register(1, "/lamp").expect("free");
    let mut world = World { tcp_room: usize::MAX, provider_room: usize::MAX, ..World::default() };
    let (mut now, mut newest) = (SECOND, 0);
    while let Some(step) = input.byte() {
        let number = newest.max(1) - u32::from(step >> 5) % newest.max(1);
        match step & 31 {
            0..=2 => newest = connect(&mut server, &mut world, newest, now, &mut input),
            3..=10 => deliver(&mut server, &mut world, number, now, input.piece(600)),
            11 => event(&mut server, &mut world, TcpEvent::PeerFinished(number), now),
            12 => close(&mut server, &mut world, number, now),
            13 | 14 => give(&mut server, &mut world, number, u32::from(input.any()) * 16, now),
            15..=22 => {
                let session = usize::from(step >> 7);
                let response = response(&world.heard[session], &mut input);
                server.on_response(session, response, now, &mut world);
            }
            23 => server.on_provider_room(input.below(3), &mut world),
            24 => world.tcp_room = input.below(8),
            25 => world.provider_room = input.below(4),
            26 => (world.tcp_room, world.provider_room) = (usize::MAX, usize::MAX),
            27 => world.verdict = input.any() % 8,
            28 if step == 28 => server.on_provider_lost(input.below(2), &mut world),
            29 => _ = server.register(input.below(3), ["/", "/lamp", "/a/b", "x", ""][input.below(5)]),
            30 => server.unregister(input.below(3), ["/", "/lamp"][input.below(2)]),
            _ => {
                now += u64::from(input.any()) * SECOND / 8;
                server.on_tick(now, &mut world);
            }
        }
        server.settle(now, &mut world);
    }
    end(&mut server, &mut world, now);
    world.sent
}

fn event(server: &mut Server, world: &mut World, event: TcpEvent<'_>, now: u64) {
    server.on_tcp(event, now, world);
}

fn connect(server: &mut Server, world: &mut World, newest: u32, now: u64, input: &mut Input<'_>) -> u32 {
    if world.clients.len() >= CLIENTS_MAX {
        return newest;
    }
    let (connection, send_credit) = (newest + 1, u32::from(input.any()) * 64);
    world.clients.insert(connection, Client { send_credit, ..Client::default() });
    let peer = Peer { address: Address::V4([10, 0, 2, 2 + input.any() % 2]), port: 4000 };
    event(
        server,
        world,
        TcpEvent::Accepted(AcceptedBody { connection, listener: 0, peer, send_credit, local: peer }),
        now,
    );
    connection
}

/// As much as the credit allows: the stack is honest.
fn deliver(server: &mut Server, world: &mut World, connection: u32, now: u64, data: &[u8]) {
    let Some(client) = world.clients.get_mut(&connection) else { return };
    let room = (RECEIVE_CREDIT - client.uncredited) as usize;
    let data = &data[..data.len().min(room)];
    if data.is_empty() {
        return;
    }
    client.uncredited += u32::try_from(data.len()).unwrap_or(0);
    event(server, world, TcpEvent::Data(DataBody { connection, data: data.into() }), now);
}

fn give(server: &mut Server, world: &mut World, connection: u32, bytes: u32, now: u64) {
    let Some(client) = world.clients.get_mut(&connection) else { return };
    client.send_credit += bytes;
    event(server, world, TcpEvent::Credit(TcpCredit { connection, bytes }), now);
}

fn close(server: &mut Server, world: &mut World, connection: u32, now: u64) {
    if world.clients.contains_key(&connection) {
        event(server, world, TcpEvent::Closed(ClosedBody { connection, reason: CloseReason::Reset }), now);
        world.clients.remove(&connection);
    }
}

/// About a request that it heard of, mostly.
fn response<'a>(heard: &[u32], input: &mut Input<'a>) -> Response<'a> {
    let (kind, which) = (input.any(), input.below(8));
    let request = heard.iter().rev().nth(which).copied().unwrap_or(u32::from(kind));
    match kind % 8 {
        0..=2 => {
            let outcomes = [Outcome::Ok, Outcome::NotFound, Outcome::TooLarge, Outcome::Unavailable];
            let flags = input.any();
            Response::Head(ResponseHead {
                request,
                outcome: outcomes[usize::from(flags >> 2 & 3)],
                media_type: if flags & 16 == 0 { "text/plain" } else { "a\r\nb: c" }.into(),
                length: (flags & 1 == 0).then(|| u64::from(input.any())),
                metadata: Vec::new(),
                has_body: flags & 2 == 0,
            })
        }
        3..=5 => Response::Body(Chunk { request, data: input.piece(500).into(), is_last: kind & 8 != 0 }),
        6 => Response::Credit(CreditBody { request, bytes: u32::from(input.any()) * 8 }),
        _ => Response::Aborted(request),
    }
}

/// When all clients are gone, nothing is left (INV-HTTPD-1, -2).
fn end(server: &mut Server, world: &mut World, now: u64) {
    (world.tcp_room, world.provider_room) = (usize::MAX, usize::MAX);
    for connection in world.clients.keys().copied().collect::<Vec<_>>() {
        close(server, world, connection, now);
        server.settle(now, world);
    }
    server.on_provider_room(0, world);
    server.on_provider_room(1, world);
    server.settle(now, world);
    assert_eq!(server.counts(), httpd::Counts::default());
}

pub(super) fn conversations() -> Vec<Vec<u8>> {
    let get = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let post = b"POST /lamp/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
    let deliver = |text: &[u8]| [&[3, 0, u8::try_from(text.len()).unwrap_or(0)], text].concat();
    let read = [&[0, 255, 0][..], &deliver(get), &[15, 0, 0, 0, 5, 15, 11, 0, 0, 5], b"hello", &[12]].concat();
    let write =
        [&[0, 255, 1][..], &deliver(post), &[143, 0, 0, 0, 3, 143, 11, 0, 0, 3], b"abc", &[31, 200, 11]].concat();
    let full = [&[24, 0, 25, 0, 0, 2, 0][..], &deliver(get), &deliver(get), &[26, 31, 255, 13, 40, 28, 0]].concat();
    vec![read, write, full]
}

#[cfg(test)]
mod tests {
    use super::{conversations, converse, requests, run};

    #[test]
    fn samples_reach_answers() {
        let sent: Vec<usize> = conversations().iter().map(|sample| run(sample)).collect();
        assert!(sent.iter().all(|sent| *sent > 80), "{sent:?}");
        for sample in requests() {
            let written = String::from_utf8_lossy(&converse(&sample, |_| usize::MAX).written).into_owned();
            let is_good = written.starts_with("HTTP/1.1 ") && !written.contains(" 400 ");
            assert!(is_good, "{}\n{written}", String::from_utf8_lossy(&sample));
        }
    }
}
