//! Signals: the program's own, its parent's, those of ended children; they interrupt who waits, and nobody else.
mod wait;

use super::{Ending, Outcome, Pages, Process};
use crate::futex::Thread;
use crate::number::{self, Answer, Errno, int, low};
use crate::world::{self, World};

/// Signals 1 to 64.
pub(super) const SIGNALS: usize = 65;

/// Numbers of signals (include/uapi/asm-generic/signal.h).
pub mod signal {
    /// `abort`.
    pub const ABRT: u8 = 6;
    /// Cannot be handled.
    pub const KILL: u8 = 9;
    /// The timer of `setitimer`.
    pub const ALRM: u8 = 14;
    /// A child ended.
    pub const CHLD: u8 = 17;
    /// Cannot be handled.
    pub const STOP: u8 = 19;
}

/// What the program wants done at a signal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Action {
    handler: u64,
    flags: u64,
    restorer: u64,
    blocked: u64,
}

impl Action {
    pub(super) const DEFAULT: Self = Self { handler: 0, flags: 0, restorer: 0, blocked: 0 };
}

/// A handler that is to be called, on the thread that made the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Address of the handler.
    pub handler: u64,
    /// The signal.
    pub signal: u8,
    /// Signals that are blocked after it.
    pub blocked_after: u64,
    /// What the call returns afterwards.
    pub result: i64,
}

/// What a call returns that is to be made again, with the same arguments: no program sees it.
pub const AGAIN: i64 = -512;
/// As [`AGAIN`], for a call that asks from time to time: a signal that came meanwhile interrupts it.
pub(super) const ASK: i64 = -513;

const IGNORE: u64 = 1;
/// The call that a handler interrupted goes on after it.
const SA_RESTART: u64 = 0x1000_0000;
/// The handler is called once; then the default is in force.
const SA_RESETHAND: u64 = 0x8000_0000;
/// The signal may come again while its handler runs.
const SA_NODEFER: u64 = 0x4000_0000;
/// Ended children need not be waited for.
const SA_NOCLDWAIT: u64 = 2;
/// Default actions that are not the program's end: CHLD, CONT, URG, WINCH. Those that would stop it do nothing either: nobody could go on.
const HARMLESS: u64 = bit(17) | bit(18) | bit(19) | bit(20) | bit(21) | bit(22) | bit(23) | bit(28);
const NEVER_BLOCKED: u64 = bit(signal::KILL) | bit(signal::STOP);

pub(super) const fn bit(signal: u8) -> u64 {
    1 << (signal - 1)
}

fn try_signal(argument: u64) -> Result<u8, Errno> {
    u8::try_from(low(argument)).ok().filter(|signal| (1..=64).contains(signal)).ok_or(Errno::EINVAL)
}

impl<S: Pages> Process<S> {
    /// `struct k_sigaction`: handler, flags, restorer, mask.
    pub(super) fn sigaction(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let [signal, new, old, size, ..] = args;
        let signal = try_signal(signal)?;
        if size != 8 || (new != 0 && bit(signal) & NEVER_BLOCKED != 0) {
            return Err(Errno::EINVAL);
        }
        let Some(action) = self.actions.get_mut(usize::from(signal)) else { return Err(Errno::EINVAL) };
        let before = *action;
        if new != 0 {
            let [handler, flags, restorer, blocked] = world::read_words(world, new)?;
            *action = Action { handler, flags, restorer, blocked };
        }
        if old != 0 {
            world::write_words(world, old, &[before.handler, before.flags, before.restorer, before.blocked])?;
        }
        Ok(0)
    }

    pub(super) fn sigprocmask(&mut self, world: &mut impl World, thread: Thread, args: [u64; 6]) -> Outcome {
        match self.change_mask(world, thread, args) {
            Ok(()) => self.deliver(world, thread, 0),
            Err(errno) => errno.into(),
        }
    }

