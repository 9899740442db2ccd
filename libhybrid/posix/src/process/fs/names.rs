//! Calls that make, move and remove names, and the current directory; mount points stay where they are.
use super::path::Absolute;
use super::{Spot, tree};
use crate::files::{Kind, Tree};
use crate::number::{self, Answer, Errno, low};
use crate::process::{Pages, Process};
use crate::world::World;
use alloc::string::String;

const AT_REMOVEDIR: u32 = 0x200;
const RENAME_NOREPLACE: u32 = 1;

impl<S: Pages> Process<S> {
    pub(super) fn make_directory(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let (_, spot) = self.at(world, args[0], args[1])?;
        match spot {
            Spot::Granted(_, below) if below.is_empty() => Err(Errno::EEXIST),
            Spot::Granted(place, below) => {
                let tree = tree(world, place)?;
                match tree.make_directory(&below) {
                    Err(Errno::EROFS) if tree.find(&below).is_ok() => Err(Errno::EEXIST),
                    made => made.map(|()| 0),
                }
            }
            Spot::Way | Spot::Synthetic(_) => Err(Errno::EEXIST),
            Spot::Nowhere => Err(self.nowhere(world, number::MKDIRAT, true)),
        }
    }

    pub(super) fn unlink(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let flags = low(args[2]);
        if flags & !AT_REMOVEDIR != 0 {
            return Err(Errno::EINVAL);
        }
        let is_of_directory = flags != 0;
        if !is_of_directory && self.unlink_name(world, args[1])? {
            return Ok(0);
        }
        let (path, spot) = self.at(world, args[0], args[1])?;
        match spot {
            Spot::Synthetic(_) => Err(if is_of_directory { Errno::ENOTDIR } else { Errno::EACCES }),
            Spot::Nowhere => Err(self.nowhere(world, number::UNLINKAT, false)),
            Spot::Way if is_of_directory => Err(Errno::EBUSY),
            Spot::Way => Err(Errno::EISDIR),
            Spot::Granted(..) if path.is_dotted && is_of_directory => Err(Errno::EINVAL),
            Spot::Granted(_, below) if is_of_directory && (below.is_empty() || self.is_way(&path)) => Err(Errno::EBUSY),
            Spot::Granted(_, below) if below.is_empty() => Err(Errno::EISDIR),
            Spot::Granted(place, below) => {
                let tree = tree(world, place)?;
                if is_of_directory {
                    return tree.remove_directory(&below).map(|()| 0);
                }
                if path.is_directory {
                    return Err(only_of_directories(tree, &below).err().unwrap_or(Errno::EISDIR));
                }
                tree.remove_file(&below).map(|()| 0)
            }
        }
    }

    pub(super) fn rename(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let flags = low(args[4]);
        if flags & !RENAME_NOREPLACE != 0 {
            return Err(Errno::EINVAL);
        }
        if !world.has_others() {
            return Err(self.nowhere(world, number::RENAMEAT, true));
        }
        let (from_path, from) = self.at(world, args[0], args[1])?;
        let (to_path, to) = self.at(world, args[2], args[3])?;
        let is_fixed = |path: &Absolute, spot: &Spot| match spot {
            Spot::Granted(_, below) => below.is_empty() || self.is_way(path),
            Spot::Way | Spot::Synthetic(_) => true,
            Spot::Nowhere => false,
        };
        let is_busy = is_fixed(&from_path, &from) || is_fixed(&to_path, &to);
        let (place, from, to) = match (from, to) {
            (Spot::Nowhere, _) => return Err(self.nowhere(world, number::RENAMEAT, self.fs.mounts.is_empty())),
            (_, Spot::Nowhere) => return Err(self.nowhere(world, number::RENAMEAT, true)),
            _ if is_busy => return Err(Errno::EBUSY),
            (Spot::Granted(from, below), Spot::Granted(to, other)) if from == to => (from, below, other),
            _ => return Err(Errno::EXDEV),
        };
        let tree = tree(world, place)?;
        if from_path.is_directory || to_path.is_directory {
            only_of_directories(tree, &from)?;
        }
        // Nobody else of this program is between the two steps; another component can be.
        if flags & RENAME_NOREPLACE != 0 && tree.find(&to).is_ok() {
            return Err(Errno::EEXIST);
        }
        tree.rename(&from, &to).map(|()| 0)
    }

    /// Refused in any case, but programs ask why: from one mount point to another there are no links anywhere.
    pub(super) fn link_file(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let from = self.at(world, args[0], args[1]).map(|(_, spot)| spot);
        match (from, self.at(world, args[2], args[3])?.1) {
            (Ok(Spot::Granted(from, _)), Spot::Granted(to, below)) if from != to => {
                Err(if tree(world, to)?.find(&below).is_ok() { Errno::EEXIST } else { Errno::EXDEV })
            }
            _ => self.no_links(world, number::LINKAT, args[2], args[3]),
        }
    }

    /// Links and devices are what no server here keeps.
    pub(super) fn no_links(&mut self, world: &mut impl World, number: u64, directory: u64, address: u64) -> Answer {
        match self.at(world, directory, address)?.1 {
            Spot::Nowhere => Err(self.nowhere(world, number, true)),
            Spot::Granted(place, below) => {
                let found = tree(world, place)?.find(&below).is_ok();
                self.tell(world, number, "there are files and directories, and neither links nor devices");
                Err(if found { Errno::EEXIST } else { Errno::EPERM })
            }
            _ => Err(Errno::EEXIST),
        }
    }

    pub(super) fn change_directory(&mut self, world: &mut impl World, address: u64) -> Answer {
        let path = super::text(world, address)?;
        self.fs.current = self.directory_at(world, &super::copied(&self.fs.current)?, &path)?;
        Ok(0)
    }

    /// The absolute path of what is a directory from `base`.
    pub(in crate::process) fn directory_at(
        &mut self,
        world: &mut impl World,
        base: &str,
        path: &str,
    ) -> Result<String, Errno> {
        let path = Absolute::new(base, path)?;
        match self.spot(world, &path)? {
            Spot::Granted(place, below) => only_of_directories(tree(world, place)?, &below)?,
            Spot::Way => {}
            Spot::Synthetic(_) => return Err(Errno::ENOTDIR),
            Spot::Nowhere => return Err(self.nowhere(world, number::CHDIR, false)),
        }
        Ok(path.text)
    }

    pub(super) fn change_to_open(&mut self, argument: u64) -> Answer {
        self.fs.current = self.path_of_directory(argument)?;
        Ok(0)
    }

    /// The path of an open directory.
    pub(in crate::process) fn path_of_directory(&self, argument: u64) -> Result<String, Errno> {
        super::copied(self.directory(argument)?.path())
    }

    pub(super) fn current_directory(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let text = &self.fs.current;
        let length = text.len() as u64 + 1;
        if args[1] < length {
            return Err(Errno::ERANGE);
        }
        world.write(args[0], text.as_bytes())?;
        world.write(args[0].wrapping_add(length - 1), &[0])?;
        Ok(length)
    }
}

/// Succeeds if a directory is at the path.
pub(super) fn only_of_directories(tree: &mut dyn Tree, path: &str) -> Result<(), Errno> {
    match tree.find(path)?.kind {
        Kind::Directory => Ok(()),
        Kind::File => Err(Errno::ENOTDIR),
    }
}
