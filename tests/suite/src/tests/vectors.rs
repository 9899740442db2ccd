//! Measured vectors of the ABI's appendix C: making objects, slots, address spaces (x001 to x047).

use hybrid_sys::abi::label;
use hybrid_sys::{Attributes, CNode, CNodeData, CPtr, Endpoint, Frame, ObjectType, PageTable, Rights, VSpace, buffer};

use super::tests;
use crate::suite::Test;
use crate::world::{Answer, OWN, Outcome, POOL, World, ask};

pub(super) const TESTS: &[Test] = tests![
    x001_retype_checks_type_and_size + ["x002", "x003", "x004", "x005", "x006", "x007"],
    x008_retype_checks_its_window + ["x009", "x010"],
    x011_retype_checks_its_destination + ["x012", "x013", "x014"],
    x016_retype_of_a_large_page_from_a_small_untyped,
    x019_copy_refuses_what_cannot_be_derived + ["x020", "x021", "x022", "x023"],
    x024_mutate_and_copy_respect_guards + ["x025", "x026", "x027", "x028", "x029"],
    x030_mapping_without_identifier_and_tables + ["x031", "x032", "x033"],
    x034_large_page_and_its_misuse + ["x035", "x036"],
    x037_edges_of_the_user_range + ["x038", "x039", "x040"],
    x041_cache_maintenance + ["x042", "x043", "x044", "x045", "x046", "x047"],
    x074_errors_leave_other_words_alone,
];

/// Whether an answer is `number` with exactly these words (the error's length), and no more.
pub(super) fn is(answer: Answer, number: u64, words: &[u64]) -> bool {
    let word = |index: usize| if index < 4 { answer.words[index] } else { buffer::word(index) };
    answer.info == number << 12 | words.len() as u64
        && words.iter().enumerate().all(|(index, value)| word(index) == *value)
}

/// Retype of the test's memory.
fn retype(world: &World, kind: u64, size: u64, window: (u64, u64)) -> Answer {
    let words = [kind, size, 0, 0, window.0, window.1];
    ask(world.fresh(), label::UNTYPED_RETYPE, &words, &[OWN.cptr()])
}

fn x001_retype_checks_type_and_size(world: &World) -> Outcome {
    let slot = world.slot();
    let retype = |kind, size| retype(world, kind, size, (slot, 1));
    check!(is(retype(99, 0), 1, &[0]) && is(retype(12, 0), 1, &[0]));
    check!(is(retype(0, 64), 4, &[0, 0x2f]) && is(retype(0, 48), 4, &[0, 0x2f]) && is(retype(0, 3), 1, &[1]));
    check!(is(retype(1, 70), 4, &[0, 0x2f]));
    check!(is(retype(4, 0), 1, &[1]) && is(retype(5, 6), 1, &[1]));
    check!(is(self::retype(world, 2, 0, (slot, 257)), 4, &[1, 0x100]));
    // The size of an object of fixed size is ignored, below 64.
    check!(is(retype(1, 63), 0, &[]));
    Ok(())
}

fn x008_retype_checks_its_window(world: &World) -> Outcome {
    check!(is(retype(world, 2, 0, (4096, 1)), 4, &[0, 0xfff]));
    check!(is(retype(world, 2, 0, (4095, 2)), 4, &[1, 1]));
    check!(is(retype(world, 2, 0, (1, 1)), 8, &[]));
    Ok(())
}

fn x011_retype_checks_its_destination(world: &World) -> Outcome {
    let endpoint = world.endpoint()?.cptr();
    let retype =
        |root, index, depth| ask(world.fresh(), label::UNTYPED_RETYPE, &[2, 0, index, depth, world.slot(), 1], &[root]);
    check!(is(retype(endpoint, 0, 0), 6, &[0, 2, 0]));
    check!(is(retype(OWN.cptr(), endpoint.0, 64), 6, &[0, 2, 0x40]));
    check!(is(retype(OWN.cptr(), endpoint.0, 63), 6, &[0, 3, 0x3f, 0x40]));
    check!(is(retype(OWN.cptr(), endpoint.0, 65), 4, &[1, 0x40]));
    Ok(())
}

fn x016_retype_of_a_large_page_from_a_small_untyped(world: &World) -> Outcome {
    let small = CPtr(world.make(ObjectType::Untyped, 12)?);
    let answer = ask(small, label::UNTYPED_RETYPE, &[10, 0, 0, 0, world.slot(), 1], &[OWN.cptr()]);
    check!(is(answer, 10, &[0x1000]));
    Ok(())
}

/// Copy, Mint or Mutate between slots of the own CNode.
fn transfer(world: &World, label: u64, source: u64, data: &[u64]) -> Answer {
    let mut words = [world.slot(), 64, source, 64, 0, 0];
    words[4..4 + data.len()].copy_from_slice(data);
    ask(OWN, label, &words[..4 + data.len()], &[OWN.cptr()])
}

