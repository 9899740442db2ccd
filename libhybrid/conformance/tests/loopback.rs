//! Generated clients against generated dispatchers: operations, errors, objects, capabilities, events, retries.
mod server;

use hybrid_idl_conformance::test::everything::{
    Color, EverythingClient, EverythingLoopback, EverythingRenamed, EverythingServer, EverythingTicked, Parts, Problem,
    Shape,
};
use hybrid_idl_conformance::test::limits::{Largest, LargestClient, LargestLoopback, LargestServer};
use hybrid_ipc::{
    Badge, CallError, CapSlot, ClientId, Dispatch, Incoming, LoopbackCaller, NotificationCap, Outgoing, RegionCap,
    Sampler, reply,
};
use proptest::prelude::*;
use server::Tree;
use std::borrow::Cow;

type Client = EverythingClient<LoopbackCaller<EverythingServer<Tree>>>;

fn start() -> (EverythingLoopback<Tree>, Client) {
    let loopback = EverythingLoopback::new(EverythingServer::new(Tree::default()));
    let client = EverythingClient::new(loopback.connect(7));
    (loopback, client)
}

#[test]
fn scalars_go_through_registers() {
    let (loopback, mut client) = start();
    assert_eq!(client.nothing(), Ok(()));
    let sum = client.add(u32::MAX, i32::MIN, true, Color::Blue).expect("alive");
    assert_eq!((sum.sum, sum.is_odd, sum.color), (i64::from(u32::MAX) + i64::from(i32::MIN), true, Color::Blue));
    assert_eq!(loopback.server().server.last_client, Some(ClientId::of(7)));
}

#[test]
fn data_goes_through_the_payload() {
    let (loopback, mut client) = start();
    let many = client.many(1, 2, 3, 4, 5).expect("alive");
    assert_eq!((many.a, many.e), (5, 1));
    for seed in 0..200 {
        let parts = Parts::sample(&mut Sampler::new(seed));
        assert_eq!(client.echo(&parts).expect("every value fits"), parts);
    }
    let shapes = [Shape::Circle(3), Shape::Nothing];
    let mixed = client.mixed("name", Some(b"12"), Some(&shapes[0]), &shapes, [1; 6], Some(Color::Red)).expect("alive");
    assert_eq!(mixed.text.as_deref(), Some("namename"));
    assert_eq!(loopback.server().server.mixed, "name 2 Some(Circle(3)) 2 6 Some(Red)");
    let mixed = client.mixed("", None, None, &[], [0; 6], None).expect("alive");
    assert_eq!((mixed.text, mixed.count), (None, 0));
}

#[test]
fn argument_beyond_its_bound_is_not_sent() {
    let (loopback, mut client) = start();
    assert_eq!(client.mixed("seventeen letters", None, None, &[], [0; 6], None), Err(CallError::BadMessage));
    assert_eq!(loopback.server().server.calls, 0);
}

#[test]
fn result_beyond_its_bound_is_not_sent() {
    let (loopback, mut client) = start();
    assert_eq!(client.mixed("fourteen bytes", Some(b"12"), None, &[], [0; 6], None), Err(CallError::BadMessage));
    assert_eq!(loopback.server().server.calls, 1);
}

