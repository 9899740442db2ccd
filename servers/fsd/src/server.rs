//! The Files interface over stores: sessions, their roots, open files, quotas, locks; knows no disk and no bells.
//!
//! INV-ROOT-1: a session reaches a node only by names from its root downward, or by a number that it was given for such a node. Stores have no
//! links, and names are plain (`path.rs`), so nothing leads out.
mod open;
mod session;

use crate::path::Path;
use crate::store::{Found, Node, SIZE_MAX, Store};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use hybrid_quota::counted;
use libhybrid::interfaces::fs::{
    CHUNK_MAX, Creation, ENTRIES_MAX, Entry, Error, Files, FilesOpen, FilesOpenToWrite, FilesServerRings, FilesSpace,
    INLINE_MAX, Kind, Lock, Status, TRANSFER_MAX,
};
use libhybrid::ipc::ClientId;
use libhybrid::log;
use open::Open;
use session::{Grant, Session};

/// All sessions, and the stores that their routes' prefixes begin with.
pub struct Server {
    mounts: Vec<(&'static str, Box<dyn Store>)>,
    sessions: Vec<Session>,
    /// Nodes without a name that are still open, and the session that is charged for each.
    orphans: Vec<(usize, Node, usize)>,
    /// Of this life of the server; it is in the numbers of open files.
    generation: u16,
    now_ns: fn() -> u64,
}

/// Where a path leads: the nodes on the way, and the last one.
struct Place {
    way: Vec<Node>,
    found: Found,
}

impl Server {
    /// A server of `mounts`: `data` is what prefixes `/data…` mean.
    #[must_use]
    pub fn new(mounts: Vec<(&'static str, Box<dyn Store>)>, generation: u16, now_ns: fn() -> u64) -> Self {
        Self { mounts, sessions: Vec::new(), orphans: Vec::new(), generation, now_ns }
    }

    /// A client's session begins: `prefix` is its directory, which is made if it is not there. What an earlier life of the client had open is closed.
    pub fn begin(
        &mut self,
        client: ClientId,
        prefix: Option<&str>,
        quota: u64,
        files_max: Option<u16>,
        rings: Option<FilesServerRings>,
    ) {
        self.end(client);
        if let Some(session) = self.sessions.iter_mut().find(|session| session.client == client) {
            session.rings = rings;
            return;
        }
        let grant = prefix.map_or(Err(Error::NotFound), |prefix| self.grant(prefix));
        let prefix: String = prefix.unwrap_or_default().into();
        if grant.as_ref().err() == Some(&Error::NoMedium) {
            log::info!("instance {} has nothing at {prefix} until there is a disk", client.instance);
        } else if let Err(error) = &grant {
            log::error!("instance {} cannot have {prefix}: {error:?}", client.instance);
        }
        self.suspect_others(&prefix);
        self.sessions.push(Session::new(client, prefix, grant, quota, files_max, rings));
        self.warn_of_promises();
    }

    /// Directories may have been made below others' ones.
    fn suspect_others(&mut self, prefix: &str) {
        self.sessions.iter_mut().for_each(|other| other.suspect(prefix));
    }

    /// A store comes later than the server: who has a part of it and waits, has it from now on. It is not [settled](Self::settled) by that.
    pub fn mount(&mut self, name: &'static str, store: Box<dyn Store>) {
        self.mounts.push((name, store));
        for index in 0..self.sessions.len() {
            let session = &self.sessions[index];
            if session.grant.is_none() && session.refused == Error::NoMedium {
                let prefix = session.prefix.clone();
                match self.grant(&prefix) {
                    Ok(grant) => self.sessions[index].grant = Some(grant),
                    Err(error) => self.sessions[index].refused = error,
                }
                self.suspect_others(&prefix);
            }
        }
        self.warn_of_promises();
    }

    /// Every session of the start has begun.
    pub fn settled(&mut self) {
        self.mounts.iter_mut().for_each(|(_, store)| store.settled());
    }

    /// Whether a store has work that nobody waits for.
    #[must_use]
    pub fn is_untidy(&mut self) -> bool {
        let now = (self.now_ns)();
        self.mounts.iter_mut().any(|(_, store)| store.is_untidy(now))
    }

    /// Does a bounded part of it.
    pub fn tidy(&mut self) {
        let now = (self.now_ns)();
        if let Some((_, store)) = self.mounts.iter_mut().find_map(|mount| mount.1.is_untidy(now).then_some(mount)) {
            store.tidy(now);
        }
    }

    /// A client is gone: its files are closed, its locks are free.
    pub fn end(&mut self, client: ClientId) {
        let Some(index) = self.sessions.iter().position(|session| session.client == client) else { return };
        for slot in 0..self.sessions[index].files.len() {
            let _was_open = self.close_slot(index, slot);
        }
        self.sessions[index].rings = None;
    }

    /// The directory that a prefix names, made if need be.
    fn grant(&mut self, prefix: &str) -> Result<Grant, Error> {
        let path = Path::new(prefix.trim_matches('/'))?;
        let mut names = path.names();
        let mount = names.next().and_then(|name| self.mounts.iter().position(|(mount, _)| *mount == name));
        let mount = mount.ok_or(Error::NoMedium)?;
        let now = (self.now_ns)();
        let store = &mut self.mounts[mount].1;
        let mut way = alloc::vec![store.root()];
        for name in names {
            let above = *way.last().unwrap_or(&0);
            let found = match store.lookup(above, name) {
                Err(Error::NotFound) => store.create(above, name, Kind::Directory, now)?,
                found => found?,
            };
            if found.kind != Kind::Directory {
                return Err(Error::NotDirectory);
            }
            way.push(found.node);
        }
        let root = *way.last().unwrap_or(&0);
        store.open(root);
        let used = used_below(&mut **store, root)?;
        Ok(Grant { mount, root, way, used, is_stale: false })
    }

    /// Quotas are promises; together they may be more than there is.
    fn warn_of_promises(&self) {
        for (mount, (name, store)) in self.mounts.iter().enumerate() {
            let promised: u64 = self
                .sessions
                .iter()
                .filter(|session| session.mount() == Some(mount))
                .map(|session| session.quota)
                .sum();
            if promised > store.capacity() {
                log::warn!("quotas on {name} are {promised} bytes together, more than its {}", store.capacity());
            }
        }
    }

    fn index(&self, client: ClientId) -> Result<usize, Error> {
        self.sessions.iter().position(|session| session.client == client).ok_or(Error::NotFound)
    }

    fn store(&mut self, mount: usize) -> Result<&mut dyn Store, Error> {
        match self.mounts.get_mut(mount) {
            Some((_, store)) => Ok(&mut **store),
            None => Err(Error::NotFound),
        }
    }

    /// Follows a path from the session's root.
    fn resolve(&mut self, index: usize, path: Path<'_>) -> Result<(usize, Place), Error> {
        let session = &self.sessions[index];
        let grant = session.grant.as_ref().ok_or(session.refused)?;
        let (mount, root) = (grant.mount, grant.root);
        let store = self.store(mount)?;
        let mut place = Place { way: alloc::vec![root], found: store.found(root)? };
        for name in path.names() {
            if place.found.kind != Kind::Directory {
                return Err(Error::NotDirectory);
            }
            place.found = store.lookup(place.found.node, name)?;
            place.way.push(place.found.node);
        }
        Ok((mount, place))
    }

    /// The directory of a path, and the name in it.
    fn parent<'a>(&mut self, index: usize, path: &'a str) -> Result<(usize, Place, &'a str), Error> {
        let (directory, name) = Path::new(path)?.split().ok_or(Error::Impossible)?;
        let (mount, place) = self.resolve(index, directory)?;
        if place.found.kind != Kind::Directory {
            return Err(Error::NotDirectory);
        }
        Ok((mount, place, name))
    }

