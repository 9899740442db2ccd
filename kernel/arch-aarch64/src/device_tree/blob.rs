//! Walks a flattened device tree; knows its encoding and no device.
//!
//! Source: Devicetree Specification 0.4, chapter 5. The blob comes from the firmware and is treated as hostile: nothing here
//! panics, allocates, recurses or runs longer than the blob is long for each walk.

use crate::regions::Range;

/// A blob whose header has been checked.
#[derive(Clone, Copy, Debug)]
pub struct DeviceTree<'a> {
    structure: &'a [u8],
    strings: &'a [u8],
    reservations: &'a [u8],
    used: usize,
}

/// Why a blob is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobError {
    /// The magic number is not that of a device tree.
    Magic,
    /// The header's offsets contradict its sizes.
    Header,
    /// A version this reader does not know.
    Version,
}

/// One step of a walk: a node begins.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    tree: DeviceTree<'a>,
    /// Name with the unit address, as in the blob.
    pub name: &'a [u8],
    /// 0 for the root.
    pub depth: usize,
    body: usize,
}

/// How many levels of nodes a walk follows; deeper nodes are passed over.
pub(super) const DEPTH_MAX: usize = 12;

impl<'a> DeviceTree<'a> {
    /// The total size that the header at the start of `bytes` claims, in bytes.
    ///
    /// # Errors
    /// [`BlobError::Magic`] or [`BlobError::Header`].
    pub fn total_size(bytes: &[u8]) -> Result<u32, BlobError> {
        if be32(bytes, 0) != Some(MAGIC) {
            return Err(BlobError::Magic);
        }
        be32(bytes, 4).filter(|size| (HEADER_SIZE..=SIZE_MAX).contains(size)).ok_or(BlobError::Header)
    }

    /// Checks the header and finds the three blocks.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn try_new(bytes: &'a [u8]) -> Result<Self, BlobError> {
        let total = usize_of(Self::total_size(bytes)?);
        let bytes = bytes.get(..total).ok_or(BlobError::Header)?;
        let field = |offset| be32(bytes, offset).map(usize_of).ok_or(BlobError::Header);
        if field(20)? < VERSION_MIN || field(24)? > VERSION_MAX {
            return Err(BlobError::Version);
        }
        let block = |start: usize, size: usize| {
            start.checked_add(size).and_then(|end| bytes.get(start..end)).ok_or(BlobError::Header)
        };
        let mut tree = Self {
            structure: block(field(8)?, field(36)?)?,
            strings: block(field(12)?, field(32)?)?,
            reservations: bytes.get(field(16)?..).ok_or(BlobError::Header)?,
            used: 0,
        };
        let reserved = (tree.reservations().count() + 1) * 16;
        let ends = [(8, tree.structure.len()), (12, tree.strings.len()), (16, reserved)];
        for (offset, size) in ends {
            tree.used = tree.used.max(field(offset)?.saturating_add(size)).min(total);
        }
        Ok(tree)
    }

    /// Bytes from the header to the end of the last block; what follows is padding (QEMU adds up to a MiB).
    pub fn used_size(&self) -> usize {
        self.used
    }

    /// The entries of the memory reservation block.
    pub fn reservations(&self) -> impl Iterator<Item = Range> + use<'a> {
        let entries = self.reservations.as_chunks::<16>().0.iter();
        entries
            .map(|entry| (be64(entry, 0).unwrap_or(0), be64(entry, 8).unwrap_or(0)))
            .take_while(|&(start, size)| (start, size) != (0, 0))
            .map(|(start, size)| Range::of_size(start, size))
    }

    /// All nodes in the order of the blob, as far as it is well formed.
    pub fn nodes(&self) -> Nodes<'a> {
        Nodes { tree: *self, position: 0, depth: 0 }
    }

    /// Whether the string at `offset` of the strings block is `name`. Most properties of a walk are passed over: their names are never
    /// looked at.
    fn is_name(&self, offset: usize, name: &[u8]) -> bool {
        self.strings.get(offset..).and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.first() == Some(&0))
    }

    fn token(&self, position: usize) -> Option<(Token<'a>, usize)> {
        let after = position.checked_add(4)?;
        match be32(self.structure, position)? {
            TOKEN_BEGIN_NODE => {
                let rest = self.structure.get(after..)?;
                let length = rest.iter().position(|&byte| byte == 0)?;
                Some((Token::Begin(rest.get(..length)?), aligned(after.checked_add(length)?.checked_add(1)?)?))
            }
            TOKEN_END_NODE => Some((Token::End, after)),
            TOKEN_PROPERTY => {
                let size = usize_of(be32(self.structure, after)?);
                let name = usize_of(be32(self.structure, after.checked_add(4)?)?);
                let start = after.checked_add(8)?;
                let end = start.checked_add(size)?;
                Some((Token::Property(name, self.structure.get(start..end)?), aligned(end)?))
            }
            TOKEN_NOP => Some((Token::Nop, after)),
            _ => None,
        }
    }
}

