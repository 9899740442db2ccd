//! The sessions of hybrid.local as they were granted: rings, translated; `process::crossing` gives them meaning.
use super::link::next;
use crate::neighbour::{CHUNK, CONNECTIONS_MAX, Heard, Neighbours, Reason, WINDOW, Word};
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use hybrid_interfaces::local as idl;
use hybrid_interfaces::local::{StreamClientRings, StreamRings, StreamServerRings, stream};
use hybrid_ipc::{RecordConsumer, RecordProducer, Region};
use hybrid_rt::{Env, PeerChange, PeerNews, SessionHandle};

const _: () =
    assert!(CHUNK == idl::CHUNK_MAX && WINDOW == idl::WINDOW as u64 && CONNECTIONS_MAX == idl::CONNECTIONS_MAX);

/// This side's ends.
struct Ends {
    says: RecordProducer<idl::Word<'static>>,
    hears: RecordConsumer<idl::Word<'static>>,
}

impl From<StreamClientRings> for Ends {
    fn from(rings: StreamClientRings) -> Self {
        Self { says: rings.calls, hears: rings.answers }
    }
}

impl From<StreamServerRings> for Ends {
    fn from(rings: StreamServerRings) -> Self {
        Self { says: rings.answers, hears: rings.calls }
    }
}

/// One session.
struct Session {
    /// The component's own name for the use or the provided interface.
    name: &'static str,
    path: Vec<u8>,
    handle: SessionHandle,
    /// `None` while the neighbour is away, or when it broke them.
    ends: Option<Ends>,
    /// What one that died said last is still to be heard.
    last: Option<RecordConsumer<idl::Word<'static>>>,
    /// It died, and the program was not told yet: its next life is not spoken to before.
    is_lost: bool,
}

/// All of them.
pub(super) struct Granted(Vec<Session>);

impl Granted {
    /// Uses first, then the clients of what is provided. The path of each is the parameter `local.NAME`, where `@` stands for the zero byte of an
    /// abstract name; without one it is `/run/NAME`.
    pub(super) fn find(env: &Env) -> Option<Self> {
        let start = env.start();
        let uses = start.uses.iter().filter(|used| used.interface == stream::INTERFACE);
        let uses = uses.map(|used| Session::new(env, &used.name, env.session(&used.name)));
        let provides = start.provides.iter().filter(|provided| provided.interface == stream::INTERFACE);
        let clients = provides.flat_map(|provided| {
            env.provided(&provided.name).into_iter().map(|handle| Session::new(env, &provided.name, handle))
        });
        let sessions: Vec<Session> = uses.chain(clients).collect();
        (!sessions.is_empty()).then_some(Self(sessions))
    }

    pub(super) fn on_peer(&mut self, change: &PeerChange) {
        let is_it = |session: &&mut Session| {
            let (own, told) = (&session.handle, &change.session);
            session.name == change.interface && own.client == told.client && own.name == told.name
        };
        let Some(session) = self.0.iter_mut().find(is_it) else { return };
        match change.news {
            PeerNews::Gone(_) => {
                session.last = session.ends.take().map(|ends| ends.hears);
                session.is_lost = true;
            }
            PeerNews::Back => {
                session.handle = change.session.clone();
                (session.last, session.ends) = (None, session.made());
            }
        }
    }

    /// Rings the bells of those who wait for what was said or taken.
    pub(super) fn publish(&mut self) {
        for session in &mut self.0 {
            if let Some(ends) = &mut session.ends {
                session.handle.bell.ring_if(ends.says.publish() | ends.hears.release());
            }
        }
    }
}

impl Session {
    fn new(env: &Env, name: &'static str, handle: SessionHandle) -> Self {
        let mut key = String::from("local.");
        key.push_str(name);
        let path = match env.parameter(&key).map(str::as_bytes) {
            Some([b'@', rest @ ..]) => [&[0], rest].concat(),
            Some(path) => path.into(),
            None => [b"/run/", name.as_bytes()].concat(),
        };
        let mut session = Self { name, path, handle, ends: None, last: None, is_lost: false };
        session.ends = session.made();
        session
    }

    /// Ends in the neighbour's present life; the first word is to ring.
    fn made(&self) -> Option<Ends> {
        let region: &Region = self.handle.region();
        let mut ends: Ends = match self.handle.client {
            Some(_) => StreamRings::server(region).ok()?.into(),
            None => StreamRings::client(region).ok()?.into(),
        };
        let _is_empty = ends.hears.request_bell();
        Some(ends)
    }
}

