//! Sessions that come and go ten thousand times, in any order and at any failure: what is held is what is open.

use alloc::string::String;
use alloc::vec::Vec;

use hybrid_capgraph::{Graph, layout, text_of};
use hybrid_start::peers::{self, Condition, Peer};

use super::super::restart::tests::{Random, resources};
use super::super::tests::{check_sessions, check_slots, graph, installed_of, object, peers_page};
use super::super::{State, World};
use super::{Demand, NotOpened};
use crate::fake::FakeKernel;

/// The gateway with small memories, in which the shell and the status page ask for the log, and netd and httpd for alarms.
fn demanding() -> Graph {
    let mut graph = graph();
    for instance in &mut graph.instances {
        (instance.stack, instance.heap) = (instance.stack.min(8192), instance.heap.min(4096));
        instance.dma.iter_mut().for_each(|dma| dma.bytes = 8192);
    }
    for bytes in graph.sessions.iter_mut().filter_map(|session| session.region.as_mut()) {
        *bytes = 4096;
    }
    for (server, offer) in [("logd", "reader"), ("timed", "alarm")] {
        let server = graph.instances.iter_mut().find(|instance| instance.name == server).unwrap();
        let provided = server.provides.iter_mut().find(|provided| provided.name == offer).unwrap();
        for number in &provided.sessions {
            graph.sessions[usize::from(*number)].is_on_demand = true;
        }
    }
    assert!(graph.is_coherent());
    graph
}

fn id(world: &World<FakeKernel>, name: &str) -> u16 {
    world.graph.named(name).unwrap().id
}

fn number(world: &World<FakeKernel>, client: &str, name: &str) -> usize {
    world.on_demand(id(world, client), name).unwrap()
}

/// Everything held is declared, and exactly what is open is held of what is on demand.
fn check_held(world: &World<FakeKernel>) {
    let made: Vec<_> = world.live.iter().flat_map(|live| live.grants.iter().cloned()).collect();
    let mut declared = world.graph.grants();
    for (number, session) in world.graph.sessions.iter().enumerate().filter(|(number, _)| !world.is_open(*number)) {
        let call = world.graph.call_grant(session, 1);
        let bell = world.graph.client_bell_grant(session);
        let before = declared.len();
        declared.retain(|grant| *grant != call && Some(grant) != bell.as_ref());
        assert!(declared.len() < before, "session {number}");
    }
    assert_eq!(text_of(&made), text_of(&declared));
    check_slots(world);
    check_sessions(world);
    let open = world.demands.iter().filter(|demand| matches!(demand, Demand::Open(_))).count();
    assert_eq!(
        open,
        world
            .graph
            .sessions
            .iter()
            .enumerate()
            .filter(|(number, session)| session.is_on_demand && world.is_open(*number))
            .count()
    );
}

/// How the server of a session sees its client, and the client its server.
fn seen(world: &World<FakeKernel>, number: usize) -> (Peer, Peer) {
    let session = &world.graph.sessions[number];
    let server = world.graph.instance(session.server).unwrap();
    let place =
        server.provides.iter().flat_map(|provided| &provided.sessions).position(|other| usize::from(*other) == number);
    let client = peers_page(world, server.id)[peers::client_word(place.unwrap()).unwrap()];
    let used = peers_page(world, session.client)[peers::use_word(usize::from(session.client_use)).unwrap()];
    (Peer::from_word(client), Peer::from_word(used))
}

#[test]
fn session_is_there_when_it_is_asked_for_and_gone_when_it_is_closed() {
    let mut world = installed_of(demanding());
    check_held(&world);
    let (session, before) = (number(&world, "shell", "reader"), resources(&world));
    let closed = Peer { condition: Condition::Closed, epoch: 1 };
    assert_eq!(seen(&world, session), (closed, closed));
    for epoch in 2..5 {
        world.kernel.signals.clear();
        assert_eq!(world.open_session(session), Ok(true));
        let up = Peer { condition: Condition::Up, epoch };
        assert_eq!(seen(&world, session), (up, up));
        let supervision = layout::bell_badge(peers::SUPERVISION_BIT);
        assert_eq!(world.kernel.signals, [supervision, supervision], "both sides look at their pages");
        check_held(&world);
        assert_eq!(world.open_session(session), Ok(false), "it is open");
        assert!(world.end_session(session, Demand::Closed));
        assert!(!world.end_session(session, Demand::Closed));
        let closed = Peer { condition: Condition::Closed, epoch };
        assert_eq!(seen(&world, session), (closed, closed));
        check_held(&world);
        assert_eq!(resources(&world), before);
    }
}

#[test]
fn what_is_not_listed_on_demand_cannot_be_asked_for() {
    let world = installed_of(demanding());
    let asked = |client: &str, name: &str| world.on_demand(id(&world, client), name).err();
    assert_eq!(asked("shell", "terminal"), Some(NotOpened::NotListed), "a session for life");
    assert_eq!(asked("shell", "tcp"), Some(NotOpened::NotListed));
    assert_eq!(asked("nic", "reader"), Some(NotOpened::NotListed), "another's");
    assert_eq!(world.on_demand(4000, "reader"), Err(NotOpened::NotListed));
    assert_eq!(asked("shell", "reader"), None);
}

