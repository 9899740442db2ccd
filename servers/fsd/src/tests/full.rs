//! Full disks: who fills its quota with new files has all of it, and a disk without a free block harms nobody's files.
use super::model::{Tree, tree_of};
use super::power::{Dice, RamDisk};
use super::{CLIENT, OTHER, begin, redox};
use crate::{Memory, Redox, Server, Store};
use hybrid_quota::{IN_MEMORY, counted, promised};
use libhybrid::interfaces::fs::{Creation, Error, Files, Kind};
use libhybrid::ipc::ClientId;

/// Blocks of a small disk.
const SMALL: u64 = 2048;

/// Bytes that nothing makes smaller.
fn noise(dice: &mut Dice, len: usize) -> Vec<u8> {
    (0..len).map(|_| u8::try_from(dice.roll(256)).expect("small")).collect()
}

/// Writes a new file in pieces, as clients do; what fits of it is there.
fn write(server: &mut Server, client: ClientId, path: &str, data: &[u8]) -> Result<(), Error> {
    let open = server.open_to_write(client, path, Creation::Always, false)?;
    let mut done = Ok(0);
    for (at, piece) in (0..).step_by(16 << 10).zip(data.chunks(16 << 10)) {
        done = done.and_then(|_| server.write_for_test(client, open.file, Some(at), piece));
    }
    server.close(client, open.file).and(done).map(|_end| ())
}

/// Two clients fill their quotas, which are together what the disk promises, with files of one size.
fn fill_promised(len: usize) {
    let disk = RamDisk::new(SMALL);
    let server = Server::new(vec![("data", redox(&disk))], 3, super::clock);
    fill(server, promised(SMALL * 4096) / 2, len, 7);
}

/// Two clients fill quotas of so many bytes each with files of one size, and each gets all of its own. A `sync` after so many files.
pub(super) fn fill(mut server: Server, quota: u64, len: usize, sync_after: u32) {
    let _rings = [begin(&mut server, CLIENT, "/data/x", quota), begin(&mut server, OTHER, "/data/y", quota)];
    let (mut dice, mut used) = (Dice(len as u64 + 1), [0; 2]);
    for count in 1_u32.. {
        for (who, client) in [CLIENT, OTHER].into_iter().enumerate() {
            let needed = counted(len as u64);
            let outcome = write(&mut server, client, &format!("f{count}"), &noise(&mut dice, len));
            let fits = used[who] + needed <= quota;
            assert_eq!(
                outcome.is_ok(),
                fits,
                "files of {len}: number {count} of client {who} with {} of {quota}",
                used[who]
            );
            if !fits {
                return;
            }
            used[who] += needed;
        }
        if count.is_multiple_of(sync_after) {
            server.sync(CLIENT).expect("a disk that works");
        }
    }
}

#[test]
fn quotas_that_are_no_more_than_the_disk_can_be_filled_with_files_of_any_size() {
    for len in [0, 300, 4097, 20_000, 66_000, 140_000, 600_000] {
        fill_promised(len);
    }
}

/// What is given out in memory is all of it but for the directories, to the last unit.
#[test]
fn quotas_that_are_no_more_than_the_memory_can_be_filled_with_files_of_any_size() {
    for len in [0, 300, 4097, 66_000, 600_000] {
        let memory = Server::new(vec![("data", Box::new(Memory::new(IN_MEMORY)))], 3, super::clock);
        fill(memory, (IN_MEMORY - 2 * counted(0)) / 2, len, 7);
    }
}

/// Quotas that promise more than there is, which no build lets pass: one fills the disk to its last block.
#[test]
fn disk_without_a_free_block_harms_nobodys_files_and_can_be_emptied_again() {
    let disk = RamDisk::new(1024);
    let mut server = Server::new(vec![("data", redox(&disk))], 3, super::clock);
    let _rings = [begin(&mut server, CLIENT, "/data/x", 1 << 30), begin(&mut server, OTHER, "/data/y", 1 << 30)];
    let mut dice = Dice(5);
    for number in 0..3 {
        let len = 30_000 * number + 10;
        write(&mut server, OTHER, &format!("mine{number}"), &noise(&mut dice, len)).expect("there is room");
    }
    server.sync(OTHER).expect("a disk that works");
    let (mine, mut count) = (tree_of(&mut server, OTHER).expect("readable"), 0);
    for len in [60_000, 9000, 100, 0] {
        let refused = loop {
            count += 1;
            if let Err(error) = write(&mut server, CLIENT, &format!("f{count}"), &noise(&mut dice, len)) {
                break error;
            }
        };
        assert_eq!(refused, Error::NoSpace, "files of {len}");
    }
    assert_eq!(write(&mut server, OTHER, "more", &noise(&mut dice, 5000)), Err(Error::NoSpace));
    let _unless_it_was_not_made = server.remove_file(OTHER, "more");
    assert_eq!(server.sync(CLIENT), Ok(()));
    assert!(tree_of(&mut server, OTHER).expect("readable") == mine, "another's files changed");
    drop(server);
    disk.power_on(&mut dice);
    let mut server = Server::new(vec![("data", redox(&disk))], 3, super::clock);
    let _rings = [begin(&mut server, CLIENT, "/data/x", 1 << 30), begin(&mut server, OTHER, "/data/y", 1 << 30)];
    assert!(tree_of(&mut server, OTHER).expect("readable") == mine, "another's files changed");
    let names: Vec<String> = tree_of(&mut server, CLIENT).expect("readable").into_keys().collect();
    for name in names {
        assert_eq!(server.remove_file(CLIENT, &name), Ok(()), "{name}");
    }
    assert_eq!(tree_of(&mut server, CLIENT), Ok(Tree::new()));
    write(&mut server, OTHER, "again", &noise(&mut dice, 200_000)).expect("there is room again");
}

/// An open file loses its name, and the checkpoint after that fails or not; then the disk works again, and the file is closed. How many blocks are free
/// then.
fn lose_name_of_open_file(is_replaced: bool, fails: bool) -> u64 {
    let disk = RamDisk::new(SMALL);
    let mut store = Redox::mount(disk.clone()).expect("a disk that works");
    store.checkpoint_each();
    let root = store.root();
    let [file, _other] = ["open", "other"].map(|name| store.create(root, name, Kind::File, 1).expect("room").node);
    store.open(file);
    store.write(file, 0, &noise(&mut Dice(7), 100_000), 1).expect("room");
    if fails {
        disk.cut_after(0);
    }
    let outcome = if is_replaced { store.rename((root, "other"), (root, "open")) } else { store.remove(root, "open") };
    assert_eq!(outcome, if fails { Err(Error::Broken) } else { Ok(()) });
    disk.cut_after(1 << 40);
    assert_ne!(store.lookup(root, "open").map(|found| found.node), Ok(file), "the transaction itself was whole");
    store.close(file).expect("a disk that works");
    store.sync().expect("a disk that works");
    store.free()
}

#[test]
fn room_of_an_open_file_is_not_lost_when_the_disk_fails_as_its_name_goes() {
    for is_replaced in [false, true] {
        let [usual, free] = [false, true].map(|fails| lose_name_of_open_file(is_replaced, fails));
        assert!(free + 8 >= usual, "{free} of {usual} blocks are free");
    }
}
