//! What securityd tells a component at its start; data only, no behaviour.
//!
//! securityd encodes one [`StartInfo`] with [`StartInfo::encode`] into read-only pages of the new
//! address space; the component's runtime decodes it once, before anything else runs. Slots are
//! capability addresses in the component's own CSpace, spans are ranges of its own address space.
//!
//! Decoding never panics and allocates no more than the input's length warrants, whatever the bytes.
//! What it does *not* do: hold authority. A slot number here is only a name for a capability that
//! securityd has put there.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

#[cfg(feature = "faults")]
pub mod fault;
pub mod peers;

/// The version of this structure that this crate writes and accepts.
pub const ABI: u16 = 6;

/// Where components are linked (the image base of every component).
pub const IMAGE_BASE: u64 = 0x40_0000;
/// Where securityd maps the encoded [`StartInfo`], read-only.
pub const START_INFO_BASE: u64 = 0x20_0000;
/// Start of the heap span.
pub const HEAP_BASE: u64 = 0x1000_0000;
/// Start of the spans of ring regions.
pub const RING_BASE: u64 = 0x2000_0000;
/// Start of the spans of device registers.
pub const DEVICE_BASE: u64 = 0x3000_0000;
/// Start of the spans of DMA memory.
pub const DMA_BASE: u64 = 0x3800_0000;
/// One past the highest byte of the stack; the page below the stack is never mapped.
pub const STACK_TOP: u64 = 0x7000_0000;
/// Where the page with the IPC buffer is mapped.
pub const IPC_BUFFER_ADDRESS: u64 = 0x7000_2000;
/// Where in that page, above the IPC buffer, a component keeps one word for securityd to read: the bytes of its heap
/// that are in use. Only the component's own claim: nothing may be decided by it.
pub const HEAP_GAUGE_OFFSET: usize = 1024;
/// Where in that page a component writes the number of the last ping ([`peers::PING`]) that it saw between two events.
pub const ANSWER_OFFSET: usize = 1032;
/// Where securityd maps the page of [`peers`], read-only.
pub const PEERS_ADDRESS: u64 = 0x7000_4000;

/// Start of the spans of threads: those of number `i` begin at `THREAD_BASE + i * THREAD_STRIDE`. Number 0 is the first thread's, whose IPC
/// buffer is elsewhere; the others are further threads.
pub const THREAD_BASE: u64 = 0x7100_0000;
/// Distance of two threads' spans. Between them nothing is mapped.
pub const THREAD_STRIDE: u64 = 0x1_0000;
/// Bytes of the stack of a thread's runtime, at the start of its span. The page above it has its IPC buffer.
pub const THREAD_STACK: u64 = 0x4000;
/// Pages of a span: stack and buffer.
pub const THREAD_PAGES: u64 = THREAD_STACK / 4096 + 1;

/// Start of the stacks of a program's further threads, each with [`STACK_GUARD`] bytes below it ([`Stacks`]).
pub const STACKS_BASE: u64 = 0x7200_0000;
/// Bytes below each of them in which nothing is mapped: what musl takes for a guard where a program does not say.
pub const STACK_GUARD: u64 = 8192;
const _: () =
    assert!(THREAD_BASE + 65 * THREAD_STRIDE <= STACKS_BASE, "the spans of 64 threads and the first end before");

/// Slot of the component's own CNode, where it has one.
pub const SLOT_CNODE: u32 = 1;
/// Slot of the component's own endpoint, where it has one.
pub const SLOT_ENDPOINT: u32 = 2;
/// Slot of the Reply object that goes with the endpoint.
pub const SLOT_REPLY: u32 = 3;
/// Slot of the component's own notification.
pub const SLOT_NOTIFICATION: u32 = 4;
/// First slot whose content only the [`StartInfo`] tells.
pub const SLOT_FIRST_FREE: u32 = 5;

/// A range of the component's address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Span {
    /// First address.
    pub addr: u64,
    /// Length in bytes.
    pub len: u64,
}

/// The stacks of a program's further threads, from [`STACKS_BASE`] on: below each, the first included, nothing is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stacks {
    /// How many there are.
    pub count: u8,
    /// Bytes of each.
    pub bytes: u64,
}

/// Everything a component is told at its start.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StartInfo {
    /// Version of this structure; [`ABI`].
    pub abi: u16,
    /// Id of this instance, from 1.
    pub instance: u16,
    /// How many times this instance has been started, from 1.
    pub generation: u16,
    /// Name of this instance in the product.
    pub name: String,
    /// Name of the product.
    pub product: String,
    /// Version of the product.
    pub version: String,
    /// The counter's reading when securityd began, nanoseconds since the counter started.
    pub boot_ns: u64,
    /// Memory for the heap, zeroed.
    pub heap: Span,
    /// The component's own CNode, if it mints or receives capabilities.
    pub own_cnode: Option<u32>,
    /// The endpoint that the component serves.
    pub endpoint: Option<u32>,
    /// The Reply object of that endpoint.
    pub reply: Option<u32>,
    /// The notification that carries bells and interrupts; bound to the component's thread.
    pub notification: u32,
    /// The page of [`peers`]; empty if nobody supervises this instance.
    pub peers: Span,
    /// Empty slots for minted and received capabilities: first, and one past the last.
    pub free_slots: (u32, u32),
    /// The interfaces that this instance uses.
    pub uses: Vec<Use>,
    /// The interfaces that this instance provides.
    pub provides: Vec<Provided>,
    /// The devices that this instance drives.
    pub devices: Vec<Device>,
    /// Memory that devices may reach.
    pub dma: Vec<Dma>,
    /// The parameters that the integrator set for this instance.
    pub parameters: Vec<(String, String)>,
    /// The stack of the first thread.
    pub stack: Span,
    /// The slots of the notifications that further threads wait for; further thread 1 has the first.
    pub threads: Vec<u32>,
    /// The stacks of the program's threads beside the main one, where component.toml declares them.
    pub stacks: Stacks,
}

