//! Files in memory: copies in the heap. What is written there stays there, what others write does not come.
use crate::number::{self, Answer, Errno, low};
use crate::process::pieces::Pieces;
use crate::process::{Pages, Process};
use crate::world::World;

const PROT_WRITE: u32 = 2;
const MAP_PRIVATE: u32 = 2;
const MAP_TYPE: u32 = 0xf;
const MAP_ANONYMOUS: u32 = 0x20;

impl<S: Pages> Process<S> {
    /// `mmap` of a file: private, or shared for reading only; both are copies.
    pub(in crate::process) fn map_file(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let [address, bytes, prot, flags, descriptor, offset] = args;
        let (_, file) = self.file(descriptor, Errno::ENODEV, Errno::ENODEV)?;
        if !file.is_readable {
            return Err(Errno::EACCES);
        }
        let is_shared = low(flags) & MAP_TYPE != MAP_PRIVATE;
        if is_shared && low(prot) & PROT_WRITE != 0 {
            if !file.is_writable {
                return Err(Errno::EACCES);
            }
            self.tell(world, number::MMAP, "a file's memory is a copy, so nobody else would see what is written there");
            return Err(Errno::ENODEV);
        }
        if !offset.is_multiple_of(crate::areas::PAGE) {
            return Err(Errno::EINVAL);
        }
        let flags = u64::from(low(flags) & !MAP_TYPE | MAP_PRIVATE | MAP_ANONYMOUS);
        let at = self.mmap(world, [address, bytes, prot, flags, u64::MAX, 0])?;
        // What is beyond the end of the file stays zero.
        let read = self.read_from(world, file, offset, Pieces::One(at, bytes));
        if read.is_err() {
            self.munmap([at, bytes, 0, 0, 0, 0])?;
        }
        read.map(|_| at)
    }
}
