//! A device of plain memory for tests and fuzz targets, honest or not; no product holds it.
#![expect(clippy::expect_used, clippy::missing_panics_doc, reason = "a mistake of a test ends the test")]
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use hybrid_drv::{DmaRegion, PAGE};
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Where the DMA memory of a test lies for its device.
const BASE: u64 = 0x1_0000_0000;

/// DMA memory as securityd maps it: whole pages.
#[must_use]
pub fn memory(bytes: usize) -> DmaRegion {
    let region = DmaRegion::on_heap(bytes + PAGE, BASE);
    let skip = region.base().align_offset(PAGE);
    region.part(skip, bytes).expect("there is a page more than asked for")
}

/// What a driver did with a register that decides when a device works, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// Wrote the status.
    Wrote(u32),
    /// Read the status.
    Read(u32),
    /// Took these features.
    Took(u64),
    /// Told the addresses of a queue.
    Told(u16),
}

/// What the driver wrote into the registers, and what it reads there.
#[derive(Debug, Default)]
pub struct Registers {
    /// Features that the device has.
    pub offered: u64,
    /// Features that the driver took.
    pub accepted: u64,
    /// The status register.
    pub status: u32,
    /// The device does not accept the features.
    pub is_refusing: bool,
    /// The device does not get through its reset.
    pub is_stuck: bool,
    /// So often the status is read before a reset is done; it keeps its value so long.
    pub resets_after: u32,
    /// What an earlier life of the driver lent it. It writes there whenever the status is read, until it is reset.
    pub lent_earlier: Option<DmaRegion>,
    /// In this order; one that was repeated at once stands there once.
    pub touched: Vec<Touch>,
    is_resetting: bool,
    /// The longest queue.
    pub queue_max: u32,
    /// Descriptors, driver area and device area of each queue.
    pub queues: Vec<[u64; 3]>,
    /// How often each queue was notified.
    pub notified: Vec<u32>,
    /// The interrupt status.
    pub interrupt: u32,
    /// The configuration space.
    pub config: Vec<u8>,
}

impl Registers {
    fn touch(&mut self, touch: Touch) {
        if self.touched.last() != Some(&touch) {
            self.touched.push(touch);
        }
    }

    /// A device that works, or resets itself, uses what it was lent.
    fn go_on(&mut self) {
        if self.is_resetting {
            match self.resets_after.checked_sub(1) {
                Some(left) => self.resets_after = left,
                None => (self.is_resetting, self.status, self.lent_earlier) = (false, 0, None),
            }
        }
        if let Some(memory) = &self.lent_earlier {
            assert!(memory.write(0, &vec![0xa5; memory.len()]), "all of it is its own");
        }
    }
}

/// A device that tells what the test says.
#[derive(Debug)]
pub struct FakeTransport(Rc<RefCell<Registers>>);

impl Transport for FakeTransport {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }
    fn read_device_features(&mut self) -> u64 {
        self.0.borrow().offered
    }
    fn write_driver_features(&mut self, features: u64) {
        let mut registers = self.0.borrow_mut();
        assert_eq!(features & !registers.offered, 0, "a feature that was not offered");
        registers.accepted = features;
        registers.touch(Touch::Took(features));
    }
    fn max_queue_size(&mut self, _: u16) -> u32 {
        self.0.borrow().queue_max
    }
    fn notify(&mut self, queue: u16) {
        self.0.borrow_mut().notified[usize::from(queue)] += 1;
    }
    fn get_status(&self) -> DeviceStatus {
        let mut registers = self.0.borrow_mut();
        registers.go_on();
        let hidden = if registers.is_refusing { DeviceStatus::FEATURES_OK } else { DeviceStatus::empty() };
        let status = DeviceStatus::from_bits_truncate(registers.status) - hidden;
        registers.touch(Touch::Read(status.bits()));
        status
    }
    fn set_status(&mut self, status: DeviceStatus) {
        let mut registers = self.0.borrow_mut();
        registers.touch(Touch::Wrote(status.bits()));
        if registers.is_stuck {
            return;
        }
        if status.is_empty() && registers.resets_after > 0 {
            registers.is_resetting = true;
        } else {
            registers.status = status.bits();
        }
    }
    fn set_guest_page_size(&mut self, _: u32) {}
    fn requires_legacy_layout(&self) -> bool {
        false
    }
    fn queue_set(&mut self, queue: u16, _: u32, descriptors: u64, driver_area: u64, device_area: u64) {
        let mut registers = self.0.borrow_mut();
        registers.queues[usize::from(queue)] = [descriptors, driver_area, device_area];
        registers.touch(Touch::Told(queue));
    }
    fn queue_unset(&mut self, _: u16) {}
    fn queue_used(&mut self, _: u16) -> bool {
        false
    }
    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::from_bits_truncate(core::mem::take(&mut self.0.borrow_mut().interrupt))
    }
    fn read_config_generation(&self) -> u32 {
        7
    }
    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> virtio_drivers::Result<T> {
        let registers = self.0.borrow();
        Ok(T::read_from_prefix(&registers.config[offset..]).expect("inside").0)
    }
    fn write_config_space<T: IntoBytes + Immutable>(&mut self, _: usize, _: T) -> virtio_drivers::Result<()> {
        panic!("no driver writes there")
    }
}

