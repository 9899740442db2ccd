//! Interrupts: control and handler invocations, delivery (kernel-abi §3.8, §8).

use hybrid_abi::label;
use hybrid_abi::limits::{FIRST_SPI, MAX_IRQ, MAX_SGI, REMOTE_CALL_SGI, RESCHEDULE_SGI, TIMER_IRQ};
use hybrid_abi::rights::Rights;

use crate::cap::Cap;
use crate::cspace::Side;
use crate::invocation::{Answer, Error, Invocation, Outcome, Stop};
use crate::kernel::{IRQS, IrqUse, Kernel};
use crate::object::SlotRef;
use crate::platform::Platform;

/// Private interrupts of a core: IDs 0 to 31.
#[expect(clippy::cast_possible_truncation, reason = "a constant that fits")]
const PRIVATE_IRQS: u32 = FIRST_SPI as u32;
/// First place of the private interrupts of core 1.
#[expect(clippy::cast_possible_truncation, reason = "a constant that fits")]
const SECOND_CORE: u32 = MAX_IRQ as u32 + 1;
#[expect(clippy::cast_possible_truncation, reason = "a constant that fits")]
const TIMER: u32 = TIMER_IRQ as u32;

/// Place of an interrupt in the kernel's tables, and what a handler capability names: its ID; for a private one of a core
/// other than 0 a number above all IDs.
fn irq_place(core: usize, irq: u32) -> u32 {
    match u32::try_from(core).unwrap_or(0).checked_sub(1) {
        Some(above) if irq < PRIVATE_IRQS => {
            above.wrapping_mul(PRIVATE_IRQS).wrapping_add(SECOND_CORE).wrapping_add(irq)
        }
        _ => irq,
    }
}

/// Core (0 for shared interrupts) and ID of the interrupt at a place.
fn irq_at(place: u32) -> (usize, u32) {
    match place.checked_sub(SECOND_CORE) {
        None => (0, place),
        Some(above) => ((above / PRIVATE_IRQS).wrapping_add(1) as usize, above % PRIVATE_IRQS),
    }
}

impl<P: Platform> Kernel<P> {
    /// The place of an interrupt that this core took.
    #[inline]
    pub(crate) fn irq_place_here(&self, irq: u32) -> u32 {
        irq_place(if P::CORES == 1 { 0 } else { self.platform.core() }, irq)
    }

    #[inline]
    pub(crate) fn irq_use(&self, place: u32) -> IrqUse {
        self.irq_uses.get(place as usize).map_or(IrqUse::Reserved, core::cell::Cell::get)
    }

    fn set_irq_use(&self, place: u32, usage: IrqUse) {
        if let Some(cell) = self.irq_uses.get(place as usize) {
            cell.set(usage);
        }
    }

    /// Keeps the kernel's own interrupts of all cores from user space (boot).
    pub(crate) fn reserve_irqs(&self) {
        for core in 0..self.core_count.get() {
            for irq in [REMOTE_CALL_SGI, RESCHEDULE_SGI, TIMER] {
                if P::CORES > 1 || irq == TIMER {
                    self.set_irq_use(irq_place(core, irq), IrqUse::Reserved);
                }
            }
        }
    }

    /// The slot with the notification of an interrupt.
    #[inline]
    pub(crate) fn irq_slot(&self, place: u32) -> Option<SlotRef> {
        if place as usize >= IRQS {
            return None;
        }
        SlotRef::new(self.irq_table.get().wrapping_add(u64::from(place).wrapping_mul(32)))
    }

    /// This core took an interrupt.
    pub(crate) fn interrupt(&self, irq: u32) {
        if irq == TIMER {
            self.this_core().reprogram.set(true);
            self.platform.end_irq(irq);
            return;
        }
        let core = if P::CORES == 1 { 0 } else { self.platform.core() };
        if P::CORES > 1 && irq <= RESCHEDULE_SGI {
            // Remote calls were served on the way in.
            self.platform.end_irq(irq);
            self.reschedule();
            return;
        }
        let place = irq_place(core, irq);
        if self.irq_use(place) != IrqUse::Handler {
            #[cfg(feature = "debug-calls")]
            self.debug_dropped_interrupt(irq, "inactive, masked");
            self.platform.mask_irq(core, irq);
            self.platform.end_irq(irq);
            return;
        }
        if let Some(slot) = self.irq_slot(place)
            && let Cap::Notification { at, badge, rights } = self.cap(slot)
            && rights.has(Rights::WRITE)
        {
            self.signal(at, badge);
        } else {
            #[cfg(feature = "debug-calls")]
            self.debug_dropped_interrupt(irq, "no notification, dropped");
        }
        self.platform.hold_irq(irq);
    }

