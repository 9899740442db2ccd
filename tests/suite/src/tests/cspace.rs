//! Capability slots (conformance 14 to 29).

use hybrid_sys::{CNode, CNodeData, Error, LookupFailure, ObjectType, Rights, Tcb};

use super::tests;
use crate::suite::Test;
use crate::world::{OWN, Outcome, World};

pub(super) const TESTS: &[Test] = tests![
    c014_copy_duplicates_a_thread,
    c015_occupied_target_is_delete_first,
    c016_empty_source_is_failed_lookup,
    c017_delete_empties_and_is_idempotent,
    c019_move_moves,
    c021_cancel_badged_sends_wants_an_endpoint,
    c023_rotate_swaps_and_rotates,
    c024_deep_cspace_resolves,
    c026_guards_and_depths_are_checked,
    c028_badged_endpoint_is_not_badged_again,
    c029_some_capabilities_are_not_copied,
    c058_revoke_deletes_all_copies,
];

fn c014_copy_duplicates_a_thread(world: &World) -> Outcome {
    let tcb = Tcb::at(world.make(ObjectType::Tcb, 0)?);
    let copy = world.slot();
    world.at(copy).copy_from(world.at(tcb.cptr().0), Rights::ALL)?;
    check!(Tcb::at(copy).set_flags(0, 1)? == 1);
    check!(tcb.set_flags(0, 0)? == 1);
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
    Ok(())
}

fn c016_empty_source_is_failed_lookup(world: &World) -> Outcome {
    let (target, source) = (world.slot(), world.slot());
    let failure = LookupFailure::MissingCapability { bits_left: 64 };
    let expected = Err(Error::FailedLookup { is_source: true, failure });
    check!(world.at(target).copy_from(world.at(source), Rights::ALL) == expected);
    check!(world.at(target).move_from(world.at(source)) == expected);
    Ok(())
}

fn c017_delete_empties_and_is_idempotent(world: &World) -> Outcome {
    let slot = world.make(ObjectType::Notification, 0)?;
    world.at(slot).delete()?;
    world.at(slot).delete()?;
    world.fresh().retype_into(ObjectType::Notification, 0, OWN, slot)?;
    Ok(())
}

fn c019_move_moves(world: &World) -> Outcome {
    let (source, target) = (world.make(ObjectType::Tcb, 0)?, world.slot());
    world.at(target).move_from(world.at(source))?;
    check!(Tcb::at(target).set_flags(0, 0)? == 0);
    check!(Tcb::at(source).set_flags(0, 0) == Err(Error::InvalidCapability { number: 0 }));
    Ok(())
}

fn c021_cancel_badged_sends_wants_an_endpoint(world: &World) -> Outcome {
    let endpoint = world.endpoint()?.cptr().0;
    world.at(endpoint).cancel_badged_sends()?;
    check!(world.at(world.slot()).cancel_badged_sends() == Err(Error::IllegalOperation));
    Ok(())
}

fn c023_rotate_swaps_and_rotates(world: &World) -> Outcome {
    let (a, b, c) = (world.make(ObjectType::Tcb, 0)?, world.make(ObjectType::Tcb, 0)?, world.slot());
    Tcb::at(a).set_flags(0, 1)?;
    check!(world.at(b).rotate_from(world.at(a), 0, world.at(a), 0) == Err(Error::IllegalOperation));
    world.at(a).rotate_from(world.at(b), 0, world.at(a), 0)?;
    check!(Tcb::at(a).set_flags(0, 0)? == 0 && Tcb::at(b).set_flags(0, 0)? == 1);
    world.at(c).rotate_from(world.at(b), 0, world.at(a), 0)?;
    check!(Tcb::at(c).set_flags(0, 0)? == 1 && Tcb::at(b).set_flags(0, 0)? == 0);
    check!(Tcb::at(a).set_flags(0, 0).is_err());
    Ok(())
}

