//! Files in memory, gone with fsd; bounded by the bytes that it may take.
use crate::store::{Found, Node, Store};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use hybrid_quota::counted;
use libhybrid::interfaces::fs::{Error, Kind};

const ROOT: Node = 1;

#[derive(Debug)]
enum Content {
    File(Vec<u8>),
    Directory(BTreeMap<String, Node>),
}

#[derive(Debug)]
struct Inode {
    content: Content,
    modified_ns: u64,
    has_name: bool,
    users: usize,
}

/// A store in memory.
#[derive(Debug)]
pub struct Memory {
    nodes: BTreeMap<Node, Inode>,
    next: Node,
    /// Bytes that files and names may take, counted as quotas are.
    capacity: u64,
    used: u64,
}

impl Memory {
    /// An empty store of at most `capacity` bytes.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        let root = Inode { content: Content::Directory(BTreeMap::new()), modified_ns: 0, has_name: true, users: 1 };
        Self { nodes: BTreeMap::from([(ROOT, root)]), next: ROOT + 1, capacity, used: 0 }
    }

    fn node(&mut self, node: Node) -> Result<&mut Inode, Error> {
        self.nodes.get_mut(&node).ok_or(Error::NotFound)
    }

    fn directory(&mut self, node: Node) -> Result<&mut BTreeMap<String, Node>, Error> {
        match &mut self.node(node)?.content {
            Content::Directory(names) => Ok(names),
            Content::File(_) => Err(Error::NotDirectory),
        }
    }

    fn file(&mut self, node: Node) -> Result<&mut Vec<u8>, Error> {
        match &mut self.node(node)?.content {
            Content::File(data) => Ok(data),
            Content::Directory(_) => Err(Error::IsDirectory),
        }
    }

    /// Counts a node that grows or shrinks between these sizes.
    fn charge(&mut self, old: u64, new: u64) -> Result<(), Error> {
        let used = self.used.saturating_add(new).saturating_sub(old);
        if new > old && used > self.capacity {
            return Err(Error::NoSpace);
        }
        self.used = used;
        Ok(())
    }

    fn drop_unused(&mut self, node: Node) {
        let is_unused = self.nodes.get(&node).is_some_and(|inode| !inode.has_name && inode.users == 0);
        if let Some(inode) = is_unused.then(|| self.nodes.remove(&node)).flatten() {
            let size = if let Content::File(data) = &inode.content { data.len() as u64 } else { 0 };
            self.used = self.used.saturating_sub(counted(size));
        }
    }

    fn unname(&mut self, node: Node) {
        if let Some(inode) = self.nodes.get_mut(&node) {
            inode.has_name = false;
        }
        self.drop_unused(node);
    }
}

impl Store for Memory {
    fn root(&self) -> Node {
        ROOT
    }

    fn found(&mut self, node: Node) -> Result<Found, Error> {
        let inode = self.node(node)?;
        let (kind, size) = match &inode.content {
            Content::File(data) => (Kind::File, data.len() as u64),
            Content::Directory(_) => (Kind::Directory, 0),
        };
        Ok(Found { node, kind, size, modified_ns: inode.modified_ns })
    }

    fn lookup(&mut self, directory: Node, name: &str) -> Result<Found, Error> {
        let node = *self.directory(directory)?.get(name).ok_or(Error::NotFound)?;
        self.found(node)
    }

    fn create(&mut self, directory: Node, name: &str, kind: Kind, now_ns: u64) -> Result<Found, Error> {
        self.directory(directory)?;
        self.charge(0, counted(0))?;
        let content = match kind {
            Kind::File => Content::File(Vec::new()),
            Kind::Directory => Content::Directory(BTreeMap::new()),
        };
        let node = self.next;
        self.next += 1;
        self.nodes.insert(node, Inode { content, modified_ns: now_ns, has_name: true, users: 0 });
        self.directory(directory)?.insert(name.to_string(), node);
        self.found(node)
    }

    fn remove(&mut self, directory: Node, name: &str) -> Result<(), Error> {
        let node = self.directory(directory)?.remove(name).ok_or(Error::NotFound)?;
        self.unname(node);
        Ok(())
    }

    fn rename(&mut self, from: (Node, &str), to: (Node, &str)) -> Result<(), Error> {
        self.directory(to.0)?;
        let node = self.directory(from.0)?.remove(from.1).ok_or(Error::NotFound)?;
        let replaced = self.directory(to.0)?.insert(to.1.to_string(), node);
        if let Some(replaced) = replaced.filter(|replaced| *replaced != node) {
            self.unname(replaced);
        }
        Ok(())
    }

    fn read(&mut self, file: Node, offset: u64, data: &mut [u8]) -> Result<usize, Error> {
        let content = self.file(file)?;
        let from = usize::try_from(offset).map_or(content.len(), |offset| offset.min(content.len()));
        let len = data.len().min(content.len() - from);
        data[..len].copy_from_slice(&content[from..from + len]);
        Ok(len)
    }

    fn write(&mut self, file: Node, offset: u64, data: &[u8], now_ns: u64) -> Result<(), Error> {
        let end = offset.checked_add(data.len() as u64).ok_or(Error::TooLarge)?;
        if end > self.file(file)?.len() as u64 {
            self.set_size(file, end, now_ns)?;
        }
        let from = usize::try_from(offset).map_err(|_| Error::TooLarge)?;
        self.file(file)?[from..from + data.len()].copy_from_slice(data);
        self.node(file)?.modified_ns = now_ns;
        Ok(())
    }

    fn set_size(&mut self, file: Node, size: u64, now_ns: u64) -> Result<(), Error> {
        let old = self.file(file)?.len() as u64;
        self.charge(counted(old), counted(size))?;
        let size = usize::try_from(size).map_err(|_| Error::TooLarge)?;
        let content = self.file(file)?;
        if content.try_reserve(size.saturating_sub(content.len())).is_err() {
            self.charge(counted(size as u64), counted(old))?;
            return Err(Error::NoSpace);
        }
        content.resize(size, 0);
        self.node(file)?.modified_ns = now_ns;
        Ok(())
    }

    fn list(&mut self, directory: Node) -> Result<Vec<(String, Node)>, Error> {
        Ok(self.directory(directory)?.iter().map(|(name, node)| (name.clone(), *node)).collect())
    }

    fn open(&mut self, node: Node) {
        if let Some(inode) = self.nodes.get_mut(&node) {
            inode.users += 1;
        }
    }

    fn close(&mut self, node: Node) -> Result<(), Error> {
        let inode = self.node(node)?;
        inode.users = inode.users.saturating_sub(1);
        self.drop_unused(node);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn capacity(&self) -> u64 {
        self.capacity
    }
}
