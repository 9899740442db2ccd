//! The driver against a device made of plain memory, honest or not; needs no hardware.
#![expect(clippy::cast_possible_truncation, reason = "the numbers of these tests are small, or meant to be cut")]

use crate::driver::{Counters, Driver, Frames, Take};
use crate::nic::{Nic, StartError};
use crate::{Broken, find, hal};
use libhybrid::drv::{DmaRegion, Mmio};
use libhybrid::interfaces::net::link::{Link, LinkClientRings, LinkRings, link};
use libhybrid::ipc::ClientId;
use libhybrid::ring::Region;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::OnceLock;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use zerocopy::{FromBytes, Immutable, IntoBytes};

const BASE: u64 = 0x1_0000_0000;
const VERSION_1: u64 = 1 << 32;
const EVENT_IDX: u64 = 1 << 29;
const MAC: u64 = 1 << 5;
const STATUS: u64 = 1 << 16;
const CLIENT: ClientId = ClientId { instance: 9 };

/// The one DMA region of the test process.
fn memory() -> DmaRegion {
    static MEMORY: OnceLock<DmaRegion> = OnceLock::new();
    let region = MEMORY.get_or_init(|| {
        // Pages, as securityd maps them.
        let region = DmaRegion::on_heap((32 << 20) + 4096, BASE);
        let skip = region.base().align_offset(4096);
        let region = region.part(skip, 32 << 20).expect("inside");
        assert!(hal::install(region.clone()));
        region
    });
    region.clone()
}

/// What the driver wrote into the registers.
#[derive(Default)]
struct Registers {
    offered: u64,
    accepted: u64,
    status: u32,
    is_refusing: bool,
    is_stuck: bool,
    queue_max: u32,
    queues: [[u64; 3]; 2],
    notified: [u32; 2],
    interrupt: u32,
    config: [u8; 12],
}

struct FakeTransport(Rc<RefCell<Registers>>);

impl Transport for FakeTransport {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }
    fn read_device_features(&mut self) -> u64 {
        self.0.borrow().offered
    }
    fn write_driver_features(&mut self, features: u64) {
        self.0.borrow_mut().accepted = features;
    }
    fn max_queue_size(&mut self, _: u16) -> u32 {
        self.0.borrow().queue_max
    }
    fn notify(&mut self, queue: u16) {
        self.0.borrow_mut().notified[usize::from(queue)] += 1;
    }
    fn get_status(&self) -> DeviceStatus {
        let registers = self.0.borrow();
        let hidden = if registers.is_refusing { DeviceStatus::FEATURES_OK } else { DeviceStatus::empty() };
        DeviceStatus::from_bits_truncate(registers.status) - hidden
    }
    fn set_status(&mut self, status: DeviceStatus) {
        let mut registers = self.0.borrow_mut();
        if !registers.is_stuck {
            registers.status = status.bits();
        }
    }
    fn set_guest_page_size(&mut self, _: u32) {}
    fn requires_legacy_layout(&self) -> bool {
        false
    }
    fn queue_set(&mut self, queue: u16, size: u32, descriptors: u64, driver_area: u64, device_area: u64) {
        assert_eq!(size, 128);
        self.0.borrow_mut().queues[usize::from(queue)] = [descriptors, driver_area, device_area];
    }
    fn queue_unset(&mut self, _: u16) {}
    fn queue_used(&mut self, _: u16) -> bool {
        false
    }
    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::from_bits_truncate(std::mem::take(&mut self.0.borrow_mut().interrupt))
    }
    fn read_config_generation(&self) -> u32 {
        7
    }
    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> virtio_drivers::Result<T> {
        let registers = self.0.borrow();
        Ok(T::read_from_prefix(&registers.config[offset..]).expect("inside").0)
    }
    fn write_config_space<T: IntoBytes + Immutable>(&mut self, _: usize, _: T) -> virtio_drivers::Result<()> {
        panic!("the driver writes nothing there")
    }
}

