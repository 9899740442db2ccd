//! The two words of a slot, read in place as one wanted type; bit fields.

use hybrid_abi::cap_tag as tag;
use hybrid_abi::rights::Rights;

use crate::cap::{FrameSize, Mapping, VmRights, ZombieKind, mapping_of};
use crate::object::{
    CNodeRef, EndpointRef, NotificationRef, PoolRef, ReplyRef, SchedContextRef, TableRef, TcbRef, Word,
};

/// The two words of a slot, read as the one type that is asked for: what the ways of every message use, where
/// building a whole [`Cap`] would cost more than all the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Words(pub(crate) u64, pub(crate) u64);

/// Fields of a CNode capability.
#[derive(Clone, Copy)]
pub(crate) struct CNode {
    pub(crate) at: CNodeRef,
    pub(crate) radix: u8,
    pub(crate) guard_size: u8,
    pub(crate) guard: u64,
}

/// Fields of a frame capability, without its mapping.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) base: u64,
    pub(crate) size: FrameSize,
    pub(crate) is_device: bool,
    pub(crate) rights: VmRights,
}

impl CNode {
    /// The words of the capability.
    pub(super) fn words(self) -> Words {
        let word0 = tag::CNODE | (u64::from(self.radix) << 5) | (self.at.paddr() << 16);
        if self.guard == 0 && self.guard_size != 0 && self.radix.wrapping_add(self.guard_size) == 64 {
            Words(word0 | WHOLE, 1u64.unbounded_shl(u32::from(self.radix)))
        } else {
            Words(word0 | (u64::from(self.guard_size) << 13), self.guard)
        }
    }
}

impl Words {
    /// The tag; 0 for an empty slot.
    #[inline(always)]
    pub(crate) fn tag(self) -> u64 {
        field(self.0, 0, 5)
    }

    /// The address of the object, if the capability has this tag.
    #[inline(always)]
    fn object(self, tag: u64) -> Option<u64> {
        (self.tag() == tag).then_some(at(self.0))
    }

    #[inline(always)]
    pub(crate) fn tcb(self) -> Option<TcbRef> {
        TcbRef::new(self.object(tag::TCB)?)
    }

    /// Of untyped memory: base, log2 of the bytes, device.
    #[inline(always)]
    pub(crate) fn untyped(self) -> (u64, u32, bool) {
        (self.1 & self.untyped_mask(), u32::from(byte(field(self.0, 6, 6))), field(self.0, 5, 1) != 0)
    }

    /// Of untyped memory: first free byte, as an offset.
    #[inline(always)]
    pub(crate) fn watermark(self) -> u64 {
        (self.1 & !self.untyped_mask() & !FULL).wrapping_add((self.1 & FULL) << 4)
    }

    /// Of untyped memory: the bits of an address that all of it has in common.
    #[inline(always)]
    pub(super) fn untyped_mask(self) -> u64 {
        u64::MAX << field(self.0, 6, 6)
    }

    /// The same untyped memory, begun to be used for the `n`-th time in the whole system: what is made from now on was never before
    /// (INV-LISTING-2). 51 bits: at one reset in a microsecond they last for 71 years. Bit 12 stays clear, see [`WHOLE`].
    #[inline(always)]
    pub(crate) fn with_incarnation(self, n: u64) -> Words {
        Words(field(self.0, 0, 12) | (n << 13), self.1)
    }

    /// The same untyped memory with another watermark.
    #[inline(always)]
    pub(crate) fn with_watermark(self, watermark: u64) -> Words {
        let mask = self.untyped_mask();
        let used = if watermark & mask == 0 { watermark } else { !mask & !15 | FULL };
        Words(self.0, self.1 & mask | used)
    }

    /// Of a frame or page table: where it is mapped.
    #[inline(always)]
    pub(crate) fn mapping(self) -> Option<Mapping> {
        mapping_of(self.1)
    }

    /// Of an interrupt handler: its place.
    #[inline(always)]
    pub(crate) fn irq(self) -> u32 {
        low32(self.1)
    }

    #[inline(always)]
    pub(crate) fn sched_context(self) -> Option<SchedContextRef> {
        SchedContextRef::new(self.object(tag::SCHED_CONTEXT)?)
    }

    /// Of the right to raise an SGI: its number, and the target word of the interrupt controller.
    pub(crate) fn sgi(self) -> (u8, u32) {
        (byte(self.1), low32(self.1 >> 32))
    }

    /// Of an ASID pool: the object, and the number of the pool.
    pub(crate) fn pool(self) -> Option<(PoolRef, u8)> {
        Some((PoolRef::new(self.object(tag::ASID_POOL)?)?, byte(self.1)))
    }

    #[inline(always)]
    fn rights(self) -> Rights {
        Rights(field(self.0, 5, 4))
    }

    #[inline(always)]
    pub(crate) fn endpoint(self) -> Option<(EndpointRef, u64, Rights)> {
        Some((EndpointRef::new(self.object(tag::ENDPOINT)?)?, self.1, self.rights()))
    }

    #[inline(always)]
    pub(crate) fn notification(self) -> Option<(NotificationRef, u64, Rights)> {
        Some((NotificationRef::new(self.object(tag::NOTIFICATION)?)?, self.1, self.rights()))
    }

    /// Endpoint and badge, if a call may be sent to it and be replied to.
    #[inline(always)]
    pub(crate) fn callable_endpoint(self) -> Option<(u64, u64)> {
        let is_callable = self.is_with(tag::ENDPOINT, Rights::WRITE) && self.rights().may_be_answered();
        is_callable.then_some((at(self.0), self.1))
    }

