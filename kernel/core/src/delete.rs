//! Deleting capabilities and what dies with the last one (kernel-abi §2.8, §2.9).
//!
//! A final CNode or thread becomes a *zombie*: a capability that remembers how many slots of the object are still to be
//! deleted. The work goes on slot by slot, from the last one down, and can stop between any two. A slot of it that holds
//! the last capability of another CNode or thread does not recurse: the inner zombie takes the place of the outer one, which
//! is parked in the first slot of the inner object and comes back when that slot is the last one left. So stack use is
//! constant, nothing is missed, and after each step every zombie is in exactly one slot.
//!
//! Objects that hold the last capabilities of each other in a ring keep one zombie inside themselves; revoking their untyped
//! memory, whose child it is, removes it.

use crate::cap::{Cap, ZombieKind};
use crate::cspace::slot_of;
use crate::invocation::Stop;
use crate::kernel::Kernel;
use crate::object::{CNodeRef, EndpointRef, NotificationRef, SlotRef, TCB_SLOTS, TcbRef};
use crate::platform::Platform;

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
            self.delete(child)?;
            self.preemption_point(1)?;
        }
        Ok(())
    }

    /// Empties a slot; the last capability destroys its object.
    pub(crate) fn delete(&self, slot: SlotRef) -> Result<(), Stop> {
        loop {
            let cap = self.cap(slot);
            if cap == Cap::Null {
                return Ok(());
            }
            let remainder = self.finalise(slot, cap)?;
            let Cap::Zombie { kind, base, remaining } = remainder else { break };
            self.set_cap(slot, remainder);
            let first = zombie_slot(kind, base, 0);
            if remaining == 0 || (remaining == 1 && first == Some(slot)) {
                break;
            }
            self.shrink_zombie(slot, kind, base, remaining)?;
            self.preemption_point(1)?;
        }
        self.empty_slot(slot);
        Ok(())
    }

    /// One step on the zombie in `slot`: its last remaining slot is emptied, or a zombie found there goes first.
    fn shrink_zombie(&self, slot: SlotRef, kind: ZombieKind, base: u64, remaining: u64) -> Result<(), Stop> {
        let zombie = Cap::Zombie { kind, base, remaining };
        let shrunk = Cap::Zombie { kind, base, remaining: remaining.wrapping_sub(1) };
        let last = zombie_slot(kind, base, remaining.wrapping_sub(1));
        let (Some(first), Some(last)) = (zombie_slot(kind, base, 0), last) else { return Ok(()) };
        if last == slot {
            // The zombie sits inside its own object: it goes to the first slot, where it can be last.
            let content = self.cap(first);
            self.swap(slot, content, first, zombie);
            return Ok(());
        }
        let remainder = self.finalise(last, self.cap(last))?;
        let inner_first = match remainder {
            Cap::Zombie { kind, base, remaining: 1.. } => zombie_slot(kind, base, 0),
            _ => None,
        };
        let Some(inner_first) = inner_first else {
            self.empty_slot(last);
            self.set_cap(slot, shrunk);
            return Ok(());
        };
        self.swap(slot, remainder, last, zombie);
        if last == first {
            // Only the place of the inner zombie was left of this object.
            self.empty_slot(last);
        } else if inner_first != slot {
            let content = self.cap(inner_first);
            self.swap(last, content, inner_first, zombie);
        }
        Ok(())
    }

    /// Undoes what the capability stands for; gives what is left of it: nothing, or the zombie of a thread or CNode. If it is
    /// preempted the slot holds something to go on with.
    fn finalise(&self, slot: SlotRef, cap: Cap) -> Result<Cap, Stop> {
        if let Cap::Frame { base, size, mapping: Some(mapping), .. } = cap {
            self.unmap_frame(base, size, mapping);
        }
        if let Cap::Zombie { kind, base, .. } = cap {
            return match kind {
                ZombieKind::Tcb | ZombieKind::CNode { .. } => Ok(cap),
                ZombieKind::Endpoint | ZombieKind::Notification => self.finish_queue(slot, kind, base),
            };
        }
        if !self.is_final(slot) {
            return Ok(Cap::Null);
        }
        match cap {
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
            Cap::AsidPool { at, index } => self.destroy_asid_pool(at, index),
            Cap::VSpace { at, asid } if asid != 0 => self.destroy_vspace(at, asid),
            Cap::PageTable { at, mapping: Some(mapping) } => self.unmap_table(at, mapping),
            _ => {}
        }
        Ok(Cap::Null)
    }

    /// Restarts whoever waits at an endpoint or notification whose last capability is in `slot`. If that is preempted the
    /// capability becomes a zombie, so that the restarted threads cannot queue up again.
    fn finish_queue(&self, slot: SlotRef, kind: ZombieKind, base: u64) -> Result<Cap, Stop> {
        let done = match kind {
            ZombieKind::Endpoint => EndpointRef::new(base).map_or(Ok(()), |at| self.cancel_endpoint(at)),
            _ => NotificationRef::new(base).map_or(Ok(()), |at| self.cancel_notification(at)),
        };
        if done.is_err() {
            self.set_cap(slot, Cap::Zombie { kind, base, remaining: 0 });
        }
        done.map(|()| Cap::Null)
    }

    /// True if deleting the slot's capability could take long (kernel-abi §2.9).
    pub(crate) fn is_long_to_delete(&self, slot: SlotRef) -> bool {
        match self.cap(slot) {
            Cap::Tcb { .. } | Cap::CNode { .. } => self.is_final(slot),
            Cap::Zombie { .. } => true,
            _ => false,
        }
    }
}
