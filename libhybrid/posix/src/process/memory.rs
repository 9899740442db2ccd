//! Calls about memory: mappings in the heap and threads' stacks, nothing that is executable; a file's are in `fs::map`.
use super::{Pages, Process};
use crate::areas::{Access, PAGE};
use crate::number::{self, Answer, Errno, int, low};
use crate::world::World;

const PROT_READ: u32 = 1;
const PROT_WRITE: u32 = 2;
const PROT_EXEC: u32 = 4;

const MAP_FIXED: u32 = 0x10;
const MAP_ANONYMOUS: u32 = 0x20;
const MAP_FIXED_NOREPLACE: u32 = 0x10_0000;

const MREMAP_MAYMOVE: u32 = 1;
const MADV_DONTNEED: u32 = 4;
/// The greatest advice that is only a hint (`MADV_COLD`, `MADV_PAGEOUT` …).
const ADVICE_MAX: u32 = 25;

impl<S: Pages> Process<S> {
    pub(super) fn mmap(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let [address, bytes, prot, flags, ..] = args;
        let (flags, access) = (low(flags), self.access(world, number::MMAP, prot)?);
        if flags & MAP_ANONYMOUS == 0 {
            return self.map_file(world, args);
        }
        let mut zero = |address, bytes| world.zero(address, bytes);
        if flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) == 0 {
            return self.areas.map(bytes, access, &mut zero);
        }
        if flags & MAP_FIXED_NOREPLACE != 0 && !self.areas.is_unmapped(address, bytes)? {
            return Err(Errno::EEXIST);
        }
        self.areas.map_at(address, bytes, access, &mut zero)
    }

    /// What our pthread_create asks for in place of `mmap`: the bytes of a thread's stack, and how many of the lowest it is not to touch.
    pub(super) fn map_stack(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let [bytes, guard, ..] = args;
        let address = self.areas.map_stack(bytes, guard, &mut |address, bytes| world.zero(address, bytes))?;
        let (first, end) = self.areas.span();
        // For one thread more than may run it is given back at once.
        let is_used = self.areas.stacks().count > 0 && self.free_thread().is_some();
        if is_used && (first..end).contains(&address) {
            self.tell(world, number::MAP_STACK, "thread_stack is less, or all are taken: the stack is in the heap");
        }
        Ok(address)
    }

    pub(super) fn munmap(&mut self, args: [u64; 6]) -> Answer {
        self.areas.unmap(args[0], args[1]).map(|()| 0)
    }

    pub(super) fn mprotect(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let access = self.access(world, number::MPROTECT, args[2])?;
        if !self.areas.contains(args[0]) {
            // Program, stack and rings are as securityd mapped them.
            self.tell(world, number::MPROTECT, "only pages of the heap can be changed");
            return Err(Errno::EACCES);
        }
        self.areas.protect(args[0], args[1], access).map(|()| 0)
    }

    /// No page of a component is ever writable and executable, nor becomes executable (rule CAP-R015).
    fn access(&mut self, world: &mut impl World, number: u64, prot: u64) -> Result<Access, Errno> {
        let prot = low(prot);
        if prot & PROT_EXEC != 0 {
            self.tell(world, number, "no memory becomes executable");
            return Err(Errno::EACCES);
        }
        match (prot & PROT_READ != 0, prot & PROT_WRITE != 0) {
            (_, true) => Ok(Access::ReadWrite),
            (true, false) => Ok(Access::Read),
            (false, false) => Ok(Access::None),
        }
    }

    pub(super) fn mremap(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let [address, old, new, flags, ..] = args;
        if low(flags) & !MREMAP_MAYMOVE != 0 || !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        // musl asks for pages of the main stack, from its top downward, to find where it ends.
        let (bottom, top) = self.identity.stack;
        if (bottom..top).contains(&address) {
            return Err(Errno::ENOMEM);
        }
        let access = self.areas.access_of(address, old)?;
        let mut zero = |address, bytes| world.zero(address, bytes);
        match self.areas.resize(address, old, new, &mut zero) {
            Ok(()) => return Ok(address),
            Err(Errno::ENOMEM) if low(flags) & MREMAP_MAYMOVE != 0 => {}
            Err(errno) => return Err(errno),
        }
        let moved = self.areas.map(new, access, &mut zero)?;
        if let Err(errno) = world.copy(address, moved, old.div_ceil(PAGE) * PAGE) {
            self.areas.unmap(moved, new)?;
            return Err(errno);
        }
        self.areas.unmap(address, old)?;
        Ok(moved)
    }

    /// No mapping is shared with anybody, nor written back.
    pub(super) fn msync(&mut self, args: [u64; 6]) -> Answer {
        let [address, bytes, ..] = args;
        if !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        if bytes != 0 {
            self.areas.access_of(address, bytes).map_err(|_| Errno::ENOMEM)?;
        }
        Ok(0)
    }

    /// All advice is only that, but for `MADV_DONTNEED`, after which private memory is zero.
    pub(super) fn madvise(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let [address, bytes, advice, ..] = args;
        if int(advice) < 0 || low(advice) > ADVICE_MAX {
            return Err(Errno::EINVAL);
        }
        if low(advice) == MADV_DONTNEED && bytes != 0 {
            self.areas.discard(address, bytes, &mut |address, bytes| world.zero(address, bytes))?;
        }
        Ok(0)
    }
}
