//! Power off and reset through PSCI firmware; starts no cores yet.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::cpu;
use crate::device_tree::PsciConduit;

static CONDUIT: AtomicU8 = AtomicU8::new(NONE);

/// Remembers how firmware is called.
pub(crate) fn set_conduit(conduit: Option<PsciConduit>) {
    let code = match conduit {
        None => NONE,
        Some(PsciConduit::Hvc) => HVC,
        Some(PsciConduit::Smc) => SMC,
    };
    CONDUIT.store(code, Ordering::Relaxed);
}

/// Powers the machine off. Returns only where firmware cannot.
pub(crate) fn system_off() {
    call(SYSTEM_OFF);
}

/// Resets the machine. Returns only where firmware cannot.
pub(crate) fn system_reset() {
    call(SYSTEM_RESET);
}

fn call(function: u64) {
    match CONDUIT.load(Ordering::Relaxed) {
        HVC => _ = cpu::hypervisor_call(function),
        SMC => _ = cpu::secure_monitor_call(function),
        _ => {}
    }
}

const NONE: u8 = 0;
const HVC: u8 = 1;
const SMC: u8 = 2;
// Arm PSCI (DEN 0022) §5.9, §5.10.
const SYSTEM_OFF: u64 = 0x8400_0008;
const SYSTEM_RESET: u64 = 0x8400_0009;
