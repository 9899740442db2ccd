//! A simulated world for tests: it checks every rule of its interfaces.
#![expect(clippy::cast_possible_truncation, reason = "the numbers of tests are small")]

use super::Server;
use crate::limits::{BODY_CREDIT, RECEIVE_CREDIT};
use crate::outside::{Asked, Outside, Refusal, Verdict};
use hybrid_interfaces::net::stack::{
    AcceptedBody, Address, CHUNK_MAX, CloseReason, ClosedBody, CreditBody as TcpCredit, DataBody, Peer, TcpCommand,
    TcpEvent,
};
use hybrid_interfaces::provider::{self, Chunk, CreditBody, Outcome, Request, RequestHead, Response, ResponseHead};
use std::collections::{BTreeMap, VecDeque};

pub(super) const SECOND: u64 = 1_000_000_000;

/// A client as the stack sees it.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) got: Vec<u8>,
    pub(super) is_finished: bool,
    pub(super) is_aborted: bool,
    send_credit: u32,
    uncredited: u32,
}

/// Everything outside httpd.
#[derive(Debug)]
pub(super) struct World {
    pub(super) clients: BTreeMap<u32, Client>,
    pub(super) inboxes: Vec<VecDeque<Request<'static>>>,
    /// Messages that fit into a provider's ring, and commands into the stack's.
    pub(super) inbox_room: usize,
    pub(super) tcp_room: usize,
    /// The provider whose ring of requests is broken.
    pub(super) broken: Option<usize>,
    pub(super) asked: Vec<String>,
    pub(super) verdict: Verdict,
    pub(super) connection_verdict: Verdict,
    scratch: Vec<u8>,
}

impl Outside for World {
    fn tcp(&mut self, command: &TcpCommand<'_>) -> Result<(), Refusal> {
        if self.tcp_room == 0 {
            return Err(Refusal::Full);
        }
        self.tcp_room -= 1;
        match command {
            TcpCommand::Send(data) => {
                let client = self.clients.get_mut(&data.connection).expect("a known connection");
                assert!(!client.is_finished && !client.is_aborted, "nothing after the end");
                assert!(data.data.len() <= CHUNK_MAX);
                client.send_credit = client.send_credit.checked_sub(data.data.len() as u32).expect("within the credit");
                client.got.extend_from_slice(&data.data);
            }
            TcpCommand::Finish(number) => {
                let client = self.clients.get_mut(number).expect("a known connection");
                assert!(!client.is_finished && !client.is_aborted, "one end");
                client.is_finished = true;
            }
            TcpCommand::Abort(number) => self.clients.get_mut(number).expect("a known connection").is_aborted = true,
            TcpCommand::Credit(credit) => {
                let client = self.clients.get_mut(&credit.connection).expect("a known connection");
                client.uncredited = client.uncredited.checked_sub(credit.bytes).expect("no more than was delivered");
            }
            TcpCommand::Connect(_) | TcpCommand::Taken(_) => panic!("httpd connects to nobody, and keeps no queue"),
        }
        Ok(())
    }

    fn provider(&mut self, session: usize, request: &Request<'_>) -> Result<(), Refusal> {
        if self.broken == Some(session) {
            return Err(Refusal::Corrupt);
        }
        if self.inboxes[session].len() >= self.inbox_room {
            return Err(Refusal::Full);
        }
        // Also through the encoding: what cannot be encoded cannot be sent.
        self.scratch.resize(Request::MAX_ENCODED, 0);
        let len = request.encode(&mut self.scratch).expect("within the bounds");
        self.inboxes[session].push_back(Request::decode(&self.scratch[..len]).expect("decodes").into_owned());
        Ok(())
    }

    fn is_all_taken(&mut self, session: usize) -> bool {
        self.inboxes[session].is_empty()
    }

    fn decide_connection(&mut self, _peer: &Address) -> Verdict {
        self.connection_verdict
    }

    fn decide_request(&mut self, asked: &Asked<'_>) -> Verdict {
        self.asked.push(format!("{:?} {:?} {}", asked.peer, asked.verb, asked.path));
        if self.asked.len() > 1000 {
            self.asked.clear();
        }
        self.verdict
    }
}

/// httpd in its world.
pub(super) struct Simulation {
    pub(super) server: Server,
    pub(super) world: World,
    pub(super) now: u64,
    next: u32,
}

