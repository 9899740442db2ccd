//! The driver against a device made of plain memory, honest or not; needs no hardware.
use crate::device::{BUFFER, QUEUE_LEN, Rng};
use crate::server::Server;
use hybrid_virtio::fake::{self, Device, FakeTransport, Registers};
use hybrid_virtio::{StartError, VERSION_1, install};
use libhybrid::drv::DmaRegion;
use libhybrid::interfaces::entropy::{Source, SourceReady};
use libhybrid::ipc::ClientId;
use std::sync::OnceLock;

const CLIENT: ClientId = ClientId::of(12);

/// The one DMA region of the test process.
fn memory() -> DmaRegion {
    static MEMORY: OnceLock<DmaRegion> = OnceLock::new();
    let region = MEMORY.get_or_init(|| {
        let region = fake::memory(4 << 20);
        assert!(install(region.clone()));
        region
    });
    region.clone()
}

fn device() -> Device {
    Device::new(memory(), 1, 8, VERSION_1 | 0xf, &[])
}

fn started() -> (Device, Server<FakeTransport>) {
    let device = device();
    let rng = Rng::start(device.transport()).expect("an honest device");
    (device, Server::new(rng))
}

/// Fills the next buffer. False: none is lent.
fn fill(device: &mut Device, byte: u8, len: usize) -> bool {
    let Some(lent) = device.take(0) else { return false };
    assert!(lent.is_writable && lent.len == BUFFER);
    assert!(device.write(lent.address, &vec![byte; len]));
    device.complete(0, lent.token.into(), u32::try_from(len).expect("small"));
    true
}

#[test]
fn noise_comes_in_whole_buffers_and_once() {
    let (mut device, mut server) = started();
    assert_eq!(device.registers.borrow().accepted, VERSION_1);
    for round in 0..10_000_u32 {
        let byte = round.to_le_bytes()[0];
        for number in 0..QUEUE_LEN {
            assert!(
                fill(&mut device, byte.wrapping_add(u8::try_from(number).expect("8")), BUFFER),
                "buffers come back"
            );
        }
        assert!(!fill(&mut device, 0, 1), "the device has no more of them than there are");
        for half in [0, 4] {
            let expected: Vec<u8> = (half..half + 4).flat_map(|number| [byte.wrapping_add(number); BUFFER]).collect();
            assert_eq!(server.read(CLIENT), expected);
        }
        assert_eq!(server.read(CLIENT).len(), 0);
    }
    assert!(!server.is_broken());
}

#[test]
fn noise_that_was_given_out_is_wiped() {
    let (mut device, mut server) = started();
    let lent = device.take(0).expect("lent");
    assert!(device.write(lent.address, &[0xaa; BUFFER]));
    device.complete(0, lent.token.into(), 10);
    assert_eq!(server.read(CLIENT), vec![0xaa; 10]);
    let mut left = [1; BUFFER];
    device.read(lent.address, &mut left);
    assert_eq!(left, [0; BUFFER]);
}

#[test]
fn client_is_rung_once_after_it_found_nothing() {
    let (mut device, mut server) = started();
    assert!(!server.interrupted(), "nobody waits");
    assert_eq!(server.read(CLIENT).len(), 0);
    assert_eq!(server.pull_ready(CLIENT), None);
    assert!(fill(&mut device, 1, 5));
    assert!(server.interrupted());
    assert_eq!((server.pull_ready(CLIENT), server.pull_ready(CLIENT)), (Some(SourceReady {}), None));
    assert!(!server.interrupted(), "it was rung");
    assert_eq!(server.read(CLIENT), vec![1; 5]);
    // A client that died while it waited is not rung for; its next life finds no event.
    assert_eq!(server.read(CLIENT).len(), 0);
    server.forget();
    assert!(!server.interrupted());
    assert_eq!(server.pull_ready(CLIENT), None);
}

#[test]
fn device_that_lies_is_given_up() {
    for len in [65, 0xffff, u32::MAX] {
        let (mut device, mut server) = started();
        let lent = device.take(0).expect("lent");
        device.complete(0, lent.token.into(), len);
        assert_eq!((server.read(CLIENT).len(), server.is_broken()), (0, true), "{len} bytes in a buffer of 64");
    }
    for token in [8, 0xffff] {
        let (mut device, mut server) = started();
        assert!(fill(&mut device, 3, 64));
        device.complete(0, token, 64);
        // What the device really filled is lost with it.
        assert_eq!((server.read(CLIENT).len(), server.is_broken()), (0, true), "a buffer that is not there");
    }
    let (mut device, mut server) = started();
    let lent = device.take(0).expect("lent");
    device.complete(0, lent.token.into(), 64);
    device.complete(0, lent.token.into(), 64);
    assert_eq!((server.read(CLIENT).len(), server.is_broken()), (0, true), "the same buffer twice");
}

#[test]
fn device_that_fills_nothing_gives_nothing() {
    let (mut device, mut server) = started();
    while fill(&mut device, 9, 0) {}
    assert_eq!((server.read(CLIENT).len(), server.is_broken()), (0, false));
    assert!(fill(&mut device, 9, 1), "its buffers are lent again");
}

#[test]
fn start_with_unsuitable_device_fails() {
    let attempt = |change: fn(&mut Registers)| {
        let device = device();
        change(&mut device.registers.borrow_mut());
        Rng::start(device.transport()).err()
    };
    assert_eq!(attempt(|registers| registers.offered = 1), Some(StartError::Features), "a legacy device");
    assert_eq!(attempt(|registers| registers.is_refusing = true), Some(StartError::Refused));
    assert_eq!(attempt(|registers| registers.queue_max = 4), Some(StartError::Queue));
    assert_eq!(attempt(|registers| (registers.status, registers.is_stuck) = (4, true)), Some(StartError::Reset));
}
