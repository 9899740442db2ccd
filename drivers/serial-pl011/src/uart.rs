//! The registers of a PL011 as bytes in and bytes out; no sessions, no waiting.
//!
//! Source: Arm PrimeCell UART (PL011) Technical Reference Manual, DDI 0183G, chapter 3.

/// The register block. Offsets are those of the `pub const` names of this module, always 4-aligned.
pub trait Registers {
    /// Reads the 32-bit register at `offset`.
    fn read(&mut self, offset: usize) -> u32;
    /// Writes the 32-bit register at `offset`.
    fn write(&mut self, offset: usize, value: u32);
}

/// Data: writing sends, reading takes one received byte with its error bits.
pub const DR: usize = 0x00;
/// Flags.
pub const FR: usize = 0x18;
/// Line control.
pub const LCR_H: usize = 0x2c;
/// Control.
pub const CR: usize = 0x30;
/// FIFO levels that raise an interrupt.
pub const IFLS: usize = 0x34;
/// Interrupt mask: 1 lets an interrupt through.
pub const IMSC: usize = 0x38;
/// Masked interrupt status.
pub const MIS: usize = 0x40;
/// Interrupt clear.
pub const ICR: usize = 0x44;

/// FR: the receive FIFO is empty.
pub const FR_RXFE: u32 = 1 << 4;
/// FR: the transmit FIFO is full.
pub const FR_TXFF: u32 = 1 << 5;
/// Receive interrupt.
pub const INT_RX: u32 = 1 << 4;
/// Transmit interrupt.
pub const INT_TX: u32 = 1 << 5;
/// Receive time-out interrupt: bytes lie in the FIFO below its level.
pub const INT_RT: u32 = 1 << 6;
/// DR: framing, parity or break error: the byte is worthless.
pub const DR_BAD: u32 = 0b111 << 8;
/// DR: bytes were lost before this one.
pub const DR_OVERRUN: u32 = 1 << 11;

const LCR_H_8N1_FIFO: u32 = 0b11 << 5 | 1 << 4;
const CR_ENABLE: u32 = 1 | 1 << 8 | 1 << 9;
/// Receive at half, transmit at an eighth.
const IFLS_RX_HALF_TX_EIGHTH: u32 = 0b010 << 3;
const INT_ALL: u32 = 0x7ff;

/// One serial line. It never waits: what does not fit now is for the next interrupt.
pub struct Uart<R> {
    registers: R,
    /// Bytes that were lost or arrived damaged since the start.
    pub damaged: u64,
    waits_for_room: bool,
}

impl<R: Registers> Uart<R> {
    /// Takes over the line: 8 data bits, no parity, FIFOs on, receive interrupts on. The speed stays as the firmware set it.
    pub fn new(mut registers: R) -> Self {
        registers.write(IMSC, 0);
        registers.write(ICR, INT_ALL);
        registers.write(LCR_H, LCR_H_8N1_FIFO);
        registers.write(IFLS, IFLS_RX_HALF_TX_EIGHTH);
        registers.write(CR, CR_ENABLE);
        registers.write(IMSC, INT_RX | INT_RT);
        Self { registers, damaged: 0, waits_for_room: false }
    }

    /// Ends the interrupts that are pending. Call before looking at the FIFOs, so that a later one is not lost.
    pub fn acknowledge(&mut self) {
        let pending = self.registers.read(MIS);
        self.registers.write(ICR, pending);
    }

    /// Takes received bytes until `buffer` is full or the FIFO is empty; returns how many.
    pub fn receive(&mut self, buffer: &mut [u8]) -> usize {
        let mut count = 0;
        while let Some(place) = buffer.get_mut(count) {
            if self.registers.read(FR) & FR_RXFE != 0 {
                break;
            }
            let data = self.registers.read(DR);
            if data & (DR_OVERRUN | DR_BAD) != 0 {
                self.damaged = self.damaged.saturating_add(1);
            }
            if data & DR_BAD == 0 {
                *place = data.to_le_bytes()[0];
                count += 1;
            }
        }
        count
    }

