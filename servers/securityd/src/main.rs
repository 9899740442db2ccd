//! The program: the embedded bundle and the entry; everything else is in the library.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]
#![cfg_attr(not(target_os = "none"), allow(dead_code, reason = "on a host the program only says what it is"))]

use hybrid_sys::boot::Boot;

/// Puts its content at a page's start, where programs expect to lie in the bundle.
#[repr(C, align(4096))]
struct PageAligned<T: ?Sized>(T);

/// What the build embedded; empty without a bundle.
static BUNDLE: &PageAligned<[u8]> = &PageAligned(*include_bytes!(concat!(env!("OUT_DIR"), "/bundle.bin")));

hybrid_rt::root_task!(run, stack = 64 << 10, heap = 3 << 20);

fn run(boot: Boot) -> ! {
    securityd::target::run(boot, &BUNDLE.0)
}
