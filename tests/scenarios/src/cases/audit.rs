//! The audit trail as the console prints it: whole, continued, and telling what happened.
use super::gateway;
use crate::http::Connection;
use crate::scenario::{Scenario, Stage};
use anyhow::{Context, Result, anyhow, ensure};
use hybrid_capgraph::Trail;

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![gateway(
        "audit-trail",
        "the trail is chained, goes on, and bounds what a flood of denials leaves in it",
        trail,
    )]
}

/// More than are kept one by one.
const FLOOD: usize = 40;

fn trail(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let earlier = read(stage)?;
    let of = |trail: &Trail, kind: &str| {
        trail.chains.iter().flat_map(|chain| &chain.records).filter(|record| record.kind == kind).count()
    };
    let grants = stage.golden.len();
    ensure!(of(&earlier, "Granted") == grants, "{} grants are recorded, {grants} declared", of(&earlier, "Granted"));
    ensure!(of(&earlier, "Started") > 5 && of(&earlier, "Denied") == 0, "not the trail of a boot: {earlier:?}");
    for _ in 0..FLOOD {
        let mut connection = Connection::open(stage.port)?;
        connection.send(b"DELETE / HTTP/1.1\r\nHost: device\r\nConnection: close\r\n\r\n")?;
        let status = connection.response("DELETE")?.status;
        ensure!(status == 403, "DELETE / is answered by {status}; the policy denies it, so 403");
    }
    let later = read(stage)?;
    later.continues(&earlier).map_err(|found| anyhow!("history was changed: {found}"))?;
    let denials = later.chains.iter().find(|chain| chain.name == "denials").context("the listing has no denials")?;
    let marked: usize = denials
        .records
        .iter()
        .filter(|record| record.kind == "Gap")
        .filter_map(|record| record.text.split(' ').nth(1)?.parse::<usize>().ok())
        .sum();
    let told = of(&later, "Denied") + marked + denials.waiting as usize;
    ensure!(told == FLOOD, "{FLOOD} requests were denied, the trail tells {told}");
    stage.compare_grants(|_| true)?;
    stage.command("kill status", "status is stopped")?;
    let last = read(stage)?;
    last.continues(&later).map_err(|found| anyhow!("history was changed: {found}"))?;
    ensure!(
        of(&last, "Stopped") == 1 && of(&last, "Revoked") >= 1,
        "the stop of a component is not recorded: {last:?}"
    );
    stage.compare_live()?;
    stage.power_off()
}

/// What the console's `audit` prints, read and verified.
pub(super) fn read(stage: &mut Stage) -> Result<Trail> {
    let text = stage.command("audit", "# end of the trail")?;
    let trail = Trail::parse(&text).map_err(|why| anyhow!("{why}:\n{text}"))?;
    trail.first_break().map_or(Ok(trail), |found| Err(anyhow!("the trail is broken at {found}:\n{text}")))
}
