//! What the rules of a graph need to know besides the graph; the same at build time and on the device.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use hybrid_config::{Date, Limits, Policy};
use serde::{Deserialize, Serialize};

use crate::graph::{BadGraph, Trigger};

/// What the resolver needs to know of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of an interface, not states")]
pub struct InterfaceFacts {
    /// It has operations (the pull operations of events count).
    pub has_operations: bool,
    /// The server can tell the client something by a bell.
    pub has_events: bool,
    /// It has rings: a region, and a bell each way.
    pub has_rings: bool,
    /// Bytes of the region, unrounded; 0 without rings.
    pub region_bytes: u64,
    /// Its answers carry capabilities.
    pub mints_resources: bool,
    /// Its questions carry capabilities.
    pub takes_capabilities: bool,
    /// Its own operations, without those of its objects: ordinal and name.
    pub operations: Vec<(u16, String)>,
}

/// One device of the board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFacts {
    /// The board's name for it.
    pub name: String,
    /// As in the device tree.
    pub compatible: String,
    /// Physical address of its register page.
    pub page: Option<u64>,
    /// log2 of its bytes: 12 or 21.
    pub page_bits: u8,
    /// Whoever holds it only looks.
    pub read_only: bool,
    /// Its interrupt.
    pub irq: Option<u32>,
    /// Of the interrupt.
    pub trigger: Trigger,
    /// It reads and writes memory by itself.
    pub bus_master: bool,
    /// Its registers are those of the physical timer.
    pub timer_access: bool,
}

/// Policy, limits, interfaces and the board, as rules look them up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rulebook {
    /// Who may hold what, and what must never be.
    pub policy: Policy,
    /// How large things may be.
    pub limits: Limits,
    /// By full name.
    pub interfaces: BTreeMap<String, InterfaceFacts>,
    /// Of the board.
    pub devices: Vec<DeviceFacts>,
    /// Bytes of memory that instances may take on the smallest board.
    pub room: u64,
    /// The day that permissions are held against: the build's, since a device need not know the day.
    pub today: Date,
}

impl Rulebook {
    /// The facts of an interface; none for one that is not known (which another rule reports).
    #[must_use]
    pub fn facts(&self, interface: &str) -> InterfaceFacts {
        self.interfaces.get(interface).cloned().unwrap_or_default()
    }

    /// The device of that name.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&DeviceFacts> {
        self.devices.iter().find(|device| device.name == name)
    }

    /// As bytes.
    ///
    /// # Errors
    /// [`BadGraph`] when memory is short.
    pub fn encode(&self) -> Result<Vec<u8>, BadGraph> {
        postcard::to_allocvec(self).map_err(|_| BadGraph)
    }

    /// Reads what [`Rulebook::encode`] wrote.
    ///
    /// # Errors
    /// [`BadGraph`] when the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadGraph> {
        postcard::from_bytes(bytes).map_err(|_| BadGraph)
    }
}
