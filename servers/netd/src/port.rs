//! The stack's view of the driver's rings as a smoltcp device; no policy.
use crate::checksum;
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

/// Largest frame in either direction, bytes, Ethernet header included.
pub const FRAME_MAX: usize = 1536;
/// Largest frame that the stack makes: 1500 bytes of payload behind a 14-byte header.
pub const FRAME_SENT_MAX: usize = 1514;

/// Where frames come from and go to.
pub trait Frames {
    /// Copies the next received frame to the start of `buffer` and returns its length.
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize>;
    /// Whether a frame of [`FRAME_SENT_MAX`] bytes can be sent now.
    fn has_room(&mut self) -> bool;
    /// Sends one frame. Called only after [`Frames::has_room`] said yes.
    fn transmit(&mut self, frame: &[u8]);
}

/// Frames and bytes so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames received.
    pub frames_in: u64,
    /// Frames sent.
    pub frames_out: u64,
    /// Bytes in the frames received.
    pub bytes_in: u64,
    /// Bytes in the frames sent.
    pub bytes_out: u64,
}

/// One use of the driver: at most one received frame, any number of sent ones.
pub(crate) struct Port<'p, F> {
    pub(crate) received: Option<&'p [u8]>,
    pub(crate) frames: &'p mut F,
    pub(crate) scratch: &'p mut [u8],
    pub(crate) traffic: &'p mut Traffic,
    /// The last thing that was to be sent waits for the link-layer address of its next hop.
    pub(crate) is_unresolved: bool,
}

impl<'p, F: Frames> Port<'p, F> {
    pub(crate) fn new(frames: &'p mut F, scratch: &'p mut [u8], traffic: &'p mut Traffic) -> Self {
        Self { received: None, frames, scratch, traffic, is_unresolved: false }
    }

    pub(crate) fn with(mut self, received: &'p [u8]) -> Self {
        self.received = Some(received);
        self
    }
}

impl<F: Frames> Port<'_, F> {
    pub(crate) fn has_room(&mut self) -> bool {
        self.frames.has_room()
    }
}

impl<F: Frames> Port<'_, F> {
    fn token(&mut self) -> Transmit<'_, F> {
        let is_unresolved = &mut self.is_unresolved;
        Transmit { frames: self.frames, scratch: self.scratch, traffic: self.traffic, is_unresolved }
    }
}

impl<F: Frames> Device for Port<'_, F> {
    type RxToken<'a>
        = Received<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Transmit<'a, F>
    where
        Self: 'a;

    fn receive(&mut self, _now: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let frame = self.received.take()?;
        Some((Received(frame), self.token()))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Self::TxToken<'_>> {
        if !self.frames.has_room() {
            return None;
        }
        // smoltcp gives the token up unused when the next hop is being asked for already.
        self.is_unresolved = true;
        Some(self.token())
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_SENT_MAX;
        capabilities.checksum.tcp = Checksum::None;
        capabilities
    }
}

/// A received frame.
pub(crate) struct Received<'a>(&'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, G: FnOnce(&[u8]) -> R>(self, read: G) -> R {
        read(self.0)
    }
}

/// Room for one frame.
pub(crate) struct Transmit<'a, F> {
    frames: &'a mut F,
    scratch: &'a mut [u8],
    traffic: &'a mut Traffic,
    is_unresolved: &'a mut bool,
}

impl<F: Frames> TxToken for Transmit<'_, F> {
    fn consume<R, G: FnOnce(&mut [u8]) -> R>(self, len: usize, write: G) -> R {
        // INV-NET-1: smoltcp never makes a frame above `max_transmission_unit`, which fits into the scratch buffer.
        let frame = &mut self.scratch[..len];
        let result = write(frame);
        checksum::complete(frame);
        *self.is_unresolved = asks_for_neighbor(frame);
        self.frames.transmit(frame);
        self.traffic.frames_out += 1;
        self.traffic.bytes_out += len as u64;
        result
    }
}

/// Whether a frame that this host sends asks for a neighbour: an ARP packet (requests are all that sockets cause), or a neighbour solicitation.
fn asks_for_neighbor(frame: &[u8]) -> bool {
    const ICMPV6: u8 = 58;
    const SOLICITATION: u8 = 135;
    match frame.get(12..14) {
        Some([0x08, 0x06]) => true,
        Some([0x86, 0xdd]) => frame.get(20) == Some(&ICMPV6) && frame.get(54) == Some(&SOLICITATION),
        _ => false,
    }
}
