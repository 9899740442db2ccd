//! A root task that was built elsewhere, in C, against the published configuration alone.
use crate::hardware::Hardware;
use crate::scenario::{Image, Scenario, Stage};
use anyhow::{Result, bail};
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(300);

/// One scenario for each interrupt controller, on one and on four cores, and one with a kernel that exports no counter and no timer.
pub(super) fn all() -> Vec<Scenario> {
    [
        ("gicv2", 2, 1, true),
        ("gicv3", 3, 1, true),
        ("bare", 2, 1, false),
        ("smp-gicv2", 2, 4, true),
        ("smp-gicv3", 3, 4, true),
    ]
    .map(|(name, gic, cores, has_exports)| Scenario {
        name: format!("kernel-foreign-root-{name}"),
        about: "a root task in C finds what the published configuration says".into(),
        image: Image::ForeignRoot { gic, cores, has_exports },
        hardware: Hardware {
            gic,
            smp: cores,
            take_turns: cores > 1,
            memory_mib: 1024,
            command_line: "root_cnode_bits=14".into(),
            ..Hardware::default()
        },
        run: foreign,
    })
    .into()
}

/// It prints through a UART that it maps itself, and powers the machine off.
fn foreign(stage: &mut Stage) -> Result<()> {
    stage.console().expect("foreign-root: hello", WITHIN)?;
    let verdict = stage.console().expect("\n", WITHIN).and_then(|_| stage.console().expect("PASS", WITHIN));
    if verdict.is_err() {
        let text = stage.console().text();
        if let Some(line) = text.lines().find(|line| line.contains("FAIL")) {
            bail!("{line}");
        }
    }
    verdict?;
    stage.console().expect_end(WITHIN)
}