    /// The signals that are blocked while a call of poll, select, epoll or sigsuspend waits, if it says which.
    pub(super) fn mask_wait(
        &mut self,
        world: &mut impl World,
        thread: Thread,
        number: u64,
        args: [u64; 6],
    ) -> Result<(), Errno> {
        let [mask, size] = match number {
            number::PPOLL => [args[3], args[4]],
            number::EPOLL_PWAIT => [args[4], args[5]],
            number::RT_SIGSUSPEND if args[0] == 0 => return Err(Errno::EFAULT),
            number::RT_SIGSUSPEND => [args[0], args[1]],
            number::PSELECT6 if args[5] != 0 => world::read_words(world, args[5])?,
            _ => return Ok(()),
        };
        if mask == 0 {
            return Ok(());
        }
        let slot = self.slot(thread).filter(|_| size == 8).ok_or(Errno::EINVAL)?;
        let [set] = world::read_words(world, mask)?;
        (slot.kept, slot.blocked) = (Some(slot.blocked), set & !NEVER_BLOCKED);
        self.gather_shared(thread);
        Ok(())
    }

    /// Signals of the program that another thread keeps and blocks, and this one does not, are for this one.
    pub(super) fn gather_shared(&mut self, thread: Thread) {
        let own = usize::from(thread);
        let Some(blocked) = self.slots.get(own).map(|slot| slot.blocked) else { return };
        let mut found = 0;
        for (_, slot) in self.slots.iter_mut().enumerate().filter(|(at, _)| *at != own) {
            let moved = slot.shared & slot.blocked & !blocked;
            (slot.pending, slot.shared) = (slot.pending & !moved, slot.shared & !moved);
            found |= moved;
        }
        if let Some(slot) = self.slots.get_mut(own) {
            (slot.pending, slot.shared) = (slot.pending | found, slot.shared | found);
        }
    }

    /// A call that had a mask of its own is over: the thread's is in force again.
    pub(super) fn end_mask(&mut self, thread: Thread) {
        if let Some(slot) = self.slot(thread) {
            slot.restore_mask();
        }
        self.gather_shared(thread);
    }

    /// What a call that did not wait returns, and its thread's mask as it was. One that found nothing, and let a signal in meanwhile, is `EINTR`.
    pub(super) fn unmask(&mut self, thread: Thread, result: i64) -> i64 {
        let has_own_mask = self.slot(thread).is_some_and(|slot| slot.kept.is_some());
        if has_own_mask && result == 0 && self.interruption(thread).is_some() {
            return Errno::EINTR.negated();
        }
        if has_own_mask {
            self.end_mask(thread);
        }
        result
    }

    fn change_mask(&mut self, world: &mut impl World, thread: Thread, args: [u64; 6]) -> Result<(), Errno> {
        let [how, new, old, size, ..] = args;
        let slot = self.slot(thread).filter(|_| size == 8).ok_or(Errno::EINVAL)?;
        let before = slot.blocked;
        if new != 0 {
            let [set] = world::read_words(world, new)?;
            slot.blocked = match low(how) {
                0 => before | set,
                1 => before & !set,
                2 => set,
                _ => return Err(Errno::EINVAL),
            } & !NEVER_BLOCKED;
            self.gather_shared(thread);
        }
        if old != 0 {
            world::write_words(world, old, &[before])?;
        }
        Ok(())
    }

