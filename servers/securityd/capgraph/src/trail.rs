//! How records of the audit trail are chained, and a listing of them checked; keeps none.
//!
//! A trail has two chains, so that denials, which a peer causes as it likes, push out no event of authority. A record's
//! hash is SHA-256 over its predecessor's hash, its number, its time, its kind and its text. Whoever knows the hash of one
//! record can so tell whether any record before it was changed. It is no signature: who can write the whole trail can
//! compute it anew, so the newest hash has to be kept elsewhere to be worth something.

use sha2::{Digest as _, Sha256};

/// A SHA-256 value.
pub type Digest = [u8; 32];

/// What stands in the place of a predecessor's hash in the first record of a chain.
#[must_use]
pub fn trail_start(chain: &str) -> Digest {
    Sha256::new().chain_update(b"hybrid.security.Audit ").chain_update(chain).finalize().into()
}

/// The hash of a record whose predecessor has the hash `before`.
#[must_use]
pub fn trail_hash(before: &Digest, sequence: u64, at_ns: u64, kind: &str, text: &str) -> Digest {
    // Every field has a length of its own or a fixed one, so that no two records have the same bytes.
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(sequence.to_le_bytes());
    hash.update(at_ns.to_le_bytes());
    for text in [kind, text] {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

#[cfg(feature = "std")]
pub use listing::{Break, Trail, TrailChain, TrailRecord};

#[cfg(feature = "std")]
#[path = "trail_listing.rs"]
mod listing;

#[cfg(test)]
mod tests {
    use super::{trail_hash, trail_start};

    #[test]
    fn every_part_of_a_record_changes_its_hash() {
        let start = trail_start("events");
        assert_ne!(start, trail_start("denials"));
        let hash = trail_hash(&start, 1, 2, "Granted", "text");
        assert_eq!(hash, trail_hash(&start, 1, 2, "Granted", "text"));
        for other in [
            trail_hash(&hash, 1, 2, "Granted", "text"),
            trail_hash(&start, 2, 2, "Granted", "text"),
            trail_hash(&start, 1, 3, "Granted", "text"),
            trail_hash(&start, 1, 2, "Grantedt", "ext"),
            trail_hash(&start, 1, 2, "Granted", "texu"),
        ] {
            assert_ne!(other, hash);
        }
    }

    #[test]
    fn hash_is_sha_256_over_the_documented_bytes() {
        // From: printf 'hybrid.security.Audit events' | sha256sum
        let hex: String = trail_start("events").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, EXPECTED_START);
    }

    const EXPECTED_START: &str = "3aabd63297471a36ab44d4db2a54cda3e04e2f7145279ccd30a1c62a6351c8ff";
}
