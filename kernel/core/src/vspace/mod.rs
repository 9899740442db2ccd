//! User address spaces (kernel-abi §6): what a VSpace capability does, and whose space the machine translates with.

mod asid_pool;
mod cache;
pub mod descriptor;
mod frame;
mod page_table;
mod walk;

use hybrid_abi::label;
use hybrid_abi::vm::USER_TOP;

use crate::invocation::{Answer, Error, Invocation, Outcome, ensure};
use crate::kernel::Kernel;
use crate::object::{SlotRef, TableRef, Tcb, TcbSlot};
use crate::platform::Platform;
use crate::vspace::descriptor::Entry;

impl<P: Platform> Kernel<P> {
    pub(crate) fn invoke_vspace(&self, invocation: &Invocation<'_>, root: TableRef, asid: u16) -> Outcome {
        let operation = match invocation.label {
            label::VSPACE_CLEAN_DATA..=label::VSPACE_UNIFY_INSTRUCTION => cache::operation_of(invocation.label),
            _ => None,
        };
        let operation = operation.ok_or(Error::IllegalOperation)?;
        invocation.require(2, 0)?;
        let (start, end) = (invocation.word(0), invocation.word(1));
        ensure(start < end, Error::InvalidArgument(1))?;
        ensure(end <= USER_TOP, Error::IllegalOperation)?;
        ensure(asid != 0, Error::InvalidCapability(0))?;
        let live = self.space_of_asid(asid).ok_or(INVALID_ASID)?;
        ensure(live == root, Error::InvalidCapability(0))?;
        let stop = self.walk(root, start);
        let Entry::Leaf { base, rights } = stop.entry else { return Ok(Answer::Empty) };
        let offset_mask = !(u64::MAX << stop.bits_left());
        let last_of_page = start | offset_mask;
        ensure(end.wrapping_sub(1) <= last_of_page, Error::Range { min: start, max: last_of_page })?;
        let at = base.wrapping_add(start & offset_mask);
        self.maintain(invocation.thread, operation, rights, (at, end.wrapping_sub(start)))
    }

    /// Root table and ASID of the VSpace argument of a mapping call, capability number 1: the ASID lives and belongs to it.
    fn live_space(&self, slot: SlotRef) -> Result<(TableRef, u16), Error> {
        match self.words(slot).vspace() {
            Some((root, asid @ 1..)) if self.space_of_asid(asid).ok_or(INVALID_ASID)? == root => Ok((root, asid)),
            _ => Err(Error::InvalidCapability(1)),
        }
    }

    /// Makes the current thread's address space the machine's; keeps the old one when idle and it still lives.
    pub(crate) fn install_space(&self) {
        let wanted = match self.this_core().current.get() {
            Some(thread) => self.words(thread.slot(TcbSlot::VSpace)).space(),
            None => self.this_core().installed_space.get(),
        };
        self.translate_with(if self.is_live(wanted) { wanted } else { 0 });
    }

    /// What to translate with for a thread, if that is known without a look at its ASID. INV-SPACE-1: until an ASID pool is deleted
    /// under an address space, what a thread's slot says is live or 0.
    #[inline(always)]
    pub(crate) fn known_space(&self, tcb: Tcb<'_>) -> Option<u64> {
        let space = tcb.cap(TcbSlot::VSpace).space();
        if space == 0 || self.this_core().has_orphaned_spaces.get() != 0 { None } else { Some(space) }
    }

    #[inline(always)]
    pub(crate) fn translate_with(&self, space: u64) {
        let core = self.this_core();
        if core.installed_space.get() != space {
            core.installed_space.set(space);
            self.platform.set_address_space(space);
        }
    }

    /// Whether the ASID still belongs to the root table.
    pub(crate) fn is_live(&self, space: u64) -> bool {
        let (root, asid) = (space & !(u64::MAX << 48), u16::try_from(space >> 48).unwrap_or(0));
        self.space_of_asid(asid).is_some_and(|live| live.paddr() == root)
    }
}

/// What calls answer whose ASID is no longer live.
pub(crate) const INVALID_ASID: Error =
    Error::FailedLookup { is_source: false, failure: crate::cspace::LookupFailure::InvalidRoot };
