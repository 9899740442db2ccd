//! Images on a disk of memory, whole and spoiled, by the interface of files.
#![expect(clippy::expect_used, reason = "a mistake of a test ends the test")]
use crate::{Image, MountError};
use fsd::{BLOCK, Blocks, DeviceError, Server};
use hybrid_sysimage::Fault;
use libhybrid::interfaces::fs::{Creation, Error, Files, FilesRings, NAME_MAX, PATH_MAX, files};
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

/// Paths that lead out, or might: each is refused by every call, or names nothing.
#[test]
fn hostile_paths_lead_nowhere() {
    let mut server = server(partition());
    let region = Region::on_heap(files::REGION_BYTES);
    let below = ClientId::of(31);
    server.begin(below, Some("/system/etc"), 1 << 20, None, FilesRings::server(&region).ok());
    let (long, deep, up) = ("n".repeat(NAME_MAX + 1), "a/".repeat(PATH_MAX), "../".repeat(20) + "release");
    let bad = [
        "..",
        "../release",
        "../etc/long",
        "etc/..",
        "etc/../release",
        "etc/../../release",
        ".",
        "./release",
        "etc/./long",
        "/",
        "/release",
        "//release",
        "/system/release",
        "etc//long",
        "etc/",
        "release/",
        "release\0",
        "\0",
        "etc/\0/long",
        "etc/long\0.txt",
        &long,
        &deep,
        &up,
    ];
    let none = [
        "RELEASE",
        "Release",
        "release ",
        " release",
        "release.",
        "etc\\long",
        "..\\release",
        "%2e%2e/release",
        "\u{2024}\u{2024}/release",
        "...",
        "\u{ff0e}\u{ff0e}/release",
        "etc\u{2215}long",
        "\u{202e}release",
        "rele\u{0301}ase",
        "release\n",
        "system/release",
        "etc/etc/long",
        "~",
        "C:",
        &long[1..],
    ];
    for (paths, error) in [(&bad[..], Error::BadPath), (&none[..], Error::NotFound)] {
        for (client, path) in
            [CLIENT, below].into_iter().flat_map(|client| paths.iter().map(move |path| (client, *path)))
        {
            assert_eq!(server.open(client, path).err(), Some(error), "{path:?}");
            assert_eq!(server.find(client, path).err(), Some(error), "{path:?}");
            let open = server.open_to_write(client, path, Creation::Never, true);
            assert_eq!(open.err(), Some(error), "{path:?}");
            for refused in [
                server.remove_file(client, path).err(),
                server.remove_directory(client, path).err(),
                server.rename(client, path, "other").err(),
            ] {
                assert_eq!(refused, Some(error), "{path:?}");
            }
        }
    }
    // A file is no directory on the way, and a session below sees what is there alone.
    assert_eq!(server.open(CLIENT, "release/x").err(), Some(Error::NotDirectory));
    assert_eq!(server.open(CLIENT, "release/../etc/long").err(), Some(Error::BadPath));
    for path in ["release", "etc/long", "etc"] {
        assert_eq!(server.open(below, path).err(), Some(Error::NotFound), "{path}");
    }
    let long = server.open(below, "long").expect("there").file;
    assert_eq!(server.get(below, long, 0, 4).as_deref(), Ok(&[0, 1, 2, 3][..]));
    assert!(server.get(CLIENT, long, 0, 4).is_err(), "a number is its session's");
}

/// An image whose checksums are right, after `forge` changed its index.
fn forged(forge: impl FnOnce(&mut [u8])) -> Result<Image<Partition>, MountError> {
    let mut image = hybrid_sysimage::build(&[("a/secret", b"hidden"), ("b/file", b"plain"), ("c", b"")]).expect("fits");
    forge(&mut image[BLOCK..2 * BLOCK]);
    let index = hybrid_gpt::crc32(&image[BLOCK..2 * BLOCK]);
    image[24..28].copy_from_slice(&index.to_le_bytes());
    let head = hybrid_gpt::crc32(&image[..28]);
    image[28..32].copy_from_slice(&head.to_le_bytes());
    Image::mount(Partition(image))
}

/// Where the entries of the forged image's index are; the root is the first. Its two files have a block each, with a checksum of four bytes before that.
const ENTRIES: usize = 2 * 4;
const ENTRY: usize = 28;

/// Entries that lead elsewhere, and names that are none, are believed by nobody: there are no files then.
#[test]
fn image_with_names_or_entries_that_lead_elsewhere_is_refused() {
    let names = ENTRIES + 6 * ENTRY;
    assert!(forged(|index| assert_eq!(&index[names..names + 3], b"abc", "the names, one behind the other")).is_ok());
    for name in [&b"/"[..], b"\0", b".", b"\xff", b"\x80"] {
        let mounted = forged(|index| index[names..names + name.len()].copy_from_slice(name));
        assert_eq!(mounted.err(), Some(MountError::Image(Fault::Name)), "{name:?}");
    }
    let field = |entry: usize, at: usize, value: u32| {
        forged(move |index| {
            let at = ENTRIES + entry * ENTRY + at;
            index[at..at + 4].copy_from_slice(&value.to_le_bytes());
        })
        .err()
    };
    // In itself, in one that comes later, in a file, in none.
    for directory in [1, 4, 3, 5, 6, u32::MAX] {
        assert!(matches!(field(1, 0, directory), Some(MountError::Image(Fault::Name))), "in {directory}");
    }
    // A kind that is neither file nor directory, such as a link's.
    for kind in [0_u16, 3, 4, 0xa000] {
        let mounted = forged(|index| index[ENTRIES + 3 * ENTRY + 10..][..2].copy_from_slice(&kind.to_le_bytes()));
        assert_eq!(mounted.err(), Some(MountError::Image(Fault::Number)), "{kind}");
    }
    // A directory with blocks; a name beyond all names; a file before or behind all data.
    assert_eq!(field(1, 12, 2), Some(MountError::Image(Fault::Number)));
    assert_eq!(field(1, 4, u32::MAX), Some(MountError::Image(Fault::Number)));
    for first in [0, 1, 4, u32::MAX] {
        assert_eq!(field(4, 12, first), Some(MountError::Image(Fault::Number)), "{first}");
    }
}
