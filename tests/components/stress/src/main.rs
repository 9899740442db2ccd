//! Fires what the library chooses, and says how far it is.
#![cfg_attr(target_os = "none", no_std, no_main)]

use libhybrid::{Env, log};
use stress::{Dice, Shot};

libhybrid::component!(run);

/// A line in the log after so many calls.
const LINE_AFTER: u64 = 100_000;

fn run(env: Env) -> ! {
    let number = |name: &str, default: u64| env.parameter(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (seed, fault_after) = (number("seed", 1), number("fault_after", 0));
    log::info!("stress: seed {seed}, faults after {fault_after} calls (0: never)");
    let mut dice = Dice(seed);
    let mut calls = 0_u64;
    loop {
        if fault_after > 0 && calls >= fault_after {
            target::fault(&mut dice);
            target::fire(&Shot::wild(&mut dice));
        }
        target::fire(&Shot::careful(&mut dice));
        calls += 1;
        if fault_after == 0 && calls.is_multiple_of(LINE_AFTER) {
            log::info!("stress: {calls} calls");
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod target {
    use core::arch::asm;
    use libhybrid::sys::{CPtr, buffer};
    use stress::{Dice, Shot};

    /// Makes the call, with its words and capabilities in the IPC buffer.
    pub(super) fn fire(shot: &Shot) {
        for (index, word) in shot.words.iter().enumerate() {
            buffer::set_word(index + 4, *word);
        }
        for (index, cap) in shot.caps.iter().enumerate() {
            buffer::set_cap(index, CPtr(*cap));
        }
        let [mut x0, mut x1, mut x2, mut x3, mut x4, mut x5] = shot.registers;
        // SAFETY: no call that this component can make maps or unmaps its memory: it holds neither its address space nor its
        // frames. The kernel changes x0 to x5 and the IPC buffer, which is accessed volatile; or it stops the thread.
        unsafe {
            asm!(
                "svc #0",
                inout("x0") x0,
                inout("x1") x1,
                inout("x2") x2,
                inout("x3") x3,
                inout("x4") x4,
                inout("x5") x5,
                in("x6") shot.x6,
                in("x7") shot.number,
                in("x8") shot.x8,
            );
        }
        core::hint::black_box((x0, x1, x2, x3, x4, x5));
    }

    /// An exception, or none if the dice want a bad system call instead.
    #[expect(clippy::multiple_unsafe_ops_per_block, reason = "one argument for each way to fail")]
    pub(super) fn fault(dice: &mut Dice) {
        let place = dice.value();
        // SAFETY: not sound, and meant to be: this ends the component, or changes memory that is its own; it does nothing
        // afterwards that anybody relies on.
        unsafe {
            match dice.below(9) {
                0 => asm!("ldr {0}, [{0}]", inout(reg) place => _),
                1 => asm!("str {0}, [{0}]", in(reg) place),
                2 => asm!(".inst 0"),
                3 => asm!("brk #7"),
                4 => asm!("mov {0}, sp", "sub sp, sp, #24", "ldr xzr, [sp]", "mov sp, {0}", out(reg) _),
                5 => asm!("br {0}", in(reg) place, options(noreturn)),
                6 => asm!("hvc #0"),
                7 => asm!("mrs {0}, ttbr0_el1", out(reg) _),
                _ => {}
            }
        }
    }
}

#[cfg(not(target_arch = "aarch64"))]
mod target {
    use stress::{Dice, Shot};

    pub(super) fn fire(_: &Shot) {}
    pub(super) fn fault(_: &mut Dice) {}
}
