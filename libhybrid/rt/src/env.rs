//! What a component was granted, by the names in its `component.toml`.
use crate::port::BellPort;
use crate::serve::{Component, serve_endpoint, serve_on};
use crate::{Bell, EndpointCaller};
use alloc::vec::Vec;
use core::ptr::NonNull;
use hybrid_drv::{DmaRegion, Irq, Mmio};
use hybrid_ipc::ClientId;
use hybrid_ring::Region;
use hybrid_start::{Device, Dma, Span, StartInfo, Use};
use hybrid_sys::{Endpoint, IrqHandler, Notification, Reply};

/// Everything that a component was granted. Copies name the same things.
///
/// Methods that take a name panic if `component.toml` does not declare it: that is a bug of the component.
///
/// # Invariants
/// The spans in `start` are mapped as the start information says, for the component's whole life.
#[derive(Debug, Clone, Copy)]
pub struct Env {
    start: &'static StartInfo,
}

/// One session: the component's side of one use, or of one client of a provided interface.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    /// Who is at the other end: the client of a provided interface. `None` for the component's own uses.
    pub client: Option<ClientId>,
    /// Name of the use, or of the client's instance.
    pub name: &'static str,
    region: Option<Region>,
    /// The peer's bell.
    pub bell: Bell,
    bit: Option<u8>,
}

impl SessionHandle {
    /// The memory of the session's rings.
    ///
    /// # Panics
    /// If the interface declares no rings.
    #[must_use]
    pub fn region(&self) -> &Region {
        match &self.region {
            Some(region) => region,
            None => panic!("the interface of session `{}` has no rings", self.name),
        }
    }

    /// Whether this session's bell is among the bits that `Component::on_bell` was given.
    #[must_use]
    pub fn is_in(&self, bits: u64) -> bool {
        bits & self.mask() != 0
    }

    /// The bit with which the peer rings, as a mask; 0 if it cannot.
    #[must_use]
    pub fn mask(&self) -> u64 {
        self.bit.and_then(|bit| 1_u64.checked_shl(bit.into())).unwrap_or(0)
    }
}

impl Env {
    /// # Safety
    /// The spans in `start` are mapped as it says (rings and heap as memory, devices as device memory, DMA at its
    /// physical address), 8-aligned, until the program ends; and nothing else in the program uses them.
    #[cfg_attr(not(any(target_os = "none", test)), expect(dead_code, reason = "a host has no start information"))]
    pub(crate) unsafe fn new(start: &'static StartInfo) -> Self {
        Self { start }
    }