fn c024_deep_cspace_resolves(world: &World) -> Outcome {
    // Eight levels of one bit and a guard of 7 each: 64 bits.
    let endpoint = world.endpoint()?;
    let tables: [u64; 8] = {
        let mut tables = [0; 8];
        for table in &mut tables {
            *table = world.make(ObjectType::CapTable, 1)?;
        }
        tables
    };
    let guard = CNodeData::new(0, 7);
    let leaf = CNode::at(tables[7]).slot(1, 1);
    leaf.copy_from(world.at(endpoint.cptr().0), Rights::ALL)?;
    for level in (0..7).rev() {
        CNode::at(tables[level]).slot(1, 1).mint_cnode_from(world.at(tables[level + 1]), guard)?;
    }
    let root = world.slot();
    world.at(root).mint_cnode_from(world.at(tables[0]), guard)?;
    let address = 0x0101_0101_0101_0101;
    let copy = world.slot();
    world.at(copy).copy_from(CNode::at(root).slot(address, 64), Rights::ALL)?;
    for bit in 0..64 {
        check!(world.at(world.slot()).copy_from(CNode::at(root).slot(address ^ 1 << bit, 64), Rights::ALL).is_err());
    }
    Ok(())
}

fn c026_guards_and_depths_are_checked(world: &World) -> Outcome {
    let slot = world.slot();
    let source = world.at(world.endpoint()?.cptr().0);
    let range = Err(Error::Range { min: 1, max: 64 });
    check!(OWN.slot(slot, 0).copy_from(source, Rights::ALL) == range);
    check!(OWN.slot(slot, 65).copy_from(source, Rights::ALL) == range);
    let mismatch = LookupFailure::GuardMismatch { bits_left: 64, guard: 0, guard_size: 52 };
    let result = OWN.slot(0x1_7000, 64).copy_from(source, Rights::ALL);
    check!(result == Err(Error::FailedLookup { is_source: false, failure: mismatch }));
    let depth = LookupFailure::DepthMismatch { available: 63, wanted: 64 };
    let result = OWN.slot(slot, 63).copy_from(source, Rights::ALL);
    check!(result == Err(Error::FailedLookup { is_source: false, failure: depth }));
    let table = world.make(ObjectType::CapTable, 2)?;
    check!(world.at(slot).mint_cnode_from(world.at(table), CNodeData::new(0, 63)) == Err(Error::IllegalOperation));
    world.at(slot).mint_cnode_from(world.at(table), CNodeData::new(0, 62))?;
    Ok(())
}

fn c028_badged_endpoint_is_not_badged_again(world: &World) -> Outcome {
    let endpoint = world.endpoint()?;
    let badged = world.mint(endpoint, Rights::ALL, 0x1234)?;
    for badge in [0, 0x99, 0x1234] {
        check!(world.at(world.slot()).mint_from(world.at(badged), Rights::ALL, badge) == Err(Error::IllegalOperation));
    }
    check!(world.at(world.slot()).mutate_from(world.at(badged), 0) == Err(Error::IllegalOperation));
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
    Ok(())
}

fn c058_revoke_deletes_all_copies(world: &World) -> Outcome {
    let endpoint = world.endpoint()?;
    let badged = world.mint(endpoint, Rights::ALL, 5)?;
    let copies = world.slots(40);
    for copy in copies..copies + 40 {
        world.at(copy).copy_from(world.at(badged), Rights::ALL)?;
    }
    world.at(badged).revoke()?;
    for copy in copies..copies + 40 {
        world.at(copy).copy_from(world.at(badged), Rights::ALL)?;
    }
    world.at(endpoint.cptr().0).revoke()?;
    check!(world.at(world.slot()).copy_from(world.at(badged), Rights::ALL).is_err());
    world.at(world.slot()).copy_from(world.at(endpoint.cptr().0), Rights::ALL)?;
    Ok(())
}
