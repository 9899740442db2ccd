//! The kernel's words for one capability (kernel ABI, appendix F) as a value; whatever the words, no failure.

use hybrid_capgraph::Rights;
use libhybrid::sys::AuditEntry;
use libhybrid::sys::abi::cap_tag as tag;

/// A capability, as far as comparing needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cap {
    /// Endpoint.
    Endpoint {
        /// The object.
        at: u64,
        /// Badge.
        badge: u64,
        /// Rights.
        rights: Rights,
    },
    /// Notification.
    Notification {
        /// The object.
        at: u64,
        /// Badge.
        badge: u64,
        /// Rights.
        rights: Rights,
    },
    /// Reply object.
    Reply {
        /// Grant, or none.
        rights: Rights,
    },
    /// CNode.
    CNode {
        /// The object.
        at: u64,
        /// log2 of its slots.
        radix: u8,
    },
    /// Thread.
    Thread {
        /// The object.
        at: u64,
    },
    /// Root page table.
    Space {
        /// Its ASID.
        asid: u16,
    },
    /// Frame.
    Frame {
        /// Physical address.
        page: u64,
        /// log2 of its bytes.
        bits: u8,
        /// Read, write.
        rights: Rights,
        /// Device memory.
        is_device: bool,
        /// Where this capability mapped it: ASID (0: nowhere) and address.
        mapping: (u16, u64),
    },
    /// Untyped memory.
    Untyped {
        /// Physical address.
        base: u64,
        /// log2 of its bytes.
        bits: u8,
        /// Number of its use.
        incarnation: u64,
    },
    /// Interrupt handler.
    Interrupt {
        /// Its number.
        irq: u32,
    },
    /// The list of all capabilities.
    Audit {
        /// Where the interrupts' notifications are.
        table: u64,
    },
    /// Another kind.
    Other {
        /// Its tag.
        tag: u64,
        /// The object, if it has one.
        at: u64,
    },
}

/// Where it is, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact {
    /// Address of its slot.
    pub slot: u64,
    /// The capability.
    pub cap: Cap,
}

const fn field(word: u64, shift: u32, bits: u32) -> u64 {
    (word >> shift) & !(u64::MAX << bits)
}

const fn small(word: u64) -> u8 {
    (word & 0xff) as u8
}

impl Fact {
    /// Reads an entry of the list.
    #[must_use]
    pub fn of(entry: AuditEntry) -> Self {
        let [word, second] = entry.words;
        // Bits 20 to 63 are bits 4 to 47.
        let at = word >> 20 << 4;
        let rights = |bits: u64| Rights(small(bits & 15));
        let cap = match word & 31 {
            tag::ENDPOINT => Cap::Endpoint { at, badge: second, rights: rights(word >> 5) },
            tag::NOTIFICATION => Cap::Notification { at, badge: second, rights: rights(word >> 5 & 3) },
            tag::REPLY => Cap::Reply { rights: if word >> 5 & 1 != 0 { Rights::GRANT } else { Rights::NONE } },
            tag::CNODE => Cap::CNode { at, radix: small(field(word, 5, 6)) },
            tag::TCB => Cap::Thread { at },
            tag::VSPACE => Cap::Space { asid: (second >> 48) as u16 },
            tag::FRAME => Cap::Frame {
                page: at,
                bits: small(12 + 9 * field(word, 5, 2)),
                rights: match field(word, 7, 2) {
                    0 => Rights::NONE,
                    1 => Rights::READ,
                    _ => Rights::READ_WRITE,
                },
                is_device: word >> 9 & 1 != 0,
                mapping: ((second >> 48) as u16, field(second, 0, 48)),
            },
            tag::UNTYPED => {
                let bits = field(word, 6, 6);
                Cap::Untyped { base: second & u64::MAX << bits, bits: small(bits), incarnation: word >> 13 }
            }
            tag::IRQ_HANDLER => Cap::Interrupt { irq: (second & 0xffff_ffff) as u32 },
            tag::AUDIT => Cap::Audit { table: second },
            tag => Cap::Other { tag, at },
        };
        Self { slot: entry.slot & !31, cap }
    }
}

impl Cap {
    /// A word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Endpoint { .. } => "endpoint",
            Self::Notification { .. } => "notification",
            Self::Reply { .. } => "reply",
            Self::CNode { .. } => "cnode",
            Self::Thread { .. } => "thread",
            Self::Space { .. } => "space",
            Self::Frame { is_device: true, .. } => "device-frame",
            Self::Frame { .. } => "frame",
            Self::Untyped { .. } => "untyped",
            Self::Interrupt { .. } => "interrupt",
            Self::Audit { .. } => "audit",
            Self::Other { tag, .. } => match tag {
                tag::PAGE_TABLE => "page-table",
                tag::SCHED_CONTEXT => "context",
                tag::SCHED_CONTROL => "context-control",
                tag::IRQ_CONTROL => "interrupt-control",
                tag::ASID_CONTROL => "pool-control",
                tag::ASID_POOL => "pool",
                tag::DOMAIN => "domain",
                tag::SGI_SIGNAL => "sgi",
                tag::PLATFORM => "platform",
                tag::ZOMBIE => "half-deleted",
                _ => "unknown",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cap, Fact};
    use hybrid_capgraph::Rights;
    use libhybrid::sys::AuditEntry;

    #[test]
    fn words_are_read_as_the_abi_says() {
        let of = |word, second| Fact::of(AuditEntry { slot: 0x4000_0023, words: [word, second] });
        let endpoint = of(4 | 9 << 5 | 0x4123_4560 << 16, 7);
        assert_eq!(endpoint.slot, 0x4000_0020);
        assert_eq!(endpoint.cap, Cap::Endpoint { at: 0x4123_4560, badge: 7, rights: Rights(9) });
        let frame = of(1 | 1 << 5 | 1 << 7 | 1 << 9 | 0x0a00_0000 << 16, 3 << 48 | 0x3000_0000);
        let mapping = (3, 0x3000_0000);
        let cap = Cap::Frame { page: 0x0a00_0000, bits: 21, rights: Rights::READ, is_device: true, mapping };
        assert_eq!(frame.cap, cap);
        let untyped = of(2 | 12 << 6 | 99 << 13, 0x4000_1ff1);
        assert_eq!(untyped.cap, Cap::Untyped { base: 0x4000_1000, bits: 12, incarnation: 99 });
        // A guard's size is in bits that are an address's elsewhere.
        assert_eq!(of(10 | 7 << 5 | 57 << 13 | 0x4200_0000 << 16, 0).cap, Cap::CNode { at: 0x4200_0000, radix: 7 });
        for word in 0..2048u64 {
            let _any = of(word | u64::MAX << 11, u64::MAX).cap.name();
        }
    }
}
