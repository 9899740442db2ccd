//! One running QEMU and its console; knows nothing of what the image does.
use crate::console::Console;
use crate::hardware::{Hardware, ImageFiles, QEMU};
use anyhow::{Context, Result};
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A machine that is on. Dropping it switches it off; it dies with this process too, however that ends.
pub struct Machine {
    /// The serial line.
    pub console: Console,
    /// The host port that leads to the guest's port 80, if it has a network card.
    pub http_port: Option<u16>,
    started: Instant,
    child: Child,
}

impl Machine {
    /// Switches a machine on; its console is also written to `log`.
    ///
    /// # Errors
    /// QEMU is missing or the log cannot be written.
    pub fn start(hardware: &Hardware, image: &ImageFiles, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write the log {}", log.display()))?;
        let stderr = file.try_clone().context("cannot share the log between two streams")?;
        let mut child = qemu(&hardware.arguments(image, false))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {QEMU}; `cargo xtask setup` installs it"))?;
        let output = child.stdout.take().context("QEMU has no standard output")?;
        let input = child.stdin.take().context("QEMU has no standard input")?;
        let console = Console::new(output, input, file);
        Ok(Self { console, http_port: hardware.http_port, started: Instant::now(), child })
    }

    /// Time since the machine was switched on.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether QEMU has ended (the guest powered off or reset).
    pub fn is_off(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Machine {
    /// Ends QEMU at once, by SIGKILL.
    pub fn kill(&mut self) {
        // Both fail only when QEMU is gone already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// QEMU with `arguments`, bound to this process: the kernel of the host kills it when this process ends.
pub fn qemu(arguments: &[std::ffi::OsString]) -> Command {
    let mut command = Command::new(QEMU);
    if Path::new("/usr/bin/setpriv").exists() {
        // setpriv (util-linux) sets PR_SET_PDEATHSIG and then becomes QEMU, so the process id stays the same.
        command = Command::new("/usr/bin/setpriv");
        command.args(["--pdeathsig", "KILL", "--", QEMU]);
    }
    command.args(arguments);
    command
}

/// A TCP port of 127.0.0.1 that nobody listens on at this moment.
///
/// # Errors
/// The host has no free port.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free TCP port on 127.0.0.1")?;
    Ok(listener.local_addr().context("a bound socket without an address")?.port())
}
