//! The rights word of Copy, Mint and Page_Map, and the data word of CNode capabilities.

/// Rights of a capability; bits above 3 are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Rights(pub u64);

impl Rights {
    /// Send or signal; write access of a frame.
    pub const WRITE: Rights = Rights(1);
    /// Receive or wait; read access of a frame.
    pub const READ: Rights = Rights(2);
    /// Pass capabilities.
    pub const GRANT: Rights = Rights(4);
    /// Pass the right to reply once.
    pub const GRANT_REPLY: Rights = Rights(8);
    /// Everything.
    pub const ALL: Rights = Rights(15);
    /// Nothing.
    pub const NONE: Rights = Rights(0);

    /// True if every right of `other` is here too.
    #[must_use]
    pub const fn has(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// True if who has them may send what wants a reply, and be sent the reply.
    #[must_use]
    pub const fn may_be_answered(self) -> bool {
        self.0 & (Self::GRANT.0 | Self::GRANT_REPLY.0) != 0
    }

    /// Rights that are in both.
    #[must_use]
    pub const fn and(self, other: Rights) -> Rights {
        Rights(self.0 & other.0 & 15)
    }

    /// Rights that are in either.
    #[must_use]
    pub const fn or(self, other: Rights) -> Rights {
        Rights((self.0 | other.0) & 15)
    }
}

/// Guard of a CNode capability, packed as Mint's data word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct CNodeData(pub u64);

impl CNodeData {
    /// Packs a guard of `size` bits (0…63).
    #[must_use]
    pub const fn new(guard: u64, size: u32) -> Self {
        Self((guard << 6) | ((size as u64) & 63))
    }

    /// Guard size in bits.
    #[must_use]
    pub const fn guard_size(self) -> u32 {
        (self.0 & 63) as u32
    }

    /// Guard value, cut to its size.
    #[must_use]
    pub const fn guard(self) -> u64 {
        (self.0 >> 6) & ((1u64 << (self.0 & 63)) - 1)
    }
}
