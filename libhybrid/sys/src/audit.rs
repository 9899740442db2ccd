//! The list of all capabilities, as the kernel's Audit object tells it: words, no meaning.
use crate::{Audit, Error, buffer};
use hybrid_abi::extension::{AUDIT_ENTRIES, AUDIT_ENTRY_WORDS, AUDIT_LIST};

/// One capability: where it is, and its two words (docs/kernel/abi.md, appendix F).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct AuditEntry {
    /// Address of its slot; bit 0: revocable on its own, bit 1: first of its badge.
    pub slot: u64,
    /// The capability.
    pub words: [u64; 2],
}

impl Audit {
    /// Tells the next capabilities; none at the end. Whoever begins anew ends the listing of all others, who then get the rest of his.
    ///
    /// # Errors
    /// Only if this is not the audit capability.
    pub fn list(self, from_start: bool, mut tell: impl FnMut(AuditEntry)) -> Result<usize, Error> {
        let reply = self.0.invoke(AUDIT_LIST, &[u64::from(!from_start)], &[])?;
        let count = (reply.info.length() / AUDIT_ENTRY_WORDS).min(AUDIT_ENTRIES);
        let word = |index: usize| reply.registers.get(index).copied().unwrap_or_else(|| buffer::word(index));
        for first in (0..count).map(|n| n * AUDIT_ENTRY_WORDS) {
            tell(AuditEntry { slot: word(first), words: [word(first + 1), word(first + 2)] });
        }
        Ok(count)
    }
}
