//! Starts an instance again, with everything that it had, made anew; whether and when is the supervisor's to decide.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::ToString;

use hybrid_capgraph::{Bundle, Instance, layout};
use hybrid_interfaces::security::RecordKind;
use hybrid_start::peers::POLICY;

use super::{Cause, State, World};
use crate::journal::Level;
use crate::kernel::Kernel;

/// Why an instance was not started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotStarted {
    /// It runs.
    Runs,
    /// It could not be made; its detail says why, and everything is freed.
    Failed,
    /// It is a place, and nothing is installed there.
    Empty,
}

impl<K: Kernel> World<K> {
    /// Starts an instance that does not run: the same place, name and slots, the next generation, all sessions in a new meeting.
    /// Peers get their capabilities to it and are told of it before its thread runs.
    ///
    /// # Errors
    /// [`NotStarted`].
    pub fn start_again(&mut self, place: usize) -> Result<(), NotStarted> {
        let graph = Rc::clone(&self.graph);
        let is_held = self.live.get_mut(place).is_some_and(|live| core::mem::take(&mut live.is_held));
        let live = self.live.get(place).filter(|live| is_held || live.account.is_none());
        let instance = live.and_then(|live| graph.instance(live.id)).ok_or(NotStarted::Runs)?;
        if instance.place.is_some() && !self.installed.contains_key(&instance.id) {
            return Err(NotStarted::Empty);
        }
        let bundle = self.bundle.ok_or(NotStarted::Failed)?;
        let generation = self.live[place].generation;
        self.meet_anew(instance.id);
        // Who was held is made already, and is to its peers like one that was started again: they were told that it is down.
        let made = if is_held { Ok(()) } else { self.make_again(instance, &bundle) };
        if let Err((step, cause)) = made.and_then(|()| self.set_going(place)) {
            if self.live[place].generation == generation {
                // Not even its account could be opened; what died now is a life of its own all the same.
                self.live[place].generation = generation.checked_add(1).unwrap_or(1);
            }
            let detail = format!("cannot make it: {step}: {cause:?}");
            self.end(place, State::Failed, detail);
            return Err(NotStarted::Failed);
        }
        if is_held {
            self.note(RecordKind::Started, instance.name.clone());
            return Ok(());
        }
        let live = &self.live[place];
        let (count, generation) = (live.grants.len(), live.generation);
        self.note(RecordKind::Granted, format!("{count} grants to {} again: generation {generation}", instance.name));
        let at = self.kernel.now_ns();
        self.journal.write(Level::Warn, at, format!("{} was started again ({generation})", instance.name));
        Ok(())
    }

    fn make_again(&mut self, instance: &Instance, bundle: &Bundle<'static>) -> Result<(), (&'static str, Cause)> {
        let graph = Rc::clone(&self.graph);
        let at = |step| move |cause| (step, cause);
        self.make_objects(instance, bundle).map_err(at("make its objects"))?;
        for (number, session) in graph.sessions.iter().enumerate() {
            if session.client == instance.id || session.server == instance.id {
                self.join(number, Some(instance.id)).map_err(at("join it with its peers"))?;
            }
        }
        self.give_devices(instance).map_err(at("give it its devices"))?;
        self.load(instance, bundle).map_err(at("load its program"))?;
        self.prepare(instance, bundle).map_err(at("prepare its thread"))
    }

    fn set_going(&mut self, place: usize) -> Result<(), (&'static str, Cause)> {
        (self.live[place].state, self.live[place].is_expected) = (State::Running, false);
        self.tell_peers();
        self.tell_word(place, POLICY, self.policy_epoch);
        let live = &self.live[place];
        self.kernel.start(live.thread, &live.registers).map_err(|error| ("start it", error.into()))
    }

    /// Every session of the instance begins a new meeting; what is in its rings from before is read by nobody.
    fn meet_anew(&mut self, id: u16) {
        let graph = Rc::clone(&self.graph);
        for (session, epoch) in graph.sessions.iter().zip(&mut self.epochs) {
            if session.client == id || session.server == id {
                *epoch = epoch.checked_add(1).unwrap_or(1);
            }
        }
    }

    /// It was stopped to be started at once: whoever calls it may wait.
    pub fn expect_start(&mut self, place: usize) {
        if let Some(live) = self.live.get_mut(place).filter(|live| live.account.is_none() && !live.is_expected) {
            live.is_expected = true;
            self.tell_peers();
        }
    }

    /// Nobody need wait for an instance any more: it stays down for now.
    pub fn postpone(&mut self, place: usize) {
        if let Some(live) = self.live.get_mut(place).filter(|live| live.is_expected) {
            live.is_expected = false;
            self.tell_peers();
        }
    }

    /// The fixed policy for the supervisor, whom nobody else watches: started again at once, but given up when it ends again and
    /// again. Then nobody is expected any more, and what runs goes on.
    pub fn see_to_supervisor(&mut self) {
        let place = self.exits.supervisor().and_then(|id| self.place(id));
        let Some(place) = place.filter(|place| self.live[*place].is_expected) else { return };
        let now = self.kernel.now_ns();
        if self.exits.may_start_supervisor(now) && self.start_again(place).is_ok() {
            return;
        }
        self.journal.write(
            Level::Error,
            now,
            "the supervisor is given up: nothing is started again any more".to_string(),
        );
        for live in &mut self.live {
            live.is_expected = false;
        }
        self.tell_peers();
    }

    /// Adds the processor time that an instance used since it was last asked; securityd's own is not known.
    pub fn take_consumed(&mut self, place: usize) -> u64 {
        let Some(live) = self.live.get_mut(place) else { return 0 };
        if live.account.is_some() && live.id != layout::SECURITYD {
            let contexts = core::iter::once(live.context).chain(live.threads.iter().map(|(_, context)| *context));
            live.consumed_us += contexts.map(|context| self.kernel.take_consumed_us(context).unwrap_or(0)).sum::<u64>();
        }
        live.consumed_us
    }

    /// The meeting of securityd's own log session.
    #[must_use]
    pub fn log_epoch(&self) -> u32 {
        let own = self.graph.instance(layout::SECURITYD);
        let used = own.and_then(|own| own.uses.iter().find(|used| used.name == "log"));
        used.and_then(|used| self.epochs.get(usize::from(used.session))).copied().unwrap_or(0)
    }
}

#[cfg(test)]
pub(crate) mod tests;
