//! Checks and compiles access policies, and tells which rule decides a request and why; reaches no device.
use crate::caps;
use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};
use hybrid_capgraph::Source;
use hybrid_capgraph::access::{
    AccessText, Compiled, Keep, Outcome, Protocol, Transport, Verb, Why, console_lines, explain, read_policy,
    single_peer,
};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of `cargo xtask policy`.
#[derive(Args)]
#[command(
    after_help = "FILE is a policy of its own, or a system.toml, whose [access] is meant (a product on a base has its base's); docs/access.md has the language.\n\
                        Exit status of check: 0 sound, 1 findings, 2 cannot read; of explain: 0 allowed, 1 denied.\n\
                        Examples: cargo xtask policy check images/gateway/system.toml\n          \
                        cargo xtask policy compile office.toml             what to type at the device's console\n          \
                        cargo xtask policy explain office.toml --verb GET --endpoint /api/status --peer 10.0.2.2"
)]
pub(crate) struct PolicyTask {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Tell what is wrong with a policy
    Check {
        /// The policy
        file: PathBuf,
    },
    /// Compile it: to a file, or as lines for the console
    Compile {
        /// The policy
        file: PathBuf,
        /// Write the bytes here
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Tell which rule decides a request, and what each other rule has to do with it
    Explain(Explain),
}

#[derive(Args)]
struct Explain {
    /// The policy
    file: PathBuf,
    /// What is spoken
    #[arg(long, default_value = "Http")]
    protocol: String,
    /// plain or tls
    #[arg(long, default_value = "plain")]
    transport: String,
    /// What is wanted
    #[arg(long)]
    verb: String,
    /// Of what; none with CONNECT
    #[arg(long, default_value = "")]
    endpoint: String,
    /// Who asks: an address, or component:NAME
    #[arg(long)]
    peer: String,
    /// Who the peer proved to be
    #[arg(long)]
    identity: Option<String>,
}

impl PolicyTask {
    /// Does what was asked.
    ///
    /// # Errors
    /// A file cannot be written, or the request is none.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let (What::Check { file } | What::Compile { file, .. } | What::Explain(Explain { file, .. })) = &self.what;
        let (source, (text, compiled)) = match read(file) {
            Ok(read) => read,
            Err((findings, code)) => {
                eprintln!("{findings}");
                return Ok(ExitCode::from(code));
            }
        };
        match self.what {
            What::Check { .. } => {
                println!("{}: {}", source.file, summary(&text, &compiled));
                Ok(ExitCode::SUCCESS)
            }
            What::Compile { out, .. } => {
                let bytes = compiled.policy.to_bytes();
                match out {
                    Some(out) => {
                        std::fs::write(&out, &bytes).with_context(|| format!("cannot write {}", out.display()))?
                    }
                    None => console_lines(&bytes).iter().for_each(|line| println!("{line}")),
                }
                eprintln!("{}; `policy check`, then `policy try SECONDS`", summary(&text, &compiled));
                Ok(ExitCode::SUCCESS)
            }
            What::Explain(request) => request.answer(&source, &compiled),
        }
    }
}

/// The policy, or its findings and the exit status.
fn read(file: &Path) -> Result<(Source, (AccessText, Compiled)), (String, u8)> {
    let shown = file.to_string_lossy().into_owned();
    let text = std::fs::read_to_string(file).map_err(|error| (format!("error: cannot read {shown}: {error}"), 2))?;
    let source = Source::new(shown, text);
    match read_policy(&source) {
        Ok(read) => Ok((source, read)),
        Err(problems) => Err((problems.iter().map(|problem| caps::text(problem) + "\n").collect(), 1)),
    }
}

fn summary(text: &AccessText, compiled: &Compiled) -> String {
    let (policy, roles) = (&compiled.policy, text.roles.len());
    let (rules, keeps, bytes) = (policy.rules.len(), policy.keeps.len(), policy.to_bytes().len());
    let (name, digest) = (&policy.name, policy.digest());
    format!("{name:?}: {rules} rules, {roles} roles, {keeps} keeps, {bytes} bytes, sha256 {digest:016x}…")
}

impl Explain {
    fn answer(&self, source: &Source, compiled: &Compiled) -> Result<ExitCode> {
        let word = |what: &str, text: &str| anyhow!("there is no {what} `{text}`");
        let asked = Keep {
            protocol: Protocol::of_text(&self.protocol).ok_or_else(|| word("protocol", &self.protocol))?,
            transport: Transport::of_text(&self.transport).ok_or_else(|| word("transport", &self.transport))?,
            verb: Verb::of_text(&self.verb).ok_or_else(|| word("verb", &self.verb))?,
            peer: single_peer(&self.peer).ok_or_else(|| word("single peer", &self.peer))?,
            identity: self.identity.clone(),
            endpoint: self.endpoint.clone(),
        };
        let question = asked.question();
        let outcome = compiled.policy.decide(&question);
        match outcome {
            Outcome::Allow(_, limits) => {
                let open = limits.open.map_or_else(String::new, |open| format!(", at most {open} open at a time"));
                let rate = limits.rate.map_or_else(String::new, |rate| {
                    format!(", at most {} in {} s, {} at once", rate.count, rate.seconds, rate.burst)
                });
                println!("allowed{open}{rate}");
            }
            Outcome::Deny(_, reason) => println!("denied: {reason:?}"),
        }
        for (why, line) in explain(&compiled.policy, &question).into_iter().zip(&compiled.rule_lines) {
            let why = match why {
                Why::Decides => "decides",
                Why::Other => "another protocol, verb or endpoint",
                Why::NotForThem => "not for this peer or identity",
                Why::Transport => "asks for a better transport",
                Why::Later => continue,
            };
            let text = source.text.lines().nth(line - 1).unwrap_or_default().trim();
            println!("  {}:{line}: {why}: {text}", source.file);
        }
        if !question.is_sound() {
            println!(
                "  such a request does not exist: docs/access.md has each protocol's verbs; only CONNECT has no endpoint"
            );
        }
        Ok(ExitCode::from(u8::from(matches!(outcome, Outcome::Deny(..)))))
    }
}
