//! Nothing outside of a session's directory is read or changed, whatever paths and numbers several sessions try.
use super::fat::{BEHIND, VOLUME, formatted, served};
use super::model::{Tree, pattern, tree_of};
use super::power::RamDisk;
use super::{BLOCKS, begin, server};
use crate::Server;
use libhybrid::interfaces::fs::{Creation, Error, Files, FilesClientRings, Kind, NAME_MAX, PATH_MAX};
use libhybrid::ipc::ClientId;
use proptest::prelude::*;

/// Sees the whole store.
const WHOLE: ClientId = ClientId::of(40);
/// Sessions, and their directories below the store's root: side by side, and one in another.
const SESSIONS: [(ClientId, &str); 4] =
    [(ClientId::of(41), "a"), (ClientId::of(42), "b"), (ClientId::of(43), "a/in/deep"), (ClientId::of(44), "aa")];

#[derive(Debug, Clone)]
enum Deed {
    Open(String),
    OpenToWrite(String, bool),
    Find(String),
    Put {
        file: usize,
        byte: u8,
        len: usize,
    },
    Get(usize),
    SetSize(usize, u64),
    List(usize),
    Close(usize),
    MakeDirectory(String),
    RemoveFile(String),
    RemoveDirectory(String),
    Rename(String, String),
    /// The client dies and begins again.
    Die,
}

/// Names that lead somewhere, or might.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => proptest::sample::select(&["a", "b", "aa", "in", "deep", "secret", "x"][..]).prop_map(String::from),
        4 => Just("..".to_string()),
        1 => proptest::sample::select(&[".", "", "...", "..\0", "a\0", "\0", "a\\..", "%2e%2e", "~", " ", "a:b", "\u{2024}\u{2024}", "\u{202e}a", "C:", "tmp", "data"][..])
            .prop_map(String::from),
        // What FAT has of its own: names without case, short names of long ones, names of nobody's files, the byte of a removed entry.
        1 => proptest::sample::select(&["A", "B", "IN", "Secret", "SECRET", "a.", "a ", "b..", "secret.", ". .", "A~1", "~1", "~gone-5", "~GONE-7", "A quite long name.image", "AQUITE~1.IMA", "\u{e5}", "\u{e5}b", "\u{5}b", "\u{fffd}", "NUL", "boot"][..])
            .prop_map(String::from),
        1 => (NAME_MAX - 1..NAME_MAX + 2).prop_map(|len| "n".repeat(len)),
    ]
}

fn path() -> impl Strategy<Value = String> {
    let plain = || proptest::collection::vec(name(), 0..6).prop_map(|names| names.join("/"));
    prop_oneof![
        12 => plain(),
        1 => plain().prop_map(|path| format!("/{path}/")),
        1 => (1_usize..PATH_MAX / 3 + 2).prop_map(|levels| "../".repeat(levels) + "b/secret"),
        1 => (PATH_MAX / 2 - 2..PATH_MAX / 2 + 2).prop_map(|levels| "a/".repeat(levels) + "a"),
        1 => ".{0,20}",
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => path().prop_map(Deed::Open),
        6 => (path(), any::<bool>()).prop_map(|(path, is_emptied)| Deed::OpenToWrite(path, is_emptied)),
        1 => path().prop_map(Deed::Find),
        3 => (0_usize..4, any::<u8>(), 1_usize..700).prop_map(|(file, byte, len)| Deed::Put { file, byte, len }),
        3 => (0_usize..4).prop_map(Deed::Get),
        1 => (0_usize..4, 0_u64..9000).prop_map(|(file, size)| Deed::SetSize(file, size)),
        1 => (0_usize..4).prop_map(Deed::List),
        1 => (0_usize..4).prop_map(Deed::Close),
        3 => path().prop_map(Deed::MakeDirectory),
        2 => path().prop_map(Deed::RemoveFile),
        1 => path().prop_map(Deed::RemoveDirectory),
        4 => (path(), path()).prop_map(|(from, to)| Deed::Rename(from, to)),
        1 => Just(Deed::Die),
    ]
}

