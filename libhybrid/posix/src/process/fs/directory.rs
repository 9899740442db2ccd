//! Open directories: `.`, `..`, the mount points in them, then the server's entries in its order.
//!
//! INV-ENTRIES-1: each name that a server gives is greater than the one before, so no answer makes a reader go round for ever.
use super::status::way_id;
use super::{path, tree};
use crate::files::{Kind, NAME_MAX, RECORDS_MAX};
use crate::number::{Answer, Errno};
use crate::process::object::{Id, Object};
use crate::process::{Pages, Process};
use crate::world::World;
use alloc::string::String;
use alloc::vec::Vec;

/// `struct linux_dirent64` without its name: id, place of the next, length, kind.
const HEAD: usize = 19;
/// The most bytes of one.
const RECORD_MAX: usize = (HEAD + NAME_MAX + 1).next_multiple_of(8);
const DIRECTORY: u8 = 4;
const REGULAR: u8 = 8;

/// A directory that is open.
#[derive(Debug)]
pub(in crate::process) struct Directory {
    path: String,
    /// Place and the server's number; `None` if there are only mount points in it.
    opened: Option<(usize, u32)>,
    /// How many entries were told.
    told: u64,
    /// The last name of the server among them.
    after: String,
    /// Entries before this one are passed over.
    skip: u64,
}

/// One entry.
struct Entry<'a> {
    name: &'a str,
    kind: Kind,
    id: u64,
}

/// A name that no server has, and what it is.
type Name<'a> = (&'a str, Kind);

/// Entries on their way to the program.
struct Listing {
    address: u64,
    room: usize,
    used: usize,
}

/// How a listing goes on after an entry.
#[derive(PartialEq, Eq)]
enum Fit {
    Told,
    Full,
}

impl Directory {
    pub(super) const fn new(path: String, opened: Option<(usize, u32)>) -> Self {
        Self { path, opened, told: 0, after: String::new(), skip: 0 }
    }

    pub(in crate::process) fn path(&self) -> &str {
        &self.path
    }

    /// The place and number that are to be closed.
    pub(in crate::process) const fn opened(&self) -> Option<(usize, u32)> {
        self.opened
    }

    /// To the start, or to a place that was told; which is found by counting, so entries that came or went since move it.
    pub(super) fn seek(&mut self, by: i64, whence: u32) -> Answer {
        let to = match whence {
            0 => u64::try_from(by).map_err(|_| Errno::EINVAL)?,
            1 if by == 0 => return Ok(self.told.max(self.skip)),
            _ => return Err(Errno::EINVAL),
        };
        if to < self.told {
            self.told = 0;
            self.after.clear();
        }
        self.skip = to;
        Ok(to)
    }

    /// Tells an entry, or passes it over.
    fn tell(&mut self, world: &mut impl World, listing: &mut Listing, entry: &Entry<'_>) -> Result<Fit, Errno> {
        if self.told >= self.skip && listing.put(world, entry, self.told + 1)? == Fit::Full {
            return Ok(Fit::Full);
        }
        self.told += 1;
        Ok(Fit::Told)
    }

