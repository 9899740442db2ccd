//! The Source interface over the device; knows no registers and no bells.
use crate::device::Rng;
use alloc::borrow::Cow;
use alloc::vec;
use hybrid_virtio::Broken;
use hybrid_virtio::transport::Transport;
use libhybrid::interfaces::entropy::{RAW_MAX, Source, SourceReady};
use libhybrid::ipc::ClientId;

/// The one client's view of the device.
pub struct Server<T: Transport> {
    rng: Rng<T>,
    /// The client found nothing and was not told since that there is something.
    is_awaited: bool,
    has_event: bool,
    is_broken: bool,
}

impl<T: Transport> Server<T> {
    /// A server of this device.
    pub fn new(rng: Rng<T>) -> Self {
        Self { rng, is_awaited: false, has_event: false, is_broken: false }
    }

    /// The device interrupted. True: the client's bell is to be rung.
    #[must_use]
    pub fn interrupted(&mut self) -> bool {
        self.rng.acknowledge();
        let is_due = core::mem::take(&mut self.is_awaited);
        self.has_event |= is_due;
        is_due
    }

    /// The client died: its next life asks for itself.
    pub fn forget(&mut self) {
        (self.is_awaited, self.has_event) = (false, false);
    }

    /// Whether the device was given up.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }
}

impl<T: Transport> Source for Server<T> {
    fn read(&mut self, _client: ClientId) -> Cow<'_, [u8]> {
        let mut noise = vec![0; RAW_MAX];
        let len = self.rng.collect(&mut noise).unwrap_or_else(|Broken| {
            self.is_broken = true;
            0
        });
        self.is_awaited = len == 0;
        noise.truncate(len);
        noise.into()
    }

    fn pull_ready(&mut self, _client: ClientId) -> Option<SourceReady> {
        core::mem::take(&mut self.has_event).then_some(SourceReady {})
    }
}
