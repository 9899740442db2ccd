//! Start, list of tests, report.

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use hybrid_sys::boot::Boot;
use hybrid_sys::{Platform, buffer};

use crate::tests::ALL;
use crate::world::{Failure, Outcome, World};

core::arch::global_asm!(
    include_str!("entry.s"),
    ".bss",
    ".balign 16",
    ".global START_REGISTERS",
    "START_REGISTERS: .skip 272"
);

/// One test.
pub(crate) type Test = (&'static str, fn(&World) -> Outcome);

#[unsafe(no_mangle)]
extern "C" fn suite_main() -> ! {
    let address = start_register(0);
    // SAFETY: x0 is the address of boot info, which nobody writes.
    let boot = unsafe { Boot::from_address(address as usize) };
    // SAFETY: the kernel mapped the IPC buffer there for good.
    unsafe { buffer::set_address(boot.info.ipc_buffer as usize) };
    let Some(platform) = boot.platform() else { hybrid_sys::breakpoint() };
    let world = World::new(boot, platform);
    let mut out = Output(platform);
    let mut failed = 0;
    let is_wanted = |name: &str| option_env!("SUITE_ONLY").is_none_or(|part| name.contains(part));
    for (name, test) in ALL.iter().flat_map(|group| group.iter()).filter(|(name, _)| is_wanted(name)) {
        let _ = write!(out, "test {name} ... ");
        let outcome = world.open().map_err(Failure::from).and_then(|()| test(&world));
        let outcome = outcome.and(world.close().map_err(Failure::from));
        let _ = match outcome {
            Ok(()) => writeln!(out, "ok"),
            Err(failure) => {
                failed += 1;
                writeln!(out, "FAILED: {failure}\nSUITE FAIL: {name}")
            }
        };
    }
    if failed == 0 {
        let _ = writeln!(out, "SUITE PASS");
    } else {
        let _ = writeln!(out, "SUITE FAIL: {failed} tests");
    }
    end(platform)
}

/// Register `x<index>` (31 SP, 32 NZCV, 33 TPIDRRO_EL0) as it was at the first instruction.
pub(crate) fn start_register(index: usize) -> u64 {
    assert!(index < 34);
    let registers = (&raw const START_REGISTERS).cast::<u64>();
    // SAFETY: the index is one of the 34 words.
    let register = unsafe { registers.add(index) };
    // SAFETY: an aligned word, written once before Rust ran.
    unsafe { register.read_volatile() }
}

fn end(platform: Platform) -> ! {
    loop {
        let _ = platform.system_off();
    }
}

struct Output(Platform);

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().try_for_each(|byte| self.0.put_char(byte)).map_err(|_| fmt::Error)
    }
}

#[panic_handler]
fn panicked(info: &PanicInfo<'_>) -> ! {
    // The only thread that may panic is the first one: boot info is where it was.
    // SAFETY: as in `suite_main`.
    let boot = unsafe { Boot::from_address(start_register(0) as usize) };
    let Some(platform) = boot.platform() else { hybrid_sys::breakpoint() };
    let _ = writeln!(Output(platform), "\nSUITE FAIL: {info}");
    end(platform)
}

unsafe extern "C" {
    static START_REGISTERS: u8;
}
