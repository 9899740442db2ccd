//! libFuzzer on the target `start-info`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hybrid_fuzz::targets::target_start_info(data));
