//! Limits and time constants that user space is compiled with.

/// Objects of one Retype.
pub const RETYPE_FAN_OUT: u64 = 256;
/// Work units between two looks for a pending preemption.
pub const WORK_UNITS_PER_PREEMPTION: u32 = 100;
/// log2 of the bytes of one work unit of zeroing.
pub const RESET_CHUNK_BITS: u32 = 8;
/// Entries of the boot-info untyped list.
pub const BOOT_UNTYPED_CAPS: usize = 230;
/// Scheduling domains.
pub const DOMAINS: u64 = 1;
/// Entries of the domain schedule.
pub const DOMAIN_SCHEDULES: u64 = 2;
/// Radix of the initial thread's CNode, unless the machine asks for more or the image needs more.
pub const ROOT_CNODE_BITS: u32 = 12;
/// Largest radix of the initial thread's CNode.
pub const ROOT_CNODE_BITS_MAX: u32 = 20;
/// Priorities 0…255.
pub const PRIORITIES: usize = 256;
/// Highest priority and MCP.
pub const MAX_PRIORITY: u8 = 255;
/// Smallest budget in µs, and the amount a thread needs to enter the kernel.
pub const MIN_BUDGET_US: u64 = 20;
/// Budget and period of the initial thread in ms.
pub const BOOT_TIME_SLICE_MS: u64 = 5;
/// Flag of `SCHED_CONTROL_CONFIGURE_FLAGS`: sporadic instead of constant bandwidth.
pub const SCHED_CONTEXT_SPORADIC: u64 = 1;
/// Highest interrupt number.
pub const MAX_IRQ: u64 = 159;
/// First shared peripheral interrupt.
pub const FIRST_SPI: u64 = 32;
/// Interrupt of the kernel's own timer (EL1 virtual timer).
pub const TIMER_IRQ: u64 = 27;
/// Software-generated interrupt that stops or asks another core (kernels for several cores).
pub const REMOTE_CALL_SGI: u32 = 0;
/// Software-generated interrupt that makes another core choose anew.
pub const RESCHEDULE_SGI: u32 = 1;
/// Highest software-generated interrupt.
pub const MAX_SGI: u64 = 15;
/// ASID pools.
pub const ASID_POOLS: usize = 128;
/// ASIDs of one pool.
pub const ASIDS_PER_POOL: usize = 512;
/// Flag of `TCB_SET_FLAGS`: FP/SIMD instructions fault.
pub const TCB_FLAG_FPU_DISABLED: u64 = 1;
/// Longest period in µs for a timer of `khz` ticks per millisecond.
#[must_use]
pub const fn max_period_us(khz: u64) -> u64 {
    match u64::MAX.checked_div(khz) {
        Some(ms) => ms / 8,
        None => 0,
    }
}

const _: () = assert!(max_period_us(62_500) == 0x218d_ef41_6bdb);
