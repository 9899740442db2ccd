//! The storm of the kernel's model tests, with every decision made by the input.

use hybrid_kernel_core::model_tests;

/// Whole sequences of system calls, faults, interrupts and time on the model's world: after each step all invariants of the model hold
/// and every answer is the one that the ABI's text demands.
pub fn target_kernel_storm(data: &[u8]) {
    let _steps = model_tests::take_bytes(data);
}

/// One invocation after another: bytes to capability, label, length and words, without any sense. Refused ones change nothing.
pub fn target_kernel_decoder(data: &[u8]) {
    let _steps = model_tests::take_invocations(data);
}

/// Sequences of decisions that go on for long.
pub(super) fn sequences() -> Vec<Vec<u8>> {
    (1..9u64).map(|seed| (0..1500u64).map(|n| ((seed * n * n + 31 * n) >> 3).to_le_bytes()[0]).collect()).collect()
}
