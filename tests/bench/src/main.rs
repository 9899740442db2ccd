//! A root task that counts the instructions of the kernel's paths.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

mod counter;
mod events;
mod ipc;
mod objects;
mod rounds;
mod rows;
mod scale;
mod world;

use libhybrid::sys::boot::Boot;
use libhybrid::sys::{Platform, count_per_second, count_virtual};

// Small, since the kernel fills this memory before the program runs, and that is one of the rows.
libhybrid::root_task!(run, stack = 32768, heap = 32768);

#[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "a host is no root task"))]
fn run(boot: Boot) -> ! {
    // With `-icount shift=0` one instruction is one nanosecond of this counter, which began to count at power-on.
    let boot_ns = count_virtual().saturating_mul(1_000_000_000) / count_per_second().max(1);
    let Some(platform) = boot.platform() else { libhybrid::stop() };
    let mut out = Output(platform);
    match rows::measure_all(boot, platform, boot_ns, &mut out) {
        Ok(()) => out.line("bench: done"),
        Err(error) => out.line(&alloc::format!("bench: FAILED {error:?}")),
    }
    let _ = platform.system_off();
    libhybrid::stop()
}

/// The kernel's console.
struct Output(Platform);

impl Output {
    fn line(&mut self, text: &str) {
        for byte in text.bytes().chain(*b"\r\n") {
            // Nobody is left to tell if the console refuses.
            let _ = self.0.put_char(byte);
        }
    }
}
