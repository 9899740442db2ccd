//! Order of a thread's registers in Read/WriteRegisters and in fault messages.

/// A register of a thread as messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// Restart address.
    Pc,
    /// `SP_EL0`.
    Sp,
    /// `SPSR_EL1`.
    Spsr,
    /// General register 0…30.
    X(u8),
    /// `TPIDR_EL0`.
    Tpidr,
    /// `TPIDRRO_EL0`.
    TpidrRo,
}

use Register::{Pc, Sp, Spsr, Tpidr, TpidrRo, X};

/// Registers of ReadRegisters and WriteRegisters.
pub const COUNT: usize = 36;
/// The first 17 of [`ORDER`]: the frame group; the rest is the integer group.
pub const FRAME_COUNT: usize = 17;

/// Word index → register, for ReadRegisters and WriteRegisters.
pub const ORDER: [Register; COUNT] = {
    let mut order = [Pc; COUNT];
    let mut index = 0;
    while index < GENERAL.len() {
        order[3 + index] = X(GENERAL[index]);
        index += 1;
    }
    [order[1], order[2], order[34], order[35]] = [Sp, Spsr, Tpidr, TpidrRo];
    order
};

/// The general registers in that order.
const GENERAL: [u8; 31] =
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 17, 18, 29, 30, 9, 10, 11, 12, 13, 14, 15, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28];

/// Flag of ReadRegisters: suspend the thread first. Of WriteRegisters: resume it afterwards.
pub const FLAG_SUSPEND_OR_RESUME: u64 = 1;
/// Flag of CopyRegisters: suspend the source.
pub const COPY_SUSPEND_SOURCE: u64 = 1;
/// Flag of CopyRegisters: resume the target.
pub const COPY_RESUME_TARGET: u64 = 2;
/// Flag of CopyRegisters: copy the frame group.
pub const COPY_FRAME: u64 = 4;
/// Flag of CopyRegisters: copy the integer group.
pub const COPY_INTEGER: u64 = 8;

/// SPSR bits that user space may choose (NZCV).
pub const SPSR_USER_MASK: u64 = 0xf000_0000;
/// SPSR bits that the kernel sets: FIQ and SError masked (release kernels).
pub const SPSR_USER_BITS: u64 = 0x140;
