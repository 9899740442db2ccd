//! The status provider against fake servers over loopback IPC.
#![expect(clippy::cast_possible_truncation, reason = "the numbers of tests are small")]

use crate::{FRESH_NS, Gatherer, Status};
use hybrid_interfaces::live::{Comparison, Live, LiveClient, LiveLoopback, LiveServer, Suspect, Verdict};
use hybrid_interfaces::log::{Cursor, CursorNext, Entry, Level, Reader, ReaderClient, ReaderLoopback, ReaderServer};
use hybrid_interfaces::provider::{
    Field, HostRings, Protocol, Request as Message, RequestHead, Requester, Response, host,
};
use hybrid_interfaces::security::{
    Error, Inspect, InspectClient, InspectGrant, InspectLoopback, InspectServer, InspectSummary, Instance, State,
};
use hybrid_ipc::{Caller, ClientId};
use hybrid_provider::{Outcome, Request, Responder, Serving, Verb};
use std::borrow::Cow;
use std::cell::Cell;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(3_600_000_000_000) };
}

fn now() -> u64 {
    NOW.get()
}

fn pass(nanoseconds: u64) {
    NOW.set(NOW.get() + nanoseconds);
}

/// securityd as far as the page asks.
struct Security {
    names: Vec<&'static str>,
    generation: u16,
    calls: u32,
    grant_calls: u32,
}

impl Inspect for Security {
    fn summary(&mut self, _client: ClientId) -> InspectSummary<'_> {
        self.calls += 1;
        InspectSummary {
            product: "gateway<&>".into(),
            version: "0.1.0".into(),
            instances: self.names.len() as u16,
            memory_total: 512 << 20,
            memory_free: 300 << 20,
            grants: 3 * self.names.len() as u32,
        }
    }

    fn instance(&mut self, _client: ClientId, index: u16) -> Result<Instance<'_>, Error> {
        self.calls += 1;
        let name = *self.names.get(usize::from(index)).ok_or(Error::NoSuchInstance)?;
        let state = if name == "broken" { State::Faulted } else { State::Running };
        Ok(Instance {
            index,
            name: name.into(),
            component: format!("servers/{name}").into(),
            state,
            generation: self.generation,
            priority: 150,
            memory_bytes: 9 << 20,
            heap_bytes: 3 << 20,
            capabilities: 3,
            detail: "".into(),
        })
    }

    fn grant(&mut self, _client: ClientId, index: u16, number: u16) -> Result<InspectGrant<'_>, Error> {
        self.grant_calls += 1;
        let name = *self.names.get(usize::from(index)).ok_or(Error::NoSuchInstance)?;
        Ok(InspectGrant {
            line: format!("{name}      call    netd.tcp   number{number}  # why <b>").into(),
            more: number < 2,
        })
    }
}

/// logd as far as the page asks.
#[derive(Default)]
struct Log {
    texts: Vec<String>,
    opened: u32,
}

struct Place(usize);

impl Reader for Log {
    type Cursor = Place;

    fn open(&mut self, _client: ClientId, newest: u16) -> Place {
        self.opened += 1;
        Place(self.texts.len().saturating_sub(newest.into()))
    }
}

impl Cursor<Log> for Place {
    fn next<'a>(&'a mut self, server: &'a mut Log, _client: ClientId) -> CursorNext<'a> {
        let entry = server.texts.get(self.0).map(|text| Entry {
            sequence: self.0 as u64,
            at_ns: 1_234_567_890,
            level: Level::Warn,
            dropped_before: 0,
            component: "netd".into(),
            target: "netd::tcp".into(),
            text: text.as_str().into(),
        });
        self.0 += usize::from(entry.is_some());
        CursorNext { entry, missed: 0 }
    }
}

/// auditd as far as the page asks: so many lines differ.
struct Auditor(u32);

impl Live for Auditor {
    fn compare(&mut self, _: ClientId) -> Comparison {
        panic!("the page has nobody look");
    }

    fn look(&mut self, client: ClientId) -> Comparison {
        self.compare(client)
    }

