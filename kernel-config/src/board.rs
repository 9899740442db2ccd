//! The facts of a board: memory and devices; never who may have them.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use crate::{PAGE, Problem, Size, Source};

/// How an interrupt line tells that it is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// As long as the line is high.
    Level,
    /// When the line rises.
    Edge,
}

/// One device. What it has no use for is absent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoardDevice {
    /// The board's name for it; system.toml refers to it.
    pub name: Spanned<String>,
    /// As in the device tree; a driver's need must say the same.
    pub compatible: String,
    /// Physical address of its register page.
    pub page: Option<u64>,
    /// Bytes of that page: 4 KiB or 2 MiB.
    #[serde(default = "small_page")]
    pub size: Size,
    /// Whoever holds it only looks: its page is mapped without the right to write, beside whoever drives what is there.
    #[serde(default)]
    pub read_only: bool,
    /// Interrupt id as the interrupt controller numbers it (SPI n = 32 + n, PPI n = 16 + n).
    pub irq: Option<u32>,
    /// Of the interrupt.
    pub trigger: Option<Trigger>,
    /// Reads and writes memory by itself, with nothing that confines it.
    #[serde(default)]
    pub bus_master: bool,
    /// Its registers are the CNTP_* system registers of the thread that holds it.
    #[serde(default)]
    pub timer_access: bool,
}

const fn small_page() -> Size {
    Size(PAGE)
}

const LARGE_PAGE: u64 = 2 << 20;

/// Memory that the board may have.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryFacts {
    /// Physical address of its start.
    pub base: u64,
    /// The least that is supported. Everything must fit in it.
    pub smallest: Size,
    /// The most that is supported.
    pub largest: Size,
    /// What kernel, device tree and securityd take of it.
    pub reserved: Size,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    name: Spanned<String>,
    summary: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    board: Head,
    memory: MemoryFacts,
    #[serde(default)]
    device: Vec<BoardDevice>,
}

/// One `boards/<name>.toml`, checked.
#[derive(Debug, Clone)]
pub struct Board {
    /// Its name.
    pub name: String,
    /// What it is, in a few words.
    pub summary: String,
    /// Its memory.
    pub memory: MemoryFacts,
    /// Its devices.
    pub devices: Vec<BoardDevice>,
    /// The text, for messages.
    pub source: Source,
}

impl Board {
    /// Reads `kernel-config/boards/<name>.toml` below `root`.
    ///
    /// # Errors
    /// Every problem of the text.
    pub fn read(root: &Path, name: &str) -> Result<Self, Vec<Problem>> {
        Self::parse(Source::read(root, &format!("kernel-config/boards/{name}.toml")).map_err(|problem| vec![problem])?)
    }

    /// Checks a text.
    ///
    /// # Errors
    /// Every problem of the text.
    pub fn parse(source: Source) -> Result<Self, Vec<Problem>> {
        let text: Text = source.parse().map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let stem = Path::new(&source.file).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if text.board.name.get_ref() != stem {
            let message = format!("the board calls itself `{}`", text.board.name.get_ref());
            problems.push(source.problem(
                text.board.name.span(),
                "bad-value",
                message,
                format!("its file's name asks for `{stem}`"),
            ));
        }
        for (index, device) in text.device.iter().enumerate() {
            check_device(&source, device, &text.device[..index], &mut problems);
        }
        if text.memory.smallest > text.memory.largest || text.memory.reserved >= text.memory.smallest {
            problems.push(source.problem(
                0..0,
                "bad-value",
                "the memory sizes contradict each other",
                "reserved < smallest ≤ largest",
            ));
        }
        if problems.is_empty() {
            Ok(Self {
                name: text.board.name.into_inner(),
                summary: text.board.summary,
                memory: text.memory,
                devices: text.device,
                source,
            })
        } else {
            Err(problems)
        }
    }

    /// The device of that name.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&BoardDevice> {
        self.devices.iter().find(|device| device.name.get_ref() == name)
    }
}

