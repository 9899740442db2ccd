//! Finds `svc` instructions that are not libhybrid's, in programs and crates; looks at every executable word.
//!
//! System calls of a program on musl go through the personality. A trap anywhere else (a crate with an instruction of its own) would reach the kernel
//! with numbers of another system. Source: System V ABI, "ELF-64 Object File Format"; Arm ARM C6.2 (SVC).
use crate::folders;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Refuses `program` if a function that the personality's object does not have holds an `svc`.
///
/// # Errors
/// It does (the text names the functions), or a file cannot be read.
pub(crate) fn check(program: &Path, personality: &Path) -> Result<()> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let own: BTreeSet<String> = Elf(&read(personality)?).functions().unwrap_or_default().into_values().collect();
    let bytes = read(program)?;
    let found = foreign(&Elf(&bytes), &own).with_context(|| format!("{} is no program", folders::shown(program)))?;
    if !found.is_empty() {
        let names: Vec<String> = found.into_iter().collect();
        bail!(
            "{} holds system calls (`svc`) in: {}. Only libhybrid may: on HybridOS such a call means something else. If it is rustix, it \
             must be built with its `use-libc` feature; inline assembly must go",
            folders::shown(program),
            names.join(", ")
        );
    }
    Ok(())
}

/// Refuses the libraries in `folder` (cargo's `deps`) if a crate that is not of `own` holds an `svc`: of the workspace's crates those that link
/// libhybrid/sys have its instruction inlined, and whether one has its own is for `check unsafe`.
///
/// # Errors
/// One does (the text names it), or a file cannot be read.
pub(crate) fn check_crates(folder: &Path, own: &BTreeSet<String>) -> Result<()> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folders::shown(folder)))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let library = name.strip_prefix("lib").and_then(|name| name.strip_suffix(".rlib"));
        let Some((name, _)) = library.and_then(|name| name.rsplit_once('-')) else { continue };
        if own.contains(name) {
            continue;
        }
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let members = members(&bytes).with_context(|| format!("{} is no archive", folders::shown(&path)))?;
        let mut code = members.iter().filter_map(|member| Elf(member).code()).flatten();
        if code.any(|(_, code)| code.chunks_exact(4).any(is_svc)) {
            found.insert(name.to_string());
        }
    }
    if !found.is_empty() {
        let names: Vec<String> = found.into_iter().collect();
        bail!(
            "these crates hold system calls (`svc`) of their own, which only libhybrid may: {} (one that was taken out of the product since is \
             forgotten after `cargo clean`)",
            names.join(", ")
        );
    }
    Ok(())
}

/// The files in an archive (System V ABI, "Archive File"); `None` if it is none.
fn members(archive: &[u8]) -> Option<Vec<&[u8]>> {
    const HEADER: usize = 60;
    let mut rest = archive.strip_prefix(b"!<arch>\n")?;
    let mut members = Vec::new();
    while !rest.is_empty() {
        let length: usize = std::str::from_utf8(rest.get(48..58)?).ok()?.trim().parse().ok()?;
        members.push(rest.get(HEADER..HEADER.checked_add(length)?)?);
        rest = rest.get(HEADER + length.next_multiple_of(2)..).unwrap_or_default();
    }
    Some(members)
}

/// The functions, not of `own`, that hold an `svc`; `None` if this is no ELF file.
fn foreign(elf: &Elf<'_>, own: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    let functions = elf.functions()?;
    let traps = elf.code()?.into_iter().flat_map(|(address, code)| {
        let words = code.chunks_exact(4).zip((address..).step_by(4));
        words.filter(|(word, _)| is_svc(word)).map(|(_, address)| address)
    });
    let name =
        |address: u64| functions.range(..=address).next_back().map_or("no function", |(_, name)| name).to_string();
    Some(traps.map(name).filter(|name| !own.contains(name)).collect())
}

fn is_svc(word: &[u8]) -> bool {
    <[u8; 4]>::try_from(word).is_ok_and(|word| u32::from_le_bytes(word) & 0xffe0_001f == 0xd400_0001)
}

/// An ELF64 file of little-endian words; nothing is read outside of it.
struct Elf<'a>(&'a [u8]);

const SECTION_BYTES: u64 = 64;
const SYMBOL_BYTES: usize = 24;
const CODE: u64 = 4;

impl<'a> Elf<'a> {
    fn bytes(&self, at: u64, length: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(at).ok()?;
        self.0.get(start..start.checked_add(usize::try_from(length).ok()?)?)
    }

    fn number(&self, at: u64, length: u64) -> Option<u64> {
        let bytes = self.bytes(at, length)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Where each section's header is.
    fn sections(&self) -> Option<Vec<u64>> {
        let (first, count) = (self.number(40, 8)?, self.number(60, 2)?);
        (self.bytes(0, 4)? == b"\x7fELF").then(|| (0..count).map(|index| first + index * SECTION_BYTES).collect())
    }

    fn content(&self, header: u64) -> Option<&'a [u8]> {
        self.bytes(self.number(header + 24, 8)?, self.number(header + 32, 8)?)
    }

    /// Sections that can be executed: address and content.
    fn code(&self) -> Option<Vec<(u64, &'a [u8])>> {
        let mut code = Vec::new();
        for header in self.sections()? {
            // SHT_PROGBITS
            if self.number(header + 8, 8)? & CODE != 0 && self.number(header + 4, 4)? == 1 {
                code.push((self.number(header + 16, 8)?, self.content(header)?));
            }
        }
        Some(code)
    }

