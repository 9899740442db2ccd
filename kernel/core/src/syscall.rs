//! The eleven system calls: which phases each has, and what can fail before an object is reached.

use hybrid_abi::cap_tag;
use hybrid_abi::label;
use hybrid_abi::message::{MessageInfo, REGISTER_WORDS};
use hybrid_abi::rights::Rights;
use hybrid_abi::syscall::Syscall;

use crate::cspace::LookupFailure;
use crate::endpoint::Sender;
use crate::fault::Fault;
use crate::invocation::Manner;
use crate::kernel::Kernel;
use crate::object::TcbRef;
use crate::platform::Platform;

const SEND: Manner = Manner { is_blocking: true, is_call: false, may_donate: false, is_first_phase: false };
const NB_SEND: Manner = Manner { is_blocking: false, is_call: false, may_donate: false, is_first_phase: false };
const CALL: Manner = Manner { is_blocking: true, is_call: true, may_donate: true, is_first_phase: false };
const FIRST_PHASE: Manner = Manner { is_blocking: false, is_call: false, may_donate: true, is_first_phase: true };

/// Why nothing was sent.
enum Unsent {
    /// The operation made progress and will be repeated.
    Preempted,
    /// This CPtr names nothing.
    Lookup(u64, LookupFailure),
}

impl<P: Platform> Kernel<P> {
    /// The Call of the current thread.
    pub(crate) fn call(&self) {
        if let Some(thread) = self.begin() {
            self.send_phase(thread, self.tcb(thread).x::<0>(), CALL);
        }
    }

    /// The system call of the current thread.
    pub(crate) fn syscall(&self) {
        #[cfg(feature = "debug-calls")]
        if let Some(thread) = self.this_core().current.get()
            && self.debug_call(thread, self.tcb(thread).x::<7>().cast_signed())
        {
            return;
        }
        let Some(thread) = self.begin() else { return };
        let tcb = self.tcb(thread);
        let number = tcb.x::<7>().cast_signed();
        let Some(call) = Syscall::from_number(number) else {
            self.deliver_fault(thread, Fault::UnknownSyscall { number: tcb.x::<7>() });
            return;
        };
        let (x0, x6) = (tcb.x::<0>(), tcb.x::<6>());
        // Where to and how it sends; whether it receives, if it may block for it, and with a reply object.
        let (sends, receives) = match call {
            Syscall::Send => (Some((x0, SEND)), None),
            Syscall::NbSend => (Some((x0, NB_SEND)), None),
            Syscall::Call => (Some((x0, CALL)), None),
            Syscall::Recv => (None, Some((true, true))),
            Syscall::NbRecv => (None, Some((false, true))),
            Syscall::Wait => (None, Some((true, false))),
            Syscall::NbWait => (None, Some((false, false))),
            Syscall::ReplyRecv => (Some((x6, FIRST_PHASE)), Some((true, true))),
            Syscall::NbSendRecv => (Some((tcb.x::<8>(), FIRST_PHASE)), Some((true, true))),
            Syscall::NbSendWait => (Some((x6, FIRST_PHASE)), Some((true, false))),
            Syscall::Yield => return self.yield_now(),
        };
        if let Some((dest, manner)) = sends
            && !self.send_phase(thread, dest, manner)
        {
            return;
        }
        if let Some((is_blocking, takes_reply)) = receives
            && let Err((address, failure)) = self.receive(thread, is_blocking, takes_reply)
        {
            self.deliver_fault(thread, Fault::Cap { address, in_receive: true, failure });
        }
    }

    /// What a system call does first. False if it was preempted.
    #[inline(always)]
    fn send_phase(&self, thread: TcbRef, dest: u64, manner: Manner) -> bool {
        match self.invoke(thread, dest, manner) {
            Err(Unsent::Preempted) => {
                self.settle_preempted();
                return false;
            }
            Err(Unsent::Lookup(address, failure)) => {
                self.end_maintenance(thread);
                if manner.is_blocking {
                    self.deliver_fault(thread, Fault::Cap { address, in_receive: false, failure });
                }
            }
            Ok(()) => {}
        }
        true
    }

    /// After a preempted operation: the time it took may have used up the budget.
    fn settle_preempted(&self) {
        match self.this_core().current.get() {
            Some(thread) if self.is_schedulable(thread) => {
                self.check_budget();
            }
            _ => self.forget_or_charge_consumed(),
        }
    }

    /// Sends the thread's message to the capability that `dest` names.
    fn invoke(&self, thread: TcbRef, dest: u64, manner: Manner) -> Result<(), Unsent> {
        let slot = self.lookup_slot(thread, dest).map_err(|failure| Unsent::Lookup(dest, failure))?;
        let info = MessageInfo(self.tcb(thread).x::<1>());
        let needs_buffer = info.extra_caps() > 0 || info.length() > REGISTER_WORDS;
        let buffer = if needs_buffer { self.buffer(thread, false) } else { None };
        let caps = self.extra_caps(thread, info, buffer).map_err(|(cptr, failure)| Unsent::Lookup(cptr, failure))?;
        let words = self.words(slot);
        if let Some((endpoint, badge, rights)) = words.endpoint()
            && rights.has(Rights::WRITE)
        {
            let to = Sender { endpoint, badge, rights, is_call: manner.is_call };
            self.send(thread, to, Some(&caps), manner.is_blocking, manner.may_donate);
        } else if let Some((at, badge, rights)) = words.notification()
            && rights.has(Rights::WRITE)
        {
            self.signal(at, badge);
            self.answer_nothing(thread, manner);
        } else if let Some((at, can_grant)) = words.reply() {
            self.reply_through(thread, at, &caps, can_grant);
            self.answer_nothing(thread, manner);
        } else if words.tag() == cap_tag::IRQ_HANDLER && info.label() == label::IRQ_ACK {
            // In the loop of every driver, without arguments, and never refused: no need of the whole way.
            self.acknowledge_irq(words.irq());
            self.answer_nothing(thread, manner);
        } else if !self.invoke_object(thread, slot, words, (&caps, buffer), manner) {
            return Err(Unsent::Preempted);
        }
        Ok(())
    }

    /// The empty answer of a Call that has no other.
    fn answer_nothing(&self, thread: TcbRef, manner: Manner) {
        if manner.is_call {
            self.tcb(thread).set_x::<0>(0);
            self.tcb(thread).set_x::<1>(0);
        }
    }

    /// The receive part of a system call: source in x0, reply object in x6. The error is the CPtr that names neither.
    #[inline]
    fn receive(&self, thread: TcbRef, is_blocking: bool, takes_reply: bool) -> Result<(), (u64, LookupFailure)> {
        let named =
            |cptr| self.lookup_slot(thread, cptr).map(|slot| self.words(slot)).map_err(|failure| (cptr, failure));
        let (source, reply) = (self.tcb(thread).x::<0>(), self.tcb(thread).x::<6>());
        let missing = |cptr| (cptr, LookupFailure::Missing { bits_left: 0 });
        let words = named(source)?;
        if let Some((at, _, rights)) = words.endpoint()
            && rights.has(Rights::READ)
        {
            let reply = if takes_reply { Some(named(reply)?.reply().ok_or(missing(reply))?.0) } else { None };
            self.receive_message(thread, at, is_blocking, reply);
        } else if let Some((at, _, rights)) = words.notification()
            && rights.has(Rights::READ)
            && self.notification(at).bound_thread().is_none_or(|bound| bound == thread)
        {
            self.receive_signal(thread, at, is_blocking);
        } else {
            return Err(missing(source));
        }
        Ok(())
    }
}
