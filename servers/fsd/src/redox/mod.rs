//! Files on a disk by redoxfs, and what it leaves out: barriers, zeros, a bound of what waits.
mod attempts;
mod door;
mod format;
mod journal;
mod trim;

use crate::blocks::{BLOCK, Blocks, DeviceError};
use crate::store::{Found, Node, SIZE_MAX, Store};
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use attempts::Attempts;
use core::time::Duration;
use hybrid_quota::promised;
use journal::Journal;
use libhybrid::interfaces::fs::{Error, Kind};
use libhybrid::log;
use redoxfs::{BlockAddr, BlockData, FileSystem, HEADER_RING, Node as Inode, Transaction, TreeData, TreePtr};
use syscall::error::{self, EEXIST, EINVAL, EISDIR, ENOENT, ENOSPC, ENOTDIR, ENOTEMPTY};
use trim::{RUN_MIN, Trim};

/// Free blocks that lie together by 2^6 and more, of which so many are room for any write of a record.
const ROOMY: usize = 6;
const ROOM: u64 = 256;

/// redoxfs' first node.
const ROOT: Node = 1;

/// Why there are no files on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountError {
    /// The disk failed.
    Device,
    /// The disk holds something, and no whole file system. It is left as it is.
    Damaged,
    /// A file system does not fit.
    TooSmall,
    /// Each of the last lives ended while it opened this disk. It is left as it is until the next boot.
    Poisoned,
}

impl From<DeviceError> for MountError {
    fn from(DeviceError: DeviceError) -> Self {
        Self::Device
    }
}

/// The file system of a disk.
pub struct Redox<B: Blocks> {
    fs: FileSystem<Journal<B>>,
    attempts: Attempts,
    /// Open files that have no name any more.
    nameless: BTreeSet<Node>,
    /// The generation after which it was last said what is free.
    settled: Option<u64>,
    trim: Trim,
}

impl<B: Blocks> Redox<B> {
    /// The file system of `device`; a new one if the disk is empty. As in the first life since the boot: [`Redox::mount_guarded`].
    ///
    /// # Errors
    /// [`MountError`].
    pub fn mount(device: B) -> Result<Self, MountError> {
        Self::mount_guarded(device, true)
    }

    /// The same, but a disk that ended each of the last lives while they opened it is refused. Opening lasts until [`Store::settled`].
    ///
    /// # Errors
    /// [`MountError`].
    pub fn mount_guarded(mut device: B, is_first_life: bool) -> Result<Self, MountError> {
        let newest = match format::newest(&mut device)? {
            Some(newest) => newest,
            None => format::format(&mut device)?,
        };
        let (place, generation) = (newest.place, newest.generation);
        let attempts = Attempts::new(&device, newest.bytes);
        attempts.begin(&mut device, is_first_life)?;
        // The header that was read may be in the disk's memory only; what it frees is written soon (INV-DURABLE-1).
        device.flush()?;
        let end = device.count().min(newest.bytes / BLOCK as u64);
        let trim = Trim::new(HEADER_RING.min(end)..end, device.discard_max());
        let mut journal = Journal::new(device);
        journal.begin(generation);
        let fs = FileSystem::open(journal, None, Some(place), true).map_err(|_| MountError::Damaged)?;
        let mut this = Self { fs, attempts, nameless: BTreeSet::new(), settled: None, trim };
        // What opening tidied up is durable before anything else is written: only from then on it is known what is free.
        this.settle().and_then(|()| this.sync()).map_err(|_| MountError::Device)?;
        if this.found(ROOT).is_err() {
            this.make_root().map_err(|_| MountError::Damaged)?;
        }
        this.sync().map_err(|_| MountError::Device)?;
        Ok(this)
    }

    fn make_root(&mut self) -> Result<(), Error> {
        self.change(|tx| {
            let mut root = Inode::new(Inode::MODE_DIR | 0o755, 0, 0, 0, 0);
            root.set_links(1);
            // Whose blocks are counted does not matter: this one has none.
            let mut account = TreeData::new(0, Inode::default());
            let block = tx.sync_block(&mut account, BlockData::new(BlockAddr::default(), root))?;
            let root = tx.insert_tree(block)?;
            if u64::from(root.id()) == ROOT { Ok(()) } else { Err(error::Error::new(EEXIST)) }
        })
    }

