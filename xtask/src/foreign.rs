//! Root tasks that were built elsewhere: their ELF files, the kernel that runs them, what they must know of it.
mod abi_header;
pub(crate) mod c_root;
mod config;
pub(crate) mod elf;
pub(crate) mod headers;
pub(crate) mod kernel;