fn x019_copy_refuses_what_cannot_be_derived(world: &World) -> Outcome {
    let (space, table) = (world.make(ObjectType::VSpace, 0)?, world.make(ObjectType::PageTable, 0)?);
    for source in [space, table, 4] {
        check!(is(transfer(world, label::CNODE_COPY, source, &[15]), 3, &[]));
    }
    check!(is(transfer(world, label::CNODE_COPY, world.fresh().cptr().0, &[15]), 9, &[]));
    let endpoint = world.endpoint()?.cptr().0;
    check!(is(transfer(world, label::CNODE_MINT, endpoint, &[15, 0x1234]), 0, &[]));
    let badged = world.mint(CPtr(endpoint), Rights::ALL, 0x1234)?;
    check!(is(transfer(world, label::CNODE_MINT, badged, &[15, 0x99]), 3, &[]));
    check!(is(transfer(world, label::CNODE_MINT, badged, &[15, 0]), 3, &[]));
    check!(is(transfer(world, label::CNODE_MUTATE, badged, &[0]), 3, &[]));
    check!(is(transfer(world, label::CNODE_MUTATE, endpoint, &[5]), 3, &[]));
    Ok(())
}

fn x024_mutate_and_copy_respect_guards(world: &World) -> Outcome {
    let (table, other) = (world.make(ObjectType::CapTable, 2)?, world.make(ObjectType::CapTable, 2)?);
    check!(is(transfer(world, label::CNODE_MUTATE, other, &[CNodeData::new(0, 63).0]), 3, &[]));
    let guarded = world.slot();
    let words = [guarded, 64, table, 64, CNodeData::new(0, 62).0];
    check!(is(ask(OWN, label::CNODE_MUTATE, &words, &[OWN.cptr()]), 0, &[]));
    let (first, second) = (world.endpoint()?.cptr().0, world.endpoint()?.cptr().0);
    let rotate = [world.slot(), 64, 0, second, 64, 0, first, 64];
    check!(is(ask(OWN, label::CNODE_ROTATE, &rotate, &[OWN.cptr(), OWN.cptr()]), 3, &[]));
    // Copies with another source root, and into the guarded table.
    let copy = |root, (index, depth): (u64, u64), source_root| {
        ask(root, label::CNODE_COPY, &[index, depth, first, 64, 15], &[source_root])
    };
    check!(is(copy(OWN, (world.slot(), 64), CPtr(first)), 6, &[1, 1]));
    check!(is(copy(CNode::at(guarded), (1, 1), OWN.cptr()), 6, &[0, 4, 1, 0, 0x3e]));
    check!(is(copy(CNode::at(guarded), (1, 64), OWN.cptr()), 0, &[]));
    check!(is(copy(CNode::at(guarded), (5, 64), OWN.cptr()), 6, &[0, 4, 0x40, 0, 0x3e]));
    Ok(())
}

fn map(frame: Frame, space: VSpace, address: u64, rights: Rights) -> Answer {
    ask(frame, label::PAGE_MAP, &[address, rights.0, Attributes::DATA.0], &[space.cptr()])
}

fn map_table(table: u64, space: VSpace, address: u64) -> Answer {
    ask(CPtr(table), label::PAGE_TABLE_MAP, &[address, 3], &[space.cptr()])
}

/// A space with two tables for 0x1000_0000, a large frame that is not mapped, a further table.
fn with_two_tables(world: &World) -> Result<(VSpace, Frame, u64), hybrid_sys::Error> {
    let space = VSpace::at(world.make(ObjectType::VSpace, 0)?);
    POOL.assign(space)?;
    for _ in 0..2 {
        PageTable::at(world.make(ObjectType::PageTable, 0)?).map(space, 0x1000_0000, Attributes::DATA)?;
    }
    Ok((space, Frame::at(world.make(ObjectType::LargePage, 0)?), world.make(ObjectType::PageTable, 0)?))
}

fn x030_mapping_without_identifier_and_tables(world: &World) -> Outcome {
    let (space, frame) = (VSpace::at(world.make(ObjectType::VSpace, 0)?), world.frame()?);
    check!(is(map(frame, space, 0x1000_0000, Rights::ALL), 2, &[1]));
    check!(is(ask(POOL, label::ASID_POOL_ASSIGN, &[], &[space.cptr()]), 0, &[]));
    check!(is(ask(POOL, label::ASID_POOL_ASSIGN, &[], &[space.cptr()]), 2, &[1]));
    for bits_left in [0x27, 0x1e, 0x15] {
        check!(is(map(frame, space, 0x1000_0000, Rights::ALL), 6, &[0, 2, bits_left]));
        let table = world.make(ObjectType::PageTable, 0)?;
        check!(is(map_table(table, space, 0x1000_0fff), 0, &[]) && is(map_table(table, space, 0x1000_0fff), 2, &[0]));
    }
    check!(is(map(frame, space, 0x1000_0000, Rights::ALL), 0, &[]));
    Ok(())
}

