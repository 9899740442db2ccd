//! What two capabilities have in common and what a copy is, said plainly: the bit arithmetic is compared with it.

use hybrid_abi::object as size;
#[cfg(test)]
use hybrid_abi::rights::{CNodeData, Rights};

use crate::cap::Cap;

impl Cap {
    /// Physical range (base, log2 bytes) that the capability stands for; `None` if it has no memory.
    #[must_use]
    pub fn memory(self) -> Option<(u64, u32)> {
        Some(match self {
            Cap::Untyped { base, bits, .. } => (base, u32::from(bits)),
            Cap::Endpoint { at, .. } => (at.paddr(), size::ENDPOINT_BITS),
            Cap::Notification { at, .. } => (at.paddr(), size::NOTIFICATION_BITS),
            Cap::Reply { at, .. } => (at.paddr(), size::REPLY_BITS),
            Cap::CNode { at, radix, .. } => (at.paddr(), size::SLOT_BITS.wrapping_add(u32::from(radix))),
            Cap::Tcb { at } => (at.paddr(), size::TCB_BITS),
            Cap::SchedContext { at, bits } => (at.paddr(), u32::from(bits)),
            Cap::Frame { base, size, .. } => (base, size.bits()),
            Cap::PageTable { at, .. } | Cap::VSpace { at, .. } => (at.paddr(), size::PAGE_TABLE_BITS),
            Cap::AsidPool { at, .. } => (at.paddr(), size::ASID_POOL_BITS),
            Cap::Zombie { kind, base, .. } => (base, kind.bits()),
            Cap::Null
            | Cap::SchedControl { .. }
            | Cap::IrqControl
            | Cap::IrqHandler { .. }
            | Cap::SgiSignal { .. }
            | Cap::Domain
            | Cap::AsidControl
            | Cap::Platform
            | Cap::Audit { .. } => return None,
        })
    }
}

#[cfg(test)]
impl Cap {
    /// True if `other` is in the region that this capability is the root of (kernel-abi §2.6, rule 2).
    #[must_use]
    pub fn covers(self, other: Cap) -> bool {
        match (self, other) {
            (Cap::Untyped { base, bits, .. }, _) => contains((base, u32::from(bits)), other.memory()),
            (Cap::Frame { base, size, .. }, Cap::Frame { .. }) => contains((base, size.bits()), other.memory()),
            (Cap::Endpoint { at: a, .. }, Cap::Endpoint { at: b, .. }) => a == b,
            (Cap::Notification { at: a, .. }, Cap::Notification { at: b, .. }) => a == b,
            (Cap::Reply { at: a, .. }, Cap::Reply { at: b, .. }) => a == b,
            (Cap::Tcb { at: a }, Cap::Tcb { at: b }) => a == b,
            (Cap::VSpace { at: a, .. }, Cap::VSpace { at: b, .. }) => a == b,
            (Cap::PageTable { at: a, .. }, Cap::PageTable { at: b, .. }) => a == b,
            (Cap::AsidPool { at: a, .. }, Cap::AsidPool { at: b, .. }) => a == b,
            (Cap::CNode { at: a, radix: r, .. }, Cap::CNode { at: b, radix: s, .. }) => a == b && r == s,
            (Cap::SchedContext { at: a, bits: r }, Cap::SchedContext { at: b, bits: s }) => a == b && r == s,
            (Cap::IrqControl, Cap::IrqControl | Cap::IrqHandler { .. } | Cap::SgiSignal { .. }) => true,
            (Cap::IrqHandler { irq: a }, Cap::IrqHandler { irq: b }) => a == b,
            (Cap::SgiSignal { sgi: a, target: t }, Cap::SgiSignal { sgi: b, target: u }) => a == b && t == u,
            (Cap::Domain, Cap::Domain)
            | (Cap::AsidControl, Cap::AsidControl)
            | (Cap::Platform, Cap::Platform)
            | (Cap::Audit { .. }, Cap::Audit { .. }) => true,
            (Cap::SchedControl { core: a }, Cap::SchedControl { core: b }) => a == b,
            _ => false,
        }
    }

    /// True if both designate one object, so that neither is the last (kernel-abi §2.7).
    #[must_use]
    pub fn is_same_object(self, other: Cap) -> bool {
        match (self, other) {
            (Cap::Untyped { .. } | Cap::IrqControl | Cap::SgiSignal { .. }, _) => false,
            (Cap::Frame { base: a, size: s, is_device: d, .. }, Cap::Frame { base: b, size: t, is_device: e, .. }) => {
                a == b && s == t && d == e
            }
            _ => self.covers(other),
        }
    }

    /// True if a copy `self` of `source` can be revoked on its own (flags R and F of the new slot).
    #[must_use]
    pub fn is_revocable_from(self, source: Cap) -> bool {
        match (self, source) {
            (Cap::Endpoint { badge: a, .. }, Cap::Endpoint { badge: b, .. })
            | (Cap::Notification { badge: a, .. }, Cap::Notification { badge: b, .. }) => a != b,
            (Cap::IrqHandler { .. } | Cap::SgiSignal { .. }, Cap::IrqControl) => true,
            (Cap::Untyped { .. }, _) => true,
            _ => false,
        }
    }

    /// The capability with its rights reduced to `rights` (kernel-abi §2.5).
    #[must_use]
    pub fn masked(self, mask: Rights) -> Cap {
        match self {
            Cap::Endpoint { at, badge, rights } => Cap::Endpoint { at, badge, rights: rights.and(mask) },
            Cap::Notification { at, badge, rights } => Cap::Notification { at, badge, rights: rights.and(mask) },
            Cap::Reply { at, can_grant } => Cap::Reply { at, can_grant: can_grant && mask.has(Rights::GRANT) },
            Cap::Frame { base, size, is_device, rights, mapping } => {
                Cap::Frame { base, size, is_device, rights: rights.masked(mask), mapping }
            }
            other => other,
        }
    }

    /// The capability with `data` applied; `None` if it does not take that data (kernel-abi §2.5).
    /// `is_copy` distinguishes Mint from Mutate and Rotate.
    #[must_use]
    pub fn with_data(self, data: u64, is_copy: bool) -> Option<Cap> {
        match self {
            Cap::Endpoint { at, badge: 0, rights } if is_copy => Some(Cap::Endpoint { at, badge: data, rights }),
            Cap::Notification { at, badge: 0, rights } if is_copy => {
                Some(Cap::Notification { at, badge: data, rights })
            }
            Cap::Endpoint { .. } | Cap::Notification { .. } => None,
            Cap::CNode { at, radix, .. } => {
                let data = CNodeData(data);
                if u32::from(radix).wrapping_add(data.guard_size()) > 64 {
                    None
                } else {
                    let guard_size = u8::try_from(data.guard_size()).unwrap();
                    Some(Cap::CNode { at, radix, guard_size, guard: data.guard() })
                }
            }
            other => Some(other),
        }
    }
}

#[cfg(test)]
fn contains(outer: (u64, u32), inner: Option<(u64, u32)>) -> bool {
    let Some((base, bits)) = inner else { return false };
    let last = |base: u64, bits: u32| base.wrapping_add(!(u64::MAX << bits));
    base >= outer.0 && last(base, bits) <= last(outer.0, outer.1)
}
