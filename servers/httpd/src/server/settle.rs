//! What follows from a wake-up: bytes and credit go out, waiting requests on.

use super::Server;
use super::connection::Connection;
use crate::engine::{Phase, ProtocolEngine};
use crate::limits::{BODY_CREDIT, CREDIT_STEP, OUTPUT_PAUSE};
use crate::outside::{Outside, Refusal};
use crate::slots::Key;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use hybrid_interfaces::net::stack::{CHUNK_MAX, DataBody, TcpCommand};
use hybrid_interfaces::provider::{CreditBody, Request};

/// A sent prefix of the output larger than this is cut off while the rest waits.
const COMPACT_AT: usize = 8192;

impl<E: ProtocolEngine> Server<E> {
    /// Does everything that can be done now. Call it once after the events of a wake-up.
    pub fn settle(&mut self, now: u64, outside: &mut impl Outside) {
        self.send_aborts(outside);
        for key in core::mem::take(&mut self.stalled) {
            if let Some(connection) = self.connections.find(key) {
                Self::mark(&mut self.dirty, key, connection);
            }
        }
        loop {
            while let Some(key) = self.dirty.pop_front() {
                if let Some(connection) = self.connections.lend(key) {
                    self.attend(key, connection, now, outside);
                }
            }
            for session in 0..self.sessions.len() {
                self.admit(session, now, outside);
            }
            for session in 0..self.sessions.len() {
                if self.sessions[session].is_broken {
                    self.on_provider_lost(session, outside);
                }
            }
            if self.dirty.is_empty() {
                return;
            }
        }
    }

    /// Lets waiting requests of a session go on while there is room.
    fn admit(&mut self, session: usize, now: u64, outside: &mut impl Outside) {
        while self.sessions[session].has_room() && !self.exchanges.is_full() {
            let Some(key) = self.sessions[session].queue.pop_front() else { return };
            let Some(mut connection) = self.connections.lend(key) else { continue };
            connection.queue = None;
            connection.is_admitted = true;
            self.attend(key, connection, now, outside);
            if self.sessions[session].queue.front() == Some(&key) {
                return;
            }
        }
    }

    /// Brings one connection, which was lent, up to date.
    fn attend(&mut self, key: Key, mut connection: Box<Connection<E>>, now: u64, outside: &mut impl Outside) {
        connection.is_dirty = false;
        loop {
            if !self.pump(key, &mut connection, now, outside) {
                return self.abort(key, connection, outside);
            }
            let was_paused = connection.pending() >= OUTPUT_PAUSE;
            self.flush(key, &mut connection, outside);
            if !was_paused || connection.pending() >= OUTPUT_PAUSE {
                break;
            }
        }
        self.return_credit(key, &mut connection, outside);
        self.finish(key, &mut connection, outside);
        connection.wind(now);
        self.connections.put_back(key, connection);
    }

    /// Sends what may be sent.
    fn flush(&mut self, key: Key, connection: &mut Connection<E>, outside: &mut impl Outside) {
        while connection.pending() > 0 && connection.send_credit > 0 {
            let len = connection.pending().min(CHUNK_MAX).min(connection.send_credit as usize);
            let data = Cow::Borrowed(&connection.out[connection.sent..connection.sent + len]);
            let send = TcpCommand::Send(DataBody { connection: connection.number, data });
            if !self.say(key, connection.number, &send, outside) {
                break;
            }
            connection.sent += len;
            connection.written = connection.written.saturating_add(len);
            // `len` was cut to the credit.
            connection.send_credit -= u32::try_from(len).unwrap_or(0);
        }
        if connection.pending() == 0 {
            connection.sent = 0;
            self.pool.put(core::mem::take(&mut connection.out));
        } else if connection.sent >= COMPACT_AT {
            connection.out.drain(..connection.sent);
            connection.sent = 0;
        }
    }

    /// Gives credit back to the stack and to the provider.
    fn return_credit(&mut self, key: Key, connection: &mut Connection<E>, outside: &mut impl Outside) {
        connection.owed = connection.owed.saturating_add(connection.engine.take_consumed());
        if let Some(buffer) = connection.engine.take_idle_buffer() {
            self.pool.put(buffer);
        }
        let credit = Self::give_credit(connection, connection.owed);
        if connection.owed >= CREDIT_STEP && self.say(key, connection.number, &credit, outside) {
            connection.owed = 0;
        }
        let Some(exchange) = connection.exchange else { return };
        let Some(state) = self.exchanges.find(exchange) else { return };
        if state.answer_used < BODY_CREDIT / 2 || connection.pending() >= OUTPUT_PAUSE {
            return;
        }
        let credit = Request::Credit(CreditBody { request: exchange, bytes: state.answer_used });
        match outside.provider(state.session, &credit) {
            Ok(()) => state.answer_credit += core::mem::take(&mut state.answer_used),
            Err(refusal) => {
                self.sessions[state.session].refused(refusal);
                self.sessions[state.session].block(key);
            }
        }
    }

    /// Says `Finish` once the engine is done and everything is sent.
    fn finish(&mut self, key: Key, connection: &mut Connection<E>, outside: &mut impl Outside) {
        let is_done =
            connection.engine.phase() == Phase::Over && connection.exchange.is_none() && connection.pending() == 0;
        if is_done && !connection.is_finished {
            connection.is_finished = self.say(key, connection.number, &TcpCommand::Finish(connection.number), outside);
        }
    }

    /// Says something to the stack, or has the connection attended to again when there is room.
    fn say(&mut self, key: Key, number: u32, command: &TcpCommand<'_>, outside: &mut impl Outside) -> bool {
        match outside.tcp(command) {
            Ok(()) => true,
            Err(refusal) => {
                if refusal == Refusal::Corrupt {
                    log::error!("the stack's session is broken; connection {number} is lost");
                } else if self.stalled.last() != Some(&key) {
                    self.stalled.push(key);
                }
                false
            }
        }
    }
}
