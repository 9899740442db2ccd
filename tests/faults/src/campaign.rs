//! Plays failures one after the other under HTTP load, and prints the table; knows no single failure.
use crate::plan::{Failure, Manner, VICTIMS, Victim};
use crate::report::{HEAD, Seen, row};
use crate::run::{self, Run};
use anyhow::{Context, Result, ensure};
use hybrid_scenarios::hardware::Hardware;
use hybrid_scenarios::http;
use hybrid_scenarios::scenario::{Image, Scenario, Stage};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Failures of each component in each manner of the long campaign.
const RUNS: usize = 50;
/// Ends in a row after which the victim is restarted by command, before `procd` takes them for a crash loop.
const ENDS_IN_A_ROW: usize = 3;
/// securityd starts procd itself five times in a minute, and then never again: so many ends of it in this time are enough.
const PROCD_ENDS: (usize, Duration) = (4, Duration::from_secs(62));
/// Steps at which procd fails in the short campaign; the others fail at every other of theirs.
const PROCD_STEPS: usize = 3;
/// Of the load.
const CLIENTS: usize = 4;
/// An instruction is two to this power nanoseconds: a processor of 31 million instructions a second, on every host.
const SHIFT: u8 = 5;

/// The short campaign.
pub fn all() -> Vec<Scenario> {
    let about = "each component fails in each way and at every other step, under HTTP load: the others go on, it is back, the grants are as declared";
    vec![scenario("faults", about, |stage| campaign(stage, cells(), 1))]
}

/// The long one: a scenario for each component and manner, `faults-long-MANNER-COMPONENT`, so that each can be played by itself.
pub fn long() -> Vec<Scenario> {
    let about = "fifty failures of this component in this manner, under HTTP load";
    cells().map(|(manner, victim)| scenario(&long_name(manner, victim), about, long_cell)).collect()
}

fn cells() -> impl Iterator<Item = (Manner, &'static Victim)> {
    let of_manner = |manner: Manner| VICTIMS.iter().map(move |victim| (manner, victim));
    Manner::ALL.into_iter().flat_map(of_manner).filter(|(manner, victim)| victim.count(*manner) > 0)
}

fn long_name(manner: Manner, victim: &Victim) -> String {
    format!("faults-long-{}-{}", manner.name(), victim.name)
}

fn long_cell(stage: &mut Stage) -> Result<()> {
    let name = stage.name.clone();
    let meant = cells().find(|(manner, victim)| long_name(*manner, victim) == name);
    campaign(stage, meant, RUNS)
}

fn scenario(name: &str, about: &str, run: fn(&mut Stage) -> Result<()>) -> Scenario {
    let hardware = Hardware { instruction_shift: Some(SHIFT), disk: Some("disk.img".into()), ..Hardware::default() };
    Scenario { name: name.into(), about: about.into(), image: Image::Faults("gateway"), hardware, run }
}

