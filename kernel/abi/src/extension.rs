//! What HybridOS adds to the ABI: announced in boot info, dispensable for user space.

/// Id of the extra boot-info block ("HYBI"); payload: two words, the slots of the Platform and of the Audit capability.
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

/// Audit capability: the next entries of the list of all capabilities. MR0 = 0: from its beginning; 1: from where the last call
/// ended. Answer: [`AUDIT_ENTRY_WORDS`] words for each of at most [`AUDIT_ENTRIES`] entries; none at the end.
pub const AUDIT_LIST: u64 = 0x4860;
/// Words of an entry: the slot's address with its flags R (bit 0) and F (bit 1), and the two words of the capability.
pub const AUDIT_ENTRY_WORDS: usize = 3;
/// Entries of one answer; 1 for a caller without an IPC buffer.
pub const AUDIT_ENTRIES: usize = 40;
