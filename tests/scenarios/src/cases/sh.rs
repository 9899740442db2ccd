//! A shell and the uutils coreutils as components: each line of a list does here what the host's shell and coreutils do with it.
use crate::console::Console;
use crate::hardware::Hardware;
use crate::scenario::{BOOT_WITHIN, Image, LAST, SAY_WITHIN, Scenario, Stage, last_lines};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario {
        name: "sh".into(),
        about: "a shell starts coreutils with pipes, files, loops and jobs: each line writes and ends as it does on the host".into(),
        image: Image::Product("gateway-utils"),
        // Where the disk is, the scenario's own play says.
        hardware: Hardware { disk: Some("disk.img".into()), ..Hardware::default() },
        run: sh,
    }]
}

/// The lines that the player has in it.
const LINES: &str = include_str!("../../../components/player/lines");

/// What ripgrep looks for, as it stands in its arguments; the file that it leaves out has such lines, too.
const PATTERN: &str = "^4?777$|^77$|plum";

/// What never ends, and what is pressed behind its Enter.
const ENDLESS: &str = "seq 1 999999999 > /dev/null";
const INTERRUPT: &[u8] = b"\x03";
const PROMPT: &str = "/ $ ";

/// What a line did: its status, and all that it wrote to standard output and error, line by line.
#[derive(Debug, PartialEq, Eq)]
struct Done {
    status: String,
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

fn sh(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let folder = std::env::temp_dir().join(format!("hybrid-sh-{}", std::process::id()));
    std::fs::create_dir_all(&folder).context("no folder for the host's files")?;
    let compared = LINES.lines().enumerate().try_for_each(|(number, line)| {
        let expected = on_host(&folder, line)?.settled(line);
        let done = on_device(stage, number, line)?.settled(line);
        ensure!(done == expected, "line {number}, {line}: {done:#?}, and the host's: {expected:#?}");
        Ok(())
    });
    let compared = compared.and_then(|()| ripgrep(stage, &folder)).and_then(|()| at_console(stage));
    std::fs::remove_dir_all(&folder).context("cannot remove the host's files")?;
    compared?;
    stage.compare_live()?;
    stage.power_off()
}

/// A shell that an operator enters at the serial line: it starts programs, remembers lines, and is interrupted and left by keys.
fn at_console(stage: &mut Stage) -> Result<()> {
    let console = stage.console();
    enters(console)?;
    says(console, b"echo piped | tr a-z A-Z\r", "PIPED")?;
    // Up, and once more what it was.
    says(console, b"\x1b[A\r", "PIPED")?;
    edits(console)?;
    interrupts(console)?;
    input(console)?;
    // Its history is kept.
    says(console, b"echo kept | tr a-z A-Z\r", "KEPT")?;
    leaves(console)?;
    enters(console)?;
    says(console, b"\x1b[A\r", "KEPT")?;
    leaves(console)
}

fn enters(console: &mut Console) -> Result<()> {
    console.skip_to_end();
    console.send_line("enter sh")?;
    console.expect(PROMPT, SAY_WITHIN).context("no prompt of the shell").map(|_| ())
}

/// A line is changed within: Left, Ctrl-E to its end, Ctrl-A to its beginning, backspace.
fn edits(console: &mut Console) -> Result<()> {
    says(console, b"echo xz\x1b[Dy\x05 | tr a-z A-Z\r", "XYZ")?;
    says(console, b"uvx\x7fw | tr a-z A-Z\x01echo \r", "UVW")
}

fn leaves(console: &mut Console) -> Result<()> {
    console.send(b"\x04")?;
    console.expect("I sh: ended with status", SAY_WITHIN).context("Ctrl-D does not leave")?;
    // The console's own prompt is there again without a further key.
    console.expect("sh has left the console", SAY_WITHIN).context("nobody told the console of the end")?;
    console.expect("\n> ", SAY_WITHIN).context("the console's prompt is not back").map(|_| ())
}

/// Types these keys, and waits for this answer and the next prompt.
fn says(console: &mut Console, keys: &[u8], answer: &str) -> Result<()> {
    console.skip_to_end();
    console.send(keys)?;
    console.expect_echo(answer, SAY_WITHIN).with_context(|| format!("after {:?}", String::from_utf8_lossy(keys)))?;
    // Its next line is read when its prompt is there.
    console.expect(PROMPT, SAY_WITHIN).context("no further prompt").map(|_| ())
}

/// Ctrl-C ends what runs, is begun at that moment, or loops without a program; one is enough, and the next command knows nothing of it.
fn interrupts(console: &mut Console) -> Result<()> {
    let runs = |line: &str| format!("echo beg''un; {line}\r");
    for line in [
        ENDLESS,
        "seq 1 999999999 | tail -n 1",
        "while true; do :; done",
        "until false; do seq 9 | wc -l; done > /dev/null",
    ] {
        console.skip_to_end();
        console.send(runs(line).as_bytes())?;
        console.expect("begun", SAY_WITHIN)?;
        interrupted(console, line)?;
    }
    for wait in [0, 0, 0, 30, 60, 100, 150, 250, 400] {
        console.skip_to_end();
        console.send(ENDLESS.as_bytes())?;
        let all = if wait == 0 { [b"\r", INTERRUPT].concat() } else { b"\r".to_vec() };
        console.send(&all)?;
        if wait > 0 {
            std::thread::sleep(Duration::from_millis(wait));
            console.send(INTERRUPT)?;
        }
        let line = format!("{ENDLESS}, {wait} ms behind its Enter");
        ended(console, &line)?;
    }
    Ok(())
}

/// Presses Ctrl-C once.
fn interrupted(console: &mut Console, line: &str) -> Result<()> {
    console.send(INTERRUPT)?;
    ended(console, line)
}

/// The command was interrupted, and the shell is as before.
fn ended(console: &mut Console, line: &str) -> Result<()> {
    console.expect("^C", SAY_WITHIN).with_context(|| format!("{line}: Ctrl-C is not seen"))?;
    console.expect(PROMPT, SAY_WITHIN).with_context(|| format!("{line}: Ctrl-C gives no prompt"))?;
    says(console, b"echo status $?\r", "status 130").with_context(|| line.to_string())?;
    says(console, b"echo status $?\r", "status 0").with_context(|| format!("{line}, and the line after it"))
}

/// Programs read what is typed as far as they want it; the rest is the shell's.
fn input(console: &mut Console) -> Result<()> {
    says(console, b"sort | tr a-z A-Z\rplum\rappl\x7fle\r\x04", "APPLE\r\nPLUM")?;
    console.skip_to_end();
    console.send(b"tr a-z A-Z\r")?;
    console.expect("\n", SAY_WITHIN)?;
    says(console, b"pear\rfig\r\x04", "PEAR\r\nFIG")?;
    // The second line is the shell's, and the third its next program's.
    says(console, b"head -n 1 | tr a-z A-Z\rquince\rwc -c\rone line\r\x04", "QUINCE")?;
    console.expect("9\r\n", SAY_WITHIN).context("what was typed ahead of the shell is lost")?;
    console.expect(PROMPT, SAY_WITHIN)?;
    // In the background a program has none.
    says(console, b"cat & wait; echo wai''ted\r", "waited")?;
    // Who waits for a line is ended by Ctrl-C, and what is typed then is the shell's.
    console.skip_to_end();
    console.send(b"cat\r")?;
    console.expect("\n", SAY_WITHIN)?;
    console.send(b"cherry\r")?;
    console.expect_echo("cherry\r\ncherry", SAY_WITHIN).context("cat does not print what is typed")?;
    interrupted(console, "cat")?;
    // And who waits within the shell.
    says(console, b"read -r name; echo \"<$name>\"\rkumquat\r", "<kumquat>")?;
    console.skip_to_end();
    console.send(b"read -r name\r")?;
    console.expect("\n", SAY_WITHIN)?;
    interrupted(console, "read")?;
    says(console, b"(exit 3) & fg; echo \"ended with $?\"\r", "ended with 3")
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
    let mut shell = Command::new("bash");
    // The shell on the device has no variables of the host's either.
    shell.args(["-c", line]).current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
    let output = shell.output().context("cannot start bash")?;
    let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().filter_map(shown).collect::<Vec<_>>();
    Ok(Done { status: output.status.to_string(), output: lines(&output.stdout), errors: lines(&output.stderr) })
}

/// A line as the console shows it, if it has anything in it.
fn shown(line: &str) -> Option<String> {
    let line = line.trim_end();
    (!line.is_empty()).then(|| line.replace('\t', "\\t"))
}

/// What the player says between the line's beginning and its end.
fn on_device(stage: &mut Stage, number: usize, line: &str) -> Result<Done> {
    let begins = format!("I player: line {number}: {line}");
    let ends = format!("I player: line {number} is done: ");
    let deadline = Instant::now() + if number == 0 { BOOT_WITHIN } else { SAY_WITHIN };
    let text = loop {
        let text = stage.console().text();
        // The status is whole once its line has ended.
        if let Some((_, rest)) = text.split_once(&begins)
            && rest.split_once(&ends).is_some_and(|(_, tail)| tail.contains('\n'))
        {
            break rest.to_string();
        }
        ensure!(Instant::now() < deadline, "line {number}, {line}, does not end:\n{}", last_lines(&text, LAST));
        std::thread::sleep(Duration::from_millis(50));
    };
    let (between, rest) = text.split_once(&ends).context("it ended")?;
    let Some(status) = rest.lines().next().map(|status| status.trim().to_string()) else {
        bail!("line {number}, {line}, ends with {rest}")
    };
    let of_stream = |mark: &str| {
        let lines = between.lines().filter_map(|line| line.split_once(mark));
        lines.filter_map(|(_, text)| shown(text)).collect::<Vec<_>>()
    };
    Ok(Done { status, output: of_stream("I player: out: "), errors: of_stream("I player: err: ") })
}