    /// A node of the session grows from `old` to `new` counted bytes, or shrinks; refused if that is beyond its quota.
    fn charge(&mut self, index: usize, old: u64, new: u64) -> Result<(), Error> {
        self.refresh(index)?;
        let session = &self.sessions[index];
        if new > old && session.used().saturating_add(new - old) > session.quota {
            return Err(Error::NoSpace);
        }
        let (mount, prefix) = (session.mount(), session.prefix.clone());
        for other in self.sessions.iter_mut().filter(|other| other.mount() == mount) {
            other.account(&prefix, old, new);
        }
        Ok(())
    }

    /// Counts a session's directory anew if others may have changed it.
    fn refresh(&mut self, index: usize) -> Result<(), Error> {
        let Some(grant) = self.sessions[index].grant.as_ref().filter(|grant| grant.is_stale) else { return Ok(()) };
        let (mount, root) = (grant.mount, grant.root);
        let used = used_below(self.store(mount)?, root)?;
        if let Some(grant) = &mut self.sessions[index].grant {
            (grant.used, grant.is_stale) = (used, false);
        }
        Ok(())
    }

    /// Makes a node under a name that is not there, and charges for it.
    fn make(&mut self, index: usize, mount: usize, directory: Node, name: &str, kind: Kind) -> Result<Found, Error> {
        let now = (self.now_ns)();
        self.charge(index, 0, counted(0))?;
        let made = self.store(mount)?.create(directory, name, kind, now);
        if made.is_err() {
            self.charge(index, counted(0), 0)?;
        }
        made
    }

