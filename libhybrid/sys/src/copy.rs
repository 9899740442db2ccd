//! `memcpy` by 128 bytes and `memmove`, for compiled code; copies of memory that others change.
//!
//! The compiler's own ones move eight bytes by four instructions, and the bytes before and behind them one by one. These are called by compiled code,
//! which vouches for both ranges. Unaligned accesses are fine where components run (decision 0080).
//!
//! INV-COPY-1: what is stored at a place was loaded before anything is stored that overlaps its source. `memcpy` goes upward and loads each
//! block before it stores it, so it is right also where the target lies below the source; `memmove` goes downward for the rest. The kernel's
//! suite tries both (`s00_memory_is_copied_whole`), since it runs on the machine that they are for.

// x0 target, x1 source, x2 bytes; x0 is returned. x3 walks over the target, x4 to x11 carry.
#[cfg(target_os = "none")]
core::arch::global_asm!(
    ".section .text.memcpy, \"ax\"",
    ".globl memcpy",
    ".type memcpy, %function",
    ".p2align 4",
    "memcpy:",
    ".Lcopy:",
    "mov x3, x0",
    "subs x2, x2, #128",
    "b.lo 2f",
    "1: ldp x4, x5, [x1]",
    "ldp x6, x7, [x1, #16]",
    "ldp x8, x9, [x1, #32]",
    "ldp x10, x11, [x1, #48]",
    "stp x4, x5, [x3]",
    "stp x6, x7, [x3, #16]",
    "stp x8, x9, [x3, #32]",
    "stp x10, x11, [x3, #48]",
    "ldp x4, x5, [x1, #64]",
    "ldp x6, x7, [x1, #80]",
    "ldp x8, x9, [x1, #96]",
    "ldp x10, x11, [x1, #112]",
    "add x1, x1, #128",
    "stp x4, x5, [x3, #64]",
    "stp x6, x7, [x3, #80]",
    "stp x8, x9, [x3, #96]",
    "stp x10, x11, [x3, #112]",
    "add x3, x3, #128",
    "subs x2, x2, #128",
    "b.hs 1b",
    // The low seven bits are those of the bytes that are left, as 128 was taken off.
    "2: tbz x2, #6, 9f",
    "ldp x4, x5, [x1], #16",
    "ldp x6, x7, [x1], #16",
    "ldp x8, x9, [x1], #16",
    "ldp x10, x11, [x1], #16",
    "stp x4, x5, [x3], #16",
    "stp x6, x7, [x3], #16",
    "stp x8, x9, [x3], #16",
    "stp x10, x11, [x3], #16",
    "9: tbz x2, #5, 3f",
    "ldp x4, x5, [x1], #16",
    "ldp x6, x7, [x1], #16",
    "stp x4, x5, [x3], #16",
    "stp x6, x7, [x3], #16",
    "3: tbz x2, #4, 4f",
    "ldp x4, x5, [x1], #16",
    "stp x4, x5, [x3], #16",
    "4: tbz x2, #3, 5f",
    "ldr x4, [x1], #8",
    "str x4, [x3], #8",
    "5: tbz x2, #2, 6f",
    "ldr w4, [x1], #4",
    "str w4, [x3], #4",
    "6: tbz x2, #1, 7f",
    "ldrh w4, [x1], #2",
    "strh w4, [x3], #2",
    "7: tbz x2, #0, 8f",
    "ldrb w4, [x1]",
    "strb w4, [x3]",
    "8: ret",
    ".size memcpy, . - memcpy",
    // The same under a name of which the compiler knows nothing, for memory that somebody else changes meanwhile.
    ".globl hybrid_copy",
    ".set hybrid_copy, .Lcopy",
    ".globl memmove",
    ".type memmove, %function",
    ".p2align 4",
    "memmove:",
    // Unsigned, this is below the length only if the target begins within the source.
    "sub x3, x0, x1",
    "cmp x3, x2",
    // This one, whichever the program's is.
    "b.hs .Lcopy",
    "1: subs x2, x2, #8",
    "b.lo 2f",
    "ldr x4, [x1, x2]",
    "str x4, [x0, x2]",
    "b 1b",
    "2: add x2, x2, #8",
    "3: subs x2, x2, #1",
    "b.lo 4f",
    "ldrb w4, [x1, x2]",
    "strb w4, [x0, x2]",
    "b 3b",
    "4: ret",
    ".size memmove, . - memmove",
);

#[cfg(target_os = "none")]
unsafe extern "C" {
    fn hybrid_copy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8;
}

/// Copies memory of which either side may be somebody else's, too, who reads or writes it meanwhile: a peer, a device. The compiler knows nothing of
/// these accesses, so they are no data race; what is copied may be torn.
///
/// # Safety
/// 1. `bytes` bytes are readable from `from` and writable from `to` on. 2. They do not overlap.
pub unsafe fn copy_shared(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: by this function's own contract; it is `memcpy`, whose result is `to`.
    #[cfg(target_os = "none")]
    let _it_is_to = unsafe { hybrid_copy(to, from, bytes) };
    #[cfg(not(target_os = "none"))]
    for at in 0..bytes {
        // SAFETY: within the bytes that the caller vouches for.
        let byte = unsafe { from.wrapping_add(at).read_volatile() };
        // SAFETY: as above.
        unsafe { to.wrapping_add(at).write_volatile(byte) };
    }
}
