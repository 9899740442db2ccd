//! The driver against a disk made of plain memory, honest or not, by its clients' rings; needs no hardware.
#![expect(clippy::expect_used, reason = "a mistake of a test ends the test")]
mod lives;

use crate::device::{
    Blk, CONFIG_BLK_SIZE, CONFIG_DISCARD_ALIGNMENT, CONFIG_DISCARD_SECTORS, CONFIG_DISCARD_SEGMENTS, FEATURE_BLK_SIZE,
    FEATURE_DISCARD, FEATURE_FLUSH, FEATURE_RO,
};
use crate::parts::{Part, partitions};
use crate::server::Server;
use hybrid_gpt::Partition;
use hybrid_virtio::fake::{self, Device, FakeTransport, Lent};
use hybrid_virtio::{VERSION_1, install_again};
use libhybrid::interfaces::block::{
    Answer, Disk, DiskClientRings, DiskRings, Error, Extent, Request, SECTOR_BYTES, WriteBody, disk,
};
use libhybrid::ipc::ClientId;
use libhybrid::ring::Region;
use proptest::prelude::*;
use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard};

const SECTORS: usize = 512;
/// The DMA memory is one for the whole process, so tests take turns.
static TURN: Mutex<()> = Mutex::new(());

/// A disk, its driver, and two clients with a part each.
struct Bench {
    device: Device,
    server: Server<FakeTransport>,
    clients: Vec<(ClientId, DiskClientRings)>,
    content: Vec<u8>,
    flushes: usize,
    _turn: MutexGuard<'static, ()>,
}

const PARTS: [Part; 2] = [Part { first: 34, count: 200 }, Part { first: 234, count: 200 }];

/// The device's configuration: its block, and what it says of discards (sectors, segments, alignment).
fn config_with(block: u32, discard: [u32; 3]) -> [u8; 64] {
    let mut config = [0; 64];
    config[..8].copy_from_slice(&(SECTORS as u64).to_le_bytes());
    let [most, segments, alignment] = discard;
    for (at, value) in [
        (CONFIG_BLK_SIZE, block),
        (CONFIG_DISCARD_SECTORS, most),
        (CONFIG_DISCARD_SEGMENTS, segments),
        (CONFIG_DISCARD_ALIGNMENT, alignment),
    ] {
        config[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    config
}

fn config(block: u32) -> [u8; 64] {
    config_with(block, [100, 1, 1])
}

const FEATURES: u64 = VERSION_1 | FEATURE_FLUSH | FEATURE_DISCARD | FEATURE_BLK_SIZE;

fn bench(features: u64, block: u32) -> Bench {
    bench_with(features, &config(block))
}

fn bench_with(features: u64, config: &[u8; 64]) -> Bench {
    let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let memory = fake::memory(1 << 20);
    install_again(memory.clone());
    let device = Device::new(memory, 1, 64, features, config);
    let blk = Blk::start(device.transport()).expect("an honest device");
    let mut server = Server::new(Some(blk));
    let clients = PARTS.iter().zip([20, 21]).map(|(part, instance)| {
        let region = Region::on_heap(disk::REGION_BYTES);
        let client = ClientId::of(instance);
        server.begin(client, *part, DiskRings::server(&region).ok());
        (client, DiskRings::client(&region).expect("fits"))
    });
    let clients = clients.collect();
    Bench { device, server, clients, content: vec![0; SECTORS * SECTOR_BYTES], flushes: 0, _turn: turn }
}

impl Bench {
    fn turn(&mut self) -> Vec<u16> {
        let mut rung = Vec::new();
        self.server.turn(|client| rung.push(client.instance));
        rung
    }

    /// Does one request as a disk does. Answers are given in the order of the calls.
    fn perform(&mut self, chain: &[Lent]) {
        let mut head = [0; 16];
        self.device.read(chain[0].address, &mut head);
        let kind = u32::from_le_bytes(*head.first_chunk().expect("16"));
        let sector = u64::from_le_bytes(*head[8..].first_chunk().expect("8"));
        let at = usize::try_from(sector).expect("small") * SECTOR_BYTES;
        let mut written = 1;
        match kind {
            0 => {
                assert!(self.device.write(chain[1].address, &self.content[at..at + chain[1].len]));
                written += u32::try_from(chain[1].len).expect("small");
            }
            1 => {
                let mut data = vec![0; chain[1].len];
                self.device.read(chain[1].address, &mut data);
                self.content[at..at + data.len()].copy_from_slice(&data);
            }
            4 => self.flushes += 1,
            11 => {
                let mut segment = [0; 16];
                self.device.read(chain[1].address, &mut segment);
                let from = usize::try_from(u64::from_le_bytes(*segment.first_chunk().expect("8"))).expect("small");
                let count = u32::from_le_bytes(*segment[8..].first_chunk().expect("4")) as usize;
                self.content[from * SECTOR_BYTES..(from + count) * SECTOR_BYTES].fill(0);
            }
            other => panic!("{other} is no command"),
        }
        let status = chain.last().expect("a status");
        assert!(status.is_writable && status.len == 1 && self.device.write(status.address, &[0]));
        self.device.complete(0, chain[0].token.into(), written);
    }

    fn serve(&mut self) {
        loop {
            self.turn();
            let Some(chain) = self.device.take_chain(0) else { break };
            self.perform(&chain);
        }
    }

    fn ask(&mut self, client: usize, request: &Request<'_>) {
        self.clients[client].1.requests.push(request).expect("room");
    }

    fn answers(&mut self, client: usize) -> Vec<Answer<'static>> {
        let (mut scratch, mut found) = (Vec::new(), Vec::new());
        while let Some(answer) = self.clients[client].1.answers.pop(&mut scratch).expect("an honest driver") {
            found.push(answer.into_owned());
        }
        let _room_is_not_awaited = self.clients[client].1.answers.release();
        found
    }

    fn done(&mut self, client: usize, request: &Request<'_>) -> Answer<'static> {
        self.ask(client, request);
        self.serve();
        let mut answers = self.answers(client);
        assert_eq!(answers.len(), 1);
        answers.pop().expect("one")
    }
}

fn write(tag: u32, sector: u64, data: &[u8]) -> Request<'_> {
    Request::Write(WriteBody { tag, sector, data: Cow::Borrowed(data) })
}

fn read(tag: u32, sector: u64, count: u32) -> Request<'static> {
    Request::Read(Extent { tag, sector, count })
}

