//! What one session may not do to another, and what is left of a client that is gone.
use super::power::RamDisk;
use super::{BLOCKS, CLIENT, OTHER, begin, redox, server};
use crate::{Memory, Redox, Server, Store};
use libhybrid::interfaces::fs::{
    CHUNK_MAX, Creation, ENTRIES_MAX, Entry, Error, FILES_MAX, Files, FilesClientRings, Kind, Lock, NAME_MAX,
    TRANSFER_MAX,
};
use libhybrid::ipc::ClientId;

/// Two sessions with directories of their own on each store.
fn both(prefixes: [&str; 2], test: impl Fn(&mut Server, [FilesClientRings; 2])) {
    for mount in ["tmp", "data"] {
        let disk = RamDisk::new(BLOCKS);
        let mut server = server(&disk);
        let one = begin(&mut server, CLIENT, &format!("/{mount}/{}", prefixes[0]), 256 << 10);
        let other = begin(&mut server, OTHER, &format!("/{mount}/{}", prefixes[1]), 256 << 10);
        test(&mut server, [one, other]);
    }
}

fn make(server: &mut Server, client: ClientId, path: &str, data: &[u8]) -> Result<u32, Error> {
    let file = server.open_to_write(client, path, Creation::IfMissing, false)?.file;
    server.put(client, file, 0, false, data)?;
    Ok(file)
}

#[test]
fn nothing_leads_out_of_a_sessions_directory() {
    both(["one", "two"], |server, _| {
        make(server, OTHER, "secret", b"x").expect("its own");
        for path in ["../two/secret", "a/../../two/secret", "/data/two/secret", "..", "/", "two/../secret", "./secret"]
        {
            assert_eq!(server.open(CLIENT, path).err(), Some(Error::BadPath), "{path}");
            assert_eq!(server.rename(CLIENT, path, "mine"), Err(Error::BadPath), "{path}");
            assert_eq!(server.make_directory(CLIENT, path), Err(Error::BadPath), "{path}");
            assert_eq!(
                server.open_to_write(CLIENT, path, Creation::IfMissing, true).err(),
                Some(Error::BadPath),
                "{path}"
            );
        }
        assert_eq!(server.open(CLIENT, "secret").err(), Some(Error::NotFound));
        assert_eq!(server.remove_directory(CLIENT, ""), Err(Error::Impossible));
        assert_eq!(server.rename(CLIENT, "", "x"), Err(Error::Impossible));
        assert_eq!(server.make_directory(CLIENT, &"n".repeat(NAME_MAX + 1)), Err(Error::BadPath));
        // A number of another's open file is nobody's but its own.
        let theirs = server.open(OTHER, "secret").expect("its own").file;
        assert_eq!(server.get(CLIENT, theirs, 0, 9).err(), Some(Error::BadFile));
        let stranger = ClientId::of(99);
        assert_eq!(server.open(stranger, "secret").err(), Some(Error::NotFound));
    });
}

/// One component with two directories: a number means what was opened by it in that session, and nothing else.
#[test]
fn number_of_the_one_directorys_file_is_none_of_the_other_ones() {
    let disk = RamDisk::new(BLOCKS);
    let mut server = server(&disk);
    let _kept = begin(&mut server, CLIENT, "/data/one", 64 << 10);
    let _scratch = begin(&mut server, OTHER, "/tmp/one", 256 << 10);
    let kept = make(&mut server, CLIENT, "a", b"kept").expect("room");
    for stolen in [kept, kept + 1, kept | 0xffff] {
        assert_eq!(server.get(OTHER, stolen, 0, 9).err(), Some(Error::BadFile));
        assert_eq!(server.put(OTHER, stolen, 0, false, b"x").err(), Some(Error::BadFile));
        assert_eq!(server.lock(OTHER, stolen, Lock::Exclusive), Err(Error::BadFile));
        assert_eq!(server.set_size(OTHER, stolen, 0), Err(Error::BadFile));
        assert_eq!(server.close(OTHER, stolen), Err(Error::BadFile));
    }
    // The same number, and another file.
    assert_eq!(make(&mut server, OTHER, "a", b"scratch"), Ok(kept));
    assert_eq!(server.get(CLIENT, kept, 0, 9).expect("open")[..], *b"kept");
    assert_eq!(server.get(OTHER, kept, 0, 9).expect("open")[..], *b"scratch");
    assert_eq!((server.space(CLIENT).quota, server.space(OTHER).quota), (64 << 10, 256 << 10));
    assert_eq!((server.space(CLIENT).used, server.space(OTHER).used), (8192, 8192));
    assert_eq!(server.rename(CLIENT, "a", "b"), Ok(()));
    assert_eq!(server.names_for_test(OTHER, "").expect("its own"), [("a".into(), Kind::File)]);
    server.end(CLIENT);
    assert_eq!(server.get(CLIENT, kept, 0, 9).err(), Some(Error::BadFile));
    assert_eq!(server.get(OTHER, kept, 0, 9).expect("open")[..], *b"scratch");
    // The component died: its other session ends as well.
    server.end(OTHER);
    assert_eq!(server.get(OTHER, kept, 0, 9).err(), Some(Error::BadFile));
}

