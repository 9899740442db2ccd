//! Everything that must hold of the text itself; runs no test and changes nothing.
mod directions;
mod kernel_size;
pub(crate) mod licences;
mod panics;
mod tcb;
mod texts;
mod tree;
mod unsafe_code;

use crate::bench::kernel;
use crate::cargo::{self, Dependencies, Toolchain};
use crate::folders;
use crate::progress::Step;
use crate::{caps, idl, product};
use anyhow::{Result, bail};
use clap::Args;
use hybrid_capgraph::Runtime;
use std::collections::BTreeSet;
use std::process::{Command, ExitCode};

/// Options of `cargo xtask check`.
#[derive(Args)]
pub(crate) struct Check {
    /// Only these checks: format, taglines, sizes, words, unsafe, directions, licences, goldens, kernel-lines, tcb, kernel-image, panics, clippy, device-clippy, bench
    names: Vec<String>,
    /// Also count the kernel's instructions, and compare them with tests/bench/baseline.json
    #[arg(long)]
    bench: bool,
}

/// One check: its name, and what it finds wrong, one line each.
struct Rule {
    name: &'static str,
    find: fn() -> Result<Vec<String>>,
}

const RULES: [Rule; 15] = [
    Rule { name: "format", find: format },
    Rule { name: "taglines", find: || Ok(texts::taglines(&tree::files()?)) },
    Rule { name: "sizes", find: || Ok(texts::sizes(&tree::files()?)) },
    Rule { name: "words", find: || Ok(texts::words(&tree::files()?)) },
    Rule { name: "unsafe", find: || unsafe_code::check(&tree::files()?) },
    Rule { name: "directions", find: || directions::check(&cargo::metadata(Dependencies::With)?) },
    Rule { name: "licences", find: || licences::check(&cargo::metadata(Dependencies::With)?, &cargo::lock()?) },
    Rule { name: "goldens", find: goldens },
    Rule { name: "kernel-lines", find: || Ok(kernel_size::lines(&tree::files()?)) },
    Rule { name: "tcb", find: || Ok(tcb::check(&tree::files()?)) },
    Rule { name: "kernel-image", find: kernel_size::image },
    Rule { name: "panics", find: panics::check },
    Rule { name: "clippy", find: clippy },
    Rule { name: "device-clippy", find: device_clippy },
    Rule { name: "bench", find: kernel::regressions },
];

impl Check {
    /// Runs the checks; prints everything that is wrong.
    ///
    /// # Errors
    /// A check could not be made, or an unknown one was asked for.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let known: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        if let Some(name) = self.names.iter().find(|name| !known.contains(&name.as_str())) {
            bail!("there is no check {name:?}; there are: {}", known.join(", "));
        }
        let mut is_fine = true;
        // Counting takes a build and a boot of its own, so it is only done when asked for.
        let is_wanted = |rule: &&Rule| match self.names.is_empty() {
            true => rule.name != "bench" || self.bench,
            false => self.names.iter().any(|name| name == rule.name) || (rule.name == "bench" && self.bench),
        };
        for rule in RULES.iter().filter(is_wanted) {
            let step = Step::start(format!("check {}", rule.name));
            let problems = (rule.find)()?;
            if problems.is_empty() {
                step.done();
                continue;
            }
            is_fine = false;
            drop(step);
            for problem in problems {
                eprintln!("    {problem}");
            }
        }
        Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn format() -> Result<Vec<String>> {
    let output = Command::new(cargo::host_cargo())
        .current_dir(folders::checkout())
        .args(["fmt", "--all", "--check", "--", "-l"])
        .output()?;
    let mut problems: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|file| format!("{file}: not formatted; run `cargo fmt --all`"))
        .collect();
    if !output.status.success() && problems.is_empty() {
        problems.push(String::from_utf8_lossy(&output.stderr).trim().to_string());
    }
    Ok(problems)
}

/// What only exists on the device: system calls, registers, `main` functions of components and root tasks.
fn device_clippy() -> Result<Vec<String>> {
    let toolchain = Toolchain::find()?;
    let mut command = toolchain.clippy();
    command.arg("--keep-going");
    for package in device_packages()? {
        command.args(["--package", &package]);
    }
    command.args(["--", "--deny", "warnings"]);
    lint("clippy, for the device", command)
}

/// The kernel, securityd, the components of all products, and the root tasks of tests.
fn device_packages() -> Result<BTreeSet<String>> {
    let mut packages: BTreeSet<String> =
        ["hybrid-kernel", "hybrid-kernel-arch", "hybrid-sys", "hybrid-rt", "hybrid-ring", "hybrid-drv", "hybrid-posix"]
            .into_iter()
            .chain(["hybrid-suite", "hybrid-bench", "securityd"])
            .map(String::from)
            .collect();
    for name in product::names()? {
        let components = product::Product::load(&name)?.components;
        for component in components.iter().filter(|component| component.runtime == Runtime::Core) {
            packages.insert(product::package(&component.folder)?);
        }
    }
    Ok(packages)
}

fn clippy() -> Result<Vec<String>> {
    let mut command = Command::new(cargo::host_cargo());
    command.current_dir(folders::checkout()).args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]);
    lint("clippy, on the host", command)
}

fn lint(what: &str, mut command: Command) -> Result<Vec<String>> {
    let step = Step::start(what);
    match step.command("clippy", &mut command) {
        Ok(()) => {
            step.done();
            Ok(Vec::new())
        }
        Err(error) => Ok(vec![error.to_string()]),
    }
}

/// The committed summaries of interfaces and of each product's authority.
fn goldens() -> Result<Vec<String>> {
    let mut problems = idl::problems();
    problems.extend(caps::problems()?);
    Ok(problems)
}
