//! Which thread waits for which word; it reads no word and wakes nobody itself.

use heapless::Vec;

/// The most threads of one component, the first included.
pub const THREADS_MAX: usize = 64;

/// Threads as bits; thread `i` is bit `i`.
pub type Threads = u64;

/// A thread's number, from 0.
pub type Thread = u8;

/// Wakes whatever a waiter waits for (`FUTEX_BITSET_MATCH_ANY`).
pub const ANY: u32 = u32::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waiter {
    address: u64,
    bits: u32,
    thread: Thread,
}

/// All waiters, in the order in which they came to their word.
///
/// INV-FUTEX-1: a thread waits for at most one word, so the table is never full.
#[derive(Debug, Default)]
pub struct Table {
    waiters: Vec<Waiter, THREADS_MAX>,
}

impl Table {
    /// Nobody waits.
    #[must_use]
    pub const fn new() -> Self {
        Self { waiters: Vec::new() }
    }

    /// `thread` waits for the word at `address`. False if it does already wait or the table is full: then nothing changed.
    #[must_use]
    pub fn wait(&mut self, thread: Thread, address: u64, bits: u32) -> bool {
        !self.is_waiting(thread) && self.waiters.push(Waiter { address, bits, thread }).is_ok()
    }

    /// Whether `thread` waits for some word.
    #[must_use]
    pub fn is_waiting(&self, thread: Thread) -> bool {
        self.waiters.iter().any(|waiter| waiter.thread == thread)
    }

    /// At most `count` threads that wait for the word at `address` with one of `bits`, the longest waiting first, wait no more.
    pub fn wake(&mut self, address: u64, count: u32, bits: u32) -> Threads {
        let (mut woken, mut left) = (0, count);
        self.waiters.retain(|waiter| {
            let is_woken = left > 0 && waiter.address == address && waiter.bits & bits != 0;
            if is_woken {
                left -= 1;
                woken |= 1 << waiter.thread;
            }
            !is_woken
        });
        woken
    }

    /// As [`Self::wake`], and then at most `moved` of those that still wait for the word wait for the one at `to` instead, behind its own.
    /// The threads that wait no more, and how many were moved.
    pub fn requeue(&mut self, address: u64, count: u32, moved: u32, to: u64) -> (Threads, u32) {
        let woken = self.wake(address, count, ANY);
        if to == address {
            let waiting = self.waiters.iter().filter(|waiter| waiter.address == address).count();
            return (woken, u32::try_from(waiting).unwrap_or(u32::MAX).min(moved));
        }
        let mut movers: Vec<Waiter, THREADS_MAX> = Vec::new();
        let mut left = moved;
        self.waiters.retain(|waiter| {
            let is_moved = left > 0 && waiter.address == address;
            if is_moved {
                left -= 1;
                // There is room: both tables have THREADS_MAX places.
                let _is_never_full = movers.push(Waiter { address: to, ..*waiter });
            }
            !is_moved
        });
        for mover in &movers {
            let _was_there_before = self.waiters.push(*mover);
        }
        (woken, moved - left)
    }

    /// `thread` waits no more; whether it did.
    pub fn leave(&mut self, thread: Thread) -> bool {
        let before = self.waiters.len();
        self.waiters.retain(|waiter| waiter.thread != thread);
        self.waiters.len() < before
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "at most 64 threads")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, VecDeque};

    #[derive(Debug, Clone)]
    enum Step {
        Wait(Thread, u64, u32),
        Wake(u64, u32, u32),
        Requeue(u64, u32, u32, u64),
        Leave(Thread),
    }

    fn step() -> impl Strategy<Value = Step> {
        let thread = || 0..THREADS_MAX as Thread;
        let (word, bits, count) = (|| 0_u64..3, || 1_u32..4, || 0_u32..4);
        prop_oneof![
            3 => (thread(), word(), bits()).prop_map(|(t, w, b)| Step::Wait(t, w, b)),
            1 => (word(), count(), bits()).prop_map(|(w, c, b)| Step::Wake(w, c, b)),
            1 => (word(), count(), count(), word()).prop_map(|(w, c, m, to)| Step::Requeue(w, c, m, to)),
            1 => thread().prop_map(Step::Leave),
        ]
    }

    /// A queue for each word.
    #[derive(Default)]
    struct Model(BTreeMap<u64, VecDeque<(Thread, u32)>>);

    impl Model {
        fn wake(&mut self, word: u64, count: u32, bits: u32) -> Threads {
            let queue = self.0.entry(word).or_default();
            let mut woken = 0;
            for _ in 0..count {
                let Some(at) = queue.iter().position(|(_, waits)| waits & bits != 0) else { break };
                woken |= 1 << queue.remove(at).unwrap().0;
            }
            woken
        }

        fn requeue(&mut self, word: u64, count: u32, moved: u32, to: u64) -> (Threads, u32) {
            let woken = self.wake(word, count, ANY);
            let mut queue = self.0.remove(&word).unwrap_or_default();
            let number = moved.min(queue.len() as u32);
            let movers: Vec<_, 64> = queue.drain(..number as usize).collect();
            if to == word {
                // Linux counts them, and leaves them where they are.
                for mover in movers.into_iter().rev() {
                    queue.push_front(mover);
                }
                self.0.insert(word, queue);
            } else {
                self.0.insert(word, queue);
                self.0.entry(to).or_default().extend(movers);
            }
            (woken, number)
        }

        fn leave(&mut self, thread: Thread) -> bool {
            let before: usize = self.0.values().map(VecDeque::len).sum();
            self.0.values_mut().for_each(|queue| queue.retain(|(waits, _)| *waits != thread));
            self.0.values().map(VecDeque::len).sum::<usize>() < before
        }

        fn is_waiting(&self, thread: Thread) -> bool {
            self.0.values().flatten().any(|(waits, _)| *waits == thread)
        }
    }

    proptest! {
        #[test]
        fn table_under_random_calls_equals_a_queue_for_each_word(steps in proptest::collection::vec(step(), 0..200)) {
            let (mut table, mut model) = (Table::new(), Model::default());
            for step in steps {
                match step {
                    Step::Wait(thread, word, bits) => {
                        let is_new = !model.is_waiting(thread);
                        if is_new {
                            model.0.entry(word).or_default().push_back((thread, bits));
                        }
                        prop_assert_eq!(table.wait(thread, word, bits), is_new);
                    }
                    Step::Wake(word, count, bits) => {
                        prop_assert_eq!(table.wake(word, count, bits), model.wake(word, count, bits));
                    }
                    Step::Requeue(word, count, moved, to) => {
                        prop_assert_eq!(table.requeue(word, count, moved, to), model.requeue(word, count, moved, to));
                    }
                    Step::Leave(thread) => prop_assert_eq!(table.leave(thread), model.leave(thread)),
                }
            }
            for thread in 0..THREADS_MAX as Thread {
                prop_assert_eq!(table.is_waiting(thread), model.is_waiting(thread));
            }
        }
    }
}
