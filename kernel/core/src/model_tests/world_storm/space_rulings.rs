//! The checks of every invocation on address-space objects, in the order of kernel-abi chapter 6.

use hybrid_abi::label as l;

use crate::cap::{Cap, Mapping};
use crate::model_tests::world::Answer;
use crate::model_tests::world_storm::oracle::{
    Ask, DONE, Done, Ruling, alignment, delete_first, failed_lookup, has_children, illegal, invalid_argument,
    invalid_capability, is_last, is_writable, maps, page_bits, range, revoke_first, root_of, walk,
};
use crate::object::{PoolRef, TableRef};

const USER_TOP: u64 = (1 << 47) - 1;

fn dead_asid() -> Answer {
    failed_lookup(false, &[1])
}

impl<const N: usize> Ask<'_, N> {
    /// The VSpace argument, capability 1: table and ASID, not yet known to be live.
    fn space_argument(&self) -> Result<(TableRef, u16), Answer> {
        match self.arg(1) {
            Cap::VSpace { at, asid } if asid != 0 => Ok((at, asid)),
            _ => Err(invalid_capability(1)),
        }
    }

    fn live(&self, space: (TableRef, u16)) -> Result<TableRef, Answer> {
        match root_of(self.k, space.1) {
            None => Err(dead_asid()),
            Some(root) if root == space.0 => Ok(root),
            Some(_) => Err(invalid_capability(1)),
        }
    }

    /// §6.3.
    pub(super) fn page_table(&self, _at: TableRef, mapping: Option<Mapping>) -> Ruling {
        match self.label {
            l::PAGE_TABLE_MAP => {
                self.need(2, 1)?;
                if mapping.is_some() {
                    return Err(invalid_capability(0));
                }
                let space = self.space_argument()?;
                let vaddr = self.word(0);
                if vaddr > USER_TOP {
                    return Err(invalid_argument(0));
                }
                let (left, entry) = walk(self.k, self.live(space)?, vaddr);
                if left == 12 || entry & 1 == 1 { Err(delete_first()) } else { Ok(DONE) }
            }
            l::PAGE_TABLE_UNMAP if is_last(self.k, self.slot) => Ok(DONE),
            l::PAGE_TABLE_UNMAP => Err(revoke_first()),
            _ => Err(illegal()),
        }
    }

    /// §6.4 and §6.7.
    pub(super) fn frame(&self) -> Ruling {
        let Cap::Frame { base, size, mapping, .. } = self.cap else { return Err(invalid_capability(0)) };
        let bytes = 1u64 << page_bits(size);
        match self.label {
            l::PAGE_MAP => {
                self.need(3, 1)?;
                let space = self.space_argument()?;
                let root = self.live(space)?;
                let vaddr = self.word(0);
                if !vaddr.is_multiple_of(bytes) {
                    return Err(alignment());
                }
                match mapping {
                    Some(old) if old.asid != space.1 => return Err(invalid_capability(1)),
                    Some(old) if old.vaddr != vaddr => return Err(invalid_argument(0)),
                    None if u128::from(vaddr) + u128::from(bytes) - 1 > u128::from(USER_TOP) => {
                        return Err(invalid_argument(0));
                    }
                    _ => {}
                }
                let (left, _) = walk(self.k, root, vaddr);
                if left == page_bits(size) { Ok(DONE) } else { Err(failed_lookup(false, &[2, left])) }
            }
            l::PAGE_UNMAP => Ok(DONE),
            l::PAGE_GET_ADDRESS => Ok(Done::Words(vec![base])),
            48..=51 => {
                self.need(2, 0)?;
                let Some(mapping) = mapping else { return Err(illegal()) };
                let root = root_of(self.k, mapping.asid).ok_or_else(dead_asid)?;
                let (start, end) = (self.word(0), self.word(1));
                if end <= start {
                    return Err(invalid_argument(1));
                }
                if start >= bytes || end > bytes {
                    return Err(invalid_argument(0));
                }
                let stop = walk(self.k, root, mapping.vaddr);
                if !maps(stop, base, size) {
                    return Err(invalid_capability(0));
                }
                let is_refused = self.label == l::PAGE_INVALIDATE_DATA && !is_writable(stop.1);
                if is_refused { Err(illegal()) } else { Ok(DONE) }
            }
            _ => Err(illegal()),
        }
    }

    /// §6.7.
    pub(super) fn vspace(&self, at: TableRef, asid: u16) -> Ruling {
        if !(39..=42).contains(&self.label) {
            return Err(illegal());
        }
        self.need(2, 0)?;
        let (start, end) = (self.word(0), self.word(1));
        if end <= start {
            return Err(invalid_argument(1));
        }
        if end > USER_TOP {
            return Err(illegal());
        }
        if asid == 0 {
            return Err(invalid_capability(0));
        }
        let root = root_of(self.k, asid).ok_or_else(dead_asid)?;
        if root != at {
            return Err(invalid_capability(0));
        }
        let (left, entry) = walk(self.k, root, start);
        if entry & 1 == 0 {
            return Ok(DONE);
        }
        let last = start | ((1 << left) - 1);
        if end - 1 > last {
            return Err(range(start, last));
        }
        let is_refused = self.label == l::VSPACE_INVALIDATE_DATA && !is_writable(entry);
        if is_refused { Err(illegal()) } else { Ok(DONE) }
    }

    /// §6.2.
    pub(super) fn asid_control(&self) -> Ruling {
        if self.label != l::ASID_CONTROL_MAKE_POOL {
            return Err(illegal());
        }
        self.need(2, 2)?;
        if self.k.asid_pools.iter().all(|pool| pool.get().is_some()) {
            return Err(delete_first());
        }
        let Cap::Untyped { bits: 12, is_device: false, .. } = self.arg(1) else { return Err(invalid_capability(1)) };
        if has_children(self.k, self.caps[0]) {
            return Err(revoke_first());
        }
        self.vacant(self.arg(2), self.word(0), self.word(1))?;
        Ok(DONE)
    }

    pub(super) fn asid_pool(&self, at: PoolRef, index: u8) -> Ruling {
        if self.label != l::ASID_POOL_ASSIGN {
            return Err(illegal());
        }
        self.need(0, 1)?;
        let Cap::VSpace { asid: 0, .. } = self.arg(1) else { return Err(invalid_capability(1)) };
        match self.k.asid_pools[usize::from(index)].get() {
            None => return Err(dead_asid()),
            Some(live) if live != at => return Err(invalid_capability(0)),
            Some(_) => {}
        }
        let first = u16::from(index) * 512;
        let has_room = (first..=first + 511).any(|asid| asid != 0 && root_of(self.k, asid).is_none());
        if has_room { Ok(DONE) } else { Err(delete_first()) }
    }
}
