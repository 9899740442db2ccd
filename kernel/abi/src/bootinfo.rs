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

/// Word index of fields, for writers that see the frame as words.
pub mod word {
    use super::BootInfo;

    macro_rules! words {
        ($($name:ident = $field:ident;)*) => { $(
            #[doc = concat!("See [`BootInfo::", stringify!($field), "`].")]
            pub const $name: usize = core::mem::offset_of!(BootInfo, $field) / 8;
        )* };
    }

    words! {
        EXTRA_LEN = extra_len;
        NUM_NODES = num_nodes;
        IPC_BUFFER = ipc_buffer;
        EMPTY = empty;
        USER_IMAGE_FRAMES = user_image_frames;
        USER_IMAGE_PAGING = user_image_paging;
        EXTRA_BI_PAGES = extra_bi_pages;
        CNODE_BITS = init_thread_cnode_size_bits;
        SCHED_CONTROL = sched_control;
        UNTYPED = untyped;
        UNTYPED_LIST = untyped_list;
    }
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

/// Extra block: the flattened device tree.
pub const EXTRA_DEVICE_TREE: u64 = 6;

const _: () = assert!(size_of::<BootInfo>() == 0xf18);
const _: () = assert!(word::EMPTY == 5 && word::SCHED_CONTROL == 19 && word::UNTYPED_LIST == 23);
