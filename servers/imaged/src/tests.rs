//! Images on a disk of memory, whole and spoiled, by the interface of files.
#![expect(clippy::expect_used, reason = "a mistake of a test ends the test")]
use crate::{Image, MountError};
use fsd::{BLOCK, Blocks, DeviceError, Server};
use hybrid_sysimage::Fault;
use libhybrid::interfaces::fs::{Creation, Error, Files, FilesRings, files};
use libhybrid::ipc::ClientId;
use libhybrid::ring::Region;

const CLIENT: ClientId = ClientId::of(30);

/// A disk that is read only.
struct Partition(Vec<u8>);

impl Blocks for Partition {
    fn count(&self) -> u64 {
        (self.0.len() / BLOCK) as u64
    }

    fn read(&mut self, first: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        let at = usize::try_from(first).expect("small") * BLOCK;
        data.copy_from_slice(self.0.get(at..at + data.len()).ok_or(DeviceError)?);
        Ok(())
    }

    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), DeviceError> {
        panic!("nothing is written to a system partition");
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        panic!("nothing is written to a system partition");
    }
}

/// A partition that is larger than its image.
fn partition() -> Partition {
    let long: Vec<u8> = (0..10_000).map(|at| u8::try_from(at % 251).expect("small")).collect();
    let mut image =
        hybrid_sysimage::build(&[("release", b"gateway 1\n"), ("etc/long", &long), ("etc/empty", b"")]).expect("fits");
    image.resize(image.len() + 5 * BLOCK, 0xee);
    Partition(image)
}

fn server(partition: Partition) -> Server {
    let image = Image::mount(partition).expect("sound");
    let mut server = Server::new(vec![("system", Box::new(image))], 1, || 0);
    let region = Region::on_heap(files::REGION_BYTES);
    server.begin(CLIENT, Some("/system"), 1 << 20, None, FilesRings::server(&region).ok());
    server
}

#[test]
fn files_are_read_and_nothing_is_changed_whatever_is_asked() {
    let mut server = server(partition());
    let file = server.open(CLIENT, "etc/long").expect("there").file;
    let data = server.get(CLIENT, file, 4000, 700).expect("readable").into_owned();
    assert!(data.iter().enumerate().all(|(at, byte)| usize::from(*byte) == (4000 + at) % 251) && data.len() == 700);
    assert_eq!(server.get(CLIENT, file, 9990, 700).expect("readable").len(), 10);
    assert_eq!(server.get(CLIENT, file, 10_000, 1).expect("readable").len(), 0);
    let empty = server.open(CLIENT, "etc/empty").expect("there").file;
    assert_eq!(server.get(CLIENT, empty, 0, 9).expect("readable").len(), 0);
    assert_eq!(server.open(CLIENT, "etc/none").err(), Some(Error::NotFound));
    assert_eq!(server.open(CLIENT, "../release").err(), Some(Error::BadPath));

    for creation in [Creation::IfMissing, Creation::Always] {
        assert_eq!(server.open_to_write(CLIENT, "new", creation, false).err(), Some(Error::NotWritable));
    }
    let written = server.open_to_write(CLIENT, "release", Creation::Never, false).expect("there is no harm in it").file;
    assert_eq!(server.put(CLIENT, written, 0, false, b"x"), Err(Error::NotWritable));
    assert_eq!(server.set_size(CLIENT, written, 0), Err(Error::NotWritable));
    assert_eq!(server.open_to_write(CLIENT, "release", Creation::Never, true).err(), Some(Error::NotWritable));
    assert_eq!(server.remove_file(CLIENT, "release"), Err(Error::NotWritable));
    assert_eq!(server.remove_directory(CLIENT, "etc"), Err(Error::NotEmpty));
    assert_eq!(server.rename(CLIENT, "release", "other"), Err(Error::NotWritable));
    assert_eq!(server.sync(CLIENT), Ok(()));
    assert_eq!(server.get(CLIENT, written, 0, 99).as_deref(), Ok(&b"gateway 1\n"[..]));
}

#[test]
fn block_that_rotted_is_broken_and_its_neighbours_are_not() {
    let mut spoiled = partition();
    let place = spoiled.0.windows(4).position(|bytes| bytes == [0, 1, 2, 3]).expect("the long file's beginning");
    spoiled.0[place + BLOCK + 7] ^= 1;
    let mut server = server(spoiled);
    let file = server.open(CLIENT, "etc/long").expect("there").file;
    assert!(server.get(CLIENT, file, 0, 800).is_ok());
    assert_eq!(server.get(CLIENT, file, 4090, 100).err(), Some(Error::Broken));
    assert!(server.get(CLIENT, file, 8192, 800).is_ok());
}

#[test]
fn partition_without_an_image_has_no_files() {
    let fault = |partition| Image::mount(partition).err();
    assert_eq!(fault(Partition(Vec::new())), Some(MountError::Image(Fault::None)));
    assert_eq!(fault(Partition(vec![0; 9 * BLOCK])), Some(MountError::Image(Fault::None)));
    let mut cut = partition();
    cut.0.truncate(3 * BLOCK);
    assert_eq!(fault(cut), Some(MountError::Image(Fault::Number)));
    let mut spoiled = partition();
    spoiled.0[BLOCK + 9] ^= 1;
    assert_eq!(fault(spoiled), Some(MountError::Image(Fault::Checksum)));
}
