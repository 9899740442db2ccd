//! libFuzzer on the target `boot_volume`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hybrid_fuzz::targets::target_boot_volume(data));
