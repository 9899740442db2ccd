//! Messages between hybrid-ipc's buffers and the kernel's registers and IPC buffer.
use crate::bell::BELL_MARK;
use crate::slots;
use hybrid_ipc::{CapSlot, Incoming, Outgoing};
#[cfg(feature = "faults")]
use hybrid_start::fault::Step;
use hybrid_sys::{CPtr, Endpoint, Message, MessageInfo, Notification, Received, Reply, buffer};

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A request; it is in the `Incoming`.
    Call,
    /// Bells and interrupts.
    Bells(u64),
}

/// Where a server's events come from; the kernel, or a test's script.
pub(crate) trait Port {
    /// Answers the last request if `answer` is there, then takes the next event. Unless it waits, that is no bells if there is none.
    fn next(&mut self, answer: Option<&Outgoing>, waits: bool, incoming: &mut Incoming) -> Event;
    /// Answers the last request, and no more.
    #[cfg(feature = "faults")]
    fn answer(&mut self, outgoing: &Outgoing);
    /// Whether an answer can bring a capability.
    fn can_send_cap(&self) -> bool;
    /// Deletes a capability that nobody took.
    fn discard(&mut self, cap: CapSlot);
}

/// Moves a message into registers and IPC buffer. Its capability is made first, since that uses the buffer too.
pub(crate) fn load(outgoing: &Outgoing) -> Message {
    let cap = slots::prepare(outgoing.cap());
    let words = buffer::words();
    for (index, word) in outgoing.buffer_words() {
        words.set(index, word);
    }
    if let Some(cap) = cap {
        buffer::set_cap(0, cap);
    }
    let caps = u64::from(cap.is_some());
    let info = MessageInfo::new(outgoing.label(), 0, caps, outgoing.length() as u64);
    Message { info, registers: outgoing.registers() }
}

/// Moves a message out of registers and IPC buffer.
pub(crate) fn unload(received: &Received, incoming: &mut Incoming) {
    let cap = slots::arrived(received.info);
    let (label, length) = (received.info.label(), received.info.length());
    let words = buffer::words();
    incoming.receive(received.badge, label, length, received.registers, cap, |index| words.word(index));
}

/// Calls `endpoint`. A capability that the previous reply brought and nobody took is deleted.
pub(crate) fn call(endpoint: CPtr, request: &Outgoing, reply: &mut Incoming) {
    if let Some(cap) = reply.take_cap() {
        slots::delete(cap);
    }
    #[cfg(feature = "faults")]
    crate::fault::pass(Step::Call);
    slots::arm();
    let message = load(request);
    #[cfg(feature = "faults")]
    if let Some(order) = crate::fault::due(Step::Sent) {
        Endpoint(endpoint).send(&message);
        crate::fault::commit(order);
    }
    let received = Endpoint(endpoint).call(&message);
    unload(&received, reply);
    #[cfg(feature = "faults")]
    crate::fault::pass(Step::Returned);
}

/// The kernel's endpoint of a server.
pub(crate) struct KernelPort {
    pub(crate) endpoint: Endpoint,
    pub(crate) reply: Reply,
}

impl Port for KernelPort {
    fn next(&mut self, answer: Option<&Outgoing>, waits: bool, incoming: &mut Incoming) -> Event {
        slots::arm();
        let received = match (answer.map(load), waits) {
            (Some(answer), true) => self.endpoint.reply_recv(self.reply, &answer),
            (None, true) => self.endpoint.recv(self.reply),
            (answer, false) => {
                answer.iter().for_each(|answer| self.reply.send(answer));
                self.endpoint.try_recv(self.reply)
            }
        };
        if received.badge & BELL_MARK != 0 || received.badge == 0 {
            // The badge of a session has its client, which is not 0: that is nothing.
            return Event::Bells(received.badge & !BELL_MARK);
        }
        unload(&received, incoming);
        Event::Call
    }

    #[cfg(feature = "faults")]
    fn answer(&mut self, outgoing: &Outgoing) {
        self.reply.send(&load(outgoing));
    }

    fn can_send_cap(&self) -> bool {
        slots::can_send()
    }

    fn discard(&mut self, cap: CapSlot) {
        slots::delete(cap);
    }
}

/// A component that serves nobody and only has bells.
pub(crate) struct BellPort(pub(crate) Notification);

impl Port for BellPort {
    fn next(&mut self, _: Option<&Outgoing>, waits: bool, _: &mut Incoming) -> Event {
        Event::Bells(if waits { self.0.wait() } else { self.0.poll() } & !BELL_MARK)
    }

    #[cfg(feature = "faults")]
    fn answer(&mut self, _: &Outgoing) {}

    fn can_send_cap(&self) -> bool {
        slots::can_send()
    }

    fn discard(&mut self, cap: CapSlot) {
        slots::delete(cap);
    }
}
