//! libFuzzer on the target `terminal`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hybrid_fuzz::targets::target_terminal(data));
