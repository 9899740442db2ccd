//! `cargo xtask bench posix`: counts what ordinary programs' calls cost, here and on Linux; changes no code.
mod linux;
mod modules;

use super::kernel::grouped;
use super::page;
use crate::build::{self, Recipe};
use crate::folders;
use crate::product::Product;
use crate::progress::Step;
use crate::setup;
use anyhow::{Context, Result, ensure};
use clap::Args;
use hybrid_capgraph::Program;
use hybrid_scenarios::disk;
use hybrid_scenarios::hardware::{Hardware, ImageFiles, QEMU};
use hybrid_scenarios::machine::{self, Machine};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// Options of `cargo xtask bench posix`.
#[derive(Args, Default)]
pub(crate) struct PosixBench {
    /// Only print; docs/performance.md stays as it is
    #[arg(long)]
    print: bool,
    /// Do not fetch and boot Linux: its column stays empty, so nothing is written either
    #[arg(long)]
    without_linux: bool,
}

/// One row: what tests/components/posix-bench calls it, what it means, and at most what is wanted.
struct Row {
    id: &'static str,
    meaning: &'static str,
    goal: Option<f64>,
}

const fn row(id: &'static str, meaning: &'static str, goal: Option<f64>) -> Row {
    Row { id, meaning, goal }
}

const ROWS: [Row; 41] = [
    row("nothing", "a round of the loop, to be taken off the others", None),
    row("getpid", "`getpid`", None),
    row("clock", "`clock_gettime`", Some(40.0)),
    row("pipe-1", "pipe: write and read 1 byte", None),
    row("pipe-64k", "pipe: write and read 64 KiB, 16 KiB at a time", None),
    row("socketpair-64", "`socketpair`: write and read 64 bytes", None),
    row("eventfd", "`eventfd`: write and read", None),
    row("open-close", "`open` and `close` of /dev/null", None),
    row("write-null", "`write` of 1 byte to /dev/null", None),
    row("malloc", "`malloc` and `free` of 100 bytes", None),
    row("mmap-64k", "`mmap` of 64 KiB, one write, `munmap`", None),
    row("epoll-1", "`epoll_wait`, one descriptor, which is ready", None),
    row("epoll-100", "… 100 descriptors, one ready", None),
    row("epoll-1000", "… 1,000 descriptors, one ready", None),
    row("memory-open", "a file in memory: `open` and `close`", None),
    row("memory-read-1", "… `pread` of 1 byte", None),
    row("memory-write-1", "… `pwrite` of 1 byte", None),
    row("memory-read-64k", "… `pread` of 64 KiB", None),
    row("memory-write-64k", "… `pwrite` of 64 KiB", None),
    row("file-open", "a file on the disk: `open` and `close`", None),
    row("file-read-1", "… `pread` of 1 byte", None),
    row("file-write-1", "… `pwrite` of 1 byte", None),
    row("file-read-64k", "… `pread` of 64 KiB", None),
    row("file-write-64k", "… `pwrite` of 64 KiB", None),
    row("file-keep-512k", "… `pwrite` of 512 KiB, 64 KiB at a time, and `fsync`", None),
    row("file-keep-4k", "… `pwrite` of 4 KiB into those 512 KiB, and `fsync`", None),
    row("file-append-4k", "… `pwrite` of 4 KiB behind the end, and `fsync`", None),
    row("thread", "`pthread_create` and `pthread_join`", None),
    row("mutex-alone", "mutex: lock and unlock, nobody else wants it", Some(100.0)),
    row("mutex-fight", "… two threads want it, and each yields with it", None),
    row("pipe-ping-pong", "pipes: 1 byte to another thread and back", None),
    row("futex-ping-pong", "futex: another thread's turn and back", None),
    row("condition-ping-pong", "condition: another thread's turn and back", None),
    row("spawn", "`posix_spawn` of a program that ends at once, and `waitpid`", None),
    row("tcp-echo-64", "TCP echo of 64 bytes, driver and host stack included", Some(20_000.0)),
    row("tcp-in", "TCP, received, a byte", Some(4.0)),
    row("tcp-out", "TCP, sent, a byte", Some(5.0)),
    row("udp-echo-64", "UDP echo of 64 bytes, driver and host stack included", None),
    row("hello-file", "std's hello: file, bytes", Some(300.0 * 1024.0)),
    row("hello-image", "std's hello: its program in memory, bytes", None),
    row("hello-memory", "std's hello: all the memory it has, bytes", Some(1024.0 * 1024.0)),
];

