//! Boots an image in QEMU on this terminal; ends when either side ends.
use crate::build::{self, Build};
use crate::folders;
use crate::foreign::elf;
use crate::foreign::kernel::{ForeignOptions, Plan};
use crate::image;
use crate::setup;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use hybrid_scenarios::hardware::{Hardware, ImageFiles, SMP_MAX};
use hybrid_scenarios::machine;
use std::io::{ErrorKind, IsTerminal};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Options of `cargo xtask run`.
#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    build: Build,
    #[command(flatten)]
    machine: MachineOptions,
    /// Boot this seL4 MCS root task (an ELF file for AArch64) in place of ours
    #[arg(long, value_name = "ELF", conflicts_with_all = ["product", "board", "http_port", "forward"])]
    root_task: Option<PathBuf>,
    #[command(flatten)]
    foreign: ForeignOptions,
    /// Port of 127.0.0.1 that leads to the device's HTTP server; 0 takes any free one
    #[arg(long, default_value_t = 8080)]
    http_port: u16,
    /// Further ports of 127.0.0.1 that lead to TCP ports of the device: 7000:7, or 7 for any free port; may be repeated
    #[arg(long, value_name = "[PORT:]DEVICE_PORT", value_parser = forwarding)]
    forward: Vec<(u16, u16)>,
    /// Begin with an empty disk; else the product's disk is as the last run left it
    #[arg(long)]
    fresh: bool,
    /// Wait for a debugger before the first instruction, on this port of 127.0.0.1 (1234 if none is given)
    #[arg(long, num_args = 0..=1, default_missing_value = "1234", value_name = "PORT")]
    gdb: Option<u16>,
}

/// What the virtual board is made of.
#[derive(Args, Clone)]
pub(crate) struct MachineOptions {
    /// Cores; with more than one the kernel is built for up to 4, and leaves further ones parked
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=i64::from(SMP_MAX)))]
    smp: u8,
    /// RAM, for instance 512M or 2G [default: 512M; 1G with --root-task]
    #[arg(long, value_parser = memory_mib)]
    memory: Option<u32>,
    /// Version of the interrupt controller
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=3))]
    gic: u8,
    /// Enter the kernel at EL2 instead of EL1
    #[arg(long)]
    el2: bool,
    /// The processor: cortex-a53, cortex-a57 or cortex-a72
    #[arg(long, default_value = "cortex-a53", value_parser = ["cortex-a53", "cortex-a57", "cortex-a72"])]
    cpu: String,
    /// Time advances with executed instructions, exactly repeatable
    #[arg(long)]
    icount: bool,
}

impl MachineOptions {
    /// The hardware that these options describe, with `memory_mib` of memory if they do not say.
    pub(crate) fn hardware(&self, memory_mib: u32) -> Hardware {
        Hardware {
            gic: self.gic,
            starts_at_el2: self.el2,
            cpu: self.cpu.clone(),
            memory_mib: self.memory.unwrap_or(memory_mib),
            smp: self.smp,
            take_turns: std::thread::available_parallelism().is_ok_and(|cores| cores.get() < usize::from(self.smp)),
            has_parallel_cores: false,
            has_spin_table: false,
            device_tree: None,
            counts_instructions: self.icount,
            instruction_shift: None,
            http_port: None,
            further_ports: Vec::new(),
            datagram_ports: Vec::new(),
            has_open_cable: false,
            disk: None,
            disk_log: None,
            has_entropy: true,
            devices: Vec::new(),
            command_line: String::new(),
            gdb_port: None,
        }
    }
}

