//! Requests of the sessions' rings to the device, its answers back; knows no registers and no bells.
//!
//! INV-OWED-1: a request is taken out of a session's ring only while its ring of answers has room for a largest answer to each of the session's
//! requests under way and one more. So an answer always finds room, and a client that takes none out holds up itself alone.
//! INV-LIVES-1: no request of a client's life is taken while the device has one of an earlier life, which would be done after it for all one knows: a
//! late discard or write would meet what the new life has written.
use crate::device::{Blk, Command, PLACES, outcome};
use crate::parts::Part;
use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;
use hybrid_virtio::transport::Transport;
use hybrid_virtio::{Answer as DeviceAnswer, Broken};
use libhybrid::interfaces::block::{
    Answer, Disk, DiskGeometry, DiskServerRings, Error, FailedBody, ReadBody, Request, SECTOR_BYTES, TRANSFER_MAX,
    TRANSFER_SECTORS_MAX,
};
use libhybrid::ipc::ClientId;
use libhybrid::log;
use libhybrid::ring::RingError;

/// Bytes of the ring that the largest answer takes.
const ANSWER_MAX: usize = TRANSFER_MAX + 64;
/// Rounds between two looks at calls and signs of life: in each the device and every client have their turn.
const ROUNDS_MAX: usize = 64;

/// A client's session.
struct Session {
    client: ClientId,
    part: Part,
    rings: Option<DiskServerRings>,
    /// Which of the client's lives this is; what is under way for an earlier one is answered to nobody.
    life: u64,
    under_way: usize,
    rings_client: bool,
}

/// A request that the device has.
#[derive(Debug, Clone, Copy)]
struct Flight {
    session: usize,
    life: u64,
    tag: u32,
    /// Bytes that the client reads.
    bytes: usize,
}

/// What became of the first request of a ring.
enum Taken {
    /// It went to the device, or was answered.
    Yes,
    /// There is none, or no room for its answer, and the client will ring; or the device has one of an earlier life, and will answer.
    Waits,
}

/// All clients of one device.
pub struct Server<T: Transport> {
    /// Nothing: there is no disk, and every session has no sectors.
    device: Option<Blk<T>>,
    sessions: Vec<Session>,
    flights: [Option<Flight>; PLACES],
    /// Whose turn it is.
    next: usize,
    is_broken: bool,
    scratch: Vec<u8>,
    data: Vec<u8>,
}

impl<T: Transport> Server<T> {
    /// A server of `device`, or of no disk, without clients.
    pub fn new(device: Option<Blk<T>>) -> Self {
        let data = vec![0; TRANSFER_MAX];
        Self {
            device,
            sessions: Vec::new(),
            flights: [None; PLACES],
            next: 0,
            is_broken: false,
            scratch: Vec::new(),
            data,
        }
    }

    /// The client's session begins, with these rings; what an earlier life of the client had asked is forgotten.
    pub fn begin(&mut self, client: ClientId, part: Part, rings: Option<DiskServerRings>) {
        match self.sessions.iter_mut().find(|session| session.client == client) {
            Some(session) => {
                session.rings = rings;
                session.life += 1;
                session.under_way = 0;
            }
            None => {
                self.sessions.push(Session { client, part, rings, life: 0, under_way: 0, rings_client: false });
            }
        }
    }

    /// The client is gone. What the device has of it is done, and answered to nobody.
    pub fn end(&mut self, client: ClientId) {
        self.begin(client, Part::default(), None);
    }

    /// The device interrupted: takes away the cause.
    pub fn interrupted(&mut self) {
        self.device.iter_mut().for_each(Blk::acknowledge);
    }

    /// Whether the device was given up.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Moves all that can be moved, until the device and all clients will ring for what is next, or until it moved so much that others have to be heard:
    /// then true. `ring` is called with each client to ring.
    pub fn turn(&mut self, mut ring: impl FnMut(ClientId)) -> bool {
        let mut has_more = !self.is_broken;
        for _ in 0..ROUNDS_MAX {
            if !has_more {
                break;
            }
            match self.round() {
                Ok(is_moved) => has_more = is_moved,
                Err(Broken) => (self.is_broken, has_more) = (true, false),
            }
        }
        for session in &mut self.sessions {
            if core::mem::take(&mut session.rings_client) {
                ring(session.client);
            }
        }
        has_more
    }

