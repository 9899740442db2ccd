//! The files of a store, and all the trees that the steps of `apps/hello-files` lead through.
use anyhow::{Context, Result, anyhow, bail, ensure};
use fsd::{Node, Store};
use hello_files::plan::{self, Step};
use libhybrid::interfaces::fs::Kind;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The content of each file, nothing for a directory; by path.
pub(crate) type Tree = BTreeMap<String, Option<Vec<u8>>>;

/// Reads all that is below the directories of the store's root, each by its name.
///
/// # Errors
/// Something cannot be read.
pub(crate) fn read(store: &mut dyn Store) -> Result<BTreeMap<String, Tree>> {
    let mut trees = BTreeMap::new();
    let root = store.root();
    for (name, node) in store.list(root).map_err(|error| anyhow!("the root: {error:?}"))? {
        let mut tree = Tree::new();
        below(store, node, "", &mut tree).with_context(|| format!("in /{name}"))?;
        trees.insert(name, tree);
    }
    Ok(trees)
}

fn below(store: &mut dyn Store, directory: Node, path: &str, tree: &mut Tree) -> Result<()> {
    for (name, node) in store.list(directory).map_err(|error| anyhow!("{path:?}: {error:?}"))? {
        let path = if path.is_empty() { name } else { format!("{path}/{name}") };
        let found = store.found(node).map_err(|error| anyhow!("{path:?}: {error:?}"))?;
        if found.kind == Kind::Directory {
            below(store, node, &path, tree)?;
            tree.insert(path, None);
        } else {
            let mut data = vec![0; usize::try_from(found.size)?];
            let len = store.read(node, 0, &mut data).map_err(|error| anyhow!("{path:?}: {error:?}"))?;
            ensure!(len == data.len(), "{path:?} has {len} of {} bytes", data.len());
            tree.insert(path, Some(data));
        }
    }
    Ok(())
}

/// Every tree that some steps lead through, in their order.
pub(crate) struct Course {
    /// Where in the course a tree is: first and last, since a step may lead back.
    places: HashMap<u64, usize>,
    /// Where in the course each number was said to be kept.
    kept: BTreeMap<u64, usize>,
    len: usize,
}

impl Course {
    /// Of `rounds`, which begin with an empty directory.
    ///
    /// # Errors
    /// A step cannot be taken, or leads back to a tree that was there.
    pub(crate) fn new(rounds: impl IntoIterator<Item = Vec<Step>>) -> Result<Self> {
        let mut this = Self { places: HashMap::new(), kept: BTreeMap::new(), len: 0 };
        let mut tree = Tree::new();
        this.reach(&tree)?;
        for step in rounds.into_iter().flatten() {
            match step {
                Step::Sync => {}
                Step::Kept(number) => drop(this.kept.insert(number, this.len - 1)),
                step => {
                    take(&mut tree, &step)?;
                    this.reach(&tree)?;
                }
            }
        }
        Ok(this)
    }

    /// Of the component that never ends, as far as it may have come.
    ///
    /// # Errors
    /// As [`Course::new`].
    pub(crate) fn of_rounds(last: u64) -> Result<Self> {
        Self::new((1..=last).map(plan::round))
    }

    fn reach(&mut self, tree: &Tree) -> Result<()> {
        ensure!(self.places.insert(digest(tree), self.len).is_none(), "step {} leads back", self.len);
        self.len += 1;
        Ok(())
    }

    /// Where in the course this tree is.
    pub(crate) fn place(&self, tree: &Tree) -> Option<usize> {
        self.places.get(&digest(tree)).copied()
    }

    /// The last number that was to be said before a place.
    pub(crate) fn said_by(&self, place: usize) -> u64 {
        self.kept.iter().filter(|(_, at)| **at <= place).map(|(number, _)| *number).max().unwrap_or(0)
    }
}

fn digest(tree: &Tree) -> u64 {
    let mut hasher = DefaultHasher::new();
    tree.hash(&mut hasher);
    hasher.finish()
}

fn take(tree: &mut Tree, step: &Step) -> Result<()> {
    match step {
        Step::MakeDirectory(path) => drop(tree.insert(path.clone(), None)),
        Step::Create(path) => drop(tree.insert(path.clone(), Some(Vec::new()))),
        Step::Append(path, data) => file(tree, path)?.extend_from_slice(data),
        Step::WriteAt(path, offset, data) => {
            let (file, at) = (file(tree, path)?, usize::try_from(*offset)?);
            file.resize(file.len().max(at + data.len()), 0);
            file[at..at + data.len()].copy_from_slice(data);
        }
        Step::Rename(from, to) => {
            let node = tree.remove(from).with_context(|| format!("no {from}"))?;
            tree.insert(to.clone(), node);
        }
        Step::Remove(path) => drop(tree.remove(path).with_context(|| format!("no {path}"))?),
        Step::Sync | Step::Kept(_) => bail!("changes nothing"),
    }
    Ok(())
}

fn file<'a>(tree: &'a mut Tree, path: &str) -> Result<&'a mut Vec<u8>> {
    tree.get_mut(path).and_then(Option::as_mut).with_context(|| format!("no file {path}"))
}
