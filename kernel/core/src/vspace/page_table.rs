//! Page tables: mapping and unmapping (kernel-abi §6.3).

use hybrid_abi::label;
use hybrid_abi::vm::USER_TOP;

use crate::cap::{Cap, Mapping};
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
}
