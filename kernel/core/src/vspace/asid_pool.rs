//! ASIDs: pools, assignment, and what ends with them (kernel-abi §6.2).

use core::cell::Cell;

use hybrid_abi::label;
use hybrid_abi::limits::ASIDS_PER_POOL;
use hybrid_abi::object::ASID_POOL_BITS;

use crate::cap::{Cap, space_word};
use crate::cspace::Side;
use crate::invocation::{Answer, Error, Invocation, Outcome, Stop, ensure};
use crate::kernel::Kernel;
use crate::object::{PoolRef, TableRef};
use crate::platform::Platform;
use crate::vspace::INVALID_ASID;

const INDEX_BITS: u32 = 9;
/// Work of ending one ASID: up to 150 instructions (INV-LATENCY-1).
const UNITS_OF_ASID: u32 = 2;

impl<P: Platform> Kernel<P> {
    fn live_pool(&self, index: u8) -> Option<PoolRef> {
        self.asid_pools.get(usize::from(index)).and_then(Cell::get)
    }

    /// The entry of an ASID, if its pool lives.
    fn asid_entry(&self, asid: u16) -> Option<&Cell<u64>> {
        let pool = self.live_pool(u8::try_from(asid >> INDEX_BITS).ok()?)?;
        self.platform.words::<ASIDS_PER_POOL>(pool.paddr()).get(usize::from(asid & 511))
    }

    /// The root table of an ASID.
    pub(crate) fn space_of_asid(&self, asid: u16) -> Option<TableRef> {
        TableRef::new(self.asid_entry(asid)?.get())
    }

    /// Gives an ASID to a root table (boot and Assign).
    pub(crate) fn set_asid(&self, asid: u16, root: TableRef) {
        if let Some(entry) = self.asid_entry(asid) {
            entry.set(root.paddr());
        }
    }

    pub(crate) fn invoke_asid_control(&self, invocation: &Invocation<'_>) -> Outcome {
        ensure(invocation.label == label::ASID_CONTROL_MAKE_POOL, Error::IllegalOperation)?;
        invocation.require(2, 2)?;
        let free = self.asid_pools.iter().position(|pool| pool.get().is_none()).ok_or(Error::DeleteFirst)?;
        let memory = invocation.cap_slot(1)?;
        let pool = match self.cap(memory) {
            Cap::Untyped { base, bits, is_device: false, .. } if u32::from(bits) == ASID_POOL_BITS => {
                PoolRef::new(base).ok_or(Error::InvalidCapability(1))?
            }
            _ => return Err(Error::InvalidCapability(1).into()),
        };
        ensure(self.first_child(memory).is_none(), Error::RevokeFirst)?;
        let root = self.words(invocation.cap_slot(2)?);
        let slot = self.lookup_exact(root, invocation.word(0), invocation.word(1), Side::Target)?;
        ensure(self.is_empty(slot), Error::DeleteFirst)?;
        let Ok(index) = u8::try_from(free) else { return Err(Error::DeleteFirst.into()) };
        self.consume_untyped(memory);
        self.set_cap(slot, Cap::AsidPool { at: pool, index });
        self.link_after(memory, slot, true);
        self.set_pool(index, Some(pool));
        Ok(Answer::Empty)
    }

    pub(crate) fn set_pool(&self, index: u8, pool: Option<PoolRef>) {
        if let Some(cell) = self.asid_pools.get(usize::from(index)) {
            cell.set(pool);
        }
    }

    pub(crate) fn invoke_asid_pool(&self, invocation: &Invocation<'_>, pool: PoolRef, index: u8) -> Outcome {
        ensure(invocation.label == label::ASID_POOL_ASSIGN, Error::IllegalOperation)?;
        let slot = invocation.cap_slot(1)?;
        let Cap::VSpace { at, asid: 0 } = self.cap(slot) else {
            return Err(Error::InvalidCapability(1).into());
        };
        let live = self.live_pool(index).ok_or(INVALID_ASID)?;
        ensure(live == pool, Error::InvalidCapability(0))?;
        let first = u16::from(index) << INDEX_BITS;
        let free = |n: &u16| first | n != 0 && self.space_of_asid(first | n).is_none();
        let asid = (0..512u16).find(free).map(|n| first | n).ok_or(Error::DeleteFirst)?;
        self.set_asid(asid, at);
        self.set_cap(slot, Cap::VSpace { at, asid });
        Ok(Answer::Empty)
    }

    /// The last capability of a pool is deleted: its ASIDs end, their VSpaces stay.
    /// If it is preempted the pool lives on with those that are left, and the next attempt ends them.
    pub(crate) fn destroy_asid_pool(&self, pool: PoolRef, index: u8) -> Result<(), Stop> {
        if self.live_pool(index) != Some(pool) {
            return Ok(());
        }
        let first = u16::from(index) << INDEX_BITS;
        for n in 0..512u16 {
            if let Some(root) = self.space_of_asid(first | n) {
                // Capabilities to it stay, in slots and in threads.
                self.cores.iter().for_each(|core| core.has_orphaned_spaces.set(1));
                self.end_asid(first | n, root);
                self.preemption_point(UNITS_OF_ASID)?;
            }
        }
        self.set_pool(index, None);
        Ok(())
    }

    fn end_asid(&self, asid: u16, root: TableRef) {
        if let Some(entry) = self.asid_entry(asid) {
            entry.set(0);
        }
        // The walkers must not refill the TLB for this ASID after it was invalidated.
        for core in 0..P::CORES {
            let state = self.core_state(core);
            if state.installed_space.get() == space_word(root, asid) {
                state.installed_space.set(0);
                if P::CORES == 1 || core == self.platform.core() {
                    self.platform.set_address_space(0);
                } else {
                    self.platform.drop_address_space(core);
                }
                state.space_changed.set(true);
            }
        }
        self.platform.invalidate_asid(asid);
    }

    /// The last capability of a root table is deleted.
    pub(crate) fn destroy_vspace(&self, root: TableRef, asid: u16) {
        if self.space_of_asid(asid) == Some(root) {
            self.end_asid(asid, root);
        }
    }
}
