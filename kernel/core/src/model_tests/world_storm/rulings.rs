//! The checks of every invocation in the order of kernel-abi §3.4–3.9; address spaces are in `space_rulings`.

use hybrid_abi::extension;
use hybrid_abi::label as l;
use hybrid_abi::rights::Rights;

use crate::cap::Cap;
use crate::kernel::IrqUse;
use crate::model_tests::world::Answer;
use crate::model_tests::world_storm::oracle::{
    Ask, DONE, Done, Ruling, alignment, delete_first, failed_lookup, has_children, illegal, invalid_argument,
    invalid_capability, is_last, not_enough_memory, range, revoke_first, truncated,
};
use crate::object::{SchedContextRef, SlotRef, TcbRef, TcbSlot, ThreadState};

const TICKS_PER_MS: u64 = 62_500;

impl<const N: usize> Ask<'_, N> {
    pub(super) fn ruling(&self) -> Ruling {
        match self.cap {
            Cap::Null | Cap::Zombie { .. } => Err(invalid_capability(0)),
            Cap::Endpoint { .. } | Cap::Notification { .. } | Cap::Reply { .. } => Err(invalid_capability(0)),
            Cap::Untyped { base: _, bits, is_device, watermark } => self.untyped(bits, is_device, watermark),
            Cap::CNode { .. } => self.cnode(),
            Cap::Tcb { at } => self.tcb(at),
            Cap::SchedContext { at, .. } => self.sched_context(at),
            Cap::SchedControl { .. } => self.sched_control(),
            Cap::IrqControl => self.irq_control(),
            Cap::IrqHandler { .. } => self.irq_handler(),
            Cap::SgiSignal { .. } => Ok(DONE),
            Cap::Domain => self.domain(),
            Cap::Platform => self.platform(),
            Cap::Audit { .. } => self.audit(),
            Cap::Frame { .. } => self.frame(),
            Cap::PageTable { at, mapping } => self.page_table(at, mapping),
            Cap::VSpace { at, asid } => self.vspace(at, asid),
            Cap::AsidControl => self.asid_control(),
            Cap::AsidPool { at, index } => self.asid_pool(at, index),
        }
    }

    /// §3.4.
    fn untyped(&self, bits: u8, is_device: bool, watermark: u64) -> Ruling {
        if self.label != l::UNTYPED_RETYPE {
            return Err(illegal());
        }
        self.need(6, 1)?;
        let [kind, size, index, depth, offset, num] = std::array::from_fn(|n| self.word(n));
        let object_bits = match kind {
            0 | 5 => size,
            1 => 11,
            2 => 4,
            3 => 6,
            4 => size.saturating_add(5),
            6 => 5,
            7 => 30,
            8 | 9 | 11 => 12,
            10 => 21,
            _ => return Err(invalid_argument(0)),
        };
        if size >= 64 || object_bits > 47 {
            return Err(range(0, 47));
        }
        if (kind == 4 && size == 0) || (kind == 0 && size < 4) || (kind == 5 && size < 7) {
            return Err(invalid_argument(1));
        }
        let root = self.arg(1);
        let node = if depth == 0 { root } else { self.k.cap(self.find(root, index, depth, false)?) };
        let Cap::CNode { at, radix, .. } = node else { return Err(failed_lookup(false, &[2, depth])) };
        let slots = 1u64 << radix;
        if offset > slots - 1 {
            return Err(range(0, slots - 1));
        }
        if !(1..=256).contains(&num) {
            return Err(range(1, 256));
        }
        if num > slots - offset {
            return Err(range(1, slots - offset));
        }
        let is_taken = |n| self.k.cap(SlotRef::new(at.paddr() + 32 * (offset + n)).unwrap()) != Cap::Null;
        if (0..num).any(is_taken) {
            return Err(delete_first());
        }
        let free = (1u64 << bits) - if has_children(self.k, self.slot) { watermark } else { 0 };
        if free >> object_bits < num {
            return Err(not_enough_memory(free));
        }
        if is_device && ![0, 7, 9, 10].contains(&kind) {
            return Err(invalid_argument(1));
        }
        Ok(DONE)
    }

    /// §3.5.
    fn cnode(&self) -> Ruling {
        if !(18..=25).contains(&self.label) {
            return Err(illegal());
        }
        self.need(2, 0)?;
        let target = self.find(self.cap, self.word(0), self.word(1), false)?;
        match self.label {
            l::CNODE_REVOKE | l::CNODE_DELETE => Ok(DONE),
            l::CNODE_CANCEL_BADGED_SENDS => match self.k.cap(target) {
                Cap::Endpoint { rights: Rights(0b1111), .. } => Ok(DONE),
                _ => Err(illegal()),
            },
            l::CNODE_ROTATE => self.rotate(target),
            _ => self.copy(target),
        }
    }

    fn copy(&self, target: SlotRef) -> Ruling {
        self.need(4, 1)?;
        if self.k.cap(target) != Cap::Null {
            return Err(delete_first());
        }
        let source = self.find(self.arg(1), self.word(2), self.word(3), true)?;
        let cap = self.k.cap(source);
        if cap == Cap::Null {
            return Err(failed_lookup(true, &[2, self.word(3)]));
        }
        let (words, data) = match self.label {
            l::CNODE_COPY => (5, None),
            l::CNODE_MINT => (6, Some((self.word(5), true))),
            l::CNODE_MUTATE => (5, Some((self.word(4), false))),
            _ => (4, None),
        };
        self.need(words, 1)?;
        if let Some((data, is_mint)) = data {
            takes_data(cap, data, is_mint)?;
        }
        if [l::CNODE_COPY, l::CNODE_MINT].contains(&self.label) {
            self.derived(source, cap)?;
        }
        Ok(DONE)
    }

    fn rotate(&self, target: SlotRef) -> Ruling {
        self.need(8, 2)?;
        let (pivot_depth, source_depth) = (self.word(4), self.word(7));
        let source = self.find(self.arg(2), self.word(6), source_depth, true)?;
        let pivot = self.find(self.arg(1), self.word(3), pivot_depth, true)?;
        if pivot == source || pivot == target {
            return Err(illegal());
        }
        if source != target && self.k.cap(target) != Cap::Null {
            return Err(delete_first());
        }
        let (source_cap, pivot_cap) = (self.k.cap(source), self.k.cap(pivot));
        if source_cap == Cap::Null {
            return Err(failed_lookup(true, &[2, source_depth]));
        }
        if pivot_cap == Cap::Null {
            return Err(failed_lookup(false, &[2, pivot_depth]));
        }
        takes_data(source_cap, self.word(5), false)?;
        takes_data(pivot_cap, self.word(2), false)?;
        Ok(DONE)
    }

    /// §3.6.
    fn tcb(&self, at: TcbRef) -> Ruling {
        let is_own = at == self.thread;
        match self.label {
            l::TCB_READ_REGISTERS => {
                self.need(2, 0)?;
                if !(1..=36).contains(&self.word(1)) {
                    return Err(range(1, 36));
                }
                if is_own {
                    return Err(illegal());
                }
                let count = usize::try_from(self.word(1)).unwrap();
                Ok(Done::Count(if self.has_writable_buffer() { count } else { count.min(4) }))
            }
            l::TCB_WRITE_REGISTERS => {
                self.need(2, 0)?;
                if (self.words.len() - 2) as u64 >= self.word(1) && !is_own {
                    Ok(DONE)
                } else if is_own && (self.words.len() - 2) as u64 >= self.word(1) {
                    Err(illegal())
                } else {
                    Err(truncated())
                }
            }
            l::TCB_COPY_REGISTERS => {
                self.need(1, 1)?;
                match self.arg(1) {
                    Cap::Tcb { at: source } if is_own || source == self.thread => Ok(Done::Anything),
                    Cap::Tcb { .. } => Ok(DONE),
                    _ => Err(invalid_capability(1)),
                }
            }
            l::TCB_CONFIGURE => {
                self.need(3, 3)?;
                self.buffer(self.word(2), 3)?;
                self.space(at, self.word(0), 1)?;
                Ok(Done::Anything)
            }
            l::TCB_SET_PRIORITY | l::TCB_SET_MC_PRIORITY => {
                self.need(1, 1)?;
                self.priority(0)?;
                Ok(DONE)
            }
            l::TCB_SET_SCHED_PARAMS => self.sched_params(at),
            l::TCB_SET_TIMEOUT_ENDPOINT => {
                self.need(0, 1)?;
                self.handler(1)?;
                Ok(Done::Anything)
            }
            l::TCB_SET_IPC_BUFFER => {
                self.need(1, 1)?;
                self.buffer(self.word(0), 1)?;
                Ok(Done::Anything)
            }
            l::TCB_SET_SPACE => {
                self.need(2, 3)?;
                self.space(at, self.word(0), 2)?;
                self.handler(1)?;
                Ok(Done::Anything)
            }
            l::TCB_SUSPEND | l::TCB_RESUME => Ok(if is_own { Done::Anything } else { DONE }),
            l::TCB_BIND_NOTIFICATION => {
                self.need(0, 1)?;
                if self.k.tcb(at).bound_notification().is_some() {
                    return Err(illegal());
                }
                let Cap::Notification { at, rights, .. } = self.arg(1) else { return Err(illegal()) };
                let view = self.k.notification(at);
                let is_free = view.head().is_none() && view.bound_thread().is_none();
                if rights.has(Rights::READ) && is_free { Ok(DONE) } else { Err(illegal()) }
            }
            l::TCB_UNBIND_NOTIFICATION => {
                if self.k.tcb(at).bound_notification().is_some() {
                    Ok(DONE)
                } else {
                    Err(illegal())
                }
            }
            l::TCB_SET_TLS_BASE => {
                self.need(1, 0)?;
                Ok(DONE)
            }
            l::TCB_SET_FLAGS => {
                self.need(2, 0)?;
                Ok(Done::Words(vec![(self.k.tcb(at).flags() & !self.word(0)) | (self.word(1) & 1)]))
            }
            _ => Err(illegal()),
        }
    }

    /// An IPC buffer: address, and frame in capability `n`.
    fn buffer(&self, address: u64, n: usize) -> Result<(), Answer> {
        if address == 0 {
            return Ok(());
        }
        match self.derived(self.caps[n - 1], self.arg(n))? {
            Cap::Frame { is_device: false, .. } if address.is_multiple_of(1024) => Ok(()),
            Cap::Frame { is_device: false, .. } => Err(alignment()),
            _ => Err(illegal()),
        }
    }

    /// CSpace root in capability `n`, VSpace root in the next.
    fn space(&self, thread: TcbRef, data: u64, n: usize) -> Result<(), Answer> {
        for slot in [thread.slot(TcbSlot::CSpace), thread.slot(TcbSlot::VSpace)] {
            match self.k.cap(slot) {
                Cap::Zombie { .. } => return Err(illegal()),
                Cap::Tcb { .. } | Cap::CNode { .. } if is_last(self.k, slot) => return Err(illegal()),
                _ => {}
            }
        }
        if data != 0 {
            takes_data(self.arg(n), data, true)?;
        }
        let Cap::CNode { .. } = self.derived(self.caps[n - 1], self.arg(n))? else { return Err(illegal()) };
        let Cap::VSpace { .. } = self.derived(self.caps[n], self.arg(n + 1))? else { return Err(illegal()) };
        Ok(())
    }

    /// §7.6.
    fn handler(&self, n: usize) -> Result<(), Answer> {
        match self.arg(n) {
            Cap::Null => Ok(()),
            Cap::Endpoint { rights: Rights(r), .. } if r & 1 != 0 && r & 0b1100 != 0 => Ok(()),
            _ => Err(invalid_capability(n as u64)),
        }
    }

    /// Word `n` against the MCP of the thread in capability 1.
    fn priority(&self, n: usize) -> Result<(), Answer> {
        let Cap::Tcb { at } = self.arg(1) else { return Err(invalid_capability(1)) };
        let mcp = u64::from(self.k.tcb(at).mcp());
        if self.word(n) > mcp { Err(range(0, mcp)) } else { Ok(()) }
    }

    fn sched_params(&self, at: TcbRef) -> Ruling {
        self.need(2, 3)?;
        self.priority(0)?;
        self.priority(1)?;
        let own = self.k.tcb(at).sched_context();
        match self.arg(2) {
            Cap::SchedContext { at: context, .. } if own == Some(context) => {}
            Cap::SchedContext { at: context, .. } => {
                if own.is_some() || self.k.context(context).thread().is_some() || !self.can_take(at, context) {
                    return Err(illegal());
                }
            }
            Cap::Null if at == self.thread => return Err(illegal()),
            Cap::Null => {}
            _ => return Err(invalid_capability(2)),
        }
        self.handler(3)?;
        Ok(Done::Anything)
    }

    /// A blocked thread needs a context with budget now.
    fn can_take(&self, thread: TcbRef, context: SchedContextRef) -> bool {
        let is_blocked = matches!(
            self.k.tcb(thread).state(),
            ThreadState::BlockedOnSend
                | ThreadState::BlockedOnReceive
                | ThreadState::BlockedOnNotification
                | ThreadState::BlockedOnReply
        );
        !is_blocked || (self.k.context(context).max_refills() > 0 && self.k.has_budget(context))
    }

    /// §3.7.
    fn sched_control(&self) -> Ruling {
        if self.label != l::SCHED_CONTROL_CONFIGURE_FLAGS {
            return Err(illegal());
        }
        self.need(5, 1)?;
        let (budget, period) = (self.word(0), self.word(1));
        let max = 0x218d_ef41_6bdb;
        let ticks = |us: u64| u128::from(us) * u128::from(TICKS_PER_MS) / 1000;
        if budget > max || period > max || ticks(budget) < ticks(20) || ticks(period) < ticks(20) {
            return Err(range(20, max));
        }
        if ticks(budget) > ticks(period) {
            return Err(range(20, period));
        }
        let Cap::SchedContext { bits, .. } = self.arg(1) else { return Err(invalid_capability(1)) };
        let capacity = ((1u64 << bits) - 96) / 16;
        if self.word(2) > capacity - 2 { Err(range(0, capacity - 2)) } else { Ok(DONE) }
    }

    fn sched_context(&self, at: SchedContextRef) -> Ruling {
        let view = self.k.context(at);
        let is_current = view.thread() == Some(self.thread);
        let refuse = |is_refused: bool| if is_refused { Err(illegal()) } else { Ok(DONE) };
        match self.label {
            l::SCHED_CONTEXT_BIND => {
                self.need(0, 1)?;
                match self.arg(1) {
                    Cap::Tcb { at: thread } => refuse(
                        view.thread().is_some()
                            || self.k.tcb(thread).sched_context().is_some()
                            || !self.can_take(thread, at),
                    ),
                    Cap::Notification { at: other, .. } => {
                        refuse(view.notification().is_some() || self.k.notification(other).sched_context().is_some())
                    }
                    _ => Err(invalid_capability(1)),
                }
            }
            l::SCHED_CONTEXT_UNBIND => refuse(is_current),
            l::SCHED_CONTEXT_UNBIND_OBJECT => {
                self.need(0, 1)?;
                match self.arg(1) {
                    Cap::Tcb { at: thread } => refuse(view.thread() != Some(thread) || is_current),
                    Cap::Notification { at: other, .. } => refuse(view.notification() != Some(other)),
                    _ => Err(invalid_capability(1)),
                }
            }
            l::SCHED_CONTEXT_CONSUMED => Ok(Done::Count(1)),
            l::SCHED_CONTEXT_YIELD_TO => match view.thread() {
                None => Err(illegal()),
                Some(target) => {
                    let is_above = self.k.tcb(target).priority() > self.k.tcb(self.thread).mcp();
                    refuse(is_current || is_above).map(|_| Done::Count(1))
                }
            },
            _ => Err(illegal()),
        }
    }

    /// §3.8.
    fn irq_control(&self) -> Ruling {
        let at = match self.label {
            l::IRQ_ISSUE_HANDLER => 1,
            l::IRQ_ISSUE_HANDLER_TRIGGER => 2,
            56 if N == 1 => return self.issue_sgi(),
            56 => 2,
            _ => return Err(illegal()),
        };
        let is_for_core = self.label == 56;
        self.need(if is_for_core { 5 } else { at + 2 }, 1)?;
        let irq = self.word(0);
        if irq > 159 {
            return Err(range(0, 159));
        }
        if N > 1 && self.label == l::IRQ_ISSUE_HANDLER_TRIGGER && irq < 32 {
            return Err(illegal());
        }
        if is_for_core && self.word(4) >= N as u64 {
            return Err(invalid_argument(0));
        }
        let core = if is_for_core { self.word(4) } else { 0 };
        let place = if irq < 32 && core > 0 { 160 + (core - 1) * 32 + irq } else { irq };
        if self.k.irq_uses[usize::try_from(place).unwrap()].get() != IrqUse::Inactive {
            return Err(revoke_first());
        }
        let depth = if is_for_core { self.word(at + 1) % 256 } else { self.word(at + 1) };
        self.vacant(self.arg(1), self.word(at), depth)?;
        Ok(DONE)
    }

    fn issue_sgi(&self) -> Ruling {
        self.need(4, 1)?;
        if self.word(0) > 15 {
            return Err(range(0, 15));
        }
        if self.word(1) > 7 {
            return Err(invalid_argument(1));
        }
        self.vacant(self.arg(1), self.word(2), self.word(3))?;
        Ok(DONE)
    }

    fn irq_handler(&self) -> Ruling {
        match self.label {
            l::IRQ_ACK | l::IRQ_CLEAR_HANDLER => Ok(DONE),
            l::IRQ_SET_HANDLER => {
                self.need(0, 1)?;
                match self.arg(1) {
                    Cap::Notification { rights, .. } if rights.has(Rights::WRITE) => Ok(DONE),
                    _ => Err(invalid_capability(0)),
                }
            }
            _ => Err(illegal()),
        }
    }

    /// §3.9.
    fn domain(&self) -> Ruling {
        match self.label {
            l::DOMAIN_SET_SET => {
                self.need(1, 0)?;
                if self.word(0) > 0 {
                    return Err(invalid_argument(0));
                }
                self.need(1, 1)?;
                if matches!(self.arg(1), Cap::Tcb { .. }) { Ok(DONE) } else { Err(invalid_argument(1)) }
            }
            l::DOMAIN_SCHEDULE_CONFIGURE => {
                self.need(3, 0)?;
                if self.word(0) > 0 {
                    return Err(range(0, 0));
                }
                if self.word(1) > 0 {
                    return Err(range(0, 0));
                }
                if (1..1 << 56).contains(&self.word(2)) { Ok(DONE) } else { Err(invalid_argument(2)) }
            }
            l::DOMAIN_SCHEDULE_SET_START => {
                self.need(1, 0)?;
                match self.word(0) {
                    0 => Ok(DONE),
                    1 => Err(invalid_argument(0)),
                    _ => Err(range(0, 1)),
                }
            }
            _ => Err(illegal()),
        }
    }

    fn platform(&self) -> Ruling {
        match self.label {
            extension::PLATFORM_SYSTEM_OFF | extension::PLATFORM_SYSTEM_RESET => Ok(DONE),
            extension::PLATFORM_TIMER_ACCESS => {
                self.need(1, 1)?;
                if self.word(0) > 1 {
                    return Err(range(0, 1));
                }
                if matches!(self.arg(1), Cap::Tcb { .. }) { Ok(DONE) } else { Err(invalid_capability(1)) }
            }
            extension::PLATFORM_PUT_CHAR => {
                self.need(1, 0)?;
                Ok(DONE)
            }
            _ => Err(illegal()),
        }
    }

    fn audit(&self) -> Ruling {
        if self.label != extension::AUDIT_LIST {
            return Err(illegal());
        }
        self.need(1, 0)?;
        let from = match self.word(0) {
            0 => self.k.first_slot.get(),
            1 => self.k.audit_next.get(),
            _ => return Err(range(0, 1)),
        };
        let room = if self.has_writable_buffer() { 40 } else { 1 };
        Ok(Done::Count(3 * std::iter::successors(from, |slot| self.k.slot(*slot).next()).take(room).count()))
    }
}

/// Whether Mint or Mutate may apply this data (§2.5).
fn takes_data(cap: Cap, data: u64, is_mint: bool) -> Result<(), Answer> {
    match cap {
        Cap::Endpoint { badge, .. } | Cap::Notification { badge, .. } if !is_mint || badge != 0 => Err(illegal()),
        Cap::CNode { radix, .. } if data % 64 + u64::from(radix) > 64 => Err(illegal()),
        _ => Ok(()),
    }
}
