//! The status page of the device; a provider that never sees a socket.
//!
//! `/` is the page, `/api/status` the same as JSON (its shape is in README.md). Both are made from one [`Snapshot`], at most every
//! [`FRESH_NS`]; requests in between get the same bytes again, so that many requests cost little and no calls.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod escape;
mod gather;
mod json;
mod page;

#[cfg(test)]
mod tests;

pub use gather::{Component, Found, Gatherer, LogLine, Snapshot};

use alloc::rc::Rc;
use hybrid_ipc::Caller;
use hybrid_provider::{Provider, Request, Responder, Verb};

/// How long a page is given again after it was made, nanoseconds.
pub const FRESH_NS: u64 = 250_000_000;

/// One rendering and when it was made.
#[derive(Debug, Default)]
struct Rendered {
    made_at_ns: Option<u64>,
    bytes: Option<Rc<[u8]>>,
}

/// The provider.
pub struct Status<I: Caller, L: Caller, A: Caller> {
    gatherer: Gatherer<I, L, A>,
    now: fn() -> u64,
    page: Rendered,
    json: Rendered,
}

impl<I: Caller, L: Caller, A: Caller> Status<I, L, A> {
    /// Shows what `gatherer` finds; `now` tells nanoseconds since the counter started.
    pub fn new(gatherer: Gatherer<I, L, A>, now: fn() -> u64) -> Self {
        Status { gatherer, now, page: Rendered::default(), json: Rendered::default() }
    }

    /// The rendering if it is fresh, else a new one.
    fn render(
        gatherer: &mut Gatherer<I, L, A>,
        kept: &mut Rendered,
        now: fn() -> u64,
        write: fn(&Snapshot<'_>) -> alloc::string::String,
    ) -> Rc<[u8]> {
        let is_fresh = kept.made_at_ns.is_some_and(|made_at| now().saturating_sub(made_at) < FRESH_NS);
        if let Some(bytes) = kept.bytes.as_ref().filter(|_| is_fresh) {
            return bytes.clone();
        }
        let bytes: Rc<[u8]> = write(&gatherer.gather(now())).into_bytes().into();
        // From the end: on a busy device it takes longer than it stays fresh, and then each request would be made one of its own.
        *kept = Rendered { made_at_ns: Some(now()), bytes: Some(bytes.clone()) };
        bytes
    }
}

impl<I: Caller, L: Caller, A: Caller> Provider for Status<I, L, A> {
    const BODY_MAX: usize = 0;

    fn handle(&mut self, request: &Request<'_>, respond: &mut Responder) {
        if !matches!(request.path, "/" | "/api/status") {
            return respond.not_found();
        }
        if !matches!(request.verb, Verb::Read | Verb::Describe) {
            return respond.verb_not_allowed("GET, HEAD");
        }
        let now = self.now;
        if request.path == "/" {
            respond.html(Self::render(&mut self.gatherer, &mut self.page, now, page::write));
            respond.field(
                "content-security-policy",
                "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
            );
        } else {
            respond.json(Self::render(&mut self.gatherer, &mut self.json, now, json::write));
        }
        respond.field("cache-control", "no-store");
        respond.field("x-content-type-options", "nosniff");
    }
}
