//! What decodes bytes from outside, and good bytes to begin with.
use httpd::engine::{ProtocolEngine, Step};
use httpd::http1::{Head, Http1};
use hybrid_capgraph::{Bundle, Program};
use hybrid_start::{StartInfo, Use};
use std::path::Path;

/// One decoder.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Takes any bytes without a panic.
    pub take: fn(&[u8]),
    /// Good inputs.
    pub samples: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const ALL: [Target; 6] = [
    Target { name: "idl-decode", take: hybrid_interfaces::fuzz_decode, samples: no_samples },
    Target { name: "idl-values", take: values, samples: no_samples },
    Target { name: "start-info", take: |bytes| _ = StartInfo::decode(bytes), samples: start_infos },
    Target { name: "bundle", take: bundle, samples: bundles },
    Target { name: "program", take: program, samples: || vec![elf()] },
    Target { name: "http1", take: http1, samples: requests },
];

fn no_samples() -> Vec<Vec<u8>> {
    Vec::new()
}

/// Random values of every type of every interface make the round trip.
fn values(bytes: &[u8]) {
    let seed = bytes.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    hybrid_interfaces::fuzz_values(seed);
}

fn start_infos() -> Vec<Vec<u8>> {
    let used = |number: u32| Use { name: format!("use{number}"), slot: Some(number), ..Use::default() };
    let info = StartInfo {
        abi: hybrid_start::ABI,
        name: "httpd".into(),
        uses: (0..5).map(used).collect(),
        parameters: vec![("address".into(), "10.0.2.15/24".into())],
        ..StartInfo::default()
    };
    [info, StartInfo { abi: hybrid_start::ABI, ..StartInfo::default() }]
        .iter()
        .filter_map(|info| info.encode_to_vec().ok())
        .collect()
}

fn bundle(bytes: &[u8]) {
    if let Ok(bundle) = Bundle::parse(bytes) {
        let _ = bundle.graph();
    }
}

fn bundles() -> Vec<Vec<u8>> {
    let elf = elf();
    let programs: [(&str, &[u8]); 2] = [("one", &elf), ("two", b"no program")];
    // The gateway's own graph; without it (a broken text) the smoke test says that there is no sample.
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let graph = hybrid_capgraph::resolve(&checkout, "gateway", "qemu-virt");
    graph.iter().filter_map(|graph| hybrid_capgraph::write_bundle(graph, &programs).ok()).collect()
}

fn program(bytes: &[u8]) {
    if let Ok(program) = Program::parse(bytes) {
        for segment in &program.segments {
            let _ = segment;
        }
    }
}

/// A small program: an ELF header and two segments.
fn elf() -> Vec<u8> {
    let mut file = vec![0; 0x2010];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &[2, 0, 183, 0, 1, 0, 0, 0]);
    put(24, &0x40_0000_u64.to_le_bytes());
    put(32, &64_u64.to_le_bytes());
    put(52, &[64, 0, 56, 0, 2, 0]);
    for (index, flags) in [5_u32, 6].into_iter().enumerate() {
        let (header, place) = (64 + index * 56, 0x1000 * (index as u64 + 1));
        put(header, &1_u32.to_le_bytes());
        put(header + 4, &flags.to_le_bytes());
        for (at, value) in
            [(8, place), (16, 0x3f_f000 + place), (24, 0x3f_f000 + place), (32, 16), (40, 16), (48, 0x1000)]
        {
            put(header + at, &u64::to_le_bytes(value));
        }
    }
    file
}

/// An HTTP connection that gets these bytes in pieces, answers every request with an error, and takes every body.
fn http1(bytes: &[u8]) {
    let mut engine = Http1::default();
    let mut head = Head::default();
    let mut out = Vec::new();
    let piece = bytes.first().map_or(1, |first| usize::from(*first) + 1);
    for part in bytes.chunks(piece) {
        engine.receive(part);
        drive(&mut engine, &mut head, &mut out);
    }
    engine.peer_finished();
    drive(&mut engine, &mut head, &mut out);
}

fn drive(engine: &mut Http1, head: &mut Head, out: &mut Vec<u8>) {
    // Each turn uses input or ends; so many turns without either are an endless loop.
    for _ in 0..100_000 {
        match engine.poll(head, 1024, false) {
            Step::Starved | Step::Waiting | Step::Over => return,
            Step::Request(_) => {
                engine.accept();
                engine.answer_error(httpd::Status::NotFound, false, out);
            }
            Step::Body { data, is_last, .. } => {
                let length = data.len();
                engine.take_body(length, is_last);
            }
            Step::Invalid(status) => _ = engine.answer_error(status, true, out),
            Step::Truncated => {
                engine.answer_error(httpd::Status::BadRequest, true, out);
                return;
            }
        }
        let _ = engine.take_consumed();
        out.clear();
    }
    panic!("the engine goes round in circles");
}

fn requests() -> Vec<Vec<u8>> {
    [
        &b"GET / HTTP/1.1\r\nHost: device\r\n\r\n"[..],
        b"HEAD /a/../b?c=%20 HTTP/1.1\r\nHost: device\r\nConnection: close\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: device\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
        b"POST /x HTTP/1.1\r\nHost: device\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: device\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    ]
    .map(<[u8]>::to_vec)
    .into()
}
