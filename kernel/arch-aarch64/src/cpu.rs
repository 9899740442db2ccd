//! One function per privileged instruction or system register; no sequences, no decisions.
//!
//! Soundness: see docs/kernel/soundness.md, "cpu". Functions here are safe where no value can break memory safety.

use core::arch::asm;

macro_rules! read_register {
    ($($(#[$doc:meta])* $name:ident = $register:literal;)*) => { $(
        $(#[$doc])*
        #[inline]
        pub(crate) fn $name() -> u64 {
            let value: u64;
            // SAFETY: reads a system register that exists where this is called; no side effect on memory.
            unsafe { asm!(concat!("mrs {}, ", $register), out(reg) value, options(nomem, nostack, preserves_flags)) };
            value
        }
    )* };
}

macro_rules! write_register {
    ($($(#[$doc:meta])* $name:ident = $register:literal;)*) => { $(
        $(#[$doc])*
        #[inline]
        pub(crate) fn $name(value: u64) {
            // SAFETY: this register controls what EL0 may do or when a timer fires; no value gives access to kernel memory.
            unsafe { asm!(concat!("msr ", $register, ", {}"), in(reg) value, options(nostack, preserves_flags)) };
        }
    )* };
}

macro_rules! instruction {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => { $(
        $(#[$doc])*
        #[inline]
        pub(crate) fn $name() {
            // SAFETY: a barrier, hint or invalidation of clean state; orders memory accesses and changes none.
            unsafe { asm!($text, options(nostack, preserves_flags)) };
        }
    )* };
}

macro_rules! by_address {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => { $(
        $(#[$doc])*
        ///
        /// # Safety
        /// 1. The address is mapped. 2. Losing or writing back that cache line is what the owner of the memory wants.
        #[inline]
        pub(crate) unsafe fn $name(address: u64) {
            // SAFETY: by the caller's promises 1 and 2.
            unsafe { asm!(concat!($text, ", {}"), in(reg) address, options(nostack, preserves_flags)) };
        }
    )* };
}

read_register! {
    /// Virtual counter.
    virtual_count = "cntvct_el0";
    /// Counter frequency in Hz.
    counter_frequency = "cntfrq_el0";
    /// Cache type.
    cache_type = "ctr_el0";
    /// Block size of DC ZVA.
    zero_block = "dczid_el0";
    /// Pending exceptions, whatever is masked.
    pending = "isr_el1";
    /// Affinity of this core.
    affinity = "mpidr_el1";
    /// Main ID.
    main_id = "midr_el1";
    /// Memory model features.
    memory_features = "id_aa64mmfr0_el1";
    /// Processor features.
    processor_features = "id_aa64pfr0_el1";
    /// Debug features.
    debug_features = "id_aa64dfr0_el1";
    /// Performance monitors: control.
    #[cfg(feature = "latency")]
    pmu_control = "pmcr_el0";
    /// Performance monitors: event counter 0.
    #[cfg(feature = "latency")]
    event_count = "pmevcntr0_el0";
    /// GICv3: acknowledge an interrupt of group 1.
    icc_acknowledge = "S3_0_C12_C12_0";
    /// GICv3: system register enable.
    icc_sre = "S3_0_C12_C12_5";
}

write_register! {
    /// Kernel timer: compare value.
    set_timer_compare = "cntv_cval_el0";
    /// Kernel timer: control.
    set_timer_control = "cntv_ctl_el0";
    /// EL1 physical timer: control.
    set_physical_timer_control = "cntp_ctl_el0";
    /// Which counters and timers EL0 may use.
    set_counter_access = "cntkctl_el1";
    /// Whether EL0 and EL1 may use FP and SIMD.
    set_fp_access = "cpacr_el1";
    /// Debug control.
    set_debug_control = "mdscr_el1";
    /// Whether EL0 may use the performance counters.
    set_pmu_access = "pmuserenr_el0";
    /// Performance monitors: control.
    #[cfg(feature = "latency")]
    set_pmu_control = "pmcr_el0";
    /// Performance monitors: what event counter 0 counts.
    #[cfg(feature = "latency")]
    set_event_type = "pmevtyper0_el0";
    /// Performance monitors: counters to enable.
    #[cfg(feature = "latency")]
    enable_counters = "pmcntenset_el0";
    /// Whether EL0 may use the activity monitors.
    set_amu_access = "S3_3_C13_C2_3";
    /// GICv3: system register enable.
    set_icc_sre = "S3_0_C12_C12_5";
    /// GICv3: priority mask.
    set_icc_priority_mask = "S3_0_C4_C6_0";
    /// GICv3: binary point, group 1.
    set_icc_binary_point = "S3_0_C12_C12_3";
    /// GICv3: control.
    set_icc_control = "S3_0_C12_C12_4";
    /// GICv3: group 1 enable.
    set_icc_group_enable = "S3_0_C12_C12_7";
    /// GICv3: end of interrupt, group 1.
    icc_end = "S3_0_C12_C12_1";
    /// GICv3: deactivate interrupt.
    icc_deactivate = "S3_0_C12_C11_1";
    /// GICv3: software generated interrupt, group 1.
    icc_software_interrupt = "S3_0_C12_C11_5";
}

instruction! {
    /// Instruction synchronization barrier.
    isb = "isb";
    /// Full-system data synchronization barrier.
    dsb_sy = "dsb sy";
    /// Inner-shareable data synchronization barrier.
    dsb_ish = "dsb ish";
    /// The same, for stores only.
    dsb_ishst = "dsb ishst";
    /// Says that this core polls; an emulator may let another one run.
    let_others_run = "yield";
    /// Wakes cores that wait for an event.
    #[cfg(feature = "smp")]
    send_event = "sev";
    /// Waits for an interrupt, masked or not.
    wait_for_interrupt = "wfi";
    /// Invalidates all instruction caches of the inner shareable domain.
    invalidate_instruction_caches = "ic ialluis";
    /// Invalidates all TLB entries of EL1 and EL0 of the inner shareable domain.
    invalidate_tlbs = "tlbi vmalle1is";
}

by_address! {
    /// Cleans a data line to the point of coherency.
    clean_line = "dc cvac";
    /// Cleans a data line to the point of unification.
    clean_line_to_unification = "dc cvau";
    /// Invalidates a data line to the point of coherency.
    invalidate_line = "dc ivac";
    /// Cleans and invalidates a data line to the point of coherency.
    clean_invalidate_line = "dc civac";
    /// Invalidates an instruction line to the point of unification.
    invalidate_instruction_line = "ic ivau";
    /// Writes zeros over a block of [`zero_block`] size.
    zero_line = "dc zva";
}

/// Invalidates the TLB entries of one ASID, all cores.
#[inline]
pub(crate) fn invalidate_asid(asid: u16) {
    // SAFETY: dropping TLB entries is always allowed; the next access walks the tables.
    unsafe { asm!("tlbi aside1is, {}", in(reg) u64::from(asid) << 48, options(nostack, preserves_flags)) };
}

/// Invalidates the TLB entries of one page in one ASID, all levels, all cores.
#[inline]
pub(crate) fn invalidate_page(asid: u16, address: u64) {
    let argument = u64::from(asid) << 48 | address >> 12 & 0xfff_ffff_ffff;
    // SAFETY: dropping TLB entries is always allowed; the next access walks the tables.
    unsafe { asm!("tlbi vae1is, {}", in(reg) argument, options(nostack, preserves_flags)) };
}

/// Makes `value` (ASID and root table) the user address space. Takes effect at the next context synchronization.
///
/// # Safety
/// The address part is that of a root table (or of zeros), and stays one as long as this is in effect.
#[inline]
pub(crate) unsafe fn set_user_space(value: u64) {
    // SAFETY: the kernel executes from TTBR1 only, and by the caller's promise the table maps nothing that user code must not have.
    unsafe { asm!("msr ttbr0_el1, {}", in(reg) value, options(nostack, preserves_flags)) };
}

macro_rules! firmware_call {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => { $(
        $(#[$doc])*
        pub(crate) fn $name(function: u64, first: u64, second: u64) -> u64 {
            let result: u64;
            // SAFETY: SMCCC: firmware preserves all but x0 to x17; the functions used here take no memory that it writes.
            unsafe {
                asm!($text, inout("x0") function => result, in("x1") first, in("x2") second, in("x3") 0, clobber_abi("C"));
            }
            result
        }
    )* };
}

firmware_call! {
    /// Calls firmware by `HVC #0` with a function number and two arguments.
    hypervisor_call = "hvc #0";
    /// Calls firmware by `SMC #0` with a function number and two arguments.
    secure_monitor_call = "smc #0";
}

/// The word that this core was given by [`set_core_word`]; 0 before.
#[inline(always)]
pub(crate) fn core_word() -> u64 {
    let value: u64;
    // SAFETY: reads a register; `pure` since it changes only once, before anything that asks for it is called.
    unsafe { asm!("mrs {}, tpidr_el1", out(reg) value, options(pure, nomem, nostack, preserves_flags)) };
    value
}

/// Sets what vectors.s takes for the kernel stack, plus the number of the core in the low bits.
///
/// # Safety
/// 1. The value is the end of a mapped stack that only this core uses, aligned to 16 bytes, plus the core's number. 2. Called once on
///    each core, before user code runs and before [`core_word`] is called.
#[cfg(feature = "smp")]
pub(crate) unsafe fn set_core_word(value: u64) {
    // SAFETY: by the caller's promises.
    unsafe { asm!("msr tpidr_el1, {}", in(reg) value, options(nostack, preserves_flags)) };
}
