//! Free blocks are discarded, and no others: a disk that forgets them at once has all that was synced.
use super::power::{Dice, RamDisk};
use crate::{Redox, Store};
use libhybrid::interfaces::fs::{Error, Kind};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use redoxfs::HEADER_RING;
use std::collections::BTreeMap;

/// Blocks of the disk.
const BLOCKS: u64 = 1024;
/// A step of the clock in which a pass may begin.
const LATER: u64 = 6_000_000_000;
/// Rounds of a pass at most: it ends.
const ROUNDS: usize = 1000;

/// All files.
type Tree = BTreeMap<String, Vec<u8>>;

/// What happens next.
#[derive(Debug, Clone)]
enum Deed {
    Write {
        file: u8,
        len: usize,
        seed: u64,
    },
    Remove(u8),
    Sync,
    /// One of its steps is done, and the disk says that it failed.
    SyncOnLiar(u64),
    /// So many runs are discarded, if there are so many.
    Tidy(usize),
    /// The power goes after so many more steps of the disk.
    Cut {
        steps: u64,
        dice: u64,
    },
}

fn deed() -> impl Strategy<Value = Deed> {
    let len = prop_oneof![1_usize..200, 20_000_usize..90_000];
    prop_oneof![
        5 => (0_u8..5, len, 1_u64..u64::MAX).prop_map(|(file, len, seed)| Deed::Write { file, len, seed }),
        3 => (0_u8..5).prop_map(Deed::Remove),
        2 => Just(Deed::Sync),
        1 => (1_u64..24).prop_map(Deed::SyncOnLiar),
        4 => (1_usize..40).prop_map(Deed::Tidy),
        1 => (0_u64..40, 1_u64..u64::MAX).prop_map(|(steps, dice)| Deed::Cut { steps, dice }),
    ]
}

/// Bytes that nothing makes smaller.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut dice = Dice(seed | 1);
    let words = (0..len.div_ceil(8)).flat_map(|_| dice.roll(u64::MAX).to_le_bytes());
    words.take(len).collect()
}

fn tree(store: &mut Redox<RamDisk>) -> Result<Tree, Error> {
    let root = store.root();
    let mut tree = Tree::new();
    for (name, node) in store.list(root)? {
        let mut data = vec![0; usize::try_from(store.found(node)?.size).expect("small")];
        let len = store.read(node, 0, &mut data)?;
        data.truncate(len);
        tree.insert(name, data);
    }
    Ok(tree)
}

/// A disk, its store, and what it must hold.
struct Bench {
    disk: RamDisk,
    store: Redox<RamDisk>,
    now: u64,
    /// As it is now, and each state since the last sync.
    model: Tree,
    history: Vec<Tree>,
    seen: usize,
}

impl Bench {
    fn new(discard_max: u64) -> Self {
        let disk = RamDisk::new(BLOCKS).with_discards(discard_max);
        let store = Redox::mount(disk.clone()).expect("a disk that works");
        Self { disk, store, now: 0, model: Tree::new(), history: vec![Tree::new()], seen: 0 }
    }

    /// One change: done wholly or, when the power goes, perhaps.
    fn change(
        &mut self,
        model: impl FnOnce(&mut Tree),
        act: impl FnOnce(&mut Redox<RamDisk>) -> Result<(), Error>,
    ) -> Result<(), TestCaseError> {
        model(&mut self.model);
        self.history.push(self.model.clone());
        let done = act(&mut self.store);
        prop_assert!(done.is_ok() || !self.disk.has_power(), "{done:?}");
        Ok(())
    }

    fn act(&mut self, deed: &Deed) -> Result<(), TestCaseError> {
        let root = self.store.root();
        match deed {
            Deed::Write { file, len, seed } => {
                let (name, data) = (file.to_string(), noise(*seed, *len));
                if !self.model.contains_key(&name) {
                    let made = |store: &mut Redox<_>| store.create(root, &name, Kind::File, 1).map(drop);
                    self.change(|model| drop(model.insert(name.clone(), Vec::new())), made)?;
                }
                let overlaid = |model: &mut Tree| {
                    let there = model.get_mut(&name).expect("there");
                    there.resize(there.len().max(data.len()), 0);
                    there[..data.len()].copy_from_slice(&data);
                };
                self.change(overlaid, |store| {
                    let node = store.lookup(root, &name)?.node;
                    store.write(node, 0, &data, 1)
                })
            }
            Deed::Remove(file) if self.model.contains_key(&file.to_string()) => {
                let name = file.to_string();
                self.change(|model| drop(model.remove(&name)), |store| store.remove(root, &name))
            }
            Deed::Remove(_) => Ok(()),
            Deed::Sync | Deed::SyncOnLiar(_) => {
                if let Deed::SyncOnLiar(step) = deed {
                    self.disk.lie_after(*step);
                }
                if self.store.sync().is_ok() {
                    self.history = vec![self.model.clone()];
                }
                self.disk.lie_after(u64::MAX);
                Ok(())
            }
            Deed::Tidy(runs) => self.tidy(*runs),
            Deed::Cut { steps, .. } => {
                self.disk.cut_after(*steps);
                Ok(())
            }
        }
    }

