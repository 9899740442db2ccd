//! The first instructions of a component and of a root task; everything before their `main`.

/// Makes `main` the entry of a component: `fn main(env: Env) -> !`.
///
/// On the host the program only says that it runs on HybridOS, so that it builds and is checked there.
#[macro_export]
macro_rules! component {
    ($main:ident) => {
        #[cfg(target_os = "none")]
        mod hybrid_entry {
            // securityd set the stack pointer and put the address and length of the start information and the address
            // of the IPC buffer into x0, x1 and x2.
            core::arch::global_asm!(
                ".section .text._start, \"ax\"",
                ".globl _start",
                ".type _start, %function",
                "_start:",
                "mov x29, xzr",
                "mov x30, xzr",
                "b {entry}",
                entry = sym entry,
            );

            extern "C" fn entry(start: usize, len: usize, buffer: usize) -> ! {
                // SAFETY: these are the registers as securityd set them, and this runs once.
                unsafe { $crate::component_entry(start, len, buffer, super::$main) }
            }
        }

        #[cfg(not(target_os = "none"))]
        fn main() {
            let _main: fn($crate::Env) -> ! = $main;
            $crate::host_main(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_DESCRIPTION"));
        }
    };
}

/// Makes `main` the entry of a root task: `fn main(boot: Boot) -> !`, with a stack and a heap of these sizes in bytes.
///
/// A panic is written to the kernel's console and stops the thread.
#[macro_export]
macro_rules! root_task {
    ($main:ident, stack = $stack:expr, heap = $heap:expr) => {
        #[cfg(target_os = "none")]
        mod hybrid_entry {
            static STACK: $crate::RootMemory<{ $stack }> = $crate::RootMemory::new();
            static HEAP: $crate::RootMemory<{ $heap }> = $crate::RootMemory::new();

            // The kernel put the address of boot info into x0; there is no stack yet.
            core::arch::global_asm!(
                ".section .text._start, \"ax\"",
                ".globl _start",
                ".type _start, %function",
                "_start:",
                "mov x29, xzr",
                "mov x30, xzr",
                "adrp x1, {stack}",
                "add x1, x1, :lo12:{stack}",
                "ldr x2, ={size}",
                "add x1, x1, x2",
                "mov sp, x1",
                "b {entry}",
                stack = sym STACK,
                size = const { $stack },
                entry = sym entry,
            );

            extern "C" fn entry(boot_info: usize) -> ! {
                // SAFETY: this is the register as the kernel set it, and this runs once.
                unsafe { $crate::root_entry(boot_info, &HEAP, super::$main) }
            }
        }

        #[cfg(not(target_os = "none"))]
        fn main() {
            $crate::host_main(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_DESCRIPTION"));
        }
    };
}

/// What a component prints on a host.
#[doc(hidden)]
pub fn host_main(name: &str, description: &str) {
    host::print(name, description);
}

#[cfg(not(target_os = "none"))]
mod host {
    extern crate std;

    pub(super) fn print(name: &str, description: &str) {
        std::println!("{name}: {description}\nThis is a component; it runs on HybridOS (`cargo xtask run`).");
    }
}

#[cfg(target_os = "none")]
mod host {
    pub(super) fn print(_name: &str, _description: &str) {}
}

/// Ends this component by a fault that securityd reports.
pub fn stop() -> ! {
    hybrid_sys::breakpoint()
}

/// Zeroed memory of a root task: its stack, its heap.
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct RootMemory<const BYTES: usize>(core::cell::UnsafeCell<[u8; BYTES]>);

// SAFETY: the memory is only handed out by address, once, by `root_task!`.
unsafe impl<const BYTES: usize> Sync for RootMemory<BYTES> {}

impl<const BYTES: usize> RootMemory<BYTES> {
    /// Zeroed memory.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "only statics are made of it")]
    pub const fn new() -> Self {
        Self(core::cell::UnsafeCell::new([0; BYTES]))
    }
}

#[cfg(target_os = "none")]
mod target {
    use super::RootMemory;
    use crate::{Env, env, gauge, heap, logger, panic, slots};
    use alloc::boxed::Box;
    use hybrid_start::{ANSWER_OFFSET, HEAP_GAUGE_OFFSET, Span, StartError, StartInfo};
    use hybrid_sys::boot::Boot;
    use hybrid_sys::{breakpoint, buffer};

    /// What runs before a component's `main`.
    ///
    /// # Safety
    /// 1. `start` and `len` are of the start information, mapped readable and constant until the program ends.
    /// 2. `ipc_buffer` is the address of the thread's IPC buffer, which has a page of its own.
    /// 3. The spans in the start information are mapped as it says. 4. It is called once.
    #[doc(hidden)]
    pub unsafe fn component_entry(start: usize, len: usize, ipc_buffer: usize, main: fn(Env) -> !) -> ! {
        // SAFETY: 1–4: as this function asks.
        let (env, _nothing) = unsafe { program_entry(start, len, ipc_buffer, usize::MAX) };
        main(env)
    }

    /// What runs before a program with a runtime of its own: as [`component_entry`], but only the first `share` bytes of the heap become this
    /// runtime's, and the rest is told.
    ///
    /// # Safety
    /// As [`component_entry`].
    #[doc(hidden)]
    pub unsafe fn program_entry(start: usize, len: usize, ipc_buffer: usize, share: usize) -> (Env, Span) {
        // SAFETY: 2.
        unsafe { buffer::set_address(ipc_buffer) };
        // SAFETY: 2; the word lies in that page, above the buffer, and only the gauge knows it.
        unsafe { gauge::set_address(ipc_buffer + HEAP_GAUGE_OFFSET) };
        let bytes = core::ptr::with_exposed_provenance::<u8>(start);
        // SAFETY: 1.
        let bytes = unsafe { core::slice::from_raw_parts(bytes, len) };
        let Ok((info, rest)) = decode(bytes, share) else { breakpoint() };
        let info: &'static StartInfo = Box::leak(Box::new(info));
        slots::set_up(info.own_cnode, info.endpoint, info.free_slots);
        // SAFETY: 3 and 4; the word for answers lies in the buffer's page, above it, and only `Env` knows it (2).
        let env = unsafe { Env::new(info, ipc_buffer + ANSWER_OFFSET) };
        logger::set_up(&env);
        (env, rest)
    }

    /// Decodes the start information. It needs a heap, whose span it tells: that part is decoded first, by a bounded
    /// heap of its own. What of the span is beyond `share` is not added.
    fn decode(bytes: &[u8], share: usize) -> Result<(StartInfo, Span), StartError> {
        heap::set_up_first();
        let info = StartInfo::decode(bytes)?;
        let mut rest = Span::default();
        if let Some((base, len)) = env::mapped(info.heap) {
            let own = len.min(share);
            rest = Span { addr: info.heap.addr + own as u64, len: (len - own) as u64 };
            // SAFETY: 3 of `component_entry`: the span is mapped, zeroed memory that nothing else uses.
            unsafe { heap::add(base, own) };
        }
        Ok((info, rest))
    }

    /// What runs before a root task's `main`.
    ///
    /// # Safety
    /// 1. `boot_info` is the address that the kernel put into x0. 2. `heap` is used by nothing else. 3. It is called once.
    #[doc(hidden)]
    pub unsafe fn root_entry<const HEAP: usize>(
        boot_info: usize,
        heap: &'static RootMemory<HEAP>,
        main: fn(Boot) -> !,
    ) -> ! {
        // SAFETY: 1.
        let boot = unsafe { Boot::from_address(boot_info) };
        let ipc_buffer = usize::try_from(boot.info.ipc_buffer).unwrap_or(0);
        // SAFETY: the kernel mapped the initial thread's IPC buffer there.
        unsafe { buffer::set_address(ipc_buffer) };
        if let Some(platform) = boot.platform() {
            panic::set_console(platform);
        }
        let base = core::ptr::NonNull::from(heap).cast();
        // SAFETY: 2; it is zeroed memory of this size.
        unsafe { crate::heap::add(base, HEAP) };
        main(boot)
    }
}

#[cfg(target_os = "none")]
pub use target::{component_entry, program_entry, root_entry};
