//! Places filled and emptied on the fake kernel: what may not be is refused, what was there leaves nothing.

use std::path::Path;

use hybrid_capgraph::{
    Bundle, Date, Held, Manifest, RoutedDevice, RoutedUse, idl_interfaces, resolve_whole, text_of, write_bundle_with,
};
use hybrid_interfaces::security::{Install as _, InstallError, Outcome, PIECE_MAX};
use hybrid_ipc::ClientId;
use hybrid_start::peers::{self, Condition, Peer};

use crate::fake::{FakeKernel, Kind, program};
use crate::install::restart::tests::{Random, resources};
use crate::install::tests::{check_sessions, check_slots, object, peers_page};
use crate::install::{State, World};
use crate::server::Server;

const GUEST: &str = "guest";

fn server() -> Server<FakeKernel> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let interfaces = idl_interfaces(&root).unwrap();
    let (graph, book) = resolve_whole(&root, "gateway-guests", "qemu-virt", &interfaces, Date::default()).unwrap();
    let file = program();
    let built_in = graph.instances.iter().skip(1).filter(|instance| instance.place.is_none());
    let programs: Vec<(&str, &[u8])> = built_in.map(|instance| (instance.program(), file.as_slice())).collect();
    let bytes = write_bundle_with(&graph, Some(&book), &programs).unwrap();
    let (kernel, facts) = FakeKernel::new();
    let mut world = World::new(kernel, graph, &facts).unwrap();
    world.install(Bundle::parse(bytes.leak()).unwrap()).unwrap();
    Server::new(world)
}

fn id(server: &Server<FakeKernel>, name: &str) -> u16 {
    server.world.graph.named(name).unwrap().id
}

fn installer(server: &Server<FakeKernel>) -> ClientId {
    ClientId::of(id(server, "installer"))
}

fn used(name: &str, interface: &str, route: &str) -> RoutedUse {
    let reason = "a test".into();
    RoutedUse { name: name.into(), interface: interface.into(), reason, route: route.into(), is_on_demand: false }
}

/// All that the place has.
fn manifest() -> Manifest {
    Manifest {
        id: 0,
        name: GUEST.into(),
        component: "apps/lamp".into(),
        class: "app".into(),
        stack: 64 << 10,
        heap: 256 << 10,
        budget_us: 5_000,
        period_us: 10_000,
        uses: vec![
            used("log", "hybrid.log.Sink", "logd.sink"),
            used("provider", "hybrid.provider.Host", "httpd.providers"),
        ],
        provides: vec![],
        devices: vec![],
        dma: vec![],
        parameters: vec![("colour".into(), "blue".into())],
    }
}

/// Sends everything and commits.
fn fill(server: &mut Server<FakeKernel>, manifest: &[u8], program: &[u8]) -> (Outcome, String) {
    let by = installer(server);
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
    server.begin(by, GUEST, size(manifest), size(program)).unwrap();
    let all = [manifest, program].concat();
    for (index, piece) in all.chunks(PIECE_MAX).enumerate() {
        let left = all.len() - (index * PIECE_MAX + piece.len());
        assert_eq!(server.send(by, piece), Ok(u32::try_from(left).unwrap()));
    }
    let answer = server.commit(by).unwrap();
    (answer.outcome, answer.finding.into_owned())
}

fn fill_rightly(server: &mut Server<FakeKernel>) {
    assert_eq!(fill(server, &manifest().encode().unwrap(), &program()), (Outcome::Runs, String::new()));
}

/// Once filled and emptied: spare memory was cut to the sizes that a guest takes, which stay.
fn used_before() -> Server<FakeKernel> {
    let mut server = server();
    fill_rightly(&mut server);
    take_out(&mut server);
    server
}

fn take_out(server: &mut Server<FakeKernel>) {
    let by = installer(server);
    assert_eq!(server.uninstall(by, GUEST), Ok(()));
}

/// Held is what is declared: with what the place has, if something is there.
fn check_held(server: &Server<FakeKernel>, is_filled: bool) {
    let world = &server.world;
    let made: Vec<_> = world.live.iter().flat_map(|live| live.grants.iter().cloned()).collect();
    let mut declared = world.graph.grants();
    declared.retain(|grant| match grant.held {
        Held::Always => true,
        Held::IfInstalled => is_filled,
        Held::OnDemand => false,
    });
    assert_eq!(text_of(&made), text_of(&declared));
    // An empty place has no CNode to look into.
    if is_filled {
        check_slots(world);
    }
    check_sessions(world);
}

/// How httpd sees the guest.
fn seen(server: &Server<FakeKernel>) -> Peer {
    let world = &server.world;
    let httpd = world.graph.named("httpd").unwrap();
    let of_guest = |number: &u16| world.graph.sessions[usize::from(*number)].client == id(server, GUEST);
    let at = httpd.provides.iter().flat_map(|provided| &provided.sessions).position(of_guest).unwrap();
    Peer::from_word(peers_page(world, httpd.id)[peers::client_word(at).unwrap()])
}

