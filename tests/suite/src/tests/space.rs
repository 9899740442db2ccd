//! Address spaces (conformance 117 to 128).

use hybrid_sys::{
    AsidControl, AsidPool, Attributes, Error, Frame, LookupFailure, ObjectType, PageTable, Range, Rights, Untyped,
    VSpace,
};

use super::tests;
use crate::suite::Test;
use crate::world::{FREE_ADDRESS, OWN, Outcome, POOL, SPACE, World};

pub(super) const TESTS: &[Test] = tests![
    c118_unmapping_after_the_space_is_gone_succeeds,
    c119_new_asid_pool_works,
    c121_large_and_small_pages,
    c122_remap_changes_rights_and_keeps_contents,
    c123_written_code_runs_after_unify,
    c124_device_frames_are_no_buffers,
    c125_deleting_a_copy_unmaps_only_that_copy,
    missing_tables_are_reported_by_level,
    mapped_page_is_written_through_two_addresses,
    cache_maintenance_checks_its_ranges,
];

fn read(address: u64) -> u64 {
    // SAFETY: the callers have mapped a page there.
    unsafe { core::ptr::with_exposed_provenance::<u64>(address as usize).read_volatile() }
}

fn write(address: u64, value: u64) {
    // SAFETY: the callers have mapped a page there.
    unsafe { core::ptr::with_exposed_provenance_mut::<u64>(address as usize).write_volatile(value) }
}

fn missing(bits_left: u64) -> Result<(), Error> {
    Err(Error::FailedLookup { is_source: false, failure: LookupFailure::MissingCapability { bits_left } })
}

fn missing_tables_are_reported_by_level(world: &World) -> Outcome {
    let space = VSpace::at(world.make(ObjectType::VSpace, 0)?);
    let frame = world.frame()?;
    check!(frame.map(space, 0x1000_0000, Rights::ALL, Attributes::DATA) == Err(Error::InvalidCapability { number: 1 }));
    POOL.assign(space)?;
    check!(POOL.assign(space) == Err(Error::InvalidCapability { number: 1 }));
    for bits_left in [39, 30, 21] {
        check!(frame.map(space, 0x1000_0000, Rights::ALL, Attributes::DATA) == missing(bits_left));
        let table = PageTable::at(world.make(ObjectType::PageTable, 0)?);
        table.map(space, 0x1000_0fff, Attributes::DATA)?;
        check!(table.map(space, 0x1000_0000, Attributes::DATA) == Err(Error::InvalidCapability { number: 0 }));
    }
    frame.map(space, 0x1000_0000, Rights::ALL, Attributes::DATA)?;
    check!(frame.map(space, 0x1000_1000, Rights::ALL, Attributes::DATA) == Err(Error::InvalidArgument { index: 0 }));
    check!(frame.map(space, 0x1000_0001, Rights::ALL, Attributes::DATA) == Err(Error::Alignment));
    check!(
        world.frame()?.map(space, 1 << 47, Rights::ALL, Attributes::DATA) == Err(Error::InvalidArgument { index: 0 })
    );
    check!(world.frame()?.map(space, (1 << 47) - 4096, Rights::ALL, Attributes::DATA) == missing(39));
    Ok(())
}

