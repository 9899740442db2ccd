//! A whole system as the kernel would list it, made from the gateway's graph; then one wrong capability of each kind.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use hybrid_capgraph::{Graph, Held, Instance, Rights, What, layout, resolve};
use libhybrid::start;

use crate::compare::{Report, compare};
use crate::fact::{Cap, Fact};

const PAGE: u64 = 4096;
const TABLE: u64 = 0x8000_0000;
const ROOT_THREAD: u64 = 0x8100_0000;
const ROOT_NODE: u64 = 0x8200_0000;
const SHELL: u16 = 9;

fn graph() -> Graph {
    static GRAPH: OnceLock<Graph> = OnceLock::new();
    let resolved = || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        resolve(&root, "gateway", "qemu-virt").unwrap_or_else(|problems| panic!("{}", problems[0]))
    };
    GRAPH.get_or_init(resolved).clone()
}

/// Addresses of an instance's objects.
fn base(id: u16) -> u64 {
    0x1_0000_0000 + u64::from(id) * 0x1000_0000
}
fn thread(id: u16) -> u64 {
    if id == layout::SECURITYD { ROOT_THREAD } else { base(id) }
}
fn cnode(id: u16) -> u64 {
    base(id) + 0x1_0000
}
fn endpoint(id: u16) -> u64 {
    base(id) + 0x2_0000
}
fn notification(id: u16) -> u64 {
    base(id) + 0x3_0000
}

struct System {
    graph: Graph,
    facts: Vec<Fact>,
    next_page: u64,
    next_slot: u64,
    regions: BTreeMap<usize, u64>,
}

impl System {
    fn new() -> Self {
        Self::of(graph())
    }

    fn of(graph: Graph) -> Self {
        let mut system = Self {
            graph,
            facts: Vec::new(),
            next_page: 0x9_0000_0000,
            next_slot: 0x8300_0000,
            regions: BTreeMap::new(),
        };
        let graph = system.graph.clone();
        system.put(ROOT_NODE + 32, Cap::CNode { at: cnode(1), radix: 7 });
        system.somewhere(Cap::Untyped { base: base(2), bits: 40, incarnation: 1 });
        system.somewhere(Cap::Audit { table: TABLE });
        for instance in &graph.instances {
            system.instance(instance);
        }
        system
    }

    fn put(&mut self, slot: u64, cap: Cap) {
        self.facts.push(Fact { slot, cap });
    }

    /// In a slot of securityd's, which may hold anything.
    fn somewhere(&mut self, cap: Cap) {
        self.next_slot += 32;
        self.put(self.next_slot, cap);
    }

    fn map(&mut self, id: u16, address: u64, page: u64, rights: Rights, is_device: bool) {
        self.map_sized(id, address, (page, 12), rights, is_device);
    }

    fn map_sized(&mut self, id: u16, address: u64, (page, bits): (u64, u8), rights: Rights, is_device: bool) {
        self.somewhere(Cap::Frame { page, bits, rights, is_device, mapping: (id, address) });
    }

    fn fresh(&mut self, id: u16, address: u64, bytes: u64, rights: Rights) {
        for at in (0..bytes).step_by(4096) {
            self.next_page += PAGE;
            self.map(id, address + at, self.next_page, rights, false);
        }
    }

    fn instance(&mut self, instance: &Instance) {
        let (id, graph) = (instance.id, self.graph.clone());
        let at = thread(id);
        self.somewhere(Cap::Thread { at });
        self.somewhere(Cap::CNode { at: cnode(id), radix: instance.cnode_bits });
        let root = if id == layout::SECURITYD { (ROOT_NODE, 8) } else { (cnode(id), instance.cnode_bits) };
        self.put(at + 576, Cap::CNode { at: root.0, radix: root.1 });
        self.put(at + 608, Cap::Space { asid: id });
        if id != layout::SECURITYD {
            self.fresh(id, start::IMAGE_BASE, 3 * PAGE, Rights::READ);
            self.fresh(id, start::START_INFO_BASE, PAGE, Rights::READ);
            self.fresh(id, start::IPC_BUFFER_ADDRESS, PAGE, Rights::READ_WRITE);
        }
        for number in 1..=instance.further_threads() {
            self.further(id, number);
        }
        for span in instance.thread_spans() {
            let base = start::THREAD_BASE + u64::from(span) * start::THREAD_STRIDE;
            self.fresh(id, base, start::THREAD_PAGES * PAGE, Rights::READ_WRITE);
        }
        for grant in graph.grants_of(instance).iter().filter(|grant| grant.held == Held::Always) {
            self.grant(instance, &grant.what, &grant.target);
        }
    }

