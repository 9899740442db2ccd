//! Threads: which there are, which wait and until when, and how they begin and end; it runs none.
use super::signals::{AGAIN, bit};
use super::{Ending, Outcome, Pages, Process, exit_status, io};
use crate::futex::{ANY, Thread, Threads};
use crate::number::{Answer, Errno, low};
use crate::world::{self, World};

const NS: u64 = 1_000_000_000;

/// One place for a thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    state: State,
    /// A word that becomes 0, and is woken, when the thread ends; 0 for none.
    clear: u64,
    /// Signals that wait until they are allowed.
    pub(super) blocked: u64,
    /// What `blocked` is to be again after a call that waits with a mask of its own.
    pub(super) kept: Option<u64>,
    pub(super) pending: u64,
    /// Those of them that are the program's: another thread gets them if this one ends.
    pub(super) shared: u64,
    /// What the thread waits to go on with, if it waits for a descriptor.
    pub(super) call: Option<super::io::Call>,
    /// Where a sleep that is interrupted says how much was left of it; 0 for nowhere.
    pub(super) left: u64,
    /// How often it has asked for a lock that it waits for.
    pub(super) asked: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    Running,
    /// Waits; if the deadline comes first, the call returns `late`.
    Parked {
        deadline: Option<u64>,
        late: i64,
    },
    /// Waits no more; the call returns this.
    Ready(i64),
}

impl Slot {
    pub(super) const FREE: Self = Self {
        state: State::Free,
        clear: 0,
        blocked: 0,
        kept: None,
        pending: 0,
        shared: 0,
        call: None,
        left: 0,
        asked: 0,
    };
    pub(super) const RUNNING: Self = Self { state: State::Running, ..Self::FREE };

    pub(super) fn is_free(&self) -> bool {
        self.state == State::Free
    }

    /// The call is over: a mask of its own is, too.
    pub(super) fn restore_mask(&mut self) {
        self.blocked = self.kept.take().unwrap_or(self.blocked);
    }

    pub(super) const fn is_parked(&self) -> bool {
        matches!(self.state, State::Parked { .. })
    }
}

/// The threads of a set, from the first on.
pub(super) fn each(threads: Threads) -> impl Iterator<Item = Thread> {
    let mut left = threads;
    core::iter::from_fn(move || {
        let thread = u8::try_from(left.trailing_zeros()).ok().filter(|_| left != 0)?;
        left &= left - 1;
        Some(thread)
    })
}

const CLONE_VM: u32 = 0x100;
const CLONE_THREAD: u32 = 0x1_0000;
const CLONE_SETTLS: u32 = 0x8_0000;
const CLONE_PARENT_SETTID: u32 = 0x10_0000;
const CLONE_CHILD_CLEARTID: u32 = 0x20_0000;

impl<S: Pages> Process<S> {
    /// `thread` waits, until it is answered or the deadline; then its call returns `late`.
    pub(super) fn park(&mut self, thread: Thread, deadline: Option<u64>, late: i64) -> Outcome {
        if let Some(slot) = self.slots.get_mut(usize::from(thread)) {
            (slot.state, slot.left) = (State::Parked { deadline, late }, 0);
            self.parked |= 1 << thread;
        }
        Outcome::Park
    }

    /// The calls of these threads return `result`.
    pub(super) fn answer(&mut self, threads: Threads, result: i64) {
        let threads = threads & self.parked;
        for thread in each(threads) {
            if let Some(slot) = self.slots.get_mut(usize::from(thread)) {
                slot.state = State::Ready(result);
            }
        }
        (self.parked, self.woken) = (self.parked & !threads, self.woken | threads);
    }

    /// What the call of a parked thread returns, once it does.
    pub fn take_result(&mut self, thread: Thread) -> Option<i64> {
        let slot = self.slots.get_mut(usize::from(thread))?;
        let State::Ready(result) = slot.state else { return None };
        slot.state = State::Running;
        // After a signal the handler comes first.
        if result != Errno::EINTR.negated() && slot.kept.is_some() {
            self.end_mask(thread);
        }
        self.woken &= !(1 << thread);
        Some(result)
    }

    /// Threads whose result came since the last question: they are to be woken; and one that waits, if there is more to do than was done.
    pub fn take_woken(&mut self) -> Threads {
        let goes_on = if self.has_more() { self.parked & self.parked.wrapping_neg() } else { 0 };
        core::mem::take(&mut self.woken) | goes_on
    }

    /// A signal ends the wait of a thread, if it waits: what it moved counts, else its call is made again after the handler, or is `EINTR`.
    pub(super) fn interrupt(&mut self, world: &mut impl World, thread: Thread, restarts: bool) {
        let Some(slot) = self.slots.get_mut(usize::from(thread)) else { return };
        let State::Parked { deadline, .. } = slot.state else { return };
        let (call, left) = (slot.call.take(), core::mem::take(&mut slot.left));
        slot.asked = 0;
        let result = match call {
            Some(call) if io::has_moved(&call) => call.done.cast_signed(),
            Some(call) if io::goes_on(call.number, restarts) => AGAIN,
            _ => Errno::EINTR.negated(),
        };
        if let Some(deadline) = deadline.filter(|_| left != 0) {
            let rest = deadline.saturating_sub(world.now_ns());
            // A sleep whose rest cannot be told has ended early.
            let _told = world::write_words(world, left, &[rest / NS, rest % NS]);
        }
        let _was_in_a_queue = self.table.leave(thread);
        self.answer(1 << thread, result);
    }

