//! The world of a program on the device: its memory, the counter, its log, alarm and connections, as they were granted.
mod kin;
mod link;
mod neighbours;
mod ports;
mod serial;
mod stack;
mod tree;

use super::source::Source;
use crate::areas::Kept;
use crate::console::Wire;
use crate::family::{Given, Relations};
use crate::files::Tree;
use crate::neighbour::Neighbours;
use crate::net::{Address, Arrival, Command, Event, NAME_SERVERS, Peer};
use crate::number::Errno;
use crate::output::{LINE_MAX, Stream};
use crate::{Stacks, World};
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use hybrid_interfaces::log::TEXT_MAX;
use hybrid_interfaces::net::stack::{NetworkClient, network};
use hybrid_interfaces::time::{AlarmClient, alarm};
use hybrid_rt::{EndpointCaller, Env, PeerNews, SessionHandle};
use hybrid_sys::{Endpoint, count_per_second};
use kin::Kin;
use ports::Ports;
use serial::Serial;
use stack::Stack;
use tree::Granted;

const _: () = assert!(LINE_MAX <= TEXT_MAX);

/// First address, and one past the last.
type Range = (u64, u64);

/// What the component was granted, as far as programs can use it.
pub(super) struct Device {
    pub(super) env: Env,
    /// What the program may read and write: itself, its heap, its stack.
    ranges: [Range; 3],
    /// And the stacks of its threads.
    stacks: Stacks,
    alarm: Option<Alarm>,
    source: Option<Source>,
    stack: Part<Stack>,
    ports: Part<Ports>,
    network: Part<NetworkClient<EndpointCaller>>,
    trees: Part<Vec<Granted>>,
    kin: Part<Kin>,
    serial: Part<Serial>,
    neighbours: Part<neighbours::Granted>,
}

/// Whether the personality is one for programs that have to do with others: by the network, by files, by spawning or being spawned. That of a
/// program that is granted none of it is built without (decision 0155).
const OUTSIDE: bool = cfg!(feature = "outside");

/// What was granted of others. In a personality without, it is never there, and the compiler leaves out what only it would need.
struct Part<T>(Option<T>);

impl<T> Part<T> {
    fn find(find: impl FnOnce() -> Option<T>) -> Self {
        Self(if OUTSIDE { find() } else { None })
    }

    const fn is_there(&self) -> bool {
        OUTSIDE && self.0.is_some()
    }

    const fn as_mut(&mut self) -> Option<&mut T> {
        if OUTSIDE { self.0.as_mut() } else { None }
    }
}

struct Alarm {
    name: &'static str,
    client: AlarmClient<EndpointCaller>,
    session: SessionHandle,
    /// For when the alarm is set; `None` if it is not.
    armed: Option<u64>,
}

impl Alarm {
    /// The use of an alarm, whatever component.toml calls it.
    fn find(env: &Env) -> Option<Self> {
        let (name, caller) = use_of(env, alarm::INTERFACE)?;
        Some(Self { name, client: AlarmClient::new(caller), session: env.session(name), armed: None })
    }
}

/// The use of an interface, and a way to call it. Not `env.client`: that waits for a server that is being started anew, and only the first thread may.
fn use_of(env: &Env, interface: &str) -> Option<(&'static str, EndpointCaller)> {
    let used = env.start().uses.iter().find(|used| used.interface == interface)?;
    Some((&used.name, EndpointCaller::new(Endpoint::at(used.slot?.into()))))
}

impl Device {
    pub(super) fn new(env: Env, image: Range, heap: Range, (stack, stacks): (Range, Stacks)) -> Self {
        Self {
            env,
            ranges: [image, heap, stack],
            stacks,
            alarm: Alarm::find(&env),
            source: Source::find(&env),
            stack: Part::find(|| Stack::find(&env)),
            ports: Part::find(|| Ports::find(&env)),
            network: Part::find(|| use_of(&env, network::INTERFACE).map(|(_, caller)| NetworkClient::new(caller))),
            trees: Part(None),
            kin: Part::find(|| Kin::find(&env)),
            serial: Part::find(|| Serial::find(&env)),
            neighbours: Part::find(|| neighbours::Granted::find(&env)),
        }
    }

