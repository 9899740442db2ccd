//! Retype and reuse of memory (conformance 30 to 39).

use hybrid_sys::{Attributes, CNode, Error, Frame, ObjectType, PageTable, Rights, Untyped};

use super::tests;
use crate::probe::{peek, poke};
use crate::suite::Test;
use crate::world::{FREE_ADDRESS, OWN, Outcome, Plan, SPACE, World, cell};

pub(super) const TESTS: &[Test] = tests![
    c030_retype_of_nothing_is_range_error,
    c031_window_beyond_cnode_is_range_error,
    c032_objects_go_to_successive_slots,
    c033_deleted_objects_free_the_untyped,
    c034_cnode_larger_than_untyped_fails,
    c035_untyped_gives_exactly_its_pages,
    c036_reused_memory_is_zero,
    c037_device_untyped_gives_frames_only + ["x015"],
    c038_every_frame_size_until_memory_runs_out,
    c038_huge_pages_map_where_a_table_is,
    c039_hundreds_of_objects_come_and_go,
    c039_hundreds_of_threads_run_and_go,
    c039_hundreds_of_spaces_come_and_go,
    s02_copied_untyped_takes_the_memory_over,
    s02_objects_of_one_retype_are_all_children,
];

fn c030_retype_of_nothing_is_range_error(world: &World) -> Outcome {
    let result = world.fresh().retype(ObjectType::Endpoint, 0, OWN, 0, 0, world.slot(), 0);
    check!(result == Err(Error::Range { min: 1, max: 256 }));
    Ok(())
}

fn c031_window_beyond_cnode_is_range_error(world: &World) -> Outcome {
    let cnode = CNode::at(world.make(ObjectType::CapTable, 2)?);
    let retype = |offset, count| world.fresh().retype(ObjectType::Endpoint, 0, cnode, 0, 0, offset, count);
    check!(retype(4, 1) == Err(Error::Range { min: 0, max: 3 }));
    check!(retype(u64::MAX, 1) == Err(Error::Range { min: 0, max: 3 }));
    check!(retype(3, 2) == Err(Error::Range { min: 1, max: 1 }));
    check!(retype(1, 4) == Err(Error::Range { min: 1, max: 3 }));
    check!(retype(0, 257) == Err(Error::Range { min: 1, max: 256 }));
    check!(retype(0, u64::MAX) == Err(Error::Range { min: 1, max: 256 }));
    retype(0, 4)?;
    Ok(())
}

fn c032_objects_go_to_successive_slots(world: &World) -> Outcome {
    let cnode = CNode::at(world.make(ObjectType::CapTable, 2)?);
    let retype = |offset| world.fresh().retype(ObjectType::Endpoint, 0, OWN, cnode.cptr().0, 64, offset, 1);
    for offset in 0..4 {
        retype(offset)?;
        check!(retype(offset) == Err(Error::DeleteFirst));
    }
    for offset in 0..4 {
        check!(retype(offset) == Err(Error::DeleteFirst));
        world.at(world.slot()).move_from(cnode.slot(offset, 2))?;
        retype(offset)?;
    }
    Ok(())
}

fn c033_deleted_objects_free_the_untyped(world: &World) -> Outcome {
    let small = Untyped::at(world.make(ObjectType::Untyped, 13)?);
    let (slots, third) = (world.slots(2), world.slot());
    small.retype(ObjectType::SmallPage, 0, OWN, 0, 0, slots, 2)?;
    let again = || small.retype_into(ObjectType::SmallPage, 0, OWN, third);
    check!(again() == Err(Error::NotEnoughMemory { free: 0 }));
    world.at(slots).delete()?;
    check!(again() == Err(Error::NotEnoughMemory { free: 0 }));
    world.at(slots + 1).delete()?;
    again()?;
    world.at(small.cptr().0).revoke()?;
    small.retype_into(ObjectType::Untyped, 13, OWN, slots)?;
    check!(Frame::at(third).address() == Err(Error::InvalidCapability { number: 0 }));
    Ok(())
}