    /// One transaction.
    fn change<T>(
        &mut self,
        act: impl FnOnce(&mut Transaction<'_, Journal<B>>) -> error::Result<T>,
    ) -> Result<T, Error> {
        match self.fs.tx(act) {
            Ok(result) => self.settle().map(|()| result),
            Err(error) => {
                self.fs.disk.abort();
                Err(meaning(error))
            }
        }
    }

    /// Blocks that nothing uses.
    #[cfg(test)]
    pub(crate) fn free(&self) -> u64 {
        self.fs.allocator().free()
    }

    /// Each change is followed by a checkpoint.
    #[cfg(test)]
    pub(crate) fn checkpoint_each(&mut self) {
        self.fs.disk.checkpoint_each();
    }

    /// How often a node is open.
    fn users(&self, node: Node) -> u64 {
        u32::try_from(node).ok().and_then(|id| self.fs.node_usages.get(&id).copied()).unwrap_or(0)
    }

    /// The node of a name that is about to go, if it is open.
    fn open_named(&mut self, directory: Node, name: &str) -> Option<Node> {
        let found = self.lookup(directory, name).ok()?;
        (self.users(found.node) > 0).then_some(found.node)
    }

    /// One transaction, that takes away the name of `open`.
    fn unname(
        &mut self,
        open: Option<Node>,
        act: impl FnOnce(&mut Transaction<'_, Journal<B>>) -> error::Result<()>,
    ) -> Result<(), Error> {
        let before = self.fs.disk.newest();
        let outcome = self.change(act);
        // It may be whole although the checkpoint that it made due failed: then the name is gone.
        if self.fs.disk.newest() != before {
            self.nameless.extend(open);
        }
        outcome
    }

    /// What a transaction did that changed nothing needs nothing: what is free is as it was.
    fn settle(&mut self) -> Result<(), Error> {
        let newest = self.fs.disk.newest();
        if self.settled == Some(newest) {
            return Ok(());
        }
        self.settled = Some(newest);
        let free = self.fs.allocator().levels().clone();
        self.fs.disk.committed(free).map_err(|DeviceError| Error::Broken)
    }
}

fn meaning(error: error::Error) -> Error {
    match error.errno {
        ENOENT => Error::NotFound,
        EEXIST => Error::Exists,
        ENOSPC => Error::NoSpace,
        EINVAL => Error::BadPath,
        ENOTDIR => Error::NotDirectory,
        EISDIR => Error::IsDirectory,
        ENOTEMPTY => Error::NotEmpty,
        _ => Error::Broken,
    }
}

fn ptr(node: Node) -> TreePtr<Inode> {
    // What is no number of redoxfs' names no node.
    TreePtr::new(u32::try_from(node).unwrap_or(0))
}

fn time(now_ns: u64) -> (u64, u32) {
    let now = Duration::from_nanos(now_ns);
    (now.as_secs(), now.subsec_nanos())
}

fn describe(data: &TreeData<Inode>) -> Found {
    let inode = data.data();
    let kind = if inode.is_dir() { Kind::Directory } else { Kind::File };
    let size = if inode.is_dir() { 0 } else { inode.size() };
    let (seconds, nanoseconds) = inode.mtime();
    let modified_ns = seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds.into());
    Found { node: data.id().into(), kind, size, modified_ns }
}

/// Cuts a file so that nothing of what was behind the cut comes back when it grows: redoxfs leaves it in the last record, and keeps a last record
/// that was not full.
fn shrink<B: Blocks>(
    tx: &mut Transaction<'_, Journal<B>>,
    file: TreePtr<Inode>,
    size: u64,
    (seconds, nanoseconds): (u64, u32),
) -> error::Result<()> {
    let mut node = tx.read_tree(file)?;
    let (old, record) = (node.data().size(), node.data().record_level().bytes());
    let is_inline = node.data().has_inline_data();
    let whole = if is_inline { old } else { old.next_multiple_of(record) };
    let zeros_to = if is_inline { old } else { size.next_multiple_of(record).min(whole) };
    // Behind the old end the last record has only zeros, and counts as a whole one from here on.
    node.data_mut().set_size(whole);
    tx.sync_tree(node)?;
    let zeros = vec![0; usize::try_from(zeros_to.saturating_sub(size)).unwrap_or(0)];
    tx.write_node(file, size, &zeros, seconds, nanoseconds)?;
    tx.truncate_node(file, size, seconds, nanoseconds)
}

/// Empties a file that loses its last name or user, since redoxfs would keep the room of a last record that is not full.
fn empty<B: Blocks>(tx: &mut Transaction<'_, Journal<B>>, file: TreePtr<Inode>) -> error::Result<()> {
    if tx.read_tree(file)?.data().is_dir() { Ok(()) } else { shrink(tx, file, 0, (0, 0)) }
}

impl<B: Blocks> Store for Redox<B> {
    fn root(&self) -> Node {
        ROOT
    }

    fn found(&mut self, node: Node) -> Result<Found, Error> {
        self.change(|tx| tx.read_tree(ptr(node)).map(|data| describe(&data)))
    }

    fn lookup(&mut self, directory: Node, name: &str) -> Result<Found, Error> {
        self.change(|tx| tx.find_node(ptr(directory), name).map(|data| describe(&data)))
    }

    fn create(&mut self, directory: Node, name: &str, kind: Kind, now_ns: u64) -> Result<Found, Error> {
        let mode = if kind == Kind::Directory { Inode::MODE_DIR | 0o755 } else { Inode::MODE_FILE | 0o644 };
        let (seconds, nanoseconds) = time(now_ns);
        self.change(|tx| tx.create_node(ptr(directory), name, mode, seconds, nanoseconds).map(|data| describe(&data)))
    }

