//! The personality on the device: entry, the one door for system calls, and waiting; the logic is in `process`.
//!
//! State is behind one lock, in which no thread sleeps: [`Process`] says what is to be done, and it is done here afterwards. Calls of servers are
//! made under it, but for that of the entropy server, which waits until it is seeded.
#![expect(unsafe_code, reason = "the entry of a C program, its memory and its handlers")]

mod clock;
mod device;
mod lock;
mod source;
mod threads;
mod unwind;

use crate::areas::Access;
use crate::family::Given;
use crate::futex::Thread;
use crate::number::low;
use crate::process::{AGAIN, Delivery, Ending, FETCH_MAX, Numbers};
use crate::start::{MIN_STACK, Start, auxiliary};
use crate::{Areas, Errno, Identity, Outcome, Process, Stacks};
use alloc::vec::Vec;
use device::Device;
use hybrid_rt::Env;
use hybrid_start::Span;
use lock::Lock;
use threads::{Job, Threads};

/// What of the heap the runtime below keeps for itself: start information, log, messages, tables of a few descriptors. Those of many take more.
const RUNTIME_HEAP: usize = 128 * 1024;
const PAGE: u64 = crate::areas::PAGE;
/// Kept below the top of the stack for what the program finds there when it starts.
const START_BYTES: usize = 16 * 1024;
const _: () = assert!(crate::start::STACK_MAX <= START_BYTES);

/// FP and ASIMD: what every processor of the architecture has, and all that programs are compiled for.
const HWCAP: u64 = 0b11;
/// Bytes of a program header.
const HEADER_BYTES: u64 = 56;
/// `PT_TLS`, in the lower half of a program header's first word.
const TLS_HEADER: u64 = 7;

static SHELL: Lock<Place> = Lock::new(Place::Empty);

/// Where the state is from the program's start on. With numbers of its own an empty one is zero, and takes no room in each program's file.
#[repr(u8)]
#[expect(clippy::large_enum_variant, reason = "there is one, and it is static")]
enum Place {
    Empty = 0,
    Full(Shell) = 1,
}

/// The program and its world.
struct Shell {
    process: Process<&'static mut [u8]>,
    device: Device,
    threads: Threads,
    /// What threads are to run that do nothing yet.
    jobs: Vec<Option<Job>>,
}

// securityd set the stack pointer and put the address and length of the start information and the address of the IPC buffer into x0, x1 and x2.
// What C expects on the stack is laid out below its top while this runs further down. A further thread has its number in x3 and the slot of its
// notification in x4, and waits for work.
core::arch::global_asm!(
    ".section .text.hybrid_start, \"ax\"",
    ".globl hybrid_start",
    ".type hybrid_start, %function",
    "hybrid_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "cbnz x3, 1f",
    "sub sp, sp, {room}",
    "bl {begin}",
    "mov sp, x0",
    "mov x29, xzr",
    "mov x30, xzr",
    "b _start",
    "1: mov x0, x4",
    "b {work}",
    room = const START_BYTES,
    begin = sym begin,
    work = sym threads::work,
);

unsafe extern "C" {
    /// The ELF header, which the linker puts at the start of the program.
    static __ehdr_start: u8;
    /// The end of the program.
    static _end: u8;
}

