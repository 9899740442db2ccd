//! An endpoint capability as a way to call a server.
use crate::{port, slots};
use hybrid_ipc::{Caller, CapSlot, Incoming, Outgoing};
use hybrid_sys::{CPtr, Endpoint};

/// Calls a server through an endpoint capability. One that came with a reply is deleted when this is dropped.
#[derive(Debug)]
pub struct EndpointCaller {
    slot: CPtr,
    is_owned: bool,
}

impl EndpointCaller {
    /// Calls through a capability that the component was started with.
    pub(crate) fn fixed(slot: u32) -> Self {
        Self { slot: CPtr(slot.into()), is_owned: false }
    }

    /// Calls through an endpoint capability that someone else owns: for root tasks, which have no `Env`.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self { slot: endpoint.0, is_owned: false }
    }
}

impl Caller for EndpointCaller {
    type Received = Self;

    fn call(&mut self, request: &Outgoing, reply: &mut Incoming) {
        port::call(self.slot, request, reply);
    }

    fn received(&mut self, slot: CapSlot) -> Self {
        Self { slot: CPtr(slot.0.into()), is_owned: true }
    }
}

impl Drop for EndpointCaller {
    fn drop(&mut self) {
        // A received capability is in a slot of the runtime, so its number fits.
        if let (true, Ok(slot)) = (self.is_owned, u32::try_from(self.slot.0)) {
            slots::delete(CapSlot(slot));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::EndpointCaller;
    use hybrid_ipc::{Caller, Incoming, Outgoing, reply};

    #[test]
    fn call_without_kernel_says_that_the_server_is_gone() {
        let mut incoming = Incoming::new();
        let mut outgoing = Outgoing::new();
        outgoing.set_registers(1, &[5]);
        EndpointCaller::fixed(8).call(&outgoing, &mut incoming);
        assert_eq!(incoming.label(), reply::KERNEL_INVALID_CAPABILITY);
    }
}
