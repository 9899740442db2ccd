//! Instances that end and start again, in any order and at any failure: what is installed stays what is declared.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use hybrid_capgraph::{Graph, layout, text_of};
use hybrid_interfaces::process::Reason;
use hybrid_start::peers::{self, Condition, Peer};

use super::super::tests::{check_sessions, check_slots, graph, installed, installed_of, object, peers_page, product};
use super::super::{State, World};
use crate::fake::{Cap, FakeKernel, Kind};

/// xorshift64*: any sequence of choices, the same every time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap_or(0) % bound
    }
}

/// Everything that restarts may not use up: free memory, nodes and slots of securityd.
pub(crate) fn resources(world: &World<FakeKernel>) -> (u64, (u64, u64)) {
    (world.memory().1, world.space.taken())
}

pub(crate) fn check_declared(world: &World<FakeKernel>) {
    let made: Vec<_> = world.live.iter().flat_map(|live| live.grants.iter().cloned()).collect();
    assert_eq!(text_of(&made), text_of(&world.graph.grants()));
    check_slots(world);
    check_sessions(world);
}

/// The pages say how each peer is, and the epochs of both sides of a session are the same.
fn check_pages(world: &World<FakeKernel>) {
    let condition = |id: u16| match &world.live[world.place(id).unwrap()] {
        live if live.state == State::Running => Condition::Up,
        live if live.is_expected => Condition::Restarting,
        _ => Condition::Down,
    };
    for instance in world.graph.instances.iter().skip(1) {
        if world.live[world.place(instance.id).unwrap()].state != State::Running {
            continue;
        }
        let words = peers_page(world, instance.id);
        let expect = |index: usize, peer: u16, session: u16| {
            let peer = Peer { condition: condition(peer), epoch: world.epochs[usize::from(session)] };
            assert_eq!(Peer::from_word(words[index]), peer, "word {index} of {}", instance.name);
        };
        for (index, used) in instance.uses.iter().enumerate() {
            expect(peers::USES + index, world.graph.session_of(used).unwrap().server, used.session);
        }
        let sessions = instance.provides.iter().flat_map(|provided| &provided.sessions);
        for (index, session) in sessions.enumerate() {
            expect(peers::CLIENTS + index, world.graph.sessions[usize::from(*session)].client, *session);
        }
    }
}

#[test]
fn each_instance_comes_back_with_what_it_had_and_its_peers_are_told() {
    let mut world = installed();
    let before = resources(&world);
    for place in 1..world.live.len() {
        let (id, physical) = (world.live[place].id, world.live[place].dma.clone());
        let sessions = world.graph.sessions.clone();
        let own = |session: &hybrid_capgraph::Session| session.client == id || session.server == id;
        let epochs = world.epochs.clone();
        world.kernel.signals.clear();
        assert!(world.stop(id, State::Killed, "by a test".into()));
        check_pages(&world);
        let peers: BTreeSet<u16> = sessions
            .iter()
            .filter(|session| own(session))
            .flat_map(|session| [session.client, session.server])
            .filter(|peer| *peer != id && *peer != layout::SECURITYD)
            .collect();
        let supervision = layout::bell_badge(peers::SUPERVISION_BIT);
        assert_eq!(world.kernel.signals.iter().filter(|badge| **badge == supervision).count(), peers.len());
        assert_eq!(world.start_again(place), Ok(()));
        assert_eq!(world.start_again(place), Err(super::NotStarted::Runs));
        assert_eq!((world.live[place].generation, &world.live[place].dma), (2, &physical));
        for (session, (old, new)) in sessions.iter().zip(epochs.iter().zip(&world.epochs)) {
            assert_eq!(*new, old + u32::from(own(session)));
        }
        check_pages(&world);
        check_declared(&world);
        assert_eq!(resources(&world), before, "instance {id}");
    }
    assert_eq!(world.start_again(0), Err(super::NotStarted::Runs), "securityd is never made again");
    assert_eq!(world.start_again(99), Err(super::NotStarted::Runs));
}

