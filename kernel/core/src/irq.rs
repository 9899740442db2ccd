//! Interrupts: control and handler invocations, delivery (kernel-abi §3.8, §8).

use hybrid_abi::label;
use hybrid_abi::limits::{FIRST_SPI, MAX_IRQ, MAX_SGI, REMOTE_CALL_SGI, RESCHEDULE_SGI, TIMER_IRQ};
use hybrid_abi::rights::Rights;

use crate::cap::Cap;
use crate::cspace::Side;
use crate::invocation::{Answer, Error, Invocation, Outcome, Stop, ensure};
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
            return self.platform.end_irq(irq);
        }
        let core = if P::CORES == 1 { 0 } else { self.platform.core() };
        if P::CORES > 1 && irq <= RESCHEDULE_SGI {
            // Remote calls were served on the way in.
            self.reschedule();
            return self.platform.end_irq(irq);
        }
        let place = irq_place(core, irq);
        if self.irq_use(place) != IrqUse::Handler {
            #[cfg(feature = "debug-calls")]
            self.debug_dropped_interrupt(irq, "inactive, masked");
            self.platform.mask_irq(core, irq);
            return self.platform.end_irq(irq);
        }
        let handler = self.irq_slot(place).and_then(|slot| self.words(slot).notification());
        if let Some((at, badge, rights)) = handler
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
        let word = |n| invocation.word(n);
        match invocation.label {
            label::IRQ_ISSUE_HANDLER => {
                invocation.require(3, 1)?;
                self.issue_handler(invocation, 0, None, (word(1), word(2)))
            }
            label::IRQ_ISSUE_HANDLER_TRIGGER => {
                invocation.require(4, 1)?;
                ensure(P::CORES == 1 || word(0) >= FIRST_SPI, Error::IllegalOperation)?;
                self.issue_handler(invocation, 0, Some(word(1) != 0), (word(2), word(3)))
            }
            label::IRQ_ISSUE_HANDLER_TRIGGER_CORE if P::CORES > 1 => {
                invocation.require(5, 1)?;
                // Only the low 8 bits of the depth count: the ABI's own quirk (kernel-abi §3.8).
                self.issue_handler(invocation, word(4), Some(word(1) != 0), (word(2), word(3) & 0xff))
            }
            label::IRQ_ISSUE_SGI_SIGNAL if P::CORES == 1 => self.issue_sgi_signal(invocation),
            _ => Err(Error::IllegalOperation.into()),
        }
    }

    fn issue_handler(
        &self,
        invocation: &Invocation<'_>,
        core: u64,
        is_edge: Option<bool>,
        (index, depth): (u64, u64),
    ) -> Outcome {
        let irq = u32::try_from(invocation.word(0)).ok().filter(|irq| u64::from(*irq) <= MAX_IRQ);
        let irq = irq.ok_or(Error::Range { min: 0, max: MAX_IRQ })?;
        let core = usize::try_from(core).ok().filter(|core| *core < self.core_count.get());
        let core = core.ok_or(Error::InvalidArgument(0))?;
        let place = irq_place(core, irq);
        ensure(self.irq_use(place) == IrqUse::Inactive, Error::RevokeFirst)?;
        let slot = self.empty_target(invocation, index, depth)?;
        if let Some(is_edge) = is_edge {
            self.platform.set_irq_trigger(core, irq, is_edge);
        }
        if P::CORES > 1 && irq >= PRIVATE_IRQS && core > 0 {
            self.platform.route_irq(irq, core);
        }
        self.set_irq_use(place, IrqUse::Handler);
        self.platform.unmask_irq(core, irq);
        self.insert_copy(invocation.slot, slot, Cap::IrqHandler { irq: place }.words());
        Ok(Answer::Empty)
    }

    /// The empty slot that (cap1, index, depth) name.
    fn empty_target(&self, invocation: &Invocation<'_>, index: u64, depth: u64) -> Result<SlotRef, Error> {
        let root = self.words(invocation.cap_slot(1)?);
        let slot = self.lookup_exact(root, index, depth, Side::Target)?;
        ensure(self.is_empty(slot), Error::DeleteFirst)?;
        Ok(slot)
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
        self.insert_copy(invocation.slot, slot, Cap::SgiSignal { sgi, target }.words());
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
                let words = self.words(source);
                // Number 0, not 1: the ABI's own quirk (kernel-abi §3.8).
                ensure(words.writable_notification().is_some(), Error::InvalidCapability(0))?;
                self.forget_handler(place)?;
                // Deleting the old notification may have removed the given capability with it.
                if self.words(source) == words
                    && let Some(slot) = self.irq_slot(place)
                {
                    self.insert_copy(source, slot, words);
                }
            }
            label::IRQ_CLEAR_HANDLER => self.forget_handler(place)?,
            _ => return Err(Error::IllegalOperation.into()),
        }
        Ok(Answer::Empty)
    }

    /// The notification of an interrupt is not signalled any more.
    fn forget_handler(&self, place: u32) -> Result<(), Stop> {
        self.irq_slot(place).map_or(Ok(()), |slot| self.delete(slot))
    }

    /// The last handler capability of an interrupt is deleted.
    pub(crate) fn destroy_irq_handler(&self, place: u32) -> Result<(), Stop> {
        let (core, irq) = irq_at(place);
        // Held or not: an interrupt that stayed active in the controller would never reach the next handler.
        self.platform.release_irq(core, irq);
        self.platform.mask_irq(core, irq);
        self.forget_handler(place)?;
        if P::CORES > 1 && irq >= PRIVATE_IRQS {
            self.platform.route_irq(irq, 0);
        }
        self.set_irq_use(place, IrqUse::Inactive);
        Ok(())
    }
}
