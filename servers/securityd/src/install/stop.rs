//! Ends an instance: its thread, its objects, every capability that others hold to them; the rest goes on.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use core::fmt::Write as _;

use hybrid_capgraph::{Grant, Instance, Policy, What, layout};
use hybrid_interfaces::process::Reason;
use hybrid_interfaces::security::RecordKind;

use super::{State, World};
use crate::exits::Exit;
use crate::journal::Level;
use crate::kernel::Kernel;
use crate::space::{OWN_NODE, Space};

impl<K: Kernel> World<K> {
    /// Stops an instance. `detail` says why; where it was is added, if it did not fault (a fault says that). False if it does not run, or is securityd itself.
    ///
    /// Order matters: the thread first, so that it takes no further call; then its peers' pages, and the answer to the call it may be in;
    /// then its memory, which takes its endpoint from all clients and restarts those that wait in its queue.
    pub fn stop(&mut self, id: u16, state: State, mut detail: String) -> bool {
        let Some(place) = self.place(id).filter(|_| id != layout::SECURITYD) else { return false };
        if self.live[place].state != State::Running && !core::mem::take(&mut self.live[place].is_held) {
            return false;
        }
        let thread = self.live[place].thread;
        let stopped_at = self.kernel.suspend(thread);
        for (thread, _) in &self.live[place].threads {
            // What cannot be stopped ends with its objects, a moment later.
            let _stopped_at = self.kernel.suspend(*thread);
        }
        if let (State::Killed, Ok(address)) = (state, stopped_at) {
            let _ = write!(detail, " at {address:#x}");
        }
        self.take_consumed(place);
        self.end(place, state, detail);
        stopped_at.is_ok()
    }

    /// Destroys what was made for an instance, started or not, and tells everybody.
    pub(super) fn end(&mut self, place: usize, state: State, detail: String) {
        let id = self.live[place].id;
        let is_expected = self.is_supervised(id, state);
        self.live[place].state = state;
        self.live[place].is_expected = is_expected;
        self.end_sessions_of(id);
        self.stages.remove(&id);
        // Before the capabilities vanish: whose call then fails finds in its page why.
        self.tell_peers();
        if let Some(reply) = self.live[place].reply.take() {
            self.kernel.answer_server_died(reply);
        }
        if let Some(account) = self.live[place].account.take() {
            account.close(&mut self.kernel, &mut self.space, &mut self.memory);
        }
        // What it was isolated for may be these pages.
        let is_isolated = self.live[place].reason == Some(Reason::Isolation);
        if let Some(kept) = self.live[place].kept.take_if(|_| is_isolated) {
            kept.account.close(&mut self.kernel, &mut self.space, &mut self.memory);
        }
        for chunk in self.live[place].dma_chunks.clone() {
            // Revoking an untyped of securityd's cannot fail; if it did, the next start would, and say so.
            let _cannot_fail = self.kernel.revoke(self.space.slot(chunk.cap));
        }
        let graph = Rc::clone(&self.graph);
        let name = graph.instance(id).map_or("?", |instance| instance.name.as_str());
        let lost = self.forget_grants_to(name);
        if lost > 0 {
            self.note(RecordKind::Revoked, format!("{lost} calls and bells of others to {name}"));
        }
        let at_ns = self.kernel.now_ns();
        let live = &mut self.live[place];
        let count = live.grants.len();
        live.grants.clear();
        live.detail.clone_from(&detail);
        let (generation, reason) = (live.generation, live.reason);
        let verb = match state {
            State::Killed => "was stopped",
            State::Failed => "could not be started",
            State::Ended => "ended",
            _ => "faulted",
        };
        let kind = if state == State::Faulted { RecordKind::Faulted } else { RecordKind::Stopped };
        self.audit.record(at_ns, RecordKind::Revoked, format!("{count} grants of {name}"));
        self.audit.record(at_ns, kind, format!("{name} {verb}: {detail}"));
        let level = if state == State::Ended { Level::Info } else { Level::Error };
        self.journal.write(level, at_ns, format!("{name} {verb}: {detail}"));
        self.exits.add(Exit { sequence: 0, place, generation, state, at_ns, detail, reason });
        if let Some(slot) = self.exits.bell() {
            self.kernel.signal(Space::cptr(OWN_NODE, slot));
        }
    }

    /// Whether somebody is about to start an instance again that ended so.
    fn is_supervised(&self, id: u16, state: State) -> bool {
        let is_there = |instance: &&Instance| instance.place.is_none() || self.installed.contains_key(&id);
        let instance = self.graph.instance(id).filter(is_there);
        let policy = instance.map_or(Policy::Never, |instance| instance.restart.policy);
        let is_covered = match policy {
            Policy::Always => state != State::Failed,
            Policy::OnFault => state == State::Faulted,
            Policy::Never => false,
        };
        let supervisor = self.exits.supervisor().and_then(|supervisor| self.place(supervisor));
        let watches = |place: usize| self.live[place].state == State::Running;
        is_covered && supervisor.is_some_and(|place| self.live[place].id == id || watches(place))
    }

    /// What others held to the endpoint and the notification of `name` vanished with them; regions are securityd's and stay. How many.
    fn forget_grants_to(&mut self, name: &str) -> usize {
        let is_gone = |grant: &Grant| {
            let target = grant.target.split('.').next();
            matches!(grant.what, What::Call { .. } | What::Bell { .. }) && target == Some(name)
        };
        let mut lost = 0;
        for live in &mut self.live {
            let before = live.grants.len();
            live.grants.retain(|grant| !is_gone(grant));
            lost += before - live.grants.len();
        }
        lost
    }
}
