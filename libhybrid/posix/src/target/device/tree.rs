//! A directory as it was granted: calls and rings of hybrid.fs.Files; `process::fs` gives them meaning.
use crate::files::{
    At, CHUNK_MAX, Creation, INLINE_MAX, Kind, Lock, NAME_MAX, PATH_MAX, RECORDS_MAX, Status, TRANSFER_MAX, Tree,
};
use crate::number::Errno;
use alloc::string::String;
use alloc::vec::Vec;
use hybrid_interfaces::fs as idl;
use hybrid_interfaces::fs::{FilesClient, FilesClientRings, FilesRings, files};
use hybrid_ipc::CallError;
use hybrid_rt::{EndpointCaller, Env, PeerChange, PeerNews};
use hybrid_sys::Endpoint;

const _: () = assert!(
    INLINE_MAX == idl::INLINE_MAX
        && CHUNK_MAX == idl::CHUNK_MAX
        && TRANSFER_MAX == idl::TRANSFER_MAX
        && RECORDS_MAX == idl::ENTRIES_MAX
        && PATH_MAX == idl::PATH_MAX
        && NAME_MAX == idl::NAME_MAX
);

/// No file has this number: slots are few.
const NO_FILE: u32 = u32::MAX;

/// The session.
pub(super) struct Granted {
    name: &'static str,
    client: FilesClient<EndpointCaller>,
    /// `None` while the server is away, or when it broke its rings.
    rings: Option<FilesClientRings>,
    scratch: Vec<u8>,
    /// `None` until somebody asked.
    is_read_only: Option<bool>,
}

impl Granted {
    /// All uses of files, in the order of component.toml, and where a program finds each: at the parameter `mount.NAME`; else an only one at
    /// the root, one of several at its name.
    pub(super) fn find_all(env: &Env) -> Vec<(Self, String)> {
        let uses = || env.start().uses.iter().filter(|used| used.interface == files::INTERFACE);
        let is_only = uses().count() == 1;
        let found = uses().filter_map(|used| {
            let endpoint = Endpoint::at(used.slot?.into());
            let mut key = String::from("mount.");
            key.push_str(&used.name);
            let point = match env.parameter(&key) {
                Some(point) => point.into(),
                None if is_only => String::from("/"),
                None => used.name.clone(),
            };
            let mut granted = Self {
                name: &used.name,
                client: FilesClient::new(EndpointCaller::new(endpoint)),
                rings: None,
                scratch: Vec::new(),
                is_read_only: None,
            };
            granted.take_rings(env);
            Some((granted, point))
        });
        found.collect()
    }

    /// The rings of the server's present life, without what an earlier answer left there.
    fn take_rings(&mut self, env: &Env) {
        self.rings = FilesRings::client(env.session(self.name).region()).ok();
    }

    /// The server died, or came back.
    pub(super) fn on_peer(&mut self, env: &Env, change: &PeerChange) {
        match change.of_use(self.name) {
            Some(PeerNews::Gone(_)) => self.rings = None,
            Some(PeerNews::Back) => self.take_rings(env),
            None => {}
        }
    }

    fn rings(&mut self) -> Result<&mut FilesClientRings, Errno> {
        self.rings.as_mut().ok_or(Errno::EIO)
    }
}

/// The error of a call that changes nothing.
fn error(error: CallError<idl::Error>) -> Errno {
    match error {
        CallError::Domain(error) => domain(error),
        CallError::Denied => Errno::EACCES,
        CallError::Quota => Errno::EMFILE,
        CallError::ServerDied | CallError::Stale | CallError::BadMessage => Errno::EIO,
    }
}

/// The error of a change: what the route does not allow is read-only.
fn change(failed: CallError<idl::Error>) -> Errno {
    match failed {
        CallError::Denied => Errno::EROFS,
        failed => error(failed),
    }
}

fn domain(error: idl::Error) -> Errno {
    match error {
        idl::Error::NotFound => Errno::ENOENT,
        idl::Error::Exists => Errno::EEXIST,
        idl::Error::NotDirectory => Errno::ENOTDIR,
        idl::Error::IsDirectory => Errno::EISDIR,
        idl::Error::NotEmpty => Errno::ENOTEMPTY,
        idl::Error::BadPath => Errno::EINVAL,
        idl::Error::NoSpace => Errno::ENOSPC,
        idl::Error::TooManyFiles => Errno::EMFILE,
        idl::Error::NotWritable => Errno::EBADF,
        idl::Error::TooLarge => Errno::EFBIG,
        idl::Error::Impossible => Errno::EINVAL,
        idl::Error::Locked => Errno::EAGAIN,
        idl::Error::NoMedium => Errno::ENXIO,
        // A number of an earlier life of the server, a medium that failed, rings that do not fit the call.
        idl::Error::BadFile | idl::Error::Broken | idl::Error::BadTransfer => Errno::EIO,
    }
}

fn status(status: &idl::Status) -> Status {
    let idl::Status { size, allocated, modified_ns, id, .. } = *status;
    Status { kind: kind(status.kind), size, allocated, modified_ns, id }
}

fn kind(kind: idl::Kind) -> Kind {
    match kind {
        idl::Kind::File => Kind::File,
        idl::Kind::Directory => Kind::Directory,
    }
}

fn place(at: At) -> (u64, bool) {
    match at {
        At::Offset(offset) => (offset, false),
        At::End => (0, true),
    }
}

