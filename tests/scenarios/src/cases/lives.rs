//! Every component is killed in turn: it comes back, and so does what it served.
use super::gateway;
use crate::http::{self, Connection};
use crate::scenario::{SAY_WITHIN, Scenario, Stage};
use anyhow::{Context, Result, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// From a kill until the page is there again, on a slow and busy host.
const BACK_WITHIN: Duration = Duration::from_secs(120);
/// All components of the gateway that can be killed, the drivers included.
const VICTIMS: [&str; 12] =
    ["status", "httpd", "netd", "nic", "entropyd", "rng", "timed", "logd", "console", "auditd", "shell", "procd"];

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        gateway(
            "lives",
            "each component, killed in turn, is back with the same capabilities, and the page with it",
            lives,
        ),
        gateway(
            "lives-nic",
            "a connection outlives the driver below it; netd's next life gets its lease and its listeners again",
            below_a_connection,
        ),
    ]
}

/// Scenarios of minutes.
pub(super) fn long() -> Vec<Scenario> {
    let about = "fifty deaths of each of six components under HTTP load: the page comes back each time, nothing leaks, the grants are as declared";
    vec![gateway("lives-long", about, campaign)]
}

fn lives(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    for victim in VICTIMS {
        let killed_at = Instant::now();
        kill(stage, victim)?;
        http::wait_for_page(stage.port, BACK_WITHIN).with_context(|| format!("no page after the death of {victim}"))?;
        runs_again(stage, victim, 2)?;
        println!(
            "{victim}: the page is back, and it runs, after {} ms of the host's time",
            killed_at.elapsed().as_millis()
        );
    }
    // The first that died has a second death like its first.
    kill(stage, "httpd")?;
    http::wait_for_page(stage.port, BACK_WITHIN)?;
    runs_again(stage, "httpd", 3)?;
    let log = stage.command("log 100", "\n> ")?;
    ensure!(log.contains("the status page is at /"), "the log of after its own death has no line of status:\n{log}");
    stage.finish()
}

fn below_a_connection(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let mut connection = Connection::open(stage.port)?;
    ask(&mut connection).context("the first request")?;
    kill(stage, "nic")?;
    runs_again(stage, "nic", 2)?;
    ask(&mut connection).context("on a connection that was there before the driver's death")?;
    kill(stage, "netd")?;
    ensure!(ask(&mut connection).is_err(), "a connection outlived the stack that it was in");
    http::wait_for_page(stage.port, BACK_WITHIN).context("no page after the death of netd")?;
    runs_again(stage, "netd", 2)?;
    let network = stage.command("net", "connections")?;
    ensure!(network.contains("10.0.2.15/24") && network.contains("DHCP"), "netd has no lease again:\n{network}");
    stage.finish()
}

fn ask(connection: &mut Connection) -> Result<()> {
    connection.send(b"GET / HTTP/1.1\r\nHost: device\r\n\r\n")?;
    let status = connection.response("GET")?.status;
    ensure!(status == 200, "the answer is {status}");
    Ok(())
}

/// Deaths of each component in the campaign.
const DEATHS: u32 = 50;
/// After so many within a minute `procd` would take them for a crash loop; a stop and a start by command before that makes it forget them.
const DEATHS_IN_A_ROW: u32 = 4;
/// Those that a request may pass through, or that such a one needs. The console's two are in `lives` only: they carry the commands.
const SERVING: [&str; 6] = ["status", "httpd", "netd", "nic", "timed", "logd"];

/// What the clients of the campaign saw.
#[derive(Default)]
struct Seen {
    answered: AtomicU64,
    refused: AtomicU64,
    is_over: AtomicBool,
}

fn campaign(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let (port, seen) = (stage.port, Arc::new(Seen::default()));
    let clients: Vec<_> = (0..4).map(|_| spawn_client(port, Arc::clone(&seen))).collect();
    let outcome = deaths(stage, &seen);
    seen.is_over.store(true, Ordering::Relaxed);
    for client in clients {
        ensure!(client.join().is_ok(), "a client of the campaign panicked");
    }
    outcome?;
    http::wait_for_page(stage.port, BACK_WITHIN)?;
    stage.finish()
}