    /// Functions by their addresses. In an object all begin at 0 of their section, so there only the names count.
    fn functions(&self) -> Option<BTreeMap<u64, String>> {
        let sections = self.sections()?;
        let mut functions = BTreeMap::new();
        for header in &sections {
            // SHT_SYMTAB
            if self.number(header + 4, 4)? != 2 {
                continue;
            }
            let names = self.content(*sections.get(usize::try_from(self.number(header + 40, 4)?).ok()?)?)?;
            for (index, symbol) in self.content(*header)?.chunks_exact(SYMBOL_BYTES).enumerate() {
                let symbol = Elf(symbol);
                // STT_FUNC
                if symbol.number(4, 1)? & 15 == 2 {
                    let name = names.get(usize::try_from(symbol.number(0, 4)?).ok()?..)?;
                    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                    let is_object = self.number(16, 2)? == 1;
                    let place = if is_object { index as u64 } else { symbol.number(8, 8)? };
                    functions.insert(place, String::from_utf8_lossy(name).into_owned());
                }
            }
        }
        Some(functions)
    }
}

#[cfg(test)]
mod tests {
    use super::{Elf, check_crates, foreign, is_svc};
    use std::collections::BTreeSet;

    #[test]
    fn is_svc_of_any_immediate_and_of_nothing_else() {
        assert!(is_svc(&0xd400_0001_u32.to_le_bytes()) && is_svc(&0xd400_1001_u32.to_le_bytes()));
        // hvc, brk, nop
        for other in [0xd400_0002_u32, 0xd420_0000, 0xd503_201f] {
            assert!(!is_svc(&other.to_le_bytes()));
        }
        assert!(!is_svc(&[1, 0]));
    }

    /// A program with one code section at 0x1000 of two functions, `ours` and `theirs`, each a word.
    fn program(words: [u32; 2]) -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..4].copy_from_slice(b"\x7fELF");
        file[16] = 2;
        file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        let names_at = file.len();
        file.extend(b"\0ours\0theirs\0");
        let symbols_at = file.len();
        for (name, address) in [(1_u32, 0x1000_u64), (6, 0x1004)] {
            file.extend(name.to_le_bytes());
            file.extend([2, 0, 1, 0]);
            file.extend(address.to_le_bytes());
            file.extend(4_u64.to_le_bytes());
        }
        let headers_at = file.len();
        // Type, flags, address, offset, size, link.
        let sections: [(u32, u64, u64, usize, u64, u32); 3] =
            [(1, 6, 0x1000, 64, 8, 0), (3, 0, 0, names_at, 13, 0), (2, 0, 0, symbols_at, 48, 1)];
        for (kind, flags, address, offset, size, link) in sections {
            let mut header = vec![0; 64];
            header[4..8].copy_from_slice(&kind.to_le_bytes());
            header[8..16].copy_from_slice(&flags.to_le_bytes());
            header[16..24].copy_from_slice(&address.to_le_bytes());
            header[24..32].copy_from_slice(&(offset as u64).to_le_bytes());
            header[32..40].copy_from_slice(&size.to_le_bytes());
            header[40..44].copy_from_slice(&link.to_le_bytes());
            file.extend(header);
        }
        file[40..48].copy_from_slice(&(headers_at as u64).to_le_bytes());
        file[60] = 3;
        file
    }

    #[test]
    fn svc_in_a_foreign_function_is_found_by_its_name_and_in_an_own_one_is_not() {
        let own = BTreeSet::from(["ours".to_string()]);
        let (nop, svc) = (0xd503_201f, 0xd400_0001);
        let found = |words| foreign(&Elf(&program(words)), &own).unwrap().into_iter().collect::<Vec<_>>();
        assert!(found([svc, nop]).is_empty());
        assert_eq!(found([svc, svc]), ["theirs"]);
        assert_eq!(foreign(&Elf(b"no program"), &own), None);
    }

    /// An archive of these files.
    fn archive(files: &[Vec<u8>]) -> Vec<u8> {
        let mut archive = b"!<arch>\n".to_vec();
        for file in files {
            archive.extend(format!("{:<48}{:<10}`\n", "file.o/", file.len()).bytes());
            archive.extend(file);
            archive.resize(archive.len().next_multiple_of(2), b'\n');
        }
        archive
    }

    #[test]
    fn crate_with_a_system_call_of_its_own_is_refused_by_name() {
        let folder = std::env::temp_dir().join(format!("hybrid-traps-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the host has room");
        let (nop, svc) = (0xd503_201f, 0xd400_0001);
        let write = |name: &str, content: Vec<u8>| std::fs::write(folder.join(name), content).expect("room");
        write("libours-0a.rlib", archive(&[program([svc, nop])]));
        write("libgood-0b.rlib", archive(&[b"odd".to_vec(), program([nop, nop])]));
        write("libgood-0b.rmeta", b"not looked at".to_vec());
        let own = BTreeSet::from(["ours".to_string()]);
        let check = || check_crates(&folder, &own).map_err(|error| error.to_string());
        assert_eq!(check(), Ok(()));
        std::fs::write(folder.join("libbad_one-0c.rlib"), archive(&[b"odd".to_vec(), program([nop, svc])]))
            .expect("room");
        assert!(check().is_err_and(|text| text.contains("may: bad_one (")));
        std::fs::write(folder.join("libbad_one-0c.rlib"), b"!<arch>\ntruncated").expect("room");
        assert!(check().is_err_and(|text| text.contains("is no archive")));
        std::fs::remove_dir_all(&folder).expect("it is there");
    }
}
