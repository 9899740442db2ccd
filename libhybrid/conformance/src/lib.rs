//! Runs what the IDL compiler makes of its test texts; no product links it.
#![forbid(unsafe_code)]
#![expect(
    clippy::type_complexity,
    clippy::too_many_arguments,
    clippy::module_inception,
    reason = "names and argument lists are those of the IDL texts"
)]

extern crate alloc;

include!(concat!(env!("OUT_DIR"), "/conformance.rs"));

/// Feeds hostile bytes to every decoder.
pub fn fuzz(data: &[u8], message: &hybrid_ipc::Incoming) {
    fuzz_all(data, message);
}

/// Encodes and decodes one random value of every type.
pub fn fuzz_values(seed: u64) {
    fuzz_all_values(&mut hybrid_ipc::Sampler::new(seed));
}