    /// One more thread in an instance's spaces, with its fault handler.
    fn further(&mut self, id: u16, number: u8) {
        let at = thread(id) + u64::from(number) * 2048;
        self.somewhere(Cap::Thread { at });
        let radix = self.graph.instance(id).unwrap().cnode_bits;
        self.put(at + 576, Cap::CNode { at: cnode(id), radix });
        self.put(at + 608, Cap::Space { asid: id });
        let badge = layout::fault_badge(id);
        self.put(at + 672, Cap::Endpoint { at: endpoint(1), badge, rights: Rights::CALL });
    }

    fn grant(&mut self, instance: &Instance, what: &What, target: &str) {
        let (id, node) = (instance.id, cnode(instance.id));
        let peer = target.split('.').next().and_then(|name| self.graph.named(name)).map_or(id, |peer| peer.id);
        let slot = |slot: u32| node + 32 * u64::from(slot);
        match *what {
            What::Call { slot: at, rights, badge, .. } => {
                self.put(slot(at), Cap::Endpoint { at: endpoint(peer), badge, rights });
            }
            What::Bell { slot: at, rights, bit, .. } => {
                let badge = layout::bell_badge(bit);
                self.put(slot(at), Cap::Notification { at: notification(peer), badge, rights });
            }
            What::Endpoint { slot: at, rights } => {
                self.put(slot(at), Cap::Endpoint { at: endpoint(id), badge: 0, rights });
            }
            What::Notification { slot: at, rights } => {
                // That of a further thread is another one.
                let of_thread = if at == layout::SLOT_NOTIFICATION { 0 } else { 64 * u64::from(at) };
                self.put(slot(at), Cap::Notification { at: notification(id) + of_thread, badge: 0, rights });
            }
            What::Reply { slot: at, rights } => self.put(slot(at), Cap::Reply { rights }),
            What::CNode { slot: at, .. } => {
                self.put(slot(at), Cap::CNode { at: node, radix: instance.cnode_bits });
            }
            What::Audit { slot: at } => {
                self.put(slot(at), Cap::Audit { table: TABLE });
                let place = instance.devices.iter().position(hybrid_capgraph::Device::is_audit).unwrap();
                self.fresh(id, layout::device_address(place), 3 * PAGE, Rights::READ);
            }
            What::Interrupt { irq, slot: at, bit, .. } => {
                self.put(slot(at), Cap::Interrupt { irq });
                let badge = layout::bell_badge(bit);
                let cap = Cap::Notification { at: notification(id), badge, rights: Rights::WRITE };
                self.put(TABLE + 32 * u64::from(irq), cap);
            }
            What::Device { page, bits, address, rights } => self.map_sized(id, address, (page, bits), rights, true),
            What::Shown { address } => self.fresh(id, address, PAGE, Rights::READ),
            What::Dma { bytes, address } => self.fresh(id, address, bytes, Rights::READ_WRITE),
            What::Peers { address } => self.fresh(id, address, PAGE, Rights::READ),
            What::Memory { stack, heap, thread_stacks: (count, bytes) } => {
                self.fresh(id, start::STACK_TOP - stack, stack, Rights::READ_WRITE);
                self.fresh(id, start::HEAP_BASE, heap, Rights::READ_WRITE);
                for index in 0..count {
                    self.fresh(id, layout::stack_address(index, bytes), bytes, Rights::READ_WRITE);
                }
            }
            What::Fault { badge } => {
                self.put(thread(id) + 672, Cap::Endpoint { at: endpoint(1), badge, rights: Rights::CALL });
            }
            What::Region { bytes, address, rights } => {
                let port = Some(u8::try_from((address - layout::REGION_BASE) / layout::REGION_STRIDE).unwrap());
                let of = |session: &hybrid_capgraph::Session| {
                    session.region.is_some()
                        && ((session.client == id && session.client_port == port)
                            || (session.server == id && session.server_port == port))
                };
                let number = self.graph.sessions.iter().position(of).unwrap();
                let first = *self.regions.entry(number).or_insert_with(|| {
                    self.next_page += bytes + PAGE;
                    self.next_page - bytes
                });
                for at in (0..bytes).step_by(4096) {
                    self.map(id, address + at, first + at, rights, false);
                }
            }
            What::Timer | What::Time { .. } | What::Key => {}
        }
    }