impl Simulation {
    /// Two providers: 0 at "/", 1 at "/lamp".
    pub(super) fn new() -> Self {
        let mut server = Server::new(["status", "lamp"]);
        server.register(0, "/").expect("free");
        server.register(1, "/lamp").expect("free");
        let world = World {
            clients: BTreeMap::new(),
            inboxes: vec![VecDeque::new(), VecDeque::new()],
            inbox_room: usize::MAX,
            tcp_room: usize::MAX,
            broken: None,
            asked: Vec::new(),
            verdict: Verdict::Allow,
            connection_verdict: Verdict::Allow,
            scratch: Vec::new(),
        };
        Simulation { server, world, now: SECOND, next: 1 }
    }

    pub(super) fn connect(&mut self) -> u32 {
        self.connect_with(1 << 20)
    }

    pub(super) fn connect_with(&mut self, send_credit: u32) -> u32 {
        self.connect_from(Address::V4([10, 0, 2, 2]), send_credit)
    }

    pub(super) fn connect_from(&mut self, address: Address, send_credit: u32) -> u32 {
        let number = self.next;
        self.next += 1;
        self.world.clients.insert(number, Client { send_credit, ..Client::default() });
        let peer = Peer { address, port: 4000 };
        let accepted = AcceptedBody { connection: number, listener: 0, peer, send_credit, local: peer };
        self.server.on_tcp(TcpEvent::Accepted(accepted), self.now, &mut self.world);
        self.settle();
        number
    }

    pub(super) fn settle(&mut self) {
        self.server.settle(self.now, &mut self.world);
    }

    /// Delivers as much as the connection's credit allows; returns how much.
    pub(super) fn deliver(&mut self, number: u32, bytes: &[u8]) -> usize {
        let client = self.world.clients.get_mut(&number).expect("a known connection");
        if client.is_aborted {
            return bytes.len();
        }
        let len = bytes.len().min((RECEIVE_CREDIT - client.uncredited) as usize);
        client.uncredited += len as u32;
        for part in bytes[..len].chunks(CHUNK_MAX) {
            self.server.on_tcp(
                TcpEvent::Data(DataBody { connection: number, data: part.into() }),
                self.now,
                &mut self.world,
            );
        }
        self.settle();
        len
    }

    /// Delivers all, which must be possible.
    pub(super) fn send(&mut self, number: u32, text: &str) {
        assert_eq!(self.deliver(number, text.as_bytes()), text.len());
    }

    pub(super) fn get(&mut self, number: u32, path: &str) {
        self.send(number, &format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
    }

    pub(super) fn finish(&mut self, number: u32) {
        self.server.on_tcp(TcpEvent::PeerFinished(number), self.now, &mut self.world);
        self.settle();
    }

    pub(super) fn close(&mut self, number: u32) {
        let closed = ClosedBody { connection: number, reason: CloseReason::Finished };
        self.server.on_tcp(TcpEvent::Closed(closed), self.now, &mut self.world);
        self.settle();
    }

    pub(super) fn give_send_credit(&mut self, number: u32, bytes: u32) {
        self.world.clients.get_mut(&number).expect("known").send_credit += bytes;
        self.server.on_tcp(TcpEvent::Credit(TcpCredit { connection: number, bytes }), self.now, &mut self.world);
        self.settle();
    }

    /// Lets time pass, second by second.
    pub(super) fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += SECOND;
            self.server.on_tick(self.now, &mut self.world);
            self.settle();
        }
    }

    pub(super) fn got(&self, number: u32) -> String {
        String::from_utf8_lossy(&self.world.clients[&number].got).into_owned()
    }

    /// The status lines' numbers that a client got.
    pub(super) fn statuses(&self, number: u32) -> Vec<String> {
        self.got(number).split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].to_owned()).collect()
    }

    /// The next message for a provider.
    pub(super) fn take(&mut self, session: usize) -> Option<Request<'static>> {
        let message = self.world.inboxes[session].pop_front();
        if message.is_some() {
            self.server.on_provider_room(session, &mut self.world);
            self.settle();
        }
        message
    }

    /// The next message for a provider, which must be a head.
    pub(super) fn take_head(&mut self, session: usize) -> RequestHead<'static> {
        match self.take(session) {
            Some(Request::Head(head)) => head,
            other => panic!("a head, not {other:?}"),
        }
    }

    pub(super) fn respond(&mut self, session: usize, response: Response<'_>) {
        self.server.on_response(session, response, self.now, &mut self.world);
        self.settle();
    }

    pub(super) fn respond_head(&mut self, session: usize, request: u32, length: Option<u64>, has_body: bool) {
        let head = ResponseHead {
            request,
            outcome: Outcome::Ok,
            media_type: "text/plain".into(),
            length,
            metadata: Vec::new(),
            has_body,
        };
        self.respond(session, Response::Head(head));
    }

    pub(super) fn respond_body(&mut self, session: usize, request: u32, data: &[u8], is_last: bool) {
        self.respond(session, Response::Body(Chunk { request, data: data.into(), is_last }));
    }

    /// A whole small answer.
    pub(super) fn respond_text(&mut self, session: usize, request: u32, text: &str) {
        self.respond_head(session, request, Some(text.len() as u64), !text.is_empty());
        if !text.is_empty() {
            self.respond_body(session, request, text.as_bytes(), true);
        }
    }

    pub(super) fn respond_credit(&mut self, session: usize, request: u32, bytes: u32) {
        self.respond(session, Response::Credit(CreditBody { request, bytes }));
    }
}

