//! Capability slots (conformance 14 to 29).

use hybrid_sys::abi::{label, syscall};
use hybrid_sys::{
    Attributes, CNode, CNodeData, CPtr, Endpoint, Error, Frame, LookupFailure, Message, MessageInfo, Notification,
    ObjectType, PageTable, Range, Rights, Tcb, VSpace,
};

use super::tests;
use crate::probe::svc;
use crate::suite::Test;
use crate::world::{FREE_ADDRESS, OWN, Outcome, Plan, SPACE, World, cell};

pub(super) const TESTS: &[Test] = tests![
    c014_copy_duplicates_a_thread,
    c015_occupied_target_is_delete_first + ["x018"],
    c016_empty_source_is_failed_lookup + ["x017"],
    c017_delete_empties_and_is_idempotent,
    c018_mint_of_a_thread_is_copy,
    c019_move_moves_and_a_failed_move_changes_nothing,
    c020_mutate_of_a_thread_is_move,
    c021_cancel_badged_sends_wants_a_full_endpoint,
    c022_revoke_of_the_childless_succeeds,
    c023_rotate_swaps_and_rotates,
    c024_chain_of_64_tables_resolves_one_address,
    c025_cspace_is_replaced_while_blocked,
    c026_guards_and_depths_are_checked,
    c027_guards_are_set_within_64_bits,
    c028_badged_endpoint_is_not_badged_again,
    c029_some_capabilities_are_not_copied,
    c058_revoke_deletes_all_copies,
    s02_leftover_bits_of_an_address_do_not_matter,
    s02_copies_of_a_copy_are_siblings,
    s02_copy_has_no_more_rights_than_asked_for,
];

fn flags(slot: u64) -> Result<u64, Error> {
    Tcb::at(slot).set_flags(0, 0)
}

fn gone<T>() -> Result<T, Error> {
    Err(Error::InvalidCapability { number: 0 })
}

fn c014_copy_duplicates_a_thread(world: &World) -> Outcome {
    let tcb = world.make(ObjectType::Tcb, 0)?;
    let copy = world.slot();
    world.at(copy).copy_from(world.at(tcb), Rights::ALL)?;
    check!(Tcb::at(copy).set_flags(0, 1)? == 1 && flags(tcb)? == 1);
    world.at(tcb).delete()?;
    check!(flags(copy)? == 1 && flags(tcb) == gone());
    Ok(())
}

fn c015_occupied_target_is_delete_first(world: &World) -> Outcome {
    let (endpoint, other, empty) = (world.endpoint()?.cptr().0, world.endpoint()?.cptr().0, world.slot());
    for source in [endpoint, empty] {
        check!(world.at(other).copy_from(world.at(source), Rights::ALL) == Err(Error::DeleteFirst));
        check!(world.at(other).mint_from(world.at(source), Rights::ALL, 1) == Err(Error::DeleteFirst));
        check!(world.at(other).move_from(world.at(source)) == Err(Error::DeleteFirst));
        check!(world.at(other).mutate_from(world.at(source), 0) == Err(Error::DeleteFirst));
    }
    check!(world.at(other).copy_from(world.at(other), Rights::ALL) == Err(Error::DeleteFirst));
    Ok(())
}

fn c016_empty_source_is_failed_lookup(world: &World) -> Outcome {
    let (target, source) = (world.slot(), world.slot());
    let failure = LookupFailure::MissingCapability { bits_left: 64 };
    let expected = Err(Error::FailedLookup { is_source: true, failure });
    check!(world.at(target).copy_from(world.at(source), Rights::ALL) == expected);
    check!(world.at(target).mint_from(world.at(source), Rights::ALL, 3) == expected);
    check!(world.at(target).move_from(world.at(source)) == expected);
    check!(world.at(target).mutate_from(world.at(source), 0) == expected);
    Ok(())
}

fn c017_delete_empties_and_is_idempotent(world: &World) -> Outcome {
    let slot = world.make(ObjectType::Notification, 0)?;
    world.at(slot).delete()?;
    world.at(slot).delete()?;
    check!(Tcb::at(slot).suspend() == gone());
    world.fresh().retype_into(ObjectType::Notification, 0, OWN, slot)?;
    Ok(())
}

