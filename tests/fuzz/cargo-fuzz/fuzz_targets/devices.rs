//! libFuzzer on the target `devices`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hybrid_fuzz::targets::target_devices(data));