fn mapped_page_is_written_through_two_addresses(world: &World) -> Outcome {
    let frame = world.frame()?;
    let copy = Frame::at(world.mint(frame, Rights::ALL, 0)?);
    world.map(SPACE, frame, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    world.map(SPACE, copy, FREE_ADDRESS + 0x5000, Rights::READ, Attributes::DATA)?;
    write(FREE_ADDRESS + 8, 0x1122);
    check!(read(FREE_ADDRESS + 0x5008) == 0x1122);
    frame.unmap()?;
    check!(read(FREE_ADDRESS + 0x5008) == 0x1122);
    frame.map(SPACE, FREE_ADDRESS + 0x6000, Rights::ALL, Attributes::DATA)?;
    write(FREE_ADDRESS + 0x6008, 0x3344);
    check!(read(FREE_ADDRESS + 0x5008) == 0x3344);
    Ok(())
}

fn c118_unmapping_after_the_space_is_gone_succeeds(world: &World) -> Outcome {
    let space = VSpace::at(world.make(ObjectType::VSpace, 0)?);
    POOL.assign(space)?;
    let frame = world.frame()?;
    world.map(space, frame, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    world.at(space.cptr().0).delete()?;
    frame.unmap()?;
    world.map(SPACE, frame, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    Ok(())
}

fn c119_new_asid_pool_works(world: &World) -> Outcome {
    let memory = Untyped::at(world.make(ObjectType::Untyped, 12)?);
    let pool = world.slot();
    AsidControl::at(5).make_pool(memory, OWN.own_slot(pool))?;
    let space = VSpace::at(world.make(ObjectType::VSpace, 0)?);
    AsidPool::at(pool).assign(space)?;
    world.map(space, world.frame()?, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    let wrong = Untyped::at(world.make(ObjectType::Untyped, 13)?);
    check!(
        AsidControl::at(5).make_pool(wrong, OWN.own_slot(world.slot())) == Err(Error::InvalidCapability { number: 1 })
    );
    Ok(())
}

fn c121_large_and_small_pages(world: &World) -> Outcome {
    let (large, small) = (Frame::at(world.make(ObjectType::LargePage, 0)?), world.frame()?);
    let large_at = FREE_ADDRESS + 0x20_0000;
    world.map(SPACE, small, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    check!(large.map(SPACE, FREE_ADDRESS + 0x1000, Rights::ALL, Attributes::DATA) == Err(Error::Alignment));
    large.map(SPACE, large_at, Rights::ALL, Attributes::DATA)?;
    write(large_at + 0x1f_fff8, 99);
    write(FREE_ADDRESS, 98);
    check!(
        large.map(SPACE, large_at + 0x20_0000, Rights::ALL, Attributes::DATA)
            == Err(Error::InvalidArgument { index: 0 })
    );
    check!(read(large_at + 0x1f_fff8) == 99);
    large.unmap()?;
    large.map(SPACE, large_at, Rights::READ, Attributes::DATA)?;
    check!(read(large_at + 0x1f_fff8) == 99 && read(FREE_ADDRESS) == 98);
    let table = PageTable::at(world.make(ObjectType::PageTable, 0)?);
    check!(table.map(SPACE, large_at, Attributes::DATA) == Err(Error::DeleteFirst));
    Ok(())
}

fn c122_remap_changes_rights_and_keeps_contents(world: &World) -> Outcome {
    let frame = world.frame()?;
    world.map(SPACE, frame, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    write(FREE_ADDRESS, 0xd65f_03c0);
    frame.map(SPACE, FREE_ADDRESS, Rights::READ, Attributes::CODE)?;
    frame.unify(Range { start: 0, end: 4096 })?;
    check!(read(FREE_ADDRESS) == 0xd65f_03c0);
    // SAFETY: the page holds the one instruction `ret`.
    let function = unsafe { core::mem::transmute::<usize, extern "C" fn()>(FREE_ADDRESS as usize) };
    function();
    Ok(())
}

fn c123_written_code_runs_after_unify(world: &World) -> Outcome {
    let frame = world.frame()?;
    world.map(SPACE, frame, FREE_ADDRESS, Rights::ALL, Attributes::CODE)?;
    // SAFETY: only called after the page was filled with `mov w0, #n; ret`.
    let function = unsafe { core::mem::transmute::<usize, extern "C" fn() -> u32>(FREE_ADDRESS as usize) };
    for n in 0..20u32 {
        write(FREE_ADDRESS, 0xd65f_03c0 << 32 | u64::from(0x5280_0000 | n << 5));
        if n % 2 == 0 {
            frame.unify(Range { start: 0, end: 8 })?;
        } else {
            SPACE.unify(Range { start: FREE_ADDRESS, end: FREE_ADDRESS + 8 })?;
        }
        check!(function() == n);
    }
    Ok(())
}

fn c124_device_frames_are_no_buffers(world: &World) -> Outcome {
    let info = world.boot.info;
    let index = info.untyped_list.iter().position(|entry| entry.is_device == 1 && entry.size_bits == 12).unwrap_or(0);
    let slot = world.slot();
    Untyped::at(info.untyped.start + index as u64).retype_into(ObjectType::SmallPage, 0, OWN, slot)?;
    check!(crate::world::SELF.set_ipc_buffer(FREE_ADDRESS, Frame::at(slot)) == Err(Error::IllegalOperation));
    check!(crate::world::SELF.set_ipc_buffer(FREE_ADDRESS + 8, Frame::at(10)) == Err(Error::Alignment));
    Ok(())
}

fn c125_deleting_a_copy_unmaps_only_that_copy(world: &World) -> Outcome {
    let frame = world.frame()?;
    let copy = Frame::at(world.mint(frame, Rights::ALL, 0)?);
    world.map(SPACE, frame, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    world.map(SPACE, copy, FREE_ADDRESS + 0x1000, Rights::ALL, Attributes::DATA)?;
    world.at(copy.cptr().0).delete()?;
    write(FREE_ADDRESS, 4);
    check!(read(FREE_ADDRESS) == 4);
    let other = world.frame()?;
    other.map(SPACE, FREE_ADDRESS + 0x1000, Rights::ALL, Attributes::DATA)?;
    check!(read(FREE_ADDRESS + 0x1000) == 0);
    Ok(())
}

fn cache_maintenance_checks_its_ranges(world: &World) -> Outcome {
    let frame = world.frame()?;
    check!(frame.clean(Range { start: 0, end: 64 }) == Err(Error::IllegalOperation));
    world.map(SPACE, frame, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    write(FREE_ADDRESS, 0x77);
    for range in [Range { start: 0, end: 4096 }, Range { start: 1, end: 3 }, Range { start: 4095, end: 4096 }] {
        frame.clean(range)?;
        frame.clean_invalidate(range)?;
    }
    check!(read(FREE_ADDRESS) == 0x77);
    check!(frame.clean(Range { start: 64, end: 64 }) == Err(Error::InvalidArgument { index: 1 }));
    check!(frame.clean(Range { start: 0, end: 4097 }) == Err(Error::InvalidArgument { index: 0 }));
    let across = Range { start: FREE_ADDRESS, end: FREE_ADDRESS + 4097 };
    check!(SPACE.clean(across) == Err(Error::Range { min: FREE_ADDRESS, max: FREE_ADDRESS + 4095 }));
    frame.map(SPACE, FREE_ADDRESS, Rights::READ, Attributes::DATA)?;
    check!(frame.invalidate(Range { start: 0, end: 64 }) == Err(Error::IllegalOperation));
    Ok(())
}
