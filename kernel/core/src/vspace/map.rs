//! Mapping and unmapping page tables and frames (kernel-abi §6.3–6.5).

use hybrid_abi::label;
use hybrid_abi::rights::Rights;
use hybrid_abi::vm::USER_TOP;

use crate::cap::{Cap, Frame, Mapping, Words, mapping_word};
use crate::cspace::LookupFailure;
use crate::invocation::{Answer, Error, Invocation, Outcome, ensure};
use crate::kernel::Kernel;
use crate::object::TableRef;
use crate::platform::Platform;
use crate::vspace::descriptor::{self, Entry, LAST_LEVEL};

const TABLE_BYTES: u64 = 4096;

impl<P: Platform> Kernel<P> {
    pub(crate) fn invoke_page_table(&self, invocation: &Invocation<'_>, cap: Cap) -> Outcome {
        let Cap::PageTable { at, mapping } = cap else { return Err(Error::InvalidCapability(0).into()) };
        match invocation.label {
            label::PAGE_TABLE_MAP => self.map_table(invocation, at, mapping),
            label::PAGE_TABLE_UNMAP => {
                ensure(self.is_final(invocation.slot), Error::RevokeFirst)?;
                if let Some(mapping) = mapping {
                    self.unmap_table(at, mapping);
                    self.platform.zero(at.paddr(), TABLE_BYTES);
                    self.set_cap(invocation.slot, Cap::PageTable { at, mapping: None });
                }
                Ok(Answer::Empty)
            }
            _ => Err(Error::IllegalOperation.into()),
        }
    }

    fn map_table(&self, invocation: &Invocation<'_>, table: TableRef, mapping: Option<Mapping>) -> Outcome {
        invocation.require(2, 1)?;
        ensure(mapping.is_none(), Error::InvalidCapability(0))?;
        let space_slot = invocation.cap_slot(1)?;
        let Cap::VSpace { asid: 1.., .. } = self.cap(space_slot) else {
            return Err(Error::InvalidCapability(1).into());
        };
        let vaddr = invocation.word(0);
        ensure(vaddr <= USER_TOP, Error::InvalidArgument(0))?;
        let (root, asid) = self.live_space(space_slot)?;
        let stop = self.walk(root, vaddr);
        ensure(stop.level != LAST_LEVEL && stop.entry == Entry::Invalid, Error::DeleteFirst)?;
        let vaddr = vaddr & (u64::MAX << stop.bits_left());
        let mapping = Some(Mapping { asid, vaddr });
        self.set_cap(invocation.slot, Cap::PageTable { at: table, mapping });
        self.platform.write_table_entry(stop.at, descriptor::table(table.paddr()));
        Ok(Answer::Empty)
    }

    /// Removes the entry that points at the table, if it is still there.
    pub(crate) fn unmap_table(&self, table: TableRef, mapping: Mapping) {
        if let Some(root) = self.space_of_asid(mapping.asid)
            && let stop = self.walk_to(root, mapping.vaddr, Some(table.paddr()))
            && stop.entry == Entry::Table(table.paddr())
        {
            self.platform.write_table_entry(stop.at, 0);
            self.platform.invalidate_asid(mapping.asid);
        }
    }

    pub(crate) fn invoke_frame(&self, invocation: &Invocation<'_>, words: Words) -> Outcome {
        let (frame, mapping) = (words.frame().ok_or(Error::InvalidCapability(0))?, words.mapping());
        match invocation.label {
            label::PAGE_MAP => {
                let mapping = self.map_frame(invocation, frame, mapping)?;
                self.slot(invocation.slot).set_word1(mapping_word(Some(mapping)));
                Ok(Answer::Empty)
            }
            label::PAGE_UNMAP => {
                if let Some(mapping) = mapping {
                    self.unmap_frame(frame, mapping);
                    self.slot(invocation.slot).set_word1(mapping_word(None));
                }
                Ok(Answer::Empty)
            }
            label::PAGE_CLEAN_DATA..=label::PAGE_UNIFY_INSTRUCTION => self.maintain_frame(invocation, frame, mapping),
            label::PAGE_GET_ADDRESS => Ok(Answer::Word(frame.base)),
            _ => Err(Error::IllegalOperation.into()),
        }
    }

    #[inline(always)]
    fn map_frame(&self, invocation: &Invocation<'_>, frame: Frame, old: Option<Mapping>) -> Result<Mapping, Error> {
        let Frame { base, size, rights, .. } = frame;
        invocation.require(3, 1)?;
        let (root, asid) = self.live_space(invocation.cap_slot(1)?)?;
        let vaddr = invocation.word(0);
        ensure(vaddr & size.bytes().wrapping_sub(1) == 0, Error::Alignment)?;
        match old {
            Some(old) if old.asid != asid => return Err(Error::InvalidCapability(1)),
            Some(old) if old.vaddr != vaddr => return Err(Error::InvalidArgument(0)),
            Some(_) => {}
            None => {
                // An aligned address whose last byte is beyond the top is itself beyond it.
                ensure(vaddr <= USER_TOP, Error::InvalidArgument(0))?;
            }
        }
        let stop = self.walk(root, vaddr);
        if stop.bits_left() != size.bits() {
            let failure = LookupFailure::Missing { bits_left: u64::from(stop.bits_left()) };
            return Err(Error::FailedLookup { is_source: false, failure });
        }
        let rights = rights.masked(Rights(invocation.word(1)));
        let entry = descriptor::leaf(base, stop.level, rights, invocation.word(2));
        let [old] = self.platform.words::<1>(stop.at);
        if stop.entry == Entry::Invalid {
            self.platform.write_table_entry(stop.at, entry);
        } else if descriptor::differ_in_access_only(old.get(), entry) {
            // Without a break: a thread of another core never faults for what both allow.
            self.platform.write_table_entry(stop.at, entry);
            self.platform.invalidate_page(asid, vaddr);
        } else {
            // Break before make (Arm ARM D8.16): the old translation is gone everywhere before the new one exists.
            self.platform.write_table_entry(stop.at, 0);
            self.platform.invalidate_page(asid, vaddr);
            self.platform.write_table_entry(stop.at, entry);
        }
        Ok(Mapping { asid, vaddr })
    }

    /// Removes the mapping that a frame capability recorded, if the page table still has it.
    #[inline(always)]
    pub(crate) fn unmap_frame(&self, frame: Frame, mapping: Mapping) {
        if let Some(root) = self.space_of_asid(mapping.asid)
            && let Some((stop, _)) = self.mapped_frame(root, mapping.vaddr, frame)
        {
            self.platform.write_table_entry(stop.at, 0);
            self.platform.invalidate_page(mapping.asid, mapping.vaddr);
        }
    }
}
