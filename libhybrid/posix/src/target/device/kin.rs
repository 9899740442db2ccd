//! The family of a program as it was granted: calls and rings, translated; `process::spawn` gives them meaning.
use super::link::{Link, next};
use super::use_of;
use crate::family::{Channel, Given, News, Other, PIECE_MAX, PROGRAMS_MAX, Piece, Relations, Stream};
use crate::number::Errno;
use crate::process::Ending;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use hybrid_interfaces::process as idl;
use hybrid_interfaces::process::{
    ProgramClient, SpawnError, SpawnerClient, StreamsClientRings, StreamsRings, StreamsServerRings, program, spawner,
    streams,
};
use hybrid_ipc::{CallError, RecordConsumer, RecordProducer};
use hybrid_rt::{EndpointCaller, Env, PeerChange, PeerNews, SessionHandle, now_ns};

const _: () = assert!(
    crate::family::GIVEN_MAX == idl::GIVEN_MAX
        && crate::family::STRINGS_MAX == idl::STRINGS_MAX
        && crate::family::PATH_MAX == idl::PATH_MAX
        && PIECE_MAX == idl::PIECE_MAX
);

/// How long a program that is about to end waits for its parent to look: ten times what others of its priority may have the processor for.
const MEETS_WITHIN_NS: u64 = 100_000_000;

/// All of it that there is.
pub(super) struct Kin {
    spawner: Option<Supervisor<SpawnerClient<EndpointCaller>>>,
    program: Option<Supervisor<ProgramClient<EndpointCaller>>>,
    /// The streams that it shares with who spawned it.
    parent: Option<Link<StreamsClientRings>>,
    /// The streams of each that it may spawn.
    children: Vec<Streams>,
    /// The supervisor died: it forgot all that were spawned.
    is_lost: bool,
}

/// One interface of the supervisor.
struct Supervisor<C> {
    name: &'static str,
    client: C,
    session: SessionHandle,
    /// Its bell rang since it was asked last.
    has_news: bool,
}

/// The streams of one that may be spawned.
struct Streams {
    session: SessionHandle,
    /// While it runs, and until the next one does.
    rings: Option<StreamsServerRings>,
}

impl Kin {
    /// The uses and the provided interface, if any is there, whatever component.toml calls them.
    pub(super) fn find(env: &Env) -> Option<Self> {
        let spawner = use_of(env, spawner::INTERFACE).map(|(name, caller)| {
            let client = SpawnerClient::new(caller);
            Supervisor { name, client, session: env.session(name), has_news: false }
        });
        let program = use_of(env, program::INTERFACE).map(|(name, caller)| {
            let client = ProgramClient::new(caller);
            // What it was sent before it could be told rang nothing.
            Supervisor { name, client, session: env.session(name), has_news: true }
        });
        let provided = env.start().provides.iter().find(|provided| provided.interface == streams::INTERFACE);
        let sessions = provided.map(|provided| env.provided(&provided.name)).unwrap_or_default();
        let children = sessions.into_iter().map(|session| Streams { session, rings: None }).collect();
        let mut parent = Link::find_rings(env, streams::INTERFACE, StreamsRings::client);
        if let Some(rings) = parent.as_mut().and_then(|parent| parent.rings.as_mut()) {
            let _is_empty = rings.input.request_bell();
        }
        let is_any = spawner.is_some() || program.is_some();
        is_any.then_some(Self { spawner, program, parent, children, is_lost: false })
    }

    /// What the program is given, if somebody spawned it.
    pub(super) fn given(&mut self) -> Option<Given> {
        let program = &mut self.program.as_mut()?.client;
        let start = program.start().ok()?;
        let streams = [start.streams.input, start.streams.output, start.streams.error].map(stream);
        let mut strings = Vec::new();
        strings.try_reserve_exact(start.bytes.into()).ok()?;
        while let Ok(at) = u16::try_from(strings.len())
            && at < start.bytes
        {
            let piece = program.given(at).ok()?;
            if piece.is_empty() || strings.len() + piece.len() > usize::from(start.bytes) {
                break;
            }
            strings.extend_from_slice(&piece);
        }
        Some(Given { parent: start.parent, arguments: start.arguments, strings, streams })
    }

    pub(super) fn on_bells(&mut self, bits: u64) {
        if let Some(spawner) = &mut self.spawner {
            spawner.has_news |= spawner.session.is_in(bits);
        }
        if let Some(program) = &mut self.program {
            program.has_news |= program.session.is_in(bits);
        }
    }

