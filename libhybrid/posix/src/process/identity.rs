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
            number::SYSINFO => self.sysinfo(world, args[0]),
            number::GETRESUID | number::GETRESGID => self.same_three(world, args),
            // It is in no further group; and the nice value 0, as Linux' call tells it.
            number::GETGROUPS => Ok(0),
            number::GETPRIORITY => Ok(20),
            number::GETCPU => self.core(world, args),
            // A thread that ends lets go of its robust locks itself, in musl, and no other process has them.
            number::SET_ROBUST_LIST => Ok(0),
            number::GET_ROBUST_LIST => self.robust_list(world, args),
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
        let (bottom, top) = self.identity.stack;
        let (first, end) = self.areas.span();
        let limit = match low(resource) {
            RLIMIT_STACK => top - bottom,
            RLIMIT_NOFILE => super::DESCRIPTORS_MAX as u64,
            RLIMIT_AS => end - first,
            resource if resource < RLIMITS => u64::MAX,
            _ => return Err(Errno::EINVAL),
        };
        if new != 0 && world::read_words(world, new)? != [limit; 2] {
            self.tell(world, number::PRLIMIT64, "limits are those of component.toml");
            return Err(Errno::EPERM);
        }
        if old != 0 {
            world::write_words(world, old, &[limit, limit])?;
        }
        Ok(0)
    }

    /// `struct sysinfo`: the memory is the heap, of which nothing is shared with anybody, and the only process is this one.
    fn sysinfo(&mut self, world: &mut impl World, address: u64) -> Answer {
        let (first, end) = self.areas.span();
        let (uptime, total, free) = (world.now_ns() / 1_000_000_000, end - first, self.areas.free_bytes());
        // After these three loads, and what is shared, buffered, and swap; then processes, memory above, and the unit of all that.
        world::write_words(world, address, &[uptime, 0, 0, 0, total, free, 0, 0, 0, 0, 1, 0, 0, 1])?;
        Ok(0)
    }

    /// The real, the effective and the saved one are the instance.
    fn same_three(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let own = self.identity.instance.to_le_bytes();
        args.iter().take(3).try_for_each(|address| world.write(*address, &own))?;
        Ok(0)
    }

    /// A component's threads run on one core, 0 of one.
    fn core(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        args.iter().take(2).filter(|address| **address != 0).try_for_each(|address| world.write(*address, &[0; 4]))?;
        Ok(0)
    }

    /// The list of a thread is in its own memory; nothing is told of where.
    fn robust_list(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let [target, head, length, ..] = args;
        if low(target) != 0 && self.thread_of(low(target)).is_none() {
            return Err(Errno::ESRCH);
        }
        world::write_words(world, head, &[0])?;
        world::write_words(world, length, &[24])?;
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