    fn last(&mut self, _: ClientId) -> Comparison {
        let verdict = if self.0 == 0 { Verdict::AsDeclared } else { Verdict::Different };
        let (at_ns, number) = (3_599_000_000_000, 7);
        Comparison { verdict, equal: 178, differences: self.0, absent: 2, capabilities: 4997, number, at_ns }
    }

    fn difference(&mut self, _: ClientId, number: u32) -> Option<Cow<'_, str>> {
        (number < self.0).then(|| format!("+ httpd call <b> slot={number}").into())
    }

    fn line(&mut self, _: ClientId, _: u32) -> Option<Cow<'_, str>> {
        panic!("the page does not ask for all");
    }

    fn suspect(&mut self, _: ClientId, _: u32) -> Option<Suspect<'_>> {
        panic!("the page does not judge");
    }
}

struct World {
    security: InspectLoopback<Security>,
    log: ReaderLoopback<Log>,
    live: LiveLoopback<Auditor>,
}

impl World {
    fn new() -> Self {
        let security =
            Security { names: vec!["securityd", "httpd", "broken"], generation: 1, calls: 0, grant_calls: 0 };
        let log = Log { texts: (0..40).map(|number| format!("entry {number}")).collect(), opened: 0 };
        World {
            security: InspectLoopback::new(InspectServer::new(security)),
            log: ReaderLoopback::new(ReaderServer::new(log)),
            live: LiveLoopback::new(LiveServer::new(Auditor(0))),
        }
    }

    /// Calls for summaries and instances, and calls for grants.
    fn calls(&self) -> (u32, u32) {
        let security = self.security.server();
        (security.server.calls, security.server.grant_calls)
    }

    fn status(&self) -> Status<impl Caller, impl Caller, impl Caller> {
        let inspect = InspectClient::new(self.security.connect(8));
        let reader = ReaderClient::new(self.log.connect(8));
        Status::new(Gatherer::new(inspect, reader, LiveClient::new(self.live.connect(8))), now)
    }
}

