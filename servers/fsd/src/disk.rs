//! A disk behind a driver's rings; sends again what a dying driver left undone.
use crate::blocks::{BLOCK, Blocks, DeviceError};
use alloc::borrow::Cow;
use alloc::vec::Vec;
use libhybrid::interfaces::block::{Answer, DiskClientRings, Extent, Request, SECTOR_BYTES, TRANSFER_MAX, WriteBody};
use libhybrid::log;

/// Sectors of a block.
const SECTORS: u64 = (BLOCK / SECTOR_BYTES) as u64;
/// In so many lives of the driver a request is tried; a disk that kills its driver each time is given up.
const LIVES: usize = 4;

/// How one waits for the driver.
pub trait Wait {
    /// A number that is another in each life of the driver, as far as one was told.
    fn life(&self) -> u64;
    /// The rings of the driver's life, which has just begun or is the first. Waits while it is being started again; nothing if it is not.
    fn rings(&mut self) -> Option<DiskClientRings>;
    /// Rings the driver's bell.
    fn ring(&mut self);
    /// Waits until something happened. False: the driver's life ended.
    fn wait(&mut self) -> bool;
}

/// The disk, or the part of it, that a driver serves.
pub struct Disk<W> {
    wait: W,
    /// Those of `life`.
    rings: Option<DiskClientRings>,
    life: u64,
    blocks: u64,
    /// Most blocks of one discard.
    discard_max: u64,
    tag: u32,
    scratch: Vec<u8>,
}

/// What became of a request in one life of the driver.
enum Outcome {
    Done,
    Failed,
    Died,
}

impl<W: Wait> Disk<W> {
    /// A disk of `sectors`, in whole blocks, that discards up to `discard_max` sectors at once.
    pub fn new(wait: W, sectors: u64, discard_max: u32) -> Self {
        let (blocks, discard_max) = (sectors / SECTORS, u64::from(discard_max) / SECTORS);
        Self { wait, rings: None, life: 0, blocks, discard_max, tag: 0, scratch: Vec::new() }
    }

    /// Has one request done, in as many lives of the driver as it takes: each may be done twice.
    fn perform(&mut self, request: &mut Request<'_>, data: &mut [u8]) -> Result<(), DeviceError> {
        for _ in 0..LIVES {
            if self.rings.is_none() || self.wait.life() != self.life {
                self.rings = self.wait.rings();
                self.life = self.wait.life();
            }
            self.tag = self.tag.wrapping_add(1);
            match request {
                Request::Read(body) | Request::Discard(body) => body.tag = self.tag,
                Request::Write(body) => body.tag = self.tag,
                Request::Flush(tag) => *tag = self.tag,
            }
            match self.attempt(request, data) {
                Outcome::Done => return Ok(()),
                Outcome::Failed => return Err(DeviceError),
                Outcome::Died => self.rings = None,
            }
        }
        Err(DeviceError)
    }

    fn attempt(&mut self, request: &Request<'_>, data: &mut [u8]) -> Outcome {
        let Some(rings) = &mut self.rings else { return Outcome::Failed };
        // One request at a time, so there is room; a driver that leaves its ring full is none.
        if rings.requests.push(request).is_err() {
            return Outcome::Died;
        }
        if rings.requests.publish() {
            self.wait.ring();
        }
        loop {
            match rings.answers.pop(&mut self.scratch) {
                Ok(Some(Answer::Done(tag))) if tag == self.tag => return Outcome::Done,
                Ok(Some(Answer::Read(body))) if body.tag == self.tag => {
                    if body.data.len() != data.len() {
                        return Outcome::Failed;
                    }
                    data.copy_from_slice(&body.data);
                    if rings.answers.release() {
                        self.wait.ring();
                    }
                    return Outcome::Done;
                }
                Ok(Some(Answer::Failed(body))) if body.tag == self.tag => {
                    log::error!("the disk cannot do what was asked: {:?}", body.error);
                    return Outcome::Failed;
                }
                Ok(Some(_)) => {}
                Ok(None) => match rings.answers.request_bell() {
                    Ok(true) if !self.wait.wait() => return Outcome::Died,
                    Ok(_) => {}
                    Err(_) => return Outcome::Died,
                },
                Err(_) => return Outcome::Died,
            }
        }
    }
}

impl<W: Wait> Blocks for Disk<W> {
    fn count(&self) -> u64 {
        self.blocks
    }

    fn read(&mut self, first: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        for (index, chunk) in (0..).zip(data.chunks_mut(TRANSFER_MAX)) {
            let sector = first * SECTORS + index * (TRANSFER_MAX / SECTOR_BYTES) as u64;
            let count = u32::try_from(chunk.len() / SECTOR_BYTES).map_err(|_| DeviceError)?;
            self.perform(&mut Request::Read(Extent { tag: 0, sector, count }), chunk)?;
        }
        Ok(())
    }

    fn write(&mut self, first: u64, data: &[u8]) -> Result<(), DeviceError> {
        for (index, chunk) in (0..).zip(data.chunks(TRANSFER_MAX)) {
            let sector = first * SECTORS + index * (TRANSFER_MAX / SECTOR_BYTES) as u64;
            self.perform(&mut Request::Write(WriteBody { tag: 0, sector, data: Cow::Borrowed(chunk) }), &mut [])?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        self.perform(&mut Request::Flush(0), &mut [])
    }

    fn discard_max(&self) -> u64 {
        self.discard_max
    }

    fn discard(&mut self, first: u64, count: u64) -> Result<(), DeviceError> {
        let sector = first.checked_mul(SECTORS).ok_or(DeviceError)?;
        let count = count.checked_mul(SECTORS).and_then(|count| u32::try_from(count).ok()).ok_or(DeviceError)?;
        self.perform(&mut Request::Discard(Extent { tag: 0, sector, count }), &mut [])
    }
}