    /// A node loses its name, which the store has taken away already: it is charged for until nobody has it open.
    fn unnamed(&mut self, index: usize, mount: usize, found: Found) -> Result<(), Error> {
        if self.is_open(mount, found.node) {
            self.orphans.push((mount, found.node, index));
            return Ok(());
        }
        self.charge(index, counted(found.size), 0)
    }

    /// Whether a session's root is the node or below it.
    fn holds_root(&self, mount: usize, node: Node) -> bool {
        let grants = self.sessions.iter().filter_map(|session| session.grant.as_ref());
        grants.filter(|grant| grant.mount == mount).any(|grant| grant.way.contains(&node))
    }

    fn remove(&mut self, index: usize, path: &str, kind: Kind) -> Result<(), Error> {
        let (mount, place, name) = self.parent(index, path)?;
        let store = self.store(mount)?;
        let found = store.lookup(place.found.node, name)?;
        match (kind, found.kind) {
            (Kind::File, Kind::Directory) => return Err(Error::IsDirectory),
            (Kind::Directory, Kind::File) => return Err(Error::NotDirectory),
            (Kind::Directory, Kind::Directory) if !store.list(found.node)?.is_empty() => return Err(Error::NotEmpty),
            _ => {}
        }
        if self.holds_root(mount, found.node) {
            return Err(Error::Impossible);
        }
        self.store(mount)?.remove(place.found.node, name)?;
        self.unnamed(index, mount, found)
    }

    fn write_at(&mut self, index: usize, file: u32, offset: Option<u64>, data: &[u8]) -> Result<u64, Error> {
        let open = self.opened(index, file)?;
        if !open.is_writable {
            return Err(Error::NotWritable);
        }
        let now = (self.now_ns)();
        let size = self.store(open.mount)?.found(open.node)?.size;
        let start = offset.unwrap_or(size);
        let end = start.checked_add(data.len() as u64).filter(|end| *end <= SIZE_MAX).ok_or(Error::TooLarge)?;
        if data.is_empty() {
            return Ok(end);
        }
        let (old, new) = (counted(size), counted(end.max(size)));
        self.charge(index, old, new)?;
        let written = self.store(open.mount)?.write(open.node, start, data, now);
        if let Err(error) = written {
            self.charge(index, new, old)?;
            return Err(error);
        }
        Ok(end)
    }
}

#[cfg(test)]
impl Server {
    /// `write` without a ring, of any length.
    pub(crate) fn write_for_test(
        &mut self,
        client: ClientId,
        file: u32,
        offset: Option<u64>,
        data: &[u8],
    ) -> Result<u64, Error> {
        self.write_at(self.index(client)?, file, offset, data)
    }

    /// All names in a directory.
    pub(crate) fn names_for_test(&mut self, client: ClientId, path: &str) -> Result<Vec<(String, Kind)>, Error> {
        let (mount, place) = self.resolve(self.index(client)?, Path::new(path)?)?;
        let store = self.store(mount)?;
        let names = store.list(place.found.node)?.into_iter();
        names.map(|(name, node)| Ok((name, store.found(node)?.kind))).collect()
    }

    /// A whole file.
    pub(crate) fn content_for_test(&mut self, client: ClientId, path: &str) -> Result<Vec<u8>, Error> {
        let (mount, place) = self.resolve(self.index(client)?, Path::new(path)?)?;
        let mut data = alloc::vec![0; usize::try_from(place.found.size).map_err(|_| Error::TooLarge)?];
        let len = self.store(mount)?.read(place.found.node, 0, &mut data)?;
        data.truncate(len);
        Ok(data)
    }
}

/// What everything below a directory counts, itself not included.
fn used_below(store: &mut dyn Store, root: Node) -> Result<u64, Error> {
    let (mut used, mut directories) = (0_u64, alloc::vec![root]);
    while let Some(directory) = directories.pop() {
        for (_, node) in store.list(directory)? {
            let found = store.found(node)?;
            used = used.saturating_add(counted(found.size));
            if found.kind == Kind::Directory {
                directories.push(node);
            }
        }
    }
    Ok(used)
}

fn status(found: Found) -> Status {
    let Found { node, kind, size, modified_ns } = found;
    Status { kind, size, allocated: counted(size), modified_ns, id: node }
}

impl Files for Server {
    fn open(&mut self, client: ClientId, path: &str) -> Result<FilesOpen, Error> {
        let index = self.index(client)?;
        let (mount, place) = self.resolve(index, Path::new(path)?)?;
        let file = self.keep(index, Open::new(mount, place.found.node, false))?;
        Ok(FilesOpen { file, status: status(place.found) })
    }

