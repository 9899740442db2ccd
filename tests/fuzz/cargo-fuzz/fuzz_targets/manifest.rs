//! libFuzzer on the target `manifest`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hybrid_fuzz::targets::target_manifest(data));
