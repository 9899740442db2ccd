//! Walks a flattened device tree; knows its encoding and no device.
//!
//! Source: Devicetree Specification 0.4, chapter 5. The blob comes from the firmware and is treated as hostile: nothing here
//! panics, allocates, recurses or runs longer than the blob is long for each walk.

use super::MachineError;
use crate::regions::Range;

/// A blob whose header has been checked.
#[derive(Clone, Copy, Debug)]
pub struct DeviceTree<'a> {
    structure: &'a [u8],
    strings: &'a [u8],
    reservations: &'a [u8],
    used: usize,
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
    /// [`MachineError::Magic`] or [`MachineError::Header`].
    pub fn total_size(bytes: &[u8]) -> Result<u32, MachineError> {
        if be32(bytes, 0) != Some(MAGIC) {
            return Err(MachineError::Magic);
        }
        be32(bytes, 4).filter(|size| (HEADER_SIZE..=SIZE_MAX).contains(size)).ok_or(MachineError::Header)
    }

    /// Checks the header and finds the three blocks.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn try_new(bytes: &'a [u8]) -> Result<Self, MachineError> {
        let total = usize_of(Self::total_size(bytes)?);
        let bytes = bytes.get(..total).ok_or(MachineError::Header)?;
        let field = |offset| be32(bytes, offset).map_or(0, usize_of); // the header is in `bytes`
        if field(20) < VERSION || field(24) > VERSION {
            return Err(MachineError::Version);
        }
        let block = |start: usize, size: usize| bytes.get(start..)?.get(..size);
        let tree = || {
            let (structure, strings) = (block(field(8), field(36))?, block(field(12), field(32))?);
            Some(Self { structure, strings, reservations: bytes.get(field(16)..)?, used: 0 })
        };
        let mut tree = tree().ok_or(MachineError::Header)?;
        let reserved = (tree.reservations().count() + 1) * 16;
        for (offset, size) in [(8, tree.structure.len()), (12, tree.strings.len()), (16, reserved)] {
            tree.used = tree.used.max(field(offset).saturating_add(size)).min(total);
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
            .map_while(|entry| Some((be64(entry, 0)?, be64(entry, 8)?)).filter(|&entry| entry != (0, 0)))
            .map(|(start, size)| Range::of_size(start, size))
    }

    /// All nodes in the order of the blob, as far as it is well formed.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        let (tree, mut position, mut depth) = (*self, 0, 0usize);
        core::iter::from_fn(move || {
            loop {
                let (token, next) = tree.token(position)?;
                position = next;
                match token {
                    Token::Begin(name) => {
                        depth = depth.checked_add(1)?;
                        if depth <= DEPTH_MAX {
                            return Some(Node { tree, name, depth: depth - 1, body: next });
                        }
                    }
                    Token::End => depth = depth.checked_sub(1)?,
                    Token::Property(..) | Token::Nop => {}
                }
            }
        })
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
                let name = text_at(self.structure, after)?;
                Some((Token::Begin(name), aligned(after.checked_add(name.len())?.checked_add(1)?)?))
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

    /// A property that is a number of one or two cells.
    pub fn number(&self, name: &[u8]) -> Option<u64> {
        let value = self.property(name)?;
        matches!(value.len(), 4 | 8).then(|| cells(value, 0, value.len() / 4)).flatten()
    }

    /// A property that is one string, without its terminator.
    pub fn text(&self, name: &[u8]) -> Option<&'a [u8]> {
        text_at(self.property(name)?, 0)
    }

    /// The strings of `compatible`, the most specific first.
    pub fn compatible(&self) -> impl Iterator<Item = &'a [u8]> {
        self.property(b"compatible").unwrap_or(&[]).split(|&byte| byte == 0)
    }

    /// Whether `status` allows the use of the node.
    pub fn is_enabled(&self) -> bool {
        matches!(self.text(b"status"), None | Some(b"okay" | b"ok"))
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
fn text_at(bytes: &[u8], offset: usize) -> Option<&[u8]> {
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
const VERSION: usize = 17;
const TOKEN_BEGIN_NODE: u32 = 1;
const TOKEN_END_NODE: u32 = 2;
const TOKEN_PROPERTY: u32 = 3;
const TOKEN_NOP: u32 = 4;
