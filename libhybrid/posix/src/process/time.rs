//! Clocks without IPC, and sleeping until an alarm.
use super::{Outcome, Pages, Process};
use crate::futex::Thread;
use crate::number::{self, Answer, Errno, low};
use crate::world::{self, World};

/// A clock that a program may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    /// Time of day.
    Real,
    /// Since the counter started.
    Monotonic,
}

/// `TIMER_ABSTIME`
const ABSOLUTE: u32 = 1;
const NS: u64 = 1_000_000_000;

/// The kernel counts it for each scheduling context, and tells it to who has the capability of that: the supervisor. Time that passed is no answer.
pub(super) const NO_PROCESSOR_TIME: &str = "a component is not told how long it computed";

impl<S: Pages> Process<S> {
    pub(super) fn clock(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Answer {
        let clock = self.try_clock(world, number, args[0])?;
        if clock == Clock::Real {
            self.tell(
                world,
                number,
                "no clock of the day was granted: its time is that since the start, counted from 1970",
            );
        }
        let ns = if number == number::CLOCK_GETRES { world.resolution_ns() } else { world.now_ns() };
        // clock_getres may be asked only whether the clock exists.
        if args[1] != 0 || number == number::CLOCK_GETTIME {
            world::write_words(world, args[1], &[ns / NS, ns % NS])?;
        }
        Ok(0)
    }

    pub(super) fn sleep(&mut self, world: &mut impl World, thread: Thread, number: u64, args: [u64; 6]) -> Outcome {
        let (flags, address) = match number {
            number::NANOSLEEP => (0, args[0]),
            _ => (low(args[1]), args[2]),
        };
        let clock =
            if number == number::NANOSLEEP { Ok(Clock::Monotonic) } else { self.try_clock(world, number, args[0]) };
        let ns = clock.and_then(|_| read_time(world, address));
        let deadline = match ns {
            Ok(ns) if flags & ABSOLUTE != 0 => ns,
            Ok(ns) => world.now_ns().saturating_add(ns),
            Err(errno) => return errno.into(),
        };
        if deadline <= world.now_ns() {
            return Outcome::Yield;
        }
        if !self.may_wait_until(world, number) {
            return Errno::EACCES.into();
        }
        let left = match number {
            number::NANOSLEEP => args[1],
            _ if flags & ABSOLUTE == 0 => args[3],
            _ => 0,
        };
        let outcome = self.park(thread, Some(deadline), 0);
        if let Some(slot) = self.slot(thread) {
            slot.left = left;
        }
        outcome
    }

    /// Until there is a clock of the day, both have the same reading.
    fn try_clock(&mut self, world: &mut impl World, number: u64, argument: u64) -> Result<Clock, Errno> {
        match low(argument) {
            // CLOCK_REALTIME, CLOCK_REALTIME_COARSE
            0 | 5 => Ok(Clock::Real),
            // CLOCK_MONOTONIC, …_RAW, …_COARSE, CLOCK_BOOTTIME
            1 | 4 | 6 | 7 => Ok(Clock::Monotonic),
            // CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID
            2 | 3 => {
                self.tell(world, number, NO_PROCESSOR_TIME);
                Err(Errno::EINVAL)
            }
            _ => Err(Errno::EINVAL),
        }
    }

    /// Whether a wait with an end in time is possible; says so if not.
    pub(super) fn may_wait_until(&mut self, world: &mut impl World, number: u64) -> bool {
        if !world.has_alarm() {
            self.tell(world, number, "its component uses no hybrid.time.Alarm, so no wait has an end in time");
        }
        world.has_alarm()
    }
}

/// Nanoseconds of a `struct timespec`.
///
/// # Errors
/// `EFAULT`, and `EINVAL` for what is no time.
pub(super) fn read_time(world: &impl World, address: u64) -> Result<u64, Errno> {
    let [seconds, ns] = world::read_words(world, address)?;
    if ns >= NS || seconds > i64::MAX.cast_unsigned() {
        return Err(Errno::EINVAL);
    }
    Ok(seconds.saturating_mul(NS).saturating_add(ns))
}
