//! Interrupts and the user-level timer (conformance 84, 85, 137 to 140).

use hybrid_sys::abi::label;
use hybrid_sys::{
    CNode, Endpoint, Error, IrqHandler, Message, Notification, ObjectType, Rights, Trigger, count_per_second,
    count_virtual,
};

use super::tests;
use crate::suite::Test;
use crate::timer::{CONTROL, TIMER_IRQ, Timer, now_us};
use crate::world::{OWN, Outcome, Plan, SELF, Thread, WAIT_US, Word, World, ask, cell};

pub(super) const TESTS: &[Test] = tests![
    c084_handler_runs_on_the_notifications_time,
    c085_handler_without_time_never_runs,
    c085_one_context_serves_two_waiters,
    c137_one_shot_and_periodic_timer,
    c138_handler_issue_checks_its_numbers + ["x062", "x064", "x067"],
    c138_new_handler_fires_although_the_old_one_never_acknowledged,
    c139_long_revocation_is_preempted,
    c139_long_zeroing_is_preempted,
    c140_no_interrupt_between_delivery_and_ack,
    s08_revoking_interrupt_control_ends_all_handlers,
    s08_cleared_handler_signals_nobody,
    s08_signal_capability_raises_its_interrupt if KernelForOneCore,
    s11_timer_access_ends_when_denied,
];

fn c137_one_shot_and_periodic_timer(world: &World) -> Outcome {
    let timer = world.timer()?;
    for us in [100, 1_000, 5_000] {
        let before = count_virtual();
        Timer::arm_us(us);
        check_eq!(timer.notification.wait(), 0x10);
        check!(count_virtual() - before >= count_per_second() * us / 1_000_000);
        Timer::disarm();
        timer.handler.ack()?;
        check_eq!(timer.notification.poll(), 0);
    }
    // Periodic: the next one is armed before the acknowledgement.
    let start = now_us();
    Timer::arm_us(1_000);
    for _ in 0..20 {
        check_eq!(timer.notification.wait(), 0x10);
        Timer::arm_us(1_000);
        timer.handler.ack()?;
    }
    Timer::disarm();
    check!(now_us() - start >= 20_000);
    Ok(())
}

fn c140_no_interrupt_between_delivery_and_ack(world: &World) -> Outcome {
    let Timer { handler, notification } = world.timer()?;
    Timer::arm_us(100);
    check_eq!(notification.wait(), 0x10);
    // The line is still active: without Ack nothing may come, with Ack it comes again.
    let end = now_us() + 10_000;
    while now_us() < end {
        check_eq!(notification.poll(), 0);
    }
    handler.ack()?;
    check_eq!(notification.wait(), 0x10);
    Timer::disarm();
    handler.ack()?;
    check_eq!(notification.poll(), 0);
    Ok(())
}

fn c138_handler_issue_checks_its_numbers(world: &World) -> Outcome {
    let slot = world.slot();
    let issue = |irq, slot| CONTROL.issue(irq, world.at(slot));
    for beyond in [160, 1 << 32, u64::MAX] {
        check!(issue(beyond, slot) == Err(Error::Range { min: 0, max: 159 }));
        check!(
            CONTROL.issue_triggered(beyond, Trigger::Edge, world.at(slot)) == Err(Error::Range { min: 0, max: 159 })
        );
    }
    check!(issue(27, slot) == Err(Error::RevokeFirst));
    issue(30, slot)?;
    check!(issue(30, world.slot()) == Err(Error::RevokeFirst));
    world.at(slot).delete()?;
    issue(159, slot)?;
    world.at(slot).delete()?;
    issue(40, slot)?;
    check!(issue(40, world.slot()) == Err(Error::RevokeFirst));
    check!(issue(41, slot) == Err(Error::DeleteFirst));
    // As long as any copy exists the interrupt is in use.
    let copy = world.slot();
    world.at(copy).copy_from(world.at(slot), Rights::ALL)?;
    world.at(slot).delete()?;
    check!(issue(40, slot) == Err(Error::RevokeFirst));
    world.at(copy).delete()?;
    CONTROL.issue_triggered(40, Trigger::Edge, world.at(slot))?;
    check!(CONTROL.issue_triggered(40, Trigger::Edge, world.at(world.slot())) == Err(Error::RevokeFirst));
    let set = |cap| IrqHandler::at(slot).set_notification(Notification::at(cap));
    check!(set(world.endpoint()?.cptr().0) == Err(Error::InvalidCapability { number: 0 }));
    let silent = world.mint(world.notification()?, Rights::READ, 0)?;
    check!(set(silent) == Err(Error::InvalidCapability { number: 0 }));
    check!(ask(hybrid_sys::CPtr(slot), 28, &[], &[]).info >> 12 == 7);
    check!(ask(CONTROL, 26, &[40, 1], &[]).info >> 12 == 7 && ask(CONTROL, 99, &[], &[]).info >> 12 == 3);
    world.at(slot).delete()?;
    Ok(())
}

