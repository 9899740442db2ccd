//! Host tests of the logic on a fake machine; compiled for tests only.

mod boot;
mod cancel;
mod capabilities;
mod capability_model;
mod debug_calls;
mod invariants;
mod ipc;
mod ipc_model;
mod machine;
mod messages;
mod scheduling;
mod spaces;
mod storm;
mod vectors;
mod world;
