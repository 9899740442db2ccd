//! The provider of docs/writing-a-provider.md, so that the guide stays true.

use hybrid_interfaces::provider::{
    Chunk, HostRings, Outcome, Protocol, Request as Message, RequestHead, Requester, Response, host,
};
use hybrid_provider::{Provider, Request, Responder, Serving, Verb};
use hybrid_ring::Region;

struct Lamp {
    is_on: bool,
}

impl Provider for Lamp {
    fn handle(&mut self, request: &Request<'_>, respond: &mut Responder) {
        match (request.verb, request.path) {
            (Verb::Read, "/") => respond.text(if self.is_on { "on\n" } else { "off\n" }),
            (Verb::Replace, "/") => {
                self.is_on = request.body == b"on";
                respond.text("done\n");
            }
            (_, "/") => respond.verb_not_allowed("GET, PUT"),
            _ => respond.not_found(),
        }
    }
}

#[test]
fn lamp_of_the_guide_works() {
    let region = Region::on_heap(host::REGION_BYTES);
    let mut server = HostRings::server(&region).expect("fits");
    let mut serving = Serving::new(Lamp { is_on: false }, HostRings::client(&region).expect("fits"));
    let mut ask = |verb, path: &'static str, body: &'static [u8]| {
        let requester =
            Requester { protocol: Protocol::Http, address: "::1".into(), is_encrypted: false, identity: None };
        let has_body = !body.is_empty();
        let head = RequestHead {
            request: 9,
            verb,
            path: path.into(),
            query: "".into(),
            requester,
            metadata: vec![],
            has_body,
        };
        server.requests.push(&Message::Head(head)).expect("room");
        if has_body {
            server.requests.push(&Message::Body(Chunk { request: 9, data: body.into(), is_last: true })).expect("room");
        }
        serving.on_bell().expect("sound");
        let (mut scratch, mut outcome, mut text) = (Vec::new(), None, String::new());
        while let Some(response) = server.responses.pop(&mut scratch).expect("sound") {
            match response {
                Response::Head(head) => outcome = Some(head.outcome),
                Response::Body(chunk) => text.push_str(std::str::from_utf8(&chunk.data).expect("text")),
                other => panic!("{other:?}"),
            }
        }
        (outcome.expect("an answer"), text)
    };
    assert_eq!(ask(Verb::Read, "/", b""), (Outcome::Ok, "off\n".into()));
    assert_eq!(ask(Verb::Replace, "/", b"on"), (Outcome::Ok, "done\n".into()));
    assert_eq!(ask(Verb::Read, "/", b""), (Outcome::Ok, "on\n".into()));
    assert_eq!(ask(Verb::Delete, "/", b"").0, Outcome::VerbNotAllowed);
    assert_eq!(ask(Verb::Read, "/x", b"").0, Outcome::NotFound);
}
