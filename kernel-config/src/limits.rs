//! How large things may be; the numbers of limits.toml.

use serde::{Deserialize, Serialize};

use crate::Size;
#[cfg(feature = "std")]
use crate::{Problem, Source};

/// `kernel-config/limits.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The largest stack.
    pub stack_max: Size,
    /// The largest heap.
    pub heap_max: Size,
    /// The largest DMA memory.
    pub dma_max: Size,
    /// The largest program whose `component.toml` says nothing of it; also its weight in the memory sum.
    pub image_max: Size,
    /// The most that a `component.toml` may say of its program.
    pub program_max: Size,
    /// Bytes of a name.
    pub name_max: usize,
    /// Bytes of a reason.
    pub reason_max: usize,
    /// Parameters of one instance.
    pub parameters_max: usize,
    /// Bytes of a parameter, key and value.
    pub parameter_bytes_max: usize,
    /// The smallest budget, microseconds.
    pub budget_min_us: u32,
    /// The longest period, microseconds.
    pub period_max_us: u32,
}

#[cfg(feature = "std")]
impl Limits {
    /// Reads `kernel-config/limits.toml` below `root`.
    ///
    /// # Errors
    /// The problem of the text.
    pub fn read(root: &std::path::Path) -> Result<Self, Problem> {
        Source::read(root, "kernel-config/limits.toml")?.parse()
    }
}