fn c138_new_handler_fires_although_the_old_one_never_acknowledged(world: &World) -> Outcome {
    let Timer { handler, notification } = world.timer()?;
    Timer::arm_us(100);
    check_eq!(notification.wait(), 0x10);
    Timer::disarm();
    world.at(handler.cptr().0).delete()?;
    let slot = world.slot();
    CONTROL.issue(TIMER_IRQ, world.at(slot))?;
    IrqHandler::at(slot).set_notification(Notification::at(world.mint(notification, Rights::ALL, 0x20)?))?;
    Timer::arm_us(100);
    let end = now_us() + WAIT_US;
    let mut signals = 0;
    while signals == 0 && now_us() < end {
        signals = notification.poll();
    }
    Timer::disarm();
    check_eq!(signals, 0x20);
    Ok(())
}

/// A thread of priority 200 that takes the timer each 200 µs and counts.
fn ticking(world: &World) -> Result<&'static Word, Error> {
    let (timer, ticks) = (world.timer()?, cell());
    let thread = world.prepare(&Plan::at(200), move || {
        loop {
            let _ = timer.sleep_us(200);
            ticks.add(1);
        }
    })?;
    world.platform.allow_timer(thread.tcb)?;
    thread.tcb.resume()?;
    SELF.set_priority(SELF, 100)?;
    Ok(ticks)
}

fn c139_long_revocation_is_preempted(world: &World) -> Outcome {
    let endpoint = world.endpoint()?;
    let cnode = CNode::at(world.make(ObjectType::CapTable, 12)?);
    let ticks = ticking(world)?;
    // A host that pauses the emulator may swallow ticks: one good round of several is enough.
    let mut most = 0;
    for _ in 0..20 {
        for slot in 0..4096 {
            cnode.slot(slot, 12).mint_from(world.at(endpoint.cptr().0), Rights::ALL, slot + 1)?;
        }
        ticks.set(0);
        world.at(endpoint.cptr().0).revoke()?;
        most = ticks.get().max(most);
        check!(world.at(world.slot()).copy_from(cnode.slot(4095, 12), Rights::ALL).is_err());
        if most >= 2 {
            break;
        }
    }
    check!(most >= 2);
    Ok(())
}

fn c139_long_zeroing_is_preempted(world: &World) -> Outcome {
    let memory = hybrid_sys::Untyped::at(world.make(ObjectType::Untyped, 22)?);
    let slot = world.slot();
    let ticks = ticking(world)?;
    let mut most = 0;
    for _ in 0..20 {
        memory.retype_into(ObjectType::Untyped, 22, crate::world::OWN, slot)?;
        world.at(slot).delete()?;
        ticks.set(0);
        memory.retype_into(ObjectType::LargePage, 0, crate::world::OWN, slot)?;
        most = ticks.get().max(most);
        world.at(slot).delete()?;
        if most >= 1 {
            break;
        }
    }
    check!(most >= 1);
    Ok(())
}

/// A thread without time that waits for the timer's signals and counts them; it has reached its wait.
fn passive_waiter(world: &World, timer: Timer, acknowledges: bool) -> Result<(Thread, &'static Word), Error> {
    let (count, pause) = (cell(), pause_us());
    let thread = world.prepare(&Plan::at(100).passive(), move || {
        loop {
            let _ = timer.notification.wait();
            count.add(1);
            if acknowledges {
                Timer::arm_us(pause);
                let _ = timer.handler.ack();
            }
        }
    })?;
    world.platform.allow_timer(thread.tcb)?;
    let time = thread.context;
    time.bind(thread.tcb)?;
    thread.tcb.resume()?;
    world.settle()?;
    time.unbind()?;
    Ok((thread, count))
}

/// How long a waiter that serves the timer lets pass until its next interrupt: enough that it waits again by then. Where a host can pause
/// the machine, a shorter time can be over before, and then the same waiter is served for ever, which is allowed.
fn pause_us() -> u64 {
    if crate::timer::is_exact() { 1_000 } else { 30_000 }
}

/// Lets µs pass without the timer, at priority 1.
fn pass_us(us: u64) -> Outcome {
    SELF.set_priority(SELF, 1)?;
    crate::timer::spin_us(us);
    Ok(SELF.set_priority(SELF, 255)?)
}

fn c084_handler_runs_on_the_notifications_time(world: &World) -> Outcome {
    let timer = world.timer()?;
    let (thread, count) = passive_waiter(world, timer, true)?;
    thread.context.bind_notification(timer.notification)?;
    Timer::arm_us(1_000);
    let end = now_us() + WAIT_US;
    while count.get() < 5 && now_us() < end {
        pass_us(2_000)?;
    }
    check!(count.get() >= 5);
    // Together with a waiter that has its own time: both take their turns.
    let (own, pause) = (cell(), pause_us());
    let other = world.prepare(&Plan::at(100), move || {
        loop {
            let _ = timer.notification.wait();
            own.add(1);
            Timer::arm_us(pause);
            let _ = timer.handler.ack();
        }
    })?;
    world.platform.allow_timer(other.tcb)?;
    other.tcb.resume()?;
    let end = now_us() + WAIT_US;
    count.set(0);
    while (count.get() < 3 || own.get() < 3) && now_us() < end {
        pass_us(2_000)?;
    }
    check!(count.get() >= 3 && own.get() >= 3);
    Ok(())
}

