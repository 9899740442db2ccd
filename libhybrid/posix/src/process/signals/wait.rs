//! Signals that a program waits for in place of a handler: sigsuspend, sigwait and its kin, sigpending, signalfd.
//!
//! Source: Linux, sigsuspend(2), sigtimedwait(2), sigpending(2), signalfd(2).
use super::{NEVER_BLOCKED, bit};
use crate::futex::Thread;
use crate::number::{Answer, Errno, low};
use crate::process::descriptors::{O_CLOEXEC, O_NONBLOCK};
use crate::process::io::Call;
use crate::process::object::Object;
use crate::process::pieces::Pieces;
use crate::process::{Pages, Process};
use crate::world::{self, World};

/// `struct siginfo` and `struct signalfd_siginfo`: the number comes first, the rest of what is told here is 0.
const INFORMATION: usize = 128;

/// A set of signals that can be waited for.
fn try_set(world: &impl World, address: u64, size: u64) -> Result<u64, Errno> {
    if size != 8 {
        return Err(Errno::EINVAL);
    }
    let [set] = world::read_words(world, address)?;
    Ok(set & !NEVER_BLOCKED)
}

fn information(signal: u8) -> [u8; INFORMATION] {
    let mut bytes = [0; INFORMATION];
    if let Some(first) = bytes.first_mut() {
        *first = signal;
    }
    bytes
}

impl<S: Pages> Process<S> {
    /// Signals that wait for the thread: its own, and those of the program that another thread keeps.
    pub(super) fn waiting(&self, thread: Thread) -> u64 {
        let shared = self.slots.iter().fold(0, |all, slot| all | slot.shared);
        self.slots.get(usize::from(thread)).map_or(shared, |slot| slot.pending | shared)
    }

    pub(in crate::process) fn sigpending(&mut self, world: &mut impl World, thread: Thread, args: [u64; 6]) -> Answer {
        let [set, size, ..] = args;
        if size > 8 {
            return Err(Errno::EINVAL);
        }
        let waiting = self.waiting(thread).to_le_bytes();
        world.write(set, waiting.get(..usize::try_from(size).unwrap_or(0)).unwrap_or_default())?;
        Ok(0)
    }

    /// One try of sigtimedwait: the lowest signal of the set that waits, which is then gone; `None` if there is none.
    pub(in crate::process) fn try_sigwait(
        &mut self,
        world: &mut impl World,
        thread: Thread,
        call: &Call,
    ) -> Option<Answer> {
        let [set, into, _, size, ..] = call.args;
        let set = match try_set(world, set, size) {
            Ok(set) => set,
            Err(errno) => return Some(Err(errno)),
        };
        let signal = (1..=64).find(|signal| self.waiting(thread) & set & bit(*signal) != 0)?;
        // The signal stays if it cannot be told.
        if into != 0
            && let Err(errno) = world.write(into, &information(signal))
        {
            return Some(Err(errno));
        }
        self.take(thread, signal);
        Some(Ok(signal.into()))
    }

    /// A signal is gone: the thread's own, or the program's, whoever keeps it.
    fn take(&mut self, thread: Thread, signal: u8) {
        let own = usize::from(thread);
        let is_own = self.slots.get(own).is_some_and(|slot| slot.pending & bit(signal) != 0);
        let keeper = |slot: &super::super::Slot| slot.shared & bit(signal) != 0;
        let keeper = if is_own { Some(own) } else { self.slots.iter().position(keeper) };
        if let Some(slot) = keeper.and_then(|keeper| self.slots.get_mut(keeper)) {
            (slot.pending, slot.shared) = (slot.pending & !bit(signal), slot.shared & !bit(signal));
        }
    }

    /// `signalfd4`: a new descriptor, or another set for one.
    pub(in crate::process) fn signalfd(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let [descriptor, set, size, flags, ..] = args;
        let set = try_set(world, set, size)?;
        if low(flags) & !(O_CLOEXEC | O_NONBLOCK) != 0 {
            return Err(Errno::EINVAL);
        }
        self.files.has_signals = true;
        if low(descriptor) == u32::MAX {
            return self.files.open(Object::Signals(set), low(flags));
        }
        let id = self.files.id(descriptor)?;
        match self.files.objects.get_mut(id).map(|held| &mut held.object) {
            Some(Object::Signals(before)) => *before = set,
            _ => return Err(Errno::EINVAL),
        }
        self.files.touch(Some(id), true, false);
        Ok(descriptor)
    }

    /// Signals of the set that wait for some thread, which blocks them: whoever reads takes them, also another thread's.
    pub(in crate::process) fn readable(&self, set: u64) -> u64 {
        self.slots.iter().fold(0, |all, slot| all | slot.pending & slot.blocked) & set
    }

    /// As many of them as there is room for, 128 bytes each; `None` if none waits.
    pub(in crate::process) fn read_signals(
        &mut self,
        world: &mut impl World,
        set: u64,
        pieces: Pieces,
    ) -> Result<Option<u64>, Errno> {
        let room = pieces.total(world)? / INFORMATION as u64;
        if room == 0 {
            return Err(Errno::EINVAL);
        }
        let mut told = 0;
        while told < room
            && let Some(signal) = (1..=64).find(|signal| self.readable(set) & bit(*signal) != 0)
        {
            match pieces.fill(world, told * INFORMATION as u64, &information(signal)) {
                Ok(_) => {}
                Err(errno) if told == 0 => return Err(errno),
                Err(_) => break,
            }
            let keeps = |slot: &super::super::Slot| slot.pending & slot.blocked & bit(signal) != 0;
            if let Some(keeper) = self.slots.iter().position(keeps).and_then(|at| Thread::try_from(at).ok()) {
                self.take(keeper, signal);
            }
            told += 1;
        }
        Ok((told > 0).then_some(told * INFORMATION as u64))
    }

    /// A signal waits that may be blocked: who waits for it in a call or at a descriptor looks again.
    pub(super) fn noticed(&mut self, signal: u8) {
        self.files.is_changed = true;
        if !self.files.has_signals {
            return;
        }
        for id in self.files.objects.numbers() {
            let object = self.files.objects.get(id).map(|held| &held.object);
            if matches!(object, Some(Object::Signals(set)) if set & bit(signal) != 0) {
                self.files.touch(Some(id), true, false);
            }
        }
    }
}
