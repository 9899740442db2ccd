//! What is installed equals the graph: the whole gateway on the fake kernel.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::path::Path;

use hybrid_capgraph::{Bundle, Graph, What, layout, resolve, text_of, write_bundle};
use hybrid_start::StartInfo;
use hybrid_start::peers::{self, Peer};
use hybrid_sys::abi::register::Register;

use super::{State, World};
use crate::fake::{Cap, FakeKernel, Id, Kind, program};

/// The gateway's, in which nobody waits for the auditor's verdict or for a device: there is no supervisor here to start them.
pub(crate) fn graph() -> Graph {
    let mut graph = product();
    graph.instances.iter_mut().for_each(|instance| (instance.awaits_verdict, instance.awaits_device) = (false, false));
    graph
}

/// The gateway's.
pub(crate) fn product() -> Graph {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    resolve(&root, "gateway", "qemu-virt").unwrap_or_else(|problems| panic!("{}", problems[0]))
}

pub(crate) fn bundle_of(graph: &Graph) -> Vec<u8> {
    let file = program();
    let programs: Vec<(&str, &[u8])> =
        graph.instances.iter().skip(1).map(|instance| (instance.program(), file.as_slice())).collect();
    write_bundle(graph, &programs).unwrap()
}

pub(crate) fn installed() -> World<FakeKernel> {
    installed_of(graph())
}

pub(crate) fn installed_of(graph: Graph) -> World<FakeKernel> {
    let bytes = bundle_of(&graph);
    let (kernel, facts) = FakeKernel::new();
    let mut world = World::new(kernel, graph, &facts).unwrap();
    world.install(Bundle::parse(bytes.leak()).unwrap()).unwrap();
    world
}

pub(crate) fn object(world: &World<FakeKernel>, cptr: hybrid_sys::CPtr) -> Id {
    world.kernel.cap_at(cptr).unwrap().object
}

/// The capability in slot `slot` of an instance's CNode.
fn held(world: &World<FakeKernel>, id: u16, slot: u32) -> Cap {
    let place = world.place(id).unwrap();
    let cnode = object(world, world.live[place].cnode);
    *world
        .kernel
        .slots(cnode)
        .get(&u64::from(slot))
        .unwrap_or_else(|| panic!("instance {id} has nothing in slot {slot}"))
}

#[test]
fn recorded_grants_are_exactly_those_of_the_graph() {
    let world = installed();
    let made: Vec<_> = world.live.iter().flat_map(|live| live.grants.iter().cloned()).collect();
    assert_eq!(text_of(&made), text_of(&world.graph.grants()));
    assert!(made.iter().all(|grant| grant.to_string().len() <= hybrid_interfaces::security::TEXT_MAX));
}

/// A use of `client` again, with a session and, if need be, ports of its own.
pub(crate) fn use_again(graph: &mut Graph, client: &str, used: &str) {
    let place = graph.instances.iter().position(|instance| instance.name == client).unwrap();
    let uses = &mut graph.instances[place].uses;
    let used = uses.iter().find(|candidate| candidate.name == used).unwrap().clone();
    let (client_use, session) = (u8::try_from(uses.len()).unwrap(), u16::try_from(graph.sessions.len()).unwrap());
    uses.push(hybrid_capgraph::Use { name: "again".into(), session, ..used.clone() });
    let before = graph.sessions[usize::from(used.session)].clone();
    let ports = (before.client_port.map(|_| 40), before.server_port.map(|_| 40));
    let server = graph.instances.iter_mut().find(|instance| instance.id == before.server).unwrap();
    server.provides[usize::from(before.provided)].sessions.push(session);
    graph.sessions.push(hybrid_capgraph::Session { client_use, client_port: ports.0, server_port: ports.1, ..before });
}

