//! The personality on the device: entry, the one door for system calls, and waiting; the logic is in `process`.
//!
//! State is behind one lock, in which no thread sleeps: [`Process`] says what is to be done, and it is done here afterwards. Calls of servers are
//! made under it; that of the entropy server waits until it is seeded.
#![expect(unsafe_code, reason = "the entry of a C program, its memory and its handlers")]

mod device;
mod lock;
mod unwind;

use crate::futex::Thread;
use crate::process::{Delivery, Ending};
use crate::start::{Start, auxiliary};
use crate::{Areas, Identity, Outcome, Process};
use device::Device;
use hybrid_start::Span;
use lock::Lock;

/// What of the heap the runtime below keeps for itself: start information, log, messages.
const RUNTIME_HEAP: usize = 64 * 1024;
const PAGE: u64 = crate::areas::PAGE;
/// Kept below the top of the stack for what the program finds there when it starts.
const START_BYTES: usize = 16 * 1024;

/// FP and ASIMD: what every processor of the architecture has, and all that programs are compiled for.
const HWCAP: u64 = 0b11;
/// Bytes of a program header.
const HEADER_BYTES: u64 = 56;

static SHELL: Lock<Option<Shell>> = Lock::new(None);

/// The program and its world.
pub(crate) struct Shell {
    process: Process<&'static mut [u8]>,
    device: Device,
}

// securityd set the stack pointer and put the address and length of the start information and the address of the IPC buffer into x0, x1 and x2.
// What C expects on the stack is laid out below its top while this runs further down.
core::arch::global_asm!(
    ".section .text.hybrid_start, \"ax\"",
    ".globl hybrid_start",
    ".type hybrid_start, %function",
    "hybrid_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "sub sp, sp, {room}",
    "bl {begin}",
    "mov sp, x0",
    "mov x29, xzr",
    "mov x30, xzr",
    "b _start",
    room = const START_BYTES,
    begin = sym begin,
);

unsafe extern "C" {
    /// The ELF header, which the linker puts at the start of the program.
    static __ehdr_start: u8;
    /// The end of the program.
    static _end: u8;
}

/// Takes over what the component was given; the program's stack pointer.
extern "C" fn begin(start: usize, len: usize, buffer: usize) -> u64 {
    // SAFETY: these are the registers as securityd set them, and this runs once.
    let (env, heap) = unsafe { hybrid_rt::program_entry(start, len, buffer, RUNTIME_HEAP) };
    let image = ((&raw const __ehdr_start).addr() as u64, (&raw const _end).addr() as u64);
    let info = env.start();
    let identity = Identity {
        instance: info.instance,
        name: &info.name,
        version: &info.version,
        stack: (info.stack.addr, info.stack.addr.saturating_add(info.stack.len)),
        threads: 1,
    };
    let areas = areas(heap);
    let mut device = Device::new(env, image, areas.span(), identity.stack);
    let stack = lay_out(&mut device, identity, image.0);
    SHELL.with(|shell| *shell = Some(Shell { process: Process::new(identity, areas), device }));
    stack
}

/// The heap's first pages hold the table of the others.
fn areas(heap: Span) -> Areas<&'static mut [u8]> {
    let pages = heap.len / PAGE;
    let table = pages.div_ceil(PAGE + 1).min(pages);
    let count = usize::try_from(pages - table).unwrap_or(0);
    let address = usize::try_from(heap.addr).unwrap_or(0);
    let slice = match core::ptr::NonNull::new(core::ptr::with_exposed_provenance_mut::<u8>(address)) {
        // SAFETY: the span is mapped, zeroed memory that nothing else uses (`program_entry`), and `table` pages hold `count` bytes.
        Some(base) => unsafe { core::slice::from_raw_parts_mut(base.as_ptr(), count) },
        None => &mut [],
    };
    Areas::new(heap.addr + table * PAGE, slice)
}