    fn close(&mut self, client: ClientId, file: u32) -> Result<(), Error> {
        let index = self.index(client)?;
        let slot = self.slot(index, file)?;
        self.close_slot(index, slot)
    }

    fn status(&mut self, client: ClientId, file: u32) -> Result<Status, Error> {
        let index = self.index(client)?;
        let open = self.opened(index, file)?;
        Ok(status(self.store(open.mount)?.found(open.node)?))
    }

    fn find(&mut self, client: ClientId, path: &str) -> Result<Status, Error> {
        let index = self.index(client)?;
        Ok(status(self.resolve(index, Path::new(path)?)?.1.found))
    }

    fn read(&mut self, client: ClientId, file: u32, offset: u64, len: u32) -> Result<u32, Error> {
        let index = self.index(client)?;
        let open = self.readable(index, file)?;
        let len = usize::try_from(len).ok().filter(|len| *len <= TRANSFER_MAX).ok_or(Error::TooLarge)?;
        self.sessions[index].has_room(len)?;
        let mut data = alloc::vec![0; len];
        let len = self.store(open.mount)?.read(open.node, offset, &mut data)?;
        for chunk in data[..len].chunks(CHUNK_MAX) {
            self.sessions[index].rings()?.outgoing.push(chunk).map_err(|_| Error::BadTransfer)?;
        }
        u32::try_from(len).map_err(|_| Error::TooLarge)
    }

    fn get(&mut self, client: ClientId, file: u32, offset: u64, len: u16) -> Result<Cow<'_, [u8]>, Error> {
        let index = self.index(client)?;
        let open = self.readable(index, file)?;
        let mut data = alloc::vec![0; usize::from(len).min(INLINE_MAX)];
        let len = self.store(open.mount)?.read(open.node, offset, &mut data)?;
        data.truncate(len);
        Ok(data.into())
    }

    fn list(&mut self, client: ClientId, file: u32, after: &str) -> Result<u16, Error> {
        let index = self.index(client)?;
        let open = self.opened(index, file)?;
        let store = self.store(open.mount)?;
        if store.found(open.node)?.kind != Kind::Directory {
            return Err(Error::NotDirectory);
        }
        let mut names: Vec<(String, Node)> = store.list(open.node)?;
        names.retain(|(name, _)| name.as_str() > after);
        names.sort_unstable();
        let mut count = 0;
        for (name, node) in names.iter().take(ENTRIES_MAX) {
            let kind = self.store(open.mount)?.found(*node)?.kind;
            let entry = Entry { name: Cow::Borrowed(name), kind, id: *node };
            match self.sessions[index].rings()?.entries.push(&entry) {
                Ok(()) => count += 1,
                // The next call goes on after the last that found room.
                Err(_) if count > 0 => break,
                Err(_) => return Err(Error::BadTransfer),
            }
        }
        Ok(count)
    }

    fn space(&mut self, client: ClientId) -> FilesSpace {
        let Ok(index) = self.index(client) else { return FilesSpace { quota: 0, used: 0 } };
        if let Err(error) = self.refresh(index) {
            log::error!("the directory of instance {} cannot be counted: {error:?}", client.instance);
        }
        let session = &self.sessions[index];
        FilesSpace { quota: session.quota, used: session.used() }
    }

    fn sync(&mut self, client: ClientId) -> Result<(), Error> {
        let index = self.index(client)?;
        let session = &self.sessions[index];
        let mount = session.mount().ok_or(session.refused)?;
        let files: Vec<Node> = session.files.iter().flatten().map(|open| open.node).collect();
        let store = self.store(mount)?;
        store.sync()?;
        // Each is asked: what is said is forgotten.
        let lost = files.into_iter().filter(|file| store.has_lost(*file)).count();
        if lost > 0 { Err(Error::Broken) } else { Ok(()) }
    }

    fn lock(&mut self, client: ClientId, file: u32, lock: Lock) -> Result<(), Error> {
        let index = self.index(client)?;
        self.set_lock(index, file, lock)
    }

