//! Whether a file can be booted as the root task, or why not in one sentence; loads nothing.
use std::fmt;
use std::path::Path;

/// What is wrong with a file that should be a root task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RootTaskError {
    /// It cannot be read.
    Unreadable(String),
    /// It does not begin with the ELF magic number.
    NotElf,
    /// 32-bit or big-endian.
    WrongClass,
    /// Another machine's code; the number of ELF's list.
    WrongMachine(u16),
    /// An object file, a shared library, a core dump.
    NotExecutable(u16),
    /// Position independent, or it names an interpreter.
    NotStatic,
    /// The file ends before what its headers describe.
    Truncated,
    /// There is no segment to load.
    Empty,
    /// Two segments claim the same address.
    Overlap(u64),
    /// A segment, or the three pages behind the image, reach beyond the user's addresses.
    TooHigh(u64),
    /// A segment at address 0.
    AtZero,
    /// The entry address is in no executable segment.
    BadEntry(u64),
    /// From the first to the last address there is more than the machine's memory.
    TooLarge { mib: u64, memory_mib: u32 },
}

impl fmt::Display for RootTaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "it cannot be read ({why})"),
            Self::NotElf => write!(f, "it is not an ELF file; give the root task itself, not an image with a loader"),
            Self::WrongClass => write!(f, "it is not a 64-bit little-endian file; build the root task for aarch64"),
            Self::WrongMachine(machine) => {
                let name = match machine {
                    3 | 62 => "x86",
                    40 => "32-bit Arm",
                    243 => "RISC-V",
                    _ => "another processor",
                };
                write!(f, "it is code for {name} (ELF machine {machine}); build the root task for aarch64")
            }
            Self::NotExecutable(kind) => {
                write!(f, "it is no executable (ELF type {kind}); link it with -static and without -r or -shared")
            }
            Self::NotStatic => {
                write!(f, "it is not statically linked at a fixed address; link it with -static -no-pie")
            }
            Self::Truncated => write!(f, "it ends before what its headers describe; copy or build it again"),
            Self::Empty => write!(f, "it has no segment to load; link it as an executable"),
            Self::Overlap(address) => {
                write!(f, "two of its segments overlap at {address:#x}; correct its linker script")
            }
            Self::TooHigh(address) => {
                write!(f, "it reaches up to {address:#x}, and user addresses end at {USER_END:#x}; link it lower")
            }
            Self::AtZero => write!(f, "it is linked at address 0, which stays unmapped; link it at 0x400000 or so"),
            Self::BadEntry(entry) => {
                write!(f, "its entry address {entry:#x} is in no executable segment; check its entry symbol (-e)")
            }
            Self::TooLarge { mib, memory_mib } => {
                write!(
                    f,
                    "it takes {mib} MiB in one piece and the machine has {memory_mib}; give it more with --memory"
                )
            }
        }
    }
}

impl std::error::Error for RootTaskError {}

/// First address that user space does not have (kernel-abi §6.1).
const USER_END: u64 = hybrid_abi::vm::USER_TOP + 1;
const PAGE: u64 = 4096;
const AARCH64: u16 = 183;
const EXECUTABLE: u16 = 2;
const SHARED: u16 = 3;
const LOAD: u32 = 1;
const INTERPRETER: u32 = 3;
const MAY_EXECUTE: u32 = 1;
/// Bytes of a program header.
const HEADER: u64 = 56;

/// The addresses of a root task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RootTask {
    /// First address, at a page boundary.
    pub(crate) start: u64,
    /// First address behind the image, at a page boundary.
    pub(crate) end: u64,
    /// Where it begins to run.
    pub(crate) entry: u64,
}

/// Reads and checks the file for a machine with so much memory.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn check_file(path: &Path, memory_mib: u32) -> Result<RootTask, RootTaskError> {
    let bytes = std::fs::read(path).map_err(|error| RootTaskError::Unreadable(error.to_string()))?;
    check(&bytes, memory_mib)
}

