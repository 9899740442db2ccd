//! From exception vectors into the core and back; the only place that calls the core after boot.
//!
//! Each handler returns the address of the register context that vectors.s restores next.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use hybrid_kernel_core::kernel::{Kernel, UserFault};
use hybrid_kernel_core::object::TcbRef;
#[cfg(not(feature = "latency"))]
use hybrid_kernel_core::{Entry, Way};

use crate::hardware::Hardware;
use crate::{cores, cpu};

core::arch::global_asm!(include_str!("vectors.s"));

/// Where the kernel lives once it is booted.
struct KernelCell(UnsafeCell<MaybeUninit<Kernel<Hardware>>>);

// SAFETY: used under the kernel lock only, with interrupts masked (INV-PLAT-2, INV-LOCK-1): never concurrently, but for what `cores`
// says a waiting core does for the holder.
unsafe impl Sync for KernelCell {}

static KERNEL: KernelCell = KernelCell(UnsafeCell::new(MaybeUninit::uninit()));

/// Puts the kernel at its place and hands it out for booting.
///
/// # Safety
/// Called once, before [`leave_to_user`].
pub(crate) unsafe fn install(kernel: Kernel<Hardware>) -> &'static Kernel<Hardware> {
    // SAFETY: by the caller nobody uses the cell yet.
    let place = unsafe { &mut *KERNEL.0.get() };
    place.write(kernel)
}

/// Runs `first`, or what the core chooses while there is nothing to run. Never returns.
///
/// # Safety
/// [`install`] was called and the core has booted.
pub(crate) unsafe fn leave_to_user(first: Option<TcbRef>) -> ! {
    let context = context_of(first);
    // SAFETY: `context` is the register context of a live TCB; the kernel stack is not needed any more.
    unsafe { enter_user(context) }
}

/// Declares the handler of some calls: their fast way, the way that it goes if the time of another thread begins, and the ordinary one.
macro_rules! fast_ways {
    ($($handler:ident: $fast:ident, $timed_handler:ident: $timed:ident, $slow:ident;)*) => { $(
        #[unsafe(no_mangle)]
        #[cfg_attr(feature = "latency", expect(unused_variables, reason = "there the call is counted as a whole"))]
        extern "C" fn $handler(x0: u64, x1: u64, x2: u64, x3: u64, x4: u64, x5: u64, x6: u64, number: i64) -> usize {
            if let Err(ticket) = cores::try_enter() {
                return contended_system_call(ticket);
            }
            #[cfg(feature = "latency")]
            return slow_system_call();
            #[cfg(not(feature = "latency"))]
            let kernel = kernel();
            #[cfg(not(feature = "latency"))]
            match kernel.$fast(&Entry { cptr: x0, info: x1, words: [x2, x3, x4, x5], reply: x6, number }) {
                Some(Way::Runs(thread)) => leave_for(kernel, thread),
                Some(Way::Stays(thread)) => stay(kernel, thread),
                Some(Way::Timed) => $timed_handler(x0, x1, x2, x3, x4, x5, x6, number),
                None => $slow(),
            }
        }

        #[cfg(not(feature = "latency"))]
        #[inline(never)]
        extern "C" fn $timed_handler(
            x0: u64, x1: u64, x2: u64, x3: u64, x4: u64, x5: u64, x6: u64, number: i64,
        ) -> usize {
            let kernel = kernel();
            match kernel.$timed(&Entry { cptr: x0, info: x1, words: [x2, x3, x4, x5], reply: x6, number }) {
                Some(Way::Runs(thread)) => leave_for(kernel, thread),
                Some(Way::Stays(thread)) => stay(kernel, thread),
                Some(Way::Timed) | None => $slow(),
            }
        }
    )* };
}

fast_ways! {
    handle_call: fast_call, handle_timed_call: timed_call, slow_call;
    handle_reply_recv: fast_reply_recv, handle_timed_reply_recv: timed_reply_recv, slow_system_call;
    handle_send: fast_send, handle_timed_send: timed_send, slow_system_call;
    handle_other_call: fast_waiting_call, handle_timed_waiting_call: timed_waiting_call, slow_system_call;
}

/// The kernel, for a core that is not in user mode yet.
///
/// # Safety
/// [`install`] was called, and the boot core waits for this one.
#[cfg(feature = "smp")]
pub(crate) unsafe fn installed() -> &'static Kernel<Hardware> {
    kernel()
}

/// Another core begins its work. Never returns.
///
/// # Safety
/// [`install`] was called, and this core was started completely.
#[cfg(feature = "smp")]
pub(crate) unsafe fn join() -> ! {
    enter();
    // SAFETY: the lock is given up by the boot core once the core has booted.
    unsafe { leave_to_user(None) }
}