/// A buffer that the driver lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lent {
    /// What names it in the used ring.
    pub token: u16,
    /// Where the device finds it.
    pub address: u64,
    /// Bytes.
    pub len: usize,
    /// Whether the device may write it.
    pub is_writable: bool,
}

/// The device's side of its queues.
#[derive(Debug)]
pub struct Device {
    /// Its registers.
    pub registers: Rc<RefCell<Registers>>,
    /// The driver's DMA memory.
    memory: DmaRegion,
    /// Descriptors of each queue, as many as the driver asks for.
    len: u16,
    seen: Vec<u16>,
    used: Vec<u16>,
}

impl Device {
    /// A device with `queues` queues whose driver uses `len` descriptors of each.
    #[must_use]
    pub fn new(memory: DmaRegion, queues: usize, len: u16, offered: u64, config: &[u8]) -> Self {
        let registers = Registers {
            offered,
            queue_max: 256,
            queues: vec![[0; 3]; queues],
            notified: vec![0; queues],
            config: config.to_vec(),
            ..Registers::default()
        };
        let (seen, used) = (vec![0; queues], vec![0; queues]);
        Self { registers: Rc::new(RefCell::new(registers)), memory, len, seen, used }
    }

    /// What the driver talks to.
    #[must_use]
    pub fn transport(&self) -> FakeTransport {
        FakeTransport(Rc::clone(&self.registers))
    }

    /// Reads what the driver told the address of.
    pub fn read(&self, address: u64, bytes: &mut [u8]) {
        let offset = usize::try_from(address - self.memory.paddr()).expect("64 bits");
        assert!(self.memory.read(offset, bytes), "the driver told an address outside of its DMA memory");
    }

    /// Writes into the driver's memory; outside of it there is nothing to write to.
    pub fn write(&self, address: u64, bytes: &[u8]) -> bool {
        let offset = address.checked_sub(self.memory.paddr()).and_then(|offset| usize::try_from(offset).ok());
        offset.is_some_and(|offset| self.memory.write(offset, bytes))
    }

    fn u16_at(&self, address: u64) -> u16 {
        let mut bytes = [0; 2];
        self.read(address, &mut bytes);
        u16::from_le_bytes(bytes)
    }

    /// The next buffer that the driver lends.
    pub fn take(&mut self, queue: usize) -> Option<Lent> {
        let [descriptors, driver_area, _] = self.registers.borrow().queues[queue];
        if self.u16_at(driver_area + 2) == self.seen[queue] {
            return None;
        }
        let token = self.u16_at(driver_area + 4 + 2 * u64::from(self.seen[queue] % self.len));
        self.seen[queue] = self.seen[queue].wrapping_add(1);
        Some(self.lent(descriptors, token).0)
    }

    /// A descriptor of a table, and the one that goes on from it.
    fn lent(&self, descriptors: u64, token: u16) -> (Lent, Option<u16>) {
        let mut descriptor = [0; 16];
        self.read(descriptors + 16 * u64::from(token), &mut descriptor);
        let address = u64::from_le_bytes(*descriptor.first_chunk().expect("8 of 16"));
        let len = u32::from_le_bytes(*descriptor[8..].first_chunk().expect("4 of 8"));
        let len = usize::try_from(len).expect("64 bits");
        let next = (descriptor[12] & 1 != 0).then(|| u16::from_le_bytes([descriptor[14], descriptor[15]]));
        (Lent { token, address, len, is_writable: descriptor[12] & 2 != 0 }, next)
    }

    /// The next request of several buffers.
    pub fn take_chain(&mut self, queue: usize) -> Option<Vec<Lent>> {
        let first = self.take(queue)?;
        let descriptors = self.registers.borrow().queues[queue][0];
        let mut chain = vec![first];
        let mut next = self.lent(descriptors, first.token).1;
        while let Some(token) = next {
            let (lent, after) = self.lent(descriptors, token);
            assert!(chain.len() < usize::from(self.len), "a chain without end");
            chain.push(lent);
            next = after;
        }
        Some(chain)
    }

    /// Says that a buffer was used.
    pub fn complete(&mut self, queue: usize, token: u32, len: u32) {
        self.complete_with_step(queue, token, len, 1);
    }

    /// How many buffers of the queue it said were used.
    #[must_use]
    pub fn completed(&self, queue: usize) -> u16 {
        self.used[queue]
    }

    /// The same; the index moves by `step`, which is 1 for an honest device.
    pub fn complete_with_step(&mut self, queue: usize, token: u32, len: u32, step: u16) {
        let [_, _, area] = self.registers.borrow().queues[queue];
        let entry = [token.to_le_bytes(), len.to_le_bytes()].concat();
        let _is_inside = self.write(area + 4 + 8 * u64::from(self.used[queue] % self.len), &entry);
        self.used[queue] = self.used[queue].wrapping_add(step);
        let _is_inside = self.write(area + 2, &self.used[queue].to_le_bytes());
    }

    /// Writes somewhere into a queue's descriptors (`area` 0), available (1) or used ring (2).
    pub fn scribble(&self, queue: usize, area: usize, offset: u64, bytes: &[u8]) {
        let at = self.registers.borrow().queues[queue][area] + offset;
        let _is_inside = self.write(at, bytes);
    }
}
