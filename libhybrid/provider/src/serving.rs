//! The provider's end of the rings: requests, answers, credits; never waits.
//!
//! Invariants
//! * INV-PROV-1: no more than the server's credit is sent, and no more than `ANSWERS_MAX` answers (and one refusal more) and `BODIES_MAX`
//!   body bytes are held. Requests beyond that are refused as `Unavailable`; while the server has no room even for refusals, they stay
//!   in the ring. What comes for answers that wait for credit is always taken, else they would wait for ever.
//! * INV-PROV-2: every request that was taken out of the ring gets exactly one answer, unless it is cancelled.
//! * INV-PROV-3: one call of `on_bell` asks the provider for at most one answer, and takes at most `MESSAGES_AT_ONCE` messages, however
//!   many more the server sends meanwhile.

use crate::{Provider, Request, Responder};
use alloc::borrow::Cow;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use hybrid_interfaces::provider::{
    BODY_CREDIT, CHUNK_MAX, Chunk, CreditBody, HostClientRings, Outcome, Request as Message, RequestHead, Response,
    ResponseHead, Verb,
};
use hybrid_ring::RingError;

/// Answers that may be unfinished; as long as there are so many, further requests are refused.
const ANSWERS_MAX: usize = 128;
/// Body bytes of all requests that are being collected.
const BODIES_MAX: usize = 128 * 1024;
/// Requests that may be collecting their bodies.
const COLLECTING_MAX: usize = 64;

/// Messages that are taken in one turn. On a busy device one page can take half a second, and who serves a queue of them without a sign of
/// life counts as hung.
const MESSAGES_AT_ONCE: usize = 8;

/// What one turn leaves to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turn {
    /// Ring the server's bell.
    pub must_ring: bool,
    /// There may be more requests, for which no bell comes: give a sign of life, then call again.
    pub has_more: bool,
}

/// The protocol server broke the rings: nothing can be served any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lost;

/// A request whose body is coming.
#[derive(Debug)]
struct Collecting {
    head: RequestHead<'static>,
    body: Vec<u8>,
    /// It does not fit: answered already, the rest is dropped.
    is_refused: bool,
}

/// An answer that is not all sent.
#[derive(Debug)]
struct Answer {
    request: u32,
    is_describe: bool,
    is_head_sent: bool,
    sent: usize,
    credit: usize,
    content: Responder,
}

/// A provider at work on one session.
#[derive(Debug)]
pub struct Serving<P> {
    provider: P,
    rings: HostClientRings,
    scratch: Vec<u8>,
    collecting: Vec<Collecting>,
    answers: VecDeque<Answer>,
    /// Credit for request bodies that found no room yet.
    credits: Vec<CreditBody>,
    /// Requests that the provider was asked to answer, modulo 2^32.
    handled: u32,
}

impl<P: Provider> Serving<P> {
    /// Begins to serve. Register the endpoint at the server's `Host` interface before or after.
    pub fn new(provider: P, rings: HostClientRings) -> Self {
        Serving {
            provider,
            rings,
            scratch: Vec::new(),
            collecting: Vec::new(),
            answers: VecDeque::new(),
            credits: Vec::new(),
            handled: 0,
        }
    }

    /// The server was started anew, with these rings: open requests are forgotten, as their server's clients were. Register the endpoints
    /// again.
    pub fn begin_again(&mut self, rings: HostClientRings) {
        self.rings = rings;
        self.collecting.clear();
        self.answers.clear();
        self.credits.clear();
    }

    /// Ends the serving; open requests are forgotten.
    pub fn into_provider(self) -> P {
        self.provider
    }

    /// The provider.
    pub fn provider(&mut self) -> &mut P {
        &mut self.provider
    }

    /// Whether no request is open.
    pub fn is_idle(&self) -> bool {
        self.answers.is_empty() && self.collecting.is_empty()
    }

    /// Call at each bell of the server: takes requests, answers them, and goes on with answers.
    ///
    /// # Errors
    /// `Lost`; do not call again.
    pub fn on_bell(&mut self) -> Result<Turn, Lost> {
        let mut has_more = true;
        let handled = self.handled;
        for _ in 0..MESSAGES_AT_ONCE {
            let has_room = self.send().map_err(|_| Lost)?;
            if !has_room && self.answers.len() >= ANSWERS_MAX {
                // The server rings when it has taken something; then it goes on.
                has_more = false;
                break;
            }
            if self.handled != handled {
                break;
            }
            let mut scratch = core::mem::take(&mut self.scratch);
            let popped = self.rings.requests.pop(&mut scratch).map(|message| message.map(|message| self.take(message)));
            self.scratch = scratch;
            if popped.map_err(|_| Lost)?.is_none() && self.rings.requests.request_bell().map_err(|_| Lost)? {
                has_more = false;
                break;
            }
        }
        let wants_room = self.rings.requests.release();
        Ok(Turn { must_ring: self.rings.responses.publish() || wants_room, has_more })
    }

    fn take(&mut self, message: Message<'_>) {
        match message {
            Message::Head(head) if head.has_body => self.collect(head),
            Message::Head(head) => self.handle(&head, &[]),
            Message::Body(chunk) => self.take_chunk(&chunk),
            Message::Cancelled(request) => {
                self.collecting.retain(|collecting| collecting.head.request != request);
                self.answers.retain(|answer| answer.request != request);
                self.credits.retain(|credit| credit.request != request);
            }
            Message::Credit(credit) => {
                if let Some(answer) = self.answers.iter_mut().find(|answer| answer.request == credit.request) {
                    answer.credit = answer.credit.saturating_add(credit.bytes as usize);
                }
            }
        }
    }

