//! An endpoint capability as a way to call a server.
use crate::{Env, port, slots};
use hybrid_ipc::{Caller, CapSlot, Incoming, Outgoing, reply};
use hybrid_start::peers::Condition;
use hybrid_sys::{CPtr, Endpoint};

/// Calls a server through an endpoint capability. One that came with a reply is deleted when this is dropped.
#[derive(Debug)]
pub struct EndpointCaller {
    slot: CPtr,
    is_owned: bool,
    /// Whose use this is, and its place among the uses, if the server's death can be survived.
    renewal: Option<(Env, usize)>,
}

impl EndpointCaller {
    /// Calls through the capability that the component was started with for its use number `index`. securityd puts one for the new
    /// instance into the same slot when the server was started anew.
    pub(crate) fn fixed(slot: u32, env: Env, index: usize) -> Self {
        Self { slot: CPtr(slot.into()), is_owned: false, renewal: Some((env, index)) }
    }

    /// Calls through an endpoint capability that someone else owns: for root tasks, which have no `Env`.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self { slot: endpoint.0, is_owned: false, renewal: None }
    }
}

impl Caller for EndpointCaller {
    type Received = Self;

    /// To a server with which there is no session, as the page says, the answer is that the client may not. One that is down is not called: one that
    /// was made at boot and not started has its endpoint already, and who called it would wait for whatever it waits for.
    fn call(&mut self, request: &Outgoing, answer: &mut Incoming) {
        let is_now = |condition| self.renewal.is_some_and(|(env, index): (Env, usize)| env.is_server(index, condition));
        if is_now(Condition::Down) {
            answer.receive_label(reply::KERNEL_INVALID_CAPABILITY);
            return;
        }
        port::call(self.slot, request, answer);
        if answer.label() == reply::KERNEL_INVALID_CAPABILITY && is_now(Condition::Closed) {
            answer.receive_label(reply::DENIED);
        }
    }

    fn received(&mut self, slot: CapSlot) -> Self {
        Self { slot: CPtr(slot.0.into()), is_owned: true, renewal: None }
    }

    /// Waits while the server is being started anew; bells that ring meanwhile are handed on with the next event. An object of a server
    /// that died never comes back.
    fn renew(&mut self) -> bool {
        self.renewal.is_some_and(|(env, index)| env.wait_for_server(index))
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
    use hybrid_sys::Endpoint;

    #[test]
    fn call_without_kernel_says_that_the_server_is_gone() {
        let mut incoming = Incoming::new();
        let mut outgoing = Outgoing::new();
        outgoing.set_registers(1, &[5]);
        EndpointCaller::new(Endpoint::at(8)).call(&outgoing, &mut incoming);
        assert_eq!(incoming.label(), reply::KERNEL_INVALID_CAPABILITY);
    }
}
