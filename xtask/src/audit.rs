//! Reads the audit trail of an image that runs, and checks its chains; trusts nothing that the listing says of itself.
use crate::build::{self, Build};
use crate::hex::hex;
use crate::{folders, setup};
use anyhow::{Context, Result, anyhow};
use clap::Args;
use hybrid_capgraph::{Break, Trail};
use hybrid_scenarios::hardware::{Hardware, ImageFiles};
use hybrid_scenarios::machine::{self, Machine};
use hybrid_scenarios::scenario::{BOOT_WITHIN, SAY_WITHIN};
use serde_json::json;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of `cargo xtask audit`.
#[derive(Args)]
#[command(after_help = "Exit status 0: whole; 1: broken, and where; 2: there is no listing to check.\n\
                        Examples: cargo xtask audit                          boots the gateway in QEMU and asks its console\n          \
                        cargo xtask audit console.log              what a console printed for `audit`\n          \
                        cargo xtask audit now.log --earlier then.log --json")]
pub(crate) struct AuditTask {
    /// What the console of the device printed for its command `audit`, and perhaps more; `-`: standard input. Without it an image is booted and asked
    listing: Option<PathBuf>,
    /// Which image is booted: a folder below images/
    #[arg(long, default_value = "gateway", conflicts_with = "listing")]
    image: String,
    /// A listing of the same boot that was made before: history must not have changed since
    #[arg(long, value_name = "LISTING")]
    earlier: Option<PathBuf>,
    /// Only the last N records of each chain
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// Records and verdict as JSON on standard output
    #[arg(long)]
    json: bool,
}

impl AuditTask {
    /// Checks, prints, and says by its exit status whether the trail is whole.
    ///
    /// # Errors
    /// The image does not build or boot.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let checked = self.text().and_then(|text| {
            let trail = Trail::parse(&text).map_err(|why| anyhow!("this cannot be checked: {why}"))?;
            let earlier = self.earlier.as_deref().map(parse_file).transpose()?;
            let broken =
                earlier.iter().find_map(Trail::first_break).map(|found| named("in the earlier listing", found));
            let broken = broken.or_else(|| trail.first_break()).or_else(|| trail.continues(earlier.as_ref()?).err());
            Ok((trail, broken))
        });
        match checked {
            Ok((trail, broken)) => {
                let text =
                    if self.json { json_of(&trail, broken.as_ref()) } else { self.text_of(&trail, broken.as_ref()) };
                // Whoever closes the pipe early has seen enough; the verdict is the exit status.
                let _ = std::io::stdout().write_all(text.as_bytes());
                Ok(ExitCode::from(u8::from(broken.is_some())))
            }
            Err(error) => {
                eprintln!("error: {error:#}");
                Ok(ExitCode::from(2))
            }
        }
    }

    fn text(&self) -> Result<String> {
        match &self.listing {
            None => ask(&self.image),
            Some(path) if path.as_os_str() == "-" => {
                let mut bytes = Vec::new();
                std::io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            Some(path) => read(path),
        }
    }

    fn text_of(&self, trail: &Trail, broken: Option<&Break>) -> String {
        let mut out = String::new();
        for chain in &trail.chains {
            let skipped = self.last.map_or(0, |last| chain.records.len().saturating_sub(last));
            for record in chain.records.iter().skip(skipped) {
                let (seconds, ms) = (record.at_ns / 1_000_000_000, record.at_ns / 1_000_000 % 1000);
                // Debug quoting: what a peer sent shall not steer this terminal either.
                let text = record.text.escape_debug();
                let _ = writeln!(
                    out,
                    "{} {:>5} {seconds:>6}.{ms:03} s {:<8} {text}",
                    chain.name, record.sequence, record.kind
                );
            }
        }
        for chain in &trail.chains {
            let _ = writeln!(
                out,
                "{}: {} records, {} forgotten ({}), {} denials wait for their mark, newest hash {}",
                chain.name,
                chain.records.len(),
                chain.first,
                chain.forgotten,
                chain.waiting,
                hex(chain.newest())
            );
        }
        match broken {
            None => out += "whole: every record follows from the one before it\n",
            Some(found) => out += &format!("BROKEN at {found}\n"),
        }
        out
    }
}

/// Boots the image in QEMU and types `audit` at its console.
fn ask(image: &str) -> Result<String> {
    setup::ensure()?;
    let build = Build { product: image.into(), board: "qemu-virt".into(), debug_kernel: false };
    let files = ImageFiles::in_folder(&build::image(&build.recipe()?)?);
    let hardware = Hardware { http_port: Some(machine::free_port()?), ..Hardware::default() };
    let mut machine = Machine::start(&hardware, &files, &folders::logs()?.join("audit.log"))?;
    machine.console.send_line("")?;
    machine.console.expect("\n> ", BOOT_WITHIN).context("the console gives no prompt")?;
    machine.console.send_line("audit")?;
    machine.console.expect("# end of the trail", SAY_WITHIN).context("the console's `audit` does not end")
}

fn named(place: &str, found: Break) -> Break {
    Break { why: format!("{} ({place})", found.why), ..found }
}

fn parse_file(path: &Path) -> Result<Trail> {
    Trail::parse(&read(path)?).map_err(|why| anyhow!("{} cannot be checked: {why}", path.display()))
}

fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn json_of(trail: &Trail, broken: Option<&Break>) -> String {
    let chains: Vec<_> = trail
        .chains
        .iter()
        .map(|chain| {
            let records = chain.records.iter().map(|record| {
                json!({
                    "sequence": record.sequence, "at_ns": record.at_ns, "kind": record.kind, "text": record.text,
                    "sha256": hex(&record.hash),
                })
            });
            json!({
                "name": chain.name, "first": chain.first, "next": chain.next, "waiting": chain.waiting,
                "forgotten": chain.forgotten, "before": hex(&chain.before), "newest": hex(chain.newest()),
                "records": records.collect::<Vec<_>>(),
            })
        })
        .collect();
    let broken = broken.map(|found| json!({ "chain": found.chain, "sequence": found.sequence, "why": found.why }));
    format!("{:#}\n", json!({ "whole": broken.is_none(), "broken": broken, "chains": chains }))
}