#[test]
fn session_without_a_directory_of_its_own_has_nothing() {
    let disk = RamDisk::new(BLOCKS);
    let mut server = server(&disk);
    server.begin(CLIENT, None, 1 << 20, None, None);
    let _rings = begin(&mut server, OTHER, "/nowhere/x", 1 << 20);
    for (client, error) in [(CLIENT, Error::NotFound), (OTHER, Error::NoMedium)] {
        assert_eq!(server.open(client, "").err(), Some(error));
        assert_eq!(server.make_directory(client, "a"), Err(error));
        assert_eq!(server.sync(client), Err(error));
    }
}

#[test]
fn full_quota_is_its_owners_alone() {
    both(["one", "two"], |server, _| {
        let file = make(server, CLIENT, "big", b"").expect("room");
        let mut written = 0;
        let chunk = vec![7; 800];
        let error = loop {
            match server.put(CLIENT, file, 0, true, &chunk) {
                Ok(end) => written = end,
                Err(error) => break error,
            }
        };
        assert_eq!(
            (error, written / 4096),
            (Error::NoSpace, (256 << 10) / 4096 - 2),
            "one unit is the name's, the last is begun"
        );
        assert_eq!(server.make_directory(CLIENT, "d"), Err(Error::NoSpace));
        assert_eq!(server.set_size(CLIENT, file, 300 << 10), Err(Error::NoSpace));
        assert_eq!(server.space(CLIENT).quota, 256 << 10);
        make(server, OTHER, "small", &chunk).expect("the other one has its own");
        assert_eq!(server.space(OTHER).used, 8192);
        // What is taken away can be used again; an open file counts until it is closed.
        server.remove_file(CLIENT, "big").expect("it is there");
        assert_eq!(server.make_directory(CLIENT, "e"), Err(Error::NoSpace));
        server.close(CLIENT, file).expect("open");
        assert_eq!(server.space(CLIENT).used, 0);
        make(server, CLIENT, "next", &chunk).expect("room again");
    });
}

#[test]
fn directory_within_a_directory_counts_for_both() {
    both(["out", "out/in"], |server, _| {
        let file = make(server, OTHER, "a", b"x").expect("room");
        server.close(OTHER, file).expect("open");
        assert_eq!((server.space(OTHER).used, server.space(CLIENT).used), (8192, 8192 + 4096));
        // Whoever has the outer one changes the inner one.
        let file = make(server, CLIENT, "in/b", b"y").expect("room");
        server.close(CLIENT, file).expect("open");
        assert_eq!((server.space(OTHER).used, server.space(CLIENT).used), (16384, 16384 + 4096));
        server.remove_file(CLIENT, "in/a").expect("there");
        server.remove_file(CLIENT, "in/b").expect("there");
        assert_eq!(server.remove_directory(CLIENT, "in"), Err(Error::Impossible), "it is somebody's");
        assert_eq!(server.rename(CLIENT, "in", "away"), Err(Error::Impossible));
        assert_eq!(server.space(OTHER).used, 0);
    });
}

#[test]
fn client_that_is_gone_leaves_no_file_open_and_no_lock() {
    both(["same", "same"], |server, _| {
        let file = make(server, CLIENT, "a", b"abc").expect("room");
        assert_eq!(server.lock(CLIENT, file, Lock::Exclusive), Ok(()));
        let theirs = server.open(OTHER, "a").expect("there").file;
        assert_eq!(server.lock(OTHER, theirs, Lock::Shared), Err(Error::Locked));
        server.remove_file(CLIENT, "a").expect("there");
        server.end(CLIENT);
        assert_eq!(server.lock(OTHER, theirs, Lock::Exclusive), Ok(()));
        assert_eq!(server.get(OTHER, theirs, 0, 9).as_deref(), Ok(&b"abc"[..]), "an open file stays without a name");
        server.end(OTHER);
        let _rings = begin(server, CLIENT, "ignored: it is known", 0);
        assert_eq!(server.space(CLIENT).used, 0);
        assert_eq!(server.get(CLIENT, file, 0, 1).err(), Some(Error::BadFile));
        for _ in 0..3 {
            let files: Vec<u32> = (0..FILES_MAX).map(|_| server.open(CLIENT, "").expect("room").file).collect();
            assert_eq!(server.open(CLIENT, "").err(), Some(Error::TooManyFiles));
            assert_eq!(
                server.open_to_write(CLIENT, "new", Creation::IfMissing, false).err(),
                Some(Error::TooManyFiles)
            );
            assert_eq!(server.find(CLIENT, "new").err(), Some(Error::NotFound), "nothing was made");
            assert_eq!(server.close(CLIENT, files[5]), Ok(()));
            assert_eq!(server.close(CLIENT, files[5]), Err(Error::BadFile));
            server.end(CLIENT);
        }
    });
}

