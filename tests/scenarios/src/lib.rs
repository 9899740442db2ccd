//! Whole images in QEMU, seen from outside; no code that runs on the device.
//!
//! `machine` starts one QEMU and owns its console; `http` is a client that can also misbehave; `cases` holds the
//! scenarios, one subject a file. `cargo xtask test` builds the images and plays [`cases::all`] one after the other.
#![forbid(unsafe_code)]

pub mod cable;
pub mod cases;
pub mod console;
pub mod disk;
pub mod hardware;
pub mod http;
pub mod load;
pub mod machine;
pub mod requirements;
pub mod scenario;
pub mod spin_table;