    fn compare(&self) -> Report {
        compare(&self.graph, &self.facts)
    }

    fn place(&self, slot: u64) -> usize {
        self.facts.iter().position(|fact| fact.slot == slot).unwrap()
    }

    /// The differences that a change makes.
    fn after(change: impl FnOnce(&mut Self)) -> Vec<String> {
        let mut system = Self::new();
        change(&mut system);
        let words = |line: &String| line.split_whitespace().collect::<Vec<_>>().join(" ");
        system.compare().differences.iter().map(words).collect()
    }
}

/// A free place of the shell's CNode.
fn free(slot: u64) -> u64 {
    cnode(SHELL) + 32 * slot
}

#[test]
fn system_as_declared_has_no_difference() {
    let report = System::new().compare();
    assert_eq!(report.differences, Vec::<String>::new());
    let declared = graph().grants();
    let hidden = declared.iter().filter(|grant| matches!(grant.what, What::Time { .. } | What::Timer | What::Key));
    assert_eq!(report.equal as usize + report.absent as usize + hidden.count(), declared.len());
    assert!(report.equal > 100 && report.absent == 0);
}

#[test]
fn capability_of_each_kind_in_a_slot_is_named() {
    let frame = |is_device| Cap::Frame { page: 0x7000, bits: 12, rights: Rights::READ, is_device, mapping: (0, 0) };
    let other = |tag| Cap::Other { tag, at: 0x7000 };
    for (cap, line) in [
        (Cap::Endpoint { at: endpoint(6), badge: 0, rights: Rights(15) }, "+ shell other endpoint slot=200"),
        (Cap::Notification { at: notification(6), badge: 1, rights: Rights(3) }, "+ shell other notification slot=200"),
        (Cap::Reply { rights: Rights::GRANT }, "+ shell other reply slot=200"),
        (Cap::Thread { at: thread(7) }, "+ shell other thread slot=200"),
        (Cap::Space { asid: 7 }, "+ shell other space slot=200"),
        (frame(false), "+ shell other frame slot=200"),
        (frame(true), "+ shell other device-frame slot=200"),
        (Cap::Untyped { base: base(9), bits: 12, incarnation: 4 }, "+ shell other untyped slot=200"),
        (other(3), "+ shell other page-table slot=200"),
        (other(22), "+ shell other context slot=200"),
        (other(24), "+ shell other context-control slot=200"),
        (other(14), "+ shell other interrupt-control slot=200"),
        (other(11), "+ shell other pool-control slot=200"),
        (other(13), "+ shell other pool slot=200"),
        (other(20), "+ shell other domain slot=200"),
        (other(27), "+ shell other sgi slot=200"),
        (other(30), "+ shell other platform slot=200"),
        (other(18), "+ shell other half-deleted slot=200"),
    ] {
        assert_eq!(System::after(|system| system.put(free(200), cap)), [line], "{cap:?}");
    }
    let audit = System::after(|system| system.put(free(200), Cap::Audit { table: TABLE }));
    assert_eq!(audit, ["+ shell audit shell slot=200"], "whose it is is known");
    let stray = System::after(|system| system.somewhere(Cap::Audit { table: TABLE }));
    assert_eq!(stray, ["+ ? other audit slots=2"]);
    let irq = System::after(|system| system.put(free(200), Cap::Interrupt { irq: 33 }));
    assert_eq!(irq, ["+ shell interrupt shell slot=200 bit=61 irq=33 trigger=level"]);
    let node = System::after(|system| system.put(free(200), Cap::CNode { at: cnode(7), radix: 7 }));
    assert_eq!(node, ["+ shell other cnode slot=200"]);
}

