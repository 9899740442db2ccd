//! What a fault message says, in words; it decides nothing.
//!
//! Source: kernel ABI §4.10 (message layouts), Arm ARM D17.2.37 (ESR_EL1: EC in bits 31–26, WnR in bit 6, DFSC in 5–0).

use core::fmt;

use hybrid_sys::abi::fault::FaultType;

/// A fault as the kernel tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    kind: Option<FaultType>,
    label: u64,
    words: [u64; 13],
}

/// The immediate of the `brk` with which a component's runtime stops it (libhybrid/sys).
const PANIC: u64 = 0xf200_4879;
/// The same of a program that came to a good end.
const END: u64 = 0xf200_487a;
/// And of one that came to a bad one: a status that is not 0, a signal.
const BAD_END: u64 = 0xf200_487b;

impl Fault {
    /// Takes a message apart; words that did not come are 0.
    #[must_use]
    pub fn new(label: u64, words: impl Iterator<Item = u64>) -> Self {
        let mut fault = Self { kind: FaultType::from_number(label), label, words: [0; 13] };
        for (place, word) in fault.words.iter_mut().zip(words) {
            *place = word;
        }
        fault
    }

    /// Whether it is none: the component came to a good end.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.kind == Some(FaultType::UserException) && self.words[3] == END
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let w = &self.words;
        match self.kind {
            Some(FaultType::Vm) => memory(out, w[0], w[1], w[2] == 1, w[3]),
            Some(FaultType::Cap) => {
                let phase = if w[2] == 1 { "receive from" } else { "send to" };
                write!(
                    out,
                    "tried to {phase} the capability address {:#x}, which it does not have, at pc {:#x}",
                    w[1], w[0]
                )
            }
            Some(FaultType::UnknownSyscall) => {
                write!(out, "made the unknown system call {} at pc {:#x}", w[12].cast_signed(), w[8])
            }
            Some(FaultType::UserException) if w[3] == PANIC => {
                write!(out, "panicked and stopped itself at pc {:#x}", w[0])
            }
            Some(FaultType::UserException) if w[3] == END => out.write_str("came to its end"),
            Some(FaultType::UserException) if w[3] == BAD_END => out.write_str("came to a bad end, as its log says"),
            Some(FaultType::UserException) => {
                write!(out, "{} (syndrome {:#x}) at pc {:#x}", exception(w[3]), w[3], w[0])
            }
            Some(FaultType::Timeout) => write!(out, "used up its budget ({} us)", w[1]),
            _ => write!(out, "unknown fault {}", self.label),
        }
    }
}

fn memory(out: &mut fmt::Formatter<'_>, pc: u64, address: u64, is_instruction: bool, syndrome: u64) -> fmt::Result {
    let what = if is_instruction {
        "executed"
    } else if syndrome & 1 << 6 != 0 {
        "wrote to"
    } else {
        "read from"
    };
    let why = match syndrome >> 2 & 15 {
        1 => "which is not mapped",
        3 => "which it may not",
        _ if syndrome & 0x3f == 0x21 => "which is not aligned",
        _ => "which failed",
    };
    write!(out, "{what} the address {address:#x}, {why} (syndrome {syndrome:#x}), at pc {pc:#x}")
}

/// Exception classes that user space can raise.
fn exception(syndrome: u64) -> &'static str {
    match syndrome >> 26 & 0x3f {
        0x00 => "executed an undefined or privileged instruction",
        0x07 => "used a floating-point register, which it may not",
        0x18 => "accessed a system register, which it may not",
        0x22 => "jumped to an address that is not aligned",
        0x3c => "executed a breakpoint",
        _ => "raised an exception",
    }
}

#[cfg(test)]
mod tests {
    use super::Fault;

    fn text(label: u64, words: &[u64]) -> String {
        Fault::new(label, words.iter().copied()).to_string()
    }

    #[test]
    fn faults_measured_on_the_reference_kernel_are_told_in_words() {
        assert_eq!(
            text(6, &[0x40_0010, 0xdead_0000, 0, 0x9200_0046]),
            "wrote to the address 0xdead0000, which is not mapped (syndrome 0x92000046), at pc 0x400010"
        );
        assert!(text(6, &[0x40, 0x40, 1, 0x8200_0006]).starts_with("executed the address 0x40, which is not mapped"));
        assert!(text(6, &[0x40_0010, 0x40_0000, 0, 0x9200_004f]).contains("which it may not"));
        assert!(
            text(1, &[0x40_0010, 0x17000, 0, 4, 0x40, 0, 0x34])
                .starts_with("tried to send to the capability address 0x17000")
        );
        assert!(
            text(2, &[0, 0, 0, 0, 0, 0, 0, 0, 0x40_0010, 0, 0, 0, u64::MAX - 98])
                .starts_with("made the unknown system call -99")
        );
        assert!(text(3, &[0x40_0010, 0, 0, 0xf200_4879, 0]).starts_with("panicked"));
        assert_eq!(text(3, &[0x40_0010, 0, 0, 0xf200_487a, 0]), "came to its end");
        assert_eq!(text(3, &[0x40_0010, 0, 0, 0xf200_487b, 0]), "came to a bad end, as its log says");
        let is_end = |label, words: [u64; 5]| Fault::new(label, words.into_iter()).is_end();
        assert!(is_end(3, [0x40_0010, 0, 0, 0xf200_487a, 0]));
        assert!(!is_end(3, [0x40_0010, 0, 0, 0xf200_487b, 0]) && !is_end(6, [0x40_0010, 0, 0, 0xf200_487a, 0]));
        assert!(text(3, &[0x40_0010, 0, 0, 0x1fe0_0000, 0]).starts_with("used a floating-point register"));
        assert!(text(3, &[0x40_0010, 0, 0, 0x6232_f801, 0]).starts_with("accessed a system register"));
        assert_eq!(text(77, &[]), "unknown fault 77");
    }
}
