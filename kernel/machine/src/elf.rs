//! Reads the root task's ELF64 image; copies nothing and trusts nothing.
//!
//! The file comes from whoever filled the initrd. Every offset is checked before use, and what is wrong is said in one sentence.

/// A checked static AArch64 executable.
#[derive(Clone, Copy, Debug)]
pub struct Executable<'a> {
    bytes: &'a [u8],
    headers: &'a [u8],
    /// Virtual address of the first instruction.
    pub entry: u64,
    /// Lowest virtual address, rounded down to a page.
    pub start: u64,
    /// Highest virtual address after the image, rounded up to a page.
    pub end: u64,
}

/// One loadable piece of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Virtual address of the first byte.
    pub address: u64,
    /// What the file has for it; the rest up to `size` is zero.
    pub data: &'a [u8],
    /// Bytes in memory.
    pub size: u64,
}

crate::sentences! {
    /// Why a file cannot be the root task.
    ElfError {
        Truncated = "the file is shorter than its headers say",
        NotElf = "the file is not an ELF file",
        WrongKind = "the file is not a static little-endian AArch64 executable",
        Empty = "the file has nothing to load",
        BadSegment = "a segment is not above the one before it, contradicts itself or lies outside of the user's addresses",
        BadEntry = "the entry address is in no segment, or no multiple of 4",
    }
}

impl<'a> Executable<'a> {
    /// Checks all headers of `bytes`. `user_end` is the first address that user space may not have.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn try_new(bytes: &'a [u8], user_end: u64) -> Result<Self, ElfError> {
        if bytes.get(..4).ok_or(ElfError::Truncated)? != b"\x7fELF" {
            return Err(ElfError::NotElf);
        }
        let ident_is_right = bytes.get(4..7) == Some(&[CLASS_64, DATA_LITTLE_ENDIAN, VERSION]);
        // A position-independent executable that relocates itself runs where its headers say.
        let has_type = matches!(number(bytes, 16, 2)?, TYPE_EXECUTABLE | TYPE_SHARED);
        let kind_is_right = has_type && number(bytes, 18, 2)? == MACHINE_AARCH64;
        if !ident_is_right || !kind_is_right || number(bytes, 54, 2)? != HEADER_SIZE as u64 {
            return Err(ElfError::WrongKind);
        }
        let headers = slice_at(bytes, number(bytes, 32, 8)?, number(bytes, 56, 2)? * HEADER_SIZE as u64)?;
        let mut executable = Self { bytes, headers, entry: number(bytes, 24, 8)?, start: u64::MAX, end: 0 };
        executable.check(user_end)?;
        Ok(executable)
    }

    /// The loadable segments in file order, which is that of their addresses.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> + use<'a> {
        self.all_segments().filter_map(|segment| segment.ok().flatten())
    }

    fn all_segments(&self) -> impl Iterator<Item = Result<Option<Segment<'a>>, ElfError>> + use<'a> {
        let bytes = self.bytes;
        self.headers.chunks_exact(HEADER_SIZE).map(move |header| segment(bytes, header))
    }

    fn check(&mut self, user_end: u64) -> Result<(), ElfError> {
        let (mut entry_is_good, mut last_end) = (false, 0);
        for segment in self.all_segments() {
            let Some(segment) = segment? else { continue };
            let end = segment.address.saturating_add(segment.size);
            if end > user_end || segment.address < last_end {
                return Err(ElfError::BadSegment);
            }
            // All of the image is mapped executable (kernel-abi §10.3), whatever its segments ask for.
            entry_is_good |= (segment.address..end).contains(&self.entry);
            self.start = self.start.min(segment.address & !(PAGE - 1));
            last_end = end;
        }
        self.end = last_end.next_multiple_of(PAGE);
        match () {
            () if self.end == 0 => Err(ElfError::Empty),
            () if !entry_is_good || !self.entry.is_multiple_of(4) => Err(ElfError::BadEntry),
            () => Ok(()),
        }
    }
}

fn segment<'a>(bytes: &'a [u8], header: &[u8]) -> Result<Option<Segment<'a>>, ElfError> {
    let size = number(header, 40, 8)?;
    if number(header, 0, 4)? != SEGMENT_LOAD || size == 0 {
        return Ok(None);
    }
    let data = slice_at(bytes, number(header, 8, 8)?, number(header, 32, 8)?)?;
    if data.len() as u64 > size {
        return Err(ElfError::BadSegment);
    }
    Ok(Some(Segment { address: number(header, 16, 8)?, data, size }))
}

fn slice_at(bytes: &[u8], offset: u64, size: u64) -> Result<&[u8], ElfError> {
    let part = |offset: u64, size: u64| bytes.get(usize::try_from(offset).ok()?..)?.get(..usize::try_from(size).ok()?);
    part(offset, size).ok_or(ElfError::Truncated)
}

