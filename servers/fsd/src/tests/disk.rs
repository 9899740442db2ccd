//! A disk behind rings whose driver dies, stays away, lies and fails.
use crate::blocks::{BLOCK, Blocks, DeviceError};
use crate::disk::{Disk, Wait};
use libhybrid::interfaces::block::{
    Answer, DiskClientRings, DiskRings, DiskServerRings, Error, FailedBody, ReadBody, Request, SECTOR_BYTES, disk,
};
use libhybrid::ring::Region;

/// What the driver does with its next requests, one each; then it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Serve,
    Die,
    /// Does it, and dies before it answers.
    DoAndDie,
    Fail,
    /// Answers something else first.
    Confuse,
    Scribble,
}

struct Driver {
    content: Vec<u8>,
    deeds: Vec<Deed>,
    rings: Option<DiskServerRings>,
    life: u64,
    is_for_good: bool,
    writes: usize,
}

impl Driver {
    fn new(deeds: &[Deed]) -> Self {
        let deeds = deeds.iter().rev().copied().collect();
        Self { content: vec![0; 64 * BLOCK], deeds, rings: None, life: 1, is_for_good: false, writes: 0 }
    }

    fn perform(&mut self, request: &Request<'_>) -> Answer<'static> {
        let span = |sector: u64, len: usize| {
            let at = usize::try_from(sector).expect("small") * SECTOR_BYTES;
            at..at + len
        };
        match request {
            Request::Read(body) => {
                let data = &self.content[span(body.sector, body.count as usize * SECTOR_BYTES)];
                Answer::Read(ReadBody { tag: body.tag, data: data.to_vec().into() })
            }
            Request::Write(body) => {
                self.writes += 1;
                self.content[span(body.sector, body.data.len())].copy_from_slice(&body.data);
                Answer::Done(body.tag)
            }
            Request::Flush(tag) => Answer::Done(*tag),
            Request::Discard(body) => {
                self.content[span(body.sector, body.count as usize * SECTOR_BYTES)].fill(0xdd);
                Answer::Done(body.tag)
            }
        }
    }

    fn die(&mut self) -> bool {
        (self.rings, self.life) = (None, self.life + 1);
        false
    }
}

impl Wait for Driver {
    fn life(&self) -> u64 {
        self.life
    }

    fn rings(&mut self) -> Option<DiskClientRings> {
        if self.is_for_good {
            return None;
        }
        let region = Region::on_heap(disk::REGION_BYTES);
        self.rings = DiskRings::server(&region).ok();
        DiskRings::client(&region).ok()
    }

    fn ring(&mut self) {}

    fn wait(&mut self) -> bool {
        let mut scratch = Vec::new();
        let rings = self.rings.as_mut().expect("alive");
        let request = rings.requests.pop(&mut scratch).expect("honest").expect("it waits for an answer").into_owned();
        let tag = match &request {
            Request::Read(body) | Request::Discard(body) => body.tag,
            Request::Write(body) => body.tag,
            Request::Flush(tag) => *tag,
        };
        let mut answers = Vec::new();
        match self.deeds.pop().unwrap_or(Deed::Serve) {
            Deed::Serve => answers.push(self.perform(&request)),
            Deed::Die => return self.die(),
            Deed::DoAndDie => {
                self.perform(&request);
                return self.die();
            }
            Deed::Fail => answers.push(Answer::Failed(FailedBody { tag, error: Error::Failed })),
            Deed::Confuse => {
                answers.extend([Answer::Done(tag.wrapping_add(9)), Answer::Done(tag.wrapping_sub(1))]);
                answers.push(self.perform(&request));
            }
            Deed::Scribble => answers.push(Answer::Read(ReadBody { tag, data: vec![1; 7].into() })),
        }
        let rings = self.rings.as_mut().expect("alive");
        answers.iter().for_each(|answer| rings.answers.push(answer).expect("room"));
        true
    }
}

fn disk(deeds: &[Deed]) -> Disk<Driver> {
    Disk::new(Driver::new(deeds), 64 * 8, 40)
}

#[test]
fn request_is_sent_again_to_the_drivers_next_lives() {
    let mut disk = disk(&[Deed::Die, Deed::DoAndDie, Deed::Confuse, Deed::Serve, Deed::Die]);
    let data: Vec<u8> = (0..3 * BLOCK).map(|at| u8::try_from(at % 251).expect("small")).collect();
    assert_eq!((disk.count(), disk.write(2, &data)), (64, Ok(())));
    assert_eq!(disk.flush(), Ok(()));
    let mut read = vec![0; 3 * BLOCK];
    assert_eq!(disk.read(2, &mut read), Ok(()));
    assert!(read == data);
}

#[test]
fn what_is_discarded_is_a_blocks_sectors_and_a_refusal_is_an_error() {
    let mut disk = disk(&[Deed::Serve, Deed::DoAndDie, Deed::Serve, Deed::Fail]);
    assert_eq!((disk.discard_max(), disk.write(2, &[1; 4 * BLOCK]), disk.discard(3, 2)), (5, Ok(()), Ok(())));
    assert_eq!((disk.discard(3, 1), disk.discard(u64::MAX / 2, 1)), (Err(DeviceError), Err(DeviceError)));
    let mut read = vec![0; 4 * BLOCK];
    assert_eq!(disk.read(2, &mut read), Ok(()), "a disk that refuses it goes on");
    let wanted: Vec<u8> = [1, 0xdd, 0xdd, 1].iter().flat_map(|byte| [*byte; BLOCK]).collect();
    assert!(read == wanted);
}

#[test]
fn more_than_a_transfer_is_several() {
    let mut disk = disk(&[]);
    let data: Vec<u8> = (0..20 * BLOCK).map(|at| u8::try_from(at % 251).expect("small")).collect();
    let mut read = vec![0; 20 * BLOCK];
    assert_eq!((disk.write(10, &data), disk.read(10, &mut read)), (Ok(()), Ok(())));
    assert!(read == data);
}

#[test]
fn disk_that_fails_or_is_gone_is_an_error() {
    assert_eq!(disk(&[Deed::Fail]).flush(), Err(DeviceError));
    assert_eq!(disk(&[Deed::Scribble]).read(0, &mut [0; BLOCK]), Err(DeviceError));
    assert_eq!(disk(&[Deed::Die; 9]).flush(), Err(DeviceError), "one that dies each time");
    let mut driver = Driver::new(&[]);
    driver.is_for_good = true;
    assert_eq!(Disk::new(driver, 8, 8).flush(), Err(DeviceError));
}