/// Bytes of a page.
const PAGE: u64 = 4096;
const WITHIN: Duration = Duration::from_secs(900);
const LISTENS: &str = "listens at port 9";
/// The instance whose size counts.
const HELLO: &str = "first-std";
const LAST: &str = "all rows are measured";

impl PosixBench {
    /// Measures, prints the table, and writes it. Exit status 1 if a goal is missed.
    ///
    /// # Errors
    /// An image does not build or boot, Linux cannot be had, or the page cannot be written.
    pub(crate) fn run(self) -> Result<ExitCode> {
        setup::ensure()?;
        let image = build::image(&recipe()?)?;
        let hardware = Hardware { instruction_shift: Some(0), ..Hardware::default() };
        let mut ours = hello(&image)?;
        let disk = folders::logs()?.join("bench-posix.img");
        disk::create(&disk, Some(&image))?;
        ours.extend(counted("HybridOS", &image, &Hardware { disk: Some(disk), ..hardware })?);
        let theirs = if self.without_linux { None } else { Some(linux::measure()?) };
        let (mut text, is_met) = table(&ours, theirs.as_ref().map(|linux| &linux.rows))?;
        let linux = theirs.as_ref().map(|linux| format!("{}, its ext4 by {}", linux.kernel, linux.maker));
        let linux = linux.unwrap_or_else(|| "not counted".into());
        writeln!(text, "\nCounted with {}; Linux: {linux}.", emulator()?)?;
        print!("{text}");
        if !self.print && theirs.is_some() {
            page::write_part("posix", &text)?;
        }
        Ok(ExitCode::from(u8::from(!is_met)))
    }
}

/// What counts: the emulator, by its own name and version.
fn emulator() -> Result<String> {
    let output = Command::new(QEMU).arg("--version").output().context("cannot start QEMU")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines().next().map(str::to_string).context("QEMU tells no version")
}

/// How large the hello is that `cargo xtask new app` makes with std: its file, and what of it is in memory, with the stack and heap that it
/// declares, all of which is there from the start (decision 0130).
fn hello(image: &Path) -> Result<BTreeMap<String, f64>> {
    let file = std::fs::read(image.join("components").join(format!("{HELLO}.elf"))).context("no hello was built")?;
    let graph = hybrid_capgraph::resolve(&folders::checkout(), "gateway-cost", "qemu-virt")
        .map_err(|problems| anyhow::anyhow!("gateway-cost: {} problems", problems.len()))?;
    let declared =
        graph.instances.iter().find(|instance| instance.name == HELLO).context("no instance is the hello")?;
    let program = Program::parse(&file).map_err(|error| anyhow::anyhow!("the hello is no program: {error:?}"))?;
    let program = program.pages() * PAGE;
    let whole = program + declared.stack + declared.heap;
    let figure = |bytes: u64| u32::try_from(bytes).map_or(f64::INFINITY, f64::from);
    Ok(BTreeMap::from([
        ("hello-file".into(), figure(file.len() as u64)),
        ("hello-image".into(), figure(program)),
        ("hello-memory".into(), figure(whole)),
    ]))
}

/// The product that measures, on a kernel that lets user code read the counters of the processor.
fn recipe() -> Result<Recipe> {
    let mut recipe = Recipe::of_product(Product::load("gateway-cost")?);
    recipe.kernel_features.push("export-pmu");
    Ok(recipe)
}

/// What the program of tests/components/posix-bench says on this machine, by the rows' ids.
fn counted(name: &str, image: &Path, hardware: &Hardware) -> Result<BTreeMap<String, f64>> {
    let step = Step::start(format!("count the instructions of calls on {name}"));
    let (port, datagrams) = (machine::free_port()?, free_datagram_port()?);
    let hardware = Hardware {
        http_port: Some(machine::free_port()?),
        further_ports: vec![(port, 9)],
        datagram_ports: vec![(datagrams, 9)],
        ..hardware.clone()
    };
    let log = folders::logs()?.join(format!("bench-posix-{name}.log"));
    let mut machine = Machine::start(&hardware, &ImageFiles::in_folder(image), &log)?;
    machine.console.expect(LISTENS, WITHIN)?;
    step.message("talk TCP and UDP");
    talk(port, datagrams).context("TCP and UDP with the image")?;
    machine.console.expect(LAST, WITHIN)?;
    let console = machine.console.text();
    machine.kill();
    step.done();
    Ok(figures(&console))
}

/// A port of UDP that nobody on this host has.
fn free_datagram_port() -> Result<u16> {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).context("no port of UDP is free")?;
    Ok(socket.local_addr()?.port())
}

/// Bytes of a message of the rows of echoes, and how many the program answers.
const MESSAGE: usize = 64;
const ECHOES: u32 = 450;