#[test]
fn dma_memory_of_a_driver_that_does_not_run_is_nobody_elses_until_its_next_life_has_it() {
    let mut world = installed();
    let instance = world.graph.named("nic").unwrap().clone();
    let place = world.place(instance.id).unwrap();
    let base = world.live[place].dma[0];
    let memory = base..base + instance.dma[0].bytes;
    let holders = |world: &World<FakeKernel>| {
        let has = |place: &usize| {
            if world.live[*place].state != State::Running {
                return false;
            }
            let pages = world.kernel.pages(object(world, world.live[*place].vspace));
            let at = |frame: crate::fake::Id| match world.kernel.objects[frame].kind {
                Kind::Frame { base, .. } => base,
                _ => 0,
            };
            pages.values().any(|page| memory.contains(&at(page.frame)))
        };
        (1..world.live.len()).filter(has).collect::<Vec<_>>()
    };
    assert_eq!(holders(&world), [place]);
    assert!(world.stop(instance.id, State::Faulted, String::new()));
    // Everybody else is made anew meanwhile, from whatever memory there is: the device may still write into its own.
    for _ in 0..3 {
        for other in (1..world.live.len()).filter(|other| *other != place) {
            let id = world.live[other].id;
            assert!(world.stop(id, State::Killed, String::new()));
            assert_eq!(world.start_again(other), Ok(()));
            assert_eq!(holders(&world), [] as [usize; 0]);
        }
    }
    assert_eq!(world.start_again(place), Ok(()));
    assert_eq!((holders(&world), world.live[place].dma[0]), (alloc::vec![place], base));
}

/// The gateway with little memory: pages are all alike, and with few of them thousands of lives take seconds.
pub(crate) fn small_graph() -> Graph {
    let mut graph = graph();
    for instance in &mut graph.instances {
        (instance.stack, instance.heap) = (instance.stack.min(8192), instance.heap.min(4096));
        instance.dma.iter_mut().for_each(|dma| dma.bytes = 8192);
    }
    for bytes in graph.sessions.iter_mut().filter_map(|session| session.region.as_mut()) {
        *bytes = 4096;
    }
    graph
}

#[test]
fn ten_thousand_ends_and_starts_in_any_order_use_nothing_up() {
    let mut world = installed_of(small_graph());
    let before = resources(&world);
    let mut random = Random(4711);
    let (mut down, mut starts) = (BTreeSet::new(), 0);
    while starts < 10_000 {
        let place = 1 + random.below(world.live.len() - 1);
        let id = world.live[place].id;
        if down.remove(&place) {
            assert_eq!(world.start_again(place), Ok(()));
            starts += 1;
        } else {
            let state = if random.below(2) == 0 { State::Killed } else { State::Faulted };
            assert!(world.stop(id, state, String::new()));
            down.insert(place);
        }
        if starts % 500 == 0 && down.contains(&place) {
            check_pages(&world);
            for place in core::mem::take(&mut down) {
                assert_eq!(world.start_again(place), Ok(()));
                starts += 1;
            }
            check_pages(&world);
            check_declared(&world);
            assert_eq!(resources(&world), before, "after {starts} starts");
        }
    }
    let lives: u64 = world.live.iter().skip(1).map(|live| u64::from(live.generation) - 1).sum();
    assert_eq!(lives, starts);
}

