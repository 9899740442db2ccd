//! A driver's next life on a device that still works for the earlier one: no memory anew before it is reset.
use hybrid_virtio::fake::{Device, Touch, memory};
use hybrid_virtio::transport::{DeviceStatus, Transport};
use hybrid_virtio::{Broken, Direction, Ring, StartError, VERSION_1, install_again, negotiate};
use std::sync::{Mutex, MutexGuard};

const BYTES: usize = 64 << 10;
/// ACKNOWLEDGE, DRIVER, FEATURES_OK and DRIVER_OK (Virtio 1.2 §2.1): it works.
const WORKS: u32 = 15;
const AGREED: u32 = 11;

/// The driver's DMA memory is one for the process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A device that works for an earlier life of the driver, with queues in the memory that the next life gets, and is reset after `reads` of its status.
fn working(reads: u32) -> (MutexGuard<'static, ()>, Device) {
    let alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let memory = memory(BYTES);
    let device = Device::new(memory.part(0, BYTES).unwrap(), 1, 8, VERSION_1, &[]);
    let mut registers = device.registers.borrow_mut();
    (registers.status, registers.resets_after) = (WORKS, reads);
    registers.lent_earlier = memory.part(0, BYTES);
    registers.queues[0] = [memory.paddr(); 3];
    drop(registers);
    install_again(memory);
    (alone, device)
}

#[test]
fn no_address_is_told_and_no_memory_written_before_the_status_reads_0() {
    let (_alone, mut device) = working(5);
    let mut transport = device.transport();
    assert_eq!(negotiate(&mut transport, VERSION_1, VERSION_1), Ok(VERSION_1));
    let mut ring = Ring::<8>::new(&mut transport, 0, Direction::FromDevice, 64).unwrap();
    transport.finish_init();
    let before = [Touch::Wrote(0), Touch::Read(WORKS), Touch::Read(0)];
    let agreed = [Touch::Wrote(0), Touch::Wrote(3), Touch::Took(VERSION_1), Touch::Wrote(AGREED), Touch::Read(AGREED)];
    let after = [Touch::Told(0), Touch::Wrote(WORKS)];
    assert_eq!(device.registers.borrow().touched, [&before[..], &agreed, &after].concat());
    // What the device wrote for the earlier life is in no ring of this one.
    assert_eq!(ring.reclaim(|_, _, _| panic!("nothing was used")), Ok(false));
    assert_eq!(ring.lend(64), Ok(true));
    assert!(device.take(0).is_some_and(|lent| lent.len == 64 && lent.is_writable));
}

#[test]
fn memory_that_is_written_before_the_reset_is_spoilt_as_the_test_above_would_see() {
    let (_alone, device) = working(5);
    let mut transport = device.transport();
    let mut ring = Ring::<8>::new(&mut transport, 0, Direction::FromDevice, 64).unwrap();
    assert_eq!(negotiate(&mut transport, VERSION_1, VERSION_1), Ok(VERSION_1));
    assert_eq!(device.registers.borrow().touched[0], Touch::Told(0));
    assert_eq!(ring.reclaim(|_, _, _| ()), Err(Broken));
}

#[test]
fn device_that_never_gets_through_its_reset_is_given_up_and_told_nothing() {
    let (_alone, device) = working(0);
    device.registers.borrow_mut().is_stuck = true;
    assert_eq!(negotiate(&mut device.transport(), VERSION_1, VERSION_1), Err(StartError::Reset));
    assert_eq!(device.registers.borrow().touched, [Touch::Wrote(0), Touch::Read(WORKS)]);
    // A slow one has its time, which ends.
    for (reads, result) in [(99_999, Ok(VERSION_1)), (100_000, Err(StartError::Reset))] {
        let mut transport = device.transport();
        let mut registers = device.registers.borrow_mut();
        (registers.is_stuck, registers.status, registers.resets_after) = (false, WORKS, reads);
        registers.lent_earlier = None;
        drop(registers);
        assert_eq!(negotiate(&mut transport, VERSION_1, VERSION_1), result, "{reads} reads");
    }
    assert_eq!(device.transport().get_status(), DeviceStatus::empty());
}
