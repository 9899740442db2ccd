//! Random calls about files against a model: a map of paths to what they name.
use super::*;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

type Content = Rc<RefCell<Vec<u8>>>;

#[derive(Clone)]
enum Entry {
    File(Content),
    Directory,
}

#[derive(Clone)]
struct Open {
    content: Option<Content>,
    offset: Rc<Cell<usize>>,
    flags: u64,
}

struct Model {
    entries: BTreeMap<String, Entry>,
    open: BTreeMap<u64, Open>,
}

#[derive(Debug, Clone)]
enum Step {
    Open(usize, u64),
    Close(u64),
    Dup(u64),
    Write(u64, usize),
    WriteTwice(u64, usize, usize),
    WriteAt(u64, usize, usize),
    Read(u64, usize),
    ReadAt(u64, usize, usize),
    Seek(u64, i64, u64),
    Cut(u64, usize),
    Rename(usize, usize),
    Unlink(usize),
    MakeDirectory(usize),
    RemoveDirectory(usize),
    Stat(usize),
}

/// What a program says, and what it means.
const PATHS: [(&str, &str); 8] = [
    ("/x", "/x"),
    ("d", "/d"),
    ("/d/./x", "/d/x"),
    ("d/../d/y", "/d/y"),
    ("/d/e", "/d/e"),
    ("x/../d/e/x", "/d/e/x"),
    ("/../x", "/x"),
    ("/", "/"),
];
const FLAGS: [u64; 9] = [
    0,
    READ_WRITE,
    1,
    CREATE | READ_WRITE,
    CREATE | EXCLUSIVE | READ_WRITE,
    CREATE | TRUNCATE | 1,
    CREATE | APPEND | READ_WRITE,
    CREATE,
    DIRECTORY,
];

