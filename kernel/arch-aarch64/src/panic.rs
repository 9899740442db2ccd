//! The end: says why on the console and stops the machine. Nothing here returns.

use core::fmt::Arguments;
use core::panic::PanicInfo;

use crate::console::say;
use crate::{cpu, psci};

/// Prints one sentence and stops; for a machine or a root task that this kernel cannot use.
pub(crate) fn stop(reason: Arguments<'_>) -> ! {
    say!("kernel: cannot go on: {reason}.");
    halt()
}

#[panic_handler]
fn panicked(info: &PanicInfo<'_>) -> ! {
    say!("\nkernel: {info}");
    halt()
}

/// Called by vectors.s when the kernel itself takes an exception.
#[unsafe(no_mangle)]
extern "C" fn report_kernel_exception(vector: u64, sp: u64, esr: u64, elr: u64, far: u64, spsr: u64, lr: u64) -> ! {
    say!("\nkernel: panicked: exception {vector} ({}) in the kernel", KINDS[(vector as usize) & 15]);
    say!("  esr {esr:#018x}  far {far:#018x}  spsr {spsr:#x}");
    say!("  pc  {elr:#018x}  lr  {lr:#018x}  sp {sp:#018x}");
    halt()
}

/// Powers off, or waits for ever where nothing can.
pub(crate) fn halt() -> ! {
    psci::system_off();
    loop {
        cpu::wait_for_interrupt();
    }
}

const KINDS: [&str; 16] = [
    "synchronous, SP_EL0",
    "IRQ, SP_EL0",
    "FIQ, SP_EL0",
    "SError, SP_EL0",
    "synchronous",
    "IRQ",
    "FIQ",
    "SError",
    "synchronous from EL0",
    "IRQ from EL0",
    "FIQ from EL0",
    "SError from EL0",
    "synchronous from AArch32",
    "IRQ from AArch32",
    "FIQ from AArch32",
    "SError from AArch32",
];
