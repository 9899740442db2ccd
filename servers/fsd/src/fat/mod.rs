//! A volume of FAT as a store, which boot loaders read and updates write; keeps no times, and its names ignore case.
//!
//! The library `axfatfs` reads and writes the volume; what is here keeps its operations whole (`volume.rs`, `journal.rs`), and gives its files
//! nodes that stay the same (`tree.rs`): the whole tree is read and checked when the volume is mounted, and bounded.
mod chains;
mod journal;
mod tree;
mod volume;

use crate::blocks::{BLOCK, Blocks, DeviceError};
use crate::store::{Found, Node, Store};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use axfatfs::{
    Dir, FatType, FileSystem, FsOptions, LossyOemCpConverter, NullTimeProvider, Read, Seek, SeekFrom, Write,
};
use core::cell::RefCell;
use libhybrid::interfaces::fs::{Error, Kind};
use libhybrid::log;
use tree::{Item, ROOT, Tree};
use volume::{Cursor, CursorError, Volume};

type System<B> = FileSystem<Cursor<B>, NullTimeProvider, LossyOemCpConverter>;
type Directory<'a, B> = Dir<'a, Cursor<B>, NullTimeProvider, LossyOemCpConverter>;
type File<'a, B> = axfatfs::File<'a, Cursor<B>, NullTimeProvider, LossyOemCpConverter>;
type Fault = axfatfs::Error<CursorError>;

/// What the name of a file without a name begins with; it lies in the uppermost directory until nobody has it open.
const GONE: &str = "~gone-";
/// Most bytes of zeros that are written in one operation.
const STEP: u64 = 64 << 10;
/// The largest file, FAT's own bound.
const FILE_MAX: u64 = u32::MAX as u64;

/// Why there are no files on a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FatError {
    /// The disk failed.
    Device,
    /// It holds no volume of FAT, or one that does not fit on it.
    NoVolume,
    /// Directories or chains of the volume contradict each other.
    Damaged,
    /// More files and directories than are kept in memory.
    TooMany,
}

impl From<DeviceError> for FatError {
    fn from(DeviceError: DeviceError) -> Self {
        Self::Device
    }
}

impl FatError {
    /// What a fault of the library means: the disk's, or `otherwise`.
    const fn of(fault: &Fault, otherwise: Self) -> Self {
        if matches!(fault, Fault::Io(CursorError::Device)) { Self::Device } else { otherwise }
    }
}

/// A volume of FAT12, FAT16 or FAT32 at the beginning of a partition, with a journal behind it; without room for one it is read-only.
pub struct Fat<B: Blocks> {
    volume: Rc<RefCell<Volume<B>>>,
    /// None when it could not be opened again after an error; the next operation tries.
    system: Option<System<B>>,
    tree: Tree,
}

impl<B: Blocks> Fat<B> {
    /// Finishes what a loss of power interrupted, and reads all directories.
    ///
    /// # Errors
    /// [`FatError`].
    pub fn mount(mut device: B) -> Result<Self, FatError> {
        let end = volume_bytes(&mut device)?;
        let volume = Rc::new(RefCell::new(Volume::open(device, end)?));
        let system = opened(&volume).map_err(|fault| FatError::of(&fault, FatError::NoVolume))?;
        let tree = tree::read(&system, &volume, end, is_gone)?;
        volume.borrow_mut().mounted();
        let mut this = Self { volume, system: Some(system), tree };
        this.remove_left_over()?;
        Ok(this)
    }

