//! Address spaces: tables, pages, address-space identifiers, cache maintenance.
use crate::{AsidControl, AsidPool, Error, Frame, PageTable, Rights, Slot, Untyped, VSpace};
use hybrid_abi::{label, vm};

/// How a page is mapped besides its rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes(pub u64);

impl Attributes {
    /// Ordinary memory that is not executable.
    pub const DATA: Self = Self(vm::ATTR_CACHEABLE | vm::ATTR_PARITY | vm::ATTR_EXECUTE_NEVER);
    /// Ordinary memory that is executable.
    pub const CODE: Self = Self(vm::ATTR_CACHEABLE | vm::ATTR_PARITY);
    /// Device registers: not cached, not reordered, not executable.
    pub const DEVICE: Self = Self(vm::ATTR_EXECUTE_NEVER);
}

/// A half-open range: virtual addresses for an address space, offsets for a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl PageTable {
    /// Installs the table at the first missing level on the path of `address`.
    ///
    /// # Errors
    /// See kernel ABI §6.3.
    pub fn map(self, vspace: VSpace, address: u64, attributes: Attributes) -> Result<(), Error> {
        self.0.invoke_unit(label::PAGE_TABLE_MAP, &[address, attributes.0], &[vspace.0])
    }

    /// Removes the table and forgets its entries.
    ///
    /// # Errors
    /// RevokeFirst if there are copies of the capability.
    pub fn unmap(self) -> Result<(), Error> {
        self.0.invoke_unit(label::PAGE_TABLE_UNMAP, &[], &[])
    }
}

impl Frame {
    /// Maps the page, or changes rights and attributes of the mapping that this capability has.
    ///
    /// # Errors
    /// See kernel ABI §6.4; FailedLookup tells the level of a missing table.
    pub fn map(self, vspace: VSpace, address: u64, rights: Rights, attributes: Attributes) -> Result<(), Error> {
        self.0.invoke_unit(label::PAGE_MAP, &[address, rights.0, attributes.0], &[vspace.0])
    }

    /// Removes the mapping of this capability.
    ///
    /// # Errors
    /// Only if this is not a frame.
    pub fn unmap(self) -> Result<(), Error> {
        self.0.invoke_unit(label::PAGE_UNMAP, &[], &[])
    }

    /// Physical address.
    ///
    /// # Errors
    /// Only if this is not a frame.
    pub fn address(self) -> Result<u64, Error> {
        self.0.invoke_word(label::PAGE_GET_ADDRESS, &[], &[])
    }

    /// Writes cached data of a mapped page to memory.
    ///
    /// # Errors
    /// See kernel ABI §6.7, here and below.
    pub fn clean(self, offsets: Range) -> Result<(), Error> {
        self.0.invoke_unit(label::PAGE_CLEAN_DATA, &[offsets.start, offsets.end], &[])
    }

    /// Drops cached data of a mapped page.
    ///
    /// # Errors
    /// As above.
    pub fn invalidate(self, offsets: Range) -> Result<(), Error> {
        self.0.invoke_unit(label::PAGE_INVALIDATE_DATA, &[offsets.start, offsets.end], &[])
    }

    /// Writes cached data of a mapped page to memory and drops it.
    ///
    /// # Errors
    /// As above.
    pub fn clean_invalidate(self, offsets: Range) -> Result<(), Error> {
        self.0.invoke_unit(label::PAGE_CLEAN_INVALIDATE_DATA, &[offsets.start, offsets.end], &[])
    }

    /// Makes code that was written to a mapped page executable.
    ///
    /// # Errors
    /// As above.
    pub fn unify(self, offsets: Range) -> Result<(), Error> {
        self.0.invoke_unit(label::PAGE_UNIFY_INSTRUCTION, &[offsets.start, offsets.end], &[])
    }
}

impl VSpace {
    /// Writes cached data to memory; the range must lie in one page.
    ///
    /// # Errors
    /// See kernel ABI §6.7, here and below.
    pub fn clean(self, addresses: Range) -> Result<(), Error> {
        self.0.invoke_unit(label::VSPACE_CLEAN_DATA, &[addresses.start, addresses.end], &[])
    }

    /// Drops cached data.
    ///
    /// # Errors
    /// As above.
    pub fn invalidate(self, addresses: Range) -> Result<(), Error> {
        self.0.invoke_unit(label::VSPACE_INVALIDATE_DATA, &[addresses.start, addresses.end], &[])
    }

    /// Writes cached data to memory and drops it.
    ///
    /// # Errors
    /// As above.
    pub fn clean_invalidate(self, addresses: Range) -> Result<(), Error> {
        self.0.invoke_unit(label::VSPACE_CLEAN_INVALIDATE_DATA, &[addresses.start, addresses.end], &[])
    }

    /// Makes code that was written executable.
    ///
    /// # Errors
    /// As above.
    pub fn unify(self, addresses: Range) -> Result<(), Error> {
        self.0.invoke_unit(label::VSPACE_UNIFY_INSTRUCTION, &[addresses.start, addresses.end], &[])
    }
}

impl AsidControl {
    /// Turns a 4 KiB untyped into an ASID pool in `target`.
    ///
    /// # Errors
    /// See kernel ABI §6.2.
    pub fn make_pool(self, memory: Untyped, target: Slot) -> Result<(), Error> {
        let words = [target.index, target.depth.into()];
        self.0.invoke_unit(label::ASID_CONTROL_MAKE_POOL, &words, &[memory.0, target.root.0])
    }
}

impl AsidPool {
    /// Gives an address space its identifier; it cannot be used before.
    ///
    /// # Errors
    /// See kernel ABI §6.2.
    pub fn assign(self, vspace: VSpace) -> Result<(), Error> {
        self.0.invoke_unit(label::ASID_POOL_ASSIGN, &[], &[vspace.0])
    }
}
