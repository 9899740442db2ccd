//! Deleting capabilities and what dies with the last one (kernel-abi §2.8, §2.9).
//!
//! A final CNode or thread becomes a *zombie*: a capability that remembers how many slots of the object are still to be
//! deleted. The work goes on slot by slot, from the last one down, and can stop between any two. A slot of it that holds
//! the last capability of another CNode or thread does not recurse: the inner zombie takes the place of the outer one, which
//! is parked in the first slot of the inner object and comes back when that slot is the last one left. So stack use is
//! constant, nothing is missed, and after each step every zombie is in exactly one slot.
//!
//! Objects that hold the last capabilities of each other in a ring stay until their untyped memory is revoked, whose children
//! they are (kernel-abi §2.9). Pictures: docs/kernel/revoke.md.

use hybrid_abi::cap_tag as tag;

use crate::cap::{Cap, Words, ZombieKind};
use crate::cspace::slot_of;
use crate::invocation::Stop;
use crate::kernel::Kernel;
use crate::object::{CNodeRef, EndpointRef, SlotRef, TCB_SLOTS, TcbRef};
use crate::platform::Platform;

/// Work of deleting a capability that is not the last one: 130 to 330 instructions, and up to 850 more with a mapping.
const UNITS_OF_SLOT: u32 = 2;
const UNITS_OF_MAPPING: u32 = 6;
/// Work of destroying an object: a mapped page table is up to 2900 instructions.
const UNITS_OF_OBJECT: u32 = 20;
/// Empty slots that one step passes over, and the work of that: about 1200 instructions.
const EMPTY_SLOTS_AT_ONCE: u64 = 64;
const UNITS_OF_EMPTY_SLOTS: u32 = 9;

/// Slot `n` of the object that a zombie stands for.
fn zombie_slot(kind: ZombieKind, base: u64, n: u64) -> Option<SlotRef> {
    match kind {
        ZombieKind::Tcb => TcbRef::new(base)?.slot_at(n),
        ZombieKind::CNode { .. } => slot_of(CNodeRef::new(base)?, n),
        ZombieKind::Endpoint | ZombieKind::Notification => None,
    }
}

impl<P: Platform> Kernel<P> {
    /// Deletes everything derived from the slot's capability.
    pub(crate) fn revoke(&self, slot: SlotRef) -> Result<(), Stop> {
        while let Some(child) = self.first_child(slot) {
            let units = self.delete_counted(child)?;
            self.preemption_point(units)?;
        }
        Ok(())
    }

    /// Empties a slot; the last capability destroys its object.
    pub(crate) fn delete(&self, slot: SlotRef) -> Result<(), Stop> {
        self.delete_counted(slot).map(|_| ())
    }

    /// The same, and says how much work it was since its last preemption point.
    #[inline]
    fn delete_counted(&self, slot: SlotRef) -> Result<u32, Stop> {
        if self.delete_other_than_last(slot) { Ok(UNITS_OF_SLOT) } else { self.delete_last(slot) }
    }

    /// Empties a slot that holds nothing or a capability that is not the last one of its object; false: it holds another.
    #[inline]
    fn delete_other_than_last(&self, slot: SlotRef) -> bool {
        let words = self.words(slot);
        if words.tag() == tag::ZOMBIE || (!words.is_null() && self.is_final(slot)) {
            return false;
        }
        self.drop_mapping(words);
        self.empty_slot(slot);
        true
    }

    #[inline(never)]
    fn delete_last(&self, slot: SlotRef) -> Result<u32, Stop> {
        loop {
            let remainder = self.finalise(slot)?;
            let Cap::Zombie { kind, base, remaining } = remainder else { break };
            self.set_cap(slot, remainder);
            let first = zombie_slot(kind, base, 0);
            if remaining == 0 || (remaining == 1 && first == Some(slot)) {
                break;
            }
            let units = self.shrink_zombie(slot, kind, base, remaining)?;
            self.preemption_point(units)?;
            if self.delete_other_than_last(slot) {
                return Ok(UNITS_OF_SLOT);
            }
        }
        self.empty_slot(slot);
        Ok(UNITS_OF_OBJECT)
    }