fn campaign(stage: &mut Stage, cells: impl IntoIterator<Item = (Manner, &'static Victim)>, runs: usize) -> Result<()> {
    stage.boot()?;
    let (port, seen) = (stage.port, Arc::new(Seen::default()));
    let clients: Vec<_> = (0..CLIENTS).map(|_| spawn_client(port, Arc::clone(&seen))).collect();
    println!("{HEAD}");
    let outcome = all_played(stage, &seen, cells, runs);
    seen.is_over.store(true, Ordering::Relaxed);
    for client in clients {
        ensure!(client.join().is_ok(), "a client of the campaign panicked");
    }
    outcome?;
    stage.finish()
}

/// One cell after the other. Once all have failed in a manner, each lives again, and what it was granted anew is compared.
fn all_played(
    stage: &mut Stage,
    seen: &Seen,
    cells: impl IntoIterator<Item = (Manner, &'static Victim)>,
    runs: usize,
) -> Result<()> {
    let mut last = None;
    for (manner, victim) in cells {
        if let Some(before) = last.replace(manner).filter(|before| *before != manner) {
            stage.compare_grants(|_| true).with_context(|| format!("after all of {}", before.name()))?;
        }
        cell(stage, seen, manner, victim, runs)?;
    }
    Ok(())
}

/// The numbers of the failures of one component in one manner. The long campaign plays all kinds of them, and at least `runs`. The short one plays
/// each kind once, of steps every other: where one component leaves a step out, the next does not.
fn numbers(manner: Manner, victim: &Victim, runs: usize) -> Vec<usize> {
    let kinds = victim.count(manner);
    if runs > 1 || manner != Manner::Step {
        return (0..runs.max(kinds)).collect();
    }
    let place = VICTIMS.iter().position(|other| other.name == victim.name).unwrap_or(0);
    let most = if victim.name == "procd" { PROCD_STEPS } else { kinds };
    (place % 2..kinds).step_by(2).take(most).collect()
}

/// All failures of one component in one manner.
fn cell(stage: &mut Stage, seen: &Seen, manner: Manner, victim: &Victim, runs: usize) -> Result<()> {
    let (mut done, mut ends, before) = (Vec::<Run>::new(), Ends::default(), seen.counts());
    for number in numbers(manner, victim, runs) {
        // An order that was not reached in time, on a slow host, is given once more.
        let mut is_reached = false;
        for _ in 0..2 {
            let failure = victim.failure(manner, number);
            let told = || format!("{} of {}, number {number}: {:?}", manner.name(), victim.name, failure.order);
            let run = run::play(stage, victim, &failure).with_context(told)?;
            goes_on(seen).with_context(told)?;
            recover(stage, seen, &failure, &run, &mut ends).with_context(told)?;
            is_reached = run.is_reached;
            done.push(run);
            if is_reached {
                break;
            }
        }
        ensure!(is_reached, "{} of {}, number {number}: it was not reached twice", manner.name(), victim.name);
    }
    let after = seen.counts();
    println!("{}", row(manner, victim.name, &done, (after.0 - before.0, after.1 - before.1)));
    Ok(())
}

/// What an order left is undone by a restart: an order that was not reached, a heap or slots that are gone. So is what procd remembers.
fn recover(stage: &mut Stage, seen: &Seen, failure: &Failure, run: &Run, ends: &mut Ends) -> Result<()> {
    let order = failure.order.as_deref().unwrap_or_default();
    let is_spoiled = !run.has_ended && (!run.is_reached || order.starts_with("heap") || order.starts_with("slots"));
    if failure.victim == "procd" {
        // It starts itself neither again nor anew.
        if is_spoiled {
            run::insist(stage, "kill procd", "is stopped")?;
        }
        return if is_spoiled || run.has_ended { spare_procd(stage, seen, ends) } else { Ok(()) };
    }
    ends.in_a_row += usize::from(run.has_ended);
    if is_spoiled || ends.in_a_row >= ENDS_IN_A_ROW {
        ends.in_a_row = 0;
        let line = format!("svc restart {}", failure.victim);
        if matches!(failure.victim, "shell" | "console") {
            // Its answer dies with it.
            stage.console().send_line(&line)?;
            std::thread::sleep(Duration::from_millis(500));
        } else {
            run::insist(stage, &line, "is restarted")?;
        }
        run::lives(stage)?;
        http::wait_for_page(stage.port, Duration::from_secs(120))?;
    }
    Ok(())
}

/// Ends of one component in one manner that are not forgotten yet.
#[derive(Default)]
struct Ends {
    in_a_row: usize,
    /// Of procd, by the device's clock.
    of_procd: Vec<Duration>,
}

/// Waits until procd may end once more. Nobody asks for the page meanwhile: nothing is tried.
fn spare_procd(stage: &mut Stage, seen: &Seen, ends: &mut Ends) -> Result<()> {
    ends.of_procd.push(run::uptime(stage)?);
    seen.is_resting.store(true, Ordering::Relaxed);
    loop {
        let now = run::uptime(stage)?;
        ends.of_procd.retain(|end| now.saturating_sub(*end) < PROCD_ENDS.1);
        if ends.of_procd.len() < PROCD_ENDS.0 {
            break;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    seen.is_resting.store(false, Ordering::Relaxed);
    Ok(())
}

/// Asks for the page again and again; each request has a connection of its own. Who gets none asks again after a pause.
fn spawn_client(port: u16, seen: Arc<Seen>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        while !seen.is_over.load(Ordering::Relaxed) {
            if seen.is_resting.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
            let answer = http::request_within(port, "GET", "/", Duration::from_secs(2));
            if answer.is_ok_and(|answer| answer.status == 200) {
                seen.answered.fetch_add(1, Ordering::Relaxed);
            } else {
                seen.lost.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    })
}

/// Waits until one of the clients had its next answer.
fn goes_on(seen: &Seen) -> Result<()> {
    let (before, deadline) = (seen.counts().0, Instant::now() + Duration::from_secs(120));
    while seen.counts().0 == before {
        ensure!(Instant::now() < deadline, "the page came, but none of the clients of the load got an answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Manner, PROCD_STEPS, VICTIMS, numbers};
    use std::collections::BTreeSet;

    fn steps(victim: &super::Victim, runs: usize) -> BTreeSet<String> {
        let orders = numbers(Manner::Step, victim, runs).into_iter();
        let orders = orders.filter_map(|number| victim.failure(Manner::Step, number).order);
        orders.filter_map(|order| Some(order.split('/').nth(1)?.to_string())).collect()
    }

    #[test]
    fn every_kind_of_step_is_met_and_neighbours_that_are_alike_share_them() {
        let all = |runs| VICTIMS.iter().flat_map(|victim| steps(victim, runs)).collect::<BTreeSet<_>>();
        assert_eq!(all(1), all(50));
        let alike = VICTIMS.windows(2).filter(|pair| steps(&pair[0], 50) == steps(&pair[1], 50));
        let shared = alike.map(|pair| assert_eq!(&steps(&pair[0], 1) | &steps(&pair[1], 1), steps(&pair[0], 50)));
        assert!(shared.count() > 0);
    }

    #[test]
    fn short_campaign_plays_each_kind_of_the_other_manners_and_the_long_one_all() {
        for victim in &VICTIMS {
            for manner in Manner::ALL {
                let kinds = victim.count(manner);
                let short = numbers(manner, victim, 1).len();
                assert!(short <= kinds.max(1) && short * 2 + 1 >= kinds.min(2 * PROCD_STEPS), "{}", victim.name);
                assert!(manner == Manner::Step || short == kinds.max(1), "{}", victim.name);
                assert_eq!(numbers(manner, victim, 50).len(), 50.max(kinds));
            }
        }
    }
}