impl Tree for Granted {
    /// A component is not told what its route allows, so the server is asked for a change of a file that is none.
    fn is_read_only(&mut self) -> bool {
        if let Some(is_read_only) = self.is_read_only {
            return is_read_only;
        }
        let answer = self.client.set_size(NO_FILE, 0);
        let is_read_only = answer == Err(CallError::Denied);
        if is_read_only || matches!(answer, Err(CallError::Domain(_))) {
            self.is_read_only = Some(is_read_only);
        }
        is_read_only
    }

    fn open(&mut self, path: &str) -> Result<(u32, Status), Errno> {
        let opened = self.client.open(path).map_err(error)?;
        Ok((opened.file, status(&opened.status)))
    }

    fn open_to_write(&mut self, path: &str, creation: Creation, is_emptied: bool) -> Result<(u32, Status), Errno> {
        let creation = match creation {
            Creation::Never => idl::Creation::Never,
            Creation::IfMissing => idl::Creation::IfMissing,
            Creation::Always => idl::Creation::Always,
        };
        let opened = self.client.open_to_write(path, creation, is_emptied).map_err(change)?;
        Ok((opened.file, status(&opened.status)))
    }

    fn close(&mut self, file: u32) {
        // A server that died has closed it.
        let _it_was_open = self.client.close(file);
    }

    fn status(&mut self, file: u32) -> Result<Status, Errno> {
        self.client.status(file).map(|found| status(&found)).map_err(error)
    }

    fn find(&mut self, path: &str) -> Result<Status, Errno> {
        self.client.find(path).map(|found| status(&found)).map_err(error)
    }

    fn get(&mut self, file: u32, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let len = u16::try_from(into.len()).map_err(|_| Errno::EINVAL)?;
        let data = self.client.get(file, offset, len).map_err(error)?;
        into.get_mut(..data.len()).ok_or(Errno::EIO)?.copy_from_slice(&data);
        Ok(data.len())
    }

    fn read(&mut self, file: u32, offset: u64, len: u32) -> Result<u32, Errno> {
        self.rings()?;
        self.client.read(file, offset, len).map_err(error)
    }

    fn pop(&mut self, into: &mut Vec<u8>) -> Result<bool, Errno> {
        into.clear();
        let rings = self.rings.as_mut().ok_or(Errno::EIO)?;
        let popped = rings.outgoing.pop(&mut self.scratch).map_err(|_| Errno::EIO)?;
        let is_there = popped.map(|record| into.extend_from_slice(record)).is_some();
        let _nobody_waits_for_room = rings.outgoing.release();
        Ok(is_there)
    }

    fn put(&mut self, file: u32, at: At, data: &[u8]) -> Result<u64, Errno> {
        let (offset, is_appended) = place(at);
        self.client.put(file, offset, is_appended, data).map_err(change)
    }

    fn push(&mut self, data: &[u8]) -> Result<(), Errno> {
        self.rings()?.incoming.push(data).map_err(|_| Errno::EIO)
    }

    fn write(&mut self, file: u32, at: At, len: u32) -> Result<u64, Errno> {
        let (offset, is_appended) = place(at);
        self.client.write(file, offset, is_appended, len).map_err(change)
    }

    fn set_size(&mut self, file: u32, size: u64) -> Result<(), Errno> {
        self.client.set_size(file, size).map_err(change)
    }

    fn list(&mut self, file: u32, after: &str) -> Result<u16, Errno> {
        self.rings()?;
        self.client.list(file, after).map_err(error)
    }

    fn entry(&mut self, name: &mut String) -> Result<Option<(Kind, u64)>, Errno> {
        name.clear();
        let rings = self.rings.as_mut().ok_or(Errno::EIO)?;
        let popped = rings.entries.pop(&mut self.scratch).map_err(|_| Errno::EIO)?;
        let entry = popped.map(|entry| {
            name.push_str(&entry.name);
            (kind(entry.kind), entry.id)
        });
        let _nobody_waits_for_room = rings.entries.release();
        Ok(entry)
    }

    fn abandon(&mut self) {
        log::error!(target: "posix", "the file server broke the session of {}: no data goes over its rings any more", self.name);
        self.rings = None;
    }

    fn make_directory(&mut self, path: &str) -> Result<(), Errno> {
        self.client.make_directory(path).map_err(change)
    }

    fn remove_file(&mut self, path: &str) -> Result<(), Errno> {
        self.client.remove_file(path).map_err(removal)
    }

    fn remove_directory(&mut self, path: &str) -> Result<(), Errno> {
        self.client.remove_directory(path).map_err(removal)
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), Errno> {
        self.client.rename(from, to).map_err(change)
    }

    fn sync(&mut self) -> Result<(), Errno> {
        self.client.sync().map_err(error)
    }

    fn lock(&mut self, file: u32, lock: Lock) -> Result<(), Errno> {
        let lock = match lock {
            Lock::None => idl::Lock::None,
            Lock::Shared => idl::Lock::Shared,
            Lock::Exclusive => idl::Lock::Exclusive,
        };
        self.client.lock(file, lock).map_err(error)
    }

    fn space(&mut self) -> Result<(u64, u64), Errno> {
        self.client.space().map(|space| (space.quota, space.used)).map_err(|failed| match failed {
            CallError::Denied => Errno::EACCES,
            _ => Errno::EIO,
        })
    }
}

/// Some session's directory would go away.
fn removal(failed: CallError<idl::Error>) -> Errno {
    match failed {
        CallError::Domain(idl::Error::Impossible) => Errno::EBUSY,
        failed => change(failed),
    }
}