    /// Runs are discarded; then the disk is looked at as if the power had gone.
    fn tidy(&mut self, runs: usize) -> Result<(), TestCaseError> {
        self.now += LATER;
        for _ in 0..runs {
            if self.store.is_untidy(self.now) {
                self.store.tidy(self.now);
            }
        }
        let discards = self.disk.discards();
        for run in &discards[self.seen..] {
            prop_assert!(run.start >= HEADER_RING && run.end < BLOCKS, "{run:?} is no file's");
        }
        if discards.len() > self.seen {
            for disk in [self.disk.copy(), self.disk.copy_of_all()] {
                self.holds(&disk)?;
            }
        }
        self.seen = discards.len();
        Ok(())
    }

    /// A disk has a state that there was since the last sync; gives it.
    fn holds(&self, disk: &RamDisk) -> Result<(Redox<RamDisk>, Tree), TestCaseError> {
        let mut store = Redox::mount(disk.clone()).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
        let found = tree(&mut store).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
        prop_assert!(self.history.contains(&found), "{:?} is none of {} states", found.keys(), self.history.len());
        Ok((store, found))
    }

    /// The power comes back.
    fn power_on(&mut self, dice: u64) -> Result<(), TestCaseError> {
        self.disk.power_on(&mut Dice(dice | 1));
        let (store, found) = self.holds(&self.disk.clone())?;
        (self.store, self.history, self.model) = (store, vec![found.clone()], found);
        Ok(())
    }
}

fn play(discard_max: u64, deeds: &[Deed]) -> Result<Bench, TestCaseError> {
    let (mut bench, mut dice) = (Bench::new(discard_max), 1);
    for deed in deeds {
        if let Deed::Cut { dice: next, .. } = deed {
            dice = *next;
        }
        bench.act(deed)?;
        if !bench.disk.has_power() {
            bench.power_on(dice)?;
        }
    }
    let found = tree(&mut bench.store).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
    prop_assert!(found == bench.model, "what was discarded was in use");
    Ok(bench)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_a_header_needs_is_never_discarded(
        discard_max in 8_u64..300,
        deeds in proptest::collection::vec(deed(), 1..60),
    ) {
        play(discard_max, &deeds)?;
    }
}

/// Tidies until there is nothing more to do, from now on.
fn pass(bench: &mut Bench) -> u64 {
    let before = bench.disk.discards().len();
    bench.now += LATER;
    for _ in 0..ROUNDS {
        if !bench.store.is_untidy(bench.now) {
            break;
        }
        bench.store.tidy(bench.now);
    }
    assert!(!bench.store.is_untidy(bench.now), "a pass ends");
    bench.disk.discards()[before..].iter().map(|run| run.end - run.start).sum()
}

#[test]
fn pass_discards_what_is_free_for_good_and_the_next_waits_until_more_is() {
    let mut bench = Bench::new(300);
    assert!(!bench.store.is_untidy(0), "not at the start");
    let free = bench.store.free();
    let discarded = pass(&mut bench);
    assert!(discarded <= free && discarded + 32 > free, "{discarded} of {free}");
    assert!(bench.disk.discards().iter().all(|run| run.end - run.start <= 256), "by pieces");
    bench.act(&Deed::Write { file: 1, len: 500_000, seed: 3 }).expect("room");
    bench.act(&Deed::Sync).expect("a disk that works");
    assert_eq!(pass(&mut bench), 0, "nothing was freed");
    let used = free - bench.store.free();
    bench.act(&Deed::Remove(1)).expect("there");
    assert_eq!(pass(&mut bench), 0, "the disk has a header that needs it");
    bench.act(&Deed::Sync).expect("a disk that works");
    let now = bench.store.free();
    let discarded = pass(&mut bench);
    assert!(used > 120 && discarded <= now && discarded + 40 > now, "{discarded} of {now}, {used} were used");
    assert_eq!(pass(&mut bench), 0, "once");
    assert_eq!(tree(&mut bench.store), Ok(Tree::new()));
}

#[test]
fn disk_that_refuses_is_asked_once_and_goes_on() {
    let mut bench = Bench::new(100);
    bench.disk.refuse_discards();
    bench.act(&Deed::Write { file: 1, len: 100_000, seed: 3 }).expect("room");
    bench.act(&Deed::Sync).expect("a disk that works");
    let steps = bench.disk.steps();
    for _ in 0..9 {
        assert_eq!(pass(&mut bench), 0);
    }
    assert_eq!(bench.disk.steps(), steps + 1, "asked once");
    bench.act(&Deed::Write { file: 2, len: 100_000, seed: 4 }).expect("room");
    assert_eq!(bench.store.sync(), Ok(()));
    assert_eq!(bench.holds(&bench.disk.copy()).expect("whole").1, bench.model);
}
