//! Address spaces: tables, pages, identifiers, caches (conformance 117 to 126).

use hybrid_sys::{
    AsidControl, AsidPool, Attributes, CNode, CNodeData, Error, Frame, LookupFailure, Message, MessageInfo, ObjectType,
    PageTable, Range, Rights, Untyped, VSpace,
};

use super::tests;
use crate::probe::{jump, peek, poke};
use crate::suite::Test;
use crate::world::{FREE_ADDRESS, OWN, Outcome, POOL, Plan, SELF, SPACE, World, cell};

pub(super) const TESTS: &[Test] = tests![
    c117_threads_in_spaces_of_their_own_return_values,
    c118_unmapping_after_the_space_is_gone_succeeds,
    c119_new_asid_pool_works,
    c120_exactly_127_more_pools,
    c120_exactly_512_spaces_in_a_pool,
    c120_a_thread_runs_in_every_pool,
    c121_large_and_small_pages_side_by_side,
    c121_deleted_table_leaves_its_pages_unmappable,
    c122_execute_never_faults_at_the_address,
    c123_written_code_runs_after_unify,
    c124_device_frames_are_no_buffers,
    c125_deleting_a_copy_unmaps_only_that_copy,
    c126_cache_maintenance_checks_its_ranges,
    c126_cache_maintenance_of_every_size_keeps_data,
    s06_missing_tables_are_reported_by_level,
    s06_mapped_page_is_written_through_two_addresses,
    s06_mapping_over_a_page_replaces_it,
    s06_dead_identifier_empties_the_space,
    s06_unmapped_table_is_empty_when_mapped_again,
];

fn missing(bits_left: u64) -> Result<(), Error> {
    Err(Error::FailedLookup { is_source: false, failure: LookupFailure::MissingCapability { bits_left } })
}

fn invalid_root() -> Result<(), Error> {
    Err(Error::FailedLookup { is_source: false, failure: LookupFailure::InvalidRoot })
}

fn c117_threads_in_spaces_of_their_own_return_values(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    for round in 1..=5u64 {
        // A capability space with the endpoint in slot 1, and nothing else.
        let (table, root) = (world.make(ObjectType::CapTable, 2)?, world.slot());
        CNode::at(table).slot(1, 2).mint_from(world.at(endpoint.cptr().0), Rights::ALL, 100 + round)?;
        world.at(root).mint_cnode_from(world.at(table), CNodeData::new(0, 62))?;
        let space = world.address_space()?;
        let plan = Plan { cspace: Some(CNode::at(root)), ..Plan::at(100).in_space(space) };
        world.spawn(&plan, move || {
            let answer = hybrid_sys::Endpoint::at(1).call(&Message::new(1, &[round]));
            hybrid_sys::Endpoint::at(1).send(&Message::new(2, &[answer.registers[0] * 3]));
        })?;
        let asked = endpoint.recv(reply);
        check!(asked.badge == 100 + round && asked.registers[0] == round);
        reply.send(&Message::new(0, &[round * 7]));
        let result = endpoint.recv(reply);
        check!(result.badge == 100 + round && result.registers[0] == round * 21);
    }
    Ok(())
}

fn s06_missing_tables_are_reported_by_level(world: &World) -> Outcome {
    let space = VSpace::at(world.make(ObjectType::VSpace, 0)?);
    let frame = world.frame()?;
    let map = |frame: Frame, address| frame.map(space, address, Rights::ALL, Attributes::DATA);
    check!(map(frame, 0x1000_0000) == Err(Error::InvalidCapability { number: 1 }));
    POOL.assign(space)?;
    check!(POOL.assign(space) == Err(Error::InvalidCapability { number: 1 }));
    for bits_left in [39, 30, 21] {
        check!(map(frame, 0x1000_0000) == missing(bits_left));
        let table = PageTable::at(world.make(ObjectType::PageTable, 0)?);
        table.map(space, 0x1000_0fff, Attributes::DATA)?;
        check!(table.map(space, 0x1000_0000, Attributes::DATA) == Err(Error::InvalidCapability { number: 0 }));
    }
    let table = PageTable::at(world.make(ObjectType::PageTable, 0)?);
    check!(table.map(space, 0x1000_0000, Attributes::DATA) == Err(Error::DeleteFirst));
    check!(table.map(space, 1 << 47, Attributes::DATA) == Err(Error::InvalidArgument { index: 0 }));
    map(frame, 0x1000_0000)?;
    check!(map(frame, 0x1000_1000) == Err(Error::InvalidArgument { index: 0 }));
    check!(map(frame, 0x1000_0001) == Err(Error::Alignment));
    check!(map(world.frame()?, 1 << 47) == Err(Error::InvalidArgument { index: 0 }));
    check!(map(world.frame()?, !0xfff) == Err(Error::InvalidArgument { index: 0 }));
    check!(map(world.frame()?, (1 << 47) - 4096) == missing(39));
    // Address 0 is an address like any other.
    world.map(space, world.frame()?, 0, Rights::ALL, Attributes::DATA)?;
    Ok(())
}

