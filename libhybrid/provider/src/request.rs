//! A whole request as a provider sees it.

use alloc::borrow::Cow;
use hybrid_interfaces::provider::{RequestHead, Requester, Verb};

/// One request with its body.
#[derive(Debug)]
pub struct Request<'a> {
    /// What the requester wants.
    pub verb: Verb,
    /// Below the registered endpoint; decoded, normalised, begins with '/'.
    pub path: &'a str,
    /// As the protocol has it; "" if there is none.
    pub query: &'a str,
    /// Who asks.
    pub requester: &'a Requester<'a>,
    /// The body; empty if there is none.
    pub body: &'a [u8],
    head: &'a RequestHead<'a>,
}

impl<'a> Request<'a> {
    /// Puts a head and a body together.
    pub fn new(head: &'a RequestHead<'a>, body: &'a [u8]) -> Self {
        Request { verb: head.verb, path: &head.path, query: &head.query, requester: &head.requester, body, head }
    }

    /// The first metadata value of that name, which must be in lower case.
    pub fn field(&self, name: &str) -> Option<&'a str> {
        self.head.metadata.iter().find(|field| field.name == name).map(|field| match &field.value {
            Cow::Borrowed(value) => *value,
            Cow::Owned(value) => value.as_str(),
        })
    }
}
