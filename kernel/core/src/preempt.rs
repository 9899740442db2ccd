//! Preemption points of long operations (kernel-abi §2.9).

use crate::invocation::Stop;
use crate::kernel::Kernel;
use crate::platform::Platform;

/// Units of work after which a preemption point looks. A unit is 150 instructions at most, so 6,000 (INV-LATENCY-1): with what can
/// follow before the kernel is left (charging the time, a timeout, giving budget back, a switch) less than 20,000.
pub(crate) const LOOK_AFTER: u32 = 40;

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
        let core = self.this_core();
        // Not active: the operation removed its own scheduling context.
        let is_affordable =
            |context| self.context(context).is_active() && self.can_afford(context, core.consumed.get());
        let has_budget = core.current_context.get().is_some_and(is_affordable);
        if self.platform.must_stop(has_budget) { Err(Stop::Preempted) } else { Ok(()) }
    }
}