#[test]
fn changed_badge_right_object_and_address_are_differences() {
    let slot = cnode(SHELL) + 32 * u64::from(layout::call_slot(0) + 2);
    let change = |cap: fn(u64, u64, Rights) -> Cap| {
        System::after(|system| {
            let place = system.place(slot);
            let Cap::Endpoint { at, badge, rights } = system.facts[place].cap else { panic!("no call") };
            system.facts[place].cap = cap(at, badge, rights);
        })
    };
    let badge = change(|at, badge, rights| Cap::Endpoint { at, badge: badge ^ 0x3_0000, rights });
    let rights = change(|at, badge, _| Cap::Endpoint { at, badge, rights: Rights(13) });
    let object = change(|_, badge, rights| Cap::Endpoint { at: endpoint(6), badge, rights });
    for (found, what) in [(badge, "badge="), (rights, "rights=write,grant,grantreply"), (object, "call netd slot=")] {
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("+ shell call") && found[0].contains(what), "{found:?}");
        assert!(found[1].starts_with("- shell call securityd.control"), "{found:?}");
    }
    // Objects that a server handed out are of the session that is declared; rights to receive are not handed out.
    let passed = |at, badge, rights| System::after(|system| system.put(free(200), Cap::Endpoint { at, badge, rights }));
    let reader = layout::badge(SHELL, 0, 1, 1) | 5;
    assert_eq!(passed(endpoint(2), reader, Rights::CALL), Vec::<String>::new());
    assert_eq!(passed(endpoint(2), reader, Rights::READ), ["+ shell other endpoint slot=200"]);
    // Neither another client's, nor of a further use, which this one does not have.
    for badge in [layout::badge(8, 0, 1, 1), layout::badge(SHELL, 1, 1, 1)] {
        assert_eq!(passed(endpoint(2), badge | 5, Rights::CALL), ["+ shell other endpoint slot=200"]);
    }
    assert_eq!(passed(endpoint(7), reader, Rights::CALL), ["+ shell other endpoint slot=200"]);
}

#[test]
fn memory_beside_what_is_declared_is_named() {
    let extra = System::after(|system| system.fresh(SHELL, 0x6800_0000, PAGE, Rights::READ_WRITE));
    assert!(
        extra.len() == 1 && extra[0].starts_with("+ shell other frame at=0x68000000 rights=read,write"),
        "{extra:?}"
    );
    let device = System::after(|system| system.map(SHELL, 0x3000_0000, 0x0900_0000, Rights::READ_WRITE, true));
    let line = "+ shell other device-frame console at=0x30000000 rights=read,write page=0x9000000";
    assert!(device.iter().any(|found| found == line), "{device:?}");
    // A page of httpd's heap, also in the shell's program.
    let shared = System::after(|system| {
        let of_heap = |fact: &&Fact| matches!(fact.cap, Cap::Frame { mapping: (7, start::HEAP_BASE), .. });
        let Cap::Frame { page, .. } = system.facts.iter().find(of_heap).unwrap().cap else { panic!() };
        system.map(SHELL, start::IMAGE_BASE + 8 * PAGE, page, Rights::READ, false);
    });
    assert!(shared.iter().any(|line| line.starts_with("+ shell other shared-frame httpd at=0x408000")), "{shared:?}");
    assert!(shared.iter().any(|line| line.starts_with("+ httpd other shared-frame shell at=0x10000000")), "{shared:?}");
    // A third one in a session's region; a region that lost its other side.
    let third = System::after(|system| {
        let of_region = |fact: &&Fact| matches!(fact.cap, Cap::Frame { mapping: (7, 0x2080_0000), .. });
        let Cap::Frame { page, .. } = system.facts.iter().find(of_region).unwrap().cap else { panic!() };
        system.map(8, start::IMAGE_BASE + 8 * PAGE, page, Rights::READ, false);
    });
    assert!(third.iter().any(|line| line.starts_with("+ httpd region ?")), "{third:?}");
    let lost = System::after(|system| {
        system.facts.retain(|fact| !matches!(fact.cap, Cap::Frame { mapping: (6, 0x20c0_0000), .. }));
    });
    assert!(lost.iter().any(|line| line.starts_with("- netd region httpd.tcp")), "{lost:?}");
}

