//! Moves frames between a device and the rings of the one client; knows nothing of virtio.
use crate::nic::MTU;
use core::sync::atomic::AtomicU64;
use hybrid_virtio::Broken;
use libhybrid::interfaces::net::link::{Link, LinkLinkChanged, LinkProperties, LinkServerRings};
use libhybrid::ipc::ClientId;
use libhybrid::log;
use libhybrid::ring::RingError;

/// The smallest frame that is sent: two addresses and a type.
const FRAME_MIN: usize = 14;
/// Frames of one direction before the other has its turn.
const FRAMES_MAX: usize = 256;
/// Rounds of a turn: so many times that, and then whoever called and asks for a sign of life is heard.
const ROUNDS_MAX: usize = 16;

/// Takes a received frame: its length, and what copies it into a buffer of that length.
pub type Take<'a> = dyn FnMut(usize, &mut dyn FnMut(&mut [u8])) + 'a;

/// Hands over a frame of at most `FRAME_MAX` bytes in pieces, which are copied at once: words, and how many bytes of them. Its length.
pub type Fill<'a> = dyn FnMut(&mut dyn FnMut(&[AtomicU64], usize)) -> Option<usize> + 'a;

/// A device that moves frames.
pub trait Frames {
    /// Its address.
    fn mac(&self) -> [u8; 6];
    /// Whether the link is up.
    fn is_up(&mut self) -> bool;
    /// Takes away the cause of the interrupt. True: the device's configuration changed.
    fn acknowledge(&mut self) -> bool;
    /// Takes the next received frame: calls `take` with its length (0: not a frame) and a function that copies it. False: none is there.
    ///
    /// # Errors
    /// [`Broken`].
    fn receive(&mut self, take: &mut Take<'_>) -> Result<bool, Broken>;
    /// Whether a frame can be sent now.
    ///
    /// # Errors
    /// [`Broken`].
    fn has_room(&mut self) -> Result<bool, Broken>;
    /// Sends the frame of which `fill` hands over the pieces, and nothing if it says that there is none. Only after [`Frames::has_room`] said yes.
    ///
    /// # Errors
    /// [`Broken`].
    fn send(&mut self, fill: &mut Fill<'_>) -> Result<(), Broken>;
    /// Whether an interrupt is wanted when a sent frame has left. After wanting it, ask [`Frames::has_room`] once more.
    fn wake_when_room(&mut self, is_wanted: bool);
    /// Tells the device what is new for it.
    fn flush(&mut self);
}

/// What went wrong so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Received frames that found the client's ring full.
    pub dropped: u64,
    /// Received frames with an impossible length.
    pub malformed: u64,
    /// Frames from the client that were too short to be one.
    pub refused: u64,
}

/// Which bells to ring after [`Driver::turn`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use]
pub struct Turn {
    /// The client's.
    pub rings_client: bool,
    /// It stopped before everything was moved: nobody wakes it for the rest.
    pub has_more: bool,
}

/// The driver of one device for one client.
pub struct Driver<D> {
    device: D,
    rings: Option<LinkServerRings>,
    is_broken: bool,
    is_up: bool,
    /// The link changed, and the client has not asked since.
    has_link_event: bool,
    /// The client's bell has to be rung for it.
    is_link_event_new: bool,
    is_room_awaited: bool,
    counters: Counters,
}

impl<D: Frames> Driver<D> {
    /// A driver; without rings while nobody is routed to it.
    pub fn new(mut device: D, rings: Option<LinkServerRings>) -> Self {
        let is_up = device.is_up();
        Self {
            device,
            rings,
            is_broken: false,
            is_up,
            has_link_event: false,
            is_link_event_new: false,
            is_room_awaited: false,
            counters: Counters::default(),
        }
    }

    /// The client is gone: received frames are dropped until the next one begins.
    pub fn end(&mut self) {
        self.rings = None;
        (self.has_link_event, self.is_link_event_new) = (false, false);
    }

    /// The client was started anew, with these rings. It asks for the state of the link itself.
    pub fn begin(&mut self, rings: Option<LinkServerRings>) {
        self.end();
        self.rings = rings;
    }

    /// What went wrong so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The device interrupted: takes away the cause.
    pub fn interrupted(&mut self) {
        if self.device.acknowledge() {
            let is_up = self.device.is_up();
            if is_up != self.is_up {
                self.is_up = is_up;
                self.has_link_event = true;
                self.is_link_event_new = true;
            }
        }
    }

