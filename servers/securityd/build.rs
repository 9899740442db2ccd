//! Puts the bundle where the program includes it: the file that HYBRID_BUNDLE names, or an empty one.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=HYBRID_BUNDLE");
    let bundle = match env::var_os("HYBRID_BUNDLE").filter(|path| !path.is_empty()) {
        Some(path) => {
            println!("cargo::rerun-if-changed={}", Path::new(&path).display());
            fs::read(&path).unwrap_or_else(|error| panic!("HYBRID_BUNDLE={}: {error}", Path::new(&path).display()))
        }
        None => Vec::new(),
    };
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("bundle.bin"), bundle).expect("OUT_DIR is writable");
}