/// The device's side of the two queues.
struct Device {
    registers: Rc<RefCell<Registers>>,
    memory: DmaRegion,
    seen: [u16; 2],
    used: [u16; 2],
}

impl Device {
    fn new() -> Self {
        let registers = Registers {
            offered: VERSION_1 | MAC | STATUS | EVENT_IDX | 0xf,
            queue_max: 256,
            config: [2, 0, 0, 0, 0, 9, 1, 0, 0, 0, 0, 0],
            ..Registers::default()
        };
        Self { registers: Rc::new(RefCell::new(registers)), memory: memory(), seen: [0; 2], used: [0; 2] }
    }

    fn transport(&self) -> FakeTransport {
        FakeTransport(Rc::clone(&self.registers))
    }

    fn at(&self, address: u64, bytes: &mut [u8]) {
        let offset = usize::try_from(address - self.memory.paddr()).expect("64 bits");
        assert!(self.memory.read(offset, bytes), "the driver told an address outside of its DMA memory");
    }

    fn u16_at(&self, address: u64) -> u16 {
        let mut bytes = [0; 2];
        self.at(address, &mut bytes);
        u16::from_le_bytes(bytes)
    }

    fn put(&self, address: u64, bytes: &[u8]) {
        assert!(self.memory.write(usize::try_from(address - self.memory.paddr()).expect("64 bits"), bytes));
    }

    /// The next buffer that the driver lends: token, address, length.
    fn take(&mut self, queue: usize) -> Option<(u16, u64, usize)> {
        let [descriptors, driver_area, _] = self.registers.borrow().queues[queue];
        if self.u16_at(driver_area + 2) == self.seen[queue] {
            return None;
        }
        let token = self.u16_at(driver_area + 4 + 2 * u64::from(self.seen[queue] % 128));
        self.seen[queue] = self.seen[queue].wrapping_add(1);
        let mut descriptor = [0; 16];
        self.at(descriptors + 16 * u64::from(token), &mut descriptor);
        let address = u64::from_le_bytes(descriptor[..8].try_into().expect("8"));
        let len = u32::from_le_bytes(descriptor[8..12].try_into().expect("4"));
        assert_eq!(descriptor[12] & 2 != 0, queue == 0, "only receive buffers are written by the device");
        Some((token, address, len as usize))
    }

    /// Says that a buffer was used.
    fn complete(&mut self, queue: usize, token: u32, len: u32) {
        let [_, _, device_area] = self.registers.borrow().queues[queue];
        let entry = [token.to_le_bytes(), len.to_le_bytes()].concat();
        self.put(device_area + 4 + 8 * u64::from(self.used[queue] % 128), &entry);
        self.used[queue] = self.used[queue].wrapping_add(1);
        self.put(device_area + 2, &self.used[queue].to_le_bytes());
    }

    /// Delivers a frame to the driver.
    fn deliver(&mut self, frame: &[u8]) -> bool {
        let Some((token, address, len)) = self.take(0) else { return false };
        assert!(len >= 12 + frame.len());
        self.put(address, &[0xee; 12]);
        self.put(address + 12, frame);
        self.complete(0, token.into(), 12 + u32::try_from(frame.len()).expect("small"));
        true
    }

    /// Takes a frame that the driver sends; completes it.
    fn collect(&mut self) -> Option<Vec<u8>> {
        let (token, address, len) = self.take(1)?;
        let mut bytes = vec![0; len];
        self.at(address, &mut bytes);
        assert_eq!(bytes[..12], [0; 12], "no offload was negotiated");
        self.complete(1, token.into(), 0);
        Some(bytes[12..].to_vec())
    }
}

