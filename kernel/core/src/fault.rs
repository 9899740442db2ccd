//! Faults: storing, delivering, and answering them (kernel-abi §4.10).

use hybrid_abi::fault::{FaultType, TIMEOUT_REPLY_LENGTH, UNKNOWN_SYSCALL_REPLY_LENGTH, USER_EXCEPTION_REPLY_LENGTH};
use hybrid_abi::message::{MessageInfo, REGISTER_WORDS};
use hybrid_abi::register::{SPSR_USER_BITS, SPSR_USER_MASK};

use crate::cap::Words;
use crate::cspace::LookupFailure;
use crate::endpoint::Sender;
use crate::kernel::{Kernel, UserFault};
use crate::message::{CONTEXT_ORDER, message_words};
use crate::object::{TcbRef, TcbSlot, ThreadState, context};
use crate::platform::Platform;

/// A fault of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Cap { address: u64, in_receive: bool, failure: LookupFailure },
    UnknownSyscall { number: u64 },
    Timeout { badge: u64 },
    User(UserFault),
}

/// Bit of the second stored word of a VM fault: instruction abort.
const IS_INSTRUCTION: u64 = 1 << 32;

/// Order of the words of an UnknownSyscall message that a reply may change.
const UNKNOWN_SYSCALL_WORDS: [usize; UNKNOWN_SYSCALL_REPLY_LENGTH] =
    [0, 1, 2, 3, 4, 5, 6, 7, context::FAULT_IP, context::SP, context::PC, context::SPSR];
/// Order of the words of a UserException message that a reply may change.
const EXCEPTION_WORDS: [usize; USER_EXCEPTION_REPLY_LENGTH] = [context::FAULT_IP, context::SP, context::SPSR];

/// SPSR as a user may set it.
pub(crate) fn clean_spsr(value: u64) -> u64 {
    (value & SPSR_USER_MASK) | SPSR_USER_BITS
}

/// The two words that are stored of a VM fault. The address of an instruction abort is the IP.
#[inline]
pub(crate) fn stored_vm_fault(ip: u64, address: u64, is_instruction: bool, syndrome: u64) -> (u64, u64) {
    let syndrome = syndrome & 0xffff_ffff;
    if is_instruction { (ip, syndrome | IS_INSTRUCTION) } else { (address, syndrome) }
}

impl<P: Platform> Kernel<P> {
    fn store_fault(&self, thread: TcbRef, fault: Fault) {
        let tcb = self.tcb(thread);
        let (kind, word0, word1) = match fault {
            Fault::Cap { address, in_receive, failure } => {
                let (kind, [a, b, c], _) = failure.words();
                tcb.set_lookup_kind(kind);
                tcb.set_lookup_word0(a);
                tcb.set_lookup_word1(b);
                tcb.set_lookup_word2(c);
                (FaultType::Cap, address, u64::from(in_receive))
            }
            Fault::UnknownSyscall { number } => (FaultType::UnknownSyscall, number, 0),
            Fault::User(UserFault::Exception { number }) => (FaultType::UserException, number & 0xffff_ffff, 0),
            Fault::Timeout { badge } => (FaultType::Timeout, badge, 0),
            Fault::User(UserFault::Vm { address, is_instruction, syndrome }) => {
                let (word0, word1) = stored_vm_fault(tcb.fault_ip(), address, is_instruction, syndrome);
                (FaultType::Vm, word0, word1)
            }
        };
        tcb.set_fault_word0(word0);
        tcb.set_fault_word1(word1);
        tcb.set_fault_kind(kind as u64);
    }

    /// Sends a fault to the thread's fault handler; without one the thread stops.
    pub(crate) fn deliver_fault(&self, thread: TcbRef, fault: Fault) {
        let handler = self.words(thread.slot(TcbSlot::FaultHandler));
        let may_donate = self.tcb(thread).sched_context().is_some();
        if !self.send_fault(thread, handler, fault, may_donate) {
            #[cfg(feature = "debug-calls")]
            self.debug_unhandled_fault(thread, &fault);
            self.set_state(thread, ThreadState::Inactive);
        }
    }

