//! One request at a provider, and one provider's session: their bounds and states.

use crate::engine::Stream;
use crate::limits::{BODY_CREDIT, CANCELS_MAX, IN_FLIGHT_MAX, STALL_NS};
use crate::outside::Refusal;
use crate::slots::Key;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

/// A request that a provider has and has not answered completely.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) connection: Key,
    pub(super) stream: Stream,
    pub(super) session: usize,
    /// Bytes of the request's body that may be sent to the provider.
    pub(super) body_credit: u32,
    /// Bytes of the answer's body that the provider may send.
    pub(super) answer_credit: u32,
    /// Answer bytes that came and were not given back as credit.
    pub(super) answer_used: u32,
    /// The provider has the whole request.
    pub(super) is_body_done: bool,
}

impl Exchange {
    pub(super) fn new(connection: Key, stream: Stream, session: usize, has_body: bool) -> Self {
        Exchange {
            connection,
            stream,
            session,
            body_credit: BODY_CREDIT,
            answer_credit: BODY_CREDIT,
            answer_used: 0,
            is_body_done: !has_body,
        }
    }
}

/// One provider as httpd sees it.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// What securityd calls it.
    pub(super) name: String,
    /// Requests that it has.
    pub(super) in_flight: usize,
    /// Connections whose request waits for room here, first come first.
    pub(super) queue: VecDeque<Key>,
    /// Requests to call off once there is room.
    pub(super) cancels: VecDeque<u32>,
    /// Connections that have something for the ring and found it full.
    pub(super) blocked: Vec<Key>,
    /// Since when it has something to do and was not heard of.
    pub(super) silent_since: Option<u64>,
    /// It leaves its ring unread: it gets nothing until it reads again.
    pub(super) is_stalled: bool,
    /// It was found to have broken its session: `settle` ends that.
    pub(super) is_broken: bool,
    /// It broke its session: it gets nothing any more.
    pub(super) is_lost: bool,
    /// It died: it gets nothing until its next life registers, and its endpoints are answered 503 until then.
    pub(super) is_gone: bool,
    /// Faults that were logged; the log is not its to flood.
    pub(super) faults: u32,
}

/// Faults of one provider that are logged one by one; later ones only at powers of two.
const LOGGED_FAULTS: u32 = 8;

impl Session {
    pub(super) fn new(name: &str) -> Self {
        Session { name: name.into(), ..Session::default() }
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight < IN_FLIGHT_MAX
    }

    /// Whether it gets further requests. Each one that it has may end as a cancellation that waits for room; none of those may be lost, or it
    /// would keep what belongs to a dead request for ever. So it gets no more while that could go beyond `CANCELS_MAX`.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_stalled
            && !self.is_broken
            && !self.is_lost
            && !self.is_gone
            && self.cancels.len() < CANCELS_MAX - IN_FLIGHT_MAX
    }

    /// Looks at how something was not said.
    pub(super) fn refused(&mut self, refusal: Refusal) {
        self.is_broken |= refusal == Refusal::Corrupt;
    }

    /// Remembers a connection that found the ring full; once.
    pub(super) fn block(&mut self, key: Key) {
        if !self.blocked.contains(&key) {
            self.blocked.push(key);
        }
    }

    /// The provider said something.
    pub(super) fn heard(&mut self, now: u64) {
        self.is_stalled = false;
        self.silent_since = (self.in_flight > 0).then_some(now);
    }

    /// Something was said to the provider.
    pub(super) fn told(&mut self, now: u64) {
        self.silent_since.get_or_insert(now);
    }

    /// Whether it was silent for too long; that alone is no fault.
    pub(super) fn is_silent(&self, now: u64) -> bool {
        self.silent_since.is_some_and(|since| now.saturating_sub(since) >= STALL_NS)
    }

    /// Counts a fault and says whether to log it.
    pub(super) fn note_fault(&mut self) -> bool {
        self.faults = self.faults.saturating_add(1);
        self.faults <= LOGGED_FAULTS || self.faults.is_power_of_two()
    }
}