fn c034_cnode_larger_than_untyped_fails(world: &World) -> Outcome {
    let small = Untyped::at(world.make(ObjectType::Untyped, 12)?);
    let slot = world.slot();
    for radix in 8..=40 {
        check!(small.retype_into(ObjectType::CapTable, radix, OWN, slot) == Err(Error::NotEnoughMemory { free: 4096 }));
    }
    for radix in [43, 47, 63, 64, 255] {
        check!(small.retype_into(ObjectType::CapTable, radix, OWN, slot) == Err(Error::Range { min: 0, max: 47 }));
    }
    small.retype_into(ObjectType::CapTable, 7, OWN, slot)?;
    Ok(())
}

fn c035_untyped_gives_exactly_its_pages(world: &World) -> Outcome {
    let memory = Untyped::at(world.make(ObjectType::Untyped, 16)?);
    let cnode = CNode::at(world.make(ObjectType::CapTable, 5)?);
    let retype = |offset, count| memory.retype(ObjectType::SmallPage, 0, cnode, 0, 0, offset, count);
    for offset in 0..16 {
        retype(offset, 1)?;
    }
    check!(retype(16, 1) == Err(Error::NotEnoughMemory { free: 0 }));
    check!(retype(15, 1) == Err(Error::DeleteFirst));
    check!(retype(16, 17) == Err(Error::Range { min: 1, max: 16 }));
    check!(retype(0, 33) == Err(Error::Range { min: 1, max: 32 }));
    Ok(())
}

fn c036_reused_memory_is_zero(world: &World) -> Outcome {
    let memory = Untyped::at(world.make(ObjectType::Untyped, 12)?);
    let slot = world.slot();
    for round in 0..4 {
        memory.retype_into(ObjectType::SmallPage, 0, OWN, slot)?;
        let attributes = if round % 2 == 1 { Attributes::DEVICE } else { Attributes::DATA };
        world.map(SPACE, Frame::at(slot), FREE_ADDRESS, Rights::ALL, attributes)?;
        for index in 0..512 {
            check_eq!(peek(FREE_ADDRESS + 8 * index), 0);
            poke(FREE_ADDRESS + 8 * index, !0);
        }
        world.at(slot).delete()?;
        // Kernel objects leave nothing behind either.
        memory.retype_into(ObjectType::CapTable, 7, OWN, slot)?;
        for index in 0..128 {
            CNode::at(slot).slot(index, 7).copy_from(world.at(1), Rights::ALL)?;
        }
        world.at(slot).delete()?;
    }
    Ok(())
}

fn c037_device_untyped_gives_frames_only(world: &World) -> Outcome {
    let info = world.boot.info;
    // The first device untyped is the largest piece below the interrupt controller.
    check!(info.untyped_list[0].is_device == 1 && info.untyped_list[0].size_bits > 12);
    let device = Untyped::at(info.untyped.start);
    let slot = world.slot();
    for (kind, bits) in [
        (ObjectType::Endpoint, 0),
        (ObjectType::Tcb, 0),
        (ObjectType::Notification, 0),
        (ObjectType::CapTable, 4),
        (ObjectType::SchedContext, 8),
        (ObjectType::Reply, 0),
        (ObjectType::PageTable, 0),
        (ObjectType::VSpace, 0),
    ] {
        check!(device.retype_into(kind, bits, OWN, slot) == Err(Error::InvalidArgument { index: 1 }));
    }
    device.retype_into(ObjectType::SmallPage, 0, OWN, slot)?;
    check!(Frame::at(slot).address()? == info.untyped_list[0].paddr);
    let part = world.slot();
    device.retype_into(ObjectType::Untyped, 13, OWN, part)?;
    let inner = Untyped::at(part).retype_into(ObjectType::Endpoint, 0, OWN, world.slot());
    check!(inner == Err(Error::InvalidArgument { index: 1 }));
    world.at(info.untyped.start).revoke()?;
    Ok(())
}

