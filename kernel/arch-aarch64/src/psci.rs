//! Power off, reset and starting cores through PSCI firmware.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::cpu;
use crate::device_tree::PsciConduit;

static CONDUIT: AtomicU8 = AtomicU8::new(NONE);

/// Remembers how firmware is called.
pub(crate) fn set_conduit(conduit: Option<PsciConduit>) {
    CONDUIT.store(conduit.map_or(NONE, |conduit| conduit as u8), Ordering::Relaxed);
}

/// Powers the machine off. Returns only where firmware cannot.
pub(crate) fn system_off() {
    call(SYSTEM_OFF, 0, 0);
}

/// Resets the machine. Returns only where firmware cannot.
pub(crate) fn system_reset() {
    call(SYSTEM_RESET, 0, 0);
}

/// Starts the core with this affinity at a physical address. Gives firmware's error number, 0 for none.
#[cfg(feature = "smp")]
pub(crate) fn start_core(affinity: u64, entry: u64) -> i32 {
    call(CPU_ON, affinity, entry) as i32
}

fn call(function: u64, first: u64, second: u64) -> u64 {
    match CONDUIT.load(Ordering::Relaxed) {
        HVC => cpu::hypervisor_call(function, first, second),
        SMC => cpu::secure_monitor_call(function, first, second),
        _ => NOT_SUPPORTED,
    }
}

const NONE: u8 = 0;
const HVC: u8 = PsciConduit::Hvc as u8;
const SMC: u8 = PsciConduit::Smc as u8;
// Arm PSCI (DEN 0022) §5.9, §5.10, §5.6, §5.2.2.
const SYSTEM_OFF: u64 = 0x8400_0008;
const SYSTEM_RESET: u64 = 0x8400_0009;
#[cfg(feature = "smp")]
const CPU_ON: u64 = 0xc400_0003;
const NOT_SUPPORTED: u64 = -1i64 as u64;
