//! The driver against a device made of plain memory, honest or not; needs no hardware.
#![expect(clippy::cast_possible_truncation, reason = "the numbers of these tests are small, or meant to be cut")]

use crate::driver::{Counters, Driver, Fill, Frames, Take, Turn};
use crate::nic::{DEVICE_ID, Nic};
use hybrid_virtio::fake::{self, Device, Lent, Registers};
use hybrid_virtio::{Broken, StartError, VERSION_1, find, install};
use libhybrid::drv::{DmaRegion, Mmio};
use libhybrid::interfaces::net::link::{Link, LinkClientRings, LinkRings, link};
use libhybrid::ipc::ClientId;
use libhybrid::ring::Region;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::OnceLock;

const EVENT_IDX: u64 = 1 << 29;
const MAC: u64 = 1 << 5;
const STATUS: u64 = 1 << 16;
const CLIENT: ClientId = ClientId::of(9);

/// The one DMA region of the test process.
fn memory() -> DmaRegion {
    static MEMORY: OnceLock<DmaRegion> = OnceLock::new();
    let region = MEMORY.get_or_init(|| {
        let region = fake::memory(32 << 20);
        assert!(install(region.clone()));
        region
    });
    region.clone()
}

fn device() -> Device {
    let config = [2, 0, 0, 0, 0, 9, 1, 0, 0, 0, 0, 0];
    Device::new(memory(), 2, 128, VERSION_1 | MAC | STATUS | EVENT_IDX | 0xf, &config)
}

/// Delivers a frame to the driver.
fn deliver(device: &mut Device, frame: &[u8]) -> bool {
    let Some(lent) = device.take(0) else { return false };
    assert!(lent.is_writable && lent.len >= 12 + frame.len());
    assert!(device.write(lent.address, &[0xee; 12]) && device.write(lent.address + 12, frame));
    device.complete(0, lent.token.into(), 12 + u32::try_from(frame.len()).expect("small"));
    true
}

/// Takes a frame that the driver sends; completes it.
fn collect(device: &mut Device) -> Option<Vec<u8>> {
    let lent = device.take(1)?;
    assert!(!lent.is_writable, "only receive buffers are written by the device");
    let mut bytes = vec![0; lent.len];
    device.read(lent.address, &mut bytes);
    assert_eq!(bytes[..12], [0; 12], "no offload was negotiated");
    device.complete(1, lent.token.into(), 0);
    Some(bytes[12..].to_vec())
}

fn started() -> (Device, Driver<Nic<fake::FakeTransport>>, LinkClientRings) {
    let device = device();
    let nic = Nic::start(device.transport()).expect("an honest device");
    let region = Region::on_heap(link::REGION_BYTES);
    let rings = LinkRings::server(&region).expect("fits");
    let client = LinkRings::client(&region).expect("fits");
    (device, Driver::new(nic, Some(rings)), client)
}

fn frame(number: usize) -> Vec<u8> {
    (0..60 + number % 1400).map(|position| (position + number) as u8).collect()
}

#[test]
fn start_negotiates_only_what_is_understood() {
    let (device, mut driver, _) = started();
    assert_eq!(device.registers.borrow().accepted, VERSION_1 | MAC | STATUS);
    assert_eq!(device.registers.borrow().status, 1 | 2 | 4 | 8);
    let properties = driver.properties(CLIENT);
    assert_eq!((properties.mac, properties.mtu, properties.is_up), ([2, 0, 0, 0, 0, 9], 1500, true));
}

#[test]
fn start_with_unsuitable_device_fails() {
    let attempt = |change: fn(&mut Registers)| {
        let device = device();
        change(&mut device.registers.borrow_mut());
        Nic::start(device.transport()).err()
    };
    assert_eq!(attempt(|registers| registers.offered = MAC), Some(StartError::Features), "a legacy device");
    assert_eq!(attempt(|registers| registers.offered = VERSION_1), Some(StartError::Features), "no address");
    assert_eq!(attempt(|registers| registers.is_refusing = true), Some(StartError::Refused));
    assert_eq!(attempt(|registers| registers.queue_max = 64), Some(StartError::Queue));
    assert_eq!(attempt(|registers| (registers.status, registers.is_stuck) = (4, true)), Some(StartError::Reset));
}

#[test]
fn client_that_is_started_anew_sends_and_receives_again() {
    let (mut device, mut driver, mut old) = started();
    old.transmit.push(&frame(1)).expect("room");
    driver.end();
    assert!(deliver(&mut device, &frame(2)));
    assert!(!driver.turn().rings_client);
    assert_eq!((collect(&mut device), driver.counters().dropped), (None, 0), "nobody is there");
    let region = Region::on_heap(link::REGION_BYTES).at_epoch(2);
    let mut new = LinkRings::client(&region).expect("fits");
    driver.begin(LinkRings::server(&region).ok());
    new.transmit.push(&frame(3)).expect("room");
    assert!(deliver(&mut device, &frame(4)), "the buffer of the dropped frame came back");
    let _ = driver.turn();
    assert_eq!(collect(&mut device), Some(frame(3)));
    let mut scratch = Vec::new();
    assert_eq!(new.received.pop(&mut scratch), Ok(Some(&frame(4)[..])));
}