fn check_device(source: &Source, device: &BoardDevice, earlier: &[BoardDevice], problems: &mut Vec<Problem>) {
    let name = device.name.get_ref();
    let mut report =
        |rule, message: String, help: &str| problems.push(source.problem(device.name.span(), rule, message, help));
    if earlier.iter().any(|other| other.name.get_ref() == name) {
        report("duplicate-name", format!("device `{name}` is declared twice"), "rename or remove one");
    }
    if ![PAGE, LARGE_PAGE].contains(&device.size.0) || device.page.is_some_and(|page| page % device.size.0.max(1) != 0)
    {
        report(
            "bad-value",
            format!("the page of `{name}` is not aligned to its size, or that is neither 4 KiB nor 2 MiB"),
            "give the page that holds the registers",
        );
    }
    if device.read_only && (device.irq.is_some() || device.bus_master || device.timer_access) {
        report(
            "bad-value",
            format!("`{name}` is only looked at, and has more than a page"),
            "what drives a device has a device of its own",
        );
    }
    if earlier.iter().any(|other| device.page.is_some() && other.page == device.page && other.size != device.size) {
        report(
            "bad-value",
            format!("the page of `{name}` is another device's too, with another size"),
            "a page has one size",
        );
    }
    if device.irq.is_some() != device.trigger.is_some() {
        report("bad-value", format!("`{name}` has an irq without a trigger, or the reverse"), "give both or none");
    }
    if device.irq.is_some_and(|irq| !(16..=159).contains(&irq)) {
        report(
            "bad-value",
            format!("the irq of `{name}` is outside of 16..=159"),
            "it is the interrupt controller's id, not the device tree's number",
        );
    }
    if device.timer_access && device.page.is_some() {
        report(
            "bad-value",
            format!("`{name}` has both a page and timer_access"),
            "the timer has no registers in memory",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::Board;
    use crate::Source;

    const HEAD: &str = "[board]\nname = \"b\"\nsummary = \"x\"\n[memory]\nbase = 0\nsmallest = \"128 MiB\"\nlargest = \"8 GiB\"\nreserved = \"16 MiB\"\n";

    fn rule_of(devices: &str) -> (&'static str, usize) {
        let source = Source::new("kernel-config/boards/b.toml", format!("{HEAD}{devices}"));
        Board::parse(source).map_or_else(|problems| (problems[0].rule, problems[0].line), |_| ("", 0))
    }

    #[test]
    fn board_with_good_devices_is_read() {
        assert_eq!(
            rule_of("[[device]]\nname = \"u\"\ncompatible = \"c\"\npage = 0x1000\nirq = 33\ntrigger = \"level\"\n").0,
            ""
        );
    }

    #[test]
    fn board_with_a_mistake_names_its_rule_and_line() {
        for (devices, rule, line) in [
            ("[[device]]\nname = \"u\"\ncompatible = \"c\"\ncolour = 1\n", "unknown-key", 12),
            ("[[device]]\nname = \"u\"\ncompatible = \"c\"\npage = 0x1001\n", "bad-value", 10),
            ("[[device]]\nname = \"u\"\ncompatible = \"c\"\npage = 0x1000\nsize = \"2 MiB\"\n", "bad-value", 10),
            ("[[device]]\nname = \"u\"\ncompatible = \"c\"\npage = 0x2000\nsize = \"8 KiB\"\n", "bad-value", 10),
            ("[[device]]\nname = \"u\"\ncompatible = \"c\"\nread_only = true\nbus_master = true\n", "bad-value", 10),
            ("[[device]]\nname = \"u\"\ncompatible = \"c\"\nirq = 33\n", "bad-value", 10),
            ("[[device]]\nname = \"u\"\ncompatible = \"c\"\nirq = 3\ntrigger = \"edge\"\n", "bad-value", 10),
            (
                "[[device]]\nname = \"u\"\ncompatible = \"c\"\n[[device]]\nname = \"u\"\ncompatible = \"c\"\n",
                "duplicate-name",
                13,
            ),
            ("[[device]]\nname = \"u\"\ncompatible = \"c\"\ntimer_access = true\npage = 0x1000\n", "bad-value", 10),
        ] {
            assert_eq!(rule_of(devices), (rule, line), "{devices}");
        }
    }
}