#[test]
fn numbers_of_an_earlier_life_are_stale() {
    let disk = RamDisk::new(BLOCKS);
    let mut first = server(&disk);
    let _rings = begin(&mut first, CLIENT, "/data/x", 1 << 20);
    let file = make(&mut first, CLIENT, "a", b"abc").expect("room");
    first.sync(CLIENT).expect("a disk");
    drop(first);
    let mut next = Server::new(vec![("data", super::redox(&disk))], 4, super::clock);
    let _rings = begin(&mut next, CLIENT, "/data/x", 1 << 20);
    let again = next.open(CLIENT, "a").expect("it was synced").file;
    assert_ne!(again, file);
    assert_eq!(next.get(CLIENT, file, 0, 3).err(), Some(Error::BadFile));
    assert_eq!(next.get(CLIENT, again, 0, 3).as_deref(), Ok(&b"abc"[..]));
    assert_eq!(next.put(CLIENT, again, 0, false, b"x"), Err(Error::NotWritable));
    assert_eq!(next.set_size(CLIENT, again, 0), Err(Error::NotWritable));
}

#[test]
fn data_goes_by_rings_and_ends_exactly() {
    both(["one", "two"], |server, [mut rings, _]| {
        let data: Vec<u8> = (0..TRANSFER_MAX).map(|at| u8::try_from(at % 251).expect("small")).collect();
        let file = make(server, CLIENT, "a", b"").expect("room");
        let mut push = |data: &[u8]| data.chunks(CHUNK_MAX).for_each(|chunk| rings.incoming.push(chunk).expect("room"));
        push(&data);
        let len = u32::try_from(data.len()).expect("small");
        assert_eq!(server.write(CLIENT, file, 5, false, len), Ok(u64::from(len) + 5));
        // More, less or nothing is refused, and does not stay for the next.
        push(&data[..100]);
        assert_eq!(server.write(CLIENT, file, 0, false, 99), Err(Error::BadTransfer));
        push(&data[..100]);
        assert_eq!(server.write(CLIENT, file, 0, false, 101), Err(Error::BadTransfer));
        assert_eq!(server.write(CLIENT, file, 0, false, 1), Err(Error::BadTransfer));
        assert_eq!(server.write(CLIENT, file, 0, false, len + 1), Err(Error::TooLarge));
        push(&data[..100]);
        assert_eq!(server.write(CLIENT, file, 0, true, 100), Ok(u64::from(len) + 105));
        assert_eq!(server.read(CLIENT, file, 0, len + 1), Err(Error::TooLarge));
        assert_eq!(server.read(CLIENT, file, 5, len), Ok(len));
        let (mut got, mut scratch) = (Vec::new(), Vec::new());
        while let Some(chunk) = rings.outgoing.pop(&mut scratch).expect("honest") {
            got.extend_from_slice(chunk);
        }
        assert!(got == data);
        // A client that takes nothing out is told so when the ring is full.
        let reads: Vec<_> = (0..4).map(|_| server.read(CLIENT, file, 0, len)).collect();
        assert!(reads[0].is_ok() && reads[3] == Err(Error::BadTransfer), "{reads:?}");
        assert_eq!(server.read(CLIENT, file, u64::MAX, 10), Ok(0));
        assert_eq!(server.put(CLIENT, file, u64::MAX, false, b"x"), Err(Error::TooLarge));
    });
}

