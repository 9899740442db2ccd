//! A root task that was built elsewhere, in C, against the published configuration alone.
use crate::hardware::Hardware;
use crate::scenario::{Image, Scenario, Stage};
use anyhow::{Result, bail};
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(180);

/// One scenario for each interrupt controller.
pub(super) fn all() -> Vec<Scenario> {
    [2, 3]
        .map(|gic| Scenario {
            name: format!("kernel-foreign-root-gicv{gic}"),
            about: "a root task in C finds what the published configuration says".into(),
            image: Image::ForeignRoot { gic, cores: 1 },
            hardware: Hardware {
                gic,
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
