//! libFuzzer on the target `access-text`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hybrid_fuzz::targets::target_access_text(data));
