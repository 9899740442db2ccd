//! What two slots' words have in common, and what a copy of one is; bit arithmetic, no memory.
//!
//! The same relations as those of the typed [`Cap`](crate::cap::Cap) (`covers`, `is_same_object`, `masked`, …), which the tests
//! compare these with for every pair of types: every copy, delete and revoke asks them several times.

use hybrid_abi::cap_tag as tag;
use hybrid_abi::object::{self as size, ObjectType};
use hybrid_abi::rights::{CNodeData, Rights};

use super::VmRights;
use super::words::{CNode, Words, at, byte, field};
use crate::object::Word;

/// The bits of word 0 of a capability that are equal if and only if two of them designate one object; 0: never.
const fn same_object_bits(tag: u64) -> u64 {
    const TAG: u64 = 0x1f;
    const ADDRESS: u64 = u64::MAX << 20;
    const SIX_BITS: u64 = 0x3f << 5;
    match tag {
        tag::ENDPOINT | tag::NOTIFICATION | tag::REPLY | tag::TCB => TAG | ADDRESS,
        tag::VSPACE | tag::PAGE_TABLE | tag::ASID_POOL => TAG | ADDRESS,
        // Radix, or log2 of the bytes.
        tag::CNODE | tag::SCHED_CONTEXT => TAG | ADDRESS | SIX_BITS,
        // Size and device, not the rights.
        tag::FRAME => TAG | ADDRESS | (3 << 5) | (1 << 9),
        // The number.
        tag::SCHED_CONTROL => TAG | SIX_BITS,
        tag::IRQ_HANDLER => TAG | irq_bits(u64::MAX),
        tag::DOMAIN | tag::ASID_CONTROL | tag::PLATFORM | tag::AUDIT => TAG,
        _ => 0,
    }
}

/// Where word 0 of an interrupt handler has its number a second time (bit 12 stays clear).
pub(super) const fn irq_bits(irq: u64) -> u64 {
    (irq & 0x7f) << 5 | (irq >> 7 & 7) << 13
}

/// The same for each tag, since a load is shorter than the match: Revoke asks for every capability that it deletes.
#[cfg_attr(not(test), expect(clippy::indexing_slicing, reason = "a wrong index would not compile"))]
const SAME_OBJECT: [u64; 32] = {
    let mut masks = [0; 32];
    let mut n = 0;
    while n < 32 {
        masks[n] = same_object_bits(n as u64);
        n += 1;
    }
    masks
};

impl Words {
    /// Nothing is in the slot.
    #[inline(always)]
    pub(crate) fn is_null(self) -> bool {
        self.tag() == tag::NULL
    }

    /// Both designate one object, so that neither is the last capability of it (kernel-abi §2.7).
    #[inline]
    pub(crate) fn is_same_object(self, other: Words) -> bool {
        let mask = SAME_OBJECT.get(usize::from(self.0.to_le_bytes()[0] & 0x1f)).copied().unwrap_or(0);
        mask != 0 && (self.0 ^ other.0) & mask == 0
    }

    /// `other` is in the region that this capability is the root of (kernel-abi §2.6, rule 2).
    #[inline]
    pub(crate) fn covers(self, other: Words) -> bool {
        match self.tag() {
            tag::UNTYPED => other.lies_in(self.1, field(self.0, 6, 6)),
            tag::FRAME => other.tag() == tag::FRAME && other.lies_in(at(self.0), frame_bits(self.0)),
            tag::IRQ_CONTROL => matches!(other.tag(), tag::IRQ_CONTROL | tag::IRQ_HANDLER | tag::SGI_SIGNAL),
            tag::SGI_SIGNAL => other.tag() == tag::SGI_SIGNAL && self.1 == other.1,
            _ => self.is_same_object(other),
        }
    }

    /// The memory that it designates lies inside of 2^`bits` bytes at `place`. Memory of objects is naturally aligned, so that of
    /// two overlapping pieces the larger one contains the other; the address of what designates none is 0.
    #[inline]
    fn lies_in(self, place: u64, bits: u64) -> bool {
        // Each piece is of 16 bytes at least: what else is in the low bits of a CNode's address does not matter.
        let own = if self.tag() == tag::UNTYPED { self.1 & self.untyped_mask() } else { at(self.0) };
        let mask = u64::MAX << (bits & 63);
        (own ^ place) & mask == 0 && (own & !mask & !15 != 0 || self.is_within(bits))
    }

