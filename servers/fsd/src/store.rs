//! What the server asks of a file system: nodes and names, one name at a time; no paths, no sessions.
use alloc::string::String;
use alloc::vec::Vec;
use libhybrid::interfaces::fs::{Error, Kind};

/// A file or directory of one store; what it names stays the same until it is removed and closed.
pub type Node = u64;

/// What a store knows of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub node: Node,
    /// What it is.
    pub kind: Kind,
    /// Bytes of a file; 0 for a directory.
    pub size: u64,
    /// When it was last changed.
    pub modified_ns: u64,
}

/// The largest file. What is larger is refused before a store sees it.
pub(crate) const SIZE_MAX: u64 = 1 << 40;

/// A file system. Each change is done wholly or, if it fails, not at all.
///
/// Every method fails with [`Error::NotFound`] if there is no such node, [`Error::NoSpace`] if the medium is full, [`Error::Broken`] if it failed.
/// The server checks kinds, names, open files and loops before it calls.
pub trait Store {
    /// The uppermost directory.
    fn root(&self) -> Node;
    /// What a node is.
    ///
    /// # Errors
    /// As the trait says.
    fn found(&mut self, node: Node) -> Result<Found, Error>;
    /// The node of a name in a directory.
    ///
    /// # Errors
    /// As the trait says.
    fn lookup(&mut self, directory: Node, name: &str) -> Result<Found, Error>;
    /// A new, empty node under a name that is not there.
    ///
    /// # Errors
    /// As the trait says; [`Error::BadPath`] for a name that the store cannot keep.
    fn create(&mut self, directory: Node, name: &str, kind: Kind, now_ns: u64) -> Result<Found, Error>;
    /// Takes away a name, and the node once it is not open. A directory is empty.
    ///
    /// # Errors
    /// As the trait says.
    fn remove(&mut self, directory: Node, name: &str) -> Result<(), Error>;
    /// Gives a node another name; what has that name is removed in the same step.
    ///
    /// # Errors
    /// As the trait says.
    fn rename(&mut self, from: (Node, &str), to: (Node, &str)) -> Result<(), Error>;
    /// Fills `data` from `offset`; fewer bytes only at the end.
    ///
    /// # Errors
    /// As the trait says.
    fn read(&mut self, file: Node, offset: u64, data: &mut [u8]) -> Result<usize, Error>;
    /// Writes all of `data`; between the old end and `offset` there are zeros.
    ///
    /// # Errors
    /// As the trait says.
    fn write(&mut self, file: Node, offset: u64, data: &[u8], now_ns: u64) -> Result<(), Error>;
    /// Cuts a file, or lengthens it by zeros.
    ///
    /// # Errors
    /// As the trait says.
    fn set_size(&mut self, file: Node, size: u64, now_ns: u64) -> Result<(), Error>;
    /// All names in a directory, in any order.
    ///
    /// # Errors
    /// As the trait says.
    fn list(&mut self, directory: Node) -> Result<Vec<(String, Node)>, Error>;
    /// One more uses the node: it stays, also without a name.
    fn open(&mut self, node: Node);
    /// One fewer uses it.
    ///
    /// # Errors
    /// As the trait says.
    fn close(&mut self, node: Node) -> Result<(), Error>;
    /// All that was done before survives a loss of power, if the store is of that kind.
    ///
    /// # Errors
    /// As the trait says.
    fn sync(&mut self) -> Result<(), Error>;
    /// Whether writes to a file were answered with success, and are lost since; said once.
    fn has_lost(&mut self, _file: Node) -> bool {
        false
    }
    /// Whether the medium works: what fails now is one file's own.
    fn is_sound(&mut self) -> bool {
        self.sync().is_ok()
    }
    /// Whether a write may wait that goes to the part of a file that was written last, up to [`CHUNK`](crate::cache::CHUNK) bytes of it: if nothing
    /// else is changed before, it finds room then as it would now.
    fn may_wait(&self) -> bool {
        false
    }
    /// Every session of the server's start has its directory: opening the store did not end the server.
    fn settled(&mut self) {}
    /// Whether there is work that nobody waits for, now.
    fn is_untidy(&mut self, _now_ns: u64) -> bool {
        false
    }
    /// Does a bounded part of that work. No answer depends on it, so it may fail and says nothing.
    fn tidy(&mut self, _now_ns: u64) {}
    /// Bytes that all quotas together may give out.
    fn capacity(&self) -> u64;
}
