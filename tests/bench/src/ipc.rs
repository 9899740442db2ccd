//! Call, reply, send: the paths through endpoints.
use crate::counter::{Cost, read};
use crate::rounds::{Figures, Mark, around, rounds};
use crate::world::{Body, CALLER, OWN, SELF, SERVER, World, place};
use alloc::borrow::Cow;
use libhybrid::interfaces::echo::{Echo, EchoClient, dispatch_echo};
use libhybrid::ipc::{Badge, ClientId, Incoming, Outgoing};
use libhybrid::sys::abi::limits::TCB_FLAG_FPU_DISABLED;
use libhybrid::sys::abi::message::MessageInfo;
use libhybrid::sys::{Endpoint, Error, Message, Reply, Rights, VSpace, buffer};
use libhybrid::{Component, EndpointCaller, serve_endpoint};

/// What a client holds: it may send and be answered.
const CLIENT: Rights = Rights(Rights::WRITE.0 | Rights::GRANT_REPLY.0);
/// The last reading of the other side, and the one before it.
static RECEIVED: Mark = Mark::new();
static ANSWERS: Mark = Mark::new();

/// Which server answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// On its callers' time, as important as they.
    Passive,
    /// On its callers' time, more important.
    PassiveHigher,
    /// On its own time, more important.
    ActiveHigher,
}

extern "C" fn echo(endpoint: u64, reply: u64) -> ! {
    let (endpoint, reply) = (Endpoint::at(endpoint), Reply::at(reply));
    let mut received = endpoint.recv(reply);
    loop {
        let info = MessageInfo::new(0, 0, 0, received.info.length() as u64);
        received = endpoint.reply_recv(reply, &Message { info, registers: received.registers });
    }
}

/// As [`echo`], and it works with numbers in between.
extern "C" fn echo_with_fp(endpoint: u64, reply: u64) -> ! {
    let (endpoint, reply) = (Endpoint::at(endpoint), Reply::at(reply));
    let mut received = endpoint.recv(reply);
    loop {
        use_fp();
        received = endpoint.reply_recv(reply, &Message { registers: received.registers, ..Message::default() });
    }
}

/// Takes the capability of each message, and makes room for the next one; that is not part of the path.
extern "C" fn take_capability(endpoint: u64, reply: u64) -> ! {
    let (endpoint, reply) = (Endpoint::at(endpoint), Reply::at(reply));
    // One slot for this purpose alone: its number is that of the reply object and one.
    let slot = reply.cptr().0 + 1;
    buffer::set_receive_slot(OWN.cptr(), slot, 64);
    let mut received = endpoint.recv(reply);
    loop {
        RECEIVED.set();
        let _ = place(slot).delete();
        let answer = Message::new(0, &[received.info.extra_caps() as u64]);
        ANSWERS.set();
        received = endpoint.reply_recv(reply, &answer);
    }
}

extern "C" fn take_sends(endpoint: u64, _: u64) -> ! {
    loop {
        let _ = core::hint::black_box(Endpoint::at(endpoint).wait());
        RECEIVED.set();
    }
}

/// An endpoint with this server behind it.
fn served(world: &mut World, space: VSpace, body: Body, kind: Kind, has_fp: bool) -> Result<Endpoint, Error> {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    // Some servers want the slot after that of their reply object.
    let _ = world.slot();
    let priority = if kind == Kind::Passive { CALLER } else { SERVER };
    let plan = World::plan(space, priority, body, [endpoint.cptr().0, reply.cptr().0]);
    let plan = crate::world::Plan { has_fp, ..plan };
    match kind {
        Kind::ActiveHigher => world.start(&plan)?,
        Kind::Passive | Kind::PassiveHigher => world.start_passive(&plan)?,
    };
    Ok(endpoint)
}

/// Call and reply between two address spaces, with so many words each way.
pub(crate) fn call_reply(world: &mut World, space: VSpace, kind: Kind, words: u64) -> Result<Figures, Error> {
    let endpoint = served(world, space, echo, kind, false)?;
    let client = world.client(endpoint, 1, CLIENT)?;
    let message = Message { info: MessageInfo::new(1, 0, 0, words), registers: [1, 2, 3, 4] };
    around(|| _ = core::hint::black_box(client.call(&message)))
}

/// A client's capability to a server of [`call_reply`].
pub(crate) fn client_of_echo(world: &mut World, space: VSpace) -> Result<Endpoint, Error> {
    let endpoint = served(world, space, echo, Kind::Passive, false)?;
    world.client(endpoint, 1, CLIENT)
}

