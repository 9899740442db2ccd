//! Does the deed that its parameter names, and logs how that went.
#![cfg_attr(target_os = "none", no_std, no_main)]

use libhybrid::start::StartInfo;
use libhybrid::sys::{CPtr, Error};
use libhybrid::{Env, log};
use trespasser::Deed;

libhybrid::component!(run);

fn run(env: Env) -> ! {
    let deed = env.parameter("deed").and_then(Deed::parse);
    log::info!("{} tries: {deed:?}", env.name());
    match deed {
        Some(Deed::Capability) => invoke_all(env.start()),
        Some(Deed::Read(address)) => log::error!("BROKE OUT: read {:#x}", read(address)),
        Some(Deed::Write(address)) => {
            write(address);
            log::error!("BROKE OUT: wrote to {address:#x}");
        }
        Some(Deed::Beyond) => {
            let outcome = CPtr(SLOTS).invoke(0, &[], &[]);
            log::error!("BROKE OUT: a slot outside the capability space answered {outcome:?}");
        }
        Some(Deed::Syscall) => {
            unknown_syscall();
            log::error!("BROKE OUT: an unknown system call returned");
        }
        Some(Deed::Panic) => panic!("on purpose"),
        None => log::error!("the parameter `deed` names no deed"),
    }
    loop {
        let _bits = env.wait();
    }
}

/// Invokes every slot of the own capability space with the invocation labels of all objects.
fn invoke_all(start: &StartInfo) {
    let given = |slot: u64| {
        let mut slots = start.uses.iter().flat_map(|used| [used.slot, used.bell_out]).flatten();
        slots.any(|found| u64::from(found) == slot)
    };
    let mut refused = 0_u32;
    for slot in (0..SLOTS).filter(|slot| !given(*slot)) {
        for label in 0..80 {
            match CPtr(slot).invoke(label, &[0, 0, 0, 0], &[]) {
                Err(Error::InvalidCapability { .. } | Error::FailedLookup { .. } | Error::IllegalOperation) => {
                    refused += 1
                }
                other => log::error!("BROKE OUT: slot {slot}, label {label}: {other:?}"),
            }
        }
    }
    log::info!("{refused} invocations were refused");
}

/// A small component's capability space (docs/capabilities.md).
const SLOTS: u64 = 128;

fn read(address: usize) -> u64 {
    let place = core::ptr::with_exposed_provenance::<u64>(address);
    // SAFETY: not sound, and meant to be: the address is not mapped for this component, so the read faults. Were it
    // mapped, the volatile read of a plain integer would have no further effect in this process.
    unsafe { place.read_volatile() }
}

fn write(address: usize) {
    let place = core::ptr::with_exposed_provenance_mut::<u64>(address);
    // SAFETY: not sound, and meant to be: the page is not writable, so the write faults and nothing changes.
    unsafe { place.write_volatile(0) };
}

#[cfg(target_arch = "aarch64")]
fn unknown_syscall() {
    // SAFETY: the kernel knows no call 1000; it stops the thread. The registers it may change are declared.
    unsafe {
        core::arch::asm!("svc #0", inout("x7") 1000_u64 => _, out("x0") _, out("x1") _, out("x2") _, out("x3") _, out("x4") _, out("x5") _);
    }
}

#[cfg(not(target_arch = "aarch64"))]
fn unknown_syscall() {}
