//! SchedControl: parameters of a scheduling context, and its core (kernel-abi §3.7).

use hybrid_abi::label;
use hybrid_abi::limits::{MIN_BUDGET_US, SCHED_CONTEXT_SPORADIC, max_period_us};
use hybrid_abi::object::sched_context_refills;

use crate::cap::Cap;
use crate::invocation::{Answer, Error, Invocation, Outcome, ensure};
use crate::kernel::Kernel;
use crate::object::{SchedContextRef, TcbRef};
use crate::platform::Platform;

const MIN_REFILLS: u64 = 2;

/// New parameters of a scheduling context, in ticks.
struct Parameters {
    budget: u64,
    period: u64,
    extra_refills: u64,
}

impl<P: Platform> Kernel<P> {
    pub(crate) fn invoke_sched_control(&self, invocation: &Invocation<'_>, core: u64) -> Outcome {
        ensure(invocation.label == label::SCHED_CONTROL_CONFIGURE_FLAGS, Error::IllegalOperation)?;
        invocation.require(5, 1)?;
        let (budget_us, period_us) = (invocation.word(0), invocation.word(1));
        let max_us = max_period_us(self.platform.ticks_per_ms());
        let out_of_range = Error::Range { min: MIN_BUDGET_US, max: max_us };
        ensure(budget_us <= max_us && period_us <= max_us, out_of_range)?;
        let (budget, period) = (self.ticks(budget_us), self.ticks(period_us));
        ensure(budget.min(period) >= self.min_budget.get(), out_of_range)?;
        ensure(budget <= period, Error::Range { min: MIN_BUDGET_US, max: period_us })?;
        let Cap::SchedContext { at, bits } = self.cap(invocation.cap_slot(1)?) else {
            return Err(Error::InvalidCapability(1).into());
        };
        let max_extra = sched_context_refills(u32::from(bits)).saturating_sub(MIN_REFILLS);
        let extra_refills = invocation.word(2);
        ensure(extra_refills <= max_extra, Error::Range { min: 0, max: max_extra })?;
        let is_sporadic = invocation.word(4) & SCHED_CONTEXT_SPORADIC != 0;
        self.configure_context(at, &Parameters { budget, period, extra_refills }, core, is_sporadic);
        self.context(at).set_badge(invocation.word(3));
        Ok(Answer::Empty)
    }

    fn configure_context(&self, context: SchedContextRef, parameters: &Parameters, core: u64, is_sporadic: bool) {
        let view = self.context(context);
        if let Some(thread) = view.thread() {
            self.stop_remote(thread);
            self.ready_remove(thread);
            self.release_remove(thread);
        }
        if self.this_core().current_context.get() == Some(context) {
            self.commit_time();
        }
        let max_refills = parameters.extra_refills.wrapping_add(MIN_REFILLS);
        let is_running = view.thread().is_some_and(|thread| self.tcb(thread).state().is_runnable());
        if parameters.budget == parameters.period {
            self.start_refills(context, parameters.budget, 0, MIN_REFILLS);
        } else if view.is_active() && view.core() == core && is_running {
            self.update_refills(context, parameters.budget, parameters.period, max_refills);
        } else {
            self.start_refills(context, parameters.budget, parameters.period, max_refills);
        }
        view.set_placement(core, is_sporadic);
        self.this_core().reprogram.set(true);
        if let Some(thread) = view.thread() {
            self.move_home(thread, context);
            self.settle_configured(context, thread);
        }
    }

    fn settle_configured(&self, context: SchedContextRef, thread: TcbRef) {
        self.resume_context(context);
        if self.this_core().current.get() == Some(thread) {
            self.reschedule();
        } else if self.tcb(thread).state().is_runnable() {
            self.offer(thread);
        }
    }
}