    /// Takes the directories that were granted; where the program finds each.
    pub(super) fn take_trees(&mut self) -> Vec<String> {
        let mut points = Vec::new();
        self.trees = Part::find(|| {
            let trees;
            (trees, points) = Granted::find_all(&self.env).into_iter().unzip();
            Some(trees)
        });
        points
    }

    /// What the program is given, if another one spawned it.
    pub(super) fn given(&mut self) -> Option<Given> {
        self.kin.as_mut()?.given()
    }

    /// The source of randomness, to be asked without the lock.
    pub(super) const fn source(&self) -> Option<Source> {
        self.source
    }

    /// The source, as it was when it was asked, answered: whoever asks it until it dies does not wait.
    pub(super) const fn source_answered(&mut self, asked: Source) {
        if let Some(source) = &mut self.source {
            source.seeded.answered(asked.seeded);
        }
    }

    /// What the bells say: an alarm that expired, or its server that died or came back.
    pub(super) fn on_bells(&mut self, bits: u64) {
        self.on_peers();
        if let Some(kin) = self.kin.as_mut() {
            kin.on_bells(bits);
        }
        let Some(alarm) = &mut self.alarm else { return };
        if alarm.session.is_in(bits) && matches!(alarm.client.pull_expired(), Ok(Some(_))) {
            alarm.armed = None;
        }
    }

    /// Servers that died or came back. One comparison if none did.
    fn on_peers(&mut self) {
        // Told or not, each change is taken: those of the log are the runtime's.
        for change in self.env.peer_changes() {
            if let Some(stack) = self.stack.as_mut() {
                stack.on_peer(&change);
            }
            if let Some(ports) = self.ports.as_mut() {
                ports.on_peer(&change);
            }
            if let Some(kin) = self.kin.as_mut() {
                kin.on_peer(&change);
            }
            if let Some(serial) = self.serial.as_mut() {
                serial.on_peer(&change);
            }
            if let Some(neighbours) = self.neighbours.as_mut() {
                neighbours.on_peer(&change);
            }
            for tree in self.trees.as_mut().into_iter().flatten() {
                tree.on_peer(&self.env, &change);
            }
            if let Some(source) = &mut self.source {
                source.on_peer(&change);
            }
            let Some(alarm) = &mut self.alarm else { continue };
            match change.of_use(alarm.name) {
                Some(PeerNews::Back) => {
                    alarm.session = change.session;
                    alarm.armed = None;
                }
                Some(PeerNews::Gone(_)) => alarm.armed = None,
                None => {}
            }
        }
    }

    /// Makes the alarm be that of the next deadline. While its server is away nothing is set; its return is a bell, after which this is
    /// asked again.
    pub(super) fn set_alarm(&mut self, deadline: Option<u64>) {
        let (Some(alarm), Some(deadline)) = (&mut self.alarm, deadline) else { return };
        // An alarm that is too early costs one look; a later one is set then.
        if alarm.armed.is_none_or(|armed| armed > deadline) {
            alarm.armed = alarm.client.set(deadline).ok().map(|()| deadline);
        }
    }

    /// Rings the bells of the host stack, the family, neighbours and the terminal, as far as they wait for what was said or taken.
    pub(super) fn publish(&mut self) {
        if let Some(stack) = self.stack.as_mut() {
            stack.publish();
        }
        if let Some(ports) = self.ports.as_mut() {
            ports.publish();
        }
        if let Some(kin) = self.kin.as_mut() {
            kin.publish();
        }
        if let Some(serial) = self.serial.as_mut() {
            serial.publish();
        }
        if let Some(neighbours) = self.neighbours.as_mut() {
            neighbours.publish();
        }
    }