/// Call and reply without words, where both sides use FP registers in each round.
pub(crate) fn call_reply_fp(world: &mut World, space: VSpace) -> Result<Figures, Error> {
    let endpoint = served(world, space, echo_with_fp, Kind::Passive, true)?;
    let client = world.client(endpoint, 1, CLIENT)?;
    SELF.set_flags(TCB_FLAG_FPU_DISABLED, 0)?;
    let figures = around(|| {
        use_fp();
        let _ = core::hint::black_box(client.call(&Message::default()));
    });
    SELF.disable_fpu()?;
    figures
}

/// Call with one capability, and reply; what the server does with the capability is not counted.
pub(crate) fn call_reply_cap(world: &mut World, space: VSpace) -> Result<Figures, Error> {
    let endpoint = served(world, space, take_capability, Kind::Passive, false)?;
    let client = world.client(endpoint, 1, Rights::ALL)?;
    let given = world.notification()?;
    let message = Message { info: MessageInfo::new(1, 0, 1, 0), registers: [0; 4] };
    rounds(|| {
        buffer::set_cap(0, given.cptr());
        let before = read();
        let answer = client.call(&message);
        let after = read();
        if answer.registers[0] != 1 {
            return Err(Error::IllegalOperation);
        }
        Ok(RECEIVED.get().since(before) + after.since(ANSWERS.get()))
    })
}

/// From Send to the first instruction of the more important thread that waited for it.
pub(crate) fn send(world: &mut World, space: VSpace) -> Result<Figures, Error> {
    let endpoint = world.endpoint()?;
    world.start(&World::plan(space, SERVER, take_sends, [endpoint.cptr().0, 0]))?;
    let client = world.client(endpoint, 1, CLIENT)?;
    rounds(|| {
        let before = read();
        client.send(&Message::default());
        Ok(RECEIVED.get().since(before))
    })
}

/// Keeps the bytes of one call, so that answering needs no heap.
struct Server([u8; 256]);

impl Echo for Server {
    fn add(&mut self, _: ClientId, left: u64, right: u64) -> u64 {
        left.wrapping_add(right)
    }

    fn repeat(&mut self, _: ClientId, data: &[u8]) -> Cow<'_, [u8]> {
        let kept = self.0.get_mut(..data.len()).unwrap_or_default();
        // The dispatcher has checked the bound, so the lengths are equal.
        kept.copy_from_slice(data.get(..kept.len()).unwrap_or_default());
        Cow::Borrowed(kept)
    }
}

impl Component for Server {
    fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        dispatch_echo(self, incoming, outgoing);
    }

    fn on_bell(&mut self, _: u64) {}
}

/// The same through generated stub and dispatcher, to a server as products have them: two scalars, and 256 bytes each way.
pub(crate) fn stubs(world: &mut World, space: VSpace) -> Result<[Figures; 2], Error> {
    extern "C" fn serve(endpoint: u64, reply: u64) -> ! {
        serve_endpoint(Endpoint::at(endpoint), Reply::at(reply), 1, &mut Server([0; 256]))
    }
    let endpoint = served(world, space, serve, Kind::ActiveHigher, false)?;
    let badge = Badge::new(ClientId::of(1), 0, 1);
    let mut client = EchoClient::new(EndpointCaller::new(world.client(endpoint, badge.0, CLIENT)?));
    if client.add(2, 3) != Ok(5) {
        return Err(Error::IllegalOperation);
    }
    let add = around(|| _ = core::hint::black_box(client.add(2, 3)))?;
    let data = [7; 256];
    let repeat = around(|| _ = core::hint::black_box(client.repeat(&data)))?;
    Ok([add, repeat])
}

/// What nothing costs: shows that the kernel's counter stands still at EL0, and how much of a figure is the measurement.
pub(crate) fn nothing() -> Result<Figures, Error> {
    rounds(|| {
        let before = read();
        Ok(read().since(before))
    })
}

/// The shortest way through the kernel: a message to an empty slot, which nobody hears.
pub(crate) fn null() -> Result<Figures, Error> {
    let cost: fn() -> Result<Cost, Error> = || {
        let before = read();
        Endpoint::at(0).try_send(&Message::default());
        Ok(read().since(before))
    };
    rounds(cost)
}

/// Changes an FP register.
#[cfg(target_arch = "aarch64")]
fn use_fp() {
    // SAFETY: `fmov d0, xzr`, as a number because this target has no names for FP registers; so no Rust code has a value there.
    unsafe { core::arch::asm!(".inst 0x9e6703e0", options(nostack, nomem, preserves_flags)) };
}

#[cfg(not(target_arch = "aarch64"))]
fn use_fp() {}