struct Bench {
    server: Server,
    mount: &'static str,
    /// The last numbers that each session was given, of whatever is open now or was; and a number of each other's, tried as one's own.
    files: [Vec<u32>; SESSIONS.len()],
    /// The nodes of these numbers: an open file is its session's wherever whoever has the directory above moves it.
    given: [Vec<u64>; SESSIONS.len()],
    rings: Vec<FilesClientRings>,
}

impl Bench {
    fn new(mount: &'static str) -> Self {
        Self::on(server(&RamDisk::new(BLOCKS)), mount)
    }

    fn on(mut server: Server, mount: &'static str) -> Self {
        let mut rings = vec![begin(&mut server, WHOLE, &format!("/{mount}"), 4 << 20)];
        for (client, prefix) in SESSIONS {
            rings.push(begin(&mut server, client, &format!("/{mount}/{prefix}"), 1 << 20));
        }
        let mut bench = Self { server, mount, files: Default::default(), given: Default::default(), rings };
        for (who, (client, prefix)) in SESSIONS.into_iter().enumerate() {
            let open = bench.server.open_to_write(client, "secret", Creation::Always, false).expect("room");
            bench.server.put(client, open.file, 0, false, secret(prefix).as_bytes()).expect("room");
            bench.files[who].push(open.file);
            bench.given[who].push(open.status.id);
        }
        bench
    }

    fn tree(&mut self) -> Tree {
        tree_of(&mut self.server, WHOLE).expect("readable")
    }

    /// A number to try: the session's own, or by chance another's.
    fn file(&self, who: usize, pick: usize) -> u32 {
        let whose = if pick == 3 { (who + 1) % SESSIONS.len() } else { who };
        let files = &self.files[whose];
        files.get(files.len().wrapping_sub(1 + pick % 3)).or(files.last()).copied().unwrap_or(u32::MAX)
    }

    /// Does a deed; gives what was read or listed.
    fn act(&mut self, who: usize, deed: &Deed) -> Result<Option<Vec<u8>>, Error> {
        let (client, prefix) = SESSIONS[who];
        match deed {
            Deed::Open(path) => {
                let open = self.server.open(client, path)?;
                self.files[who].push(open.file);
                self.given[who].push(open.status.id);
            }
            Deed::OpenToWrite(path, is_emptied) => {
                let open = self.server.open_to_write(client, path, Creation::IfMissing, *is_emptied)?;
                self.files[who].push(open.file);
                self.given[who].push(open.status.id);
            }
            Deed::Find(path) => drop(self.server.find(client, path)?),
            Deed::Put { file, byte, len } => {
                let file = self.file(who, *file);
                self.server.put(client, file, 0, false, &pattern(*byte, *len))?;
            }
            Deed::Get(file) => {
                let file = self.file(who, *file);
                return self.server.get(client, file, 0, 700).map(|data| Some(data.into_owned()));
            }
            Deed::SetSize(file, size) => {
                let file = self.file(who, *file);
                self.server.set_size(client, file, *size)?;
            }
            Deed::List(file) => {
                let file = self.file(who, *file);
                self.server.list(client, file, "")?;
                let (mut scratch, mut names) = (Vec::new(), Vec::new());
                while let Some(entry) = self.rings[who + 1].entries.pop(&mut scratch).expect("honest") {
                    names.extend_from_slice(entry.name.as_bytes());
                    names.push(u8::from(entry.kind == Kind::Directory));
                }
                let _room = self.rings[who + 1].entries.release();
            }
            Deed::Close(file) => {
                let file = self.file(who, *file);
                self.server.close(client, file)?;
            }
            Deed::MakeDirectory(path) => self.server.make_directory(client, path)?,
            Deed::RemoveFile(path) => self.server.remove_file(client, path)?,
            Deed::RemoveDirectory(path) => self.server.remove_directory(client, path)?,
            Deed::Rename(from, to) => self.server.rename(client, from, to)?,
            Deed::Die => {
                self.rings[who + 1] = begin(&mut self.server, client, &format!("/{}/{prefix}", self.mount), 1 << 20);
            }
        }
        Ok(None)
    }
}

