//! The user-level timer (EL1 physical timer, interrupt 30) as tests use it, and how exact time is here.

use core::arch::asm;

use hybrid_sys::{Error, IrqControl, IrqHandler, Notification, Rights, count_per_second, count_virtual};

use crate::world::{SELF, World};

/// The right to make interrupt handlers.
pub(crate) const CONTROL: IrqControl = IrqControl::at(4);
/// The interrupt of the EL1 physical timer.
pub(crate) const TIMER_IRQ: u64 = 30;

/// The timer's interrupt, on its way to a notification.
#[derive(Clone, Copy)]
pub(crate) struct Timer {
    /// Its handler.
    pub(crate) handler: IrqHandler,
    /// What it signals, with badge 0x10.
    pub(crate) notification: Notification,
}

impl Timer {
    /// A handler and a notification of its own.
    pub(crate) fn new(world: &World) -> Result<Self, Error> {
        world.platform.allow_timer(SELF)?;
        let slot = world.slot();
        // Get, not GetTrigger: a kernel for several cores refuses the latter for private interrupts.
        CONTROL.issue(TIMER_IRQ, world.at(slot))?;
        let (handler, notification) = (IrqHandler::at(slot), world.notification()?);
        handler.set_notification(Notification::at(world.mint(notification, Rights::ALL, 0x10)?))?;
        handler.ack()?;
        Ok(Self { handler, notification })
    }

    /// The interrupt comes in so many µs. Only threads with timer access may do this.
    pub(crate) fn arm_us(us: u64) {
        let ticks = count_per_second() * us / 1_000_000;
        // SAFETY: programs the EL1 physical timer, which belongs to the tests.
        unsafe {
            asm!("msr cntp_tval_el0, {}", "msr cntp_ctl_el0, {}", "isb", in(reg) ticks, in(reg) 1u64, options(nomem, nostack))
        };
    }

    /// The interrupt comes no more.
    pub(crate) fn disarm() {
        // SAFETY: as in `arm_us`.
        unsafe { asm!("msr cntp_ctl_el0, xzr", "isb", options(nomem, nostack)) };
    }

    /// Blocks the calling thread.
    pub(crate) fn sleep_us(self, us: u64) -> Result<(), Error> {
        Self::arm_us(us);
        let _ = self.notification.wait();
        Self::disarm();
        self.handler.ack()
    }
}

/// µs since some moment.
pub(crate) fn now_us() -> u64 {
    let (ticks, hertz) = (count_virtual(), count_per_second());
    ticks / hertz * 1_000_000 + ticks % hertz * 1_000_000 / hertz
}

/// Executes `rounds` rounds of two instructions.
pub(crate) fn burn(rounds: u64) {
    // SAFETY: counts a register down.
    unsafe {
        asm!("2: subs {0}, {0}, #1", "b.ne 2b", inout(reg) rounds.max(1) => _, options(nomem, nostack));
    }
}

/// What a loop does between two looks at what another core does. An emulator whose cores take turns goes on with the next one:
/// where time counts instructions, a core that only spins would keep its turn until the next timer is due.
pub(crate) fn pause() {
    burn(100);
    // SAFETY: a hint.
    unsafe { asm!("yield", options(nomem, nostack, preserves_flags)) };
}

/// As [`spin_us`], while the other cores go on.
pub(crate) fn pause_us(us: u64) {
    let end = now_us() + us;
    while now_us() < end {
        pause();
    }
}

/// Uses processor time of the calling thread until so many µs have passed.
pub(crate) fn spin_us(us: u64) {
    let end = now_us() + us;
    while now_us() < end {}
}

/// Whether time is counted in instructions (`-icount`), so that timing is exact and repeatable.
pub(crate) fn is_exact() -> bool {
    (0..3).all(|_| {
        let before = count_virtual();
        burn(500_000);
        // A million instructions of 1 ns are 62,500 ticks; the emulator looks at the time in blocks.
        (62_400..62_900).contains(&(count_virtual() - before))
    })
}
