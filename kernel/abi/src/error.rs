//! Error numbers (label of a failed call's reply) and lookup-failure numbers.

crate::numbered! {
    /// Error number of a failed invocation.
    ErrorCode {
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
}

crate::numbered! {
    /// Why an address in a capability space did not resolve.
    LookupFailureType {
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
}
