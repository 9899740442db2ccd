//! A session of rings, and that who is at its other end died or came back; knows nothing of what goes over it.
use super::use_of;
use crate::number::Errno;
use alloc::vec::Vec;
use hybrid_interfaces::net::stack::Error;
use hybrid_ipc::{CallError, Record, RecordConsumer, Region, RingError};
use hybrid_rt::{EndpointCaller, Env, PeerChange, PeerNews, SessionHandle};

/// What the program was not told yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It died: what it knew is gone.
    Lost,
    /// It is there again.
    Back,
}

/// The session; `R` are the client's ends of its rings.
pub(super) struct Link<R> {
    name: &'static str,
    pub(super) session: SessionHandle,
    /// `None` while the other end is away, or when it broke them.
    pub(super) rings: Option<R>,
    make: fn(&Region) -> Result<R, RingError>,
    is_lost: bool,
    is_back: bool,
}

impl<R> Link<R> {
    /// The use of this interface, whatever component.toml calls it, and its caller.
    pub(super) fn find(
        env: &Env,
        interface: &str,
        make: fn(&Region) -> Result<R, RingError>,
    ) -> Option<(Self, EndpointCaller)> {
        let (_, caller) = use_of(env, interface)?;
        Some((Self::find_rings(env, interface, make)?, caller))
    }

    /// As [`Self::find`], of an interface without operations.
    pub(super) fn find_rings(env: &Env, interface: &str, make: fn(&Region) -> Result<R, RingError>) -> Option<Self> {
        let name = &env.start().uses.iter().find(|used| used.interface == interface)?.name;
        let session = env.session(name);
        let rings = make(session.region()).ok();
        Some(Self { name, session, rings, make, is_lost: false, is_back: false })
    }

    pub(super) fn on_peer(&mut self, change: &PeerChange) {
        match change.of_use(self.name) {
            // Who came back and died again was not told of his return: it is one death.
            Some(PeerNews::Gone(_)) => (self.rings, self.is_lost, self.is_back) = (None, true, false),
            Some(PeerNews::Back) => {
                self.session = change.session.clone();
                self.rings = (self.make)(self.session.region()).ok();
                self.is_back = true;
            }
            None => {}
        }
    }

    /// What happened to the other end, each thing once, in the order in which it happened.
    pub(super) fn news(&mut self) -> Option<News> {
        if core::mem::take(&mut self.is_lost) {
            return Some(News::Lost);
        }
        core::mem::take(&mut self.is_back).then_some(News::Back)
    }
}

/// The next record. If there is none, one that comes rings the bell; what there is rings none, so it is taken.
pub(super) fn next<'a, T: Record>(
    ring: &mut RecordConsumer<T>,
    scratch: &'a mut Vec<u8>,
) -> Result<Option<T::View<'a>>, RingError> {
    if ring.request_bell()? { Ok(None) } else { ring.pop(scratch) }
}

/// Why a port was not given.
pub(super) fn refused(error: CallError<Error>) -> Errno {
    match error {
        CallError::Domain(Error::InUse) => Errno::EADDRINUSE,
        CallError::Domain(Error::Unreachable) => Errno::ENETUNREACH,
        CallError::Domain(Error::NoRoom) | CallError::Quota => Errno::ENOBUFS,
        CallError::Domain(_) => Errno::EINVAL,
        CallError::Denied => Errno::EACCES,
        CallError::ServerDied | CallError::Stale => Errno::ENETDOWN,
        _ => Errno::EIO,
    }
}
