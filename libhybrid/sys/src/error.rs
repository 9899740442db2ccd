//! Errors of kernel-object invocations, with every word that the kernel gives.
use hybrid_abi::error::{ErrorCode, LookupFailureType};

/// Why a kernel object refused an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// An argument word is unacceptable.
    InvalidArgument {
        /// Index of the argument.
        index: u64,
    },
    /// A capability is of the wrong kind, or missing.
    InvalidCapability {
        /// 0 is the invoked capability, k the k-th extra one.
        number: u64,
    },
    /// The operation is not possible in this state or with these rights.
    IllegalOperation,
    /// An argument is outside its range.
    Range {
        /// Smallest acceptable value.
        min: u64,
        /// Largest acceptable value.
        max: u64,
    },
    /// An address is not aligned.
    Alignment,
    /// A slot address or a page-table path does not resolve.
    FailedLookup {
        /// Whether the source's path failed, not the target's.
        is_source: bool,
        /// How.
        failure: LookupFailure,
    },
    /// The message is too short or lacks a capability.
    TruncatedMessage,
    /// The target slot or the mapping is occupied.
    DeleteFirst,
    /// The object has children or is in use.
    RevokeFirst,
    /// The untyped memory has not enough room.
    NotEnoughMemory {
        /// Bytes that are free.
        free: u64,
    },
    /// A label that the ABI does not define.
    Unknown(u64),
}

/// How the resolution of an address failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupFailure {
    /// The root is not a CNode (or not a live address space).
    InvalidRoot,
    /// The slot is empty, or a page table is missing.
    MissingCapability {
        /// Address bits left where the walk stopped.
        bits_left: u64,
    },
    /// The address ends at the wrong level.
    DepthMismatch {
        /// Bits that were available.
        available: u64,
        /// Bits that the level wanted.
        wanted: u64,
    },
    /// A guard differs from the address.
    GuardMismatch {
        /// Bits left.
        bits_left: u64,
        /// The guard in the capability.
        guard: u64,
        /// Its size in bits.
        guard_size: u64,
    },
    /// A number that the ABI does not define.
    Unknown(u64),
}

impl Error {
    /// The error with number `label`, its words read by `word`; `None` for success.
    #[must_use]
    pub fn from_reply(label: u64, word: impl Fn(usize) -> u64) -> Option<Self> {
        let Some(code) = ErrorCode::from_number(label) else { return Some(Self::Unknown(label)) };
        Some(match code {
            ErrorCode::NoError => return None,
            ErrorCode::InvalidArgument => Self::InvalidArgument { index: word(0) },
            ErrorCode::InvalidCapability => Self::InvalidCapability { number: word(0) },
            ErrorCode::IllegalOperation => Self::IllegalOperation,
            ErrorCode::RangeError => Self::Range { min: word(0), max: word(1) },
            ErrorCode::AlignmentError => Self::Alignment,
            ErrorCode::FailedLookup => {
                Self::FailedLookup { is_source: word(0) != 0, failure: LookupFailure::from_words(word) }
            }
            ErrorCode::TruncatedMessage => Self::TruncatedMessage,
            ErrorCode::DeleteFirst => Self::DeleteFirst,
            ErrorCode::RevokeFirst => Self::RevokeFirst,
            ErrorCode::NotEnoughMemory => Self::NotEnoughMemory { free: word(0) },
        })
    }
}

impl LookupFailure {
    fn from_words(word: impl Fn(usize) -> u64) -> Self {
        const INVALID_ROOT: u64 = LookupFailureType::InvalidRoot.number();
        const MISSING: u64 = LookupFailureType::MissingCapability.number();
        const DEPTH: u64 = LookupFailureType::DepthMismatch.number();
        const GUARD: u64 = LookupFailureType::GuardMismatch.number();
        match word(1) {
            INVALID_ROOT => Self::InvalidRoot,
            MISSING => Self::MissingCapability { bits_left: word(2) },
            DEPTH => Self::DepthMismatch { available: word(2), wanted: word(3) },
            GUARD => Self::GuardMismatch { bits_left: word(2), guard: word(3), guard_size: word(4) },
            other => Self::Unknown(other),
        }
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(self, f)
    }
}

impl core::error::Error for Error {}
