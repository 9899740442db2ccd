//! Operations on capability slots: copy, mint, move, delete, revoke.
use crate::{CNode, CNodeData, CPtr, Error, Rights};
use hybrid_abi::label;

/// A slot, addressed from a CNode: the top `depth` bits to resolve are those of `index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Where the resolution starts.
    pub root: CNode,
    /// The address below `root`; its low `depth` bits count.
    pub index: u64,
    /// How many bits of `index` are resolved, guard bits of `root` included.
    pub depth: u8,
}

impl CNode {
    /// The slot that resolving `depth` bits of `index` gives.
    #[must_use]
    pub const fn slot(self, index: u64, depth: u8) -> Slot {
        Slot { root: self, index, depth }
    }

    /// The slot whose capability address is `address`, if `self` is the root of the program's own capability space.
    #[must_use]
    pub const fn own_slot(self, address: u64) -> Slot {
        Slot { root: self, index: address, depth: 64 }
    }
}

impl Slot {
    /// Copies the capability in `source` here, with no more than `rights`.
    ///
    /// # Errors
    /// See kernel ABI §3.5, here and below.
    pub fn copy_from(self, source: Slot, rights: Rights) -> Result<(), Error> {
        self.from(label::CNODE_COPY, source, &[rights.0])
    }

    /// Copies the capability in `source` here with no more than `rights` and this badge (or CNode guard).
    ///
    /// # Errors
    /// As above; IllegalOperation if the source already has a badge.
    pub fn mint_from(self, source: Slot, rights: Rights, badge: u64) -> Result<(), Error> {
        self.from(label::CNODE_MINT, source, &[rights.0, badge])
    }

    /// Copies the CNode capability in `source` here with this guard.
    ///
    /// # Errors
    /// As above.
    pub fn mint_cnode_from(self, source: Slot, guard: CNodeData) -> Result<(), Error> {
        self.from(label::CNODE_MINT, source, &[Rights::ALL.0, guard.0])
    }

    /// Moves the capability in `source` here.
    ///
    /// # Errors
    /// As above.
    pub fn move_from(self, source: Slot) -> Result<(), Error> {
        self.from(label::CNODE_MOVE, source, &[])
    }

    /// Moves the CNode capability in `source` here, with this guard.
    ///
    /// # Errors
    /// As above.
    pub fn mutate_from(self, source: Slot, data: u64) -> Result<(), Error> {
        self.from(label::CNODE_MUTATE, source, &[data])
    }

    /// Moves the capability in `pivot` here (with `pivot_data`) and the one in `source` to `pivot` (with `source_data`).
    ///
    /// # Errors
    /// As above.
    pub fn rotate_from(self, pivot: Slot, pivot_data: u64, source: Slot, source_data: u64) -> Result<(), Error> {
        let words = [
            self.index,
            self.depth.into(),
            pivot_data,
            pivot.index,
            pivot.depth.into(),
            source_data,
            source.index,
            source.depth.into(),
        ];
        self.root.0.invoke_unit(label::CNODE_ROTATE, &words, &[pivot.root.0, source.root.0])
    }

    /// Empties the slot; destroys the object if this was its last capability.
    ///
    /// # Errors
    /// FailedLookup if there is no such slot. An empty slot is no error.
    pub fn delete(self) -> Result<(), Error> {
        self.on(label::CNODE_DELETE)
    }

    /// Deletes every capability that was derived from the one here.
    ///
    /// # Errors
    /// FailedLookup if there is no such slot. An empty slot is no error.
    pub fn revoke(self) -> Result<(), Error> {
        self.on(label::CNODE_REVOKE)
    }

    /// Restarts all threads that wait to send through the badged endpoint capability here.
    ///
    /// # Errors
    /// IllegalOperation if it is not an endpoint capability with all rights.
    pub fn cancel_badged_sends(self) -> Result<(), Error> {
        self.on(label::CNODE_CANCEL_BADGED_SENDS)
    }

    fn on(self, label: u64) -> Result<(), Error> {
        self.root.0.invoke_unit(label, &[self.index, self.depth.into()], &[])
    }

    fn from(self, label: u64, source: Slot, data: &[u64]) -> Result<(), Error> {
        let mut words = [self.index, self.depth.into(), source.index, source.depth.into(), 0, 0];
        let length = 4 + data.len().min(2);
        for (word, value) in words[4..].iter_mut().zip(data) {
            *word = *value;
        }
        let caps: [CPtr; 1] = [source.root.0];
        self.root.0.invoke_unit(label, &words[..length], &caps)
    }
}
