//! A simple model of a file system, and the server's answers compared with its own, on both stores.
use super::{BLOCKS, CLIENT, begin, power::RamDisk, server};
use crate::Server;
use libhybrid::interfaces::fs::{Creation, Error, Files, Kind};
use libhybrid::ipc::ClientId;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What there is: the bytes of a file, or nothing for a directory.
pub(super) type Tree = BTreeMap<String, Option<Vec<u8>>>;

#[derive(Debug, Clone)]
pub(super) enum Op {
    Write { path: String, offset: Option<u64>, len: usize, byte: u8, creation: Creation },
    SetSize { path: String, size: u64 },
    Read { path: String, offset: u64, len: u16 },
    MakeDirectory(String),
    RemoveFile(String),
    RemoveDirectory(String),
    Rename(String, String),
    Sync,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    Data(Vec<u8>),
    Refused(Error),
}

/// Bytes that differ from their neighbours, so that what is in the wrong place shows.
pub(super) fn pattern(byte: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| byte.wrapping_add(u8::try_from(at % 241).expect("small"))).collect()
}

#[derive(Debug, Clone, Default)]
pub(super) struct Model(pub(super) Tree);

impl Model {
    fn lookup(&self, path: &str) -> Result<&Option<Vec<u8>>, Error> {
        self.parent(path)?;
        self.0.get(path).ok_or(Error::NotFound)
    }

    /// Checks the directories on the way to `path`.
    fn parent(&self, path: &str) -> Result<(), Error> {
        for (at, _) in path.match_indices('/') {
            match self.0.get(&path[..at]) {
                None => return Err(Error::NotFound),
                Some(Some(_)) => return Err(Error::NotDirectory),
                Some(None) => {}
            }
        }
        Ok(())
    }

    fn is_empty(&self, path: &str) -> bool {
        !self.0.keys().any(|other| other.starts_with(&format!("{path}/")))
    }

    fn file(&mut self, path: &str, creation: Creation) -> Result<&mut Vec<u8>, Error> {
        self.parent(path)?;
        match (self.0.get(path), creation) {
            (Some(_), Creation::Always) => return Err(Error::Exists),
            (Some(None), _) => return Err(Error::IsDirectory),
            (None, Creation::Never) => return Err(Error::NotFound),
            _ => {}
        }
        Ok(self.0.entry(path.into()).or_insert(Some(Vec::new())).as_mut().expect("a file"))
    }

    fn remove(&mut self, path: &str, is_directory: bool) -> Result<(), Error> {
        match (self.lookup(path)?, is_directory) {
            (None, false) => return Err(Error::IsDirectory),
            (Some(_), true) => return Err(Error::NotDirectory),
            (None, true) if !self.is_empty(path) => return Err(Error::NotEmpty),
            _ => {}
        }
        self.0.remove(path);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), Error> {
        self.parent(from)?;
        self.parent(to)?;
        let is_file = self.0.get(from).ok_or(Error::NotFound)?.is_some();
        if to.starts_with(&format!("{from}/")) {
            return Err(Error::Impossible);
        }
        if from == to {
            return Ok(());
        }
        match (is_file, self.0.get(to)) {
            (true, Some(None)) => return Err(Error::IsDirectory),
            (false, Some(Some(_))) => return Err(Error::NotDirectory),
            (false, Some(None)) if !self.is_empty(to) => return Err(Error::NotEmpty),
            _ => {}
        }
        self.0.remove(to);
        let is_moved = |path: &String| path == from || path.starts_with(&format!("{from}/"));
        let moved: Vec<String> = self.0.keys().filter(|path| is_moved(path)).cloned().collect();
        for path in moved {
            let node = self.0.remove(&path).expect("it is there");
            self.0.insert(format!("{to}{}", &path[from.len()..]), node);
        }
        Ok(())
    }

    pub(super) fn act(&mut self, op: &Op) -> Answer {
        let done = match op {
            Op::Write { path, offset, len, byte, creation } => self.file(path, *creation).map(|data| {
                let at = offset.map_or(data.len(), |offset| usize::try_from(offset).expect("small"));
                if *len > 0 {
                    data.resize(data.len().max(at + len), 0);
                    data[at..at + len].copy_from_slice(&pattern(*byte, *len));
                }
            }),
            Op::SetSize { path, size } => {
                self.file(path, Creation::Never).map(|data| data.resize(usize::try_from(*size).expect("small"), 0))
            }
            Op::Read { path, offset, len } => match self.lookup(path) {
                Ok(Some(data)) => {
                    let from = usize::try_from(*offset).expect("small").min(data.len());
                    let to = (from + usize::from(*len)).min(data.len());
                    return Answer::Data(data[from..to].to_vec());
                }
                Ok(None) => Err(Error::IsDirectory),
                Err(error) => Err(error),
            },
            Op::MakeDirectory(path) => self.parent(path).and_then(|()| match self.0.get(path) {
                Some(_) => Err(Error::Exists),
                None => {
                    self.0.insert(path.clone(), None);
                    Ok(())
                }
            }),
            Op::RemoveFile(path) => self.remove(path, false),
            Op::RemoveDirectory(path) => self.remove(path, true),
            Op::Rename(from, to) => self.rename(from, to),
            Op::Sync => Ok(()),
        };
        done.map_or_else(Answer::Refused, |()| Answer::Done)
    }
}

