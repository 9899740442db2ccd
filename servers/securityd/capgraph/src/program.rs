//! The check of a component's program (static ELF64, AArch64) and its segments; it loads nothing.
//!
//! Source: System V ABI, "ELF-64 Object File Format", version 1.5.

use alloc::vec::Vec;

use crate::graph::{Rights, Runtime};
use crate::layout;

const PAGE: u64 = 4096;
const SEGMENTS_MAX: usize = 16;
/// Lowest address of a program: components are linked here.
const LOWEST: u64 = 0x40_0000;
/// One past the highest: the heap starts there.
const HIGHEST: u64 = 0x1000_0000;

/// Why bytes are no program of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramError {
    /// Not an ELF64 executable for AArch64.
    Format,
    /// A header or segment points outside of the file.
    Bounds,
    /// A segment lies outside of a program's address range, or two share a page.
    Address,
    /// A segment is both writable and executable.
    WriteXorExecute,
    /// The entry is not in an executable segment.
    Entry,
    /// It needs dynamic linking, or thread-local storage without a runtime that has it.
    Unsupported,
}

impl ProgramError {
    /// A sentence part for messages.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Format => "it is no ELF64 executable for AArch64",
            Self::Bounds => "a part of it lies outside of the file",
            Self::Address => "a segment lies outside of a program's addresses or shares a page with another",
            Self::WriteXorExecute => "a segment is both writable and executable",
            Self::Entry => "its entry is not in an executable segment",
            Self::Unsupported => "it needs dynamic linking, or thread-local storage without a runtime that has it",
        }
    }
}

/// One range of pages with the same access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Address of its first byte; need not be a page's start.
    pub address: u64,
    /// Bytes in memory; those behind `data` are zero.
    pub bytes: u64,
    /// Bytes from the file.
    pub data: &'a [u8],
    /// Of the mapping.
    pub rights: Rights,
    /// Of the mapping. Never together with write.
    pub is_executable: bool,
}

impl Segment<'_> {
    /// Address of its first page.
    #[must_use]
    pub const fn first_page(&self) -> u64 {
        self.address / PAGE * PAGE
    }

    /// How many pages it touches.
    #[must_use]
    pub const fn pages(&self) -> u64 {
        (self.address + self.bytes - self.first_page()).div_ceil(PAGE)
    }
}

/// A checked program.
///
/// INV-PROGRAM-1: segments ascend, share no page, lie in the program's address range, and none is writable and executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program<'a> {
    /// Where it starts.
    pub entry: u64,
    /// Its loadable segments.
    pub segments: Vec<Segment<'a>>,
    has_tls: bool,
}

impl<'a> Program<'a> {
    /// Checks the file of a component on `runtime`. Thread-local storage is set up by musl, and by nobody else.
    ///
    /// # Errors
    /// What is wrong.
    pub fn of(runtime: Runtime, file: &'a [u8]) -> Result<Self, ProgramError> {
        let program = Self::parse(file)?;
        let is_fine = !program.has_tls || !matches!(runtime, Runtime::Core);
        is_fine.then_some(program).ok_or(ProgramError::Unsupported)
    }

    /// Checks a file, but for what depends on its runtime.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(file: &'a [u8]) -> Result<Self, ProgramError> {
        let is_elf = file.get(..7) == Some(b"\x7fELF\x02\x01\x01") && half(file, 16)? == 2 && half(file, 18)? == 183;
        if !is_elf || half(file, 54)? != 56 {
            return Err(ProgramError::Format);
        }
        let (headers, count) = (word(file, 32)?, usize::from(half(file, 56)?));
        let (mut segments, mut has_tls) = (Vec::<Segment<'a>>::new(), false);
        for index in 0..count {
            let header = part(file, headers, (index as u64).checked_mul(56).ok_or(ProgramError::Bounds)?, 56)?;
            match u32::from(half(header, 0)?) | u32::from(half(header, 2)?) << 16 {
                1 => segments.extend(segment(file, header)?),
                2 | 3 => return Err(ProgramError::Unsupported),
                7 => has_tls = true,
                _ => {}
            }
        }
        segments.sort_by_key(|segment| segment.address);
        let share_a_page = |pair: &[Segment<'_>]| pair[0].first_page() + pair[0].pages() * PAGE > pair[1].first_page();
        if segments.len() > SEGMENTS_MAX || segments.windows(2).any(share_a_page) {
            return Err(ProgramError::Address);
        }
        let entry = word(file, 24)?;
        let holds_entry = |segment: &Segment<'_>| {
            segment.is_executable && (segment.address..segment.address + segment.bytes).contains(&entry)
        };
        if segments.iter().any(holds_entry) && entry % 4 == 0 {
            Ok(Self { entry, segments, has_tls })
        } else {
            Err(ProgramError::Entry)
        }
    }

    /// Pages of all segments.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.segments.iter().map(Segment::pages).sum()
    }
}

fn segment<'a>(file: &'a [u8], header: &[u8]) -> Result<Option<Segment<'a>>, ProgramError> {
    let flags = half(header, 4)?;
    let (offset, address, length, bytes) = (word(header, 8)?, word(header, 16)?, word(header, 32)?, word(header, 40)?);
    if bytes == 0 {
        return Ok(None);
    }
    let end = address.checked_add(bytes).ok_or(ProgramError::Address)?;
    if address < LOWEST || end > HIGHEST || length > bytes {
        return Err(ProgramError::Address);
    }
    let (is_executable, is_writable) = (flags & 1 != 0, flags & 2 != 0);
    if is_executable && is_writable {
        return Err(ProgramError::WriteXorExecute);
    }
    let rights = if is_writable { Rights::READ_WRITE } else { Rights::READ };
    Ok(Some(Segment { address, bytes, data: part(file, offset, 0, length)?, rights, is_executable }))
}

