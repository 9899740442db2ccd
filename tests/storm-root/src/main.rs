//! A root task that storms the kernel from sandboxes; tests no single rule (that is tests/suite).
//!
//! First the operations whose length depends on the user (`worst`), for the latency table; then rounds of random system calls
//! (`wild`) in sandboxes that hold every kind of object, while the warden here checks a pair of threads outside (`canary`).
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod canary;
#[cfg(target_os = "none")]
mod counter;
#[cfg(target_os = "none")]
mod dice;
#[cfg(target_os = "none")]
mod options;
#[cfg(target_os = "none")]
mod sandbox;
#[cfg(target_os = "none")]
mod warden;
#[cfg(target_os = "none")]
mod wild;
#[cfg(target_os = "none")]
mod world;
#[cfg(target_os = "none")]
mod worst;

libhybrid::root_task!(run, stack = 32768, heap = 4096);

#[cfg(target_os = "none")]
fn run(boot: libhybrid::sys::boot::Boot) -> ! {
    use core::fmt::Write as _;
    let Some(platform) = boot.platform() else { libhybrid::stop() };
    let mut out = world::Output(platform);
    let options = options::Options::of(boot);
    let _ = match warden::run(boot, &options, &mut out) {
        Ok(()) => writeln!(out, "STORM PASS"),
        Err(failure) => writeln!(out, "STORM FAIL: {failure}"),
    };
    let _ = platform.system_off();
    libhybrid::stop()
}
