//! A system partition's image as a store of files; writes nothing and proves no origin.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use fsd::{BLOCK, Blocks, DeviceError, Found, Node, Store};
use hybrid_sysimage::{Entry, Fault, Header, Index, ROOT};
use libhybrid::interfaces::fs::{Error, Kind};

/// Why there are no files on a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountError {
    /// The disk failed.
    Device,
    /// It holds no image, or one that is not believed.
    Image(Fault),
}

impl From<DeviceError> for MountError {
    fn from(DeviceError: DeviceError) -> Self {
        Self::Device
    }
}

/// The image on a disk.
pub struct Image<B: Blocks> {
    device: B,
    index: Index,
}

impl<B: Blocks> Image<B> {
    /// Reads and checks the index.
    ///
    /// # Errors
    /// [`MountError`].
    pub fn mount(mut device: B) -> Result<Self, MountError> {
        if device.count() == 0 {
            return Err(MountError::Image(Fault::None));
        }
        let mut block = [0; BLOCK];
        device.read(0, &mut block)?;
        let header = Header::parse(&block, device.count()).map_err(MountError::Image)?;
        let mut bytes = vec![0; header.index_bytes()];
        device.read(1, &mut bytes)?;
        let index = Index::parse(&header, &bytes).map_err(MountError::Image)?;
        Ok(Self { device, index })
    }

    fn entry(&self, node: Node) -> Result<&Entry, Error> {
        let number = number(node).ok_or(Error::NotFound)?;
        self.index.get(number).ok_or(Error::NotFound)
    }

    fn describe(&self, node: Node) -> Result<Found, Error> {
        let entry = self.entry(node)?;
        let kind = if entry.is_directory { Kind::Directory } else { Kind::File };
        Ok(Found { node, kind, size: entry.bytes, modified_ns: 0 })
    }
}

/// A node is its entry's number and one more: no store has a node 0.
fn number(node: Node) -> Option<u32> {
    u32::try_from(node.checked_sub(1)?).ok()
}

fn node(number: u32) -> Node {
    Node::from(number) + 1
}

impl<B: Blocks> Store for Image<B> {
    fn root(&self) -> Node {
        node(ROOT)
    }

    fn found(&mut self, node: Node) -> Result<Found, Error> {
        self.describe(node)
    }

    fn lookup(&mut self, directory: Node, name: &str) -> Result<Found, Error> {
        let number = number(directory).and_then(|directory| self.index.find(directory, name));
        self.describe(number.map(node).ok_or(Error::NotFound)?)
    }

    fn create(&mut self, _: Node, _: &str, _: Kind, _: u64) -> Result<Found, Error> {
        Err(Error::NotWritable)
    }

    fn remove(&mut self, _: Node, _: &str) -> Result<(), Error> {
        Err(Error::NotWritable)
    }

    fn rename(&mut self, _: (Node, &str), _: (Node, &str)) -> Result<(), Error> {
        Err(Error::NotWritable)
    }

    fn read(&mut self, file: Node, offset: u64, data: &mut [u8]) -> Result<usize, Error> {
        let (first, bytes) = self.entry(file).map(|entry| (entry.first, entry.bytes))?;
        let left = usize::try_from(bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = data.len().min(left);
        let (mut done, mut block) = (0, [0; BLOCK]);
        while done < len {
            let at = offset + done as u64;
            // The index has checked that the file's blocks are numbers.
            let place = first + u32::try_from(at / BLOCK as u64).map_err(|_| Error::Broken)?;
            self.device.read(place.into(), &mut block).map_err(|DeviceError| Error::Broken)?;
            if !self.index.is_whole(place, &block) {
                return Err(Error::Broken);
            }
            let from = usize::try_from(at % BLOCK as u64).unwrap_or(0);
            let part = (BLOCK - from).min(len - done);
            if let Some((into, out)) = data.get_mut(done..done + part).zip(block.get(from..from + part)) {
                into.copy_from_slice(out);
            }
            done += part;
        }
        Ok(len)
    }

    fn write(&mut self, _: Node, _: u64, _: &[u8], _: u64) -> Result<(), Error> {
        Err(Error::NotWritable)
    }

    fn set_size(&mut self, _: Node, _: u64, _: u64) -> Result<(), Error> {
        Err(Error::NotWritable)
    }

    fn list(&mut self, directory: Node) -> Result<Vec<(String, Node)>, Error> {
        let directory = number(directory).ok_or(Error::NotFound)?;
        let named = self
            .index
            .list(directory)
            .filter_map(|number| Some((String::from(&*self.index.get(number)?.name), node(number))));
        Ok(named.collect())
    }

    fn open(&mut self, _: Node) {}

    fn close(&mut self, _: Node) -> Result<(), Error> {
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn capacity(&self) -> u64 {
        // Nobody uses anything up.
        u64::MAX
    }
}