/// Takes over what the component was given; the program's stack pointer. If the program may have several threads, all of it runs on further ones, and this thread
/// takes the bells and never returns.
extern "C" fn begin(start: usize, len: usize, buffer: usize) -> u64 {
    // SAFETY: these are the registers as securityd set them, and this runs once.
    let (env, heap) = unsafe { hybrid_rt::program_entry(start, len, buffer, RUNTIME_HEAP) };
    let image = ((&raw const __ehdr_start).addr() as u64, (&raw const _end).addr() as u64);
    let info = env.start();
    let stacks = Stacks {
        base: hybrid_start::STACKS_BASE,
        guard: hybrid_start::STACK_GUARD,
        bytes: info.stacks.bytes,
        count: info.stacks.count,
    };
    let mut identity = Identity {
        instance: info.instance,
        name: &info.name,
        version: &info.version,
        stack: (info.stack.addr, info.stack.addr.saturating_add(info.stack.len)),
        threads: u8::try_from(info.threads.len()).unwrap_or(u8::MAX).max(1),
        min_stack: 0,
        name_servers: env.parameter("dns").unwrap_or_default(),
        name_options: env.parameter("dns.options").unwrap_or_default(),
    };
    let threads = Threads(&info.threads);
    let mut areas = areas(heap, stacks);
    let mut device = Device::new(env, image, areas.span(), (identity.stack, stacks));
    identity.min_stack = min_stack(&device, image.0, stacks);
    let given = device.given();
    let stack = lay_out(&mut device, &mut areas, identity, image.0, given.as_ref());
    let mut process = Process::new(identity, areas);
    if crate::World::wire(&mut device).is_some() {
        process.attach_terminal();
    }
    if let Some(given) = &given {
        process.spawned_by(given.parent);
        if process.set_streams(&mut device, given.streams).is_err() {
            log::error!(target: "posix", "no room in the heap for the streams of who spawned it");
        }
    }
    device.take_trees().iter().for_each(|point| process.mount(point));
    let directory = given.as_ref().and_then(Given::directory);
    let is_there = directory.is_none_or(|directory| process.start_in(&mut device, directory).is_ok());
    let jobs = alloc::vec![None; usize::from(identity.threads)];
    SHELL.with(|place| *place = Place::Full(Shell { process, device, threads, jobs }));
    if !is_there {
        log::error!(target: "posix", "the directory in which it is to start is not in its tree");
        if let Outcome::Ended(ending) = step(|shell| shell.process.end_unstarted(&mut shell.device)) {
            end(ending);
        }
    }
    // What neighbours said before this was here rang no bell.
    step(|shell| shell.process.take_events(&mut shell.device));
    if !threads.are_several() {
        return stack;
    }
    with(|shell| shell.give(0, Job::Program { stack }));
    threads.wake(1);
    threads::attend()
}

/// The heap's first pages hold the table of the others, and of the pages of stacks.
fn areas(heap: Span, stacks: Stacks) -> Areas<&'static mut [u8]> {
    let (pages, others) = (heap.len / PAGE, stacks.pages() as u64);
    let table = (pages + others).div_ceil(PAGE + 1).min(pages);
    let count = usize::try_from((pages - table + others).min(table * PAGE)).unwrap_or(0);
    let address = usize::try_from(heap.addr).unwrap_or(0);
    let slice = match core::ptr::NonNull::new(core::ptr::with_exposed_provenance_mut::<u8>(address)) {
        // SAFETY: the span is mapped, zeroed memory that nothing else uses (`program_entry`), and `table` pages hold `count` bytes.
        Some(base) => unsafe { core::slice::from_raw_parts_mut(base.as_ptr(), count) },
        None => &mut [],
    };
    Areas::new(heap.addr + table * PAGE, slice, stacks)
}

/// Arguments and environment of one that was spawned are its parent's. Else arguments are the words of the parameter `args`, and a parameter
/// `env.NAME` is the variable NAME.
fn lay_out(
    device: &mut Device,
    areas: &mut Areas<&'static mut [u8]>,
    identity: Identity,
    header: u64,
    given: Option<&Given>,
) -> u64 {
    let mut start = Start::with_room(given.map_or(0, |given| given.strings.len()));
    let all = match given {
        Some(given) => given_strings(given, &mut start),
        None => parameters(device.env, identity.name, &mut start),
    };
    let tells_stack = identity.min_stack > 0 && !start.has_variable(MIN_STACK);
    let all = all && (!tells_stack || start.variable(MIN_STACK, &alloc::format!("{}", identity.min_stack)));
    if !all {
        log::warn!(target: "posix", "not all arguments and variables fit: some are left out");
    }
    // The program's own, like what it maps itself.
    let mut zero = |address, bytes| crate::World::zero(device, address, bytes);
    let heap = start.wants_heap().map(|bytes| areas.map(bytes, Access::ReadWrite, &mut zero));
    if let Some(Err(_)) = heap {
        log::warn!(target: "posix", "no room in the heap for arguments and variables: they are left out");
        start = Start::new();
    }
    let heap = heap.and_then(Result::ok);
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
    if let Some(source) = device.source().filter(|source| source.fill(&mut bytes).is_ok()) {
        device.source_answered(source);
        start.random(bytes);
    }
    start.lay_out(identity.stack.1, heap, |address, bytes| {
        let _is_in_the_stack = crate::World::write(device, address, bytes);
    })
}