proptest! {
    /// A hostile client: any ordinal, any words, any object, with and without a capability.
    #[test]
    fn dispatcher_hostile_requests_always_get_a_reply(
        label in prop_oneof![0_u64..25, Just(hybrid_ipc::CLOSE), any::<u64>()],
        object: u16, words: Vec<u64>, payload: Option<Vec<u8>>, has_cap: bool,
    ) {
        let (loopback, mut client) = start();
        let _root = client.root();
        let mut request = Outgoing::new();
        match &payload {
            Some(bytes) => request.set_payload(label, |w| w.raw(bytes)).expect("shorter than a message"),
            None => request.set_registers(label, &words),
        }
        let registers = request.registers();
        let cap = has_cap.then_some(CapSlot(1));
        let mut incoming = Incoming::new();
        let badge = Badge::new(ClientId::of(7), 0, 1).with_object(object % 3);
        incoming.receive(badge.0, label, request.length(), registers, cap, |index| {
            request.buffer_words().find(|(at, _)| *at == index).map_or(0, |(_, word)| word)
        });
        let mut answer = Outgoing::new();
        loopback.server().dispatch(&incoming, &mut answer);
        let known = [reply::OK, reply::DOMAIN, reply::BAD_MESSAGE, reply::UNKNOWN_OPERATION, reply::QUOTA, reply::STALE];
        prop_assert!(known.contains(&answer.label()));
    }

    /// A hostile server: any label, any words.
    #[test]
    fn client_hostile_replies_are_errors_or_values(label in 0_u64..30, words: Vec<u64>, payload: Option<Vec<u8>>) {
        let mut answer = Outgoing::new();
        match &payload {
            Some(bytes) => answer.set_payload(label, |w| w.raw(bytes)).expect("shorter than a message"),
            None => answer.set_registers(label, &words),
        }
        let (answering, _) = server::Answering::new(answer, false);
        let mut client = EverythingClient::new(answering);
        let _ = client.nothing();
        let _ = client.add(1, 1, true, Color::Red);
        let _ = client.fail(1);
        let _ = client.pull_renamed();
        let _ = client.pull_ticked();
        let _ = client.mixed("", None, None, &[], [0; 6], None);
        prop_assert!(client.bell().is_err(), "no capability came");
        prop_assert!(client.root().is_err());
    }
}

#[test]
fn capabilities_that_nobody_expects_are_deleted() {
    for (label, words) in [(reply::OK, 0), (reply::OK, 1), (reply::DOMAIN, 1), (reply::BAD_MESSAGE, 0)] {
        let mut answer = Outgoing::new();
        answer.set_registers(label, &[1; 1][..words]);
        let (answering, live) = server::Answering::new(answer, true);
        let mut client = EverythingClient::new(answering);
        let _ = client.nothing();
        assert_eq!(live.get(), 0, "an operation without a capability");
        let _ = client.frame();
        assert_eq!(live.get(), u32::from((label, words) == (reply::OK, 1)), "the frame is the client's");
        live.set(0);
        drop(client.root());
        assert_eq!(live.get(), 0, "dropping the object deletes its capability");
    }
}

#[test]
fn largest_message_fits_and_a_larger_one_does_not() {
    struct Echo;
    impl Largest for Echo {
        fn echo(&mut self, _: ClientId, text: &str) -> Cow<'_, str> {
            Cow::Owned(text.to_owned())
        }
        fn last(&mut self, _: ClientId) {}
    }
    let loopback = LargestLoopback::new(LargestServer::new(Echo));
    let mut client = LargestClient::new(loopback.connect(1));
    let text = "x".repeat(926);
    assert_eq!(client.echo(&text).expect("fits"), text);
    assert_eq!(client.echo(&"x".repeat(927)), Err(CallError::BadMessage));
}

#[test]
fn domain_errors_arrive_and_unknown_codes_do_not() {
    let (_, mut client) = start();
    assert_eq!(client.fail(1), Err(CallError::Domain(Problem::NotFound)));
    assert_eq!(client.fail(2), Err(CallError::Domain(Problem::NoRoom)));
    assert_eq!(client.fail(9), Ok(9));
}

#[test]
fn objects_are_handed_out_used_and_closed() {
    let (loopback, mut client) = start();
    let mut root = client.root().expect("alive");
    assert_eq!(root.name().expect("alive"), "/");
    let mut sub = root.open_folder("sub").expect("there is room");
    assert_eq!(sub.name().expect("alive"), "/sub");
    let (mut file, size) = sub.open_file("data").expect("there is room");
    assert_eq!(size, 4);
    assert_eq!(file.read(1, 2).expect("alive"), &b"at"[..]);
    let (mut parent, facts) = file.parent().expect("there is room for a third");
    assert_eq!((parent.name().expect("alive"), facts.depth), (Cow::Borrowed("/sub"), 1));
    assert_eq!(root.open_folder("gone").map(|_| ()), Err(CallError::Quota), "three are live");
    drop(parent);
    assert_eq!(root.open_folder("missing").map(|_| ()), Err(CallError::Domain(Problem::NotFound)));
    assert_eq!(loopback.server().objects.folder.count(ClientId::of(7)), 2, "an error leaves no object");
    drop((root, sub, file));
    let server = loopback.server();
    assert_eq!(server.objects.folder.count(ClientId::of(7)), 0);
    assert_eq!(server.objects.file.count(ClientId::of(7)), 0);
}