/// Asks for the page again and again; each request has a connection of its own.
fn spawn_client(port: u16, seen: Arc<Seen>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        while !seen.is_over.load(Ordering::Relaxed) {
            let answer = http::request_within(port, "GET", "/", Duration::from_secs(2));
            let count = if answer.is_ok_and(|answer| answer.status == 200) { &seen.answered } else { &seen.refused };
            count.fetch_add(1, Ordering::Relaxed);
        }
    })
}

fn deaths(stage: &mut Stage, seen: &Seen) -> Result<()> {
    println!("component  deaths  page back after, ms of the host: median  worst  requests: answered  refused");
    for victim in SERVING {
        let before = (seen.answered.load(Ordering::Relaxed), seen.refused.load(Ordering::Relaxed));
        let mut times = Vec::new();
        for death in 1..=DEATHS {
            let killed_at = Instant::now();
            kill(stage, victim)?;
            http::wait_for_page(stage.port, BACK_WITHIN).with_context(|| format!("death {death} of {victim}"))?;
            times.push(killed_at.elapsed().as_millis());
            // Not every death shows on the page; who does not run yet cannot be killed.
            runs(stage, victim, |_| true)?;
            // A client whose connection died with its server waits for its own time-out: the next death comes after that.
            load_goes_on(seen).with_context(|| format!("after death {death} of {victim}"))?;
            if death % DEATHS_IN_A_ROW == 0 {
                stage.command(&format!("svc stop {victim}"), &format!("{victim} is stopped"))?;
                stage.command(&format!("svc start {victim}"), &format!("{victim} is started"))?;
                http::wait_for_page(stage.port, BACK_WITHIN)
                    .with_context(|| format!("start of {victim} by command"))?;
            }
        }
        times.sort_unstable();
        let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
        let answered = seen.answered.load(Ordering::Relaxed) - before.0;
        let refused = seen.refused.load(Ordering::Relaxed) - before.1;
        println!("{victim:<9}  {DEATHS:>6}  {median:>40}  {worst:>5}  {answered:>18}  {refused:>7}");
        ensure!(answered > u64::from(DEATHS), "hardly a request was answered between the deaths of {victim}");
    }
    Ok(())
}

/// Waits until one of the clients had its next answer.
fn load_goes_on(seen: &Seen) -> Result<()> {
    let (before, deadline) = (seen.answered.load(Ordering::Relaxed), Instant::now() + BACK_WITHIN);
    while seen.answered.load(Ordering::Relaxed) == before {
        ensure!(Instant::now() < deadline, "the page came, but none of the clients of the load got an answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Types the command. What the shell prints then may be lost with the console, or with the shell itself.
fn kill(stage: &mut Stage, victim: &str) -> Result<()> {
    let line = format!("kill {victim}");
    if matches!(victim, "console" | "shell") {
        stage.console().skip_to_end();
        stage.console().send_line(&line)?;
        return stage.console().expect("> ", SAY_WITHIN).map(|_| ()).context("no prompt again");
    }
    stage.command(&line, &format!("{victim} is stopped")).map(|_| ())
}

/// Waits until the list of components says that it runs its life number `generation`, and all others run.
fn runs_again(stage: &mut Stage, victim: &str, generation: u32) -> Result<()> {
    runs(stage, victim, |found| found == generation)
}

/// Waits until it runs a life that is meant, and all others run.
fn runs(stage: &mut Stage, victim: &str, is_meant: impl Fn(u32) -> bool) -> Result<()> {
    let deadline = Instant::now() + BACK_WITHIN;
    loop {
        let processes = stage.command("ps", "of memory are free")?;
        let rows = processes.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let rows: Vec<_> =
            rows.filter(|words| matches!(words.get(1), Some(&("running" | "faulted" | "killed")))).collect();
        let generation_of = |words: &Vec<&str>| words.get(2).and_then(|word| word.parse().ok());
        let is_back = rows.iter().any(|words| words[0] == victim && generation_of(words).is_some_and(&is_meant));
        if is_back && rows.iter().all(|words| words[1] == "running") {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{victim} does not run again, or others do not:\n{processes}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[cfg(test)]
mod tests {
    use super::VICTIMS;
    use std::collections::BTreeSet;

    #[test]
    fn every_instance_of_the_gateway_is_a_victim() {
        let text = include_str!("../../../../images/gateway/system.toml");
        let names =
            text.split("[[instance]]").skip(1).filter_map(|part| part.split("name = \"").nth(1)?.split('"').next());
        assert_eq!(names.collect::<BTreeSet<_>>(), VICTIMS.into_iter().collect());
    }
}
