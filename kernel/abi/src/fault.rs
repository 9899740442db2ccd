//! Fault numbers (label of a fault message), message lengths and word order.

crate::numbered! {
    /// Kind of fault, the label of a fault message.
    FaultType {
        /// A capability address of a system call did not resolve.
        Cap = 1,
        /// x7 held no known system call.
        UnknownSyscall = 2,
        /// Any other synchronous exception.
        UserException = 3,
        /// A scheduling context ran out of budget.
        Timeout = 5,
        /// Data or instruction abort.
        Vm = 6,
    }
}

/// Words of an unknown-syscall message: x0–x7, fault IP, SP, next IP, SPSR, number.
pub const UNKNOWN_SYSCALL_LENGTH: usize = 13;
/// Words of a reply to an unknown syscall that the kernel reads.
pub const UNKNOWN_SYSCALL_REPLY_LENGTH: usize = 12;
/// Words of a user-exception message: fault IP, SP, SPSR, exception number, code.
pub const USER_EXCEPTION_LENGTH: usize = 5;
/// Words of a reply to a user exception that the kernel reads.
pub const USER_EXCEPTION_REPLY_LENGTH: usize = 3;
/// Words of a VM-fault message: IP, address, is-instruction, syndrome.
pub const VM_FAULT_LENGTH: usize = 4;
/// Words of a timeout message: data word of the scheduling context, µs consumed.
pub const TIMEOUT_LENGTH: usize = 2;
/// Words of a reply to a timeout that the kernel reads.
pub const TIMEOUT_REPLY_LENGTH: usize = 34;