fn c018_mint_of_a_thread_is_copy(world: &World) -> Outcome {
    let (tcb, copy) = (world.make(ObjectType::Tcb, 0)?, world.slot());
    world.at(copy).mint_from(world.at(tcb), Rights::NONE, 0)?;
    check!(Tcb::at(copy).set_flags(0, 1)? == 1 && flags(tcb)? == 1);
    Ok(())
}

fn c019_move_moves_and_a_failed_move_changes_nothing(world: &World) -> Outcome {
    let (source, target, other) = (world.make(ObjectType::Tcb, 0)?, world.slot(), world.make(ObjectType::Tcb, 0)?);
    Tcb::at(source).set_flags(0, 1)?;
    check!(world.at(other).move_from(world.at(source)) == Err(Error::DeleteFirst));
    check!(flags(source)? == 1 && flags(other)? == 0);
    check!(world.at(target).move_from(OWN.slot(source, 63)).is_err());
    check!(flags(source)? == 1 && flags(target) == gone());
    world.at(target).move_from(world.at(source))?;
    check!(flags(target)? == 1 && flags(source) == gone());
    Ok(())
}

fn c020_mutate_of_a_thread_is_move(world: &World) -> Outcome {
    let (source, target) = (world.make(ObjectType::Tcb, 0)?, world.slot());
    Tcb::at(source).set_flags(0, 1)?;
    world.at(target).mutate_from(world.at(source), 0)?;
    check!(flags(target)? == 1 && flags(source) == gone());
    Ok(())
}

fn c021_cancel_badged_sends_wants_a_full_endpoint(world: &World) -> Outcome {
    let endpoint = world.endpoint()?;
    world.at(endpoint.cptr().0).cancel_badged_sends()?;
    endpoint.try_send(&Message::default());
    check!(world.at(world.slot()).cancel_badged_sends() == Err(Error::IllegalOperation));
    let less = world.mint(endpoint, Rights::WRITE.or(Rights::READ).or(Rights::GRANT), 7)?;
    check!(world.at(less).cancel_badged_sends() == Err(Error::IllegalOperation));
    check!(world.at(world.make(ObjectType::Notification, 0)?).cancel_badged_sends() == Err(Error::IllegalOperation));
    Ok(())
}

fn c022_revoke_of_the_childless_succeeds(world: &World) -> Outcome {
    let tcb = world.make(ObjectType::Tcb, 0)?;
    world.at(tcb).revoke()?;
    check!(flags(tcb)? == 0);
    world.at(world.slot()).revoke()?;
    Ok(())
}

fn c023_rotate_swaps_and_rotates(world: &World) -> Outcome {
    let (a, b, c) = (world.make(ObjectType::Tcb, 0)?, world.make(ObjectType::Tcb, 0)?, world.slot());
    let rotate = |target, pivot, source| world.at(target).rotate_from(world.at(pivot), 0, world.at(source), 0);
    Tcb::at(a).set_flags(0, 1)?;
    check!(rotate(c, a, a) == Err(Error::IllegalOperation));
    check!(rotate(a, a, b) == Err(Error::IllegalOperation));
    let missing = |is_source| {
        let failure = LookupFailure::MissingCapability { bits_left: 64 };
        Err(Error::FailedLookup { is_source, failure })
    };
    let (d, e, f) = (world.slot(), world.slot(), world.slot());
    check!(rotate(d, e, f) == missing(true));
    check!(rotate(d, e, a) == missing(false));
    let full = world.make(ObjectType::Tcb, 0)?;
    check!(rotate(full, b, a) == Err(Error::DeleteFirst));
    check!(flags(a)? == 1 && flags(b)? == 0);
    rotate(a, b, a)?;
    check!(flags(a)? == 0 && flags(b)? == 1);
    rotate(c, b, a)?;
    check!(flags(c)? == 1 && flags(b)? == 0 && flags(a) == gone());
    Ok(())
}