#[test]
fn threads_cnodes_spaces_and_bells_of_nobody_are_named() {
    let stranger = System::after(|system| {
        system.somewhere(Cap::Thread { at: base(20) });
        system.put(base(20) + 576, Cap::CNode { at: cnode(SHELL), radix: 8 });
        system.put(base(20) + 608, Cap::Space { asid: SHELL });
    });
    assert_eq!(stranger, [format!("+ ? other thread page={:#x}", base(20))]);
    let node = System::after(|system| system.put(cnode(30), Cap::CNode { at: cnode(30), radix: 4 }));
    assert_eq!(node, [format!("+ ? other cnode page={:#x}", cnode(30))]);
    assert_eq!(System::after(|system| system.fresh(77, 0x1000, PAGE, Rights::READ)), ["+ ? other space page=77"]);
    let bell = System::after(|system| {
        let cap = Cap::Notification { at: notification(SHELL), badge: 1, rights: Rights::WRITE };
        system.put(TABLE + 32 * 90, cap);
    });
    assert_eq!(bell, ["+ shell other interrupt-bell irq=90"]);
    let timeout = System::after(|system| {
        system.put(thread(SHELL) + 704, Cap::Endpoint { at: endpoint(6), badge: 0, rights: Rights::WRITE });
    });
    assert_eq!(timeout, ["+ shell other timeout-handler endpoint"]);
    // A further thread of securityd's own is nothing that securityd could not do itself.
    let own = System::after(|system| {
        system.somewhere(Cap::Thread { at: base(20) });
        system.put(base(20) + 576, Cap::CNode { at: cnode(1), radix: 7 });
        system.put(base(20) + 608, Cap::Space { asid: 1 });
    });
    assert_eq!(own, Vec::<String>::new());
}

#[test]
fn stacks_of_threads_are_whole_and_nothing_is_below_them() {
    const BYTES: u64 = 4 * PAGE;
    let with_stacks = |change: &dyn Fn(&mut System)| {
        let mut graph = graph();
        let shell = graph.instances.iter_mut().find(|instance| instance.id == SHELL).unwrap();
        (shell.threads, shell.cnode_bits, shell.thread_stack) = (4, layout::CNODE_BITS_LARGE, BYTES);
        let mut system = System::of(graph);
        change(&mut system);
        system.compare().differences
    };
    assert_eq!(with_stacks(&|_| {}), Vec::<String>::new());
    let second = layout::stack_address(1, BYTES);
    // A page in a gap, first or last, makes an overflow go on unseen.
    for at in [second - PAGE, second - layout::STACK_GUARD, layout::stack_address(3, BYTES)] {
        let found = with_stacks(&|system| system.fresh(SHELL, at, PAGE, Rights::READ_WRITE));
        assert!(found.len() == 1 && found[0].contains(&format!("at={at:#x}")), "{found:?}");
    }
    let lost = with_stacks(&|system| {
        let is_it =
            |fact: &Fact| matches!(fact.cap, Cap::Frame { mapping: (SHELL, at), .. } if at == second + 3 * PAGE);
        system.facts.retain(|fact| !is_it(fact));
    });
    assert!(lost.len() == 2 && lost[0].contains("thread_stacks=2x16384"), "{lost:?}");
}

