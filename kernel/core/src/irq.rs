//! Interrupts: control and handler invocations, delivery (kernel-abi §3.8, §8).

use hybrid_abi::label;
use hybrid_abi::limits::{MAX_IRQ, MAX_SGI, TIMER_IRQ};
use hybrid_abi::rights::Rights;

use crate::cap::Cap;
use crate::cspace::Side;
use crate::invocation::{Answer, Error, Invocation, Outcome};
use crate::kernel::{IrqUse, Kernel};
use crate::object::SlotRef;
use crate::platform::Platform;

impl<P: Platform> Kernel<P> {
    fn irq_use(&self, irq: u32) -> IrqUse {
        self.irq_uses.get(irq as usize).map_or(IrqUse::Reserved, core::cell::Cell::get)
    }

    pub(crate) fn set_irq_use(&self, irq: u32, usage: IrqUse) {
        if let Some(cell) = self.irq_uses.get(irq as usize) {
            cell.set(usage);
        }
    }

    /// The slot with the notification of an interrupt.
    fn irq_slot(&self, irq: u32) -> Option<SlotRef> {
        if u64::from(irq) > MAX_IRQ {
            return None;
        }
        SlotRef::new(self.irq_table.get().wrapping_add(u64::from(irq).wrapping_mul(32)))
    }

    /// An interrupt was taken.
    pub(crate) fn interrupt(&self, irq: u32) {
        if u64::from(irq) == TIMER_IRQ {
            self.this_core().reprogram.set(true);
            self.platform.end_irq(irq);
            return;
        }
        if self.irq_use(irq) != IrqUse::Handler {
            self.platform.mask_irq(irq);
            self.platform.end_irq(irq);
            return;
        }
        if let Some(slot) = self.irq_slot(irq)
            && let Cap::Notification { at, badge, rights } = self.cap(slot)
            && rights.has(Rights::WRITE)
        {
            self.signal(at, badge);
        }
        self.platform.hold_irq(irq);
    }

    pub(crate) fn invoke_irq_control(&self, invocation: &Invocation<'_>) -> Outcome {
        match invocation.label {
            label::IRQ_ISSUE_HANDLER => {
                invocation.require(3, 1)?;
                self.issue_handler(invocation, None, invocation.word(1), invocation.word(2))
            }
            label::IRQ_ISSUE_HANDLER_TRIGGER => {
                invocation.require(4, 1)?;
                let is_edge = invocation.word(1) != 0;
                self.issue_handler(invocation, Some(is_edge), invocation.word(2), invocation.word(3))
            }
            label::IRQ_ISSUE_SGI_SIGNAL => self.issue_sgi_signal(invocation),
            _ => Err(Error::IllegalOperation.into()),
        }
    }

    fn issue_handler(&self, invocation: &Invocation<'_>, is_edge: Option<bool>, index: u64, depth: u64) -> Outcome {
        let irq = match u32::try_from(invocation.word(0)) {
            Ok(irq) if u64::from(irq) <= MAX_IRQ => irq,
            _ => return Err(Error::Range { min: 0, max: MAX_IRQ }.into()),
        };
        if self.irq_use(irq) != IrqUse::Inactive {
            return Err(Error::RevokeFirst.into());
        }
        let slot = self.empty_target(invocation, index, depth)?;
        if let Some(is_edge) = is_edge {
            self.platform.set_irq_trigger(irq, is_edge);
        }
        self.set_irq_use(irq, IrqUse::Handler);
        self.platform.unmask_irq(irq);
        self.insert_derived(invocation.slot, slot, Cap::IrqHandler { irq });
        Ok(Answer::Empty)
    }

    /// The empty slot that (cap1, index, depth) name.
    fn empty_target(&self, invocation: &Invocation<'_>, index: u64, depth: u64) -> Result<SlotRef, Error> {
        let root = self.cap(invocation.cap_slot(1)?);
        let slot = self.lookup_exact(root, index, depth, Side::Target)?;
        if self.is_empty(slot) { Ok(slot) } else { Err(Error::DeleteFirst) }
    }

    fn issue_sgi_signal(&self, invocation: &Invocation<'_>) -> Outcome {
        invocation.require(4, 1)?;
        let sgi = match u8::try_from(invocation.word(0)) {
            Ok(sgi) if u64::from(sgi) <= MAX_SGI => sgi,
            _ => return Err(Error::Range { min: 0, max: MAX_SGI }.into()),
        };
        let target = match u32::try_from(invocation.word(1)) {
            Ok(target) if u64::from(target) <= self.platform.max_sgi_target() => target,
            _ => return Err(Error::InvalidArgument(1).into()),
        };
        let slot = self.empty_target(invocation, invocation.word(2), invocation.word(3))?;
        self.insert_derived(invocation.slot, slot, Cap::SgiSignal { sgi, target });
        Ok(Answer::Empty)
    }

    pub(crate) fn invoke_irq_handler(&self, invocation: &Invocation<'_>, irq: u32) -> Outcome {
        match invocation.label {
            label::IRQ_ACK => self.platform.release_irq(irq),
            label::IRQ_SET_HANDLER => {
                let source = invocation.cap_slot(1)?;
                let cap = self.cap(source);
                match cap {
                    // Number 0, not 1: the ABI's own quirk (kernel-abi §3.8).
                    Cap::Notification { rights, .. } if rights.has(Rights::WRITE) => {}
                    _ => return Err(Error::InvalidCapability(0).into()),
                }
                if let Some(slot) = self.irq_slot(irq) {
                    self.delete(slot)?;
                    // Deleting the old notification may have removed the given capability with it.
                    if self.cap(source) == cap {
                        self.insert_derived(source, slot, cap);
                    }
                }
            }
            label::IRQ_CLEAR_HANDLER => {
                if let Some(slot) = self.irq_slot(irq) {
                    self.delete(slot)?;
                }
            }
            _ => return Err(Error::IllegalOperation.into()),
        }
        Ok(Answer::Empty)
    }

    /// The last handler capability of an interrupt is deleted.
    pub(crate) fn destroy_irq_handler(&self, irq: u32) {
        // Held or not: an interrupt that stayed active in the controller would never reach the next handler.
        self.platform.release_irq(irq);
        self.platform.mask_irq(irq);
        self.set_irq_use(irq, IrqUse::Inactive);
        if let Some(slot) = self.irq_slot(irq) {
            // A notification's deletion is one step: it is never preempted and leaves nothing behind.
            let _ = self.delete(slot);
        }
    }
}
