//! What a scenario is, and how one is run; the scenarios themselves are in `cases`.
use crate::console::Console;
use crate::disk;
use crate::hardware::{Hardware, ImageFiles};
use crate::http;
use crate::machine::{self, Machine};
use crate::spin_table;
use anyhow::{Context, Result, anyhow, ensure};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// From power-on to the first page, on a slow and busy host.
pub const BOOT_WITHIN: Duration = Duration::from_secs(180);
/// For anything the console has to say.
pub const SAY_WITHIN: Duration = Duration::from_secs(60);
/// Above what the shell's `live` says when auditd answers with a comparison that is older than the question.
pub const TOO_SOON: &str = "asked again too soon";

/// Which image a scenario boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Image {
    /// A product of `images/`.
    Product(&'static str),
    /// A product of `images/` in which securityd gives out one wrong capability of each kind.
    Planted(&'static str),
    /// A product of `images/` whose components fail on order: for the fault campaign.
    Faults(&'static str),
    /// The root task of this package, with these features of the kernel.
    Package(&'static str, &'static [&'static str]),
    /// tests/foreign-root, with a kernel and headers as `cargo xtask kernel-headers` makes them.
    ForeignRoot {
        /// Version of the interrupt controller.
        gic: u8,
        /// Cores.
        cores: u8,
        /// Whether the kernel lets user code use counters and timers.
        has_exports: bool,
    },
}

/// One scenario.
pub struct Scenario {
    /// What `cargo xtask test NAME` calls it.
    pub name: String,
    /// What must hold.
    pub about: String,
    /// What is booted.
    pub image: Image,
    /// On what.
    pub hardware: Hardware,
    /// What happens then.
    pub run: fn(&mut Stage) -> Result<()>,
}

/// A scenario while it runs.
pub struct Stage {
    /// The scenario's name: it tells the members of a family apart that play by the same function.
    pub name: String,
    /// The machine, on.
    pub machine: Machine,
    /// The port that leads to its HTTP server.
    pub port: u16,
    /// The ports of the host that lead to further ones of it, as the scenario's hardware lists them.
    pub further_ports: Vec<(u16, u16)>,
    /// The committed list of grants of the product, one a line; empty for other images.
    pub golden: BTreeSet<String>,
    /// The same machine once more, with its log.
    again: (Hardware, ImageFiles, PathBuf),
}

/// Where the built images and the checkout are, and where logs go.
pub struct Places {
    /// The root of the checkout.
    pub checkout: PathBuf,
    /// The folder of the built image.
    pub image: PathBuf,
    /// The folder for logs.
    pub logs: PathBuf,
}

impl Scenario {
    /// The log of the scenario's console.
    pub fn log(&self, logs: &Path) -> PathBuf {
        logs.join(format!("scenario-{}.log", self.name))
    }

    /// Boots the image and does what the scenario says.
    ///
    /// # Errors
    /// What did not hold.
    pub fn play(&self, places: &Places) -> Result<()> {
        let mut hardware = self.hardware.clone();
        let port = machine::free_port()?;
        hardware.http_port = Some(port);
        for (ours, _) in &mut hardware.further_ports {
            *ours = machine::free_port()?;
        }
        let further_ports = hardware.further_ports.clone();
        let mut files = ImageFiles::in_folder(&places.image);
        if hardware.has_spin_table {
            files = spin_table::prepare(&mut hardware, &files, &places.logs)?;
        }
        if hardware.disk.is_some() {
            let path = places.logs.join(format!("scenario-{}.img", self.name));
            disk::create(&path, Some(&places.image))?;
            if hardware.disk_log.is_some() {
                let log = path.with_extension("writes");
                File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
                hardware.disk_log = Some(log);
            }
            hardware.disk = Some(path);
        }
        let golden = match self.image {
            Image::Product(product) | Image::Faults(product) => golden(&places.checkout, product)?,
            Image::Planted(_) | Image::Package(..) | Image::ForeignRoot { .. } => BTreeSet::new(),
        };
        let log = self.log(&places.logs);
        let machine = Machine::start(&hardware, &files, &log)?;
        let again = (hardware, files, log);
        (self.run)(&mut Stage { name: self.name.clone(), machine, port, further_ports, golden, again })
    }
}

/// The lines of a product's golden list, without its head.
fn golden(checkout: &Path, product: &str) -> Result<BTreeSet<String>> {
    let path = checkout.join("images").join(product).join("capgraph.golden");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_string).collect())
}

impl Stage {
    /// The serial line.
    pub fn console(&mut self) -> &mut Console {
        &mut self.machine.console
    }

    /// Where the machine's disk is on the host.
    ///
    /// # Errors
    /// It has none.
    pub fn disk(&self) -> Result<PathBuf> {
        self.again.0.disk.clone().context("the machine has no disk")
    }

    /// Where the log of that disk's writes is.
    ///
    /// # Errors
    /// There is none.
    pub fn disk_log(&self) -> Result<PathBuf> {
        self.again.0.disk_log.clone().context("the disk's writes are not logged")
    }

    /// Ends QEMU by SIGKILL, whatever it is doing, and boots the machine again with what is on its disk.
    ///
    /// # Errors
    /// QEMU does not start.
    pub fn lose_power(&mut self) -> Result<()> {
        self.machine.kill();
        let (hardware, files, log) = &self.again;
        let before = log.with_extension("before.log");
        std::fs::rename(log, &before).with_context(|| format!("cannot keep the log as {}", before.display()))?;
        self.machine = Machine::start(hardware, files, log)?;
        Ok(())
    }

    /// Waits until the device serves its page.
    ///
    /// # Errors
    /// It does not; the text ends with the console's last lines.
    pub fn boot(&mut self) -> Result<http::Response> {
        http::wait_for_page(self.port, BOOT_WITHIN).map_err(|error| {
            let last = last_lines(&self.machine.console.text(), LAST);
            anyhow!("the device serves no page: {error:#}. The console's last lines:\n{last}")
        })
    }

    /// Types a command into the device's shell and returns what it printed, up to `end` (which it must print).
    ///
    /// # Errors
    /// The shell does not answer.
    pub fn command(&mut self, line: &str, end: &str) -> Result<String> {
        self.machine.console.skip_to_end();
        self.machine.console.send_line(line)?;
        self.machine.console.expect_echo(line, SAY_WITHIN).context("the shell does not echo what is typed")?;
        self.machine.console.expect(end, SAY_WITHIN)
    }

    /// As [`Stage::command`], again and again until the answer is as it must become: what is asked about takes its time, and nobody says when.
    ///
    /// # Errors
    /// It never is; the text is the last answer.
    pub fn command_until(&mut self, line: &str, end: &str, is_it: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + SAY_WITHIN;
        loop {
            let text = self.command(line, end)?;
            if is_it(&text) {
                return Ok(text);
            }
            ensure!(Instant::now() < deadline, "{line:?} is still answered by:\n{text}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// As [`Stage::command`]; what the device says before the answer counts for the next wait, too: others may be quicker than the shell.
    ///
    /// # Errors
    /// The shell does not answer.
    pub fn command_beside(&mut self, line: &str, end: &str) -> Result<String> {
        let place = self.machine.console.written();
        let text = self.command(line, end)?;
        self.machine.console.go_back_to(place);
        Ok(text)
    }

    /// What securityd really granted, as the device's shell prints it, equals the committed list, and the machine
    /// goes off when told to. Every scenario of a product ends with this.
    ///
    /// # Errors
    /// Names the lines that differ.
    pub fn finish(&mut self) -> Result<()> {
        self.compare_grants(|_| true)?;
        self.power_off()
    }

    /// As the first half of [`Stage::finish`], for the golden lines that `counts` picks.
    ///
    /// # Errors
    /// Names the lines that differ.
    pub fn compare_grants(&mut self, counts: impl Fn(&str) -> bool) -> Result<()> {
        let text = self.command("grants", "grants in all")?;
        let number: usize = text
            .lines()
            .last()
            .and_then(|line| line.split_whitespace().next()?.parse().ok())
            .context("the shell does not say how many grants there are")?;
        let printed: BTreeSet<&str> = text.lines().map(str::trim_end).collect();
        let expected: Vec<&String> = self.golden.iter().filter(|line| counts(line)).collect();
        let (closed, missing): (Vec<&String>, Vec<&String>) = expected
            .iter()
            .filter(|line| !printed.contains(line.as_str()))
            .partition(|line| line.split("  # ").next().is_some_and(|facts| facts.contains(" held=")));
        ensure!(missing.is_empty(), "{} lines of capgraph.golden are not granted: {missing:#?}", missing.len());
        ensure!(
            number == expected.len() - closed.len(),
            "securityd made {number} grants, capgraph.golden has {} without sessions that are not open; look for lines that are not in it",
            expected.len() - closed.len()
        );
        self.compare_live()
    }

    /// As `compare_grants`, when these instances end: who has ended holds nothing, and nobody holds anything of theirs but memory that
    /// was shared for a session. Waits until they have: their last word comes before their end.
    ///
    /// # Errors
    /// One does not end; or names the lines that differ.
    pub fn compare_grants_without(&mut self, ended: &[&str]) -> Result<()> {
        let is_up = |line: &str| {
            let mut words = line.split_whitespace();
            let is_one = words.next().is_some_and(|name| ended.iter().any(|one| name.starts_with(one)));
            is_one && matches!(words.next(), Some("starting" | "running"))
        };
        self.command_until("ps", "of memory are free", |text| !text.lines().any(is_up))?;
        let is_of_ended = |line: &str| {
            let mut others = line.split("  # ").next().unwrap_or_default().split_whitespace().skip(2);
            others.any(|other| ended.iter().any(|name| other.starts_with(name)))
        };
        let is_their_own = |line: &str| ended.iter().any(|name| line.starts_with(name));
        let is_shared = |line: &str| line.split_whitespace().nth(1) == Some("region");
        self.compare_grants(|line| !is_their_own(line) && (!is_of_ended(line) || is_shared(line)))
            .context("what programs do changes no grant of others")
    }

    /// What the kernel lists equals the declared graph, as far as what is declared runs: auditd says so, in a comparison that began after this was called.
    ///
    /// # Errors
    /// Its words, with the lines that differ.
    pub fn compare_live(&mut self) -> Result<()> {
        let text = self.command_until("live", "; comparison ", |text| !text.contains(TOO_SOON))?;
        let differs = || text.lines().filter(|line| line.starts_with(['+', '-']) || line.contains("live is "));
        let told = || differs().collect::<Vec<_>>().join("\n");
        ensure!(text.contains("live is as declared: "), "the kernel's list is not as declared:\n{}", told());
        Ok(())
    }

    /// The shell's `off` ends the machine.
    ///
    /// # Errors
    /// It stays on.
    pub fn power_off(&mut self) -> Result<()> {
        self.machine.console.send_line("off")?;
        self.machine.console.expect_end(SAY_WITHIN).context("`off` does not switch the machine off")
    }
}

/// So many lines of a console are enough to see where it is; all of them are in its log.
pub const LAST: usize = 15;

/// The lines of a text with this in them, [`LAST`] of them at most, indented; or that there is none.
pub fn lines_with(text: &str, part: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(part)).collect();
    if lines.is_empty() { format!("    no line with {part:?}") } else { last_lines(&lines.join("\n"), LAST) }
}

/// The last `count` lines of a text, indented.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| format!("    {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::{LAST, last_lines, lines_with};

    #[test]
    fn lines_of_a_text_are_its_last_and_those_that_are_asked_for() {
        let text: String = (0..60).map(|number| format!("line {number} is {}\n", number % 3)).collect();
        assert_eq!(last_lines(&text, 2), "    line 58 is 1\n    line 59 is 2\n");
        assert_eq!(last_lines("one", 2), "    one\n");
        let with = lines_with(&text, " is 2");
        assert_eq!((with.lines().count(), with.lines().last()), (LAST, Some("    line 59 is 2")));
        assert_eq!(lines_with(&text, "other"), "    no line with \"other\"");
    }
}
