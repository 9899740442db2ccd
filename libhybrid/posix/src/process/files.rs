//! Descriptors 0 to 2: no input, and output that becomes log records. There are no other files yet, and no sockets.
use super::time::read_time;
use super::{Outcome, Pages, Process};
use crate::areas::PAGE;
use crate::futex::Thread;
use crate::number::{self, Answer, Errno, int, low};
use crate::output::Stream;
use crate::world::{self, World};

/// Bits of `struct pollfd` (include/uapi/asm-generic/poll.h).
pub mod poll {
    /// Reading does not wait.
    pub const IN: u16 = 1;
    /// Writing does not wait.
    pub const OUT: u16 = 4;
    /// There is no such descriptor.
    pub const INVALID: u16 = 32;
}

/// The most descriptors of one `ppoll`.
const POLL_MAX: u64 = 1024;
/// The most parts of one `writev` (`IOV_MAX`).
const PARTS_MAX: u64 = 1024;

const F_GETFD: u32 = 1;
const F_SETFD: u32 = 2;
const F_GETFL: u32 = 3;
const O_WRONLY: u64 = 1;
const O_CREAT: u32 = 0o100;
const AT_EMPTY_PATH: u32 = 0x1000;
/// A character device that its owner reads and writes.
const MODE: u32 = 0o2_0600;

