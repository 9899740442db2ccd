//! Binary formats: messages, start information, bundle, graph.

use crate::corpus::checkout;
use hybrid_capgraph::{
    Bundle, Graph, Listing, Manifest, Offer, RoutedUse, Rulebook, Trail, admit, compare, diff, trail_hash, trail_start,
};
use hybrid_interfaces::log::{Level, Record};
use hybrid_interfaces::provider::{Chunk, CreditBody, Protocol, Request, RequestHead, Requester, Response, Verb};
use hybrid_start::{Device, Dma, Limits, Provided, Session, Span, StartInfo, Use};
use std::sync::OnceLock;

/// Messages, records and answers of every interface: what decodes encodes to the same bytes.
pub fn target_idl_decode(data: &[u8]) {
    hybrid_interfaces::fuzz_decode(data);
}

/// Random values of every type make the round trip.
pub fn target_idl_values(data: &[u8]) {
    let seed = data.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    hybrid_interfaces::fuzz_values(seed);
}

/// A start information; what decodes encodes again.
pub fn target_start_info(data: &[u8]) {
    if let Ok(info) = StartInfo::decode(data) {
        let again = info.encode_to_vec().expect("what was decoded can be encoded");
        assert_eq!(StartInfo::decode(&again).as_ref(), Ok(&info));
        let _ = (info.use_named("log"), info.provided_named("sink"), info.parameter("address"));
    }
}

/// A bundle, as it is and with its checksum put right.
pub fn target_bundle(data: &[u8]) {
    read_bundle(data);
    let mut data = data.to_vec();
    put_checksum_right(&mut data);
    read_bundle(&data);
}

fn read_bundle(data: &[u8]) {
    let Ok(bundle) = Bundle::parse(data) else { return };
    for (name, program) in bundle.programs() {
        assert!(program.len() <= data.len() && bundle.program(name).is_some());
    }
    let _ = bundle.rulebook();
    if let Ok(graph) = bundle.graph() {
        ask(&graph);
    }
}

/// The sum is over bytes 12.. of the length at byte 24, and stands at byte 8.
fn put_checksum_right(data: &mut [u8]) {
    let length = data.get(24..32).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
    let Some(body) = usize::try_from(length).ok().and_then(|length| data.get(12..length)) else { return };
    let sum = !body.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 })
    });
    data[8..12].copy_from_slice(&sum.to_le_bytes());
}

/// A graph: whatever decodes is coherent, and every question about it has an answer.
pub fn target_graph(data: &[u8]) {
    if let Ok(graph) = Graph::decode(data) {
        ask(&graph);
    }
}

/// A manifest of a component to be admitted: refused by known rules, or a coherent graph in which nothing else moved.
pub fn target_manifest(data: &[u8]) {
    let Some((graph, book)) = gateway() else { return };
    let Ok(manifest) = Manifest::decode(data) else { return };
    match admit(graph, &manifest, book) {
        Ok(after) => {
            assert!(after.is_coherent() && after.instances.len() == graph.instances.len() + 1);
            let (before, after) = (hybrid_capgraph::golden(graph), hybrid_capgraph::golden(&after));
            assert!(before.lines().all(|line| after.contains(line)));
        }
        Err(problems) => {
            assert!(
                !problems.is_empty() && problems.iter().all(|problem| hybrid_capgraph::rule(problem.rule).is_some())
            );
        }
    }
}

/// A listing of a running system, held against the golden text.
pub fn target_listing(data: &[u8]) {
    let Some((graph, _)) = gateway() else { return };
    let Ok(declared) = Listing::parse(&hybrid_capgraph::golden(graph)) else { return };
    if let Ok(live) = Listing::parse(&String::from_utf8_lossy(data)) {
        let found = compare(&declared, &live);
        assert_eq!(found.equal + found.different.len() + found.extra.len(), live.lines.len());
        let _ = (found.text(), diff(&declared, &live), diff(&live, &declared));
        assert!(compare(&live, &live).agrees());
    }
}

/// A listing of the audit trail: what is called whole is gapless, and goes on from itself.
pub fn target_trail(data: &[u8]) {
    let Ok(trail) = Trail::parse(&String::from_utf8_lossy(data)) else { return };
    match trail.first_break() {
        Some(found) => assert!(!found.to_string().is_empty()),
        None => {
            assert_eq!(trail.continues(&trail), Ok(()));
            for chain in &trail.chains {
                assert_eq!(chain.first + chain.records.len() as u64, chain.next);
            }
        }
    }
}

