//! Slots of the initial thread's root CNode.

/// Initial thread.
pub const TCB: u64 = 1;
/// The root CNode itself.
pub const CNODE: u64 = 2;
/// Root page table.
pub const VSPACE: u64 = 3;
/// Interrupt control.
pub const IRQ_CONTROL: u64 = 4;
/// ASID control.
pub const ASID_CONTROL: u64 = 5;
/// ASID pool 0.
pub const ASID_POOL: u64 = 6;
/// Boot-info frame.
pub const BOOT_INFO: u64 = 9;
/// IPC-buffer frame.
pub const IPC_BUFFER: u64 = 10;
/// Domain control.
pub const DOMAIN: u64 = 11;
/// Scheduling context of the initial thread.
pub const SCHED_CONTEXT: u64 = 14;
/// First slot whose content boot info describes.
pub const FIRST_DYNAMIC: u64 = 16;
