//! Deadlines, looked at once a second while there are connections.

use super::Server;
use super::connection::Wait;
use crate::engine::ProtocolEngine;
use crate::outside::Outside;
use crate::slots::Key;
use crate::status::Status;
use alloc::vec::Vec;

impl<E: ProtocolEngine> Server<E> {
    /// Ends what took too long. `settle` must follow.
    ///
    /// The table is at most `CONNECTIONS_MAX` long, so that looking through it once a second is cheaper than keeping it in order.
    pub fn on_tick(&mut self, now: u64, outside: &mut impl Outside) {
        for session in 0..self.sessions.len() {
            self.check_session(session, now, outside);
        }
        let late: Vec<(Key, Wait)> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.clock.deadline <= now)
            .map(|(key, connection)| (key, connection.clock.wait))
            .collect();
        for (key, wait) in late {
            self.expire(key, wait, outside);
        }
    }

    fn expire(&mut self, key: Key, wait: Wait, outside: &mut impl Outside) {
        match wait {
            Wait::First | Wait::Next => {
                if let Some(connection) = self.connections.find(key) {
                    connection.engine.end();
                    Self::mark(&mut self.dirty, key, connection);
                }
            }
            Wait::Queue => self.fail(key, Status::ServiceUnavailable, outside),
            Wait::Provider => self.fail(key, Status::GatewayTimeout, outside),
            Wait::Head | Wait::Body => self.time_out(key, outside),
            Wait::Write | Wait::Linger => {
                if let Some(connection) = self.connections.lend(key) {
                    self.abort(key, connection, outside);
                }
            }
        }
    }

    /// 408, after which the connection ends; or its end at once if an answer has begun.
    fn time_out(&mut self, key: Key, outside: &mut impl Outside) {
        let Some(mut connection) = self.connections.lend(key) else { return };
        self.cancel_exchange(&mut connection, outside);
        connection.with_out(&mut self.pool);
        if connection.engine.answer_error(Status::RequestTimeout, true, &mut connection.out) {
            Self::mark(&mut self.dirty, key, &mut connection);
            self.connections.put_back(key, connection);
        } else {
            self.abort(key, connection, outside);
        }
    }

    /// A provider that leaves its ring unread while it was not heard of is stalled; one that reads again is not.
    fn check_session(&mut self, session: usize, now: u64, outside: &mut impl Outside) {
        let state = &mut self.sessions[session];
        if state.is_lost || state.is_gone {
            return;
        }
        let is_all_taken = outside.is_all_taken(session);
        if is_all_taken {
            state.is_stalled = false;
        } else if !state.is_stalled && state.is_silent(now) {
            state.is_stalled = true;
            state.blocked.clear();
            log::warn!("{} does not take its requests: they are refused until it does", state.name);
            self.fail_all(session, Status::ServiceUnavailable, outside);
        }
    }
}
