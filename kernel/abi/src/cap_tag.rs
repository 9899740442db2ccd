//! Capability type tags, visible only through the debug call CapIdentify.

crate::constants! { u64:
    /// Empty slot.
    NULL = 0,
    /// Frame.
    FRAME = 1,
    /// Untyped memory.
    UNTYPED = 2,
    /// Page table.
    PAGE_TABLE = 3,
    /// Endpoint.
    ENDPOINT = 4,
    /// Notification.
    NOTIFICATION = 6,
    /// Reply object.
    REPLY = 8,
    /// Root page table.
    VSPACE = 9,
    /// CNode.
    CNODE = 10,
    /// ASID control.
    ASID_CONTROL = 11,
    /// Thread.
    TCB = 12,
    /// ASID pool.
    ASID_POOL = 13,
    /// Interrupt control.
    IRQ_CONTROL = 14,
    /// Interrupt handler.
    IRQ_HANDLER = 16,
    /// Half-deleted CNode or thread.
    ZOMBIE = 18,
    /// Domain.
    DOMAIN = 20,
    /// Scheduling context.
    SCHED_CONTEXT = 22,
    /// Scheduling control.
    SCHED_CONTROL = 24,
    /// SGI signal.
    SGI_SIGNAL = 27,
    /// HybridOS audit capability.
    AUDIT = 28,
    /// HybridOS platform capability.
    PLATFORM = 30,
}