impl Neighbours for Granted {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn path(&self, at: usize) -> &[u8] {
        self.0.get(at).map_or(&[], |session| &session.path)
    }

    fn client(&self, at: usize) -> Option<u16> {
        self.0.get(at)?.handle.client.map(|client| client.instance)
    }

    fn is_up(&self, at: usize) -> bool {
        self.0.get(at).is_some_and(|session| session.ends.is_some() && !session.is_lost)
    }

    fn say(&mut self, at: usize, word: Word<'_>) -> bool {
        let Some(session) = self.0.get_mut(at).filter(|session| !session.is_lost) else { return false };
        let Some(ends) = &mut session.ends else { return false };
        // If there is no room, the neighbour rings when there is.
        ends.says.push_or_ask(&encoded(word)).unwrap_or_else(|_| {
            log::error!(target: "posix", "{} broke its session: all connections with it are lost", session.handle.name);
            (session.ends, session.last, session.is_lost) = (None, None, true);
            false
        })
    }

    fn hear<'a>(&mut self, at: usize, scratch: &'a mut Vec<u8>) -> Option<Heard<'a>> {
        let session = self.0.get_mut(at)?;
        if session.is_lost {
            return Some(last_word(session, scratch));
        }
        match next(&mut session.ends.as_mut()?.hears, scratch) {
            Ok(word) => Some(Heard::Word(decoded(word?))),
            Err(_) => {
                log::error!(target: "posix", "{} broke its session: all connections with it are lost", session.handle.name);
                session.ends = None;
                Some(Heard::Lost)
            }
        }
    }

    fn break_off(&mut self, at: usize) {
        if let Some(session) = self.0.get_mut(at) {
            log::error!(target: "posix", "{} broke its word: all connections with it are lost", session.handle.name);
            session.ends = None;
            session.last = None;
        }
    }
}

/// Of one that died: what is left in its ring, then that it is lost.
fn last_word<'a>(session: &mut Session, scratch: &'a mut Vec<u8>) -> Heard<'a> {
    let Some(mut ring) = session.last.take() else {
        session.is_lost = false;
        return Heard::Lost;
    };
    if let Ok(Some(word)) = ring.pop(scratch) {
        session.last = Some(ring);
        return Heard::Word(decoded(word));
    }
    session.is_lost = false;
    Heard::Lost
}

fn encoded(word: Word<'_>) -> idl::Word<'_> {
    match word {
        Word::Connect(connection, waits) => idl::Word::Connect(idl::ConnectBody { connection, waits }),
        Word::Accepted(connection) => idl::Word::Accepted(connection),
        Word::Data(connection, data) => idl::Word::Data(idl::DataBody { connection, data: Cow::Borrowed(data) }),
        Word::Credit(connection, bytes) => idl::Word::Credit(idl::CreditBody { connection, bytes }),
        Word::Finished(connection) => idl::Word::Finished(connection),
        Word::Deaf(connection) => idl::Word::Deaf(connection),
        Word::Closed(connection, reason) => {
            let reason = match reason {
                Reason::Finished => idl::Reason::Finished,
                Reason::Reset => idl::Reason::Reset,
                Reason::NobodyListens => idl::Reason::NobodyListens,
                Reason::Full => idl::Reason::Full,
            };
            idl::Word::Closed(idl::ClosedBody { connection, reason })
        }
    }
}

fn decoded(word: idl::Word<'_>) -> Word<'_> {
    match word {
        idl::Word::Connect(body) => Word::Connect(body.connection, body.waits),
        idl::Word::Accepted(connection) => Word::Accepted(connection),
        idl::Word::Data(idl::DataBody { connection, data: Cow::Borrowed(data) }) => Word::Data(connection, data),
        // What is decoded from a ring is borrowed from the scratch memory: there is no other.
        idl::Word::Data(body) => Word::Data(body.connection, &[]),
        idl::Word::Credit(body) => Word::Credit(body.connection, body.bytes),
        idl::Word::Finished(connection) => Word::Finished(connection),
        idl::Word::Deaf(connection) => Word::Deaf(connection),
        idl::Word::Closed(body) => Word::Closed(
            body.connection,
            match body.reason {
                idl::Reason::Finished => Reason::Finished,
                idl::Reason::Reset => Reason::Reset,
                idl::Reason::NobodyListens => Reason::NobodyListens,
                idl::Reason::Full => Reason::Full,
            },
        ),
    }
}
