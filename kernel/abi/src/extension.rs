//! What HybridOS adds to the ABI: announced in boot info, dispensable for user space.

/// Id of the extra boot-info block ("HYBI"); payload: one word, the slot of the Platform capability.
pub const BOOT_BLOCK_ID: u64 = 0x4859_4249;

/// Platform capability: power the machine off; does not return.
pub const PLATFORM_SYSTEM_OFF: u64 = 0x4850;
/// Platform capability: reset the machine; does not return.
pub const PLATFORM_SYSTEM_RESET: u64 = 0x4851;
/// Platform capability: MR0 = 0/1, cap1 = TCB: whether that thread may program the EL1
/// physical timer (`CNTP_*`, interrupt 30) at EL0.
pub const PLATFORM_TIMER_ACCESS: u64 = 0x4852;
/// Platform capability: MR0 = character for the kernel's own console; for fatal messages only.
pub const PLATFORM_PUT_CHAR: u64 = 0x4853;