/// What std is told of the stacks of threads, for the program whose header this is; 0: nothing.
fn min_stack(device: &Device, header: u64, stacks: Stacks) -> u64 {
    if stacks.count == 0 {
        return 0;
    }
    let first = header + u64::from(device.header_half(header + 32));
    let headers = (0..u64::from(device.header_half(header + 56))).map(|index| first + index * HEADER_BYTES);
    let mut tls = headers.filter(|at| device.header_word(*at) & 0xffff_ffff == TLS_HEADER);
    let sizes = tls.next().map_or((0, 0), |at| (device.header_word(at + 40), device.header_word(at + 48)));
    crate::start::min_stack(stacks.bytes, sizes).unwrap_or(0)
}

/// False if not all have room.
fn parameters(env: Env, name: &str, start: &mut Start) -> bool {
    let info = env.start();
    let args = info.parameter("args").unwrap_or_default().split_ascii_whitespace();
    let all = core::iter::once(name).chain(args).all(|argument| start.argument(argument));
    let variables = info.parameters.iter().filter_map(|(key, value)| Some((key.strip_prefix("env.")?, value)));
    variables.fold(all, |all, (name, value)| start.variable(name, value) && all)
}

/// False if not all have room.
fn given_strings(given: &Given, start: &mut Start) -> bool {
    // A variable without a name is none of the program's.
    let own = given.strings().filter(|(string, is_argument)| *is_argument || !string.starts_with(crate::family::ASKED));
    own.fold(true, |all, (string, is_argument)| start.given(string, is_argument) && all)
}