fn started() -> (Device, Driver<Nic<FakeTransport>>, LinkClientRings) {
    let device = Device::new();
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
        let device = Device::new();
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
    assert!(device.deliver(&frame(2)));
    assert!(!driver.turn().rings_client);
    assert_eq!((device.collect(), driver.counters().dropped), (None, 0), "nobody is there");
    let region = Region::on_heap(link::REGION_BYTES).at_epoch(2);
    let mut new = LinkRings::client(&region).expect("fits");
    driver.begin(LinkRings::server(&region).ok());
    new.transmit.push(&frame(3)).expect("room");
    assert!(device.deliver(&frame(4)), "the buffer of the dropped frame came back");
    let _ = driver.turn();
    assert_eq!(device.collect(), Some(frame(3)));
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
            assert!(device.deliver(&frame(round * 120 + number)), "buffers come back");
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
            assert!(device.deliver(&[7; 1500]));
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
    for &(token, ..) in &taken[..50] {
        device.complete(1, token.into(), 0);
    }
    driver.interrupted();
    let _ = driver.turn();
    for number in 128..count {
        assert_eq!(device.collect(), Some(frame(number)));
    }
    assert_eq!(device.collect(), None);
    assert!(client.received.pop(&mut scratch).expect("sound").is_none());
}

#[test]
fn sent_frames_ring_the_client_that_waits_for_room() {
    let (mut device, mut driver, mut client) = started();
    while client.transmit.push(&[1; 1500]).is_ok() {}
    assert!(client.transmit.ring().request_space(1500).expect("fits"));
    assert!(driver.turn().rings_client);
    assert!(device.collect().is_some());
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
    assert_eq!(device.collect(), Some(vec![2; 1536]));
    assert_eq!(device.collect(), None);
    assert_eq!(driver.counters().refused, 2);
}

#[test]
fn device_that_lies_about_lengths_is_counted() {
    let (mut device, mut driver, mut client) = started();
    for len in [0, 11, 12, 12 + 1537, 2048, 2049, u32::MAX] {
        let (token, ..) = device.take(0).expect("lent");
        device.complete(0, token.into(), len);
    }
    assert!(device.deliver(&[5; 100]));
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
            let (good, ..) = device.take(queue).expect("lent");
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
    let device = Device::new();
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
    assert!(device.deliver(&[5; 100]));
    let _ = driver.turn();
    assert_eq!(device.collect(), None);
}

#[test]
fn find_wants_exactly_one_modern_network_device() {
    let page = Mmio::on_heap(4096);
    assert!(find(&page).is_none());
    let plug = |slot: usize, version: u32, id: u32| {
        page.write32(slot * 0x200, 0x7472_6976);
        page.write32(slot * 0x200 + 4, version);
        page.write32(slot * 0x200 + 8, id);
    };
    plug(0, 2, 0);
    plug(1, 2, 2);
    plug(2, 1, 1);
    assert!(find(&page).is_none(), "an empty slot, a disk, a legacy device");
    plug(5, 2, 1);
    assert!(find(&page).is_some());
    plug(6, 2, 1);
    assert!(find(&page).is_none(), "two could be meant");
}

/// A device that never has room, to see that the driver does not spin.
struct Stuck;

impl Frames for Stuck {
    fn mac(&self) -> [u8; 6] {
        [2; 6]
    }
    fn is_up(&mut self) -> bool {
        true
    }
    fn acknowledge(&mut self) -> bool {
        false
    }
    fn receive(&mut self, _: &mut Take<'_>) -> Result<bool, Broken> {
        Ok(false)
    }
    fn has_room(&mut self) -> Result<bool, Broken> {
        Ok(false)
    }
    fn send(&mut self, _: &[u8]) -> Result<(), Broken> {
        panic!("it has no room")
    }
    fn wake_when_room(&mut self, _: bool) {}
    fn flush(&mut self) {}
}

#[test]
fn device_without_room_ends_the_turn() {
    let region = Region::on_heap(link::REGION_BYTES);
    let mut client = LinkRings::client(&region).expect("fits");
    let mut driver = Driver::new(Stuck, Some(LinkRings::server(&region).expect("fits")));
    client.transmit.push(&[1; 60]).expect("room");
    assert!(!driver.turn().rings_client);
    let mut nobody = Driver::new(Stuck, None);
    assert!(!nobody.turn().rings_client);
}
