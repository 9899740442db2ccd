//! The operator's commands on the supervisor; who may give them is the graph's to say.

use alloc::format;

use libhybrid::interfaces::process::{Error, Phase, Reason, Service, Services, ServicesEnd, ServicesLeft};
use libhybrid::ipc::ClientId;

use crate::supervisor::{Power, Supervisor};

impl<P: Power> Supervisor<P> {
    /// The one of this name, which is neither securityd nor the supervisor.
    pub(crate) fn named(&self, name: &str) -> Result<usize, Error> {
        let index = self.entries.iter().position(|entry| entry.name == name).ok_or(Error::NoSuchInstance)?;
        if self.entries[index].is_foreign { Err(Error::NotAllowed) } else { Ok(index) }
    }

    /// One that is spawned and was isolated is idle again: its parent may start it, which nobody else does. Whether it was one.
    fn let_spawn_again(&mut self, name: &str) -> bool {
        let is_it = |index: &usize| self.family.has(*index) && self.entries[*index].record.phase() == Phase::Isolated;
        let Some(index) = self.named(name).ok().filter(is_it) else { return false };
        self.entries[index].record.idle();
        true
    }

    /// What is spawned is started by its parent only.
    fn startable(&self, name: &str) -> Result<usize, Error> {
        self.named(name).and_then(|index| if self.family.has(index) { Err(Error::NotAllowed) } else { Ok(index) })
    }
}

impl<P: Power> Services for Supervisor<P> {
    fn service(&mut self, _: ClientId, index: u16) -> Result<Service<'_>, Error> {
        let life = self.power.life(index)?;
        let entry = self.entries.get(usize::from(index)).ok_or(Error::NoSuchInstance)?;
        let (ends, hangs) = entry.record.counts();
        let is_waiting = matches!(entry.record.phase(), Phase::Held | Phase::NoDevice);
        let waits_for = is_waiting.then(|| self.waits_for_in_words(usize::from(index))).flatten();
        let parent = self.family.parent_of(usize::from(index)).filter(|_| entry.record.phase() == Phase::Idle);
        let is_asked = self.requests.is_asked(usize::from(index));
        let asked = is_asked.then(|| "was asked to end, and is stopped if it does not".into());
        let waits_for = waits_for.or_else(|| parent.map(|parent| format!("{parent} to spawn it")));
        Ok(Service {
            index,
            name: life.name,
            phase: entry.record.phase(),
            generation: life.generation,
            ends,
            hangs,
            consumed_us: life.consumed_us,
            budget_us: life.budget_us,
            period_us: life.period_us,
            priority: life.priority,
            is_watched: entry.record.is_watched() && !entry.is_foreign,
            detail: asked.unwrap_or_else(|| waits_for.map_or(life.detail, |what| format!("waits for {what}").into())),
        })
    }

    fn start(&mut self, _: ClientId, name: &str) -> Result<(), Error> {
        if self.let_spawn_again(name) {
            return Ok(());
        }
        let index = self.startable(name)?;
        if self.entries[index].record.phase() == Phase::Running {
            return Err(Error::Runs);
        }
        if self.lacks_device(index) {
            return Err(Error::NoDevice);
        }
        let result = self.start_with_needs(index);
        self.turn();
        result
    }

    fn stop(&mut self, _: ClientId, name: &str) -> Result<(), Error> {
        let index = self.named(name)?;
        match self.entries[index].record.phase() {
            Phase::Stopped | Phase::Isolated | Phase::Idle => return Err(Error::DoesNotRun),
            Phase::Running if self.ask_to_end(index) => {
                self.turn();
                return Ok(());
            }
            Phase::Running | Phase::Held | Phase::NoDevice => self.stop_now(index),
            Phase::Waiting | Phase::Failed | Phase::Ended => {
                if let Ok(number) = u16::try_from(index) {
                    self.power.postpone(number);
                }
                self.entries[index].record.stopped();
            }
        }
        self.turn();
        Ok(())
    }

    fn restart(&mut self, _: ClientId, name: &str) -> Result<(), Error> {
        let index = self.startable(name)?;
        if self.lacks_device(index) {
            return Err(Error::NoDevice);
        }
        if self.entries[index].record.phase() == Phase::Running {
            self.requests.forget(index);
            self.end_by_own_hand(index, Reason::Restart, true);
            self.entries[index].record.stopped();
        }
        let result = self.start_with_needs(index);
        self.turn();
        result
    }

    fn end(&mut self, _: ClientId, number: u16) -> Result<ServicesEnd<'_>, Error> {
        let exit = self.ends.iter().rev().nth(usize::from(number)).ok_or(Error::NoSuchInstance)?;
        let name = self.entries.get(usize::from(exit.index)).map_or("?", |entry| entry.name.as_str());
        Ok(ServicesEnd { name: name.into(), exit: exit.clone() })
    }

    fn attach(&mut self, client: ClientId, name: &str) -> Result<(), Error> {
        // Who is spawned is not started, and has its parent's terminal if any.
        let place = self.startable(name)?;
        Services::start(self, client, name)?;
        self.operators.attached = Some(place).filter(|place| self.entries[*place].record.phase() == Phase::Running);
        Ok(())
    }

    fn attached(&mut self, _: ClientId) -> Option<u16> {
        u16::try_from(self.operators.attached?).ok()
    }

    fn pull_left(&mut self, client: ClientId) -> Option<ServicesLeft> {
        self.pull_left_of(client.instance)
    }
}
