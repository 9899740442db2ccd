//! Feeds targets, and keeps what they choke on; measures no coverage.

use std::fs::{self, File};
use std::io::{Seek as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::bytes::Source;
use crate::corpus;
use crate::targets::Target;
use crate::{TIME_MAX, corpus::checkout};

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// After this time.
    pub time: Duration,
    /// After so many inputs.
    pub count: u64,
}

/// An input that a target choked on.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What happened.
    pub what: String,
    /// Where the input was written.
    pub file: PathBuf,
    /// The command that does it again.
    pub replay: String,
}

/// The folder for findings, below the build folder.
#[must_use]
pub fn findings() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| checkout().join("target"), PathBuf::from).join("fuzz")
}

/// All samples of a target: from its code, and from its corpus.
#[must_use]
pub fn samples(target: &Target) -> Vec<Vec<u8>> {
    let mut samples = (target.samples)();
    samples.extend(corpus::of_target(target.name));
    samples
}

/// Feeds a target: first its samples as they are, then inputs made of them. Returns how many inputs it took.
///
/// # Errors
/// The first finding, as small as a short search makes it.
pub fn feed(target: &Target, seed: u64, bounds: Bounds) -> Result<u64, Finding> {
    let samples = samples(target);
    let mut source = Source::new(seed);
    let mut last = Last::new(target);
    let deadline = Instant::now() + bounds.time;
    let mut count = 0;
    while count < bounds.count && (Instant::now() < deadline || count < samples.len() as u64) {
        let sample = usize::try_from(count).ok().and_then(|index| samples.get(index));
        let input = sample.cloned().unwrap_or_else(|| source.input(&samples));
        last.keep(&input);
        if let Err(what) = take(target, &input) {
            last.forget();
            let small = shrink(target, input);
            return Err(keep(target, &small, what));
        }
        count += 1;
    }
    last.forget();
    Ok(count)
}

/// Feeds one input.
///
/// # Errors
/// What went wrong.
pub fn take(target: &Target, input: &[u8]) -> Result<(), String> {
    let start = Instant::now();
    let caught = catch_unwind(AssertUnwindSafe(|| (target.take)(input)));
    let took = start.elapsed();
    match caught {
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            Err(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
        }
        Ok(()) if took > TIME_MAX => Err(format!("took {} s", took.as_secs())),
        Ok(()) => Ok(()),
    }
}

/// A smaller input that fails too: leaves out halves, quarters, … as long as that goes.
fn shrink(target: &Target, mut input: Vec<u8>) -> Vec<u8> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut step = input.len().div_ceil(2);
    while step > 0 {
        let mut at = 0;
        while at < input.len() && Instant::now() < deadline {
            let mut smaller = input.clone();
            drop(smaller.drain(at..(at + step).min(input.len())));
            if take(target, &smaller).is_err() { input = smaller } else { at += step }
        }
        step /= 2;
    }
    std::panic::set_hook(hook);
    input
}

/// Writes a finding.
fn keep(target: &Target, input: &[u8], what: String) -> Finding {
    // FNV-1a: the same input gets the same name.
    let hash = input
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let file = findings().join(format!("{}-{hash:016x}", target.name));
    let written = fs::create_dir_all(findings()).and_then(|()| fs::write(&file, input));
    let what = written.err().map_or(what.clone(), |error| format!("{what} (and the input cannot be kept: {error})"));
    let replay = replay_command(target, &file);
    Finding { what, file, replay }
}

/// The command that feeds a file again.
#[must_use]
pub fn replay_command(target: &Target, file: &Path) -> String {
    format!("cargo run -p hybrid-fuzz -- {} --replay {}", target.name, file.display())
}

/// The input that is being taken, in a file: a stack overflow ends the process, and then this is all that is left.
struct Last(Option<(File, PathBuf)>);

impl Last {
    fn new(target: &Target) -> Self {
        let path = findings().join(format!("{}-{}.last", target.name, std::process::id()));
        let file = fs::create_dir_all(findings()).and_then(|()| File::create(&path));
        Self(file.ok().map(|file| (file, path)))
    }

    /// Best effort: without the file, the seed still makes the same inputs.
    fn keep(&mut self, input: &[u8]) {
        if let Some((file, _)) = &mut self.0 {
            let _is_kept =
                file.rewind().and_then(|()| file.write_all(input)).and_then(|()| file.set_len(input.len() as u64));
        }
    }

    fn forget(self) {
        if let Some((_, path)) = self.0 {
            let _is_gone = fs::remove_file(path);
        }
    }
}
