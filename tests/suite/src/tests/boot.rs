//! What the initial thread finds (kernel ABI §10).

use super::tests;
use crate::suite::{Test, start_register};
use crate::world::{Outcome, World};

pub(super) const TESTS: &[Test] = tests![
    x075_start_registers_are_zero,
    s10_boot_info_is_consistent,
    s10_extra_blocks_hold_device_tree_and_platform,
    s10_untypeds_are_disjoint_aligned_and_without_gic,
    s10_memory_is_nearly_all_untyped,
    s10_devices_around_gicv2_are_cut_as_specified,
];

fn x075_start_registers_are_zero(world: &World) -> Outcome {
    check!(start_register(0) == world.boot.info as *const _ as u64);
    for index in 1..34 {
        check!(start_register(index) == 0);
    }
    Ok(())
}

fn s10_boot_info_is_consistent(world: &World) -> Outcome {
    let info = world.boot.info;
    check!(info.node_id == 0 && info.num_nodes == world.cores && info.num_io_pt_levels == 0);
    check!(info.init_thread_cnode_size_bits == 12 && info.init_thread_domain == 0);
    check!(info.shared_frames.count() == 0 && info.io_space_caps.count() == 0);
    check!((1..=4).contains(&info.sched_control.count()));
    check!(info.user_image_paging.start == 16);
    check!(info.user_image_paging.end == info.extra_bi_pages.start);
    check!(info.extra_bi_pages.end == info.sched_control.start);
    check!(info.sched_control.end == info.user_image_frames.start);
    check!(info.user_image_frames.end == info.untyped.start);
    check!(info.untyped.end < info.empty.start && info.empty.end == 4096);
    check!(info.ipc_buffer + 4096 == start_register(0));
    check!(info.extra_bi_pages.count() == info.extra_len.div_ceil(4096));
    check!(
        info.untyped_list[info.untyped.count() as usize..].iter().all(|entry| entry.paddr == 0 && entry.size_bits == 0)
    );
    Ok(())
}

fn s10_extra_blocks_hold_device_tree_and_platform(world: &World) -> Outcome {
    let Some(tree) = world.boot.device_tree() else {
        return Err(crate::world::Failure::Check("a device tree", file!(), line!()));
    };
    check!(tree[..4] == [0xd0, 0x0d, 0xfe, 0xed]);
    let size = u32::from_be_bytes([tree[4], tree[5], tree[6], tree[7]]) as usize;
    check!(size <= tree.len() && tree.len() < size + 16);
    check!(
        world.platform.cptr().0 >= world.boot.info.untyped.end && world.platform.cptr().0 < world.boot.info.empty.start
    );
    Ok(())
}

fn s10_untypeds_are_disjoint_aligned_and_without_gic(world: &World) -> Outcome {
    let list = &world.boot.info.untyped_list[..world.boot.info.untyped.count() as usize];
    let mut seen_normal = false;
    for (index, entry) in list.iter().enumerate() {
        let size = 1u64 << entry.size_bits;
        check!((4..=47).contains(&entry.size_bits) && entry.paddr.is_multiple_of(size) && entry.is_device <= 1);
        check!(entry.is_device == 0 || !seen_normal);
        seen_normal |= entry.is_device == 0;
        check!(!(entry.paddr..entry.paddr + size).contains(&GIC_DISTRIBUTOR));
        for other in &list[..index] {
            let other_size = 1u64 << other.size_bits;
            check!(entry.paddr + size <= other.paddr || other.paddr + other_size <= entry.paddr);
        }
    }
    check!(
        list.iter()
            .any(|entry| entry.is_device == 1 && (entry.paddr..entry.paddr + (1 << entry.size_bits)).contains(&UART))
    );
    Ok(())
}

fn s10_memory_is_nearly_all_untyped(world: &World) -> Outcome {
    let list = &world.boot.info.untyped_list[..world.boot.info.untyped.count() as usize];
    let normal = || list.iter().filter(|entry| entry.is_device == 0);
    let start = normal().map(|entry| entry.paddr).min().unwrap_or(0);
    let end = normal().map(|entry| entry.paddr + (1 << entry.size_bits)).max().unwrap_or(0);
    let sum: u64 = normal().map(|entry| 1u64 << entry.size_bits).sum();
    // Kernel, device tree, this program and the boot objects.
    check!(start == RAM && end - start - sum < 4 << 20 && end.next_multiple_of(1 << 20) - end < 1 << 20);
    Ok(())
}

fn s10_devices_around_gicv2_are_cut_as_specified(world: &World) -> Outcome {
    // Kernel ABI §10.6, measured; a GICv3 leaves other holes.
    let expected = [
        (0, 27),
        (0x800_1000, 12),
        (0x800_2000, 13),
        (0x800_4000, 14),
        (0x800_8000, 15),
        (0x801_1000, 12),
        (0x801_2000, 13),
        (0x801_4000, 14),
        (0x801_8000, 15),
        (0x802_0000, 17),
        (0x804_0000, 18),
        (0x808_0000, 19),
        (0x810_0000, 20),
        (0x820_0000, 21),
        (0x840_0000, 22),
        (0x880_0000, 23),
        (0x900_0000, 24),
        (0xa00_0000, 25),
        (0xc00_0000, 26),
        (0x1000_0000, 28),
        (0x2000_0000, 29),
    ];
    let list = &world.boot.info.untyped_list;
    let is_v2 = list[1].paddr == 0x800_1000;
    let is_v3 = list[1].paddr == 0x801_0000;
    check!(is_v2 || is_v3);
    check!(
        !is_v2
            || list.iter().zip(expected).all(|(entry, (paddr, bits))| (entry.paddr, entry.size_bits) == (paddr, bits))
    );
    Ok(())
}

const RAM: u64 = 0x4000_0000;
const GIC_DISTRIBUTOR: u64 = 0x0800_0000;
const UART: u64 = 0x0900_0000;