/// The same by the interface.
pub(super) fn act(server: &mut Server, op: &Op) -> Answer {
    let done = match op {
        Op::Write { path, offset, len, byte, creation } => {
            write(server, path, *offset, &pattern(*byte, *len), *creation)
        }
        Op::SetSize { path, size } => server.open_to_write(CLIENT, path, Creation::Never, false).and_then(|open| {
            let done = server.set_size(CLIENT, open.file, *size);
            server.close(CLIENT, open.file).and(done)
        }),
        Op::Read { path, offset, len } => {
            let data = server.open(CLIENT, path).and_then(|open| {
                let data = server.get(CLIENT, open.file, *offset, *len).map(|data| data.into_owned());
                server.close(CLIENT, open.file).and(data)
            });
            return data.map_or_else(Answer::Refused, Answer::Data);
        }
        Op::MakeDirectory(path) => server.make_directory(CLIENT, path),
        Op::RemoveFile(path) => server.remove_file(CLIENT, path),
        Op::RemoveDirectory(path) => server.remove_directory(CLIENT, path),
        Op::Rename(from, to) => server.rename(CLIENT, from, to),
        Op::Sync => server.sync(CLIENT),
    };
    done.map_or_else(Answer::Refused, |()| Answer::Done)
}

fn write(server: &mut Server, path: &str, offset: Option<u64>, data: &[u8], creation: Creation) -> Result<(), Error> {
    let open = server.open_to_write(CLIENT, path, creation, false)?;
    let done = server.write_whole(open.file, offset, data);
    server.close(CLIENT, open.file).and(done)
}

impl Server {
    /// One write of any length; the interface takes it from a ring.
    fn write_whole(&mut self, file: u32, offset: Option<u64>, data: &[u8]) -> Result<(), Error> {
        self.write_for_test(CLIENT, file, offset, data).map(|_end| ())
    }
}

/// All that the client of most tests sees.
pub(super) fn tree(server: &mut Server) -> Result<Tree, Error> {
    tree_of(server, CLIENT)
}

/// All that a session sees.
pub(super) fn tree_of(server: &mut Server, client: ClientId) -> Result<Tree, Error> {
    let (mut found, mut directories) = (Tree::new(), vec![String::new()]);
    while let Some(directory) = directories.pop() {
        for (name, kind) in server.names_for_test(client, &directory)? {
            let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
            if kind == Kind::Directory {
                directories.push(path.clone());
                found.insert(path, None);
            } else {
                let data = server.content_for_test(client, &path)?;
                found.insert(path, Some(data));
            }
        }
    }
    Ok(found)
}

const PATHS: [&str; 8] = ["a", "b", "d", "d/a", "d/e", "d/e/a", "e", "e/b"];

fn path() -> impl Strategy<Value = String> {
    proptest::sample::select(&PATHS[..]).prop_map(String::from)
}

fn creation() -> impl Strategy<Value = Creation> {
    prop_oneof![1 => Just(Creation::Never), 4 => Just(Creation::IfMissing), 1 => Just(Creation::Always)]
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    // Around the borders of what redoxfs keeps inline, of blocks and of records.
    let sizes = || prop_oneof![0_u64..200, 3000_u64..4200, 8000_u64..9000, 130_000_u64..132_000, 260_000_u64..263_000];
    let len = prop_oneof![0_usize..200, 3000_usize..5000, 60_000_usize..70_000];
    prop_oneof![
        4 => (path(), proptest::option::of(sizes()), len, any::<u8>(), creation())
            .prop_map(|(path, offset, len, byte, creation)| Op::Write { path, offset, len, byte, creation }),
        3 => (path(), sizes()).prop_map(|(path, size)| Op::SetSize { path, size }),
        2 => (path(), sizes(), 0_u16..800).prop_map(|(path, offset, len)| Op::Read { path, offset, len }),
        2 => path().prop_map(Op::MakeDirectory),
        1 => path().prop_map(Op::RemoveFile),
        1 => path().prop_map(Op::RemoveDirectory),
        2 => (path(), path()).prop_map(|(from, to)| Op::Rename(from, to)),
        1 => Just(Op::Sync),
    ]
}

fn compare(prefix: &str, ops: &[Op]) -> Result<(), TestCaseError> {
    compare_on(server(&RamDisk::new(BLOCKS)), prefix, ops)
}

pub(super) fn compare_on(mut server: Server, prefix: &str, ops: &[Op]) -> Result<(), TestCaseError> {
    let _rings = begin(&mut server, CLIENT, prefix, 4 << 20);
    let mut model = Model::default();
    for op in ops {
        let (expected, got) = (model.act(op), act(&mut server, op));
        prop_assert!(got == expected, "{op:?}: {} against {}", short(&got), short(&expected));
    }
    prop_assert!(tree(&mut server) == Ok(model.0), "the trees differ");
    Ok(())
}

fn short(answer: &Answer) -> String {
    let text = format!("{answer:?}");
    text.chars().take(200).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn store_in_memory_does_what_the_model_does(ops in proptest::collection::vec(op(), 1..60)) {
        compare("/tmp/x", &ops)?;
    }

    #[test]
    fn store_on_a_disk_does_what_the_model_does(ops in proptest::collection::vec(op(), 1..60)) {
        compare("/data/x", &ops)?;
    }
}