/// The other end of the rows of sockets, as the program asks for them.
fn talk(port: u16, datagrams: u16) -> Result<()> {
    const BULK: usize = 4 << 20;
    let ask = |letter: u8| -> Result<TcpStream> {
        let mut socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(WITHIN))?;
        socket.write_all(&[letter])?;
        Ok(socket)
    };
    let mut socket = ask(b'e')?;
    // 50 that warm up, 400 that count, and one that says that the last answer has come.
    for round in 0..=ECHOES {
        socket.write_all(&[7; MESSAGE])?;
        if round < ECHOES {
            socket.read_exact(&mut [0; MESSAGE])?;
        }
    }
    let mut socket = ask(b'i')?;
    socket.write_all(&vec![7; BULK])?;
    let _end = socket.read(&mut [0; 1])?;
    let mut socket = ask(b'o')?;
    socket.read_exact(&mut vec![0; BULK])?;
    socket.write_all(b".")?;
    let _end = socket.read(&mut [0; 1])?;
    let mut asked = ask(b'u')?;
    // When its port is there.
    asked.read_exact(&mut [0; 1])?;
    talk_datagrams(datagrams)?;
    let _end = asked.read(&mut [0; 1])?;
    ask(b'q')?;
    Ok(())
}

/// The same by datagrams, none of which is lost on the way within one host.
fn talk_datagrams(port: u16) -> Result<()> {
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    socket.connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    for round in 0..=ECHOES {
        socket.send(&[7; MESSAGE])?;
        if round < ECHOES {
            let count = socket.recv(&mut [0; 2 * MESSAGE]).context("no answer to a datagram")?;
            ensure!(count == MESSAGE, "an answer of {count} bytes");
        }
    }
    Ok(())
}

/// The first figure of each line with `row ID`, whoever wrote what stands before it.
fn figures(console: &str) -> BTreeMap<String, f64> {
    let of_line = |line: &str| {
        let (_, rest) = line.split_once("row ")?;
        let mut words = rest.split_whitespace();
        Some((words.next()?.to_string(), words.next()?.parse().ok()?))
    };
    console.lines().filter_map(of_line).collect()
}

/// The table, and whether each goal is met.
///
/// # Errors
/// A row of ours was never told.
fn table(ours: &BTreeMap<String, f64>, theirs: Option<&BTreeMap<String, f64>>) -> Result<(String, bool)> {
    let mut text = String::from("| call | HybridOS | Linux | goal | met |\n|---|---:|---:|---:|:---:|\n");
    let mut is_met = true;
    for row in ROWS {
        let own = *ours.get(row.id).with_context(|| format!("no figure was told for {}", row.meaning))?;
        let other = theirs.and_then(|rows| rows.get(row.id)).copied();
        let verdict = row.goal.map(|goal| own <= goal);
        is_met &= verdict.unwrap_or(true);
        let met = verdict.map_or("", |is_met| if is_met { "yes" } else { "no" });
        let [own, other, goal] = [Some(own), other, row.goal].map(shown);
        writeln!(text, "| {} | {own} | {other} | {goal} | {met} |", row.meaning)?;
    }
    Ok((text, is_met))
}

fn shown(figure: Option<f64>) -> String {
    match figure {
        None => "–".into(),
        Some(figure) if figure < 20.0 => format!("{figure:.1}"),
        Some(figure) => format!("{figure:.0}").parse().map_or_else(|_| "–".into(), grouped),
    }
}

#[cfg(test)]
mod tests {
    use super::{figures, shown, table};

    #[test]
    fn figures_are_those_of_their_row_on_both_systems() {
        let console = "0.5 I posix-bench: row getpid 12.5 12.0 13.0\r\nrow clock 30.0 1 2\nrow broken x\n";
        let figures = figures(console);
        assert_eq!(figures.get("getpid"), Some(&12.5));
        assert_eq!((figures.get("clock"), figures.len()), (Some(&30.0), 2));
    }

    #[test]
    fn table_tells_what_is_missed_and_refuses_too_few_rows() {
        let mut rows: std::collections::BTreeMap<String, f64> =
            super::ROWS.iter().map(|row| (row.id.to_string(), 1.0)).collect();
        assert!(table(&rows, None).unwrap().1);
        rows.insert("clock".into(), 41.0);
        let (text, is_met) = table(&rows, Some(&rows)).unwrap();
        assert!(!is_met && text.contains("| `clock_gettime` | 41 | 41 | 40 | no |"), "{text}");
        rows.remove("tcp-in");
        assert!(table(&rows, None).is_err(), "a goal of which nothing was told");
        assert_eq!(shown(Some(1234.4)), "1,234");
    }
}