    /// True: something was moved.
    fn round(&mut self) -> Result<bool, Broken> {
        let mut is_moved = false;
        while let Some(answer) = self.device.as_mut().map_or(Ok(None), Blk::receive)? {
            self.pass_on(answer);
            self.device.iter_mut().for_each(|device| device.free(answer));
            is_moved = true;
        }
        // One request of each in turn, so that nobody's long queue is in front of another's.
        let mut idle = 0;
        while self.device.as_ref().is_none_or(Blk::has_room) && idle < self.sessions.len() {
            let index = self.next % self.sessions.len();
            self.next = index + 1;
            match self.take(index)? {
                Taken::Yes => (idle, is_moved) = (0, true),
                Taken::Waits => idle += 1,
            }
        }
        self.device.iter_mut().for_each(Blk::notify);
        for session in &mut self.sessions {
            if let Some(rings) = &mut session.rings {
                session.rings_client |= rings.answers.publish() | rings.requests.release();
            }
        }
        Ok(is_moved)
    }

    /// The device answered.
    fn pass_on(&mut self, answer: DeviceAnswer) {
        let Some(flight) = self.flights.get_mut(answer.place).and_then(Option::take) else { return };
        let Some(session) = self.sessions.get_mut(flight.session).filter(|session| session.life == flight.life) else {
            return;
        };
        session.under_way = session.under_way.saturating_sub(1);
        let tag = flight.tag;
        let data = self.data.get_mut(..flight.bytes).unwrap_or_default();
        let told = match outcome(answer) {
            Ok(()) if flight.bytes == 0 => Answer::Done(tag),
            // A device that says that it read, and wrote less than that, has not read.
            Ok(()) if !self.device.as_ref().is_some_and(|device| device.read(answer, data)) => {
                Answer::Failed(FailedBody { tag, error: Error::Failed })
            }
            Ok(()) => Answer::Read(ReadBody { tag, data: Cow::Borrowed(data) }),
            Err(error) => Answer::Failed(FailedBody { tag, error }),
        };
        session.answer(&told);
    }

    /// Takes the first request out of a session's ring, if there is one and its answer will find room.
    fn take(&mut self, index: usize) -> Result<Taken, Broken> {
        let Some(session) = self.sessions.get_mut(index) else { return Ok(Taken::Waits) };
        let is_earlier = |flight: &Flight| flight.session == index && flight.life != session.life;
        if self.flights.iter().flatten().any(is_earlier) {
            return Ok(Taken::Waits);
        }
        let mut scratch = core::mem::take(&mut self.scratch);
        let taken = match session.pop(&mut scratch) {
            Ok(Some(request)) => {
                start(self.device.as_mut(), session, index, &request, &mut self.flights).map(|()| Taken::Yes)
            }
            Ok(None) => Ok(Taken::Waits),
            Err(error) => {
                log::error!("the rings of instance {}: {error}; its session is ended", session.client.instance);
                session.rings = None;
                Ok(Taken::Waits)
            }
        };
        self.scratch = scratch;
        taken
    }
}

impl Session {
    fn pop<'a>(&mut self, scratch: &'a mut Vec<u8>) -> Result<Option<Request<'a>>, RingError> {
        let Some(rings) = &mut self.rings else { return Ok(None) };
        // INV-OWED-1.
        let needed = (self.under_way + 1) * (ANSWER_MAX + 16);
        let answers = rings.answers.ring();
        // Beyond what the ring can ever hold, the session's own answers come first.
        let is_full = needed > answers.record_max() || (answers.room()? < needed && answers.request_space(needed)?);
        if is_full {
            return Ok(None);
        }
        if rings.requests.request_bell()? {
            return Ok(None);
        }
        rings.requests.pop(scratch)
    }

    fn answer(&mut self, answer: &Answer<'_>) {
        let Some(rings) = &mut self.rings else { return };
        if let Err(error) = rings.answers.push(answer) {
            log::error!("the answers of instance {}: {error}; its session is ended", self.client.instance);
            self.rings = None;
        }
    }
}