/// One interface that the instance uses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Use {
    /// The component's own name for the use.
    pub name: String,
    /// Full name of the interface (`hybrid.net.stack.Tcp`).
    pub interface: String,
    /// Endpoint capability for its operations, if it has any.
    pub slot: Option<u32>,
    /// Memory shared with the server, if the interface has rings.
    pub region: Option<Span>,
    /// Notification capability that rings the server's bell.
    pub bell_out: Option<u32>,
    /// Bit with which the server rings this component.
    pub bell_bit: Option<u8>,
    /// The slot is empty until the component asks for the session.
    pub is_on_demand: bool,
}

/// One interface that the instance provides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Provided {
    /// The component's own name for it.
    pub name: String,
    /// Full name of the interface.
    pub interface: String,
    /// Its index in the badges of the component's endpoint.
    pub index: u8,
    /// One entry for each use that is routed here.
    pub sessions: Vec<Session>,
}

/// One client of a provided interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Session {
    /// Instance id of the client.
    pub client: u16,
    /// Which of the client's uses of this provided interface it is, from 0; badges tell them apart.
    pub nth: u8,
    /// Instance name of the client.
    pub client_name: String,
    /// Memory shared with the client, if the interface has rings.
    pub region: Option<Span>,
    /// Notification capability that rings the client's bell.
    pub bell_out: Option<u32>,
    /// Bit with which the client rings this component.
    pub bell_bit: Option<u8>,
    /// The client asks for the session when it needs it.
    pub is_on_demand: bool,
    /// What it may do at most; what the runtime cannot enforce is for the server to keep to.
    pub limits: Limits,
}

/// What a session is at most.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Operations of the interface that the client may not call, by ordinal; the runtime refuses them.
    pub denied: Vec<u16>,
    /// Calls a second; the runtime refuses more.
    pub rate: Option<u32>,
    /// Objects that the server shall keep for it.
    pub max_objects: Option<u16>,
    /// What the names begin with that it gives the server, by whole parts between slashes.
    pub prefix: Option<String>,
}

impl Limits {
    /// Whether the client may use `name`: the prefix itself, or what is below it.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| {
            name.strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'))
        })
    }
}

/// One device that the instance drives.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Device {
    /// The component's own name for it.
    pub name: String,
    /// The device tree's `compatible` string that matched.
    pub compatible: String,
    /// Its registers, mapped as device memory.
    pub mmio: Span,
    /// IRQ handler capability.
    pub irq_slot: Option<u32>,
    /// Notification bit of its interrupt.
    pub irq_bit: Option<u8>,
    /// Number of its interrupt, for messages.
    pub irq_number: Option<u32>,
}

/// One piece of memory that devices may reach, physically contiguous.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dma {
    /// The component's own name for it.
    pub name: String,
    /// Where the component sees it.
    pub span: Span,
    /// Where devices see it.
    pub paddr: u64,
}

/// Why bytes are not a [`StartInfo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartError {
    /// The bytes do not decode.
    Malformed,
    /// They decode, but were written for another [`ABI`].
    Version(u16),
    /// The output is too small (encoding only).
    NoRoom,
}

impl StartInfo {
    /// Writes the encoding to the start of `out` and returns its length.
    ///
    /// # Errors
    /// [`StartError::NoRoom`] if `out` is too small.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, StartError> {
        postcard::to_slice(self, out).map(|bytes| bytes.len()).map_err(|_| StartError::NoRoom)
    }

    /// The encoding as a vector, for the writer who does not know its length yet.
    ///
    /// # Errors
    /// [`StartError::NoRoom`] if memory is short.
    pub fn encode_to_vec(&self) -> Result<Vec<u8>, StartError> {
        postcard::to_allocvec(self).map_err(|_| StartError::NoRoom)
    }

    /// Reads what [`StartInfo::encode`] wrote; bytes behind the encoding are ignored.
    ///
    /// # Errors
    /// [`StartError::Version`] for another ABI, [`StartError::Malformed`] for anything else that is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, StartError> {
        // The version is the first field, so that it can be told even when the rest has changed.
        let (abi, _) = postcard::take_from_bytes::<u16>(bytes).map_err(|_| StartError::Malformed)?;
        if abi != ABI {
            return Err(StartError::Version(abi));
        }
        postcard::take_from_bytes(bytes).map(|(info, _)| info).map_err(|_| StartError::Malformed)
    }

    /// The use that the component calls `name`.
    #[must_use]
    pub fn use_named(&self, name: &str) -> Option<&Use> {
        self.uses.iter().find(|used| used.name == name)
    }

    /// The provided interface that the component calls `name`.
    #[must_use]
    pub fn provided_named(&self, name: &str) -> Option<&Provided> {
        self.provides.iter().find(|provided| provided.name == name)
    }

    /// The value of parameter `name`, if the integrator set it.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests;