fn failure(answer: &Answer<'_>) -> Option<Error> {
    if let Answer::Failed(body) = answer { Some(body.error) } else { None }
}

#[test]
fn sectors_go_to_the_sessions_part_and_come_back() {
    let mut bench = bench(FEATURES, 512);
    let data: Vec<u8> = (0..2 * SECTOR_BYTES).map(|at| u8::try_from(at % 251).expect("small")).collect();
    for (client, part) in PARTS.iter().enumerate() {
        assert_eq!(bench.done(client, &write(7, 3, &data)), Answer::Done(7));
        let Answer::Read(body) = bench.done(client, &read(8, 3, 2)) else { panic!("no data") };
        assert_eq!((body.tag, &*body.data), (8, &data[..]));
        let at = usize::try_from(part.first + 3).expect("small") * SECTOR_BYTES;
        assert_eq!(&bench.content[at..at + data.len()], &data[..]);
    }
    assert_eq!(bench.done(0, &Request::Flush(9)), Answer::Done(9));
    assert_eq!(bench.flushes, 1);
    assert_eq!(bench.done(1, &Request::Discard(Extent { tag: 1, sector: 3, count: 2 })), Answer::Done(1));
    let Answer::Read(body) = bench.done(1, &read(2, 3, 2)) else { panic!("no data") };
    assert!(body.data.iter().all(|byte| *byte == 0));
    let geometry = bench.server.geometry(bench.clients[1].0);
    assert_eq!(bench.server.discard_max(bench.clients[1].0), 100);
    assert_eq!(
        (geometry.sectors, geometry.block_sectors, geometry.is_read_only, geometry.has_discard),
        (200, 1, false, true)
    );
}

