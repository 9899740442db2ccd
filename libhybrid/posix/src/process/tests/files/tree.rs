//! A file server as hybrid.fs describes it, in a test's memory: honest, away, full, or telling what cannot be.
use crate::files::{
    At, CHUNK_MAX, Creation, INLINE_MAX, Kind, Lock, PATH_MAX, RECORDS_MAX, Status, TRANSFER_MAX, Tree,
};
use crate::number::Errno;
use std::collections::{BTreeMap, VecDeque};

/// What is not as the interface says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::process::tests) enum Lie {
    MoreThanAsked,
    LessThanSaid,
    RecordTooLong,
    EmptyRecords,
    WrongEnd,
    SameNameAgain,
    NameWithSlash,
    TooManyEntries,
    HugeSize,
    DirectoryToWrite,
}

#[derive(Default)]
pub(in crate::process::tests) struct FakeTree {
    nodes: BTreeMap<u64, Node>,
    open: BTreeMap<u32, Opened>,
    last: u64,
    life: u32,
    outgoing: VecDeque<Vec<u8>>,
    incoming: Vec<u8>,
    entries: VecDeque<(String, Kind, u64)>,
    pub(super) is_read_only: bool,
    pub(in crate::process::tests) is_away: bool,
    pub(super) is_abandoned: bool,
    pub(in crate::process::tests) lie: Option<Lie>,
    /// Bytes of all files together.
    pub(in crate::process::tests) quota: Option<usize>,
    pub(super) syncs: u32,
}

enum Node {
    File(Vec<u8>),
    Directory(BTreeMap<String, u64>),
}

struct Opened {
    node: u64,
    is_writable: bool,
    lock: Lock,
}

const ROOT: u64 = 1;

impl FakeTree {
    pub(super) fn new() -> Self {
        let nodes = BTreeMap::from([(ROOT, Node::Directory(BTreeMap::new()))]);
        Self { nodes, last: ROOT, ..Self::default() }
    }

    /// A new life: all that was open is forgotten.
    pub(super) fn restart(&mut self) {
        (self.life, self.is_away) = (self.life + 1, false);
        (self.open, self.outgoing, self.incoming, self.entries) = Default::default();
    }

    pub(in crate::process::tests) fn open_count(&self) -> usize {
        self.open.len()
    }

    /// Somebody else locks what is at a path.
    pub(super) fn lock_elsewhere(&mut self, path: &str, lock: Lock) {
        let node = self.walk(path).unwrap();
        self.open.insert(900, Opened { node, is_writable: true, lock });
    }

    pub(super) fn unlock_elsewhere(&mut self) {
        self.open.remove(&900);
    }

    pub(super) fn strongest(&self, path: &str) -> Lock {
        let node = self.walk(path).unwrap();
        let own = self.open.iter().filter(|(number, opened)| **number != 900 && opened.node == node);
        own.map(|(_, opened)| opened.lock).max().unwrap_or(Lock::None)
    }

    /// All files and directories, with content.
    pub(in crate::process::tests) fn all(&self) -> BTreeMap<String, Option<Vec<u8>>> {
        let mut found = BTreeMap::new();
        let mut left = vec![(String::new(), ROOT)];
        while let Some((path, node)) = left.pop() {
            match &self.nodes[&node] {
                Node::File(data) => _ = found.insert(path, Some(data.clone())),
                Node::Directory(names) => {
                    left.extend(names.iter().map(|(name, node)| (format!("{path}/{name}"), *node)));
                    found.insert(path, None);
                }
            }
        }
        found
    }

    fn here(&self) -> Result<(), Errno> {
        if self.is_away { Err(Errno::EIO) } else { Ok(()) }
    }

    fn change(&self) -> Result<(), Errno> {
        self.here()?;
        if self.is_read_only { Err(Errno::EROFS) } else { Ok(()) }
    }

    fn names(&self, node: u64) -> Result<&BTreeMap<String, u64>, Errno> {
        match &self.nodes[&node] {
            Node::Directory(names) => Ok(names),
            Node::File(_) => Err(Errno::ENOTDIR),
        }
    }

