//! The deeds of a trespasser as parameters name them; does none of them.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

/// What an instance tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Invoke slots that were not given.
    Capability,
    /// Invoke a slot outside its own capability space.
    Beyond,
    /// Read a foreign address.
    Read(usize),
    /// Write to an address that must not be writable.
    Write(usize),
    /// Make an unknown system call.
    Syscall,
    /// Panic, as a component with a bug does.
    Panic,
}

impl Deed {
    /// The deed that a parameter names: `capability`, `beyond`, `read 0x30000000`, `write 0x400000`, `syscall`, `panic`.
    pub fn parse(text: &str) -> Option<Self> {
        let address = |digits: &str| usize::from_str_radix(digits, 16).ok();
        match text.split_once(" 0x") {
            None if text == "capability" => Some(Self::Capability),
            None if text == "beyond" => Some(Self::Beyond),
            None if text == "syscall" => Some(Self::Syscall),
            None if text == "panic" => Some(Self::Panic),
            Some(("read", digits)) => address(digits).map(Self::Read),
            Some(("write", digits)) => address(digits).map(Self::Write),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Deed;

    #[test]
    fn parse_knows_every_deed() {
        assert_eq!(Deed::parse("capability"), Some(Deed::Capability));
        assert_eq!(Deed::parse("beyond"), Some(Deed::Beyond));
        assert_eq!(Deed::parse("read 0xffff000000000000"), Some(Deed::Read(0xffff_0000_0000_0000)));
        assert_eq!(Deed::parse("write 0x400000"), Some(Deed::Write(0x40_0000)));
        assert_eq!(Deed::parse("syscall"), Some(Deed::Syscall));
        assert_eq!(Deed::parse("panic"), Some(Deed::Panic));
    }

    #[test]
    fn parse_of_anything_else_is_none() {
        for text in ["", "read", "read 12", "erase 0x1", "write 0xz"] {
            assert_eq!(Deed::parse(text), None, "{text}");
        }
    }
}
