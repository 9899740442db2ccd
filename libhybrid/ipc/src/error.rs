//! What can go wrong in a call, and its number on the wire; no domain errors.
use crate::codec::{DecodeError, EncodeError};
use core::convert::Infallible;
use core::fmt;

/// Labels of replies. 1–15 belong to the kernel (its error numbers), so that an answer of the kernel is
/// never taken for one of the server.
pub mod reply {
    /// The operation was done; results follow.
    pub const OK: u64 = 0;
    /// The kernel's answer when the endpoint is gone (InvalidCapability).
    pub const KERNEL_INVALID_CAPABILITY: u64 = 2;
    /// The operation failed with the domain error in MR0.
    pub const DOMAIN: u64 = 16;
    /// The request could not be decoded.
    pub const BAD_MESSAGE: u64 = 17;
    /// No operation has this ordinal.
    pub const UNKNOWN_OPERATION: u64 = 18;
    /// The client has as many live objects as it may have.
    pub const QUOTA: u64 = 19;
    /// The object is closed, or the badge is of an earlier generation of the server.
    pub const STALE: u64 = 20;
    /// The client may not do this.
    pub const DENIED: u64 = 21;
    /// The server stopped before it answered; sent on its behalf by who holds the reply capability.
    pub const SERVER_DIED: u64 = 22;
}

/// Why a call has no result. Match it exhaustively: the death of a server is an outcome like any other.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError<E> {
    /// The server did not do it, for a reason of the interface. `Infallible` where the operation names no errors.
    Domain(E),
    /// The server is gone. Whether the operation was done is unknown; only `idempotent` operations were retried.
    ServerDied,
    /// The handle is of a closed object or of an earlier life of the server; get a new one.
    Stale,
    /// The client has as many live objects as it may have, or called as often as it may in this second; drop one, or wait.
    Quota,
    /// An argument was beyond its bound (nothing was sent), or one side did not understand the other.
    BadMessage,
    /// The client may not do this.
    Denied,
}

impl<E> CallError<E> {
    /// The error with another domain error.
    pub fn map<F>(self, domain: impl FnOnce(E) -> F) -> CallError<F> {
        match self {
            Self::Domain(error) => CallError::Domain(domain(error)),
            Self::ServerDied => CallError::ServerDied,
            Self::Stale => CallError::Stale,
            Self::Quota => CallError::Quota,
            Self::BadMessage => CallError::BadMessage,
            Self::Denied => CallError::Denied,
        }
    }
}

impl<E> From<DecodeError> for CallError<E> {
    fn from(_: DecodeError) -> Self {
        Self::BadMessage
    }
}

impl<E> From<EncodeError> for CallError<E> {
    fn from(_: EncodeError) -> Self {
        Self::BadMessage
    }
}

impl<E: fmt::Debug> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(error) => write!(f, "{error:?}"),
            Self::ServerDied => f.write_str("the server is gone"),
            Self::Stale => f.write_str("the handle is stale"),
            Self::Quota => f.write_str("too many live objects"),
            Self::BadMessage => f.write_str("bad message"),
            Self::Denied => f.write_str("denied"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for CallError<E> {}

/// An error enum of an interface, as the codes in a reply.
pub trait DomainError: Sized {
    /// The error with this ordinal, if there is one.
    fn from_code(code: u16) -> Option<Self>;
}

impl DomainError for Infallible {
    fn from_code(_: u16) -> Option<Self> {
        None
    }
}

/// Why a dispatcher did not run the operation, or could not send its result.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request could not be decoded, or the result is beyond a bound.
    BadMessage,
    /// No operation has this ordinal.
    UnknownOperation,
    /// The client has as many live objects as it may have.
    Quota,
    /// The object is closed, or of an earlier generation.
    Stale,
    /// The client may not do this.
    Denied,
}

impl Refusal {
    /// The label of the reply that says so.
    #[must_use]
    pub const fn label(self) -> u64 {
        match self {
            Self::BadMessage => reply::BAD_MESSAGE,
            Self::UnknownOperation => reply::UNKNOWN_OPERATION,
            Self::Quota => reply::QUOTA,
            Self::Stale => reply::STALE,
            Self::Denied => reply::DENIED,
        }
    }
}

impl From<DecodeError> for Refusal {
    fn from(_: DecodeError) -> Self {
        Self::BadMessage
    }
}

impl From<EncodeError> for Refusal {
    fn from(_: EncodeError) -> Self {
        Self::BadMessage
    }
}
