//! The entropy device: negotiation, buffers out, noise in; knows no client.
use hybrid_virtio::transport::Transport;
use hybrid_virtio::{Broken, Direction, Ring, StartError, VERSION_1, negotiate};

/// Virtio 1.2 §5: the kind of device.
pub const DEVICE_ID: u32 = 4;
/// Virtio 1.2 §5.4.2: the one queue.
const REQUEST: u16 = 0;
/// Descriptors of the queue, and buffers for it.
pub(crate) const QUEUE_LEN: usize = 8;
/// Bytes of a buffer.
pub(crate) const BUFFER: usize = 64;

/// A running device. All its buffers are lent to it, until it has filled them and somebody asks for what is in them: so noise that nobody
/// needs is not fetched.
pub struct Rng<T: Transport> {
    transport: T,
    ring: Ring<QUEUE_LEN>,
}

impl<T: Transport> Rng<T> {
    /// Resets the device, negotiates, and lends it all buffers. The DMA memory must be installed.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(mut transport: T) -> Result<Self, StartError> {
        negotiate(&mut transport, VERSION_1, VERSION_1)?;
        let ring = Ring::new(&mut transport, REQUEST, Direction::FromDevice, BUFFER)?;
        transport.finish_init();
        let mut rng = Self { transport, ring };
        rng.lend_all().map_err(|Broken| StartError::Queue)?;
        Ok(rng)
    }

    /// Takes away the cause of the interrupt.
    pub fn acknowledge(&mut self) {
        // Both causes lead to the same look at the queue; the device has no configuration (Virtio 1.2 §5.4.4).
        let _cause = self.transport.ack_interrupt();
    }

    /// Moves the noise of filled buffers to the front of `noise`, as far as whole buffers fit, and lends these to the device again.
    /// Gives the bytes moved.
    ///
    /// # Errors
    /// [`Broken`]: the device named a buffer that it does not have, or a length that the buffer does not have.
    pub fn collect(&mut self, noise: &mut [u8]) -> Result<usize, Broken> {
        let mut filled = 0;
        while let Some(free) = noise.get_mut(filled..).filter(|free| free.len() >= BUFFER) {
            let mut taken = Ok(0);
            let is_used = self.ring.reclaim(|memory, offset, claimed| {
                taken = free.get_mut(..claimed).filter(|_| claimed <= BUFFER).ok_or(Broken).and_then(|free| {
                    // Wiped: what seeds somebody is not kept.
                    let is_moved = memory.read(offset, free) && memory.write(offset, &[0; BUFFER]);
                    if is_moved { Ok(claimed) } else { Err(Broken) }
                });
            })?;
            filled += taken?;
            if !is_used {
                break;
            }
        }
        self.lend_all()?;
        Ok(filled)
    }

    fn lend_all(&mut self) -> Result<(), Broken> {
        while self.ring.lend(BUFFER)? {}
        self.ring.notify(&mut self.transport);
        Ok(())
    }
}
