//! All names of a volume of FAT in memory, each with a node that stays the same; changes nothing on the volume.
use super::chains::Tables;
use super::volume::{Cursor, Volume};
use super::{FatError, System};
use crate::blocks::Blocks;
use crate::store::Node;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use axfatfs::{DirEntry, LossyOemCpConverter, NullTimeProvider};
use core::cell::RefCell;
use libhybrid::interfaces::fs::{Error, Kind, NAME_MAX};
use libhybrid::log;

/// The uppermost directory.
pub(super) const ROOT: Node = 1;
/// Most files and directories of a volume.
const ITEMS_MAX: usize = 1024;
/// Most entries that are looked at while a volume is read, those included that no name comes from: a directory may be a ring.
const ENTRIES_MAX: usize = 16 * ITEMS_MAX;
/// Most clusters of all files, so that there is memory to remember each: 32 MiB of the smallest.
const CLUSTERS_MAX: usize = 65_536;
/// Most directories within each other.
const DEPTH_MAX: usize = 16;

/// A file or directory.
pub(super) struct Item {
    /// The directory, and the name in it; for who has no name, that under which its content is.
    parent: Node,
    name: String,
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) modified_ns: u64,
    has_name: bool,
    users: usize,
}

/// The tree.
pub(super) struct Tree {
    items: BTreeMap<Node, Item>,
    /// By directory and name, without its case.
    names: BTreeMap<(Node, String), Node>,
    next: Node,
    /// Names in the uppermost directory whose files had none.
    pub(super) left_over: Vec<String>,
    /// Bytes of all clusters.
    pub(super) capacity: u64,
}

/// A name as names are compared, which ignores case.
fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_uppercase).collect()
}

/// Whether paths can name it.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_MAX && !name.contains(['/', '\0'])
}

impl Tree {
    fn new(capacity: u64) -> Self {
        let root = Item {
            parent: ROOT,
            name: String::new(),
            kind: Kind::Directory,
            size: 0,
            modified_ns: 0,
            has_name: true,
            users: 1,
        };
        let items = BTreeMap::from([(ROOT, root)]);
        Self { items, names: BTreeMap::new(), next: ROOT + 1, left_over: Vec::new(), capacity }
    }

    pub(super) fn get(&self, node: Node) -> Result<&Item, Error> {
        self.items.get(&node).ok_or(Error::NotFound)
    }

    pub(super) fn get_mut(&mut self, node: Node) -> Option<&mut Item> {
        self.items.get_mut(&node)
    }

    pub(super) fn find(&self, directory: Node, name: &str) -> Option<Node> {
        self.names.get(&(directory, folded(name))).copied()
    }

    /// One more item is allowed, and the directory is one that has a name.
    pub(super) fn has_room_in(&self, directory: Node) -> Result<(), Error> {
        let above = self.get(directory)?;
        if above.kind != Kind::Directory {
            return Err(Error::NotDirectory);
        }
        if !above.has_name {
            return Err(Error::NotFound);
        }
        if self.items.len() > ITEMS_MAX || self.way_up(directory).count() > DEPTH_MAX {
            return Err(Error::NoSpace);
        }
        Ok(())
    }

