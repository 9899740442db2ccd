//! Entry, heap, panic and logging of a component; no IPC protocol of its own.
//!
//! A component is a `main.rs` of this form; it also builds on the host, where it only says what it is:
//!
//! ```ignore
//! #![cfg_attr(target_os = "none", no_std, no_main)]
//! #![forbid(unsafe_code)]
//! libhybrid::component!(run);
//!
//! fn run(env: libhybrid::Env) -> ! {
//!     let mut server = Server::new(env.client("alarm"), env.provided("tcp"));
//!     env.serve(&mut server)
//! }
//! ```
//!
//! [`Env`] is everything that the component was granted, by the names in its `component.toml`. Asking for a
//! name that is not there is a bug and panics; securityd gave what the file says.
#![cfg_attr(not(test), no_std)]
extern crate alloc;

mod bell;
mod caller;
mod entry;
mod env;
#[cfg(feature = "faults")]
mod fault;
mod gauge;
#[cfg(target_os = "none")]
pub mod heap;
mod logger;
#[cfg(target_os = "none")]
mod panic;
mod peers;
mod port;
mod serve;
mod slots;
mod time;

pub use bell::Bell;
pub use caller::EndpointCaller;
#[doc(hidden)]
pub use entry::host_main;
pub use entry::{RootMemory, stop};
#[cfg(target_os = "none")]
#[doc(hidden)]
pub use entry::{component_entry, program_entry, root_entry};
pub use env::{Env, SessionHandle};
pub use gauge::heap_in_use;
pub use hybrid_start::peers::Condition;
pub use peers::{PeerChange, PeerNews};
pub use serve::{Component, serve_endpoint};
pub use time::now_ns;
