//! Files on a disk, while the file server, the driver and the whole machine die: what was synced is there.
use super::std::all_said;
use crate::disk;
use crate::hardware::Hardware;
use crate::scenario::{BOOT_WITHIN, Image, SAY_WITHIN, Scenario, Stage, lines_with};
use anyhow::{Context, Result, ensure};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// So many bytes of files are wasted at least, and given back.
const WASTED: u64 = 800_000;

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario {
        name: "store".into(),
        about: "files are kept on disk and boot partition while servers, driver, writer and machine are killed; a reader may only read; removed files give room back".into(),
        image: Image::Product("gateway-store"),
        // Where the disk is, the scenario's own play says.
        hardware: Hardware { disk: Some("disk.img".into()), ..Hardware::default() },
        run: store,
    }]
}

fn store(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let first = kept(stage)?;
    ensure!(first > 0, "nothing was kept");
    let text = stage.console().text();
    ensure!(
        text.contains("a reader may read and no more"),
        "the reader was not refused as it must be:\n{}",
        lines_with(&text, "reader")
    );
    ensure!(
        text.contains("the system's files can be read and not changed"),
        "the system partition's files:\n{}",
        lines_with(&text, "the system's files")
    );
    updated(stage)?;
    room_is_given_back(stage)?;
    for victim in ["fsd", "disk", "keeper", "imaged", "bootd", "disk", "fsd"] {
        stage.command_beside(&format!("kill {victim}"), &format!("{victim} is stopped"))?;
        if victim == "bootd" {
            number(stage, "updater: found ", " updated and whole").context("after bootd was killed")?;
        }
        if !matches!(victim, "disk" | "imaged" | "bootd") {
            // The driver's death is noticed by nobody but the file servers, and that of one by none of the other's clients.
            number(stage, "keeper: found ", " kept and whole").with_context(|| format!("after {victim} was killed"))?;
        }
        kept(stage).with_context(|| format!("after {victim} was killed"))?;
    }
    for _ in 0..3 {
        let (before, booted) = (kept(stage)?, updated(stage)?);
        stage.console().nothing_went_wrong("")?;
        stage.lose_power()?;
        stage.boot()?;
        for (who, word, before) in [("keeper", "kept", before), ("updater", "updated", booted)] {
            // Who is first is the scheduler's choice.
            let log = all_said(stage, &[&format!(" {word} and whole")])?;
            let line = log.lines().find_map(|line| line.split_once(&format!("{who}: found ")));
            let found: Option<u64> = line.and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
            ensure!(found >= Some(before), "{before} was {word} before the power went, and {found:?} is there");
        }
        let history = stage.command("history 512", "\n> ")?;
        ensure!(history.contains(&format!("keeper: kept {first}\r")), "what was logged in the first boot is not kept");
    }
    kept(stage)?;
    let booted = updated(stage)?;
    stage.command("svc stop updater", "updater is stopped")?;
    stage.console().nothing_went_wrong("")?;
    stage.compare_grants_without(&["updater"])?;
    stage.power_off()?;
    others_read_it(stage, booted)
}

/// Files are removed, and the host's file of the disk takes less room than before.
fn room_is_given_back(stage: &mut Stage) -> Result<()> {
    all_said(stage, &["I waster: wasted 9 files"])?;
    let disk = stage.disk()?;
    let room = || Ok::<_, anyhow::Error>(std::fs::metadata(&disk)?.blocks() * 512);
    let before = room()?;
    stage.command("kill waster", "waster is stopped")?;
    all_said(stage, &["I waster: wasted 0 files"])?;
    let deadline = Instant::now() + SAY_WITHIN;
    while room()? + WASTED > before {
        ensure!(Instant::now() < deadline, "the disk's file took {before} bytes, and takes {}", room()?);
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// The next number that is said to be on the boot partition.
fn updated(stage: &mut Stage) -> Result<u64> {
    stage.console().skip_to_end();
    number(stage, ": updated ", "\n")
}

/// The boot partition as another implementation finds it: the update is there, and the image beside it.
fn others_read_it(stage: &Stage, booted: u64) -> Result<()> {
    let [image, update] = disk::boot_files(&stage.disk()?, 1, ["Image", "update.img"])?;
    ensure!(image.get(56..60) == Some(b"ARM\x64"), "the image on the boot partition is another one");
    let number = update.first_chunk().map(|number| u64::from_le_bytes(*number));
    ensure!(number >= Some(booted), "update {booted} was kept, and {number:?} is there");
    ensure!(update.len() == 100_000, "the update has {} bytes", update.len());
    Ok(())
}

/// The next number that is said to be kept.
fn kept(stage: &mut Stage) -> Result<u64> {
    stage.console().skip_to_end();
    number(stage, ": kept ", "\n")
}

/// The number between these two texts, as soon as it is there.
pub(super) fn number(stage: &mut Stage, before: &str, after: &str) -> Result<u64> {
    stage.console().expect(before, BOOT_WITHIN)?;
    let text = stage.console().expect(after, SAY_WITHIN)?;
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().with_context(|| format!("{text:?} is no number"))
}