    /// One step on the zombie in `slot`: the empty slots at its end are passed over, and its last other slot is emptied, or a
    /// zombie found there goes first. Gives the work done.
    fn shrink_zombie(&self, slot: SlotRef, kind: ZombieKind, base: u64, remaining: u64) -> Result<u32, Stop> {
        let zombie = |remaining| Cap::Zombie { kind, base, remaining }.words();
        let passed = self.empty_slots_at_end(kind, base, remaining);
        if passed > 0 {
            self.set_words(slot, zombie(remaining.wrapping_sub(passed)));
            return Ok(UNITS_OF_EMPTY_SLOTS);
        }
        let fewer = remaining.wrapping_sub(1);
        let ends = (zombie_slot(kind, base, 0), zombie_slot(kind, base, fewer));
        let (Some(first), Some(last)) = ends else { return Ok(UNITS_OF_SLOT) };
        if last == slot {
            // The zombie sits inside its own object: it goes to the first slot, where it can be last.
            self.swap(slot, self.words(first), first, zombie(remaining));
            return Ok(UNITS_OF_SLOT);
        }
        if self.delete_other_than_last(last) {
            self.set_words(slot, zombie(fewer));
            return Ok(UNITS_OF_SLOT);
        }
        let remainder = self.finalise(last)?;
        let inner_first = match remainder {
            Cap::Zombie { kind, base, remaining: 1.. } => zombie_slot(kind, base, 0),
            _ => None,
        };
        let Some(inner_first) = inner_first else {
            self.empty_slot(last);
            self.set_words(slot, zombie(fewer));
            return Ok(UNITS_OF_OBJECT);
        };
        self.swap(slot, remainder.words(), last, zombie(remaining));
        if last == first {
            // Only the place of the inner zombie was left of this object.
            self.empty_slot(last);
        } else if inner_first != slot {
            self.swap(last, self.words(inner_first), inner_first, zombie(remaining));
        }
        Ok(UNITS_OF_OBJECT)
    }

    /// How many slots before number `remaining` of a zombie's object are empty; looks at a bounded number of them.
    fn empty_slots_at_end(&self, kind: ZombieKind, base: u64, remaining: u64) -> u64 {
        let is_empty =
            |n: &u64| zombie_slot(kind, base, remaining.wrapping_sub(*n)).is_some_and(|slot| self.is_empty(slot));
        (1..=remaining.min(EMPTY_SLOTS_AT_ONCE)).take_while(is_empty).count() as u64
    }

    /// A frame capability takes the mapping that it recorded with it, whether it is the last one or not.
    #[inline]
    fn drop_mapping(&self, words: Words) {
        if words.tag() == tag::FRAME && words.mapping().is_some() {
            self.drop_frame_mapping(words);
        }
    }

    #[inline(never)]
    fn drop_frame_mapping(&self, words: Words) {
        if let (Some(frame), Some(mapping)) = (words.frame(), words.mapping()) {
            self.unmap_frame(frame, mapping);
            self.work_units.set(self.work_units.get().saturating_add(UNITS_OF_MAPPING));
        }
    }

    /// Undoes what the last capability of an object stands for; gives what is left of it: nothing, or the zombie of a thread or CNode. If it is
    /// preempted the slot holds something to go on with.
    fn finalise(&self, slot: SlotRef) -> Result<Cap, Stop> {
        self.drop_mapping(self.words(slot));
        let cap = self.cap(slot);
        match cap {
            Cap::Zombie { kind: ZombieKind::Tcb | ZombieKind::CNode { .. }, .. } => return Ok(cap),
            Cap::Zombie { kind, base, .. } => return self.finish_queue(slot, kind, base),
            Cap::Endpoint { at, .. } => return self.finish_queue(slot, ZombieKind::Endpoint, at.paddr()),
            Cap::Notification { at, .. } => {
                if let Some(context) = self.notification(at).sched_context() {
                    self.unbind_context_notification(context);
                }
                if let Some(thread) = self.notification(at).bound_thread() {
                    self.unbind_thread_notification(thread);
                }
                return self.finish_queue(slot, ZombieKind::Notification, at.paddr());
            }
            Cap::Reply { at, .. } => self.destroy_reply(at),
            Cap::Tcb { at } => {
                self.destroy_thread(at);
                return Ok(Cap::Zombie { kind: ZombieKind::Tcb, base: at.paddr(), remaining: TCB_SLOTS });
            }
            Cap::CNode { at, radix, .. } => {
                let remaining = 1u64.unbounded_shl(u32::from(radix));
                return Ok(Cap::Zombie { kind: ZombieKind::CNode { radix }, base: at.paddr(), remaining });
            }
            Cap::SchedContext { at, .. } => self.destroy_context(at),
            Cap::IrqHandler { irq } => self.destroy_irq_handler(irq)?,
            Cap::AsidPool { at, index } => self.destroy_asid_pool(at, index)?,
            Cap::VSpace { at, asid } if asid != 0 => self.destroy_vspace(at, asid),
            Cap::PageTable { at, mapping: Some(mapping) } => self.unmap_table(at, mapping),
            _ => {}
        }
        Ok(Cap::Null)
    }

    /// Restarts whoever waits at an endpoint or notification whose last capability is in `slot`. If that is preempted the
    /// capability becomes a zombie, so that the restarted threads cannot queue up again.
    fn finish_queue(&self, slot: SlotRef, kind: ZombieKind, base: u64) -> Result<Cap, Stop> {
        let done = EndpointRef::new(base).map_or(Ok(()), |at| self.cancel_endpoint(at));
        if done.is_err() {
            self.set_cap(slot, Cap::Zombie { kind, base, remaining: 0 });
        }
        done.map(|()| Cap::Null)
    }

    /// True if deleting the slot's capability could take long (kernel-abi §2.9).
    pub(crate) fn is_long_to_delete(&self, slot: SlotRef) -> bool {
        match self.words(slot).tag() {
            tag::TCB | tag::CNODE => self.is_final(slot),
            tag::ZOMBIE => true,
            _ => false,
        }
    }
}
