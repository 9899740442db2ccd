//! Starting the other cores: how firmware is asked, their own first steps, and what becomes of those that do not come.
//!
//! The boot core starts one after the other and waits for each, before user space exists. A core that is too late parks itself.

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use hybrid_kernel_core::kernel::Kernel;

use crate::console::{Hex, say};
use crate::cores::CORES;
use crate::device_tree::{EnableMethod, Machine, Processor, REGIONS_MAX};
use crate::hardware::Hardware;
use crate::kernel_map::KernelMap;
use crate::layout::{self, PAGE_SIZE, SECONDARY_STACK, direct};
use crate::regions::{Range, RegionSet};
use crate::start::{Redistributors, has_wide_asids};
use crate::{cache, cpu, psci, run};

/// Stacks for further cores; each is used for one attempt only.
const STACKS: usize = CORES - 1;

/// A core that was asked to come.
struct Attempt {
    state: AtomicU8,
    /// The number that it gets.
    number: AtomicUsize,
}

static ATTEMPTS: [Attempt; STACKS] =
    [const { Attempt { state: AtomicU8::new(UNUSED), number: AtomicUsize::new(0) } }; STACKS];

/// Starts what can be started of the machine's cores; gives the number of cores in use, this one included.
pub(crate) fn start_all(
    kernel: &Kernel<Hardware>,
    map: &mut KernelMap,
    machine: &Machine,
    mapped: &RegionSet<REGIONS_MAX>,
    redistributors: &Redistributors,
) -> usize {
    forget_guard_pages(map);
    let own = cpu::affinity() & AFFINITY;
    let mut count = 1;
    let mut stacks = 0..STACKS;
    for core in machine.cpus.iter().flatten().filter(|core| core.affinity != own) {
        let Some(stack) = stacks.next() else { break };
        let redistributor = redistributors.iter().flatten().find(|(affinity, _)| *affinity == core.affinity);
        kernel.platform().expect_core(count, redistributor.map(|(_, registers)| *registers));
        ATTEMPTS[stack].number.store(count, Ordering::Relaxed);
        ATTEMPTS[stack].state.store(ASKED, Ordering::Release);
        let result = ask(map, machine, mapped, core, stack).and_then(|()| wait_for(stack));
        match result {
            Ok(()) => count += 1,
            Err(reason) => say!("  core ", Hex(core.affinity), " is left out: ", reason),
        }
    }
    count
}

fn ask(
    map: &mut KernelMap,
    machine: &Machine,
    mapped: &RegionSet<REGIONS_MAX>,
    core: &Processor,
    stack: usize,
) -> Result<(), &'static str> {
    let entry = map.image().start + (entry_of(stack) - layout::IMAGE_BASE);
    match core.method {
        EnableMethod::Psci if machine.psci.is_some() => match psci::start_core(core.affinity, entry) {
            0 => Ok(()),
            _ => Err("firmware refuses to start it"),
        },
        EnableMethod::Psci => Err("there is no PSCI firmware"),
        EnableMethod::SpinTable(address) => release(map, mapped, address, entry),
        EnableMethod::Unknown => Err("the device tree names no known way to start it"),
    }
}

/// Writes the entry point where the core polls for it.
fn release(map: &mut KernelMap, mapped: &RegionSet<REGIONS_MAX>, address: u64, entry: u64) -> Result<(), &'static str> {
    let word = Range::of_size(address, 8);
    if !address.is_multiple_of(8) || map.image().contains(&word) {
        return Err("its release address is damaged");
    }
    if mapped.contains(&word) {
        let place = core::ptr::with_exposed_provenance_mut::<u64>(direct(address));
        // SAFETY: aligned and in the direct map; by the device tree nothing else is there.
        unsafe { place.write_volatile(entry) };
        // SAFETY: the same word; whoever polls with the cache off must see it.
        unsafe { cache::maintain(hybrid_kernel_core::platform::CacheOperation::Clean, direct(address), 8) };
    } else {
        // Firmware's memory, which the kernel does not map otherwise: written past the caches.
        let page = Range { start: address & !(PAGE_SIZE - 1), end: (address & !(PAGE_SIZE - 1)) + PAGE_SIZE };
        // SAFETY: by the device tree only the core that polls uses this word, and no Rust object is in firmware's memory.
        let registers = unsafe { map.map_device(page) }.map_err(|_| "no table is left for its release address")?;
        registers.write_wide((address - page.start) as usize, entry);
    }
    cpu::dsb_sy();
    cpu::send_event();
    Ok(())
}

fn wait_for(stack: usize) -> Result<(), &'static str> {
    let state = &ATTEMPTS[stack].state;
    let start = cpu::virtual_count();
    let patience = cpu::counter_frequency() / 2;
    loop {
        match state.load(Ordering::Acquire) {
            UP => return Ok(()),
            REFUSED => return Err("it lacks 16-bit ASIDs or access to the interrupt controller"),
            // A core that has begun needs a bounded time: it is waited for, since it uses its number.
            ASKED if cpu::virtual_count().wrapping_sub(start) > patience => {
                if state.compare_exchange(ASKED, TOO_LATE, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                    return Err("it does not come within half a second");
                }
            }
            _ => cpu::let_others_run(),
        }
    }
}

/// Called by entry.s on another core, with the MMU on: number and end of its stack.
#[unsafe(no_mangle)]
extern "C" fn secondary_start(stack: u64, stack_end: u64) -> ! {
    let attempt = &ATTEMPTS[stack as usize % STACKS];
    if attempt.state.compare_exchange(ASKED, COMING, Ordering::AcqRel, Ordering::Acquire).is_err() {
        park()
    }
    let number = attempt.number.load(Ordering::Relaxed);
    // SAFETY: 1. entry.s made `stack_end`, page aligned, for this attempt alone. 2. Here only, once, before `join`.
    unsafe { cpu::set_core_word(stack_end + number as u64) };
    join(attempt, number)
}

/// Not inlined: nothing in it may be moved before the number was set.
#[inline(never)]
fn join(attempt: &Attempt, number: usize) -> ! {
    // SAFETY: the boot core installed the kernel before it asked for this core, and waits for it now.
    let kernel = unsafe { run::installed() };
    if !has_wide_asids() || !kernel.platform().start_core(number) {
        attempt.state.store(REFUSED, Ordering::Release);
        park()
    }
    attempt.state.store(UP, Ordering::Release);
    // SAFETY: installed; the lock keeps this core waiting until the boot core has booted.
    unsafe { run::join() }
}

fn park() -> ! {
    loop {
        cpu::wait_for_interrupt();
    }
}

fn forget_guard_pages(map: &mut KernelMap) {
    for stack in 0..STACKS as u64 {
        let guard = (&raw const secondary_stacks).addr() as u64 + stack * SECONDARY_STACK;
        // SAFETY: the page below a stack that nobody uses yet.
        unsafe { map.forget(guard, 1) };
    }
}

fn entry_of(stack: usize) -> u64 {
    let entry = match stack {
        0 => &raw const secondary_entry_0,
        1 => &raw const secondary_entry_1,
        _ => &raw const secondary_entry_2,
    };
    entry.addr() as u64
}

const UNUSED: u8 = 0;
const ASKED: u8 = 1;
const COMING: u8 = 2;
const UP: u8 = 3;
const REFUSED: u8 = 4;
const TOO_LATE: u8 = 5;
/// The affinity fields of MPIDR_EL1.
const AFFINITY: u64 = 0xff_00ff_ffff;

unsafe extern "C" {
    static secondary_stacks: u8;
    static secondary_entry_0: u8;
    static secondary_entry_1: u8;
    static secondary_entry_2: u8;
}
