//! Who the program is and what it may use; all from what its component was told.
use super::{Pages, Process};
use crate::futex::Thread;
use crate::number::{self, Answer, Errno, low};
use crate::world::{self, World};

/// Bytes of a field of `struct utsname`.
const FIELD: usize = 65;
const FIELDS: usize = 6;

const RLIMIT_STACK: u32 = 3;
const RLIMIT_NOFILE: u32 = 7;
const RLIMIT_AS: u32 = 9;
const RLIMITS: u32 = 16;

impl<S: Pages> Process<S> {
    /// Calls about the program itself; `None` for others.
    pub(super) fn identity_call(
        &mut self,
        world: &mut impl World,
        thread: Thread,
        number: u64,
        args: [u64; 6],
    ) -> Option<Answer> {
        Some(match number {
            // Of one that was not spawned nobody that it could see is the parent.
            number::GETPPID => Ok(self.children.parent.unwrap_or(0).into()),
            number::GETTID => Ok(self.number_of(thread).into()),
            number::UNAME => self.uname(world, args[0]),
            number::PRLIMIT64 => self.limits(world, args),
            number::SCHED_GETAFFINITY => self.affinity(world, args),
            _ => return None,
        })
    }

    fn uname(&mut self, world: &mut impl World, address: u64) -> Answer {
        let mut text = [0; FIELD * FIELDS];
        let fields = ["HybridOS", self.identity.name, self.identity.version, "", "aarch64", ""];
        for (place, field) in text.chunks_exact_mut(FIELD).zip(fields) {
            for (byte, value) in place.iter_mut().take(FIELD - 1).zip(field.bytes()) {
                *byte = value;
            }
        }
        world.write(address, &text)?;
        Ok(0)
    }

    /// Limits are told, never set: they are those of component.toml.
    fn limits(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let [target, resource, new, old, ..] = args;
        if low(target) != 0 && u64::from(low(target)) != u64::from(self.identity.instance) {
            return Err(Errno::ESRCH);
        }
        if new != 0 {
            self.tell(world, number::PRLIMIT64, "limits are those of component.toml");
            return Err(Errno::EPERM);
        }
        let (bottom, top) = self.identity.stack;
        let (first, end) = self.areas.span();
        let limit = match low(resource) {
            RLIMIT_STACK => top - bottom,
            RLIMIT_NOFILE => super::DESCRIPTORS_MAX as u64,
            RLIMIT_AS => end - first,
            resource if resource < RLIMITS => u64::MAX,
            _ => return Err(Errno::EINVAL),
        };
        if old != 0 {
            world::write_words(world, old, &[limit, limit])?;
        }
        Ok(0)
    }

    /// A component's threads run on one core.
    fn affinity(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let [target, bytes, address, ..] = args;
        if low(target) != 0 && self.thread_of(low(target)).is_none() {
            return Err(Errno::ESRCH);
        }
        if bytes < 8 || !bytes.is_multiple_of(8) {
            return Err(Errno::EINVAL);
        }
        world::write_words(world, address, &[1])?;
        Ok(8)
    }
}
