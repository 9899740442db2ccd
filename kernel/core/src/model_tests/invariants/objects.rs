//! Threads, reply chains, scheduling contexts, queues, schedule: links agree both ways and budgets add up.

use std::collections::BTreeSet;

use crate::cap::Cap;
use crate::kernel::Kernel;
use crate::model_tests::invariants::Objects;
use crate::model_tests::machine::Machine;
use crate::object::{EndpointState, NotificationState, TcbRef, TcbSlot, ThreadState};
use crate::queue::Queue;
use crate::sched::Switch;

pub(super) fn threads<const N: usize>(k: &Kernel<Machine<N>>, objects: &Objects) {
    for thread in &objects.threads {
        let tcb = k.tcb(*thread);
        let state = tcb.state();
        if let Some(reply) = tcb.reply() {
            assert!(objects.replies.contains(&reply), "{state:?} thread linked to a dead reply");
            assert_eq!(k.reply(reply).thread(), Some(*thread));
            assert!(matches!(state, ThreadState::BlockedOnReply | ThreadState::BlockedOnReceive));
        }
        assert!(state != ThreadState::BlockedOnReply || tcb.reply().is_some());
        if let Some(context) = tcb.sched_context() {
            assert!(objects.contexts.contains(&context), "thread on a dead scheduling context");
            assert_eq!(k.context(context).thread(), Some(*thread));
        }
        if let Some(notification) = tcb.bound_notification() {
            assert!(objects.notifications.contains(&notification));
            assert_eq!(k.notification(notification).bound_thread(), Some(*thread));
        }
        if let Some(context) = tcb.yield_to() {
            assert!(objects.contexts.contains(&context));
            assert_eq!(k.context(context).yield_from(), Some(*thread));
        }
        // INV-CANCEL-1.
        if let Some(sender) = tcb.cancel_cursor() {
            assert_eq!(k.tcb(sender).cancel_watcher(), Some(*thread));
            assert_eq!(k.tcb(sender).state(), ThreadState::BlockedOnSend);
        }
        if let Some(invoker) = tcb.cancel_watcher() {
            assert_eq!(k.tcb(invoker).cancel_cursor(), Some(*thread));
        }
        assert!(tcb.fault_kind() == 0 || !state.is_runnable(), "a running thread with a stored fault");
        let cores = (0..N).filter(|core| k.core_state(*core).current.get() == Some(*thread)).collect::<Vec<_>>();
        // INV-ENTRY-2.
        if !cores.is_empty() {
            assert_eq!(state, ThreadState::Running);
            assert!(k.is_schedulable(*thread));
            assert_eq!(tcb.yield_to(), None);
            assert_eq!(cores, [usize::try_from(tcb.core()).unwrap()], "INV-CORE-1: runs away from home");
        }
        if let Some(context) = tcb.sched_context() {
            assert_eq!(k.context(context).core(), tcb.core(), "INV-CORE-1: core of thread and context differ");
        }
        // INV-BLOCKED-1; the rest of it is part of INV-SCHED-2.
        assert!(state.is_runnable() || tcb.fault_kind() != 0 || tcb.yield_to().is_none(), "blocked in a YieldTo");
        // INV-BUFFER-1.
        if let Cap::Frame { size, is_device, .. } = k.cap(thread.slot(TcbSlot::Buffer)) {
            assert!(!is_device && tcb.buffer_offset() < size.bytes() && tcb.buffer_offset().is_multiple_of(1024));
        } else {
            assert_eq!(k.cap(thread.slot(TcbSlot::Buffer)), Cap::Null);
        }
        // INV-SPACE-1.
        let space = k.words(thread.slot(TcbSlot::VSpace)).space();
        assert!(space == 0 || k.is_live(space) || k.this_core().has_orphaned_spaces.get() != 0, "a dead address space");
    }
}