#[test]
fn each_of_two_uses_of_one_server_has_an_endpoint_memory_and_word_of_its_own() {
    let mut graph = graph();
    use_again(&mut graph, "shell", "kept");
    let (shell, fsd) = (graph.named("shell").unwrap().clone(), graph.named("fsd").unwrap().clone());
    let world = installed_of(graph);
    check_slots(&world);
    check_sessions(&world);
    let [first, again] = ["kept", "again"].map(|name| shell.uses.iter().position(|used| used.name == name).unwrap());
    let badge = |used| held(&world, shell.id, layout::call_slot(used)).badge;
    assert_eq!((badge(again) >> 56, badge(again) ^ badge(first)), (1, 1 << 56));
    let live = &world.live[world.place(fsd.id).unwrap()];
    let info = super::start_info(&world.graph, &fsd, live, world.boot_ns);
    let of_shell = |session: &&hybrid_start::Session| session.client == shell.id;
    let told: Vec<_> = info.provides[0].sessions.iter().filter(of_shell).map(|one| (one.nth, one.region)).collect();
    assert!(matches!(told[..], [(0, Some(one)), (1, Some(other))] if one.addr != other.addr), "{told:?}");
    let words = world.peers_of(&fsd);
    assert_eq!(words.len(), fsd.uses.len() + info.provides[0].sessions.len());
}

#[test]
fn every_slot_of_every_component_holds_what_its_grant_says_and_no_other_is_filled() {
    check_slots(&installed());
}

pub(crate) fn check_slots(world: &World<FakeKernel>) {
    for live in &world.live {
        let mut slots = BTreeSet::new();
        for grant in &live.grants {
            let (slot, kind, rights, badge) = match grant.what {
                What::Call { slot, rights, badge, .. } => (slot, "Endpoint", rights.0, badge),
                What::Bell { slot, rights, bit } => (slot, "Notification", rights.0, layout::bell_badge(bit)),
                What::Endpoint { slot, rights } => (slot, "Endpoint", rights.0, 0),
                What::Reply { slot, rights } => (slot, "Reply", rights.0, 0),
                What::Notification { slot, rights } => (slot, "Notification", rights.0, 0),
                What::CNode { slot, .. } => (slot, "CNode", 15, 0),
                What::Interrupt { slot, .. } => (slot, "Interrupt", 15, 0),
                What::Audit { slot } => (slot, "Audit", 15, 0),
                _ => continue,
            };
            let cap = held(world, live.id, slot);
            assert_eq!(
                (world.kernel.objects[cap.object].kind.name().as_str(), cap.rights, cap.badge),
                (kind, u64::from(rights), badge),
                "{grant}"
            );
            slots.insert(u64::from(slot));
        }
        let cnode = object(world, live.cnode);
        assert_eq!(world.kernel.slots(cnode).keys().copied().collect::<BTreeSet<_>>(), slots, "instance {}", live.id);
    }
}

#[test]
fn calls_and_bells_of_each_session_reach_its_two_ends() {
    check_sessions(&installed());
}

pub(crate) fn check_sessions(world: &World<FakeKernel>) {
    for session in &world.graph.sessions {
        let (client, server) = (world.place(session.client).unwrap(), world.place(session.server).unwrap());
        let number = world.graph.sessions.iter().position(|other| other == session).unwrap();
        if !world.is_open(number) {
            continue;
        }
        if session.has_operations {
            let cap = held(world, session.client, layout::call_slot(usize::from(session.client_use)));
            assert_eq!(cap.object, object(world, world.live[server].endpoint.unwrap()));
        }
        if session.rings_server {
            let cap = held(world, session.client, layout::bell_slot(usize::from(session.client_use)));
            assert_eq!(cap.object, object(world, world.live[server].notification));
        }
        if session.rings_client {
            let cap = held(world, session.server, layout::session_slot(session.server_port.unwrap()));
            assert_eq!(cap.object, object(world, world.live[client].notification));
        }
        if let Some(bytes) = session.region {
            let frames = |place: usize, port: Option<u8>| -> Vec<Id> {
                let (pages, base) = (
                    world.kernel.pages(object(world, world.live[place].vspace)),
                    layout::region_address(port.unwrap()),
                );
                (0..bytes / 4096).map(|page| pages[&(base + page * 4096)].frame).collect()
            };
            assert_eq!(frames(client, session.client_port), frames(server, session.server_port));
        }
    }
}

