//! One failure: gives the order, waits until all is well again; judges what the others did.
use crate::plan::{Failure, Outcome, Victim};
use crate::stamps;
use anyhow::{Context, Result, bail, ensure};
use hybrid_scenarios::http;
use hybrid_scenarios::scenario::Stage;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// From a failure until all is well, on a slow and busy host; a hang takes two deadlines of the device's time before that.
const BACK_WITHIN: Duration = Duration::from_secs(180);
/// For one answer of the shell, which may itself be the victim, or starve below it.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// For one that dies with who carries it.
const LOST_AFTER: Duration = Duration::from_millis(300);
/// For an order to be reached by load and trigger: who is rarely called passes most steps only when it is pinged, every five seconds of the device.
const REACHED_WITHIN: Duration = Duration::from_secs(60);
/// For the answer to one trigger, in [`ANSWER_WITHIN`]s: then it counts as lost, and another is typed.
const WAITS_FOR_ONE: u32 = 5;
/// Whoever lacks something gets so long to need it.
const NEEDED_WITHIN: Duration = Duration::from_millis(1500);

/// How one failure went.
#[derive(Debug)]
pub(crate) struct Run {
    /// Whether the step was passed at all.
    pub(crate) is_reached: bool,
    /// Whether it ended.
    pub(crate) has_ended: bool,
    /// The device's time until it served again, if the log tells it.
    pub(crate) recovery_us: Option<u64>,
    /// The host's time until the page was there and all ran.
    pub(crate) page_ms: u64,
}

/// Name, state and life of each instance.
type Lives = BTreeMap<String, (String, u32)>;

/// Lets it fail.
///
/// # Errors
/// Somebody else failed too, somebody did not come back, or the page did not.
pub(crate) fn play(stage: &mut Stage, victim: &Victim, failure: &Failure) -> Result<Run> {
    let before = lives(stage)?;
    let place = stage.console().written();
    let started = Instant::now();
    give(stage, failure)?;
    let is_reached = failure.order.is_none() || reach(stage, victim, failure, &before, place)?;
    if failure.outcome == Outcome::Either && is_reached {
        std::thread::sleep(NEEDED_WITHIN);
    }
    let must_end = is_reached && failure.outcome == Outcome::Ends;
    let after = settle(stage, failure, &before, must_end)?;
    http::wait_for_page(stage.port, BACK_WITHIN).context("the page is not served again")?;
    let page_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let has_ended = life_of(&after, victim.name) != life_of(&before, victim.name);
    ensure!(failure.outcome != Outcome::GoesOn || !has_ended, "{} ended, which it need not", victim.name);
    let recovery_us = if has_ended { recovery(stage, victim, place) } else { None };
    Ok(Run { is_reached, has_ended, recovery_us, page_ms })
}

/// The device's time until it served again; its last lines may come a little later than the page.
fn recovery(stage: &mut Stage, victim: &Victim, place: usize) -> Option<u64> {
    (0..10).find_map(|_| {
        let found = stamps::recovery_us(&stage.console().text_from(place), victim.name);
        if found.is_none() {
            std::thread::sleep(Duration::from_millis(100));
        }
        found
    })
}

/// Types the order. Its echo and answer may be lost with console or shell.
fn give(stage: &mut Stage, failure: &Failure) -> Result<()> {
    let subject = match &failure.order {
        Some(order) => format!("{}/{order}", failure.victim),
        None => failure.victim.to_string(),
    };
    stage.console().skip_to_end();
    stage.console().send_line(&format!("kill {subject}"))?;
    let patience = if matches!(failure.victim, "console" | "shell") { LOST_AFTER } else { ANSWER_WITHIN };
    let _lost_with_the_console = stage.console().expect("is stopped", patience);
    Ok(())
}

