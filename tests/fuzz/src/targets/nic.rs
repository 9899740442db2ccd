//! The network driver with a device that lies: used rings, lengths, registers.

use crate::input::Input;
use hybrid_interfaces::net::link::{LinkClientRings, LinkRings, link};
use hybrid_ring::Region;
use hybrid_virtio::fake::{self, Device};
use libhybrid::drv::DmaRegion;
use net_virtio::{Driver, Nic};
use std::sync::{Mutex, OnceLock, PoisonError};

const MEMORY: usize = 2 << 20;
/// `VERSION_1`, `MAC`, `STATUS`, and some that the driver must not take.
const OFFERED: u64 = 1 << 32 | 1 << 5 | 1 << 16 | 1 << 29 | 0xf;

/// A device that completes what it likes with lengths that it likes, and a client that sends frames. The driver gives it up or goes on; what the
/// client gets are frames of lengths that frames have.
pub fn target_nic(data: &[u8]) {
    let _frames = run(data);
}

/// Frames that reached the client.
fn run(data: &[u8]) -> usize {
    // One DMA pool for the process, so one input at a time.
    static MEMORY_IN_USE: OnceLock<Mutex<DmaRegion>> = OnceLock::new();
    let memory = MEMORY_IN_USE.get_or_init(|| Mutex::new(fake::memory(MEMORY)));
    let memory = memory.lock().unwrap_or_else(PoisonError::into_inner).clone();
    hybrid_virtio::install_again(memory.clone());
    let mut device = Device::new(memory, 2, 128, OFFERED, &[2, 0, 0, 0, 0, 9, 1, 0, 0, 0, 0, 0]);
    let nic = Nic::start(device.transport()).expect("honest so far");
    let region = Region::on_heap(link::REGION_BYTES);
    let mut driver = Driver::new(nic, Some(LinkRings::server(&region).expect("fits")));
    let mut client = LinkRings::client(&region).expect("fits");
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
        0..=3 => device.complete(0, u32::from(device.completed(0) % 128), u32::from(input.any()) + 12),
        4 => device.complete(0, u32::from(input.any()), u32::try_from(input.word() & 0xffff_ffff).unwrap_or(0)),
        5 | 6 => device.complete(1, u32::from(input.any() % 8), 0),
        7 if step < 64 => {
            device.complete_with_step(input.below(2), u32::from(input.any()), 100, u16::from(input.any()))
        }
        8 if step < 64 => {
            let (queue, area, offset) = (input.below(2), input.below(3), input.below(2048) as u64);
            device.scribble(queue, area, offset, input.piece(16));
        }
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
