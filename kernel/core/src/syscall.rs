//! The eleven system calls: which phases each has, and what can fail before an object is reached.

use hybrid_abi::cap_tag;
use hybrid_abi::label;
use hybrid_abi::message::{MessageInfo, REGISTER_WORDS};
use hybrid_abi::rights::Rights;
use hybrid_abi::syscall::Syscall;

use crate::cspace::LookupFailure;
use crate::endpoint::Sender;
use crate::fault::Fault;
use crate::invocation::{Error, Manner};
use crate::kernel::Kernel;
use crate::object::{ReplyRef, TcbRef};
use crate::platform::Platform;

const SEND: Manner = Manner { is_blocking: true, is_call: false, may_donate: false, is_first_phase: false };
const NB_SEND: Manner = Manner { is_blocking: false, is_call: false, may_donate: false, is_first_phase: false };
const CALL: Manner = Manner { is_blocking: true, is_call: true, may_donate: true, is_first_phase: false };
const FIRST_PHASE: Manner = Manner { is_blocking: false, is_call: false, may_donate: true, is_first_phase: true };

/// What an invocation left behind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Done,
    Preempted,
}

impl<P: Platform> Kernel<P> {
    /// The Call of the current thread.
    pub(crate) fn call(&self) {
        if let Some(thread) = self.begin() {
            self.invoke_and_settle(thread, self.tcb(thread).x::<0>(), CALL);
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
        let dest = tcb.x::<0>();
        match call {
            Syscall::Send => self.invoke_and_settle(thread, dest, SEND),
            Syscall::NbSend => self.invoke_and_settle(thread, dest, NB_SEND),
            Syscall::Call => self.invoke_and_settle(thread, dest, CALL),
            Syscall::Recv => self.receive(thread, true, true),
            Syscall::NbRecv => self.receive(thread, false, true),
            Syscall::Wait => self.receive(thread, true, false),
            Syscall::NbWait => self.receive(thread, false, false),
            Syscall::ReplyRecv => self.two_phases(thread, tcb.x::<6>(), true),
            Syscall::NbSendRecv => self.two_phases(thread, tcb.x::<8>(), true),
            Syscall::NbSendWait => self.two_phases(thread, tcb.x::<6>(), false),
            Syscall::Yield => self.yield_now(),
        }
    }

    #[inline(always)]
    fn invoke_and_settle(&self, thread: TcbRef, dest: u64, manner: Manner) {
        if self.invoke(thread, dest, manner) == Progress::Preempted {
            self.settle_preempted();
        }
    }

    fn two_phases(&self, thread: TcbRef, dest: u64, takes_reply: bool) {
        match self.invoke(thread, dest, FIRST_PHASE) {
            Progress::Done => self.receive(thread, true, takes_reply),
            Progress::Preempted => self.settle_preempted(),
        }
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
    fn invoke(&self, thread: TcbRef, dest: u64, manner: Manner) -> Progress {
        let slot = match self.lookup_slot(thread, dest) {
            Ok(slot) => slot,
            Err(failure) => return self.lookup_failed(thread, dest, failure, manner),
        };
        let info = MessageInfo(self.tcb(thread).x::<1>());
        let needs_buffer = info.extra_caps() > 0 || info.length() > REGISTER_WORDS;
        let buffer = if needs_buffer { self.buffer(thread, false) } else { None };
        let caps = &match self.extra_caps(thread, info, buffer) {
            Ok(caps) => caps,
            Err((cptr, failure)) => return self.lookup_failed(thread, cptr, failure, manner),
        };
        let words = self.words(slot);
        if let Some((at, badge, rights)) = words.endpoint() {
            let sender = Sender {
                badge,
                can_grant: rights.has(Rights::GRANT),
                can_grant_reply: rights.has(Rights::GRANT_REPLY),
                is_call: manner.is_call,
            };
            if rights.has(Rights::WRITE) {
                self.send(thread, at, sender, Some(caps), manner.is_blocking, manner.may_donate);
            } else {
                self.refuse(thread, manner);
            }
        } else if let Some((at, badge, rights)) = words.notification() {
            if rights.has(Rights::WRITE) {
                self.signal(at, badge);
                self.answer_nothing(thread, manner);
            } else {
                self.refuse(thread, manner);
            }
        } else if let Some((at, can_grant)) = words.reply() {
            self.reply_through(thread, at, caps, can_grant);
            self.answer_nothing(thread, manner);
        } else if words.tag() == cap_tag::IRQ_HANDLER && info.label() == label::IRQ_ACK {
            // In the loop of every driver, without arguments, and never refused: no need of the whole way.
            self.acknowledge_irq(words.irq());
            self.answer_nothing(thread, manner);
        } else if !self.invoke_object(thread, slot, words, (caps, buffer), manner) {
            return Progress::Preempted;
        }
        Progress::Done
    }

    /// The empty answer of a Call that has no other.
    fn answer_nothing(&self, thread: TcbRef, manner: Manner) {
        if manner.is_call {
            self.tcb(thread).set_x::<0>(0);
            self.tcb(thread).set_x::<1>(0);
        }
    }

    #[cold]
    fn refuse(&self, thread: TcbRef, manner: Manner) {
        if manner.is_call {
            self.answer_error(thread, Error::InvalidCapability(0));
        }
    }

    #[cold]
    fn lookup_failed(&self, thread: TcbRef, address: u64, failure: LookupFailure, manner: Manner) -> Progress {
        if manner.is_blocking {
            self.deliver_fault(thread, Fault::Cap { address, in_receive: false, failure });
        }
        Progress::Done
    }

    /// The receive part of a system call: source in x0, reply object in x6.
    fn receive(&self, thread: TcbRef, is_blocking: bool, takes_reply: bool) {
        let source = self.tcb(thread).x::<0>();
        let fault = |address, failure| Fault::Cap { address, in_receive: true, failure };
        let missing = fault(source, LookupFailure::Missing { bits_left: 0 });
        let words = match self.lookup_slot(thread, source) {
            Ok(slot) => self.words(slot),
            Err(failure) => {
                self.deliver_fault(thread, fault(source, failure));
                return;
            }
        };
        if let Some((at, _, rights)) = words.endpoint()
            && rights.has(Rights::READ)
        {
            let reply = if takes_reply { self.lookup_reply(thread).map(Some) } else { Ok(None) };
            match reply {
                Ok(reply) => self.receive_message(thread, at, is_blocking, reply),
                Err((address, failure)) => self.deliver_fault(thread, fault(address, failure)),
            }
        } else if let Some((at, _, rights)) = words.notification()
            && rights.has(Rights::READ)
            && self.notification(at).bound_thread().is_none_or(|bound| bound == thread)
        {
            self.receive_signal(thread, at, is_blocking);
        } else {
            self.deliver_fault(thread, missing);
        }
    }

    fn lookup_reply(&self, thread: TcbRef) -> Result<ReplyRef, (u64, LookupFailure)> {
        let cptr = self.tcb(thread).x::<6>();
        match self.lookup_slot(thread, cptr) {
            Ok(slot) => {
                let missing = (cptr, LookupFailure::Missing { bits_left: 0 });
                self.words(slot).reply().map(|(reply, _)| reply).ok_or(missing)
            }
            Err(failure) => Err((cptr, failure)),
        }
    }
}
