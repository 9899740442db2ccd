//! libFuzzer on the target `idl-values`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hybrid_fuzz::targets::target_idl_values(data));
