//! Object types of `UNTYPED_RETYPE` and the sizes of all objects.

crate::numbered! {
    /// Type number of an object that Retype makes.
    ObjectType {
        /// Memory to make other objects from; size argument = bits, 4…47.
        Untyped = 0,
        /// Thread.
        Tcb = 1,
        /// Endpoint.
        Endpoint = 2,
        /// Notification.
        Notification = 3,
        /// Table of capabilities; size argument = log2 of the slots.
        CapTable = 4,
        /// Scheduling context; size argument = bits, at least 7.
        SchedContext = 5,
        /// Reply object.
        Reply = 6,
        /// Frame of 1 GiB.
        HugePage = 7,
        /// Root page table.
        VSpace = 8,
        /// Frame of 4 KiB.
        SmallPage = 9,
        /// Frame of 2 MiB.
        LargePage = 10,
        /// Page table of any other level.
        PageTable = 11,
    }
}

impl ObjectType {
    /// log2 of the object's bytes for this size argument (which must be < 64).
    #[must_use]
    pub const fn size_bits(self, argument: u32) -> u32 {
        match self {
            Self::Untyped | Self::SchedContext => argument,
            Self::Tcb => TCB_BITS,
            Self::Endpoint => ENDPOINT_BITS,
            Self::Notification => NOTIFICATION_BITS,
            Self::CapTable => argument + SLOT_BITS,
            Self::Reply => REPLY_BITS,
            Self::HugePage => HUGE_PAGE_BITS,
            Self::VSpace | Self::PageTable => PAGE_TABLE_BITS,
            Self::SmallPage => PAGE_BITS,
            Self::LargePage => LARGE_PAGE_BITS,
        }
    }
}

/// log2 bytes of a slot.
pub const SLOT_BITS: u32 = 5;
/// log2 bytes of a thread.
pub const TCB_BITS: u32 = 11;
/// log2 bytes of an endpoint.
pub const ENDPOINT_BITS: u32 = 4;
/// log2 bytes of a notification.
pub const NOTIFICATION_BITS: u32 = 6;
/// log2 bytes of a reply object.
pub const REPLY_BITS: u32 = 5;
/// log2 bytes of the smallest scheduling context.
pub const SCHED_CONTEXT_MIN_BITS: u32 = 7;
/// log2 bytes of a small page.
pub const PAGE_BITS: u32 = 12;
/// log2 bytes of a large page.
pub const LARGE_PAGE_BITS: u32 = 21;
/// log2 bytes of a huge page.
pub const HUGE_PAGE_BITS: u32 = 30;
/// log2 bytes of a page table of any level.
pub const PAGE_TABLE_BITS: u32 = 12;
/// log2 bytes of an ASID pool.
pub const ASID_POOL_BITS: u32 = 12;
/// Smallest untyped.
pub const UNTYPED_MIN_BITS: u32 = 4;
/// Largest untyped.
pub const UNTYPED_MAX_BITS: u32 = 47;
/// Bytes of a scheduling context before its refills.
pub const SCHED_CONTEXT_CORE_BYTES: u64 = 96;
/// Bytes of one refill.
pub const REFILL_BYTES: u64 = 16;

/// Refills that a scheduling context of `2^bits` bytes holds (0 if too small).
#[must_use]
pub const fn sched_context_refills(bits: u32) -> u64 {
    match 1u64.checked_shl(bits) {
        Some(bytes) => bytes.saturating_sub(SCHED_CONTEXT_CORE_BYTES) / REFILL_BYTES,
        None => 0,
    }
}

const _: () =
    assert!(sched_context_refills(7) == 2 && sched_context_refills(8) == 10 && sched_context_refills(12) == 250);
