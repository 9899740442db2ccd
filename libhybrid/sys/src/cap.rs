//! Capability addresses and one type per kind of object; the methods are in the other files.

/// Address of a capability slot in the program's own capability space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct CPtr(pub u64);

impl CPtr {
    /// The slot that is always empty.
    pub const NULL: Self = Self(0);
}

macro_rules! kinds {
    ($( $(#[$doc:meta])* $name:ident, )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(transparent)]
        pub struct $name(pub CPtr);

        impl $name {
            /// Takes the capability at `slot` for one of this kind; the kernel checks at each use.
            #[must_use]
            pub const fn at(slot: u64) -> Self {
                Self(CPtr(slot))
            }

            /// Its address.
            #[must_use]
            pub const fn cptr(self) -> CPtr {
                self.0
            }
        }

        impl From<$name> for CPtr {
            fn from(cap: $name) -> Self {
                cap.0
            }
        }
    )*};
}

kinds! {
    /// Where messages are sent and received.
    Endpoint,
    /// A word of signal bits that one thread waits for.
    Notification,
    /// Remembers who called, for one reply.
    Reply,
    /// A table of capability slots.
    CNode,
    /// A thread.
    Tcb,
    /// A share of processor time.
    SchedContext,
    /// The right to fill scheduling contexts of one core.
    SchedControl,
    /// Memory that objects are made of.
    Untyped,
    /// The root page table of an address space.
    VSpace,
    /// A page table below the root.
    PageTable,
    /// A page of memory or device registers.
    Frame,
    /// 512 address-space identifiers.
    AsidPool,
    /// The right to make ASID pools.
    AsidControl,
    /// The right to make interrupt handlers.
    IrqControl,
    /// One interrupt.
    IrqHandler,
    /// The right to set a thread's domain.
    Domain,
    /// Power and timer access; an addition of HybridOS.
    Platform,
    /// The list of all capabilities; an addition of HybridOS.
    Audit,
}
