//! The entropy server, as each thread asks it without the lock: nothing is shared here, and nothing is allocated.
use crate::number::Errno;
use crate::seeded::Seeded;
use hybrid_interfaces::entropy::{FILL_MAX, random};
use hybrid_ipc::{Incoming, reply};
use hybrid_rt::{Env, PeerChange, PeerNews};
use hybrid_sys::{Endpoint, Message, MessageInfo, buffer};

const _: () = assert!(crate::process::FETCH_MAX <= FILL_MAX);

/// The use of an entropy server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    name: &'static str,
    endpoint: Endpoint,
    pub(super) seeded: Seeded,
}

impl Source {
    pub(super) fn find(env: &Env) -> Option<Self> {
        let used = env.start().uses.iter().find(|used| used.interface == random::INTERFACE)?;
        Some(Self { name: &used.name, endpoint: Endpoint::at(used.slot?.into()), seeded: Seeded::default() })
    }

    /// While it is away it is not seeded.
    pub(super) fn on_peer(&mut self, change: &PeerChange) {
        match change.of_use(self.name) {
            Some(PeerNews::Gone(_)) => self.seeded.gone(),
            Some(PeerNews::Back) => self.seeded.back(),
            None => {}
        }
    }

    /// Fills `into`, which has at most [`FILL_MAX`] bytes. Waits while the server is not seeded.
    ///
    /// # Errors
    /// `EIO` if it fails, or is away.
    pub(super) fn fill(self, into: &mut [u8]) -> Result<(), Errno> {
        let request =
            Message { info: MessageInfo::new(random::ordinal::FILL, 0, 0, 1), registers: [into.len() as u64, 0, 0, 0] };
        let answer = self.endpoint.call(&request);
        let mut numbers = Incoming::new();
        let (label, length) = (answer.info.label(), answer.info.length());
        let words = buffer::words();
        numbers.receive(answer.badge, label, length, answer.registers, None, |index| words.word(index));
        if numbers.label() != reply::OK {
            return Err(Errno::EIO);
        }
        let mut reader = numbers.payload().map_err(|_| Errno::EIO)?;
        let bytes = reader.bytes(FILL_MAX).map_err(|_| Errno::EIO)?;
        // A server that gives less has failed: nothing is made up.
        into.copy_from_slice(bytes.get(..into.len()).ok_or(Errno::EIO)?);
        Ok(())
    }
}
