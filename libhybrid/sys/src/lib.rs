//! Typed kernel objects and system calls; no policy, no memory of its own.
//!
//! One type per kernel object; each is a capability address ([`CPtr`]) and costs nothing. Methods are the
//! invocations and system calls of the kernel ABI, errors are [`Error`] with all the words that the kernel gave.
//! All types are `Copy`: authority is in the kernel's capability space, not in Rust's ownership. Who needs
//! ownership (a slot to free) builds it on top, as `hybrid-rt` does.
//!
//! # Soundness
//!
//! The methods are safe functions although some can pull memory from under the program (unmapping one of its
//! own pages). That takes capabilities to the program's own memory, which ordinary components do not have;
//! the root task must map and unmap only what it does not use. This crate itself touches no memory but the IPC buffer.
//!
//! # Hosts
//!
//! For any target other than the system's own, every system call behaves as if all capability slots were empty:
//! calls answer InvalidCapability, receives return nothing. So code that links this crate builds and runs its tests
//! on the host.
#![cfg_attr(not(test), no_std)]

mod audit;
pub mod boot;
pub mod buffer;
mod cap;
pub mod clock;
mod cnode;
mod copy;
mod error;
mod ipc;
mod irq;
mod platform;
mod raw;
mod sched;
mod tcb;
mod untyped;
mod vspace;

pub use audit::AuditEntry;
pub use cap::{
    AsidControl, AsidPool, Audit, CNode, CPtr, Domain, Endpoint, Frame, IrqControl, IrqHandler, Notification,
    PageTable, Platform, Reply, SchedContext, SchedControl, Tcb, Untyped, VSpace,
};
pub use cnode::Slot;
pub use copy::copy_shared;
pub use error::{Error, LookupFailure};
pub use hybrid_abi as abi;
pub use hybrid_abi::message::MessageInfo;
pub use hybrid_abi::object::ObjectType;
pub use hybrid_abi::rights::{CNodeData, Rights};
pub use ipc::{Message, Received};
pub use irq::Trigger;
pub use raw::{breakpoint, count_per_second, count_virtual, debug_put_char, end, end_badly, yield_now};
pub use sched::SchedParameters;
pub use tcb::{Registers, Resume, Suspend, TcbSpace};
pub use vspace::{Attributes, Range};

#[cfg(test)]
mod tests;
