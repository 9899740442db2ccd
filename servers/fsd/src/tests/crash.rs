//! Losses of power at every kind of moment: what was synced is there, and nothing is torn.
use super::model::{Model, Op, Tree, act, tree};
use super::power::{Dice, RamDisk};
use super::{BLOCKS, CLIENT, begin, server};
use crate::Store;
use crate::redox::{MountError, Redox};
use libhybrid::interfaces::fs::Creation;

/// Cuts of the test that runs each time, and of the campaign.
const CUTS: u64 = 40;
const CAMPAIGN: u64 = 1000;
/// Operations before the power goes, at most.
const OPS: usize = 60;
const PATHS: [&str; 6] = ["a", "b", "d", "d/a", "d/b", "log"];

fn op(dice: &mut Dice) -> Op {
    let paths = PATHS.len() as u64;
    let mut path = || PATHS[usize::try_from(dice.roll(paths)).expect("small")].to_string();
    let (from, to) = (path(), path());
    let byte = u8::try_from(dice.roll(256)).expect("small");
    match dice.roll(12) {
        0 => Op::MakeDirectory(from),
        1 => Op::RemoveFile(from),
        2 => Op::Rename(from, to),
        3 => Op::SetSize { path: from, size: dice.roll(30_000) },
        4 | 5 => Op::Sync,
        // A log that is appended to, as databases do.
        6 | 7 => Op::Write { path: "log".into(), offset: None, len: 300, byte, creation: Creation::IfMissing },
        _ => {
            let (offset, len) = (dice.roll(20_000), usize::try_from(dice.roll(9000)).expect("small"));
            Op::Write { path: from, offset: Some(offset), len, byte, creation: Creation::IfMissing }
        }
    }
}

/// A clock by which there is always time for what nobody waits for.
fn fast_clock() -> u64 {
    super::clock() * 10_000
}

/// What was there after each operation from the last `sync` on.
pub(super) struct History(pub(super) Vec<Tree>);

/// How a disk becomes a store.
pub(super) type Mount = fn(&RamDisk) -> Result<Box<dyn Store>, String>;

/// Plays operations until the power goes.
pub(super) fn play(disk: &RamDisk, mount: Mount, dice: &mut Dice, model: &mut Model) -> History {
    let mut history = History(vec![model.0.clone()]);
    let store = match mount(disk) {
        Ok(store) => store,
        Err(error) => {
            assert!(!disk.has_power(), "{error:?}");
            return history;
        }
    };
    let mut server = crate::Server::new(vec![("data", store)], 3, fast_clock);
    let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
    for _ in 0..OPS {
        // What nobody waits for is done between calls.
        while dice.roll(3) > 0 && server.is_untidy() {
            server.tidy();
        }
        let op = op(dice);
        // A write is two operations: the file is made, then written. Either may be the last that is there.
        if let Op::Write { path, creation, .. } = &op {
            let mut made = model.clone();
            let empty = Op::Write { path: path.clone(), offset: Some(0), len: 0, byte: 0, creation: *creation };
            let _answer = made.act(&empty);
            history.0.push(made.0);
        }
        let expected = model.act(&op);
        let got = act(&mut server, &op);
        history.0.push(model.0.clone());
        if !disk.has_power() {
            return history;
        }
        assert_eq!(got, expected, "{op:?}");
        if matches!(op, Op::Sync) {
            history.0 = vec![model.0.clone()];
        }
    }
    history
}

/// Cuts in three lives of an empty disk with redoxfs. How many blocks were discarded.
fn cut(seed: u64) -> u64 {
    let disk = RamDisk::new(BLOCKS);
    cut_on(&disk, redox, seed);
    disk.discards().iter().map(|run| run.end - run.start).sum()
}

fn redox(disk: &RamDisk) -> Result<Box<dyn Store>, String> {
    Redox::mount(disk.clone())
        .map(|store| Box::new(crate::Cached::new(store)) as _)
        .map_err(|error| format!("{error:?}"))
}

/// Cuts in three lives of a disk with an empty store.
pub(super) fn cut_on(disk: &RamDisk, mount: Mount, seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut model = Model::default();
    for life in 0..3 {
        disk.cut_after(4 + dice.roll(160));
        let history = play(disk, mount, &mut dice, &mut model);
        disk.cut_after(0);
        disk.power_on(&mut dice);
        let store = mount(disk).expect("a disk that works");
        let mut server = crate::Server::new(vec![("data", store)], 3, super::clock);
        let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
        let found = tree(&mut server).expect("it can be read");
        let is_of_history = history.0.contains(&found);
        assert!(is_of_history, "seed {seed}, life {life}: {:?} is none of {} states", found.keys(), history.0.len());
        model.0 = found;
    }
}

#[test]
fn power_that_goes_at_any_write_loses_nothing_that_was_synced() {
    let discarded: u64 = (1..=CUTS).map(cut).sum();
    assert!(discarded > CUTS * BLOCKS, "{discarded} blocks were discarded");
}

#[test]
#[ignore = "minutes: the campaign of a thousand cuts, each with three lives"]
fn campaign_of_a_thousand_cuts() {
    let discarded: u64 = (1..=CAMPAIGN).map(|seed| cut(seed + 1_000_000)).sum();
    assert!(discarded > CAMPAIGN * BLOCKS, "{discarded} blocks were discarded");
}

