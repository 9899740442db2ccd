//! Notifications (conformance 77 to 83).

use core::sync::atomic::{AtomicU64, Ordering};

use hybrid_sys::{Error, Notification, Rights};

use super::tests;
use crate::suite::Test;
use crate::world::{Outcome, Plan, SELF, World};

pub(super) const TESTS: &[Test] =
    tests![c080_badges_are_ored, c081_signal_wakes_the_highest_waiter, c083_bind_refuses_what_it_must,];

fn c080_badges_are_ored(world: &World) -> Outcome {
    let notification = world.notification()?;
    for badge in [1, 4, 1 << 63] {
        Notification::at(world.mint(notification, Rights::WRITE, badge)?).signal();
    }
    check!(notification.wait() == (1 << 63 | 5));
    check!(notification.poll() == 0);
    Ok(())
}

static WOKEN: AtomicU64 = AtomicU64::new(0);

extern "C" fn wait_and_record(argument: u64) {
    let _ = Notification::at(argument & 0xffff).wait();
    // The decimal digits are the order of waking.
    let before = WOKEN.load(Ordering::Relaxed);
    WOKEN.store(before * 10 + (argument >> 16), Ordering::Relaxed);
}

fn c081_signal_wakes_the_highest_waiter(world: &World) -> Outcome {
    WOKEN.store(0, Ordering::Relaxed);
    let notification = world.notification()?;
    SELF.set_priority(SELF, 100)?;
    for (digit, priority) in [(1, 101), (2, 103), (3, 102)] {
        world.start(&Plan::new(wait_and_record, notification.cptr().0 | digit << 16, priority))?;
    }
    let before = WOKEN.load(Ordering::Relaxed);
    notification.signal();
    let after_one = WOKEN.load(Ordering::Relaxed);
    notification.signal();
    notification.signal();
    SELF.set_priority(SELF, 255)?;
    check!(before == 0 && after_one == 2 && WOKEN.load(Ordering::Relaxed) == 231);
    Ok(())
}

fn c083_bind_refuses_what_it_must(world: &World) -> Outcome {
    let (notification, other) = (world.notification()?, world.notification()?);
    check!(SELF.unbind_notification() == Err(Error::IllegalOperation));
    check!(SELF.bind_notification(Notification(world.endpoint()?.cptr())) == Err(Error::IllegalOperation));
    let write_only = Notification::at(world.mint(notification, Rights::WRITE, 0)?);
    check!(SELF.bind_notification(write_only) == Err(Error::IllegalOperation));
    SELF.bind_notification(notification)?;
    let again = SELF.bind_notification(other);
    SELF.unbind_notification()?;
    check!(again == Err(Error::IllegalOperation));
    Ok(())
}