fn part(file: &[u8], base: u64, offset: u64, length: u64) -> Result<&[u8], ProgramError> {
    let start = base.checked_add(offset).ok_or(ProgramError::Bounds)?;
    let end = start.checked_add(length).ok_or(ProgramError::Bounds)?;
    let index = |value: u64| usize::try_from(value).map_err(|_| ProgramError::Bounds);
    file.get(index(start)?..index(end)?).ok_or(ProgramError::Bounds)
}

fn half(bytes: &[u8], at: usize) -> Result<u16, ProgramError> {
    let value = bytes.get(at..at + 2).and_then(|value| value.try_into().ok()).ok_or(ProgramError::Bounds)?;
    Ok(u16::from_le_bytes(value))
}

fn word(bytes: &[u8], at: usize) -> Result<u64, ProgramError> {
    let value = bytes.get(at..at + 8).and_then(|value| value.try_into().ok()).ok_or(ProgramError::Bounds)?;
    Ok(u64::from_le_bytes(value))
}

/// The program's range ends before every other range of the layout.
const _: () = assert!(HIGHEST < layout::REGION_BASE);

#[cfg(test)]
mod tests {
    use super::{Program, ProgramError, Runtime};

    /// One segment: type, flags, offset, address, file bytes, memory bytes.
    type Header = (u32, u32, u64, u64, u64, u64);

    fn elf(entry: u64, headers: &[Header]) -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file[16] = 2;
        file[18] = 183;
        file[24..32].copy_from_slice(&entry.to_le_bytes());
        file[32] = 64;
        file[54] = 56;
        file[56] = u8::try_from(headers.len()).unwrap();
        for (kind, flags, offset, address, length, bytes) in headers {
            file.extend(kind.to_le_bytes());
            file.extend(flags.to_le_bytes());
            for value in [*offset, *address, *address, *length, *bytes, 4096] {
                file.extend(value.to_le_bytes());
            }
        }
        file.resize(0x2000, 0xcc);
        file
    }

    const TEXT: Header = (1, 5, 0x1000, 0x40_0000, 0x100, 0x100);
    const DATA: Header = (1, 6, 0x1100, 0x40_1100, 0x100, 0x2000);

    #[test]
    fn program_of_two_segments_is_accepted() {
        let file = elf(0x40_0010, &[TEXT, DATA]);
        let program = Program::parse(&file).unwrap();
        assert_eq!((program.entry, program.segments.len(), program.pages()), (0x40_0010, 2, 1 + 3));
        assert!(program.segments[0].is_executable && !program.segments[1].is_executable);
        assert_eq!(program.segments[1].data.len(), 0x100);
    }

    #[test]
    fn program_with_one_mistake_is_refused_by_name() {
        let cases: [(u64, Vec<Header>, ProgramError); 9] = [
            (0x40_0010, vec![(1, 7, 0x1000, 0x40_0000, 0x100, 0x100)], ProgramError::WriteXorExecute),
            (0x40_0010, vec![TEXT, (1, 6, 0x1100, 0x40_0800, 0x10, 0x10)], ProgramError::Address),
            (0x40_0010, vec![TEXT, (1, 6, 0x1100, 0x10_0000, 0x10, 0x10)], ProgramError::Address),
            (0x40_0010, vec![TEXT, (1, 6, 0x1100, 0x0fff_f000, 0x10, 0x2000)], ProgramError::Address),
            (0x40_0010, vec![TEXT, (1, 6, 0x1f80, 0x40_1f80, 0x100, 0x100)], ProgramError::Bounds),
            (0x40_0010, vec![TEXT, (1, 6, 0x1000, 0x40_2000, 0x20, 0x10)], ProgramError::Address),
            (0x40_1100, vec![TEXT, DATA], ProgramError::Entry),
            (0x40_0010, vec![TEXT, (2, 6, 0, 0, 0, 0)], ProgramError::Unsupported),
            (0x40_0010, vec![TEXT, (1, 6, u64::MAX, 0x40_2000, 0x10, 0x10)], ProgramError::Bounds),
        ];
        for (entry, headers, error) in cases {
            assert_eq!(Program::parse(&elf(entry, &headers)), Err(error), "{headers:x?}");
        }
        let with_tls = elf(0x40_0010, &[TEXT, (7, 4, 0x1000, 0x40_0000, 0x10, 0x20)]);
        assert_eq!(Program::of(Runtime::Core, &with_tls), Err(ProgramError::Unsupported));
        assert!(Program::of(Runtime::Std, &with_tls).is_ok() && Program::of(Runtime::C, &with_tls).is_ok());
        assert_eq!(Program::parse(b"\x7fELF"), Err(ProgramError::Format));
        assert_eq!(Program::parse(&[0; 100]), Err(ProgramError::Format));
    }

    #[test]
    fn program_cut_off_or_changed_anywhere_never_panics() {
        let file = elf(0x40_0010, &[TEXT, DATA]);
        for at in 0..200 {
            let _ = Program::parse(&file[..at]);
            for value in [0, 1, 0x7f, 0xff] {
                let mut other = file.clone();
                other[at] = value;
                let _ = Program::parse(&other);
            }
        }
    }
}
