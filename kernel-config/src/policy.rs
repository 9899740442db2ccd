//! Security's texts: what is guarded, who is allowed what, what must never meet.

#[cfg(feature = "std")]
mod read;

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::Date;

/// What a line of the policy is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subject {
    /// Using an interface.
    Interface(String),
    /// Holding a device of this `compatible`.
    Device(String),
    /// DMA memory: the need's name in an allow line, empty in a guard.
    Dma(String),
    /// Holding a key of the product.
    Key(String),
    /// Passing capabilities on to clients: the provided name in an allow line, empty in a guard.
    Grant(String),
}

/// Nobody may hold `subject` without an allow line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Guard {
    /// What is guarded.
    pub subject: Subject,
    /// Why.
    pub reason: String,
}

/// An exception from a guard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Allow {
    /// In which product.
    pub product: String,
    /// To which instance.
    pub instance: String,
    /// What.
    pub subject: Subject,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Not valid after this day.
    pub expires: Date,
    /// Where it stands.
    pub file: String,
    /// Where it stands.
    pub line: usize,
}

/// Which instances a never rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Holder {
    /// Those that use an interface.
    Interface(String),
    /// Those that hold a device of this `compatible`.
    Device(String),
    /// Those that hold a key.
    Key(String),
    /// Those of a priority class.
    Class(String),
    /// One instance.
    Instance(String),
}

/// What must never be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Forbidden {
    /// One instance is both.
    Both(Holder, Holder),
    /// An instance of the first shares a page with one of the second.
    SharesPage(Holder, Holder),
    /// An instance of the first holds a device of this `compatible`, or has a route to who holds it.
    ReachesDevice(Holder, String),
    /// An answer of the second can carry a capability to an instance of the first.
    Granted(Holder, Holder),
}

/// Something that must never be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Never {
    /// Its own id: exceptions name it.
    pub id: String,
    /// What.
    pub forbidden: Forbidden,
    /// Why.
    pub reason: String,
    /// Where it stands.
    pub file: String,
    /// Where it stands.
    pub line: usize,
}

/// An exception from a never rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Except {
    /// The never rule's id.
    pub never: String,
    /// In which product.
    pub product: String,
    /// For which instance.
    pub instance: String,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Not valid after this day.
    pub expires: Date,
    /// Where it stands.
    pub file: String,
    /// Where it stands.
    pub line: usize,
}

/// All of `kernel-config/policy/*.toml`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Policy {
    /// What is guarded.
    pub guards: Vec<Guard>,
    /// The exceptions.
    pub allows: Vec<Allow>,
    /// What must never be.
    pub nevers: Vec<Never>,
    /// The exceptions from that.
    pub excepts: Vec<Except>,
}
