//! What kinds of objects the fake kernel has, and the program that every instance runs in host tests.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use hybrid_sys::{ObjectType, Registers, SchedParameters};

use super::{Cap, Id};
use crate::kernel::ThreadParts;

#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) frame: Id,
    pub(crate) rights: u64,
    pub(crate) attributes: u64,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a few thousand of them, in tests")]
pub(crate) enum Kind {
    Untyped { base: u64, bits: u8, is_device: bool, used: u64 },
    CNode { bits: u8, slots: BTreeMap<u64, Cap> },
    Endpoint,
    Notification,
    Reply,
    Thread { parts: Option<ThreadParts>, registers: Option<Registers>, has_timer: bool, is_stopped: bool },
    Context { parameters: Option<SchedParameters> },
    VSpace { has_asid: bool, tables: BTreeSet<(u8, u64)>, pages: BTreeMap<u64, Page> },
    Table { is_mapped: bool },
    Frame { bits: u8, base: u64, is_device: bool, content: Vec<u8>, is_unified: bool },
    Audit,
    Interrupt { irq: u32, bell: Option<Cap> },
}

impl Kind {
    /// A new object of that type, and log2 of its bytes.
    pub(super) fn blank(kind: ObjectType, size_bits: u8, base: u64, is_device: bool) -> (Self, u8) {
        match kind {
            ObjectType::Untyped => (Self::Untyped { base, bits: size_bits, is_device, used: 0 }, size_bits),
            ObjectType::CapTable => (Self::CNode { bits: size_bits, slots: BTreeMap::new() }, size_bits + 5),
            ObjectType::Endpoint => (Self::Endpoint, 4),
            ObjectType::Notification => (Self::Notification, 6),
            ObjectType::Reply => (Self::Reply, 5),
            ObjectType::Tcb => (Self::Thread { parts: None, registers: None, has_timer: false, is_stopped: false }, 11),
            ObjectType::SchedContext => (Self::Context { parameters: None }, size_bits),
            ObjectType::VSpace => {
                (Self::VSpace { has_asid: false, tables: BTreeSet::new(), pages: BTreeMap::new() }, 12)
            }
            ObjectType::PageTable => (Self::Table { is_mapped: false }, 12),
            ObjectType::SmallPage => {
                (Self::Frame { bits: 12, base, is_device, content: Vec::new(), is_unified: false }, 12)
            }
            ObjectType::LargePage => {
                (Self::Frame { bits: 21, base, is_device, content: Vec::new(), is_unified: false }, 21)
            }
            ObjectType::HugePage => panic!("securityd makes none"),
        }
    }

    /// Its name, for messages.
    pub(crate) fn name(&self) -> String {
        let text = alloc::format!("{self:?}");
        text.split([' ', '{']).next().unwrap_or_default().into()
    }
}

/// A program of one page of code and one of data, and what it is called in failures.
pub(crate) fn program() -> Vec<u8> {
    let mut file = alloc::vec![0; 64];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    (file[16], file[18], file[32], file[54], file[56]) = (2, 183, 64, 56, 2);
    file[24..32].copy_from_slice(&0x40_0010_u64.to_le_bytes());
    for (flags, offset, address, length, bytes) in
        [(5_u32, 0x1000_u64, 0x40_0000_u64, 0x1000_u64, 0x1000_u64), (6, 0x2000, 0x40_1800, 0x900, 0x2000)]
    {
        file.extend(1_u32.to_le_bytes());
        file.extend(flags.to_le_bytes());
        for value in [offset, address, address, length, bytes, 4096] {
            file.extend(value.to_le_bytes());
        }
    }
    file.resize(0x2000, 0x11);
    file.resize(0x3000, 0x22);
    file
}
