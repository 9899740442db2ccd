//! Keeps what a store answered last, since one on a disk walks its tree for each question; joins small writes.
//!
//! INV-CACHE-1: what is kept of a node and of a name is what the store would answer now. Whatever changes a node forgets it first, also when the
//! change then fails; a number is given to another node by `create` only, whose answer replaces what was known: an empty file, of which no chunk is read.
//! Of a file of which writes wait, `row.rs` knows better: it is asked first.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::row::Row;
use crate::store::{Found, Node, Store};
use libhybrid::interfaces::fs::{Error, Kind};
use libhybrid::log;

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
    /// The writes that wait.
    row: Option<Row>,
    /// Files of which writes were lost that nobody was told of yet.
    lost: Recent<Node, (), NODES>,
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
        let (nodes, names, chunks) = (Recent::new(), Recent::new(), Recent::new());
        Self { store, nodes, names, chunks, row: None, lost: Recent::new() }
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

    /// What a node is, if writes to it wait.
    fn found_in_row(&self, node: Node) -> Option<Found> {
        self.row.as_ref().filter(|row| row.is_of(node)).and_then(Row::found)
    }

    /// Lets a write wait, if it goes on with those before.
    fn put_off(&mut self, file: Node, offset: u64, data: &[u8], now_ns: u64) -> Result<bool, Error> {
        if !self.row.as_ref().is_some_and(|row| row.is_of(file)) || !self.store.may_wait() {
            return Ok(false);
        }
        let found = self.found(file)?;
        let end = offset.saturating_add(data.len() as u64);
        let found = Found { size: found.size.max(end), modified_ns: now_ns, ..found };
        Ok(self.row.as_mut().is_some_and(|row| row.take(offset, data, found)))
    }

    /// Gives the store the writes that wait. Where the disk fails they go on waiting, and so does everything that comes after them; what fails twice
    /// on a disk that works otherwise is lost, and only its file's users are told (INV-ROW-3).
    fn catch_up(&mut self) -> Result<(), Error> {
        let Some(mut row) = self.row.take() else { return Ok(()) };
        if let Some((file, at, data, now_ns)) = row.waiting() {
            self.forget(file);
            if let Err(error) = self.store.write(file, at, data, now_ns) {
                // Any other failure is excluded (INV-ROW-2) but for a file that ended while the disk failed, and would not go away.
                if error != Error::Broken || (row.refused() && self.store.is_sound()) {
                    self.lose(row.file(), error);
                    return Ok(());
                }
                self.row = Some(row);
                return Err(Error::Broken);
            }
            row.written();
        }
        self.row = Some(row);
        Ok(())
    }

    fn lose(&mut self, file: Node, error: Error) {
        log::error!("writes to the file {file} are lost: {error:?}");
        self.lost.forget(|kept| *kept == file);
        self.lost.keep(file, ());
    }

    /// Fails if writes to the file were lost, once.
    fn tell_lost(&mut self, file: Node) -> Result<(), Error> {
        if self.has_lost(file) { Err(Error::Broken) } else { Ok(()) }
    }

    /// The row ends: something else is about to change.
    fn end_row(&mut self) -> Result<(), Error> {
        self.catch_up()?;
        self.row = None;
        Ok(())
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
        if let Some(found) = self.found_in_row(node) {
            return Ok(found);
        }
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
        Ok(self.found_in_row(found.node).unwrap_or_else(|| self.know(found)))
    }

    fn create(&mut self, directory: Node, name: &str, kind: Kind, now_ns: u64) -> Result<Found, Error> {
        self.end_row()?;
        self.forget(directory);
        let found = self.store.create(directory, name, kind, now_ns)?;
        // Of an earlier node of that number.
        self.lost.forget(|kept| *kept == found.node);
        self.names.keep((directory, name.to_string()), found.node);
        Ok(self.know(found))
    }

    fn remove(&mut self, directory: Node, name: &str) -> Result<(), Error> {
        self.end_row()?;
        self.forget_all();
        self.store.remove(directory, name)
    }

    fn rename(&mut self, from: (Node, &str), to: (Node, &str)) -> Result<(), Error> {
        self.end_row()?;
        self.forget_all();
        self.store.rename(from, to)
    }

    fn read(&mut self, file: Node, offset: u64, data: &mut [u8]) -> Result<usize, Error> {
        if let Some(row) = self.row.as_ref().filter(|row| row.is_of(file)) {
            if let Some(len) = row.read(offset, data) {
                return Ok(len);
            }
            self.catch_up()?;
        }
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
        if self.put_off(file, offset, data, now_ns)? {
            return Ok(());
        }
        self.catch_up()?;
        self.tell_lost(file)?;
        // What was too much for one row begins the next.
        if self.put_off(file, offset, data, now_ns)? {
            return Ok(());
        }
        self.row = None;
        self.forget(file);
        self.store.write(file, offset, data, now_ns)?;
        self.row = (!data.is_empty()).then(|| Row::after(file, offset.saturating_add(data.len() as u64)));
        Ok(())
    }

    fn set_size(&mut self, file: Node, size: u64, now_ns: u64) -> Result<(), Error> {
        self.end_row()?;
        self.tell_lost(file)?;
        self.forget(file);
        self.store.set_size(file, size, now_ns)
    }

    fn list(&mut self, directory: Node) -> Result<Vec<(String, Node)>, Error> {
        self.store.list(directory)
    }

    fn open(&mut self, node: Node) {
        self.store.open(node);
    }

    /// It is closed in any case; the last user's close may end the node.
    fn close(&mut self, node: Node) -> Result<(), Error> {
        let is_of_row = self.row.as_ref().is_some_and(|row| row.is_of(node));
        let written = if is_of_row { self.end_row() } else { Ok(()) };
        self.store.close(node).and(written).and(self.tell_lost(node))
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.catch_up()?;
        self.store.sync()
    }

    fn has_lost(&mut self, file: Node) -> bool {
        let is_lost = self.lost.get(|kept| *kept == file).is_some();
        self.lost.forget(|kept| *kept == file);
        is_lost
    }

    fn is_sound(&mut self) -> bool {
        self.store.is_sound()
    }

    fn may_wait(&self) -> bool {
        self.store.may_wait()
    }

    fn settled(&mut self) {
        self.store.settled();
    }

    fn is_untidy(&mut self, now_ns: u64) -> bool {
        self.store.is_untidy(now_ns)
    }

    fn tidy(&mut self, now_ns: u64) {
        self.store.tidy(now_ns);
    }

    fn capacity(&self) -> u64 {
        self.store.capacity()
    }
}
