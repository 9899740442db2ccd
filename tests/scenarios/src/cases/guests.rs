//! Sessions that come and go while the system runs: nothing of them stays, whoever ends them.
use crate::hardware::Hardware;
use crate::http;
use crate::scenario::{BOOT_WITHIN, Image, LAST, SAY_WITHIN, Scenario, Stage, last_lines, lines_with};
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario {
        name: "guests".into(),
        about: "sessions on demand are opened and closed by hundreds, end with their client, are revoked and permitted: nothing of them stays".into(),
        image: Image::Product("gateway-guests"),
        hardware: Hardware::default(),
        run: guests,
    },
    Scenario {
        name: "installs".into(),
        about: "a component is installed while the system runs, serves, is restarted and taken out again; what it may not be is refused; nothing stays".into(),
        image: Image::Product("gateway-guests"),
        hardware: Hardware::default(),
        run: installs,
    }]
}

fn installs(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    stage.console().expect("life 1: 100 guests came and went, and one stays", BOOT_WITHIN)?;
    let text = stage.console().text();
    for finding in
        ["CAP-R016 device-shared", "CAP-R055 beyond-place: a heap", "CAP-R028 guarded", "no ELF64 executable"]
    {
        let is_told = text.lines().any(|line| line.contains("refused as it must be") && line.contains(finding));
        ensure!(is_told, "nothing was refused by {finding}:\n{}", lines_with(&text, "refused as it must be"));
    }
    ensure!(serves(stage, "hello from a guest"), "what was installed does not serve");
    told(
        stage,
        &["guest may not serve /: its route is narrower", "refused as it must be: to serve beyond its prefix"],
    )?;
    stage.compare_grants(|_| true)?;
    let held = stage.command("caps guest", "\n> ")?;
    ensure!(held.contains("httpd.providers") && held.contains("held=if-installed"), "not among the grants:\n{held}");
    let trail = stage.command("audit", "# end of the trail")?;
    for line in ["installer may not fill guest: CAP-R016", "installer filled guest with tests/components/guest"] {
        ensure!(trail.contains(line), "the audit trail has no {line:?}:\n{}", lines_with(&trail, "installer"));
    }
    // It is supervised as if it had been built in.
    let panicked = http::request(stage.port, "GET", "/guest/panic")?.status;
    ensure!(matches!(panicked, 502..=504), "a provider that panics is answered by {panicked}");
    stage.console().expect("guest was started again", SAY_WITHIN)?;
    ensure!(serves(stage, "hello from a guest"), "what was installed did not come back");
    let empty = take_out(stage, 2)?;
    stage.command_beside("svc restart installer", "installer is restarted")?;
    stage.console().expect("life 3: 100 guests came and went, and one stays", BOOT_WITHIN)?;
    ensure!(serves(stage, "hello from a guest"), "what was installed again does not serve");
    let again = take_out(stage, 4)?;
    ensure!(empty == again, "a hundred guests took memory with them: {empty} and then {again}");
    stage.console().nothing_went_wrong("")?;
    stage.finish()
}

/// Whether the guest answers so, soon.
fn serves(stage: &Stage, greeting: &str) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < SAY_WITHIN {
        let answer = http::request_within(stage.port, "GET", "/guest", Duration::from_secs(5));
        if answer.is_ok_and(|answer| answer.status == 200 && answer.text().contains(greeting)) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    false
}

/// The installer's next life empties the place: the guest is gone, and holds nothing. How much memory is free then.
fn take_out(stage: &mut Stage, life: u32) -> Result<String> {
    stage.command_beside("svc restart installer", "installer is restarted")?;
    stage.console().expect(&format!("life {life}: the place is empty"), SAY_WITHIN)?;
    let status = http::request(stage.port, "GET", "/guest")?.status;
    ensure!(matches!(status, 404 | 503), "who was taken out is answered for by {status}");
    let processes = stage.command("ps", "of memory are free")?;
    let is_empty = processes.lines().any(|line| line.starts_with("guest ") && line.contains(" empty "));
    ensure!(is_empty, "the place is not empty:\n{processes}");
    stage.compare_grants(|_| true)?;
    let status = stage.command("svc status guest", "\n> ")?;
    ensure!(status.contains("stopped"), "the supervisor does not know that the place is empty:\n{status}");
    Ok(free(&processes).unwrap_or_default().to_owned())
}

const DEATHS: u32 = 5;

fn guests(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    // Until then guests come and go, with their memory.
    told(
        stage,
        &[
            "life 1: its narrow session is no wider than declared",
            "life 1: 300 sessions came and went, and one stays",
            "100 guests came and went, and one stays",
        ],
    )?;
    stage.console().skip_to_end();
    let before = stage.command("ps", "of memory are free")?;
    for life in 1..=DEATHS {
        if life > 1 {
            stage.console().expect(&format!("life {life}: 300 sessions came and went, and one stays"), BOOT_WITHIN)?;
        }
        if life < DEATHS {
            stage.command_beside("kill visitor", "visitor is stopped")?;
        }
    }
    let after = stage.command("ps", "of memory are free")?;
    ensure!(free(&before).is_some() && free(&before) == free(&after), "memory is gone:\n{before}\n{after}");
    stage.compare_grants(|_| true)?;
    let held = stage.command("caps visitor", "\n> ")?;
    ensure!(held.contains("held=on-demand"), "its session is not among its grants:\n{held}");
    stage.command_beside("revoke visitor reader", "visitor may no more open its session reader")?;
    stage.console().expect("revoked: the call, the object, the copy and asking again are refused", SAY_WITHIN)?;
    let held = stage.command("caps visitor", "\n> ")?;
    ensure!(!held.contains("held=on-demand"), "what was revoked is among its grants:\n{held}");
    stage.command("permit visitor reader", "visitor may open its session reader")?;
    stage.command_beside("svc restart visitor", "visitor is restarted")?;
    stage.console().expect(&format!("life {}: 300 sessions came and went", DEATHS + 1), BOOT_WITHIN)?;
    stage.console().nothing_went_wrong("")?;
    let trail = stage.command("audit", "# end of the trail")?;
    for line in [
        "visitor.reader opened logd.reader",
        "visitor.reader may no more open logd.reader",
        "more sessions were opened or closed",
    ] {
        ensure!(trail.contains(line), "the audit trail has no {line:?}:\n{}", lines_with(&trail, "open"));
    }
    stage.finish()
}

/// Waits until the console has all of these lines, in any order.
fn told(stage: &mut Stage, lines: &[&str]) -> Result<()> {
    let begin = Instant::now();
    loop {
        let text = stage.console().text();
        let missing: Vec<&&str> = lines.iter().filter(|line| !text.contains(**line)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        ensure!(
            begin.elapsed() < BOOT_WITHIN,
            "the console does not say {missing:?}. Its last lines:\n{}",
            last_lines(&text, LAST)
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// How much memory nobody has, as `ps` says.
fn free(processes: &str) -> Option<&str> {
    processes.lines().last()?.split(';').nth(1)
}
