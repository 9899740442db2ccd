//! Client and server on the host without a kernel; for tests and host tools.
use crate::badge::{Badge, ClientId};
use crate::client::Caller;
use crate::error::{Refusal, reply};
use crate::message::{CapSlot, CapToSend, Incoming, MAX_WORDS, Outgoing};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{RefCell, RefMut};

/// Answers requests: one interface's dispatcher with its server, or several behind one endpoint.
pub trait Dispatch {
    /// Answers one request. `outgoing` holds the reply when it returns, whatever the request was.
    fn dispatch(&mut self, incoming: &Incoming, outgoing: &mut Outgoing);
}

/// A server that runs in the same thread as its clients, behind the same bytes as on the target.
#[derive(Debug)]
pub struct Loopback<D> {
    endpoint: Rc<RefCell<Endpoint<D>>>,
}

#[derive(Debug)]
struct Endpoint<D> {
    server: D,
    generation: u16,
    is_alive: bool,
    /// Badges of the object capabilities in flight; a slot number is an index here.
    slots: Vec<Badge>,
}

/// A client's way to a [`Loopback`]. What it holds is a badge, as in the kernel.
#[derive(Debug)]
pub struct LoopbackCaller<D> {
    endpoint: Rc<RefCell<Endpoint<D>>>,
    badge: Badge,
}

impl<D: Dispatch> Loopback<D> {
    /// Starts `server` as generation 1.
    #[must_use]
    pub fn new(server: D) -> Self {
        let endpoint = Endpoint { server, generation: 1, is_alive: true, slots: Vec::new() };
        Self { endpoint: Rc::new(RefCell::new(endpoint)) }
    }

    /// A caller for the client instance numbered `instance`, through the server's interface with index 0.
    #[must_use]
    pub fn connect(&self, instance: u16) -> LoopbackCaller<D> {
        self.connect_to(instance, 0)
    }

    /// A caller for the client instance numbered `instance`, through the server's interface numbered `interface`.
    #[must_use]
    pub fn connect_to(&self, instance: u16, interface: u8) -> LoopbackCaller<D> {
        let generation = self.endpoint.borrow().generation;
        let badge = Badge::new(ClientId::of(instance), interface, generation);
        LoopbackCaller { endpoint: Rc::clone(&self.endpoint), badge }
    }

    /// The server, to look at and to change between calls.
    ///
    /// # Panics
    /// While the server answers a call.
    #[must_use]
    pub fn server(&self) -> RefMut<'_, D> {
        RefMut::map(self.endpoint.borrow_mut(), |endpoint| &mut endpoint.server)
    }

    /// The server dies: every call fails with `ServerDied` from now on.
    pub fn kill(&self) {
        self.endpoint.borrow_mut().is_alive = false;
    }

    /// A new server takes its place, one generation later.
    pub fn restart(&self, server: D) {
        let mut endpoint = self.endpoint.borrow_mut();
        endpoint.server = server;
        endpoint.generation = endpoint.generation.wrapping_add(1);
        endpoint.is_alive = true;
    }
}

impl<D: Dispatch> Caller for LoopbackCaller<D> {
    type Received = Self;

    fn call(&mut self, request: &Outgoing, answer: &mut Incoming) {
        let mut endpoint = self.endpoint.borrow_mut();
        if !endpoint.is_alive {
            answer.receive_label(reply::SERVER_DIED);
            return;
        }
        let mut incoming = Incoming::new();
        let passed = match request.cap() {
            Some(CapToSend::Copy { slot, .. }) => Some(slot),
            Some(CapToSend::Object(_)) | None => None,
        };
        carry(request, self.badge, passed, &mut incoming);
        let mut outgoing = Outgoing::new();
        if self.badge.generation() == endpoint.generation {
            endpoint.server.dispatch(&incoming, &mut outgoing);
        } else {
            outgoing.set_refusal(Refusal::Stale);
        }
        let received = match outgoing.cap() {
            Some(CapToSend::Object(badge)) => endpoint.keep(badge),
            Some(CapToSend::Copy { slot, .. }) => Some(slot),
            None => None,
        };
        carry(&outgoing, Badge(0), received, answer);
    }

    fn received(&mut self, slot: CapSlot) -> Self {
        let badge = self.endpoint.borrow().badge_in(slot);
        Self { endpoint: Rc::clone(&self.endpoint), badge }
    }

    fn renew(&mut self) -> bool {
        let endpoint = self.endpoint.borrow();
        if endpoint.is_alive && self.badge.object() == 0 {
            self.badge = Badge::new(self.badge.client(), self.badge.interface(), endpoint.generation);
        }
        endpoint.is_alive && self.badge.object() == 0
    }
}

impl<D> Clone for LoopbackCaller<D> {
    fn clone(&self) -> Self {
        Self { endpoint: Rc::clone(&self.endpoint), badge: self.badge }
    }
}

impl<D> Endpoint<D> {
    fn keep(&mut self, badge: Badge) -> Option<CapSlot> {
        let slot = u32::try_from(self.slots.len()).ok()?;
        self.slots.push(badge);
        Some(CapSlot(slot))
    }

    fn badge_in(&self, slot: CapSlot) -> Badge {
        let index = usize::try_from(slot.0).ok();
        index.and_then(|index| self.slots.get(index)).copied().unwrap_or_default()
    }
}

fn carry(from: &Outgoing, badge: Badge, cap: Option<CapSlot>, to: &mut Incoming) {
    let mut words = [0_u64; MAX_WORDS];
    for (index, word) in from.buffer_words() {
        if let Some(place) = words.get_mut(index) {
            *place = word;
        }
    }
    to.receive(badge.0, from.label(), from.length(), from.registers(), cap, |index| {
        words.get(index).copied().unwrap_or(0)
    });
}
