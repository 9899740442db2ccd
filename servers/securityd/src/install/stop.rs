//! Ends an instance: its thread, its objects, every capability that others hold to them; the rest goes on.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use core::fmt::Write as _;

use hybrid_capgraph::{Grant, What, layout};

use super::{State, World};
use crate::journal::Level;
use crate::kernel::Kernel;

impl<K: Kernel> World<K> {
    /// Stops an instance for good. `detail` says why; where it was is added, if it did not fault (a fault says that). False if it does not run, or is securityd itself.
    ///
    /// Order matters: the thread first, so that it takes no further call; then the answer to the call it may be in;
    /// then its memory, which takes its endpoint from all clients and restarts those that wait in its queue.
    pub fn stop(&mut self, id: u16, state: State, mut detail: String) -> bool {
        let Some(place) = self.place(id).filter(|_| id != layout::SECURITYD) else { return false };
        if self.live[place].state != State::Running {
            return false;
        }
        let (thread, reply) = (self.live[place].thread, self.live[place].reply);
        let stopped_at = self.kernel.suspend(thread);
        if let (State::Killed, Ok(address)) = (state, stopped_at) {
            let _ = write!(detail, " at {address:#x}");
        }
        if let Some(reply) = reply {
            self.kernel.answer_server_died(reply);
        }
        if let Some(account) = self.live[place].account.take() {
            account.close(&mut self.kernel, &mut self.space, &mut self.memory);
        }
        let graph = Rc::clone(&self.graph);
        let name = graph.instance(id).map_or("?", |instance| instance.name.as_str());
        let lost = self.forget_grants_to(name);
        if lost > 0 {
            self.audit.record(format!("revoked {lost} calls and bells of others to {name}"));
        }
        let live = &mut self.live[place];
        let count = live.grants.len();
        live.grants.clear();
        live.state = state;
        live.detail.clone_from(&detail);
        let verb = if state == State::Killed { "was stopped" } else { "faulted" };
        self.audit.record(format!("revoked {count} grants of {name}: {verb}: {detail}"));
        let at = self.kernel.now_ns();
        self.journal.write(Level::Error, at, format!("{name} {verb}: {detail}"));
        stopped_at.is_ok()
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