#[test]
fn place_is_empty_at_boot_and_holds_what_it_declares_once_it_is_filled() {
    let mut server = server();
    let place = server.world.place(id(&server, GUEST)).unwrap();
    assert_eq!((server.world.live[place].state, seen(&server).condition), (State::Empty, Condition::Closed));
    check_held(&server, false);
    let before = resources(&server.world).0;
    fill_rightly(&mut server);
    assert_eq!((server.world.live[place].state, seen(&server).condition), (State::Running, Condition::Up));
    check_held(&server, true);
    let instance = server.world.graph.named(GUEST).unwrap();
    assert_eq!((instance.component.as_str(), instance.parameters[0].1.as_str()), ("apps/lamp", "blue"));
    take_out(&mut server);
    assert_eq!((server.world.live[place].state, seen(&server).condition), (State::Empty, Condition::Closed));
    check_held(&server, false);
    assert_eq!(resources(&server.world).0, before);
    assert_eq!(server.world.graph, server.world.declared);
}

#[test]
fn what_is_installed_has_no_session_that_it_does_not_ask_for() {
    let mut server = server();
    let mut less = manifest();
    less.uses.truncate(1);
    assert_eq!(fill(&mut server, &less.encode().unwrap(), &program()).0, Outcome::Runs);
    assert_eq!(seen(&server).condition, Condition::Closed);
    let guest = &server.world.live[server.world.place(id(&server, GUEST)).unwrap()];
    assert!(guest.grants.iter().all(|grant| grant.target != "httpd.providers" || grant.what.verb() == "region"));
    let slots = server.world.kernel.slots(object(&server.world, guest.cnode));
    assert!(!slots.contains_key(&u64::from(hybrid_capgraph::layout::call_slot(1))), "it holds httpd's endpoint");
}

#[test]
fn hundred_components_that_come_live_die_and_go_leave_nothing() {
    let mut server = used_before();
    let (before, objects) = (resources(&server.world), server.world.kernel.live());
    let (guest, httpd) = (id(&server, GUEST), id(&server, "httpd"));
    let (guest_at, httpd_at) = (server.world.place(guest).unwrap(), server.world.place(httpd).unwrap());
    let mut random = Random(2711);
    for _ in 0..100 {
        fill_rightly(&mut server);
        assert_eq!(server.world.installed[&guest].since, server.world.exits.next(), "earlier ends are not its own");
        for _ in 0..random.below(4) {
            let (id, at) = if random.below(2) == 0 { (guest, guest_at) } else { (httpd, httpd_at) };
            assert!(server.world.stop(id, State::Faulted, String::new()));
            assert_eq!(server.world.start_again(at), Ok(()));
        }
        if random.below(4) == 0 {
            assert!(server.world.stop(guest, State::Faulted, String::new()));
        } else {
            check_held(&server, true);
        }
        take_out(&mut server);
        assert_eq!((resources(&server.world), server.world.kernel.live()), (before, objects));
    }
    check_held(&server, false);
}

#[test]
fn what_may_not_be_is_refused_with_its_finding_and_leaves_the_place_empty() {
    let mut server = server();
    let before = resources(&server.world);
    let device = |name: &str| RoutedDevice {
        name: "nic".into(),
        compatible: "virtio,mmio".into(),
        reason: "r".into(),
        device: name.into(),
        registers: true,
        interrupt: true,
    };
    type Change = fn(&mut Manifest);
    let changes: [(&str, Change); 4] = [
        ("CAP-R055 beyond-place: a heap of", |new| new.heap = 1 << 20),
        ("CAP-R055 beyond-place: the name", |new| new.name = "stranger".into()),
        ("CAP-R055 beyond-place: a budget of", |new| new.budget_us = 10_000),
        ("CAP-R028 guarded", |new| new.uses.push(used("reader", "hybrid.log.Reader", "logd.reader"))),
    ];
    for (told, change) in changes {
        let mut new = manifest();
        change(&mut new);
        let (outcome, finding) = fill(&mut server, &new.encode().unwrap(), &program());
        assert!(outcome == Outcome::Refused && finding.starts_with(told), "{told}: {outcome:?}, {finding}");
    }
    let new = Manifest { devices: vec![device("virtio-net0")], ..manifest() };
    let (outcome, finding) = fill(&mut server, &new.encode().unwrap(), &program());
    assert!(outcome == Outcome::Refused && finding.starts_with("CAP-R016 device-shared"), "{finding}");
    let right = manifest().encode().unwrap();
    assert_eq!(fill(&mut server, &[7; 90], &program()).0, Outcome::BadManifest);
    assert_eq!(fill(&mut server, &right, &program()[..900]).0, Outcome::BadProgram);
    assert_eq!(fill(&mut server, &right, &[]).0, Outcome::BadProgram);
    assert_eq!((resources(&server.world), server.world.installed.len(), server.world.stages.len()), (before, 0, 0));
    check_held(&server, false);
}