#[test]
fn server_has_no_more_sessions_at_once_than_it_offers() {
    let mut graph = demanding();
    let logd = graph.instances.iter_mut().find(|instance| instance.name == "logd").unwrap();
    logd.provides.iter_mut().find(|provided| provided.name == "reader").unwrap().max_open = 1;
    let mut world = installed_of(graph);
    let (shell, status) = (number(&world, "shell", "reader"), number(&world, "status", "reader"));
    assert_eq!((world.open_session(shell), world.open_session(status)), (Ok(true), Err(NotOpened::Full)));
    assert_eq!(world.open_session(shell), Ok(false));
    world.end_session(shell, Demand::Closed);
    assert_eq!((world.open_session(status), world.open_session(shell)), (Ok(true), Err(NotOpened::Full)));
    check_held(&world);
}

#[test]
fn session_revoked_takes_every_copy_and_stays_refused_until_it_is_permitted() {
    let mut world = installed_of(demanding());
    let session = number(&world, "shell", "reader");
    assert_eq!(world.open_session(session), Ok(true));
    // The shell receives objects, so it holds its own CNode: it can copy its capability elsewhere.
    let place = world.place(id(&world, "shell")).unwrap();
    let cnode = object(&world, world.live[place].cnode);
    let slot = u64::from(layout::call_slot(usize::from(world.graph.sessions[session].client_use)));
    let copy = world.kernel.slots(cnode)[&slot];
    world.kernel.plant(cnode, 200, copy);
    assert!(world.end_session(session, Demand::Revoked));
    assert!(!world.kernel.slots(cnode).contains_key(&200), "the copy outlived the revocation");
    check_held(&world);
    assert_eq!(world.open_session(session), Err(NotOpened::Revoked));
    assert!(!world.end_session(session, Demand::Closed));
    assert_eq!(world.open_session(session), Err(NotOpened::Revoked), "closing permits nothing");
    assert!(world.stop(id(&world, "shell"), State::Killed, String::new()));
    assert_eq!(world.start_again(place), Ok(()));
    assert_eq!(world.open_session(session), Err(NotOpened::Revoked), "dying permits nothing");
    world.permit_session(session);
    assert_eq!(world.open_session(session), Ok(true));
}

#[test]
fn session_survives_its_server_and_ends_with_its_client() {
    let mut world = installed_of(demanding());
    let session = number(&world, "httpd", "alarm");
    let (httpd, timed) = (id(&world, "httpd"), id(&world, "timed"));
    let before = resources(&world);
    assert_eq!(world.open_session(session), Ok(true));
    assert!(world.stop(timed, State::Faulted, String::new()));
    assert_eq!(world.open_session(number(&world, "netd", "alarm")), Err(NotOpened::ServerDown));
    let place = world.place(timed).unwrap();
    assert_eq!(world.start_again(place), Ok(()));
    check_held(&world);
    assert_eq!(seen(&world, session).0, Peer { condition: Condition::Up, epoch: 3 });
    let place = world.place(httpd).unwrap();
    assert!(world.stop(httpd, State::Faulted, String::new()));
    // The server is told that the session is over, not only that its client is away.
    let server = world.graph.instance(timed).unwrap();
    let at =
        server.provides.iter().flat_map(|provided| &provided.sessions).position(|other| usize::from(*other) == session);
    let word = peers_page(&world, timed)[peers::client_word(at.unwrap()).unwrap()];
    assert_eq!(Peer::from_word(word).condition, Condition::Closed);
    assert_eq!(world.start_again(place), Ok(()));
    check_held(&world);
    assert!(!world.is_open(session));
    assert_eq!(resources(&world), before);
}

#[test]
fn ten_thousand_sessions_that_are_opened_and_closed_or_die_leave_nothing() {
    let mut world = installed_of(demanding());
    let before = resources(&world);
    let objects = world.kernel.live();
    let sessions: Vec<usize> =
        (0..world.graph.sessions.len()).filter(|number| world.graph.sessions[*number].is_on_demand).collect();
    let mut random = Random(815);
    let mut opened = 0;
    while opened < 10_000 {
        let session = sessions[random.below(sessions.len())];
        let (client, server) = (world.graph.sessions[session].client, world.graph.sessions[session].server);
        match random.below(8) {
            0 => restart(&mut world, client),
            1 => restart(&mut world, server),
            2 | 3 => drop(world.end_session(session, Demand::Closed)),
            4 => {
                world.end_session(session, Demand::Revoked);
                world.permit_session(session);
            }
            _ => opened += usize::from(world.open_session(session) == Ok(true)),
        }
        if opened % 1000 == 7 {
            check_held(&world);
        }
    }
    for session in sessions {
        world.end_session(session, Demand::Closed);
    }
    check_held(&world);
    assert_eq!((resources(&world), world.kernel.live()), (before, objects));
}

fn restart(world: &mut World<FakeKernel>, id: u16) {
    let place = world.place(id).unwrap();
    assert!(world.stop(id, State::Faulted, String::new()));
    assert_eq!(world.start_again(place), Ok(()));
}

#[test]
fn session_that_cannot_be_made_holds_nothing() {
    let mut world = installed_of(demanding());
    let session = number(&world, "netd", "alarm");
    let before = resources(&world);
    for fuse in 0..3 {
        world.kernel.fuse = Some(fuse);
        assert_eq!(world.open_session(session), Err(NotOpened::Failed), "operation {fuse}");
        world.kernel.fuse = None;
        assert_eq!(resources(&world), before);
        // Words that could not be written are brought up to date by the next change.
        world.tell_peers();
        check_held(&world);
    }
    assert_eq!(world.open_session(session), Ok(true));
    check_held(&world);
}
