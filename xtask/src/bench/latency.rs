//! The longest stretches with interrupts masked, by cause, from a kernel that counts them; changes no code.
use super::page;
use crate::build::{self, Recipe};
use crate::folders;
use crate::progress::Step;
use crate::setup;
use anyhow::{Context, Result, ensure};
use clap::Args;
use hybrid_abi::{cap_tag, label};
use hybrid_scenarios::hardware::{Hardware, ImageFiles};
use hybrid_scenarios::machine::Machine;
use hybrid_scenarios::scenario::{LAST, last_lines};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// The longest that a stretch should be, in instructions.
const TARGET: u32 = 20_000;
/// What vectors.s executes around the counted part.
const VECTOR: u32 = 75;
const WITHIN: Duration = Duration::from_secs(600);
/// How many lines the table has.
const LINES: usize = 24;
/// The root tasks that are run.
const PROGRAMS: [(&str, &[&str], &str); 2] =
    [("hybrid-suite", &["latency"], ""), ("hybrid-storm", &["latency", "export-pmu"], "storm.millions=300")];

/// Options of `cargo xtask bench latency`.
#[derive(Args, Clone)]
pub(crate) struct LatencyBench {
    /// Only on the terminal
    #[arg(long)]
    print: bool,
}

impl LatencyBench {
    /// Measures, prints, and writes docs/performance.md.
    ///
    /// # Errors
    /// A program does not build or does not end.
    pub(crate) fn run(self) -> Result<ExitCode> {
        setup::ensure()?;
        let text = table()?;
        println!("{text}");
        if !self.print {
            page::write_part("latency", &text)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The longest stretch of one cause.
struct Stretch {
    instructions: u32,
    runs: u64,
    is_cut: bool,
    /// The part after a preemption point that stopped the operation.
    rest: u32,
    program: &'static str,
}

/// Runs every program and gives the table, longest first.
///
/// # Errors
/// A program does not build or does not end.
fn table() -> Result<String> {
    let mut causes = BTreeMap::new();
    for (program, features, options) in PROGRAMS {
        measure(program, features, options, &mut causes)?;
    }
    let mut sorted: Vec<(u64, Stretch)> = causes.into_iter().collect();
    sorted.sort_by_key(|(_, stretch)| std::cmp::Reverse(stretch.instructions));
    let longest = sorted.first().context("no stretch was counted")?;
    let verdict = if longest.1.instructions < TARGET { "below" } else { "ABOVE" };
    let mut text = format!(
        "Longest: {} instructions, by {}; {verdict} the target of {TARGET}.\n\n\
         | instructions | cause | runs | begins at a preemption point | after one that stopped it | in |\n|---:|---|---:|---|---:|---|\n",
        longest.1.instructions,
        cause(longest.0)
    );
    for (key, stretch) in sorted.iter().take(LINES) {
        let cut = if stretch.is_cut { "yes" } else { "no" };
        let program = stretch.program.trim_start_matches("hybrid-");
        let Stretch { instructions, runs, rest, .. } = stretch;
        writeln!(text, "| {instructions} | {} | {runs} | {cut} | {rest} | {program} |", cause(*key))?;
    }
    Ok(text)
}

/// Boots one program on a kernel that counts, and adds what that prints at power-off.
fn measure(
    program: &'static str,
    features: &[&'static str],
    options: &str,
    causes: &mut BTreeMap<u64, Stretch>,
) -> Result<()> {
    let mut recipe = Recipe::of_package(program, features);
    recipe.folder = format!("{program}-latency");
    let folder = build::image(&recipe)?;
    let step = Step::start(format!("latency: {program}"));
    let hardware = Hardware {
        counts_instructions: true,
        cpu: "cortex-a57".into(),
        command_line: options.into(),
        ..Hardware::default()
    };
    let log = folders::logs()?.join(format!("latency-{program}.log"));
    let mut machine = Machine::start(&hardware, &ImageFiles::in_folder(&folder), &log)?;
    machine.console.expect_end(WITHIN)?;
    let text = machine.console.text();
    let lines: Vec<&str> = text.lines().filter_map(|line| line.trim_end().strip_prefix("latency: ")).collect();
    ensure!(!lines.is_empty(), "{program} counted nothing; its console's last lines:\n{}", last_lines(&text, LAST));
    for line in lines {
        let (key, stretch) = parse(line, program).with_context(|| format!("{line:?} is no count"))?;
        match causes.get_mut(&key) {
            Some(known) if known.instructions >= stretch.instructions => known.runs += stretch.runs,
            Some(known) => *known = Stretch { runs: known.runs + stretch.runs, ..stretch },
            None => _ = causes.insert(key, stretch),
        }
    }
    step.done();
    Ok(())
}

/// `<instructions> <runs> <0 or 1> <rest> <key in hexadecimal>`, as kernel/arch-aarch64/src/latency.rs prints it.
fn parse(line: &str, program: &'static str) -> Option<(u64, Stretch)> {
    let mut words = line.split(' ');
    let counted: u32 = words.next()?.parse().ok()?;
    let runs = words.next()?.parse().ok()?;
    let is_cut = words.next()? == "1";
    let rest = words.next()?.parse().ok()?;
    let key = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    Some((key, Stretch { instructions: counted.checked_add(VECTOR)?, runs, is_cut, rest, program }))
}

/// A key in words.
fn cause(key: u64) -> String {
    let (number, tag, low) = (key >> 48 & 0xff, key >> 40 & 0xff, key & 0xffff);
    match key >> 56 {
        1 => {
            let call = CALLS.get(usize::try_from(number).unwrap_or(0)).copied().unwrap_or("unknown call");
            let operation = operation(low).map_or_else(String::new, |name| format!(", {name}"));
            format!("{call} on {}{operation}", kind(tag))
        }
        2 => format!("fault, exception class {low:#x}"),
        _ => "interrupt".into(),
    }
}

const CALLS: [&str; 12] = [
    "unknown call",
    "Call",
    "ReplyRecv",
    "NBSendRecv",
    "NBSendWait",
    "Send",
    "NBSend",
    "Recv",
    "NBRecv",
    "Wait",
    "NBWait",
    "Yield",
];

fn kind(tag: u64) -> &'static str {
    match tag {
        cap_tag::NULL => "nothing",
        cap_tag::FRAME => "frame",
        cap_tag::UNTYPED => "untyped",
        cap_tag::PAGE_TABLE => "page table",
        cap_tag::ENDPOINT => "endpoint",
        cap_tag::NOTIFICATION => "notification",
        cap_tag::REPLY => "reply object",
        cap_tag::VSPACE => "address space",
        cap_tag::CNODE => "CNode",
        cap_tag::ASID_CONTROL => "ASID control",
        cap_tag::TCB => "thread",
        cap_tag::ASID_POOL => "ASID pool",
        cap_tag::IRQ_CONTROL => "IRQ control",
        cap_tag::IRQ_HANDLER => "IRQ handler",
        cap_tag::ZOMBIE => "zombie",
        cap_tag::DOMAIN => "domain",
        cap_tag::SCHED_CONTEXT => "scheduling context",
        cap_tag::SCHED_CONTROL => "SchedControl",
        cap_tag::SGI_SIGNAL => "SGI signal",
        _ => "platform",
    }
}

/// The operations that take a while; others show their number.
fn operation(number: u64) -> Option<String> {
    let name = match number {
        0 => return None,
        label::UNTYPED_RETYPE => "Retype",
        label::CNODE_REVOKE => "Revoke",
        label::CNODE_DELETE => "Delete",
        label::CNODE_CANCEL_BADGED_SENDS => "CancelBadgedSends",
        label::CNODE_MOVE => "Move",
        label::CNODE_MUTATE => "Mutate",
        label::CNODE_ROTATE => "Rotate",
        label::CNODE_COPY => "Copy",
        label::CNODE_MINT => "Mint",
        label::TCB_CONFIGURE => "Configure",
        label::TCB_SET_SPACE => "SetSpace",
        label::TCB_SET_SCHED_PARAMS => "SetSchedParams",
        label::TCB_SET_PRIORITY => "SetPriority",
        label::TCB_WRITE_REGISTERS => "WriteRegisters",
        label::TCB_SET_IPC_BUFFER => "SetIPCBuffer",
        label::TCB_SET_TIMEOUT_ENDPOINT => "SetTimeoutEndpoint",
        label::TCB_SUSPEND => "Suspend",
        label::TCB_RESUME => "Resume",
        label::SCHED_CONTROL_CONFIGURE_FLAGS => "ConfigureFlags",
        label::SCHED_CONTEXT_UNBIND => "Unbind",
        label::SCHED_CONTEXT_YIELD_TO => "YieldTo",
        label::PAGE_MAP => "Map",
        label::PAGE_UNMAP => "Unmap",
        label::PAGE_CLEAN_DATA | label::VSPACE_CLEAN_DATA => "Clean",
        label::PAGE_INVALIDATE_DATA | label::VSPACE_INVALIDATE_DATA => "Invalidate",
        label::PAGE_CLEAN_INVALIDATE_DATA | label::VSPACE_CLEAN_INVALIDATE_DATA => "CleanInvalidate",
        label::PAGE_UNIFY_INSTRUCTION | label::VSPACE_UNIFY_INSTRUCTION => "Unify",
        label::ASID_CONTROL_MAKE_POOL => "MakePool",
        label::ASID_POOL_ASSIGN => "Assign",
        other => return Some(format!("operation {other}")),
    };
    Some(name.into())
}

#[cfg(test)]
mod tests {
    use super::{cause, parse};

    #[test]
    fn parse_reads_what_the_kernel_prints() {
        let (key, stretch) = parse("68219 303 1 0 0x01010a0000000012", "x").expect("it is a count");
        assert_eq!((stretch.instructions, stretch.runs, stretch.is_cut), (68_294, 303, true));
        assert_eq!(cause(key), "Call on CNode, Revoke");
        assert!(parse("68219 303", "x").is_none());
    }
}
