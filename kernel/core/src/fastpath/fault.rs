//! A page fault whose handler waits on the time of who faults, and the handler's answer.
//!
//! The handler of a paged program works for each page that is touched first; so this is a message like any other.

use hybrid_abi::fault::FaultType;
use hybrid_abi::message::MessageInfo;

use super::call::Call;
use super::{Entry, Way, only_if};
use crate::fault::stored_vm_fault;
use crate::kernel::Kernel;
use crate::object::{TcbSlot, ThreadState, status};
use crate::platform::Platform;

/// Words of the message.
const LENGTH: u64 = 4;

impl<P: Platform> Kernel<P> {
    /// A VM fault of the current thread. The handler runs next.
    pub(crate) fn fast_fault(&self, address: u64, is_instruction: bool, syndrome: u64) -> Option<Way> {
        let core = self.this_core();
        let thread = core.current.get()?;
        let tcb = self.tcb(thread);
        let (at, badge) = tcb.cap(TcbSlot::FaultHandler).callable_endpoint()?;
        let endpoint = self.endpoint_at(at);
        let receiver = endpoint.receiver()?;
        let to = self.tcb(receiver);
        let (reply, space, context) = (to.reply()?, self.known_space(to)?, tcb.sched_context()?);
        let may_run = core.ready.is_highest(to.priority()) && self.is_local(receiver);
        only_if(to.sched_context().is_none() && may_run)?;

        // No way back from here.
        self.lend(&Call { thread, endpoint, badge, receiver, reply, space }, context);
        let ip = tcb.fault_ip();
        let (address, second) = stored_vm_fault(ip, address, is_instruction, syndrome);
        tcb.set_fault_word0(address);
        tcb.set_fault_word1(second);
        tcb.set_fault_kind(FaultType::Vm as u64);
        to.set_x::<0>(badge);
        to.set_x::<1>(MessageInfo::new(FaultType::Vm as u64, 0, 0, LENGTH).0);
        to.set_x::<2>(ip);
        to.set_x::<3>(address);
        to.set_x::<4>(u64::from(is_instruction));
        to.set_x::<5>(syndrome & 0xffff_ffff);
        Some(self.run_fast(receiver, space))
    }

    /// ReplyRecv to a thread that lent its time with a fault which any answer ends. That thread runs next.
    pub(crate) fn fast_fault_reply(&self, entry: &Entry) -> Option<Way> {
        let answer = self.possible_answer(entry)?;
        let to = self.tcb(answer.caller);
        let is_faulted = [FaultType::Vm as u64, FaultType::Cap as u64].contains(&to.fault_kind());
        only_if(is_faulted && to.state() == ThreadState::BlockedOnReply && to.yield_to().is_none())?;
        let context = self.tcb(answer.thread).sched_context()?;
        let is_lent = answer.link.sched_context() == Some(context) && to.sched_context().is_none();
        only_if(is_lent && self.this_core().ready.is_highest(to.priority()))?;

        // No way back from here.
        self.give_back(&answer, context);
        // `give_back` left no fault; the thread repeats its instruction.
        debug_assert!(to.status() == status(ThreadState::Running));
        to.set_pc(to.fault_ip());
        Some(self.run_fast(answer.caller, answer.space))
    }
}
