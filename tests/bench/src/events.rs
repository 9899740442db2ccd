//! Signals, interrupts, faults, turns: the paths without messages.
use crate::counter::{Cost, read};
use crate::rounds::{Figures, Mark, around, figures, rounds};
use crate::world::{CALLER, IRQ_CONTROL, Plan, SELF, SERVER, SPACE, World, place};
use core::sync::atomic::{AtomicU64, Ordering};
use libhybrid::drv::timer;
use libhybrid::now_ns;
use libhybrid::sys::{Endpoint, Error, IrqHandler, Message, Notification, Platform, Reply, VSpace, yield_now};

/// The EL1 physical timer's interrupt on every board with a GIC.
const TIMER_IRQ: u64 = 30;
/// Readings of the woken thread.
static WOKEN: Mark = Mark::new();
static ACK_BEGINS: Mark = Mark::new();
static ACK_ENDS: Mark = Mark::new();
/// How often the driver ran.
static WAKES: AtomicU64 = AtomicU64::new(0);

/// Waits for each signal anew.
pub(crate) extern "C" fn wait_for_ever(notification: u64, _: u64) -> ! {
    loop {
        core::hint::black_box(Notification::at(notification).wait());
        WOKEN.set();
    }
}

/// A notification that a more important thread of `space` waits for.
pub(crate) fn bell(world: &mut World, space: VSpace) -> Result<Notification, Error> {
    let notification = world.notification()?;
    world.start(&World::plan(space, SERVER, wait_for_ever, [notification.cptr().0, 0]))?;
    Ok(notification)
}

/// From Signal to the first instruction of the thread that waited for this [`bell`].
pub(crate) fn wake(bell: Notification) -> Result<Figures, Error> {
    rounds(|| {
        let before = read();
        bell.signal();
        Ok(WOKEN.get().since(before))
    })
}

/// Two threads of one priority that signal and wait for each other in turn, a switch each time.
pub(crate) fn ping_pong(world: &mut World, space: VSpace) -> Result<[Figures; 2], Error> {
    /// One system call for both.
    extern "C" fn answer(ping: u64, pong: u64) -> ! {
        let (ping, pong) = (Notification::at(ping), Notification::at(pong));
        let _ = ping.wait();
        loop {
            core::hint::black_box(ping.signal_wait(pong));
        }
    }
    /// Two system calls.
    extern "C" fn answer_separately(ping: u64, pong: u64) -> ! {
        let (ping, pong) = (Notification::at(ping), Notification::at(pong));
        loop {
            let _ = core::hint::black_box(ping.wait());
            pong.signal();
        }
    }
    let mut start = |body| -> Result<(Notification, Notification), Error> {
        let (ping, pong) = (world.notification()?, world.notification()?);
        // Runs once as the more important one, so that it waits when the first round begins.
        let other = world.start(&World::plan(space, SERVER, body, [ping.cptr().0, pong.cptr().0]))?;
        other.tcb.set_priority(SELF, CALLER.into())?;
        Ok((ping, pong))
    };
    let (ping, pong) = start(answer)?;
    let combined = around(|| _ = core::hint::black_box(pong.signal_wait(ping)))?;
    let (ping, pong) = start(answer_separately)?;
    let separate = around(|| {
        ping.signal();
        let _ = core::hint::black_box(pong.wait());
    })?;
    Ok([combined, separate])
}

/// Signal that nobody waits for, and Poll of a notification without signals.
pub(crate) fn unheard(world: &mut World) -> Result<[Figures; 2], Error> {
    let (signals, idle) = (world.notification()?, world.notification()?);
    Ok([around(|| signals.signal())?, around(|| _ = core::hint::black_box(idle.poll()))?])
}

/// The other one's turn, and the own one again.
pub(crate) fn yields(world: &mut World, space: VSpace) -> Result<Figures, Error> {
    extern "C" fn pass_on(_: u64, _: u64) -> ! {
        loop {
            yield_now();
        }
    }
    let other = world.start(&World::plan(space, CALLER, pass_on, [0, 0]))?;
    let figures = around(yield_now);
    // Later rows have the priority for themselves.
    other.tcb.suspend()?;
    figures
}

