//! Which ranges of files the program has locked, and what they come to for a whole file; asks no server.
use super::super::object::Id;
use crate::files::Lock;
use crate::number::Errno;
use alloc::vec::Vec;

/// The most ranges of all files.
const CLAIMS_MAX: usize = 64;

/// In whose name a range is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The program's, by `F_SETLK`.
    Program,
    /// Of one open file, by `F_OFD_SETLK`.
    Description(Id),
}

/// A file: its place, and its id there.
pub(super) type Node = (usize, u64);
/// First byte, and one past the last; `u64::MAX` for all there will ever be.
pub(super) type Range = (u64, u64);

/// One locked range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    node: Node,
    pub(super) owner: Owner,
    pub(super) range: Range,
    pub(super) lock: Lock,
}

/// All of them. INV-CLAIMS-1: those of one owner do not overlap, and none is of `Lock::None`.
#[derive(Debug, Default)]
pub(super) struct Claims(Vec<Claim>);

impl Claims {
    /// The first range of another owner that excludes this one.
    pub(super) fn conflict(&self, node: Node, owner: Owner, range: Range, lock: Lock) -> Option<Claim> {
        let excludes = |claim: &&Claim| {
            let is_other = claim.node == node && claim.owner != owner;
            is_other && overlaps(claim.range, range) && claim.lock.max(lock) == Lock::Exclusive && lock != Lock::None
        };
        self.0.iter().find(excludes).copied()
    }

    /// The owner's lock of a range becomes `lock`; all that was before.
    ///
    /// # Errors
    /// `ENOLCK` if there are too many ranges, `ENOMEM`; then nothing changed.
    pub(super) fn set(&mut self, node: Node, owner: Owner, range: Range, lock: Lock) -> Result<Self, Errno> {
        let mut claims = Vec::new();
        // One range may be cut in two, and the new one comes.
        claims.try_reserve_exact(self.0.len() + 2).map_err(|_| Errno::ENOMEM)?;
        for claim in &self.0 {
            if (claim.node, claim.owner) != (node, owner) || !overlaps(claim.range, range) {
                claims.push(*claim);
                continue;
            }
            for rest in [(claim.range.0, range.0), (range.1, claim.range.1)] {
                if rest.0 < rest.1 {
                    claims.push(Claim { range: rest, ..*claim });
                }
            }
        }
        if lock != Lock::None {
            claims.push(Claim { node, owner, range, lock });
        }
        if claims.len() > CLAIMS_MAX && claims.len() > self.0.len() {
            return Err(Errno::ENOLCK);
        }
        Ok(Self(core::mem::replace(&mut self.0, claims)))
    }

    /// What the owner's ranges of a file come to for the whole of it.
    pub(super) fn strongest(&self, node: Node, owner: Owner) -> Lock {
        let own = self.0.iter().filter(|claim| (claim.node, claim.owner) == (node, owner));
        own.map(|claim| claim.lock).max().unwrap_or(Lock::None)
    }

    /// The owner gives up all that it has of a file.
    pub(super) fn forget(&mut self, node: Node, owner: Owner) {
        self.0.retain(|claim| (claim.node, claim.owner) != (node, owner));
    }
}

const fn overlaps(a: Range, b: Range) -> bool {
    a.0 < b.1 && b.0 < a.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NODE: Node = (0, 5);

    /// A lock for each byte and owner.
    type Bytes = [[Lock; 16]; 2];
    const OWNERS: [Owner; 2] = [Owner::Program, Owner::Description(3)];

    fn lock() -> impl Strategy<Value = Lock> {
        prop_oneof![Just(Lock::None), Just(Lock::Shared), Just(Lock::Exclusive)]
    }

    proptest! {
        #[test]
        fn ranges_under_random_calls_are_what_a_table_of_bytes_says(
            steps in proptest::collection::vec((0_usize..2, 0_u8..16, 1_u8..8, lock()), 0..40)
        ) {
            let (mut claims, mut bytes): (Claims, Bytes) = (Claims::default(), [[Lock::None; 16]; 2]);
            for (owner, start, length, lock) in steps {
                let end = (start + length).min(16);
                let (range, places) = ((start.into(), end.into()), usize::from(start)..usize::from(end));
                let others = &bytes[1 - owner][places.clone()];
                let is_excluded = match lock {
                    Lock::None => false,
                    Lock::Shared => others.contains(&Lock::Exclusive),
                    Lock::Exclusive => others.iter().any(|other| *other != Lock::None),
                };
                prop_assert_eq!(claims.conflict(NODE, OWNERS[owner], range, lock).is_some(), is_excluded);
                if !is_excluded {
                    claims.set(NODE, OWNERS[owner], range, lock).unwrap();
                    bytes[owner][places].fill(lock);
                }
                for (owner, bytes) in OWNERS.iter().zip(&bytes) {
                    prop_assert_eq!(claims.strongest(NODE, *owner), *bytes.iter().max().unwrap());
                }
            }
            claims.forget(NODE, Owner::Program);
            prop_assert_eq!(claims.strongest(NODE, Owner::Program), Lock::None);
            prop_assert_eq!(claims.strongest(NODE, OWNERS[1]), *bytes[1].iter().max().unwrap());
        }
    }

    #[test]
    fn too_many_ranges_are_refused_and_change_nothing() {
        let mut claims = Claims::default();
        for at in 0..CLAIMS_MAX as u64 {
            claims.set(NODE, Owner::Program, (2 * at, 2 * at + 1), Lock::Shared).unwrap();
        }
        assert_eq!(claims.set(NODE, Owner::Program, (1000, 1001), Lock::Exclusive).err(), Some(Errno::ENOLCK));
        assert_eq!(claims.strongest(NODE, Owner::Program), Lock::Shared);
        claims.set(NODE, Owner::Program, (0, u64::MAX), Lock::Exclusive).unwrap();
        assert_eq!(claims.0.len(), 1);
    }
}
