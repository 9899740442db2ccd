//! A provider in ten lines: requests in, answers out, whatever the protocol.
//!
//! Implement [`Provider`] and hand it to [`serve`]. [`Serving`] below it keeps the rings, the credits and the bounds. It answers whole requests:
//! a request's body is collected first (see [`Provider::BODY_MAX`]), an answer's body is given at once and streamed out as the client
//! takes it. Uploads larger than memory need the rings themselves, `hybrid_interfaces::provider`.
//!
//! A whole app is in docs/writing-a-provider.md.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod request;
mod responder;
mod serve;
mod serving;

#[cfg(test)]
mod tests;

pub use hybrid_interfaces::provider::{Outcome, Protocol, Verb};
pub use request::Request;
pub use responder::{Body, Responder};
pub use serve::serve;
pub use serving::{Lost, Serving, Turn};

/// What answers requests.
pub trait Provider {
    /// The largest request body that is collected, bytes; a request with a larger one is answered `TooLarge`.
    const BODY_MAX: usize = 16 * 1024;

    /// Answers one request. An answer that is not touched is `NotFound`.
    fn handle(&mut self, request: &Request<'_>, respond: &mut Responder);
}
