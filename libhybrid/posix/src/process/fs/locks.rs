//! `flock` and the locks of `fcntl`: exact within the program, whole files towards others; waiting is asking again.
//!
//! The server tells nobody when a lock becomes free ([decision 0160]): a thread that waits asks after 1 ms, then after twice as long each time,
//! and at least every 128 ms. Who waits in a circle does so until a signal comes; nobody looks for that (`EDEADLK`).
//!
//! The server knows one lock of each open file. A program's ranges of a file come to the strongest of them, held by one of its open files: so
//! two programs never have what excludes each other, but may be kept apart where their ranges do not meet ([decision 0147]). So may two open
//! files of one program by locks of both kinds, which it would wait for itself to give up: that is `ENOLCK`.
//!
//! [decision 0160]: ../../../../../docs/decisions/0160-a-lock-is-waited-for-by-asking-again.md
//! [decision 0147]: ../../../../../docs/decisions/0147-what-files-cannot-keep-is-refused-unless-nothing-is-lost.md
use super::claims::{Claim, Node, Owner, Range};
use super::{File, tree};
use crate::files::Lock;
use crate::futex::Thread;
use crate::number::{self, Answer, Errno, int, low};
use crate::process::io::Call;
use crate::process::object::{Id, Object};
use crate::process::signals::ASK;
use crate::process::{Outcome, Pages, Process};
use crate::world::World;

const LOCK_SH: u32 = 1;
const LOCK_EX: u32 = 2;
const LOCK_NB: u32 = 4;
const LOCK_UN: u32 = 8;

const F_GETLK: u32 = 5;
const F_SETLKW: u32 = 7;
/// `F_OFD_GETLK` and so on are these much greater.
const OFD: u32 = 31;
const F_OFD_SETLKW: u32 = F_SETLKW + OFD;
/// Types of `struct flock`.
const F_RDLCK: i16 = 0;
const F_WRLCK: i16 = 1;
const F_UNLCK: i16 = 2;

/// A wait for a lock is as long before the first question.
const FIRST_WAIT_NS: u64 = 1_000_000;
/// It is so often doubled: to 128 ms.
const DOUBLED_MAX: u8 = 7;

/// Why a program does not wait for itself.
const OWN_LOCK: &str = "another open file of the program has a lock of the other kind, and the server knows one kind";

/// What a program asks for: type, whence, start, length, process.
struct Asked {
    lock: Lock,
    range: Range,
    process: i32,
}

/// Whether a call of `fcntl` is about locks.
pub(in crate::process) const fn is_lock(command: u32) -> bool {
    matches!(command, F_GETLK..=F_SETLKW) || (command >= OFD && matches!(command - OFD, F_GETLK..=F_SETLKW))
}

impl<S: Pages> Process<S> {
    /// A call of flock, or of fcntl about locks.
    pub(in crate::process) fn lock_call(
        &mut self,
        world: &mut impl World,
        thread: Thread,
        number: u64,
        args: [u64; 6],
    ) -> Outcome {
        if !world.has_others() {
            // Only a server's file can be locked.
            return self.file(args[0], Errno::EINVAL, Errno::EINVAL).map(|_| 0).into();
        }
        let (mut answer, waits) = match number {
            number::FLOCK => (self.flock(world, args), low(args[1]) & LOCK_NB == 0),
            _ => (self.record_lock(world, args), matches!(low(args[1]), F_SETLKW | F_OFD_SETLKW)),
        };
        if answer == Err(Errno::EAGAIN) && waits {
            let call = Call { number, args, object: None, done: 0 };
            if !self.waits_for_itself(world, &call) {
                return self.wait_for_lock(world, thread, call);
            }
            self.tell(world, number, OWN_LOCK);
            answer = Err(Errno::ENOLCK);
        }
        if let Some(slot) = self.slot(thread) {
            slot.asked = 0;
        }
        answer.into()
    }

    /// Whether what the server refused excludes a lock of the program's own that Linux would have kept apart, as it is of the other kind: who
    /// waited for it might wait for ever.
    fn waits_for_itself(&mut self, world: &mut impl World, call: &Call) -> bool {
        let Ok((id, file)) = self.file(call.args[0], Errno::EINVAL, Errno::EINVAL) else { return false };
        let (is_flock, node) = (call.number == number::FLOCK, file.node());
        let (own, wanted) = if is_flock {
            (id, if low(call.args[1]) & LOCK_EX == 0 { Lock::Shared } else { Lock::Exclusive })
        } else {
            let owner = owner(id, call.args[1]);
            let Ok(asked) = asked(world, file, call.args[2]) else { return false };
            if self.fs.claims.conflict(node, owner, asked.range, asked.lock).is_some() {
                return false;
            }
            (self.holder(id, owner), asked.lock)
        };
        self.files.objects.all().any(|(other, held)| {
            let Object::File(file) = &held.object else { return false };
            let is_excluded = |lock: Lock| excludes(lock, wanted);
            let by_other_kind = is_excluded(file.whole) != is_flock && is_excluded(file.held);
            other != own && file.node() == node && by_other_kind
        })
    }

