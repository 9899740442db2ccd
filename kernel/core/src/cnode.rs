//! Invocations of CNode capabilities (kernel-abi §3.5).

use hybrid_abi::label;
use hybrid_abi::rights::Rights;

use crate::cspace::{LookupFailure, Side};
use crate::invocation::{Answer, Error, Invocation, Outcome, Stop, ensure};
use crate::kernel::Kernel;
use crate::object::{SlotRef, TcbRef};
use crate::platform::Platform;

/// There is no capability where one was named, `bits_left` bits deep.
fn missing(is_source: bool, bits_left: u64) -> Error {
    Error::FailedLookup { is_source, failure: LookupFailure::Missing { bits_left } }
}

impl<P: Platform> Kernel<P> {
    pub(crate) fn invoke_cnode(&self, invocation: &Invocation<'_>) -> Outcome {
        ensure((label::CNODE_REVOKE..=label::CNODE_ROTATE).contains(&invocation.label), Error::IllegalOperation)?;
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
        let (at, badge, rights) = self.words(target).endpoint().ok_or(Error::IllegalOperation)?;
        ensure(rights.has(Rights::ALL), Error::IllegalOperation)?;
        if badge == 0 { Ok(()) } else { self.cancel_badged_sends(invoker, at, badge) }
    }

    fn copy_or_move(&self, invocation: &Invocation<'_>, target: SlotRef) -> Result<(), Error> {
        invocation.require(4, 1)?;
        let root = self.words(invocation.cap_slot(1)?);
        ensure(self.is_empty(target), Error::DeleteFirst)?;
        let depth = invocation.word(3);
        let source = self.lookup_exact(root, invocation.word(2), depth, Side::Source)?;
        let words = self.words(source);
        ensure(!words.is_null(), missing(true, depth))?;
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
                self.insert_copy(source, target, words);
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
        ensure(pivot != source && pivot != target, Error::IllegalOperation)?;
        ensure(source == target || self.is_empty(target), Error::DeleteFirst)?;
        let (source_cap, pivot_cap) = (self.words(source), self.words(pivot));
        ensure(!source_cap.is_null(), missing(true, source_depth))?;
        ensure(!pivot_cap.is_null(), missing(false, pivot_depth))?;
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