fn c085_handler_without_time_never_runs(world: &World) -> Outcome {
    let timer = world.timer()?;
    let (_, count) = passive_waiter(world, timer, true)?;
    Timer::arm_us(500);
    pass_us(10_000)?;
    check_eq!(count.get(), 0);
    Ok(())
}

fn c085_one_context_serves_two_waiters(world: &World) -> Outcome {
    let timer = world.timer()?;
    let ((first, one), (_, two)) = (passive_waiter(world, timer, true)?, passive_waiter(world, timer, true)?);
    first.context.bind_notification(timer.notification)?;
    Timer::arm_us(500);
    let end = now_us() + WAIT_US;
    while (one.get() < 3 || two.get() < 3) && now_us() < end {
        pass_us(2_000)?;
    }
    check!(one.get() >= 3 && two.get() >= 3);
    // Without the context nobody is served any more.
    world.at(first.context.cptr().0).delete()?;
    Timer::arm_us(500);
    let before = one.get() + two.get();
    pass_us(10_000)?;
    check_eq!(one.get() + two.get(), before);
    Ok(())
}

fn s08_revoking_interrupt_control_ends_all_handlers(world: &World) -> Outcome {
    let slots = world.slots(3);
    for (slot, irq) in (slots..).zip([40, 41, 42]) {
        CONTROL.issue(irq, world.at(slot))?;
    }
    world.at(4).revoke()?;
    for (slot, irq) in (slots..).zip([40, 41, 42]) {
        check!(IrqHandler::at(slot).ack() == Err(Error::InvalidCapability { number: 0 }));
        CONTROL.issue(irq, world.at(slot))?;
    }
    Ok(())
}

fn s08_cleared_handler_signals_nobody(world: &World) -> Outcome {
    let Timer { handler, notification } = world.timer()?;
    handler.clear()?;
    Timer::arm_us(100);
    pass_us(3_000)?;
    check_eq!(notification.poll(), 0);
    // Set again and acknowledged, it fires: the line is still active.
    handler.set_notification(Notification::at(world.mint(notification, Rights::ALL, 0x40)?))?;
    handler.ack()?;
    check_eq!(notification.wait(), 0x40);
    Timer::disarm();
    handler.ack()?;
    // A revoked notification capability ends the signals as well.
    world.at(notification.cptr().0).revoke()?;
    Timer::arm_us(100);
    pass_us(3_000)?;
    check_eq!(notification.poll(), 0);
    Ok(())
}

fn s08_signal_capability_raises_its_interrupt(world: &World) -> Outcome {
    let (notification, other) = (world.notification()?, world.notification()?);
    // A handler that no signal capability here is for: it must hear nothing.
    let bystander = world.slot();
    CONTROL.issue(9, world.at(bystander))?;
    IrqHandler::at(bystander).set_notification(other)?;
    for sgi in [0, 1, 5, 15] {
        let (handler, signal) = (world.slot(), world.slot());
        CONTROL.issue(sgi, world.at(handler))?;
        let badged = world.mint(notification, Rights::ALL, 1 << sgi)?;
        IrqHandler::at(handler).set_notification(Notification::at(badged))?;
        let words = [sgi, 0, signal, 64];
        CONTROL.cptr().invoke(label::IRQ_ISSUE_SGI_SIGNAL, &words, &[OWN.cptr()])?;
        check_eq!(notification.poll(), 0);
        // Whatever sends does, whatever it says.
        let raise: [&dyn Fn(); 3] = [
            &|| Endpoint::at(signal).send(&Message::new(3, &[4])),
            &|| Endpoint::at(signal).try_send(&Message::default()),
            &|| _ = Endpoint::at(signal).call(&Message::new(77, &[1, 2])),
        ];
        for raise in raise {
            raise();
            let (end, mut heard) = (now_us() + WAIT_US, 0);
            while heard == 0 && now_us() < end {
                heard = notification.poll();
            }
            check_eq!(heard, 1 << sgi);
            IrqHandler::at(handler).ack()?;
            check_eq!(notification.poll(), 0);
        }
        world.at(handler).delete()?;
    }
    check_eq!(other.poll(), 0);
    Ok(())
}

fn s11_timer_access_ends_when_denied(world: &World) -> Outcome {
    for (is_allowed, faults) in [(false, true), (true, false), (false, true)] {
        let (endpoint, reply, done) = (world.endpoint()?, world.reply()?, cell());
        let thread = world.prepare(&Plan::at(254).with_fault(endpoint), move || {
            Timer::arm_us(1_000_000);
            Timer::disarm();
            done.set(1);
        })?;
        if is_allowed {
            world.platform.allow_timer(thread.tcb)?;
        } else {
            world.platform.deny_timer(thread.tcb)?;
        }
        thread.tcb.resume()?;
        world.settle()?;
        let fault = endpoint.try_recv(reply);
        check!((done.get() == 0) == faults && (!faults || fault.info.label() == 3));
    }
    Ok(())
}
