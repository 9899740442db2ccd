//! Capabilities: the typed form, its two-word encoding, and what two of them have in common.
//!
//! Encoding of word 0: bits 0–4 tag, bits 5–19 small fields, bits 20–63 = address bits 4–47 (objects are
//! 16-byte aligned below 2^48). Untyped memory keeps its incarnation from bit 13 on, and in word 1 its base plus its watermark (of full memory: its last
//! 16 bytes, and bit 0). Two capabilities are kept in
//! the form that every message wants them in: a CNode that resolves whole addresses (`words::WHOLE`), and an address space.

mod relation;
mod words;

use hybrid_abi::cap_tag as tag;
use hybrid_abi::object as size;
use hybrid_abi::rights::Rights;

use crate::object::{
    CNodeRef, EndpointRef, NotificationRef, PoolRef, ReplyRef, SchedContextRef, TableRef, TcbRef, Word, numbered,
};

pub(crate) use words::{CNode, Frame, Words};
use words::{at, byte, field, half};

/// Where a frame or table is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Address-space identifier, never 0.
    pub asid: u16,
    /// First virtual address it covers, below 2^48.
    pub vaddr: u64,
}

numbered! {
    /// Size of a frame.
    FrameSize else Huge {
        /// 4 KiB.
        Small = 0,
        /// 2 MiB.
        Large = 1,
        /// 1 GiB.
        Huge = 2,
    }
}

impl FrameSize {
    /// log2 of the bytes.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Small => size::PAGE_BITS,
            Self::Large => size::LARGE_PAGE_BITS,
            Self::Huge => size::HUGE_PAGE_BITS,
        }
    }

    /// Bytes.
    #[inline]
    #[must_use]
    pub const fn bytes(self) -> u64 {
        1 << self.bits()
    }
}

numbered! {
    /// What EL0 may do with a frame.
    VmRights else ReadWrite {
        /// Nothing: the mapping exists for the kernel only.
        KernelOnly = 0,
        /// Read.
        ReadOnly = 1,
        /// Read and write.
        ReadWrite = 2,
    }
}

impl VmRights {
    /// What is left under a rights word.
    #[inline]
    #[must_use]
    pub const fn masked(self, rights: Rights) -> Self {
        match self {
            Self::KernelOnly => Self::KernelOnly,
            _ if !rights.has(Rights::READ) => Self::KernelOnly,
            Self::ReadWrite if rights.has(Rights::WRITE) => Self::ReadWrite,
            _ => Self::ReadOnly,
        }
    }
}

/// What is being taken apart. Threads and CNodes have slots of their own that are deleted first; endpoints and notifications
/// have threads that wait, and are zombies only while their cancellation is preempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZombieKind {
    /// A thread with five slots.
    Tcb,
    /// A CNode of 2^radix slots.
    CNode {
        /// log2 of its slots.
        radix: u8,
    },
    /// An endpoint in whose queue threads still wait.
    Endpoint,
    /// A notification in whose queue threads still wait.
    Notification,
}

impl ZombieKind {
    /// The small field of the capability: bit 0 = thread, bits 1–6 = radix, bits 7–8 = kind of queue.
    const fn to_field(self) -> u64 {
        match self {
            Self::Tcb => 1,
            Self::CNode { radix } => (radix as u64) << 1,
            Self::Endpoint => 1 << 7,
            Self::Notification => 2 << 7,
        }
    }

    fn from_field(small: u64) -> Self {
        match (small >> 7 & 3, small & 1) {
            (1, _) => Self::Endpoint,
            (2, _) => Self::Notification,
            (_, 1) => Self::Tcb,
            _ => Self::CNode { radix: byte(field(small, 1, 6)) },
        }
    }

    /// log2 of the object's bytes.
    pub(crate) fn bits(self) -> u32 {
        match self {
            Self::Tcb => size::TCB_BITS,
            Self::CNode { radix } => size::SLOT_BITS.wrapping_add(u32::from(radix)),
            Self::Endpoint => size::ENDPOINT_BITS,
            Self::Notification => size::NOTIFICATION_BITS,
        }
    }
}

