//! The access policy of protocol servers: what may be asked, the compiled policy, its limits, its replacement; no text.

mod bytes;
#[cfg(feature = "std")]
mod check;
#[cfg(feature = "std")]
mod console;
mod force;
mod policy;
mod rates;
#[cfg(feature = "std")]
mod reference;
#[cfg(feature = "std")]
mod text;
mod words;

pub use bytes::{Fault, POLICY_MAX, RULES_MAX};
#[cfg(feature = "std")]
pub use console::console_lines;
pub use force::{Answer, InForce, Refused};
pub use policy::{Endpoint, Keep, KeptPeer, Limits, Outcome, Policy, Principal, Rate, Reason, Rule};
#[cfg(feature = "std")]
pub use reference::decide as decide_by_reference;
#[cfg(feature = "std")]
pub use text::{AccessText, Compiled, Why, compile, explain, read_policy, single_peer};
pub use words::{Peer, Protocol, Question, Transport, Verb};

#[cfg(all(test, feature = "std"))]
mod tests;
