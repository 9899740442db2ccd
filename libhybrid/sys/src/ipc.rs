//! Messages through endpoints and reply objects, signals, and the invocation that everything else is made of.
use crate::raw::{Frame, svc};
use crate::{CPtr, Endpoint, Error, Notification, Reply, buffer};
use hybrid_abi::message::{MAX_LENGTH, MessageInfo, REGISTER_WORDS};
use hybrid_abi::syscall;

/// What is sent: the info word and the first four words. Words from the fourth on, and capabilities, are put into
/// the IPC buffer before ([`buffer::set_word`], [`buffer::set_cap`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Message {
    /// Label, length in words, number of extra capabilities.
    pub info: MessageInfo,
    /// Message registers 0 to 3.
    pub registers: [u64; REGISTER_WORDS],
}

/// What was received. Words from the fourth on are in the IPC buffer ([`buffer::word`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Badge of the sender's capability, or the signals of the bound notification; 0 in replies.
    pub badge: u64,
    /// Label, length and capabilities. Meaningless after a signal and after an empty poll.
    pub info: MessageInfo,
    /// Message registers 0 to 3.
    pub registers: [u64; REGISTER_WORDS],
}

impl Message {
    /// A message of up to four words; further words are not sent.
    #[must_use]
    pub fn new(label: u64, words: &[u64]) -> Self {
        let mut registers = [0; REGISTER_WORDS];
        for (register, word) in registers.iter_mut().zip(words) {
            *register = *word;
        }
        Self { info: MessageInfo::new(label, 0, 0, words.len().min(REGISTER_WORDS) as u64), registers }
    }
}

impl Received {
    fn from_frame(frame: &Frame) -> Self {
        Self { badge: frame.x0, info: MessageInfo(frame.info), registers: frame.mr }
    }
}

fn frame(x0: CPtr, message: &Message) -> Frame {
    Frame { x0: x0.0, info: message.info.0, mr: message.registers, ..Frame::default() }
}

fn exchange(number: i64, mut frame: Frame) -> Received {
    svc(number, &mut frame);
    Received::from_frame(&frame)
}

impl Endpoint {
    /// Sends and waits for the reply. Needs Write, and Grant or GrantReply.
    #[must_use]
    pub fn call(self, message: &Message) -> Received {
        exchange(syscall::CALL, frame(self.0, message))
    }

    /// Sends; waits until a receiver has taken it.
    pub fn send(self, message: &Message) {
        exchange(syscall::SEND, frame(self.0, message));
    }

    /// Sends if a receiver waits; otherwise the message is lost.
    pub fn try_send(self, message: &Message) {
        exchange(syscall::NB_SEND, frame(self.0, message));
    }

    /// Waits for a message, or for a signal of the bound notification; `reply` then remembers the caller.
    #[must_use]
    pub fn recv(self, reply: Reply) -> Received {
        exchange(syscall::RECV, Frame { x0: self.0.0, x6: reply.0.0, ..Frame::default() })
    }

    /// As [`Self::recv`], but returns badge 0 if nothing is there.
    #[must_use]
    pub fn try_recv(self, reply: Reply) -> Received {
        exchange(syscall::NB_RECV, Frame { x0: self.0.0, x6: reply.0.0, ..Frame::default() })
    }

    /// Waits for a message without the possibility to reply.
    #[must_use]
    pub fn wait(self) -> Received {
        exchange(syscall::WAIT, Frame { x0: self.0.0, ..Frame::default() })
    }

    /// Answers the caller that `reply` remembers, then waits for the next message.
    #[must_use]
    pub fn reply_recv(self, reply: Reply, message: &Message) -> Received {
        exchange(syscall::REPLY_RECV, Frame { x6: reply.0.0, ..frame(self.0, message) })
    }

    /// Sends to (or signals) `target` without waiting, then waits for the next message.
    #[must_use]
    pub fn send_recv(self, target: CPtr, reply: Reply, message: &Message) -> Received {
        exchange(syscall::NB_SEND_RECV, Frame { x6: reply.0.0, x8: target.0, ..frame(self.0, message) })
    }
}

impl Reply {
    /// Answers the caller, if there still is one.
    pub fn send(self, message: &Message) {
        exchange(syscall::SEND, frame(self.0, message));
    }
}

impl Notification {
    /// Adds the capability's badge to the word and wakes the waiting thread.
    pub fn signal(self) {
        exchange(syscall::SEND, frame(self.0, &Message::default()));
    }

    /// Waits until the word is set, and takes it.
    #[must_use]
    pub fn wait(self) -> u64 {
        exchange(syscall::WAIT, Frame { x0: self.0.0, ..Frame::default() }).badge
    }

    /// Takes the word; 0 if it is not set.
    #[must_use]
    pub fn poll(self) -> u64 {
        exchange(syscall::NB_WAIT, Frame { x0: self.0.0, ..Frame::default() }).badge
    }

    /// Signals `target` without waiting, then waits for this one.
    #[must_use]
    pub fn signal_wait(self, target: Notification) -> u64 {
        exchange(syscall::NB_SEND_WAIT, Frame { x6: target.0.0, ..frame(self.0, &Message::default()) }).badge
    }
}

impl CPtr {
    /// Invokes a kernel object: `words` (at most 120) and `caps` (at most 3) as the operation `label` wants them.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn invoke(self, label: u64, words: &[u64], caps: &[CPtr]) -> Result<Received, Error> {
        let mut message = Message::new(label, words);
        let length = words.len().min(MAX_LENGTH) as u64;
        message.info = MessageInfo::new(label, 0, caps.len() as u64, length);
        let buffer_words = buffer::words();
        for (index, word) in words.iter().enumerate().skip(REGISTER_WORDS) {
            buffer_words.set(index, *word);
        }
        for (index, cap) in caps.iter().enumerate() {
            buffer::set_cap(index, *cap);
        }
        let reply = exchange(syscall::CALL, frame(self, &message));
        let word = |index: usize| reply.registers.get(index).copied().unwrap_or_else(|| buffer::word(index));
        Error::from_reply(reply.info.label(), word).map_or(Ok(reply), Err)
    }

    /// As [`Self::invoke`], for operations without results.
    ///
    /// # Errors
    /// What the kernel answers.
    pub(crate) fn invoke_unit(self, label: u64, words: &[u64], caps: &[CPtr]) -> Result<(), Error> {
        self.invoke(label, words, caps).map(|_| ())
    }

    /// As [`Self::invoke`], for operations with one result word.
    ///
    /// # Errors
    /// What the kernel answers.
    pub(crate) fn invoke_word(self, label: u64, words: &[u64], caps: &[CPtr]) -> Result<u64, Error> {
        self.invoke(label, words, caps).map(|reply| reply.registers[0])
    }
}