    /// The memory that it designates has at most 2^`bits` bytes.
    #[inline(never)]
    fn is_within(self, bits: u64) -> bool {
        let own_bits = match self.tag() {
            tag::UNTYPED => field(self.0, 6, 6),
            tag::FRAME => frame_bits(self.0),
            tag::ENDPOINT => u64::from(size::ENDPOINT_BITS),
            tag::NOTIFICATION => u64::from(size::NOTIFICATION_BITS),
            tag::REPLY => u64::from(size::REPLY_BITS),
            tag::TCB => u64::from(size::TCB_BITS),
            tag::VSPACE | tag::PAGE_TABLE | tag::ASID_POOL => u64::from(size::PAGE_TABLE_BITS),
            tag::CNODE => field(self.0, 5, 6).wrapping_add(u64::from(size::SLOT_BITS)),
            tag::SCHED_CONTEXT => field(self.0, 5, 6),
            tag::ZOMBIE => u64::from(self.zombie_kind().bits()),
            _ => return false,
        };
        own_bits <= bits
    }

    /// With the flags of its slot, it is the parent of `other` (kernel-abi §2.6).
    #[inline]
    pub(crate) fn is_parent_of(self, other: Words, is_other_first: bool) -> bool {
        if !self.covers(other) {
            return false;
        }
        match self.tag() {
            tag::ENDPOINT | tag::NOTIFICATION => self.1 == 0 || (self.1 == other.1 && !is_other_first),
            tag::SGI_SIGNAL => !is_other_first,
            _ => true,
        }
    }

    /// A copy `self` of `source` can be revoked on its own (flags R and F of the new slot).
    #[inline]
    pub(crate) fn is_revocable_from(self, source: Words) -> bool {
        match self.tag() {
            tag::ENDPOINT | tag::NOTIFICATION => self.1 != source.1,
            tag::IRQ_HANDLER | tag::SGI_SIGNAL => source.tag() == tag::IRQ_CONTROL,
            tag::UNTYPED => true,
            _ => false,
        }
    }

    /// With the rights reduced to `mask` (kernel-abi §2.5).
    #[inline]
    pub(crate) fn masked(self, mask: Rights) -> Words {
        let word0 = match self.tag() {
            tag::ENDPOINT | tag::NOTIFICATION => self.0 & !((!mask.0 & Rights::ALL.0) << 5),
            tag::REPLY if !mask.has(Rights::GRANT) => self.0 & !(1 << 5),
            tag::FRAME => {
                let rights = VmRights::from_word(field(self.0, 7, 2)).masked(mask).to_word();
                (self.0 & !(3 << 7)) | (rights << 7)
            }
            _ => self.0,
        };
        Words(word0, self.1)
    }

    /// The capability of a new object of Retype at `at`: all rights, no badge, no guard, not mapped, nothing used.
    pub(crate) fn of_new_object(kind: ObjectType, argument: u8, is_device: bool, at: u64) -> Words {
        let argument = u64::from(argument);
        let (tag, small) = match kind {
            ObjectType::Untyped => return Words(tag::UNTYPED | (u64::from(is_device) << 5) | (argument << 6), at),
            ObjectType::Tcb => (tag::TCB, 0),
            ObjectType::Endpoint => (tag::ENDPOINT, Rights::ALL.0),
            ObjectType::Notification => (tag::NOTIFICATION, Rights::READ.0 | Rights::WRITE.0),
            ObjectType::CapTable => (tag::CNODE, argument),
            ObjectType::SchedContext => (tag::SCHED_CONTEXT, argument),
            ObjectType::Reply => (tag::REPLY, 1),
            ObjectType::SmallPage => (tag::FRAME, NEW_FRAME | (u64::from(is_device) << 4)),
            ObjectType::LargePage => (tag::FRAME, NEW_FRAME | 1 | (u64::from(is_device) << 4)),
            ObjectType::HugePage => (tag::FRAME, NEW_FRAME | 2 | (u64::from(is_device) << 4)),
            ObjectType::VSpace => (tag::VSPACE, 0),
            ObjectType::PageTable => (tag::PAGE_TABLE, 0),
        };
        Words(tag | (small << 5) | (at << 16), 0)
    }

