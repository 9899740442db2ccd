//! The Audit object, which HybridOS adds (kernel ABI, appendix F): what it tells of a running system.

use hybrid_sys::abi::{cap_tag, extension};
use hybrid_sys::{Audit, AuditEntry, Error, ObjectType, Rights};

use super::tests;
use crate::suite::Test;
use crate::world::{Outcome, World};

pub(super) const TESTS: &[Test] = tests![
    a001_every_capability_is_listed_once,
    a001_what_only_a_hidden_cnode_holds_is_listed,
    a002_a_listing_survives_what_happens_between_its_calls,
    a003_ids_of_used_memory_differ,
    a004_refusals_leave_the_listing_where_it_is,
];

/// Entries of one listing that are kept; the suite's world has fewer.
const ROOM: usize = 1200;

fn audit(world: &World) -> Result<Audit, Error> {
    world.boot.audit().ok_or(Error::IllegalOperation)
}

/// How many entries satisfy this, of all.
fn count(audit: Audit, mut is_meant: impl FnMut(AuditEntry) -> bool) -> Result<(u64, u64), Error> {
    let (mut meant, mut all, mut from_start) = (0, 0, true);
    loop {
        let told = audit.list(from_start, |entry| {
            meant += u64::from(is_meant(entry));
            all += 1;
        })?;
        if told == 0 {
            return Ok((meant, all));
        }
        from_start = false;
    }
}

fn tag(entry: AuditEntry) -> u64 {
    entry.words[0] & 0x1f
}

fn is_notification(entry: AuditEntry, badge: u64) -> bool {
    tag(entry) == cap_tag::NOTIFICATION && entry.words[1] == badge
}

fn a001_every_capability_is_listed_once(world: &World) -> Outcome {
    let audit = audit(world)?;
    let (_, before) = count(audit, |_| true)?;
    check!(before > world.boot.info.empty.start / 2);
    let notification = world.notification()?;
    let minted = world.mint(notification, Rights::WRITE, 0x5eed)?;
    let (found, after) = count(audit, |entry| is_notification(entry, 0x5eed))?;
    check_eq!(found, 1);
    check_eq!(after, before + 2);
    // Rights in bits 5 to 8: Write alone.
    let (writable, _) =
        count(audit, |entry| is_notification(entry, 0x5eed) && entry.words[0] >> 5 & 15 == Rights::WRITE.0)?;
    check_eq!(writable, 1);
    world.at(minted).delete()?;
    check_eq!(count(audit, |entry| is_notification(entry, 0x5eed))?.0, 0);
    // No slot twice.
    let mut last = [0u64; ROOM];
    let mut kept = 0;
    let (twice, all) = count(audit, |entry| {
        let is_old = last[..kept].contains(&(entry.slot & !31));
        if let Some(place) = last.get_mut(kept) {
            *place = entry.slot & !31;
            kept += 1;
        }
        is_old
    })?;
    check_eq!(twice, 0);
    check!(all <= ROOM as u64);
    Ok(())
}

fn a001_what_only_a_hidden_cnode_holds_is_listed(world: &World) -> Outcome {
    let audit = audit(world)?;
    let cnode = hybrid_sys::CNode::at(world.make(ObjectType::CapTable, 2)?);
    let notification = world.mint(world.notification()?, Rights::ALL, 0x5eed)?;
    // Into the CNode, and the CNode's last capability into itself: nobody names either any more.
    cnode.slot(1, 2).move_from(world.at(notification))?;
    cnode.slot(0, 2).move_from(world.at(cnode.cptr().0))?;
    check_eq!(count(audit, |entry| is_notification(entry, 0x5eed))?.0, 1);
    Ok(())
}

