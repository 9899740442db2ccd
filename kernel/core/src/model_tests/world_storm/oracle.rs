//! What a system call must answer, from the ABI's text alone: errors with their words, in the stated order of checks.
//!
//! Reads the kernel's objects but calls none of its logic: addresses, derivation, page tables and memory are worked out
//! here a second time. It knows nothing of queues, time and preemption; `Verdict::Unknown` says so.

use hybrid_abi::message::MessageInfo;
use hybrid_abi::rights::Rights;
use hybrid_abi::syscall::Syscall;

use crate::cap::{Cap, FrameSize, VmRights, ZombieKind};
use crate::kernel::Kernel;
use crate::model_tests::machine::Machine;
use crate::model_tests::world::Answer;
use crate::object::{SlotRef, TableRef, TcbRef, TcbSlot};
use crate::platform::Platform;

pub(super) type K<const N: usize> = Kernel<Machine<N>>;

/// What the caller of a successful invocation finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// These words.
    Words(Vec<u64>),
    /// So many words.
    Count(usize),
    /// Something, or nothing: the caller itself may have been changed.
    Anything,
}

/// What a system call must lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The invocation is refused with this answer and nothing changes.
    Refused(Answer),
    /// It is carried out.
    Done(Done),
    /// A capability fault is raised: no answer.
    Fault,
    /// Nothing happens at all.
    Nothing,
    /// The model cannot tell.
    Unknown,
}

/// A refused or accepted invocation.
pub(super) type Ruling = Result<Done, Answer>;

pub(super) const DONE: Done = Done::Words(Vec::new());

pub(super) fn invalid_argument(n: u64) -> Answer {
    Answer::error(1, &[n])
}
pub(super) fn invalid_capability(n: u64) -> Answer {
    Answer::error(2, &[n])
}
pub(super) fn illegal() -> Answer {
    Answer::error(3, &[])
}
pub(super) fn range(min: u64, max: u64) -> Answer {
    Answer::error(4, &[min, max])
}
pub(super) fn alignment() -> Answer {
    Answer::error(5, &[])
}
pub(super) fn failed_lookup(is_source: bool, failure: &[u64]) -> Answer {
    let mut words = vec![u64::from(is_source)];
    words.extend(failure);
    Answer::error(6, &words)
}
pub(super) fn truncated() -> Answer {
    Answer::error(7, &[])
}
pub(super) fn delete_first() -> Answer {
    Answer::error(8, &[])
}
pub(super) fn revoke_first() -> Answer {
    Answer::error(9, &[])
}
pub(super) fn not_enough_memory(bytes: u64) -> Answer {
    Answer::error(10, &[bytes])
}

/// One invocation of a kernel object.
pub(super) struct Ask<'k, const N: usize> {
    pub(super) k: &'k K<N>,
    pub(super) thread: TcbRef,
    pub(super) slot: SlotRef,
    pub(super) cap: Cap,
    pub(super) label: u64,
    pub(super) words: Vec<u64>,
    pub(super) caps: Vec<SlotRef>,
}

impl<const N: usize> Ask<'_, N> {
    /// Message word `n`.
    pub(super) fn word(&self, n: usize) -> u64 {
        self.words.get(n).copied().unwrap_or(0)
    }

    /// Truncated unless so many words and capabilities are there.
    pub(super) fn need(&self, words: usize, caps: usize) -> Result<(), Answer> {
        if self.words.len() < words || self.caps.len() < caps { Err(truncated()) } else { Ok(()) }
    }

    /// Capability argument `n` ≥ 1.
    pub(super) fn arg(&self, n: usize) -> Cap {
        self.k.cap(self.caps[n - 1])
    }

    /// A target or source slot as CNode operations name it (§2.4).
    pub(super) fn find(&self, root: Cap, index: u64, depth: u64, is_source: bool) -> Result<SlotRef, Answer> {
        let fail = |failure: &[u64]| failed_lookup(is_source, failure);
        if !matches!(root, Cap::CNode { .. }) {
            return Err(fail(&[1]));
        }
        if !(1..=64).contains(&depth) {
            return Err(range(1, 64));
        }
        match resolve(self.k, root, index, depth) {
            Ok((slot, 0)) => Ok(slot),
            Ok((_, left)) => Err(fail(&[3, left, 0])),
            Err(failure) => Err(fail(&failure)),
        }
    }

    /// An empty slot for a new capability.
    pub(super) fn vacant(&self, root: Cap, index: u64, depth: u64) -> Result<SlotRef, Answer> {
        let slot = self.find(root, index, depth, false)?;
        if self.k.cap(slot) == Cap::Null { Ok(slot) } else { Err(delete_first()) }
    }

    /// The copy that Copy, Mint or a thread's slot would get (§2.5).
    pub(super) fn derived(&self, source: SlotRef, cap: Cap) -> Result<Cap, Answer> {
        match cap {
            Cap::Untyped { .. } if has_children(self.k, source) => Err(revoke_first()),
            Cap::IrqControl | Cap::Zombie { .. } => Err(illegal()),
            Cap::PageTable { mapping: None, .. } | Cap::VSpace { asid: 0, .. } => Err(illegal()),
            other => Ok(other),
        }
    }

    pub(super) fn has_writable_buffer(&self) -> bool {
        buffer_at(self.k, self.thread, true).is_some()
    }
}