    /// A node and all directories that it is in.
    fn way_up(&self, node: Node) -> impl Iterator<Item = Node> + '_ {
        core::iter::successors(Some(node), |node| {
            self.items.get(node).map(|item| item.parent).filter(|_| *node != ROOT)
        })
    }

    /// A node, with all that is in it, may be moved into the directory: that is not part of it, and no directory is then in too many others.
    pub(super) fn fits(&self, node: Node, directory: Node) -> Result<(), Error> {
        if self.way_up(directory).any(|above| above == node) {
            return Err(Error::Impossible);
        }
        let below = |other: &Node| self.way_up(*other).position(|above| above == node);
        let height = self.items.keys().filter_map(below).max().unwrap_or(0);
        if self.way_up(directory).count() + height > DEPTH_MAX { Err(Error::NoSpace) } else { Ok(()) }
    }

    /// A new item under a name that is not there.
    pub(super) fn add(&mut self, directory: Node, name: &str, kind: Kind, size: u64) -> Node {
        let node = self.next;
        self.next += 1;
        let name = name.to_string();
        self.names.insert((directory, folded(&name)), node);
        let item = Item { parent: directory, name, kind, size, modified_ns: 0, has_name: true, users: 0 };
        self.items.insert(node, item);
        node
    }

    /// Where the content of a node is on the volume.
    pub(super) fn path(&self, node: Node) -> Result<String, Error> {
        let item = self.get(node)?;
        if item.kind == Kind::Directory && !item.has_name {
            return Err(Error::NotFound);
        }
        self.path_in(item.parent, &item.name)
    }

    /// The path of a name in a directory.
    pub(super) fn path_in(&self, directory: Node, name: &str) -> Result<String, Error> {
        let mut parts = vec![name];
        let mut at = directory;
        while at != ROOT {
            let item = self.get(at)?;
            parts.push(&item.name);
            at = item.parent;
        }
        parts.reverse();
        Ok(parts.join("/"))
    }

    /// Whether a file's content must stay when its name goes.
    pub(super) fn is_open_file(&self, node: Node) -> bool {
        self.items.get(&node).is_some_and(|item| item.users > 0 && item.kind == Kind::File)
    }

    /// Takes away a node's name, and the node if nobody has it open; the content of an open file is at `place` in the uppermost directory.
    pub(super) fn unname(&mut self, node: Node, place: &str) {
        let Some(item) = self.items.get_mut(&node) else { return };
        let old = core::mem::replace(&mut item.name, place.to_string());
        let key = (core::mem::replace(&mut item.parent, ROOT), folded(&old));
        item.has_name = false;
        let is_unused = item.users == 0;
        // Another may have got the name already.
        if self.names.get(&key) == Some(&node) {
            self.names.remove(&key);
        }
        if is_unused {
            self.items.remove(&node);
        }
    }

    /// Gives a node another name, which no other has any more.
    pub(super) fn rename(&mut self, node: Node, to: (Node, &str)) {
        let Some(item) = self.items.get_mut(&node) else { return };
        let key = (core::mem::replace(&mut item.parent, to.0), folded(&item.name));
        item.name = to.1.to_string();
        self.names.remove(&key);
        self.names.insert((to.0, folded(to.1)), node);
    }

    pub(super) fn list(&self, directory: Node) -> Result<Vec<(String, Node)>, Error> {
        if self.get(directory)?.kind != Kind::Directory {
            return Err(Error::NotDirectory);
        }
        let all = self.names.range((directory, String::new())..(directory + 1, String::new()));
        Ok(all.filter_map(|(_, node)| Some((self.items.get(node)?.name.clone(), *node))).collect())
    }

    pub(super) fn open(&mut self, node: Node) {
        if let Some(item) = self.items.get_mut(&node) {
            item.users += 1;
        }
    }

    /// One fewer uses it. True: it is gone, and its content, which had no name, is to be removed.
    pub(super) fn close(&mut self, node: Node) -> bool {
        let Some(item) = self.items.get_mut(&node) else { return false };
        item.users = item.users.saturating_sub(1);
        let (is_gone, is_file) = (item.users == 0 && !item.has_name, item.kind == Kind::File);
        if is_gone {
            self.items.remove(&node);
        }
        is_gone && is_file
    }
}

/// What has been seen while a volume is read.
struct Seen {
    /// Where clusters begin, bytes; no two files share one.
    clusters: BTreeSet<u64>,
    entries: usize,
}