/// Starts a request, or answers that it cannot be.
fn start<T: Transport>(
    mut device: Option<&mut Blk<T>>,
    session: &mut Session,
    index: usize,
    request: &Request<'_>,
    flights: &mut [Option<Flight>; PLACES],
) -> Result<(), Broken> {
    let (tag, command) = check(device.as_deref(), session.part, request);
    let bytes = if let Ok(Some(Command::Read { bytes, .. })) = command { bytes } else { 0 };
    match command {
        Ok(Some(command)) => {
            let place = device.as_mut().ok_or(Broken)?.send(command)?.ok_or(Broken)?;
            let flight = flights.get_mut(place).ok_or(Broken)?;
            *flight = Some(Flight { session: index, life: session.life, tag, bytes });
            session.under_way += 1;
        }
        Ok(None) => session.answer(&Answer::Done(tag)),
        Err(error) => session.answer(&Answer::Failed(FailedBody { tag, error })),
    }
    Ok(())
}

/// The tag of a request, and what it means for the device; nothing if it is done already.
fn check<'a, T: Transport>(
    device: Option<&Blk<T>>,
    part: Part,
    request: &'a Request<'_>,
) -> (u32, Result<Option<Command<'a>>, Error>) {
    let block_sectors = device.map_or(1, Blk::block_sectors);
    let discard_max = device.map_or(0, Blk::discard_max);
    let place = |sector, count: usize| part.place(sector, count as u64, block_sectors).ok_or(Error::OutOfRange);
    let writable = if device.is_some_and(Blk::is_read_only) { Err(Error::ReadOnly) } else { Ok(()) };
    match request {
        Request::Read(wanted) => {
            let count = (wanted.count as usize).min(TRANSFER_SECTORS_MAX + 1);
            let sector = place(wanted.sector, count).ok().filter(|_| count <= TRANSFER_SECTORS_MAX);
            let command = sector.map(|sector| Some(Command::Read { sector, bytes: count * SECTOR_BYTES }));
            (wanted.tag, command.ok_or(Error::OutOfRange))
        }
        Request::Write(body) => {
            let is_whole = body.data.len().is_multiple_of(SECTOR_BYTES);
            let sector = place(body.sector, body.data.len() / SECTOR_BYTES)
                .and_then(|sector| if is_whole { Ok(sector) } else { Err(Error::OutOfRange) });
            (body.tag, writable.and(sector).map(|sector| Some(Command::Write { sector, data: &body.data })))
        }
        Request::Flush(tag) => (*tag, Ok(device.is_some_and(Blk::has_flush).then_some(Command::Flush))),
        Request::Discard(wanted) => {
            let has_command = if discard_max == 0 { Err(Error::Unsupported) } else { Ok(()) };
            let sector = place(wanted.sector, wanted.count as usize);
            let sector =
                sector.and_then(|sector| if wanted.count <= discard_max { Ok(sector) } else { Err(Error::OutOfRange) });
            let sector = writable.and(has_command).and(sector);
            let units = sector.map(|sector| device.and_then(|device| device.discard_units(sector, wanted.count)));
            (wanted.tag, units.map(|units| units.map(|(sector, count)| Command::Discard { sector, count })))
        }
    }
}

impl<T: Transport> Disk for Server<T> {
    fn geometry(&mut self, client: ClientId) -> DiskGeometry {
        let part = self.sessions.iter().find(|session| session.client == client).map(|session| session.part);
        DiskGeometry {
            sectors: part.unwrap_or_default().count,
            block_sectors: self.device.as_ref().map_or(1, Blk::block_sectors),
            is_read_only: self.device.as_ref().is_some_and(Blk::is_read_only),
            has_discard: self.device.as_ref().is_some_and(|device| device.discard_max() > 0),
        }
    }

    fn discard_max(&mut self, _client: ClientId) -> u32 {
        self.device.as_ref().map_or(0, Blk::discard_max)
    }
}