fn secret(prefix: &str) -> String {
    format!("only for {prefix}")
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
}

/// Paths that are not below `prefix` and are otherwise, or not there, in one of two trees.
fn changed<'a>(before: &'a Tree, after: &'a Tree, prefix: &str) -> Vec<&'a String> {
    let all = before.keys().chain(after.keys()).filter(|path| !is_below(path, prefix));
    all.filter(|path| before.get(*path) != after.get(*path)).collect()
}

/// Plays the deeds, and gives what is there then.
fn play(mut bench: Bench, deeds: &[(usize, Deed)]) -> Result<Tree, TestCaseError> {
    let mut before = bench.tree();
    for (who, deed) in deeds {
        let prefix = SESSIONS[*who].1;
        let read = bench.act(*who, deed);
        let after = bench.tree();
        for path in changed(&before, &after, prefix) {
            let is_by_number = matches!(deed, Deed::Put { .. } | Deed::SetSize(..)) && before.contains_key(path);
            let id = bench.server.find(WHOLE, path).map(|status| status.id);
            let is_given = id.is_ok_and(|id| bench.given[*who].contains(&id));
            prop_assert!(is_by_number && is_given, "{prefix}: {deed:?} changed {path}, which is outside");
        }
        if let Ok(Some(data)) = &read {
            // What the session had open before it was moved is its own.
            let foreign = SESSIONS.iter().filter(|(_, other)| !is_below(&format!("{other}/"), prefix));
            for (_, other) in foreign {
                prop_assert!(*data != secret(other).as_bytes(), "{prefix}: {deed:?} read what is {other}'s");
            }
        }
        for (_, prefix) in SESSIONS {
            prop_assert!(after.get(prefix) == Some(&None), "{deed:?} took away {prefix}");
        }
        before = after;
    }
    prop_assert_eq!(bench.server.sync(WHOLE), Ok(()));
    Ok(before)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_outside_is_read_or_changed_in_memory(deeds in proptest::collection::vec((0..SESSIONS.len(), deed()), 1..60)) {
        play(Bench::new("tmp"), &deeds)?;
    }

    #[test]
    fn nothing_outside_is_read_or_changed_on_a_disk(deeds in proptest::collection::vec((0..SESSIONS.len(), deed()), 1..30)) {
        play(Bench::new("data"), &deeds)?;
    }

    /// What the next life of the server reads from the volume is what was seen, each secret where it was.
    #[test]
    fn nothing_outside_is_read_or_changed_on_a_volume_of_fat(deeds in proptest::collection::vec((0..SESSIONS.len(), deed()), 1..30)) {
        let disk = formatted(VOLUME, BEHIND);
        let seen = play(Bench::on(served(&disk, "boot"), "boot"), &deeds)?;
        let mut next = served(&disk, "boot");
        let _rings = begin(&mut next, WHOLE, "/boot", 4 << 20);
        prop_assert!(tree_of(&mut next, WHOLE) == Ok(seen), "the next life finds something else");
    }
}

/// As many levels as a path can name, walked one by one and at once, then taken down again.
#[test]
fn levels_without_end_are_refused_where_paths_end() {
    for mount in ["tmp", "data"] {
        let mut bench = Bench::new(mount);
        let (client, _) = SESSIONS[1];
        let mut path = "d".to_string();
        while path.len() <= PATH_MAX {
            assert_eq!(bench.server.make_directory(client, &path), Ok(()), "{}", path.len());
            path.push_str("/d");
        }
        assert_eq!(bench.server.make_directory(client, &path), Err(Error::BadPath));
        path.truncate(path.len() - 2);
        assert_eq!(bench.server.rename(client, "d", &path), Err(Error::Impossible), "into itself");
        assert!(bench.server.find(client, &path).is_ok());
        while let Some((above, _)) = path.rsplit_once('/') {
            assert_eq!(bench.server.remove_directory(client, &path), Ok(()));
            path.truncate(above.len());
        }
    }
}
