//! What the host asks for on the kernel's command line (`-append`), which the device tree carries.
use libhybrid::sys::boot::Boot;

/// The options of one run.
pub(crate) struct Options {
    /// `storm.seed=`: where the random sequence starts.
    pub(crate) seed: u64,
    /// `storm.millions=`: when to stop, in millions of instructions.
    pub(crate) millions: u64,
    /// `storm.worst=0` leaves the first part out.
    pub(crate) is_worst_wanted: bool,
}

impl Options {
    /// Reads them; what is not there has a fixed value, so that every run can be repeated.
    pub(crate) fn of(boot: Boot) -> Self {
        let tree = boot.device_tree().unwrap_or(&[]);
        Self {
            seed: number(tree, b"storm.seed=").unwrap_or(1),
            millions: number(tree, b"storm.millions=").unwrap_or(60),
            is_worst_wanted: number(tree, b"storm.worst=") != Some(0),
        }
    }
}

/// The decimal number behind `name`, wherever it stands.
fn number(text: &[u8], name: &[u8]) -> Option<u64> {
    let at = text.windows(name.len()).position(|window| window == name)?;
    let digits = text.get(at + name.len()..)?.iter().take_while(|byte| byte.is_ascii_digit());
    digits
        .map(|byte| u64::from(byte - b'0'))
        .fold(None, |sum, digit| Some(sum.unwrap_or(0_u64).wrapping_mul(10).wrapping_add(digit)))
}