/// Maps, checks, fills, remaps and unmaps one frame of `size` bytes, looking at one word of each 512.
fn use_frame(world: &World, frame: Frame, size: u64) -> Outcome {
    world.map(SPACE, frame, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    let places = || (0..size).step_by(if size > 4096 { 4088 } else { 512 });
    for offset in places() {
        check_eq!(peek(FREE_ADDRESS + offset), 0);
        poke(FREE_ADDRESS + offset, offset | 1);
    }
    frame.map(SPACE, FREE_ADDRESS, Rights::READ, Attributes::DATA)?;
    for offset in places() {
        check_eq!(peek(FREE_ADDRESS + offset), offset | 1);
    }
    frame.unmap()?;
    frame.map(SPACE, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    check_eq!(peek(FREE_ADDRESS + size - 8 - (size - 8) % if size > 4096 { 4088 } else { 512 }) & 1, 1);
    frame.unmap()?;
    Ok(())
}

fn c038_every_frame_size_until_memory_runs_out(world: &World) -> Outcome {
    let small = Untyped::at(world.make(ObjectType::Untyped, 22)?);
    let cnode = CNode::at(world.make(ObjectType::CapTable, 11)?);
    let count = (0..2048).take_while(|slot| small.retype_into(ObjectType::SmallPage, 0, cnode, *slot).is_ok()).count();
    check_eq!(count as u64, 1024);
    let place = world.slot();
    for slot in 0..1024 {
        world.at(place).move_from(cnode.slot(slot, 11))?;
        use_frame(world, Frame::at(place), 1 << 12)?;
        cnode.slot(slot, 11).move_from(world.at(place))?;
    }
    // The small pages' tables are at these addresses: make room for large ones.
    let frames = FREE_ADDRESS + 0x4000_0000;
    let (memory, bits) = world.all_memory();
    let huge = memory.retype_into(ObjectType::HugePage, 0, OWN, place);
    check!(bits >= 30 || matches!(huge, Err(Error::NotEnoughMemory { .. })));
    let most = (1u64 << bits) / (1 << 21) - 4;
    let count = (0..2048)
        .take_while(|slot| memory.retype_into(ObjectType::LargePage, 0, cnode, 1024 + slot % 1024).is_ok())
        .count();
    check!(count as u64 <= most && count as u64 + 4 >= most);
    for slot in 1024..1024 + count as u64 {
        world.at(place).move_from(cnode.slot(slot, 11))?;
        let frame = Frame::at(place);
        world.map(SPACE, frame, frames, Rights::ALL, Attributes::DATA)?;
        for offset in (0..1 << 21).step_by(4088) {
            check_eq!(peek(frames + offset), 0);
            poke(frames + offset, offset | (slot << 32));
        }
        frame.map(SPACE, frames, Rights::READ, Attributes::DATA)?;
        check_eq!(peek(frames + 4088 * 512), (4088 * 512) | (slot << 32));
        frame.unmap()?;
        cnode.slot(slot, 11).move_from(world.at(place))?;
    }
    Ok(())
}

fn c038_huge_pages_map_where_a_table_is(world: &World) -> Outcome {
    // Only device memory is large enough on a small machine; it is mapped, not touched.
    let list = &world.boot.info.untyped_list[..world.boot.info.untyped.count() as usize];
    let Some(index) = list.iter().position(|entry| entry.is_device == 1 && entry.size_bits >= 31) else {
        return Err(crate::world::Failure::Check("a device untyped of 2 GiB", file!(), line!()));
    };
    let device = world.boot.info.untyped.start + index as u64;
    let slot = world.slot();
    Untyped::at(device).retype_into(ObjectType::HugePage, 0, OWN, slot)?;
    let (huge, address) = (Frame::at(slot), 0x80_0000_0000);
    check!(huge.map(SPACE, address + (1 << 21), Rights::ALL, Attributes::DEVICE) == Err(Error::Alignment));
    world.map(SPACE, huge, address, Rights::ALL, Attributes::DEVICE)?;
    check!(huge.address()? == list[index].paddr);
    check!(
        huge.map(SPACE, address + (1 << 30), Rights::ALL, Attributes::DEVICE)
            == Err(Error::InvalidArgument { index: 0 })
    );
    let table = PageTable::at(world.make(ObjectType::PageTable, 0)?);
    check!(table.map(SPACE, address, Attributes::DATA) == Err(Error::DeleteFirst));
    huge.unmap()?;
    table.map(SPACE, address, Attributes::DATA)?;
    check!(huge.map(SPACE, address, Rights::ALL, Attributes::DEVICE).is_err());
    world.at(device).revoke()?;
    Ok(())
}

fn c039_hundreds_of_objects_come_and_go(world: &World) -> Outcome {
    let memory = Untyped::at(world.make(ObjectType::Untyped, 16)?);
    let slot = world.slot();
    for _ in 0..200 {
        for (kind, bits) in [
            (ObjectType::Tcb, 0),
            (ObjectType::SchedContext, 8),
            (ObjectType::CapTable, 4),
            (ObjectType::VSpace, 0),
            (ObjectType::Endpoint, 0),
            (ObjectType::Notification, 0),
            (ObjectType::Reply, 0),
            (ObjectType::Untyped, 16),
        ] {
            memory.retype_into(kind, bits, OWN, slot)?;
            world.at(slot).delete()?;
        }
    }
    Ok(())
}

fn c039_hundreds_of_threads_run_and_go(world: &World) -> Outcome {
    // Each round uses the whole of the test's memory again.
    for round in 1..=200 {
        let ran = cell();
        for _ in 0..4 {
            world.spawn(&Plan::at(254), move || _ = ran.add(1))?;
        }
        world.settle()?;
        check_eq!(ran.get(), 4);
        world.close()?;
        world.open()?;
        check!(round == 200 || cell().get() == 0);
    }
    Ok(())
}

fn c039_hundreds_of_spaces_come_and_go(world: &World) -> Outcome {
    for _ in 0..100 {
        let space = world.address_space()?;
        let ran = cell();
        world.spawn(&Plan::at(254).in_space(space), move || ran.set(7))?;
        world.settle()?;
        check_eq!(ran.get(), 7);
        world.close()?;
        world.open()?;
    }
    Ok(())
}

fn s02_copied_untyped_takes_the_memory_over(world: &World) -> Outcome {
    let memory = world.make(ObjectType::Untyped, 12)?;
    let (copy, slot) = (world.slot(), world.slot());
    world.at(copy).copy_from(world.at(memory), Rights::ALL)?;
    let full = Untyped::at(memory).retype_into(ObjectType::Endpoint, 0, OWN, slot);
    check!(full == Err(Error::NotEnoughMemory { free: 0 }));
    Untyped::at(copy).retype_into(ObjectType::SmallPage, 0, OWN, slot)?;
    world.at(copy).delete()?;
    // The page is still a child of the original.
    let other = world.slot();
    check!(Untyped::at(memory).retype_into(ObjectType::Endpoint, 0, OWN, other).is_err());
    world.at(slot).delete()?;
    Untyped::at(memory).retype_into(ObjectType::SmallPage, 0, OWN, other)?;
    Ok(())
}

fn s02_objects_of_one_retype_are_all_children(world: &World) -> Outcome {
    let memory = world.make(ObjectType::Untyped, 16)?;
    let slots = world.slots(256);
    Untyped::at(memory).retype(ObjectType::Notification, 0, OWN, 0, 0, slots, 256)?;
    for slot in slots..slots + 256 {
        world.mint(hybrid_sys::CPtr(slot), Rights::ALL, 3)?;
    }
    world.at(memory).revoke()?;
    for slot in slots..slots + 512 {
        check!(hybrid_sys::CPtr(slot).invoke(1, &[], &[]) == Err(Error::InvalidCapability { number: 0 }));
    }
    Untyped::at(memory).retype_into(ObjectType::Untyped, 16, OWN, slots)?;
    Ok(())
}
