//! Retype and reuse of memory (conformance 30 to 39).

use hybrid_sys::{Attributes, CNode, Error, Frame, ObjectType, Rights, Untyped};

use super::tests;
use crate::suite::Test;
use crate::world::{FREE_ADDRESS, OWN, Outcome, SPACE, World};

pub(super) const TESTS: &[Test] = tests![
    c030_retype_zero_is_range_error,
    c031_window_beyond_cnode_is_range_error,
    c032_objects_go_to_successive_slots,
    c033_deleted_objects_free_the_untyped,
    c034_cnode_larger_than_untyped_fails,
    c035_untyped_gives_exactly_its_pages,
    c036_reused_memory_is_zero,
    c037_device_untyped_gives_frames_only,
    c039_hundreds_of_objects_come_and_go,
];

fn c030_retype_zero_is_range_error(world: &World) -> Outcome {
    let result = world.fresh().retype(ObjectType::Endpoint, 0, OWN, 0, 0, world.slot(), 0);
    check!(result == Err(Error::Range { min: 1, max: 256 }));
    Ok(())
}

fn c031_window_beyond_cnode_is_range_error(world: &World) -> Outcome {
    let cnode = CNode::at(world.make(ObjectType::CapTable, 2)?);
    let retype = |offset, count| world.fresh().retype(ObjectType::Endpoint, 0, cnode, 0, 0, offset, count);
    check!(retype(4, 1) == Err(Error::Range { min: 0, max: 3 }));
    check!(retype(3, 2) == Err(Error::Range { min: 1, max: 1 }));
    check!(retype(0, 257) == Err(Error::Range { min: 1, max: 256 }));
    check!(retype(0, u64::MAX) == Err(Error::Range { min: 1, max: 256 }));
    Ok(())
}

fn c032_objects_go_to_successive_slots(world: &World) -> Outcome {
    let cnode = CNode::at(world.make(ObjectType::CapTable, 2)?);
    for offset in 0..4 {
        world.fresh().retype(ObjectType::Endpoint, 0, OWN, cnode.cptr().0, 64, offset, 1)?;
    }
    for offset in 0..4 {
        let again = world.fresh().retype(ObjectType::Endpoint, 0, OWN, cnode.cptr().0, 64, offset, 1);
        check!(again == Err(Error::DeleteFirst));
    }
    Ok(())
}

fn c033_deleted_objects_free_the_untyped(world: &World) -> Outcome {
    let small = Untyped::at(world.make(ObjectType::Untyped, 13)?);
    let slots = world.slots(2);
    small.retype(ObjectType::SmallPage, 0, OWN, 0, 0, slots, 2)?;
    let third = world.slot();
    check!(small.retype_into(ObjectType::SmallPage, 0, OWN, third) == Err(Error::NotEnoughMemory { free: 0 }));
    world.at(slots).delete()?;
    check!(small.retype_into(ObjectType::SmallPage, 0, OWN, third) == Err(Error::NotEnoughMemory { free: 0 }));
    world.at(slots + 1).delete()?;
    small.retype_into(ObjectType::SmallPage, 0, OWN, third)?;
    Ok(())
}

fn c034_cnode_larger_than_untyped_fails(world: &World) -> Outcome {
    let small = Untyped::at(world.make(ObjectType::Untyped, 12)?);
    let slot = world.slot();
    for radix in 8..=40 {
        check!(small.retype_into(ObjectType::CapTable, radix, OWN, slot) == Err(Error::NotEnoughMemory { free: 4096 }));
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
    Ok(())
}

fn c036_reused_memory_is_zero(world: &World) -> Outcome {
    let memory = Untyped::at(world.make(ObjectType::Untyped, 12)?);
    let slot = world.slot();
    for round in 0..3 {
        memory.retype_into(ObjectType::SmallPage, 0, OWN, slot)?;
        let attributes = if round == 2 { Attributes::DEVICE } else { Attributes::DATA };
        world.map(SPACE, Frame::at(slot), FREE_ADDRESS, Rights::ALL, attributes)?;
        let words = core::ptr::with_exposed_provenance_mut::<u64>(FREE_ADDRESS as usize);
        for index in 0..512 {
            // SAFETY: the page was just mapped there, and only this test uses it.
            let word = unsafe { words.add(index) };
            // SAFETY: as above.
            let value = unsafe { word.read_volatile() };
            check!(value == 0);
            // SAFETY: as above.
            unsafe { word.write_volatile(!0) };
        }
        world.at(slot).delete()?;
    }
    Ok(())
}

fn c037_device_untyped_gives_frames_only(world: &World) -> Outcome {
    let info = world.boot.info;
    // The first device untyped is the largest piece below the interrupt controller.
    let index = 0;
    check!(info.untyped_list[index].is_device == 1 && info.untyped_list[index].size_bits > 12);
    let device = Untyped::at(info.untyped.start + index as u64);
    let slot = world.slot();
    for kind in [ObjectType::Endpoint, ObjectType::Tcb, ObjectType::PageTable, ObjectType::VSpace] {
        check!(device.retype_into(kind, 0, OWN, slot).is_err());
    }
    check!(device.retype_into(ObjectType::Endpoint, 0, OWN, slot) == Err(Error::InvalidArgument { index: 1 }));
    device.retype_into(ObjectType::SmallPage, 0, OWN, slot)?;
    check!(Frame::at(slot).address()? == info.untyped_list[index].paddr);
    Ok(())
}

fn c039_hundreds_of_objects_come_and_go(world: &World) -> Outcome {
    let memory = Untyped::at(world.make(ObjectType::Untyped, 16)?);
    let slot = world.slot();
    for _ in 0..200 {
        for (kind, bits) in
            [(ObjectType::Tcb, 0), (ObjectType::SchedContext, 8), (ObjectType::CapTable, 4), (ObjectType::VSpace, 0)]
        {
            memory.retype_into(kind, bits, OWN, slot)?;
            world.at(slot).delete()?;
        }
    }
    Ok(())
}
