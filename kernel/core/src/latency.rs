//! What an entry is about to do, for the statistics of instrumented kernels; changes nothing.

use hybrid_abi::message::MessageInfo;
use hybrid_abi::syscall;

use crate::cap::Cap;
use crate::kernel::Kernel;
use crate::platform::Platform;

/// A system call as the caller's registers state it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Its number.
    pub number: i64,
    /// Type tag of the capability that it names first; 0 for none.
    pub tag: u64,
    /// Label of its message.
    pub label: u64,
}

impl<P: Platform> Kernel<P> {
    /// What the current thread asks for; looked up before the call is executed, which may delete the capability.
    #[must_use]
    pub fn request(&self) -> Request {
        let Some(thread) = self.current_thread() else { return Request::default() };
        let tcb = self.tcb(thread);
        let number = tcb.x::<7>().cast_signed();
        let dest = match number {
            syscall::REPLY_RECV | syscall::NB_SEND_WAIT => tcb.x::<6>(),
            syscall::NB_SEND_RECV => tcb.x::<8>(),
            _ => tcb.x::<0>(),
        };
        let tag = self.lookup_cap(thread, dest).map_or(0, Cap::tag);
        Request { number, tag, label: MessageInfo(tcb.x::<1>()).label() }
    }
}