fn head(verb: Verb, path: &'static str) -> RequestHead<'static> {
    let requester =
        Requester { protocol: Protocol::Http, address: "10.0.2.2".into(), is_encrypted: false, identity: None };
    let metadata = vec![Field { name: "accept".into(), value: "*/*".into() }];
    RequestHead { request: 1, verb, path: path.into(), query: "".into(), requester, metadata, has_body: false }
}

/// Asks over real rings, as httpd does: the outcome, the media type and the body.
fn ask<I: Caller, L: Caller, A: Caller>(
    status: Status<I, L, A>,
    verb: Verb,
    path: &'static str,
) -> (Status<I, L, A>, Outcome, String, String) {
    let region = hybrid_ring::Region::on_heap(host::REGION_BYTES);
    let mut server = HostRings::server(&region).expect("fits");
    let mut serving = Serving::new(status, HostRings::client(&region).expect("fits"));
    server.requests.push(&Message::Head(head(verb, path))).expect("room");
    let (mut scratch, mut outcome, mut media, mut body) = (Vec::new(), None, String::new(), Vec::new());
    loop {
        serving.on_bell().expect("sound");
        let Some(response) = server.responses.pop(&mut scratch).expect("sound") else { break };
        match response {
            Response::Head(head) => (outcome, media) = (Some(head.outcome), head.media_type.into_owned()),
            Response::Body(chunk) => {
                body.extend_from_slice(&chunk.data);
                let bytes = chunk.data.len() as u32;
                server
                    .requests
                    .push(&Message::Credit(hybrid_interfaces::provider::CreditBody { request: 1, bytes }))
                    .expect("room");
            }
            other => panic!("{other:?}"),
        }
    }
    (serving.into_provider(), outcome.expect("an answer"), media, String::from_utf8(body).expect("text"))
}

#[test]
fn page_shows_everything_and_escapes_it() {
    let world = World::new();
    world.log.server().server.texts.push("<script>evil()</script>".into());
    let (_, outcome, media, body) = ask(world.status(), Verb::Read, "/");
    assert_eq!((outcome, media.as_str()), (Outcome::Ok, "text/html; charset=utf-8"));
    for part in [
        "gateway&lt;&amp;&gt;",
        "0.1.0",
        "1 h 0 min",
        "212 MiB",
        "512 MiB",
        "securityd",
        "httpd",
        "broken",
        "faulted",
        "9 MiB",
        "call netd.tcp number2 # why &lt;b&gt;",
        "entry 39",
        "as declared<small>4997 capabilities, 1 s ago",
        "&lt;script&gt;evil()",
    ] {
        assert!(body.contains(part), "{part} is missing in {body}");
    }
    assert!(!body.contains("<script") && !body.contains("entry 10<"));
    assert!(body.starts_with("<!DOCTYPE html>") && body.ends_with("</html>\n"));
    for tag in ["section", "div", "details", "summary", "pre", "p", "span", "b", "main", "header"] {
        let opened = body.matches(&format!("<{tag}>")).count() + body.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, body.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    assert!(!body.contains("http://") && !body.contains("https://"), "nothing from elsewhere");
}

#[test]
fn json_has_the_documented_shape() {
    let world = World::new();
    let (_, outcome, media, body) = ask(world.status(), Verb::Read, "/api/status");
    assert_eq!((outcome, media.as_str()), (Outcome::Ok, "application/json"));
    let json: serde_json::Value = serde_json::from_str(&body).expect("valid JSON");
    assert_eq!(json["product"], "gateway<&>");
    assert_eq!(
        (json["uptime_ms"].as_u64(), json["grants"].as_u64(), json["problem"].is_null()),
        (Some(3_600_000), Some(9), true)
    );
    assert_eq!(json["memory"]["components"]["httpd"].as_u64(), Some(9 << 20));
    assert_eq!(json["memory"]["heap_in_use"]["httpd"].as_u64(), Some(3 << 20));
    assert_eq!(json["memory"]["total_bytes"].as_u64(), Some(512 << 20));
    let broken = &json["components"][2];
    assert_eq!((broken["name"].as_str(), broken["state"].as_str()), (Some("broken"), Some("faulted")));
    assert_eq!(broken["grants"][1], "call netd.tcp number1 # why <b>");
    assert_eq!(json["log"].as_array().map(Vec::len), Some(30));
    let last = &json["log"][29];
    assert_eq!(
        (last["sequence"].as_u64(), last["level"].as_str(), last["text"].as_str(), last["at_us"].as_u64()),
        (Some(39), Some("warn"), Some("entry 39"), Some(1_234_567))
    );
    for key in ["version", "live", "components", "log", "memory", "product", "uptime_ms", "grants", "problem"] {
        assert!(json.get(key).is_some(), "{key}");
    }
}

#[test]
fn verdict_is_shown_with_the_first_lines_that_differ() {
    let world = World::new();
    let live = |json: &str| serde_json::from_str::<serde_json::Value>(json).expect("valid JSON")["live"].clone();
    let (status, _, _, body) = ask(world.status(), Verb::Read, "/api/status");
    let found = live(&body);
    assert_eq!((found["verdict"].as_str(), found["comparison"].as_u64()), (Some("as declared"), Some(7)));
    assert_eq!(
        (found["at_us"].as_u64(), found["differences"].as_array().map(Vec::len)),
        (Some(3_599_000_000), Some(0))
    );
    world.live.server().server.0 = 40;
    pass(FRESH_NS);
    let (status, _, _, body) = ask(status, Verb::Read, "/api/status");
    let found = live(&body);
    assert_eq!((found["verdict"].as_str(), found["different"].as_u64()), (Some("not as declared"), Some(40)));
    assert_eq!(found["differences"].as_array().map(Vec::len), Some(32), "no page without end");
    assert_eq!(found["differences"][31], "+ httpd call <b> slot=31");
    let (status, _, _, body) = ask(status, Verb::Read, "/");
    assert!(body.contains("<h2>Not as declared</h2>") && body.contains("+ httpd call &lt;b&gt; slot=0\n"), "{body}");
    world.live.kill();
    pass(FRESH_NS);
    let (_, _, _, body) = ask(status, Verb::Read, "/api/status");
    assert!(live(&body).is_null() && body.contains("the auditor does not answer"));
}

#[test]
fn other_paths_and_verbs_are_refused() {
    let world = World::new();
    let (status, outcome, _, _) = ask(world.status(), Verb::Read, "/nope");
    assert_eq!(outcome, Outcome::NotFound);
    let (status, outcome, _, _) = ask(status, Verb::Create, "/api/status/x");
    assert_eq!(outcome, Outcome::NotFound);
    let (status, outcome, _, _) = ask(status, Verb::Delete, "/");
    assert_eq!(outcome, Outcome::VerbNotAllowed);
    let (_, outcome, _, body) = ask(status, Verb::Describe, "/");
    assert_eq!((outcome, body.as_str()), (Outcome::Ok, ""));
    assert_eq!(world.security.server().server.grant_calls, 9);
}

#[test]
fn many_requests_cost_no_calls_until_the_page_is_old() {
    let world = World::new();
    let mut status = world.status();
    let get = |status: &mut Status<_, _, _>| {
        let mut respond = Responder::default();
        let head = head(Verb::Read, "/");
        hybrid_provider::Provider::handle(status, &Request::new(&head, &[]), &mut respond);
    };
    get(&mut status);
    let after_first = world.calls();
    assert_eq!(after_first, (4, 9));
    for _ in 0..1000 {
        get(&mut status);
    }
    assert_eq!(world.calls(), (4, 9));
    pass(FRESH_NS);
    get(&mut status);
    assert_eq!(world.calls(), (8, 9), "the grants are kept");
    world.security.server().server.generation = 2;
    pass(FRESH_NS);
    get(&mut status);
    assert_eq!(world.security.server().server.grant_calls, 18, "a restart invalidates them");
    world.security.server().server.names.push("new");
    pass(FRESH_NS);
    get(&mut status);
    assert_eq!(world.security.server().server.grant_calls, 30, "so does another component");
    assert_eq!(world.log.server().server.opened, 1);
}

#[test]
fn log_is_followed() {
    let world = World::new();
    let (status, _, _, body) = ask(world.status(), Verb::Read, "/");
    assert!(body.contains("entry 10<") && body.contains("entry 39<"));
    world.log.server().server.texts.push("the newest".into());
    pass(FRESH_NS);
    let (_, _, _, body) = ask(status, Verb::Read, "/");
    assert!(body.contains("the newest") && !body.contains("entry 10<") && body.contains("entry 11<"));
}

#[test]
fn dead_servers_are_told_not_hidden() {
    let world = World::new();
    let (status, _, _, _) = ask(world.status(), Verb::Read, "/");
    world.log.kill();
    pass(FRESH_NS);
    let (status, outcome, _, body) = ask(status, Verb::Read, "/");
    assert_eq!(outcome, Outcome::Ok);
    assert!(body.contains("the log does not answer") && body.contains("httpd"));
    world.security.kill();
    pass(FRESH_NS);
    let (_, outcome, _, body) = ask(status, Verb::Read, "/api/status");
    assert_eq!(outcome, Outcome::Ok);
    let json: serde_json::Value = serde_json::from_str(&body).expect("valid JSON");
    assert_eq!(json["problem"], "neither the security server nor the log answers");
}

#[test]
fn log_that_is_started_anew_is_read_again_at_once() {
    let world = World::new();
    let (status, _, _, _) = ask(world.status(), Verb::Read, "/");
    // The cursor of the old log is stale; the callers of the interface are renewed, as securityd does it.
    world.log.server().server.texts = vec!["after the restart".into()];
    world.log.server().objects.close_client(hybrid_ipc::ClientId::of(8));
    pass(FRESH_NS);
    let (_, _, _, body) = ask(status, Verb::Read, "/");
    assert!(body.contains("after the restart") && !body.contains("the log does not answer"), "{body}");
}
