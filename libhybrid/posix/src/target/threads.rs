//! The threads of a program: how one gets work, waits, is woken and ends; which there are is the logic's to know.
//!
//! securityd made them and started them with the component. Each waits for its own notification until it has work, and again when the work is done
//! (decision 0131). What is not the program's runs on the stack that securityd mapped for it, so a thread's end never touches the program's.
use super::{end, step, with};
use crate::futex::Thread;
use crate::number::{EXIT, MUNMAP};
use crate::process::Outcome;
use hybrid_start::{THREAD_BASE, THREAD_STACK, THREAD_STRIDE};
use hybrid_sys::{Notification, buffer};

/// What a thread is to run.
#[derive(Debug, Clone, Copy)]
pub(super) enum Job {
    /// The program, from its first instruction.
    Program {
        /// Its stack pointer.
        stack: u64,
    },
    /// A function of the program.
    Thread {
        /// Address of the function.
        entry: u64,
        /// Its stack pointer.
        stack: u64,
        /// Its argument.
        argument: u64,
        /// Its thread pointer.
        tls: u64,
    },
}

/// The slots of the further threads' notifications, by thread; empty for a program that is alone.
#[derive(Clone, Copy)]
pub(super) struct Threads(pub(super) &'static [u32]);

impl Threads {
    /// Whether the program runs on further threads; otherwise it is alone on the first.
    pub(super) fn are_several(self) -> bool {
        !self.0.is_empty()
    }

    /// Wakes these threads. One that is not needed looks, and waits again.
    pub(super) fn wake(self, threads: crate::futex::Threads) {
        if threads == 0 {
            return;
        }
        for (index, slot) in self.0.iter().enumerate() {
            if threads >> index & 1 != 0 {
                Notification::at((*slot).into()).signal();
            }
        }
    }

    fn notification(self, thread: Thread) -> Option<Notification> {
        self.0.get(usize::from(thread)).map(|slot| Notification::at((*slot).into()))
    }
}

/// Which of the program's threads runs this: securityd told each where its IPC buffer is.
pub(super) fn current() -> Thread {
    let span = (buffer::of_thread() as u64).saturating_sub(THREAD_BASE) / THREAD_STRIDE;
    u8::try_from(span).unwrap_or(0).saturating_sub(1)
}

/// Waits for the result of the thread's call, and whether that is all that there is to it. A program that is alone takes the bells itself meanwhile, since nobody else waits.
/// What one turn left is done here, too.
pub(super) fn park(thread: Thread) -> (i64, bool) {
    loop {
        let (result, notification, env, has_more) = with(|shell| {
            let result = shell.process.take_result(thread);
            let result = result.map(|result| (result, shell.process.is_plain(thread, result)));
            (result, shell.threads.notification(thread), shell.device.env, shell.process.has_more())
        });
        if let Some(result) = result {
            return result;
        }
        match notification {
            Some(_) if has_more => go_on(0),
            Some(notification) => {
                let _woken_or_not = notification.wait();
            }
            None if has_more => go_on(env.poll()),
            None => {
                let bits = env.wait();
                step(|shell| shell.on_bells(bits));
            }
        }
    }
}

/// Another turn, after who wants the lock had it.
fn go_on(bits: u64) {
    hybrid_sys::yield_now();
    step(|shell| shell.on_bells(bits));
}

/// What the first thread does for a program of several: it takes the bells.
pub(super) fn attend() -> ! {
    // SAFETY: the stack is the one that securityd mapped for the first thread beside its own, which is the program's.
    unsafe { run_on(THREAD_BASE + THREAD_STACK, attend_on_stack, 0, 0) }
}

extern "C" fn attend_on_stack(_: u64, _: u64) -> ! {
    let env = with(|shell| shell.device.env);
    loop {
        if with(|shell| shell.process.has_more()) {
            go_on(env.poll());
        } else {
            let bits = env.wait();
            step(|shell| shell.on_bells(bits));
        }
    }
}

/// A further thread, from its first instruction: waits for work at the notification in `slot`.
pub(super) extern "C" fn work(slot: u64) -> ! {
    loop {
        let _only_work_rings = Notification::at(slot).wait();
        let thread = current();
        let job = with(|shell| shell.jobs.get_mut(usize::from(thread)).and_then(Option::take));
        match job {
            // SAFETY: the stack was laid out for the program, which begins now.
            Some(Job::Program { stack }) => unsafe { begin_program(stack) },
            // SAFETY: the program asked for this function to run on this stack, by `__clone`.
            Some(Job::Thread { entry, stack, argument, tls }) => unsafe { begin_thread(entry, stack, argument, tls) },
            None => {}
        }
    }
}

/// The end of the calling thread.
pub(super) extern "C" fn leave(status: u64) -> ! {
    off_stack(leave_on_stack, status, 0)
}

/// The end of the calling thread and of its stack.
pub(super) fn leave_and_unmap(base: u64, bytes: u64) -> ! {
    off_stack(unmap_on_stack, base, bytes)
}

/// Goes on with `entry` on the runtime's stack of the calling thread. A program that is alone stays where it is: its end is the component's.
fn off_stack(entry: extern "C" fn(u64, u64) -> !, a: u64, b: u64) -> ! {
    if !with(|shell| shell.threads.are_several()) {
        entry(a, b);
    }
    let number = u64::from(current()) + 1;
    // SAFETY: that stack is this thread's alone, and nothing on it is needed any more: it was left for the program by `work`.
    unsafe { run_on(THREAD_BASE + number * THREAD_STRIDE + THREAD_STACK, entry, a, b) }
}

extern "C" fn leave_on_stack(status: u64, _: u64) -> ! {
    ended(status, None)
}

extern "C" fn unmap_on_stack(base: u64, bytes: u64) -> ! {
    ended(0, Some((base, bytes)))
}

/// From the moment when the logic says that the thread has ended, its old stack may be somebody else's.
fn ended(status: u64, unmap: Option<(u64, u64)>) -> ! {
    let thread = current();
    let (mut outcome, notification) = step(|shell| {
        if let Some((base, bytes)) = unmap {
            let _musl_mapped_it = shell.process.call(&mut shell.device, thread, MUNMAP, [base, bytes, 0, 0, 0, 0]);
        }
        let outcome = shell.process.call(&mut shell.device, thread, EXIT, [status, 0, 0, 0, 0, 0]);
        (outcome, shell.threads.notification(thread))
    });
    loop {
        match (outcome, notification) {
            (Outcome::Ended(ending), _) => end(ending),
            // The end of the program waits until its output was taken, or another thread's end of it does.
            (Outcome::Park, _) => {
                let _whatever_it_says = park(thread);
                outcome = step(|shell| shell.process.call(&mut shell.device, thread, EXIT, [status, 0, 0, 0, 0, 0]));
            }
            (_, Some(notification)) => work(notification.0.0),
            _ => hybrid_sys::breakpoint(),
        }
    }
}

/// Runs `entry` on another stack, for good.
///
/// # Safety
/// 1. `stack` is the aligned top of mapped memory that nothing else uses. 2. Nothing on the present stack is needed any more.
unsafe fn run_on(stack: u64, entry: extern "C" fn(u64, u64) -> !, a: u64, b: u64) -> ! {
    // SAFETY: 1 and 2; the function never returns.
    unsafe {
        core::arch::asm!(
            "mov sp, {stack}",
            "mov x29, xzr",
            "mov x30, xzr",
            "br x3",
            stack = in(reg) stack,
            in("x0") a,
            in("x1") b,
            // By name, since a register of the compiler's choice may be one of the two that are cleared before.
            in("x3") entry,
            options(noreturn)
        )
    }
}

/// # Safety
/// `stack` is laid out as C expects it at the start of a program.
unsafe fn begin_program(stack: u64) -> ! {
    // SAFETY: by the caller's promise; `_start` never returns.
    unsafe {
        core::arch::asm!(
            "mov sp, {stack}",
            "mov x29, xzr",
            "mov x30, xzr",
            "b _start",
            stack = in(reg) stack,
            options(noreturn)
        )
    }
}

/// # Safety
/// The program wants `entry` to run with this stack, argument and thread pointer.
unsafe fn begin_thread(entry: u64, stack: u64, argument: u64, tls: u64) -> ! {
    // SAFETY: by the caller's promise; what returns from `entry` ends the thread.
    unsafe {
        core::arch::asm!(
            "msr tpidr_el0, {tls}",
            "mov sp, {stack}",
            "mov x29, xzr",
            "mov x30, xzr",
            "blr x3",
            "b {leave}",
            tls = in(reg) tls,
            stack = in(reg) stack,
            in("x0") argument,
            // As above.
            in("x3") entry,
            leave = sym leave,
            options(noreturn)
        )
    }
}