    /// Whether anything can be changed.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.volume.borrow().is_writable()
    }

    /// Takes away the files that had no name when the last life ended.
    fn remove_left_over(&mut self) -> Result<(), FatError> {
        if !self.is_writable() {
            return Ok(());
        }
        for name in core::mem::take(&mut self.tree.left_over) {
            match self.change(|root| root.remove(&name)) {
                Err(Error::Broken) => return Err(FatError::Device),
                Err(error) => log::warn!("{name} on the volume cannot be removed: {error:?}"),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Does one operation on the volume, wholly or not at all.
    fn change<T>(&mut self, operation: impl FnOnce(&Directory<'_, B>) -> Result<T, Fault>) -> Result<T, Error> {
        if !self.is_writable() {
            return Err(Error::NotWritable);
        }
        let done = self.with_root(operation).and_then(|done| {
            self.volume.borrow_mut().keep().map_err(|DeviceError| Error::Broken)?;
            Ok(done)
        });
        if done.is_err() {
            // The library writes once more when it is let go of.
            self.system = None;
            self.volume.borrow_mut().drop_changes();
            self.system = opened(&self.volume).ok();
        }
        done
    }

    fn with_root<T>(&mut self, operation: impl FnOnce(&Directory<'_, B>) -> Result<T, Fault>) -> Result<T, Error> {
        if self.system.is_none() {
            self.system = opened(&self.volume).ok();
        }
        let system = self.system.as_ref().ok_or(Error::Broken)?;
        operation(&system.root_dir()).map_err(|fault| error(&fault))
    }

    /// A node that is a file, and where its content is.
    fn file(&self, node: Node) -> Result<(&Item, String), Error> {
        let item = self.tree.get(node)?;
        if item.kind == Kind::Directory {
            return Err(Error::IsDirectory);
        }
        Ok((item, self.tree.path(node)?))
    }

    /// Writes `data` at `offset`, and zeros between the end and there. In one operation but for most of a long gap, which goes before; after an
    /// error the old size is there again.
    fn put(&mut self, node: Node, offset: u64, data: &[u8]) -> Result<(), Error> {
        let (old, path) = self.file(node).map(|(item, path)| (item.size, path))?;
        let mut size = old;
        let done = loop {
            let step = size.saturating_add(STEP).min(offset.max(size));
            let data = if step < offset { &[][..] } else { data };
            let done = self.change(|root| put(root, &path, size, step.min(offset), data));
            if done.is_err() || step >= offset {
                break done;
            }
            size = step;
        };
        if done.is_err() && size > old {
            self.change(|root| cut(root, &path, old))?;
        }
        done
    }

    fn changed(&mut self, node: Node, size: u64, now_ns: u64) {
        if let Some(item) = self.tree.get_mut(node) {
            (item.size, item.modified_ns) = (size, now_ns);
        }
    }

    /// The name that a node gets when it has none.
    fn gone(node: Node) -> String {
        format!("{GONE}{node:x}")
    }
}

impl<B: Blocks> Store for Fat<B> {
    fn root(&self) -> Node {
        ROOT
    }

    fn found(&mut self, node: Node) -> Result<Found, Error> {
        let item = self.tree.get(node)?;
        Ok(Found { node, kind: item.kind, size: item.size, modified_ns: item.modified_ns })
    }

    fn lookup(&mut self, directory: Node, name: &str) -> Result<Found, Error> {
        let node = self.tree.find(directory, name).ok_or(Error::NotFound)?;
        self.found(node)
    }

    fn create(&mut self, directory: Node, name: &str, kind: Kind, now_ns: u64) -> Result<Found, Error> {
        self.tree.has_room_in(directory)?;
        check_new(name)?;
        let path = self.tree.path_in(directory, name)?;
        self.change(|root| match kind {
            // What has the name as its short one already is another file.
            _ if is_there(root, &path)? => Err(Fault::UnsupportedFileNameCharacter),
            Kind::File => root.create_file(&path).and_then(closed),
            Kind::Directory => root.create_dir(&path).map(|_made| ()),
        })?;
        let node = self.tree.add(directory, name, kind, 0);
        self.changed(node, 0, now_ns);
        self.found(node)
    }

    fn remove(&mut self, directory: Node, name: &str) -> Result<(), Error> {
        let node = self.tree.find(directory, name).ok_or(Error::NotFound)?;
        let (path, stays) = (self.tree.path(node)?, self.tree.is_open_file(node));
        self.change(|root| if stays { moved(root, &path, &Self::gone(node)) } else { root.remove(&path) })?;
        self.tree.unname(node, &Self::gone(node));
        Ok(())
    }

    fn rename(&mut self, from: (Node, &str), to: (Node, &str)) -> Result<(), Error> {
        let node = self.tree.find(from.0, from.1).ok_or(Error::NotFound)?;
        let replaced = self.tree.find(to.0, to.1).filter(|replaced| *replaced != node);
        check_new(to.1)?;
        self.tree.fits(node, to.0)?;
        let (old, new) = (self.tree.path(node)?, self.tree.path_in(to.0, to.1)?);
        let aside = replaced.map(|replaced| (self.tree.is_open_file(replaced), Self::gone(replaced)));
        self.change(|root| {
            match &aside {
                Some((true, gone)) => moved(root, &new, gone)?,
                Some((false, _)) => root.remove(&new)?,
                None => {}
            }
            if is_there(root, &new)? { Err(Fault::UnsupportedFileNameCharacter) } else { moved(root, &old, &new) }
        })?;
        if let Some(replaced) = replaced {
            self.tree.unname(replaced, &Self::gone(replaced));
        }
        self.tree.rename(node, to);
        Ok(())
    }

    fn read(&mut self, file: Node, offset: u64, data: &mut [u8]) -> Result<usize, Error> {
        let (size, path) = self.file(file).map(|(item, path)| (item.size, path))?;
        let len = data.len().min(usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX));
        let data = data.get_mut(..len).unwrap_or_default();
        if !data.is_empty() {
            self.with_root(|root| {
                let mut file = at(root, &path, offset)?;
                file.read_exact(data)
            })?;
        }
        Ok(len)
    }

    fn write(&mut self, file: Node, offset: u64, data: &[u8], now_ns: u64) -> Result<(), Error> {
        let size = self.file(file)?.0.size;
        let end = offset.checked_add(data.len() as u64).filter(|end| *end <= FILE_MAX).ok_or(Error::TooLarge)?;
        self.put(file, offset, data)?;
        self.changed(file, end.max(size), now_ns);
        Ok(())
    }

    fn set_size(&mut self, file: Node, size: u64, now_ns: u64) -> Result<(), Error> {
        let (old, path) = self.file(file).map(|(item, path)| (item.size, path))?;
        if size > FILE_MAX {
            return Err(Error::TooLarge);
        }
        if size > old {
            self.put(file, size, &[])?;
        } else if size < old {
            self.change(|root| cut(root, &path, size))?;
        }
        self.changed(file, size, now_ns);
        Ok(())
    }

    fn list(&mut self, directory: Node) -> Result<Vec<(String, Node)>, Error> {
        self.tree.list(directory)
    }

    fn open(&mut self, node: Node) {
        self.tree.open(node);
    }

    fn close(&mut self, node: Node) -> Result<(), Error> {
        if self.tree.close(node) {
            let gone = Self::gone(node);
            self.change(|root| root.remove(&gone))?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        if !self.is_writable() {
            return Ok(());
        }
        let system = self.system.take().or_else(|| opened(&self.volume).ok()).ok_or(Error::Broken)?;
        // Where the volume says that it is in use; who reads it after a loss of power shall not need to check it.
        let flags = if system.fat_type() == FatType::Fat32 { 0x41 } else { 0x25 };
        let closed = system.unmount();
        let kept = closed.map_err(|fault| error(&fault)).and_then(|()| {
            let mut volume = self.volume.borrow_mut();
            volume
                .clear(flags, 1)
                .and_then(|()| volume.keep())
                .and_then(|()| volume.checkpoint())
                .map_err(|DeviceError| Error::Broken)
        });
        self.volume.borrow_mut().drop_changes();
        self.system = opened(&self.volume).ok();
        kept
    }

    fn capacity(&self) -> u64 {
        self.tree.capacity
    }
}

/// Bytes of the volume, by its first sector. Source: Microsoft, FAT32 File System Specification 1.03, "Boot Sector and BPB".
fn volume_bytes(device: &mut impl Blocks) -> Result<u64, FatError> {
    if device.count() == 0 {
        return Err(FatError::NoVolume);
    }
    let mut block = [0; BLOCK];
    device.read(0, &mut block)?;
    let half = |at: usize| u64::from(u16::from_le_bytes([block[at], block[at + 1]]));
    let (sector, few) = (half(11), half(19));
    let sectors = if few == 0 { half(32) | half(34) << 16 } else { few };
    let is_signed = half(510) == 0xaa55;
    let bytes = sector * sectors;
    if !is_signed || bytes == 0 || bytes > device.count() * BLOCK as u64 {
        return Err(FatError::NoVolume);
    }
    Ok(bytes)
}

/// Whether a name is one of those that files without a name have.
fn is_gone(name: &str) -> bool {
    name.get(..GONE.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(GONE))
}

/// A new name is none of those, and one that the library can make a short name of: it panics if the first character is longer than a byte.
fn check_new(name: &str) -> Result<(), Error> {
    let begins_well = name.starts_with(|first: char| first.is_ascii());
    if begins_well && !is_gone(name) { Ok(()) } else { Err(Error::BadPath) }
}

fn opened<B: Blocks>(volume: &Rc<RefCell<Volume<B>>>) -> Result<System<B>, Fault> {
    FileSystem::new(Cursor::new(volume), FsOptions::new())
}

/// What is written before a file is let go of; the library would not tell of an error then.
fn closed<B: Blocks>(mut file: File<'_, B>) -> Result<(), Fault> {
    Write::flush(&mut file)
}

/// Whether a file or directory answers to the path, be it by its short name.
fn is_there<B: Blocks>(root: &Directory<'_, B>, path: &str) -> Result<bool, Fault> {
    match root.open_file(path) {
        Ok(_) | Err(Fault::InvalidInput) => Ok(true),
        Err(Fault::NotFound) => Ok(false),
        Err(fault) => Err(fault),
    }
}

fn moved<B: Blocks>(root: &Directory<'_, B>, from: &str, to: &str) -> Result<(), Fault> {
    root.rename(from, root, to)
}

/// The file at a path, at a place of it.
fn at<'a, B: Blocks>(root: &Directory<'a, B>, path: &str, offset: u64) -> Result<File<'a, B>, Fault> {
    let mut file = root.open_file(path)?;
    if file.seek(SeekFrom::Start(offset))? == offset { Ok(file) } else { Err(Fault::CorruptedFileSystem) }
}

/// Writes into a file of `size` bytes; what is missing before `offset` becomes zeros.
fn put<B: Blocks>(root: &Directory<'_, B>, path: &str, size: u64, offset: u64, data: &[u8]) -> Result<(), Fault> {
    let mut file = at(root, path, offset.min(size))?;
    let gap = usize::try_from(offset.saturating_sub(size)).map_err(|_| Fault::InvalidInput)?;
    file.write_all(&vec![0; gap])?;
    file.write_all(data)?;
    closed(file)
}

fn cut<B: Blocks>(root: &Directory<'_, B>, path: &str, size: u64) -> Result<(), Fault> {
    let mut file = at(root, path, size)?;
    file.truncate()?;
    closed(file)
}

fn error(fault: &Fault) -> Error {
    match fault {
        Fault::NotFound => Error::NotFound,
        Fault::NotEnoughSpace | Fault::WriteZero | Fault::Io(CursorError::End | CursorError::Full) => Error::NoSpace,
        Fault::AlreadyExists => Error::Exists,
        Fault::DirectoryIsNotEmpty => Error::NotEmpty,
        Fault::InvalidFileNameLength | Fault::UnsupportedFileNameCharacter => Error::BadPath,
        _ => Error::Broken,
    }
}
