//! Calls about paths and open files: the directories that were granted, and the few files that are made up.
//!
//! Each granted directory is a *place*, by number, and has a mount point. The server knows open files by numbers; offsets, modes and the name of
//! the current directory are kept here. What a server answers is checked where it comes in: it can give wrong bytes, and errors, and no more.
mod attributes;
mod claims;
mod directory;
mod file;
mod locks;
mod map;
mod names;
mod open;
mod path;
mod status;

use super::object::{Id, Object};
use super::pieces::Pieces;
use super::{Pages, Process, synthetic};
use crate::files::Tree;
use crate::number::{self, Answer, Errno, int, low};
use crate::world::World;
use alloc::string::String;
use alloc::vec::Vec;

pub(super) use directory::Directory;
pub(super) use file::{File, O_APPEND};
pub(super) use locks::is_lock;
use path::{Absolute, TEXT_MAX};

/// `AT_FDCWD`
const CURRENT: i32 = -100;
const AT_EMPTY_PATH: u32 = 0x1000;

/// Bytes of a path that are read at a time.
const TEXT_PIECE: usize = 32;

/// What the program's paths mean.
#[derive(Debug)]
pub(super) struct Space {
    /// Mount points by place.
    mounts: Vec<String>,
    /// The current directory, without dots.
    current: String,
    /// `umask`: kept and told.
    mask: u32,
    claims: claims::Claims,
    /// What is between a ring and the program; empty until it is needed.
    chunk: Vec<u8>,
    /// Paths of the programs that it may spawn, once the supervisor has told them.
    programs: Option<Vec<String>>,
}

impl Space {
    pub(super) fn new() -> Self {
        Self {
            mounts: Vec::new(),
            current: "/".into(),
            mask: 0o022,
            claims: claims::Claims::default(),
            chunk: Vec::new(),
            programs: None,
        }
    }
}

/// Where a path leads.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives as long as one call, and a box would cost each an allocation")]
enum Spot {
    /// To what is made up.
    Synthetic(Object),
    /// Into the directory of a place, by a path of plain names.
    Granted(usize, String),
    /// To a directory that is there only because mount points or programs are below it.
    Way,
    /// To what nobody granted.
    Nowhere,
}

/// The directory of a place.
fn tree(world: &mut impl World, place: usize) -> Result<&mut dyn Tree, Errno> {
    world.tree(place).ok_or(Errno::EIO)
}

/// Whether a place has a directory at a path.
fn is_directory(world: &mut impl World, place: usize, below: &str) -> bool {
    below.is_empty() || tree(world, place).and_then(|tree| names::only_of_directories(tree, below)).is_ok()
}

/// A path that the program gives.
pub(super) fn text(world: &impl World, address: u64) -> Result<String, Errno> {
    let bytes = terminated(world, address, TEXT_MAX)?;
    String::from_utf8(bytes).map_err(|_| Errno::EILSEQ)
}

/// Bytes up to a zero byte, which is not among them.
///
/// # Errors
/// `ENAMETOOLONG` if there are more than `most`, `EFAULT`, `ENOMEM`.
pub(super) fn terminated(world: &impl World, address: u64, most: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    while bytes.len() <= most {
        let (mut piece, at) = ([0; TEXT_PIECE], address.wrapping_add(bytes.len() as u64));
        // Behind the end of a text may be the end of the program's memory.
        let length = if world.read(at, &mut piece).is_ok() { TEXT_PIECE } else { 1 };
        let piece = piece.get_mut(..length).unwrap_or_default();
        if length == 1 {
            world.read(at, piece)?;
        }
        let end = piece.iter().position(|byte| *byte == 0);
        let text = piece.get(..end.unwrap_or(length)).unwrap_or_default();
        bytes.try_reserve(text.len()).map_err(|_| Errno::ENOMEM)?;
        bytes.extend_from_slice(text);
        if end.is_some() && bytes.len() <= most {
            return Ok(bytes);
        }
    }
    Err(Errno::ENAMETOOLONG)
}

