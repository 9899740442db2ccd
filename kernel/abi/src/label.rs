//! Invocation labels: which operation a message to a kernel object asks for.

crate::constants! { u64:
    /// Make objects from untyped memory.
    UNTYPED_RETYPE = 1,
    /// Read a thread's registers.
    TCB_READ_REGISTERS = 2,
    /// Write a thread's registers.
    TCB_WRITE_REGISTERS = 3,
    /// Copy registers between threads.
    TCB_COPY_REGISTERS = 4,
    /// Set CSpace, VSpace and IPC buffer.
    TCB_CONFIGURE = 5,
    /// Set the priority.
    TCB_SET_PRIORITY = 6,
    /// Set the maximum controlled priority.
    TCB_SET_MC_PRIORITY = 7,
    /// Set MCP, priority, scheduling context and fault handler.
    TCB_SET_SCHED_PARAMS = 8,
    /// Set the timeout handler.
    TCB_SET_TIMEOUT_ENDPOINT = 9,
    /// Set the IPC buffer.
    TCB_SET_IPC_BUFFER = 10,
    /// Set fault handler, CSpace and VSpace.
    TCB_SET_SPACE = 11,
    /// Stop a thread.
    TCB_SUSPEND = 12,
    /// Start a stopped thread.
    TCB_RESUME = 13,
    /// Bind a notification to a thread.
    TCB_BIND_NOTIFICATION = 14,
    /// Undo the binding.
    TCB_UNBIND_NOTIFICATION = 15,
    /// Set `TPIDR_EL0`.
    TCB_SET_TLS_BASE = 16,
    /// Change a thread's flags.
    TCB_SET_FLAGS = 17,
    /// Delete everything derived from a slot.
    CNODE_REVOKE = 18,
    /// Empty a slot.
    CNODE_DELETE = 19,
    /// Restart the senders of one badge.
    CNODE_CANCEL_BADGED_SENDS = 20,
    /// Copy a capability, reducing rights.
    CNODE_COPY = 21,
    /// Copy a capability, setting a badge or guard.
    CNODE_MINT = 22,
    /// Move a capability.
    CNODE_MOVE = 23,
    /// Move a capability, setting a guard.
    CNODE_MUTATE = 24,
    /// Move two capabilities at once.
    CNODE_ROTATE = 25,
    /// Get the handler of an interrupt.
    IRQ_ISSUE_HANDLER = 26,
    /// Let the interrupt fire again.
    IRQ_ACK = 27,
    /// Set the notification of an interrupt.
    IRQ_SET_HANDLER = 28,
    /// Remove it.
    IRQ_CLEAR_HANDLER = 29,
    /// Set a thread's domain.
    DOMAIN_SET_SET = 30,
    /// Write one entry of the domain schedule.
    DOMAIN_SCHEDULE_CONFIGURE = 31,
    /// Choose the first entry of the domain schedule.
    DOMAIN_SCHEDULE_SET_START = 32,
    /// Give a scheduling context budget and period.
    SCHED_CONTROL_CONFIGURE_FLAGS = 33,
    /// Bind a scheduling context to a thread or notification.
    SCHED_CONTEXT_BIND = 34,
    /// Remove all bindings.
    SCHED_CONTEXT_UNBIND = 35,
    /// Remove one binding.
    SCHED_CONTEXT_UNBIND_OBJECT = 36,
    /// Read and reset the consumed time.
    SCHED_CONTEXT_CONSUMED = 37,
    /// Run the thread of a scheduling context now.
    SCHED_CONTEXT_YIELD_TO = 38,
    /// Clean a range to RAM, by virtual address.
    VSPACE_CLEAN_DATA = 39,
    /// Invalidate a range.
    VSPACE_INVALIDATE_DATA = 40,
    /// Clean and invalidate a range.
    VSPACE_CLEAN_INVALIDATE_DATA = 41,
    /// Make a range's instructions visible.
    VSPACE_UNIFY_INSTRUCTION = 42,
    /// Install a page table.
    PAGE_TABLE_MAP = 44,
    /// Remove a page table.
    PAGE_TABLE_UNMAP = 45,
    /// Map a frame.
    PAGE_MAP = 46,
    /// Unmap a frame.
    PAGE_UNMAP = 47,
    /// Clean part of a frame.
    PAGE_CLEAN_DATA = 48,
    /// Invalidate part of a frame.
    PAGE_INVALIDATE_DATA = 49,
    /// Clean and invalidate part of a frame.
    PAGE_CLEAN_INVALIDATE_DATA = 50,
    /// Make a frame's instructions visible.
    PAGE_UNIFY_INSTRUCTION = 51,
    /// Physical address of a frame.
    PAGE_GET_ADDRESS = 52,
    /// Make an ASID pool.
    ASID_CONTROL_MAKE_POOL = 53,
    /// Give a VSpace an ASID.
    ASID_POOL_ASSIGN = 54,
    /// Get the handler of an interrupt and set its trigger.
    IRQ_ISSUE_HANDLER_TRIGGER = 55,
    /// Make an SGI-signal capability (single-core kernels).
    IRQ_ISSUE_SGI_SIGNAL = 56,
    /// Get the handler of an interrupt on a core (kernels for several cores).
    IRQ_ISSUE_HANDLER_TRIGGER_CORE = 56,
}
