//! From a provider's answer to the client; what a provider does wrong.

use super::Server;
use super::connection::Connection;
use super::exchange::Session;
use crate::engine::{Answer, AnswerError, ProtocolEngine};
use crate::limits::BODY_CREDIT;
use crate::outside::Outside;
use crate::slots::Key;
use crate::status::Status;
use crate::verbs::status;
use alloc::boxed::Box;
use alloc::vec::Vec;
use hybrid_interfaces::provider::{Chunk, CreditBody, Request, Response, ResponseHead};

/// What a provider's message did to its request.
enum Effect {
    /// It goes on.
    Open,
    /// It is answered.
    Done,
    /// The provider gave up.
    Aborted,
    /// The provider broke a rule.
    Broken(&'static str),
}

impl<E: ProtocolEngine> Server<E> {
    /// A provider says something. What belongs to no open request of its session is dropped: the request may have been called off.
    pub fn on_response(&mut self, session: usize, response: Response<'_>, now: u64, outside: &mut impl Outside) {
        let Some(state) = self.sessions.get_mut(session).filter(|state| !state.is_lost && !state.is_gone) else {
            return;
        };
        state.heard(now);
        let request = match &response {
            Response::Head(head) => head.request,
            Response::Body(chunk) => chunk.request,
            Response::Aborted(request) => *request,
            Response::Credit(credit) => credit.request,
        };
        let Some(key) = self
            .exchanges
            .find(request)
            .filter(|exchange| exchange.session == session)
            .map(|exchange| exchange.connection)
        else {
            return;
        };
        let Some(mut connection) = self.connections.lend(key) else { return };
        connection.with_out(&mut self.pool);
        // What renews the provider's time: a piece of the answer, or of the body taken, and not words without content.
        connection.answered = connection.answered.saturating_add(match &response {
            Response::Head(_) => 1,
            Response::Body(chunk) => chunk.data.len(),
            Response::Credit(credit) => credit.bytes as usize,
            Response::Aborted(_) => 0,
        });
        let effect = match response {
            Response::Head(head) => self.on_head(&mut connection, &head),
            Response::Body(chunk) => self.on_chunk(&mut connection, &chunk),
            Response::Credit(credit) => self.on_body_credit(&credit),
            Response::Aborted(_) => Effect::Aborted,
        };
        self.apply(key, connection, session, request, effect, outside);
    }

    fn apply(
        &mut self,
        key: Key,
        mut connection: Box<Connection<E>>,
        session: usize,
        request: Key,
        effect: Effect,
        outside: &mut impl Outside,
    ) {
        let (is_unfinished, failure) = match effect {
            Effect::Open => (false, None),
            Effect::Done => (false, None),
            Effect::Aborted => (false, Some("gave up")),
            Effect::Broken(why) => (true, Some(why)),
        };
        if !matches!(effect, Effect::Open) {
            connection.exchange = None;
            self.end_exchange(request, is_unfinished, outside);
        }
        if let Some(why) = failure {
            if self.sessions[session].note_fault() {
                log::warn!("{}, request {request:#x}: {why}", self.sessions[session].name);
            }
            if !connection.engine.answer_error(Status::BadGateway, false, &mut connection.out) {
                return self.abort(key, connection, outside);
            }
        }
        Self::mark(&mut self.dirty, key, &mut connection);
        self.connections.put_back(key, connection);
    }

    fn on_head(&mut self, connection: &mut Connection<E>, head: &ResponseHead<'_>) -> Effect {
        let Some(exchange) = self.exchanges.find(head.request) else { return Effect::Open };
        let answer = Answer {
            status: status(head.outcome),
            media_type: &head.media_type,
            length: head.length,
            has_body: head.has_body,
        };
        let fields = head.metadata.iter().map(|field| (field.name.as_ref(), field.value.as_ref()));
        match connection.engine.answer(exchange.stream, &answer, fields, &mut connection.out) {
            Ok(()) if head.has_body => Effect::Open,
            Ok(()) => Effect::Done,
            Err(error) => Effect::Broken(explain(error)),
        }
    }

    fn on_chunk(&mut self, connection: &mut Connection<E>, chunk: &Chunk<'_>) -> Effect {
        let Some(exchange) = self.exchanges.find(chunk.request) else { return Effect::Open };
        let Some(left) = u32::try_from(chunk.data.len()).ok().and_then(|len| exchange.answer_credit.checked_sub(len))
        else {
            return Effect::Broken("more body than its credit");
        };
        exchange.answer_used += exchange.answer_credit - left;
        exchange.answer_credit = left;
        match connection.engine.answer_body(exchange.stream, &chunk.data, chunk.is_last, &mut connection.out) {
            Ok(()) if chunk.is_last => Effect::Done,
            Ok(()) => Effect::Open,
            Err(error) => Effect::Broken(explain(error)),
        }
    }