/// A disk whose power goes while it gets its file system is as empty as before, or has one.
#[test]
fn power_that_goes_while_the_file_system_is_made_leaves_a_disk_that_can_be_used() {
    for steps in 0..12 {
        for seed in 1..12 {
            let disk = RamDisk::new(BLOCKS);
            disk.cut_after(steps);
            let _first = Redox::mount(disk.clone()).map(|_mounted| ());
            disk.power_on(&mut Dice(seed));
            assert_eq!(Redox::mount(disk.clone()).map(|_mounted| ()), Ok(()), "after {steps} steps, dice {seed}");
        }
    }
}

/// Many transactions between two checkpoints come around the ring of headers.
#[test]
fn ring_of_headers_never_loses_the_durable_one() {
    let disk = RamDisk::new(BLOCKS);
    let mut dice = Dice(77);
    for round in 0..6 {
        let mut server = server(&disk);
        let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
        let mut model = Model(tree(&mut server).expect("readable"));
        let flushes = disk.flushes();
        let mut states = vec![model.0.clone()];
        for byte in 0..=255_u8 {
            let op = Op::Write {
                path: "a".into(),
                offset: Some(u64::from(byte)),
                len: 1,
                byte,
                creation: Creation::IfMissing,
            };
            let _same = (model.act(&op), act(&mut server, &op));
            states.push(model.0.clone());
        }
        assert!(disk.flushes() > flushes, "a checkpoint came by itself in round {round}");
        drop(server);
        disk.power_on(&mut dice);
        let mut server = self::server(&disk);
        let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
        let found = tree(&mut server).expect("readable");
        assert!(states.contains(&found));
    }
}

#[test]
fn disk_that_holds_something_else_is_left_alone() {
    let disk = RamDisk::new(BLOCKS);
    disk.scribble(9000, b"not a file system, but somebody's");
    let steps = disk.steps();
    assert_eq!(Redox::mount(disk.clone()).map(|_mounted| ()), Err(MountError::Damaged));
    assert_eq!(disk.steps(), steps, "nothing was written");
    assert_eq!(Redox::mount(RamDisk::new(100)).map(|_mounted| ()), Err(MountError::TooSmall));
}

#[test]
fn block_that_rotted_is_an_error_and_no_other_data() {
    let disk = RamDisk::new(BLOCKS);
    let mut server = server(&disk);
    let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
    let op = Op::Write { path: "a".into(), offset: Some(0), len: 9000, byte: 7, creation: Creation::IfMissing };
    let _answers = (act(&mut server, &op), act(&mut server, &Op::Sync));
    let whole = tree(&mut server).expect("readable");
    drop(server);
    let (mut refused, mut unharmed) = (0, 0);
    // Blocks that a small file system uses; each is spoiled alone.
    for block in 260..330 {
        let disk = disk.copy();
        disk.scribble(block * 4096 + 100, &[0x5a; 16]);
        let Ok(store) = Redox::mount(disk.clone()) else {
            refused += 1;
            continue;
        };
        let mut server = crate::Server::new(vec![("data", Box::new(store))], 1, super::clock);
        let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
        match tree(&mut server) {
            Ok(found) => {
                assert_eq!(found, whole, "block {block} is other data now");
                unharmed += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0 && unharmed > 0, "{refused} noticed, {unharmed} unused");
}

/// A disk that ends whoever opens it is tried three times in a boot; then there are no files, and nothing is written.
#[test]
fn disk_that_ends_each_life_is_refused_until_the_next_boot() {
    let disk = RamDisk::new(BLOCKS);
    drop(Redox::mount(disk.clone()).expect("a disk that works"));
    let lives = |count: usize| {
        (0..count).map(|life| Redox::mount_guarded(disk.clone(), life == 0).map(|_mounted| ())).collect::<Vec<_>>()
    };
    // Each ends before it is settled, at whatever is read first of it.
    for life in 0..3 {
        let mut server = crate::Server::new(Vec::new(), 1, super::clock);
        server.mount("data", Box::new(Redox::mount_guarded(disk.clone(), life == 0).expect("not too often yet")));
        let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
    }
    assert_eq!(Redox::mount_guarded(disk.clone(), false).map(|_mounted| ()), Err(MountError::Poisoned));
    assert_eq!(lives(5), [Ok(()), Ok(()), Ok(()), Err(MountError::Poisoned), Err(MountError::Poisoned)]);
    assert_eq!(lives(2), [Ok(()), Ok(())], "a boot counts anew");
    let mut server = crate::Server::new(Vec::new(), 1, super::clock);
    server.mount("data", Box::new(Redox::mount_guarded(disk.clone(), false).expect("the third in a row")));
    let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
    server.settled();
    drop(server);
    let again: Vec<_> = (0..4).map(|_| Redox::mount_guarded(disk.clone(), false).map(|_mounted| ())).collect();
    assert_eq!(again, [Ok(()), Ok(()), Ok(()), Err(MountError::Poisoned)], "who served has opened it well");
}