fn s06_mapped_page_is_written_through_two_addresses(world: &World) -> Outcome {
    let frame = world.frame()?;
    let copy = Frame::at(world.mint(frame, Rights::ALL, 0)?);
    world.map(SPACE, frame, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    world.map(SPACE, copy, FREE_ADDRESS + 0x5000, Rights::READ, Attributes::DATA)?;
    poke(FREE_ADDRESS + 8, 0x1122);
    check_eq!(peek(FREE_ADDRESS + 0x5008), 0x1122);
    frame.unmap()?;
    check_eq!(peek(FREE_ADDRESS + 0x5008), 0x1122);
    frame.map(SPACE, FREE_ADDRESS + 0x6000, Rights::ALL, Attributes::DATA)?;
    poke(FREE_ADDRESS + 0x6008, 0x3344);
    check_eq!(peek(FREE_ADDRESS + 0x5008), 0x3344);
    Ok(())
}

fn s06_mapping_over_a_page_replaces_it(world: &World) -> Outcome {
    let (first, second) = (world.frame()?, world.frame()?);
    world.map(SPACE, first, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    poke(FREE_ADDRESS, 1);
    second.map(SPACE, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    check_eq!(peek(FREE_ADDRESS), 0);
    poke(FREE_ADDRESS, 2);
    // The first one's record is stale: its unmapping must not touch the second.
    first.unmap()?;
    check_eq!(peek(FREE_ADDRESS), 2);
    check!(first.clean(Range { start: 0, end: 8 }) == Err(Error::IllegalOperation));
    Ok(())
}

fn s06_dead_identifier_empties_the_space(world: &World) -> Outcome {
    let memory = Untyped::at(world.make(ObjectType::Untyped, 12)?);
    let pool = world.slot();
    AsidControl::at(5).make_pool(memory, OWN.own_slot(pool))?;
    let space = VSpace::at(world.make(ObjectType::VSpace, 0)?);
    AsidPool::at(pool).assign(space)?;
    world.fill_space(space)?;
    let (handler, reply, count) = (world.endpoint()?, world.reply()?, cell());
    world.spawn(&Plan::at(100).in_space(space).with_fault(handler), move || {
        loop {
            count.add(1);
            let _ = handler.try_recv(hybrid_sys::Reply::at(0));
        }
    })?;
    let _ = handler.recv(reply);
    check_eq!(count.get(), 1);
    world.at(pool).delete()?;
    // Its next instruction is not there any more.
    reply.send(&Message::default());
    let fault = handler.recv(reply);
    check!(fault.info == MessageInfo::new(6, 0, 0, 4) && fault.registers[2] == 1);
    let frame = world.frame()?;
    check!(frame.map(space, FREE_ADDRESS, Rights::ALL, Attributes::DATA) == invalid_root());
    check!(POOL.assign(space) == Err(Error::InvalidCapability { number: 1 }));
    check!(space.clean(Range { start: 0, end: 8 }) == invalid_root());
    Ok(())
}

fn s06_unmapped_table_is_empty_when_mapped_again(world: &World) -> Outcome {
    let space = VSpace::at(world.make(ObjectType::VSpace, 0)?);
    POOL.assign(space)?;
    let frame = world.frame()?;
    world.map(space, frame, 0x1000_0000, Rights::ALL, Attributes::DATA)?;
    // The last table made is the one of the last level.
    let table = world.slot() - 1;
    let copy = world.slot();
    world.at(copy).copy_from(world.at(table), Rights::ALL)?;
    check!(PageTable::at(table).unmap() == Err(Error::RevokeFirst));
    world.at(copy).delete()?;
    PageTable::at(table).unmap()?;
    PageTable::at(table).unmap()?;
    check!(frame.clean(Range { start: 0, end: 8 }) == Err(Error::InvalidCapability { number: 0 }));
    PageTable::at(table).map(space, 0x1000_0000, Attributes::DATA)?;
    check!(frame.clean(Range { start: 0, end: 8 }) == Err(Error::InvalidCapability { number: 0 }));
    // Mapping at the recorded place works again.
    frame.map(space, 0x1000_0000, Rights::ALL, Attributes::DATA)?;
    frame.clean(Range { start: 0, end: 8 })?;
    Ok(())
}

fn c118_unmapping_after_the_space_is_gone_succeeds(world: &World) -> Outcome {
    let space = VSpace::at(world.make(ObjectType::VSpace, 0)?);
    POOL.assign(space)?;
    let (frame, other) = (world.frame()?, world.frame()?);
    world.map(space, frame, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    world.map(space, other, FREE_ADDRESS + 0x1000, Rights::ALL, Attributes::DATA)?;
    world.at(space.cptr().0).delete()?;
    frame.unmap()?;
    world.at(other.cptr().0).delete()?;
    world.map(SPACE, frame, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    check_eq!(peek(FREE_ADDRESS), 0);
    Ok(())
}

/// A further pool.
fn pool(world: &World, memory: u64) -> Result<AsidPool, Error> {
    let slot = world.slot();
    AsidControl::at(5).make_pool(Untyped::at(memory), OWN.own_slot(slot))?;
    Ok(AsidPool::at(slot))
}

fn c119_new_asid_pool_works(world: &World) -> Outcome {
    let pool = pool(world, world.make(ObjectType::Untyped, 12)?)?;
    let space = VSpace::at(world.make(ObjectType::VSpace, 0)?);
    pool.assign(space)?;
    check!(pool.assign(space) == Err(Error::InvalidCapability { number: 1 }));
    check!(POOL.assign(space) == Err(Error::InvalidCapability { number: 1 }));
    check!(pool.assign(VSpace(world.endpoint()?.cptr())) == Err(Error::InvalidCapability { number: 1 }));
    world.fill_space(space)?;
    let ran = cell();
    world.spawn(&Plan::at(100).in_space(space), move || ran.set(1))?;
    world.settle()?;
    check_eq!(ran.get(), 1);
    let wrong = Untyped::at(world.make(ObjectType::Untyped, 13)?);
    let made = AsidControl::at(5).make_pool(wrong, OWN.own_slot(world.slot()));
    check!(made == Err(Error::InvalidCapability { number: 1 }));
    Ok(())
}

fn c120_exactly_127_more_pools(world: &World) -> Outcome {
    let mut last = None;
    for _ in 0..127 {
        last = Some(pool(world, world.make(ObjectType::Untyped, 12)?)?);
    }
    let memory = world.make(ObjectType::Untyped, 12)?;
    check!(pool(world, memory) == Err(Error::DeleteFirst));
    // A deleted pool's number is free again.
    if let Some(last) = last {
        world.at(last.cptr().0).delete()?;
    }
    pool(world, memory)?;
    Ok(())
}

fn c120_exactly_512_spaces_in_a_pool(world: &World) -> Outcome {
    let pool = pool(world, world.make(ObjectType::Untyped, 12)?)?;
    let (spaces, space) = (world.make(ObjectType::CapTable, 10)?, world.slot());
    let mut count = 0;
    let refused = loop {
        world.fresh().retype_into(ObjectType::VSpace, 0, OWN, space)?;
        if let Err(error) = pool.assign(VSpace::at(space)) {
            break error;
        }
        CNode::at(spaces).slot(count, 10).move_from(world.at(space))?;
        count += 1;
    };
    check!(refused == Error::DeleteFirst && count == 512);
    // One space gone: its number is given again.
    CNode::at(spaces).slot(77, 10).delete()?;
    pool.assign(VSpace::at(space))?;
    Ok(())
}

fn c120_a_thread_runs_in_every_pool(world: &World) -> Outcome {
    for round in 0..127 {
        if round % 8 == 0 {
            world.close()?;
            world.open()?;
            // As many pools as were made before, so that the next one is another number.
            for _ in 0..round {
                pool(world, world.make(ObjectType::Untyped, 12)?)?;
            }
        }
        let pool = pool(world, world.make(ObjectType::Untyped, 12)?)?;
        let space = VSpace::at(world.make(ObjectType::VSpace, 0)?);
        pool.assign(space)?;
        world.fill_space(space)?;
        let ran = cell();
        world.spawn(&Plan::at(100).in_space(space), move || ran.set(round + 1))?;
        world.settle()?;
        check_eq!(ran.get(), round + 1);
    }
    Ok(())
}

fn c121_large_and_small_pages_side_by_side(world: &World) -> Outcome {
    let (large, small) = (Frame::at(world.make(ObjectType::LargePage, 0)?), world.frame()?);
    let large_at = FREE_ADDRESS + 0x20_0000;
    world.map(SPACE, small, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    let map = |frame: Frame, address| frame.map(SPACE, address, Rights::ALL, Attributes::DATA);
    check!(map(large, FREE_ADDRESS + 0x1000) == Err(Error::Alignment));
    // Where a table of small pages is, no large page fits.
    check!(map(large, FREE_ADDRESS) == missing(12));
    check!(map(world.frame()?, large_at) == missing(21));
    map(large, large_at)?;
    poke(large_at + 0x1f_fff8, 99);
    poke(FREE_ADDRESS, 98);
    check!(map(large, large_at + 0x20_0000) == Err(Error::InvalidArgument { index: 0 }));
    check!(peek(large_at + 0x1f_fff8) == 99 && peek(FREE_ADDRESS) == 98);
    large.unmap()?;
    map(large, large_at + 0x20_0000)?;
    check_eq!(peek(large_at + 0x3f_fff8), 99);
    large.unmap()?;
    large.map(SPACE, large_at, Rights::READ, Attributes::DATA)?;
    check!(peek(large_at + 0x1f_fff8) == 99 && peek(FREE_ADDRESS) == 98);
    let table = PageTable::at(world.make(ObjectType::PageTable, 0)?);
    check!(table.map(SPACE, large_at, Attributes::DATA) == Err(Error::DeleteFirst));
    large.unmap()?;
    table.map(SPACE, large_at + 0x12_3457, Attributes::DATA)?;
    map(world.frame()?, large_at + 0x1000)?;
    poke(large_at + 0x1000, 7);
    Ok(())
}

fn c121_deleted_table_leaves_its_pages_unmappable(world: &World) -> Outcome {
    let table = PageTable::at(world.make(ObjectType::PageTable, 0)?);
    let (anchor, pages) = (world.frame()?, [world.frame()?, world.frame()?]);
    // The anchor brings the upper tables; the table under test holds the two pages.
    world.map(SPACE, anchor, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    let place = FREE_ADDRESS + 0x20_0000;
    table.map(SPACE, place, Attributes::DATA)?;
    for (page, address) in pages.iter().zip([place, place + 0x1f_f000]) {
        page.map(SPACE, address, Rights::ALL, Attributes::DATA)?;
        poke(address, address);
    }
    world.at(table.cptr().0).delete()?;
    let (handler, reply) = (world.endpoint()?, world.reply()?);
    world.spawn(&Plan::at(254).with_fault(handler), move || _ = peek(place))?;
    check_eq!(handler.recv(reply).registers[1], place);
    for page in pages {
        page.unmap()?;
    }
    world.map(SPACE, pages[0], place, Rights::ALL, Attributes::DATA)?;
    check_eq!(peek(place), place);
    Ok(())
}

/// `mov w0, #n; ret`.
fn code(n: u64) -> u64 {
    (0xd65f_03c0 << 32) | 0x5280_0000 | (n << 5)
}

fn c122_execute_never_faults_at_the_address(world: &World) -> Outcome {
    // In the first 4 KiB of the large page: QEMU 7.2 keeps translated code of its other parts when the page changes.
    let pages =
        [(ObjectType::SmallPage, FREE_ADDRESS, 0xff8), (ObjectType::LargePage, FREE_ADDRESS + 0x20_0000, 0x450)];
    for (kind, place, offset) in pages {
        let (frame, at) = (Frame::at(world.make(kind, 0)?), place + offset);
        world.map(SPACE, frame, place, Rights::ALL, Attributes::CODE)?;
        poke(at, code(7));
        let page = offset & !0xfff;
        frame.unify(Range { start: page, end: page + 4096 })?;
        let (handler, reply, got) = (world.endpoint()?, world.reply()?, cell());
        for round in 1..=3 {
            frame.map(SPACE, place, Rights::ALL, Attributes::CODE)?;
            check_eq!(jump(at), 7);
            frame.map(SPACE, place, Rights::READ, Attributes::CODE)?;
            check_eq!(jump(at), 7);
            frame.map(SPACE, place, Rights::ALL, Attributes::DATA)?;
            check_eq!(peek(at), code(7));
            world.spawn(&Plan::at(254).with_fault(handler), move || got.set(round << 8 | jump(at)))?;
            let fault = handler.recv(reply);
            check!(fault.info.label() == 6 && fault.registers[..3] == [at, at, 1] && got.get() != round << 8 | 7);
            // Made executable, the same fetch succeeds.
            frame.map(SPACE, place, Rights::ALL, Attributes::CODE)?;
            reply.send(&Message::default());
            world.settle()?;
            check_eq!(got.get(), round << 8 | 7);
        }
    }
    Ok(())
}

fn c123_written_code_runs_after_unify(world: &World) -> Outcome {
    let frame = world.frame()?;
    world.map(SPACE, frame, FREE_ADDRESS, Rights::ALL, Attributes::CODE)?;
    for n in 0..20 {
        poke(FREE_ADDRESS, code(n));
        if n % 2 == 0 {
            frame.unify(Range { start: 0, end: 8 })?;
        } else {
            SPACE.unify(Range { start: FREE_ADDRESS, end: FREE_ADDRESS + 8 })?;
        }
        check_eq!(jump(FREE_ADDRESS), n);
    }
    Ok(())
}

fn c124_device_frames_are_no_buffers(world: &World) -> Outcome {
    let info = world.boot.info;
    let index = info.untyped_list.iter().position(|entry| entry.is_device == 1 && entry.size_bits >= 12).unwrap_or(0);
    let (slot, device) = (world.slot(), info.untyped.start + index as u64);
    Untyped::at(device).retype_into(ObjectType::SmallPage, 0, OWN, slot)?;
    let frame = Frame::at(slot);
    let thread = world.prepare(&Plan::at(100), || ())?;
    let configured = thread.tcb.configure(&hybrid_sys::TcbSpace {
        cspace: OWN,
        cspace_data: CNodeData(0),
        vspace: SPACE,
        buffer: Some((FREE_ADDRESS, frame)),
    });
    check!(configured == Err(Error::IllegalOperation));
    check!(SELF.set_ipc_buffer(FREE_ADDRESS, frame) == Err(Error::IllegalOperation));
    check!(SELF.set_ipc_buffer(FREE_ADDRESS + 8, Frame::at(10)) == Err(Error::Alignment));
    check!(SELF.set_ipc_buffer(FREE_ADDRESS, Frame(world.endpoint()?.cptr())) == Err(Error::IllegalOperation));
    // The old buffer still works: a call with more than four words.
    check!(world.at(world.slot()).mint_from(world.at(thread.tcb.cptr().0), Rights::ALL, 0).is_ok());
    world.at(device).revoke()?;
    Ok(())
}

fn c125_deleting_a_copy_unmaps_only_that_copy(world: &World) -> Outcome {
    let frame = world.frame()?;
    let copy = Frame::at(world.mint(frame, Rights::ALL, 0)?);
    world.map(SPACE, frame, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    world.map(SPACE, copy, FREE_ADDRESS + 0x1000, Rights::ALL, Attributes::DATA)?;
    poke(FREE_ADDRESS + 0x1000, 3);
    world.at(copy.cptr().0).delete()?;
    check_eq!(peek(FREE_ADDRESS), 3);
    let (handler, reply) = (world.endpoint()?, world.reply()?);
    world.spawn(&Plan::at(254).with_fault(handler), || _ = peek(FREE_ADDRESS + 0x1000))?;
    check_eq!(handler.recv(reply).registers[1], FREE_ADDRESS + 0x1000);
    // Revoking the original takes the copies' mappings along, not its own.
    let copy = Frame::at(world.mint(frame, Rights::ALL, 0)?);
    world.map(SPACE, copy, FREE_ADDRESS + 0x2000, Rights::ALL, Attributes::DATA)?;
    world.at(frame.cptr().0).revoke()?;
    check_eq!(peek(FREE_ADDRESS), 3);
    world.spawn(&Plan::at(254).with_fault(handler), || _ = peek(FREE_ADDRESS + 0x2000))?;
    check_eq!(handler.recv(reply).registers[1], FREE_ADDRESS + 0x2000);
    Ok(())
}

fn c126_cache_maintenance_checks_its_ranges(world: &World) -> Outcome {
    let frame = world.frame()?;
    check!(frame.clean(Range { start: 0, end: 64 }) == Err(Error::IllegalOperation));
    world.map(SPACE, frame, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    poke(FREE_ADDRESS, 0x77);
    for range in [Range { start: 0, end: 4096 }, Range { start: 1, end: 3 }, Range { start: 4095, end: 4096 }] {
        frame.clean(range)?;
        frame.clean_invalidate(range)?;
        frame.unify(range)?;
    }
    check_eq!(peek(FREE_ADDRESS), 0x77);
    for empty in [Range { start: 64, end: 64 }, Range { start: 65, end: 64 }, Range { start: u64::MAX, end: 0 }] {
        check!(frame.clean(empty) == Err(Error::InvalidArgument { index: 1 }));
        check!(SPACE.clean(empty) == Err(Error::InvalidArgument { index: 1 }));
    }
    for beyond in [Range { start: 0, end: 4097 }, Range { start: 4096, end: 4097 }, Range { start: 0, end: u64::MAX }] {
        check!(frame.clean(beyond) == Err(Error::InvalidArgument { index: 0 }));
    }
    let across = Range { start: FREE_ADDRESS, end: FREE_ADDRESS + 4097 };
    check!(SPACE.clean(across) == Err(Error::Range { min: FREE_ADDRESS, max: FREE_ADDRESS + 4095 }));
    check!(SPACE.clean(Range { start: 0, end: (1 << 47) + 1 }) == Err(Error::IllegalOperation));
    check!(VSpace::at(world.make(ObjectType::VSpace, 0)?).clean(across) == Err(Error::InvalidCapability { number: 0 }));
    frame.map(SPACE, FREE_ADDRESS, Rights::READ, Attributes::DATA)?;
    check!(frame.invalidate(Range { start: 0, end: 64 }) == Err(Error::IllegalOperation));
    let range = Range { start: FREE_ADDRESS, end: FREE_ADDRESS + 64 };
    check!(SPACE.invalidate(range) == Err(Error::IllegalOperation));
    Ok(())
}

fn c126_cache_maintenance_of_every_size_keeps_data(world: &World) -> Outcome {
    for (kind, place, size) in
        [(ObjectType::SmallPage, FREE_ADDRESS, 1 << 12), (ObjectType::LargePage, FREE_ADDRESS + 0x20_0000, 1 << 21)]
    {
        let frame = Frame::at(world.make(kind, 0)?);
        world.map(SPACE, frame, place, Rights::ALL, Attributes::DATA)?;
        for range in [(0, size), (0, 64), (size - 64, size), (size / 2 - 5, size / 2 + 70)] {
            let (start, end) = range;
            poke((place + start) & !7, start + 1);
            let (offsets, addresses) = (Range { start, end }, Range { start: place + start, end: place + end });
            frame.clean(offsets)?;
            frame.clean_invalidate(offsets)?;
            // What was cleaned survives an invalidation.
            frame.invalidate(offsets)?;
            frame.unify(offsets)?;
            SPACE.clean(addresses)?;
            SPACE.clean_invalidate(addresses)?;
            SPACE.invalidate(addresses)?;
            SPACE.unify(addresses)?;
            check_eq!(peek((place + start) & !7), start + 1);
        }
    }
    Ok(())
}
