//! libFuzzer on the target `device-tree`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hybrid_fuzz::targets::target_device_tree(data));
