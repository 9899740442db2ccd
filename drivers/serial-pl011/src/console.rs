//! The sessions of the serial line: whose bytes go out next, who gets what was typed.
//!
//! Clients are hostile as far as this module is concerned: a corrupt ring ends its session, a client that writes
//! without pause gets its turn and no more, one that never reads loses input and nothing else.
use crate::uart::{Registers, Uart};
use alloc::string::String;
use alloc::vec::Vec;
use hybrid_ipc::{BytesConsumer, BytesProducer};

/// The longest record of an output ring, bytes (`ipc-idl/console/console.idl`).
pub const OUTPUT_MAX: usize = 512;
/// The longest record of an input ring, bytes.
pub const INPUT_MAX: usize = 64;
/// Records that are sent in one go before the line looks at its input again.
const TURNS_MAX: usize = 64;

/// One client's rings.
pub struct Session {
    /// The client's name, for the log.
    pub name: String,
    /// What the client wants to print.
    pub output: BytesConsumer<OUTPUT_MAX>,
    /// What was typed, for clients that have a terminal.
    pub input: Option<BytesProducer<INPUT_MAX>>,
}

/// What the wiring has to do for a session after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Ring the bell of this session's client.
    Ring(usize),
    /// The session's ring was corrupt; it is ended. Log it.
    Ended(usize),
}

/// The record that is being sent.
struct Current {
    bytes: Vec<u8>,
    length: usize,
    position: usize,
    last: u8,
}

/// The line and all its sessions.
pub struct Console<R> {
    uart: Uart<R>,
    sessions: Vec<(Session, bool)>,
    turn: usize,
    current: Current,
    notices: Vec<Notice>,
    /// Typed bytes that found a session's ring full, over all sessions.
    pub lost_input: u64,
}

impl<R: Registers> Console<R> {
    /// A console with these sessions; their order is the order of turns, and their indices are those of [`Notice`].
    pub fn new(uart: Uart<R>, sessions: Vec<Session>) -> Self {
        let notices = Vec::with_capacity(sessions.len() * 3);
        let sessions = sessions.into_iter().map(|session| (session, true)).collect();
        let current = Current { bytes: Vec::with_capacity(OUTPUT_MAX), length: 0, position: 0, last: 0 };
        Self { uart, sessions, turn: 0, current, notices, lost_input: 0 }
    }

    /// The session's client is gone: nothing is taken from it or given to it. The record that is being sent is sent to its end.
    pub fn end(&mut self, session: usize) {
        if let Some((_, is_alive)) = self.sessions.get_mut(session) {
            *is_alive = false;
        }
    }

    /// The session's client was started anew, with these rings.
    pub fn begin(&mut self, session: usize, rings: Session) {
        if let Some(place) = self.sessions.get_mut(session) {
            *place = (rings, true);
        }
    }

    /// The name of a session's client.
    pub fn name(&self, session: usize) -> &str {
        self.sessions.get(session).map_or("", |(session, _)| &session.name)
    }

    /// Bytes that arrived damaged or were lost on the wire.
    pub fn damaged(&self) -> u64 {
        self.uart.damaged
    }

    /// Does all that can be done now, after an interrupt or a bell. Returns true if it must be called again at once,
    /// because it stopped to be fair; false if the next interrupt or bell is early enough.
    ///
    /// `tell` gets what has to be done for the sessions.
    pub fn advance(&mut self, mut tell: impl FnMut(&Self, Notice)) -> bool {
        self.uart.acknowledge();
        self.receive();
        let is_more = self.send();
        let mut notices = core::mem::take(&mut self.notices);
        for notice in notices.drain(..) {
            tell(self, notice);
        }
        self.notices = notices;
        is_more
    }

    /// Gives what was typed to every terminal.
    fn receive(&mut self) {
        let mut buffer = [0; INPUT_MAX];
        loop {
            let count = self.uart.receive(&mut buffer);
            let Some(bytes @ [_, ..]) = buffer.get(..count) else { break };
            for (session, is_alive) in &mut self.sessions {
                let Some(input) = session.input.as_mut().filter(|_| *is_alive) else { continue };
                if input.push(bytes).is_err() {
                    self.lost_input = self.lost_input.saturating_add(bytes.len() as u64);
                }
            }
        }
        for (index, (session, is_alive)) in self.sessions.iter_mut().enumerate() {
            if let Some(input) = session.input.as_mut().filter(|_| *is_alive)
                && input.publish()
            {
                self.notices.push(Notice::Ring(index));
            }
        }
    }

    /// Sends until the FIFO is full, nothing is left, or others had to wait long enough.
    fn send(&mut self) -> bool {
        for _ in 0..TURNS_MAX {
            if !self.send_current() {
                self.uart.wait_for_room(true);
                return false;
            }
            if !self.next_record() {
                self.uart.wait_for_room(false);
                return self.rest();
            }
        }
        true
    }

    /// Sends the rest of the current record; false if the FIFO is full.
    fn send_current(&mut self) -> bool {
        let current = &mut self.current;
        while let Some(&byte) = current.bytes.get(..current.length).and_then(|record| record.get(current.position)) {
            // Terminals move down only at a line feed: give them the carriage return that texts leave out.
            let next = if byte == b'\n' && current.last != b'\r' { b'\r' } else { byte };
            if !self.uart.try_send(next) {
                return false;
            }
            current.last = next;
            if next == byte {
                current.position += 1;
            }
        }
        true
    }

    /// Takes the next record of the next session that has one; false if none has.
    fn next_record(&mut self) -> bool {
        let count = self.sessions.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            let Some((session, is_alive @ true)) = self.sessions.get_mut(index) else { continue };
            match session.output.pop(&mut self.current.bytes) {
                Ok(Some(record)) => {
                    self.current.length = record.len();
                    self.current.position = 0;
                    self.turn = (index + 1) % count;
                    if session.output.release() {
                        self.notices.push(Notice::Ring(index));
                    }
                    return true;
                }
                Ok(None) => {}
                Err(_) => {
                    *is_alive = false;
                    self.notices.push(Notice::Ended(index));
                }
            }
        }
        false
    }

    /// Asks every client to ring when it has something; true if one has already.
    fn rest(&mut self) -> bool {
        let mut is_more = false;
        for (index, (session, is_alive)) in self.sessions.iter_mut().enumerate().filter(|(_, (_, is_alive))| *is_alive)
        {
            match session.output.request_bell() {
                Ok(is_empty) => is_more |= !is_empty,
                Err(_) => {
                    *is_alive = false;
                    self.notices.push(Notice::Ended(index));
                }
            }
        }
        is_more
    }
}

#[cfg(test)]
mod tests;
