//! HTTP's words as those of the provider interface and of the access policy, and back; pure tables.

use crate::http1::Method;
use crate::status::Status;
use alloc::string::{String, ToString};
use core::net::{Ipv4Addr, Ipv6Addr};
use hybrid_interfaces::net::stack::Address;
use hybrid_interfaces::provider::{Outcome, Verb};
use hybrid_interfaces::security;

/// The verb of a method; `None` for OPTIONS, which httpd answers itself.
pub(crate) fn verb(method: Method) -> Option<Verb> {
    Some(match method {
        Method::Get => Verb::Read,
        Method::Head => Verb::Describe,
        Method::Post => Verb::Create,
        Method::Put => Verb::Replace,
        Method::Patch => Verb::Change,
        Method::Delete => Verb::Delete,
        Method::Options => return None,
    })
}

/// The verb of a method in the access policy.
pub(crate) fn access_verb(method: Method) -> security::Verb {
    match method {
        Method::Get => security::Verb::Get,
        Method::Head => security::Verb::Head,
        Method::Post => security::Verb::Post,
        Method::Put => security::Verb::Put,
        Method::Patch => security::Verb::Patch,
        Method::Delete => security::Verb::Delete,
        Method::Options => security::Verb::Options,
    }
}

/// The status of a denial: nobody can log in, so "who are you" would be no answer.
pub(crate) fn denial(reason: security::Reason) -> Status {
    if reason == security::Reason::Rate { Status::TooManyRequests } else { Status::Forbidden }
}

/// The status of an outcome.
pub(crate) fn status(outcome: Outcome) -> Status {
    match outcome {
        Outcome::Ok => Status::Ok,
        Outcome::Created => Status::Created,
        Outcome::Accepted => Status::Accepted,
        Outcome::NoContent => Status::NoContent,
        Outcome::NotModified => Status::NotModified,
        Outcome::BadRequest => Status::BadRequest,
        Outcome::Forbidden => Status::Forbidden,
        Outcome::NotFound => Status::NotFound,
        Outcome::VerbNotAllowed => Status::MethodNotAllowed,
        Outcome::TooLarge => Status::ContentTooLarge,
        Outcome::Unavailable => Status::ServiceUnavailable,
        Outcome::Failed => Status::InternalServerError,
    }
}

/// An address as people write it; an IPv4 address inside IPv6 as IPv4, so that one peer has one name.
pub(crate) fn address_text(address: &Address) -> String {
    match address {
        Address::V4(bytes) => Ipv4Addr::from(*bytes).to_string(),
        Address::V6(bytes) => {
            let address = Ipv6Addr::from(*bytes);
            address.to_ipv4_mapped().map_or_else(|| address.to_string(), |inner| inner.to_string())
        }
    }
}