/// A capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    /// Nothing.
    Null,
    /// Memory to make objects from.
    Untyped {
        /// Physical base.
        base: u64,
        /// log2 of the bytes.
        bits: u8,
        /// Device memory.
        is_device: bool,
        /// First free byte, as an offset; a multiple of 16.
        watermark: u64,
    },
    /// Endpoint.
    Endpoint {
        /// The object.
        at: EndpointRef,
        /// Badge.
        badge: u64,
        /// Write = send, Read = receive, Grant, GrantReply.
        rights: Rights,
    },
    /// Notification.
    Notification {
        /// The object.
        at: NotificationRef,
        /// Badge.
        badge: u64,
        /// Write = signal, Read = receive.
        rights: Rights,
    },
    /// Reply object.
    Reply {
        /// The object.
        at: ReplyRef,
        /// A reply through it may carry capabilities.
        can_grant: bool,
    },
    /// Table of capabilities.
    CNode {
        /// The object.
        at: CNodeRef,
        /// log2 of the slots.
        radix: u8,
        /// Bits of the guard.
        guard_size: u8,
        /// Guard.
        guard: u64,
    },
    /// Thread.
    Tcb {
        /// The object.
        at: TcbRef,
    },
    /// Scheduling context.
    SchedContext {
        /// The object.
        at: SchedContextRef,
        /// log2 of the bytes.
        bits: u8,
    },
    /// Right to configure scheduling contexts for a core.
    SchedControl {
        /// Core.
        core: u64,
    },
    /// Right to make interrupt handlers.
    IrqControl,
    /// Handler of one interrupt.
    IrqHandler {
        /// Interrupt number.
        irq: u32,
    },
    /// Right to raise one SGI.
    SgiSignal {
        /// SGI number.
        sgi: u8,
        /// Target word of the interrupt controller.
        target: u32,
    },
    /// Right to assign domains.
    Domain,
    /// Frame.
    Frame {
        /// Physical base.
        base: u64,
        /// Size.
        size: FrameSize,
        /// Device memory.
        is_device: bool,
        /// What mappings of it may allow.
        rights: VmRights,
        /// Where this capability mapped it.
        mapping: Option<Mapping>,
    },
    /// Page table below the root.
    PageTable {
        /// The object.
        at: TableRef,
        /// Where it is mapped.
        mapping: Option<Mapping>,
    },
    /// Root page table.
    VSpace {
        /// The object.
        at: TableRef,
        /// Its ASID; 0 = none yet.
        asid: u16,
    },
    /// Right to make ASID pools.
    AsidControl,
    /// Pool of 512 ASIDs.
    AsidPool {
        /// The object.
        at: PoolRef,
        /// Number of the pool.
        index: u8,
    },
    /// Half-deleted thread or CNode.
    Zombie {
        /// What it was.
        kind: ZombieKind,
        /// Physical base of the object.
        base: u64,
        /// Slots that are not yet deleted.
        remaining: u64,
    },
    /// HybridOS platform capability: power, reset, timer access.
    Platform,
    /// HybridOS audit capability: lists all capabilities.
    Audit {
        /// Physical base of the interrupt table.
        irq_table: u64,
    },
}

const VADDR_MASK: u64 = (1 << 48) - 1;

#[inline]
pub(crate) fn mapping_word(mapping: Option<Mapping>) -> u64 {
    mapping.map_or(0, |m| (u64::from(m.asid) << 48) | (m.vaddr & VADDR_MASK))
}

#[inline]
fn mapping_of(word1: u64) -> Option<Mapping> {
    let asid = half(word1 >> 48);
    if asid == 0 { None } else { Some(Mapping { asid, vaddr: word1 & VADDR_MASK }) }
}

/// What the machine is given to translate with: root table and ASID; 0 without an ASID.
#[inline]
pub(crate) fn space_word(root: TableRef, asid: u16) -> u64 {
    if asid == 0 { 0 } else { (u64::from(asid) << 48) | root.paddr() }
}

