//! 100,000 requests over connections that come and go leave not one byte more on the heap.

use httpd::{Asked, Counts, Outside, Refusal, Server, Verdict};
use hybrid_interfaces::net::stack::{
    AcceptedBody, Address, CloseReason, ClosedBody, DataBody, Peer, TcpCommand, TcpEvent,
};
use hybrid_interfaces::provider::{Chunk, Outcome, Request, Response, ResponseHead};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Remembers only which requests the provider has; nothing here grows.
struct World {
    requests: [u32; 64],
    count: usize,
    sent: u64,
}

impl Outside for World {
    fn tcp(&mut self, command: &TcpCommand<'_>) -> Result<(), Refusal> {
        if let TcpCommand::Send(data) = command {
            self.sent += data.data.len() as u64;
        }
        Ok(())
    }

    fn provider(&mut self, _session: usize, request: &Request<'_>) -> Result<(), Refusal> {
        if let Request::Head(head) = request {
            self.requests[self.count] = head.request;
            self.count += 1;
        }
        Ok(())
    }

    fn is_all_taken(&mut self, _session: usize) -> bool {
        true
    }

    fn decide_connection(&mut self, _peer: &Address) -> Verdict {
        Verdict::Allow
    }

    fn decide_request(&mut self, _asked: &Asked<'_>) -> Verdict {
        Verdict::Allow
    }
}

/// `requests` requests on each of eight connections, a few of each kind: answered, refused, called off.
fn round(server: &mut Server, world: &mut World, first: u32, requests: u32) {
    let connections = first..first + 8;
    for connection in connections.clone() {
        let peer = Peer { address: Address::V4([10, 0, 2, 2]), port: 4000 };
        let accepted = AcceptedBody { connection, listener: 0, peer, send_credit: u32::MAX, local: peer };
        server.on_tcp(TcpEvent::Accepted(accepted), 1, world);
    }
    for number in 0..requests {
        let text: &[u8] = match number % 10 {
            0 => b"GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n",
            1 => b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
            2 => b"BREW / HTTP/1.1\r\n\r\n",
            _ => b"GET /status HTTP/1.1\r\nHost: device\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n",
        };
        // The broken ones end their connection: they are sent as the last only.
        let is_last = number + 1 == requests;
        let text = if is_last { text } else { b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" };
        for connection in connections.clone() {
            server.on_tcp(TcpEvent::Data(DataBody { connection, data: text.into() }), 1, world);
        }
        server.settle(1, world);
        let answered = if is_last { world.count / 2 } else { world.count };
        for place in 0..answered {
            answer(server, world, place);
        }
        world.count = 0;
        server.settle(1, world);
    }
    for connection in connections {
        server.on_tcp(TcpEvent::Closed(ClosedBody { connection, reason: CloseReason::Finished }), 1, world);
    }
    server.settle(1, world);
    assert_eq!(server.counts(), Counts::default());
}

fn answer(server: &mut Server, world: &mut World, place: usize) {
    let request = world.requests[place];
    let head = ResponseHead {
        request,
        outcome: Outcome::Ok,
        media_type: "text/html".into(),
        length: Some(4000),
        metadata: Vec::new(),
        has_body: true,
    };
    server.on_response(0, Response::Head(head), 1, world);
    server.on_response(0, Response::Body(Chunk { request, data: [b'x'; 4000][..].into(), is_last: true }), 1, world);
}

#[test]
fn heap_after_100_000_requests_is_the_heap_before() {
    let mut server = Server::new(["status"]);
    server.register(0, "/").expect("free");
    let mut world = World { requests: [0; 64], count: 0, sent: 0 };
    // What is kept for reuse is there after these.
    for (number, first) in (0..20).map(|number| (number, number * 8)) {
        round(&mut server, &mut world, first, 1 + number);
    }
    let region = Region::new(HEAP);
    let (mut total, mut first) = (0, 160);
    while total < 100_000 {
        let requests = 90 + first % 11;
        round(&mut server, &mut world, first, requests);
        total += requests * 8;
        first += 8;
    }
    let change = region.change();
    assert_eq!(change.bytes_allocated, change.bytes_deallocated, "{change:?} after {total} requests");
    assert!(world.sent > 4000 * 90_000);
}