    fn remove(&mut self, directory: Node, name: &str) -> Result<(), Error> {
        let open = self.open_named(directory, name);
        self.unname(open, |tx| {
            let node = tx.find_node(ptr(directory), name)?;
            let mode = node.data().mode();
            if open.is_none() {
                empty(tx, node.ptr())?;
            }
            tx.remove_node(ptr(directory), name, mode).map(|_removed| ())
        })
    }

    fn rename(&mut self, from: (Node, &str), to: (Node, &str)) -> Result<(), Error> {
        let open = self.open_named(to.0, to.1);
        self.unname(open, |tx| {
            if let Ok(replaced) = tx.find_node(ptr(to.0), to.1)
                && open.is_none()
            {
                empty(tx, replaced.ptr())?;
            }
            tx.rename_node(ptr(from.0), from.1, ptr(to.0), to.1)
        })
    }

    fn read(&mut self, file: Node, offset: u64, data: &mut [u8]) -> Result<usize, Error> {
        self.change(|tx| {
            let node = tx.read_tree(ptr(file))?;
            tx.read_node_inner(&node, offset, data)
        })
    }

    fn write(&mut self, file: Node, offset: u64, data: &[u8], now_ns: u64) -> Result<(), Error> {
        let (seconds, nanoseconds) = time(now_ns);
        self.change(|tx| {
            let size = tx.read_tree(ptr(file))?.data().size();
            if offset > size {
                tx.truncate_node(ptr(file), offset, seconds, nanoseconds)?;
            }
            tx.write_node(ptr(file), offset, data, seconds, nanoseconds).map(|_len| ())
        })
    }

    fn set_size(&mut self, file: Node, size: u64, now_ns: u64) -> Result<(), Error> {
        if size > SIZE_MAX {
            return Err(Error::TooLarge);
        }
        let (seconds, nanoseconds) = time(now_ns);
        self.change(|tx| {
            if size < tx.read_tree(ptr(file))?.data().size() {
                shrink(tx, ptr(file), size, (seconds, nanoseconds))
            } else {
                tx.truncate_node(ptr(file), size, seconds, nanoseconds)
            }
        })
    }

    fn list(&mut self, directory: Node) -> Result<Vec<(String, Node)>, Error> {
        let mut entries = Vec::new();
        self.change(|tx| tx.child_nodes(ptr(directory), &mut entries))?;
        let named = entries.iter().filter_map(|entry| Some((entry.name()?.to_string(), entry.node_ptr().id().into())));
        Ok(named.collect())
    }

    /// redoxfs' own count of users, without a transaction, for which it would copy the list of what is free.
    fn open(&mut self, node: Node) {
        if let Ok(id) = u32::try_from(node) {
            let users = self.fs.node_usages.entry(id).or_insert(0);
            *users = users.saturating_add(1);
        }
    }

    /// Only a node without a name ends with its last user, and that needs a transaction.
    fn close(&mut self, node: Node) -> Result<(), Error> {
        let (id, users) = (u32::try_from(node).unwrap_or(0), self.users(node));
        // redoxfs counts the links of such a file in memory only.
        if users == 1 && self.nameless.remove(&node) {
            return self.change(|tx| {
                empty(tx, ptr(node))?;
                tx.on_close_node(ptr(node))
            });
        }
        if users > 1 {
            self.fs.node_usages.insert(id, users - 1);
        } else {
            self.fs.node_usages.remove(&id);
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.fs.disk.checkpoint().map_err(|DeviceError| Error::Broken)
    }

    /// A checkpoint of nothing does not ask the disk.
    fn is_sound(&mut self) -> bool {
        self.sync().is_ok() && self.fs.disk.device().flush().is_ok()
    }

    /// A write of one record takes up to 32 blocks side by side, and fewer than 64 single ones: those of the tree and of the list of free ones.
    fn may_wait(&self) -> bool {
        let sizes = (0_u32..).zip(self.fs.allocator().levels()).skip(ROOMY);
        sizes.map(|(level, starts)| (starts.len() as u64) << level).sum::<u64>() >= ROOM
    }

    fn settled(&mut self) {
        // What cannot be written is counted once more, as if this life had ended.
        let _unless_the_disk_failed = self.attempts.end(self.fs.disk.device());
    }

    fn is_untidy(&mut self, now_ns: u64) -> bool {
        self.trim.is_due(self.fs.disk.durable_free(), now_ns)
    }

    /// One run of free blocks is discarded, at most.
    fn tidy(&mut self, now_ns: u64) {
        let Some(mut within) = self.trim.next() else { return };
        while let Some(run) = self.fs.disk.unneeded(&within) {
            within.start = run.end;
            if run.end - run.start < RUN_MIN {
                continue;
            }
            if self.fs.disk.discard(run).is_err() {
                log::warn!("the disk discards nothing: what is freed on it is not told of any more");
                return self.trim.refused();
            }
            return self.trim.went_to(within.start, now_ns);
        }
        self.trim.went_to(within.end, now_ns);
    }

    fn capacity(&self) -> u64 {
        promised(self.fs.disk.count().saturating_mul(BLOCK as u64))
    }
}
