//! Several cores: which one this is, the kernel lock, and what its holder asks of the others; nothing at all with one.
//!
//! INV-LOCK-1: kernel code runs only between [`enter`] and [`leave`] (or [`idle`]), so on one core at a time; tickets make it fair.
//! The exceptions are this file, whose statics are atomic, and what a waiting core does for the holder ([`ask`]), who waits for it.
//! INV-LOCK-2: a core that is not in user mode answers requests: it waits for the lock, or wakes from idling and then waits.

use core::ptr::null_mut;

use crate::atomic::{AtomicPtr, AtomicU8, AtomicU32, Ordering};
use crate::cpu;

/// Cores that this kernel is built for.
pub(crate) const CORES: usize = if cfg!(any(test, feature = "smp")) { 4 } else { 1 };

/// The number of this core.
#[inline(always)]
pub(crate) fn number() -> usize {
    // TPIDR_EL1 is the end of the core's stack, which is aligned, plus this number.
    if CORES == 1 { 0 } else { cpu::core_word() as usize & (CORES - 1) }
}

/// What the others need to know of a core.
#[repr(align(64))]
struct Place {
    state: AtomicU8,
    /// What the holder of the lock asks for, on its stack; null: nothing.
    request: AtomicPtr<Request>,
}

static PLACES: [Place; CORES] =
    [const { Place { state: AtomicU8::new(USER), request: AtomicPtr::new(null_mut()) } }; CORES];

/// The ticket that the next core draws, and the one that has the lock.
#[repr(align(64))]
struct Tickets {
    next: AtomicU32,
    served: AtomicU32,
}

static LOCK: Tickets = Tickets { next: AtomicU32::new(0), served: AtomicU32::new(0) };

/// A ticket of the lock that another core has.
#[derive(Clone, Copy)]
pub(crate) struct Ticket(u32);

/// Takes the kernel lock, if it is free; else [`wait`] follows.
#[inline(always)]
pub(crate) fn try_enter() -> Result<(), Ticket> {
    if CORES == 1 {
        return Ok(());
    }
    // Release: who sees it sees the registers that were saved before.
    PLACES[number()].state.store(INSIDE, Ordering::Release);
    let ticket = LOCK.next.fetch_add(1, Ordering::Relaxed);
    if LOCK.served.load(Ordering::Acquire) == ticket { Ok(()) } else { Err(Ticket(ticket)) }
}

/// Waits for the lock. While another core has it, does what that one asks for.
pub(crate) fn wait(ticket: Ticket, serve: impl Fn(Request)) {
    let place = &PLACES[number()];
    while LOCK.served.load(Ordering::Acquire) != ticket.0 {
        let request = place.request.load(Ordering::Acquire);
        if !request.is_null() {
            // SAFETY: `ask` keeps it, unchanged, until the place is empty again.
            serve(unsafe { *request });
            place.request.store(null_mut(), Ordering::Release);
        }
        cpu::let_others_run();
    }
}

/// Takes the kernel lock.
#[inline(always)]
pub(crate) fn enter(serve: impl Fn(Request)) {
    if let Err(ticket) = try_enter() {
        wait(ticket, serve);
    }
}

/// Gives the kernel lock up, on the way to user mode.
#[inline(always)]
pub(crate) fn leave() {
    release(USER);
}

/// Gives the kernel lock up, on the way to wait for an interrupt. [`enter`] follows.
#[inline(always)]
pub(crate) fn idle() {
    release(IDLE);
}

#[inline(always)]
fn release(state: u8) {
    if CORES > 1 {
        PLACES[number()].state.store(state, Ordering::Relaxed);
        // Only the holder writes `served`.
        LOCK.served.store(LOCK.served.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }
}

/// Whether another core waits for the lock that this one has.
#[inline]
pub(crate) fn others_wait() -> bool {
    CORES > 1 && LOCK.next.load(Ordering::Relaxed) != LOCK.served.load(Ordering::Relaxed).wrapping_add(1)
}

/// What the holder of the lock asks another core to do, since only that one can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Save the FP registers into their owner's thread.
    ReleaseFp,
    /// Translate with the empty user table.
    DropSpace,
    /// Enable a private interrupt.
    Unmask(u32),
    /// Disable it.
    Mask(u32),
    /// Let it come again.
    Release(u32),
    /// Make it level triggered.
    Level(u32),
    /// Make it edge triggered.
    Edge(u32),
}

/// Has another core do something; it is done on return. `interrupt` sends the remote-call interrupt to that core.
pub(crate) fn ask(core: usize, mut request: Request, interrupt: impl Fn()) {
    let Some(place) = PLACES.get(core) else { return };
    place.request.store(&raw mut request, Ordering::Release);
    if place.state.load(Ordering::Acquire) != INSIDE {
        interrupt();
    }
    while !place.request.load(Ordering::Acquire).is_null() {
        cpu::let_others_run();
    }
}

/// Brings another core out of user mode. It stays out of it as long as this one has the lock.
pub(crate) fn stop(core: usize, interrupt: impl Fn()) {
    let Some(place) = PLACES.get(core) else { return };
    if place.state.load(Ordering::Acquire) == USER {
        interrupt();
        while place.state.load(Ordering::Acquire) == USER {
            cpu::let_others_run();
        }
    }
}

/// In user mode, or on the way there or from there.
const USER: u8 = 0;
/// Has the lock or waits for it.
const INSIDE: u8 = 1;
/// Waits for an interrupt.
const IDLE: u8 = 2;
