//! httpd in its simulated world: failing providers, slow clients, no leaks.

use super::simulation::{EchoProvider, Simulation};
use crate::limits::{BODY_CREDIT, IN_FLIGHT_MAX};
use crate::outside::{Reason, Verdict};
use crate::server::Counts;
use hybrid_interfaces::provider::{
    Chunk, CreditBody, Error, Field, Outcome, Protocol, Request, Response, ResponseHead, Verb,
};

#[test]
fn request_reaches_its_provider_and_the_answer_its_client() {
    let mut sim = Simulation::new();
    let client = sim.connect();
    sim.send(client, "PUT /lamp/%6fn?x=%31 HTTP/1.1\r\nHost: h\r\nX-A: b\r\nContent-Length: 3\r\n\r\nyes");
    let head = sim.take_head(1);
    assert_eq!((head.verb, &*head.path, &*head.query, head.has_body), (Verb::Replace, "/on", "x=%31", true));
    assert_eq!(
        (head.requester.protocol, &*head.requester.address, head.requester.is_encrypted),
        (Protocol::Http, "10.0.2.2", false)
    );
    let names: Vec<&str> = head.metadata.iter().map(|field| &*field.name).collect();
    assert_eq!(names, ["host", "x-a", "content-length"]);
    assert_eq!(
        sim.take(1),
        Some(Request::Body(Chunk { request: head.request, data: b"yes"[..].into(), is_last: true }))
    );
    sim.respond_text(1, head.request, "done");
    assert!(sim.got(client).ends_with("Content-Length: 4\r\n\r\ndone"));
    assert_eq!(sim.world.asked, ["V4([10, 0, 2, 2]) Put /lamp/on"]);
    sim.get(client, "/lamp");
    assert_eq!(&*sim.take_head(1).path, "/");
    sim.close(client);
    assert!(matches!(sim.take(1), Some(Request::Cancelled(_))));
    assert_eq!(sim.server.counts(), Counts::default());
}