/// A provider that answers each request with its path and its body, chunk by chunk, within the credits.
#[derive(Debug, Default)]
pub(super) struct EchoProvider {
    session: usize,
    open: BTreeMap<u32, Open>,
}

#[derive(Debug)]
struct Open {
    answer: Vec<u8>,
    is_chunked: bool,
    is_complete: bool,
    is_head_sent: bool,
    sent: usize,
    credit: usize,
}

impl EchoProvider {
    pub(super) fn new(session: usize) -> Self {
        EchoProvider { session, open: BTreeMap::new() }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes one message, if there is one.
    pub(super) fn take(&mut self, simulation: &mut Simulation) -> bool {
        match simulation.take(self.session) {
            None => return false,
            Some(Request::Head(head)) => {
                let mut answer = format!("{} ", head.path).into_bytes();
                if let Some(count) = head.path.rsplit('/').next().and_then(|count| count.parse::<usize>().ok()) {
                    answer.extend((0..count).map(|place| b'a' + (place % 26) as u8));
                }
                let is_chunked = head.query == "chunked";
                let state = Open {
                    answer,
                    is_chunked,
                    is_complete: !head.has_body,
                    is_head_sent: false,
                    sent: 0,
                    credit: BODY_CREDIT as usize,
                };
                assert!(self.open.insert(head.request, state).is_none(), "a number is not used twice at a time");
            }
            Some(Request::Body(chunk)) => {
                let state = self.open.get_mut(&chunk.request).expect("open");
                assert!(!state.is_complete);
                state.answer.extend_from_slice(&chunk.data);
                state.is_complete = chunk.is_last;
                if !chunk.is_last && !chunk.data.is_empty() {
                    simulation.respond_credit(self.session, chunk.request, chunk.data.len() as u32);
                }
            }
            Some(Request::Cancelled(request)) => {
                self.open.remove(&request);
            }
            Some(Request::Credit(credit)) => {
                if let Some(state) = self.open.get_mut(&credit.request) {
                    state.credit += credit.bytes as usize;
                    assert!(state.credit <= BODY_CREDIT as usize);
                }
            }
        }
        true
    }

    /// Says one more thing about the `pick`-th complete request; returns whether there was something to say.
    pub(super) fn answer(&mut self, simulation: &mut Simulation, pick: usize, step: usize) -> bool {
        let ready: Vec<u32> = self
            .open
            .iter()
            .filter(|(_, state)| state.is_complete && (!state.is_head_sent || state.credit > 0))
            .map(|(request, _)| *request)
            .collect();
        let Some(&request) = ready.get(pick % ready.len().max(1)) else { return false };
        let state = self.open.get_mut(&request).expect("open");
        if !state.is_head_sent {
            state.is_head_sent = true;
            let length = (!state.is_chunked).then_some(state.answer.len() as u64);
            simulation.respond_head(self.session, request, length, true);
            return true;
        }
        let len = step.min(state.credit).min(state.answer.len() - state.sent).min(provider::CHUNK_MAX);
        let data = state.answer[state.sent..state.sent + len].to_vec();
        state.sent += len;
        state.credit -= len;
        let is_last = state.sent == state.answer.len();
        if is_last {
            self.open.remove(&request);
        }
        simulation.respond_body(self.session, request, &data, is_last);
        true
    }

    /// Works until there is nothing to do.
    pub(super) fn work(&mut self, simulation: &mut Simulation) {
        while self.take(simulation) || self.answer(simulation, 0, usize::MAX) {}
    }
}
