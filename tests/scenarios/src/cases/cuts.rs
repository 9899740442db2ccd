//! Every write of a disk is logged while programs write and sync; `tests/cuts` cuts that log, and judges.
use crate::disk;
use crate::hardware::Hardware;
use crate::scenario::{BOOT_WITHIN, Image, SAY_WITHIN, Scenario, Stage};
use anyhow::{Context, Result, ensure};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// What is said of each program's work, and how much of it is waited for, in both lengths.
const DEEDS: [(&str, [u64; 2]); 4] = [
    ("books: journal kept ", [12, 60]),
    ("books: log kept ", [12, 60]),
    ("rounds: kept ", [12, 60]),
    ("still: kept ", [1, 1]),
];
/// Bytes of a sector.
const SECTOR: u64 = 512;
/// Cuts in both lengths, and the profile with which who judges them is built: that of the tests, unless it pays.
const CUTS: [(&str, &str); 2] = [("30", "dev"), ("1000", "release")];

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    let about = "SQLite and plain files on a disk whose writes are logged; the log is cut at 30 random points, and what was said to be kept is there";
    vec![scenario("cuts", about, |stage| play(stage, 0))]
}

/// The campaign.
pub(super) fn long() -> Vec<Scenario> {
    vec![scenario("cuts-long", "the same for longer, cut at 1,000 points", |stage| play(stage, 1))]
}

fn scenario(name: &str, about: &str, run: fn(&mut Stage) -> Result<()>) -> Scenario {
    // Where disk and log are, a scenario's own play says.
    let disk = || Some("disk.img".into());
    let hardware = Hardware { disk: disk(), disk_log: disk(), ..Hardware::default() };
    Scenario { name: name.into(), about: about.into(), image: Image::Product("gateway-cuts"), hardware, run }
}

fn play(stage: &mut Stage, length: usize) -> Result<()> {
    let kept = work(stage, length)?;
    stage.console().nothing_went_wrong("")?;
    stage.machine.kill();
    let (disk, log) = (stage.disk()?, stage.disk_log()?);
    let said = log.with_extension("kept");
    std::fs::write(&said, kept).with_context(|| format!("cannot write {}", said.display()))?;
    judge(&disk, &log, &said, CUTS[length])
}

/// Waits until there was work enough. Of each number that is said to be kept a line tells how long the log was then at the most: what was synced before
/// is in that part of it.
fn work(stage: &mut Stage, length: usize) -> Result<String> {
    let log = stage.disk_log()?;
    let (mut lines, mut so_far) = (String::new(), DEEDS.map(|_| 0));
    let deadline = Instant::now() + BOOT_WITHIN * 3;
    while so_far.iter().zip(DEEDS).any(|(so_far, (_, wanted))| *so_far < wanted[length]) {
        ensure!(Instant::now() < deadline, "there is no more work: {so_far:?} of {DEEDS:?}");
        let line = stage.console().expect("\n", SAY_WITHIN)?;
        let bytes = std::fs::metadata(&log).with_context(|| format!("cannot look at {}", log.display()))?.len();
        for (so_far, (deed, _)) in so_far.iter_mut().zip(DEEDS) {
            let Some((_, number)) = line.split_once(deed) else { continue };
            *so_far = number.trim().parse().with_context(|| line.clone())?;
            writeln!(lines, "{bytes} {deed}{so_far}")?;
        }
    }
    Ok(lines)
}

/// A program of its own cuts and looks: it is linked with the file server and with SQLite.
fn judge(disk: &Path, log: &Path, kept: &Path, (cuts, profile): (&str, &str)) -> Result<()> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(checkout).args(["run", "--quiet", "--profile", profile, "--package", "hybrid-cuts", "--"]);
    let spans = disk::spans(disk)?;
    let (_, start, bytes) = spans.iter().find(|(name, ..)| name == "data").context("the disk has no data partition")?;
    command.args([start / SECTOR, bytes / SECTOR].map(|sectors| sectors.to_string()));
    let output = command.arg(log).arg(kept).arg(cuts).output().context("cannot start the judge")?;
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    std::fs::write(log.with_extension("verdict"), format!("{said}{wrong}")).context("cannot keep the verdict")?;
    ensure!(output.status.success(), "{said}{wrong}");
    Ok(())
}