    /// kill, tkill, tgkill. Another thread cannot be interrupted, so a handler runs only on the thread that sends.
    pub(super) fn kill(&mut self, world: &mut impl World, thread: Thread, number: u64, args: [u64; 6]) -> Outcome {
        let (target, signal) = match number {
            number::TGKILL => (args[1], args[2]),
            _ => (args[0], args[1]),
        };
        let own = i32::from(self.identity.instance.cast_signed());
        let is_self = number == number::KILL && (int(target) == own || int(target) == 0);
        let found = if is_self { Some(thread) } else { self.thread_of(low(target)) };
        let Some(target) = found.filter(|_| number != number::KILL || is_self) else {
            let child = if number == number::KILL { self.kill_child(world, int(target), signal) } else { None };
            return child.unwrap_or(Err(Errno::ESRCH)).into();
        };
        if low(signal) == 0 {
            return Outcome::Done(0);
        }
        let signal = match try_signal(signal) {
            Ok(signal) => signal,
            Err(errno) => return errno.into(),
        };
        let handler = self.actions.get(usize::from(signal)).map_or(0, |action| action.handler);
        let is_blocked = self.slot(target).is_some_and(|slot| slot.blocked & bit(signal) != 0);
        if target != thread && handler > IGNORE && !is_blocked {
            self.tell(world, number, "no thread can be interrupted by another");
            return Errno::ENOSYS.into();
        }
        if is_self {
            self.asked &= !bit(signal);
        }
        if is_self && is_blocked {
            // Another thread may not block it.
            self.signal_program(world, signal);
            return Outcome::Done(0);
        }
        if is_self {
            self.raise_shared(target, signal);
        } else {
            self.raise(target, signal);
        }
        if target == thread {
            return self.deliver(world, thread, 0);
        }
        match self.default_of(bit(signal)).filter(|_| !is_blocked) {
            Some(signal) => self.leave(world, thread, Ending::Signal(signal)),
            None => Outcome::Done(0),
        }
    }

    /// The end of the program if the default action of one of these signals is in force and is that.
    fn default_of(&self, signals: u64) -> Option<u8> {
        (1..=64).find(|signal| {
            let is_default = self.actions.get(usize::from(*signal)).is_some_and(|action| action.handler == 0);
            signals & bit(*signal) & !HARMLESS != 0 && is_default
        })
    }

    /// One of the program, which another thread may take over.
    fn raise_shared(&mut self, thread: Thread, signal: u8) {
        self.raise(thread, signal);
        if let Some(slot) = self.slot(thread) {
            slot.shared |= bit(signal);
        }
    }

    /// A signal to a thread, which it gets when it goes on.
    pub(super) fn raise(&mut self, thread: Thread, signal: u8) {
        if let Some(slot) = self.slot(thread) {
            slot.pending |= bit(signal);
        }
        self.noticed(signal);
    }

    /// Whether a signal waits that the thread may get.
    pub(super) fn has_signal(&self, thread: Thread) -> bool {
        self.slots.get(usize::from(thread)).is_some_and(|slot| slot.pending & !slot.blocked != 0)
    }

    /// Whether a call that is done or waits has more to do for its thread: a signal is there, or the call has a mask of its own.
    pub(super) fn is_disturbed(&self, thread: Thread) -> bool {
        let slot = self.slots.get(usize::from(thread));
        slot.is_some_and(|slot| slot.pending & !slot.blocked != 0 || slot.kept.is_some())
    }

    /// Whether a signal waits that ends the wait of the thread, and then whether its call is made again.
    pub(super) fn interruption(&self, thread: Thread) -> Option<bool> {
        let now = self.slots.get(usize::from(thread)).map_or(0, |slot| slot.pending & !slot.blocked);
        let counts = |signal: &u8| now & bit(*signal) != 0 && !self.is_ignored(*signal);
        let action = (1..=64).find(counts).and_then(|signal| self.actions.get(usize::from(signal)))?;
        Some(action.flags & SA_RESTART != 0)
    }

    /// Whether a signal does nothing.
    fn is_ignored(&self, signal: u8) -> bool {
        let Some(action) = self.actions.get(usize::from(signal)) else { return true };
        action.handler == IGNORE || action.handler == 0 && bit(signal) & HARMLESS != 0
    }

    /// Whether the result of a call that waited is all that its thread is to know; otherwise it goes on with [`Process::resumed`].
    #[must_use]
    pub fn is_plain(&self, thread: Thread, result: i64) -> bool {
        let is_special =
            result == Errno::EPIPE.negated() || result == Errno::EINTR.negated() || result == AGAIN || result == ASK;
        !is_special && !self.has_signal(thread)
    }

