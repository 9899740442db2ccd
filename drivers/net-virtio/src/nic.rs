//! The network device: negotiation, frames in, frames out; knows no rings of ours.
use crate::driver::{Frames, Take};
use crate::ring::{BUFFER, Direction, QUEUE_LEN, Ring};
use libhybrid::interfaces::net::link::FRAME_MAX;
use virtio_drivers::transport::{DeviceStatus, InterruptStatus, Transport};

/// Virtio 1.2 §5.1.2: the queues without multi-queue.
const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;
/// Virtio 1.2 §5.1.6: the header in front of each frame, with `num_buffers` since VERSION_1 was negotiated. All of it is zero:
/// no offload was negotiated either.
const HEADER: [u8; 12] = [0; 12];
/// Virtio 1.2 §5.1.4: offsets in the configuration space.
const CONFIG_MAC: usize = 0;
const CONFIG_STATUS: usize = 6;
const LINK_UP: u16 = 1;
/// So often the status is read while a device resets itself; each read leaves the processor and takes a while.
const RESET_READS: u32 = 100_000;
/// The largest payload of a frame. The device is not asked for another one (no VIRTIO_NET_F_MTU).
pub(crate) const MTU: u16 = 1500;

bitflags::bitflags! {
    /// What this driver can make use of.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Features: u64 {
        /// The device has a MAC address.
        const MAC = 1 << 5;
        /// The device tells whether the link is up.
        const STATUS = 1 << 16;
        /// The device follows Virtio 1.0 or later.
        const VERSION_1 = 1 << 32;
    }
}

/// Why the device cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartError {
    /// It does not follow Virtio 1.0, or has no MAC address.
    Features,
    /// It refused what was negotiated.
    Refused,
    /// It does not get through its reset.
    Reset,
    /// A queue is too short.
    Queue,
    /// The DMA memory does not suffice.
    Memory,
}

/// The device did what no device does. It is not used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// A running device.
pub struct Nic<T: Transport> {
    transport: T,
    receive: Ring,
    transmit: Ring,
    mac: [u8; 6],
    has_status: bool,
}

impl<T: Transport> Nic<T> {
    /// Resets the device, negotiates, and lends it all receive buffers. The DMA memory must be installed; it is not written before the
    /// device says that it is reset, since until then it may use what an earlier life of this driver lent it.
    ///
    /// # Errors
    /// [`StartError`]; the device is reset again.
    pub fn start(mut transport: T) -> Result<Self, StartError> {
        reset(&mut transport)?;
        let features = transport.begin_init(Features::all());
        if !features.contains(Features::VERSION_1 | Features::MAC) {
            return Err(StartError::Features);
        }
        if !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
            return Err(StartError::Refused);
        }
        let mac = transport.read_consistent(|| read_mac(&transport)).map_err(|_| StartError::Features)?;
        let receive = Ring::new(&mut transport, RECEIVE, Direction::FromDevice)?;
        let transmit = Ring::new(&mut transport, TRANSMIT, Direction::ToDevice)?;
        transport.finish_init();
        let has_status = features.contains(Features::STATUS);
        let mut nic = Self { transport, receive, transmit, mac, has_status };
        nic.transmit.set_interrupts(false);
        for _ in 0..QUEUE_LEN {
            nic.receive.lend(BUFFER, &[]).map_err(|Broken| StartError::Queue)?;
        }
        nic.receive.notify(&mut nic.transport);
        Ok(nic)
    }
}

/// Virtio 1.2 §2.4.1: a device is reset when its status reads 0, and does no DMA from then on.
fn reset(transport: &mut impl Transport) -> Result<(), StartError> {
    transport.set_status(DeviceStatus::empty());
    let is_reset = (0..RESET_READS).any(|_| transport.get_status().is_empty());
    if is_reset { Ok(()) } else { Err(StartError::Reset) }
}

fn read_mac(transport: &impl Transport) -> virtio_drivers::Result<[u8; 6]> {
    let mut mac = [0; 6];
    for (offset, byte) in mac.iter_mut().enumerate() {
        *byte = transport.read_config_space(CONFIG_MAC + offset)?;
    }
    Ok(mac)
}

impl<T: Transport> Frames for Nic<T> {
    fn mac(&self) -> [u8; 6] {
        self.mac
    }

    fn is_up(&mut self) -> bool {
        // Without the feature the link counts as up (Virtio 1.2 §5.1.4.2).
        !self.has_status
            || self.transport.read_config_space::<u16>(CONFIG_STATUS).is_ok_and(|status| status & LINK_UP != 0)
    }

    fn acknowledge(&mut self) -> bool {
        self.transport.ack_interrupt().contains(InterruptStatus::DEVICE_CONFIGURATION_INTERRUPT)
    }

    fn receive(&mut self, take: &mut Take<'_>) -> Result<bool, Broken> {
        let is_received = self.receive.reclaim(|memory, offset, claimed| {
            let len = claimed.checked_sub(HEADER.len()).filter(|len| (1..=FRAME_MAX).contains(len));
            // A length that no frame has is passed on as 0, which the caller counts.
            take(len.unwrap_or(0), &mut |frame| {
                // Stays inside the buffer: HEADER and FRAME_MAX together are less than BUFFER.
                let _is_inside = memory.read(offset + HEADER.len(), frame);
            });
        })?;
        if is_received {
            self.receive.lend(BUFFER, &[])?;
        }
        Ok(is_received)
    }

    fn has_room(&mut self) -> Result<bool, Broken> {
        if !self.transmit.has_free() {
            while self.transmit.reclaim(|_, _, _| ())? {}
        }
        Ok(self.transmit.has_free())
    }

    fn send(&mut self, frame: &[u8]) -> Result<(), Broken> {
        self.transmit.lend(HEADER.len() + frame.len(), &[&HEADER, frame]).map(|_is_lent| ())
    }

    fn wake_when_room(&mut self, is_wanted: bool) {
        self.transmit.set_interrupts(is_wanted);
    }

    fn flush(&mut self) {
        self.receive.notify(&mut self.transport);
        self.transmit.notify(&mut self.transport);
    }
}