    fn handle(&mut self, head: &RequestHead<'_>, body: &[u8]) {
        if self.answers.len() >= ANSWERS_MAX {
            return self.refuse(head.request, head.verb, Outcome::Unavailable);
        }
        self.handled = self.handled.wrapping_add(1);
        let mut content = Responder::default();
        self.provider.handle(&Request::new(head, body), &mut content);
        self.answer(head.request, head.verb, content);
    }

    fn refuse(&mut self, request: u32, verb: Verb, outcome: Outcome) {
        self.answer(request, verb, Responder { outcome, ..Responder::default() });
    }

    fn answer(&mut self, request: u32, verb: Verb, content: Responder) {
        let is_describe = verb == Verb::Describe;
        self.answers.push_back(Answer {
            request,
            is_describe,
            is_head_sent: false,
            sent: 0,
            credit: BODY_CREDIT,
            content,
        });
    }

    fn collect(&mut self, head: RequestHead<'_>) {
        if self.collecting.len() >= COLLECTING_MAX || self.answers.len() >= ANSWERS_MAX {
            self.refuse(head.request, head.verb, Outcome::Unavailable);
        } else {
            self.collecting.push(Collecting { head: head.into_owned(), body: Vec::new(), is_refused: false });
        }
    }

    fn take_chunk(&mut self, chunk: &Chunk<'_>) {
        let held: usize = self.collecting.iter().map(|collecting| collecting.body.len()).sum();
        let Some(place) = self.collecting.iter().position(|collecting| collecting.head.request == chunk.request) else {
            return;
        };
        let collecting = &mut self.collecting[place];
        let size = collecting.body.len() + chunk.data.len();
        let refusal = match (size > P::BODY_MAX, held + chunk.data.len() > BODIES_MAX) {
            (true, _) => Some(Outcome::TooLarge),
            (false, true) => Some(Outcome::Unavailable),
            (false, false) => None,
        };
        if let Some(outcome) = refusal.filter(|_| !collecting.is_refused) {
            collecting.is_refused = true;
            collecting.body = Vec::new();
            let (request, verb) = (collecting.head.request, collecting.head.verb);
            self.refuse(request, verb, outcome);
        }
        let collecting = &mut self.collecting[place];
        if !collecting.is_refused {
            collecting.body.extend_from_slice(&chunk.data);
        }
        if chunk.is_last {
            let whole = self.collecting.swap_remove(place);
            if !whole.is_refused {
                self.handle(&whole.head, &whole.body);
            }
        } else {
            self.give_back(chunk);
        }
    }

    /// Remembers credit; it goes out with the next `send`.
    fn give_back(&mut self, chunk: &Chunk<'_>) {
        let bytes = u32::try_from(chunk.data.len()).unwrap_or(0);
        if bytes == 0 {
            return;
        }
        match self.credits.iter_mut().find(|credit| credit.request == chunk.request) {
            Some(credit) => credit.bytes = credit.bytes.saturating_add(bytes),
            None => self.credits.push(CreditBody { request: chunk.request, bytes }),
        }
    }

    /// Sends what credit and room allow. False: there is more, and no room.
    fn send(&mut self) -> Result<bool, RingError> {
        while let Some(credit) = self.credits.first() {
            let credit = Response::Credit(CreditBody { request: credit.request, bytes: credit.bytes });
            if !self.rings.responses.push_or_ask(&credit)? {
                return Ok(false);
            }
            self.credits.remove(0);
        }
        let mut place = 0;
        while let Some(answer) = self.answers.get_mut(place) {
            match answer.send(&mut self.rings)? {
                Progress::Done => {
                    self.answers.remove(place);
                }
                Progress::NoCredit => place += 1,
                Progress::NoRoom => return Ok(false),
            }
        }
        Ok(true)
    }
}

enum Progress {
    Done,
    NoCredit,
    NoRoom,
}

impl Answer {
    fn send(&mut self, rings: &mut HostClientRings) -> Result<Progress, RingError> {
        let len = self.content.body.bytes().len();
        if !self.is_head_sent {
            let head = ResponseHead {
                request: self.request,
                outcome: self.content.outcome,
                media_type: Cow::Borrowed(&self.content.media_type),
                length: Some(len as u64),
                metadata: self.content.metadata.clone(),
                has_body: len > 0 && !self.is_describe,
            };
            if !rings.responses.push_or_ask(&Response::Head(head))? {
                return Ok(Progress::NoRoom);
            }
            self.is_head_sent = true;
        }
        while self.sent < len && !self.is_describe {
            let step = (len - self.sent).min(CHUNK_MAX).min(self.credit);
            if step == 0 {
                return Ok(Progress::NoCredit);
            }
            let data = Cow::Borrowed(&self.content.body.bytes()[self.sent..self.sent + step]);
            let chunk = Chunk { request: self.request, data, is_last: self.sent + step == len };
            if !rings.responses.push_or_ask(&Response::Body(chunk))? {
                return Ok(Progress::NoRoom);
            }
            self.sent += step;
            self.credit -= step;
        }
        Ok(Progress::Done)
    }
}