    /// What no server says: the directory itself, the one above, and mount points and programs in it.
    fn tell_own(&mut self, world: &mut impl World, listing: &mut Listing, own: &[Name<'_>]) -> Result<Fit, Errno> {
        let id = way_id(&self.path);
        let dots = [(".", Kind::Directory), ("..", Kind::Directory)];
        let names = dots.iter().chain(own).skip(usize::try_from(self.told).unwrap_or(usize::MAX));
        for (name, kind) in names.copied() {
            if self.tell(world, listing, &Entry { name, kind, id })? == Fit::Full {
                return Ok(Fit::Full);
            }
        }
        Ok(Fit::Told)
    }

    fn tell_server(&mut self, world: &mut impl World, listing: &mut Listing, own: &[Name<'_>]) -> Result<(), Errno> {
        let Some((place, number)) = self.opened else { return Ok(()) };
        let mut name = String::new();
        loop {
            let count = tree(world, place)?.list(number, &self.after)?;
            let (mut is_full, mut failed) = (false, Ok(()));
            for _ in 0..count {
                let entry =
                    if usize::from(count) > RECORDS_MAX { None } else { tree(world, place)?.entry(&mut name)? };
                let entry = entry.filter(|_| is_name(&name) && (is_full || name > self.after));
                let Some((kind, id)) = entry else {
                    tree(world, place)?.abandon();
                    return Err(Errno::EIO);
                };
                // What no more fits in, or cannot be told, is taken out of the ring all the same, and asked for again.
                if is_full {
                    continue;
                }
                let is_hidden = own.iter().any(|(own, _)| *own == name);
                let told =
                    if is_hidden { Ok(Fit::Told) } else { self.tell(world, listing, &Entry { name: &name, kind, id }) };
                match told {
                    Ok(Fit::Told) => core::mem::swap(&mut self.after, &mut name),
                    Ok(Fit::Full) => is_full = true,
                    Err(errno) => (is_full, failed) = (true, Err(errno)),
                }
            }
            if is_full || count == 0 {
                return failed;
            }
        }
    }
}

impl Listing {
    fn put(&mut self, world: &mut impl World, entry: &Entry<'_>, next: u64) -> Result<Fit, Errno> {
        let length = (HEAD + entry.name.len() + 1).next_multiple_of(8);
        if self.used + length > self.room {
            return if self.used == 0 { Err(Errno::EINVAL) } else { Ok(Fit::Full) };
        }
        let kind = if entry.kind == Kind::Directory { DIRECTORY } else { REGULAR };
        let bytes = u16::try_from(length).map_err(|_| Errno::EINVAL)?.to_le_bytes();
        let (id, next) = (entry.id.to_le_bytes(), next.to_le_bytes());
        let parts: [&[u8]; 5] = [&id, &next, &bytes, &[kind], entry.name.as_bytes()];
        let mut record = [0; RECORD_MAX];
        for (to, from) in record.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        let record = record.get(..length).ok_or(Errno::EINVAL)?;
        world.write(self.address.wrapping_add(self.used as u64), record)?;
        self.used += length;
        Ok(Fit::Told)
    }
}

/// A plain name, as programs can use it.
fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.len() <= NAME_MAX && !name.contains(['/', '\0'])
}

impl<S: Pages> Process<S> {
    /// `getdents64`
    pub(super) fn entries(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let id = self.files.id(args[0])?;
        let mut directory = self.take_directory(id)?;
        self.learn_programs(world);
        let own = if world.has_others() { self.own_names(&directory.path) } else { Vec::new() };
        let mut listing = Listing { address: args[1], room: usize::try_from(args[2]).unwrap_or(usize::MAX), used: 0 };
        let told = match directory.tell_own(world, &mut listing, &own) {
            Ok(Fit::Told) => directory.tell_server(world, &mut listing, &own),
            told => told.map(|_| ()),
        };
        if let Some(held) = self.files.objects.get_mut(id) {
            held.object = Object::Directory(directory);
        }
        match told {
            Err(errno) if listing.used == 0 => Err(errno),
            _ => Ok(listing.used as u64),
        }
    }

    /// What is in a directory and is no server's, each once.
    fn own_names(&self, path: &str) -> Vec<Name<'_>> {
        let programs = self.fs.programs.as_deref().unwrap_or_default();
        let mounts = path::on_the_way(&self.fs.mounts, path).into_iter().map(|name| (name, Kind::Directory));
        let below = programs.iter().filter_map(|program| path::below(path, program));
        let programs = below.map(|rest| match rest.split_once('/') {
            Some((folder, _)) => (folder, Kind::Directory),
            None => (rest, Kind::File),
        });
        let mut names: Vec<Name<'_>> = mounts.chain(programs).filter(|(name, _)| !name.is_empty()).collect();
        names.sort_unstable_by_key(|(name, _)| *name);
        names.dedup_by_key(|(name, _)| *name);
        names
    }

    /// The directory is out of its place while its entries are told.
    fn take_directory(&mut self, id: Id) -> Result<Directory, Errno> {
        match self.files.objects.get_mut(id).map(|held| &mut held.object) {
            Some(Object::Directory(directory)) => {
                Ok(core::mem::replace(directory, Directory::new(String::new(), None)))
            }
            _ => Err(Errno::ENOTDIR),
        }
    }
}
