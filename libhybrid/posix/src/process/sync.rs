//! The futex call, on words of the component's own threads.
use super::time::read_time;
use super::{Outcome, Pages, Process};
use crate::futex::{ANY, Thread};
use crate::number::{self, Errno, low};
use crate::world::{self, World};

const WAIT: u32 = 0;
const WAKE: u32 = 1;
const REQUEUE: u32 = 3;
const CMP_REQUEUE: u32 = 4;
const WAIT_BITSET: u32 = 9;
const WAKE_BITSET: u32 = 10;
/// `FUTEX_PRIVATE_FLAG` (no other process has these words anyway), `FUTEX_CLOCK_REALTIME` (the clocks read the same).
const FLAGS: u32 = 128 | 256;

impl<S: Pages> Process<S> {
    pub(super) fn futex(&mut self, world: &mut impl World, thread: Thread, args: [u64; 6]) -> Outcome {
        let [address, operation, value, fourth, second, bits] = args;
        if !address.is_multiple_of(4) {
            return Errno::EINVAL.into();
        }
        let value = low(value);
        match low(operation) & !FLAGS {
            WAIT => self.futex_wait(world, thread, address, value, ANY, Deadline::In(fourth)),
            WAIT_BITSET => self.futex_wait(world, thread, address, value, low(bits), Deadline::At(fourth)),
            WAKE => self.futex_wake(address, value, ANY),
            WAKE_BITSET if low(bits) == 0 => Errno::EINVAL.into(),
            WAKE_BITSET => self.futex_wake(address, value, low(bits)),
            REQUEUE => self.futex_requeue(address, value, low(fourth), second),
            CMP_REQUEUE => match world::read_u32(world, address) {
                Ok(word) if word == low(bits) => self.futex_requeue(address, value, low(fourth), second),
                Ok(_) => Errno::EAGAIN.into(),
                Err(errno) => errno.into(),
            },
            operation => {
                self.tell_of(world, number::FUTEX, "a word is waited for, woken and requeued, no more", operation);
                Errno::ENOSYS.into()
            }
        }
    }

    /// The word is looked at and the thread queued under the caller's lock, so no wake-up between the two is lost.
    fn futex_wait(
        &mut self,
        world: &mut impl World,
        thread: Thread,
        address: u64,
        value: u32,
        bits: u32,
        deadline: Deadline,
    ) -> Outcome {
        let deadline = match deadline.read(world) {
            Ok(_) if bits == 0 => return Errno::EINVAL.into(),
            Ok(deadline) => deadline,
            Err(errno) => return errno.into(),
        };
        match world::read_u32(world, address) {
            Ok(word) if word != value => return Errno::EAGAIN.into(),
            Ok(_) => {}
            Err(errno) => return errno.into(),
        }
        if deadline.is_some_and(|deadline| deadline <= world.now_ns()) {
            return Errno::ETIMEDOUT.into();
        }
        if deadline.is_some() && !self.may_wait_until(world, number::FUTEX) {
            return Errno::EACCES.into();
        }
        // A running thread waits for nothing yet.
        let _is_queued = self.table.wait(thread, address, bits);
        self.park(thread, deadline, Errno::ETIMEDOUT.negated())
    }

    fn futex_wake(&mut self, address: u64, count: u32, bits: u32) -> Outcome {
        let woken = self.table.wake(address, count, bits);
        self.answer(woken, 0);
        Outcome::Done(i64::from(woken.count_ones()))
    }

    fn futex_requeue(&mut self, address: u64, count: u32, moved: u32, to: u64) -> Outcome {
        if !to.is_multiple_of(4) {
            return Errno::EINVAL.into();
        }
        let (woken, moved) = self.table.requeue(address, count, moved, to);
        self.answer(woken, 0);
        Outcome::Done(i64::from(woken.count_ones()) + i64::from(moved))
    }
}

/// Where a wait's end stands, and from when it counts.
enum Deadline {
    In(u64),
    At(u64),
}

impl Deadline {
    fn read(self, world: &impl World) -> Result<Option<u64>, Errno> {
        match self {
            Self::In(0) | Self::At(0) => Ok(None),
            Self::In(address) => Ok(Some(world.now_ns().saturating_add(read_time(world, address)?))),
            Self::At(address) => read_time(world, address).map(Some),
        }
    }
}