#[test]
fn address_spaces_hold_what_the_grants_say_and_nothing_writable_is_executable() {
    let world = installed();
    let mut owners: BTreeMap<Id, BTreeSet<u16>> = BTreeMap::new();
    for live in world.live.iter().filter(|live| live.id != layout::SECURITYD) {
        let instance = world.graph.instance(live.id).unwrap();
        let pages = world.kernel.pages(object(&world, live.vspace));
        for (address, page) in pages {
            assert!(
                page.rights & 1 == 0 || page.attributes & 4 != 0,
                "{address:#x} of {} is writable and executable",
                instance.name
            );
            let Kind::Frame { is_device, is_unified, .. } = world.kernel.objects[page.frame].kind else {
                panic!("not a frame")
            };
            assert_eq!(is_device, page.attributes & 1 == 0, "only device memory is uncached");
            assert!(page.attributes & 4 != 0 || is_unified, "code at {address:#x} was not made executable");
            // Who only reads registers has no hand on them.
            if !is_device || page.rights & 1 != 0 {
                owners.entry(page.frame).or_default().insert(live.id);
            }
        }
        assert!(
            !pages.contains_key(&(hybrid_start::STACK_TOP - instance.stack - 4096)),
            "there is a page below the stack"
        );
        assert!(pages.contains_key(&(hybrid_start::STACK_TOP - 4096)) && !pages.contains_key(&hybrid_start::STACK_TOP));
        let heap: u64 = pages
            .range(hybrid_start::HEAP_BASE..layout::REGION_BASE)
            .map(|(_, page)| match world.kernel.objects[page.frame].kind {
                Kind::Frame { bits, .. } => 1 << bits,
                _ => 0,
            })
            .sum();
        assert_eq!(heap, instance.heap);
        let data = &pages[&0x40_1000];
        let Kind::Frame { content, .. } = &world.kernel.objects[data.frame].kind else { panic!("not a frame") };
        assert!(content[..0x800].iter().all(|byte| *byte == 0) && content[0x800..].iter().all(|byte| *byte == 0x22));
    }
    let shared = owners.values().filter(|owners| owners.len() > 1).count();
    let regions: u64 = world
        .graph
        .sessions
        .iter()
        .filter(|session| session.client != layout::SECURITYD)
        .filter_map(|session| session.region)
        .sum();
    assert_eq!(shared as u64, regions / 4096, "only regions are shared");
}

#[test]
fn device_pages_and_dma_have_the_addresses_of_the_board() {
    let world = installed();
    for (name, page) in [("console", 0x0900_0000), ("nic", 0x0a00_0000)] {
        let live = &world.live[world.place(world.graph.named(name).unwrap().id).unwrap()];
        let mapped = &world.kernel.pages(object(&world, live.vspace))[&layout::DEVICE_BASE];
        assert!(matches!(world.kernel.objects[mapped.frame].kind, Kind::Frame { base, .. } if base == page));
    }
    let nic = &world.live[world.place(world.graph.named("nic").unwrap().id).unwrap()];
    let pages = world.kernel.pages(object(&world, nic.vspace));
    for page in 0..256 {
        let frame = pages[&(layout::DMA_BASE + page * 4096)].frame;
        assert!(
            matches!(world.kernel.objects[frame].kind, Kind::Frame { base, .. } if base == nic.dma[0] + page * 4096)
        );
    }
}

#[test]
fn threads_start_with_what_the_abi_of_components_says() {
    let world = installed();
    assert_eq!(world.kernel.own_priority, 254);
    for instance in world.graph.instances.iter().skip(1) {
        let live = &world.live[world.place(instance.id).unwrap()];
        assert_eq!(live.state, State::Running);
        let Kind::Thread { parts: Some(parts), registers: Some(registers), has_timer, .. } =
            &world.kernel.objects[object(&world, live.thread)].kind
        else {
            panic!("{} was not started", instance.name)
        };
        assert_eq!((parts.priority, *has_timer), (instance.priority, instance.name == "timed"));
        assert_eq!(registers.read(Register::Pc), 0x40_0010);
        assert_eq!(registers.read(Register::Sp), hybrid_start::STACK_TOP);
        let fault = world.kernel.cap_at(parts.fault).unwrap();
        assert_eq!((fault.badge, fault.rights), (layout::fault_badge(instance.id), 9));
        let pages = world.kernel.pages(object(&world, live.vspace));
        let Kind::Frame { content, .. } = &world.kernel.objects[pages[&hybrid_start::START_INFO_BASE].frame].kind
        else {
            panic!("not a frame")
        };
        assert_eq!(pages[&hybrid_start::START_INFO_BASE].rights, 2);
        let info = StartInfo::decode(&content[..usize::try_from(registers.read(Register::X(1))).unwrap()]).unwrap();
        assert_eq!(info, super::start_info(&world.graph, instance, live, world.boot_ns));
    }
}