impl<S: Pages> Process<S> {
    /// Calls about files; `None` for others.
    pub(super) fn file_call(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Option<Answer> {
        Some(match number {
            number::WRITE => self.write(world, args),
            number::WRITEV => self.writev(world, args),
            number::READ | number::READV => {
                self.open(args[0]).and_then(|at| if at == 0 { Ok(0) } else { Err(Errno::EBADF) })
            }
            number::CLOSE => self.open(args[0]).map(|at| {
                self.is_open[at] = false;
                0
            }),
            number::LSEEK | number::PREAD64 | number::PWRITE64 => self.open(args[0]).and(Err(Errno::ESPIPE)),
            number::IOCTL => self.open(args[0]).and(Err(Errno::ENOTTY)),
            number::FSYNC | number::FTRUNCATE => self.open(args[0]).and(Err(Errno::EINVAL)),
            number::FCNTL => self.fcntl(args),
            number::FSTAT => self.open(args[0]).and_then(|at| self.stat(world, at, args[1])),
            number::NEWFSTATAT if low(args[3]) & AT_EMPTY_PATH != 0 && is_empty(world, args[1]) => {
                self.open(args[0]).and_then(|at| self.stat(world, at, args[2]))
            }
            number::OPENAT if low(args[2]) & O_CREAT != 0 => self.no_files(world, number, Errno::EACCES),
            number::MKDIRAT | number::SYMLINKAT | number::LINKAT | number::RENAMEAT | number::RENAMEAT2 => {
                self.no_files(world, number, Errno::EACCES)
            }
            number::OPENAT
            | number::NEWFSTATAT
            | number::STATX
            | number::FACCESSAT
            | number::FACCESSAT2
            | number::READLINKAT
            | number::UNLINKAT
            | number::CHDIR
            | number::STATFS
            | number::FCHMODAT
            | number::UTIMENSAT => self.no_files(world, number, Errno::ENOENT),
            number::SOCKET | number::SOCKETPAIR => {
                self.tell(world, number, "its component was granted no network");
                Err(Errno::EACCES)
            }
            _ => return None,
        })
    }

    fn no_files(&mut self, world: &mut impl World, number: u64, errno: Errno) -> Answer {
        self.tell(world, number, "its component was granted no files");
        Err(errno)
    }

    fn open(&self, argument: u64) -> Result<usize, Errno> {
        let at = usize::try_from(int(argument)).map_err(|_| Errno::EBADF)?;
        if self.is_open.get(at).copied().unwrap_or(false) { Ok(at) } else { Err(Errno::EBADF) }
    }

    fn write(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let stream = self.stream(args[0])?;
        self.put(world, stream, args[1], args[2])
    }

    /// Several parts in one call; what was written before a part that cannot be read counts.
    fn writev(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let (stream, parts) = (self.stream(args[0])?, args[2]);
        if parts > PARTS_MAX {
            return Err(Errno::EINVAL);
        }
        let mut written = 0_u64;
        for part in 0..parts {
            let part = world::read_words(world, args[1].wrapping_add(part * 16));
            match part.and_then(|[address, bytes]| self.put(world, stream, address, bytes)) {
                Ok(bytes) => written = written.saturating_add(bytes),
                Err(errno) if written == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(written)
    }

    fn stream(&self, argument: u64) -> Result<Stream, Errno> {
        match self.open(argument)? {
            1 => Ok(Stream::Out),
            2 => Ok(Stream::Error),
            _ => Err(Errno::EBADF),
        }
    }

    fn put(&mut self, world: &mut impl World, stream: Stream, address: u64, bytes: u64) -> Answer {
        let [out, error] = &mut self.lines;
        let line = if stream == Stream::Out { out } else { error };
        let mut done = 0;
        while done < bytes {
            let mut chunk = [0; 256];
            let length = usize::try_from(bytes - done).unwrap_or(usize::MAX).min(chunk.len());
            let chunk = chunk.get_mut(..length).unwrap_or_default();
            match world.read(address.wrapping_add(done), chunk) {
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
                Ok(()) => line.write(chunk, &mut |text| world.line(stream, text)),
            }
            done += length as u64;
        }
        Ok(done)
    }

    /// Tells what was written and not ended.
    pub(super) fn flush(&mut self, world: &mut impl World) {
        let [out, error] = &mut self.lines;
        out.flush(&mut |text| world.line(Stream::Out, text));
        error.flush(&mut |text| world.line(Stream::Error, text));
    }

    fn fcntl(&mut self, args: [u64; 6]) -> Answer {
        let at = self.open(args[0])?;
        match low(args[1]) {
            F_GETFD | F_SETFD => Ok(0),
            F_GETFL => Ok(if at == 0 { 0 } else { O_WRONLY }),
            _ => Err(Errno::EINVAL),
        }
    }

    /// `struct stat`: what is not about a character device is 0.
    fn stat(&mut self, world: &mut impl World, at: usize, address: u64) -> Answer {
        let user = u32::from(self.identity.instance);
        let halves = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let mut words = [0; 16];
        words[1] = at as u64 + 1;
        words[2] = halves(MODE, 1);
        words[3] = halves(user, user);
        words[7] = PAGE;
        world::write_words(world, address, &words)?;
        Ok(0)
    }

    /// Output never waits, input is at its end: only descriptors that are not asked about anything wait for the time.
    pub(super) fn ppoll(&mut self, world: &mut impl World, thread: Thread, args: [u64; 6]) -> Outcome {
        let [entries, count, timeout, ..] = args;
        let deadline = match (timeout, count) {
            (_, count) if count > POLL_MAX => Err(Errno::EINVAL),
            (0, _) => Ok(None),
            (address, _) => read_time(world, address).map(|ns| Some(world.now_ns().saturating_add(ns))),
        };
        let (deadline, ready) =
            match deadline.and_then(|deadline| Ok((deadline, self.poll_all(world, entries, count)?))) {
                Ok(found) => found,
                Err(errno) => return errno.into(),
            };
        if ready > 0 || deadline.is_some_and(|deadline| deadline <= world.now_ns()) {
            return Outcome::Done(ready);
        }
        if deadline.is_some() && !self.may_wait_until(world, number::PPOLL) {
            return Errno::EACCES.into();
        }
        self.park(thread, deadline, 0)
    }

    /// `struct pollfd`: descriptor, wanted, found. How many of them have found something.
    fn poll_all(&self, world: &mut impl World, entries: u64, count: u64) -> Result<i64, Errno> {
        let mut ready = 0;
        for index in 0..count {
            let mut entry = [0; 8];
            let address = entries.wrapping_add(index * 8);
            world.read(address, &mut entry)?;
            let [a, b, c, d, wanted, wanted_high, ..] = entry;
            let (descriptor, wanted) = (i32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([wanted, wanted_high]));
            let found = match self.open(u64::from(descriptor.cast_unsigned())) {
                _ if descriptor < 0 => 0,
                Ok(0) => wanted & poll::IN,
                Ok(_) => wanted & poll::OUT,
                Err(_) => poll::INVALID,
            };
            world.write(address.wrapping_add(6), &found.to_le_bytes())?;
            ready += i64::from(found != 0);
        }
        Ok(ready)
    }
}

fn is_empty(world: &impl World, path: u64) -> bool {
    let mut first = [1];
    world.read(path, &mut first).is_ok() && first == [0]
}
