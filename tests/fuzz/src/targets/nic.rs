//! The network driver with a device that lies: used rings, lengths, registers.

use crate::input::Input;
use hybrid_interfaces::net::link::{LinkClientRings, LinkRings, link};
use hybrid_ring::Region;
use libhybrid::drv::DmaRegion;
use net_virtio::{Driver, Nic};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Mutex, OnceLock, PoisonError};
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use zerocopy::{FromBytes, Immutable, IntoBytes};

const BASE: u64 = 0x1_0000_0000;
const MEMORY: usize = 2 << 20;
/// `VERSION_1`, `MAC`, `STATUS`, and some that the driver must not take.
const OFFERED: u64 = 1 << 32 | 1 << 5 | 1 << 16 | 1 << 29 | 0xf;

/// What the driver wrote into the registers, and what it reads there.
#[derive(Default)]
struct Registers {
    status: u32,
    queues: [[u64; 3]; 2],
    interrupt: u32,
    config: [u8; 12],
}

struct FakeTransport(Rc<RefCell<Registers>>);

impl Transport for FakeTransport {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }
    fn read_device_features(&mut self) -> u64 {
        OFFERED
    }
    fn write_driver_features(&mut self, features: u64) {
        assert_eq!(features & !OFFERED, 0);
    }
    fn max_queue_size(&mut self, _: u16) -> u32 {
        256
    }
    fn notify(&mut self, queue: u16) {
        assert!(queue < 2);
    }
    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_truncate(self.0.borrow().status)
    }
    fn set_status(&mut self, status: DeviceStatus) {
        self.0.borrow_mut().status = status.bits();
    }
    fn set_guest_page_size(&mut self, _: u32) {}
    fn requires_legacy_layout(&self) -> bool {
        false
    }
    fn queue_set(&mut self, queue: u16, _: u32, descriptors: u64, driver_area: u64, device_area: u64) {
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
        Ok(T::read_from_prefix(&self.0.borrow().config[offset..]).expect("inside").0)
    }
    fn write_config_space<T: IntoBytes + Immutable>(&mut self, _: usize, _: T) -> virtio_drivers::Result<()> {
        panic!("the driver writes nothing there")
    }
}

/// The device's side of the queues.
struct Device {
    registers: Rc<RefCell<Registers>>,
    memory: DmaRegion,
    used: [u16; 2],
}

impl Device {
    fn put(&self, address: u64, bytes: &[u8]) {
        let offset = usize::try_from(address - self.memory.paddr()).unwrap_or(usize::MAX);
        // Beyond the driver's memory there is nothing to write to.
        let _is_inside = self.memory.write(offset, bytes);
    }

    /// Says that a buffer was used; the index moves by `step`, which is 1 for an honest device.
    fn complete(&mut self, queue: usize, token: u32, length: u32, step: u16) {
        let [_, _, area] = self.registers.borrow().queues[queue];
        self.put(
            area + 4 + 8 * u64::from(self.used[queue] % 128),
            &[token.to_le_bytes(), length.to_le_bytes()].concat(),
        );
        self.used[queue] = self.used[queue].wrapping_add(step);
        self.put(area + 2, &self.used[queue].to_le_bytes());
    }

    /// Writes somewhere into a queue's descriptors, available or used ring.
    fn scribble(&self, input: &mut Input<'_>) {
        let (queue, area) = (input.below(2), input.below(3));
        let at = self.registers.borrow().queues[queue][area] + input.below(2048) as u64;
        self.put(at, input.piece(16));
    }
}

/// A device that completes what it likes with lengths that it likes, and a client that sends frames. The driver gives it up or goes on; what the
/// client gets are frames of lengths that frames have.
pub fn target_nic(data: &[u8]) {
    let _frames = run(data);
}

/// Frames that reached the client.
fn run(data: &[u8]) -> usize {
    // One DMA pool for the process, so one input at a time.
    static MEMORY_IN_USE: OnceLock<Mutex<DmaRegion>> = OnceLock::new();
    let memory = MEMORY_IN_USE.get_or_init(|| {
        let region = DmaRegion::on_heap(MEMORY + 4096, BASE);
        let skip = region.base().align_offset(4096);
        let whole = region.part(skip, MEMORY).expect("inside");
        Mutex::new(whole)
    });
    let memory = memory.lock().unwrap_or_else(PoisonError::into_inner).clone();
    net_virtio::install_again(memory.clone());
    let config = [2, 0, 0, 0, 0, 9, 1, 0, 0, 0, 0, 0];
    let registers = Rc::new(RefCell::new(Registers { config, ..Registers::default() }));
    let nic = Nic::start(FakeTransport(Rc::clone(&registers))).expect("honest so far");
    let region = Region::on_heap(link::REGION_BYTES);
    let mut driver = Driver::new(nic, Some(LinkRings::server(&region).expect("fits")));
    let mut client = LinkRings::client(&region).expect("fits");
    let mut device = Device { registers, memory, used: [0; 2] };
    let mut input = Input::new(data);
    let mut frames = 0;
    while let Some(step) = input.byte() {
        frames += act(step, &mut input, &mut device, &mut client, &region);
        if step & 128 == 0 {
            driver.interrupted();
        }
        let _rings_client = driver.turn();
    }
    frames
}

fn act(step: u8, input: &mut Input<'_>, device: &mut Device, client: &mut LinkClientRings, region: &Region) -> usize {
    let mut frames = 0;
    match step & 15 {
        // The driver lends its buffers in the order of the tokens, and again in the order in which they come back.
        0..=3 => device.complete(0, u32::from(device.used[0] % 128), u32::from(input.any()) + 12, 1),
        4 => device.complete(0, u32::from(input.any()), u32::try_from(input.word() & 0xffff_ffff).unwrap_or(0), 1),
        5 | 6 => device.complete(1, u32::from(input.any() % 8), 0, 1),
        7 if step < 64 => device.complete(input.below(2), u32::from(input.any()), 100, u16::from(input.any())),
        8 if step < 64 => device.scribble(input),
        9 => {
            let mut registers = device.registers.borrow_mut();
            registers.interrupt = 2;
            registers.config[6] ^= 1;
        }
        10 if step == 10 => {
            let _is_inside = region.scribble(input.below(link::REGION_BYTES / 8) * 8, input.word());
        }
        11 => {
            let mut scratch = Vec::new();
            while let Ok(Some(frame)) = client.received.pop(&mut scratch) {
                assert!((1..=1536).contains(&frame.len()));
                frames += 1;
            }
        }
        _ => _ = client.transmit.push(input.piece(1536)),
    }
    frames
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let honest = [&[0, 100, 1, 60, 12, 0, 20][..], &[7; 20], &[5, 0, 11, 9, 0, 200, 11]].concat();
    let hostile = vec![4, 200, 255, 255, 0, 0, 0, 0, 0, 0, 7, 0, 3, 9, 8, 0, 2, 0, 2, 0, 4, 1, 2, 3, 4, 0, 5, 11];
    vec![honest, hostile]
}

#[cfg(test)]
mod tests {
    use super::{run, samples};

    #[test]
    fn samples_reach_the_client() {
        assert!(samples().iter().any(|sample| run(sample) > 0));
    }
}
