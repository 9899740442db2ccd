//! Makes an image of files; for the host, though nothing here needs one.
use crate::{BLOCK, BLOCKS_MAX, DIRECTORY, ENTRIES_MAX, FILE, HEAD, INDEX_MAX, MAGIC, is_name};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use hybrid_gpt::crc32;

/// Why files do not make an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// A path is not plain names with one `/` between each two, is there twice, or leads through a file.
    Path,
    /// There is more than an image may have.
    TooLarge,
}

/// What is in the directories, by their paths: each name's file, or nothing for a directory.
type Tree<'a> = BTreeMap<String, BTreeMap<String, Option<&'a [u8]>>>;

/// The image of `files`, by their paths; directories are made as the paths need them. The same files make the same bytes.
///
/// # Errors
/// [`Unfit`].
pub fn build(files: &[(&str, &[u8])]) -> Result<Vec<u8>, Unfit> {
    let tree = tree(files)?;
    let (mut entries, mut names, mut data) = (entry((0, 0), 0, DIRECTORY, 0, 0), Vec::new(), Vec::new());
    let mut number = 0_u32;
    let mut directories = VecDeque::from([(0, String::new())]);
    let mut firsts = Vec::new();
    while let Some((above, path)) = directories.pop_front() {
        for (name, content) in tree.get(&path).into_iter().flatten() {
            number += 1;
            let name_at = (u32::try_from(names.len()).map_err(|_| Unfit::TooLarge)?, name.len());
            names.extend_from_slice(name.as_bytes());
            let Some(content) = content else {
                directories.push_back((number, joined(&path, name)));
                entries.extend(entry(name_at, above, DIRECTORY, 0, 0));
                continue;
            };
            // Where the index ends is not known yet.
            firsts.push((entries.len() + 12, data.len() / BLOCK, content.is_empty()));
            entries.extend(entry(name_at, above, FILE, 0, content.len()));
            if data.len() + content.len() > BLOCKS_MAX as usize * BLOCK {
                return Err(Unfit::TooLarge);
            }
            data.extend_from_slice(content);
            data.resize(data.len().next_multiple_of(BLOCK), 0);
        }
    }
    let index_blocks = (data.len() / BLOCK * 4 + entries.len() + names.len()).div_ceil(BLOCK);
    for (at, place, is_empty) in firsts {
        let first = if is_empty { 0 } else { 1 + index_blocks + place };
        entries[at..at + 4].copy_from_slice(&number_of(first)?.to_le_bytes());
    }
    let mut index: Vec<u8> = data.chunks_exact(BLOCK).flat_map(|block| crc32(block).to_le_bytes()).collect();
    index.extend_from_slice(&entries);
    index.extend_from_slice(&names);
    index.resize(index_blocks * BLOCK, 0);
    let blocks = number_of(1 + index_blocks + data.len() / BLOCK)?;
    if blocks > BLOCKS_MAX || number_of(index_blocks)? > INDEX_MAX || number >= ENTRIES_MAX {
        return Err(Unfit::TooLarge);
    }
    let mut image = MAGIC.to_vec();
    for value in [blocks, number + 1, number_of(names.len())?, number_of(index_blocks)?, crc32(&index)] {
        image.extend_from_slice(&value.to_le_bytes());
    }
    image.extend_from_slice(&crc32(&image[..HEAD - 4]).to_le_bytes());
    image.resize(BLOCK, 0);
    image.extend_from_slice(&index);
    image.extend_from_slice(&data);
    Ok(image)
}

fn tree<'a>(files: &[(&str, &'a [u8])]) -> Result<Tree<'a>, Unfit> {
    let mut tree = Tree::from([(String::new(), BTreeMap::new())]);
    for (path, content) in files {
        if !path.split('/').all(is_name) {
            return Err(Unfit::Path);
        }
        let mut above = String::new();
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        for step in directory.split('/').filter(|step| !step.is_empty()) {
            let there = tree.entry(above.clone()).or_default().entry(step.to_string()).or_insert(None);
            if there.is_some() {
                return Err(Unfit::Path);
            }
            above = joined(&above, step);
        }
        if tree.entry(above).or_default().insert(name.into(), Some(content)).is_some() {
            return Err(Unfit::Path);
        }
    }
    Ok(tree)
}

fn joined(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_string() } else { alloc::format!("{directory}/{name}") }
}

fn number_of(number: usize) -> Result<u32, Unfit> {
    u32::try_from(number).map_err(|_| Unfit::TooLarge)
}

fn entry((name_at, name_len): (u32, usize), directory: u32, kind: u16, first: u32, bytes: usize) -> Vec<u8> {
    let mut entry = Vec::new();
    entry.extend_from_slice(&directory.to_le_bytes());
    entry.extend_from_slice(&name_at.to_le_bytes());
    // A name is at most NAME_MAX.
    entry.extend_from_slice(&u16::try_from(name_len).unwrap_or(0).to_le_bytes());
    entry.extend_from_slice(&kind.to_le_bytes());
    entry.extend_from_slice(&first.to_le_bytes());
    entry.extend_from_slice(&(bytes as u64).to_le_bytes());
    entry.extend_from_slice(&[0; 4]);
    entry
}
