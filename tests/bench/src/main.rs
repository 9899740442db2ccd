//! A root task that counts the instructions of the kernel's main paths.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

mod counter;
mod paths;
mod world;

use libhybrid::sys::Platform;
use libhybrid::sys::boot::Boot;

libhybrid::root_task!(run, stack = 65536, heap = 1 << 20);

#[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "a host is no root task"))]
fn run(boot: Boot) -> ! {
    let Some(platform) = boot.platform() else { libhybrid::stop() };
    let mut out = Output(platform);
    match paths::measure_all(boot, platform, &mut out) {
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
