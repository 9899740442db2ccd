//! Yield on a round-robin scheduling context: the turn goes to the next thread of the same priority.

use super::{Way, only_if};
use crate::kernel::Kernel;
use crate::object::{ThreadState, status};
use crate::platform::Platform;

impl<P: Platform> Kernel<P> {
    /// The current thread's slice is whole again and it goes behind its equals; the first of them runs next.
    #[inline(always)]
    pub(crate) fn timed_yield(&self) -> Option<Way> {
        let core = self.this_core();
        let thread = core.current.get()?;
        let tcb = self.tcb(thread);
        // Nobody who is ready has a higher priority.
        let next = core.ready.queue(tcb.priority()).head?;
        let to = self.tcb(next);
        let (context, own, space) = (tcb.sched_context()?, to.sched_context()?, self.known_space(to)?);
        let view = self.context(context);
        let is_usual = view.is_round_robin() && !self.context(own).is_sporadic() && to.yield_to().is_none();
        only_if(is_usual && self.start_timed(thread))?;

        // No way back from here.
        view.set_consumed(view.consumed().saturating_add(core.consumed.replace(0)));
        self.restore_round_robin(context);
        self.ready_exchange(next, thread);
        if to.status() != status(ThreadState::Running) {
            to.set_pc(to.fault_ip());
            to.set_status(status(ThreadState::Running));
        }
        Some(self.run_timed(next, own, space))
    }
}