#[test]
fn further_threads_have_spaces_faults_and_priority_of_the_first_and_a_bell_stack_and_buffer_of_their_own() {
    let mut graph = graph();
    let shell = graph.instances.iter_mut().find(|instance| instance.name == "shell").unwrap();
    (shell.threads, shell.cnode_bits, shell.budget_us) = (3, layout::CNODE_BITS_LARGE, shell.period_us);
    let (shell, world) = (shell.clone(), installed_of(graph));
    check_slots(&world);
    let live = &world.live[world.place(shell.id).unwrap()];
    let parts_of = |thread| match &world.kernel.objects[object(&world, thread)].kind {
        Kind::Thread { parts: Some(parts), registers: Some(registers), .. } => (*parts, *registers),
        _ => panic!("a thread was not started"),
    };
    let first = parts_of(live.thread).0;
    let pages = world.kernel.pages(object(&world, live.vspace));
    assert_eq!(live.threads.len(), 3);
    for (number, (thread, context)) in (1_u8..).zip(&live.threads) {
        let (parts, registers) = parts_of(*thread);
        let base = hybrid_start::THREAD_BASE + u64::from(number) * hybrid_start::THREAD_STRIDE;
        let buffer = base + hybrid_start::THREAD_STACK;
        assert_eq!((parts.cnode, parts.vspace, parts.priority), (first.cnode, first.vspace, first.priority));
        assert_eq!((parts.fault, parts.context), (first.fault, *context));
        assert_eq!(object(&world, parts.buffer.1), pages[&buffer].frame);
        assert_eq!((registers.read(Register::Sp), parts.buffer.0), (buffer, buffer));
        assert!(!pages.contains_key(&(base - 4096)), "there is a page below the stack");
        let (slot, bell) = (layout::thread_slot(number), object(&world, parts.notification));
        assert_eq!(held(&world, shell.id, slot).object, bell);
        assert_eq!((registers.read(Register::X(3)), registers.read(Register::X(4))), (number.into(), slot.into()));
        assert_eq!(registers.read(Register::TpidrRo), buffer);
    }
}

#[test]
fn stacks_of_threads_are_as_many_as_declared_and_nothing_is_below_each() {
    const BYTES: u64 = 3 * 4096;
    let mut graph = graph();
    let shell = graph.instances.iter_mut().find(|instance| instance.name == "shell").unwrap();
    (shell.threads, shell.cnode_bits, shell.budget_us) = (3, layout::CNODE_BITS_LARGE, shell.period_us);
    shell.thread_stack = BYTES;
    let (shell, world) = (shell.clone(), installed_of(graph));
    let live = &world.live[world.place(shell.id).unwrap()];
    let pages = world.kernel.pages(object(&world, live.vspace));
    let found: Vec<u64> = pages.range(layout::STACKS.0..layout::STACKS.1).map(|(address, _)| *address).collect();
    let wanted: Vec<u64> = [2, 3, 4, 7, 8, 9].map(|page| layout::STACKS.0 + page * 4096).into();
    assert_eq!(found, wanted, "two stacks beside the main one, with two pages below each");
    assert!(found.iter().all(|address| pages[address].rights == 3));
    let info = super::start_info(&world.graph, &shell, live, 0);
    assert_eq!(info.stacks, hybrid_start::Stacks { count: 2, bytes: BYTES });
}

/// An instance's page of peers as it reads it.
pub(crate) fn peers_page(world: &World<FakeKernel>, id: u16) -> Vec<u64> {
    let live = &world.live[world.place(id).unwrap()];
    let page = &world.kernel.pages(object(world, live.vspace))[&hybrid_start::PEERS_ADDRESS];
    assert_eq!(page.rights, 2, "the page is read-only");
    let Kind::Frame { content, .. } = &world.kernel.objects[page.frame].kind else { panic!("not a frame") };
    content.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
}

#[test]
fn page_of_peers_begins_with_every_use_and_every_client_up_in_its_first_meeting() {
    let world = installed();
    for instance in world.graph.instances.iter().skip(1) {
        let words = peers_page(&world, instance.id);
        let clients: usize = instance.provides.iter().map(|provided| provided.sessions.len()).sum();
        let mut expected = vec![0; peers::WORDS];
        expected[peers::POLICY] = 1;
        expected[peers::USES..peers::USES + instance.uses.len()].fill(Peer::FIRST.word());
        expected[peers::CLIENTS..peers::CLIENTS + clients].fill(Peer::FIRST.word());
        assert_eq!(words, expected, "{}", instance.name);
        let live = &world.live[world.place(instance.id).unwrap()];
        let bell = world.kernel.cap_at(live.supervision).unwrap();
        assert_eq!(
            (bell.object, bell.badge, bell.rights),
            (object(&world, live.notification), layout::bell_badge(peers::SUPERVISION_BIT), 1)
        );
    }
}

