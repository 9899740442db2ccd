//! From a request head to a provider: route, access, room, body.

use super::Server;
use super::connection::Connection;
use super::exchange::Exchange;
use crate::engine::{ProtocolEngine, Step};
use crate::http1::{Head, Method};
use crate::limits::{FORWARDED_MAX, OUTPUT_PAUSE};
use crate::outside::{Asked, Outside, Refusal, Verdict};
use crate::slots::Key;
use crate::status::Status;
use crate::verbs::{access_verb, denial, verb};
use alloc::borrow::Cow;
use alloc::vec::Vec;
use hybrid_interfaces::provider::{
    CHUNK_MAX, Chunk, Field, NAME_MAX, Protocol, Request, RequestHead, Requester, VALUE_MAX,
};

/// What became of a request head.
enum Begun {
    /// A provider has it.
    Sent,
    /// It waits for room.
    Queued,
}

impl<E: ProtocolEngine> Server<E> {
    /// Runs a connection's engine until it waits for something. Returns false if the connection must be reset.
    pub(super) fn pump(
        &mut self,
        key: Key,
        connection: &mut Connection<E>,
        now: u64,
        outside: &mut impl Outside,
    ) -> bool {
        loop {
            if connection.queue.is_some() {
                return true;
            }
            let credit = connection
                .exchange
                .and_then(|exchange| self.exchanges.find(exchange))
                .map_or(0, |exchange| exchange.body_credit);
            let body_max = CHUNK_MAX.min(credit as usize);
            let is_paused = connection.pending() >= OUTPUT_PAUSE;
            connection.with_out(&mut self.pool);
            match connection.engine.poll(&mut self.head, body_max, is_paused) {
                Step::Starved | Step::Waiting | Step::Over => return true,
                Step::Truncated => {
                    self.cancel_exchange(connection, outside);
                    return false;
                }
                Step::Invalid(status) => {
                    self.cancel_exchange(connection, outside);
                    if !connection.engine.answer_error(status, true, &mut connection.out) {
                        return false;
                    }
                }
                Step::Request(stream) => {
                    if !self.begin(key, connection, stream, now, outside) {
                        return true;
                    }
                }
                Step::Body { data, is_last, .. } => {
                    let Some(exchange) = connection.exchange else { return true };
                    let chunk = Chunk { request: exchange, data: Cow::Borrowed(data), is_last };
                    let len = data.len();
                    if !self.forward(key, exchange, chunk, now, outside) {
                        return true;
                    }
                    connection.engine.take_body(len, is_last);
                }
            }
        }
    }

    /// Handles a told request head. Returns whether the engine can go on.
    fn begin(
        &mut self,
        key: Key,
        connection: &mut Connection<E>,
        stream: u32,
        now: u64,
        outside: &mut impl Outside,
    ) -> bool {
        let outcome = self.try_begin(key, connection, stream, now, outside);
        connection.is_admitted = false;
        if let Ok(Begun::Queued) = outcome {
            return false;
        }
        connection.is_allowed = false;
        connection.serial = connection.serial.wrapping_add(1);
        connection.engine.accept();
        match outcome {
            Err(status) => {
                connection.engine.answer_error(status, false, &mut connection.out);
            }
            Ok(_) => connection.engine.invite_body(&mut connection.out),
        }
        true
    }

    fn try_begin(
        &mut self,
        key: Key,
        connection: &mut Connection<E>,
        stream: u32,
        now: u64,
        outside: &mut impl Outside,
    ) -> Result<Begun, Status> {
        let head = &self.head;
        let path = if head.is_server_wide { "/" } else { head.path.as_str() };
        let (index, _, below) = self.routes.find(path).ok_or(Status::NotFound)?;
        if !connection.is_allowed {
            let asked = Asked { peer: &connection.address, verb: access_verb(head.method), path };
            let limit = match outside.decide_request(&asked) {
                Verdict::Allow => connection.limit,
                Verdict::Limit(limit) => Some(connection.limit.map_or(limit, |other| other.min(limit))),
                Verdict::Deny(reason) => return Err(denial(reason)),
            };
            let is_beyond = |limit: u32| {
                self.exchanges.len() >= limit as usize && self.open_requests(&connection.peer) >= limit as usize
            };
            if limit.is_some_and(is_beyond) {
                self.limited = self.limited.saturating_add(1);
                if self.limited.is_power_of_two() {
                    log::warn!("{} has too many open requests ({} refused since start)", connection.peer, self.limited);
                }
                return Err(Status::TooManyRequests);
            }
            connection.is_allowed = true;
        }
        // OPTIONS has no verb: httpd says what it can carry, without asking the provider.
        let verb = verb(head.method).ok_or(Status::NoContent)?;
        let session =
            self.sessions.get_mut(index).filter(|session| session.is_usable()).ok_or(Status::ServiceUnavailable)?;
        let must_wait = !session.queue.is_empty() && !connection.is_admitted;
        if must_wait || !session.has_room() || self.exchanges.is_full() {
            return Ok(self.enqueue(key, connection, index));
        }
        let exchange = Exchange::new(key, stream, index, head.has_body());
        let request = self.exchanges.insert(exchange).map_err(|_| Status::ServiceUnavailable)?;
        let sent = match request_head(request, head, connection, below) {
            Ok(mut head) => {
                head.verb = verb;
                outside.provider(index, &Request::Head(head))
            }
            Err(status) => {
                self.exchanges.remove(request);
                return Err(status);
            }
        };
        match sent {
            Ok(()) => {
                session.in_flight += 1;
                session.told(now);
                connection.exchange = Some(request);
                Ok(Begun::Sent)
            }
            Err(refusal) => {
                self.exchanges.remove(request);
                if refusal == Refusal::Corrupt {
                    self.sessions[index].refused(refusal);
                    return Err(Status::BadGateway);
                }
                self.sessions[index].told(now);
                Ok(self.enqueue(key, connection, index))
            }
        }
    }

