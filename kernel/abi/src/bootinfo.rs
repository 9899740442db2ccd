//! Layout of the boot-info frame and of the extra blocks behind it.

use crate::limits::BOOT_UNTYPED_CAPS;

/// Slots from `start` up to, but without, `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SlotRegion {
    /// First slot.
    pub start: u64,
    /// First slot after the region.
    pub end: u64,
}

impl SlotRegion {
    /// Number of slots.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// What the untyped capability in slot `untyped.start + i` covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct UntypedDescriptor {
    /// Physical base address.
    pub paddr: u64,
    /// log2 of the bytes.
    pub size_bits: u8,
    /// 1 for device memory.
    pub is_device: u8,
    /// Zero.
    pub padding: [u8; 6],
}

/// The boot-info frame.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct BootInfo {
    /// Bytes of extra blocks, in the pages after this frame.
    pub extra_len: u64,
    /// 0.
    pub node_id: u64,
    /// Cores.
    pub num_nodes: u64,
    /// 0.
    pub num_io_pt_levels: u64,
    /// Virtual address of the initial thread's IPC buffer.
    pub ipc_buffer: u64,
    /// Free slots of the root CNode.
    pub empty: SlotRegion,
    /// None here.
    pub shared_frames: SlotRegion,
    /// Frames of the user image, by ascending virtual address.
    pub user_image_frames: SlotRegion,
    /// Page tables of the initial address space.
    pub user_image_paging: SlotRegion,
    /// None here.
    pub io_space_caps: SlotRegion,
    /// Frames of the extra blocks.
    pub extra_bi_pages: SlotRegion,
    /// Radix of the root CNode.
    pub init_thread_cnode_size_bits: u64,
    /// 0.
    pub init_thread_domain: u64,
    /// SchedControl capabilities, one per core.
    pub sched_control: SlotRegion,
    /// Untyped capabilities.
    pub untyped: SlotRegion,
    /// Descriptions of them.
    pub untyped_list: [UntypedDescriptor; BOOT_UNTYPED_CAPS],
}

/// Word index of each field, for writers that see the frame as words.
pub mod word {
    /// See [`super::BootInfo::extra_len`].
    pub const EXTRA_LEN: usize = 0;
    /// See [`super::BootInfo::node_id`].
    pub const NODE_ID: usize = 1;
    /// See [`super::BootInfo::num_nodes`].
    pub const NUM_NODES: usize = 2;
    /// See [`super::BootInfo::ipc_buffer`].
    pub const IPC_BUFFER: usize = 4;
    /// See [`super::BootInfo::empty`].
    pub const EMPTY: usize = 5;
    /// See [`super::BootInfo::user_image_frames`].
    pub const USER_IMAGE_FRAMES: usize = 9;
    /// See [`super::BootInfo::user_image_paging`].
    pub const USER_IMAGE_PAGING: usize = 11;
    /// See [`super::BootInfo::extra_bi_pages`].
    pub const EXTRA_BI_PAGES: usize = 15;
    /// See [`super::BootInfo::init_thread_cnode_size_bits`].
    pub const CNODE_BITS: usize = 17;
    /// See [`super::BootInfo::init_thread_domain`].
    pub const DOMAIN: usize = 18;
    /// See [`super::BootInfo::sched_control`].
    pub const SCHED_CONTROL: usize = 19;
    /// See [`super::BootInfo::untyped`].
    pub const UNTYPED: usize = 21;
    /// See [`super::BootInfo::untyped_list`]; two words per entry.
    pub const UNTYPED_LIST: usize = 23;
}

/// Header of an extra block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ExtraHeader {
    /// Kind of block.
    pub id: u64,
    /// Bytes including this header.
    pub len: u64,
}

/// Extra block: padding.
pub const EXTRA_PADDING: u64 = 0;
/// Extra block: the flattened device tree.
pub const EXTRA_DEVICE_TREE: u64 = 6;

const _: () = assert!(size_of::<BootInfo>() == 0xf18);
const _: () = assert!(core::mem::offset_of!(BootInfo, empty) == word::EMPTY * 8);
const _: () = assert!(core::mem::offset_of!(BootInfo, user_image_frames) == word::USER_IMAGE_FRAMES * 8);
const _: () = assert!(core::mem::offset_of!(BootInfo, user_image_paging) == word::USER_IMAGE_PAGING * 8);
const _: () = assert!(core::mem::offset_of!(BootInfo, extra_bi_pages) == word::EXTRA_BI_PAGES * 8);
const _: () = assert!(core::mem::offset_of!(BootInfo, init_thread_cnode_size_bits) == word::CNODE_BITS * 8);
const _: () = assert!(core::mem::offset_of!(BootInfo, sched_control) == word::SCHED_CONTROL * 8);
const _: () = assert!(core::mem::offset_of!(BootInfo, untyped) == word::UNTYPED * 8);
const _: () = assert!(core::mem::offset_of!(BootInfo, untyped_list) == word::UNTYPED_LIST * 8);