    /// Somebody has it: the call is made again after a while.
    fn wait_for_lock(&mut self, world: &mut impl World, thread: Thread, call: Call) -> Outcome {
        if !world.has_alarm() {
            self.tell(world, call.number, "somebody has the lock, and without a hybrid.time.Alarm nobody asks again");
            return Errno::ENOLCK.into();
        }
        if call.number == number::FLOCK
            && let Ok((id, _)) = self.file(call.args[0], Errno::EINVAL, Errno::EINVAL)
        {
            // As on Linux a lock of the other kind is given up first: two that share one and want it alone would wait for each other.
            self.set_whole(id, Lock::None);
            let _weaker = self.tell_lock(world, id);
        }
        let asked = self.slot(thread).map_or(0, |slot| {
            slot.call = Some(call);
            let asked = slot.asked;
            slot.asked = (asked + 1).min(DOUBLED_MAX);
            asked
        });
        let deadline = world.now_ns().saturating_add(FIRST_WAIT_NS << asked);
        self.park(thread, Some(deadline), ASK)
    }

    fn flock(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let (id, before) = self.file(args[0], Errno::EINVAL, Errno::EINVAL)?;
        let wanted = match low(args[1]) & !LOCK_NB {
            LOCK_SH => Lock::Shared,
            LOCK_EX => Lock::Exclusive,
            LOCK_UN => Lock::None,
            _ => return Err(Errno::EINVAL),
        };
        self.set_whole(id, wanted);
        match self.tell_lock(world, id) {
            Err(errno) => {
                self.set_whole(id, before.whole);
                Err(errno)
            }
            Ok(()) => Ok(0),
        }
    }

    /// `fcntl` with one of the locks' commands.
    fn record_lock(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let (id, file) = self.file(args[0], Errno::EINVAL, Errno::EINVAL)?;
        let owner = owner(id, args[1]);
        let command = if owner == Owner::Program { low(args[1]) } else { low(args[1]) - OFD };
        let asked = asked(world, file, args[2])?;
        if owner != Owner::Program && asked.process != 0 {
            return Err(Errno::EINVAL);
        }
        if command == F_GETLK {
            return self.find_lock(world, id, owner, &asked, args[2]);
        }
        let may = match asked.lock {
            Lock::None => true,
            Lock::Shared => file.is_readable,
            Lock::Exclusive => file.is_writable,
        };
        if !may {
            return Err(Errno::EBADF);
        }
        self.set_range(world, id, owner, &asked).map(|()| 0)
    }

    fn set_range(&mut self, world: &mut impl World, id: Id, owner: Owner, asked: &Asked) -> Result<(), Errno> {
        let file = *self.file_mut(id).ok_or(Errno::EBADF)?;
        let node = file.node();
        if self.fs.claims.conflict(node, owner, asked.range, asked.lock).is_some() {
            return Err(Errno::EAGAIN);
        }
        let before = self.fs.claims.set(node, owner, asked.range, asked.lock)?;
        let holder = self.holder(id, owner);
        if let (Owner::Program, Some(file)) = (owner, self.file_mut(holder)) {
            file.is_holder = true;
        }
        self.tell_lock(world, holder).inspect_err(|_| self.fs.claims = before)
    }

    /// Which open file has the lock of the program, or will have it.
    fn holder(&mut self, id: Id, owner: Owner) -> Id {
        let Some(file) = self.file_mut(id).map(|file| *file) else { return id };
        let found = if owner == Owner::Program { self.holder_of(file.node()) } else { None };
        found.unwrap_or(id)
    }

    fn holder_of(&self, node: Node) -> Option<Id> {
        let mut all = self.files.objects.all();
        let found =
            all.find(|(_, held)| matches!(&held.object, Object::File(file) if file.is_holder && file.node() == node));
        found.map(|(id, _)| id)
    }

    fn set_whole(&mut self, id: Id, lock: Lock) {
        if let Some(file) = self.file_mut(id) {
            file.whole = lock;
        }
    }

    /// Tells the server what the locks of an open file come to, if that changed.
    fn tell_lock(&mut self, world: &mut impl World, id: Id) -> Result<(), Errno> {
        let file = *self.file_mut(id).ok_or(Errno::EBADF)?;
        let node = file.node();
        let program = if file.is_holder { self.fs.claims.strongest(node, Owner::Program) } else { Lock::None };
        let wanted = file.whole.max(program).max(self.fs.claims.strongest(node, Owner::Description(id)));
        if wanted != file.held {
            tree(world, file.place)?.lock(file.number, wanted)?;
            if let Some(file) = self.file_mut(id) {
                file.held = wanted;
            }
        }
        Ok(())
    }