    /// With `data` applied; `None` if it does not take that data (kernel-abi §2.5). `is_copy` tells Mint from Mutate and Rotate.
    #[inline]
    pub(crate) fn with_data(self, data: u64, is_copy: bool) -> Option<Words> {
        match self.tag() {
            tag::ENDPOINT | tag::NOTIFICATION => (is_copy && self.1 == 0).then_some(Words(self.0, data)),
            tag::CNODE => {
                let (node, data) = (self.cnode()?, CNodeData(data));
                let guard_size = byte(u64::from(data.guard_size()));
                let is_possible = node.radix.wrapping_add(guard_size) <= 64;
                is_possible.then_some(CNode { guard_size, guard: data.guard(), ..node }.words())
            }
            _ => Some(self),
        }
    }
}

/// Small fields of a frame's word 0: 4 KiB, read and write.
const NEW_FRAME: u64 = 2 << 2;

/// log2 of the bytes of a frame.
fn frame_bits(word0: u64) -> u64 {
    12u64.wrapping_add(field(word0, 5, 2).wrapping_mul(9))
}

const _: () = assert!(crate::kernel::IRQS <= 1 << 10 && crate::core_state::CORES_MAX <= 1 << 6);
const _: () = assert!(hybrid_abi::object::LARGE_PAGE_BITS == 21 && hybrid_abi::object::HUGE_PAGE_BITS == 30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cap::{Cap, FrameSize, Mapping, VmRights, ZombieKind};
    use crate::object::{CNodeRef, EndpointRef, NotificationRef, PoolRef, ReplyRef, SchedContextRef, TableRef, TcbRef};

    /// Capabilities of every type in a few variants, on two overlapping places.
    fn all() -> Vec<Cap> {
        let mut caps = vec![Cap::Null, Cap::IrqControl, Cap::Domain, Cap::AsidControl, Cap::Platform];
        caps.push(Cap::Audit { irq_table: 0x8000_0000 });
        for n in 0..2u64 {
            caps.push(Cap::SchedControl { core: n });
            caps.push(Cap::IrqHandler { irq: 158 + 64 * u32::from(n == 1) });
            caps.push(Cap::IrqHandler { irq: 30 + u32::from(n == 1) });
            caps.push(Cap::SgiSignal { sgi: 1, target: u32::from(n == 1) });
            let base = 0x8000_0000 + n * 0x20_0000;
            for bits in [6, 12, 21, 30] {
                for is_device in [false, true] {
                    caps.push(Cap::Untyped { base, bits, is_device, watermark: 16 * n });
                }
            }
            for badge in [0, 5, u64::MAX] {
                for rights in [0, 1, 7, 15] {
                    let rights = Rights(rights);
                    caps.push(Cap::Endpoint { at: EndpointRef::new(base).unwrap(), badge, rights });
                    caps.push(Cap::Notification { at: NotificationRef::new(base).unwrap(), badge, rights });
                }
            }
            let cnode = CNodeRef::new(base).unwrap();
            for (radix, guard_size, guard) in [(1, 0, 0), (1, 63, 0), (1, 63, 7), (12, 52, 0), (12, 7, 99)] {
                caps.push(Cap::CNode { at: cnode, radix, guard_size, guard });
            }
            caps.push(Cap::Reply { at: ReplyRef::new(base).unwrap(), can_grant: n == 0 });
            caps.push(Cap::Tcb { at: TcbRef::new(base).unwrap() });
            caps.push(Cap::SchedContext { at: SchedContextRef::new(base).unwrap(), bits: 7 });
            caps.push(Cap::SchedContext { at: SchedContextRef::new(base).unwrap(), bits: 8 });
            caps.push(Cap::AsidPool { at: PoolRef::new(base).unwrap(), index: 3 });
            for mapping in [None, Some(Mapping { asid: 1, vaddr: 0x1000 })] {
                caps.push(Cap::PageTable { at: TableRef::new(base).unwrap(), mapping });
                for size in [FrameSize::Small, FrameSize::Large, FrameSize::Huge] {
                    for rights in [VmRights::KernelOnly, VmRights::ReadOnly, VmRights::ReadWrite] {
                        caps.push(Cap::Frame { base, size, is_device: n == 1, rights, mapping });
                        caps.push(Cap::Frame { base, size, is_device: false, rights, mapping });
                    }
                }
            }
            for asid in [0, 9] {
                caps.push(Cap::VSpace { at: TableRef::new(base).unwrap(), asid });
            }
            caps.push(Cap::Zombie { kind: ZombieKind::Tcb, base, remaining: 3 });
            caps.push(Cap::Zombie { kind: ZombieKind::CNode { radix: 4 }, base, remaining: 9 });
        }
        // INV: memory of objects is naturally aligned.
        caps.retain(|cap| cap.memory().is_none_or(|(base, bits)| base.trailing_zeros() >= bits));
        caps
    }

    fn words(cap: Cap) -> Words {
        cap.words()
    }

    #[test]
    fn relations_of_words_are_those_of_capabilities() {
        let caps = all();
        for a in &caps {
            assert_eq!(Cap::of(words(*a)), *a);
            assert_eq!(words(*a).is_null(), *a == Cap::Null);
            for b in &caps {
                let (x, y) = (words(*a), words(*b));
                assert_eq!(x.is_same_object(y), a.is_same_object(*b), "{a:x?} {b:x?}");
                assert_eq!(x.covers(y), a.covers(*b), "{a:x?} {b:x?}");
                let is_issued = matches!(a, Cap::IrqHandler { .. } | Cap::SgiSignal { .. }) && *b == Cap::IrqControl;
                if a.tag() == b.tag() || is_issued {
                    assert_eq!(x.is_revocable_from(y), a.is_revocable_from(*b), "{a:x?} {b:x?}");
                }
            }
        }
    }

    #[test]
    fn new_objects_have_the_specified_capabilities() {
        let at = 0x8000_0000;
        let frame =
            |size, is_device| Cap::Frame { base: at, size, is_device, rights: VmRights::ReadWrite, mapping: None };
        let table = TableRef::new(at).unwrap();
        let read_write = Rights(Rights::READ.0 | Rights::WRITE.0);
        for (kind, is_device, cap) in [
            (ObjectType::Untyped, false, Cap::Untyped { base: at, bits: 9, is_device: false, watermark: 0 }),
            (ObjectType::Untyped, true, Cap::Untyped { base: at, bits: 9, is_device: true, watermark: 0 }),
            (ObjectType::Tcb, false, Cap::Tcb { at: TcbRef::new(at).unwrap() }),
            (
                ObjectType::Endpoint,
                false,
                Cap::Endpoint { at: EndpointRef::new(at).unwrap(), badge: 0, rights: Rights::ALL },
            ),
            (
                ObjectType::Notification,
                false,
                Cap::Notification { at: NotificationRef::new(at).unwrap(), badge: 0, rights: read_write },
            ),
            (
                ObjectType::CapTable,
                false,
                Cap::CNode { at: CNodeRef::new(at).unwrap(), radix: 9, guard_size: 0, guard: 0 },
            ),
            (ObjectType::SchedContext, false, Cap::SchedContext { at: SchedContextRef::new(at).unwrap(), bits: 9 }),
            (ObjectType::Reply, false, Cap::Reply { at: ReplyRef::new(at).unwrap(), can_grant: true }),
            (ObjectType::SmallPage, false, frame(FrameSize::Small, false)),
            (ObjectType::LargePage, true, frame(FrameSize::Large, true)),
            (ObjectType::HugePage, true, frame(FrameSize::Huge, true)),
            (ObjectType::VSpace, false, Cap::VSpace { at: table, asid: 0 }),
            (ObjectType::PageTable, false, Cap::PageTable { at: table, mapping: None }),
        ] {
            assert_eq!(Words::of_new_object(kind, 9, is_device, at), words(cap), "{kind:?}");
        }
        let untyped = words(Cap::Untyped { base: at, bits: 30, is_device: false, watermark: 0x1230 });
        assert_eq!((untyped.untyped(), untyped.watermark()), ((at, 30, false), 0x1230));
        let full = words(Cap::Untyped { base: at, bits: 30, is_device: false, watermark: 1 << 30 });
        assert_eq!(untyped.with_watermark(1 << 30), full);
        let second = untyped.with_incarnation((1 << 51) - 1);
        assert_eq!((second.untyped(), second.watermark()), (untyped.untyped(), untyped.watermark()));
        assert_eq!((second.0 >> 13, second.with_incarnation(0)), ((1 << 51) - 1, untyped));
        assert_eq!(second.whole_cnode_slot(0), None);
    }

    #[test]
    fn masks_and_data_of_words_are_those_of_capabilities() {
        for cap in all() {
            for rights in 0..16 {
                assert_eq!(words(cap).masked(Rights(rights)), words(cap.masked(Rights(rights))), "{cap:x?} {rights}");
            }
            for data in [0, 1, 63, 62 | (7 << 6), 52, u64::MAX] {
                for is_copy in [false, true] {
                    let expected = cap.with_data(data, is_copy).map(words);
                    assert_eq!(words(cap).with_data(data, is_copy), expected, "{cap:x?} {data}");
                }
            }
        }
    }
}
