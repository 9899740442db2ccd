//! The end: says why on the console and stops the machine. Nothing here returns.

use core::fmt::Write;
use core::panic::PanicInfo;

use crate::console::{Hex, Say, say};
use crate::{cpu, psci};

/// Prints one sentence, of the pieces that [`say`] takes, and stops; for a machine or a root task that this kernel cannot use.
macro_rules! stop {
    ($($piece:expr),*) => {{
        $crate::console::say!("kernel: cannot go on: ", $($piece,)* ".");
        $crate::panic::halt()
    }};
}

pub(crate) use stop;

/// Not linked as long as nothing can panic (`cargo xtask check panics`), so its use of `core::fmt` costs nothing.
#[panic_handler]
fn panicked(info: &PanicInfo<'_>) -> ! {
    struct Console;
    impl Write for Console {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            text.say();
            Ok(())
        }
    }
    // Printing cannot fail: `Console` always returns Ok.
    let _ = writeln!(Console, "\nkernel: {info}");
    halt()
}

/// Called by vectors.s when the kernel itself takes an exception.
#[unsafe(no_mangle)]
extern "C" fn report_kernel_exception(vector: u64, sp: u64, esr: u64, elr: u64, far: u64, spsr: u64, lr: u64) -> ! {
    let kind = ["synchronous", "IRQ", "FIQ", "SError"][vector as usize & 3];
    let from = [", SP_EL0", "", " from EL0", " from AArch32"][vector as usize >> 2 & 3];
    say!("\nkernel: panicked: exception ", vector, " (", kind, from, ") in the kernel");
    say!("  esr ", Hex(esr), "  far ", Hex(far), "  spsr ", Hex(spsr));
    say!("  pc  ", Hex(elr), "  lr  ", Hex(lr), "  sp ", Hex(sp));
    halt()
}

/// Powers off, or waits for ever where nothing can.
#[cold]
#[inline(never)]
pub(crate) fn halt() -> ! {
    psci::system_off();
    loop {
        cpu::wait_for_interrupt();
    }
}
