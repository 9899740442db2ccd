//! libFuzzer on the target `kernel-decoder`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hybrid_fuzz::targets::target_kernel_decoder(data));
