//! The client's side of a call: what every generated `…Client` is made of; no interface.
use crate::codec::{EncodeError, Writer};
use crate::error::{CallError, DomainError, reply};
use crate::message::{CLOSE, CapSlot, CapToSend, Incoming, Outgoing};
use alloc::boxed::Box;
use core::convert::Infallible;

/// A way to reach one server (or one object of a server): an endpoint capability, or a loopback.
///
/// Dropping a caller gives up what it holds (the runtime deletes the slot).
pub trait Caller {
    /// The caller that a received endpoint capability becomes.
    type Received: Caller<Received = Self::Received>;

    /// Sends `request` and waits for the reply. It cannot fail otherwise than by the label of `reply`:
    /// the kernel's InvalidCapability and a missing endpoint are [`reply::KERNEL_INVALID_CAPABILITY`] and
    /// [`reply::SERVER_DIED`]. If `reply` still holds a capability of the previous call, it is deleted first.
    fn call(&mut self, request: &Outgoing, reply: &mut Incoming);

    /// Wraps an endpoint capability that arrived in `slot` with a reply.
    fn received(&mut self, slot: CapSlot) -> Self::Received;

    /// Whether a retry can succeed after the server died: a new generation is reachable through this caller.
    fn renew(&mut self) -> bool {
        false
    }
}

/// Whether a stub sends a request again when the server died before it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Never: the operation may have been done.
    Never,
    /// Once, when [`Caller::renew`] says so: the operation is `idempotent`.
    Once,
}

/// A caller with its message buffers.
#[derive(Debug)]
pub struct Stub<C> {
    caller: C,
    request: Box<Outgoing>,
    reply: Box<Incoming>,
}

impl<C: Caller> Stub<C> {
    /// A stub that calls through `caller`.
    #[must_use]
    pub fn new(caller: C) -> Self {
        Self { caller, request: Box::new(Outgoing::new()), reply: Box::new(Incoming::new()) }
    }

    /// The caller.
    pub fn caller(&mut self) -> &mut C {
        &mut self.caller
    }

    /// Prepares a request of scalars.
    pub fn set_registers(&mut self, ordinal: u64, words: &[u64]) {
        self.request.set_registers(ordinal, words);
    }

    /// Prepares a request with a payload.
    ///
    /// # Errors
    /// An argument is beyond its bound.
    pub fn set_payload(
        &mut self,
        ordinal: u64,
        write: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.request.set_payload(ordinal, write)
    }

    /// Sends a capability along with the prepared request.
    pub fn set_cap(&mut self, cap: CapToSend) {
        self.request.set_cap(cap);
    }

    /// Sends the prepared request and returns the reply of an operation that was done. A capability that comes with it
    /// is deleted.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn call<E: DomainError>(&mut self, retry: Retry) -> Result<&Incoming, CallError<E>> {
        self.exchange(retry);
        self.discard_cap();
        self.outcome()
    }

    /// As [`Self::call`], but keeps the capability that comes with the reply of an operation that was done. Take it,
    /// or [`Self::discard_cap`].
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn call_for_cap<E: DomainError>(&mut self, retry: Retry) -> Result<&Incoming, CallError<E>> {
        self.exchange(retry);
        if self.reply.label() != reply::OK {
            self.discard_cap();
        }
        self.outcome()
    }

    fn exchange(&mut self, retry: Retry) {
        self.caller.call(&self.request, &mut self.reply);
        if retry == Retry::Once && self.is_server_gone() && self.caller.renew() {
            self.discard_cap();
            self.caller.call(&self.request, &mut self.reply);
        }
    }

    fn outcome<E: DomainError>(&self) -> Result<&Incoming, CallError<E>> {
        match self.reply.label() {
            reply::OK => Ok(&self.reply),
            reply::DOMAIN => Err(self.domain_error()),
            reply::KERNEL_INVALID_CAPABILITY | reply::SERVER_DIED => Err(CallError::ServerDied),
            reply::STALE => Err(CallError::Stale),
            reply::QUOTA => Err(CallError::Quota),
            reply::DENIED => Err(CallError::Denied),
            _ => Err(CallError::BadMessage),
        }
    }

    /// Wraps the endpoint capability that came with the last reply.
    pub fn received(&mut self) -> Option<C::Received> {
        let slot = self.reply.take_cap()?;
        Some(self.caller.received(slot))
    }

    /// Takes the capability that came with the last reply, whatever it is.
    pub fn received_slot(&mut self) -> Option<CapSlot> {
        self.reply.take_cap()
    }

    /// Deletes the capability that came with the last reply, if nobody took it.
    pub fn discard_cap(&mut self) {
        drop(self.received());
    }

    /// Tells the server that this object is not needed any more. The answer is of no interest: an object that is
    /// already gone is closed as well.
    pub fn close(&mut self) {
        self.set_registers(CLOSE, &[]);
        let _closed_or_gone = self.call::<Infallible>(Retry::Never).map(|_| ());
    }

    fn is_server_gone(&self) -> bool {
        matches!(self.reply.label(), reply::KERNEL_INVALID_CAPABILITY | reply::SERVER_DIED)
    }

    fn domain_error<E: DomainError>(&self) -> CallError<E> {
        let code = self.reply.registers::<1>().ok().and_then(|[code]| u16::try_from(code).ok());
        code.and_then(E::from_code).map_or(CallError::BadMessage, CallError::Domain)
    }
}
