//! `openat`: what a path and flags give, by the fewest questions to the server.
use super::{Directory, File, Spot, tree};
use crate::files::{Creation, Kind, Status, Tree};
use crate::number::{self, Answer, Errno, low};
use crate::process::object::Object;
use crate::process::refusals::NO_RANDOM;
use crate::process::synthetic::Text;
use crate::process::{Pages, Process};
use crate::world::World;

/// Bits of `open` (include/uapi/asm-generic/fcntl.h and arch/arm64's own).
mod bit {
    pub(super) const ACCESS: u32 = 3;
    pub(super) const CREATE: u32 = 0o100;
    pub(super) const EXCLUSIVE: u32 = 0o200;
    pub(super) const TRUNCATE: u32 = 0o1000;
    pub(super) const DIRECTORY: u32 = 0o4_0000;
    /// `O_TMPFILE` without `O_DIRECTORY`.
    pub(super) const TEMPORARY: u32 = 0o2000_0000;
}

/// How a file is to be opened.
#[derive(Debug, Clone, Copy)]
struct Flags(u32);

impl Flags {
    fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    fn reads_only(self) -> bool {
        !matches!(self.0 & bit::ACCESS, 1 | 2)
    }

    /// Whether the server is to open it for writing.
    fn needs_writing(self) -> bool {
        !self.reads_only() || self.has(bit::CREATE | bit::TRUNCATE)
    }

    fn creation(self) -> Creation {
        match (self.has(bit::CREATE), self.has(bit::EXCLUSIVE)) {
            (false, _) => Creation::Never,
            (true, false) => Creation::IfMissing,
            (true, true) => Creation::Always,
        }
    }
}

impl<S: Pages> Process<S> {
    /// Opens a file for a child: a path from the directory in which that is to start.
    pub(in crate::process) fn open_from(
        &mut self,
        world: &mut impl World,
        directory: &str,
        path: u64,
        flags: u64,
    ) -> Answer {
        let before = core::mem::replace(&mut self.fs.current, super::copied(directory)?);
        let opened = self.open_path(world, [super::CURRENT.cast_unsigned().into(), path, flags, 0, 0, 0]);
        self.fs.current = before;
        opened
    }

    pub(super) fn open_path(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let flags = Flags(low(args[2]));
        if flags.has(bit::TEMPORARY) {
            self.tell(world, number::OPENAT, "a file has a name, and O_TMPFILE makes one without");
            return Err(Errno::EOPNOTSUPP);
        }
        if flags.has(bit::CREATE) && flags.has(bit::DIRECTORY) {
            return Err(Errno::EINVAL);
        }
        let (path, spot) = self.at(world, args[0], args[1])?;
        match spot {
            Spot::Synthetic(_) if flags.has(bit::DIRECTORY) => Err(Errno::ENOTDIR),
            Spot::Synthetic(_) if flags.creation() == Creation::Always => Err(Errno::EEXIST),
            Spot::Synthetic(Object::Text(Text::Program, _)) => Err(Errno::EACCES),
            Spot::Synthetic(Object::Text(..)) if !flags.reads_only() => Err(Errno::EACCES),
            Spot::Synthetic(Object::Random) if !world.has_random() => {
                self.tell(world, number::OPENAT, NO_RANDOM);
                Err(Errno::EACCES)
            }
            Spot::Synthetic(object) => self.files.open(object, flags.0),
            Spot::Way if flags.creation() == Creation::Always => Err(Errno::EEXIST),
            Spot::Way if flags.needs_writing() => Err(Errno::EISDIR),
            Spot::Way => self.files.open(Object::Directory(Directory::new(path.text, None)), flags.0),
            Spot::Granted(place, below) => {
                let is_directory = path.is_directory || flags.has(bit::DIRECTORY);
                let (number, status) = opened(tree(world, place)?, &below, flags, is_directory)?;
                let object = match status.kind {
                    Kind::File => Object::File(File::new(place, number, status.id, flags.0)),
                    Kind::Directory => Object::Directory(Directory::new(path.text, Some((place, number)))),
                };
                let descriptor = self.files.open(object, flags.0);
                if descriptor.is_err() {
                    tree(world, place)?.close(number);
                }
                descriptor
            }
            Spot::Nowhere => Err(self.nowhere(world, number::OPENAT, flags.has(bit::CREATE))),
        }
    }
}

fn opened(tree: &mut dyn Tree, path: &str, flags: Flags, is_directory: bool) -> Result<(u32, Status), Errno> {
    if flags.needs_writing() {
        return if is_directory { Err(no_file(tree, path, flags)) } else { opened_to_write(tree, path, flags) };
    }
    let (number, status) = tree.open(path)?;
    if is_directory && status.kind == Kind::File {
        tree.close(number);
        return Err(Errno::ENOTDIR);
    }
    Ok((number, status))
}

fn opened_to_write(tree: &mut dyn Tree, path: &str, flags: Flags) -> Result<(u32, Status), Errno> {
    match tree.open_to_write(path, flags.creation(), flags.has(bit::TRUNCATE)) {
        Ok((number, Status { kind: Kind::Directory, .. })) => {
            // Not a file, which it was asked for.
            tree.close(number);
            Err(Errno::EIO)
        }
        Err(Errno::EROFS) => match (tree.find(path), flags.creation()) {
            (Err(Errno::ENOENT), Creation::IfMissing | Creation::Always) => Err(Errno::EROFS),
            (Err(errno), _) => Err(errno),
            (Ok(_), Creation::Always) => Err(Errno::EEXIST),
            (Ok(Status { kind: Kind::Directory, .. }), _) => Err(Errno::EISDIR),
            (Ok(_), _) if flags.reads_only() && !flags.has(bit::TRUNCATE) => tree.open(path),
            _ => Err(Errno::EROFS),
        },
        opened => opened,
    }
}

/// Why nothing at a directory's path can be written.
fn no_file(tree: &mut dyn Tree, path: &str, flags: Flags) -> Errno {
    match tree.find(path) {
        Ok(Status { kind: Kind::File, .. }) => Errno::ENOTDIR,
        Ok(_) => Errno::EISDIR,
        Err(Errno::ENOENT) if flags.has(bit::CREATE) => Errno::EISDIR,
        Err(errno) => errno,
    }
}
