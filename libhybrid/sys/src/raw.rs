//! The one `svc` instruction, and the few registers that user space may read.
//!
//! Registers are exactly those of the kernel ABI: x0 capability or source, x1 message info, x2–x5 MR0–MR3,
//! x6 reply object (or destination of NBSendWait), x7 number, x8 destination of NBSendRecv. Nothing else changes.

/// The registers of a system call, in and out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// x0: capability in, badge out.
    pub(crate) x0: u64,
    /// x1: message info.
    pub(crate) info: u64,
    /// x2–x5.
    pub(crate) mr: [u64; 4],
    /// x6.
    pub(crate) x6: u64,
    /// x8.
    pub(crate) x8: u64,
}

pub use target::{breakpoint, count_per_second, count_virtual, end, end_badly};
pub(crate) use target::{svc, thread_buffer};

/// Gives the rest of the current time slice to threads of the same priority.
pub fn yield_now() {
    svc(hybrid_abi::syscall::YIELD, &mut Frame::default());
}

/// Writes a character to the kernel's console, in kernels built with debug calls; a fault in others.
pub fn debug_put_char(byte: u8) {
    svc(hybrid_abi::syscall::DEBUG_PUT_CHAR, &mut Frame { x0: u64::from(byte), ..Frame::default() });
}

#[cfg(all(target_arch = "aarch64", target_os = "none"))]
mod target {
    use super::Frame;
    use core::arch::asm;

    /// Executes system call `number`.
    #[inline]
    pub(crate) fn svc(number: i64, frame: &mut Frame) {
        let [mr0, mr1, mr2, mr3] = &mut frame.mr;
        // SAFETY: the kernel changes x0–x5 and the IPC buffer, nothing else (kernel ABI §1.2); the IPC buffer is
        // only ever accessed volatile, and the block is a barrier to the compiler since it is not `nomem`.
        unsafe {
            asm!(
                "svc #0",
                inout("x0") frame.x0,
                inout("x1") frame.info,
                inout("x2") *mr0,
                inout("x3") *mr1,
                inout("x4") *mr2,
                inout("x5") *mr3,
                in("x6") frame.x6,
                in("x7") number,
                in("x8") frame.x8,
                options(nostack, preserves_flags)
            );
        }
    }

    /// Ticks of the virtual counter.
    #[must_use]
    #[inline]
    pub fn count_virtual() -> u64 {
        let ticks: u64;
        // SAFETY: reads a register that the kernel exports; the barrier keeps the reading from being taken early.
        unsafe { asm!("isb", "mrs {}, cntvct_el0", out(reg) ticks, options(nostack, nomem, preserves_flags)) };
        ticks
    }

    /// Ticks of the counter per second.
    #[must_use]
    #[inline]
    pub fn count_per_second() -> u64 {
        let hertz: u64;
        // SAFETY: reads a register that the kernel exports; it never changes.
        unsafe { asm!("mrs {}, cntfrq_el0", out(reg) hertz, options(nostack, nomem, preserves_flags, pure)) };
        hertz
    }

    /// Stops this thread by a fault that its fault handler can tell from all others (`brk` with this immediate).
    pub fn breakpoint() -> ! {
        // SAFETY: the exception goes to the kernel, which stops the thread; execution does not continue.
        unsafe { asm!("brk #0x4879", options(noreturn, nostack, nomem)) }
    }

    /// As [`breakpoint`], with an immediate that says: the program came to a good end. No supervisor takes that for a fault.
    pub fn end() -> ! {
        // SAFETY: as in `breakpoint`.
        unsafe { asm!("brk #0x487a", options(noreturn, nostack, nomem)) }
    }

    /// As [`breakpoint`], with an immediate that says: the program came to a bad end.
    pub fn end_badly() -> ! {
        // SAFETY: as in `breakpoint`.
        unsafe { asm!("brk #0x487b", options(noreturn, nostack, nomem)) }
    }

    /// The thread's own IPC buffer address if its creator set one in TPIDRRO_EL0, else 0.
    #[inline]
    pub(crate) fn thread_buffer() -> usize {
        let address: usize;
        // SAFETY: reads a register that belongs to the thread and that only its creator writes.
        unsafe { asm!("mrs {}, tpidrro_el0", out(reg) address, options(nostack, nomem, preserves_flags, pure)) };
        address
    }
}

#[cfg(not(all(target_arch = "aarch64", target_os = "none")))]
mod target {
    //! A kernel with no capabilities: every slot is empty.
    use super::Frame;
    use hybrid_abi::error::ErrorCode;
    use hybrid_abi::message::MessageInfo;
    use hybrid_abi::syscall;

    /// Behaves as the kernel does when every slot is empty; tests can put a script in between.
    pub(crate) fn svc(number: i64, frame: &mut Frame) {
        #[cfg(test)]
        if crate::tests::scripted(number, frame) {
            return;
        }
        frame.x0 = 0;
        if number == syscall::CALL {
            frame.info = MessageInfo::new(ErrorCode::InvalidCapability.number(), 0, 0, 1).0;
            frame.mr[0] = 0;
        }
    }

    /// Always 0: the host's clock is not the system's.
    #[must_use]
    pub fn count_virtual() -> u64 {
        0
    }

    /// The counter frequency of QEMU's virt machine.
    #[must_use]
    pub fn count_per_second() -> u64 {
        62_500_000
    }

    /// Panics: there is no fault handler on a host.
    pub fn breakpoint() -> ! {
        panic!("a component stopped itself");
    }

    /// Panics: as `breakpoint`.
    pub fn end() -> ! {
        panic!("a component came to its end");
    }

    /// Panics: as `breakpoint`.
    pub fn end_badly() -> ! {
        panic!("a component came to a bad end");
    }

    pub(crate) fn thread_buffer() -> usize {
        0
    }
}
