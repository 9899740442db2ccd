//! What HybridOS adds to the kernel: power, and the timer for one thread.
use crate::{Error, Platform, Tcb};
use hybrid_abi::extension;

impl Platform {
    /// Powers the machine off.
    ///
    /// # Errors
    /// If the platform cannot; on success it does not return.
    pub fn system_off(self) -> Result<(), Error> {
        self.0.invoke_unit(extension::PLATFORM_SYSTEM_OFF, &[], &[])
    }

    /// Resets the machine.
    ///
    /// # Errors
    /// If the platform cannot; on success it does not return.
    pub fn system_reset(self) -> Result<(), Error> {
        self.0.invoke_unit(extension::PLATFORM_SYSTEM_RESET, &[], &[])
    }

    /// Lets `thread` program the EL1 physical timer.
    ///
    /// # Errors
    /// InvalidCapability(1) if it is not a thread.
    pub fn allow_timer(self, thread: Tcb) -> Result<(), Error> {
        self.0.invoke_unit(extension::PLATFORM_TIMER_ACCESS, &[1], &[thread.0])
    }

    /// Takes back [`Self::allow_timer`].
    ///
    /// # Errors
    /// As there.
    pub fn deny_timer(self, thread: Tcb) -> Result<(), Error> {
        self.0.invoke_unit(extension::PLATFORM_TIMER_ACCESS, &[0], &[thread.0])
    }

    /// Writes a character to the kernel's own console: for messages before there is a log, and fatal ones.
    ///
    /// # Errors
    /// Only if this is not the platform capability.
    pub fn put_char(self, byte: u8) -> Result<(), Error> {
        self.0.invoke_unit(extension::PLATFORM_PUT_CHAR, &[u64::from(byte)], &[])
    }
}
