//! A component admitted at run time: the same graph and the same rules as at build time, against a simple model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hybrid_capgraph::{
    Bundle, Date, Dma, Graph, Instance, InterfaceFacts, MANIFEST_MAX, Manifest, Offer, Place, RoutedDevice, RoutedUse,
    Rulebook, admit, fill, golden, has_use, resolve_whole, rule, write_bundle_with,
};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

fn interfaces() -> BTreeMap<String, InterfaceFacts> {
    let calls = InterfaceFacts { has_operations: true, ..InterfaceFacts::default() };
    let rings = InterfaceFacts { has_rings: true, region_bytes: 9000, ..InterfaceFacts::default() };
    [
        ("hybrid.log.Sink", rings.clone()),
        ("hybrid.test.Bytes", InterfaceFacts { region_bytes: 40_000, ..rings.clone() }),
        ("hybrid.test.Huge", InterfaceFacts { region_bytes: 5 << 20, ..rings.clone() }),
        ("hybrid.test.Secret", calls.clone()),
        ("hybrid.test.State", InterfaceFacts { has_events: true, ..calls.clone() }),
        ("hybrid.test.Files", InterfaceFacts { mints_resources: true, ..calls.clone() }),
    ]
    .map(|(name, facts)| (name.to_owned(), facts))
    .into()
}

fn base() -> (Graph, Rulebook) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/base");
    resolve_whole(&root, "demo", "small", &interfaces(), Date::parse("2026-11-24").unwrap()).unwrap()
}

fn routed(name: &str, interface: &str, route: &str) -> RoutedUse {
    RoutedUse {
        name: name.into(),
        interface: interface.into(),
        reason: "a test".into(),
        route: route.into(),
        is_on_demand: false,
    }
}

fn offer(name: &str, interface: &str, max_clients: u8) -> Offer {
    Offer { name: name.into(), interface: interface.into(), max_clients, max_open: max_clients }
}

fn log() -> RoutedUse {
    routed("log", "hybrid.log.Sink", "store.sink")
}

fn manifest() -> Manifest {
    Manifest {
        id: 9,
        name: "three".into(),
        component: "apps/three".into(),
        class: "app".into(),
        stack: 64 << 10,
        heap: 1 << 20,
        budget_us: 1000,
        period_us: 1000,
        uses: vec![log(), routed("bytes", "hybrid.test.Bytes", "console.bytes")],
        provides: vec![],
        devices: vec![],
        dma: vec![],
        parameters: vec![],
    }
}

fn rules(live: &Graph, manifest: &Manifest, book: &Rulebook) -> BTreeSet<&'static str> {
    let problems = admit(live, manifest, book).err().unwrap_or_default();
    assert!(problems.iter().all(|problem| rule(problem.rule).is_some()), "{problems:?}");
    problems.iter().map(|problem| problem.rule).collect()
}

#[test]
fn component_admitted_gets_what_the_build_would_have_given_it() {
    let (live, book) = base();
    let after = admit(&live, &manifest(), &book).unwrap();
    assert!(after.is_coherent());
    let (before, now) = (golden(&live), golden(&after));
    let new: Vec<&str> = now.lines().filter(|line| !before.contains(line)).collect();
    assert!(before.lines().all(|line| now.contains(line)), "a line of before is gone");
    assert!(!new.is_empty() && new.iter().all(|line| line.contains("three")), "{new:#?}");
    // The same instance in the product's texts.
    let root = std::env::temp_dir().join(format!("hybrid-capgraph-admit-{}", std::process::id()));
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/base"), &root);
    let text = std::fs::read_to_string(root.join("apps/two/component.toml")).unwrap();
    let text = text.replace("name = \"two\"", "name = \"three\"");
    let at = text.find("[[uses]]\nname = \"state\"").unwrap();
    let end = text.find("[restart]").unwrap();
    let text = (text[..at].to_owned() + &text[end..])
        .replace("tell what happens", "a test")
        .replace("talk to the line", "a test");
    std::fs::create_dir_all(root.join("apps/three")).unwrap();
    std::fs::write(root.join("apps/three/component.toml"), text).unwrap();
    let system = std::fs::read_to_string(root.join("images/demo/system.toml")).unwrap();
    let instance = "[[instance]]\nid = 9\nname = \"three\"\ncomponent = \"apps/three\"\nbudget_us = 1000\nperiod_us = 1000\n\
                    routes = { log = \"store.sink\", bytes = \"console.bytes\" }\n\n[access]";
    std::fs::write(root.join("images/demo/system.toml"), system.replace("[access]", instance)).unwrap();
    let built = resolve_whole(&root, "demo", "small", &interfaces(), Date::parse("2026-11-24").unwrap()).unwrap().0;
    std::fs::remove_dir_all(&root).unwrap();
    assert_eq!(golden(&built), now);
}