/// A short one, chained.
pub(super) fn trails() -> Vec<Vec<u8>> {
    let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut text = String::from("> audit\r\n");
    for name in ["events", "denials"] {
        let mut before = trail_start(name);
        let start = hex(&before);
        text += &format!("# chain {name} first=0 next=2 waiting=0 before={start} forgotten=-\r\n");
        for (sequence, line) in [(0, "a b"), (1, "\\x")] {
            before = trail_hash(&before, sequence, 5, "Granted", line);
            let shown = line.replace('\\', "\\\\");
            text += &format!("{name} {sequence} 5 Granted {shown} sha256={}\r\n", hex(&before));
        }
    }
    vec![(text + "# end of the trail\r\n").into_bytes()]
}

pub(super) fn is_whole_trail(data: &[u8]) -> bool {
    Trail::parse(&String::from_utf8_lossy(data)).is_ok_and(|trail| trail.first_break().is_none())
}

fn ask(graph: &Graph) {
    assert!(graph.is_coherent());
    let _ = (
        hybrid_capgraph::golden(graph),
        hybrid_capgraph::dot(graph),
        hybrid_capgraph::who_text(graph, &hybrid_capgraph::Thing::Any("dma".into())),
    );
    for instance in graph.instances.iter().take(4) {
        let _ = hybrid_capgraph::show(graph, &instance.name);
        let _ = hybrid_capgraph::why_text(graph, &instance.name, "securityd");
    }
    let again = graph.encode().expect("what was decoded can be encoded");
    assert_eq!(Graph::decode(&again).as_ref(), Ok(graph));
}

pub(super) fn is_start_info(data: &[u8]) -> bool {
    StartInfo::decode(data).is_ok()
}

pub(super) fn is_bundle(data: &[u8]) -> bool {
    Bundle::parse(data).is_ok_and(|bundle| bundle.graph().is_ok())
}

pub(super) fn is_graph(data: &[u8]) -> bool {
    Graph::decode(data).is_ok()
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    (0..4_u64).map(|seed| seed.to_le_bytes().to_vec()).collect()
}

/// Some encoded records.
pub(super) fn messages() -> Vec<Vec<u8>> {
    let record = Record {
        level: Level::Warn,
        at_ns: 1_234_567,
        dropped_before: 3,
        target: "httpd::server".into(),
        text: "no provider serves /lamp".into(),
    };
    let mut list = vec![vec![0; Record::MAX_ENCODED]];
    let length = record.encode(&mut list[0]).unwrap_or(0);
    list[0].truncate(length);
    list.extend(requests().iter().map(|request| {
        let mut bytes = vec![0; Request::MAX_ENCODED];
        let length = request.encode(&mut bytes).unwrap_or(0);
        bytes.truncate(length);
        bytes
    }));
    list.push(encoded_response(&Response::Body(Chunk { request: 7, data: b"hello".into(), is_last: true })));
    list
}

pub(super) fn encoded_response(response: &Response<'_>) -> Vec<u8> {
    let mut bytes = vec![0; Response::MAX_ENCODED];
    let length = response.encode(&mut bytes).unwrap_or(0);
    bytes.truncate(length);
    bytes
}

/// What a protocol server says to a provider.
pub(super) fn requests() -> [Request<'static>; 5] {
    let requester =
        || Requester { protocol: Protocol::Http, address: "10.0.2.2".into(), is_encrypted: false, identity: None };
    let head = |request, verb, has_body| RequestHead {
        request,
        verb,
        path: "/api/status".into(),
        query: "a=b".into(),
        requester: requester(),
        metadata: Vec::new(),
        has_body,
    };
    [
        Request::Head(head(1, Verb::Read, false)),
        Request::Head(head(2, Verb::Create, true)),
        Request::Body(Chunk { request: 2, data: b"hello".into(), is_last: true }),
        Request::Credit(CreditBody { request: 1, bytes: 100 }),
        Request::Cancelled(2),
    ]
}