    /// The thread's timeout handler, if it has a valid one.
    pub(crate) fn timeout_handler(&self, thread: TcbRef) -> Option<Words> {
        Some(self.words(thread.slot(TcbSlot::TimeoutHandler))).filter(|words| words.endpoint().is_some())
    }

    /// Sends a timeout to the thread's timeout handler, which it has.
    pub(crate) fn deliver_timeout(&self, thread: TcbRef, fault: Fault) {
        if let Some(handler) = self.timeout_handler(thread) {
            self.send_fault(thread, handler, fault, false);
        }
    }

    fn send_fault(&self, thread: TcbRef, handler: Words, fault: Fault, may_donate: bool) -> bool {
        let Some((endpoint, badge, rights)) = handler.endpoint() else { return false };
        self.store_fault(thread, fault);
        self.send(thread, Sender { endpoint, badge, rights, is_call: true }, None, true, may_donate);
        true
    }

    /// Writes the fault message of `thread` to `receiver`.
    pub(crate) fn transfer_fault(&self, thread: TcbRef, receiver: TcbRef, badge: u64) {
        let tcb = self.tcb(thread);
        let (kind, word0, word1) = (tcb.fault_kind(), tcb.fault_word0(), tcb.fault_word1());
        let reg = |word: &usize| tcb.context_word(*word);
        let length = match FaultType::from_number(kind) {
            Some(FaultType::Cap) => {
                let (a, b, c) = (tcb.lookup_word0(), tcb.lookup_word1(), tcb.lookup_word2());
                let data = usize::try_from(tcb.lookup_kind().saturating_sub(1)).unwrap_or(0);
                let head = [tcb.fault_ip(), word0, word1, tcb.lookup_kind()];
                self.write_message(receiver, head.into_iter().chain([a, b, c].into_iter().take(data)))
            }
            Some(FaultType::UnknownSyscall) => {
                self.write_message(receiver, UNKNOWN_SYSCALL_WORDS.iter().map(reg).chain([word0]))
            }
            Some(FaultType::UserException) => {
                self.write_message(receiver, EXCEPTION_WORDS.iter().map(reg).chain([word0, 0]))
            }
            Some(FaultType::Timeout) => {
                let consumed = tcb.sched_context().map(|context| self.take_consumed_us(context));
                self.write_message(receiver, [word0].into_iter().chain(consumed))
            }
            Some(FaultType::Vm) => {
                let to = self.tcb(receiver);
                to.set_x::<2>(tcb.fault_ip());
                to.set_x::<3>(word0);
                to.set_x::<4>(u64::from(word1 & IS_INSTRUCTION != 0));
                to.set_x::<5>(word1 & 0xffff_ffff);
                REGISTER_WORDS as u64
            }
            None => 0,
        };
        self.tcb(receiver).set_x::<0>(badge);
        self.tcb(receiver).set_x::<1>(MessageInfo::new(kind, 0, 0, length).0);
    }

    /// Applies the reply of `replier` to a faulted thread. True if it restarts.
    pub(crate) fn answer_fault(&self, thread: TcbRef, replier: TcbRef) -> bool {
        let tcb = self.tcb(thread);
        let words: &[usize] = match FaultType::from_number(tcb.fault_kind()) {
            Some(FaultType::UnknownSyscall) => &UNKNOWN_SYSCALL_WORDS,
            Some(FaultType::UserException) => &EXCEPTION_WORDS,
            Some(FaultType::Timeout) => CONTEXT_ORDER.get(..TIMEOUT_REPLY_LENGTH).unwrap_or_default(),
            Some(FaultType::Vm | FaultType::Cap) | None => return true,
        };
        self.forget_cursor(thread);
        let info = MessageInfo(self.tcb(replier).x::<1>());
        let values = message_words(self.tcb(replier), self.buffer(replier, false)).take(info.length());
        for (word, value) in words.iter().zip(values) {
            tcb.set_context_word(*word, if *word == context::SPSR { clean_spsr(value) } else { value });
        }
        info.label() == 0
    }
}
