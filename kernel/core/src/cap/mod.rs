//! Capabilities: the typed form, its two-word encoding, and what two of them have in common.
//!
//! Encoding of word 0: bits 0–4 tag, bits 5–19 small fields, bits 20–63 = address bits 4–47 (objects are
//! 16-byte aligned below 2^48). Untyped memory keeps its watermark there and its base in word 1. Two capabilities are kept in
//! the form that every message wants them in: a CNode that resolves whole addresses (`words::WHOLE`), and an address space.

mod relation;
mod words;

use hybrid_abi::cap_tag as tag;
use hybrid_abi::object as size;
use hybrid_abi::rights::Rights;

use crate::object::{CNodeRef, EndpointRef, NotificationRef, PoolRef, ReplyRef, SchedContextRef, TableRef, TcbRef};

pub(crate) use words::{CNode, Frame, Words};
use words::{WHOLE, at, byte, field, half, low32};

/// Where a frame or table is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Address-space identifier, never 0.
    pub asid: u16,
    /// First virtual address it covers, below 2^48.
    pub vaddr: u64,
}

/// Size of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameSize {
    /// 4 KiB.
    Small,
    /// 2 MiB.
    Large,
    /// 1 GiB.
    Huge,
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

/// What EL0 may do with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmRights {
    /// Nothing: the mapping exists for the kernel only.
    KernelOnly,
    /// Read.
    ReadOnly,
    /// Read and write.
    ReadWrite,
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
    fn bits(self) -> u32 {
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
    pub fn encode(self) -> (u64, u64) {
        let word = |tag: u64, small: u64, paddr: u64| tag | (small << 5) | (paddr << 16);
        match self {
            Cap::Null => (0, 0),
            Cap::Untyped { base, bits, is_device, watermark } => {
                (word(tag::UNTYPED, u64::from(is_device) | (u64::from(bits) << 1), 0) | ((watermark >> 4) << 16), base)
            }
            Cap::Endpoint { at, badge, rights } => (word(tag::ENDPOINT, rights.0, at.paddr()), badge),
            Cap::Notification { at, badge, rights } => (word(tag::NOTIFICATION, rights.0, at.paddr()), badge),
            Cap::Reply { at, can_grant } => (word(tag::REPLY, u64::from(can_grant), at.paddr()), 0),
            Cap::CNode { at, radix, guard_size, guard } => {
                let word0 = word(tag::CNODE, u64::from(radix), at.paddr());
                if guard == 0 && guard_size != 0 && radix.wrapping_add(guard_size) == 64 {
                    (word0 | WHOLE, 1u64.unbounded_shl(u32::from(radix)))
                } else {
                    (word0 | (u64::from(guard_size) << 13), guard)
                }
            }
            Cap::Tcb { at } => (word(tag::TCB, 0, at.paddr()), 0),
            Cap::SchedContext { at, bits } => (word(tag::SCHED_CONTEXT, u64::from(bits), at.paddr()), 0),
            Cap::SchedControl { core } => (tag::SCHED_CONTROL, core),
            Cap::IrqControl => (tag::IRQ_CONTROL, 0),
            Cap::IrqHandler { irq } => (tag::IRQ_HANDLER, u64::from(irq)),
            Cap::SgiSignal { sgi, target } => (tag::SGI_SIGNAL, u64::from(sgi) | (u64::from(target) << 32)),
            Cap::Domain => (tag::DOMAIN, 0),
            Cap::Frame { base, size, is_device, rights, mapping } => {
                let size = match size {
                    FrameSize::Small => 0,
                    FrameSize::Large => 1,
                    FrameSize::Huge => 2,
                };
                let rights = match rights {
                    VmRights::KernelOnly => 0,
                    VmRights::ReadOnly => 1,
                    VmRights::ReadWrite => 2,
                };
                (word(tag::FRAME, size | (rights << 2) | (u64::from(is_device) << 4), base), mapping_word(mapping))
            }
            Cap::PageTable { at, mapping } => (word(tag::PAGE_TABLE, 0, at.paddr()), mapping_word(mapping)),
            Cap::VSpace { at, asid } => (word(tag::VSPACE, 0, at.paddr()), space_word(at, asid)),
            Cap::AsidControl => (tag::ASID_CONTROL, 0),
            Cap::AsidPool { at, index } => (word(tag::ASID_POOL, 0, at.paddr()), u64::from(index)),
            Cap::Zombie { kind, base, remaining } => (word(tag::ZOMBIE, kind.to_field(), base), remaining),
            Cap::Platform => (tag::PLATFORM, 0),
        }
    }

    /// Reads two slot words; words that no capability has give `Null`.
    #[must_use]
    pub fn decode(word0: u64, word1: u64) -> Cap {
        Self::try_decode(word0, word1).unwrap_or(Cap::Null)
    }

    #[inline]
    fn try_decode(word0: u64, word1: u64) -> Option<Cap> {
        Some(match field(word0, 0, 5) {
            tag::ENDPOINT => {
                let (at, badge, rights) = Words(word0, word1).endpoint()?;
                Cap::Endpoint { at, badge, rights }
            }
            tag::NOTIFICATION => {
                let (at, badge, rights) = Words(word0, word1).notification()?;
                Cap::Notification { at, badge, rights }
            }
            tag::REPLY => {
                let (at, can_grant) = Words(word0, word1).reply()?;
                Cap::Reply { at, can_grant }
            }
            tag::CNODE => {
                let CNode { at, radix, guard_size, guard } = Words(word0, word1).cnode()?;
                Cap::CNode { at, radix, guard_size, guard }
            }
            tag::UNTYPED => Cap::Untyped {
                base: word1,
                bits: byte(field(word0, 6, 6)),
                is_device: field(word0, 5, 1) != 0,
                watermark: field(word0, 16, 44) << 4,
            },
            tag::TCB => Cap::Tcb { at: TcbRef::new(at(word0))? },
            tag::SCHED_CONTEXT => {
                Cap::SchedContext { at: SchedContextRef::new(at(word0))?, bits: byte(field(word0, 5, 6)) }
            }
            tag::SCHED_CONTROL => Cap::SchedControl { core: word1 },
            tag::IRQ_CONTROL => Cap::IrqControl,
            tag::IRQ_HANDLER => Cap::IrqHandler { irq: low32(word1) },
            tag::SGI_SIGNAL => Cap::SgiSignal { sgi: byte(word1), target: low32(word1 >> 32) },
            tag::DOMAIN => Cap::Domain,
            tag::FRAME => {
                let Frame { base, size, is_device, rights } = Words(word0, word1).frame()?;
                Cap::Frame { base, size, is_device, rights, mapping: mapping_of(word1) }
            }
            tag::PAGE_TABLE => Cap::PageTable { at: TableRef::new(at(word0))?, mapping: mapping_of(word1) },
            tag::VSPACE => {
                let (at, asid) = Words(word0, word1).vspace()?;
                Cap::VSpace { at, asid }
            }
            tag::ASID_CONTROL => Cap::AsidControl,
            tag::ASID_POOL => Cap::AsidPool { at: PoolRef::new(at(word0))?, index: byte(word1) },
            tag::ZOMBIE => {
                Cap::Zombie { kind: ZombieKind::from_field(field(word0, 5, 11)), base: at(word0), remaining: word1 }
            }
            tag::PLATFORM => Cap::Platform,
            _ => return None,
        })
    }

    /// Tag number (what DebugCapIdentify answers).
    #[must_use]
    pub fn tag(self) -> u64 {
        self.encode().0 & 31
    }

    /// Physical range (base, log2 bytes) that the capability stands for; `None` if it has no memory.
    #[must_use]
    pub fn memory(self) -> Option<(u64, u32)> {
        Some(match self {
            Cap::Untyped { base, bits, .. } => (base, u32::from(bits)),
            Cap::Endpoint { at, .. } => (at.paddr(), size::ENDPOINT_BITS),
            Cap::Notification { at, .. } => (at.paddr(), size::NOTIFICATION_BITS),
            Cap::Reply { at, .. } => (at.paddr(), size::REPLY_BITS),
            Cap::CNode { at, radix, .. } => (at.paddr(), size::SLOT_BITS.wrapping_add(u32::from(radix))),
            Cap::Tcb { at } => (at.paddr(), size::TCB_BITS),
            Cap::SchedContext { at, bits } => (at.paddr(), u32::from(bits)),
            Cap::Frame { base, size, .. } => (base, size.bits()),
            Cap::PageTable { at, .. } | Cap::VSpace { at, .. } => (at.paddr(), size::PAGE_TABLE_BITS),
            Cap::AsidPool { at, .. } => (at.paddr(), size::ASID_POOL_BITS),
            Cap::Zombie { kind, base, .. } => (base, kind.bits()),
            Cap::Null
            | Cap::SchedControl { .. }
            | Cap::IrqControl
            | Cap::IrqHandler { .. }
            | Cap::SgiSignal { .. }
            | Cap::Domain
            | Cap::AsidControl
            | Cap::Platform => return None,
        })
    }

    /// True if `other` is in the region that this capability is the root of (kernel-abi §2.6, rule 2).
    #[must_use]
    pub fn covers(self, other: Cap) -> bool {
        match (self, other) {
            (Cap::Untyped { base, bits, .. }, _) => contains((base, u32::from(bits)), other.memory()),
            (Cap::Frame { base, size, .. }, Cap::Frame { .. }) => contains((base, size.bits()), other.memory()),
            (Cap::Endpoint { at: a, .. }, Cap::Endpoint { at: b, .. }) => a == b,
            (Cap::Notification { at: a, .. }, Cap::Notification { at: b, .. }) => a == b,
            (Cap::Reply { at: a, .. }, Cap::Reply { at: b, .. }) => a == b,
            (Cap::Tcb { at: a }, Cap::Tcb { at: b }) => a == b,
            (Cap::VSpace { at: a, .. }, Cap::VSpace { at: b, .. }) => a == b,
            (Cap::PageTable { at: a, .. }, Cap::PageTable { at: b, .. }) => a == b,
            (Cap::AsidPool { at: a, .. }, Cap::AsidPool { at: b, .. }) => a == b,
            (Cap::CNode { at: a, radix: r, .. }, Cap::CNode { at: b, radix: s, .. }) => a == b && r == s,
            (Cap::SchedContext { at: a, bits: r }, Cap::SchedContext { at: b, bits: s }) => a == b && r == s,
            (Cap::IrqControl, Cap::IrqControl | Cap::IrqHandler { .. } | Cap::SgiSignal { .. }) => true,
            (Cap::IrqHandler { irq: a }, Cap::IrqHandler { irq: b }) => a == b,
            (Cap::SgiSignal { sgi: a, target: t }, Cap::SgiSignal { sgi: b, target: u }) => a == b && t == u,
            (Cap::Domain, Cap::Domain)
            | (Cap::SchedControl { .. }, Cap::SchedControl { .. })
            | (Cap::AsidControl, Cap::AsidControl)
            | (Cap::Platform, Cap::Platform) => true,
            _ => false,
        }
    }

    /// True if both designate one object, so that neither is the last (kernel-abi §2.7).
    #[must_use]
    pub fn is_same_object(self, other: Cap) -> bool {
        match (self, other) {
            (Cap::Untyped { .. } | Cap::IrqControl | Cap::SgiSignal { .. }, _) => false,
            (Cap::Frame { base: a, size: s, is_device: d, .. }, Cap::Frame { base: b, size: t, is_device: e, .. }) => {
                a == b && s == t && d == e
            }
            _ => self.covers(other),
        }
    }

    /// True if a copy `self` of `source` can be revoked on its own (flags R and F of the new slot).
    #[must_use]
    pub fn is_revocable_from(self, source: Cap) -> bool {
        match (self, source) {
            (Cap::Endpoint { badge: a, .. }, Cap::Endpoint { badge: b, .. })
            | (Cap::Notification { badge: a, .. }, Cap::Notification { badge: b, .. }) => a != b,
            (Cap::IrqHandler { .. } | Cap::SgiSignal { .. }, Cap::IrqControl) => true,
            (Cap::Untyped { .. }, _) => true,
            _ => false,
        }
    }

    /// The capability with its rights reduced to `rights` (kernel-abi §2.5).
    #[must_use]
    pub fn masked(self, mask: Rights) -> Cap {
        match self {
            Cap::Endpoint { at, badge, rights } => Cap::Endpoint { at, badge, rights: rights.and(mask) },
            Cap::Notification { at, badge, rights } => Cap::Notification { at, badge, rights: rights.and(mask) },
            Cap::Reply { at, can_grant } => Cap::Reply { at, can_grant: can_grant && mask.has(Rights::GRANT) },
            Cap::Frame { base, size, is_device, rights, mapping } => {
                Cap::Frame { base, size, is_device, rights: rights.masked(mask), mapping }
            }
            other => other,
        }
    }

    /// The capability with `data` applied; `None` if it does not take that data (kernel-abi §2.5).
    /// `is_copy` distinguishes Mint from Mutate and Rotate.
    #[must_use]
    pub fn with_data(self, data: u64, is_copy: bool) -> Option<Cap> {
        match self {
            Cap::Endpoint { at, badge: 0, rights } if is_copy => Some(Cap::Endpoint { at, badge: data, rights }),
            Cap::Notification { at, badge: 0, rights } if is_copy => {
                Some(Cap::Notification { at, badge: data, rights })
            }
            Cap::Endpoint { .. } | Cap::Notification { .. } => None,
            Cap::CNode { at, radix, .. } => {
                let data = hybrid_abi::rights::CNodeData(data);
                if u32::from(radix).wrapping_add(data.guard_size()) > 64 {
                    None
                } else {
                    let guard_size = byte(u64::from(data.guard_size()));
                    Some(Cap::CNode { at, radix, guard_size, guard: data.guard() })
                }
            }
            other => Some(other),
        }
    }
}

fn contains(outer: (u64, u32), inner: Option<(u64, u32)>) -> bool {
    let Some((base, bits)) = inner else { return false };
    let last = |base: u64, bits: u32| base.wrapping_add(!(u64::MAX << bits));
    base >= outer.0 && last(base, bits) <= last(outer.0, outer.1)
}