    /// What a parked thread waits to go on with.
    pub(super) fn parked_call(&self, thread: Thread) -> Option<super::io::Call> {
        let slot = self.slots.get(usize::from(thread))?;
        slot.call.filter(|_| matches!(slot.state, State::Parked { .. }))
    }

    /// Ends the waits whose deadline has come, after timers were told and calls were tried.
    pub fn expire(&mut self, world: &mut impl World) {
        let now_ns = world.now_ns();
        self.pass_timers(now_ns);
        self.ring(world);
        // A bell can also mean that there is room again.
        self.files.is_changed = true;
        self.retry(world);
        for thread in each(self.parked) {
            let Some(slot) = self.slots.get_mut(usize::from(thread)) else { return };
            match slot.state {
                State::Parked { deadline: Some(deadline), late } if deadline <= now_ns => {
                    let call = slot.call.take();
                    let moved = call.filter(io::has_moved).map(|call| call.done.cast_signed());
                    slot.state = State::Ready(moved.unwrap_or(late));
                    (self.parked, self.woken) = (self.parked & !(1 << thread), self.woken | 1 << thread);
                    if let Some(call) = call {
                        self.give_up(world, &call);
                    }
                    let _was_in_a_queue = self.table.leave(thread);
                }
                _ => {}
            }
        }
    }

    /// When the next wait ends by its deadline.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let deadline = |thread| match self.slots.get(usize::from(thread))?.state {
            State::Parked { deadline, .. } => deadline,
            _ => None,
        };
        each(self.parked).filter_map(deadline).chain(self.next_timer()).chain(self.alarm.next).min()
    }

    /// The lowest number of a thread that does not run.
    pub(super) fn free_thread(&self) -> Option<usize> {
        self.slots.iter().take(self.identity.threads.into()).position(|slot| slot.state == State::Free)
    }

    /// Begins a thread as `clone` with these flags does; its number. The caller lets it run.
    ///
    /// # Errors
    /// `ENOSYS` for anything but a thread, `EAGAIN` if there are as many as the component may have, `EFAULT`.
    pub fn begin_thread(
        &mut self,
        world: &mut impl World,
        flags: u64,
        parent: u64,
        child: u64,
    ) -> Result<Thread, Errno> {
        let flags = low(flags);
        let wanted = CLONE_VM | CLONE_THREAD | CLONE_SETTLS;
        if flags & wanted != wanted {
            self.tell(world, crate::number::CLONE, "a component cannot be copied");
            return Err(Errno::ENOSYS);
        }
        let Some(index) = self.free_thread() else {
            self.tell(world, crate::number::CLONE, "all threads of component.toml run");
            return Err(Errno::EAGAIN);
        };
        let thread = u8::try_from(index).map_err(|_| Errno::EAGAIN)?;
        if flags & CLONE_PARENT_SETTID != 0 {
            world.write(parent, &self.number_of(thread).to_le_bytes())?;
        }
        let clear = if flags & CLONE_CHILD_CLEARTID == 0 { 0 } else { child };
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Slot { clear, ..Slot::RUNNING };
        }
        Ok(thread)
    }

    /// The number by which a program knows a thread; that of the first is the program's.
    #[must_use]
    pub fn number_of(&self, thread: Thread) -> u32 {
        u32::from(self.identity.instance) | u32::from(thread) << 16
    }

    /// The thread of a number, if it is there.
    pub(super) fn thread_of(&self, number: u32) -> Option<Thread> {
        let thread = u8::try_from(number >> 16).ok().filter(|_| number & 0xffff == self.identity.instance.into())?;
        self.slots.get(usize::from(thread)).filter(|slot| slot.state != State::Free).map(|_| thread)
    }

    pub(super) fn set_tid_address(&mut self, thread: Thread, address: u64) -> Answer {
        if let Some(slot) = self.slots.get_mut(usize::from(thread)) {
            slot.clear = address;
        }
        Ok(self.number_of(thread).into())
    }

    /// The end of one thread; of the program, if it was the last. The thread's stack is not used from here on: whoever waits for the word may
    /// give it to somebody else.
    pub(super) fn exit_thread(&mut self, world: &mut impl World, thread: Thread, status: u64) -> Outcome {
        let is_last = self.slots.iter().filter(|slot| slot.state != State::Free).count() <= 1;
        if is_last {
            return self.leave(world, thread, Ending::Exit(exit_status(status)));
        }
        if let Some(slot) = self.slots.get_mut(usize::from(thread)) {
            let (clear, shared) = (slot.clear, slot.shared);
            *slot = Slot::FREE;
            if shared != 0 {
                (1..=64).filter(|signal| shared & bit(*signal) != 0).for_each(|it| self.signal_program(world, it));
            }
            if clear != 0 && world.write(clear, &[0; 4]).is_ok() {
                let woken = self.table.wake(clear, 1, ANY);
                self.answer(woken, 0);
            }
        }
        Outcome::ThreadEnded
    }

    pub(super) fn slot(&mut self, thread: Thread) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(thread))
    }
}
