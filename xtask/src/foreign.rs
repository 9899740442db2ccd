//! Root tasks that were built elsewhere: their ELF files, and the kernel that runs them.
pub(crate) mod elf;
pub(crate) mod kernel;