#[test]
fn what_is_not_the_sessions_is_refused_and_never_reaches_the_device() {
    let mut bench = bench(FEATURES, 4096);
    let block = vec![1; 4096];
    for request in [
        read(1, 0, 0),
        read(1, 200, 8),
        read(1, 192, 16),
        read(1, u64::MAX, 8),
        read(1, u64::MAX - 33, 8),
        read(1, 0, 65),
        read(1, 0, u32::MAX),
        read(1, 1, 8),
        read(1, 6, 4),
        write(1, 6, &[]),
        write(1, 6, &block[..4095]),
        write(1, 6, &block[..512]),
        write(1, 198, &block),
        Request::Discard(Extent { tag: 1, sector: 6, count: 104 }),
        Request::Discard(Extent { tag: 1, sector: u64::MAX, count: u32::MAX }),
    ] {
        bench.ask(0, &request);
        bench.turn();
        assert_eq!(bench.answers(0).iter().map(failure).collect::<Vec<_>>(), [Some(Error::OutOfRange)], "{request:?}");
        assert_eq!(bench.device.take_chain(0), None, "{request:?}");
    }
    // The part begins at 34, so whole blocks of the disk begin at 6 of the session.
    assert_eq!(bench.done(0, &write(1, 6, &block)), Answer::Done(1));
}

/// As many sectors as the device takes at once, at the edges of the session's part: they are asked for once, and nothing beside them changes.
#[test]
fn discard_is_done_to_its_own_sectors_and_to_no_others() {
    let mut bench = bench(FEATURES, 512);
    bench.content.fill(0xaa);
    let mut wanted = bench.content.clone();
    for (tag, client, sector, count) in [(1, 1, 0, 100), (2, 0, 199, 1), (3, 0, 60, 40)] {
        assert_eq!(bench.done(client, &Request::Discard(Extent { tag, sector, count })), Answer::Done(tag));
        let first = usize::try_from(PARTS[client].first + sector).expect("small") * SECTOR_BYTES;
        wanted[first..first + count as usize * SECTOR_BYTES].fill(0);
        assert!(bench.content == wanted, "{count} sectors from {sector}");
    }
    let too_many = Request::Discard(Extent { tag: 4, sector: 0, count: 101 });
    assert_eq!(failure(&bench.done(1, &too_many)), Some(Error::OutOfRange));
    assert!(bench.content == wanted);
    // What was discarded can be written again.
    assert_eq!(bench.done(1, &write(5, 3, &[7; SECTOR_BYTES])), Answer::Done(5));
    let Answer::Read(body) = bench.done(1, &read(6, 3, 1)) else { panic!("no data") };
    assert!(body.data.iter().all(|byte| *byte == 7));
}

/// What the device says of its units is kept to on the disk, wherever the session's part begins; what is in no whole unit stays.
#[test]
fn discard_is_cut_to_the_devices_units() {
    let mut bench = bench_with(FEATURES, &config_with(512, [64, 1, 16]));
    bench.content.fill(0xaa);
    let mut wanted = bench.content.clone();
    // Sectors of the part, which begins at 34, and what is discarded of the disk: the units begin at 48, 64, 80, 96.
    let cases = [(0, 64, Some(48..96)), (14, 64, Some(48..112)), (13, 16, None), (15, 15, None), (190, 10, None)];
    for (tag, (sector, count, discarded)) in (0..).zip(cases) {
        bench.ask(0, &Request::Discard(Extent { tag, sector, count }));
        bench.serve();
        assert_eq!(bench.answers(0), [Answer::Done(tag)], "{count} from {sector}");
        let span = discarded.map_or(0..0, |span| span.start * SECTOR_BYTES..span.end * SECTOR_BYTES);
        wanted[span].fill(0);
        assert!(bench.content == wanted, "{count} sectors from {sector}");
    }
}

