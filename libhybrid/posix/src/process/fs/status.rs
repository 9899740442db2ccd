//! What things are, in the forms in which programs ask: `struct stat`, `struct statx`, `struct statfs`.
use crate::areas::PAGE;
use crate::files::{Kind, Status};
use crate::number::Errno;
use crate::process::object::Object;
use crate::process::synthetic::Text;
use crate::world::{self, World};

/// File types, with the rights that their owner has.
const CHARACTER_DEVICE: u32 = 0o2_0600;
const FIFO: u32 = 0o1_0600;
const REGULAR: u32 = 0o10_0000;
const DIRECTORY: u32 = 0o4_0000;
const SOCKET: u32 = 0o14_0600;
const ANONYMOUS: u32 = 0o600;
/// Devices' numbers: what a program has itself, ways to mount points, the places.
const OWN: u64 = 1;
const WAYS: u64 = 2;
const PLACES: u64 = 3;
/// `STATX_BASIC_STATS`
const BASIC: u32 = 0x7ff;
/// `f_type`: nothing that Linux has.
const FILE_SYSTEM: u64 = 0x4879_4653;
const ST_RDONLY: u64 = 1;
/// What sizes are counted in (`hybrid.fs`: quotas).
const UNIT: u64 = 4096;
const NS: u64 = 1_000_000_000;

/// What a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    device: u64,
    id: u64,
    mode: u32,
    size: u64,
    allocated: u64,
    modified_ns: u64,
}

/// The id of a directory that no server has.
pub(super) fn way_id(path: &str) -> u64 {
    // FNV-1a: different ways have different ids, but for one chance in very many, and the same way always the same.
    path.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

impl Facts {
    /// Of what the server says.
    pub(super) const fn of_granted(place: usize, status: Status, is_read_only: bool) -> Self {
        let mode = match (status.kind, is_read_only) {
            (Kind::File, false) => REGULAR | 0o600,
            (Kind::File, true) => REGULAR | 0o400,
            (Kind::Directory, false) => DIRECTORY | 0o700,
            (Kind::Directory, true) => DIRECTORY | 0o500,
        };
        let Status { size, allocated, modified_ns, id, .. } = status;
        Self { device: PLACES + place as u64, id, mode, size, allocated, modified_ns }
    }

    pub(super) fn of_way(path: &str) -> Self {
        Self { device: WAYS, id: way_id(path), mode: DIRECTORY | 0o500, size: 0, allocated: 0, modified_ns: 0 }
    }

    /// Of what is not a server's.
    pub(super) fn of_own(object: &Object, id: u64, text_len: u64) -> Self {
        let (mode, size) = match object {
            Object::Text(Text::Program, _) => (REGULAR | 0o100, 0),
            Object::Text(..) => (REGULAR | 0o400, text_len),
            Object::Pipe(_) => (FIFO, 0),
            Object::Tcp(_) | Object::Datagram(_) => (SOCKET, 0),
            Object::Event(_) | Object::Signals(_) | Object::Timer(_) | Object::Epoll(_) => (ANONYMOUS, 0),
            _ => (CHARACTER_DEVICE, 0),
        };
        Self { device: OWN, id, mode, size, allocated: 0, modified_ns: 0 }
    }

    /// Why it cannot be written, if it cannot.
    pub(super) const fn write_refusal(&self) -> Option<Errno> {
        match (self.mode & 0o200, self.device) {
            (0, OWN) => Some(Errno::EACCES),
            (0, _) => Some(Errno::EROFS),
            _ => None,
        }
    }

    pub(super) const fn is_readable(&self) -> bool {
        self.mode & 0o400 != 0
    }

    /// A program can be spawned, a directory be gone through.
    pub(super) const fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }

    pub(super) const fn is_directory(&self) -> bool {
        self.mode & 0o17_0000 == DIRECTORY
    }

    /// `struct stat`: device, number, mode and links, owners, device of a device, size, block size, blocks, times of access, change and status.
    pub(super) fn write_stat(&self, world: &mut impl World, user: u32, address: u64) -> Result<(), Errno> {
        let (seconds, ns) = (self.modified_ns / NS, self.modified_ns % NS);
        let mut words = [0; 16];
        let fields = [self.device, self.id, halves(self.mode, 1), halves(user, user), 0, 0, self.size(), PAGE];
        let times = [self.blocks(), seconds, ns, seconds, ns, seconds, ns];
        for (word, value) in words.iter_mut().zip(fields.into_iter().chain(times)) {
            *word = value;
        }
        world::write_words(world, address, &words)
    }

    /// `struct statx`: what is there and block size, attributes, links and user, group and mode, number, size, blocks, which attributes; times of
    /// access, birth (not known), status and change; devices.
    pub(super) fn write_statx(&self, world: &mut impl World, user: u32, address: u64) -> Result<(), Errno> {
        let mut words = [0; 32];
        let (seconds, ns) = (self.modified_ns / NS, self.modified_ns % NS);
        let page = u32::try_from(PAGE).unwrap_or(0);
        let fields = [halves(BASIC, page), 0, halves(1, user), halves(user, self.mode), self.id, self.size()];
        let times = [self.blocks(), 0, seconds, ns, 0, 0, seconds, ns, seconds, ns];
        for (word, value) in words.iter_mut().zip(fields.into_iter().chain(times)) {
            *word = value;
        }
        // Major and minor number of a device's own device, then of the one that it is on.
        words[17] = halves(0, u32::try_from(self.device).unwrap_or(0));
        world::write_words(world, address, &words)
    }

    fn size(&self) -> u64 {
        self.size.min(i64::MAX.cast_unsigned())
    }

    fn blocks(&self) -> u64 {
        self.allocated / 512
    }
}

/// `struct statfs`: type, size of a block, blocks, free ones, those for everybody, files and free ones, id, length of names, size of a fragment, flags.
pub(super) fn write_statfs(
    world: &mut impl World,
    address: u64,
    (quota, used): (u64, u64),
    is_read_only: bool,
) -> Result<(), Errno> {
    let (blocks, free) = (quota / UNIT, quota.saturating_sub(used) / UNIT);
    let flags = if is_read_only { ST_RDONLY } else { 0 };
    let names = crate::files::NAME_MAX as u64;
    let words = [FILE_SYSTEM, UNIT, blocks, free, free, blocks, free, 0, names, UNIT, flags, 0, 0, 0, 0];
    world::write_words(world, address, &words)
}

fn halves(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}