pub(super) fn start_infos() -> Vec<Vec<u8>> {
    let span = Span { addr: 0x2000_0000, len: 0x3000 };
    let session = Session {
        client: 4,
        nth: 1,
        client_name: "shell".into(),
        region: Some(span),
        bell_out: Some(9),
        bell_bit: Some(3),
        is_on_demand: true,
        limits: Limits { denied: vec![3], rate: Some(7), ..Limits::default() },
    };
    let used = |number: u32| Use { name: format!("use{number}"), slot: Some(number), ..Use::default() };
    let info = StartInfo {
        abi: hybrid_start::ABI,
        name: "httpd".into(),
        uses: (0..5).map(used).collect(),
        provides: vec![Provided { name: "sink".into(), sessions: vec![session], ..Provided::default() }],
        devices: vec![Device { name: "uart".into(), mmio: span, irq_slot: Some(12), ..Device::default() }],
        dma: vec![Dma { name: "buffers".into(), span, paddr: 0x4800_0000 }],
        parameters: vec![("address".into(), "10.0.2.15/24".into())],
        ..StartInfo::default()
    };
    [info, StartInfo { abi: hybrid_start::ABI, ..StartInfo::default() }]
        .iter()
        .filter_map(|info| info.encode_to_vec().ok())
        .collect()
}

/// The gateway's own graph; without it (a broken text) the smoke test says that there is no sample.
fn gateway() -> Option<&'static (Graph, Rulebook)> {
    static GRAPH: OnceLock<Option<(Graph, Rulebook)>> = OnceLock::new();
    let resolve = || {
        let interfaces = hybrid_capgraph::idl_interfaces(&checkout()).ok()?;
        let day = hybrid_capgraph::Date::default();
        hybrid_capgraph::resolve_whole(&checkout(), "gateway", "qemu-virt", &interfaces, day).ok()
    };
    GRAPH.get_or_init(resolve).as_ref()
}

pub(super) fn manifests() -> Vec<Vec<u8>> {
    let used = |name: &str, interface: &str, route: &str| RoutedUse {
        name: name.into(),
        interface: interface.into(),
        reason: "a test".into(),
        route: route.into(),
        is_on_demand: false,
    };
    let log = used("log", "hybrid.log.Sink", "logd.sink");
    let manifest = Manifest {
        id: 40,
        name: "lamp".into(),
        component: "apps/lamp".into(),
        class: "app".into(),
        stack: 64 << 10,
        heap: 1 << 20,
        budget_us: 1000,
        period_us: 10_000,
        uses: vec![log, used("provider", "hybrid.provider.Host", "httpd.providers")],
        provides: Vec::new(),
        devices: Vec::new(),
        dma: Vec::new(),
        parameters: Vec::new(),
    };
    let server = Manifest {
        class: "server".into(),
        uses: vec![used("log", "hybrid.log.Sink", "logd.sink"), used("alarm", "hybrid.time.Alarm", "timed.alarm")],
        provides: vec![Offer {
            name: "state".into(),
            interface: "hybrid.time.Alarm".into(),
            max_clients: 2,
            max_open: 1,
        }],
        parameters: vec![("colour".into(), "blue".into())],
        ..manifest.clone()
    };
    [manifest, server].iter().filter_map(|manifest| manifest.encode().ok()).collect()
}

pub(super) fn is_admitted(data: &[u8]) -> bool {
    let manifest = Manifest::decode(data).ok();
    gateway().zip(manifest).is_some_and(|((graph, book), manifest)| admit(graph, &manifest, book).is_ok())
}

pub(super) fn listings() -> Vec<Vec<u8>> {
    let golden = gateway().map(|(graph, _)| hybrid_capgraph::golden(graph)).unwrap_or_default();
    let short: String = golden.lines().take(12).map(|line| format!("{line}\n")).collect();
    vec![short.clone().into_bytes(), format!("# shows call region\n{short}").into_bytes(), golden.into_bytes()]
}

pub(super) fn is_listing(data: &[u8]) -> bool {
    Listing::parse(&String::from_utf8_lossy(data)).is_ok()
}

pub(super) fn graphs() -> Vec<Vec<u8>> {
    gateway().and_then(|(graph, _)| graph.encode().ok()).into_iter().collect()
}

pub(super) fn bundles() -> Vec<Vec<u8>> {
    let elf = super::images::elf();
    let programs: [(&str, &[u8]); 2] = [("one", &elf), ("two", b"no program")];
    gateway()
        .and_then(|(graph, book)| hybrid_capgraph::write_bundle_with(graph, Some(book), &programs).ok())
        .into_iter()
        .collect()
}
