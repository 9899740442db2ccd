//! Processor time: scheduling contexts and the right to fill them.
use crate::{CPtr, Domain, Error, Notification, SchedContext, SchedControl, Tcb};
use hybrid_abi::{label, limits};

/// What a scheduling context may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchedParameters {
    /// Processor time per period, µs; at least 20, at most `period_us`.
    pub budget_us: u64,
    /// Period, µs.
    pub period_us: u64,
    /// Refills beyond the two that every context has.
    pub extra_refills: u64,
    /// Told to the timeout handler.
    pub badge: u64,
    /// Sporadic server instead of constant bandwidth.
    pub is_sporadic: bool,
}

impl SchedControl {
    /// Gives `context` budget and period.
    ///
    /// # Errors
    /// See kernel ABI §3.7.
    pub fn configure(self, context: SchedContext, parameters: &SchedParameters) -> Result<(), Error> {
        let flags = if parameters.is_sporadic { limits::SCHED_CONTEXT_SPORADIC } else { 0 };
        let words = [parameters.budget_us, parameters.period_us, parameters.extra_refills, parameters.badge, flags];
        self.0.invoke_unit(label::SCHED_CONTROL_CONFIGURE_FLAGS, &words, &[context.0])
    }
}

impl SchedContext {
    /// Gives this share of time to whoever receives a signal of `notification`.
    ///
    /// # Errors
    /// See kernel ABI §3.7, here and below.
    pub fn bind_notification(self, notification: Notification) -> Result<(), Error> {
        self.0.invoke_unit(label::SCHED_CONTEXT_BIND, &[], &[notification.0])
    }

    /// Removes all bindings.
    ///
    /// # Errors
    /// IllegalOperation if it is the caller's own.
    pub fn unbind(self) -> Result<(), Error> {
        self.0.invoke_unit(label::SCHED_CONTEXT_UNBIND, &[], &[])
    }

    /// Removes the binding to a thread or notification.
    ///
    /// # Errors
    /// IllegalOperation if it is not bound to that.
    pub fn unbind_object(self, object: CPtr) -> Result<(), Error> {
        self.0.invoke_unit(label::SCHED_CONTEXT_UNBIND_OBJECT, &[], &[object])
    }

    /// Time used since the last reading, µs.
    ///
    /// # Errors
    /// Only if this is not a scheduling context.
    pub fn take_consumed_us(self) -> Result<u64, Error> {
        self.0.invoke_word(label::SCHED_CONTEXT_CONSUMED, &[], &[])
    }

    /// Runs its thread now, if its priority allows; returns the time it used, µs.
    ///
    /// # Errors
    /// IllegalOperation, see kernel ABI §3.7.
    pub fn yield_to(self) -> Result<u64, Error> {
        self.0.invoke_word(label::SCHED_CONTEXT_YIELD_TO, &[], &[])
    }
}

impl Domain {
    /// Puts a thread into a scheduling domain.
    ///
    /// # Errors
    /// See kernel ABI §3.9.
    pub fn set(self, thread: Tcb, domain: u64) -> Result<(), Error> {
        self.0.invoke_unit(label::DOMAIN_SET_SET, &[domain], &[thread.0])
    }
}
