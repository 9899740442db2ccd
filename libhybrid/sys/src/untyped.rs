//! Making objects from memory.
use crate::{CNode, CPtr, Error, ObjectType, Untyped};
use hybrid_abi::label;

impl Untyped {
    /// Makes `count` objects of `kind` in the slots from `offset` on of the CNode found at `index`/`depth` under `root`
    /// (`depth` 0: of `root` itself). `size_bits` counts for untyped memory, CNodes (log2 of the slots) and scheduling contexts.
    ///
    /// # Errors
    /// See kernel ABI §3.4.
    #[expect(clippy::too_many_arguments, reason = "the kernel's own argument list; callers build on this")]
    pub fn retype(
        self,
        kind: ObjectType,
        size_bits: u8,
        root: CNode,
        index: u64,
        depth: u8,
        offset: u64,
        count: u64,
    ) -> Result<(), Error> {
        let words = [kind.number(), size_bits.into(), index, depth.into(), offset, count];
        let caps: [CPtr; 1] = [root.0];
        self.0.invoke_unit(label::UNTYPED_RETYPE, &words, &caps)
    }

    /// Makes one object in slot `offset` of `cnode`.
    ///
    /// # Errors
    /// See kernel ABI §3.4.
    pub fn retype_into(self, kind: ObjectType, size_bits: u8, cnode: CNode, offset: u64) -> Result<(), Error> {
        self.retype(kind, size_bits, cnode, 0, 0, offset, 1)
    }
}
