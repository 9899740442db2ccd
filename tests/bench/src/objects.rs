//! Making, mapping, copying, revoking, destroying: the invocations.
use crate::counter::read;
use crate::rounds::{Figures, Mark, around_call, rounds};
use crate::world::{OWN, SERVER, Thread, World, place};
use libhybrid::sys::{Attributes, Error, Frame, ObjectType, Rights, SchedContext, Tcb, Untyped, VSpace};

/// Where pages are mapped and unmapped; its tables are made beforehand.
const PLACE: u64 = 0x60_0000_0000;
const SMALL_BITS: u8 = 12;
const LARGE_BITS: u8 = 21;
/// Rounds need so many slots when each fills one.
const MANY: u64 = 64;

/// One endpoint, and one frame, from memory that was not used since it was zeroed.
pub(crate) fn retype_fresh(world: &mut World) -> Result<[Figures; 2], Error> {
    let memory = world.untyped(20)?;
    let mut fresh = |kind| {
        let first = world.slot();
        world.reuse_slots_from(first + MANY);
        let mut slot = first;
        around_call(|| {
            slot += 1;
            memory.retype_into(kind, 0, OWN, slot)
        })
    };
    // The frames first: their rounds then all begin at a page boundary.
    let frame = fresh(ObjectType::SmallPage)?;
    Ok([fresh(ObjectType::Endpoint)?, frame])
}

/// An endpoint from memory of this size that was used up before, so all of it is zeroed.
pub(crate) fn retype_used(world: &mut World, is_large: bool) -> Result<Figures, Error> {
    let bits = if is_large { LARGE_BITS } else { SMALL_BITS };
    let memory = world.untyped(bits)?;
    let slot = world.slot();
    rounds(|| {
        memory.retype_into(ObjectType::Untyped, bits, OWN, slot)?;
        place(slot).delete()?;
        let before = read();
        memory.retype_into(ObjectType::Endpoint, 0, OWN, slot)?;
        let cost = read().since(before);
        place(slot).delete()?;
        Ok(cost)
    })
}

/// Page_Map and Page_Unmap of a small page in another address space whose tables are there.
pub(crate) fn map_unmap(world: &mut World, space: VSpace) -> Result<[Figures; 2], Error> {
    let frame = Frame::at(world.make(ObjectType::SmallPage, 0)?);
    world.map(space, frame, PLACE, Attributes::DATA)?;
    frame.unmap()?;
    let map = |frame: Frame| frame.map(space, PLACE, Rights::ALL, Attributes::DATA);
    let mapping = rounds(|| {
        let before = read();
        let outcome = map(frame);
        let cost = read().since(before);
        frame.unmap()?;
        outcome.map(|()| cost)
    })?;
    let unmapping = rounds(|| {
        map(frame)?;
        let before = read();
        frame.unmap()?;
        Ok(read().since(before))
    })?;
    Ok([mapping, unmapping])
}

/// CNode_Copy, CNode_Delete of a capability that is not the last, CNode_Revoke of ten badged children.
pub(crate) fn capabilities(world: &mut World) -> Result<[Figures; 3], Error> {
    let source = place(world.endpoint()?.cptr().0);
    let target = place(world.slot());
    let copy = rounds(|| {
        let before = read();
        target.copy_from(source, Rights::ALL)?;
        let cost = read().since(before);
        target.delete()?;
        Ok(cost)
    })?;
    let delete = rounds(|| {
        target.copy_from(source, Rights::ALL)?;
        let before = read();
        target.delete()?;
        Ok(read().since(before))
    })?;
    let first = world.slot();
    world.reuse_slots_from(first + 10);
    let revoke = rounds(|| {
        (0..10).try_for_each(|child| place(first + child).mint_from(source, Rights::ALL, child + 1))?;
        let before = read();
        source.revoke()?;
        Ok(read().since(before))
    })?;
    Ok([copy, delete, revoke])
}

/// The last capability to a CNode with 256 empty slots is deleted.
pub(crate) fn delete_cnode(world: &mut World) -> Result<Figures, Error> {
    let memory = world.untyped(14)?;
    let slot = world.slot();
    rounds(|| {
        memory.retype_into(ObjectType::CapTable, 8, OWN, slot)?;
        let before = read();
        place(slot).delete()?;
        Ok(read().since(before))
    })
}

/// The new thread's first reading.
static BORN: Mark = Mark::new();

/// Thread and scheduling context made, configured and started, up to the thread's first instruction.
///
/// Six invocations: two Retypes, TCB_Configure, SchedControl_ConfigureFlags, TCB_SetSchedParams, TCB_WriteRegisters with
/// the resume flag. Stack and IPC buffer are there.
pub(crate) fn create_thread(world: &mut World, space: VSpace) -> Result<Figures, Error> {
    extern "C" fn live(own: u64, _: u64) -> ! {
        BORN.set();
        loop {
            let _ = Tcb::at(own).suspend();
        }
    }
    let (stack, address, frame) = world.stack(space)?;
    let memory: Untyped = world.untyped(20)?;
    let (tcb, context) = (Tcb::at(world.slot()), SchedContext::at(world.slot()));
    // With FP: a new thread has it, and taking it away would be an invocation more.
    let plan = World::plan(space, SERVER, live, [tcb.cptr().0, 0]);
    let plan = crate::world::Plan { has_fp: true, ..plan };
    // So that the memory never has no children, and is not zeroed in between.
    let keeper = world.slot();
    memory.retype_into(ObjectType::Notification, 0, OWN, keeper)?;
    rounds(|| {
        let before = read();
        memory.retype_into(ObjectType::Tcb, 0, OWN, tcb.cptr().0)?;
        memory.retype_into(ObjectType::SchedContext, 8, OWN, context.cptr().0)?;
        world.configure(Thread { tcb, context }, &plan, stack, Some((address, frame)))?;
        let cost = BORN.get().since(before);
        place(tcb.cptr().0).delete()?;
        place(context.cptr().0).delete()?;
        Ok(cost)
    })
}