    /// Moves all frames that can be moved, in both directions, until both sides sleep and will wake this one, or until it moved so many that others
    /// have to be heard.
    pub fn turn(&mut self) -> Turn {
        let mut rings_client = core::mem::take(&mut self.is_link_event_new);
        for _ in 0..ROUNDS_MAX {
            if self.is_broken {
                break;
            }
            match self.round() {
                Ok(round) => {
                    rings_client |= round.rings_client;
                    if round.is_idle {
                        return Turn { rings_client, has_more: false };
                    }
                }
                Err(Broken) => {
                    self.is_broken = true;
                    log::error!("the device broke its rings; it is not used any more");
                }
            }
        }
        Turn { rings_client, has_more: !self.is_broken }
    }

    fn round(&mut self) -> Result<Round, Broken> {
        let mut is_idle = self.receive()?;
        is_idle &= self.transmit()?;
        self.device.flush();
        let mut rings_client = false;
        if let Some(rings) = &mut self.rings {
            rings_client = rings.received.publish();
            // The client waits for room only if it filled the ring.
            rings_client |= rings.transmit.release();
            if is_idle && !self.is_room_awaited {
                is_idle = match rings.transmit.request_bell() {
                    Ok(is_empty) => is_empty,
                    Err(error) => self.end_session(error),
                };
            }
        }
        Ok(Round { rings_client, is_idle })
    }

    /// Moves received frames into the client's ring. True: there are no more.
    fn receive(&mut self) -> Result<bool, Broken> {
        let (rings, counters) = (&mut self.rings, &mut self.counters);
        let mut failure = None;
        let mut take = |len: usize, copy: &mut dyn FnMut(&mut [u8])| {
            if len == 0 {
                counters.malformed += 1;
                return;
            }
            let Some(rings) = rings.as_mut() else { return };
            let pushed = rings.received.push_with(len, |frame| {
                copy(frame);
                len
            });
            match pushed {
                Ok(()) => {}
                Err(RingError::Full) => counters.dropped += 1,
                Err(error) => failure = Some(error),
            }
        };
        let mut is_empty = false;
        for _ in 0..FRAMES_MAX {
            if !self.device.receive(&mut take)? {
                is_empty = true;
                break;
            }
        }
        if let Some(error) = failure {
            self.end_session(error);
        }
        Ok(is_empty)
    }

    /// Moves frames from the client's ring to the device. True: the client's ring is empty, or the device has no room and will say when it has.
    fn transmit(&mut self) -> Result<bool, Broken> {
        for _ in 0..FRAMES_MAX {
            if !self.device.has_room()? {
                if self.is_room_awaited {
                    return Ok(true);
                }
                // Once more after the wish is known, or the last completion could come unnoticed.
                self.is_room_awaited = true;
                self.device.wake_when_room(true);
                continue;
            }
            if self.is_room_awaited {
                self.is_room_awaited = false;
                self.device.wake_when_room(false);
            }
            let Some(rings) = &mut self.rings else { return Ok(true) };
            let mut popped = Ok(None);
            self.device.send(&mut |copy| {
                popped = rings.transmit.pop_words(copy);
                popped.ok().flatten().filter(|len| *len >= FRAME_MIN)
            })?;
            match popped {
                Ok(None) => return Ok(true),
                Ok(Some(len)) if len < FRAME_MIN => self.counters.refused += 1,
                Ok(Some(_)) => {}
                Err(error) => return Ok(self.end_session(error)),
            }
        }
        Ok(false)
    }

    /// The client broke its rings: nothing is moved for it any more.
    fn end_session(&mut self, error: RingError) -> bool {
        log::error!("the client's rings: {error}; its session is ended");
        self.rings = None;
        true
    }
}

struct Round {
    rings_client: bool,
    is_idle: bool,
}

impl<D: Frames> Link for Driver<D> {
    fn properties(&mut self, _client: ClientId) -> LinkProperties {
        LinkProperties { mac: self.device.mac(), mtu: MTU, is_up: self.is_up && !self.is_broken }
    }

    fn pull_link_changed(&mut self, _client: ClientId) -> Option<LinkLinkChanged> {
        core::mem::take(&mut self.has_link_event).then_some(LinkLinkChanged { is_up: self.is_up })
    }
}
