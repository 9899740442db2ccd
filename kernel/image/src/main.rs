//! The kernel binary: links the machine layer into an arm64 Image; has no code of its own.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
use hybrid_kernel_arch as _;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("The kernel runs only on an AArch64 machine: build it for aarch64-unknown-none-softfloat.");
}
