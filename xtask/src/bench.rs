//! Measures, prints, and writes docs/performance.md; changes no code.
mod access;
pub(crate) mod kernel;
mod latency;
mod page;
mod plot;
mod posix;
mod rows;

use crate::build::{self, Recipe};
use crate::folders;
use crate::product::Product;
use crate::progress::Step;
use crate::setup;
use access::AccessBench;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use hybrid_scenarios::hardware::{Hardware, ImageFiles};
use hybrid_scenarios::machine::{self, Machine};
use hybrid_scenarios::{http, load};
use kernel::{Baseline, Build, KernelBench};
use latency::LatencyBench;
use posix::PosixBench;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// Options of `cargo xtask bench`.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: Option<What>,
    /// Only these parts, and only on the terminal
    parts: Vec<Part>,
    /// Seconds of each load
    #[arg(long, default_value_t = 20)]
    seconds: u32,
}

/// A measurement with options of its own.
#[derive(Subcommand)]
enum What {
    /// Count the kernel's instructions, compare with the targets and with the committed figures
    Kernel(KernelBench),
    /// Count the instructions of access decisions, in a whole image
    Access(AccessBench),
    /// Find the longest stretches with interrupts masked, by cause
    Latency(LatencyBench),
    /// Count what ordinary programs' calls cost, here and on Linux
    Posix(PosixBench),
}

/// A part of the product's measurements.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Boot, requests, data, memory
    Time,
    /// Files of the image
    Sizes,
}

/// A measured number.
struct Number {
    what: String,
    value: String,
}

const WITHIN: Duration = Duration::from_secs(300);
/// Connections at once under load.
const CONNECTIONS: u32 = 32;

