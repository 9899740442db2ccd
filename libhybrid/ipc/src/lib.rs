//! Runtime of generated stubs and dispatchers; knows no interface.
//!
//! * [`Caller`] is a way to reach a server: an endpoint capability on the target, a [`Loopback`]
//!   on the host. A generated `FooClient<C: Caller>` is a [`Stub`] with a method per operation.
//! * [`Incoming`] and [`Outgoing`] are one message each way, independent of where the kernel
//!   keeps its words. Whatever is in an [`Incoming`] is hostile until it is decoded.
//! * [`Objects`] holds a server's live resource objects, with a quota per client.
//! * [`Writer`] and [`Reader`] speak the postcard wire format and check every bound.
//!
//! The wire format is described in `ipc-idl/LANGUAGE.md`. No code here panics on any message.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::as_conversions
    )
)]

extern crate alloc;

mod badge;
mod client;
mod codec;
mod error;
mod gate;
mod loopback;
mod message;
mod objects;
mod ring;
#[cfg(feature = "samples")]
mod sampler;
pub mod scalar;

pub use badge::{Badge, ClientId};
pub use client::{Caller, Retry, Stub};
pub use codec::{DecodeError, EncodeError, Reader, Record, Writer};
pub use error::{CallError, DomainError, Refusal, reply};
pub use gate::Gate;
pub use hybrid_ring::{Region, RingError};
pub use loopback::{Dispatch, Loopback, LoopbackCaller};
pub use message::{
    CLOSE, CapSlot, CapToSend, Incoming, MAX_BYTES, MAX_WORDS, NotificationCap, Outgoing, PAYLOAD_WORD, REGISTER_WORDS,
    RegionCap, Rights,
};
pub use objects::Objects;
pub use ring::{BytesConsumer, BytesProducer, RecordConsumer, RecordProducer};
#[cfg(feature = "samples")]
pub use sampler::Sampler;
