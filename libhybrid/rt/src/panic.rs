//! What happens when a component gives up: one message, then a fault that securityd sees.
use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use hybrid_sys::{Platform, breakpoint};

static IS_PANICKING: AtomicBool = AtomicBool::new(false);
/// Slot of the platform capability of a root task; 0 in components.
static CONSOLE: AtomicU64 = AtomicU64::new(0);

/// Root tasks have no log: their message goes to the kernel's console.
pub(crate) fn set_console(platform: Platform) {
    CONSOLE.store(platform.0.0, Ordering::Relaxed);
}

struct Console(Platform);

impl Write for Console {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        text.bytes().try_for_each(|byte| self.0.put_char(byte)).map_err(|_| core::fmt::Error)
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // A panic while reporting one is only the fault.
    if !IS_PANICKING.swap(true, Ordering::Relaxed) {
        match CONSOLE.load(Ordering::Relaxed) {
            0 => log::error!(target: "panic", "{info}"),
            slot => {
                let _nobody_else_to_tell = writeln!(Console(Platform::at(slot)), "root task: {info}");
            }
        }
    }
    breakpoint()
}