/// 64 tables of two slots, chained along `address`; the last holds `cap`.
fn chain(world: &World, address: u64, cap: u64) -> Result<CNode, Error> {
    let tables = world.slots(64);
    world.fresh().retype(ObjectType::CapTable, 1, OWN, 0, 0, tables, 64)?;
    for level in (0..64).rev() {
        let next = if level == 63 { cap } else { tables + level + 1 };
        CNode::at(tables + level).slot(address >> (63 - level) & 1, 1).copy_from(world.at(next), Rights::ALL)?;
    }
    Ok(CNode::at(tables))
}

fn c024_chain_of_64_tables_resolves_one_address(world: &World) -> Outcome {
    let address = 0x9001_5aa5_c33c_0ff1;
    let tcb = world.make(ObjectType::Tcb, 0)?;
    let root = chain(world, address, tcb)?;
    let (found, others, tried) = (cell(), cell(), cell());
    let plan = Plan { cspace: Some(root), ..Plan::at(254) };
    world.spawn(&plan, move || {
        let is_found = |address: u64| {
            tried.add(1);
            let info = MessageInfo::new(label::TCB_SET_FLAGS, 0, 0, 2).0;
            let after = svc(syscall::CALL, [address, info, 0, 1, 0, 0, 0, 0, 0]);
            let is_absent = after[1] == MessageInfo::new(2, 0, 0, 1).0 && after[2] == 0;
            if is_absent { 0 } else { 1 + u64::from(after[1] != 1) }
        };
        found.set(is_found(address));
        for bit in 0..64 {
            others.add(is_found(address ^ 1 << bit));
        }
        for small in 0..20 {
            others.add(is_found(small));
        }
    })?;
    world.settle()?;
    check!(tried.get() == 85 && found.get() == 1 && others.get() == 0);
    // The CNode operations resolve the same way.
    world.at(world.slot()).copy_from(root.slot(address, 64), Rights::ALL)?;
    for bit in 0..64 {
        check!(world.at(world.slot()).copy_from(root.slot(address ^ 1 << bit, 64), Rights::ALL).is_err());
    }
    Ok(())
}

/// A CSpace of four slots with `cap` in slot 1.
fn small_space(world: &World, cap: CPtr) -> Result<CNode, Error> {
    let (table, root) = (world.make(ObjectType::CapTable, 2)?, world.slot());
    CNode::at(table).slot(1, 2).copy_from(world.at(cap.0), Rights::ALL)?;
    world.at(root).mint_cnode_from(world.at(table), CNodeData::new(0, 62))?;
    Ok(CNode::at(root))
}

fn c025_cspace_is_replaced_while_blocked(world: &World) -> Outcome {
    let (first, second) = (world.endpoint()?, world.endpoint()?);
    let (before, after) = (small_space(world, first.cptr())?, small_space(world, second.cptr())?);
    let plan = Plan { cspace: Some(before), ..Plan::at(254) };
    let thread = world.spawn(&plan, move || {
        for round in 1..=3 {
            Endpoint::at(1).send(&Message::new(0, &[round]));
        }
    })?;
    world.settle()?;
    thread.tcb.set_space(CPtr::NULL, after, CNodeData(0), SPACE)?;
    check!(first.wait().registers[0] == 1);
    check!(second.wait().registers[0] == 2 && second.wait().registers[0] == 3);
    Ok(())
}

fn c026_guards_and_depths_are_checked(world: &World) -> Outcome {
    let slot = world.slot();
    let source = world.at(world.endpoint()?.cptr().0);
    let range = Err(Error::Range { min: 1, max: 64 });
    check!(OWN.slot(slot, 0).copy_from(source, Rights::ALL) == range);
    check!(OWN.slot(slot, 65).copy_from(source, Rights::ALL) == range);
    let target = |failure| Err(Error::FailedLookup { is_source: false, failure });
    let mismatch = LookupFailure::GuardMismatch { bits_left: 64, guard: 0, guard_size: 52 };
    check!(OWN.slot(0x1_7000, 64).copy_from(source, Rights::ALL) == target(mismatch));
    let depth = LookupFailure::DepthMismatch { available: 63, wanted: 64 };
    check!(OWN.slot(slot, 63).copy_from(source, Rights::ALL) == target(depth));
    // A tree that ends before the address does: leftover bits are an error here.
    let (table, root) = (world.make(ObjectType::CapTable, 2)?, world.slot());
    world.at(root).mint_cnode_from(world.at(table), CNodeData::new(0b10, 2))?;
    let deep = CNode::at(root);
    let leftover = LookupFailure::DepthMismatch { available: 4, wanted: 0 };
    check!(deep.slot(0b1001_0000, 8).copy_from(source, Rights::ALL) == target(leftover));
    let mismatch = LookupFailure::GuardMismatch { bits_left: 4, guard: 0b10, guard_size: 2 };
    check!(deep.slot(0b1101, 4).copy_from(source, Rights::ALL) == target(mismatch));
    deep.slot(0b1001, 4).copy_from(source, Rights::ALL)?;
    // Too few bits even for the guard count as a mismatch of it.
    let mismatch = LookupFailure::GuardMismatch { bits_left: 1, guard: 0b10, guard_size: 2 };
    check!(deep.slot(1, 1).copy_from(source, Rights::ALL) == target(mismatch));
    Ok(())
}