fn check(bytes: &[u8], memory_mib: u32) -> Result<RootTask, RootTaskError> {
    if !bytes.starts_with(b"\x7fELF") {
        return Err(RootTaskError::NotElf);
    }
    if bytes.get(4..6).ok_or(RootTaskError::Truncated)? != [2, 1] {
        return Err(RootTaskError::WrongClass);
    }
    match u16_at(bytes, 18)? {
        AARCH64 => {}
        other => return Err(RootTaskError::WrongMachine(other)),
    }
    match u16_at(bytes, 16)? {
        EXECUTABLE => {}
        SHARED => return Err(RootTaskError::NotStatic),
        other => return Err(RootTaskError::NotExecutable(other)),
    }
    let segments = segments(bytes)?;
    let entry = u64_at(bytes, 24)?;
    let start = segments.iter().map(|segment| segment.start).min().ok_or(RootTaskError::Empty)? / PAGE * PAGE;
    let last = segments.iter().map(|segment| segment.end).max().unwrap_or(start);
    let end = last.checked_next_multiple_of(PAGE).ok_or(RootTaskError::TooHigh(last))?;
    if start == 0 {
        return Err(RootTaskError::AtZero);
    }
    // IPC buffer, boot information and at least one page of its extra blocks lie behind the image (kernel-abi §10.3).
    if end > USER_END - 3 * PAGE {
        return Err(RootTaskError::TooHigh(end));
    }
    if !segments.iter().any(|segment| segment.is_executable && (segment.start..segment.end).contains(&entry)) {
        return Err(RootTaskError::BadEntry(entry));
    }
    let mib = (end - start) >> 20;
    if mib >= u64::from(memory_mib) {
        return Err(RootTaskError::TooLarge { mib, memory_mib });
    }
    Ok(RootTask { start, end, entry })
}

struct Segment {
    start: u64,
    end: u64,
    is_executable: bool,
}

fn segments(bytes: &[u8]) -> Result<Vec<Segment>, RootTaskError> {
    let (table, count) = (u64_at(bytes, 32)?, u16_at(bytes, 56)?);
    let mut segments: Vec<Segment> = Vec::new();
    for index in 0..u64::from(count) {
        let at = table.checked_add(index * HEADER).ok_or(RootTaskError::Truncated)?;
        let word = |offset: u64| u64_at(bytes, at + offset);
        match u32_at(bytes, at)? {
            INTERPRETER => return Err(RootTaskError::NotStatic),
            LOAD => {}
            _ => continue,
        }
        let (offset, start, in_file, in_memory) = (word(8)?, word(16)?, word(32)?, word(40)?);
        if in_memory == 0 {
            continue;
        }
        let file_end = offset.checked_add(in_file).ok_or(RootTaskError::Truncated)?;
        if file_end > bytes.len() as u64 || in_file > in_memory {
            return Err(RootTaskError::Truncated);
        }
        let end = start.checked_add(in_memory).ok_or(RootTaskError::TooHigh(start))?;
        if let Some(other) = segments.iter().find(|other| start < other.end && other.start < end) {
            return Err(RootTaskError::Overlap(start.max(other.start)));
        }
        segments.push(Segment { start, end, is_executable: u32_at(bytes, at + 4)? & MAY_EXECUTE != 0 });
    }
    Ok(segments)
}

fn field<const N: usize>(bytes: &[u8], at: u64) -> Result<[u8; N], RootTaskError> {
    let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..));
    rest.and_then(|rest| rest.first_chunk::<N>()).copied().ok_or(RootTaskError::Truncated)
}