#[test]
fn quota_is_per_client_and_checked_before_the_server_runs() {
    let (loopback, mut client) = start();
    let roots: Vec<_> = (0..3).map(|_| client.root().expect("there is room")).collect();
    let calls = loopback.server().server.calls;
    assert_eq!(client.root().map(|_| ()), Err(CallError::Quota));
    assert_eq!(loopback.server().server.calls, calls, "the server was not asked");
    let mut other = EverythingClient::new(loopback.connect(8));
    assert!(other.root().is_ok(), "another client has its own quota");
    drop(roots);
    assert!(client.root().is_ok());
}

#[test]
fn objects_of_a_restarted_server_are_stale() {
    let (loopback, mut client) = start();
    let mut root = client.root().expect("alive");
    loopback.restart(EverythingServer::new(Tree::default()));
    assert_eq!(root.name(), Err(CallError::Stale));
    assert_eq!(client.root().map(|_| ()), Err(CallError::Stale), "so is the old way to the interface");
    let mut client = EverythingClient::new(loopback.connect(7));
    assert!(client.root().is_ok());
}

#[test]
fn objects_closed_by_the_server_are_stale() {
    let (loopback, mut client) = start();
    let mut root = client.root().expect("alive");
    loopback.server().objects.close_client(ClientId::of(7));
    assert_eq!(root.name(), Err(CallError::Stale));
}

#[test]
fn death_of_the_server_is_told_and_only_idempotent_operations_are_retried() {
    let (loopback, mut client) = start();
    loopback.kill();
    assert_eq!(client.nothing(), Err(CallError::ServerDied));
    assert_eq!(client.add(1, 1, false, Color::Red).map(|_| ()), Err(CallError::ServerDied), "nobody took its place");
    loopback.restart(EverythingServer::new(Tree::default()));
    assert_eq!(client.nothing(), Err(CallError::Stale));

    // Died in the middle of a call, and restarted: the retry reaches the new generation.
    let flaky = server::Flaky::new(loopback.connect(7));
    let mut client = EverythingClient::new(flaky);
    assert_eq!(client.nothing(), Err(CallError::ServerDied));
    let mut client = EverythingClient::new(server::Flaky::new(loopback.connect(7)));
    assert_eq!(client.add(1, 1, false, Color::Red).expect("retried").sum, 2);
}

#[test]
fn capabilities_are_passed_both_ways() {
    let (loopback, mut client) = start();
    assert_eq!(client.subscribe(5, NotificationCap(CapSlot(33))), Ok(()));
    assert_eq!(loopback.server().server.bell, Some(NotificationCap(CapSlot(33))));
    assert_eq!(client.bell(), Ok(NotificationCap(CapSlot(33))));
    assert_eq!(client.share(RegionCap(CapSlot(44)), "name"), Ok(4));
    assert_eq!(client.frame(), Ok((RegionCap(CapSlot(44)), 4096)));
}

#[test]
fn request_without_its_capability_is_refused() {
    let (loopback, _) = start();
    let mut request = Outgoing::new();
    request.set_registers(8, &[5]);
    let mut answer = Incoming::new();
    hybrid_ipc::Caller::call(&mut loopback.connect(7), &request, &mut answer);
    assert_eq!(answer.label(), reply::BAD_MESSAGE);
}

#[test]
fn events_are_pulled_once() {
    let (loopback, mut client) = start();
    assert_eq!(client.pull_ticked(), Ok(None));
    assert_eq!(client.pull_renamed(), Ok(None));
    let renamed = EverythingRenamed { name: Cow::Borrowed("new"), shapes: vec![Shape::Colored(Color::Green)] };
    {
        let mut server = loopback.server();
        server.server.ticked = Some(EverythingTicked { count: 3, color: Color::Green });
        server.server.renamed = Some(renamed.clone());
        server.server.is_emptied = true;
    }
    assert_eq!(client.pull_ticked(), Ok(Some(EverythingTicked { count: 3, color: Color::Green })));
    assert_eq!(client.pull_renamed(), Ok(Some(renamed)));
    assert!(client.pull_emptied().expect("alive").is_some());
    assert_eq!(client.pull_ticked(), Ok(None));
    assert_eq!(client.pull_renamed(), Ok(None));
    assert_eq!(client.pull_emptied(), Ok(None));
}
