//! No panic in the kernel once user code runs: finds, in the linked kernel, every call of the panic machinery.
use crate::cargo::{self, Toolchain};
use crate::folders;
use crate::progress::Step;
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The functions that may panic, each with its reason.
const GOLDEN: &str = "kernel/panics.golden";
/// The kernels that are built: their features.
const KERNELS: [&[&str]; 2] = [&[], &["smp"]];

/// Builds each kernel and compares the functions that can panic with the committed list.
///
/// # Errors
/// A kernel does not build, or cannot be disassembled.
pub(crate) fn check() -> Result<Vec<String>> {
    let path = folders::checkout().join(GOLDEN);
    let golden = std::fs::read_to_string(&path).with_context(|| format!("cannot read {GOLDEN}"))?;
    let mut problems = Vec::new();
    let mut used = BTreeSet::new();
    for features in KERNELS.iter().filter(|features| has_features(features)) {
        let text = disassembly(features)?;
        // A stripped or foreign file would have no panic either.
        ensure!(text.lines().any(|line| head(line) == Some("kernel_start")), "the kernel's functions have no names");
        problems.extend(compare(&golden, &callers(&text), &mut used));
    }
    let unused = entries(&golden).filter(|(name, _)| !used.contains(*name));
    problems.extend(unused.map(|(name, _)| format!("{GOLDEN}: {name} cannot panic any more; take it off the list")));
    Ok(problems)
}

/// Whether the kernel's package has these features.
fn has_features(features: &[&str]) -> bool {
    let manifest = std::fs::read_to_string(folders::checkout().join("kernel/image/Cargo.toml")).unwrap_or_default();
    features.iter().all(|feature| manifest.lines().any(|line| line.starts_with(&format!("{feature} = "))))
}

fn disassembly(features: &[&str]) -> Result<String> {
    let step = Step::start(format!("kernel with {features:?}, disassembled"));
    let mut command = Toolchain::find()?.build();
    command.args(["--package", "hybrid-kernel"]);
    for feature in features {
        command.args(["--features", feature]);
    }
    step.command("check-panics", &mut command)?;
    let output = Command::new("llvm-objdump")
        .args(["-d", "--demangle", "--no-show-raw-insn"])
        .arg(cargo::program("kernel"))
        .output()
        .context("cannot start llvm-objdump; `cargo xtask setup` installs it")?;
    ensure!(output.status.success(), "llvm-objdump: {}", String::from_utf8_lossy(&output.stderr));
    step.done();
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Each function that branches to the panic machinery or holds a trap, and what it reaches.
fn callers(disassembly: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut function = String::new();
    for line in disassembly.lines() {
        if let Some(name) = head(line) {
            function = plain(name);
            continue;
        }
        if is_machinery(&function) {
            continue;
        }
        let reached = match target(line) {
            Some(name) if is_machinery(&plain(name)) => plain(name),
            None if line.split('\t').nth(1) == Some("brk") => "a trap".into(),
            _ => continue,
        };
        found.entry(function.clone()).or_default().insert(reached);
    }
    found
}

/// `ffffffff80001000 <name>:`
fn head(line: &str) -> Option<&str> {
    let (address, rest) = line.split_once(" <")?;
    let is_address = address.len() >= 8 && address.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_address.then(|| rest.strip_suffix(">:")).flatten()
}

/// The function that a branch of any kind goes to.
fn target(line: &str) -> Option<&str> {
    let mut parts = line.split('\t');
    let (mnemonic, operands) = (parts.nth(1)?, parts.next()?);
    let is_branch = matches!(mnemonic, "b" | "bl" | "cbz" | "cbnz" | "tbz" | "tbnz") || mnemonic.starts_with("b.");
    let (_, name) = operands.split_once('<').filter(|_| is_branch)?;
    let name = name.strip_suffix('>')?;
    Some(name.rsplit_once("+0x").map_or(name, |(name, _)| name))
}

/// A name without the hash of the old mangling.
fn plain(name: &str) -> String {
    match name.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => name.into(),
        _ => name.into(),
    }
}

/// Functions of the standard library that never return.
fn is_machinery(name: &str) -> bool {
    let name = name.trim_start_matches('<');
    let is_failure = name.contains("fail") || name.contains("panic") || name.contains("handle_error");
    name.starts_with("core::panicking::")
        || name.starts_with("alloc::alloc::handle_alloc_error")
        || ((name.starts_with("core::") || name.starts_with("alloc::")) && is_failure)
}

/// The lines of the list: a function (or the beginning of its name, with a `*`) and the reason.
fn entries(golden: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = golden.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.map(|line| line.split_once("  ").map_or((line, ""), |(name, reason)| (name, reason.trim())))
}

fn compare<'a>(
    golden: &'a str,
    callers: &BTreeMap<String, BTreeSet<String>>,
    used: &mut BTreeSet<&'a str>,
) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, reached) in callers {
        let is_match = |entry: &str| match entry.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == entry,
        };
        match entries(golden).find(|(entry, _)| is_match(entry)) {
            Some((entry, reason)) => {
                used.insert(entry);
                if reason.is_empty() {
                    problems.push(format!("{GOLDEN}: {entry} has no reason"));
                }
            }
            None => {
                problems.push(format!("the kernel's {name} can reach {}", Vec::from_iter(reached.clone()).join(", ")))
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::{callers, compare};
    use std::collections::BTreeSet;

    const TEXT: &str = "\
ffffffff80000000 <kernel_start>:
ffffffff80000000:      \tbl\t0xffffffff80000100 <core::panicking::panic_fmt>
ffffffff80000010 <kernel::run::handle>:
ffffffff80000010:      \tcbz\tx0, 0xffffffff80000010 <kernel::run::handle+0x10>
ffffffff80000014:      \ttbnz\tw8, #0x0, 0xffffffff80000200 <core::option::unwrap_failed>
ffffffff80000018:      \tbrk\t#0x1
ffffffff80000100 <core::panicking::panic_fmt>:
ffffffff80000100:      \tb\t0xffffffff80000100 <core::panicking::panic_nounwind::h0123456789abcdef>
";

    #[test]
    fn callers_are_found_by_every_kind_of_branch() {
        let found = callers(TEXT);
        assert_eq!(found.len(), 2);
        assert_eq!(found["kernel::run::handle"].len(), 2);
    }

    #[test]
    fn compare_names_what_is_not_listed_and_what_has_no_reason() {
        let mut used = BTreeSet::new();
        let found = callers(TEXT);
        let problems = compare("kernel_start  boots\n", &found, &mut used);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("kernel::run::handle"));
        assert_eq!(compare("kernel_*\nkernel::*  why\n", &found, &mut used).len(), 1);
    }
}