    pub(super) fn on_peer(&mut self, change: &PeerChange) {
        if let Some(parent) = &mut self.parent {
            // It lives no longer than its parent: there is nothing to tell.
            parent.on_peer(change);
        }
        let own = self.children.iter_mut().find(|child| {
            let client = child.session.client;
            client.is_some() && client == change.session.client && child.session.name == change.session.name
        });
        // Only the streams are provided. What one that died said last is still to be read.
        if let (Some(child), PeerNews::Back) = (own, change.news) {
            child.session = change.session.clone();
            child.rings = StreamsRings::server(child.session.region()).ok();
            if let Some(rings) = &mut child.rings {
                let _are_empty = (rings.output.request_bell(), rings.error.request_bell());
            }
        }
        if let Some(spawner) = &mut self.spawner {
            match change.of_use(spawner.name) {
                Some(PeerNews::Gone(_)) => self.is_lost = true,
                Some(PeerNews::Back) => spawner.session = change.session.clone(),
                None => {}
            }
        }
        if let Some(program) = &mut self.program
            && let Some(PeerNews::Back) = change.of_use(program.name)
        {
            program.session = change.session.clone();
        }
    }

    /// Rings the bells of those who wait for what was said or taken.
    pub(super) fn publish(&mut self) {
        if let Some(parent) = &mut self.parent
            && let Some(rings) = &mut parent.rings
        {
            parent.session.bell.ring_if(rings.output.publish() | rings.error.publish() | rings.input.release());
        }
        for child in &mut self.children {
            if let Some(rings) = &mut child.rings {
                child.session.bell.ring_if(rings.input.publish() | rings.output.release() | rings.error.release());
            }
        }
    }

    /// A parent that did not look at its peers since this life began would see none of it when it is over: peers are levels (decision 0121). So the
    /// program that is about to end waits until its parent has made its ends of the rings, which it does as soon as it runs.
    fn await_parent(&mut self) {
        let Some(rings) = self.parent.as_mut().and_then(|parent| parent.rings.as_mut()) else { return };
        let until = now_ns().saturating_add(MEETS_WITHIN_NS);
        while !rings.output.ring().has_consumer() && now_ns() < until {
            hybrid_sys::yield_now();
        }
    }

    fn child(&mut self, process: u16) -> Option<&mut Streams> {
        self.children.iter_mut().find(|child| child.session.client.is_some_and(|client| client.instance == process))
    }
}

const fn stream(stream: idl::Stream) -> Stream {
    match stream {
        idl::Stream::Own => Stream::Own,
        idl::Stream::Nothing => Stream::Nothing,
        idl::Stream::Parent => Stream::Parent,
        idl::Stream::Closed => Stream::Closed,
    }
}

const fn told(stream: Stream) -> idl::Stream {
    match stream {
        Stream::Own => idl::Stream::Own,
        Stream::Nothing => idl::Stream::Nothing,
        Stream::Parent => idl::Stream::Parent,
        Stream::Closed => idl::Stream::Closed,
    }
}

fn refused(error: CallError<SpawnError>) -> Errno {
    match error {
        CallError::Domain(SpawnError::NoProgram) => Errno::ENOENT,
        CallError::Domain(SpawnError::Busy) => Errno::EAGAIN,
        CallError::Domain(SpawnError::TooLarge) => Errno::E2BIG,
        CallError::Domain(SpawnError::NotAllowed) | CallError::Denied => Errno::EACCES,
        CallError::Domain(SpawnError::NoProcess) => Errno::ESRCH,
        CallError::Domain(SpawnError::Malformed) => Errno::EINVAL,
        _ => Errno::EIO,
    }
}

fn encoded(piece: Piece<'_>) -> idl::Piece<'_> {
    match piece {
        Piece::Bytes(bytes) => idl::Piece::Bytes(Cow::Borrowed(bytes)),
        Piece::Ends(Channel::Input) => idl::Piece::InputEnds,
        Piece::Ends(Channel::Output) => idl::Piece::OutputEnds,
        Piece::Ends(Channel::Error) => idl::Piece::ErrorEnds,
        Piece::Demand(bytes) => idl::Piece::Demand(bytes),
        Piece::Ready => idl::Piece::Ready,
    }
}

fn decoded(piece: idl::Piece<'_>) -> Piece<'_> {
    match piece {
        // What is decoded from a ring is borrowed from the scratch memory: there is no other.
        idl::Piece::Bytes(Cow::Borrowed(bytes)) => Piece::Bytes(bytes),
        idl::Piece::Bytes(Cow::Owned(_)) => Piece::Bytes(&[]),
        idl::Piece::InputEnds => Piece::Ends(Channel::Input),
        idl::Piece::OutputEnds => Piece::Ends(Channel::Output),
        idl::Piece::ErrorEnds => Piece::Ends(Channel::Error),
        idl::Piece::Demand(bytes) => Piece::Demand(bytes),
        idl::Piece::Ready => Piece::Ready,
    }
}

/// Whether the ring took it. If not, its reader rings when there is room. A reader that breaks its ring reads no more: nobody waits for it.
fn pushed(ring: &mut RecordProducer<idl::Piece<'static>>, piece: Piece<'_>) -> bool {
    ring.push_or_ask(&encoded(piece)).unwrap_or(true)
}

/// The next piece. A side that breaks its ring says no more.
fn taken<'a>(
    ring: &mut RecordConsumer<idl::Piece<'static>>,
    channel: Channel,
    scratch: &'a mut Vec<u8>,
) -> Option<Piece<'a>> {
    match next(ring, scratch) {
        Ok(piece) => piece.map(decoded),
        Err(_) => Some(Piece::Ends(channel)),
    }
}