/// Reads all directories of a volume of `end` bytes, and follows the chains of all directories and files.
///
/// # Errors
/// [`FatError`]: a chain ends early, leaves the volume or belongs to two, or there is more than is kept.
pub(super) fn read<B: Blocks>(
    system: &System<B>,
    volume: &RefCell<Volume<B>>,
    end: u64,
    is_gone: fn(&str) -> bool,
) -> Result<Tree, FatError> {
    let stats = system.stats().map_err(|fault| FatError::of(&fault, FatError::Damaged))?;
    let cluster = u64::from(stats.cluster_size());
    let mut tree = Tree::new(u64::from(stats.total_clusters()) * cluster);
    let tables = Tables::new(&mut volume.borrow_mut(), system.fat_type(), cluster, stats.total_clusters().into())?;
    let mut seen = Seen { clusters: BTreeSet::new(), entries: 0 };
    let mut todo = vec![(ROOT, system.root_dir(), 0)];
    while let Some((node, directory, depth)) = todo.pop() {
        volume.borrow_mut().watch(tables.data());
        // The library finds an entry by its short name as well, the first that fits.
        let mut short_names = BTreeSet::new();
        for entry in directory.iter() {
            let entry = entry.map_err(|fault| FatError::of(&fault, FatError::Damaged))?;
            seen.entries += 1;
            if seen.entries > ENTRIES_MAX {
                return Err(FatError::TooMany);
            }
            let name = entry.file_name();
            let is_anothers = short_names.contains(&folded(&name));
            short_names.insert(folded(&entry.short_file_name()));
            if name == "." || name == ".." {
                continue;
            }
            if tree.items.len() > ITEMS_MAX || depth >= DEPTH_MAX {
                return Err(FatError::TooMany);
            }
            if entry.is_file() {
                seen.follow(&entry, (end, tree.capacity), cluster)?;
            }
            if node == ROOT && entry.is_file() && is_gone(&name) && !is_anothers {
                tree.left_over.push(name);
                continue;
            }
            if !is_name(&name) || is_anothers || tree.find(node, &name).is_some() {
                log::warn!("a name on the volume cannot be used: {name:?}");
                continue;
            }
            if entry.is_dir() {
                let below = tree.add(node, &name, Kind::Directory, 0);
                todo.push((below, entry.to_dir(), depth + 1));
            } else {
                tree.add(node, &name, Kind::File, entry.len());
            }
        }
        seen.follow_directory(&mut volume.borrow_mut(), &tables)?;
    }
    Ok(tree)
}

type Entry<'a, B> = DirEntry<'a, Cursor<B>, NullTimeProvider, LossyOemCpConverter>;

impl Seen {
    /// Follows the chain of the directory that was read last: one that is also another, or a file's content, would be a link.
    fn follow_directory<B: Blocks>(&mut self, volume: &mut Volume<B>, tables: &Tables) -> Result<(), FatError> {
        // The uppermost directory may lie before all clusters.
        let mut at = volume.watched();
        while let Some(place) = at {
            if self.clusters.len() >= CLUSTERS_MAX {
                return Err(FatError::TooMany);
            }
            if !self.clusters.insert(place) {
                return Err(FatError::Damaged);
            }
            at = tables.next(volume, place)?;
        }
        Ok(())
    }

    /// Follows a file's chain on a volume that ends at `end`, and whose clusters have `capacity` bytes.
    fn follow<B: Blocks>(
        &mut self,
        entry: &Entry<'_, B>,
        (end, capacity): (u64, u64),
        cluster: u64,
    ) -> Result<(), FatError> {
        let mut bytes = 0;
        for extent in entry.to_file().extents() {
            let extent = extent.map_err(|fault| FatError::of(&fault, FatError::Damaged))?;
            // Clusters begin with number 2, behind the tables; less than one is left behind the last.
            let before = end.saturating_sub(capacity);
            let is_inside = extent.offset.checked_add(cluster).is_some_and(|after| after <= end && after > before);
            if self.clusters.len() >= CLUSTERS_MAX {
                return Err(FatError::TooMany);
            }
            if !is_inside || !self.clusters.insert(extent.offset) {
                return Err(FatError::Damaged);
            }
            bytes += u64::from(extent.size);
        }
        if bytes == entry.len() { Ok(()) } else { Err(FatError::Damaged) }
    }
}
