//! The Audit object: tells every capability in the order of derivation; changes only its own place in that list.
//!
//! INV-LISTING-1: all capabilities are in one list (INV-CDT-1); the place is one of them or the end, since whoever takes a slot out of the
//! list or moves it takes the place along. So a capability that exists from the first call of a listing to its last is told exactly once,
//! wherever it is moved meanwhile; and no caller names an address that the kernel would have to believe.
//!
//! INV-LISTING-2: kind and address of an object with the incarnation of the untyped memory that it was made from never come again: memory is given
//! out again only after it was begun anew, which gives it a number that none had.

use hybrid_abi::extension::{AUDIT_ENTRIES, AUDIT_LIST};

use crate::invocation::{Answer, Error, Invocation, Outcome, ensure};
use crate::kernel::Kernel;
use crate::object::TcbRef;
use crate::platform::Platform;

impl<P: Platform> Kernel<P> {
    pub(crate) fn invoke_audit(&self, invocation: &Invocation<'_>) -> Outcome {
        ensure(invocation.label == AUDIT_LIST, Error::IllegalOperation)?;
        invocation.require(1, 0)?;
        ensure(invocation.word(0) <= 1, Error::Range { min: 0, max: 1 })?;
        if invocation.word(0) == 0 {
            self.audit_next.set(self.first_slot.get());
        }
        Ok(Answer::Listing)
    }

    /// The words of as many entries as the thread has room for, and goes on behind them.
    pub(crate) fn listing(&self, thread: TcbRef) -> impl Iterator<Item = u64> + '_ {
        let room = if self.buffer(thread, true).is_some() { AUDIT_ENTRIES } else { 1 };
        let entries = (0..room).map_while(|_| {
            let slot = self.audit_next.get()?;
            let (view, words) = (self.slot(slot), self.words(slot));
            self.audit_next.set(view.next());
            let flags = u64::from(view.node().revocable) | u64::from(view.node().first_badged) << 1;
            Some([slot.paddr() | flags, words.0, words.1])
        });
        entries.flatten()
    }
}
