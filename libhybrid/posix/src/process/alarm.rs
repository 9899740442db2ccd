//! `setitimer` and `getitimer`: the program's one timer of time that passes, which raises SIGALRM.
//!
//! Source: Linux, setitimer(2). Timers of processor time are refused: a component is not told how long it computed (docs/std.md).
use super::signals::signal;
use super::time::NO_PROCESSOR_TIME;
use super::{Pages, Process};
use crate::number::{self, Answer, Errno, low};
use crate::world::{self, World};

const ITIMER_REAL: u32 = 0;
const ITIMER_VIRTUAL: u32 = 1;
const ITIMER_PROF: u32 = 2;
const NS: u64 = 1_000_000_000;
const US: u64 = 1_000;

impl<S: Pages> Process<S> {
    /// `struct itimerval`: interval and first, seconds and microseconds of each.
    pub(super) fn interval_timer(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Answer {
        let [which, new, old, ..] = args;
        match low(which) {
            ITIMER_REAL => {}
            ITIMER_VIRTUAL | ITIMER_PROF => {
                self.tell(world, number, NO_PROCESSOR_TIME);
                return Err(Errno::EINVAL);
            }
            _ => return Err(Errno::EINVAL),
        }
        if number == number::GETITIMER {
            self.tell_alarm(world, new)?;
            return Ok(0);
        }
        // Without a new one Linux ends the old one.
        let [interval_s, interval_us, first_s, first_us] =
            if new == 0 { [0; 4] } else { world::read_words(world, new)? };
        let (interval, first) = (time(interval_s, interval_us)?, time(first_s, first_us)?);
        if first > 0 && !self.may_wait_until(world, number) {
            return Err(Errno::EACCES);
        }
        if old != 0 {
            self.tell_alarm(world, old)?;
        }
        self.alarm.interval = interval;
        self.alarm.next = (first > 0).then(|| world.now_ns().saturating_add(first));
        Ok(0)
    }

    fn tell_alarm(&self, world: &mut impl World, address: u64) -> Result<(), Errno> {
        let now = world.now_ns();
        // What is still to come is never told as nothing.
        let left = self.alarm.next.map_or(0, |next| next.saturating_sub(now).max(US));
        let interval = if left == 0 { 0 } else { self.alarm.interval };
        let parts = |ns: u64| [ns / NS, ns % NS / US];
        let ([interval_s, interval_us], [left_s, left_us]) = (parts(interval), parts(left));
        world::write_words(world, address, &[interval_s, interval_us, left_s, left_us])
    }

    /// Raises SIGALRM if its time has come: once, however often that was since the last look.
    pub(super) fn ring(&mut self, world: &mut impl World) {
        if self.alarm.next.is_some() && self.alarm.pass(world.now_ns()) {
            self.alarm.expired = 0;
            self.signal_program(world, signal::ALRM);
        }
    }
}

/// Nanoseconds of a `struct timeval`.
fn time(seconds: u64, us: u64) -> Result<u64, Errno> {
    if us >= NS / US || seconds > i64::MAX.cast_unsigned() {
        return Err(Errno::EINVAL);
    }
    Ok(seconds.saturating_mul(NS).saturating_add(us * US))
}