fn a002_a_listing_survives_what_happens_between_its_calls(world: &World) -> Outcome {
    let audit = audit(world)?;
    let notification = world.notification()?;
    let badge = |n: u64| 0x5eed_0000 + n;
    let first = world.slots(40);
    for n in 0..40 {
        world.at(first + n).mint_from(world.at(notification.cptr().0), Rights::ALL, badge(n))?;
    }
    let mut told = [0u64; 40];
    let mut tell = |entry: AuditEntry| {
        if let Some(times) = told.iter_mut().enumerate().find(|(n, _)| is_notification(entry, badge(*n as u64))) {
            *times.1 += 1;
        }
    };
    let (mut from_start, mut calls) = (true, 0u64);
    loop {
        if audit.list(from_start, &mut tell)? == 0 {
            break;
        }
        from_start = false;
        calls += 1;
        // Slots 0 to 9 move at every step; 10 to 19 are deleted in the middle of it; more are made.
        for n in 0..10 {
            let (from, to) = if calls % 2 == 1 { (first + n, first + n + 10) } else { (first + n + 10, first + n) };
            world.at(to).delete()?;
            world.at(to).move_from(world.at(from))?;
        }
        world.mint(notification, Rights::ALL, 1)?;
    }
    check!(calls > 3);
    for n in (0..10).chain(20..40) {
        check_eq!(told[n], 1);
    }
    check!(told[10..20].iter().all(|times| *times <= 1));
    // The end stays the end.
    check_eq!(audit.list(false, |_| {})? as u64, 0);
    Ok(())
}

fn a003_ids_of_used_memory_differ(world: &World) -> Outcome {
    let audit = audit(world)?;
    let memory = hybrid_sys::Untyped::at(world.make(ObjectType::Untyped, 12)?);
    let slot = world.slot();
    let mut ids = [(0u64, 0u64); 3];
    for id in &mut ids {
        memory.retype_into(ObjectType::Notification, 0, crate::world::OWN, slot)?;
        world.at(world.slots(1)).mint_from(world.at(slot), Rights::ALL, 0x5eed)?;
        count(audit, |entry| {
            if is_notification(entry, 0x5eed) {
                id.0 = entry.words[0] >> 16;
            }
            false
        })?;
        let address = id.0;
        count(audit, |entry| {
            if tag(entry) == cap_tag::UNTYPED && entry.words[1] & !0xfff == address && entry.words[0] >> 6 & 63 == 12 {
                id.1 = entry.words[0] >> 13;
            }
            false
        })?;
        world.at(memory.cptr().0).revoke()?;
    }
    check!(ids[0].0 != 0 && ids[0].0 == ids[1].0 && ids[1].0 == ids[2].0);
    check!(ids[0].1 != 0 && ids[0].1 != ids[1].1 && ids[1].1 != ids[2].1 && ids[0].1 != ids[2].1);
    Ok(())
}

fn a004_refusals_leave_the_listing_where_it_is(world: &World) -> Outcome {
    let audit = audit(world)?;
    let copy = world.slot();
    world.at(copy).copy_from(world.at(audit.cptr().0), Rights::ALL)?;
    let copy = Audit::at(copy);
    let mut slots = [0u64; 2 * extension::AUDIT_ENTRIES];
    let mut kept = 0;
    let mut keep = |entry: AuditEntry| {
        slots[kept] = entry.slot;
        kept += 1;
    };
    check_eq!(audit.list(true, &mut keep)? as u64, extension::AUDIT_ENTRIES as u64);
    let refused = |words: &[u64]| audit.cptr().invoke(extension::AUDIT_LIST, words, &[]).err();
    check!(refused(&[]) == Some(Error::TruncatedMessage));
    check!(refused(&[2]) == Some(Error::Range { min: 0, max: 1 }));
    check!(audit.cptr().invoke(extension::PLATFORM_SYSTEM_OFF, &[0], &[]).err() == Some(Error::IllegalOperation));
    check_eq!(copy.list(false, &mut keep)? as u64, extension::AUDIT_ENTRIES as u64);
    let (first, second) = slots.split_at(extension::AUDIT_ENTRIES);
    check!(second.iter().all(|slot| !first.contains(slot)));
    Ok(())
}