    /// Half a word of the program's own header, which is always there.
    pub(super) fn header_half(&self, address: u64) -> u16 {
        let mut bytes = [0; 2];
        let _is_in_the_image = self.read(address, &mut bytes);
        u16::from_le_bytes(bytes)
    }

    /// A word of it.
    pub(super) fn header_word(&self, address: u64) -> u64 {
        let mut bytes = [0; 8];
        let _is_in_the_image = self.read(address, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn pointer(&self, address: u64, bytes: usize) -> Result<*mut u8, Errno> {
        let end = address.checked_add(bytes as u64).ok_or(Errno::EFAULT)?;
        let is_own =
            self.ranges.iter().any(|(first, last)| *first <= address && end <= *last) || self.stacks.hold(address, end);
        let address = usize::try_from(address).ok().filter(|_| is_own).ok_or(Errno::EFAULT)?;
        Ok(core::ptr::with_exposed_provenance_mut(address))
    }
}

impl World for Device {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Errno> {
        let from = self.pointer(address, into.len())?;
        if let (Ok(word), true) = (<&mut [u8; 4]>::try_from(&mut *into), address.is_multiple_of(4)) {
            // SAFETY: it is mapped memory of the program, aligned, and only ever accessed like this or by the program itself: a futex word.
            let atomic = unsafe { AtomicU32::from_ptr(from.cast()) };
            *word = atomic.load(Ordering::SeqCst).to_le_bytes();
            return Ok(());
        }
        // SAFETY: it is mapped memory of the program, and `into` is the personality's own. A program may name the personality's statics, which lie in
        // its image: it is one protection domain with it, and harms itself only.
        unsafe { from.copy_to(into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    /// What the program may not write itself faults here as it would there.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let to = self.pointer(address, bytes.len())?;
        if let (Ok(word), true) = (<[u8; 4]>::try_from(bytes), address.is_multiple_of(4)) {
            // SAFETY: as in `read`.
            let atomic = unsafe { AtomicU32::from_ptr(to.cast()) };
            atomic.store(u32::from_le_bytes(word), Ordering::SeqCst);
            return Ok(());
        }
        // SAFETY: as in `read`.
        unsafe { to.copy_from(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    fn zero(&mut self, address: u64, bytes: u64) {
        let Ok(length) = usize::try_from(bytes) else { return };
        if let Ok(to) = self.pointer(address, length) {
            // SAFETY: it is mapped memory of the program, which asked for it to be zero.
            unsafe { to.write_bytes(0, length) };
        }
    }

    fn add_to_runtime(&mut self, pages: Kept) {
        let (address, bytes) = pages.into_parts();
        let base = usize::try_from(address).ok().map(core::ptr::with_exposed_provenance_mut);
        if let (Some(base), Ok(bytes)) = (base.and_then(core::ptr::NonNull::new), usize::try_from(bytes)) {
            // SAFETY: so many bytes from there are mapped, and kept: nobody else has them, and no call of the program takes, maps or zeroes them
            // (INV-AREAS-3). One that writes there nevertheless harms itself only, as with the personality's statics.
            unsafe { hybrid_rt::heap::add(base, bytes) };
        }
    }

    fn copy(&mut self, from: u64, to: u64, bytes: u64) -> Result<(), Errno> {
        let length = usize::try_from(bytes).map_err(|_| Errno::EFAULT)?;
        let (from, to) = (self.pointer(from, length)?, self.pointer(to, length)?);
        // SAFETY: as in `read`, for both, the personality's statics included; they may overlap.
        unsafe { from.copy_to(to, length) };
        Ok(())
    }

    fn now_ns(&self) -> u64 {
        hybrid_rt::now_ns()
    }

    fn resolution_ns(&self) -> u64 {
        1_000_000_000_u64.div_ceil(count_per_second().max(1))
    }

    fn has_alarm(&self) -> bool {
        self.alarm.is_some()
    }

    fn has_random(&self) -> bool {
        self.source.is_some()
    }

    fn is_seeded(&self) -> bool {
        self.source.is_some_and(|source| source.seeded.is_seeded())
    }

    fn has_tcp(&self) -> bool {
        self.stack.is_there()
    }

    fn notice_peers(&mut self) {
        self.on_peers();
    }

    fn listen(&mut self, own: Peer, places: u16) -> Result<u16, Errno> {
        self.stack.as_mut().ok_or(Errno::EACCES)?.listen(own, places)
    }

    fn has_address(&mut self, address: Address) -> Result<bool, Errno> {
        self.stack.as_mut().ok_or(Errno::EACCES)?.has_address(address)
    }

    fn unlisten(&mut self, listener: u16) {
        if let Some(stack) = self.stack.as_mut() {
            stack.unlisten(listener);
        }
    }

    fn command(&mut self, command: Command<'_>) -> bool {
        self.stack.as_mut().is_some_and(|stack| stack.command(command))
    }

    fn has_command_room(&mut self) -> bool {
        self.stack.as_mut().is_some_and(Stack::has_room)
    }

    fn event<'a>(&mut self, scratch: &'a mut Vec<u8>) -> Option<Event<'a>> {
        self.stack.as_mut()?.event(scratch)
    }

    fn has_udp(&self) -> bool {
        self.ports.is_there()
    }

    fn bind_port(&mut self, port: u16) -> Result<(u16, u16), Errno> {
        self.ports.as_mut().ok_or(Errno::EACCES)?.bind(port)
    }

    fn unbind_port(&mut self, socket: u16) {
        if let Some(ports) = self.ports.as_mut() {
            ports.unbind(socket);
        }
    }

    fn source(&mut self, to: Address) -> Result<Address, Errno> {
        self.ports.as_mut().ok_or(Errno::EACCES)?.source(to)
    }

    fn send_datagram(&mut self, socket: u16, peer: Peer, bytes: &[u8]) -> Result<bool, Errno> {
        self.ports.as_mut().ok_or(Errno::EACCES)?.send(socket, peer, bytes)
    }

    fn has_datagram_room(&mut self) -> bool {
        self.ports.as_mut().is_some_and(Ports::has_room)
    }

    fn arrival<'a>(&mut self, scratch: &'a mut Vec<u8>) -> Option<Arrival<'a>> {
        self.ports.as_mut()?.arrival(scratch)
    }

    fn name_servers(&mut self) -> heapless::Vec<Address, NAME_SERVERS> {
        let servers = self.network.as_mut().and_then(|network| network.configuration().ok()).map(|known| known.dns);
        servers.iter().flatten().take(NAME_SERVERS).map(stack::address).collect()
    }

    fn has_others(&self) -> bool {
        OUTSIDE
    }

    /// A program that never waits hears of a new life of the file server here.
    fn tree(&mut self, place: usize) -> Option<&mut dyn Tree> {
        self.on_peers();
        self.trees.as_mut()?.get_mut(place).map(|tree| tree as &mut dyn Tree)
    }

    fn relations(&mut self) -> Option<&mut dyn Relations> {
        self.kin.as_mut().map(|kin| kin as &mut dyn Relations)
    }

    fn neighbours(&mut self) -> Option<&mut dyn Neighbours> {
        self.neighbours.as_mut().map(|neighbours| neighbours as &mut dyn Neighbours)
    }

    fn wire(&mut self) -> Option<&mut dyn Wire> {
        self.serial.as_mut().map(|serial| serial as &mut dyn Wire)
    }

    fn line(&mut self, stream: Stream, text: &str) {
        match stream {
            Stream::Out => log::info!(target: "stdout", "{text}"),
            Stream::Error => log::warn!(target: "stderr", "{text}"),
        }
    }

    fn note(&mut self, text: core::fmt::Arguments<'_>) {
        log::warn!(target: "posix", "{text}");
    }
}