    /// Name of this instance.
    #[must_use]
    pub fn name(&self) -> &'static str {
        &self.start.name
    }

    /// Id of this instance.
    #[must_use]
    pub fn instance(&self) -> u16 {
        self.start.instance
    }

    /// The start information itself.
    #[must_use]
    pub fn start(&self) -> &'static StartInfo {
        self.start
    }

    /// The integrator's parameter `name`, if it is set.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'static str> {
        self.start.parameter(name)
    }

    /// Calls the server of use `name`: for the generated `…Client::new`.
    ///
    /// # Panics
    /// If there is no such use, or its interface has no operations.
    #[must_use]
    pub fn client(&self, name: &str) -> EndpointCaller {
        match self.used(name).slot {
            Some(slot) => EndpointCaller::fixed(slot),
            None => panic!("the interface of use `{name}` has no operations"),
        }
    }

    /// Whether `component.toml` declares a use `name`.
    #[must_use]
    pub fn has_use(&self, name: &str) -> bool {
        self.start.use_named(name).is_some()
    }

    /// The component's side of use `name`: its rings and bells.
    ///
    /// # Panics
    /// If there is no such use.
    #[must_use]
    pub fn session(&self, name: &str) -> SessionHandle {
        let used = self.used(name);
        SessionHandle {
            client: None,
            name: &used.name,
            region: used.region.and_then(region),
            bell: Bell::at(used.bell_out),
            bit: used.bell_bit,
        }
    }

    /// One session for each client of the provided interface `name`.
    ///
    /// # Panics
    /// If there is no such provided interface.
    #[must_use]
    pub fn provided(&self, name: &str) -> Vec<SessionHandle> {
        let Some(provided) = self.start.provided_named(name) else {
            panic!("component.toml provides no `{name}`");
        };
        let sessions = provided.sessions.iter().map(|session| SessionHandle {
            client: Some(ClientId { instance: session.client }),
            name: &session.client_name,
            region: session.region.and_then(region),
            bell: Bell::at(session.bell_out),
            bit: session.bell_bit,
        });
        sessions.collect()
    }

    /// Index of the provided interface `name` in the badges of calls.
    ///
    /// # Panics
    /// If there is no such provided interface.
    #[must_use]
    pub fn interface_index(&self, name: &str) -> u8 {
        match self.start.provided_named(name) {
            Some(provided) => provided.index,
            None => panic!("component.toml provides no `{name}`"),
        }
    }

    /// The registers of device `name`.
    ///
    /// # Panics
    /// If there is no such device, or it has no registers.
    #[must_use]
    pub fn mmio(&self, name: &str) -> Mmio {
        match mapped(self.device(name).mmio) {
            // SAFETY: 1: by the invariant of `Env`. 2: securityd gives a device to its one driver.
            Some((base, len)) => unsafe { Mmio::from_mapped(base, len) },
            None => panic!("device `{name}` has no registers"),
        }
    }

    /// The interrupt of device `name`.
    ///
    /// # Panics
    /// If there is no such device, or it has no interrupt.
    #[must_use]
    pub fn irq(&self, name: &str) -> Irq {
        let device = self.device(name);
        match (device.irq_slot, device.irq_bit) {
            (Some(slot), Some(bit)) => {
                Irq::new(IrqHandler::at(slot.into()), bit, device.irq_number.unwrap_or_default())
            }
            _ => panic!("device `{name}` has no interrupt"),
        }
    }

    /// The DMA memory `name`.
    ///
    /// # Panics
    /// If there is no such memory.
    #[must_use]
    pub fn dma(&self, name: &str) -> DmaRegion {
        let dma: Option<&Dma> = self.start.dma.iter().find(|dma| dma.name == name);
        match dma.and_then(|dma| Some((mapped(dma.span)?, dma.paddr))) {
            // SAFETY: 1–3: by the invariant of `Env`.
            Some(((base, len), paddr)) => unsafe { DmaRegion::from_mapped(base, len, paddr) },
            None => panic!("component.toml declares no DMA memory `{name}`"),
        }
    }

    /// Serves calls and bells, for ever.
    pub fn serve(&self, component: &mut impl Component) -> ! {
        let generation = self.start.generation;
        match (self.start.endpoint, self.start.reply) {
            (Some(endpoint), Some(reply)) => {
                serve_endpoint(Endpoint::at(endpoint.into()), Reply::at(reply.into()), generation, component)
            }
            _ => serve_on(BellPort(self.notification()), generation, component),
        }
    }

    /// Waits for bells and interrupts, and returns their bits: for components that serve no calls and have a loop of their own.
    #[must_use]
    pub fn wait(&self) -> u64 {
        crate::gauge::publish();
        self.notification().wait() & !crate::bell::BELL_MARK
    }

    /// The bits of bells and interrupts that came since; 0 if none did. Does not wait.
    #[must_use]
    pub fn poll(&self) -> u64 {
        self.notification().poll() & !crate::bell::BELL_MARK
    }

    fn notification(&self) -> Notification {
        Notification::at(self.start.notification.into())
    }

    fn used(&self, name: &str) -> &'static Use {
        match self.start.use_named(name) {
            Some(used) => used,
            None => panic!("component.toml declares no use `{name}`"),
        }
    }

    fn device(&self, name: &str) -> &'static Device {
        match self.start.devices.iter().find(|device| device.name == name) {
            Some(device) => device,
            None => panic!("component.toml declares no device `{name}`"),
        }
    }
}

/// The memory of a span; `None` if it is empty.
pub(crate) fn mapped(span: Span) -> Option<(NonNull<u8>, usize)> {
    let (address, len) = (usize::try_from(span.addr).ok()?, usize::try_from(span.len).ok()?);
    let base = NonNull::new(core::ptr::with_exposed_provenance_mut::<u8>(address))?;
    (len != 0).then_some((base, len))
}

fn region(span: Span) -> Option<Region> {
    let (base, len) = mapped(span)?;
    // SAFETY: 1 and 2: by the invariant of `Env`.
    Some(unsafe { Region::from_mapped(base, len) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(start: StartInfo) -> Env {
        // SAFETY: the tests below declare no span, so nothing is accessed.
        unsafe { Env::new(Box::leak(Box::new(start))) }
    }

    #[test]
    fn env_gives_what_is_declared_by_name() {
        let session =
            hybrid_start::Session { client: 8, client_name: "status".into(), bell_bit: Some(5), ..Default::default() };
        let provided = hybrid_start::Provided {
            name: "providers".into(),
            index: 2,
            sessions: vec![session],
            ..Default::default()
        };
        let used = Use { name: "log".into(), bell_bit: Some(62), ..Default::default() };
        let env = env(StartInfo { uses: vec![used], provides: vec![provided], ..Default::default() });
        let sessions = env.provided("providers");
        assert_eq!((sessions[0].client, sessions[0].name), (Some(ClientId { instance: 8 }), "status"));
        assert!(sessions[0].is_in(0b10_0000) && !sessions[0].is_in(!0b10_0000));
        assert_eq!((env.interface_index("providers"), env.session("log").mask()), (2, 1 << 62));
        assert!(env.has_use("log") && !env.has_use("tcp"));
    }

    #[test]
    #[should_panic(expected = "component.toml declares no use `tcp`")]
    fn env_without_the_use_panics_with_its_name() {
        let _ = env(StartInfo::default()).client("tcp");
    }

    #[test]
    #[should_panic(expected = "has no rings")]
    fn session_without_region_panics_when_asked_for_it() {
        let used = Use { name: "alarm".into(), ..Default::default() };
        let _ = env(StartInfo { uses: vec![used], ..Default::default() }).session("alarm").region();
    }
}