#[test]
fn received_frames_reach_the_client_in_order() {
    let (mut device, mut driver, mut client) = started();
    let mut scratch = Vec::new();
    assert!(client.received.request_bell().expect("sound"));
    for round in 0..600 {
        for number in 0..120 {
            assert!(deliver(&mut device, &frame(round * 120 + number)), "buffers come back");
        }
        let turn = driver.turn();
        assert_eq!(turn.rings_client, round == 0, "the client asked for its bell once");
        for number in 0..120 {
            assert_eq!(client.received.pop(&mut scratch).expect("sound"), Some(&frame(round * 120 + number)[..]));
        }
        if round == 0 {
            assert!(client.received.pop(&mut scratch).expect("sound").is_none());
        }
    }
    // 72,000 frames: the 16-bit indices came round.
    assert_eq!(driver.counters(), Counters::default());
}

#[test]
fn received_frames_without_room_are_dropped_and_counted() {
    let (mut device, mut driver, mut client) = started();
    let mut delivered = 0;
    for _ in 0..10 {
        for _ in 0..100 {
            assert!(deliver(&mut device, &[7; 1500]));
            delivered += 1;
        }
        let _ = driver.turn();
    }
    let mut scratch = Vec::new();
    let mut arrived = 0;
    while client.received.pop(&mut scratch).expect("sound").is_some() {
        arrived += 1;
    }
    assert!(driver.counters().dropped > 0);
    assert_eq!(driver.counters().dropped + arrived, delivered);
}

#[test]
fn sent_frames_wait_for_the_device() {
    let (mut device, mut driver, mut client) = started();
    let count = 170;
    for number in 0..count {
        client.transmit.push(&frame(number)).expect("room");
    }
    let _ = driver.turn();
    // All descriptors are lent, the rest stays in the ring.
    let mut scratch = Vec::new();
    let mut taken: Vec<_> = std::iter::from_fn(|| device.take(1)).collect();
    assert_eq!(taken.len(), 128);
    assert!(device.registers.borrow().notified[1] > 0);
    let _ = driver.turn();
    assert!(device.take(1).is_none());
    // The device completes some, out of order.
    taken.reverse();
    for &Lent { token, .. } in &taken[..50] {
        device.complete(1, token.into(), 0);
    }
    driver.interrupted();
    let _ = driver.turn();
    for number in 128..count {
        assert_eq!(collect(&mut device), Some(frame(number)));
    }
    assert_eq!(collect(&mut device), None);
    assert!(client.received.pop(&mut scratch).expect("sound").is_none());
}

#[test]
fn sent_frames_ring_the_client_that_waits_for_room() {
    let (mut device, mut driver, mut client) = started();
    while client.transmit.push(&[1; 1500]).is_ok() {}
    assert!(client.transmit.ring().request_space(1500).expect("fits"));
    assert!(driver.turn().rings_client);
    assert!(collect(&mut device).is_some());
    // Nothing was asked for since.
    assert!(!driver.turn().rings_client);
}

#[test]
fn sent_frames_that_are_none_are_refused() {
    let (mut device, mut driver, mut client) = started();
    client.transmit.push(&[1; 13]).expect("room");
    client.transmit.push(&[]).expect("room");
    client.transmit.push(&[2; 1536]).expect("room");
    let _ = driver.turn();
    assert_eq!(collect(&mut device), Some(vec![2; 1536]));
    assert_eq!(collect(&mut device), None);
    assert_eq!(driver.counters().refused, 2);
}

#[test]
fn device_that_lies_about_lengths_is_counted() {
    let (mut device, mut driver, mut client) = started();
    for len in [0, 11, 12, 12 + 1537, 2048, 2049, u32::MAX] {
        let Lent { token, .. } = device.take(0).expect("lent");
        device.complete(0, token.into(), len);
    }
    assert!(deliver(&mut device, &[5; 100]));
    let _ = driver.turn();
    let mut scratch = Vec::new();
    assert_eq!(client.received.pop(&mut scratch).expect("sound"), Some(&[5; 100][..]));
    assert_eq!(client.received.pop(&mut scratch).expect("sound"), None);
    assert_eq!(driver.counters().malformed, 7);
}

#[test]
fn device_that_lies_about_tokens_is_given_up() {
    for (queue, token) in
        [0, 1].into_iter().flat_map(|queue| [128, 0xffff, 0x1_0000 + 200, 127].map(|token| (queue, token)))
    {
        // A receive buffer that comes back is lent again under its token, so that one cannot come twice.
        if (queue, token) != (0, 127) {
            let (mut device, mut driver, mut client) = started();
            client.transmit.push(&[1; 60]).expect("room");
            let _ = driver.turn();
            let Lent { token: good, .. } = device.take(queue).expect("lent");
            device.complete(queue, good.into(), 72);
            if token == 127 {
                device.complete(queue, good.into(), 72); // Twice.
            } else {
                device.complete(queue, token, 72);
            }
            // Transmit completions are looked at when buffers are needed.
            for _ in 0..200 {
                if client.transmit.push(&[1; 60]).is_err() {
                    break;
                }
            }
            let _ = driver.turn();
            assert!(!driver.properties(CLIENT).is_up, "queue {queue}, token {token:#x}");
            let _ = driver.turn();
        }
    }
}

