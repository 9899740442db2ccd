//! Images that were built are read back whole, and what was changed in one is noticed.
#![expect(clippy::expect_used, reason = "a mistake of a test ends the test")]
use crate::{BLOCK, ENTRIES_MAX, ENTRY, Fault, Header, Index, NAME_MAX, ROOT, Unfit, build};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn block(image: &[u8], number: usize) -> &[u8; BLOCK] {
    image[number * BLOCK..].first_chunk().expect("a whole block")
}

fn open(image: &[u8]) -> Result<Index, Fault> {
    let header = Header::parse(block(image, 0), (image.len() / BLOCK) as u64)?;
    Index::parse(&header, &image[BLOCK..BLOCK + header.index_bytes()])
}

/// All files by their paths, every block checked.
fn files(image: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
    let index = open(image)?;
    let (mut found, mut directories) = (BTreeMap::new(), vec![(ROOT, String::new())]);
    while let Some((directory, path)) = directories.pop() {
        for number in index.list(directory) {
            let entry = index.get(number).expect("listed");
            assert_eq!(index.find(directory, &entry.name), Some(number));
            let path = if path.is_empty() { entry.name.to_string() } else { format!("{path}/{}", entry.name) };
            if entry.is_directory {
                directories.push((number, path));
                continue;
            }
            let mut bytes = Vec::new();
            for place in 0..u32::try_from(entry.bytes.div_ceil(BLOCK as u64)).expect("small") {
                let block = block(image, (entry.first + place) as usize);
                if !index.is_whole(entry.first + place, block) {
                    return Err(Fault::Checksum);
                }
                bytes.extend_from_slice(block);
            }
            bytes.truncate(usize::try_from(entry.bytes).expect("small"));
            found.insert(path, bytes);
        }
    }
    Ok(found)
}

fn built(files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, Unfit> {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    build(&files)
}

#[test]
fn empty_image_is_one() {
    let image = build(&[]).expect("fits");
    assert_eq!((files(&image), image.len()), (Ok(BTreeMap::new()), 2 * BLOCK));
}

#[test]
fn paths_that_are_none_are_refused() {
    let long = "n".repeat(NAME_MAX + 1);
    for path in ["", "/", "a/", "/a", "a//b", ".", "a/..", "a\0", &long] {
        assert_eq!(build(&[(path, b"")]), Err(Unfit::Path), "{path:?}");
    }
    for pair in [["a", "a"], ["a", "a/b"], ["a/b", "a"], ["a/b/c", "a/b"]] {
        assert_eq!(build(&pair.map(|path| (path, &b"x"[..]))), Err(Unfit::Path), "{pair:?}");
    }
    assert_eq!(build(&[("a", &vec![0; 300 << 20][..])]), Err(Unfit::TooLarge));
}

#[test]
fn entries_have_a_bound_that_reader_and_maker_share() {
    let names: Vec<String> = (0..ENTRIES_MAX).map(|number| number.to_string()).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert_eq!(build(&files), Err(Unfit::TooLarge), "with the root there is one too many");
    assert!(open(&build(&files[1..]).expect("fits")).is_ok());
}

/// Small checksums and lengths, and yet each name as long as all of them: the reader's memory would grow with their product.
#[test]
fn names_that_lie_in_each_other_are_refused() {
    let names: Vec<String> = (0..20).map(|number| format!("{number:02}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let mut image = build(&files).expect("fits");
    for number in 0..files.len() {
        let at = BLOCK + (1 + number) * ENTRY;
        // From its own name to the end of all: still in order.
        let length = u16::try_from(2 * (files.len() - number)).expect("short");
        image[at + 8..at + 10].copy_from_slice(&length.to_le_bytes());
    }
    let sum = hybrid_gpt::crc32(&image[BLOCK..2 * BLOCK]);
    image[24..28].copy_from_slice(&sum.to_le_bytes());
    let sum = hybrid_gpt::crc32(&image[..28]);
    image[28..32].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(open(&image), Err(Fault::Number));
}

#[test]
fn partition_without_or_too_small_for_an_image_has_none() {
    let image = build(&[("a", b"x")]).expect("fits");
    assert_eq!(Header::parse(&[0; BLOCK], 9), Err(Fault::None));
    assert_eq!(Header::parse(block(&image, 0), (image.len() / BLOCK - 1) as u64), Err(Fault::Number));
}

fn content() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    let name = proptest::sample::select(&["a", "b", "bin", "etc", "x.y", "ü"][..]);
    let path = proptest::collection::vec(name, 1..4).prop_map(|names| names.join("/"));
    let bytes = (prop_oneof![0_usize..10, 4094_usize..4099, 9000_usize..9100], any::<u8>())
        .prop_map(|(len, byte)| vec![byte; len]);
    proptest::collection::btree_map(path, bytes, 0..12)
}

proptest! {
    #[test]
    fn what_was_built_is_read_back(files in content()) {
        // Where one's path leads through another no image is made; the test of such paths is above.
        if let Ok(image) = built(&files) {
            prop_assert_eq!(super::tests::files(&image), Ok(files));
        }
    }

    #[test]
    fn no_changed_byte_goes_unnoticed(files in content(), at in any::<proptest::sample::Index>(), change in 1_u8..) {
        if let Ok(mut image) = built(&files) {
            let at = at.index(image.len());
            image[at] ^= change;
            let found = super::tests::files(&image);
            // The first block ends with nothing that means anything.
            let is_idle = (32..BLOCK).contains(&at);
            prop_assert!(if is_idle { found == Ok(files) } else { found.is_err() }, "byte {at}");
        }
    }

    /// With checksums that fit, whatever stands there: no panic, and nothing that leads out of the image.
    #[test]
    fn forged_index_is_checked(files in content(), forged in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u32>()), 1..6)) {
        if let Ok(mut image) = built(&files) {
            for (at, value) in forged {
                let end = 2 * BLOCK;
                let at = at.index((end - 8) / 4) * 4 + 8;
                image[at..at + 4].copy_from_slice(&value.to_le_bytes());
            }
            let index_end = BLOCK + Header::parse(block(&image, 0), 1 << 20).map_or(BLOCK, |header| header.index_bytes());
            let sum = hybrid_gpt::crc32(&image[BLOCK..index_end.min(image.len())]);
            image[24..28].copy_from_slice(&sum.to_le_bytes());
            let sum = hybrid_gpt::crc32(&image[..28]);
            image[28..32].copy_from_slice(&sum.to_le_bytes());
            let header = Header::parse(block(&image, 0), (image.len() / BLOCK) as u64);
            if let Ok(header) = header && image.len() >= BLOCK + header.index_bytes()
                && let Ok(index) = Index::parse(&header, &image[BLOCK..BLOCK + header.index_bytes()])
            {
                for number in index.list(ROOT) {
                    let entry = index.get(number).expect("listed");
                    let end = u64::from(entry.first) * BLOCK as u64 + entry.bytes;
                    prop_assert!(end <= image.len() as u64);
                }
            }
        }
    }
}