#[test]
fn own_answers_need_no_provider() {
    let mut sim = Simulation::new();
    let client = sim.connect();
    sim.server.unregister(0, "/");
    sim.get(client, "/x");
    sim.send(client, "OPTIONS /lamp HTTP/1.1\r\nHost: h\r\n\r\n");
    sim.world.verdict = Verdict::Deny(Reason::NoRule);
    sim.get(client, "/lamp");
    sim.send(client, "DELETE /lamp HTTP/1.1\r\nHost: h\r\n\r\n");
    sim.world.verdict = Verdict::Deny(Reason::Rate);
    sim.get(client, "/lamp");
    sim.send(client, "BREW /lamp HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(sim.statuses(client), ["404", "204", "403", "403", "429", "501"]);
    assert!(sim.got(client).contains("Allow: GET, HEAD"));
    assert!(sim.world.clients[&client].is_finished);
    assert!(sim.take(0).is_none() && sim.take(1).is_none());
}

#[test]
fn connection_that_is_denied_is_reset() {
    let mut sim = Simulation::new();
    for verdict in [Verdict::Deny(Reason::NoRule), Verdict::Deny(Reason::Rate), Verdict::Limit(0)] {
        sim.world.connection_verdict = verdict;
        let client = sim.connect();
        assert!(sim.world.clients[&client].is_aborted);
    }
    assert_eq!(sim.server.counts().connections, 0);
}

#[test]
fn limit_bounds_a_peers_open_requests() {
    let mut sim = Simulation::new();
    sim.world.connection_verdict = Verdict::Limit(2);
    let clients: Vec<u32> = (0..3).map(|_| sim.connect()).collect();
    for &client in &clients {
        sim.get(client, "/");
    }
    assert_eq!(sim.statuses(clients[2]), ["429"]);
    EchoProvider::new(0).work(&mut sim);
    sim.get(clients[2], "/");
    EchoProvider::new(0).work(&mut sim);
    assert_eq!(sim.statuses(clients[2]), ["429", "200"]);
    sim.world.verdict = Verdict::Limit(0);
    sim.get(clients[0], "/");
    assert_eq!(sim.statuses(clients[0]), ["200", "429"]);
}

#[test]
fn requests_beyond_a_providers_room_wait_and_go_in_order() {
    let mut sim = Simulation::new();
    let clients: Vec<u32> = (0..200).map(|_| sim.connect()).collect();
    for &client in &clients {
        sim.get(client, &format!("/{client}"));
    }
    assert_eq!((sim.server.counts().exchanges, sim.server.counts().queued), (IN_FLIGHT_MAX, 200 - IN_FLIGHT_MAX));
    EchoProvider::new(0).work(&mut sim);
    for &client in &clients {
        assert_eq!(sim.statuses(client), ["200"], "{client}");
    }
    assert_eq!(sim.server.counts(), Counts { connections: 200, ..Counts::default() });
}

#[test]
fn waiting_requests_are_given_up_in_time_or_when_their_client_goes() {
    let mut sim = Simulation::new();
    sim.world.inbox_room = 1;
    let clients: Vec<u32> = (0..4).map(|_| sim.connect()).collect();
    for &client in &clients {
        sim.get(client, "/");
    }
    let first = sim.take_head(0);
    let second = sim.take_head(0);
    sim.close(clients[3]);
    // It reads, so it is not stalled; but it answers nothing.
    for _ in 0..6 {
        sim.pass(1);
        while sim.take(0).is_some() {}
    }
    assert_eq!(sim.server.counts().queued, 0);
    sim.respond_text(0, first.request, "1");
    sim.respond_text(0, second.request, "2");
    assert_eq!((sim.statuses(clients[0]), sim.statuses(clients[1])), (vec!["200".to_owned()], vec!["200".to_owned()]));
    sim.pass(40);
    assert_eq!(sim.statuses(clients[2]), ["504"]);
}

#[test]
fn provider_that_does_not_answer_is_504() {
    let mut sim = Simulation::new();
    let client = sim.connect();
    sim.get(client, "/");
    let head = sim.take_head(0);
    sim.pass(29);
    assert!(sim.got(client).is_empty());
    sim.pass(2);
    assert_eq!(sim.statuses(client), ["504"]);
    assert_eq!(sim.take(0), Some(Request::Cancelled(head.request)));
    // Too late: dropped, and the connection goes on.
    sim.respond_text(0, head.request, "late");
    sim.get(client, "/");
    EchoProvider::new(0).work(&mut sim);
    assert_eq!(sim.statuses(client), ["504", "200"]);
    let other = sim.connect();
    sim.get(other, "/lamp");
    EchoProvider::new(1).work(&mut sim);
    assert_eq!(sim.statuses(other), ["200"]);
}

#[test]
fn provider_that_reads_nothing_is_refused_until_it_reads() {
    let mut sim = Simulation::new();
    let clients: Vec<u32> = (0..3).map(|_| sim.connect()).collect();
    sim.get(clients[0], "/");
    sim.pass(6);
    assert_eq!(sim.statuses(clients[0]), ["503"]);
    sim.get(clients[1], "/");
    assert_eq!(sim.statuses(clients[1]), ["503"], "at once");
    sim.get(clients[2], "/lamp");
    EchoProvider::new(1).work(&mut sim);
    assert_eq!(sim.statuses(clients[2]), ["200"]);
    while sim.take(0).is_some() {}
    sim.pass(1);
    sim.get(clients[1], "/");
    EchoProvider::new(0).work(&mut sim);
    assert_eq!(sim.statuses(clients[1]), ["503", "200"]);
    assert_eq!(sim.server.counts(), Counts { connections: 3, ..Counts::default() });
}

#[test]
fn provider_that_breaks_a_rule_loses_that_request_only() {
    type Fault = fn(&mut Simulation, u32);
    let before: [(&str, Fault); 6] = [
        ("body without head", |sim, request| sim.respond_body(0, request, b"x", true)),
        ("gives up", |sim, request| sim.respond(0, Response::Aborted(request))),
        ("bad field", |sim, request| {
            let metadata = vec![Field { name: "a".into(), value: "b\r\nSet-Cookie: c".into() }];
            let head = ResponseHead {
                request,
                outcome: Outcome::Ok,
                media_type: "".into(),
                length: Some(0),
                metadata,
                has_body: false,
            };
            sim.respond(0, Response::Head(head));
        }),
        ("body where there is none", |sim, request| {
            let head = ResponseHead {
                request,
                outcome: Outcome::NoContent,
                media_type: "".into(),
                length: None,
                metadata: vec![],
                has_body: true,
            };
            sim.respond(0, Response::Head(head));
        }),
        ("length without body", |sim, request| sim.respond_head(0, request, Some(5), false)),
        ("too much credit", |sim, request| sim.respond_credit(0, request, 1)),
    ];
    let after: [(&str, Fault); 5] = [
        ("too much body", |sim, request| sim.respond_body(0, request, b"abcd", false)),
        ("too little body", |sim, request| sim.respond_body(0, request, b"ab", true)),
        ("second head", |sim, request| sim.respond_head(0, request, Some(3), true)),
        ("gives up", |sim, request| sim.respond(0, Response::Aborted(request))),
        ("more than its credit", |sim, request| {
            sim.respond_body(0, request, &vec![0; BODY_CREDIT as usize + 1], false)
        }),
    ];
    let mut sim = Simulation::new();
    for (name, fault) in before {
        let (client, other) = (sim.connect(), sim.connect());
        sim.get(client, "/");
        sim.get(other, "/");
        let (head, other_head) = (sim.take_head(0), sim.take_head(0));
        fault(&mut sim, head.request);
        assert_eq!(sim.statuses(client), ["502"], "{name}");
        assert!(!sim.world.clients[&client].is_aborted);
        sim.respond_text(0, other_head.request, "fine");
        assert_eq!(sim.statuses(other), ["200"], "{name}");
        while sim.take(0).is_some() {}
    }
    for (name, fault) in after {
        let (client, other) = (sim.connect(), sim.connect());
        sim.get(client, "/");
        sim.get(other, "/");
        let (head, other_head) = (sim.take_head(0), sim.take_head(0));
        sim.respond_head(0, head.request, Some(3), true);
        fault(&mut sim, head.request);
        assert!(sim.world.clients[&client].is_aborted, "{name}: the client must see that it is not whole");
        sim.respond_text(0, other_head.request, "fine");
        assert_eq!(sim.statuses(other), ["200"], "{name}");
        while sim.take(0).is_some() {}
    }
    assert_eq!(sim.server.counts().exchanges, 0);
}

#[test]
fn announced_empty_body_keeps_the_request_open_until_its_end() {
    for (request_line, length) in [("GET / HTTP/1.1", Some(0)), ("HEAD / HTTP/1.1", Some(0))] {
        let mut s = Simulation::new();
        let client = s.connect();
        s.send(client, &format!("{request_line}\r\nHost: h\r\n\r\n"));
        s.get(client, "/next");
        let first = s.take_head(0).request;
        s.respond_head(0, first, length, true);
        assert_eq!((s.take(0), s.server.counts().exchanges), (None, 1), "the next request waits");
        s.respond_body(0, first, b"", true);
        let second = s.take_head(0).request;
        s.respond_text(0, second, "ok");
        assert_eq!((s.statuses(client).len(), s.server.counts().exchanges), (2, 0));
    }
}

#[test]
fn provider_cannot_touch_requests_of_another() {
    let mut sim = Simulation::new();
    let client = sim.connect();
    sim.get(client, "/lamp");
    let head = sim.take_head(1);
    for request in [head.request, 0, 1, 77, u32::MAX] {
        sim.respond_text(0, request, "stolen");
        sim.respond(0, Response::Aborted(request));
        sim.respond_credit(0, request, u32::MAX);
    }
    assert!(sim.got(client).is_empty());
    sim.respond_text(1, head.request, "right");
    assert!(sim.got(client).ends_with("right"));
}

#[test]
fn provider_that_breaks_its_ring_is_given_up() {
    let mut sim = Simulation::new();
    let (client, other) = (sim.connect(), sim.connect());
    sim.get(client, "/");
    sim.get(other, "/lamp");
    sim.server.on_provider_lost(0, &mut sim.world);
    sim.settle();
    sim.get(client, "/");
    assert_eq!(sim.statuses(client), ["502", "503"]);
    EchoProvider::new(1).work(&mut sim);
    assert_eq!(sim.statuses(other), ["200"]);
    assert_eq!(sim.server.register(0, "/x"), Err(Error::NoRoom));
    assert_eq!(sim.server.register(1, "/"), Ok(()), "another may take over");
    sim.get(client, "/");
    EchoProvider::new(1).work(&mut sim);
    assert_eq!(sim.statuses(client), ["502", "503", "200"]);
}

#[test]
fn large_answer_to_a_slow_client_stays_within_the_credits() {
    let mut sim = Simulation::new();
    let client = sim.connect_with(1000);
    sim.get(client, "/100000");
    let mut provider = EchoProvider::new(0);
    provider.work(&mut sim);
    let first = sim.got(client).len();
    assert_eq!(first, 1000);
    let mut rounds = 0;
    while !provider.is_idle() || !sim.got(client).ends_with("uvwxyzabcd") {
        sim.give_send_credit(client, 3000);
        provider.work(&mut sim);
        rounds += 1;
        assert!(rounds < 100);
    }
    assert!(rounds > 30);
    assert_eq!(sim.statuses(client), ["200"]);
}

#[test]
fn client_that_takes_nothing_is_reset_and_the_provider_told() {
    let mut sim = Simulation::new();
    let client = sim.connect_with(1000);
    sim.get(client, "/100000");
    let mut provider = EchoProvider::new(0);
    provider.work(&mut sim);
    sim.pass(19);
    assert!(!sim.world.clients[&client].is_aborted);
    sim.pass(2);
    assert!(sim.world.clients[&client].is_aborted);
    provider.work(&mut sim);
    assert!(provider.is_idle());
    assert_eq!(sim.server.counts(), Counts::default());
}

#[test]
fn large_upload_is_streamed_within_the_credits() {
    let mut sim = Simulation::new();
    let client = sim.connect();
    let body: Vec<u8> = (0..300_000u32).map(|place| b'a' + (place % 26) as u8).collect();
    let mut input = format!("POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    input.extend_from_slice(&body);
    let (mut at, mut provider) = (0, EchoProvider::new(0));
    let mut stuck = 0;
    while at < input.len() {
        let len = sim.deliver(client, &input[at..(at + 5000).min(input.len())]);
        at += len;
        stuck = if len == 0 { stuck + 1 } else { 0 };
        assert!(stuck < 3);
        if at > 100_000 || stuck > 0 {
            while provider.take(&mut sim) {}
        }
    }
    provider.work(&mut sim);
    assert!(sim.got(client).as_bytes().ends_with(&body[299_000..]));
    assert!(provider.is_idle());
}

#[test]
fn answer_before_the_end_of_the_upload_tells_the_provider_that_nothing_follows() {
    let mut sim = Simulation::new();
    let client = sim.connect();
    sim.send(client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
    let head = sim.take_head(0);
    sim.respond_text(0, head.request, "enough");
    assert!(matches!(sim.take(0), Some(Request::Body(_))));
    assert_eq!(sim.take(0), Some(Request::Cancelled(head.request)));
    sim.send(client, "defghij");
    sim.get(client, "/");
    EchoProvider::new(0).work(&mut sim);
    assert_eq!(sim.statuses(client), ["200", "200"]);
}

#[test]
fn slow_clients_are_cut_off() {
    let mut sim = Simulation::new();
    let (silent, half, drip, upload, idle) =
        (sim.connect(), sim.connect(), sim.connect(), sim.connect(), sim.connect());
    sim.send(half, "GET / HTTP/1.1\r\nHost:");
    sim.send(upload, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc");
    sim.get(idle, "/");
    let mut provider = EchoProvider::new(0);
    provider.work(&mut sim);
    for _ in 0..9 {
        sim.send(drip, "X");
        sim.pass(1);
    }
    assert!([silent, half, drip].iter().all(|client| sim.got(*client).is_empty()));
    sim.pass(2);
    assert_eq!(
        (sim.statuses(half), sim.statuses(drip), sim.statuses(silent)),
        (vec!["408".to_owned()], vec!["408".to_owned()], vec![])
    );
    assert!([silent, half, drip].iter().all(|client| sim.world.clients[client].is_finished));
    sim.pass(10);
    assert_eq!(sim.statuses(upload), ["408"]);
    provider.work(&mut sim);
    assert!(provider.is_idle(), "the upload is called off");
    assert!(!sim.world.clients[&idle].is_finished);
    sim.pass(45);
    assert!(sim.world.clients[&idle].is_finished);
    sim.pass(31);
    assert_eq!(sim.server.counts(), Counts::default(), "who never closes is reset");
    assert!(!sim.server.wants_ticks());
}

#[test]
fn body_that_drips_is_cut_off_and_one_that_flows_is_not() {
    let mut sim = Simulation::new();
    let (drip, flow) = (sim.connect(), sim.connect());
    let mut provider = EchoProvider::new(0);
    for client in [drip, flow] {
        sim.send(client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
    }
    for _ in 0..30 {
        sim.send(drip, "x");
        sim.send(flow, &"x".repeat(400));
        while provider.take(&mut sim) {}
        sim.pass(1);
    }
    assert_eq!((sim.statuses(drip), sim.statuses(flow)), (vec!["408".to_owned()], vec![]));
}

#[test]
fn half_closed_clients_get_their_answers() {
    let mut sim = Simulation::new();
    let (whole, partial, body, none) = (sim.connect(), sim.connect(), sim.connect(), sim.connect());
    sim.send(whole, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
    sim.send(partial, "GET / HT");
    sim.send(body, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
    for client in [whole, partial, body, none] {
        sim.finish(client);
    }
    EchoProvider::new(0).work(&mut sim);
    assert_eq!(
        (sim.statuses(whole), sim.statuses(partial)),
        (vec!["200".to_owned(), "200".to_owned()], vec!["400".to_owned()])
    );
    assert!(sim.world.clients[&body].is_aborted);
    assert!([whole, partial, none].iter().all(|client| sim.world.clients[client].is_finished));
    for client in [whole, partial, none] {
        sim.close(client);
    }
    assert_eq!(sim.server.counts(), Counts::default());
}

#[test]
fn full_stack_ring_loses_nothing() {
    let mut sim = Simulation::new();
    let client = sim.connect();
    sim.world.tcp_room = 0;
    sim.send(client, "GET /9000 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let mut provider = EchoProvider::new(0);
    provider.work(&mut sim);
    assert!(sim.got(client).is_empty());
    for _ in 0..10 {
        sim.world.tcp_room = 1;
        sim.settle();
    }
    assert!(sim.got(client).contains("/9000 abc"));
    assert_eq!(sim.got(client).len(), sim.got(client).find("\r\n\r\n").expect("a head") + 4 + 9006);
    assert!(sim.world.clients[&client].is_finished);
}

#[test]
fn stuck_provider_cannot_hoard_cancellations() {
    let mut sim = Simulation::new();
    sim.world.inbox_room = 40;
    let clients: Vec<u32> = (0..200).map(|_| sim.connect()).collect();
    for &client in &clients {
        sim.get(client, "/");
    }
    for &client in &clients {
        sim.close(client);
    }
    for _ in 0..500 {
        let client = sim.connect();
        sim.get(client, "/");
        sim.close(client);
    }
    assert_eq!((sim.server.counts().cancels, sim.server.counts().queued), (40, 0));
    let other = sim.connect();
    sim.get(other, "/lamp");
    EchoProvider::new(1).work(&mut sim);
    assert_eq!(sim.statuses(other), ["200"]);
    let mut woken = EchoProvider::new(0);
    while woken.take(&mut sim) {}
    assert!(woken.is_idle(), "it is told of every request that is called off");
    sim.get(other, "/");
    woken.work(&mut sim);
    assert_eq!(sim.statuses(other), ["200", "200"]);
    assert_eq!(sim.server.counts().cancels, 0);
}

#[test]
fn garbage_harms_nobody() {
    let mut sim = Simulation::new();
    let good = sim.connect();
    for garbage in [
        "\0\0\0\0",
        "\u{16}\u{3}\u{1}",
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "\n\n\n",
    ] {
        let bad = sim.connect();
        sim.send(bad, garbage);
        assert_eq!(sim.statuses(bad), ["400"], "{garbage:?}");
        sim.send(bad, "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(sim.world.clients[&bad].is_finished);
        sim.close(bad);
    }
    let bad = sim.connect();
    let mut sent = 0;
    while !sim.world.clients[&bad].is_finished {
        sent += sim.deliver(bad, &[b'A'; 1000]);
        assert!(sent < 10_000);
    }
    assert_eq!(sim.statuses(bad), ["414"]);
    assert!(sim.take(0).is_none());
    sim.get(good, "/");
    EchoProvider::new(0).work(&mut sim);
    assert_eq!(sim.statuses(good), ["200"]);
}

#[test]
fn many_requests_leave_no_entry_behind() {
    let mut sim = Simulation::new();
    let mut provider = EchoProvider::new(0);
    for _ in 0..20 {
        let clients: Vec<u32> = (0..10).map(|_| sim.connect()).collect();
        for _ in 0..100 {
            for &client in &clients {
                sim.get(client, "/page");
            }
            provider.work(&mut sim);
        }
        for &client in &clients {
            assert_eq!(sim.statuses(client).len(), 100);
            sim.close(client);
            sim.world.clients.remove(&client);
        }
    }
    assert_eq!(sim.server.counts(), Counts::default());
    assert!(sim.server.is_empty_but_for_reserves());
}

#[test]
fn aborted_answer_of_one_client_leaves_credit_of_others() {
    let mut sim = Simulation::new();
    let (gone, stays) = (sim.connect_with(100), sim.connect());
    sim.get(gone, "/50000");
    sim.get(stays, "/50000");
    let mut provider = EchoProvider::new(0);
    for _ in 0..4 {
        provider.take(&mut sim);
        provider.answer(&mut sim, 0, 4096);
    }
    sim.close(gone);
    provider.work(&mut sim);
    assert_eq!(sim.statuses(stays), ["200"]);
    let credit = Request::Credit(CreditBody { request: 0, bytes: 0 });
    assert!(!sim.world.inboxes[0].contains(&credit));
    assert!(provider.is_idle());
}