/// INV-REPLY-1 and 2.
pub(super) fn replies<const N: usize>(k: &Kernel<Machine<N>>, objects: &Objects) {
    for reply in &objects.replies {
        let view = k.reply(*reply);
        if let Some(thread) = view.thread() {
            assert!(objects.threads.contains(&thread));
            assert_eq!(k.tcb(thread).reply(), Some(*reply));
        }
        // INV-REPLY-3.
        if view.thread().is_none_or(|thread| k.tcb(thread).state() == ThreadState::BlockedOnReceive) {
            assert_eq!((view.older(), view.newer(), view.sched_context()), (None, None, None));
        }
        if let Some(newer) = view.newer() {
            assert_eq!(k.reply(newer).older(), Some(*reply));
            assert_eq!(view.sched_context(), None);
        }
        if let Some(older) = view.older() {
            assert_eq!(k.reply(older).newer(), Some(*reply));
        }
        if let Some(context) = view.sched_context() {
            assert!(objects.contexts.contains(&context), "a chain of a dead scheduling context");
            assert_eq!(k.context(context).reply(), Some(*reply));
        }
    }
}

/// INV-REFILL-1 and the links of scheduling contexts.
pub(super) fn contexts<const N: usize>(k: &Kernel<Machine<N>>, objects: &Objects) {
    for context in &objects.contexts {
        let view = k.context(*context);
        if let Some(thread) = view.thread() {
            assert!(objects.threads.contains(&thread));
            assert_eq!(k.tcb(thread).sched_context(), Some(*context));
        }
        if let Some(reply) = view.reply() {
            assert!(objects.replies.contains(&reply));
            assert_eq!(k.reply(reply).sched_context(), Some(*context));
        }
        if let Some(notification) = view.notification() {
            assert!(objects.notifications.contains(&notification));
            assert_eq!(k.notification(notification).sched_context(), Some(*context));
        }
        if let Some(thread) = view.yield_from() {
            assert_eq!(k.tcb(thread).yield_to(), Some(*context));
        }
        if !view.is_active() {
            continue;
        }
        if view.is_round_robin() {
            assert_eq!(k.refill(*context, 0).amount() + k.refill(*context, 1).amount(), view.budget());
            continue;
        }
        let (head, count) = (view.refill_queue() & 0xffff_ffff, view.refill_queue() >> 32);
        assert!(count >= 1 && count <= view.max_refills());
        let refills: Vec<(u64, u64)> = (0..count)
            .map(|n| k.refill(*context, (head + n) % view.max_refills()))
            .map(|refill| (refill.start(), refill.amount()))
            .collect();
        assert_eq!(refills.iter().map(|r| r.1).sum::<u64>(), view.budget(), "{refills:?}");
        assert!(refills[0].1 >= k.min_budget.get(), "{refills:?}");
        assert!(refills.windows(2).all(|r| r[0].0 + r[0].1 <= r[1].0), "{refills:?}");
    }
}

fn chain<const N: usize>(
    k: &Kernel<Machine<N>>,
    head: Option<TcbRef>,
    next: impl Fn(TcbRef) -> Option<TcbRef>,
) -> Vec<TcbRef> {
    let mut threads = Vec::new();
    let mut at = head;
    while let Some(thread) = at {
        threads.push(thread);
        assert!(threads.len() < 10_000, "queue without end");
        at = next(thread);
    }
    let _ = k;
    threads
}

/// INV-QUEUE-1 and 3. Gives the threads from head to tail.
pub(crate) fn wait_queue<const N: usize>(k: &Kernel<Machine<N>>, queue: Queue) -> Vec<TcbRef> {
    let threads = linked(k, queue);
    assert!(threads.windows(2).all(|t| k.tcb(t[0]).priority() >= k.tcb(t[1]).priority()));
    for run in threads.chunk_by(|a, b| k.tcb(*a).priority() == k.tcb(*b).priority()) {
        let last = run.len() - 1;
        for (n, thread) in run.iter().enumerate() {
            let end = if last > 0 && (n == 0 || n == last) { Some(run[last - n]) } else { None };
            assert_eq!(k.tcb(*thread).run_end(), end, "thread {n} of a run of {}", run.len());
        }
    }
    threads
}

