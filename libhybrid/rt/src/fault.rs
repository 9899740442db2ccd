//! Fails on order, at the step that the order names; only in images of the fault campaign, never in a product.
//!
//! The order is a word of the page of peers, which securityd writes. Nothing else tells a component to fail, and it gets no authority for it.
use crate::bell::BELL_MARK;
use crate::peers::Page;
use crate::slots;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use hybrid_start::fault::{Deed, ORDER, Order, Step};
use hybrid_start::peers::PING;
use hybrid_sys::Notification;
use spinning_top::Spinlock;

/// The page with the order.
static PAGE: Spinlock<Option<Page>> = Spinlock::new(None);
/// The order that [`LEFT`] is counted for.
static SEEN: AtomicU64 = AtomicU64::new(0);
/// Passings of its step until it is due; 0: it is done.
static LEFT: AtomicU32 = AtomicU32::new(0);
/// Calls since the last event.
static CALLS: AtomicU32 = AtomicU32::new(0);
static BELL: AtomicU32 = AtomicU32::new(0);
/// Bells that rang while it stalled.
static STASHED: AtomicU64 = AtomicU64::new(0);
static HAS_WAITED: AtomicBool = AtomicBool::new(false);
/// Bytes of an allocation that is small and finds no room all the same.
const NEED: usize = 64;
/// Records that no ring of a log has room for.
const FLOOD: u32 = 400;

/// Tells where the orders come, and the slot of the component's own notification.
pub(crate) fn set_up(page: Option<Page>, notification: u32) {
    *PAGE.lock() = page;
    BELL.store(notification, Ordering::Relaxed);
}

/// The component passes this step: it fails here if that is the order.
pub(crate) fn pass(step: Step) {
    match step {
        Step::Wait if !HAS_WAITED.swap(true, Ordering::Relaxed) => log::info!("begins to serve"),
        Step::Bell | Step::Request => CALLS.store(0, Ordering::Relaxed),
        Step::Call if CALLS.fetch_add(1, Ordering::Relaxed) > 0 => pass(Step::Between),
        _ => {}
    }
    if let Some(order) = due(step) {
        commit(order);
    }
}

/// For the runtime's hooks in messages.
pub(crate) fn before_handler() {
    pass(Step::Handler);
}

/// The order that is due at this passing of the step: [`commit`] it.
pub(crate) fn due(step: Step) -> Option<Order> {
    let word = word(ORDER);
    let order = Order::from_word(word)?;
    if SEEN.swap(word, Ordering::Relaxed) != word {
        LEFT.store(order.passing.into(), Ordering::Relaxed);
    }
    let left = LEFT.load(Ordering::Relaxed);
    if order.step != step || left == 0 {
        return None;
    }
    LEFT.store(left - 1, Ordering::Relaxed);
    (left == 1).then_some(order)
}

/// Does the deed.
pub(crate) fn commit(order: Order) {
    let Order { deed, step, .. } = order;
    log::warn!("on order: {deed:?} at {step:?}");
    match deed {
        Deed::Panic => panic!("on order, at {step:?}"),
        Deed::Hang => loop {
            core::hint::spin_loop();
        },
        Deed::Heap => take_heap(),
        Deed::Need => {
            take_heap();
            // As any code of the component that cannot do without.
            core::hint::black_box(alloc::boxed::Box::new([0_u8; NEED]));
        }
        Deed::Slots => while slots::take_for_ever() {},
        Deed::Flood => (0..FLOOD).for_each(|number| log::info!("record {number} of a flood on order")),
        Deed::Stall => stall(),
    }
}

/// The largest blocks first, so that not even a small one is left.
fn take_heap() {
    for size in (3..20).rev().map(|bits| 1_usize << bits) {
        let mut block = Vec::<u8>::new();
        while block.try_reserve_exact(size).is_ok() {
            core::mem::forget(core::mem::take(&mut block));
        }
    }
}

/// Waits for the next ping; the bells that ring meanwhile are kept for later.
fn stall() {
    let (before, bell) = (word(PING), Notification::at(BELL.load(Ordering::Relaxed).into()));
    while word(PING) == before {
        STASHED.fetch_or(bell.wait() & !BELL_MARK, Ordering::Relaxed);
    }
}

/// The bits that came while it stalled, once.
pub(crate) fn take_stashed() -> u64 {
    STASHED.swap(0, Ordering::Relaxed)
}

fn word(index: usize) -> u64 {
    PAGE.lock().map_or(0, |page| page.word(index))
}