/// A page fault, its handler's answer, and the instruction again.
pub(crate) fn fault(world: &mut World, space: VSpace, is_passive: bool) -> Result<Figures, Error> {
    extern "C" fn touch(address: u64, _: u64) -> ! {
        loop {
            touch_memory(address);
        }
    }
    /// Answers so many faults of one instruction, then tells the main thread and keeps the last one. The slots after the reply
    /// object's hold the notification to do that with, and one that never comes.
    extern "C" fn handle(endpoint: u64, reply: u64) -> ! {
        let (endpoint, reply) = (Endpoint::at(endpoint), Reply::at(reply));
        let _ = endpoint.recv(reply);
        let mut costs = [Cost::default(); 40];
        for cost in &mut costs {
            let before = read();
            let _ = core::hint::black_box(endpoint.reply_recv(reply, &Message::default()));
            *cost = read().since(before);
        }
        // The first ones are warm-up, as everywhere.
        let figures = figures(costs.get_mut(4..).unwrap_or_default());
        FAULT[0].store(u64::from(figures.median.kernel) << 32 | u64::from(figures.median.all), Ordering::Relaxed);
        FAULT[1].store(u64::from(figures.min) << 32 | u64::from(figures.max), Ordering::Relaxed);
        Notification::at(reply.cptr().0 + 1).signal();
        loop {
            let _ = Notification::at(reply.cptr().0 + 2).wait();
        }
    }
    let endpoint = world.endpoint()?;
    let (reply, done, _never) = (world.reply()?, world.notification()?, world.notification()?);
    let handler = World::plan(SPACE, SERVER, handle, [endpoint.cptr().0, reply.cptr().0]);
    if is_passive {
        world.start_passive(&handler)?;
    } else {
        world.start(&handler)?;
    }
    let faulter = World::plan(space, CALLER + 1, touch, [0x7000_0000, 0]);
    let faulter = world.start(&Plan { fault_handler: endpoint.cptr(), ..faulter })?;
    let _ = done.wait();
    faulter.tcb.suspend()?;
    let high = |word: u64| (word >> 32) as u32;
    let low = |word: u64| (word & 0xffff_ffff) as u32;
    let [first, second] = [0, 1].map(|index: usize| FAULT[index].load(Ordering::Relaxed));
    Ok(Figures { median: Cost { kernel: high(first), all: low(first) }, min: high(second), max: low(second) })
}

/// What the fault handler found: median, and smallest and largest.
static FAULT: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// From the instruction that an interrupt hits to the first one of the driver; and the driver's acknowledgement.
pub(crate) fn interrupt(world: &mut World, space: VSpace, platform: Platform) -> Result<[Figures; 2], Error> {
    extern "C" fn drive(notification: u64, handler: u64) -> ! {
        loop {
            core::hint::black_box(Notification::at(notification).wait());
            WOKEN.set();
            timer::disarm();
            ACK_BEGINS.set();
            let _ = IrqHandler::at(handler).ack();
            ACK_ENDS.set();
            WAKES.fetch_add(1, Ordering::Relaxed);
        }
    }
    let notification = world.notification()?;
    let slot = world.slot();
    IRQ_CONTROL.issue(TIMER_IRQ, place(slot))?;
    let handler = IrqHandler::at(slot);
    handler.set_notification(notification)?;
    let driver = world.start(&World::plan(space, SERVER, drive, [notification.cptr().0, slot]))?;
    platform.allow_timer(driver.tcb)?;
    platform.allow_timer(SELF)?;
    let mut acks = [Cost::default(); 64];
    let mut count = 0;
    let delivery = rounds(|| {
        let wakes = WAKES.load(Ordering::Relaxed);
        timer::arm(now_ns() + 50_000);
        // In this order: a reading is the last one before the interrupt only if the driver has not run after it.
        let mut last = read();
        loop {
            let reading = read();
            if WAKES.load(Ordering::Relaxed) != wakes {
                break;
            }
            last = reading;
        }
        if let Some(ack) = acks.get_mut(count) {
            *ack = ACK_ENDS.get().since(ACK_BEGINS.get());
            count += 1;
        }
        Ok(WOKEN.get().since(last))
    })?;
    Ok([delivery, figures(acks.get_mut(..count).unwrap_or_default())])
}

/// Reads a byte there, which ends in a fault.
#[cfg(target_arch = "aarch64")]
fn touch_memory(address: u64) {
    // SAFETY: nothing is mapped there: the kernel stops the thread before anything is read.
    unsafe { core::arch::asm!("ldrb wzr, [{}]", in(reg) address, options(nostack, readonly, preserves_flags)) };
}

#[cfg(not(target_arch = "aarch64"))]
fn touch_memory(_: u64) {}