#[test]
fn further_threads_are_as_many_as_declared_in_their_instances_spaces() {
    let with_threads = || {
        let mut graph = graph();
        let shell = graph.instances.iter_mut().find(|instance| instance.id == SHELL).unwrap();
        (shell.threads, shell.cnode_bits) = (3, layout::CNODE_BITS_LARGE);
        System::of(graph)
    };
    assert_eq!(with_threads().compare().differences, Vec::<String>::new());
    let mut one_more = with_threads();
    one_more.further(SHELL, 4);
    assert_eq!(one_more.compare().differences.len(), 1);
    assert!(one_more.compare().differences[0].contains("thread"), "{:?}", one_more.compare().differences);
    // One that claims to be the shell's, but runs in httpd's address space.
    let mut elsewhere = with_threads();
    let place = elsewhere.place(thread(SHELL) + 2048 + 608);
    elsewhere.facts[place].cap = Cap::Space { asid: 7 };
    assert!(elsewhere.compare().differences.iter().any(|line| line.starts_with("+ ?") && line.contains("thread")));
    // A further thread's bell that is somebody else's notification.
    let mut shared = with_threads();
    let place = shared.place(cnode(SHELL) + 32 * u64::from(layout::thread_slot(2)));
    shared.facts[place].cap = Cap::Notification { at: notification(7), badge: 0, rights: Rights::READ_WRITE };
    assert!(shared.compare().differences.iter().any(|line| line.starts_with("+ shell")));
}

#[test]
fn suspects_are_those_who_hold_what_is_not_declared_each_once() {
    let mut system = System::new();
    system.put(free(200), Cap::Reply { rights: Rights::NONE });
    system.put(free(201), Cap::Reply { rights: Rights::NONE });
    system.put(cnode(30), Cap::CNode { at: cnode(30), radix: 4 });
    // The shell maps a page of httpd's, whose fault that is not.
    let page = system.facts.iter().find_map(|fact| match fact.cap {
        Cap::Frame { page, mapping: (7, at), .. } if at == start::IPC_BUFFER_ADDRESS => Some(page),
        _ => None,
    });
    let mapping = (SHELL, 0x6800_0000);
    system.somewhere(Cap::Frame { page: page.unwrap(), bits: 12, rights: Rights::READ, is_device: false, mapping });
    // And logd lacks something.
    let reply = cnode(2) + 32 * u64::from(layout::SLOT_REPLY);
    system.facts.retain(|fact| fact.slot != reply);
    let report = system.compare();
    assert!(report.differences.iter().any(|line| line.contains("shared-frame")), "{:#?}", report.differences);
    assert!(report.differences.iter().any(|line| line.starts_with("- logd")), "{:#?}", report.differences);
    let suspects: Vec<&str> = report.suspects().map(|(name, _)| name).collect();
    assert_eq!(suspects, ["?", "shell"], "{:#?}", report.differences);
}

#[test]
fn what_is_down_is_not_missed() {
    let mut system = System::new();
    let httpd = base(7)..base(8);
    system.facts.retain(|fact| match fact.cap {
        Cap::Endpoint { at, .. } | Cap::Notification { at, .. } if httpd.contains(&at) => false,
        Cap::Frame { mapping: (7, _), .. } => false,
        Cap::Thread { at } | Cap::CNode { at, .. } if httpd.contains(&at) => false,
        _ => !httpd.contains(&fact.slot),
    });
    let report = system.compare();
    assert_eq!(report.differences, Vec::<String>::new());
    assert!(report.absent > 10);
}

#[test]
fn any_list_is_compared_without_failing() {
    let mut state = 7u64;
    let mut word = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        state ^ state >> 31
    };
    let graph = graph();
    for _ in 0..20 {
        let mut system =
            System { graph: graph.clone(), facts: Vec::new(), next_page: 0, next_slot: 0, regions: BTreeMap::new() };
        let mut facts: Vec<Fact> =
            (0..300).map(|_| Fact::of(libhybrid::sys::AuditEntry { slot: word(), words: [word(), word()] })).collect();
        facts.extend(System::new().facts.iter().filter(|_| word() % 4 != 0));
        system.facts = facts;
        let report = system.compare();
        assert!(report.equal as usize <= graph.grants().len());
    }
}