#[test]
fn link_changes_are_told_once() {
    let (device, mut driver, _client) = started();
    let _ = driver.turn();
    device.registers.borrow_mut().interrupt = 2;
    driver.interrupted();
    assert!(!driver.turn().rings_client, "nothing has changed");
    device.registers.borrow_mut().config[6] = 0;
    device.registers.borrow_mut().interrupt = 3;
    driver.interrupted();
    assert!(driver.turn().rings_client);
    assert!(!driver.properties(CLIENT).is_up);
    assert_eq!(driver.pull_link_changed(CLIENT).map(|changed| changed.is_up), Some(false));
    assert_eq!(driver.pull_link_changed(CLIENT), None);
    assert_eq!(device.registers.borrow().interrupt, 0, "the cause was taken away");
}

#[test]
fn client_that_breaks_its_ring_is_cut_off() {
    let device = device();
    let region = Region::on_heap(link::REGION_BYTES);
    let mut driver = Driver::new(
        Nic::start(device.transport()).expect("an honest device"),
        Some(LinkRings::server(&region).expect("fits")),
    );
    let mut wild =
        libhybrid::ring::Producer::new(&region, link::TRANSMIT_RING_OFFSET, link::TRANSMIT_RING_BYTES).expect("fits");
    wild.try_push(&[0; 4000]).expect("room");
    let _ = driver.turn();
    let mut device = device;
    assert!(deliver(&mut device, &[5; 100]));
    let _ = driver.turn();
    assert_eq!(collect(&mut device), None);
}

#[test]
fn find_wants_exactly_one_modern_network_device() {
    let page = Mmio::on_heap(4096);
    assert!(find(&page, DEVICE_ID).is_none());
    let plug = |slot: usize, version: u32, id: u32| {
        page.write32(slot * 0x200, 0x7472_6976);
        page.write32(slot * 0x200 + 4, version);
        page.write32(slot * 0x200 + 8, id);
    };
    plug(0, 2, 0);
    plug(1, 2, 2);
    plug(2, 1, 1);
    assert!(find(&page, DEVICE_ID).is_none(), "an empty slot, a disk, a legacy device");
    plug(5, 2, 1);
    assert!(find(&page, DEVICE_ID).is_some());
    plug(6, 2, 1);
    assert!(find(&page, DEVICE_ID).is_none(), "two could be meant");
}

/// A device that always says the same, and counts what is sent.
#[derive(Default)]
struct Constant {
    /// Always one more frame has come.
    brings: bool,
    has_room: bool,
    sent: Rc<Cell<usize>>,
}

impl Frames for Constant {
    fn mac(&self) -> [u8; 6] {
        [2; 6]
    }
    fn is_up(&mut self) -> bool {
        true
    }
    fn acknowledge(&mut self) -> bool {
        false
    }
    fn receive(&mut self, take: &mut Take<'_>) -> Result<bool, Broken> {
        if self.brings {
            take(60, &mut |frame| frame.fill(7));
        }
        Ok(self.brings)
    }
    fn has_room(&mut self) -> Result<bool, Broken> {
        Ok(self.has_room)
    }
    fn send(&mut self, fill: &mut Fill<'_>) -> Result<(), Broken> {
        assert!(self.has_room, "it has no room");
        self.sent.set(self.sent.get() + fill(&mut |_, _| {}).iter().count());
        Ok(())
    }
    fn wake_when_room(&mut self, _: bool) {}
    fn flush(&mut self) {}
}

#[test]
fn device_without_room_ends_the_turn() {
    let region = Region::on_heap(link::REGION_BYTES);
    let mut client = LinkRings::client(&region).expect("fits");
    let mut driver = Driver::new(Constant::default(), Some(LinkRings::server(&region).expect("fits")));
    client.transmit.push(&[1; 60]).expect("room");
    assert_eq!(driver.turn(), Turn::default());
    assert_eq!(Driver::new(Constant::default(), None).turn(), Turn::default(), "nobody is there");
}

#[test]
fn flood_ends_the_turn_and_keeps_nothing_from_being_sent() {
    let region = Region::on_heap(link::REGION_BYTES);
    let mut client = LinkRings::client(&region).expect("fits");
    assert!(client.received.request_bell().expect("sound"));
    let sent = Rc::new(Cell::new(0));
    let device = Constant { brings: true, has_room: true, sent: Rc::clone(&sent) };
    let mut driver = Driver::new(device, Some(LinkRings::server(&region).expect("fits")));
    client.transmit.push(&[1; 60]).expect("room");
    assert_eq!(driver.turn(), Turn { rings_client: true, has_more: true });
    assert!(driver.counters().dropped > 0, "the client's ring has a bound");
    assert_eq!(sent.get(), 1, "its frame was sent nevertheless");
}