    /// Sends `byte` unless the FIFO is full; returns whether it did.
    pub fn try_send(&mut self, byte: u8) -> bool {
        if self.registers.read(FR) & FR_TXFF != 0 {
            return false;
        }
        self.registers.write(DR, u32::from(byte));
        true
    }

    /// Whether the line shall interrupt when its transmit FIFO has drained. Call after a refused byte, so that the FIFO
    /// is full and its level is still to be crossed: the PL011 interrupts on the crossing, not on the level (§3.4.2).
    pub fn wait_for_room(&mut self, wanted: bool) {
        if wanted != self.waits_for_room {
            self.waits_for_room = wanted;
            let transmit = if wanted { INT_TX } else { 0 };
            self.registers.write(IMSC, INT_RX | INT_RT | transmit);
        }
    }
}

#[cfg(test)]
pub(crate) mod fake {
    //! A register block in memory, for the tests of this crate.
    use super::{DR, FR, FR_RXFE, FR_TXFF, IMSC, Registers};
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::rc::Rc;

    #[derive(Default)]
    pub(crate) struct State {
        pub(crate) typed: VecDeque<u32>,
        pub(crate) sent: Vec<u8>,
        /// Bytes that still fit into the transmit FIFO.
        pub(crate) room: usize,
        pub(crate) mask: u32,
    }

    #[derive(Clone, Default)]
    pub(crate) struct Fake(pub(crate) Rc<RefCell<State>>);

    impl Registers for Fake {
        fn read(&mut self, offset: usize) -> u32 {
            let mut state = self.0.borrow_mut();
            match offset {
                DR => state.typed.pop_front().expect("the driver reads only what is there"),
                FR => {
                    let empty = if state.typed.is_empty() { FR_RXFE } else { 0 };
                    let full = if state.room == 0 { FR_TXFF } else { 0 };
                    empty | full
                }
                _ => 0,
            }
        }

        fn write(&mut self, offset: usize, value: u32) {
            let mut state = self.0.borrow_mut();
            match offset {
                DR => {
                    state.room = state.room.checked_sub(1).expect("the driver never overfills the FIFO");
                    state.sent.push(u8::try_from(value).expect("one byte"));
                }
                IMSC => state.mask = value,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fake::Fake;
    use super::{DR_BAD, DR_OVERRUN, INT_RT, INT_RX, INT_TX, Uart};

    #[test]
    fn new_lets_receive_interrupts_through_and_no_others() {
        let fake = Fake::default();
        let _uart = Uart::new(fake.clone());
        assert_eq!(fake.0.borrow().mask, INT_RX | INT_RT);
    }

    #[test]
    fn receive_drops_damaged_bytes_and_counts_them() {
        let fake = Fake::default();
        let mut uart = Uart::new(fake.clone());
        fake.0.borrow_mut().typed.extend([b'a'.into(), DR_BAD | 0x42, DR_OVERRUN | u32::from(b'c')]);
        let mut buffer = [0; 8];
        assert_eq!(uart.receive(&mut buffer), 2);
        assert_eq!(&buffer[..2], b"ac");
        assert_eq!(uart.damaged, 2);
    }

    #[test]
    fn receive_with_a_full_buffer_leaves_the_rest_in_the_fifo() {
        let fake = Fake::default();
        let mut uart = Uart::new(fake.clone());
        fake.0.borrow_mut().typed.extend([1, 2, 3]);
        assert_eq!(uart.receive(&mut [0; 2]), 2);
        assert_eq!(fake.0.borrow().typed.len(), 1);
    }

    #[test]
    fn try_send_with_a_full_fifo_is_refused_and_then_waits_for_room() {
        let fake = Fake::default();
        let mut uart = Uart::new(fake.clone());
        fake.0.borrow_mut().room = 1;
        assert!(uart.try_send(b'x'));
        assert!(!uart.try_send(b'y'));
        uart.wait_for_room(true);
        assert_ne!(fake.0.borrow().mask & INT_TX, 0);
        uart.wait_for_room(false);
        assert_eq!(fake.0.borrow().mask & INT_TX, 0);
    }
}
