//! The kernel's own output on a PL011: banner, boot errors, panics. Left alone once user space runs.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::registers::Registers;

/// Virtual address of the UART's registers; 0 before it is known.
static UART: AtomicUsize = AtomicUsize::new(0);

/// Says where the UART is.
///
/// # Safety
/// `registers` are the 4 KiB of a PL011.
pub(crate) unsafe fn set_uart(registers: Registers) {
    UART.store(registers.base(), Ordering::Relaxed);
}

/// Writes one byte; a line feed gets its carriage return. Nothing happens without a UART.
#[inline(never)]
pub(crate) fn put_byte(byte: u8) {
    let base = UART.load(Ordering::Relaxed);
    if base == 0 {
        return;
    }
    // SAFETY: `set_uart` was promised a mapped PL011 there; it does no DMA that this driver sets up.
    let uart = unsafe { Registers::new(base, 0x1000) };
    if byte == b'\n' {
        send(&uart, b'\r');
    }
    send(&uart, byte);
}

/// What can be a piece of a line on the console. Without `core::fmt`, which would be a twentieth of the kernel's Image.
pub(crate) trait Say {
    /// Prints it.
    fn say(&self);
}

impl Say for &str {
    #[inline(never)]
    fn say(&self) {
        self.bytes().for_each(put_byte);
    }
}

impl Say for u64 {
    #[inline(never)]
    fn say(&self) {
        put_number(*self, 10);
    }
}

/// A number that is printed in base 16.
pub(crate) struct Hex(pub(crate) u64);

impl Say for Hex {
    #[inline(never)]
    fn say(&self) {
        "0x".say();
        put_number(self.0, 16);
    }
}

/// Recurses once for each digit.
fn put_number(number: u64, base: u64) {
    if number >= base {
        put_number(number / base, base);
    }
    let digit = (number % base) as u8;
    put_byte(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
}

/// Prints a line of such pieces on the kernel's console.
macro_rules! say {
    ($($piece:expr),*) => {{
        $($crate::console::Say::say(&$piece);)*
        $crate::console::put_byte(b'\n');
    }};
}

pub(crate) use say;

fn send(uart: &Registers, byte: u8) {
    // A UART that never drains must not hang a panic for ever.
    let is_full = |_: &u32| uart.read(FLAGS) & TRANSMIT_FULL != 0;
    let _ = (0..FULL_POLLS_MAX).take_while(is_full).count();
    uart.write(DATA, u32::from(byte));
}

// PL011 TRM (DDI 0183) §3.2.
const DATA: usize = 0x00;
const FLAGS: usize = 0x18;
const TRANSMIT_FULL: u32 = 1 << 5;
const FULL_POLLS_MAX: u32 = 1_000_000;
