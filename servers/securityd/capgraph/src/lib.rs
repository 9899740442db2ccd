//! Resolves component, product and policy texts into one capability graph.
//!
//! Without features: the graph that securityd instantiates ([`Graph`]), each grant as a line ([`Grant`]), the
//! bundle that carries the graph with the programs ([`Bundle`]), and the check of a program ([`Program`]).
//! With `std`: the resolver, the golden text and the queries that `cargo xtask caps` offers.
//!
//! It decides nothing: policy is in the texts.
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod access;
mod admit;
mod badge;
mod bundle;
mod device;
mod grant;
mod graph;
mod join;
pub mod layout;
mod limit;
mod place;
mod ports;
mod program;
mod rulebook;
mod rules;
mod rules_table;
mod trail;

pub use admit::{MANIFEST_MAX, Manifest, Offer, RoutedDevice, RoutedUse, admit};
pub use bundle::{Bundle, BundleError, write_bundle, write_bundle_with};
pub use grant::{Grant, Held, What, memory_grant, own_grant, peers_grant, text_of};
pub use graph::{
    BadGraph, Device, Dma, Endpoint, Graph, Instance, Key, Place, Policy, Provided, Restart, Rights, Runtime, Session,
    Trigger, Use,
};
pub use limit::Limits;
pub use place::{fill, has_use};
pub use program::{Program, ProgramError, Segment};

#[cfg(feature = "std")]
mod build;
#[cfg(feature = "std")]
mod draw;
#[cfg(feature = "std")]
mod lines;
#[cfg(feature = "std")]
mod paths;
#[cfg(feature = "std")]
mod query;
#[cfg(feature = "std")]
mod resolve;

#[cfg(feature = "std")]
pub use build::{bundle_for, check_programs};
#[cfg(feature = "std")]
pub use draw::{html, svg};
pub use hybrid_config::Problem;
#[cfg(feature = "std")]
pub use hybrid_config::{Date, Source};
#[cfg(feature = "std")]
pub use lines::{Comparison, Difference, Line, Listing, compare, diff};
#[cfg(feature = "std")]
pub use paths::{Edge, Holders, PATH_STEPS_MAX, PATHS_MAX, Thing, who_text, why_text};
#[cfg(feature = "std")]
pub use query::{dot, golden, show};
#[cfg(feature = "std")]
pub use resolve::{idl_interfaces, resolve, resolve_whole, resolve_with};
pub use rulebook::{DeviceFacts, InterfaceFacts, Rulebook};
pub use rules_table::{RULES, Rule, rule};
#[cfg(feature = "std")]
pub use trail::{Break, Trail, TrailChain, TrailRecord};
pub use trail::{Digest, trail_hash, trail_start};