/// The door of musl: a system call of Linux for AArch64, its result or the negated error number.
#[unsafe(no_mangle)]
extern "C" fn hybrid_syscall(number: u64, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> i64 {
    // The clock that nearly everybody reads, by the fewest instructions; the others are read in `call`.
    let is_read = number == crate::number::CLOCK_GETTIME && low(a) == clock::MONOTONIC;
    // SAFETY: `b` is what the program gave `clock_gettime` as the place of the time.
    if is_read && unsafe { clock::read(b) } {
        return 0;
    }
    call(number, a, b, c, d, e, f)
}

/// Every other call; apart, so that a reading of the clock saves no registers.
#[inline(never)]
extern "C" fn call(number: u64, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> i64 {
    // SAFETY: as above.
    if number == crate::number::CLOCK_GETTIME && clock::counts(a) && unsafe { clock::read(b) } {
        return 0;
    }
    if number == crate::number::EXIT {
        threads::leave(a);
    }
    let thread = threads::current();
    let mut outcome = Outcome::Done(AGAIN);
    loop {
        outcome = match outcome {
            // The first time, and when a signal interrupted it and its handler has run.
            Outcome::Done(AGAIN) => {
                step(|shell| shell.process.call(&mut shell.device, thread, number, [a, b, c, d, e, f]))
            }
            Outcome::Done(result) => return result,
            Outcome::Park => match threads::park(thread) {
                (result, true) => return result,
                (result, false) => step(|shell| shell.process.resumed(&mut shell.device, thread, result)),
            },
            Outcome::Yield => {
                hybrid_sys::yield_now();
                return 0;
            }
            Outcome::Deliver(delivery) => {
                handle(delivery);
                step(|shell| shell.process.handled(&mut shell.device, thread, delivery))
            }
            Outcome::Numbers(numbers) => fetch(thread, numbers),
            // Only the call that `leave` makes ends a thread.
            Outcome::ThreadEnded => hybrid_sys::breakpoint(),
            Outcome::Ended(ending) => end(ending),
        };
    }
}

/// Starts a thread: `clone` as pthread_create calls it. Its number, or the negated error number.
#[unsafe(no_mangle)]
extern "C" fn __clone(entry: u64, stack: u64, flags: u64, argument: u64, parent: u64, tls: u64, child: u64) -> i64 {
    let begun = step(|shell| {
        let thread = shell.process.begin_thread(&mut shell.device, flags, parent, child)?;
        shell.give(thread, Job::Thread { entry, stack: stack & !15, argument, tls });
        Ok((shell.threads, thread, shell.process.number_of(thread)))
    });
    match begun {
        Ok((threads, thread, number)) => {
            threads.wake(1 << thread);
            number.into()
        }
        Err(errno) => Errno::negated(errno),
    }
}

/// Unmaps the calling thread's stack and ends the thread.
#[unsafe(no_mangle)]
extern "C" fn __unmapself(base: u64, bytes: u64) -> ! {
    threads::leave_and_unmap(base, bytes)
}

/// Asks for random bytes. Not under the lock: until the source is seeded only this thread waits.
fn fetch(thread: Thread, numbers: Numbers) -> Outcome {
    let source = with(|shell| shell.device.source());
    let mut bytes = [0; FETCH_MAX];
    let bytes = bytes.get_mut(..numbers.length()).unwrap_or_default();
    let filled = source.ok_or(Errno::EIO).and_then(|source| source.fill(bytes));
    let outcome = step(|shell| {
        if let Some(source) = source.filter(|_| filled.is_ok()) {
            shell.device.source_answered(source);
        }
        shell.process.fetched(&mut shell.device, thread, numbers, filled.map(|()| &*bytes))
    });
    bytes.fill(0);
    outcome
}

/// Calls a handler of the program as a function, on the stack of the thread that takes the signal.
fn handle(delivery: Delivery) {
    let mut info = [0_u64; 16];
    info[0] = delivery.signal.into();
    let Ok(address) = usize::try_from(delivery.handler) else { return };
    let handler = core::ptr::with_exposed_provenance::<()>(address);
    // SAFETY: the program itself said by `sigaction` that this is a handler: a C function that takes at most these three.
    let handler: extern "C" fn(i32, *const u64, *const u64) = unsafe { core::mem::transmute(handler) };
    handler(delivery.signal.into(), info.as_ptr(), core::ptr::null());
}

/// The end of the component: a good one, or one that the supervisor takes for a fault; the log tells why.
fn end(ending: Ending) -> ! {
    // Under the lock, so that no other thread's line takes the place of this one.
    with(|_| match ending {
        Ending::Exit(0) => log::info!(target: "exit", "ended with status 0"),
        Ending::Exit(status) => log::warn!(target: "exit", "ended with status {status}"),
        Ending::Signal(signal) => log::error!(target: "exit", "ended by signal {signal}"),
    });
    match ending {
        Ending::Exit(0) => hybrid_sys::end(),
        Ending::Exit(_) | Ending::Signal(_) => hybrid_sys::end_badly(),
    }
}

/// The state, which is there before the program's first instruction.
fn with<R>(act: impl FnOnce(&mut Shell) -> R) -> R {
    SHELL.with(|place| match place {
        Place::Full(shell) => act(shell),
        Place::Empty => hybrid_sys::breakpoint(),
    })
}

/// Lets `act` change the state, then sets the alarm to what it is now and wakes whom it woke.
fn step<R>(act: impl FnOnce(&mut Shell) -> R) -> R {
    let (result, threads, woken) = with(|shell| {
        let result = act(shell);
        shell.process.feed_tables(&mut shell.device);
        shell.device.publish();
        shell.device.set_alarm(shell.process.next_deadline());
        (result, shell.threads, shell.process.take_woken())
    });
    threads.wake(woken);
    result
}

impl Shell {
    /// What `thread` runs once it is woken.
    fn give(&mut self, thread: Thread, job: Job) {
        if let Some(place) = self.jobs.get_mut(usize::from(thread)) {
            *place = Some(job);
        }
    }

    /// What the bells say, after a wait.
    fn on_bells(&mut self, bits: u64) {
        self.device.on_bells(bits);
        self.process.take_events(&mut self.device);
        self.process.take_news(&mut self.device);
        self.process.on_line(&mut self.device);
        self.process.expire(&mut self.device);
    }
}