    fn walk(&self, path: &str) -> Result<u64, Errno> {
        assert!(path.len() <= PATH_MAX && !path.starts_with('/') && !path.ends_with('/'), "{path:?}");
        let names = path.split('/').filter(|_| !path.is_empty());
        names
            .inspect(|name| assert!(!matches!(*name, "" | "." | ".."), "{path:?}"))
            .try_fold(ROOT, |node, name| self.names(node)?.get(name).copied().ok_or(Errno::ENOENT))
    }

    fn parent<'a>(&self, path: &'a str) -> Result<(u64, &'a str), Errno> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        assert!(!name.is_empty());
        let directory = self.walk(directory)?;
        self.names(directory)?;
        Ok((directory, name))
    }

    fn names_mut(&mut self, node: u64) -> &mut BTreeMap<String, u64> {
        match self.nodes.get_mut(&node) {
            Some(Node::Directory(names)) => names,
            _ => panic!("no directory"),
        }
    }

    fn make(&mut self, directory: u64, name: &str, node: Node) -> u64 {
        self.last += 1;
        self.nodes.insert(self.last, node);
        let last = self.last;
        self.names_mut(directory).insert(name.into(), last);
        last
    }

    fn status_of(&self, node: u64) -> Status {
        let (kind, size) = match &self.nodes[&node] {
            Node::File(_) if self.lie == Some(Lie::HugeSize) => (Kind::File, u64::MAX),
            Node::File(data) => (Kind::File, data.len() as u64),
            Node::Directory(_) => (Kind::Directory, 0),
        };
        Status { kind, size, allocated: size.div_ceil(4096).saturating_mul(4096), modified_ns: 5_000_000_001, id: node }
    }

    fn keep(&mut self, node: u64, is_writable: bool) -> Result<(u32, Status), Errno> {
        let number = (0..64).map(|slot| self.life << 16 | slot).find(|number| !self.open.contains_key(number));
        let number = number.ok_or(Errno::EMFILE)?;
        self.open.insert(number, Opened { node, is_writable, lock: Lock::None });
        Ok((number, self.status_of(node)))
    }

    fn opened(&self, file: u32) -> Result<&Opened, Errno> {
        self.here()?;
        self.open.get(&file).ok_or(Errno::EIO)
    }

    fn data(&self, file: u32) -> Result<&Vec<u8>, Errno> {
        match &self.nodes[&self.opened(file)?.node] {
            Node::File(data) => Ok(data),
            Node::Directory(_) => Err(Errno::EISDIR),
        }
    }

    fn resize(&mut self, file: u32, size: usize) -> Result<&mut Vec<u8>, Errno> {
        let opened = self.opened(file)?;
        if !opened.is_writable {
            return Err(Errno::EBADF);
        }
        let node = opened.node;
        let others = self.nodes.iter().filter(|(other, _)| **other != node);
        let used: usize = others.map(|(_, node)| if let Node::File(data) = node { data.len() } else { 0 }).sum();
        if self.quota.is_some_and(|quota| used + size > quota) {
            return Err(Errno::ENOSPC);
        }
        match self.nodes.get_mut(&node) {
            Some(Node::File(data)) => Ok(data),
            _ => panic!("no file"),
        }
    }

    fn store(&mut self, file: u32, at: At, bytes: &[u8]) -> Result<u64, Errno> {
        let size = self.data(file)?.len();
        let start = match at {
            At::Offset(offset) => usize::try_from(offset).unwrap(),
            At::End => size,
        };
        let end = start + bytes.len();
        let data = self.resize(file, end.max(size))?;
        data.resize(end.max(size), 0);
        data[start..end].copy_from_slice(bytes);
        Ok(if self.lie == Some(Lie::WrongEnd) { 1 } else { end as u64 })
    }

    fn piece(&self, file: u32, offset: u64, len: usize) -> Result<Vec<u8>, Errno> {
        let data = self.data(file)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
        Ok(data[start..data.len().min(start.saturating_add(len))].to_vec())
    }

    fn take_away(&mut self, path: &str, is_right: fn(&Node) -> Result<(), Errno>) -> Result<(), Errno> {
        self.change()?;
        let (directory, name) = self.parent(path)?;
        let node = *self.names(directory)?.get(name).ok_or(Errno::ENOENT)?;
        is_right(&self.nodes[&node])?;
        self.names_mut(directory).remove(name);
        Ok(())
    }
}