/// A copy of a text.
fn copied(text: &str) -> Result<String, Errno> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len()).map_err(|_| Errno::ENOMEM)?;
    copy.push_str(text);
    Ok(copy)
}

impl<S: Pages> Process<S> {
    /// What a path is from the current directory.
    pub(super) fn absolute(&self, path: &str) -> Result<String, Errno> {
        Absolute::new(&self.fs.current, path).map(|path| path.text)
    }

    /// The next place's directory is found at `point` by the program.
    pub fn mount(&mut self, point: &str) {
        // A point that is no path leaves the place without one: nothing is found there.
        let point = Absolute::new("/", point).map_or_else(|_| String::new(), |point| point.text);
        self.fs.mounts.push(point);
    }

    /// The current directory of a program that another one spawned, as a path of that one's tree, and whether it was asked for. A program without
    /// files stays at the root, and so does one that nobody wanted to be elsewhere, where the directory is none of its own.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR` and others if it was asked for, and is no directory of this program's tree.
    pub fn start_in(&mut self, world: &mut impl World, (directory, is_asked): (&[u8], bool)) -> Result<(), Errno> {
        if self.fs.mounts.is_empty() {
            return Ok(());
        }
        let directory = core::str::from_utf8(directory).map_err(|_| Errno::EILSEQ);
        match directory.and_then(|directory| self.directory_at(world, "/", directory)) {
            Ok(directory) => self.fs.current = directory,
            Err(errno) if is_asked => return Err(errno),
            Err(_) => {
                world.note(format_args!("starts at its root: the directory of who spawned it is not in its tree"))
            }
        }
        Ok(())
    }

    /// Asks once for the programs that it may spawn: who looks for one asks what is at its path. While the supervisor is away there are none.
    fn learn_programs(&mut self, world: &mut impl World) {
        if self.fs.programs.is_none() {
            self.fs.programs = match world.relations() {
                Some(relations) => relations.programs().ok(),
                None => Some(Vec::new()),
            };
        }
    }