/// Limits that leave nothing to ask for: too few sectors for a unit, no segment, units that are no whole blocks.
#[test]
fn device_whose_discards_cannot_be_used_has_none() {
    for (block, limits) in
        [(512, [0, 1, 1]), (512, [100, 0, 1]), (512, [100, 1, 101]), (4096, [100, 1, 12]), (4096, [7, 1, 0])]
    {
        let mut bench = bench_with(FEATURES, &config_with(block, limits));
        assert_eq!(bench.server.discard_max(bench.clients[0].0), 0, "{limits:?}");
        let discard = Request::Discard(Extent { tag: 1, sector: 6, count: 8 });
        assert_eq!(failure(&bench.done(0, &discard)), Some(Error::Unsupported), "{limits:?}");
    }
    let mut bench = bench_with(FEATURES | FEATURE_RO, &config(512));
    assert_eq!(bench.server.discard_max(bench.clients[0].0), 0, "nothing is written");
}

#[test]
fn disk_that_is_read_only_or_knows_less_says_so() {
    let mut bench = bench(VERSION_1 | FEATURE_RO, 0);
    for request in [write(1, 0, &[0; 512]), Request::Discard(Extent { tag: 1, sector: 0, count: 1 })] {
        assert_eq!(failure(&bench.done(0, &request)), Some(Error::ReadOnly));
    }
    assert_eq!((bench.done(0, &Request::Flush(3)), bench.flushes), (Answer::Done(3), 0), "nothing is kept back");
    drop(bench);
    let mut bench = self::bench(VERSION_1, 0);
    assert_eq!(
        failure(&bench.done(0, &Request::Discard(Extent { tag: 1, sector: 0, count: 1 }))),
        Some(Error::Unsupported)
    );
    bench.ask(0, &read(1, 0, 4));
    bench.turn();
    let chain = bench.device.take_chain(0).expect("asked");
    assert!(bench.device.write(chain[2].address, &[1]));
    bench.device.complete(0, chain[0].token.into(), 2049);
    bench.turn();
    assert_eq!(bench.answers(0).iter().map(failure).collect::<Vec<_>>(), [Some(Error::Failed)]);
}

#[test]
fn sixteen_are_under_way_in_any_order_and_nobody_waits_for_a_client_that_takes_no_answers() {
    let mut bench = bench(FEATURES, 512);
    // Each answer may be as long as the longest, so the ring of answers lets fewer than sixteen go ahead.
    for tag in 0..12_u8 {
        bench.ask(0, &read(tag.into(), 0, 64));
        bench.ask(1, &write(tag.into(), tag.into(), &[tag + 1; 512]));
    }
    bench.turn();
    let mut chains: Vec<_> = std::iter::from_fn(|| bench.device.take_chain(0)).collect();
    assert!(chains.len() > 8, "{} under way", chains.len());
    chains.reverse();
    for chain in &chains {
        bench.perform(chain);
    }
    bench.serve();
    let answered = bench.answers(1);
    assert_eq!(answered.len(), 12, "though the other client has taken none of its own");
    assert!(answered.iter().all(|answer| matches!(answer, Answer::Done(_))));
    let mut tags: Vec<u32> = Vec::new();
    while tags.len() < 12 {
        let answers = bench.answers(0);
        assert!(!answers.is_empty(), "it goes on when there is room: {tags:?}");
        tags.extend(answers.iter().map(|answer| if let Answer::Read(body) = answer { body.tag } else { 99 }));
        bench.serve();
    }
    tags.sort_unstable();
    assert_eq!(tags, (0..12).collect::<Vec<_>>());
}

#[test]
fn answers_for_a_client_that_died_go_to_nobody() {
    let mut bench = bench(FEATURES, 512);
    bench.ask(0, &read(5, 0, 1));
    bench.turn();
    let (client, _) = bench.clients[0];
    bench.server.end(client);
    let region = Region::on_heap(disk::REGION_BYTES);
    bench.server.begin(client, PARTS[0], DiskRings::server(&region).ok());
    bench.clients[0].1 = DiskRings::client(&region).expect("fits");
    bench.serve();
    assert_eq!(bench.answers(0), []);
    assert_eq!(
        bench.done(0, &read(6, 0, 1)),
        Answer::Read(libhybrid::interfaces::block::ReadBody { tag: 6, data: vec![0; 512].into() })
    );
}

