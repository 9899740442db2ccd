//! Endpoint, notification and reply object: layouts only. A notification begins like an endpoint.

use super::{EndpointRef, NotificationRef, ReplyRef, SchedContextRef, TcbRef, Word, numbered, view};

view! {
    /// An endpoint: queue head with the state in its low bits, queue tail.
    Endpoint[2] {
        /// Head of the queue and state; see [`Endpoint::state`].
        0 => head_word, set_head_word: u64;
        /// Last thread of the queue.
        1 => tail, set_tail: Option<TcbRef>;
    }
}

numbered! {
    /// What the queue of an endpoint holds.
    EndpointState else Receive {
        /// Nobody waits.
        Idle = 0,
        /// Senders.
        Send = 1,
        /// Receivers.
        Receive = 2,
    }
}

/// Bits of the head's word that hold the state, of an endpoint and of a notification.
const STATE: u64 = 3;

impl Endpoint<'_> {
    /// First of the waiting receivers; `None` if the queue holds none.
    #[inline]
    pub(crate) fn receiver(self) -> Option<TcbRef> {
        let word = self.head_word();
        if word & EndpointState::Receive.to_word() == 0 { None } else { TcbRef::new(word & !STATE) }
    }

    /// True if nobody waits.
    #[inline]
    pub(crate) fn is_idle(self) -> bool {
        self.head_word() == 0
    }

    /// True if senders wait.
    #[inline]
    pub(crate) fn has_senders(self) -> bool {
        self.head_word() & EndpointState::Send.to_word() != 0
    }

    /// What the queue holds.
    #[inline]
    pub fn state(self) -> EndpointState {
        EndpointState::from_word(self.head_word() & STATE)
    }

    /// First thread of the queue.
    #[inline]
    pub fn head(self) -> Option<TcbRef> {
        TcbRef::new(self.head_word() & !STATE)
    }

    /// Sets state and queue together.
    #[inline]
    pub fn set_queue(self, state: EndpointState, head: Option<TcbRef>, tail: Option<TcbRef>) {
        self.set_head_word(head.to_word() | state.to_word());
        self.set_tail(tail);
    }
}

view! {
    /// A notification of 64 bytes; words 5 to 7 are unused.
    Notification[8] {
        /// Head of the queue and state; see [`Notification::state`].
        0 => head_word, set_head_word: u64;
        /// Last waiting thread.
        1 => tail, set_tail: Option<TcbRef>;
        /// Accumulated badges while active.
        2 => badge, set_badge: u64;
        /// The thread that is bound to it.
        3 => bound_thread, set_bound_thread: Option<TcbRef>;
        /// The scheduling context that it lends.
        4 => sched_context, set_sched_context: Option<SchedContextRef>;
    }
}

numbered! {
    /// What a notification is doing.
    NotificationState else Active {
        /// Nothing.
        Idle = 0,
        /// Threads wait: receivers, as at an endpoint.
        Waiting = 2,
        /// Signalled, not yet taken; the only one with bit 0.
        Active = 3,
    }
}
const _: () = assert!(NotificationState::Waiting as u64 == EndpointState::Receive as u64);

impl Notification<'_> {
    /// What it is doing.
    #[inline]
    pub fn state(self) -> NotificationState {
        NotificationState::from_word(self.head_word() & STATE)
    }

    /// True if it was signalled.
    #[inline]
    pub fn is_active(self) -> bool {
        self.head_word() & 1 != 0
    }

    /// Sets what it is doing; nobody waits.
    #[inline]
    pub fn set_state(self, state: NotificationState) {
        self.set_head_word(state.to_word());
    }

    /// First waiting thread.
    #[inline]
    pub fn head(self) -> Option<TcbRef> {
        TcbRef::new(self.head_word() & !STATE)
    }
}

impl NotificationRef {
    /// Its queue.
    #[inline]
    #[must_use]
    pub const fn queue(self) -> EndpointRef {
        EndpointRef(self.0)
    }
}

view! {
    /// A reply object of 32 bytes.
    Reply[4] {
        /// The thread that waits for the reply, or that receives with this object.
        0 => thread, set_thread: Option<TcbRef>;
        /// The next older reply of the call chain.
        1 => older, set_older: Option<ReplyRef>;
        /// The next more recent reply of the call chain.
        2 => newer, set_newer: Option<ReplyRef>;
        /// The scheduling context, if this is the head of its chain.
        3 => sched_context, set_sched_context: Option<SchedContextRef>;
    }
}

const _: () = assert!(Endpoint::WORDS * 8 == 1 << hybrid_abi::object::ENDPOINT_BITS);
const _: () = assert!(Notification::WORDS * 8 == 1 << hybrid_abi::object::NOTIFICATION_BITS);
const _: () = assert!(Reply::WORDS * 8 == 1 << hybrid_abi::object::REPLY_BITS);
const _: () = assert!(size_of::<Option<NotificationRef>>() == 8);
