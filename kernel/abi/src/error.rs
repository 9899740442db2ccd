//! Error numbers (label of a failed call's reply) and lookup-failure numbers.

/// Error number of a failed invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum ErrorCode {
    /// Success.
    NoError = 0,
    /// MR0 = index of the argument.
    InvalidArgument = 1,
    /// MR0 = number of the capability (0 = the invoked one).
    InvalidCapability = 2,
    /// No words.
    IllegalOperation = 3,
    /// MR0 = minimum, MR1 = maximum.
    RangeError = 4,
    /// No words.
    AlignmentError = 5,
    /// MR0 = 1 for the source path, MR1 = [`LookupFailureType`], MR2… its data.
    FailedLookup = 6,
    /// No words.
    TruncatedMessage = 7,
    /// No words.
    DeleteFirst = 8,
    /// No words.
    RevokeFirst = 9,
    /// MR0 = bytes available.
    NotEnoughMemory = 10,
}

impl ErrorCode {
    /// The error with this number, if it is one.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::NoError,
            1 => Self::InvalidArgument,
            2 => Self::InvalidCapability,
            3 => Self::IllegalOperation,
            4 => Self::RangeError,
            5 => Self::AlignmentError,
            6 => Self::FailedLookup,
            7 => Self::TruncatedMessage,
            8 => Self::DeleteFirst,
            9 => Self::RevokeFirst,
            10 => Self::NotEnoughMemory,
            _ => return None,
        })
    }

    /// The number as it stands in the label.
    #[must_use]
    pub const fn number(self) -> u64 {
        self as u64
    }
}

/// Why an address in a capability space did not resolve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum LookupFailureType {
    /// No failure.
    None = 0,
    /// The root is not a CNode.
    InvalidRoot = 1,
    /// The slot is empty; data: bits left.
    MissingCapability = 2,
    /// The address ends at the wrong level; data: bits available, bits wanted.
    DepthMismatch = 3,
    /// A guard differs; data: bits left, guard of the capability, its size.
    GuardMismatch = 4,
}

impl LookupFailureType {
    /// The number as it stands in a message register.
    #[must_use]
    pub const fn number(self) -> u64 {
        self as u64
    }
}