/// What an earlier life had asked for is done before anything that the new one asks.
#[test]
fn new_life_waits_for_what_the_earlier_one_had_asked() {
    let mut bench = bench(FEATURES, 512);
    bench.ask(0, &write(5, 3, &[1; SECTOR_BYTES]));
    bench.ask(0, &Request::Discard(Extent { tag: 6, sector: 3, count: 1 }));
    bench.turn();
    let late: Vec<_> = std::iter::from_fn(|| bench.device.take_chain(0)).collect();
    let (client, _) = bench.clients[0];
    bench.server.end(client);
    let region = Region::on_heap(disk::REGION_BYTES);
    bench.server.begin(client, PARTS[0], DiskRings::server(&region).ok());
    bench.clients[0].1 = DiskRings::client(&region).expect("fits");
    bench.ask(0, &write(7, 3, &[2; SECTOR_BYTES]));
    for chain in &late {
        bench.turn();
        assert_eq!(bench.device.take_chain(0), None, "the device has {} of the earlier life", late.len());
        // Another client's requests go on.
        bench.ask(1, &read(8, 0, 1));
        bench.turn();
        let other = bench.device.take_chain(0).expect("asked");
        bench.perform(&other);
        bench.perform(chain);
    }
    bench.serve();
    assert_eq!(bench.answers(0), [Answer::Done(7)]);
    let Answer::Read(body) = bench.done(0, &read(9, 3, 1)) else { panic!("no data") };
    assert!(body.data.iter().all(|byte| *byte == 2), "what the new life wrote is there");
}

#[test]
fn client_is_rung_when_it_sleeps() {
    let mut bench = bench(FEATURES, 512);
    assert!(bench.clients[0].1.answers.request_bell().expect("honest"), "nothing yet");
    bench.ask(0, &read(1, 0, 1));
    assert!(bench.turn().is_empty());
    let chain = bench.device.take_chain(0).expect("asked");
    bench.perform(&chain);
    assert_eq!(bench.turn(), [20]);
}

#[test]
fn part_is_named_by_the_route() {
    let partition = |name: &str, first| Partition { name: name.into(), first, count: 10 };
    let found = [partition("data", 40), partition("twice", 50), partition("twice", 60)];
    assert_eq!(Part::named(Some("/data"), &found, 99), Part { first: 40, count: 10 });
    assert_eq!(Part::named(None, &found, 99), Part { first: 0, count: 99 });
    for nothing in ["/dat", "/data/x", "/twice", "/"] {
        assert_eq!(Part::named(Some(nothing), &found, 99), Part::default(), "{nothing}");
    }
}

#[test]
fn disk_without_a_table_has_no_partitions_and_the_start_survives_it() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let memory = fake::memory(1 << 20);
    install_again(memory.clone());
    let mut device = Device::new(memory, 1, 64, FEATURES, &config(512));
    let mut blk = Blk::start(device.transport()).expect("honest");
    let found = partitions(&mut blk, &mut || {
        if let Some(chain) = device.take_chain(0) {
            let len = u32::try_from(chain[1].len).expect("small");
            assert!(device.write(chain[2].address, &[0]));
            device.complete(0, chain[0].token.into(), len + 1);
        }
    });
    assert_eq!(found, []);
}

/// What a hostile device does next.
#[derive(Debug, Clone)]
enum Trick {
    Answer { status: u8, len: u32 },
    Name { token: u32, len: u32, step: u16 },
    Scribble { area: usize, offset: u64, bytes: Vec<u8> },
    Ask { client: usize, sector: u64, count: u32 },
}

fn trick() -> impl Strategy<Value = Trick> {
    let len = prop_oneof![0_u32..2000, Just(32_769), Just(u32::MAX)];
    prop_oneof![
        (0_u8..4, len.clone()).prop_map(|(status, len)| Trick::Answer { status, len }),
        (0_u32..70, len, 0_u16..3).prop_map(|(token, len, step)| Trick::Name { token, len, step }),
        (0_usize..3, 0_u64..1024, proptest::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(area, offset, bytes)| Trick::Scribble { area, offset, bytes }),
        (0_usize..2, 0_u64..210, 0_u32..70).prop_map(|(client, sector, count)| Trick::Ask { client, sector, count }),
    ]
}

