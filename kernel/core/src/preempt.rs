//! Preemption points of long operations (kernel-abi §2.9).

use crate::invocation::Stop;
use crate::kernel::Kernel;
use crate::platform::Platform;

impl<P: Platform> Kernel<P> {
    /// `units` of work were done. Fails if it is time to let an interrupt or another thread in.
    pub(crate) fn preemption_point(&self, units: u32) -> Result<(), Stop> {
        let done = self.work_units.get().saturating_add(units);
        if done < self.work_limit.get() {
            self.work_units.set(done);
            return Ok(());
        }
        self.work_units.set(0);
        self.update_time();
        let has_budget = match self.this_core().current_context.get() {
            Some(context) if self.context(context).is_active() => {
                let left = self.head_refill(context).amount().checked_sub(self.this_core().consumed.get());
                left.is_some_and(|left| left >= self.min_budget.get())
            }
            // The operation removed its own scheduling context.
            _ => false,
        };
        if self.platform.must_stop(has_budget) { Err(Stop::Preempted) } else { Ok(()) }
    }
}
