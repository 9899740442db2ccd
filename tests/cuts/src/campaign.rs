//! Cuts the log of a disk's writes where the dice say, and judges what is there then.
use crate::books::{self, Desk};
use crate::disk::{CutDisk, Dice, Replay};
use crate::log::Entry;
use crate::tree::{self, Course, Tree};
use anyhow::{Context, Result, anyhow, bail, ensure};
use fsd::Redox;
use hello_files::plan;
use std::fmt;

/// Whose work is judged: the words of what they say, in the order of [`State`].
const WHO: [&str; 4] = ["books: journal kept ", "books: log kept ", "rounds: kept ", "still: kept "];
/// The directories of the disk: theirs, and that of the log.
const DIRECTORIES: [&str; 4] = ["books", "log", "rounds", "still"];
/// Rounds that may have happened behind the last one that was heard of.
const AHEAD: u64 = 4;
/// So many failures are told.
const TOLD: usize = 5;

/// How far each of [`WHO`] has come: bookings, bookings, steps, steps.
type State = [u64; 4];

/// One number that was said to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Said {
    /// How long the log was then, at the most.
    pub(crate) bytes: u64,
    who: usize,
    number: u64,
}

/// Reads lines such as `4711 rounds: kept 12`.
///
/// # Errors
/// A line is none.
pub(crate) fn parse(text: &str) -> Result<Vec<Said>> {
    let line = |line: &str| {
        let (bytes, rest) = line.split_once(' ')?;
        let (who, number) =
            (0..).zip(WHO).find_map(|(index, who)| Some((index, rest.strip_prefix(who)?.parse().ok()?)))?;
        Some(Said { bytes: bytes.parse().ok()?, who, number })
    };
    text.lines().map(|text| line(text).with_context(|| format!("no such line: {text:?}"))).collect()
}

/// What came of a campaign.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    cuts: usize,
    entries: usize,
    flushes: usize,
    /// Cuts behind which something waited for the disk.
    open: usize,
    /// Of each who: how much less was said to be kept than there was, in each cut.
    ahead: [Vec<u64>; 4],
    last: State,
    pub(crate) failures: Vec<String>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cuts, entries, flushes, open, failures, .. } = self;
        writeln!(out, "{cuts} cuts of {entries} requests, {flushes} of them flushes; in {open} something waited")?;
        for ((who, ahead), last) in WHO.iter().zip(&self.ahead).zip(self.last).take(3) {
            let (sum, most) = (ahead.iter().sum::<u64>(), ahead.iter().max().unwrap_or(&0));
            let mean = sum * 100 / (ahead.len().max(1) as u64);
            writeln!(
                out,
                "  {who}{last}; found beyond what was said: {}.{:02} on average, {most} at most",
                mean / 100,
                mean % 100
            )?;
        }
        failures.iter().take(TOLD).try_for_each(|failure| writeln!(out, "  WENT WRONG: {failure}"))?;
        write!(out, "{} failures", failures.len())
    }
}

/// The judge of one log.
pub(crate) struct Judge<'a> {
    entries: &'a [Entry<'a>],
    said: &'a [Said],
    rounds: Course,
    still: Course,
    desk: Desk,
}

