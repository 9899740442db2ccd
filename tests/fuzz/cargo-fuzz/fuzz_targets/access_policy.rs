//! libFuzzer on the target `access-policy`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hybrid_fuzz::targets::target_access_policy(data));
