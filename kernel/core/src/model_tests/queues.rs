//! The queues alone, against sorted vectors: threads that wait by priority, and threads that wait for budget by time.

use hybrid_abi::object::ObjectType;
use proptest::prelude::*;

use crate::cap::Cap;
use crate::kernel::Kernel;
use crate::model_tests::capabilities::cases;
use crate::model_tests::invariants::{release_heap, wait_queue};
use crate::model_tests::machine::Machine;
use crate::model_tests::world::World;
use crate::object::TcbRef;
use crate::queue::Queue;

const THREADS: usize = 48;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// This thread comes, with this priority or time; or, if it is there, leaves.
    Toggle(usize, u8),
    /// The first one leaves.
    TakeFirst,
    /// The priority of this one, if it is there, changes.
    Change(usize, u8),
}

/// Few values, so that there are many equals, and all others.
fn value() -> impl Strategy<Value = u8> {
    prop_oneof![3 => 0..4u8, 1 => any::<u8>()]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..THREADS, value()).prop_map(|(thread, value)| Step::Toggle(thread, value)),
        2 => Just(Step::TakeFirst),
        2 => (0..THREADS, value()).prop_map(|(thread, value)| Step::Change(thread, value)),
    ];
    prop::collection::vec(step, 1..400)
}

fn threads(w: &mut World) -> Vec<TcbRef> {
    let thread = |w: &mut World| {
        let slot = w.make(ObjectType::Tcb, 0);
        let Cap::Tcb { at } = w.cap(slot) else { panic!("no thread") };
        at
    };
    (0..THREADS).map(|_| thread(w)).collect()
}

/// A queue, and what it should be: first come first served within a value, which is first by `is_before`.
struct Pair<'w> {
    k: &'w Kernel<Machine<1>>,
    threads: Vec<TcbRef>,
    queue: Queue,
    model: Vec<(u8, usize)>,
}

impl Pair<'_> {
    fn place(&self, thread: usize) -> Option<usize> {
        self.model.iter().position(|entry| entry.1 == thread)
    }

    fn come(&mut self, value: u8, thread: usize, is_before: fn(u8, u8) -> bool) {
        let at = self.model.iter().position(|entry| is_before(value, entry.0)).unwrap_or(self.model.len());
        self.model.insert(at, (value, thread));
    }

    fn wait(&mut self, priority: u8, thread: usize) {
        self.k.tcb(self.threads[thread]).set_priority(priority);
        self.queue = self.k.queue_insert(self.queue, self.threads[thread]);
        self.come(priority, thread, |new, old| new > old);
    }

    fn stop_waiting(&mut self, at: usize) -> usize {
        let (_, thread) = self.model.remove(at);
        self.queue = self.k.queue_remove(self.queue, self.threads[thread]);
        thread
    }

    fn expected(&self) -> Vec<TcbRef> {
        self.model.iter().map(|entry| self.threads[entry.1]).collect()
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn who_waits_is_in_the_order_of_a_sorted_list(steps in steps()) {
        let mut w = World::new(1 << 20);
        let threads = threads(&mut w);
        let mut pair = Pair { k: &w.k, threads, queue: Queue::default(), model: Vec::new() };
        for step in steps {
            match step {
                Step::Toggle(thread, value) => match pair.place(thread) {
                    Some(at) => _ = pair.stop_waiting(at),
                    None => pair.wait(value, thread),
                },
                Step::TakeFirst if !pair.model.is_empty() => _ = pair.stop_waiting(0),
                // As the kernel does it: the priority is another one already when the thread leaves its old place.
                Step::Change(thread, value) => if let Some(at) = pair.place(thread) {
                    pair.k.tcb(pair.threads[thread]).set_priority(value);
                    pair.stop_waiting(at);
                    pair.wait(value, thread);
                },
                Step::TakeFirst => {}
            }
            prop_assert_eq!(wait_queue(pair.k, pair.queue), pair.expected());
        }
    }

    #[test]
    fn who_waits_for_budget_is_in_the_order_of_a_sorted_list(steps in steps()) {
        let mut w = World::new(1 << 20);
        let threads = threads(&mut w);
        let mut pair = Pair { k: &w.k, threads, queue: Queue::default(), model: Vec::new() };
        for step in steps {
            let leaves = match step {
                Step::Toggle(thread, value) => {
                    let place = pair.place(thread);
                    if place.is_none() {
                        pair.k.release_insert(pair.threads[thread], u64::from(value));
                        pair.come(value, thread, |new, old| new < old);
                    }
                    place
                }
                Step::TakeFirst => (!pair.model.is_empty()).then_some(0),
                Step::Change(..) => None,
            };
            if let Some(at) = leaves {
                let (_, thread) = pair.model.remove(at);
                pair.k.release_remove(pair.threads[thread]);
            }
            let head = pair.k.this_core().release_head.get();
            let order = release_heap(pair.k, head);
            prop_assert_eq!(head, order.first().copied());
            prop_assert_eq!(order, pair.expected());
        }
    }
}