fn u16_at(bytes: &[u8], at: u64) -> Result<u16, RootTaskError> {
    field(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: u64) -> Result<u32, RootTaskError> {
    field(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: u64) -> Result<u64, RootTaskError> {
    field(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::{RootTask, RootTaskError, check};

    /// An executable with one segment for each (type, flags, address, bytes in the file, bytes in memory).
    fn file(headers: &[(u32, u32, u64, u64, u64)], entry: u64) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(16, 0);
        bytes.extend(2_u16.to_le_bytes());
        bytes.extend(183_u16.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        [entry, 64, 0].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        bytes.extend(0_u32.to_le_bytes());
        [64, 56, u16::try_from(headers.len()).expect("few"), 0, 0, 0]
            .iter()
            .for_each(|half: &u16| bytes.extend(half.to_le_bytes()));
        for (kind, flags, address, in_file, in_memory) in headers {
            bytes.extend(kind.to_le_bytes());
            bytes.extend(flags.to_le_bytes());
            [0, *address, *address, *in_file, *in_memory, 4096]
                .iter()
                .for_each(|word| bytes.extend(word.to_le_bytes()));
        }
        bytes
    }

    fn with(mut bytes: Vec<u8>, at: usize, value: u8) -> Vec<u8> {
        bytes[at] = value;
        bytes
    }

    const CODE: (u32, u32, u64, u64, u64) = (1, 5, 0x40_0000, 100, 100);

    #[test]
    fn check_of_a_static_executable_gives_its_pages() {
        let data = (1, 6, 0x40_1800, 10, 0x2_0000);
        let task = check(&file(&[CODE, data], 0x40_0010), 1024);
        assert_eq!(task, Ok(RootTask { start: 0x40_0000, end: 0x42_2000, entry: 0x40_0010 }));
    }

    #[test]
    fn check_names_what_is_wrong() {
        let good = || file(&[CODE], 0x40_0000);
        let cases = [
            (b"#!/bin/sh".to_vec(), RootTaskError::NotElf),
            (with(good(), 4, 1), RootTaskError::WrongClass),
            (with(good(), 18, 62), RootTaskError::WrongMachine(62)),
            (with(good(), 16, 1), RootTaskError::NotExecutable(1)),
            (with(good(), 16, 3), RootTaskError::NotStatic),
            (file(&[CODE, (3, 4, 0, 10, 10)], 0x40_0000), RootTaskError::NotStatic),
            (good()[..100].to_vec(), RootTaskError::Truncated),
            (file(&[(1, 5, 0x40_0000, 1000, 1000)], 0x40_0000), RootTaskError::Truncated),
            (file(&[], 0), RootTaskError::Empty),
            (file(&[CODE, (1, 6, 0x40_0050, 0, 10)], 0x40_0000), RootTaskError::Overlap(0x40_0050)),
            (file(&[(1, 5, 0, 100, 100)], 0), RootTaskError::AtZero),
            (file(&[CODE], 0x40_0064), RootTaskError::BadEntry(0x40_0064)),
            (file(&[(1, 6, 0x40_0000, 100, 100)], 0x40_0000), RootTaskError::BadEntry(0x40_0000)),
            (
                file(&[CODE, (1, 6, 0x50_0000, 0, 0x4000_0000)], 0x40_0000),
                RootTaskError::TooLarge { mib: 1025, memory_mib: 1024 },
            ),
        ];
        for (bytes, error) in cases {
            assert_eq!(check(&bytes, 1024), Err(error));
        }
        let high = file(&[(1, 5, 0xffff_ffff_f000, 100, 100)], 0xffff_ffff_f000);
        assert!(matches!(check(&high, 1024), Err(RootTaskError::TooHigh(_))));
    }

    #[test]
    fn check_of_any_beginning_of_a_file_does_not_panic() {
        let bytes = file(&[CODE, (1, 6, u64::MAX, 0, u64::MAX)], 0x40_0000);
        (0..bytes.len()).for_each(|length| assert!(check(&bytes[..length], 1024).is_err()));
        assert!(check(&bytes, 1024).is_err());
    }
}