/// The threads of a queue, whose links agree both ways.
fn linked<const N: usize>(k: &Kernel<Machine<N>>, queue: Queue) -> Vec<TcbRef> {
    let threads = chain(k, queue.head, |thread| k.tcb(thread).queue_next());
    assert_eq!(threads.last().copied(), queue.tail);
    for (n, thread) in threads.iter().enumerate() {
        assert_eq!(k.tcb(*thread).queue_prev(), n.checked_sub(1).map(|n| threads[n]));
    }
    threads
}

/// INV-RELEASE-1. Gives the threads in the order in which they are due.
pub(crate) fn release_heap<const N: usize>(k: &Kernel<Machine<N>>, root: Option<TcbRef>) -> Vec<TcbRef> {
    let rank = |heap: Option<TcbRef>| heap.map_or(0, |root| k.tcb(root).release_rank());
    let key = |thread: TcbRef| (k.tcb(thread).release_time(), k.tcb(thread).release_order());
    assert!(root.is_none_or(|root| k.tcb(root).release_parent().is_none()));
    let mut threads = Vec::new();
    let mut pending = Vec::from_iter(root);
    while let Some(thread) = pending.pop() {
        threads.push(thread);
        assert!(threads.len() < 10_000, "heap without end");
        let (left, right) = (k.tcb(thread).release_left(), k.tcb(thread).release_right());
        assert!(rank(right) <= rank(left), "not leftist");
        assert_eq!(k.tcb(thread).release_rank(), rank(right) + 1);
        for child in left.into_iter().chain(right) {
            assert_eq!(k.tcb(child).release_parent(), Some(thread));
            assert!(key(thread) < key(child), "due after who is below it");
            pending.push(child);
        }
    }
    threads.sort_by_key(|thread| key(*thread));
    threads
}

/// Who waits where; INV-QUEUE-2.
pub(super) fn queues<const N: usize>(k: &Kernel<Machine<N>>, objects: &Objects) {
    let mut waiting = BTreeSet::new();
    let mut check = |head: Option<TcbRef>, tail: Option<TcbRef>, on: u64, is_allowed: &dyn Fn(ThreadState) -> bool| {
        for thread in wait_queue(k, Queue { head, tail }) {
            assert!(objects.threads.contains(&thread), "dead thread in a queue");
            assert!(is_allowed(k.tcb(thread).state()));
            assert_eq!(k.tcb(thread).blocked_on(), on);
            assert!(waiting.insert(thread), "thread in two queues");
        }
    };
    for endpoint in &objects.endpoints {
        let view = k.endpoint(*endpoint);
        let wanted = match view.state() {
            EndpointState::Idle => ThreadState::Inactive,
            EndpointState::Send => ThreadState::BlockedOnSend,
            EndpointState::Receive => ThreadState::BlockedOnReceive,
        };
        assert_eq!(view.state() == EndpointState::Idle, view.head().is_none());
        check(view.head(), view.tail(), endpoint.paddr(), &|state| state == wanted);
    }
    for notification in &objects.notifications {
        let view = k.notification(*notification);
        assert_eq!(view.state() == NotificationState::Waiting, view.head().is_some());
        assert!(view.state() == NotificationState::Active || view.badge() == 0, "INV-NOTIFICATION-1");
        let is_waiting = |state| state == ThreadState::BlockedOnNotification;
        check(view.head(), view.tail(), notification.paddr(), &is_waiting);
    }
    for thread in &objects.threads {
        let is_queued = matches!(
            k.tcb(*thread).state(),
            ThreadState::BlockedOnSend | ThreadState::BlockedOnReceive | ThreadState::BlockedOnNotification
        );
        assert_eq!(is_queued, waiting.contains(thread));
        let tcb = k.tcb(*thread);
        let neighbours = (tcb.queue_prev(), tcb.queue_next());
        assert!(is_queued || tcb.is_ready_queued() || neighbours == (None, None), "neighbours of a thread in no queue");
        assert!(is_queued || tcb.run_end().is_none(), "a run of a thread that does not wait");
        let heap = (tcb.release_left(), tcb.release_right(), tcb.release_parent());
        assert!(
            tcb.is_release_queued() || heap == (None, None, None),
            "a heap of a thread that is not in the release queue"
        );
        let count = [is_queued, tcb.is_ready_queued(), tcb.is_release_queued()].iter().filter(|is_in| **is_in).count();
        assert!(count <= 1, "a thread in several queues");
    }
}

