//! Invocations of CNode capabilities (kernel-abi §3.5).

use hybrid_abi::label;
use hybrid_abi::rights::Rights;

use crate::cap::Cap;
use crate::cspace::{LookupFailure, Side};
use crate::invocation::{Answer, Error, Invocation, Outcome, Stop};
use crate::kernel::Kernel;
use crate::object::{SlotRef, TcbRef};
use crate::platform::Platform;

impl<P: Platform> Kernel<P> {
    pub(crate) fn invoke_cnode(&self, invocation: &Invocation<'_>) -> Outcome {
        if !(label::CNODE_REVOKE..=label::CNODE_ROTATE).contains(&invocation.label) {
            return Err(Error::IllegalOperation.into());
        }
        invocation.require(2, 0)?;
        let target =
            self.lookup_exact(self.words(invocation.slot), invocation.word(0), invocation.word(1), Side::Target)?;
        match invocation.label {
            label::CNODE_REVOKE => self.revoke(target)?,
            label::CNODE_DELETE => self.delete(target)?,
            label::CNODE_CANCEL_BADGED_SENDS => self.cancel_sends(invocation.thread, target)?,
            label::CNODE_ROTATE => self.rotate(invocation, target)?,
            _ => self.copy_or_move(invocation, target)?,
        }
        Ok(Answer::Empty)
    }

    fn cancel_sends(&self, invoker: TcbRef, target: SlotRef) -> Result<(), Stop> {
        match self.cap(target) {
            Cap::Endpoint { at, badge, rights } if rights.has(Rights::ALL) => {
                if badge == 0 {
                    Ok(())
                } else {
                    self.cancel_badged_sends(invoker, at, badge)
                }
            }
            _ => Err(Error::IllegalOperation.into()),
        }
    }

    fn copy_or_move(&self, invocation: &Invocation<'_>, target: SlotRef) -> Result<(), Error> {
        invocation.require(4, 1)?;
        let root = self.words(invocation.cap_slot(1)?);
        if !self.is_empty(target) {
            return Err(Error::DeleteFirst);
        }
        let depth = invocation.word(3);
        let source = self.lookup_exact(root, invocation.word(2), depth, Side::Source)?;
        let words = self.words(source);
        if words.is_null() {
            return Err(Error::FailedLookup { is_source: true, failure: LookupFailure::Missing { bits_left: depth } });
        }
        let word = invocation.word(4);
        match invocation.label {
            label::CNODE_MOVE => self.move_words(source, target, words),
            label::CNODE_MUTATE => {
                invocation.require(5, 1)?;
                let words = words.with_data(word, false).ok_or(Error::IllegalOperation)?;
                self.move_words(source, target, words);
            }
            label::CNODE_COPY => {
                invocation.require(5, 1)?;
                let words = self.derive_words(source, words.masked(Rights(word)))?;
                self.insert_plain_copy(source, target, words);
            }
            _ => {
                invocation.require(6, 1)?;
                let words = words.masked(Rights(word)).with_data(invocation.word(5), true);
                let words = self.derive_words(source, words.ok_or(Error::IllegalOperation)?)?;
                self.insert_copy(source, target, words);
            }
        }
        Ok(())
    }

    fn rotate(&self, invocation: &Invocation<'_>, target: SlotRef) -> Result<(), Error> {
        invocation.require(8, 2)?;
        let pivot_root = self.words(invocation.cap_slot(1)?);
        let source_root = self.words(invocation.cap_slot(2)?);
        let (pivot_depth, source_depth) = (invocation.word(4), invocation.word(7));
        let source = self.lookup_exact(source_root, invocation.word(6), source_depth, Side::Source)?;
        let pivot = self.lookup_exact(pivot_root, invocation.word(3), pivot_depth, Side::Source)?;
        if pivot == source || pivot == target {
            return Err(Error::IllegalOperation);
        }
        if source != target && !self.is_empty(target) {
            return Err(Error::DeleteFirst);
        }
        let (source_cap, pivot_cap) = (self.words(source), self.words(pivot));
        let missing =
            |is_source, bits_left| Error::FailedLookup { is_source, failure: LookupFailure::Missing { bits_left } };
        if source_cap.is_null() {
            return Err(missing(true, source_depth));
        }
        if pivot_cap.is_null() {
            return Err(missing(false, pivot_depth));
        }
        // MR2 goes with the capability that moves into the target (the pivot), MR5 with the one that moves into the pivot.
        let for_pivot = source_cap.with_data(invocation.word(5), false).ok_or(Error::IllegalOperation)?;
        let for_target = pivot_cap.with_data(invocation.word(2), false).ok_or(Error::IllegalOperation)?;
        if source == target {
            self.swap(target, for_target, pivot, for_pivot);
        } else {
            self.move_words(pivot, target, for_target);
            self.move_words(source, pivot, for_pivot);
        }
        Ok(())
    }
}
