//! Keeps what a store answered last, since one on a disk walks through its tree for each question; holds no write back.
//!
//! INV-CACHE-1: what is kept of a node and of a name is what the store would answer now. Whatever changes a node forgets it first, also when the
//! change then fails; a number is given to another node by `create` only, whose answer replaces what was known: an empty file, of which no chunk is read.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::store::{Found, Node, Store};
use libhybrid::interfaces::fs::{Error, Kind};

/// Bytes of a file that are kept together: redoxfs' record, which it reads and checks as a whole whatever is asked of it.
pub(crate) const CHUNK: usize = 128 << 10;
/// So many of them, so many nodes and names; the one that was used longest ago makes room.
pub(crate) const CHUNKS: usize = 4;
const NODES: usize = 64;
const NAMES: usize = 64;

/// A store that remembers.
#[derive(Debug)]
pub struct Cached<S> {
    store: S,
    nodes: Recent<Node, Found, NODES>,
    names: Recent<(Node, String), Node, NAMES>,
    /// By node and number; only the last of a file is shorter.
    chunks: Recent<(Node, u64), Vec<u8>, CHUNKS>,
}

/// At most `MOST` things, the one that was used last at the end.
#[derive(Debug)]
struct Recent<K, V, const MOST: usize>(Vec<(K, V)>);

impl<K, V, const MOST: usize> Recent<K, V, MOST> {
    fn new() -> Self {
        Self(Vec::with_capacity(MOST))
    }

    fn get(&mut self, is_it: impl Fn(&K) -> bool) -> Option<&V> {
        let place = self.0.iter().rposition(|(key, _)| is_it(key))?;
        // What is in the younger half stays where it is: it will not have to make room soon.
        if place >= self.0.len() / 2 {
            return self.0.get(place).map(|(_, value)| value);
        }
        self.0.get_mut(place..)?.rotate_left(1);
        self.0.last().map(|(_, value)| value)
    }

    /// The key is not kept yet.
    fn keep(&mut self, key: K, value: V) -> &V {
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push((key, value));
        let last = self.0.len() - 1;
        &self.0[last].1
    }

    fn forget(&mut self, is_it: impl Fn(&K) -> bool) {
        self.0.retain(|(key, _)| !is_it(key));
    }
}

impl<S: Store> Cached<S> {
    /// A store of which nothing is kept yet.
    pub fn new(store: S) -> Self {
        Self { store, nodes: Recent::new(), names: Recent::new(), chunks: Recent::new() }
    }

    fn forget(&mut self, node: Node) {
        self.nodes.forget(|kept| *kept == node);
        self.chunks.forget(|(kept, _)| *kept == node);
    }

    fn forget_all(&mut self) {
        self.nodes.0.clear();
        self.names.0.clear();
        self.chunks.0.clear();
    }

    fn know(&mut self, found: Found) -> Found {
        self.nodes.forget(|kept| *kept == found.node);
        self.nodes.keep(found.node, found);
        found
    }

    /// Chunk `number` of a file that is so long; none if there is no memory to keep it.
    fn chunk(&mut self, file: Node, number: u64, size: u64) -> Result<Option<&[u8]>, Error> {
        let is_it = |kept: &(Node, u64)| *kept == (file, number);
        if self.chunks.get(is_it).is_some() {
            return Ok(self.chunks.get(is_it).map(Vec::as_slice));
        }
        let start = number.saturating_mul(CHUNK as u64);
        let len = usize::try_from(size.saturating_sub(start)).unwrap_or(CHUNK).min(CHUNK);
        let mut data = Vec::new();
        if data.try_reserve_exact(len).is_err() {
            return Ok(None);
        }
        data.resize(len, 0);
        let read = self.store.read(file, start, &mut data)?;
        data.truncate(read);
        Ok(Some(self.chunks.keep((file, number), data)))
    }
}

impl<S: Store> Store for Cached<S> {
    fn root(&self) -> Node {
        self.store.root()
    }

    fn found(&mut self, node: Node) -> Result<Found, Error> {
        if let Some(found) = self.nodes.get(|kept| *kept == node) {
            return Ok(*found);
        }
        self.store.found(node).map(|found| self.know(found))
    }

    fn lookup(&mut self, directory: Node, name: &str) -> Result<Found, Error> {
        if let Some(node) = self.names.get(|(above, kept)| *above == directory && kept == name) {
            let node = *node;
            return self.found(node);
        }
        let found = self.store.lookup(directory, name)?;
        self.names.keep((directory, name.to_string()), found.node);
        Ok(self.know(found))
    }

    fn create(&mut self, directory: Node, name: &str, kind: Kind, now_ns: u64) -> Result<Found, Error> {
        self.forget(directory);
        let found = self.store.create(directory, name, kind, now_ns)?;
        self.names.keep((directory, name.to_string()), found.node);
        Ok(self.know(found))
    }

    fn remove(&mut self, directory: Node, name: &str) -> Result<(), Error> {
        self.forget_all();
        self.store.remove(directory, name)
    }

    fn rename(&mut self, from: (Node, &str), to: (Node, &str)) -> Result<(), Error> {
        self.forget_all();
        self.store.rename(from, to)
    }

    fn read(&mut self, file: Node, offset: u64, data: &mut [u8]) -> Result<usize, Error> {
        let size = self.found(file)?.size;
        let mut done = 0;
        while done < data.len() {
            let at = offset.saturating_add(done as u64);
            if at >= size {
                break;
            }
            let Some(chunk) = self.chunk(file, at / CHUNK as u64, size)? else {
                return self.store.read(file, offset, data);
            };
            let rest = usize::try_from(at % CHUNK as u64).ok().and_then(|within| chunk.get(within..));
            let rest = rest.unwrap_or_default();
            let len = rest.len().min(data.len() - done);
            if len == 0 {
                break;
            }
            data[done..done + len].copy_from_slice(&rest[..len]);
            done += len;
        }
        Ok(done)
    }

    fn write(&mut self, file: Node, offset: u64, data: &[u8], now_ns: u64) -> Result<(), Error> {
        self.forget(file);
        self.store.write(file, offset, data, now_ns)
    }

    fn set_size(&mut self, file: Node, size: u64, now_ns: u64) -> Result<(), Error> {
        self.forget(file);
        self.store.set_size(file, size, now_ns)
    }

    fn list(&mut self, directory: Node) -> Result<Vec<(String, Node)>, Error> {
        self.store.list(directory)
    }

    fn open(&mut self, node: Node) {
        self.store.open(node);
    }

    fn close(&mut self, node: Node) -> Result<(), Error> {
        self.store.close(node)
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.store.sync()
    }

    fn settled(&mut self) {
        self.store.settled();
    }

    fn capacity(&self) -> u64 {
        self.store.capacity()
    }
}
