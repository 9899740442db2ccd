//! From exception vectors into the core and back; the only place that calls the core after boot.
//!
//! Each handler returns the address of the register context that vectors.s restores next.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use hybrid_kernel_core::kernel::{Kernel, UserFault};
use hybrid_kernel_core::object::TcbRef;

use crate::cpu;
use crate::hardware::Hardware;
#[cfg(feature = "latency")]
use crate::latency;
use crate::layout::direct;

core::arch::global_asm!(include_str!("vectors.s"));

/// Where the kernel lives once it is booted.
struct KernelCell(UnsafeCell<MaybeUninit<Kernel<Hardware>>>);

// SAFETY: one core only, with interrupts masked whenever kernel code runs (INV-PLAT-2): never used concurrently.
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

#[unsafe(no_mangle)]
extern "C" fn handle_system_call() -> usize {
    let kernel = kernel();
    #[cfg(feature = "latency")]
    latency::enter(latency::Cause::Call(kernel.request()));
    context_of(kernel.handle_syscall())
}

#[unsafe(no_mangle)]
extern "C" fn handle_user_fault(syndrome: u64, address: u64) -> usize {
    #[cfg(feature = "latency")]
    latency::enter(latency::Cause::Fault(syndrome >> 26 & 0x3f));
    let fault = match syndrome >> 26 & 0x3f {
        DATA_ABORT => UserFault::Vm { address, is_instruction: false, syndrome },
        INSTRUCTION_ABORT => UserFault::Vm { address, is_instruction: true, syndrome },
        _ => UserFault::Exception { number: syndrome },
    };
    context_of(kernel().handle_fault(fault))
}

#[unsafe(no_mangle)]
extern "C" fn handle_interrupt() -> usize {
    context_of(take_interrupt())
}

fn take_interrupt() -> Option<TcbRef> {
    let kernel = kernel();
    #[cfg(feature = "latency")]
    latency::enter(latency::Cause::Interrupt(None));
    kernel.handle_interrupt(kernel.platform().acknowledge())
}

/// Idles until there is a thread, prepares the machine for it and gives the address of its registers.
fn context_of(next: Option<TcbRef>) -> usize {
    let kernel = kernel();
    let mut next = next;
    loop {
        if let Some(thread) = next {
            kernel.platform().prepare(thread);
            #[cfg(feature = "latency")]
            latency::leave();
            return direct(thread.paddr());
        }
        // Interrupts are masked; WFI returns as soon as one is pending all the same.
        #[cfg(feature = "latency")]
        latency::leave();
        cpu::dsb_sy();
        cpu::wait_for_interrupt();
        next = take_interrupt();
    }
}

#[inline]
fn kernel() -> &'static Kernel<Hardware> {
    // SAFETY: nobody holds a `&mut` after `install`.
    let place = unsafe { &*KERNEL.0.get() };
    // SAFETY: user code, and so any handler, runs only after `install`.
    unsafe { place.assume_init_ref() }
}

unsafe extern "C" {
    fn enter_user(context: usize) -> !;
}

// ESR_EL1.EC of exceptions from EL0 (ARM ARM D24.2.40).
const INSTRUCTION_ABORT: u64 = 0x20;
const DATA_ABORT: u64 = 0x24;