/// Who asks a driver that found no disk is answered, with no sectors.
#[test]
fn driver_without_a_disk_answers_everybody() {
    let mut server = Server::<FakeTransport>::new(None);
    let (region, client) = (Region::on_heap(disk::REGION_BYTES), ClientId::of(20));
    server.begin(client, Part::named(Some("/data"), &[], 0), DiskRings::server(&region).ok());
    let mut rings = DiskRings::client(&region).expect("fits");
    assert_eq!(server.geometry(client).sectors, 0);
    let discard = Request::Discard(Extent { tag: 1, sector: 0, count: 1 });
    let cases = [
        (read(1, 0, 1), Error::OutOfRange),
        (write(1, 0, &[0; 512]), Error::OutOfRange),
        (discard, Error::Unsupported),
    ];
    for (request, error) in cases {
        rings.requests.push(&request).expect("room");
        server.turn(|_client| {});
        let mut scratch = Vec::new();
        let answer = rings.answers.pop(&mut scratch).expect("honest").expect("one answer");
        assert_eq!(failure(&answer.into_owned()), Some(error), "{request:?}");
    }
    assert!(!server.is_broken());
}

proptest! {
    #[test]
    fn hostile_device_is_given_up_or_fails_and_breaks_nothing(tricks in proptest::collection::vec(trick(), 1..80)) {
        let mut bench = bench(FEATURES, 512);
        let mut asked = [0_usize; 2];
        for (tag, trick) in (0_u32..).zip(tricks) {
            match trick {
                Trick::Answer { status, len } => {
                    if let Some(chain) = (!bench.server.is_broken()).then(|| bench.device.take_chain(0)).flatten() {
                        let at = chain.last().expect("not empty").address;
                        let _is_inside = bench.device.write(at, &[status]);
                        bench.device.complete(0, chain[0].token.into(), len);
                    }
                }
                Trick::Name { token, len, step } => bench.device.complete_with_step(0, token, len, step),
                // Descriptors and the available ring are read by the device only; what the device itself made of them it may not rely on.
                Trick::Scribble { area: 2, offset, bytes } => bench.device.scribble(0, 2, offset, &bytes),
                Trick::Scribble { .. } => {}
                Trick::Ask { client, sector, count } => {
                    if bench.clients[client].1.requests.push(&read(tag, sector, count)).is_ok() {
                        asked[client] += 1;
                    }
                }
            }
            bench.turn();
            for (client, asked) in asked.iter_mut().enumerate() {
                let answers = bench.answers(client).len();
                prop_assert!(answers <= *asked, "more answers than requests");
                *asked -= answers;
            }
        }
    }

    #[test]
    fn two_parts_are_two_disks(ops in proptest::collection::vec((0_usize..2, 0_u64..220, 1_u32..20, any::<Option<u8>>()), 1..40)) {
        let mut bench = bench(FEATURES, 512);
        let mut model = vec![vec![0_u8; 200 * SECTOR_BYTES]; 2];
        for (tag, (client, sector, count, byte)) in (0_u32..).zip(ops) {
            let at = usize::try_from(sector).expect("small") * SECTOR_BYTES;
            let span = at..at + count as usize * SECTOR_BYTES;
            let is_inside = sector + u64::from(count) <= 200;
            let data = vec![byte.unwrap_or(0); span.len()];
            let request = if byte.is_some() { write(tag, sector, &data) } else { read(tag, sector, count) };
            match bench.done(client, &request) {
                Answer::Done(told) => {
                    prop_assert!(is_inside && byte.is_some() && told == tag);
                    model[client][span].copy_from_slice(&data);
                }
                Answer::Read(body) => {
                    prop_assert!(is_inside && byte.is_none() && body.tag == tag);
                    prop_assert_eq!(&*body.data, &model[client][span]);
                }
                Answer::Failed(body) => prop_assert!(!is_inside && body.error == Error::OutOfRange),
            }
        }
    }
}