    /// Requests that a peer has at providers.
    fn open_requests(&self, peer: &str) -> usize {
        self.connections
            .iter()
            .filter(|(_, connection)| connection.exchange.is_some() && connection.peer == peer)
            .count()
    }

    fn enqueue(&mut self, key: Key, connection: &mut Connection<E>, index: usize) -> Begun {
        let queue = &mut self.sessions[index].queue;
        if connection.is_admitted {
            queue.push_front(key)
        } else {
            queue.push_back(key)
        }
        connection.queue = Some(index);
        Begun::Queued
    }

    /// Sends body data of a request on. Returns false if it must wait.
    fn forward(&mut self, key: Key, exchange: Key, chunk: Chunk<'_>, now: u64, outside: &mut impl Outside) -> bool {
        let Some(state) = self.exchanges.find(exchange) else { return false };
        let session = &mut self.sessions[state.session];
        session.told(now);
        let (len, is_last) = (chunk.data.len(), chunk.is_last);
        match outside.provider(state.session, &Request::Body(chunk)) {
            Ok(()) => {
                // `poll` was asked for no more than the credit.
                state.body_credit = state.body_credit.saturating_sub(u32::try_from(len).unwrap_or(u32::MAX));
                state.is_body_done = is_last;
                true
            }
            Err(refusal) => {
                session.refused(refusal);
                session.block(key);
                false
            }
        }
    }

    /// Takes the connection's request back from its provider, if it has one, and from the queue.
    pub(super) fn cancel_exchange(&mut self, connection: &mut Connection<E>, outside: &mut impl Outside) {
        if let Some(index) = connection.queue.take() {
            let connections = &mut self.connections;
            // A lent connection is not found: it is the one to take out.
            self.sessions[index].queue.retain(|&key| connections.find(key).is_some_and(|other| other.queue.is_some()));
        }
        if let Some(exchange) = connection.exchange.take() {
            self.end_exchange(exchange, true, outside);
        }
    }

    /// Forgets an exchange; tells the provider if it may still have work with it.
    pub(super) fn end_exchange(&mut self, exchange: Key, is_unfinished: bool, outside: &mut impl Outside) {
        let Some(state) = self.exchanges.remove(exchange) else { return };
        let session = &mut self.sessions[state.session];
        session.in_flight -= 1;
        if session.in_flight == 0 {
            session.silent_since = None;
        }
        let is_over = !is_unfinished && state.is_body_done;
        if is_over || session.is_lost || session.is_gone {
            return;
        }
        if session.cancels.is_empty() {
            match outside.provider(state.session, &Request::Cancelled(exchange)) {
                Ok(()) => return,
                Err(refusal) => session.refused(refusal),
            }
        }
        // Never more than `CANCELS_MAX`: see `Session::is_usable`.
        session.cancels.push_back(exchange);
    }
}

/// The head as a provider gets it; everything borrowed.
fn request_head<'a, E: ProtocolEngine>(
    request: Key,
    head: &'a Head,
    connection: &'a Connection<E>,
    below: &'a str,
) -> Result<RequestHead<'a>, Status> {
    let bytes = connection.engine.head_bytes();
    let mut metadata = Vec::new();
    for (name, value) in head.fields(bytes) {
        if name.len() > NAME_MAX || value.len() > VALUE_MAX || metadata.len() == FORWARDED_MAX {
            return Err(Status::HeaderFieldsTooLarge);
        }
        metadata.push(Field { name: Cow::Borrowed(name), value: Cow::Borrowed(value) });
    }
    Ok(RequestHead {
        request,
        verb: verb(Method::Get).ok_or(Status::InternalServerError)?,
        path: Cow::Borrowed(below),
        query: Cow::Borrowed(head.query(bytes)),
        requester: Requester {
            protocol: Protocol::Http,
            address: Cow::Borrowed(&connection.peer),
            is_encrypted: false,
            identity: None,
        },
        metadata,
        has_body: head.has_body(),
    })
}
