//! The uutils coreutils as a component: each line of its list does here what the host's own coreutils do with the same line.
use crate::hardware::Hardware;
use crate::scenario::{BOOT_WITHIN, Image, SAY_WITHIN, Scenario, Stage, last_lines};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario {
        name: "utils".into(),
        about: "the uutils coreutils make, copy, sort, sum, list and remove files, a process a command: what they say is what GNU's say".into(),
        image: Image::Product("gateway-utils"),
        // Where the disk is, the scenario's own play says.
        hardware: Hardware { disk: Some("disk.img".into()), ..Hardware::default() },
        run: utils,
    }]
}

/// The lines that the program has in it.
const LINES: &str = include_str!("../../../../apps/utils/lines");

/// What ripgrep looks for, as it stands in its arguments; the file that it leaves out has such lines, too.
const PATTERN: &str = "^4?777$|^77$|plum";

/// What the console says when a life has ended.
const END: &str = "I securityd: utils ended: came to its end";
/// The supervisor may learn of an end after the console: then the command comes again.
const AGAIN: Duration = Duration::from_secs(5);

/// What a command did: its status, and all that it wrote to standard output and error, line by line.
#[derive(Debug, PartialEq, Eq)]
struct Done {
    status: i32,
    output: Vec<String>,
    errors: Vec<String>,
}

impl Done {
    /// As it can be compared: who walks through a directory tells of it in the order of that file system.
    fn settled(mut self, line: &str) -> Self {
        if line.split_whitespace().any(|word| word == "-v") {
            self.output.sort();
        }
        self
    }
}

fn utils(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let folder = std::env::temp_dir().join(format!("hybrid-utils-{}", std::process::id()));
    std::fs::create_dir_all(&folder).context("no folder for the host's files")?;
    let compared = LINES.lines().enumerate().try_for_each(|(number, line)| {
        let expected = on_host(&folder, line)?.settled(line);
        let done = on_device(stage, number, line)?.settled(line);
        ensure!(done == expected, "line {number}, {line}: {done:#?}, and GNU's: {expected:#?}");
        Ok(())
    });
    let compared = compared.and_then(|()| ripgrep(stage, &folder));
    std::fs::remove_dir_all(&folder).context("cannot remove the host's files")?;
    compared?;
    stage.compare_live()?;
    stage.power_off()
}

/// ripgrep over what the lines left, without what their `.ignore` names, finds what the host's grep finds there.
fn ripgrep(stage: &mut Stage, folder: &Path) -> Result<()> {
    let expected = on_host(folder, &format!("grep -rnE --exclude=prefixes '{PATTERN}' ."))?.output;
    ensure!(expected.len() > 9, "the host's grep finds too little: {expected:?}");
    stage.console().skip_to_end();
    stage.console().send_line("svc start ripgrep")?;
    let text = stage.console().expect("I ripgrep: ended with status 0", SAY_WITHIN).context("ripgrep does not find")?;
    let found = text.lines().filter_map(|line| Some(line.split_once("I ripgrep: tree")?.1)).filter_map(shown);
    // Its threads tell files in any order; the directory has a name there.
    let found: BTreeSet<_> = found.map(|line| format!(".{line}")).collect();
    let expected: BTreeSet<_> = expected.into_iter().collect();
    ensure!(found == expected, "ripgrep finds {found:#?}, and the host's grep {expected:#?}");
    Ok(())
}

/// The same line for the host's shell and its coreutils.
fn on_host(folder: &Path, line: &str) -> Result<Done> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(line).current_dir(PathBuf::from(folder)).env("LC_ALL", "C");
    let output = shell.output().context("cannot start sh")?;
    let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().filter_map(shown).collect::<Vec<_>>();
    let errors = lines(&output.stderr).iter().map(|line| nameless(line)).collect();
    Ok(Done { status: output.status.code().unwrap_or(-1), output: lines(&output.stdout), errors })
}

/// A line as the console shows it, if it has anything in it.
fn shown(line: &str) -> Option<String> {
    let line = line.trim_end();
    (!line.is_empty()).then(|| line.replace('\t', "\\t"))
}

/// An error message without its program: what is one program here is many there.
fn nameless(message: &str) -> String {
    message.split_once(": ").map_or(message, |(_, rest)| rest).to_string()
}

/// What the program says between the line's beginning and its end. All but the first life begin by command.
fn on_device(stage: &mut Stage, number: usize, line: &str) -> Result<Done> {
    let begins = format!("I utils: line {number}: {line}");
    let ends = format!("W utils: line {number} is done: ");
    let deadline = Instant::now() + if number == 0 { BOOT_WITHIN } else { SAY_WITHIN };
    let mut asked: Option<Instant> = None;
    let text = loop {
        let text = stage.console().text();
        if let Some((_, rest)) = text.split_once(&begins) {
            // The status is a whole word once its line has ended.
            if rest.split_once(&ends).is_some_and(|(_, tail)| tail.contains('\n')) {
                break rest.to_string();
            }
        } else if text.matches(END).count() >= number && number > 0 && asked.is_none_or(|at| at.elapsed() > AGAIN) {
            // What is typed is not looked for: the next life may speak between its letters.
            stage.console().send_line("svc start utils")?;
            asked = Some(Instant::now());
        }
        ensure!(Instant::now() < deadline, "line {number}, {line}, does not end:\n{}", last_lines(&text, 30));
        std::thread::sleep(Duration::from_millis(50));
    };
    let (between, rest) = text.split_once(&ends).context("it ended")?;
    let status = rest.lines().next().and_then(|word| word.trim().parse().ok());
    let Some(status) = status else { bail!("line {number}, {line}, ends with {rest}") };
    let of_stream = |mark: &str| {
        let lines = between.lines().filter_map(|line| line.split_once(mark));
        lines.filter_map(|(_, text)| shown(text)).collect::<Vec<_>>()
    };
    // What the personality tells of a refused call is no message of the command's.
    let errors = of_stream("W utils: ").into_iter().filter(|message| !message.contains(" refused: "));
    Ok(Done { status, output: of_stream("I utils: "), errors: errors.map(|message| nameless(&message)).collect() })
}
