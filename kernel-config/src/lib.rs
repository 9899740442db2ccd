//! Typed parser of boards, policy and limits; grants nothing itself.

