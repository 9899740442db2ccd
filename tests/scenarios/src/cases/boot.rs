//! The gateway boots on every machine that it claims to boot on.
use crate::hardware::Hardware;
use crate::scenario::{Image, Scenario, Stage};
use anyhow::{Result, ensure};

/// GIC version, entered at EL2, processor, MiB of memory, cores that the machine has.
const MACHINES: [(u8, bool, &str, u32, u8); 10] = [
    (2, false, "cortex-a53", 512, 1),
    (2, true, "cortex-a53", 512, 1),
    (3, false, "cortex-a53", 512, 1),
    (3, true, "cortex-a53", 512, 1),
    (2, false, "cortex-a57", 512, 1),
    (3, true, "cortex-a72", 512, 1),
    (2, false, "cortex-a53", 128, 1),
    (3, false, "cortex-a53", 2048, 1),
    (2, true, "cortex-a72", 8192, 1),
    (3, false, "cortex-a53", 512, 2),
];

/// One scenario for each machine.
pub(super) fn all() -> Vec<Scenario> {
    MACHINES
        .iter()
        .map(|&(gic, starts_at_el2, cpu, memory_mib, smp)| {
            let level = if starts_at_el2 { 2 } else { 1 };
            let cores = if smp > 1 { format!("-{smp}cores") } else { String::new() };
            let name = format!("boot-gicv{gic}-el{level}-{}-{memory_mib}m{cores}", cpu.trim_start_matches("cortex-"));
            let about = "boots, serves its page, grants what the golden list says, powers off".to_string();
            let hardware = Hardware { gic, starts_at_el2, cpu: cpu.into(), memory_mib, smp, ..Hardware::default() };
            Scenario { name, about, image: Image::Product("gateway"), hardware, run: boots }
        })
        .collect()
}

fn boots(stage: &mut Stage) -> Result<()> {
    let page = stage.boot()?;
    ensure!(page.text().contains("gateway"), "the page does not name the product:\n{}", page.text());
    stage.finish()
}
