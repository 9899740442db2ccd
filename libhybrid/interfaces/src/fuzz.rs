//! Hostile bytes to every decoder of the bindings; for fuzz targets and tests.
use hybrid_ipc::{CapSlot, Incoming, PAYLOAD_WORD};

/// Feeds `data` to the decoder of every type, and as a request and as a reply to every operation.
///
/// # Panics
/// If a decoder is wrong: a value that decodes must encode to the same bytes. It must never panic otherwise.
pub fn fuzz_decode(data: &[u8]) {
    crate::fuzz_all(data, &as_payload(data));
    crate::fuzz_all(data, &as_message(data));
}

/// Encodes and decodes one random value of every type.
///
/// # Panics
/// If a type does not round-trip within its `MAX_ENCODED`.
#[cfg(feature = "samples")]
pub fn fuzz_values(seed: u64) {
    crate::fuzz_all_values(&mut hybrid_ipc::Sampler::new(seed));
}

/// A well-formed message with `data` as its payload.
fn as_payload(data: &[u8]) -> Incoming {
    let words = data.len().div_ceil(8) + PAYLOAD_WORD;
    let mut message = Incoming::new();
    let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
    message.receive(0, 0, words, [length, 0, 0, 0], Some(CapSlot(1)), |index| word(data, index - PAYLOAD_WORD));
    message
}

/// A message whose length, registers and words are all taken from `data`.
fn as_message(data: &[u8]) -> Incoming {
    let registers = [1, 2, 3, 4].map(|index| word(data, index));
    let length = usize::try_from(word(data, 0) & 0x7f).unwrap_or(0);
    let mut message = Incoming::new();
    message.receive(0, 0, length, registers, None, |index| word(data, index + 1));
    message
}

/// Word `index` of the data; zeros beyond its end.
fn word(data: &[u8], index: usize) -> u64 {
    let mut bytes = [0; 8];
    let part = data.get(index.saturating_mul(8)..).unwrap_or_default();
    for (to, from) in bytes.iter_mut().zip(part) {
        *to = *from;
    }
    u64::from_le_bytes(bytes)
}