fn x034_large_page_and_its_misuse(world: &World) -> Outcome {
    let (space, large, table) = with_two_tables(world)?;
    check!(is(map(large, space, 0x1000_0000, Rights::ALL), 0, &[]));
    check!(is(map_table(table, space, 0x1000_0000), 8, &[]));
    check!(is(map(large, space, 0x1020_0000, Rights::ALL), 1, &[0]));
    let other = VSpace::at(world.make(ObjectType::VSpace, 0)?);
    POOL.assign(other)?;
    check!(is(map(large, other, 0x1000_0000, Rights::ALL), 2, &[1]));
    check!(is(map(large, space, 0x1000_0000, Rights::READ), 0, &[]));
    Ok(())
}

fn x037_edges_of_the_user_range(world: &World) -> Outcome {
    let (space, _, table) = with_two_tables(world)?;
    let frame = world.frame()?;
    check!(is(map(frame, space, 0x8000_0000_0000, Rights::ALL), 1, &[0]));
    check!(is(map(frame, space, 0x7fff_ffff_f000, Rights::ALL), 6, &[0, 2, 0x27]));
    check!(is(map_table(table, space, 0x7fff_ffff_ffff), 0, &[]));
    check!(is(map(frame, space, 0x1_0001, Rights::ALL), 5, &[]));
    Ok(())
}

fn x041_cache_maintenance(world: &World) -> Outcome {
    let (space, large, _) = with_two_tables(world)?;
    let on = |frame: Frame, label, start, end| ask(frame, label, &[start, end], &[]);
    check!(is(on(world.frame()?, label::PAGE_CLEAN_DATA, 0, 64), 3, &[]));
    large.map(space, 0x1000_0000, Rights::READ, Attributes::DATA)?;
    check!(is(on(large, label::PAGE_CLEAN_DATA, 64, 64), 1, &[1]));
    check!(is(on(large, label::PAGE_CLEAN_DATA, 0, 0x20_0001), 1, &[0]));
    check!(is(on(large, label::PAGE_INVALIDATE_DATA, 0, 64), 3, &[]));
    let on_space = |start, end| ask(space, label::VSPACE_CLEAN_DATA, &[start, end], &[]);
    check!(is(on_space(0x1000_0000, 0x1020_0001), 4, &[0x1000_0000, 0x101f_ffff]));
    check!(is(on_space(0x7000_0000, 0x7000_1000), 0, &[]));
    // The second table holds the large page's entry.
    let table = CPtr(large.cptr().0 - 1);
    check!(is(ask(table, label::PAGE_TABLE_UNMAP, &[], &[]), 0, &[]));
    check!(is(on(large, label::PAGE_CLEAN_DATA, 0, 64), 2, &[0]));
    Ok(())
}

fn x074_errors_leave_other_words_alone(world: &World) -> Outcome {
    let endpoint = world.endpoint()?.cptr();
    let given = [7, 8, 9, 10];
    let mut message = hybrid_sys::Message::new(label::TCB_SET_SCHED_PARAMS, &given);
    message.info = hybrid_sys::MessageInfo::new(label::TCB_SET_SCHED_PARAMS, 0, 3, 2);
    let tcb = world.make(ObjectType::Tcb, 0)?;
    for (index, cap) in [CPtr(1), endpoint, CPtr::NULL].into_iter().enumerate() {
        buffer::set_cap(index, cap);
    }
    // InvalidCapability writes one word, RangeError two, IllegalOperation none.
    let answer = Endpoint::at(tcb).call(&message);
    check!(answer.info.0 == 2 << 12 | 1 && answer.registers == [2, 8, 9, 10]);
    let mut message = hybrid_sys::Message::new(label::TCB_SET_PRIORITY, &[256, 8, 9, 10]);
    message.info = hybrid_sys::MessageInfo::new(label::TCB_SET_PRIORITY, 0, 1, 1);
    buffer::set_cap(0, CPtr(1));
    let answer = Endpoint::at(tcb).call(&message);
    check!(answer.info.0 == 4 << 12 | 2 && answer.registers == [0, 255, 9, 10]);
    let mut message = hybrid_sys::Message::new(99, &given);
    message.info = hybrid_sys::MessageInfo::new(99, 0, 0, 4);
    check!(Endpoint::at(tcb).call(&message).registers == given);
    Ok(())
}