    /// Endpoint, if messages may be received from it.
    #[inline(always)]
    pub(crate) fn readable_endpoint(self) -> Option<u64> {
        self.is_with(tag::ENDPOINT, Rights::READ).then_some(at(self.0))
    }

    /// Endpoint and badge, if messages may be sent to it.
    #[inline(always)]
    pub(crate) fn writable_endpoint(self) -> Option<(u64, u64)> {
        self.is_with(tag::ENDPOINT, Rights::WRITE).then_some((at(self.0), self.1))
    }

    /// Notification and badge, if it may be signalled.
    #[inline(always)]
    pub(crate) fn writable_notification(self) -> Option<(u64, u64)> {
        self.is_with(tag::NOTIFICATION, Rights::WRITE).then_some((at(self.0), self.1))
    }

    /// Notification, if signals may be received from it.
    #[inline(always)]
    pub(crate) fn readable_notification(self) -> Option<u64> {
        self.is_with(tag::NOTIFICATION, Rights::READ).then_some(at(self.0))
    }

    /// Reply object.
    #[inline(always)]
    pub(crate) fn reply_at(self) -> Option<u64> {
        self.object(tag::REPLY)
    }

    #[inline(always)]
    fn is_with(self, tag: u64, right: Rights) -> bool {
        self.0 & (0x1f | (right.0 << 5)) == tag | (right.0 << 5)
    }

    /// The object, and whether replies may carry capabilities.
    #[inline(always)]
    pub(crate) fn reply(self) -> Option<(ReplyRef, bool)> {
        Some((ReplyRef::new(self.object(tag::REPLY)?)?, field(self.0, 5, 1) != 0))
    }

    #[inline(always)]
    pub(crate) fn cnode(self) -> Option<CNode> {
        let at = CNodeRef::new(self.object(tag::CNODE)? & !15)?;
        let radix = byte(field(self.0, 5, 6));
        let (guard_size, guard) =
            if self.0 & WHOLE == 0 { (byte(field(self.0, 13, 6)), self.1) } else { (64u8.wrapping_sub(radix), 0) };
        Some(CNode { at, radix, guard_size, guard })
    }

    /// The address of a CPtr's slot, if this is a CNode that resolves all 64 bits alone, with a guard of zeros; for a slot that holds a
    /// CNode, what is left of one, or nothing (no other capability has this bit).
    #[inline(always)]
    pub(crate) fn whole_cnode_slot(self, cptr: u64) -> Option<u64> {
        if self.0 & WHOLE == 0 || cptr >= self.1 {
            return None;
        }
        Some(at(self.0).wrapping_add(cptr.wrapping_mul(SLOT_BYTES)))
    }

    /// Of a slot that holds an address space or nothing: what [`crate::platform::Platform::set_address_space`] takes.
    #[inline(always)]
    pub(crate) fn space(self) -> u64 {
        self.1
    }

    /// Root table and ASID (0 = none).
    #[inline(always)]
    pub(crate) fn vspace(self) -> Option<(TableRef, u16)> {
        Some((TableRef::new(self.object(tag::VSPACE)?)?, half(self.1 >> 48)))
    }

    /// Of a slot that holds a frame of RAM or nothing: its base, if the kernel may read (or write) messages there.
    #[inline(always)]
    pub(crate) fn buffer(self, for_writing: bool) -> Option<u64> {
        let rights = field(self.0, 7, 2);
        (rights >= if for_writing { READ_WRITE } else { READ_ONLY }).then_some(at(self.0))
    }

    #[inline(always)]
    pub(crate) fn frame(self) -> Option<Frame> {
        Some(Frame {
            base: self.object(tag::FRAME)?,
            size: FrameSize::from_word(field(self.0, 5, 2)),
            is_device: field(self.0, 9, 1) != 0,
            rights: VmRights::from_word(field(self.0, 7, 2)),
        })
    }

    /// Of what is being taken apart: what it was.
    pub(super) fn zombie_kind(self) -> ZombieKind {
        ZombieKind::from_field(field(self.0, 5, 11))
    }
}

#[inline]
pub(super) const fn field(word: u64, shift: u32, bits: u32) -> u64 {
    (word >> shift) & !(u64::MAX << bits)
}

/// Bit of a CNode capability's word 0: it resolves all 64 bits of an address alone, by a guard of zeros. Then bits 13 to 19 are 0
/// and word 1 is the number of slots: the first CPtr that it does not resolve. A zombie of a CNode or thread has this bit clear; one of an
/// endpoint may have it, but its word 1 is 0, so it resolves nothing.
const WHOLE: u64 = 1 << 12;
/// Of untyped memory, in word 1: not one byte is free.
const FULL: u64 = 1;
const READ_ONLY: u64 = 1;
const READ_WRITE: u64 = 2;
const SLOT_BYTES: u64 = 1 << hybrid_abi::object::SLOT_BITS;

/// The address in a word 0. Of a CNode the bits 0 to 3 are still to be cleared: part of the guard's size (no other has anything there).
#[inline]
pub(super) const fn at(word0: u64) -> u64 {
    word0 >> 16
}

#[inline]
pub(super) fn byte(word: u64) -> u8 {
    word.to_le_bytes()[0]
}

#[inline]
pub(super) fn half(word: u64) -> u16 {
    let bytes = word.to_le_bytes();
    u16::from_le_bytes([bytes[0], bytes[1]])
}

#[inline]
pub(super) fn low32(word: u64) -> u32 {
    let bytes = word.to_le_bytes();
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
