//! The assembly between firmware and [`kernel_start`](crate::start); no Rust runs before it.
//!
//! The constants that the assembly uses are named here, with their sources.

use crate::descriptor::{self, KernelPage};

core::arch::global_asm!(
    ".set SCTLR_OFF, {sctlr_off}",
    ".set SCTLR_ON, {sctlr_on}",
    ".set TCR, {tcr}",
    ".set MAIR, {mair}",
    ".set PAGE_TEXT, {text}",
    ".set PAGE_RODATA, {rodata}",
    ".set PAGE_DATA, {data}",
    ".set BLOCK_TEXT, {block}",
    ".set SMP, {smp}",
    ".set SECONDARY_STACK, {stack}",
    include_str!("entry.s"),
    sctlr_off = const SCTLR_RES1,
    sctlr_on = const SCTLR_ON,
    tcr = const TCR,
    mair = const descriptor::MAIR,
    text = const descriptor::page(0, KernelPage::Text),
    rodata = const descriptor::page(0, KernelPage::ReadOnly),
    data = const descriptor::page(0, KernelPage::Normal),
    block = const descriptor::block(0, KernelPage::Text),
    smp = const cfg!(feature = "smp") as u32,
    stack = const crate::layout::SECONDARY_STACK,
);

/// Bits that are RES1 on ARMv8.0: LSMAOE, nTLSMD, SPAN, EIS, TSCXT, EOS.
const SCTLR_RES1: u64 = 1 << 29 | 1 << 28 | 1 << 23 | 1 << 22 | 1 << 20 | 1 << 11;

/// The EL0 environment of kernel-abi §6.8. WXN stays clear: decision 0022.
///
/// M, C, I on; SA (EL1 stack alignment) on; SED; UCT, UCI (cache maintenance and CTR_EL0 from EL0), nTWI, nTWE (WFI, WFE from EL0).
/// Clear: A, SA0 (no alignment checks), DZE (DC ZVA traps), UMA (DAIF traps), E0E, EE.
const SCTLR_ON: u64 = SCTLR_RES1 | 1 << 26 | 1 << 18 | 1 << 16 | 1 << 15 | 1 << 12 | 1 << 8 | 1 << 3 | 1 << 2 | 1;

/// T0SZ = T1SZ = 16 (48 bits), 4 KiB granules, tables write-back and inner shareable. IPS and AS are added at run time.
const TCR: u64 = 16 | 1 << 8 | 1 << 10 | 3 << 12 | 16 << 16 | 1 << 24 | 1 << 26 | 3 << 28 | 2 << 30;
