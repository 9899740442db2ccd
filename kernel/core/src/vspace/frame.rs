//! Frames: mapping and unmapping (kernel-abi §6.4, §6.5); their cache operations are in `cache.rs`.

use hybrid_abi::label;
use hybrid_abi::rights::Rights;
use hybrid_abi::vm::USER_TOP;

use crate::cap::{Frame, Mapping, Words, mapping_word};
use crate::cspace::LookupFailure;
use crate::invocation::{Answer, Error, Invocation, Outcome, ensure};
use crate::kernel::Kernel;
use crate::platform::Platform;
use crate::vspace::descriptor::{self, Entry};

impl<P: Platform> Kernel<P> {
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