    /// Calls about files; `None` for others.
    pub(super) fn file_call(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Option<Answer> {
        self.open_file_call(world, number, args)
            .or_else(|| self.name_call(world, number, args))
            .or_else(|| self.attribute_call(world, number, args))
    }

    /// Those about open files.
    fn open_file_call(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Option<Answer> {
        Some(match number {
            number::OPENAT => self.open_path(world, args),
            number::LSEEK => self.seek(world, args),
            number::PREAD64 => self.read_at(world, args, Pieces::One(args[1], args[2])),
            number::PREADV => self.read_at(world, args, Pieces::List(args[1], args[2])),
            number::PWRITE64 => self.write_at(world, args, Pieces::One(args[1], args[2])),
            number::PWRITEV => self.write_at(world, args, Pieces::List(args[1], args[2])),
            number::FSYNC | number::FDATASYNC | number::SYNCFS => self.sync_file(world, args[0]),
            number::SYNC => self.sync_all(world),
            number::FTRUNCATE => self.truncate_file(world, args),
            number::TRUNCATE => self.truncate_path(world, args),
            number::FALLOCATE => self.allocate(world, args),
            // Advice.
            number::FADVISE64 => self.files.id(args[0]).map(|_| 0),
            number::GETDENTS64 => self.entries(world, args),
            _ => return None,
        })
    }

    /// Those that make, move and remove names.
    fn name_call(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Option<Answer> {
        Some(match number {
            number::MKDIRAT => self.make_directory(world, args),
            number::UNLINKAT => self.unlink(world, args),
            number::RENAMEAT => self.rename(world, [args[0], args[1], args[2], args[3], 0, 0]),
            number::RENAMEAT2 => self.rename(world, args),
            number::SYMLINKAT => self.no_links(world, number, args[1], args[2]),
            number::LINKAT => self.link_file(world, args),
            number::MKNODAT => self.no_links(world, number, args[0], args[1]),
            number::CHDIR => self.change_directory(world, args[0]),
            number::FCHDIR => self.change_to_open(args[0]),
            number::GETCWD => self.current_directory(world, args),
            _ => return None,
        })
    }

    /// Where a path argument leads from a directory argument.
    fn at(&mut self, world: &mut impl World, directory: u64, address: u64) -> Result<(Absolute, Spot), Errno> {
        let path = text(world, address)?;
        let base = match int(directory) {
            _ if path.starts_with('/') => "/",
            CURRENT => self.fs.current.as_str(),
            _ => self.directory(directory)?.path(),
        };
        let path = Absolute::new(base, &path)?;
        let spot = self.spot(world, &path)?;
        Ok((path, spot))
    }

    fn spot(&mut self, world: &mut impl World, path: &Absolute) -> Result<Spot, Errno> {
        self.learn_programs(world);
        let has_terminal = self.terminal.is_some();
        let is_there = |object: &Object| has_terminal || !matches!(object, Object::Terminal);
        if let Some(object) = synthetic::at_path(&path.text).filter(is_there) {
            return if path.is_directory { Err(Errno::ENOTDIR) } else { Ok(Spot::Synthetic(object)) };
        }
        if !world.has_others() {
            return Ok(if path.text == "/" { Spot::Way } else { Spot::Nowhere });
        }
        let programs = self.fs.programs.as_deref().unwrap_or_default();
        if programs.contains(&path.text) {
            return if path.is_directory {
                Err(Errno::ENOTDIR)
            } else {
                Ok(Spot::Synthetic(Object::Text(synthetic::Text::Program, 0)))
            };
        }
        let is_folder = path.text != "/" && programs.iter().any(|it| path::below(&path.text, it).is_some());
        Ok(match path::place(&self.fs.mounts, &path.text)? {
            // A folder of programs need not be anywhere else. Where a server has it, the programs are in it, too.
            Some((place, below)) if is_folder && !is_directory(world, place, below) => Spot::Way,
            None if is_folder => Spot::Way,
            Some((place, below)) => Spot::Granted(place, copied(below)?),
            None if path.text == "/" || self.is_way(path) => Spot::Way,
            None => Spot::Nowhere,
        })
    }

    /// Whether mount points are below a path.
    fn is_way(&self, path: &Absolute) -> bool {
        !path::on_the_way(&self.fs.mounts, &path.text).is_empty()
    }

    /// The error for a path that leads to what nobody granted, and one line that says so where it matters.
    fn nowhere(&mut self, world: &mut impl World, number: u64, is_making: bool) -> Errno {
        if self.fs.mounts.is_empty() {
            self.tell(world, number, "its component was granted no files");
        } else if is_making {
            self.tell(world, number, "no directory was granted there");
        }
        if is_making { Errno::EACCES } else { Errno::ENOENT }
    }

    /// An open file of a server; else the error for a directory, or for what is neither.
    fn file(&self, argument: u64, of_directory: Errno, otherwise: Errno) -> Result<(Id, File), Errno> {
        let id = self.files.id(argument)?;
        match self.files.objects.get(id).map(|held| &held.object) {
            Some(Object::File(file)) => Ok((id, *file)),
            Some(Object::Directory(_)) => Err(of_directory),
            _ => Err(otherwise),
        }
    }

    fn file_mut(&mut self, id: Id) -> Option<&mut File> {
        match self.files.objects.get_mut(id).map(|held| &mut held.object) {
            Some(Object::File(file)) => Some(file),
            _ => None,
        }
    }

    fn directory(&self, argument: u64) -> Result<&Directory, Errno> {
        match &self.files.held(argument)?.object {
            Object::Directory(directory) => Ok(directory),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// The path argument is empty, and the flags say that the descriptor itself is meant.
    fn is_of_descriptor(world: &impl World, address: u64, flags: u64) -> bool {
        let mut first = [1];
        low(flags) & AT_EMPTY_PATH != 0 && world.read(address, &mut first).is_ok() && first == [0]
    }
}
