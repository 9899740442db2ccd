//! Hands the linker script to the linker, for the bare-metal target only.

fn main() {
    println!("cargo::rerun-if-changed=kernel.ld");
    let is_target = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none");
    if let (true, Ok(folder)) = (is_target, std::env::var("CARGO_MANIFEST_DIR")) {
        println!("cargo::rustc-link-arg-bins=-T{folder}/kernel.ld");
    }
}
