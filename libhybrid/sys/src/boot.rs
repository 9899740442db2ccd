//! Boot info as the root task finds it; read once, copied, checked.
use hybrid_abi::bootinfo::{BootInfo, EXTRA_DEVICE_TREE, ExtraHeader};
use hybrid_abi::extension::BOOT_BLOCK_ID;

/// The root task's view of boot info and of the blocks behind it.
#[derive(Debug, Clone, Copy)]
pub struct Boot {
    /// The frame's content.
    pub info: &'static BootInfo,
    /// The extra blocks, one after the other.
    pub extra: &'static [u8],
}

impl Boot {
    /// Takes the address that the kernel put into x0.
    ///
    /// # Safety
    /// `address` is that of the kernel's boot-info frame, with the extra blocks in the pages after it, all mapped
    /// readable and written by nobody until the program ends.
    #[must_use]
    pub unsafe fn from_address(address: usize) -> Self {
        let base = core::ptr::with_exposed_provenance::<u8>(address);
        // SAFETY: the frame is mapped and constant by the contract, page-aligned, and every field accepts any bits.
        let info = unsafe { &*base.cast::<BootInfo>() };
        let len = usize::try_from(info.extra_len).unwrap_or(0);
        // SAFETY: the blocks start in the page after the frame (kernel ABI §10.3).
        let start = unsafe { base.add(PAGE) };
        // SAFETY: `extra_len` bytes are mapped there and constant, by the contract.
        let extra = unsafe { core::slice::from_raw_parts(start, len) };
        Self { info, extra }
    }

    /// The payload of the extra block with this id.
    #[must_use]
    pub fn block(&self, id: u64) -> Option<&'static [u8]> {
        block(self.extra, id)
    }

    /// The device tree, if the loader passed one.
    #[must_use]
    pub fn device_tree(&self) -> Option<&'static [u8]> {
        self.block(EXTRA_DEVICE_TREE)
    }

    /// The platform capability, if this kernel has it.
    #[must_use]
    pub fn platform(&self) -> Option<crate::Platform> {
        self.extension(0).map(crate::Platform::at)
    }

    /// The audit capability, if this kernel has it.
    #[must_use]
    pub fn audit(&self) -> Option<crate::Audit> {
        self.extension(1).map(crate::Audit::at)
    }

    /// Slot of the `n`-th capability that this kernel adds to the ABI.
    fn extension(&self, n: usize) -> Option<u64> {
        let slot = self.block(BOOT_BLOCK_ID)?.get(n * 8..)?.first_chunk::<8>()?;
        Some(u64::from_le_bytes(*slot))
    }
}

const PAGE: usize = 4096;
const HEADER: usize = size_of::<ExtraHeader>();

fn block(mut extra: &[u8], id: u64) -> Option<&[u8]> {
    loop {
        let header = extra.first_chunk::<HEADER>()?;
        let (block_id, len) = header.split_at(8);
        let len = usize::try_from(u64::from_le_bytes(len.try_into().ok()?)).ok()?;
        let payload = extra.get(HEADER..len)?;
        if u64::from_le_bytes(block_id.try_into().ok()?) == id {
            return Some(payload);
        }
        extra = extra.get(len..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::block;

    fn with_block(id: u64, len: u64, payload: &[u8]) -> Vec<u8> {
        [&id.to_le_bytes(), &len.to_le_bytes(), payload].concat()
    }

    #[test]
    fn block_is_found_behind_others() {
        let bytes = [with_block(0, 20, &[0; 4]), with_block(6, 19, b"dtb"), with_block(7, 24, &[7; 8])].concat();
        assert_eq!(block(&bytes, 6), Some(&b"dtb"[..]));
        assert_eq!(block(&bytes, 7), Some(&[7; 8][..]));
        assert_eq!(block(&bytes, 8), None);
    }

    #[test]
    fn block_with_impossible_length_ends_the_search() {
        for len in [0, 15, 17, u64::MAX] {
            assert_eq!(block(&with_block(0, len, &[]), 6), None, "{len}");
        }
        assert_eq!(block(&[1; 15], 6), None);
    }
}