#[test]
fn directory_is_listed_in_pieces_by_name() {
    both(["one", "two"], |server, [mut rings, _]| {
        server.make_directory(CLIENT, "zz").expect("room");
        let mut expected: Vec<String> = (0..50).map(|number| format!("{number:03}")).collect();
        for name in &expected {
            let file = make(server, CLIENT, name, b"").expect("room");
            server.close(CLIENT, file).expect("open");
        }
        expected.push("zz".into());
        let directory = server.open(CLIENT, "").expect("there").file;
        let (mut names, mut scratch) = (Vec::<String>::new(), Vec::new());
        loop {
            let after = names.last().cloned().unwrap_or_default();
            let count = server.list(CLIENT, directory, &after).expect("there");
            assert!(usize::from(count) <= ENTRIES_MAX);
            for _ in 0..count {
                let entry: Entry<'_> = rings.entries.pop(&mut scratch).expect("honest").expect("counted");
                assert_eq!(entry.kind == Kind::Directory, entry.name == "zz");
                names.push(entry.name.into_owned());
            }
            if count == 0 {
                break;
            }
        }
        assert_eq!(names, expected);
        assert_eq!(server.read(CLIENT, directory, 0, 1), Err(Error::IsDirectory));
        let file = server.open(CLIENT, "001").expect("there").file;
        assert_eq!(server.list(CLIENT, file, ""), Err(Error::NotDirectory));
    });
}

#[test]
fn full_disk_is_told_and_can_be_emptied() {
    let disk = RamDisk::new(600);
    let mut server = server(&disk);
    let _rings = begin(&mut server, CLIENT, "/data/x", 64 << 20);
    let file = make(&mut server, CLIENT, "big", b"").expect("room");
    // Bytes that cannot be compressed.
    let mut dice = super::power::Dice(9);
    let noise: Vec<u8> = (0..60_000).map(|_| u8::try_from(dice.roll(256)).expect("small")).collect();
    let error = (0..100).find_map(|_| server.write_for_test(CLIENT, file, None, &noise).err());
    assert_eq!(error, Some(Error::NoSpace));
    let size = server.status(CLIENT, file).expect("open").size;
    assert!(size > 0 && size.is_multiple_of(60_000), "the write that failed left nothing: {size}");
    server.sync(CLIENT).expect("what was written is kept");
    server.close(CLIENT, file).expect("open");
    server.remove_file(CLIENT, "big").expect("a full disk can be emptied");
    make(&mut server, CLIENT, "next", &noise[..800]).expect("room again");
}

/// redoxfs keeps the room of a last record that is not full; the store must not.
#[test]
fn room_of_files_that_are_gone_can_be_used_again() {
    let mut store = Redox::mount(RamDisk::new(2048)).expect("a disk that works");
    let mut dice = super::power::Dice(5);
    let noise: Vec<u8> = (0..100_000).map(|_| u8::try_from(dice.roll(256)).expect("small")).collect();
    let root = store.root();
    for way in 0..4 {
        let mut free = Vec::new();
        for round in 0..24 {
            let file = store.create(root, "next", Kind::File, 0).expect("room").node;
            store.open(file);
            store.write(file, 0, &noise, 0).expect("room");
            match way {
                0 => store.remove(root, "next").expect("there"),
                1 => store.set_size(file, 7, 0).expect("there"),
                2 => store.rename((root, "next"), (root, "kept")).expect("there"),
                _ => {}
            }
            store.close(file).expect("open");
            if matches!(way, 1 | 3) {
                store.remove(root, "next").expect("there");
            }
            if round > 3 {
                free.push(store.free());
            }
        }
        let (first, last) = (free[0], free[free.len() - 1]);
        assert!(first <= last + 8, "way {way} loses room: {free:?}");
    }
}

/// A disk that comes later: until then its sessions are told that there is none, and those in memory go on.
#[test]
fn sessions_of_a_disk_that_comes_later_have_it_then() {
    let mut server = Server::new(vec![("tmp", Box::new(Memory::new(4 << 20)))], 3, super::clock);
    let _rings = [begin(&mut server, CLIENT, "/data/x", 1 << 20), begin(&mut server, OTHER, "/tmp/x", 1 << 20)];
    for _ in 0..2 {
        assert_eq!(server.open(CLIENT, "").err(), Some(Error::NoMedium));
        assert_eq!(server.make_directory(CLIENT, "d"), Err(Error::NoMedium));
        assert_eq!(server.open_to_write(CLIENT, "a", Creation::IfMissing, false).err(), Some(Error::NoMedium));
        assert_eq!(server.sync(CLIENT), Err(Error::NoMedium));
        // Also in the client's next life.
        let _next_rings = begin(&mut server, CLIENT, "/data/x", 1 << 20);
    }
    let kept = make(&mut server, OTHER, "a", b"abc").expect("room");
    server.mount("data", redox(&RamDisk::new(BLOCKS)));
    let file = make(&mut server, CLIENT, "a", b"xyz").expect("room");
    assert_eq!(server.get(CLIENT, file, 0, 9).as_deref(), Ok(&b"xyz"[..]));
    assert_eq!(server.get(OTHER, kept, 0, 9).as_deref(), Ok(&b"abc"[..]));
    assert_eq!((server.sync(CLIENT), server.space(CLIENT).used), (Ok(()), 8192));
}
