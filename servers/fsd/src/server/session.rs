//! What the server knows of one session: its directory, what it may have and has, its rings.
use super::open::Open;
use crate::store::Node;
use alloc::string::String;
use alloc::vec::Vec;
use libhybrid::interfaces::fs::{CHUNK_MAX, Error, FILES_MAX, FilesServerRings, TRANSFER_MAX};
use libhybrid::ipc::ClientId;

/// The directory of a session.
pub(super) struct Grant {
    pub(super) mount: usize,
    pub(super) root: Node,
    /// The nodes from the store's root to this one.
    pub(super) way: Vec<Node>,
    /// What is below counts so many bytes.
    pub(super) used: u64,
    /// Somebody whose directory is further up changed something, perhaps below this one.
    pub(super) is_stale: bool,
}

/// One use of a client: it may have several, with a directory each.
pub(super) struct Session {
    pub(super) client: ClientId,
    pub(super) prefix: String,
    pub(super) grant: Option<Grant>,
    /// Why there is none.
    pub(super) refused: Error,
    pub(super) quota: u64,
    pub(super) files: Vec<Option<Open>>,
    pub(super) rings: Option<FilesServerRings>,
    scratch: Vec<u8>,
}

impl Session {
    pub(super) fn new(
        client: ClientId,
        prefix: String,
        grant: Result<Grant, Error>,
        quota: u64,
        files_max: Option<u16>,
        rings: Option<FilesServerRings>,
    ) -> Self {
        let files_max = files_max.map_or(FILES_MAX, usize::from).min(FILES_MAX);
        let refused = grant.as_ref().err().copied().unwrap_or(Error::NotFound);
        let (grant, files) = (grant.ok(), alloc::vec![None; files_max]);
        Self { client, prefix, grant, refused, quota, files, rings, scratch: Vec::new() }
    }

    pub(super) fn mount(&self) -> Option<usize> {
        self.grant.as_ref().map(|grant| grant.mount)
    }

    pub(super) fn used(&self) -> u64 {
        self.grant.as_ref().map_or(0, |grant| grant.used)
    }

    /// A session with the directory `prefix` of the same store changed a node from `old` to `new` counted bytes.
    pub(super) fn account(&mut self, prefix: &str, old: u64, new: u64) {
        let Some(grant) = &mut self.grant else { return };
        if is_below(prefix, &self.prefix) {
            grant.used = grant.used.saturating_add(new).saturating_sub(old);
        } else if is_below(&self.prefix, prefix) {
            grant.is_stale = true;
        }
    }

    /// Something at the directory `prefix`, or on the way to it, may have changed.
    pub(super) fn suspect(&mut self, prefix: &str) {
        if let Some(grant) = self.grant.as_mut().filter(|_| is_below(prefix, &self.prefix)) {
            grant.is_stale = true;
        }
    }

    pub(super) fn rings(&mut self) -> Result<&mut FilesServerRings, Error> {
        self.rings.as_mut().ok_or(Error::BadTransfer)
    }

    /// Whether `len` bytes find room in the ring of outgoing data: always, when the client took out what came before.
    pub(super) fn has_room(&mut self, len: usize) -> Result<(), Error> {
        let records = len.div_ceil(CHUNK_MAX);
        let room = self.rings()?.outgoing.ring().room().map_err(|_| Error::BadTransfer)?;
        if room >= len + records * 16 { Ok(()) } else { Err(Error::BadTransfer) }
    }

    /// Takes out all that the client pushed, which must be `len` bytes.
    pub(super) fn take(&mut self, len: u32) -> Result<Vec<u8>, Error> {
        let len = usize::try_from(len).map_err(|_| Error::TooLarge)?;
        let (mut data, mut is_more) = (Vec::with_capacity(len.min(TRANSFER_MAX)), false);
        let mut scratch = core::mem::take(&mut self.scratch);
        let rings = self.rings()?;
        let end = loop {
            match rings.incoming.pop(&mut scratch) {
                Ok(Some(chunk)) if data.len() + chunk.len() <= len.min(TRANSFER_MAX) => data.extend_from_slice(chunk),
                Ok(Some(_)) => is_more = true,
                Ok(None) => break Ok(()),
                Err(_) => break Err(Error::BadTransfer),
            }
        };
        let _nobody_waits_for_room = rings.incoming.release();
        self.scratch = scratch;
        end?;
        if len > TRANSFER_MAX {
            return Err(Error::TooLarge);
        }
        if is_more || data.len() != len { Err(Error::BadTransfer) } else { Ok(data) }
    }
}

/// Whether the directory `inner` is `outer` or below it.
fn is_below(inner: &str, outer: &str) -> bool {
    let (inner, outer) = (inner.trim_matches('/'), outer.trim_matches('/'));
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
