//! Endpoint, notification and reply object: layouts only.

use super::{NotificationRef, ReplyRef, SchedContextRef, TcbRef, Word, view};

view! {
    /// An endpoint: queue head with the state in its low bits, queue tail.
    Endpoint[2] {
        /// Head of the queue and state; see [`Endpoint::state`].
        0 => head_word, set_head_word: u64;
        /// Last thread of the queue.
        1 => tail, set_tail: Option<TcbRef>;
    }
}

/// What the queue of an endpoint holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// Nobody waits.
    Idle,
    /// Senders.
    Send,
    /// Receivers.
    Receive,
}

const STATE_MASK: u64 = 3;
const SEND: u64 = 1;
const RECEIVE: u64 = 2;

impl Endpoint<'_> {
    /// First of the waiting receivers; `None` if the queue holds none.
    #[inline]
    pub(crate) fn receiver(self) -> Option<TcbRef> {
        let word = self.head_word();
        if word & RECEIVE == 0 { None } else { TcbRef::new(word & !STATE_MASK) }
    }

    /// True if nobody waits.
    #[inline]
    pub(crate) fn is_idle(self) -> bool {
        self.head_word() == 0
    }

    /// True if senders wait.
    #[inline]
    pub(crate) fn has_senders(self) -> bool {
        self.head_word() & SEND != 0
    }

    /// What the queue holds.
    #[inline]
    pub fn state(self) -> EndpointState {
        match self.head_word() & STATE_MASK {
            SEND => EndpointState::Send,
            RECEIVE => EndpointState::Receive,
            _ => EndpointState::Idle,
        }
    }

    /// First thread of the queue.
    #[inline]
    pub fn head(self) -> Option<TcbRef> {
        TcbRef::new(self.head_word() & !STATE_MASK)
    }

    /// Sets state and queue together.
    #[inline]
    pub fn set_queue(self, state: EndpointState, head: Option<TcbRef>, tail: Option<TcbRef>) {
        let bits = match state {
            EndpointState::Idle => 0,
            EndpointState::Send => SEND,
            EndpointState::Receive => RECEIVE,
        };
        self.set_head_word(head.to_word() | bits);
        self.set_tail(tail);
    }
}

view! {
    /// A notification of 64 bytes; words 6 and 7 are unused.
    Notification[8] {
        /// State; see [`Notification::state`].
        0 => state_word, set_state_word: u64;
        /// Accumulated badges while active.
        1 => badge, set_badge: u64;
        /// First waiting thread.
        2 => head, set_head: Option<TcbRef>;
        /// Last waiting thread.
        3 => tail, set_tail: Option<TcbRef>;
        /// The thread that is bound to it.
        4 => bound_thread, set_bound_thread: Option<TcbRef>;
        /// The scheduling context that it lends.
        5 => sched_context, set_sched_context: Option<SchedContextRef>;
    }
}

/// What a notification is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationState {
    /// Nothing.
    Idle,
    /// Threads wait.
    Waiting,
    /// Signalled, not yet taken.
    Active,
}

impl Notification<'_> {
    /// What it is doing.
    #[inline]
    pub fn state(self) -> NotificationState {
        match self.state_word() {
            1 => NotificationState::Waiting,
            2 => NotificationState::Active,
            _ => NotificationState::Idle,
        }
    }

    /// Sets the state.
    #[inline]
    pub fn set_state(self, state: NotificationState) {
        self.set_state_word(match state {
            NotificationState::Idle => 0,
            NotificationState::Waiting => 1,
            NotificationState::Active => 2,
        });
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