    /// Whether the program wants to know nothing of children that ended.
    pub(super) fn reaps_itself(&self) -> bool {
        let action = self.actions.get(usize::from(signal::CHLD));
        action.is_some_and(|action| action.handler == IGNORE || action.flags & SA_NOCLDWAIT != 0)
    }

    /// A signal from outside, to the program: one thread gets it that does not block it, the first that waits if there is one. Who computes gets
    /// it at its next call.
    pub(super) fn signal_program(&mut self, world: &mut impl World, signal: u8) {
        let Some(action) = self.actions.get(usize::from(signal)).copied().filter(|_| signal > 0) else { return };
        self.asked &= !bit(signal);
        // One that is blocked stays: its action may be another one when it is let in, or somebody waits for it.
        let is_blocked = |slot: &super::Slot| slot.blocked & bit(signal) != 0 && !slot.is_free();
        if self.is_ignored(signal) && !self.slots.iter().any(is_blocked) {
            return;
        }
        let takes = |slot: &&super::Slot| !slot.is_free() && slot.blocked & bit(signal) == 0;
        let parked = self.slots.iter().position(|slot| takes(&slot) && slot.is_parked());
        let thread = parked.or_else(|| self.slots.iter().position(|slot| takes(&slot)));
        // If all block it, the first that unblocks it should: it is the first that runs here.
        let thread = thread.or_else(|| self.slots.iter().position(|slot| !slot.is_free()));
        let thread = thread.and_then(|thread| Thread::try_from(thread).ok()).unwrap_or(0);
        self.raise_shared(thread, signal);
        if self.interruption(thread).is_some() {
            self.interrupt(world, thread, action.flags & SA_RESTART != 0);
        }
    }

    /// What becomes of the signals that wait and are not blocked; the call that let them in returns `result` afterwards.
    pub(super) fn deliver(&mut self, world: &mut impl World, thread: Thread, result: i64) -> Outcome {
        let Some(slot) = self.slot(thread) else { return Outcome::Done(result) };
        let now = slot.pending & !slot.blocked;
        let shared = slot.shared & now;
        (slot.pending, slot.shared) = (slot.pending & !now, slot.shared & !now);
        let (during, blocked) = (slot.blocked, slot.kept.unwrap_or(slot.blocked));
        slot.restore_mask();
        if let Some(signal) = self.default_of(now) {
            // Who sent it may wait for the end before it reads what was written.
            let is_asked = shared & self.asked & bit(signal) != 0;
            let ending = Ending::Signal(signal);
            return if is_asked { self.end(world, ending) } else { self.leave(world, thread, ending) };
        }
        let has_handler = |signal: &u8| {
            let action = self.actions.get(usize::from(*signal));
            now & bit(*signal) != 0 && action.is_some_and(|action| action.handler > IGNORE)
        };
        let Some(signal) = (1..=64).find(has_handler) else { return Outcome::Done(result) };
        let Some(place) = self.actions.get_mut(usize::from(signal)) else { return Outcome::Done(result) };
        let action = *place;
        if action.flags & SA_RESETHAND != 0 {
            place.handler = 0;
        }
        let own = if action.flags & SA_NODEFER == 0 { bit(signal) } else { 0 };
        if let Some(slot) = self.slot(thread) {
            slot.pending |= now & !bit(signal);
            slot.shared |= shared & !bit(signal);
            slot.blocked = (during | action.blocked | own) & !NEVER_BLOCKED;
        }
        Outcome::Deliver(Delivery { handler: action.handler, signal, blocked_after: blocked, result })
    }

    /// A handler returned; further signals may follow.
    #[inline(never)]
    pub fn handled(&mut self, world: &mut impl World, thread: Thread, delivery: Delivery) -> Outcome {
        if let Some(slot) = self.slot(thread) {
            slot.blocked = delivery.blocked_after;
        }
        self.gather_shared(thread);
        self.deliver(world, thread, delivery.result)
    }
}