    pub(crate) fn invoke_irq_control(&self, invocation: &Invocation<'_>) -> Outcome {
        match invocation.label {
            label::IRQ_ISSUE_HANDLER => {
                invocation.require(3, 1)?;
                let irq = checked_irq(invocation.word(0))?;
                self.issue_handler(invocation, 0, irq, None, (invocation.word(1), invocation.word(2)))
            }
            label::IRQ_ISSUE_HANDLER_TRIGGER => {
                invocation.require(4, 1)?;
                let irq = checked_irq(invocation.word(0))?;
                if P::CORES > 1 && irq < PRIVATE_IRQS {
                    return Err(Error::IllegalOperation.into());
                }
                let is_edge = invocation.word(1) != 0;
                self.issue_handler(invocation, 0, irq, Some(is_edge), (invocation.word(2), invocation.word(3)))
            }
            label::IRQ_ISSUE_HANDLER_TRIGGER_CORE if P::CORES > 1 => self.issue_handler_on_core(invocation),
            label::IRQ_ISSUE_SGI_SIGNAL if P::CORES == 1 => self.issue_sgi_signal(invocation),
            _ => Err(Error::IllegalOperation.into()),
        }
    }

    fn issue_handler_on_core(&self, invocation: &Invocation<'_>) -> Outcome {
        invocation.require(5, 1)?;
        let irq = checked_irq(invocation.word(0))?;
        let core = match usize::try_from(invocation.word(4)) {
            Ok(core) if core < self.core_count.get() => core,
            _ => return Err(Error::InvalidArgument(0).into()),
        };
        let is_edge = invocation.word(1) != 0;
        // Only the low 8 bits of the depth count: the ABI's own quirk (kernel-abi §3.8).
        self.issue_handler(invocation, core, irq, Some(is_edge), (invocation.word(2), invocation.word(3) & 0xff))
    }

    fn issue_handler(
        &self,
        invocation: &Invocation<'_>,
        core: usize,
        irq: u32,
        is_edge: Option<bool>,
        (index, depth): (u64, u64),
    ) -> Outcome {
        let place = irq_place(core, irq);
        if self.irq_use(place) != IrqUse::Inactive {
            return Err(Error::RevokeFirst.into());
        }
        let slot = self.empty_target(invocation, index, depth)?;
        if let Some(is_edge) = is_edge {
            self.platform.set_irq_trigger(core, irq, is_edge);
        }
        if P::CORES > 1 && irq >= PRIVATE_IRQS && core > 0 {
            self.platform.route_irq(irq, core);
        }
        self.set_irq_use(place, IrqUse::Handler);
        self.platform.unmask_irq(core, irq);
        self.insert_derived(invocation.slot, slot, Cap::IrqHandler { irq: place });
        Ok(Answer::Empty)
    }

    /// The empty slot that (cap1, index, depth) name.
    fn empty_target(&self, invocation: &Invocation<'_>, index: u64, depth: u64) -> Result<SlotRef, Error> {
        let root = self.words(invocation.cap_slot(1)?);
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

    /// The handler is done with an interrupt: it may come again.
    #[inline]
    pub(crate) fn acknowledge_irq(&self, place: u32) {
        let (core, irq) = irq_at(place);
        self.platform.release_irq(core, irq);
    }

    pub(crate) fn invoke_irq_handler(&self, invocation: &Invocation<'_>, place: u32) -> Outcome {
        match invocation.label {
            label::IRQ_ACK => self.acknowledge_irq(place),
            label::IRQ_SET_HANDLER => {
                let source = invocation.cap_slot(1)?;
                let cap = self.cap(source);
                match cap {
                    // Number 0, not 1: the ABI's own quirk (kernel-abi §3.8).
                    Cap::Notification { rights, .. } if rights.has(Rights::WRITE) => {}
                    _ => return Err(Error::InvalidCapability(0).into()),
                }
                if let Some(slot) = self.irq_slot(place) {
                    self.delete(slot)?;
                    // Deleting the old notification may have removed the given capability with it.
                    if self.cap(source) == cap {
                        self.insert_derived(source, slot, cap);
                    }
                }
            }
            label::IRQ_CLEAR_HANDLER => {
                if let Some(slot) = self.irq_slot(place) {
                    self.delete(slot)?;
                }
            }
            _ => return Err(Error::IllegalOperation.into()),
        }
        Ok(Answer::Empty)
    }

    /// The last handler capability of an interrupt is deleted.
    pub(crate) fn destroy_irq_handler(&self, place: u32) -> Result<(), Stop> {
        let (core, irq) = irq_at(place);
        // Held or not: an interrupt that stayed active in the controller would never reach the next handler.
        self.platform.release_irq(core, irq);
        self.platform.mask_irq(core, irq);
        if let Some(slot) = self.irq_slot(place) {
            self.delete(slot)?;
        }
        if P::CORES > 1 && irq >= PRIVATE_IRQS {
            self.platform.route_irq(irq, 0);
        }
        self.set_irq_use(place, IrqUse::Inactive);
        Ok(())
    }
}

fn checked_irq(word: u64) -> Result<u32, Error> {
    u32::try_from(word).ok().filter(|irq| u64::from(*irq) <= MAX_IRQ).ok_or(Error::Range { min: 0, max: MAX_IRQ })
}