    fn on_body_credit(&mut self, credit: &CreditBody) -> Effect {
        let Some(exchange) = self.exchanges.find(credit.request) else { return Effect::Open };
        if credit.bytes == 0 {
            return Effect::Broken("credit of nothing");
        }
        match exchange.body_credit.checked_add(credit.bytes).filter(|&sum| sum <= BODY_CREDIT) {
            Some(sum) => {
                exchange.body_credit = sum;
                Effect::Open
            }
            None => Effect::Broken("more credit than it took"),
        }
    }

    /// A provider's bell: there may be room for what found none.
    pub fn on_provider_room(&mut self, session: usize, outside: &mut impl Outside) {
        let Some(state) = self.sessions.get_mut(session) else { return };
        while let Some(&request) = state.cancels.front() {
            if let Err(refusal) = outside.provider(session, &Request::Cancelled(request)) {
                state.refused(refusal);
                break;
            }
            state.cancels.pop_front();
        }
        for key in core::mem::take(&mut state.blocked) {
            if let Some(connection) = self.connections.find(key) {
                Self::mark(&mut self.dirty, key, connection);
            }
        }
    }

    /// A provider broke its ring or sent what cannot be decoded: its requests fail, it gets nothing any more, and
    /// another provider may take its endpoints.
    pub fn on_provider_lost(&mut self, session: usize, outside: &mut impl Outside) {
        let Some(state) = self.sessions.get_mut(session).filter(|state| !state.is_lost) else { return };
        state.is_lost = true;
        state.is_broken = false;
        state.cancels.clear();
        state.blocked.clear();
        log::error!("{} broke its session: it gets no more requests", state.name);
        self.fail_all(session, Status::BadGateway, outside);
    }

    /// A provider died: what it had, and what waits for it, is answered 503 now. Its endpoints stay, also answered 503, until its next life
    /// registers its own or another provider registers them.
    pub fn on_provider_gone(&mut self, session: usize, outside: &mut impl Outside) {
        let Some(state) = self.sessions.get_mut(session) else { return };
        state.is_gone = true;
        state.cancels.clear();
        state.blocked.clear();
        log::warn!("{} is gone: its requests are refused until it is back", state.name);
        self.fail_all(session, Status::ServiceUnavailable, outside);
        // Whatever its last life did wrong ends with it.
        let state = &mut self.sessions[session];
        debug_assert!(state.in_flight == 0 && state.queue.is_empty(), "all of them failed");
        let name = core::mem::take(&mut state.name);
        *state = Session { is_gone: true, ..Session::new(&name) };
    }

    /// Answers everything that a provider has, or that waits for it, with an error.
    pub(super) fn fail_all(&mut self, session: usize, status: Status, outside: &mut impl Outside) {
        let keys: Vec<Key> = self
            .connections
            .iter()
            .filter(|(_, connection)| {
                connection.queue == Some(session)
                    || connection.exchange.is_some_and(|exchange| {
                        self.exchanges.get(exchange).is_some_and(|state| state.session == session)
                    })
            })
            .map(|(key, _)| key)
            .collect();
        for key in keys {
            self.fail(key, status, outside);
        }
    }

    /// Ends a connection's open request with an error, or the connection if its answer has begun.
    pub(super) fn fail(&mut self, key: Key, status: Status, outside: &mut impl Outside) {
        let Some(mut connection) = self.connections.lend(key) else { return };
        let was_queued = connection.queue.is_some();
        self.cancel_exchange(&mut connection, outside);
        connection.with_out(&mut self.pool);
        if was_queued {
            connection.is_allowed = false;
            connection.serial = connection.serial.wrapping_add(1);
            connection.engine.accept();
        }
        if connection.engine.answer_error(status, false, &mut connection.out) {
            Self::mark(&mut self.dirty, key, &mut connection);
            self.connections.put_back(key, connection);
        } else {
            self.abort(key, connection, outside);
        }
    }
}

fn explain(error: AnswerError) -> &'static str {
    match error {
        AnswerError::OutOfOrder => "head and body out of order",
        AnswerError::BadField => "a field with control characters",
        AnswerError::TooMuch => "more body than announced",
        AnswerError::TooLittle => "less body than announced",
    }
}
