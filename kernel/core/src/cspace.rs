//! Resolving addresses in capability spaces (kernel-abi §2.4).

use hybrid_abi::error::LookupFailureType;

use crate::cap::{CNode, Words};
use crate::invocation::Error;
use crate::kernel::Kernel;
use crate::object::{CNodeRef, SlotRef, TcbRef, TcbSlot};
use crate::platform::Platform;

/// Why an address did not resolve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupFailure {
    /// The root is not a CNode.
    InvalidRoot,
    /// The slot is empty or holds the wrong thing.
    Missing {
        /// Bits left.
        bits_left: u64,
    },
    /// The address ends at the wrong level.
    Depth {
        /// Bits that were there.
        bits_left: u64,
        /// Bits that the level wanted.
        bits_found: u64,
    },
    /// A guard differs.
    Guard {
        /// Bits that were left.
        bits_left: u64,
        /// Guard of the capability.
        guard: u64,
        /// Its size.
        guard_size: u64,
    },
}

impl LookupFailure {
    /// Type number, data words, and how many of them count.
    #[must_use]
    pub fn words(self) -> (u64, [u64; 3], usize) {
        match self {
            Self::InvalidRoot => (LookupFailureType::InvalidRoot.number(), [0; 3], 0),
            Self::Missing { bits_left } => (LookupFailureType::MissingCapability.number(), [bits_left, 0, 0], 1),
            Self::Depth { bits_left, bits_found } => {
                (LookupFailureType::DepthMismatch.number(), [bits_left, bits_found, 0], 2)
            }
            Self::Guard { bits_left, guard, guard_size } => {
                (LookupFailureType::GuardMismatch.number(), [bits_left, guard, guard_size], 3)
            }
        }
    }
}

/// Whether a CNode-style lookup is for the source or the target of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Target,
    Source,
}

const SLOT_BYTES: u64 = 32;

/// Slot `index` of a CNode.
#[inline]
pub(crate) fn slot_of(cnode: CNodeRef, index: u64) -> Option<SlotRef> {
    SlotRef::new(cnode.paddr().wrapping_add(index.wrapping_mul(SLOT_BYTES)))
}

/// The low `bits` bits of `word`, `bits` ≤ 64.
#[inline]
fn low_bits(word: u64, bits: u32) -> u64 {
    if bits >= 64 { word } else { word & !(u64::MAX << bits) }
}

impl<P: Platform> Kernel<P> {
    /// Walks from `root`; gives the slot and the bits that were left over.
    fn resolve(&self, root: Option<CNode>, address: u64, depth: u32) -> Result<(SlotRef, u32), LookupFailure> {
        let mut node = root.ok_or(LookupFailure::InvalidRoot)?;
        let mut left = depth;
        loop {
            let CNode { at, radix, guard_size, guard } = node;
            let (radix, guard_size) = (u32::from(radix), u32::from(guard_size));
            let level = radix.wrapping_add(guard_size);
            let found = if guard_size > left || guard_size == 0 {
                0
            } else {
                low_bits(address.unbounded_shr(left.wrapping_sub(guard_size)), guard_size)
            };
            if guard_size > left || found != guard {
                return Err(LookupFailure::Guard {
                    bits_left: u64::from(left),
                    guard,
                    guard_size: u64::from(guard_size),
                });
            }
            if level > left {
                return Err(LookupFailure::Depth { bits_left: u64::from(left), bits_found: u64::from(level) });
            }
            left = left.wrapping_sub(level);
            let index = low_bits(address.unbounded_shr(left), radix);
            let Some(slot) = slot_of(at, index) else { return Err(LookupFailure::InvalidRoot) };
            if left == 0 {
                return Ok((slot, 0));
            }
            match self.words(slot).cnode() {
                Some(next) => node = next,
                None => return Ok((slot, left)),
            }
        }
    }

    /// The slot that a thread names by a CPtr; leftover bits do not matter.
    #[inline]
    pub(crate) fn lookup_slot(&self, thread: TcbRef, cptr: u64) -> Result<SlotRef, LookupFailure> {
        match self.only_level(thread, cptr) {
            Some(slot) => Ok(slot),
            None => self.lookup_slot_in_levels(thread, cptr),
        }
    }

    /// The slot, if the root CNode alone resolves all 64 bits with a guard of zeros: the usual case, worth a shortcut.
    #[inline(always)]
    pub(crate) fn only_level(&self, thread: TcbRef, cptr: u64) -> Option<SlotRef> {
        SlotRef::new(self.words(thread.slot(TcbSlot::CSpace)).whole_cnode_slot(cptr)?)
    }

    #[inline(never)]
    fn lookup_slot_in_levels(&self, thread: TcbRef, cptr: u64) -> Result<SlotRef, LookupFailure> {
        let root = self.words(thread.slot(TcbSlot::CSpace)).cnode();
        self.resolve(root, cptr, 64).map(|(slot, _)| slot)
    }

    /// The capability that a thread names by a CPtr.
    #[cfg(any(test, feature = "debug-calls", feature = "latency"))]
    pub(crate) fn lookup_cap(&self, thread: TcbRef, cptr: u64) -> Result<crate::cap::Cap, LookupFailure> {
        self.lookup_slot(thread, cptr).map(|slot| self.cap(slot))
    }

    /// CNode-style lookup: exactly `depth` bits under `root`.
    #[inline]
    pub(crate) fn lookup_exact(&self, root: Words, index: u64, depth: u64, side: Side) -> Result<SlotRef, Error> {
        // The usual case: one CNode that resolves all 64 bits.
        if depth == 64
            && let Some(slot) = root.whole_cnode_slot(index).and_then(SlotRef::new)
        {
            return Ok(slot);
        }
        self.lookup_in_levels(root, index, depth, side)
    }

    #[inline(never)]
    fn lookup_in_levels(&self, root: Words, index: u64, depth: u64, side: Side) -> Result<SlotRef, Error> {
        let is_source = side == Side::Source;
        let fail = |failure| Error::FailedLookup { is_source, failure };
        let root = root.cnode().ok_or(fail(LookupFailure::InvalidRoot))?;
        let bits = u32::try_from(depth).ok().filter(|bits| (1..=64).contains(bits));
        let bits = bits.ok_or(Error::Range { min: 1, max: 64 })?;
        match self.resolve(Some(root), index, bits) {
            Ok((slot, 0)) => Ok(slot),
            Ok((_, left)) => Err(fail(LookupFailure::Depth { bits_left: u64::from(left), bits_found: 0 })),
            Err(failure) => Err(fail(failure)),
        }
    }
}