fn step() -> impl Strategy<Value = Step> {
    let path = || 0..PATHS.len();
    let descriptor = || 3_u64..8;
    let length = || prop_oneof![0_usize..20, 790_usize..810, 16_380_usize..16_390, 40_000_usize..60_000];
    prop_oneof![
        6 => (path(), 0..FLAGS.len()).prop_map(|(path, flags)| Step::Open(path, FLAGS[flags])),
        1 => descriptor().prop_map(Step::Close),
        1 => descriptor().prop_map(Step::Dup),
        3 => (descriptor(), length()).prop_map(|(of, length)| Step::Write(of, length)),
        1 => (descriptor(), length(), length()).prop_map(|(of, a, b)| Step::WriteTwice(of, a, b)),
        1 => (descriptor(), length(), 0_usize..70_000).prop_map(|(of, length, at)| Step::WriteAt(of, length, at)),
        3 => (descriptor(), length()).prop_map(|(of, length)| Step::Read(of, length)),
        1 => (descriptor(), length(), 0_usize..70_000).prop_map(|(of, length, at)| Step::ReadAt(of, length, at)),
        2 => (descriptor(), -50_i64..50, 0_u64..5).prop_map(|(of, by, whence)| Step::Seek(of, by, whence)),
        1 => (descriptor(), 0_usize..50_000).prop_map(|(of, size)| Step::Cut(of, size)),
        2 => (path(), path()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => path().prop_map(Step::Unlink),
        3 => path().prop_map(Step::MakeDirectory),
        1 => path().prop_map(Step::RemoveDirectory),
        1 => path().prop_map(Step::Stat),
    ]
}

type Result<T> = std::result::Result<T, Errno>;

impl Model {
    fn entry(&self, path: &str) -> Result<Entry> {
        let above = path.match_indices('/').map(|(at, _)| &path[..at]).filter(|above| !above.is_empty());
        for above in above {
            match self.entries.get(above) {
                None => return Err(Errno::ENOENT),
                Some(Entry::File(_)) => return Err(Errno::ENOTDIR),
                Some(Entry::Directory) => {}
            }
        }
        if path == "/" { Ok(Entry::Directory) } else { self.entries.get(path).cloned().ok_or(Errno::ENOENT) }
    }

    /// Whether something can be made at the path.
    fn is_above(&self, path: &str) -> Result<()> {
        let (above, _) = path.rsplit_once('/').unwrap();
        if above.is_empty() {
            return Ok(());
        }
        match self.entry(above) {
            Ok(Entry::File(_)) => Err(Errno::ENOTDIR),
            found => found.map(|_| ()),
        }
    }

    fn is_empty(&self, path: &str) -> bool {
        let inside = format!("{path}/");
        !self.entries.keys().any(|other| other.starts_with(&inside))
    }

    fn open(&mut self, path: &str, flags: u64) -> Result<i64> {
        let (writes, creates) = (flags & 3 != 0, flags & CREATE != 0);
        let content = match self.entry(path) {
            Ok(_) if creates && flags & EXCLUSIVE != 0 && path != "/" => return Err(Errno::EEXIST),
            Ok(Entry::Directory) if writes || creates => return Err(Errno::EISDIR),
            Ok(Entry::File(_)) if flags & DIRECTORY != 0 => return Err(Errno::ENOTDIR),
            Ok(Entry::Directory) => None,
            Ok(Entry::File(content)) => Some(content),
            Err(Errno::ENOENT) if creates => {
                self.is_above(path)?;
                let content = Content::default();
                self.entries.insert(path.into(), Entry::File(content.clone()));
                Some(content)
            }
            Err(errno) => return Err(errno),
        };
        if let Some(content) = content.as_ref().filter(|_| flags & TRUNCATE != 0) {
            content.borrow_mut().clear();
        }
        let number = (3..).find(|number| !self.open.contains_key(number)).unwrap();
        self.open.insert(number, Open { content, offset: Rc::default(), flags });
        Ok(number as i64)
    }

    fn file(&self, descriptor: u64, directory: Errno) -> Result<(Open, Content)> {
        let open = self.open.get(&descriptor).ok_or(Errno::EBADF)?.clone();
        let content = open.content.clone().ok_or(directory)?;
        Ok((open, content))
    }

    fn write(&mut self, descriptor: u64, at: Option<usize>, bytes: &[u8]) -> Result<i64> {
        let directory = if at.is_some() { Errno::EISDIR } else { Errno::EBADF };
        let (open, content) = self.file(descriptor, directory)?;
        if open.flags & 3 == 0 {
            return Err(Errno::EBADF);
        }
        let mut content = content.borrow_mut();
        let start = match at.unwrap_or(open.offset.get()) {
            _ if open.flags & APPEND != 0 && !bytes.is_empty() => content.len(),
            start => start,
        };
        let end = start + bytes.len();
        if !bytes.is_empty() && content.len() < end {
            content.resize(end, 0);
        }
        if !bytes.is_empty() {
            content[start..end].copy_from_slice(bytes);
        }
        if at.is_none() {
            open.offset.set(end);
        }
        Ok(bytes.len() as i64)
    }

    fn read(&mut self, descriptor: u64, at: Option<usize>, length: usize) -> Result<Vec<u8>> {
        let (open, content) = self.file(descriptor, Errno::EISDIR)?;
        if open.flags & 3 == 1 {
            return Err(Errno::EBADF);
        }
        let content = content.borrow();
        let start = at.unwrap_or(open.offset.get()).min(content.len());
        let bytes = content[start..content.len().min(start + length)].to_vec();
        if at.is_none() {
            open.offset.set(open.offset.get() + bytes.len());
        }
        Ok(bytes)
    }

    /// Directories count their own way, which another test looks at.
    fn seek(&mut self, descriptor: u64, by: i64, whence: u64) -> Option<Result<i64>> {
        let (open, content) = match self.file(descriptor, Errno::EISDIR) {
            Err(Errno::EISDIR) => return None,
            Err(errno) => return Some(Err(errno)),
            Ok(found) => found,
        };
        let size = content.borrow().len() as i64;
        let to = match whence {
            0 => by,
            1 => open.offset.get() as i64 + by,
            2 => size + by,
            _ if !(0..size).contains(&by) => return Some(Err(Errno::ENXIO)),
            3 => by,
            _ => size,
        };
        if to < 0 {
            return Some(Err(Errno::EINVAL));
        }
        open.offset.set(to as usize);
        Some(Ok(to))
    }

    fn cut(&mut self, descriptor: u64, size: usize) -> Result<i64> {
        let (open, content) = self.file(descriptor, Errno::EINVAL)?;
        if open.flags & 3 == 0 {
            return Err(Errno::EINVAL);
        }
        content.borrow_mut().resize(size, 0);
        Ok(0)
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<i64> {
        if from == "/" || to == "/" {
            return Err(Errno::EBUSY);
        }
        self.is_above(from)?;
        self.is_above(to)?;
        let moved = self.entry(from)?;
        if to.starts_with(&format!("{from}/")) {
            return Err(Errno::EINVAL);
        }
        match (&moved, self.entry(to)) {
            _ if from == to => return Ok(0),
            (Entry::File(_), Ok(Entry::Directory)) => return Err(Errno::EISDIR),
            (Entry::Directory, Ok(Entry::File(_))) => return Err(Errno::ENOTDIR),
            (_, Ok(Entry::Directory)) if !self.is_empty(to) => return Err(Errno::ENOTEMPTY),
            _ => {}
        }
        let inside = format!("{from}/");
        let paths: Vec<String> =
            self.entries.keys().filter(|path| *path == from || path.starts_with(&inside)).cloned().collect();
        for path in paths {
            let entry = self.entries.remove(&path).unwrap();
            self.entries.insert(format!("{to}{}", &path[from.len()..]), entry);
        }
        Ok(0)
    }

    fn remove(&mut self, path: &str, is_directory: bool) -> Result<i64> {
        match (self.entry(path)?, is_directory) {
            (Entry::Directory, true) if path == "/" => return Err(Errno::EBUSY),
            (Entry::Directory, false) => return Err(Errno::EISDIR),
            (Entry::File(_), true) => return Err(Errno::ENOTDIR),
            (Entry::Directory, true) if !self.is_empty(path) => return Err(Errno::ENOTEMPTY),
            _ => {}
        }
        self.entries.remove(path);
        Ok(0)
    }

    fn make_directory(&mut self, path: &str) -> Result<i64> {
        match self.entry(path) {
            Ok(_) => Err(Errno::EEXIST),
            Err(Errno::ENOENT) => {
                self.is_above(path)?;
                self.entries.insert(path.into(), Entry::Directory);
                Ok(0)
            }
            Err(errno) => Err(errno),
        }
    }
}

fn told(result: Result<i64>) -> i64 {
    result.unwrap_or_else(failed)
}

/// One step of both; what they say.
fn both(program: &mut Program, model: &mut Model, round: usize, step: &Step) -> (i64, i64) {
    let mut source = |length: usize| -> Vec<u8> {
        let bytes: Vec<u8> = (0..length).map(|at| (at * 7 + round) as u8).collect();
        program.world.write(DATA, &bytes).unwrap();
        bytes
    };
    match *step {
        Step::Open(path, flags) => (program.open_at(PATHS[path].0, flags), told(model.open(PATHS[path].1, flags))),
        Step::Close(of) => {
            let is_open = model.open.remove(&of).ok_or(Errno::EBADF).map(|_| 0);
            (program.call(number::CLOSE, &[of]), told(is_open))
        }
        Step::Dup(of) => {
            let same = model.open.get(&of).cloned().ok_or(Errno::EBADF).map(|same| {
                let number = (3..).find(|number| !model.open.contains_key(number)).unwrap();
                model.open.insert(number, same);
                number as i64
            });
            (program.call(number::DUP, &[of]), told(same))
        }
        Step::Write(of, length) => {
            let bytes = source(length);
            (program.call(number::WRITE, &[of, DATA, length as u64]), told(model.write(of, None, &bytes)))
        }
        Step::WriteTwice(of, a, b) => {
            let bytes = source(a.max(b));
            program.put(AT, &[DATA, a as u64, DATA, b as u64]);
            let all = [&bytes[..a], &bytes[..b]].concat();
            (program.call(number::WRITEV, &[of, AT, 2]), told(model.write(of, None, &all)))
        }
        Step::WriteAt(of, length, at) => {
            let bytes = source(length);
            let args = [of, DATA, length as u64, at as u64];
            (program.call(number::PWRITE64, &args), told(model.write(of, Some(at), &bytes)))
        }
        Step::Read(of, length) => {
            let result = program.call(number::READ, &[of, BACK, length as u64]);
            (result, compared(program, result, model.read(of, None, length)))
        }
        Step::ReadAt(of, length, at) => {
            let result = program.call(number::PREAD64, &[of, BACK, length as u64, at as u64]);
            (result, compared(program, result, model.read(of, Some(at), length)))
        }
        Step::Seek(of, by, whence) => match model.seek(of, by, whence) {
            None => (0, 0),
            Some(expected) => (program.call(number::LSEEK, &[of, by.cast_unsigned(), whence]), told(expected)),
        },
        Step::Cut(of, size) => (program.call(number::FTRUNCATE, &[of, size as u64]), told(model.cut(of, size))),
        Step::Rename(from, to) => {
            (program.rename_to(PATHS[from].0, PATHS[to].0, 0), told(model.rename(PATHS[from].1, PATHS[to].1)))
        }
        Step::Unlink(path) => {
            (program.on_path(number::UNLINKAT, PATHS[path].0, &[0]), told(model.remove(PATHS[path].1, false)))
        }
        Step::RemoveDirectory(path) => {
            (program.on_path(number::UNLINKAT, PATHS[path].0, &[0x200]), told(model.remove(PATHS[path].1, true)))
        }
        Step::MakeDirectory(path) => {
            (program.on_path(number::MKDIRAT, PATHS[path].0, &[0]), told(model.make_directory(PATHS[path].1)))
        }
        Step::Stat(path) => {
            let result = program.on_path(number::NEWFSTATAT, PATHS[path].0, &[BACK, 0]);
            let expected = model.entry(PATHS[path].1).map(|entry| {
                let size = if let Entry::File(content) = entry { content.borrow().len() as u64 } else { 0 };
                i64::from(program.world.words::<7>(BACK)[6] != size)
            });
            (result, told(expected))
        }
    }
}

/// How much was read, if it is what was to be read.
fn compared(program: &Program, result: i64, expected: Result<Vec<u8>>) -> i64 {
    match expected {
        Ok(bytes) if result < 0 || program.bytes(BACK, bytes.len()) == bytes => bytes.len() as i64,
        Ok(_) => i64::MIN,
        Err(errno) => failed(errno),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn files_under_random_calls_are_what_a_map_of_paths_says(steps in proptest::collection::vec(step(), 1..60)) {
        let mut program = Program::with_files(&["/"]);
        let mut model = Model { entries: BTreeMap::new(), open: BTreeMap::new() };
        for (round, step) in steps.iter().enumerate() {
            let (result, expected) = both(&mut program, &mut model, round, step);
            prop_assert_eq!(result, expected, "{}: {:?}", round, step);
        }
        let found = program.world.trees[0].all();
        let mut expected: BTreeMap<String, Option<Vec<u8>>> = BTreeMap::from([(String::new(), None)]);
        expected.extend(model.entries.iter().map(|(path, entry)| match entry {
            Entry::File(content) => (path.clone(), Some(content.borrow().clone())),
            Entry::Directory => (path.clone(), None),
        }));
        prop_assert_eq!(found, expected);
        for of in model.open.keys() {
            prop_assert_eq!(program.call(number::CLOSE, &[*of]), 0);
        }
        prop_assert_eq!(program.world.trees[0].open_count(), 0);
    }
}