#[test]
fn start_that_fails_anywhere_frees_everything_and_the_next_one_succeeds() {
    for name in ["nic", "timed", "httpd", "logd"] {
        let mut world = installed();
        let before = resources(&world);
        let id = world.graph.named(name).unwrap().id;
        let place = world.place(id).unwrap();
        let operations = world.kernel.operations;
        assert!(world.stop(id, State::Killed, String::new()));
        let freed = resources(&world);
        assert_eq!(world.start_again(place), Ok(()));
        let needed = world.kernel.operations - operations;
        for fuse in (0..40).chain((40..needed).step_by(37)) {
            assert!(world.stop(id, State::Killed, String::new()));
            assert_eq!(resources(&world), freed, "{name}");
            world.kernel.fuse = Some(fuse);
            let result = world.start_again(place);
            world.kernel.fuse = None;
            if result.is_err() {
                assert_eq!(world.live[place].state, State::Failed);
                assert!(world.live[place].detail.starts_with("cannot make it: "), "{}", world.live[place].detail);
                assert_eq!((resources(&world), world.live[place].grants.len()), (freed, 0), "{name}, {fuse}");
                // The words that no operation could write are brought up to date by the next change.
                assert_eq!(world.start_again(place), Ok(()), "{name} after operation {fuse} had failed");
            }
            check_pages(&world);
        }
        check_declared(&world);
        assert_eq!(resources(&world), before, "{name}");
    }
}

#[test]
fn client_that_puts_something_into_its_slots_keeps_no_server_from_starting() {
    let mut world = installed();
    let netd = world.graph.named("netd").unwrap().id;
    let session = world.graph.sessions.iter().find(|session| session.server == netd && session.has_operations).unwrap();
    let (client, slot) = (world.place(session.client).unwrap(), layout::call_slot(usize::from(session.client_use)));
    assert!(world.stop(netd, State::Killed, String::new()));
    let cnode = object(&world, world.live[client].cnode);
    let own: Cap = world.kernel.slots(cnode)[&u64::from(layout::SLOT_NOTIFICATION)];
    world.kernel.plant(cnode, u64::from(slot), own);
    assert_eq!(world.start_again(world.place(netd).unwrap()), Ok(()));
    check_declared(&world);
}

#[test]
fn ping_is_written_and_rung_and_the_answer_is_read() {
    let mut world = installed();
    let place = world.place(world.graph.named("status").unwrap().id).unwrap();
    world.kernel.signals.clear();
    assert!(world.ping(place, 77));
    assert_eq!(world.kernel.signals, [layout::bell_badge(peers::SUPERVISION_BIT)]);
    let words = peers_page(&world, world.live[place].id);
    assert_eq!((words[peers::PING], words[peers::CHANGES]), (77, 0));
    assert_eq!(world.answer(place), 0);
    let page = world.kernel.pages(object(&world, world.live[place].vspace))[&hybrid_start::IPC_BUFFER_ADDRESS].frame;
    let Kind::Frame { content, .. } = &mut world.kernel.objects[page].kind else { panic!("not a frame") };
    content.resize(4096, 0);
    content[hybrid_start::ANSWER_OFFSET] = 77;
    assert_eq!(world.answer(place), 77);
    assert!(world.stop(world.live[place].id, State::Killed, String::new()));
    assert!(!world.ping(place, 78) && !world.ping(0, 78) && !world.ping(99, 78));
    assert_eq!((world.answer(place), world.answer(0), world.answer(99)), (0, 0, 0));
}

#[test]
fn who_waits_for_the_verdict_or_a_device_is_made_whole_at_boot_and_started_on_command() {
    let mut world = installed_of(product());
    // netd for the verdict, rng for its device, nic for both.
    let movers = ["nic", "netd", "rng"].map(|name| world.graph.named(name).unwrap().id);
    let places = movers.map(|id| world.place(id).unwrap());
    let states = |world: &World<FakeKernel>| places.map(|place| world.live[place].state);
    assert_eq!(states(&world), [State::Starting; 3]);
    let is_running = |live: &super::super::Live| live.state == State::Running || movers.contains(&live.id);
    assert!(world.live.iter().all(is_running));
    // All that they hold is there to be looked at, and those that run are told that they are not.
    check_declared(&world);
    check_pages(&world);
    world.tell_policy(2);
    let logd = world.graph.named("logd").unwrap().id;
    assert!(world.stop(logd, State::Killed, String::new()));
    world.start_again(world.place(logd).unwrap()).unwrap();
    for place in places {
        assert_eq!(world.start_again(place), Ok(()));
        assert_eq!(world.start_again(place), Err(super::NotStarted::Runs));
    }
    assert_eq!((states(&world), places.map(|place| world.live[place].generation)), ([State::Running; 3], [1; 3]));
    check_declared(&world);
    check_pages(&world);
    assert!(movers.iter().all(|id| peers_page(&world, *id)[peers::POLICY] == 2), "they know what is in force");
    // One that is ended while it waits is started anew, and waits no more.
    let mut world = installed_of(product());
    assert!(world.stop(movers[0], State::Killed, String::new()));
    assert!(!world.stop(movers[0], State::Killed, String::new()));
    assert_eq!(world.start_again(places[0]), Ok(()));
    assert_eq!(
        (states(&world), world.live[places[0]].generation),
        ([State::Running, State::Starting, State::Starting], 2)
    );
    check_pages(&world);
}