    fn open_to_write(
        &mut self,
        client: ClientId,
        path: &str,
        creation: Creation,
        is_emptied: bool,
    ) -> Result<FilesOpenToWrite, Error> {
        let index = self.index(client)?;
        self.has_free_slot(index)?;
        let Path { .. } = Path::new(path)?;
        let (mount, place, name) = self.parent(index, path).map_err(|error| match error {
            // The session's directory itself is no file.
            Error::Impossible => Error::IsDirectory,
            other => other,
        })?;
        let found = match (self.store(mount)?.lookup(place.found.node, name), creation) {
            (Ok(_), Creation::Always) => return Err(Error::Exists),
            (Ok(found), _) if found.kind == Kind::Directory => return Err(Error::IsDirectory),
            (Err(Error::NotFound), Creation::IfMissing | Creation::Always) => {
                self.make(index, mount, place.found.node, name, Kind::File)?
            }
            (found, _) => found?,
        };
        let file = self.keep(index, Open::new(mount, found.node, true))?;
        if is_emptied && found.size > 0 {
            self.set_size(client, file, 0)?;
        }
        let found = self.store(mount)?.found(found.node)?;
        Ok(FilesOpenToWrite { file, status: status(found) })
    }

    fn write(&mut self, client: ClientId, file: u32, offset: u64, is_appended: bool, len: u32) -> Result<u64, Error> {
        let index = self.index(client)?;
        let data = self.sessions[index].take(len)?;
        self.write_at(index, file, (!is_appended).then_some(offset), &data)
    }

    fn put(&mut self, client: ClientId, file: u32, offset: u64, is_appended: bool, data: &[u8]) -> Result<u64, Error> {
        let index = self.index(client)?;
        self.write_at(index, file, (!is_appended).then_some(offset), data)
    }

    fn set_size(&mut self, client: ClientId, file: u32, size: u64) -> Result<(), Error> {
        let index = self.index(client)?;
        let open = self.opened(index, file)?;
        if !open.is_writable {
            return Err(Error::NotWritable);
        }
        if size > SIZE_MAX {
            return Err(Error::TooLarge);
        }
        let now = (self.now_ns)();
        let old = counted(self.store(open.mount)?.found(open.node)?.size);
        self.charge(index, old, counted(size))?;
        let done = self.store(open.mount)?.set_size(open.node, size, now);
        if done.is_err() {
            self.charge(index, counted(size), old)?;
        }
        done
    }

    fn make_directory(&mut self, client: ClientId, path: &str) -> Result<(), Error> {
        let index = self.index(client)?;
        let (mount, place, name) = self.parent(index, path).map_err(|error| match error {
            Error::Impossible => Error::Exists,
            other => other,
        })?;
        match self.store(mount)?.lookup(place.found.node, name) {
            Ok(_) => Err(Error::Exists),
            Err(Error::NotFound) => self.make(index, mount, place.found.node, name, Kind::Directory).map(|_made| ()),
            Err(error) => Err(error),
        }
    }

    fn remove_file(&mut self, client: ClientId, path: &str) -> Result<(), Error> {
        let index = self.index(client)?;
        self.remove(index, path, Kind::File)
    }

    fn remove_directory(&mut self, client: ClientId, path: &str) -> Result<(), Error> {
        let index = self.index(client)?;
        self.remove(index, path, Kind::Directory)
    }

    fn rename(&mut self, client: ClientId, from: &str, to: &str) -> Result<(), Error> {
        let index = self.index(client)?;
        let (mount, from_place, from_name) = self.parent(index, from)?;
        let (_, to_place, to_name) = self.parent(index, to)?;
        let moved = self.store(mount)?.lookup(from_place.found.node, from_name)?;
        let replaced = match self.store(mount)?.lookup(to_place.found.node, to_name) {
            Err(Error::NotFound) => None,
            found => Some(found?),
        };
        if to_place.way.contains(&moved.node) || self.holds_root(mount, moved.node) {
            return Err(Error::Impossible);
        }
        if let Some(replaced) = replaced {
            if replaced.node == moved.node {
                return Ok(());
            }
            match (moved.kind, replaced.kind) {
                (Kind::File, Kind::Directory) => return Err(Error::IsDirectory),
                (Kind::Directory, Kind::File) => return Err(Error::NotDirectory),
                (Kind::Directory, Kind::Directory) if !self.store(mount)?.list(replaced.node)?.is_empty() => {
                    return Err(Error::NotEmpty);
                }
                _ => {}
            }
            if self.holds_root(mount, replaced.node) {
                return Err(Error::Impossible);
            }
        }
        self.store(mount)?.rename((from_place.found.node, from_name), (to_place.found.node, to_name))?;
        replaced.map_or(Ok(()), |replaced| self.unnamed(index, mount, replaced))
    }
}
