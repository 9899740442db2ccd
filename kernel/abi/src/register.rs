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
pub const ORDER: [Register; COUNT] = [
    Pc,
    Sp,
    Spsr,
    X(0),
    X(1),
    X(2),
    X(3),
    X(4),
    X(5),
    X(6),
    X(7),
    X(8),
    X(16),
    X(17),
    X(18),
    X(29),
    X(30),
    X(9),
    X(10),
    X(11),
    X(12),
    X(13),
    X(14),
    X(15),
    X(19),
    X(20),
    X(21),
    X(22),
    X(23),
    X(24),
    X(25),
    X(26),
    X(27),
    X(28),
    Tpidr,
    TpidrRo,
];

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