/// The bits `[low, low + count)` of a word, as a number.
fn bits(word: u64, low: u64, count: u64) -> u64 {
    u64::try_from((u128::from(word) >> low) & ((1u128 << count) - 1)).unwrap()
}

/// Slot and bits left, or type and data of the lookup failure (§2.4).
pub(super) fn resolve<const N: usize>(
    k: &K<N>,
    root: Cap,
    address: u64,
    depth: u64,
) -> Result<(SlotRef, u64), Vec<u64>> {
    let mut node = root;
    let mut n = depth;
    loop {
        let Cap::CNode { at, radix, guard_size, guard } = node else { return Err(vec![1]) };
        let (r, g) = (u64::from(radix), u64::from(guard_size));
        if g > n || bits(address, n - g, g) != guard {
            return Err(vec![4, n, guard, g]);
        }
        if r + g > n {
            return Err(vec![3, n, r + g]);
        }
        n -= r + g;
        let slot = SlotRef::new(at.paddr() + 32 * bits(address, n, r)).unwrap();
        let next = k.cap(slot);
        if n == 0 || !matches!(next, Cap::CNode { .. }) {
            return Ok((slot, n));
        }
        node = next;
    }
}

/// Resolution of a CPtr in a thread's capability space.
pub(super) fn resolve_cptr<const N: usize>(k: &K<N>, thread: TcbRef, cptr: u64) -> Result<SlotRef, Vec<u64>> {
    resolve(k, k.cap(thread.slot(TcbSlot::CSpace)), cptr, 64).map(|(slot, _)| slot)
}

/// Inclusive physical range of what a capability stands for.
pub(super) fn extent(cap: Cap) -> Option<(u64, u64)> {
    let (base, bits) = match cap {
        Cap::Untyped { base, bits, .. } => (base, u64::from(bits)),
        Cap::Endpoint { at, .. } => (at.paddr(), 4),
        Cap::Notification { at, .. } => (at.paddr(), 6),
        Cap::Reply { at, .. } => (at.paddr(), 5),
        Cap::CNode { at, radix, .. } => (at.paddr(), 5 + u64::from(radix)),
        Cap::Tcb { at } => (at.paddr(), 11),
        Cap::SchedContext { at, bits } => (at.paddr(), u64::from(bits)),
        Cap::Frame { base, size, .. } => (base, page_bits(size)),
        Cap::PageTable { at, .. } | Cap::VSpace { at, .. } => (at.paddr(), 12),
        Cap::AsidPool { at, .. } => (at.paddr(), 12),
        Cap::Zombie { kind: ZombieKind::Tcb, base, .. } => (base, 11),
        Cap::Zombie { kind: ZombieKind::Endpoint, base, .. } => (base, 4),
        Cap::Zombie { kind: ZombieKind::Notification, base, .. } => (base, 6),
        Cap::Zombie { kind: ZombieKind::CNode { radix }, base, .. } => (base, 5 + u64::from(radix)),
        _ => return None,
    };
    Some((base, base + ((1 << bits) - 1)))
}

pub(super) fn page_bits(size: FrameSize) -> u64 {
    match size {
        FrameSize::Small => 12,
        FrameSize::Large => 21,
        FrameSize::Huge => 30,
    }
}

/// True if the untyped memory in `slot` has children (§2.6; only untyped parents are asked for).
pub(super) fn has_children<const N: usize>(k: &K<N>, slot: SlotRef) -> bool {
    let Some(next) = k.slot(slot).next() else { return false };
    let Some(outer) = extent(k.cap(slot)) else { return false };
    extent(k.cap(next)).is_some_and(|inner| outer.0 <= inner.0 && inner.1 <= outer.1)
}

/// True if no other capability in the list's neighbourhood designates this table, thread or CNode (§2.7).
pub(super) fn is_last<const N: usize>(k: &K<N>, slot: SlotRef) -> bool {
    let same = |other: Option<SlotRef>| {
        other.is_some_and(|other| match (k.cap(slot), k.cap(other)) {
            (Cap::Tcb { at: a }, Cap::Tcb { at: b }) => a == b,
            (Cap::CNode { at: a, radix: r, .. }, Cap::CNode { at: b, radix: s, .. }) => a == b && r == s,
            (Cap::PageTable { at: a, .. }, Cap::PageTable { at: b, .. }) => a == b,
            _ => false,
        })
    };
    !same(k.slot(slot).node().prev) && !same(k.slot(slot).next())
}

