//! Interrupts as notifications.
use crate::{Error, IrqControl, IrqHandler, Notification, Slot};
use hybrid_abi::label;

/// When an interrupt counts as raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// As long as the line is active.
    Level,
    /// When the line becomes active.
    Edge,
}

impl IrqControl {
    /// Makes the handler of interrupt `irq` in `target`.
    ///
    /// # Errors
    /// See kernel ABI §3.8; RevokeFirst if a handler exists.
    pub fn issue(self, irq: u64, target: Slot) -> Result<(), Error> {
        let words = [irq, target.index, target.depth.into()];
        self.0.invoke_unit(label::IRQ_ISSUE_HANDLER, &words, &[target.root.0])
    }

    /// As [`Self::issue`], and sets the trigger (shared peripheral interrupts only on kernels with several cores).
    ///
    /// # Errors
    /// As above.
    pub fn issue_triggered(self, irq: u64, trigger: Trigger, target: Slot) -> Result<(), Error> {
        let words = [irq, u64::from(trigger == Trigger::Edge), target.index, target.depth.into()];
        self.0.invoke_unit(label::IRQ_ISSUE_HANDLER_TRIGGER, &words, &[target.root.0])
    }

    /// Makes a capability in `target` that raises software interrupt `sgi` on the first core; only on kernels for one core.
    ///
    /// # Errors
    /// See kernel ABI §3.8; IllegalOperation on kernels for several cores.
    pub fn issue_sgi(self, sgi: u64, target: Slot) -> Result<(), Error> {
        let words = [sgi, 0, target.index, target.depth.into()];
        self.0.invoke_unit(label::IRQ_ISSUE_SGI_SIGNAL, &words, &[target.root.0])
    }
}

impl IrqHandler {
    /// Lets the interrupt fire again.
    ///
    /// # Errors
    /// Only if this is not an interrupt handler.
    pub fn ack(self) -> Result<(), Error> {
        self.0.invoke_unit(label::IRQ_ACK, &[], &[])
    }

    /// Signals `notification` at each interrupt.
    ///
    /// # Errors
    /// InvalidCapability if it is not a notification with Write.
    pub fn set_notification(self, notification: Notification) -> Result<(), Error> {
        self.0.invoke_unit(label::IRQ_SET_HANDLER, &[], &[notification.0])
    }

    /// Undoes [`Self::set_notification`].
    ///
    /// # Errors
    /// Only if this is not an interrupt handler.
    pub fn clear(self) -> Result<(), Error> {
        self.0.invoke_unit(label::IRQ_CLEAR_HANDLER, &[], &[])
    }
}
