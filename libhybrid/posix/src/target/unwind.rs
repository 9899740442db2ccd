//! What `std` links for backtraces in programs without an unwinder, which panic by aborting: there is never a frame.
//!
//! Source: Itanium C++ ABI, "Exception Handling", level I.

/// `_URC_END_OF_STACK`
const END_OF_STACK: i32 = 5;

/// Walks the frames: there are none.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_trace: usize, _argument: usize) -> i32 {
    END_OF_STACK
}

/// Nobody has a frame to ask about.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetIP(_context: usize) -> usize {
    0
}

/// Nobody has a frame to ask about.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetCFA(_context: usize) -> usize {
    0
}

/// No function is known by its address.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_FindEnclosingFunction(_address: usize) -> usize {
    0
}
