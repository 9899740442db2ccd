//! The network device: negotiation, frames in, frames out; knows no rings of ours.
use crate::driver::{Fill, Frames, Take};
use hybrid_virtio::transport::{InterruptStatus, Transport};
use hybrid_virtio::{Broken, Direction, Ring, StartError, VERSION_1, negotiate};
use libhybrid::interfaces::net::link::FRAME_MAX;

/// Virtio 1.2 §5: the kind of device.
pub const DEVICE_ID: u32 = 1;
/// Descriptors of a queue, and buffers for it.
const QUEUE_LEN: usize = 128;
/// Bytes of a buffer: a header and the largest frame, rounded up so that no buffer crosses a page.
const BUFFER: usize = 2048;
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
/// Virtio 1.2 §5.1.3: the device has a MAC address; it tells whether the link is up.
const FEATURE_MAC: u64 = 1 << 5;
const FEATURE_STATUS: u64 = 1 << 16;
/// The largest payload of a frame. The device is not asked for another one (no VIRTIO_NET_F_MTU).
pub(crate) const MTU: u16 = 1500;

/// A running device.
pub struct Nic<T: Transport> {
    transport: T,
    receive: Ring<QUEUE_LEN>,
    transmit: Ring<QUEUE_LEN>,
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
        let needed = VERSION_1 | FEATURE_MAC;
        let features = negotiate(&mut transport, needed | FEATURE_STATUS, needed)?;
        let mac = transport.read_consistent(|| read_mac(&transport)).map_err(|_| StartError::Features)?;
        let receive = Ring::new(&mut transport, RECEIVE, Direction::FromDevice, BUFFER)?;
        let transmit = Ring::new(&mut transport, TRANSMIT, Direction::ToDevice, BUFFER)?;
        transport.finish_init();
        let has_status = features & FEATURE_STATUS != 0;
        let mut nic = Self { transport, receive, transmit, mac, has_status };
        nic.transmit.set_interrupts(false);
        for _ in 0..QUEUE_LEN {
            nic.receive.lend(BUFFER).map_err(|Broken| StartError::Queue)?;
        }
        nic.receive.notify(&mut nic.transport);
        Ok(nic)
    }
}

fn read_mac(transport: &impl Transport) -> hybrid_virtio::Result<[u8; 6]> {
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
            self.receive.lend(BUFFER)?;
        }
        Ok(is_received)
    }

    fn has_room(&mut self) -> Result<bool, Broken> {
        if !self.transmit.has_free() {
            while self.transmit.reclaim(|_, _, _| ())? {}
        }
        Ok(self.transmit.has_free())
    }

    fn send(&mut self, fill: &mut Fill<'_>) -> Result<(), Broken> {
        let is_lent = self.transmit.lend_with(|memory, offset| {
            let mut at = offset + HEADER.len();
            // Stays inside the buffer: HEADER and FRAME_MAX together are less than BUFFER.
            let _is_inside = memory.write(offset, &HEADER);
            let len = fill(&mut |words, bytes| {
                let _is_inside = memory.write_words(at, words, bytes);
                at += bytes;
            })?;
            Some(HEADER.len() + len)
        });
        is_lent.map(|_is_lent| ())
    }

    fn wake_when_room(&mut self, is_wanted: bool) {
        self.transmit.set_interrupts(is_wanted);
    }

    fn flush(&mut self) {
        self.receive.notify(&mut self.transport);
        self.transmit.notify(&mut self.transport);
    }
}