    /// `F_GETLK`: what excludes the lock, or that nothing does.
    fn find_lock(&mut self, world: &mut impl World, id: Id, owner: Owner, asked: &Asked, address: u64) -> Answer {
        let file = *self.file_mut(id).ok_or(Errno::EBADF)?;
        let found = self.fs.claims.conflict(file.node(), owner, asked.range, asked.lock);
        let own = i32::from(self.identity.instance);
        let found = match found {
            Some(Claim { owner, range, lock, .. }) => {
                Some((lock, range, if owner == Owner::Program { own } else { -1 }))
            }
            None => {
                let holder = self.holder(id, owner);
                let probed = self.probe(world, holder, asked.lock)?;
                probed.map(|lock| (lock, (0, u64::MAX), -1))
            }
        };
        let Some((lock, (start, end), process)) = found else {
            world.write(address, &F_UNLCK.to_le_bytes())?;
            return Ok(0);
        };
        let kind = if lock == Lock::Exclusive { F_WRLCK } else { F_RDLCK };
        world.write(address, &kind.to_le_bytes())?;
        world.write(address.wrapping_add(2), &[0; 2])?;
        let length = if end == u64::MAX { 0 } else { end - start };
        crate::world::write_words(world, address.wrapping_add(8), &[start, length])?;
        world.write(address.wrapping_add(24), &process.to_le_bytes())?;
        Ok(0)
    }

    /// Which lock of another component excludes this one: the server is asked for it, and what was is asked for again.
    fn probe(&mut self, world: &mut impl World, id: Id, wanted: Lock) -> Result<Option<Lock>, Errno> {
        let file = *self.file_mut(id).ok_or(Errno::EBADF)?;
        let tree = tree(world, file.place)?;
        for (lock, excluded_by) in [(Lock::Shared, Lock::Exclusive), (Lock::Exclusive, Lock::Shared)] {
            if lock <= file.held || lock > wanted {
                continue;
            }
            match tree.lock(file.number, lock) {
                Ok(()) => tree.lock(file.number, file.held)?,
                Err(Errno::EAGAIN) => return Ok(Some(excluded_by)),
                Err(errno) => return Err(errno),
            }
        }
        Ok(None)
    }

    /// An open file is closed: its locks are free, and as POSIX has it all that the program had by `F_SETLK`.
    pub(in crate::process) fn close_file(&mut self, world: &mut impl World, id: Id, file: File) {
        let node = file.node();
        self.fs.claims.forget(node, Owner::Description(id));
        self.fs.claims.forget(node, Owner::Program);
        if let Ok(tree) = tree(world, file.place) {
            tree.close(file.number);
        }
        if let Some(holder) = self.holder_of(node) {
            // A weaker lock is not refused; a server that died has none.
            let _weaker = self.tell_lock(world, holder);
            if let Some(file) = self.file_mut(holder) {
                file.is_holder = false;
            }
        }
    }
}

/// Whose lock a command of `fcntl` is about.
const fn owner(id: Id, command: u64) -> Owner {
    if matches!(low(command), F_GETLK..=F_SETLKW) { Owner::Program } else { Owner::Description(id) }
}

/// Whether nobody has one of these while somebody else has the other.
fn excludes(one: Lock, other: Lock) -> bool {
    one.max(other) == Lock::Exclusive && one.min(other) != Lock::None
}

/// `struct flock`: type and whence (halves of words), start, length, process.
fn asked(world: &mut impl World, file: File, address: u64) -> Result<Asked, Errno> {
    let [kinds, start, length, process] = crate::world::read_words(world, address)?;
    let [a, b, c, d, ..] = kinds.to_le_bytes();
    let (kind, whence) = (i16::from_le_bytes([a, b]), i16::from_le_bytes([c, d]));
    let lock = match kind {
        F_RDLCK => Lock::Shared,
        F_WRLCK => Lock::Exclusive,
        F_UNLCK => Lock::None,
        _ => return Err(Errno::EINVAL),
    };
    let base = match whence {
        0 => 0,
        1 => file.offset,
        2 => tree(world, file.place)?.status(file.number)?.size,
        _ => return Err(Errno::EINVAL),
    };
    let start = base.checked_add_signed(start.cast_signed()).ok_or(Errno::EINVAL)?;
    let range = match length.cast_signed() {
        0 => (start, u64::MAX),
        length if length > 0 => (start, start.checked_add_signed(length).ok_or(Errno::EOVERFLOW)?),
        length => (start.checked_add_signed(length).ok_or(Errno::EINVAL)?, start),
    };
    Ok(Asked { lock, range, process: int(process) })
}
