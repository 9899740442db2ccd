//! Start, the list of tests, the report, and a watchdog over tests that hang.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use hybrid_sys::abi::register::Register;
use hybrid_sys::boot::Boot;
use hybrid_sys::{
    Attributes, CNodeData, CPtr, Error, Frame, ObjectType, PageTable, Platform, Registers, Resume, Rights,
    SchedContext, Tcb, TcbSpace, Untyped, buffer,
};

use crate::tests::ALL;
use crate::timer::CONTROL;
use crate::world::{Failure, Outcome, SPACE, World, share};

core::arch::global_asm!(
    include_str!("entry.s"),
    include_str!("probes.s"),
    ".bss",
    ".balign 16",
    ".global START_REGISTERS",
    "START_REGISTERS: .skip 272"
);

/// One test. Its name starts with the requirement that it shows: `c` a conformance line, `x` a vector, `s` a section of the ABI.
pub(crate) struct Test {
    /// Its name.
    pub(crate) name: &'static str,
    /// Further requirements that it shows.
    pub(crate) also: &'static [&'static str],
    /// What it cannot do without.
    pub(crate) needs: Needs,
    /// The test itself.
    pub(crate) run: fn(&World) -> Outcome,
}

/// What a test cannot do without.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing that is not always there.
    Nothing,
    /// More than one core.
    Cores,
    /// A kernel that is built for one core.
    KernelForOneCore,
    /// Time that is counted in instructions.
    ExactTime,
}

impl Needs {
    /// Why a test with this need is skipped; `None` if it is not.
    fn missing(self, world: &World) -> Option<&'static str> {
        let (reason, is_there) = match self {
            Self::Nothing => return None,
            Self::Cores => ("several cores", world.cores > 1),
            Self::KernelForOneCore => ("a kernel for one core", !is_kernel_for_several_cores(world)),
            Self::ExactTime => ("time that counts instructions", crate::timer::is_exact()),
        };
        (!is_there).then_some(reason)
    }
}

/// Only a kernel for several cores refuses GetTrigger for a private interrupt (kernel ABI §3.8).
pub(crate) fn is_kernel_for_several_cores(world: &World) -> bool {
    let slot = world.slot();
    let answer = CONTROL.issue_triggered(29, hybrid_sys::Trigger::Level, world.at(slot));
    let _ = world.at(slot).delete();
    answer == Err(Error::IllegalOperation)
}

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
    if let Err(error) = watch(&world) {
        let _ = writeln!(out, "SUITE FAIL: no watchdog: {error:?}");
        end(platform)
    }
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let is_wanted = |name: &str| option_env!("SUITE_ONLY").is_none_or(|part| name.contains(part));
    for test in ALL.iter().flat_map(|group| group.iter()).filter(|test| is_wanted(test.name)) {
        RUNNING.store(core::ptr::from_ref(test).cast_mut(), Ordering::Relaxed);
        let outcome = world.open().map_err(Failure::from).map(|()| test.needs.missing(&world));
        let _ = match outcome {
            Ok(Some(reason)) => {
                skipped += 1;
                let _ = writeln!(out, "skip {test}: needs {reason}");
                world.close()
            }
            outcome => {
                let outcome = outcome.and_then(|_| (test.run)(&world));
                match outcome.and(world.close().map_err(Failure::from)) {
                    Ok(()) => passed += 1,
                    Err(_) => failed += 1,
                }
                let _ = match outcome {
                    Ok(()) => writeln!(out, "ok {test}"),
                    Err(failure) => writeln!(out, "FAIL {test}: {failure}"),
                };
                Ok(())
            }
        };
        FINISHED.fetch_add(1, Ordering::Relaxed);
    }
    let all = passed + failed;
    let _ = match failed {
        0 => writeln!(out, "SUITE PASS {all}, {skipped} skipped"),
        _ => writeln!(out, "SUITE FAIL {failed} of {all}, {skipped} skipped"),
    };
    end(platform)
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        self.also.iter().try_for_each(|line| write!(f, " {line}"))
    }
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

