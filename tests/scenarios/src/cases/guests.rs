//! Sessions that come and go while the system runs: nothing of them stays, whoever ends them.
use crate::hardware::Hardware;
use crate::scenario::{BOOT_WITHIN, Image, SAY_WITHIN, Scenario, Stage};
use anyhow::{Result, ensure};

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario {
        name: "guests".into(),
        about: "sessions on demand are opened and closed by hundreds, end with their client, are revoked and permitted: nothing of them stays".into(),
        image: Image::Product("gateway-guests"),
        hardware: Hardware::default(),
        run: guests,
    }]
}

const DEATHS: u32 = 5;

fn guests(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let before = stage.command("ps", "of memory are free")?;
    for life in 1..=DEATHS {
        stage.console().expect(&format!("life {life}: 300 sessions came and went, and one stays"), BOOT_WITHIN)?;
        if life < DEATHS {
            stage.command("kill visitor", "visitor is stopped")?;
        }
    }
    let after = stage.command("ps", "of memory are free")?;
    ensure!(free(&before).is_some() && free(&before) == free(&after), "memory is gone:\n{before}\n{after}");
    stage.compare_grants(|_| true)?;
    let held = stage.command("caps visitor", "\n> ")?;
    ensure!(held.contains("held=on-demand"), "its session is not among its grants:\n{held}");
    stage.command("revoke visitor reader", "visitor may no more open its session reader")?;
    stage.console().expect("revoked: the call, the object, the copy and asking again are refused", SAY_WITHIN)?;
    let held = stage.command("caps visitor", "\n> ")?;
    ensure!(!held.contains("held=on-demand"), "what was revoked is among its grants:\n{held}");
    stage.command("permit visitor reader", "visitor may open its session reader")?;
    stage.command("svc restart visitor", "visitor is restarted")?;
    stage.console().expect(&format!("life {}: 300 sessions came and went", DEATHS + 1), BOOT_WITHIN)?;
    let text = stage.console().text();
    ensure!(!text.contains("WENT WRONG"), "not everything was as it should be:\n{text}");
    let trail = stage.command("audit", "# end of the trail")?;
    for line in [
        "visitor.reader opened logd.reader",
        "visitor.reader may no more open logd.reader",
        "more sessions were opened or closed",
    ] {
        ensure!(trail.contains(line), "the audit trail has no {line:?}:\n{trail}");
    }
    stage.finish()
}

/// How much memory nobody has, as `ps` says.
fn free(processes: &str) -> Option<&str> {
    processes.lines().last()?.split(';').nth(1)
}
