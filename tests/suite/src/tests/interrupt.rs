//! Interrupts and the user-level timer (conformance 137 to 140).

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use hybrid_sys::{Error, IrqControl, IrqHandler, Notification, ObjectType, Rights, Trigger};

use super::tests;
use crate::suite::Test;
use crate::world::{Outcome, Plan, SELF, World};

pub(super) const TESTS: &[Test] = tests![
    c137_physical_timer_interrupts_through_a_notification,
    c138_handler_issue_checks_its_numbers,
    c139_long_revocation_is_preempted,
    c140_no_interrupt_between_delivery_and_ack,
    timer_access_ends_when_denied,
    c138_new_handler_fires_although_the_old_one_never_acknowledged,
];

const CONTROL: IrqControl = IrqControl::at(4);
const TIMER: u64 = 30;

fn timer(world: &World, badge: u64) -> Result<(IrqHandler, Notification), Error> {
    world.platform.allow_timer(SELF)?;
    let slot = world.slot();
    CONTROL.issue_triggered(TIMER, Trigger::Level, world.at(slot))?;
    let (handler, notification) = (IrqHandler::at(slot), world.notification()?);
    handler.set_notification(Notification::at(world.mint(notification, Rights::ALL, badge)?))?;
    handler.ack()?;
    Ok((handler, notification))
}

fn arm(microseconds: u64) {
    let ticks = hybrid_sys::count_per_second() * microseconds / 1_000_000;
    // SAFETY: the EL1 physical timer is this thread's by Platform.allow_timer.
    unsafe {
        asm!("msr cntp_tval_el0, {}", "msr cntp_ctl_el0, {}", "isb", in(reg) ticks, in(reg) 1u64, options(nomem, nostack))
    };
}

fn disarm() {
    // SAFETY: as in `arm`.
    unsafe { asm!("msr cntp_ctl_el0, xzr", "isb", options(nomem, nostack)) };
}

fn c137_physical_timer_interrupts_through_a_notification(world: &World) -> Outcome {
    let (handler, notification) = timer(world, 0x10)?;
    for _ in 0..10 {
        let before = hybrid_sys::count_virtual();
        arm(1_000);
        check!(notification.wait() == 0x10);
        check!(hybrid_sys::count_virtual() - before >= hybrid_sys::count_per_second() / 1000);
        disarm();
        handler.ack()?;
    }
    world.platform.deny_timer(SELF)?;
    Ok(())
}

fn c140_no_interrupt_between_delivery_and_ack(world: &World) -> Outcome {
    let (handler, notification) = timer(world, 0x10)?;
    arm(100);
    check!(notification.wait() == 0x10);
    // The line is still active: without Ack nothing may come, with Ack it comes again.
    let end = hybrid_sys::count_virtual() + hybrid_sys::count_per_second() / 100;
    while hybrid_sys::count_virtual() < end {
        check!(notification.poll() == 0);
    }
    handler.ack()?;
    check!(notification.wait() == 0x10);
    disarm();
    handler.ack()?;
    check!(notification.poll() == 0);
    world.platform.deny_timer(SELF)?;
    Ok(())
}

fn c138_handler_issue_checks_its_numbers(world: &World) -> Outcome {
    let slot = world.slot();
    check!(CONTROL.issue(160, world.at(slot)) == Err(Error::Range { min: 0, max: 159 }));
    check!(CONTROL.issue(27, world.at(slot)) == Err(Error::RevokeFirst));
    CONTROL.issue(40, world.at(slot))?;
    check!(CONTROL.issue(40, world.at(world.slot())) == Err(Error::RevokeFirst));
    check!(CONTROL.issue(41, world.at(slot)) == Err(Error::DeleteFirst));
    check!(
        IrqHandler::at(slot).set_notification(Notification(world.endpoint()?.cptr()))
            == Err(Error::InvalidCapability { number: 0 })
    );
    world.at(slot).delete()?;
    CONTROL.issue(40, world.at(slot))?;
    Ok(())
}

fn c138_new_handler_fires_although_the_old_one_never_acknowledged(world: &World) -> Outcome {
    let (handler, notification) = timer(world, 0x10)?;
    arm(100);
    check!(notification.wait() == 0x10);
    disarm();
    world.at(handler.cptr().0).delete()?;
    let slot = world.slot();
    CONTROL.issue_triggered(TIMER, Trigger::Level, world.at(slot))?;
    IrqHandler::at(slot).set_notification(Notification::at(world.mint(notification, Rights::ALL, 0x20)?))?;
    arm(100);
    let end = hybrid_sys::count_virtual() + hybrid_sys::count_per_second();
    let mut signals = 0;
    while signals == 0 && hybrid_sys::count_virtual() < end {
        signals = notification.poll();
    }
    disarm();
    world.platform.deny_timer(SELF)?;
    check!(signals == 0x20);
    Ok(())
}

static TICKS: AtomicU64 = AtomicU64::new(0);

extern "C" fn tick(argument: u64) {
    let (handler, notification) = (IrqHandler::at(argument >> 16), Notification::at(argument & 0xffff));
    loop {
        arm(200);
        let _ = notification.wait();
        disarm();
        let _ = handler.ack();
        TICKS.fetch_add(1, Ordering::Relaxed);
    }
}

fn c139_long_revocation_is_preempted(world: &World) -> Outcome {
    let (handler, notification) = timer(world, 1)?;
    world.platform.deny_timer(SELF)?;
    let endpoint = world.endpoint()?;
    let cnode = hybrid_sys::CNode::at(world.make(ObjectType::CapTable, 12)?);
    SELF.set_priority(SELF, 100)?;
    let thread = world.thread(&Plan::new(tick, handler.cptr().0 << 16 | notification.cptr().0, 200))?;
    world.platform.allow_timer(thread.tcb)?;
    thread.tcb.resume()?;
    // A host that pauses the emulator may swallow ticks: one good round of several is enough.
    let mut most = 0;
    for _ in 0..20 {
        for slot in 0..4096 {
            cnode.slot(slot, 12).mint_from(world.at(endpoint.cptr().0), Rights::ALL, slot + 1)?;
        }
        TICKS.store(0, Ordering::Relaxed);
        world.at(endpoint.cptr().0).revoke()?;
        most = TICKS.load(Ordering::Relaxed).max(most);
        check!(world.at(world.slot()).copy_from(cnode.slot(4095, 12), Rights::ALL).is_err());
        if most >= 2 {
            break;
        }
    }
    thread.tcb.suspend()?;
    SELF.set_priority(SELF, 255)?;
    check!(most >= 2);
    Ok(())
}

extern "C" fn use_timer(_: u64) {
    arm(1_000_000);
    disarm();
    TICKS.store(1, Ordering::Relaxed);
}

fn timer_access_ends_when_denied(world: &World) -> Outcome {
    for (is_allowed, faults) in [(false, true), (true, false), (false, true)] {
        TICKS.store(0, Ordering::Relaxed);
        let (endpoint, reply) = (world.endpoint()?, world.reply()?);
        let thread = world.thread(&Plan { fault: endpoint.cptr(), ..Plan::new(use_timer, 0, 254) })?;
        if is_allowed {
            world.platform.allow_timer(thread.tcb)?;
        }
        thread.tcb.resume()?;
        super::thread::let_run(world, 1)?;
        let fault = endpoint.try_recv(reply);
        check!((TICKS.load(Ordering::Relaxed) == 0) == faults);
        check!(!faults || fault.info.label() == 3);
    }
    Ok(())
}
