//! What the logic needs from outside: the program's memory, clock, entropy and log; a test's world is a fake.

use crate::areas::Kept;
use crate::console::Wire;
use crate::family::Relations;
use crate::files::Tree;
use crate::neighbour::Neighbours;
use crate::net::{Address, Arrival, Command, Event, NAME_SERVERS, Peer};
use crate::number::Errno;
use crate::output::Stream;
use alloc::vec::Vec;

/// The kernel and the component's grants, as far as calls need them. Nothing here waits.
pub trait World {
    /// Copies from the program's memory.
    ///
    /// # Errors
    /// `EFAULT` if not all of it is the program's.
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Errno>;

    /// Copies to the program's memory.
    ///
    /// # Errors
    /// `EFAULT` if not all of it is the program's and writable.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno>;

    /// Zeroes pages of the heap.
    fn zero(&mut self, address: u64, bytes: u64);

    /// Gives pages of the heap to the allocator that the personality's own memory is of.
    fn add_to_runtime(&mut self, pages: Kept);

    /// Copies within the program's memory, also where the two parts overlap.
    ///
    /// # Errors
    /// `EFAULT` if not all of both is the program's; then nothing was copied.
    fn copy(&mut self, from: u64, to: u64, bytes: u64) -> Result<(), Errno>;

    /// Nanoseconds since the counter started.
    fn now_ns(&self) -> u64;

    /// Nanoseconds of one step of the clock.
    fn resolution_ns(&self) -> u64;

    /// Whether a wait may have an end in time: whether an alarm was granted.
    fn has_alarm(&self) -> bool;

    /// Whether randomness was granted.
    fn has_random(&self) -> bool;

    /// Whether its source is known to be seeded: who asks it does not wait.
    fn is_seeded(&self) -> bool;

    /// Whether connections were granted.
    fn has_tcp(&self) -> bool;

    /// Learns now which servers died or came back; otherwise each wait does. What they know of the program is then told by `event` and `arrival`.
    fn notice_peers(&mut self);

    /// Accepts connections on a port, of one address of the device or of every one; the listener's number, by which they are told. So many that
    /// came wait at most, until each is [`Taken`](Command::Taken).
    ///
    /// # Errors
    /// `EADDRINUSE`, `ENOBUFS`, `ENETDOWN`.
    fn listen(&mut self, own: Peer, places: u16) -> Result<u16, Errno>;

    /// Whether the device has this address.
    ///
    /// # Errors
    /// `ENETDOWN`, `EACCES` if no connections were granted.
    fn has_address(&mut self, address: Address) -> Result<bool, Errno>;

    /// Accepts no more.
    fn unlisten(&mut self, listener: u16);

    /// Says something to the host stack. False if there is no room: then a bell comes when there is.
    fn command(&mut self, command: Command<'_>) -> bool;

    /// Whether there is room for a command of any length. If not, a bell comes when there is.
    fn has_command_room(&mut self) -> bool;

    /// What the host stack says next; data is in `scratch`, which grows. After `None` a bell comes when there is more.
    fn event<'a>(&mut self, scratch: &'a mut Vec<u8>) -> Option<Event<'a>>;

    /// Whether datagrams were granted.
    fn has_udp(&self) -> bool;

    /// Takes a port for datagrams, any free one for 0: the number under which they come and go, and the port.
    ///
    /// # Errors
    /// `EADDRINUSE`, `ENOBUFS`, `ENETDOWN`, `EACCES` if no datagrams were granted.
    fn bind_port(&mut self, port: u16) -> Result<(u16, u16), Errno>;

    /// Gives a port back.
    fn unbind_port(&mut self, socket: u16);

    /// From which of the device's addresses datagrams go to this one now.
    ///
    /// # Errors
    /// `ENETUNREACH` if there is no way there, `ENETDOWN` while the host stack is away, `EACCES` if no datagrams were granted.
    fn source(&mut self, to: Address) -> Result<Address, Errno>;

    /// Sends a datagram. False if there is no room: then a bell comes when there is.
    ///
    /// # Errors
    /// `ENETDOWN` while the host stack is away.
    fn send_datagram(&mut self, socket: u16, peer: Peer, bytes: &[u8]) -> Result<bool, Errno>;

    /// Whether there is room for a datagram, of any port. If not, a bell comes when there is.
    fn has_datagram_room(&mut self) -> bool;

    /// What came next; its payload is in `scratch`, which grows. After `None` a bell comes when there is more.
    fn arrival<'a>(&mut self, scratch: &'a mut Vec<u8>) -> Option<Arrival<'a>>;

    /// The name servers that the host stack knows, if it may be asked.
    fn name_servers(&mut self) -> heapless::Vec<Address, NAME_SERVERS>;

    /// Whether anything of others can be granted at all. Where not, the compiler leaves out what only that would need (decision 0155).
    fn has_others(&self) -> bool {
        true
    }

    /// The directory of a place, as [`Process::mount`](crate::Process::mount) counts them; none beyond the last.
    fn tree(&mut self, place: usize) -> Option<&mut dyn Tree>;

    /// Who spawned the program and what it may spawn, if anything of that was granted.
    fn relations(&mut self) -> Option<&mut dyn Relations>;

    /// Components that a Unix socket leads to or comes from, if any were granted.
    fn neighbours(&mut self) -> Option<&mut dyn Neighbours>;

    /// The serial line, if it was granted.
    fn wire(&mut self) -> Option<&mut dyn Wire>;

    /// A line that the program wrote.
    fn line(&mut self, stream: Stream, text: &str);

    /// A line of the personality's own.
    fn note(&mut self, text: core::fmt::Arguments<'_>);
}

/// A word of the program's memory.
pub(crate) fn read_u32(world: &impl World, address: u64) -> Result<u32, Errno> {
    let mut bytes = [0; 4];
    world.read(address, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// `N` words of eight bytes of the program's memory.
pub(crate) fn read_words<const N: usize>(world: &impl World, address: u64) -> Result<[u64; N], Errno> {
    let mut words = [0; N];
    for (index, word) in words.iter_mut().enumerate() {
        let mut bytes = [0; 8];
        world.read(address.wrapping_add(8 * index as u64), &mut bytes)?;
        *word = u64::from_le_bytes(bytes);
    }
    Ok(words)
}

/// Writes words of eight bytes.
pub(crate) fn write_words(world: &mut impl World, address: u64, words: &[u64]) -> Result<(), Errno> {
    for (index, word) in words.iter().enumerate() {
        world.write(address.wrapping_add(8 * index as u64), &word.to_le_bytes())?;
    }
    Ok(())
}
