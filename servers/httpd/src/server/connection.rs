//! One client connection: its engine, its unsent bytes, its credits, its clock.

use crate::engine::{Phase, ProtocolEngine};
use crate::limits::{BODY_NS, BYTES_PER_SECOND, HEAD_NS, IDLE_NS, LINGER_NS, PROVIDER_NS, QUEUE_NS, WRITE_NS};
use crate::pool::Pool;
use crate::slots::Key;
use crate::verbs::address_text;
use alloc::string::String;
use alloc::vec::Vec;
use hybrid_interfaces::net::stack::{AcceptedBody, Address};

/// What a connection is waiting for; each kind has its own patience.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wait {
    /// The first byte of the first request.
    First,
    /// The rest of a head.
    Head,
    /// The next request.
    Next,
    /// The rest of a body.
    Body,
    /// Room at a provider.
    Queue,
    /// A provider's answer.
    Provider,
    /// The client to take the answer.
    Write,
    /// The client's end after ours.
    Linger,
}

impl Wait {
    fn patience(self) -> u64 {
        match self {
            Wait::First | Wait::Head => HEAD_NS,
            Wait::Next => IDLE_NS,
            Wait::Body => BODY_NS,
            Wait::Queue => QUEUE_NS,
            Wait::Provider => PROVIDER_NS,
            Wait::Write => WRITE_NS,
            Wait::Linger => LINGER_NS,
        }
    }
}

/// A running deadline, for one kind of waiting within one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Clock {
    pub(super) wait: Wait,
    serial: u32,
    pub(super) deadline: u64,
}

/// The address, or the network of an IPv6 address: its host part is the peer's to choose.
pub(super) fn origin(address: &Address) -> Address {
    match *address {
        Address::V6(mut bytes) => {
            bytes[8..].fill(0);
            Address::V6(bytes)
        }
        Address::V4(bytes) => Address::V4(bytes),
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection<E> {
    /// The stack's number.
    pub(super) number: u32,
    /// The peer's address, as text and as it is.
    pub(super) peer: String,
    pub(super) address: Address,
    /// What counts as one peer when connections are counted.
    pub(super) origin: Address,
    /// How many requests the peer may have open.
    pub(super) limit: Option<u32>,
    pub(super) engine: E,
    /// Bytes for the client; those before `sent` are with the stack.
    pub(super) out: Vec<u8>,
    pub(super) sent: usize,
    pub(super) send_credit: u32,
    /// Credit that the stack gets back some time.
    pub(super) owed: u32,
    /// Bytes since the clock was last looked at.
    pub(super) received: usize,
    pub(super) written: usize,
    pub(super) answered: usize,
    /// The open request, if a provider has it.
    pub(super) exchange: Option<Key>,
    /// The session that the open request waits for.
    pub(super) queue: Option<usize>,
    /// The open request waited and may go now, before others.
    pub(super) is_admitted: bool,
    /// The open request was allowed.
    pub(super) is_allowed: bool,
    /// `Finish` was said.
    pub(super) is_finished: bool,
    pub(super) is_dirty: bool,
    /// Requests begun.
    pub(super) serial: u32,
    pub(super) clock: Clock,
}

impl<E: ProtocolEngine> Connection<E> {
    pub(super) fn new(accepted: &AcceptedBody, now: u64) -> Self {
        Connection {
            number: accepted.connection,
            peer: address_text(&accepted.peer.address),
            address: accepted.peer.address,
            origin: origin(&accepted.peer.address),
            limit: None,
            engine: E::default(),
            out: Vec::new(),
            sent: 0,
            send_credit: accepted.send_credit,
            owed: 0,
            received: 0,
            written: 0,
            answered: 0,
            exchange: None,
            queue: None,
            is_admitted: false,
            is_allowed: false,
            is_finished: false,
            is_dirty: false,
            serial: 0,
            clock: Clock { wait: Wait::First, serial: 0, deadline: now.saturating_add(HEAD_NS) },
        }
    }

    /// Bytes that wait to be sent.
    pub(super) fn pending(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Nothing is lost but the connection if it ends now.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.clock.wait, Wait::First | Wait::Next | Wait::Linger) && self.pending() == 0 && !self.is_dirty
    }

    /// Since when an idle connection has been waiting.
    pub(super) fn idle_since(&self) -> u64 {
        self.clock.deadline.saturating_sub(self.clock.wait.patience())
    }

    /// Makes sure that there is a buffer to write into.
    pub(super) fn with_out(&mut self, pool: &mut Pool) {
        if self.out.capacity() == 0 {
            self.out = pool.take();
        }
    }

    /// Starts the clock of what is waited for now, or lets it run on; progress within the same waiting buys time at `BYTES_PER_SECOND`.
    pub(super) fn wind(&mut self, now: u64) {
        let wait = self.wait();
        let bytes = match wait {
            Wait::Body => core::mem::take(&mut self.received),
            Wait::Write => core::mem::take(&mut self.written),
            Wait::Provider => core::mem::take(&mut self.answered),
            _ => 0,
        };
        let latest = now.saturating_add(wait.patience());
        if (wait, self.serial) != (self.clock.wait, self.clock.serial) {
            self.clock = Clock { wait, serial: self.serial, deadline: latest };
        } else if wait == Wait::Provider && bytes > 0 {
            self.clock.deadline = latest;
        } else if bytes > 0 {
            let bought = (bytes as u64).saturating_mul(1_000_000_000 / BYTES_PER_SECOND);
            self.clock.deadline = self.clock.deadline.saturating_add(bought).min(latest);
        }
    }

    fn wait(&self) -> Wait {
        if self.is_finished {
            return Wait::Linger;
        }
        if self.pending() > 0 {
            return Wait::Write;
        }
        if self.queue.is_some() {
            return Wait::Queue;
        }
        match self.engine.phase() {
            Phase::Fresh => Wait::First,
            Phase::Idle => Wait::Next,
            Phase::Head => Wait::Head,
            // Body bytes that are there wait for the provider; else the client is waited for.
            Phase::Body if self.exchange.is_some() && self.engine.needs_buffer() => Wait::Body,
            Phase::Body if self.exchange.is_none() => Wait::Body,
            Phase::Body | Phase::Answer => Wait::Provider,
            Phase::Over => Wait::Provider,
        }
    }
}