/// Arguments are the words of the parameter `args`; a parameter `env.NAME` is the variable NAME.
fn lay_out(device: &mut Device, identity: Identity, header: u64) -> u64 {
    let mut start = Start::new();
    let info = device.env.start();
    let args = info.parameter("args").unwrap_or_default().split_ascii_whitespace();
    let all = core::iter::once(identity.name).chain(args).all(|argument| start.argument(argument));
    let variables = info.parameters.iter().filter_map(|(key, value)| Some((key.strip_prefix("env.")?, value)));
    let all = variables.fold(all, |all, (name, value)| start.variable(name, value) && all);
    if !all {
        log::warn!(target: "posix", "not all arguments and variables fit: some are left out");
    }
    let user = u64::from(identity.instance);
    let pairs = [
        (auxiliary::PHDR, header + u64::from(device.header_half(header + 32))),
        (auxiliary::PHENT, HEADER_BYTES),
        (auxiliary::PHNUM, u64::from(device.header_half(header + 56))),
        (auxiliary::PAGESZ, PAGE),
        (auxiliary::UID, user),
        (auxiliary::EUID, user),
        (auxiliary::GID, user),
        (auxiliary::EGID, user),
        (auxiliary::HWCAP, HWCAP),
        (auxiliary::SECURE, 0),
    ];
    for (key, value) in pairs {
        let _there_is_room = start.pair(key, value);
    }
    let mut bytes = [0; 16];
    if crate::World::random(device, &mut bytes).is_ok() {
        start.random(bytes);
    }
    start.lay_out(identity.stack.1, |address, bytes| {
        let _is_in_the_stack = crate::World::write(device, address, bytes);
    })
}

/// The door of musl: a system call of Linux for AArch64, its result or the negated error number.
#[unsafe(no_mangle)]
extern "C" fn hybrid_syscall(number: u64, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> i64 {
    let thread = 0;
    let mut outcome = with(|shell| {
        let outcome = shell.process.call(&mut shell.device, thread, number, [a, b, c, d, e, f]);
        shell.set_alarm();
        outcome
    });
    loop {
        outcome = match outcome {
            Outcome::Done(result) => return result,
            Outcome::Park => return park(thread),
            Outcome::Yield => {
                hybrid_sys::yield_now();
                return 0;
            }
            Outcome::Deliver(delivery) => {
                handle(delivery);
                with(|shell| shell.process.handled(&mut shell.device, thread, delivery))
            }
            Outcome::ThreadEnded => hybrid_sys::end(),
            Outcome::Ended(ending) => end(ending),
        };
    }
}

/// Threads cannot be started yet, only refused.
#[unsafe(no_mangle)]
extern "C" fn __clone(
    _entry: usize,
    _stack: u64,
    flags: u64,
    _argument: u64,
    parent: u64,
    _tls: u64,
    child: u64,
) -> i64 {
    with(|shell| {
        let begun = shell.process.begin_thread(&mut shell.device, flags, parent, child);
        begun.map_or_else(crate::Errno::negated, i64::from)
    })
}

/// Unmaps the calling thread's stack and ends the thread: only threads beyond the first have a stack that was mapped.
#[unsafe(no_mangle)]
extern "C" fn __unmapself(_base: u64, _bytes: u64) -> ! {
    hybrid_sys::end()
}

/// Waits for the result of the thread's call. What arrives meanwhile is handled here, since nobody else waits.
fn park(thread: Thread) -> i64 {
    loop {
        if let Some(result) = with(|shell| shell.process.take_result(thread)) {
            return result;
        }
        let env = with(|shell| shell.device.env);
        let bits = env.wait();
        with(|shell| shell.on_bells(bits));
    }
}

/// Calls a handler of the program as a function, on the stack of the thread that sent itself the signal.
fn handle(delivery: Delivery) {
    let mut info = [0_u64; 16];
    info[0] = delivery.signal.into();
    let Ok(address) = usize::try_from(delivery.handler) else { return };
    let handler = core::ptr::with_exposed_provenance::<()>(address);
    // SAFETY: the program itself said by `sigaction` that this is a handler: a C function that takes at most these three.
    let handler: extern "C" fn(i32, *const u64, *const u64) = unsafe { core::mem::transmute(handler) };
    handler(delivery.signal.into(), info.as_ptr(), core::ptr::null());
}

/// The end of the component; securityd sees the fault, the log tells why.
fn end(ending: Ending) -> ! {
    match ending {
        Ending::Exit(0) => log::info!(target: "exit", "ended with status 0"),
        Ending::Exit(status) => log::warn!(target: "exit", "ended with status {status}"),
        Ending::Signal(signal) => log::error!(target: "exit", "ended by signal {signal}"),
    }
    hybrid_sys::end()
}

/// The state, which is there before the program's first instruction.
fn with<R>(act: impl FnOnce(&mut Shell) -> R) -> R {
    SHELL.with(|shell| match shell {
        Some(shell) => act(shell),
        None => hybrid_sys::breakpoint(),
    })
}

impl Shell {
    /// What the bells say, after a wait.
    fn on_bells(&mut self, bits: u64) {
        self.device.on_bells(bits);
        self.process.expire(crate::World::now_ns(&self.device));
        self.set_alarm();
    }

    fn set_alarm(&mut self) {
        self.device.set_alarm(self.process.next_deadline());
    }
}