impl Run {
    /// Builds, boots and waits until the guest is off or Ctrl-C is pressed.
    ///
    /// # Errors
    /// The port is taken, or the image does not build, or QEMU does not start.
    pub(crate) fn run(self) -> Result<ExitCode> {
        if let Some(path) = &self.root_task {
            return self.run_foreign(path);
        }
        if self.foreign.are_given() {
            bail!(
                "--export and --root-cnode-bits are for root tasks that were built elsewhere; give one with --root-task"
            );
        }
        let port = usable_port(self.http_port, "--http-port")?;
        let forwarded = |(ours, its): &(u16, u16)| Ok((usable_port(*ours, "--forward")?, *its));
        let further_ports = self.forward.iter().map(forwarded).collect::<Result<Vec<_>>>()?;
        setup::ensure()?;
        let recipe = self.build.recipe()?;
        let has_disk = recipe.has_disk();
        let folder = build::image(&recipe.for_cores(self.machine.smp))?;
        let _other_runs_wait = has_disk.then(|| image::claim_disk(&self.build.product)).transpose()?;
        let disk = has_disk.then(|| image::kept_disk(&self.build.product, &folder, self.fresh)).transpose()?;
        // Again: the build may have taken minutes.
        usable_port(port, "--http-port")?;
        for (ours, _) in &further_ports {
            usable_port(*ours, "--forward")?;
        }
        if let Some(gdb) = self.gdb {
            println!("waiting for a debugger: gdb-multiarch -ex 'target remote 127.0.0.1:{gdb}'");
        }
        println!("http://127.0.0.1:{port}/");
        for (ours, its) in &further_ports {
            println!("127.0.0.1:{ours} leads to TCP port {its} of the device");
        }
        let hardware = Hardware {
            http_port: Some(port),
            further_ports,
            gdb_port: self.gdb,
            disk,
            ..self.machine.hardware(PRODUCT_MIB)
        };
        println!("The console follows. Ctrl-C ends the machine; so does `off` in its shell.\n");
        let status = attended(&hardware, &ImageFiles::in_folder(&folder))?;
        println!();
        Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Memory of the machine if nothing is said: for a product, and for a foreign root task (which counts on 1 GiB).
const PRODUCT_MIB: u32 = 512;
pub(crate) const FOREIGN_MIB: u32 = 1024;

impl Run {
    /// Boots a root task that was built elsewhere.
    fn run_foreign(&self, path: &Path) -> Result<ExitCode> {
        let mut hardware = self.machine.hardware(FOREIGN_MIB);
        hardware.gdb_port = self.gdb;
        hardware.command_line = self.foreign.command_line();
        let refused = |error: elf::RootTaskError| anyhow!("{} cannot be the root task: {error}", path.display());
        elf::check_file(path, hardware.memory_mib).map_err(refused)?;
        let root = path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?;
        setup::ensure()?;
        let exports = self.foreign.exports()?;
        let plan = Plan { cores: hardware.smp, has_debug_calls: self.build.debug_kernel, exports };
        let kernel = plan.build()?.join("Image");
        if let Some(gdb) = self.gdb {
            println!("waiting for a debugger: gdb-multiarch -ex 'target remote 127.0.0.1:{gdb}'");
        }
        println!("The console follows. Ctrl-C ends the machine.\n");
        let status = attended(&hardware, &ImageFiles { kernel, root })?;
        println!();
        Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Runs QEMU in the foreground of this terminal and never leaves it behind.
fn attended(hardware: &Hardware, image: &ImageFiles) -> Result<ExitStatus> {
    let is_interrupted = Arc::new(AtomicBool::new(false));
    let flag = is_interrupted.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).context("cannot watch for Ctrl-C")?;
    let parent = std::os::unix::process::parent_id();
    let mut child = machine::qemu(&hardware.arguments(image, true))
        .current_dir(folders::checkout())
        .spawn()
        .context("cannot start QEMU; `cargo xtask setup` installs it")?;
    loop {
        if let Some(status) = child.try_wait().context("lost track of QEMU")? {
            return Ok(status);
        }
        let is_orphan = std::os::unix::process::parent_id() != parent;
        if is_interrupted.load(Ordering::Relaxed) || is_orphan {
            return stop(&mut child);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Asks QEMU to end, so that it restores the terminal; insists after two seconds.
fn stop(child: &mut Child) -> Result<ExitStatus> {
    let _ = Command::new("kill").arg(child.id().to_string()).stderr(Stdio::null()).status();
    let deadline = Instant::now() + Duration::from_secs(2);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().context("lost track of QEMU")? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().context("cannot end QEMU")?;
    if std::io::stdin().is_terminal() {
        let _ = Command::new("stty").arg("sane").status();
    }
    child.wait().context("lost track of QEMU")
}

/// `port` if it can be listened on now; any free one for 0. `option` is where another can be chosen.
fn usable_port(port: u16, option: &str) -> Result<u16> {
    if port == 0 {
        return machine::free_port();
    }
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(port),
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
            "port {port} of 127.0.0.1 is taken by another program (perhaps another `cargo xtask run`). \
             Choose another with {option}, or 0 for any free one"
        ),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            bail!("port {port} of 127.0.0.1 is reserved for root; choose one above 1023 with {option}")
        }
        Err(error) => Err(anyhow!(error).context(format!("port {port} of 127.0.0.1 cannot be used"))),
    }
}

/// `7000:7`, the host's port and the device's; `7` is the device's, and any free one of the host.
fn forwarding(text: &str) -> Result<(u16, u16)> {
    let (ours, its) = text.split_once(':').unwrap_or(("0", text));
    match (ours.parse(), its.parse()) {
        (Ok(ours), Ok(its)) if its != 0 => Ok((ours, its)),
        _ => bail!("{text:?} is no pair of ports such as 7000:7, nor a port of the device such as 7"),
    }
}

/// `512M`, `2G` or a plain number of MiB.
pub(crate) fn memory_mib(text: &str) -> Result<u32> {
    let (digits, factor) = match text.trim_end_matches(['i', 'B', 'b']) {
        text if text.ends_with(['G', 'g']) => (text.trim_end_matches(['G', 'g']), 1024),
        text => (text.trim_end_matches(['M', 'm']), 1),
    };
    let mib = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(factor));
    match mib {
        Some(mib @ 128..=8192) => Ok(mib),
        _ => bail!("{text:?} is not an amount of memory between 128M and 8G, such as 512M or 2G"),
    }
}

#[cfg(test)]
mod tests {
    use super::{forwarding, memory_mib, usable_port};
    use std::net::TcpListener;

    #[test]
    fn memory_mib_knows_its_units() {
        for (text, mib) in [("128M", 128), ("512", 512), ("2G", 2048), ("1GiB", 1024)] {
            assert_eq!(memory_mib(text).ok(), Some(mib), "{text}");
        }
    }

    #[test]
    fn memory_mib_refuses_nonsense() {
        for text in ["", "M", "lots", "-1", "1M", "99999999G"] {
            assert!(memory_mib(text).is_err(), "{text}");
        }
    }

    #[test]
    fn usable_port_that_is_taken_is_refused_with_a_way_out() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let error = usable_port(port, "--forward").expect_err("it is taken");
        assert!(error.to_string().contains("--forward"), "{error}");
    }

    #[test]
    fn forwarding_names_the_devices_port_and_perhaps_the_hosts() {
        assert_eq!(forwarding("7000:7").ok(), Some((7000, 7)));
        assert_eq!(forwarding("7").ok(), Some((0, 7)));
        for text in ["", ":", "7:", ":7", "7:0", "0", "65536", "7:8:9", "echo"] {
            assert!(forwarding(text).is_err(), "{text}");
        }
    }
}