#[test]
fn stopping_a_server_takes_it_from_its_clients_and_leaves_the_rest() {
    let mut world = installed();
    let (httpd, status) = (world.graph.named("httpd").unwrap().id, world.graph.named("status").unwrap().id);
    let before = world.memory().1;
    let slots = |world: &World<FakeKernel>| -> Vec<u64> {
        let place = world.place(status).unwrap();
        world.kernel.slots(object(world, world.live[place].cnode)).keys().copied().collect()
    };
    assert!(slots(&world).contains(&u64::from(layout::call_slot(0))));
    let reply = object(&world, world.live[world.place(httpd).unwrap()].reply.unwrap());
    let status_pages = world.kernel.pages(object(&world, world.live[world.place(status).unwrap()].vspace)).len();
    assert!(world.stop(httpd, State::Killed, "by a test".into()));
    assert_eq!(world.kernel.died_answers, [reply]);
    assert!(!slots(&world).contains(&u64::from(layout::call_slot(0))), "status still holds httpd's endpoint");
    assert!(!slots(&world).contains(&u64::from(layout::bell_slot(0))), "status still holds httpd's bell");
    let place = world.place(status).unwrap();
    assert_eq!(world.kernel.pages(object(&world, world.live[place].vspace)).len(), status_pages, "status lost memory");
    assert!(world.memory().1 > before + (16 << 20), "its memory did not come back");
    assert!(!world.stop(httpd, State::Killed, "again".into()));
    assert!(!world.stop(layout::SECURITYD, State::Killed, "itself".into()));
    let place = world.place(httpd).unwrap();
    assert_eq!(
        (world.live[place].state, world.live[place].grants.len(), world.bytes_of(place)),
        (State::Killed, 0, world.live[place].region_bytes)
    );
}

#[test]
fn stopping_everything_gives_all_memory_back_but_regions() {
    let mut world = installed();
    let (total, _) = world.memory();
    let ids: Vec<u16> = world.graph.instances.iter().map(|instance| instance.id).skip(1).collect();
    assert!(ids.into_iter().all(|id| world.stop(id, State::Killed, String::new())));
    let own = world.bytes_of(0);
    let regions: u64 = world.live.iter().map(|live| live.region_bytes).sum();
    let (_, free) = world.memory();
    // The driver's DMA memory is not used again: its device may still write there.
    let dma: u64 = world.graph.instances.iter().flat_map(|instance| &instance.dma).map(|dma| dma.bytes).sum();
    let lost = total - free - own - regions;
    assert!((dma..dma + (512 << 10)).contains(&lost), "{lost} bytes are lost");
}

#[test]
fn installation_that_fails_anywhere_says_where_and_does_not_panic() {
    let graph = graph();
    let bytes = bundle_of(&graph);
    let bundle = Bundle::parse(bytes.leak()).unwrap();
    let all = installed().kernel.operations;
    for fuse in (0..40).chain((40..all).step_by(61)) {
        let (mut kernel, facts) = FakeKernel::new();
        kernel.fuse = Some(fuse);
        let failed = match World::new(kernel, graph.clone(), &facts) {
            Ok(mut world) => world.install(bundle).is_err(),
            Err(_) => true,
        };
        assert!(failed, "operation {fuse} failed and nobody noticed");
    }
}

/// The kernel makes its CNode as large as its programs need.
#[test]
fn first_cnode_may_be_as_large_as_a_node_and_a_larger_one_is_refused() {
    let graph = graph();
    for (slots, is_fine) in [(4096, true), (8192, true), (16_384, false), (0, false)] {
        let (kernel, mut facts) = FakeKernel::new();
        facts.empty.1 = slots;
        if slots == 0 {
            facts.empty.0 = 0;
        }
        assert_eq!(World::new(kernel, graph.clone(), &facts).is_ok(), is_fine, "{slots} slots");
    }
}