/// INV-SCHED-1 and 2, INV-CORE-1, core by core.
pub(super) fn schedule<const N: usize>(k: &Kernel<Machine<N>>, objects: &Objects) {
    assert_eq!(k.to_wake.get(), 0, "a core was not woken");
    for core in 0..N {
        schedule_of_core(k, objects, core);
    }
}

fn schedule_of_core<const N: usize>(k: &Kernel<Machine<N>>, objects: &Objects, core: usize) {
    let state = k.core_state(core);
    let is_at_home = |thread| usize::try_from(k.tcb(thread).core()).unwrap() == core;
    let mut ready = BTreeSet::new();
    let mut highest = None;
    for priority in 0..=255u8 {
        for thread in linked(k, state.ready.queue(priority)) {
            assert!(k.is_schedulable(thread), "unschedulable thread in a ready queue");
            assert!(k.tcb(thread).is_ready_queued());
            assert_eq!(k.tcb(thread).priority(), priority);
            assert!(is_at_home(thread), "in another core's ready queue");
            assert!(ready.insert(thread));
            highest = Some(priority);
        }
    }
    assert_eq!(state.ready.highest().map(|thread| k.tcb(thread).priority()), highest);
    let release = release_heap(k, state.release_head.get());
    for thread in &release {
        assert!(k.tcb(*thread).is_release_queued() && k.tcb(*thread).state().is_runnable());
        assert!(is_at_home(*thread), "in another core's release queue");
        let context = k.tcb(*thread).sched_context().filter(|context| k.context(*context).is_active());
        let start = context.map(|context| k.head_refill(context).start());
        assert_eq!(start, Some(k.tcb(*thread).release_time()), "in the release queue without a refill for that time");
    }
    let current = state.current.get();
    for thread in objects.threads.iter().filter(|thread| is_at_home(**thread)) {
        let tcb = k.tcb(*thread);
        assert_eq!(tcb.is_ready_queued(), ready.contains(thread));
        assert_eq!(tcb.is_release_queued(), release.contains(thread));
        let is_current = current == Some(*thread);
        assert_eq!(k.is_schedulable(*thread), ready.contains(thread) || is_current, "schedulable thread lost");
    }
    // A core that was told to choose anew has not done so yet.
    let is_told = (k.platform.stopped.get() | k.platform.woken.get()) & 1 << core != 0;
    // INV-ENTRY-1.
    if !is_told {
        assert_eq!((state.switch.get(), state.reprogram.get()), (Switch::Stay, false));
        assert!(!state.space_changed.get());
        assert!(
            release.first().is_none_or(|first| k.tcb(*first).release_time() > state.now.get()),
            "released too late"
        );
        let deadline = k.platform.deadlines[core].get();
        assert!(
            release.first().is_none_or(|first| k.tcb(*first).release_time() >= deadline),
            "the timer comes too late"
        );
        if let Some(context) = state.current_context.get() {
            let left = k.head_refill(context).amount().checked_sub(state.consumed.get());
            assert!(left.is_some_and(|left| left >= k.min_budget.get()), "no budget left: {left:?}");
        }
    }
    match current {
        None => assert!(ready.is_empty() || is_told, "idle with ready threads"),
        Some(thread) => {
            let is_best = highest.is_none_or(|highest| highest <= k.tcb(thread).priority());
            assert!(is_best || is_told, "not the highest runs");
            assert_eq!(state.current_context.get(), k.tcb(thread).sched_context());
        }
    }
}
