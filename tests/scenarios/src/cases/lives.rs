//! Every component is killed in turn: it comes back, and so does what it served.
use super::gateway;
use crate::http::{self, Connection};
use crate::scenario::{LAST, SAY_WITHIN, Scenario, Stage, last_lines};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// From a kill until the page is there again, on a slow and busy host.
const BACK_WITHIN: Duration = Duration::from_secs(120);
/// All components of the gateway that can be killed, the drivers included.
const VICTIMS: [&str; 16] = [
    "status", "httpd", "netd", "nic", "entropyd", "rng", "timed", "logd", "udevd", "console", "auditd", "shell",
    "disk", "fsd", "historyd", "procd",
];

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
    let has_line = log.contains("the status page is at /");
    ensure!(has_line, "the log of after its own death has no line of status:\n{}", last_lines(&log, LAST));
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
    let deadline = Instant::now() + BACK_WITHIN;
    loop {
        let processes = stage.command("ps", "of memory are free")?;
        let rows = processes.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let rows: Vec<_> =
            rows.filter(|words| matches!(words.get(1), Some(&("running" | "faulted" | "killed")))).collect();
        let generation_of = |words: &Vec<&str>| words.get(2).and_then(|word| word.parse().ok());
        let is_back = rows.iter().any(|words| words[0] == victim && generation_of(words) == Some(generation));
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