impl Relations for Kin {
    fn may_spawn(&self) -> bool {
        self.spawner.is_some()
    }

    fn spawn(&mut self, path: &str, given: &[u8], arguments: u16, streams: [Stream; 3]) -> Result<u16, Errno> {
        let spawner = &mut self.spawner.as_mut().ok_or(Errno::EACCES)?.client;
        let [input, output, error] = streams.map(told);
        let mut at = 0;
        if given.is_empty() {
            // An empty piece drops what was put earlier; so does the first one.
            spawner.put(0, &[]).map_err(refused)?;
        }
        for piece in given.chunks(idl::GIVEN_CHUNK) {
            spawner.put(at, piece).map_err(refused)?;
            at = at.saturating_add(u16::try_from(piece.len()).map_err(|_| Errno::E2BIG)?);
        }
        spawner.spawn(path, arguments, &idl::Streams3 { input, output, error }).map_err(refused)
    }

    fn programs(&mut self) -> Result<Vec<String>, Errno> {
        let Some(spawner) = &mut self.spawner else { return Ok(Vec::new()) };
        let mut paths = Vec::new();
        for number in 0..PROGRAMS_MAX {
            let Some(path) = spawner.client.program(number).map_err(|_| Errno::EIO)? else { break };
            paths.push(path.into());
        }
        Ok(paths)
    }

    fn signal(&mut self, process: u16, signal: u8) -> Result<(), Errno> {
        let spawner = self.spawner.as_mut().ok_or(Errno::ESRCH)?;
        spawner.client.signal(process, signal).map_err(refused)
    }

    fn look(&mut self) {
        if let Some(spawner) = &mut self.spawner {
            spawner.has_news = true;
        }
    }

    fn news(&mut self) -> Option<News> {
        if core::mem::take(&mut self.is_lost) {
            return Some(News::Lost);
        }
        let spawner = self.spawner.as_mut().filter(|spawner| spawner.has_news)?;
        let Ok(Some(ended)) = spawner.client.pull_ended() else {
            spawner.has_news = false;
            return None;
        };
        let ending = match ended.ending {
            idl::Ending::Exited(status) => Ending::Exit(status),
            idl::Ending::Signalled(signal) => Ending::Signal(signal),
        };
        Some(News::Ended(ended.process, ending))
    }

    fn forget(&mut self, process: u16) {
        if let Some(spawner) = &mut self.spawner {
            // A supervisor that died has forgotten it.
            let _is_forgotten = spawner.client.forget(process);
        }
    }

    fn signalled(&mut self) -> Option<u8> {
        let program = self.program.as_mut().filter(|program| program.has_news)?;
        let signalled = program.client.pull_signalled().ok().flatten();
        program.has_news = signalled.is_some();
        signalled.map(|signalled| signalled.signal)
    }

    fn ending(&mut self, ending: Ending) {
        self.await_parent();
        let Some(program) = &mut self.program else { return };
        let ending = match ending {
            Ending::Exit(status) => idl::Ending::Exited(status),
            Ending::Signal(signal) => idl::Ending::Signalled(signal),
        };
        // Nobody is to know of one that was not spawned.
        let _is_known = program.client.ending(&ending);
    }

    fn push(&mut self, other: Other, channel: Channel, piece: Piece<'_>) -> bool {
        match other {
            Other::Parent => {
                let rings = self.parent.as_mut().and_then(|parent| parent.rings.as_mut());
                // Its parent broke them: nobody reads.
                let Some(rings) = rings else { return true };
                pushed(if channel == Channel::Error { &mut rings.error } else { &mut rings.output }, piece)
            }
            // One that was started a moment ago will ring when it is there.
            Other::Child(process) => {
                let rings = self.child(process).and_then(|child| child.rings.as_mut());
                rings.is_some_and(|rings| pushed(&mut rings.input, piece))
            }
        }
    }

    fn next<'a>(&mut self, other: Other, ring: Channel, scratch: &'a mut Vec<u8>) -> Option<Piece<'a>> {
        match (other, ring) {
            (Other::Parent, Channel::Input) => taken(&mut self.parent.as_mut()?.rings.as_mut()?.input, ring, scratch),
            (Other::Parent, _) | (Other::Child(_), Channel::Input) => None,
            (Other::Child(process), Channel::Output) => {
                taken(&mut self.child(process)?.rings.as_mut()?.output, ring, scratch)
            }
            (Other::Child(process), Channel::Error) => {
                taken(&mut self.child(process)?.rings.as_mut()?.error, ring, scratch)
            }
        }
    }
}