/// A system call while another core has the lock: no fast way, whose registers would have to survive the wait.
#[cold]
#[inline(never)]
fn contended_system_call(ticket: cores::Ticket) -> usize {
    kernel().platform().wait(ticket);
    slow_system_call()
}

/// The ordinary way of a system call, with the lock.
#[inline(never)]
fn slow_system_call() -> usize {
    let kernel = kernel();
    #[cfg(feature = "latency")]
    {
        crate::latency::enter(crate::latency::Cause::Call(kernel.request()));
        context_of(kernel.handle_syscall())
    }
    #[cfg(not(feature = "latency"))]
    context_of(kernel.handle_syscall_slowly())
}

/// That of a Call.
#[inline(never)]
#[cfg(not(feature = "latency"))]
fn slow_call() -> usize {
    context_of(kernel().handle_call_slowly())
}

#[unsafe(no_mangle)]
extern "C" fn handle_user_fault(syndrome: u64, address: u64) -> usize {
    #[cfg(feature = "latency")]
    crate::latency::enter(crate::latency::Cause::Fault(syndrome >> 26 & 0x3f));
    let fault = match syndrome >> 26 & 0x3f {
        DATA_ABORT => UserFault::Vm { address, is_instruction: false, syndrome },
        INSTRUCTION_ABORT => UserFault::Vm { address, is_instruction: true, syndrome },
        _ => UserFault::Exception { number: syndrome },
    };
    context_of(enter().handle_fault(fault))
}

#[unsafe(no_mangle)]
extern "C" fn handle_interrupt() -> usize {
    context_of(take_interrupt())
}

fn take_interrupt() -> Option<TcbRef> {
    let kernel = enter();
    #[cfg(feature = "latency")]
    crate::latency::enter(crate::latency::Cause::Interrupt(None));
    kernel.handle_interrupt(kernel.platform().acknowledge())
}

/// Takes the lock; the one way into the core.
#[inline(always)]
fn enter() -> &'static Kernel<Hardware> {
    let kernel = kernel();
    kernel.platform().enter();
    kernel
}

/// Prepares the machine for a thread, gives the lock up and the address of the thread's registers: no other core changes them before
/// this one has left user mode again (`cores::stop`).
#[inline(always)]
fn leave_for(kernel: &Kernel<Hardware>, thread: TcbRef) -> usize {
    let context = kernel.platform().prepared_context(thread);
    #[cfg(feature = "latency")]
    crate::latency::leave();
    cores::leave();
    context
}

/// The same for the thread that entered, for which the machine is prepared, if no register of it changed but x0. Rust code keeps x19 to
/// x29 for its caller, and touches none of the system registers that belong to the thread: vectors.s need not load them again.
#[inline(always)]
#[cfg(not(feature = "latency"))]
fn stay(kernel: &Kernel<Hardware>, thread: TcbRef) -> usize {
    if cores::CORES > 1 { leave_for(kernel, thread) | STAYS } else { crate::layout::direct(thread.paddr()) | STAYS }
}

/// Idles until there is a thread and leaves for it.
fn context_of(next: Option<TcbRef>) -> usize {
    let mut next = next;
    loop {
        if let Some(thread) = next {
            return leave_for(kernel(), thread);
        }
        // Interrupts are masked; WFI returns as soon as one is pending all the same.
        #[cfg(feature = "latency")]
        crate::latency::leave();
        cores::idle();
        cpu::isb(); // the deadline is in effect: nothing else synchronises it before it shall wake this core
        cpu::dsb_sy();
        cpu::wait_for_interrupt();
        next = take_interrupt();
    }
}

/// The kernel. Its address is opaque to the compiler, which else would compute that of each field anew.
#[inline(always)]
fn kernel() -> &'static Kernel<Hardware> {
    let place: *const KernelCell;
    // SAFETY: computes the address of the static; the kernel's image is smaller than the reach of ADR.
    unsafe {
        core::arch::asm!("adr {}, {}", out(reg) place, sym KERNEL, options(pure, nomem, nostack, preserves_flags));
    }
    // SAFETY: it is that static.
    let cell = unsafe { &*place };
    // SAFETY: nobody holds a `&mut` after `install`.
    let place = unsafe { &*cell.0.get() };
    // SAFETY: user code, and so any handler, runs only after `install`.
    unsafe { place.assume_init_ref() }
}

unsafe extern "C" {
    fn enter_user(context: usize) -> !;
}

/// Bit of a context's address: see [`stay`] and vectors.s.
#[cfg(not(feature = "latency"))]
const STAYS: usize = 1;

// ESR_EL1.EC of exceptions from EL0 (ARM ARM D24.2.40).
const INSTRUCTION_ABORT: u64 = 0x20;
const DATA_ABORT: u64 = 0x24;