impl Tree for FakeTree {
    fn is_read_only(&mut self) -> bool {
        self.is_read_only
    }

    fn open(&mut self, path: &str) -> Result<(u32, Status), Errno> {
        self.here()?;
        self.keep(self.walk(path)?, false)
    }

    fn open_to_write(&mut self, path: &str, creation: Creation, is_emptied: bool) -> Result<(u32, Status), Errno> {
        self.change()?;
        if path.is_empty() {
            return Err(Errno::EISDIR);
        }
        let (directory, name) = self.parent(path)?;
        let node = match (self.names(directory)?.get(name).copied(), creation) {
            (Some(_), Creation::Always) => return Err(Errno::EEXIST),
            (Some(node), _) => node,
            (None, Creation::Never) => return Err(Errno::ENOENT),
            (None, _) => self.make(directory, name, Node::File(Vec::new())),
        };
        match self.nodes.get_mut(&node) {
            Some(Node::File(data)) if is_emptied => data.clear(),
            Some(Node::File(_)) => {}
            _ => return Err(Errno::EISDIR),
        }
        let node = if self.lie == Some(Lie::DirectoryToWrite) { ROOT } else { node };
        self.keep(node, true)
    }

    fn close(&mut self, file: u32) {
        self.open.remove(&file);
    }

    fn status(&mut self, file: u32) -> Result<Status, Errno> {
        Ok(self.status_of(self.opened(file)?.node))
    }

    fn find(&mut self, path: &str) -> Result<Status, Errno> {
        self.here()?;
        Ok(self.status_of(self.walk(path)?))
    }

    fn get(&mut self, file: u32, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        assert!(into.len() <= INLINE_MAX);
        let piece = self.piece(file, offset, into.len())?;
        into[..piece.len()].copy_from_slice(&piece);
        Ok(if self.lie == Some(Lie::MoreThanAsked) { into.len() + 1 } else { piece.len() })
    }

    fn read(&mut self, file: u32, offset: u64, len: u32) -> Result<u32, Errno> {
        assert!(len as usize <= TRANSFER_MAX && self.outgoing.is_empty());
        let piece = self.piece(file, offset, len as usize)?;
        self.outgoing.extend(piece.chunks(CHUNK_MAX).map(Vec::from));
        match self.lie {
            Some(Lie::MoreThanAsked) => return Ok(len + 1),
            Some(Lie::LessThanSaid) => _ = self.outgoing.pop_back(),
            Some(Lie::RecordTooLong) => self.outgoing.push_front(vec![0xee; CHUNK_MAX]),
            Some(Lie::EmptyRecords) => self.outgoing.extend(vec![Vec::new(); 1000]),
            _ => {}
        }
        if self.lie == Some(Lie::EmptyRecords) {
            self.outgoing.rotate_right(1000);
        }
        Ok(piece.len() as u32)
    }

    fn pop(&mut self, into: &mut Vec<u8>) -> Result<bool, Errno> {
        let record = self.outgoing.pop_front();
        let is_there = record.is_some();
        *into = record.unwrap_or_default();
        Ok(is_there)
    }

    fn put(&mut self, file: u32, at: At, data: &[u8]) -> Result<u64, Errno> {
        assert!(data.len() <= INLINE_MAX);
        self.change()?;
        self.store(file, at, data)
    }

    fn push(&mut self, data: &[u8]) -> Result<(), Errno> {
        assert!(data.len() <= CHUNK_MAX && !data.is_empty());
        self.incoming.extend_from_slice(data);
        Ok(())
    }

    fn write(&mut self, file: u32, at: At, len: u32) -> Result<u64, Errno> {
        self.change()?;
        let data = std::mem::take(&mut self.incoming);
        assert!(data.len() == len as usize && data.len() <= TRANSFER_MAX);
        self.store(file, at, &data)
    }

