//! libFuzzer on the target `httpd`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hybrid_fuzz::targets::target_httpd(data));