impl<'a> Node<'a> {
    /// The value of a property of this node.
    pub fn property(&self, name: &[u8]) -> Option<&'a [u8]> {
        let mut position = self.body;
        loop {
            let (token, next) = self.tree.token(position)?;
            match token {
                Token::Property(found, value) if self.tree.is_name(found, name) => return Some(value),
                Token::Property(..) | Token::Nop => position = next,
                Token::Begin(_) | Token::End => return None,
            }
        }
    }

    /// A property that is one cell.
    pub fn cell(&self, name: &[u8]) -> Option<u32> {
        self.property(name).filter(|value| value.len() == 4).and_then(|value| be32(value, 0))
    }

    /// A property that is an address of one or two cells.
    pub fn address(&self, name: &[u8]) -> Option<u64> {
        let value = self.property(name)?;
        matches!(value.len(), 4 | 8).then(|| cells(value, 0, value.len() / 4)).flatten()
    }

    /// A property that is one string, without its terminator.
    pub fn text(&self, name: &[u8]) -> Option<&'a [u8]> {
        text_at(self.property(name)?, 0)
    }

    /// Whether `compatible` lists one of `names`.
    pub fn is_compatible(&self, names: &[&[u8]]) -> bool {
        let list = self.property(b"compatible").unwrap_or(&[]);
        list.split(|&byte| byte == 0).any(|own| names.contains(&own))
    }

    /// Whether `status` allows the use of the node.
    pub fn is_enabled(&self) -> bool {
        matches!(self.text(b"status"), None | Some(b"okay" | b"ok"))
    }
}

/// Iterator of [`DeviceTree::nodes`].
#[derive(Clone, Debug)]
pub struct Nodes<'a> {
    tree: DeviceTree<'a>,
    position: usize,
    depth: usize,
}

impl<'a> Iterator for Nodes<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        loop {
            let (token, next) = self.tree.token(self.position)?;
            self.position = next;
            match token {
                Token::Begin(name) => {
                    let depth = self.depth;
                    self.depth = depth.checked_add(1)?;
                    if depth < DEPTH_MAX {
                        return Some(Node { tree: self.tree, name, depth, body: next });
                    }
                }
                Token::End => self.depth = self.depth.checked_sub(1)?,
                Token::Property(..) | Token::Nop => {}
            }
        }
    }
}

enum Token<'a> {
    Begin(&'a [u8]),
    End,
    /// Where its name is in the strings block, and its value.
    Property(usize, &'a [u8]),
    Nop,
}

/// Reads `count` (0, 1 or 2) cells at cell index `index` as one number.
pub(crate) fn cells(value: &[u8], index: usize, count: usize) -> Option<u64> {
    let offset = index.checked_mul(4)?;
    match count {
        0 => Some(0),
        1 => be32(value, offset).map(u64::from),
        2 => be64(value, offset),
        _ => None,
    }
}

/// The string at `offset` without its terminator.
pub(crate) fn text_at(bytes: &[u8], offset: usize) -> Option<&[u8]> {
    let rest = bytes.get(offset..)?;
    rest.get(..rest.iter().position(|&byte| byte == 0)?)
}

fn be32(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().copied().map(u32::from_be_bytes)
}

fn be64(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..)?.first_chunk().copied().map(u64::from_be_bytes)
}

fn aligned(position: usize) -> Option<usize> {
    position.checked_add(3).map(|sum| sum & !3)
}

fn usize_of(value: u32) -> usize {
    value as usize // 32 bits always fit the targets' and the hosts' 64
}

const MAGIC: u32 = 0xd00d_feed;
const HEADER_SIZE: u32 = 40;
const SIZE_MAX: u32 = 2 << 20; // Linux arm64 boot protocol: at most 2 MiB
const VERSION_MIN: usize = 17;
const VERSION_MAX: usize = 17;
const TOKEN_BEGIN_NODE: u32 = 1;
const TOKEN_END_NODE: u32 = 2;
const TOKEN_PROPERTY: u32 = 3;
const TOKEN_NOP: u32 = 4;
