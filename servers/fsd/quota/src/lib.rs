//! How many bytes each session may have, as the integrator says; keeps no count itself.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

/// Bytes in which sizes are counted: a file of one byte has one of them, and so has every name.
const UNIT: u64 = 4096;
/// What a session has that the integrator says nothing of.
const DEFAULT: u64 = 1 << 20;

/// Bytes of a disk that no quota gives out: the ring of headers, and copies of what is being changed.
const RESERVE: u64 = 2 << 20;

/// Bytes that all quotas together may give out of a disk of so many. redoxfs takes room by powers of two, so a file of 17 units has 32 of them.
/// So there are blocks enough for all of it, but not surely side by side: redoxfs needs aligned runs of a power of two and moves no block, and after
/// many deletions of small files a large record may find none, within its quota.
#[must_use]
pub fn promised(bytes: u64) -> u64 {
    bytes.saturating_sub(RESERVE) / 2
}

/// What a node counts: its size in whole units, and one for itself.
#[must_use]
pub fn counted(size: u64) -> u64 {
    size.div_ceil(UNIT).saturating_add(1).saturating_mul(UNIT)
}

/// Bytes of the files in memory together, beside the disk's: what all quotas there may give out, and the directories that sessions begin with.
pub const IN_MEMORY: u64 = 2 << 20;

/// The parameter `quotas`: `writer=8M reader=64K /tmp/writer=256K`, by the clients' names, or by directories, which come before those.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quotas<'a>(&'a str);

impl<'a> Quotas<'a> {
    /// Reads the parameter; what is no quota in it counts as not said.
    #[must_use]
    pub fn new(text: Option<&'a str>) -> Self {
        Self(text.unwrap_or_default())
    }

    /// Bytes of a client's session with the directory `prefix`, if it has one.
    #[must_use]
    pub fn of(&self, client: &str, prefix: Option<&str>) -> u64 {
        prefix.and_then(|prefix| self.said(prefix)).or_else(|| self.said(client)).unwrap_or(DEFAULT)
    }

    fn said(&self, whose: &str) -> Option<u64> {
        let pairs = self.0.split_whitespace().filter_map(|pair| pair.split_once('='));
        pairs.filter(|(name, _)| *name == whose).find_map(|(_, amount)| bytes(amount))
    }
}

fn bytes(amount: &str) -> Option<u64> {
    let (digits, factor) = match amount.strip_suffix('M') {
        Some(digits) => (digits, 1 << 20),
        None => amount.strip_suffix('K').map_or((amount, 1), |digits| (digits, 1 << 10)),
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_is_what_the_integrator_says_or_a_mebibyte() {
        let quotas = Quotas::new(Some("writer=8M reader=64K  tiny=100 bad=x huge=99999999999999999999M"));
        let of = |client| quotas.of(client, None);
        assert_eq!((of("writer"), of("reader"), of("tiny")), (8 << 20, 64 << 10, 100));
        assert_eq!(
            (of("bad"), of("huge"), of("other"), Quotas::new(None).of("writer", None)),
            (DEFAULT, DEFAULT, DEFAULT, DEFAULT)
        );
    }

    /// A client with several directories has a quota of each.
    #[test]
    fn quota_of_a_directory_comes_before_that_of_a_client() {
        let quotas = Quotas::new(Some("/tmp/writer=64K writer=8M /data/bad=x"));
        let of = |client, prefix| quotas.of(client, Some(prefix));
        assert_eq!((of("writer", "/tmp/writer"), of("writer", "/data/writer")), (64 << 10, 8 << 20));
        assert_eq!((of("reader", "/tmp/writer"), of("reader", "/tmp/writer/x")), (64 << 10, DEFAULT));
        assert_eq!((of("writer", "/data/bad"), of("other", "/data/bad")), (8 << 20, DEFAULT));
    }

    #[test]
    fn each_begun_unit_counts_and_so_does_the_name() {
        assert_eq!([0, 1, 4096, 4097].map(counted), [4096, 8192, 8192, 12288]);
        assert!(counted(u64::MAX) > 1 << 40);
    }
}