fn c027_guards_are_set_within_64_bits(world: &World) -> Outcome {
    let (table, minted, moved) = (world.make(ObjectType::CapTable, 2)?, world.slot(), world.slot());
    let mint = |size| world.at(minted).mint_cnode_from(world.at(table), CNodeData::new(0b101, size));
    check!(mint(63) == Err(Error::IllegalOperation));
    mint(62)?;
    let endpoint = world.at(world.endpoint()?.cptr().0);
    CNode::at(minted).slot(0b101 << 2 | 3, 64).copy_from(endpoint, Rights::ALL)?;
    check!(CNode::at(minted).slot(0b111 << 2 | 3, 64).delete().is_err());
    check!(world.at(moved).mutate_from(world.at(minted), CNodeData::new(0, 63).0) == Err(Error::IllegalOperation));
    world.at(moved).mutate_from(world.at(minted), CNodeData::new(0b11, 2).0)?;
    CNode::at(moved).slot(0b1111, 4).delete()?;
    // Copy keeps a guard; Mint with 0 removes it.
    let (copy, plain) = (world.slot(), world.slot());
    world.at(copy).copy_from(world.at(moved), Rights::ALL)?;
    CNode::at(copy).slot(0b1101, 4).copy_from(endpoint, Rights::ALL)?;
    world.at(plain).mint_from(world.at(moved), Rights::ALL, 0)?;
    CNode::at(plain).slot(2, 2).copy_from(endpoint, Rights::ALL)?;
    Ok(())
}

fn c028_badged_endpoint_is_not_badged_again(world: &World) -> Outcome {
    for original in [world.endpoint()?.cptr(), world.notification()?.cptr()] {
        let badged = world.mint(original, Rights::ALL, 0x1234)?;
        for badge in [0, 0x99, 0x1234] {
            let again = world.at(world.slot()).mint_from(world.at(badged), Rights::ALL, badge);
            check!(again == Err(Error::IllegalOperation));
        }
        for source in [badged, original.0] {
            check!(world.at(world.slot()).mutate_from(world.at(source), 0) == Err(Error::IllegalOperation));
        }
        world.at(world.slot()).copy_from(world.at(badged), Rights::READ)?;
    }
    Ok(())
}

fn c029_some_capabilities_are_not_copied(world: &World) -> Outcome {
    let target = world.at(world.slot());
    check!(target.copy_from(world.at(4), Rights::ALL) == Err(Error::IllegalOperation));
    let table = world.make(ObjectType::PageTable, 0)?;
    check!(target.copy_from(world.at(table), Rights::ALL) == Err(Error::IllegalOperation));
    let space = world.make(ObjectType::VSpace, 0)?;
    check!(target.copy_from(world.at(space), Rights::ALL) == Err(Error::IllegalOperation));
    check!(target.copy_from(world.at(world.fresh().cptr().0), Rights::ALL) == Err(Error::RevokeFirst));
    // IRQControl can be moved, though; tables and spaces are copied once they are in use.
    target.move_from(world.at(4))?;
    world.at(4).move_from(target)?;
    crate::world::POOL.assign(VSpace::at(space))?;
    PageTable::at(table).map(VSpace::at(space), 0, hybrid_sys::Attributes::DATA)?;
    world.at(world.slot()).copy_from(world.at(space), Rights::ALL)?;
    world.at(world.slot()).copy_from(world.at(table), Rights::ALL)?;
    Ok(())
}

