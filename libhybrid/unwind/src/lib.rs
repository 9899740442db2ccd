//! Unwinding for programs on `std` that ask for it: the `_Unwind_*` of the crate `unwinding`, for the linker; no logic.
//!
//! A program asks by `panic = "unwind"` in its Cargo.toml (docs/std.md). Then a panic runs destructors and ends its thread or task, and `catch_unwind`
//! catches it. Frames are found by the program's own headers, which musl's `dl_iterate_phdr` tells. Source: Itanium C++ ABI, "Exception Handling".
#![cfg_attr(target_env = "musl", no_std)]
#![deny(unsafe_code)]

#[cfg(target_env = "musl")]
mod target {
    #![expect(unsafe_code, reason = "musl's way to end the program")]
    use unwinding as _;

    unsafe extern "C" {
        safe fn abort() -> !;
    }

    /// A panic of the unwinder itself: frames that are not what the compiler said.
    #[panic_handler]
    fn panicked(_info: &core::panic::PanicInfo<'_>) -> ! {
        abort()
    }
}