#[test]
fn only_its_installer_fills_a_place_piece_by_piece_and_no_larger_than_it_is() {
    let mut server = server();
    let (by, other) = (installer(&server), ClientId::of(id(&server, "shell")));
    assert_eq!(server.begin(other, GUEST, 10, 10), Err(InstallError::NoPlace));
    assert_eq!(server.begin(by, "httpd", 10, 10), Err(InstallError::NoPlace), "no place at all");
    assert_eq!(server.begin(by, GUEST, 1 << 20, 10), Err(InstallError::TooLarge));
    assert_eq!(server.begin(by, GUEST, 10, u32::MAX), Err(InstallError::TooLarge));
    assert_eq!(server.send(by, &[1]), Err(InstallError::NotBegun));
    assert_eq!(server.commit(by).err(), Some(InstallError::NotBegun));
    assert_eq!(server.begin(by, GUEST, 3, 3), Ok(()));
    assert_eq!(server.send(by, &[1; 4]), Ok(2), "a piece may have the end of the one and the start of the other");
    assert_eq!(server.send(other, &[1]), Err(InstallError::NotBegun));
    assert_eq!(server.send(by, &[1; 3]), Err(InstallError::NotBegun), "more than was announced");
    assert_eq!(server.commit(by).err(), Some(InstallError::NotBegun), "less than was announced");
    assert_eq!(server.begin(by, GUEST, 3, 3), Ok(()));
    assert!(server.world.stop(by.instance, State::Killed, String::new()));
    assert!(server.world.stages.is_empty(), "what a dead installer had sent is kept");
    fill_rightly(&mut server);
    assert_eq!(server.begin(by, GUEST, 3, 3), Err(InstallError::Occupied));
    assert_eq!(server.uninstall(other, GUEST), Err(InstallError::NoPlace));
}

#[test]
fn installation_that_fails_anywhere_leaves_nothing() {
    let mut server = used_before();
    let before = resources(&server.world);
    let operations = server.world.kernel.operations;
    fill_rightly(&mut server);
    let needed = server.world.kernel.operations - operations;
    take_out(&mut server);
    for fuse in (0..30).chain((30..needed).step_by(23)) {
        server.world.kernel.fuse = Some(fuse);
        let (outcome, _) = fill(&mut server, &manifest().encode().unwrap(), &program());
        server.world.kernel.fuse = None;
        if outcome == Outcome::Runs {
            // Only the words that tell others of it could not be written.
            take_out(&mut server);
        }
        server.world.tell_peers();
        assert!(matches!(outcome, Outcome::NotStarted | Outcome::Runs), "{fuse}: {outcome:?}");
        assert_eq!((resources(&server.world), server.world.installed.len()), (before, 0), "operation {fuse}");
        check_held(&server, false);
    }
    fill_rightly(&mut server);
    check_held(&server, true);
}

#[test]
fn next_one_reads_nothing_of_what_the_last_one_wrote() {
    let mut server = server();
    let guest = id(&server, GUEST);
    fill_rightly(&mut server);
    let number = server.world.graph.sessions.iter().position(|session| session.client == guest).unwrap();
    let frame = object(&server.world, server.world.regions[number].unwrap());
    let Kind::Frame { content, .. } = &mut server.world.kernel.objects[frame].kind else { panic!("not a frame") };
    content.clear();
    content.resize(4096, 0x5a);
    take_out(&mut server);
    fill_rightly(&mut server);
    let Kind::Frame { content, .. } = &server.world.kernel.objects[frame].kind else { panic!("not a frame") };
    assert!(content.iter().all(|byte| *byte == 0));
}

#[test]
fn who_asks_for_less_time_than_its_place_has_gets_that_and_the_next_one_the_whole() {
    let mut server = server();
    let time = |server: &Server<FakeKernel>| {
        let guest = server.world.graph.named(GUEST).unwrap();
        (guest.budget_us, guest.period_us)
    };
    let less = Manifest { budget_us: 2_000, period_us: 20_000, ..manifest() };
    assert_eq!(fill(&mut server, &less.encode().unwrap(), &program()).0, Outcome::Runs);
    assert_eq!(time(&server), (2_000, 20_000));
    check_held(&server, true);
    take_out(&mut server);
    fill_rightly(&mut server);
    assert_eq!(time(&server), (5_000, 10_000));
    check_held(&server, true);
}