/// Two directories of one file server, say: a session each, which the badge tells.
#[test]
fn component_may_have_several_uses_of_one_provided_interface() {
    let (live, book) = base();
    let (live, mut new) = (live.without(8), manifest());
    new.uses.extend(["first", "second"].map(|name| routed(name, "hybrid.test.State", "console.state")));
    let after = admit(&live, &new, &book).unwrap();
    assert!(after.is_coherent());
    let golden = golden(&after);
    let calls = golden.lines().filter(|line| line.starts_with("three ") && line.contains(" console.state "));
    let told: Vec<&str> =
        calls.filter_map(|line| line.split_once("slot=")?.1.split_once("  #")).map(|(facts, _)| facts).collect();
    assert_eq!(
        told,
        ["12 rights=write,grantreply badge=0x10100090000", "14 rights=write,grantreply badge=0x100010100090000"]
    );
    // Both are counted: the third finds no room.
    new.uses.push(routed("third", "hybrid.test.State", "console.state"));
    assert_eq!(rules(&live, &new, &book), BTreeSet::from(["too-many-clients"]));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn manifest_and_rulebook_survive_the_way_to_the_device() {
    let (live, book) = base();
    let bytes = book.encode().unwrap();
    let again = Rulebook::decode(&bytes).unwrap();
    assert_eq!(again.encode().unwrap(), bytes);
    let sent = Manifest::decode(&manifest().encode().unwrap()).unwrap();
    assert_eq!(sent, manifest());
    assert_eq!(admit(&live, &sent, &again), admit(&live, &manifest(), &book));
    let bundle = write_bundle_with(&live, Some(&book), &[("x", b"y")]).unwrap();
    let bundle = Bundle::parse(&bundle).unwrap();
    assert_eq!(bundle.rulebook().unwrap().unwrap().encode().unwrap(), bytes);
    assert_eq!((bundle.graph().unwrap(), bundle.program("x")), (live, Some(&b"y"[..])));
    assert!(Manifest::decode(&vec![0; MANIFEST_MAX + 1]).is_err());
    assert!(Manifest::decode(&[0xff; 9]).is_err());
}

#[test]
fn manifest_with_one_mistake_is_refused_by_its_rule() {
    type Change = fn(&mut Manifest);
    let cases: [(&str, Change); 30] = [
        ("duplicate-id", |new| new.id = 8),
        ("bad-value", |new| new.id = 5000),
        ("duplicate-name", |new| new.name = "two".into()),
        ("bad-value", |new| new.name = "Three".into()),
        ("bad-value", |new| new.class = "security".into()),
        ("bad-value", |new| new.class = "none".into()),
        ("bad-value", |new| new.stack = 0),
        ("bad-value", |new| new.heap = 1 << 40),
        ("bad-value", |new| new.heap = 4095),
        ("bad-budget", |new| new.budget_us = 1),
        ("bad-budget", |new| new.budget_us = 2000),
        ("too-many-uses", |new| new.uses.extend((0..30).map(|at| RoutedUse { name: format!("more-{at}"), ..log() }))),
        ("bad-value", |new| new.parameters.push(("k".into(), "v".repeat(300)))),
        ("duplicate-name", |new| new.uses.push(log())),
        ("missing-reason", |new| new.uses[0].reason = " ".into()),
        ("bad-value", |new| new.uses[0].reason = "r".repeat(81)),
        ("unknown-interface", |new| new.uses[1].interface = "hybrid.test.None".into()),
        ("region-too-large", |new| new.uses[1].interface = "hybrid.test.Huge".into()),
        ("bad-value", |new| new.provides.push(offer("x", "hybrid.test.State", 0))),
        ("wildcard-route", |new| new.uses[1].route = "*.bytes".into()),
        ("bad-value", |new| new.uses[1].route = "console".into()),
        ("unknown-instance", |new| new.uses[1].route = "none.bytes".into()),
        ("unknown-interface", |new| new.uses[1].route = "console.none".into()),
        ("interface-mismatch", |new| new.uses[1].route = "console.state".into()),
        ("missing-log", |new| drop(new.uses.remove(0))),
        ("guarded", |new| new.uses[1] = routed("secret", "hybrid.test.Secret", "securityd.secret")),
        ("guarded", |new| new.dma.push(Dma { name: "d".into(), bytes: 4096, reason: "r".into() })),
        ("grant-without-policy", |new| new.provides.push(offer("f", "hybrid.test.Files", 1))),
        ("device-shared", |new| new.devices.push(device("uart0", "test,line", false))),
        ("interrupt-shared", |new| new.devices.push(device("uart2", "test,line", true))),
    ];
    let (live, book) = base();
    for (name, change) in cases {
        let mut new = manifest();
        change(&mut new);
        assert_eq!(rules(&live, &new, &book), BTreeSet::from([name]), "{new:?}");
    }
    for (name, device) in
        [("unknown-device", device("none", "test,line", true)), ("device-mismatch", device("uart2", "x,y", true))]
    {
        let new = Manifest { devices: vec![device], ..manifest() };
        assert_eq!(rules(&live, &new, &book), BTreeSet::from([name]));
    }
}

fn device(board: &str, compatible: &str, interrupt: bool) -> RoutedDevice {
    let reason = "a test".into();
    RoutedDevice {
        name: "dev".into(),
        compatible: compatible.into(),
        reason,
        device: board.into(),
        registers: true,
        interrupt,
    }
}

/// The base with `two` as a place.
fn with_place() -> (Graph, Instance, Rulebook) {
    let (mut graph, book) = base();
    let two = graph.instances.iter_mut().find(|instance| instance.name == "two").unwrap();
    two.place = Some(Place { installer: 5 });
    let contract = two.clone();
    (graph, contract, book)
}

/// Everything that the place has.
fn filling() -> Manifest {
    let state = routed("state", "hybrid.test.State", "console.state");
    let uses = vec![log(), routed("bytes", "hybrid.test.Bytes", "console.bytes"), state];
    Manifest { id: 0, name: "two".into(), component: "apps/other".into(), uses, ..manifest() }
}

#[test]
fn place_is_filled_by_what_asks_for_no_more_and_keeps_its_slots() {
    let (graph, contract, book) = with_place();
    let whole = fill(&graph, &contract, &filling(), &book).unwrap();
    assert_eq!(whole, Instance { component: "apps/other".into(), ..contract.clone() });
    let less = Manifest { uses: vec![log()], heap: 4096, stack: 4096, ..filling() };
    assert_eq!(fill(&graph, &contract, &less, &book).unwrap(), whole);
    // Memory is the place's, which the image has room for; time and priority are no more than it asks for.
    let slower = Manifest { period_us: 2 * contract.period_us, ..filling() };
    let filled = fill(&graph, &contract, &slower, &book).unwrap();
    assert_eq!(filled, Instance { period_us: 2 * contract.period_us, ..whole.clone() });
    let higher = Instance { priority: contract.priority + 50, ..contract.clone() };
    assert_eq!(fill(&graph, &higher, &filling(), &book).unwrap().priority, contract.priority);
    let given: Vec<bool> = contract.uses.iter().map(|used| has_use(&less, used)).collect();
    assert_eq!(given, [true, false, false]);
    let without = graph.without(contract.id);
    assert!(without.is_coherent() && without.instance(contract.id).is_none());
    assert_eq!(without.sessions.len() + 3, graph.sessions.len());
}

#[test]
fn manifest_beyond_its_place_is_refused_by_the_rules_of_the_build_and_by_the_place() {
    type Change = fn(&mut Manifest);
    let cases: [(&[&str], Change); 11] = [
        (&["beyond-place"], |new| new.heap = 2 << 20),
        (&["beyond-place"], |new| new.stack = 128 << 10),
        (&["beyond-place"], |new| (new.budget_us, new.period_us) = (2000, 2000)),
        (&["beyond-place", "downhill-call"], |new| new.class = "time".into()),
        (&["beyond-place"], |new| new.uses[2].name = "condition".into()),
        (&["beyond-place"], |new| new.uses[2].is_on_demand = true),
        (&["beyond-place", "device-shared"], |new| new.devices.push(device("uart0", "test,line", false))),
        (&["beyond-place", "guarded"], |new| new.dma.push(Dma { name: "d".into(), bytes: 4096, reason: "r".into() })),
        (&["beyond-place", "guarded", "never-both"], |new| {
            new.uses.push(routed("secret", "hybrid.test.Secret", "securityd.secret"));
        }),
        (&["beyond-place"], |new| new.provides.push(offer("x", "hybrid.test.State", 1))),
        (&["missing-log"], |new| drop(new.uses.remove(0))),
    ];
    let (graph, contract, book) = with_place();
    for (names, change) in cases {
        let mut new = filling();
        change(&mut new);
        let problems = fill(&graph, &contract, &new, &book).err().unwrap_or_default();
        let found: BTreeSet<&str> = problems.iter().map(|problem| problem.rule).collect();
        assert_eq!(found, names.iter().copied().collect(), "{new:?}");
    }
}

/// What the rules should say of a manifest with sound names and sizes: written down plainly, without any graph.
fn model(manifest: &Manifest) -> BTreeSet<&'static str> {
    // instance.provided, interface, priority of the server, clients that it can still take
    let offers = [
        ("store.sink", "hybrid.log.Sink", 190, 4),
        ("store.files", "hybrid.test.Files", 190, 1),
        ("console.bytes", "hybrid.test.Bytes", 200, 1),
        ("console.state", "hybrid.test.State", 200, 1),
        ("securityd.secret", "hybrid.test.Secret", 254, 3),
        ("one.state", "hybrid.test.State", 100, 1),
    ];
    let mut found = BTreeSet::new();
    let routes: Vec<_> =
        manifest.uses.iter().map(|used| (used, offers.iter().find(|offer| offer.0 == used.route))).collect();
    for (used, offer) in &routes {
        match offer {
            None => drop(found.insert("unknown-instance")),
            Some(offer) if offer.1 != used.interface => drop(found.insert("interface-mismatch")),
            Some(_) => {}
        }
    }
    if !found.is_empty() {
        return found;
    }
    let own =
        [("app", 100), ("server", 150), ("driver", 200)].iter().find(|(name, _)| *name == manifest.class).unwrap().1;
    let uses = |interface: &str| manifest.uses.iter().any(|used| used.interface == interface);
    let calls = |interface: &str| !["hybrid.log.Sink", "hybrid.test.Bytes"].contains(&interface);
    for (name, interface, priority, room) in offers {
        let count = manifest.uses.iter().filter(|used| used.route == name).count();
        if count > room {
            found.insert("too-many-clients");
        }
        if count > 0 && calls(interface) && own > priority {
            found.insert("downhill-call");
        }
    }
    if uses("hybrid.test.Secret") {
        found.insert("guarded");
        if uses("hybrid.test.Bytes") {
            found.insert("never-both");
        }
    }
    if !manifest.uses.iter().any(|used| used.name == "log") {
        found.insert("missing-log");
    }
    found
}