impl Bench {
    /// Measures everything.
    ///
    /// # Errors
    /// An image does not build or boot, or the load generator is missing.
    pub(crate) fn run(self) -> Result<ExitCode> {
        if let Some(What::Kernel(bench)) = self.what {
            return bench.run();
        }
        if let Some(What::Access(bench)) = self.what {
            return bench.run();
        }
        if let Some(What::Latency(bench)) = self.what {
            return bench.run();
        }
        if let Some(What::Posix(bench)) = self.what {
            return bench.run();
        }
        setup::ensure()?;
        if self.parts.is_empty() {
            let before = Baseline::load()?;
            kernel::write_page(Build::OneCore, &kernel::measure(Build::OneCore)?, &before)?;
            if kernel::has_smp()? {
                kernel::write_page(Build::SeveralCores, &kernel::measure(Build::SeveralCores)?, &before)?;
            }
        }
        if self.parts.is_empty() {
            page::write_part("access", &access::measure()?.0)?;
        }
        let wants = |part: Part| self.parts.is_empty() || self.parts.contains(&part);
        let mut text = String::new();
        let product = build::image(&Recipe::of_product(Product::load("gateway")?))?;
        if wants(Part::Time) {
            let how = "wall clock of an emulated machine: only for comparing one change with another on one host";
            table(&mut text, "Time and memory", how, &seconds(&product, self.seconds)?)?;
        }
        if wants(Part::Sizes) {
            table(&mut text, "Sizes", "stripped, bytes", &sizes(&product)?)?;
        }
        println!("{text}");
        if self.parts.is_empty() {
            page::write_part("product", &with_how(&text))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What is measured from outside.
fn seconds(image: &Path, load_seconds: u32) -> Result<Vec<Number>> {
    let port = machine::free_port()?;
    let hardware = Hardware { http_port: Some(port), ..Hardware::default() };
    let log = folders::logs()?.join("bench-time.log");
    let step = Step::start("boot, and load over the network");
    let machine = Machine::start(&hardware, &ImageFiles::in_folder(image), &log)?;
    http::wait_for_page(port, WITHIN)?;
    let boot = machine.age();
    let page = http::request(port, "GET", "/")?;
    let small = load::for_seconds(&format!("http://127.0.0.1:{port}/nope"), CONNECTIONS, load_seconds)?;
    let report = load::for_seconds(&format!("http://127.0.0.1:{port}/"), CONNECTIONS, load_seconds)?;
    if report.errors > 0 {
        bail!("{} requests failed under load: {report:?}", report.errors);
    }
    let status = http::request(port, "GET", "/api/status")?.text();
    step.done();
    let number = |what: &str, value: String| Number { what: what.into(), value };
    let mut numbers = vec![
        number("power-on to first page", format!("{:.2} s", boot.as_secs_f64())),
        number(
            &format!("GET / ({} bytes), {CONNECTIONS} connections", page.body.len()),
            format!("{:.0} requests/s", report.requests_per_second),
        ),
        number("the same, data", format!("{:.0} KiB/s", report.bytes_per_second / 1024.0)),
        number(
            &format!("GET /nope, answered by httpd and status, {CONNECTIONS} connections"),
            format!(
                "{:.0} answers/s",
                small.requests_per_second
                    + f64::from(u32::try_from(small.errors).unwrap_or(0)) / f64::from(load_seconds)
            ),
        ),
    ];
    numbers.extend(memory(&status)?);
    Ok(numbers)
}

/// The memory figures of /api/status.
fn memory(status: &str) -> Result<Vec<Number>> {
    let status: serde_json::Value = serde_json::from_str(status).context("/api/status is not JSON")?;
    let mut numbers = Vec::new();
    let kib =
        |value: &serde_json::Value| value.as_u64().map_or_else(String::new, |bytes| format!("{} KiB", bytes / 1024));
    let memory = &status["memory"];
    for key in ["total_bytes", "free_bytes"] {
        numbers.push(Number { what: format!("memory: {}", key.trim_end_matches("_bytes")), value: kib(&memory[key]) });
    }
    let components = memory["components"].as_object().context("/api/status has no memory per component")?;
    for (name, granted) in components {
        let value = format!("{}, {} of its heap in use", kib(granted), kib(&memory["heap_in_use"][name]));
        numbers.push(Number { what: format!("memory: {name}"), value });
    }
    Ok(numbers)
}

/// The files of the image.
fn sizes(image: &Path) -> Result<Vec<Number>> {
    let mut files = vec![
        ("kernel (Image)".to_string(), image.join("Image")),
        ("root task with all components (root.elf)".to_string(), image.join("root.elf")),
    ];
    let components = image.join("components");
    let entries = std::fs::read_dir(&components).with_context(|| format!("cannot read {}", components.display()))?;
    for entry in entries.flatten() {
        let name = entry.path().file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        files.push((name, entry.path()));
    }
    files[2..].sort();
    let size = |(what, path): (String, std::path::PathBuf)| {
        let length = path.metadata().with_context(|| format!("cannot read {}", path.display()))?.len();
        Ok(Number { what, value: length.to_string() })
    };
    files.into_iter().map(size).collect()
}

fn table(text: &mut String, title: &str, how: &str, numbers: &[Number]) -> Result<()> {
    writeln!(text, "### {title}\n\n({how})\n\n| what | value |\n|---|---:|")?;
    for number in numbers {
        writeln!(text, "| {} | {} |", number.what, number.value)?;
    }
    writeln!(text)?;
    Ok(())
}

/// The tables, and what they were measured on.
fn with_how(tables: &str) -> String {
    let version = Command::new("qemu-system-aarch64").arg("--version").output();
    let version = version
        .map(|output| String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_string())
        .unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{tables}### How it was measured\n\n\
         Time: the gateway image in {version}, one emulated cortex-a53 with 512 MiB, on a host with {cores} cores that also ran the load generator (wrk or h2load). QEMU flushes its whole TLB at each change of \
         address space, so wall-clock time says little about IPC on hardware.\n\n\
         Memory: as `/api/status` reports it after the load.\n"
    )
}
