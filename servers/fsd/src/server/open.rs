//! Open files: their numbers, who has which open, locks.
use super::Server;
use crate::store::Node;
use hybrid_quota::counted;
use libhybrid::interfaces::fs::{Error, Kind, Lock};

/// A file or directory that a session has open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    pub(super) mount: usize,
    pub(super) node: Node,
    pub(super) is_writable: bool,
    lock: Lock,
}

impl Open {
    pub(super) fn new(mount: usize, node: Node, is_writable: bool) -> Self {
        Self { mount, node, is_writable, lock: Lock::None }
    }
}

impl Server {
    pub(super) fn has_free_slot(&self, index: usize) -> Result<usize, Error> {
        let free = self.sessions[index].files.iter().position(Option::is_none);
        free.ok_or(Error::TooManyFiles)
    }

    /// Keeps a file open; its number.
    pub(super) fn keep(&mut self, index: usize, open: Open) -> Result<u32, Error> {
        let slot = self.has_free_slot(index)?;
        self.store(open.mount)?.open(open.node);
        self.sessions[index].files[slot] = Some(open);
        let slot = u32::try_from(slot).map_err(|_| Error::TooManyFiles)?;
        Ok(u32::from(self.generation) << 16 | slot)
    }

    /// The place of a number of this life of the server.
    pub(super) fn slot(&self, index: usize, file: u32) -> Result<usize, Error> {
        let is_of_this_life = file >> 16 == u32::from(self.generation);
        let slot = usize::try_from(file & 0xffff).ok().filter(|_| is_of_this_life).ok_or(Error::BadFile)?;
        match self.sessions[index].files.get(slot) {
            Some(Some(_)) => Ok(slot),
            _ => Err(Error::BadFile),
        }
    }

    pub(super) fn opened(&self, index: usize, file: u32) -> Result<Open, Error> {
        let slot = self.slot(index, file)?;
        self.sessions[index].files[slot].ok_or(Error::BadFile)
    }

    /// An open file, which can be read as a directory cannot.
    pub(super) fn readable(&mut self, index: usize, file: u32) -> Result<Open, Error> {
        let open = self.opened(index, file)?;
        match self.store(open.mount)?.found(open.node)?.kind {
            Kind::File => Ok(open),
            Kind::Directory => Err(Error::IsDirectory),
        }
    }

    pub(super) fn is_open(&self, mount: usize, node: Node) -> bool {
        let mut all = self.sessions.iter().flat_map(|session| session.files.iter().flatten());
        all.any(|open| (open.mount, open.node) == (mount, node))
    }

    pub(super) fn close_slot(&mut self, index: usize, slot: usize) -> Result<(), Error> {
        let open = self.sessions[index].files.get_mut(slot).and_then(Option::take).ok_or(Error::BadFile)?;
        let orphan = self.orphans.iter().position(|orphan| (orphan.0, orphan.1) == (open.mount, open.node));
        if let Some(orphan) = orphan.filter(|_| !self.is_open(open.mount, open.node)) {
            let (mount, node, charged) = self.orphans.swap_remove(orphan);
            let size = self.store(mount)?.found(node)?.size;
            self.charge(charged, counted(size), 0)?;
        }
        self.store(open.mount)?.close(open.node)
    }

    pub(super) fn set_lock(&mut self, index: usize, file: u32, lock: Lock) -> Result<(), Error> {
        let slot = self.slot(index, file)?;
        let open = self.opened(index, file)?;
        let excludes = |other: &Open| match lock {
            Lock::None => false,
            Lock::Shared => other.lock == Lock::Exclusive,
            Lock::Exclusive => other.lock != Lock::None,
        };
        for (session, other) in self.sessions.iter().enumerate() {
            for (place, other) in other.files.iter().enumerate() {
                let Some(other) = other.as_ref().filter(|_| (session, place) != (index, slot)) else { continue };
                if (other.mount, other.node) == (open.mount, open.node) && excludes(other) {
                    return Err(Error::Locked);
                }
            }
        }
        self.sessions[index].files[slot] = Some(Open { lock, ..open });
        Ok(())
    }
}