fn any_use() -> impl Strategy<Value = (&'static str, &'static str)> {
    let interfaces =
        ["hybrid.log.Sink", "hybrid.test.Files", "hybrid.test.Bytes", "hybrid.test.State", "hybrid.test.Secret"];
    let routes =
        ["store.sink", "store.files", "console.bytes", "console.state", "securityd.secret", "one.state", "none.x"];
    let matching = prop::sample::select(vec![
        ("hybrid.log.Sink", "store.sink"),
        ("hybrid.test.Files", "store.files"),
        ("hybrid.test.Bytes", "console.bytes"),
        ("hybrid.test.State", "console.state"),
        ("hybrid.test.State", "one.state"),
        ("hybrid.test.Secret", "securityd.secret"),
    ]);
    let other = (prop::sample::select(interfaces.to_vec()), prop::sample::select(routes.to_vec()));
    prop_oneof![9 => matching, 1 => other]
}

fn any_manifest() -> impl Strategy<Value = Manifest> {
    let class = prop_oneof![Just("app"), Just("server"), Just("driver")];
    (class, prop::collection::vec(any_use(), 0..5), any::<bool>()).prop_map(|(class, uses, has_log)| {
        let uses =
            uses.into_iter().enumerate().map(|(at, (interface, route))| routed(&format!("u{at}"), interface, route));
        let uses = has_log.then(log).into_iter().chain(uses).collect();
        Manifest { class: class.into(), uses, ..manifest() }
    })
}

proptest! {
    #[test]
    fn rules_say_what_the_model_says(manifest in any_manifest()) {
        let (live, book) = base();
        let (found, expected) = (rules(&live, &manifest, &book), model(&manifest));
        proptest::prop_assert_eq!(found, expected);
    }
}
