//! The Lifecycle interface: what the supervisor may have done to the lives of others; it decides nothing by itself.

use alloc::format;

use hybrid_capgraph::{Policy, layout};
use hybrid_interfaces::process as idl;
use hybrid_interfaces::security::RecordKind;
use hybrid_ipc::ClientId;

use crate::install::{NotStarted, State};
use crate::kernel::Kernel;
use crate::server::{Server, short};

const NAME_MAX: usize = idl::NAME_MAX;
const TEXT_MAX: usize = idl::TEXT_MAX;

/// What the manifest says, for the supervisor.
const fn restart(restart: &hybrid_capgraph::Restart) -> idl::Restart {
    idl::Restart {
        policy: match restart.policy {
            Policy::Always => idl::Policy::Always,
            Policy::OnFault => idl::Policy::OnFault,
            Policy::Never => idl::Policy::Never,
        },
        threshold: restart.threshold,
        window_ms: restart.window_ms,
        backoff_ms: restart.backoff_ms,
        backoff_max_ms: restart.backoff_max_ms,
        heartbeat_ms: restart.heartbeat_ms,
        deadline_ms: restart.deadline_ms,
    }
}

/// Why the supervisor stopped an instance, in words.
const fn words(reason: idl::Reason) -> &'static str {
    match reason {
        idl::Reason::Stop => "svc stop",
        idl::Reason::Restart => "svc restart",
        idl::Reason::Hang => "it gave no sign of life",
        idl::Reason::Isolation => "isolated: it held what is not declared",
        idl::Reason::Parent => "its parent ended it, or ended itself",
    }
}

impl<K: Kernel> Server<K> {
    /// The place of an instance that the caller has power over: neither securityd nor itself.
    fn subject(&self, client: ClientId, index: u16) -> Result<usize, idl::Error> {
        let place = usize::from(index);
        match self.world.live.get(place) {
            None => Err(idl::Error::NoSuchInstance),
            Some(live) if live.id == layout::SECURITYD || live.id == client.instance => Err(idl::Error::NotAllowed),
            Some(_) => Ok(place),
        }
    }
}

impl<K: Kernel> idl::Lifecycle for Server<K> {
    fn life(&mut self, _: ClientId, index: u16) -> Result<idl::Life<'_>, idl::Error> {
        let place = usize::from(index);
        let consumed_us = self.world.take_consumed(place);
        let live = self.world.live.get(place).ok_or(idl::Error::NoSuchInstance)?;
        let instance = self.world.graph.instance(live.id).ok_or(idl::Error::NoSuchInstance)?;
        let called = instance.uses.iter().filter_map(|used| self.world.graph.session_of(used));
        let servers = called.filter(|session| session.has_operations).map(|session| session.server);
        let needs = servers.filter_map(|server| self.world.place(server).and_then(|place| u16::try_from(place).ok()));
        Ok(idl::Life {
            index,
            name: short(&instance.name, NAME_MAX),
            state: live.state,
            generation: live.generation,
            restart: restart(&instance.restart),
            consumed_us,
            budget_us: instance.budget_us,
            period_us: instance.period_us,
            priority: instance.priority,
            needs: needs.take(idl::NEEDS_MAX).collect(),
            detail: short(&live.detail, TEXT_MAX),
            reason: live.reason,
            since: self.world.installed.get(&live.id).map_or(0, |installed| installed.since),
            awaits_verdict: instance.awaits_verdict,
            awaits_device: instance.awaits_device,
            is_auditor: instance.devices.iter().any(hybrid_capgraph::Device::is_audit),
        })
    }

    fn start(&mut self, client: ClientId, index: u16) -> Result<(), idl::Error> {
        let place = self.subject(client, index)?;
        self.world.start_again(place).map_err(|error| match error {
            NotStarted::Runs => idl::Error::Runs,
            NotStarted::Failed | NotStarted::Empty => idl::Error::CannotStart,
        })
    }

    fn stop(&mut self, client: ClientId, index: u16, reason: idl::Reason, again: bool) -> Result<(), idl::Error> {
        let place = self.subject(client, index)?;
        let detail = format!("stopped by {}: {}", self.name_of(client), words(reason));
        let live = &mut self.world.live[place];
        let (id, before) = (live.id, live.reason.replace(reason));
        if !self.world.stop(id, State::Killed, detail) {
            self.world.live[place].reason = before;
            return Err(idl::Error::DoesNotRun);
        }
        if again {
            self.world.expect_start(place)
        } else {
            self.world.postpone(place)
        }
        Ok(())
    }

    fn postpone(&mut self, client: ClientId, index: u16) -> Result<(), idl::Error> {
        let place = self.subject(client, index)?;
        self.world.postpone(place);
        Ok(())
    }

    fn exit(&mut self, _: ClientId, sequence: u64) -> idl::LifecycleExit<'_> {
        let (found, next) = self.world.exits.since(sequence);
        let exit = found.map(|exit| idl::Exit {
            sequence: exit.sequence,
            index: u16::try_from(exit.place).unwrap_or(u16::MAX),
            generation: exit.generation,
            state: exit.state,
            at_ns: exit.at_ns,
            detail: short(&exit.detail, TEXT_MAX),
            reason: exit.reason,
        });
        idl::LifecycleExit { exit, next }
    }

    fn ping(&mut self, client: ClientId, index: u16, number: u64) -> Result<(), idl::Error> {
        let place = self.subject(client, index)?;
        if self.world.ping(place, number) { Ok(()) } else { Err(idl::Error::DoesNotRun) }
    }

    fn answer(&mut self, client: ClientId, index: u16) -> Result<u64, idl::Error> {
        let place = self.subject(client, index)?;
        Ok(self.world.answer(place))
    }

    fn note(&mut self, client: ClientId, text: &str) {
        self.tell(client, RecordKind::Verdict, text);
    }

    fn pull_exited(&mut self, _: ClientId) -> Option<idl::LifecycleExited> {
        self.world.exits.pull().map(|next| idl::LifecycleExited { next })
    }
}

#[cfg(test)]
mod tests;
