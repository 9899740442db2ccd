//! Calls that ask what things are and whether they may be used; modes, owners and times, which nobody keeps.
use super::status::{Facts, way_id, write_statfs};
use super::{Spot, tree};
use crate::number::{self, Answer, Errno, int, low};
use crate::process::object::Object;
use crate::process::synthetic::TERMINAL;
use crate::process::{Pages, Process};
use crate::world::{self, World};

const AT_EACCESS: u32 = 0x200;
const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
const X_OK: u32 = 1;
const W_OK: u32 = 2;
const R_OK: u32 = 4;
/// `UTIME_OMIT`
const OMIT: u64 = 0x3fff_fffe;
const NOBODY: u32 = u32::MAX;

impl<S: Pages> Process<S> {
    pub(super) fn attribute_call(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Option<Answer> {
        Some(match number {
            number::FSTAT => self.facts_of_open(world, args[0]).and_then(|facts| self.tell_stat(world, facts, args[1])),
            number::NEWFSTATAT => {
                let facts = self.facts_at(world, number, [args[0], args[1], args[3]]);
                facts.and_then(|facts| self.tell_stat(world, facts, args[2]))
            }
            number::STATX => {
                let facts = self.facts_at(world, number, [args[0], args[1], args[2]]);
                let user = self.identity.instance.into();
                facts.and_then(|facts| facts.write_statx(world, user, args[4])).map(|()| 0)
            }
            number::FACCESSAT => self.access_to(world, number, [args[0], args[1], args[2], 0]),
            number::FACCESSAT2 => self.access_to(world, number, [args[0], args[1], args[2], args[3]]),
            number::READLINKAT => self.read_link(world, args),
            number::STATFS => self.space_at(world, args),
            number::FSTATFS => self.space_of_open(world, args),
            number::UTIMENSAT => self.set_times(world, args),
            number::UMASK => Ok(core::mem::replace(&mut self.fs.mask, low(args[0]) & 0o777).into()),
            // There are no permission bits. Who has the directory may do what its route says, so nothing is protected less than the program thinks.
            number::FCHMOD => self.files.id(args[0]).map(|_| 0),
            number::FCHMODAT => self.facts_at(world, number, [args[0], args[1], 0]).map(|_| 0),
            number::FCHMODAT2 => self.facts_at(world, number, [args[0], args[1], args[3]]).map(|_| 0),
            number::FCHOWN => self.files.id(args[0]).and_then(|_| self.own(args[1], args[2])),
            number::FCHOWNAT => {
                let facts = self.facts_at(world, number, [args[0], args[1], args[4]]);
                facts.and_then(|_| self.own(args[2], args[3]))
            }
            _ => return None,
        })
    }

    /// Only what is made up has links. A text that is longer than its room is cut off.
    fn read_link(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let [directory, path, address, room, ..] = args;
        if int(room) <= 0 {
            return Err(Errno::EINVAL);
        }
        let link = self.at(world, directory, path).map(|(path, _)| self.link_at(&path.text))?;
        match link {
            Some(link) => {
                let link = link?;
                let room = usize::try_from(low(room)).unwrap_or(usize::MAX).min(link.len());
                world.write(address, link.as_bytes().get(..room).unwrap_or_default())?;
                Ok(room as u64)
            }
            None => self.facts_at(world, number::READLINKAT, [directory, path, 0]).and(Err(Errno::EINVAL)),
        }
    }

    fn tell_stat(&self, world: &mut impl World, facts: Facts, address: u64) -> Answer {
        facts.write_stat(world, self.identity.instance.into(), address).map(|()| 0)
    }

    fn facts_of_open(&self, world: &mut impl World, argument: u64) -> Result<Facts, Errno> {
        let id = self.files.id(argument)?;
        let object = &self.files.held(argument)?.object;
        match (object.opened(), object) {
            (Some((place, number)), _) => {
                let tree = tree(world, place)?;
                Ok(Facts::of_granted(place, tree.status(number)?, tree.is_read_only()))
            }
            (None, Object::Directory(directory)) => Ok(Facts::of_way(directory.path())),
            // The same as at its path, by which C's ttyname knows it.
            (None, Object::Terminal) => Ok(self.own_facts(world, &Object::Terminal, way_id(TERMINAL))),
            (None, object) => Ok(self.own_facts(world, object, id as u64 + 1)),
        }
    }

    fn own_facts(&self, world: &mut impl World, object: &Object, id: u64) -> Facts {
        let text_len = if let Object::Text(text, _) = object { self.text_len(world, *text) } else { 0 };
        Facts::of_own(object, id, text_len)
    }

    /// Of a directory, a path and flags.
    fn facts_at(&mut self, world: &mut impl World, number: u64, args: [u64; 3]) -> Result<Facts, Errno> {
        if Self::is_of_descriptor(world, args[1], args[2]) {
            return self.facts_of_open(world, args[0]);
        }
        let (path, spot) = self.at(world, args[0], args[1])?;
        match spot {
            Spot::Granted(place, below) => {
                let tree = tree(world, place)?;
                let facts = Facts::of_granted(place, tree.find(&below)?, tree.is_read_only());
                if path.is_directory && !facts.is_directory() { Err(Errno::ENOTDIR) } else { Ok(facts) }
            }
            Spot::Way => Ok(Facts::of_way(&path.text)),
            Spot::Synthetic(object) => Ok(self.own_facts(world, &object, way_id(&path.text))),
            Spot::Nowhere => Err(self.nowhere(world, number, false)),
        }
    }

    /// `faccessat2`: directory, path, wanted, flags.
    fn access_to(&mut self, world: &mut impl World, number: u64, args: [u64; 4]) -> Answer {
        let (wanted, flags) = (low(args[2]), low(args[3]));
        if wanted & !(R_OK | W_OK | X_OK) != 0
            || flags & !(AT_EACCESS | AT_SYMLINK_NOFOLLOW | super::AT_EMPTY_PATH) != 0
        {
            return Err(Errno::EINVAL);
        }
        let wants = |bit| wanted & bit != 0;
        let facts = self.facts_at(world, number, [args[0], args[1], args[3]])?;
        if wants(R_OK) && !facts.is_readable() {
            return Err(Errno::EACCES);
        }
        if wants(X_OK) && !facts.is_executable() {
            return Err(Errno::EACCES);
        }
        match facts.write_refusal().filter(|_| wants(W_OK)) {
            Some(errno) => Err(errno),
            None => Ok(0),
        }
    }

    fn space_at(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let (_, spot) = self.at(world, super::CURRENT.cast_unsigned().into(), args[0])?;
        match spot {
            Spot::Granted(place, below) => {
                tree(world, place)?.find(&below)?;
                self.tell_space(world, Some(place), args[1])
            }
            Spot::Nowhere => Err(self.nowhere(world, number::STATFS, false)),
            Spot::Way | Spot::Synthetic(_) => self.tell_space(world, None, args[1]),
        }
    }

    fn space_of_open(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let place = self.files.held(args[0])?.object.opened().map(|(place, _)| place);
        self.tell_space(world, place, args[1])
    }

    fn tell_space(&mut self, world: &mut impl World, place: Option<usize>, address: u64) -> Answer {
        let (space, is_read_only) = match place {
            Some(place) => {
                let tree = tree(world, place)?;
                (tree.space()?, tree.is_read_only())
            }
            None => ((0, 0), true),
        };
        write_statfs(world, address, space, is_read_only).map(|()| 0)
    }

    /// The server tells when a file was changed last, and nobody else may: a program would read back another time than it set.
    fn set_times(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        if args[1] == 0 {
            self.files.id(args[0])?;
        } else {
            self.facts_at(world, number::UTIMENSAT, [args[0], args[1], args[3]])?;
        }
        let is_nothing = args[2] != 0 && {
            let [_, first, _, second] = world::read_words(world, args[2])?;
            first == OMIT && second == OMIT
        };
        if is_nothing {
            return Ok(0);
        }
        self.tell(world, number::UTIMENSAT, "times are the file server's");
        Err(Errno::EPERM)
    }

    /// Everything is the program's own.
    fn own(&self, user: u64, group: u64) -> Answer {
        let own = u32::from(self.identity.instance);
        let is_own = [user, group].into_iter().all(|id| low(id) == own || low(id) == NOBODY);
        if is_own { Ok(0) } else { Err(Errno::EPERM) }
    }
}