fn c058_revoke_deletes_all_copies(world: &World) -> Outcome {
    let endpoint = world.endpoint()?;
    let badged = world.mint(endpoint, Rights::ALL, 5)?;
    let other = world.mint(endpoint, Rights::ALL, 6)?;
    let copies = world.slots(40);
    for copy in copies..copies + 40 {
        world.at(copy).copy_from(world.at(badged), Rights::ALL)?;
    }
    world.at(badged).revoke()?;
    for copy in copies..copies + 40 {
        check!(CPtr(copy).invoke(1, &[], &[]) == gone());
        world.at(copy).copy_from(world.at(badged), Rights::ALL)?;
    }
    // Other badges still work.
    let woken = cell();
    world.spawn(&Plan::at(254), move || woken.set(endpoint.wait().badge))?;
    world.settle()?;
    Endpoint::at(other).send(&Message::default());
    world.settle()?;
    check_eq!(woken.get(), 6);
    world.at(endpoint.cptr().0).revoke()?;
    check!(CPtr(badged).invoke(1, &[], &[]) == gone() && CPtr(other).invoke(1, &[], &[]) == gone());
    world.at(world.slot()).copy_from(world.at(endpoint.cptr().0), Rights::ALL)?;
    Ok(())
}

fn s02_leftover_bits_of_an_address_do_not_matter(world: &World) -> Outcome {
    let endpoint = world.endpoint()?;
    let (table, root) = (world.make(ObjectType::CapTable, 2)?, world.slot());
    CNode::at(table).slot(1, 2).copy_from(world.at(endpoint.cptr().0), Rights::ALL)?;
    world.at(root).mint_cnode_from(world.at(table), CNodeData::new(0, 2))?;
    let plan = Plan { cspace: Some(CNode::at(root)), ..Plan::at(254) };
    world.spawn(&plan, move || {
        for low in [0, 0xdead_beef, (1 << 60) - 1] {
            Endpoint::at(1 << 60 | low).send(&Message::new(0, &[low]));
        }
    })?;
    for low in [0, 0xdead_beef, (1 << 60) - 1] {
        check_eq!(endpoint.wait().registers[0], low);
    }
    Ok(())
}

fn s02_copies_of_a_copy_are_siblings(world: &World) -> Outcome {
    let tcb = world.make(ObjectType::Tcb, 0)?;
    let (first, second) = (world.slot(), world.slot());
    world.at(first).copy_from(world.at(tcb), Rights::ALL)?;
    world.at(second).copy_from(world.at(first), Rights::ALL)?;
    world.at(first).revoke()?;
    check!(flags(second)? == 0);
    // Deleting the original deletes no copy; revoking it does.
    world.at(tcb).revoke()?;
    check!(flags(first) == gone() && flags(second) == gone() && flags(tcb)? == 0);
    Ok(())
}

/// Copy, not Mint: badge and all else stay, and what is gone does not come back in a copy of the copy.
fn s02_copy_has_no_more_rights_than_asked_for(world: &World) -> Outcome {
    let copy = |source: u64, rights| -> Result<u64, Error> {
        let slot = world.slot();
        world.at(slot).copy_from(world.at(source), rights)?;
        Ok(slot)
    };
    let notification = world.notification()?;
    let bell = world.mint(notification, Rights::ALL, 5)?;
    let deaf = copy(bell, Rights::READ)?;
    for (slot, heard) in [(copy(bell, Rights::WRITE)?, 5), (deaf, 0), (copy(deaf, Rights::ALL)?, 0)] {
        Notification::at(slot).signal();
        check_eq!(notification.poll(), heard);
    }
    let mute = Endpoint::at(copy(world.endpoint()?.cptr().0, Rights(14))?);
    check_eq!(mute.call(&Message::default()).info.0, MessageInfo::new(2, 0, 0, 1).0);
    let frame = Frame::at(copy(world.frame()?.cptr().0, Rights::READ)?);
    world.map(SPACE, frame, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    check!(frame.invalidate(Range { start: 0, end: 64 }) == Err(Error::IllegalOperation));
    frame.unmap()?;
    Ok(())
}
