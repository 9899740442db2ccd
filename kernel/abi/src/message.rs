//! The message-info word that goes with every message.

/// Message registers of the longest message.
pub const MAX_LENGTH: usize = 120;
/// Extra capabilities of one message.
pub const MAX_EXTRA_CAPS: usize = 3;
/// Message registers that travel in CPU registers (x2…x5).
pub const REGISTER_WORDS: usize = 4;

/// Length, capability counts and label of a message, packed as in x1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct MessageInfo(pub u64);

impl MessageInfo {
    /// Bits of the length.
    pub const LENGTH: u64 = 0x7f;
    /// Bits of the number of extra capabilities.
    pub const EXTRA_CAPS: u64 = 3 << 7;
    /// Bits that tell which capabilities were unwrapped.
    pub const UNWRAPPED: u64 = 7 << 9;

    /// Packs the fields; bits that do not fit are dropped.
    #[must_use]
    pub const fn new(label: u64, caps_unwrapped: u64, extra_caps: u64, length: u64) -> Self {
        Self((label << 12) | ((caps_unwrapped & 7) << 9) | ((extra_caps & 3) << 7) | (length & 0x7f))
    }

    /// The label (52 bits): operation, error number or fault.
    #[must_use]
    pub const fn label(self) -> u64 {
        self.0 >> 12
    }

    /// Number of valid message registers; values above 120 count as 120.
    #[must_use]
    pub const fn length(self) -> usize {
        let raw = self.0 & 0x7f;
        if raw > 120 { MAX_LENGTH } else { raw as usize }
    }

    /// Sending: capabilities attached. Receiving: capabilities processed.
    #[must_use]
    pub const fn extra_caps(self) -> usize {
        ((self.0 >> 7) & 3) as usize
    }

    /// Receiving: bit i set if capability i was turned into its badge.
    #[must_use]
    pub const fn caps_unwrapped(self) -> u64 {
        (self.0 >> 9) & 7
    }
}

#[cfg(test)]
mod tests {
    use super::MessageInfo;

    #[test]
    fn fields_round_trip_and_length_saturates() {
        let info = MessageInfo::new(7, 5, 2, 3);
        assert_eq!(info.0, 0x7b03);
        assert_eq!((info.label(), info.caps_unwrapped(), info.extra_caps(), info.length()), (7, 5, 2, 3));
        assert_eq!(MessageInfo(127).length(), 120);
    }
}
