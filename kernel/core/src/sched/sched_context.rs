//! Scheduling contexts: their invocations (kernel-abi §3.7). What donation and yielding do is in `context.rs`.

use hybrid_abi::label;

use crate::cap::Cap;
use crate::invocation::{Answer, Error, Invocation, Outcome, ensure};
use crate::kernel::Kernel;
use crate::object::{SchedContextRef, TcbRef, ThreadState};
use crate::platform::Platform;

impl<P: Platform> Kernel<P> {
    pub(crate) fn invoke_sched_context(
        &self,
        invocation: &Invocation<'_>,
        context: SchedContextRef,
        is_call: bool,
    ) -> Outcome {
        if let Some(thread) = self.context(context).thread() {
            self.stop_remote(thread);
        }
        match invocation.label {
            label::SCHED_CONTEXT_BIND => self.bind(invocation, context),
            label::SCHED_CONTEXT_UNBIND => self.unbind(context),
            label::SCHED_CONTEXT_UNBIND_OBJECT => self.unbind_object(invocation, context),
            label::SCHED_CONTEXT_CONSUMED => Ok(Answer::Word(self.take_consumed_us(context))),
            label::SCHED_CONTEXT_YIELD_TO => self.yield_to(invocation.thread, context, is_call),
            _ => Err(Error::IllegalOperation.into()),
        }
    }

    fn bind(&self, invocation: &Invocation<'_>, context: SchedContextRef) -> Outcome {
        let view = self.context(context);
        match self.cap(invocation.cap_slot(1)?) {
            Cap::Tcb { at } => {
                ensure(view.thread().is_none() && self.tcb(at).sched_context().is_none(), Error::IllegalOperation)?;
                self.ensure_can_take_context(at, context)?;
                self.bind_context_thread(context, at);
            }
            Cap::Notification { at, .. } => {
                ensure(
                    view.notification().is_none() && self.notification(at).sched_context().is_none(),
                    Error::IllegalOperation,
                )?;
                self.bind_context_notification(context, at);
            }
            _ => return Err(Error::InvalidCapability(1).into()),
        }
        Ok(Answer::Empty)
    }

    /// A blocked thread can only be given a context that has budget now.
    pub(crate) fn ensure_can_take_context(&self, thread: TcbRef, context: SchedContextRef) -> Result<(), Error> {
        let is_blocked =
            !matches!(self.tcb(thread).state(), ThreadState::Inactive | ThreadState::Running | ThreadState::Restart);
        let is_usable = self.context(context).is_active() && self.has_budget(context);
        if is_blocked && !is_usable { Err(Error::IllegalOperation) } else { Ok(()) }
    }

    fn unbind(&self, context: SchedContextRef) -> Outcome {
        let thread = self.context(context).thread();
        ensure(thread.is_none() || thread != self.this_core().current.get(), Error::IllegalOperation)?;
        self.unbind_context_thread(context);
        self.unbind_context_notification(context);
        self.detach_chain(context);
        Ok(Answer::Empty)
    }

    fn unbind_object(&self, invocation: &Invocation<'_>, context: SchedContextRef) -> Outcome {
        let view = self.context(context);
        match self.cap(invocation.cap_slot(1)?) {
            Cap::Tcb { at } => {
                ensure(
                    view.thread() == Some(at) && self.this_core().current.get() != Some(at),
                    Error::IllegalOperation,
                )?;
                self.unbind_context_thread(context);
            }
            Cap::Notification { at, .. } => {
                ensure(view.notification() == Some(at), Error::IllegalOperation)?;
                self.unbind_context_notification(context);
            }
            _ => return Err(Error::InvalidCapability(1).into()),
        }
        Ok(Answer::Empty)
    }

    fn yield_to(&self, caller: TcbRef, context: SchedContextRef, is_call: bool) -> Outcome {
        let view = self.context(context);
        let Some(target) = view.thread() else { return Err(Error::IllegalOperation.into()) };
        let priority = self.tcb(target).priority();
        ensure(target != caller && priority <= self.tcb(caller).mcp(), Error::IllegalOperation)?;
        self.complete_yield_to_context(context);
        self.resume_context(context);
        if !self.is_schedulable(target) {
            return Ok(Answer::Word(self.take_consumed_us(context)));
        }
        self.ready_remove(target);
        if priority < self.tcb(caller).priority() || !self.is_local(target) {
            self.ready_push_head(target);
            return Ok(Answer::Word(self.take_consumed_us(context)));
        }
        view.set_yield_from(Some(caller));
        self.tcb(caller).set_yield_to(Some(context));
        self.tcb(caller).set_wants_yield_result(is_call);
        self.ready_push_head(caller);
        self.ready_push_head(target);
        self.reschedule();
        Ok(Answer::Later)
    }
}