    fn set_size(&mut self, file: u32, size: u64) -> Result<(), Errno> {
        self.change()?;
        let size = usize::try_from(size).map_err(|_| Errno::EFBIG)?;
        self.resize(file, size)?.resize(size, 0);
        Ok(())
    }

    fn list(&mut self, file: u32, after: &str) -> Result<u16, Errno> {
        let names = self.names(self.opened(file)?.node)?;
        // Fewer than there is room for, so that the end is asked for.
        let next = names.iter().filter(|(name, _)| name.as_str() > after).take(RECORDS_MAX - 3);
        let mut entries: VecDeque<_> =
            next.map(|(name, node)| (name.clone(), self.status_of(*node).kind, *node)).collect();
        match self.lie {
            Some(Lie::SameNameAgain) => entries = VecDeque::from([("a".into(), Kind::File, 9)]),
            Some(Lie::NameWithSlash) => entries = VecDeque::from([("../a".into(), Kind::File, 9)]),
            Some(Lie::TooManyEntries) => {
                entries = (0..900).map(|at| (format!("{at:04}"), Kind::File, 9)).collect();
            }
            _ => {}
        }
        self.entries = entries;
        Ok(self.entries.len() as u16)
    }

    fn entry(&mut self, name: &mut String) -> Result<Option<(Kind, u64)>, Errno> {
        let entry = self.entries.pop_front();
        Ok(entry.map(|(own, kind, id)| {
            *name = own;
            (kind, id)
        }))
    }

    fn abandon(&mut self) {
        self.is_abandoned = true;
        (self.outgoing, self.entries) = Default::default();
    }

    fn make_directory(&mut self, path: &str) -> Result<(), Errno> {
        self.change()?;
        let (directory, name) = self.parent(path)?;
        if self.names(directory)?.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        self.make(directory, name, Node::Directory(BTreeMap::new()));
        Ok(())
    }

    fn remove_file(&mut self, path: &str) -> Result<(), Errno> {
        self.take_away(path, |node| if matches!(node, Node::File(_)) { Ok(()) } else { Err(Errno::EISDIR) })
    }

    fn remove_directory(&mut self, path: &str) -> Result<(), Errno> {
        self.take_away(path, |node| match node {
            Node::File(_) => Err(Errno::ENOTDIR),
            Node::Directory(names) if names.is_empty() => Ok(()),
            Node::Directory(_) => Err(Errno::ENOTEMPTY),
        })
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), Errno> {
        self.change()?;
        let (directory, name) = self.parent(from)?;
        let (other, new) = self.parent(to)?;
        let moved = *self.names(directory)?.get(name).ok_or(Errno::ENOENT)?;
        if to.strip_prefix(from).is_some_and(|rest| rest.starts_with('/')) {
            return Err(Errno::EINVAL);
        }
        match self.names(other)?.get(new) {
            Some(old) if *old == moved => return Ok(()),
            Some(old) => match (&self.nodes[&moved], &self.nodes[old]) {
                (Node::File(_), Node::Directory(_)) => return Err(Errno::EISDIR),
                (Node::Directory(_), Node::File(_)) => return Err(Errno::ENOTDIR),
                (_, Node::Directory(names)) if !names.is_empty() => return Err(Errno::ENOTEMPTY),
                _ => {}
            },
            None => {}
        }
        self.names_mut(directory).remove(name);
        self.names_mut(other).insert(new.into(), moved);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Errno> {
        self.syncs += 1;
        self.here()
    }

    fn lock(&mut self, file: u32, lock: Lock) -> Result<(), Errno> {
        let node = self.opened(file)?.node;
        let others = self.open.iter().filter(|(number, other)| **number != file && other.node == node);
        let strongest = others.map(|(_, other)| other.lock).max().unwrap_or(Lock::None);
        if lock != Lock::None && strongest.max(lock) == Lock::Exclusive && strongest != Lock::None {
            return Err(Errno::EAGAIN);
        }
        self.open.get_mut(&file).unwrap().lock = lock;
        Ok(())
    }

    fn space(&mut self) -> Result<(u64, u64), Errno> {
        self.here()?;
        Ok((1 << 20, 1 << 18))
    }
}