/// The little-endian number of `width` bytes at `offset`.
fn number(bytes: &[u8], offset: u64, width: u64) -> Result<u64, ElfError> {
    let bytes = slice_at(bytes, offset, width)?;
    Ok(bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
}

// System V ABI, chapter 4 (object files) and 5 (program loading); ELF for the Arm 64-bit architecture §5.1.
const CLASS_64: u8 = 2;
const DATA_LITTLE_ENDIAN: u8 = 1;
const VERSION: u8 = 1;
const TYPE_EXECUTABLE: u64 = 2;
const TYPE_SHARED: u64 = 3;
const MACHINE_AARCH64: u64 = 183;
const HEADER_SIZE: usize = 56;
const SEGMENT_LOAD: u64 = 1;
const PAGE: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const USER_END: u64 = 1 << 47;

    fn file(segments: &[(u64, u64, u64, u32)], entry: u64) -> Vec<u8> {
        let mut bytes = vec![0u8; 64 + 56 * segments.len() + 256];
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        bytes[16..18].copy_from_slice(&[2, 0]);
        bytes[18..20].copy_from_slice(&[183, 0]);
        bytes[24..32].copy_from_slice(&entry.to_le_bytes());
        bytes[32..40].copy_from_slice(&64u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&[56, 0]);
        bytes[56..58].copy_from_slice(&u16::try_from(segments.len()).unwrap().to_le_bytes());
        for (index, &(address, file_size, size, flags)) in segments.iter().enumerate() {
            let header = &mut bytes[64 + 56 * index..][..56];
            header[..4].copy_from_slice(&[1, 0, 0, 0]);
            header[4..8].copy_from_slice(&flags.to_le_bytes());
            header[8..16].copy_from_slice(&64u64.to_le_bytes());
            header[16..24].copy_from_slice(&address.to_le_bytes());
            header[32..40].copy_from_slice(&file_size.to_le_bytes());
            header[40..48].copy_from_slice(&size.to_le_bytes());
        }
        bytes
    }

    fn error(bytes: &[u8]) -> ElfError {
        Executable::try_new(bytes, USER_END).unwrap_err()
    }

    #[test]
    fn good_file_is_understood() {
        let bytes = file(&[(0x40_0010, 32, 32, 5), (0x40_2000, 16, 0x1800, 6)], 0x40_0010);
        let executable = Executable::try_new(&bytes, USER_END).unwrap();
        assert_eq!((executable.start, executable.end, executable.entry), (0x40_0000, 0x40_4000, 0x40_0010));
        let second = executable.segments().nth(1).unwrap();
        assert_eq!((second.data.len(), second.size), (16, 0x1800));
    }

    #[test]
    fn foreign_images_are_understood() {
        // Three segments, two of which share a page; thread-local storage and notes besides; high addresses.
        let high = 0x7f00_0000_0000;
        let mut bytes = file(
            &[(high + 0x10, 32, 32, 4), (high + 0x40, 64, 64, 5), (high + 0x0200_0ff8, 8, 0x0400_0000, 6)],
            high + 0x60,
        );
        let mut tls = bytes[64..120].to_vec();
        tls[..4].copy_from_slice(&7u32.to_le_bytes());
        tls[24..32].copy_from_slice(&0xdead_0000u64.to_le_bytes());
        bytes[56..58].copy_from_slice(&4u16.to_le_bytes());
        bytes[232..288].copy_from_slice(&tls);
        // Physical addresses mean nothing here.
        bytes[64 + 24..64 + 32].copy_from_slice(&0x4000_0000u64.to_le_bytes());
        let executable = Executable::try_new(&bytes, USER_END).unwrap();
        assert_eq!((executable.start, executable.end, executable.entry), (high, high + 0x0600_1000, high + 0x60));
        assert_eq!(executable.segments().count(), 3);
        bytes[16] = 3;
        assert!(Executable::try_new(&bytes, USER_END).is_ok(), "a position-independent executable");
        bytes[16] = 1;
        assert_eq!(error(&bytes), ElfError::WrongKind);
    }

    #[test]
    fn bad_files_are_named() {
        assert_eq!(error(b"\x7fEL"), ElfError::Truncated);
        assert_eq!(error(&[0; 64]), ElfError::NotElf);
        assert_eq!(error(&file(&[], 0)), ElfError::Empty);
        assert_eq!(error(&file(&[(0x1000, 32, 32, 5)], 0x1020)), ElfError::BadEntry);
        assert_eq!(error(&file(&[(0x1000, 32, 32, 5)], 0x1002)), ElfError::BadEntry);
        assert_eq!(error(&file(&[(0x1000, 33, 32, 5)], 0x1000)), ElfError::BadSegment);
        assert_eq!(error(&file(&[(0x1000, 4096, 8192, 5)], 0x1000)), ElfError::Truncated);
        assert_eq!(error(&file(&[(0x1000, 8, 32, 5), (0x1010, 8, 8, 6)], 0x1000)), ElfError::BadSegment);
        assert_eq!(error(&file(&[(0x2000, 8, 8, 5), (0x1000, 8, 8, 6)], 0x2000)), ElfError::BadSegment);
        assert_eq!(error(&file(&[(u64::MAX - 8, 8, 32, 5)], 0x1000)), ElfError::BadSegment);
        assert_eq!(error(&file(&[(USER_END - 16, 8, 32, 5)], 0x1000)), ElfError::BadSegment);
        let mut wrong_machine = file(&[(0x1000, 8, 8, 5)], 0x1000);
        wrong_machine[18] = 62;
        assert_eq!(error(&wrong_machine), ElfError::WrongKind);
    }

    proptest! {
        #[test]
        fn damaged_file_never_panics(position in 0usize..176, value: u8, more in prop::collection::vec((0usize..176, any::<u8>()), 0..6)) {
            let mut bytes = file(&[(0x40_0000, 32, 32, 5), (0x40_2000, 16, 0x1800, 6)], 0x40_0000);
            bytes[position] = value;
            for (position, value) in more { bytes[position] = value; }
            if let Ok(executable) = Executable::try_new(&bytes, USER_END) {
                prop_assert!(executable.segments().all(|segment| segment.data.len() as u64 <= segment.size));
                prop_assert!(executable.end <= USER_END);
            }
        }
    }
}
