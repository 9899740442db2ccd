//! The Sessions interface, and the operator's power over it; who may have which session is in the graph.

use alloc::format;
use alloc::string::String;

use hybrid_capgraph::Session;
use hybrid_interfaces::security::{self as idl, RecordKind};
use hybrid_ipc::ClientId;

use crate::install::demand::{Demand, NotOpened};
use crate::kernel::Kernel;
use crate::policy::Kind;
use crate::server::Server;

impl From<NotOpened> for idl::SessionError {
    fn from(why: NotOpened) -> Self {
        match why {
            NotOpened::NotListed => Self::NotListed,
            NotOpened::ServerDown => Self::ServerDown,
            NotOpened::Full => Self::Full,
            NotOpened::Revoked => Self::Revoked,
            NotOpened::Failed => Self::Failed,
        }
    }
}

impl<K: Kernel> idl::Sessions for Server<K> {
    fn open(&mut self, client: ClientId, name: &str) -> Result<(), idl::SessionError> {
        let number = self.world.on_demand(client.instance, name)?;
        if self.world.open_session(number)? {
            self.record_session(number, RecordKind::Granted, "opened");
        }
        Ok(())
    }

    fn close(&mut self, client: ClientId, name: &str) -> Result<(), idl::SessionError> {
        let number = self.world.on_demand(client.instance, name)?;
        if self.world.end_session(number, Demand::Closed) {
            self.record_session(number, RecordKind::Revoked, "closed");
        }
        Ok(())
    }
}

impl<K: Kernel> Server<K> {
    /// A client opens and closes as often as it likes: beyond a few in a window they are counted, and push nothing out of the trail.
    fn record_session(&mut self, number: usize, kind: RecordKind, what: &str) {
        let at = self.world.kernel.now_ns();
        self.tell_untold(Kind::Session, at);
        if self.denials(Kind::Session).count(at) {
            let line = self.session_line(number, what);
            self.world.audit.record(at, kind, line);
        }
    }

    /// Who opened, closed or lost what.
    fn session_line(&self, number: usize, what: &str) -> String {
        let name = |session: &Session| {
            let graph = &self.world.graph;
            format!("{} {what} {}", graph.client_name(session), graph.server_name(session))
        };
        self.world.graph.sessions.get(number).map(name).unwrap_or_default()
    }

    /// By an operator: the session ends, and is not opened again before it is permitted.
    pub(crate) fn set_permitted(
        &mut self,
        by: ClientId,
        client: &str,
        name: &str,
        is_permitted: bool,
    ) -> Result<(), idl::Error> {
        let client = self.world.graph.named(client).ok_or(idl::Error::NoSuchInstance)?.id;
        let number = self.world.on_demand(client, name).map_err(|_| idl::Error::NotAllowed)?;
        let what = if is_permitted {
            self.world.permit_session(number);
            "may open again"
        } else {
            self.world.end_session(number, Demand::Revoked);
            "may no more open"
        };
        let line = format!("{} (by {})", self.session_line(number, what), self.name_of(by));
        let kind = if is_permitted { RecordKind::Granted } else { RecordKind::Revoked };
        let at = self.world.kernel.now_ns();
        self.world.journal.write(crate::journal::Level::Warn, at, line.clone());
        self.world.audit.record(at, kind, line);
        Ok(())
    }
}
