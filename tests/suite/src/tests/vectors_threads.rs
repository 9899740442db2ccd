//! Measured vectors of the ABI's appendix C: threads, time, interrupts, identifiers (x050 to x069).

use hybrid_sys::abi::label;
use hybrid_sys::{CPtr, ObjectType};

use super::tests;
use super::vectors::is;
use crate::suite::Test;
use crate::timer::CONTROL;
use crate::world::{OWN, Outcome, SELF, SPACE, World, ask, share};

pub(super) const TESTS: &[Test] = tests![
    x050_configure_wants_spaces_and_a_good_buffer + ["x051"],
    x052_schedule_parameters_and_handlers + ["x053"],
    x059_bindings_of_contexts + ["x060"],
    x061_binding_of_notifications,
    x063_get_trigger_of_a_private_interrupt,
    x065_get_trigger_core if Cores,
    x066_issue_of_signal_capabilities if KernelForOneCore,
    x069_make_pool,
];

fn x050_configure_wants_spaces_and_a_good_buffer(world: &World) -> Outcome {
    let (tcb, frame) = (CPtr(world.make(ObjectType::Tcb, 0)?), world.frame()?.cptr());
    let configure = |address, caps: [CPtr; 3]| ask(tcb, label::TCB_CONFIGURE, &[0, 0, address], &caps);
    let (cspace, vspace, endpoint) = (OWN.cptr(), SPACE.cptr(), world.endpoint()?.cptr());
    check!(is(configure(0, [CPtr::NULL, vspace, frame]), 3, &[]));
    check!(is(configure(0, [cspace, CPtr::NULL, frame]), 3, &[]));
    check!(is(configure(0x1001, [cspace, vspace, frame]), 5, &[]));
    check!(is(configure(0x1000, [cspace, vspace, endpoint]), 3, &[]));
    check!(is(ask(tcb, label::TCB_CONFIGURE, &[0, 0], &[cspace, vspace, frame]), 7, &[]));
    check!(is(ask(tcb, label::TCB_CONFIGURE, &[0, 0, 0], &[cspace, vspace]), 7, &[]));
    check!(is(configure(0x1000, [cspace, vspace, frame]), 0, &[]));
    Ok(())
}

fn x052_schedule_parameters_and_handlers(world: &World) -> Outcome {
    let tcb = CPtr(world.make(ObjectType::Tcb, 0)?);
    let (endpoint, notification) = (world.endpoint()?.cptr(), world.notification()?.cptr());
    let set = |caps: [CPtr; 3]| ask(tcb, label::TCB_SET_SCHED_PARAMS, &[1, 1], &caps);
    check!(is(set([SELF.cptr(), endpoint, CPtr::NULL]), 2, &[2]));
    check!(is(set([SELF.cptr(), CPtr::NULL, notification]), 2, &[3]));
    check!(is(set([endpoint, CPtr::NULL, CPtr::NULL]), 2, &[1]));
    let space = ask(tcb, label::TCB_SET_SPACE, &[0, 0], &[notification, OWN.cptr(), SPACE.cptr()]);
    check!(is(space, 2, &[1]));
    check!(is(ask(tcb, label::TCB_SET_TIMEOUT_ENDPOINT, &[], &[notification]), 2, &[1]));
    Ok(())
}

fn x059_bindings_of_contexts(world: &World) -> Outcome {
    let own = CPtr(14);
    let (tcb, endpoint) = (CPtr(world.make(ObjectType::Tcb, 0)?), world.endpoint()?.cptr());
    let fresh = CPtr(world.make(ObjectType::SchedContext, 8)?);
    check!(is(ask(fresh, label::SCHED_CONTEXT_BIND, &[], &[endpoint]), 2, &[1]));
    check!(is(ask(own, label::SCHED_CONTEXT_BIND, &[], &[tcb]), 3, &[]));
    check!(is(ask(own, label::SCHED_CONTEXT_UNBIND, &[], &[]), 3, &[]));
    check!(is(ask(own, label::SCHED_CONTEXT_YIELD_TO, &[], &[]), 3, &[]));
    check!(is(ask(fresh, label::SCHED_CONTEXT_YIELD_TO, &[], &[]), 3, &[]));
    world.control(0).configure(hybrid_sys::SchedContext(fresh), &share(100, 100))?;
    Ok(())
}

fn x061_binding_of_notifications(world: &World) -> Outcome {
    let (tcb, endpoint) = (CPtr(world.make(ObjectType::Tcb, 0)?), world.endpoint()?.cptr());
    check!(is(ask(tcb, label::TCB_BIND_NOTIFICATION, &[], &[endpoint]), 3, &[]));
    check!(is(ask(tcb, label::TCB_UNBIND_NOTIFICATION, &[], &[]), 3, &[]));
    Ok(())
}

fn x063_get_trigger_of_a_private_interrupt(world: &World) -> Outcome {
    let slot = world.slot();
    let answer = ask(CONTROL, label::IRQ_ISSUE_HANDLER_TRIGGER, &[29, 0, slot, 64], &[OWN.cptr()]);
    let expected = if crate::suite::is_kernel_for_several_cores(world) { 3 } else { 0 };
    world.at(slot).delete()?;
    check!(is(answer, expected, &[]));
    Ok(())
}

fn x065_get_trigger_core(world: &World) -> Outcome {
    let issue = |irq, core| ask(CONTROL, 56, &[irq, 0, world.slot(), 64, core], &[OWN.cptr()]);
    check!(is(issue(29, 1), 0, &[]));
    // The index word is not specified.
    check!(issue(40, 9).info == 1 << 12 | 1);
    Ok(())
}

fn x066_issue_of_signal_capabilities(world: &World) -> Outcome {
    let issue = |sgi, target, slot| ask(CONTROL, label::IRQ_ISSUE_SGI_SIGNAL, &[sgi, target, slot, 64], &[OWN.cptr()]);
    let is_v2 = world.boot.info.untyped_list[1].paddr == 0x800_1000;
    check!(is(issue(16, 0, world.slot()), 4, &[0, 15]));
    check!(is(issue(5, if is_v2 { 9 } else { 1 << 32 }, world.slot()), 1, &[1]));
    let slot = world.slot();
    check!(is(issue(5, 0, slot), 0, &[]));
    // Any invocation raises the interrupt, whatever it says.
    check!(is(ask(CPtr(slot), 77, &[1, 2], &[]), 0, &[]));
    // It is copied like other capabilities, and a child of IRQControl.
    let copy = world.slot();
    world.at(copy).copy_from(world.at(slot), hybrid_sys::Rights::ALL)?;
    world.at(4).revoke()?;
    check!(is(ask(CPtr(copy), 77, &[], &[]), 2, &[0]));
    Ok(())
}

fn x069_make_pool(world: &World) -> Outcome {
    let (control, endpoint) = (CPtr(5), world.endpoint()?.cptr());
    let memory = CPtr(world.make(ObjectType::Untyped, 12)?);
    let make = |memory| ask(control, label::ASID_CONTROL_MAKE_POOL, &[world.slot(), 64], &[memory, OWN.cptr()]);
    check!(is(make(endpoint), 2, &[1]));
    check!(is(make(memory), 0, &[]));
    check!(is(make(memory), 9, &[]));
    Ok(())
}
