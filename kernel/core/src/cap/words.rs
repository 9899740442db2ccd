//! The two words of a slot, read in place as one wanted type; bit fields.

use hybrid_abi::cap_tag as tag;
use hybrid_abi::rights::Rights;

use crate::cap::{FrameSize, VmRights};
use crate::object::{CNodeRef, EndpointRef, NotificationRef, ReplyRef, TableRef};

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

impl Words {
    #[inline(always)]
    fn has_tag(self, tag: u64) -> bool {
        field(self.0, 0, 5) == tag
    }

    #[inline(always)]
    fn rights(self) -> Rights {
        Rights(field(self.0, 5, 4))
    }

    #[inline(always)]
    pub(crate) fn endpoint(self) -> Option<(EndpointRef, u64, Rights)> {
        if !self.has_tag(tag::ENDPOINT) {
            return None;
        }
        Some((EndpointRef::new(at(self.0))?, self.1, self.rights()))
    }

    #[inline(always)]
    pub(crate) fn notification(self) -> Option<(NotificationRef, u64, Rights)> {
        if !self.has_tag(tag::NOTIFICATION) {
            return None;
        }
        Some((NotificationRef::new(at(self.0))?, self.1, self.rights()))
    }

    /// The object, and whether replies may carry capabilities.
    #[inline(always)]
    pub(crate) fn reply(self) -> Option<(ReplyRef, bool)> {
        if !self.has_tag(tag::REPLY) {
            return None;
        }
        Some((ReplyRef::new(at(self.0))?, field(self.0, 5, 1) != 0))
    }

    #[inline(always)]
    pub(crate) fn cnode(self) -> Option<CNode> {
        if !self.has_tag(tag::CNODE) {
            return None;
        }
        Some(CNode {
            at: CNodeRef::new(at(self.0))?,
            radix: byte(field(self.0, 5, 6)),
            guard_size: byte(field(self.0, 11, 6)),
            guard: self.1,
        })
    }

    /// Root table and ASID (0 = none).
    #[inline(always)]
    pub(crate) fn vspace(self) -> Option<(TableRef, u16)> {
        if !self.has_tag(tag::VSPACE) {
            return None;
        }
        Some((TableRef::new(at(self.0))?, half(self.1)))
    }

    #[inline(always)]
    pub(crate) fn frame(self) -> Option<Frame> {
        if !self.has_tag(tag::FRAME) {
            return None;
        }
        Some(Frame {
            base: at(self.0),
            size: match field(self.0, 5, 2) {
                0 => FrameSize::Small,
                1 => FrameSize::Large,
                _ => FrameSize::Huge,
            },
            is_device: field(self.0, 9, 1) != 0,
            rights: match field(self.0, 7, 2) {
                0 => VmRights::KernelOnly,
                1 => VmRights::ReadOnly,
                _ => VmRights::ReadWrite,
            },
        })
    }
}

#[inline]
pub(super) const fn field(word: u64, shift: u32, bits: u32) -> u64 {
    (word >> shift) & !(u64::MAX << bits)
}

#[inline]
pub(super) const fn at(word0: u64) -> u64 {
    (word0 >> 16) & !15
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
