//! Encodes and decodes translation table descriptors; touches no memory.
//!
//! VMSAv8-64 stage 1, 4 KiB granule, 48-bit addresses (ARM ARM D8.3). Every kernel mapping is either writable or executable,
//! never both (INV-KMAP-1), and every user mapping is execute-never for the kernel (INV-UMAP-1).

/// Attributes of a kernel mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelPage {
    /// Kernel code: read and execute.
    Text,
    /// Constants and borrowed firmware data: read.
    ReadOnly,
    /// Data and the direct map: read and write.
    Normal,
    /// Device registers: read and write, nGnRnE.
    Device,
}

/// Attribute indexes 0 nGnRnE, 1 nGnRE, 2 GRE, 3 non-cacheable, 4 write-back, 5 write-through (kernel-abi §12.3).
pub const MAIR: u64 = 0x0000_aaff_440c_0400;

/// A level-3 descriptor of a kernel page at `physical`.
pub const fn page(physical: u64, kind: KernelPage) -> u64 {
    physical & ADDRESS | attributes(kind) | VALID | TABLE_OR_PAGE
}

/// A level-1 or level-2 descriptor of a kernel block at `physical`.
pub const fn block(physical: u64, kind: KernelPage) -> u64 {
    physical & ADDRESS | attributes(kind) | VALID
}

/// A descriptor that leads to the next-level table at `physical`.
pub const fn table(physical: u64) -> u64 {
    physical & ADDRESS | VALID | TABLE_OR_PAGE
}

/// The physical address of the table that a descriptor of level 0 to 2 leads to.
pub const fn as_table(descriptor: u64) -> Option<u64> {
    if descriptor & (VALID | TABLE_OR_PAGE) == VALID | TABLE_OR_PAGE { Some(descriptor & ADDRESS) } else { None }
}

/// Index into the table of `level` (0 to 3) for a virtual address.
pub const fn index(virtual_address: u64, level: u32) -> usize {
    ((virtual_address >> shift(level)) & 511) as usize
}

/// Number of address bits that one entry of `level` covers.
pub const fn shift(level: u32) -> u32 {
    39 - 9 * level
}

const fn attributes(kind: KernelPage) -> u64 {
    let cached = WRITE_BACK | INNER_SHAREABLE | ACCESSED | USER_EXECUTE_NEVER;
    match kind {
        KernelPage::Text => cached | READ_ONLY,
        KernelPage::ReadOnly => cached | READ_ONLY | KERNEL_EXECUTE_NEVER,
        KernelPage::Normal => cached | KERNEL_EXECUTE_NEVER,
        KernelPage::Device => ACCESSED | USER_EXECUTE_NEVER | KERNEL_EXECUTE_NEVER,
    }
}

const VALID: u64 = 1;
const TABLE_OR_PAGE: u64 = 1 << 1;
const WRITE_BACK: u64 = 4 << 2;
const READ_ONLY: u64 = 1 << 7;
const INNER_SHAREABLE: u64 = 3 << 8;
const ACCESSED: u64 = 1 << 10;
const KERNEL_EXECUTE_NEVER: u64 = 1 << 53;
const USER_EXECUTE_NEVER: u64 = 1 << 54;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [KernelPage; 4] = [KernelPage::Text, KernelPage::ReadOnly, KernelPage::Normal, KernelPage::Device];

    #[test]
    fn kernel_mappings_are_writable_or_executable_never_both() {
        for kind in ALL {
            for descriptor in [page(0, kind), block(0, kind)] {
                let is_writable = descriptor & READ_ONLY == 0;
                let is_executable = descriptor & KERNEL_EXECUTE_NEVER == 0;
                assert!(!(is_writable && is_executable));
                assert_eq!(descriptor & USER_EXECUTE_NEVER, USER_EXECUTE_NEVER);
                assert_eq!(descriptor & (1 << 6), 0, "no kernel mapping is open to EL0");
            }
        }
    }

    #[test]
    fn known_values_are_met() {
        assert_eq!(page(0x4000_0000, KernelPage::Text), 0x0040_0000_4000_0793);
        assert_eq!(page(0x4000_0000, KernelPage::ReadOnly), 0x0060_0000_4000_0793);
        assert_eq!(block(0x4000_0000, KernelPage::Normal), 0x0060_0000_4000_0711);
        assert_eq!(page(0x0900_0000, KernelPage::Device), 0x0060_0000_0900_0403);
        assert_eq!(as_table(table(0x1234_5000)), Some(0x1234_5000));
        assert_eq!(as_table(block(0x4000_0000, KernelPage::Normal)), None);
    }

    #[test]
    fn indexes_of_the_link_address_are_those_in_the_assembly() {
        let link = 0xffff_ffff_8000_0000;
        assert_eq!([0, 1, 2, 3].map(|level| index(link, level)), [511, 510, 0, 0]);
    }
}
