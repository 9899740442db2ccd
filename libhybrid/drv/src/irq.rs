//! One interrupt as a bit of the component's notification.
use hybrid_sys::IrqHandler;

/// One interrupt of a device.
#[derive(Debug, Clone, Copy)]
pub struct Irq {
    handler: IrqHandler,
    bit: u8,
    number: u32,
}

impl Irq {
    /// Names the interrupt `number` with this handler, delivered as bit `bit` (0…62).
    #[must_use]
    pub fn new(handler: IrqHandler, bit: u8, number: u32) -> Self {
        Self { handler, bit, number }
    }

    /// Its number, for messages.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether it is among the bits that `Component::on_bell` was given.
    #[must_use]
    pub fn is_in(&self, bits: u64) -> bool {
        bits & self.mask() != 0
    }

    /// Its bit, as a mask.
    #[must_use]
    pub fn mask(&self) -> u64 {
        1_u64.checked_shl(self.bit.into()).unwrap_or(0)
    }

    /// Lets it come again. Call this after the device's own cause was cleared, and once at the start.
    ///
    /// # Errors
    /// Only if securityd gave no handler capability.
    pub fn ack(&self) -> Result<(), hybrid_sys::Error> {
        self.handler.ack()
    }
}
