//! The measured paths, one function each.
use crate::Output;
use crate::counter::{average, now, start};
use crate::world::{SELF, World};
use alloc::borrow::Cow;
use alloc::format;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use libhybrid::drv::timer;
use libhybrid::interfaces::echo::{Echo, EchoClient, dispatch_echo};
use libhybrid::ipc::{Badge, ClientId, Incoming, Outgoing};
use libhybrid::sys::abi::message::MessageInfo;
use libhybrid::sys::boot::Boot;
use libhybrid::sys::{Endpoint, Error, IrqControl, IrqHandler, Message, Notification, Platform, Reply, VSpace};
use libhybrid::{Component, EndpointCaller, now_ns, serve_endpoint};

/// Callers run at this priority.
const CALLER: u8 = 100;
/// Servers and waiters run above their callers, as in a product.
const SERVER: u8 = 150;
/// Wakes are measured over so many interrupts.
const INTERRUPTS: u32 = 50;
/// The EL1 physical timer's interrupt on every board with a GIC.
const TIMER_IRQ: u64 = 30;

/// Measures everything, and prints a line for each number.
pub(crate) fn measure_all(boot: Boot, platform: Platform, out: &mut Output) -> Result<(), Error> {
    let mut world = World::new(boot);
    SELF.set_priority(SELF, CALLER.into())?;
    SELF.disable_fpu()?;
    start();
    let mut tell = |name: &str, instructions: u32| out.line(&format!("bench: {name} {instructions}"));
    tell("null-syscall", average(|| Endpoint::at(0).try_send(&Message::default())));
    let space = world.second_space()?;
    for words in [0, 4, 10, 64] {
        tell(&format!("call-reply-{words}-words"), raw(&mut world, space, words)?);
    }
    let (add, repeat) = stubs(&mut world, space)?;
    tell("stub-two-scalars", add);
    tell("stub-256-bytes", repeat);
    tell("signal-wake-wait", signal(&mut world)?);
    tell("interrupt-to-driver", interrupt(&mut world, platform)?);
    Ok(())
}

/// Call and reply between two address spaces, with so many words each way.
fn raw(world: &mut World, space: VSpace, words: u64) -> Result<u32, Error> {
    extern "C" fn serve(endpoint: u64, reply: u64) -> ! {
        let (endpoint, reply) = (Endpoint::at(endpoint), Reply::at(reply));
        let mut received = endpoint.recv(reply);
        loop {
            let answer = Message {
                info: MessageInfo::new(0, 0, 0, received.info.length() as u64),
                registers: received.registers,
            };
            received = endpoint.reply_recv(reply, &answer);
        }
    }
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    world.start(Some(space), SERVER, serve, [endpoint.cptr().0, reply.cptr().0])?;
    let client = world.client(endpoint, 1)?;
    let message = Message { info: MessageInfo::new(1, 0, 0, words), registers: [1, 2, 3, 4] };
    Ok(average(|| {
        core::hint::black_box(client.call(&message));
    }))
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

/// The same through generated stub and dispatcher: two scalars, and 256 bytes each way.
fn stubs(world: &mut World, space: VSpace) -> Result<(u32, u32), Error> {
    extern "C" fn serve(endpoint: u64, reply: u64) -> ! {
        serve_endpoint(Endpoint::at(endpoint), Reply::at(reply), 1, &mut Server([0; 256]))
    }
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    world.start(Some(space), SERVER, serve, [endpoint.cptr().0, reply.cptr().0])?;
    let badge = Badge::new(ClientId { instance: 1 }, 0, 1);
    let mut client = EchoClient::new(EndpointCaller::new(world.client(endpoint, badge.0)?));
    if client.add(2, 3) != Ok(5) {
        return Err(Error::IllegalOperation);
    }
    let add = average(|| _ = core::hint::black_box(client.add(2, 3)));
    let data = [7; 256];
    let repeat = average(|| _ = core::hint::black_box(client.repeat(&data)));
    Ok((add, repeat))
}

/// A signal that wakes a more important thread, which waits again.
fn signal(world: &mut World) -> Result<u32, Error> {
    extern "C" fn wait(notification: u64, _: u64) -> ! {
        loop {
            core::hint::black_box(Notification::at(notification).wait());
        }
    }
    let notification = world.notification()?;
    world.start(None, SERVER, wait, [notification.cptr().0, 0])?;
    Ok(average(|| notification.signal()))
}

/// What the spinning thread saw last, and what the woken driver saw first.
static LAST: AtomicU32 = AtomicU32::new(0);
static WOKEN: AtomicU32 = AtomicU32::new(0);
static WAKES: AtomicU64 = AtomicU64::new(0);

/// From the last instruction of an interrupted thread to the first of the driver that waited for the interrupt.
fn interrupt(world: &mut World, platform: Platform) -> Result<u32, Error> {
    extern "C" fn drive(notification: u64, handler: u64) -> ! {
        loop {
            core::hint::black_box(Notification::at(notification).wait());
            WOKEN.store(now(), Ordering::Relaxed);
            timer::disarm();
            let _ = IrqHandler::at(handler).ack();
            WAKES.fetch_add(1, Ordering::Relaxed);
        }
    }
    let notification = world.notification()?;
    let slot = world.slot();
    IrqControl::at(4).issue(TIMER_IRQ, world.place(slot))?;
    let handler = IrqHandler::at(slot);
    handler.set_notification(notification)?;
    let driver = world.start(None, SERVER, drive, [notification.cptr().0, slot])?;
    platform.allow_timer(driver)?;
    platform.allow_timer(SELF)?;
    let mut sum = 0;
    for _ in 0..INTERRUPTS {
        let wakes = WAKES.load(Ordering::Relaxed);
        timer::arm(now_ns() + 50_000);
        // In this order: a reading is the last one before the interrupt only if the driver has not run after it.
        loop {
            let reading = now();
            if WAKES.load(Ordering::Relaxed) != wakes {
                break;
            }
            LAST.store(reading, Ordering::Relaxed);
        }
        sum += WOKEN.load(Ordering::Relaxed).wrapping_sub(LAST.load(Ordering::Relaxed));
    }
    Ok(sum / INTERRUPTS)
}