static RUNNING: AtomicPtr<Test> = AtomicPtr::new(core::ptr::null_mut());
static FINISHED: AtomicU64 = AtomicU64::new(0);
/// The emulator may be slow, but no test takes this long.
const PATIENCE_US: u64 = 200_000_000;

/// Starts a thread that ends the suite when one test takes too long.
fn watch(world: &World) -> Result<(), Error> {
    let info = world.boot.info;
    let (bootstrap, _) = world.all_memory();
    let other = (info.untyped.start..info.untyped.end)
        .zip(&info.untyped_list)
        .filter(|(slot, entry)| entry.is_device == 0 && entry.size_bits >= 16 && *slot != bootstrap.cptr().0);
    let Some((memory, _)) = other.last() else { return Err(Error::NotEnoughMemory { free: 0 }) };
    let (memory, base) = (Untyped::at(memory), info.empty.end - 16);
    let make = |index: u64, kind, bits| memory.retype_into(kind, bits, crate::world::OWN, base + index);
    make(0, ObjectType::Tcb, 0)?;
    make(1, ObjectType::SchedContext, 8)?;
    make(2, ObjectType::SmallPage, 0)?;
    make(3, ObjectType::SmallPage, 0)?;
    let place = 0x7f00_0000_0000;
    for index in 0..3 {
        make(4 + index, ObjectType::PageTable, 0)?;
        PageTable::at(base + 4 + index).map(SPACE, place, Attributes::DATA)?;
    }
    Frame::at(base + 2).map(SPACE, place, Rights::ALL, Attributes::DATA)?;
    Frame::at(base + 3).map(SPACE, place + 0x2000, Rights::ALL, Attributes::DATA)?;
    let tcb = Tcb::at(base);
    tcb.configure(&TcbSpace {
        cspace: crate::world::OWN,
        cspace_data: CNodeData(0),
        vspace: SPACE,
        buffer: Some((place + 0x2000, Frame::at(base + 3))),
    })?;
    let time = SchedContext::at(base + 1);
    world.control(0).configure(time, &share(PATIENCE_US / 10, PATIENCE_US))?;
    tcb.set_sched_params(crate::world::SELF, 255, 255, time.cptr(), CPtr::NULL)?;
    let registers = Registers::default()
        .with(Register::Pc, watchdog as *const () as u64)
        .with(Register::Sp, place + 0x1000)
        .with(Register::X(0), world.platform.cptr().0)
        .with(Register::TpidrRo, place + 0x2000);
    tcb.write_registers(Resume::After, &registers)
}

/// Wakes once a period: each yield gives its budget up.
extern "C" fn watchdog(platform: u64) -> ! {
    let platform = Platform::at(platform);
    let mut seen = u64::MAX;
    loop {
        let finished = FINISHED.load(Ordering::Relaxed);
        if finished == seen {
            let test = RUNNING.load(Ordering::Relaxed);
            // SAFETY: it points to one of the tests, which are static.
            if let Some(test) = unsafe { test.as_ref() } {
                let _ = writeln!(Output(platform), "FAIL {test}: it hangs\nSUITE FAIL");
            }
            end(platform);
        }
        seen = finished;
        hybrid_sys::yield_now();
    }
}

fn end(platform: Platform) -> ! {
    loop {
        let _ = platform.system_off();
    }
}

pub(crate) struct Output(pub(crate) Platform);

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().try_for_each(|byte| self.0.put_char(byte)).map_err(|_| fmt::Error)
    }
}

#[panic_handler]
fn panicked(info: &PanicInfo<'_>) -> ! {
    // Boot info is where it was; the panicking thread is the first one, or one with the same capabilities.
    // SAFETY: as in `suite_main`.
    let boot = unsafe { Boot::from_address(start_register(0) as usize) };
    let Some(platform) = boot.platform() else { hybrid_sys::breakpoint() };
    let _ = writeln!(Output(platform), "\nSUITE FAIL: {info}");
    end(platform)
}

unsafe extern "C" {
    static START_REGISTERS: u8;
}