impl Cap {
    /// The two words that a slot keeps.
    #[must_use]
    pub(crate) fn words(self) -> Words {
        let of = |tag: u64, small: u64, paddr: u64, word1: u64| Words(tag | (small << 5) | (paddr << 16), word1);
        match self {
            Cap::Null => Words(0, 0),
            Cap::Untyped { base, bits, is_device, watermark } => {
                of(tag::UNTYPED, u64::from(is_device) | (u64::from(bits) << 1), 0, base).with_watermark(watermark)
            }
            Cap::Endpoint { at, badge, rights } => of(tag::ENDPOINT, rights.0, at.paddr(), badge),
            Cap::Notification { at, badge, rights } => of(tag::NOTIFICATION, rights.0, at.paddr(), badge),
            Cap::Reply { at, can_grant } => of(tag::REPLY, u64::from(can_grant), at.paddr(), 0),
            Cap::CNode { at, radix, guard_size, guard } => CNode { at, radix, guard_size, guard }.words(),
            Cap::Tcb { at } => of(tag::TCB, 0, at.paddr(), 0),
            Cap::SchedContext { at, bits } => of(tag::SCHED_CONTEXT, u64::from(bits), at.paddr(), 0),
            Cap::SchedControl { core } => Words(tag::SCHED_CONTROL | (core & 0x3f) << 5, core),
            Cap::IrqControl => Words(tag::IRQ_CONTROL, 0),
            Cap::IrqHandler { irq } => Words(tag::IRQ_HANDLER | relation::irq_bits(u64::from(irq)), u64::from(irq)),
            Cap::SgiSignal { sgi, target } => Words(tag::SGI_SIGNAL, u64::from(sgi) | (u64::from(target) << 32)),
            Cap::Domain => Words(tag::DOMAIN, 0),
            Cap::Frame { base, size, is_device, rights, mapping } => {
                let small = size.to_word() | (rights.to_word() << 2) | (u64::from(is_device) << 4);
                of(tag::FRAME, small, base, mapping_word(mapping))
            }
            Cap::PageTable { at, mapping } => of(tag::PAGE_TABLE, 0, at.paddr(), mapping_word(mapping)),
            Cap::VSpace { at, asid } => of(tag::VSPACE, 0, at.paddr(), space_word(at, asid)),
            Cap::AsidControl => Words(tag::ASID_CONTROL, 0),
            Cap::AsidPool { at, index } => of(tag::ASID_POOL, 0, at.paddr(), u64::from(index)),
            Cap::Zombie { kind, base, remaining } => of(tag::ZOMBIE, kind.to_field(), base, remaining),
            Cap::Platform => Words(tag::PLATFORM, 0),
            Cap::Audit { irq_table } => Words(tag::AUDIT, irq_table),
        }
    }

    /// What a slot with these words holds; words that no capability has give `Null`.
    #[must_use]
    pub(crate) fn of(words: Words) -> Cap {
        Self::try_of(words).unwrap_or(Cap::Null)
    }

    #[inline]
    fn try_of(words: Words) -> Option<Cap> {
        let Words(word0, word1) = words;
        Some(match words.tag() {
            tag::ENDPOINT => words.endpoint().map(|(at, badge, rights)| Cap::Endpoint { at, badge, rights })?,
            tag::NOTIFICATION => {
                words.notification().map(|(at, badge, rights)| Cap::Notification { at, badge, rights })?
            }
            tag::REPLY => words.reply().map(|(at, can_grant)| Cap::Reply { at, can_grant })?,
            tag::CNODE => {
                let CNode { at, radix, guard_size, guard } = words.cnode()?;
                Cap::CNode { at, radix, guard_size, guard }
            }
            tag::UNTYPED => {
                let (base, _, is_device) = words.untyped();
                Cap::Untyped { base, bits: byte(field(word0, 6, 6)), is_device, watermark: words.watermark() }
            }
            tag::TCB => Cap::Tcb { at: words.tcb()? },
            tag::SCHED_CONTEXT => Cap::SchedContext { at: words.sched_context()?, bits: byte(field(word0, 5, 6)) },
            tag::SCHED_CONTROL => Cap::SchedControl { core: word1 },
            tag::IRQ_CONTROL => Cap::IrqControl,
            tag::IRQ_HANDLER => Cap::IrqHandler { irq: words.irq() },
            tag::SGI_SIGNAL => Cap::SgiSignal { sgi: words.sgi().0, target: words.sgi().1 },
            tag::DOMAIN => Cap::Domain,
            tag::FRAME => {
                let Frame { base, size, is_device, rights } = words.frame()?;
                Cap::Frame { base, size, is_device, rights, mapping: words.mapping() }
            }
            tag::PAGE_TABLE => Cap::PageTable { at: TableRef::new(at(word0))?, mapping: words.mapping() },
            tag::VSPACE => words.vspace().map(|(at, asid)| Cap::VSpace { at, asid })?,
            tag::ASID_CONTROL => Cap::AsidControl,
            tag::ASID_POOL => words.pool().map(|(at, index)| Cap::AsidPool { at, index })?,
            tag::ZOMBIE => Cap::Zombie { kind: words.zombie_kind(), base: at(word0), remaining: word1 },
            tag::PLATFORM => Cap::Platform,
            tag::AUDIT => Cap::Audit { irq_table: word1 },
            _ => return None,
        })
    }

    /// Tag number (what DebugCapIdentify answers).
    #[must_use]
    pub fn tag(self) -> u64 {
        self.words().tag()
    }
}