#[test]
fn spawned_program_keeps_its_read_only_pages_and_gets_all_others_anew() {
    let mut graph = graph();
    graph.instances.iter_mut().find(|instance| instance.name == "status").unwrap().is_spawned = true;
    let mut world = installed_of(graph);
    let id = world.graph.named("status").unwrap().id;
    let place = world.place(id).unwrap();
    let page = |world: &World<FakeKernel>, address: u64| {
        world.kernel.pages(object(world, world.live[place].vspace))[&address].clone()
    };
    let (text, code) = (0x40_0000, page(&world, 0x40_0000));
    assert_eq!(world.start_again(place), Ok(()));
    let (running, bytes) = (resources(&world), world.live[place].bytes());
    for _ in 0..3 {
        // What it wrote is gone with it; what nobody can write is the same page, of which it has a copy that can only be read.
        let data = page(&world, 0x40_1000).frame;
        let Kind::Frame { content, .. } = &mut world.kernel.objects[data].kind else { panic!("not a frame") };
        content[0x900] = 0x99;
        assert!(world.stop(id, State::Killed, String::new()));
        assert_eq!(world.start_again(place), Ok(()));
        let (shared, data) = (page(&world, text), page(&world, 0x40_1000));
        assert_eq!((shared.frame, shared.rights, shared.attributes), (code.frame, 2, code.attributes));
        let Kind::Frame { content, is_unified, .. } = &world.kernel.objects[shared.frame].kind else { panic!() };
        assert!(*is_unified && content.iter().all(|byte| *byte == 0x11));
        let Kind::Frame { content, .. } = &world.kernel.objects[data.frame].kind else { panic!("not a frame") };
        assert!(content[0x800..].iter().all(|byte| *byte == 0x22));
        check_declared(&world);
        assert_eq!((resources(&world), world.live[place].bytes()), (running, bytes));
    }
    // Who was isolated keeps nothing.
    let stopped_by = |world: &mut World<FakeKernel>, reason| {
        world.live[place].reason = Some(reason);
        assert!(world.stop(id, State::Killed, String::new()));
        let kept = world.live[place].kept.is_some();
        assert_eq!(world.start_again(place), Ok(()));
        check_declared(world);
        (kept, resources(world))
    };
    assert_eq!(stopped_by(&mut world, Reason::Stop), (true, running));
    assert_eq!(stopped_by(&mut world, Reason::Isolation), (false, running));
    // Of pages that could not all be kept none is, wherever it failed, and the next start keeps them.
    assert!(world.stop(id, State::Killed, String::new()));
    let stopped = resources(&world);
    for fuse in 0..60 {
        let kept = world.live[place].kept.take().unwrap();
        kept.account.close(&mut world.kernel, &mut world.space, &mut world.memory);
        world.kernel.fuse = Some(fuse);
        let result = world.start_again(place);
        world.kernel.fuse = None;
        if result.is_err() {
            assert_eq!(world.start_again(place), Ok(()), "after operation {fuse} had failed");
        }
        assert!(world.stop(id, State::Killed, String::new()));
        assert_eq!(resources(&world), stopped, "operation {fuse}");
    }
}
