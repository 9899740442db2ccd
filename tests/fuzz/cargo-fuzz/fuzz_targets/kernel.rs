//! libFuzzer on the target `kernel`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hybrid_fuzz::targets::target_kernel(data));
