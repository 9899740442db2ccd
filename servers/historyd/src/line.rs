//! Entries as lines and back, as far as what is kept already must be known.
use alloc::format;
use alloc::string::String;
use core::fmt::Write;
use libhybrid::interfaces::log::{Entry, NAME_MAX, TEXT_MAX};

/// Bytes of an entry's line at most: number, time, level, name, text, and what is between them.
pub(crate) const MAX: usize = 20 + 21 + 5 + NAME_MAX + TEXT_MAX + 6;
/// Of an own one that tells of a number.
pub(crate) const OWN_MAX: usize = 80;

/// Which entry a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) sequence: u64,
    pub(crate) at_us: u64,
}

impl Mark {
    pub(crate) fn of(entry: &Entry<'_>) -> Self {
        Self { sequence: entry.sequence, at_us: entry.at_ns / 1000 }
    }

    /// Whether an entry was kept before this one or is this one. logd counts anew in each of its lives, so an earlier number may be of a later one.
    pub(crate) fn covers(&self, entry: &Entry<'_>) -> bool {
        entry.sequence <= self.sequence && entry.at_ns / 1000 <= self.at_us
    }

    /// The last entry in the end of a file.
    pub(crate) fn last_of(tail: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(tail.get(tail.iter().position(|byte| *byte == b'\n')? + 1..)?).ok();
        // A file with one line only begins in it.
        let text = text.filter(|text| !text.is_empty()).or_else(|| core::str::from_utf8(tail).ok())?;
        text.lines().rev().find_map(Self::parse)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let sequence = words.next()?.parse().ok()?;
        let (seconds, micros) = words.next()?.split_once('.')?;
        let micros = micros.parse::<u64>().ok().filter(|micros| *micros < 1_000_000)?;
        let at_us = seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(micros)?;
        Some(Self { sequence, at_us })
    }
}

/// The line of an entry.
pub(crate) fn of(entry: &Entry<'_>) -> String {
    write(&Mark::of(entry), &format!("{:?}", entry.level), &entry.component, &entry.text)
}

/// A line. Whatever is in the texts, it is one: the reader's terminal is the reader's matter.
pub(crate) fn write(mark: &Mark, level: &str, component: &str, text: &str) -> String {
    let mut line = String::new();
    // Writing to a String cannot fail.
    let _ = write!(line, "{} {}.{:06} {level} ", mark.sequence, mark.at_us / 1_000_000, mark.at_us % 1_000_000);
    let plain = |character: char| if character.is_control() { ' ' } else { character };
    line.extend(component.chars().map(plain));
    line.push_str(": ");
    line.extend(text.chars().map(plain));
    line.push('\n');
    line
}

/// A line of historyd's own.
pub(crate) fn own(text: &str) -> String {
    format!("# {text}\n")
}
