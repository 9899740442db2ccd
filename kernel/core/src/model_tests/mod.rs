//! Host tests of the logic on a fake machine; compiled for tests only.

mod boot;
mod capabilities;
mod capability_model;
mod invariants;
mod ipc;
mod machine;
mod storm;
mod vectors;
mod world;