/// Physical address of a thread's IPC buffer, if it may be used so (§7.5).
pub(super) fn buffer_at<const N: usize>(k: &K<N>, thread: TcbRef, for_writing: bool) -> Option<u64> {
    let Cap::Frame { base, is_device: false, rights, .. } = k.cap(thread.slot(TcbSlot::Buffer)) else {
        return None;
    };
    let is_allowed = rights == VmRights::ReadWrite || (rights == VmRights::ReadOnly && !for_writing);
    is_allowed.then(|| base + k.tcb(thread).buffer_offset())
}

pub(super) fn memory_word<const N: usize>(k: &K<N>, at: u64) -> u64 {
    k.platform.words::<1>(at)[0].get()
}

/// The root table that an ASID stands for now.
pub(super) fn root_of<const N: usize>(k: &K<N>, asid: u16) -> Option<TableRef> {
    let pool = k.asid_pools[usize::from(asid / 512)].get()?;
    TableRef::new(memory_word(k, pool.paddr() + 8 * u64::from(asid % 512)))
}

/// Where the walk for an address stops: log2 of what the entry covers, and the entry (§6.1).
pub(super) fn walk<const N: usize>(k: &K<N>, root: TableRef, vaddr: u64) -> (u64, u64) {
    let mut table = root.paddr();
    for left in [39, 30, 21, 12] {
        let entry = memory_word(k, table + 8 * bits(vaddr, left, 9));
        if left == 12 || entry & 3 != 3 {
            return (left, entry);
        }
        table = entry & 0x0000_ffff_ffff_f000;
    }
    unreachable!("the last level stops every walk")
}

/// The entry maps exactly this frame.
pub(super) fn maps(stop: (u64, u64), base: u64, size: FrameSize) -> bool {
    stop.0 == page_bits(size) && stop.1 & 1 == 1 && stop.1 & 0x0000_ffff_ffff_f000 == base
}

/// The entry lets EL0 write: AP = 01.
pub(super) fn is_writable(entry: u64) -> bool {
    entry >> 6 & 3 == 1
}

/// The invocation in the thread's registers, or what its call leads to without one.
pub(super) fn invocation<const N: usize>(k: &K<N>, thread: TcbRef) -> Result<Ask<'_, N>, Verdict> {
    let tcb = k.tcb(thread);
    let Some(call) = Syscall::from_number(tcb.x::<7>().cast_signed()) else { return Err(Verdict::Unknown) };
    let (dest, is_first_phase) = match call {
        Syscall::Call | Syscall::Send | Syscall::NbSend => (tcb.x::<0>(), false),
        Syscall::ReplyRecv | Syscall::NbSendWait => (tcb.x::<6>(), true),
        Syscall::NbSendRecv => (tcb.x::<8>(), true),
        _ => return Err(Verdict::Unknown),
    };
    if is_first_phase {
        // The receive phase follows and changes more; its invocation is judged with the other calls.
        return Err(Verdict::Unknown);
    }
    let info = MessageInfo(tcb.x::<1>());
    let lost = if call == Syscall::NbSend { Verdict::Nothing } else { Verdict::Fault };
    let Ok(slot) = resolve_cptr(k, thread, dest) else { return Err(lost) };
    let readable = buffer_at(k, thread, false);
    let mut caps = Vec::new();
    if let Some(buffer) = readable {
        for n in 0..info.extra_caps() as u64 {
            let Ok(slot) = resolve_cptr(k, thread, memory_word(k, buffer + 8 * (122 + n))) else { return Err(lost) };
            caps.push(slot);
        }
    }
    let length = if readable.is_some() { info.length() } else { info.length().min(4) };
    let word = |n: usize| match n {
        0 => tcb.x::<2>(),
        1 => tcb.x::<3>(),
        2 => tcb.x::<4>(),
        3 => tcb.x::<5>(),
        _ => memory_word(k, readable.unwrap() + 8 * (1 + n as u64)),
    };
    let words = (0..length).map(word).collect();
    Ok(Ask { k, thread, slot, cap: k.cap(slot), label: info.label(), words, caps })
}

/// What the current thread's system call in its registers must lead to.
pub(super) fn judge<const N: usize>(k: &K<N>, thread: TcbRef) -> Verdict {
    let ask = match invocation(k, thread) {
        Ok(ask) => ask,
        Err(verdict) => return verdict,
    };
    let ruling = match ask.cap {
        Cap::Endpoint { rights, .. } if rights.has(Rights::WRITE) => return Verdict::Unknown,
        Cap::Notification { rights, .. } if rights.has(Rights::WRITE) => Ok(Done::Anything),
        Cap::Endpoint { .. } | Cap::Notification { .. } => Err(invalid_capability(0)),
        Cap::Reply { .. } => Ok(Done::Anything),
        _ => ask.ruling(),
    };
    match ruling {
        Ok(done) => Verdict::Done(done),
        Err(mut answer) => {
            if !ask.has_writable_buffer() {
                answer.words.truncate(4);
            }
            Verdict::Refused(answer)
        }
    }
}