/// Waits until the step was passed, with the trigger typed now and then. Its word may be lost, its end is not.
fn reach(stage: &mut Stage, victim: &Victim, failure: &Failure, before: &Lives, place: usize) -> Result<bool> {
    let (mine, deadline) = (format!(" {}: on order: ", victim.name), Instant::now() + REACHED_WITHIN);
    // A flood can overwrite the word that announces it before that is printed.
    let flood = format!(" {}: record ", victim.name);
    let is_flood = |line: &str| line.contains(&flood) && line.contains(" of a flood on order");
    let is_told = |text: String| text.contains(&mine) || text.lines().any(is_flood);
    // Waits for an answer that is still to come.
    let mut waits = 0;
    loop {
        std::thread::sleep(Duration::from_millis(100));
        if is_told(stage.console().text_from(place)) {
            return Ok(true);
        }
        // What is typed while one waits in the shell is carried out after it, and a row of them is a load of its own. An answer may be lost.
        let is_answered = if waits % WAITS_FOR_ONE == 0 {
            try_command(stage, failure.trigger, "> ", ANSWER_WITHIN).is_some()
        } else {
            stage.console().expect("> ", ANSWER_WITHIN).is_ok()
        };
        waits = if is_answered { 0 } else { waits + 1 };
        if is_answered
            && let Some(now) = try_lives(stage)
            && (life_of(&now, victim.name) != life_of(before, victim.name))
        {
            return Ok(true);
        }
        // It has no log to tell it in; it passes every step for each line of the log.
        if victim.name == "logd" && failure.outcome != Outcome::Ends {
            return Ok(true);
        }
        if Instant::now() > deadline {
            return Ok(victim.name == "logd" || is_told(stage.console().text_from(place)));
        }
    }
}

/// Waits until everybody runs: the victim a new life if it must, all others the same.
fn settle(stage: &mut Stage, failure: &Failure, before: &Lives, must_end: bool) -> Result<Lives> {
    let deadline = Instant::now() + BACK_WITHIN;
    let spared = failure.trigger.strip_prefix("svc restart ");
    // Whom the supervisor is calling when it begins to hang, it cannot stop: securityd finds the supervisor silent, whose next life does.
    let is_hang = failure.order.as_ref().is_some_and(|order| order.starts_with("hang/"));
    let caller = Some("procd").filter(|_| failure.victim == "auditd" && is_hang);
    loop {
        let now = try_lives(stage).unwrap_or_default();
        let is_back = !must_end || life_of(&now, failure.victim) > life_of(before, failure.victim);
        if !now.is_empty() && is_back && now.values().all(|(state, _)| state == "running") {
            for (name, life) in &now {
                let may_end = [Some(failure.victim), spared, caller];
                let is_meant = may_end.contains(&Some(name.as_str())) || before.get(name) == Some(life);
                ensure!(is_meant, "{name} failed along with {}: {:?}, then {life:?}", failure.victim, before.get(name));
            }
            return Ok(now);
        }
        ensure!(Instant::now() < deadline, "not everybody runs again: before {before:?}, now {now:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn life_of(lives: &Lives, name: &str) -> Option<u32> {
    lives.get(name).map(|(_, life)| *life)
}

/// Who lives, from the shell.
///
/// # Errors
/// It does not tell.
pub(crate) fn lives(stage: &mut Stage) -> Result<Lives> {
    let deadline = Instant::now() + BACK_WITHIN;
    while Instant::now() < deadline {
        if let Some(lives) = try_lives(stage) {
            return Ok(lives);
        }
    }
    bail!("the shell does not list the components any more")
}

/// How long the device has been on, by its own clock.
///
/// # Errors
/// It does not tell.
pub(crate) fn uptime(stage: &mut Stage) -> Result<Duration> {
    let text = insist(stage, "uptime", " s\r\n")?;
    let seconds = text.split_whitespace().rev().find_map(|word| word.parse().ok());
    Ok(Duration::from_secs_f64(seconds.context("no number of seconds")?))
}

fn try_lives(stage: &mut Stage) -> Option<Lives> {
    let text = try_command(stage, "ps", "of memory are free", ANSWER_WITHIN)?;
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let is_state = |word: &&&str| matches!(**word, "starting" | "running" | "faulted" | "killed" | "failed");
    let rows = rows.filter_map(|words| {
        let state = words.get(1).filter(is_state)?;
        Some(((*words.first()?).to_string(), ((*state).to_string(), words.get(2)?.parse().ok()?)))
    });
    Some(rows.collect())
}

/// Has a command done, again and again if the shell does not answer: it may be the one that fails.
///
/// # Errors
/// It is never done.
pub(crate) fn insist(stage: &mut Stage, line: &str, end: &str) -> Result<String> {
    let (deadline, mut patience) = (Instant::now() + BACK_WITHIN, ANSWER_WITHIN);
    while Instant::now() < deadline {
        if let Some(text) = try_command(stage, line, end, patience) {
            return Ok(text);
        }
        // It may have been done all the same: while auditd starts, who waits for it waits for its comparison.
        patience *= 2;
        std::thread::sleep(Duration::from_millis(200));
    }
    bail!("the shell does not do {line:?}")
}

fn try_command(stage: &mut Stage, line: &str, end: &str, patience: Duration) -> Option<String> {
    stage.console().skip_to_end();
    stage.console().send_line(line).ok()?;
    stage.console().expect_echo(line, patience).ok()?;
    stage.console().expect(end, patience).ok()
}
