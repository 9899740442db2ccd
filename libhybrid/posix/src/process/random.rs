//! Random bytes: which a call wants, and where they go; they are fetched outside, so nobody waits but who asks.
use super::object::Object;
use super::pieces::Pieces;
use super::refusals::NO_RANDOM;
use super::{Outcome, Pages, Process};
use crate::futex::Thread;
use crate::number::{self, Errno, low};
use crate::world::World;

/// The most bytes that are fetched at once (`hybrid.entropy.Random`).
pub const FETCH_MAX: usize = 256;
/// The most bytes that one getrandom gives (Linux gives at least 256 in one piece).
const GETRANDOM_MAX: u64 = 4096;
/// The most bytes of one read.
const READ_MAX: u64 = 64 * 1024;

const GRND_NONBLOCK: u32 = 1;
const GRND_RANDOM: u32 = 2;
const GRND_INSECURE: u32 = 4;

/// Bytes that a call wants. They are fetched while nobody has the program's state: an answer may take until the source is seeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    pieces: Pieces,
    done: u64,
    total: u64,
}

impl Numbers {
    /// How many to fetch next.
    #[must_use]
    pub fn length(&self) -> usize {
        usize::try_from(self.total - self.done).map_or(FETCH_MAX, |left| left.min(FETCH_MAX))
    }

    fn outcome(self) -> Outcome {
        if self.done < self.total { Outcome::Numbers(self) } else { Outcome::Done(self.total.cast_signed()) }
    }
}

impl<S: Pages> Process<S> {
    /// `getrandom`. The source answers only once it was seeded, so both pools of Linux are the one, and none is insecure.
    pub(super) fn getrandom(&mut self, world: &mut impl World, args: [u64; 6]) -> Outcome {
        let [address, bytes, flags, ..] = args;
        let flags = low(flags);
        if flags & !(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) != 0 || flags & 6 == GRND_RANDOM | GRND_INSECURE {
            return Errno::EINVAL.into();
        }
        if !world.has_random() {
            self.tell(world, number::GETRANDOM, NO_RANDOM);
            // Not `EACCES`: this is what programs know of one who may not, and then they look at /dev/urandom.
            return Errno::EPERM.into();
        }
        if flags & GRND_NONBLOCK != 0 && !world.is_seeded() {
            return Errno::EAGAIN.into();
        }
        Numbers { pieces: Pieces::One(address, bytes), done: 0, total: bytes.min(GETRANDOM_MAX) }.outcome()
    }

    /// Reading of `/dev/urandom`; `None` if it is something else that is read.
    pub(super) fn read_random(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Option<Outcome> {
        let pieces = match number {
            number::READ => Pieces::One(args[1], args[2]),
            number::READV => Pieces::List(args[1], args[2]),
            _ => return None,
        };
        let held = self.files.held(args[0]).ok().filter(|held| matches!(held.object, Object::Random))?;
        if held.is_nonblocking && !world.is_seeded() {
            return Some(Errno::EAGAIN.into());
        }
        Some(match pieces.total(world) {
            Ok(total) => Numbers { pieces, done: 0, total: total.min(READ_MAX) }.outcome(),
            Err(errno) => errno.into(),
        })
    }

    /// The bytes that a call wanted, as many as it was to be, or why there are none. What has come before counts.
    pub fn fetched(
        &mut self,
        world: &mut impl World,
        thread: Thread,
        mut numbers: Numbers,
        fetched: Result<&[u8], Errno>,
    ) -> Outcome {
        let written = fetched.and_then(|bytes| {
            numbers.pieces.write_whole(world, numbers.done, bytes)?;
            numbers.done += bytes.len() as u64;
            Ok(numbers.outcome())
        });
        let outcome = match written {
            Ok(outcome) => outcome,
            Err(errno) if numbers.done == 0 => errno.into(),
            Err(_) => Outcome::Done(numbers.done.cast_signed()),
        };
        match outcome {
            // A signal that came meanwhile.
            Outcome::Done(result) => self.deliver(world, thread, result),
            more => more,
        }
    }
}
