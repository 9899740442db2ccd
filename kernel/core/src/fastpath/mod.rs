//! Messages and signals on their usual way; everything else falls back.
//!
//! INV-FAST-1: each way here either is not taken and has changed nothing (it may have sampled the clock), or leaves exactly
//! the state that the ordinary way (`syscall`, then `leave`) leaves; if it did not sample the clock, the state that the ordinary
//! way leaves with a clock that stands still since the last sample. Tested by `model_tests::storm` on random threads.
//!
//! # Why so little is checked
//!
//! While the scheduling context stays (it is lent, or comes home) nothing depends on the time: the clock is not sampled
//! (kernel-abi §5.1), the deadline in the timer stays right, and the time that passes is charged at the next sample. What the
//! ordinary way checks and this way does not is known from the invariants that hold between any two entries:
//!
//! * INV-ENTRY-1: nothing is left over from the last entry: `switch` is `Stay`, `reprogram` is false, the first of the release queue
//!   is not yet due, the current thread's scheduling context is the one that is charged and has at least the minimum budget left.
//! * INV-ENTRY-2: the current thread is `Running`, has no stored fault and no pending YieldTo.
//! * INV-BLOCKED-1: a blocked thread is in no ready or release queue; without a stored fault it has no pending YieldTo.
//! * INV-REPLY-3: a reply object with a receiver has no neighbours in a chain and no scheduling context.
//! * INV-QUEUE-2: a thread is in one queue at most; in none it has no neighbours; the first of a queue has no predecessor.
//! * INV-NOTIFICATION-1: the badge of a notification that is not active is 0.
//! * INV-SPACE-1 (`vspace`).
//!
//! Where another scheduling context begins, the clock is sampled and everything that depends on it is checked: the *timed* ways.

mod call;
mod fault;
mod signal;
mod turn;

pub(crate) use signal::take;

use hybrid_abi::message::{MessageInfo, REGISTER_WORDS};

use crate::cap::Words;
use crate::kernel::Kernel;
use crate::object::{SchedContextRef, Tcb, TcbRef, TcbSlot};
use crate::platform::Platform;

/// What x0 to x7 held when the current thread entered: copies of words of its TCB that are at hand in registers.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// x0: the capability that is sent to, or received from.
    pub cptr: u64,
    /// x1: message info.
    pub info: u64,
    /// x2 to x5: the first words of the message.
    pub words: [u64; REGISTER_WORDS],
    /// x6: the reply object.
    pub reply: u64,
    /// x7: the number of the call.
    pub number: i64,
}

impl Entry {
    /// The same, out of the thread's TCB.
    pub fn of(tcb: Tcb<'_>) -> Self {
        let words = [tcb.x::<2>(), tcb.x::<3>(), tcb.x::<4>(), tcb.x::<5>()];
        Self { cptr: tcb.x::<0>(), info: tcb.x::<1>(), words, reply: tcb.x::<6>(), number: tcb.x::<7>().cast_signed() }
    }

    #[inline(always)]
    fn has_caps(&self) -> bool {
        self.info & MessageInfo::EXTRA_CAPS != 0
    }
}

/// What became of a try; `None` in its place: nothing is changed, and only the ordinary way goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Done: this thread runs next.
    Runs(TcbRef),
    /// Done: the current thread goes on. No register of it changed but x0.
    Stays(TcbRef),
    /// Nothing is changed; the way with a change of scheduling context may go.
    Timed,
}

/// Lets a way go on under a condition.
#[inline(always)]
fn only_if(condition: bool) -> Option<()> {
    condition.then_some(())
}

impl<P: Platform> Kernel<P> {
    /// Samples the clock. True if the thread may go on and nothing else is due.
    #[inline(always)]
    pub(super) fn start_timed(&self, thread: TcbRef) -> bool {
        let Some(context) = self.tcb(thread).sched_context() else { return false };
        self.update_time();
        let core = self.this_core();
        let is_release_due =
            core.release_head.get().is_some_and(|first| self.tcb(first).release_time() <= core.now.get());
        self.can_afford(context, core.consumed.get()) && !is_release_due
    }

    /// The own scheduling context of a blocked thread that could go on with it at once.
    #[inline(always)]
    pub(super) fn usable_time(&self, blocked: Tcb<'_>) -> Option<SchedContextRef> {
        let own = blocked.sched_context()?;
        let view = self.context(own);
        let is_usable = view.is_active() && !view.is_sporadic() && self.has_budget(own);
        is_usable.then_some(own)
    }

    /// Makes a thread with its own time the current one.
    #[inline(always)]
    fn run_timed(&self, partner: TcbRef, own: SchedContextRef, space: u64) -> Way {
        self.this_core().current.set(Some(partner));
        self.change_context(own);
        self.translate_with(space);
        Way::Runs(partner)
    }

    /// What a thread names by a CPtr, if its root CNode resolves it alone.
    #[inline(always)]
    fn named(&self, tcb: Tcb<'_>, cptr: u64) -> Option<Words> {
        let slot = tcb.cap(TcbSlot::CSpace).whole_cnode_slot(cptr)?;
        let [word0, word1] = self.platform.words(slot);
        Some(Words(word0.get(), word1.get()))
    }
}