impl<'a> Judge<'a> {
    /// # Errors
    /// There is no room for the databases.
    pub(crate) fn new(name: &str, entries: &'a [Entry<'a>], said: &'a [Said]) -> Result<Self> {
        let last = said.iter().filter(|said| said.who == 2).map(|said| said.number).max().unwrap_or(0);
        let (rounds, still) = (Course::of_rounds(last + AHEAD)?, Course::new([plan::still()])?);
        Ok(Self { entries, said, rounds, still, desk: Desk::new(name)? })
    }

    /// Cuts `cuts` times; the disk is that of `count` sectors from the log's sector `first` on.
    ///
    /// # Errors
    /// The log is about other sectors, too.
    pub(crate) fn cut(&self, first: u64, count: u64, cuts: usize, seed: u64) -> Result<Verdict> {
        let mut dice = Dice::new(seed);
        let mut places: Vec<usize> = (0..cuts).map(|_| dice.roll(self.entries.len())).collect();
        places.sort_unstable();
        let mut replay = Replay::new(first, count);
        let flushes = self.entries.iter().filter(|entry| entry.is_flush).count();
        let mut verdict = Verdict { cuts, entries: self.entries.len(), flushes, ..Verdict::default() };
        let mut floor: Option<State> = None;
        let mut next = 0;
        for (index, entry) in self.entries.iter().enumerate() {
            ensure!(
                replay.play(entry),
                "entry {index} is beyond the partition: {} sectors from {}",
                entry.count,
                entry.first
            );
            floor = floor.filter(|_| !entry.is_flush && !entry.is_durable);
            while places.get(next) == Some(&index) {
                next += 1;
                let at = floor.map_or_else(|| self.look(replay.floor()), Ok);
                floor = at.as_ref().ok().copied();
                let outcome = at.and_then(|floor| self.judge(replay.cut(&mut dice), floor, entry.end, &mut verdict));
                verdict.open += usize::from(replay.waits());
                if let Err(error) = outcome {
                    verdict.failures.push(format!("cut {next}, behind entry {index}: {error:#}"));
                }
            }
        }
        ensure!(next == cuts, "of {cuts} cuts only {next} were made: the log has {} entries", self.entries.len());
        Ok(verdict)
    }

    /// A disk whose log was cut at byte `end`, and which held `floor` at its last flush.
    fn judge(&self, disk: CutDisk<'_>, floor: State, end: u64, verdict: &mut Verdict) -> Result<()> {
        let found = self.look(disk)?;
        for (who, (found, floor)) in found.iter().zip(floor).enumerate() {
            ensure!(*found >= floor, "{}: {found} is there, and {floor} was when the disk was flushed last", WHO[who]);
            let said = self.said.iter().filter(|said| said.who == who && said.bytes <= end);
            let said = said.map(|said| said.number).max().unwrap_or(0);
            let there = self.number(who, *found);
            ensure!(there >= said, "{}{said} was said, and {there} is there", WHO[who]);
            verdict.ahead[who].push(there - said);
            verdict.last[who] = verdict.last[who].max(there);
        }
        Ok(())
    }

    /// What would have been said by then.
    fn number(&self, who: usize, found: u64) -> u64 {
        let place = usize::try_from(found).unwrap_or(usize::MAX);
        match who {
            2 => self.rounds.said_by(place),
            3 => self.still.said_by(place),
            _ => found,
        }
    }

    /// Opens a disk as the device would, and reads all of it.
    fn look(&self, disk: CutDisk<'_>) -> Result<State> {
        let mut store = Redox::mount(disk).map_err(|error| anyhow!("the disk cannot be mounted: {error:?}"))?;
        let trees = tree::read(&mut store)?;
        if let Some(name) = trees.keys().find(|name| !DIRECTORIES.contains(&name.as_str())) {
            bail!("/{name} is nobody's");
        }
        let empty = Tree::new();
        let of = |name: &str| trees.get(name).unwrap_or(&empty);
        let books = of("books");
        let is_known = |name: &String| books::JOURNAL.iter().chain(&books::LOG).any(|known| known == name);
        ensure!(books.keys().all(is_known), "files beside the databases: {:?}", books.keys());
        let place = |course: &Course, name: &str| {
            let tree = of(name);
            let place = course.place(tree);
            let sizes = || tree.iter().map(|(path, data)| (path, data.as_ref().map(Vec::len))).collect::<Vec<_>>();
            place.map(|place| place as u64).with_context(|| format!("/{name} was never so: {:?}", sizes()))
        };
        Ok([
            self.desk.bookings(books, &books::JOURNAL)?,
            self.desk.bookings(books, &books::LOG)?,
            place(&self.rounds, "rounds")?,
            place(&self.still, "still")?,
        ])
    }
}
