//! One running QEMU and its console; knows nothing of what the image does.
use crate::console::Console;
use crate::hardware::{Hardware, ImageFiles, QEMU};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::net::TcpListener;
use std::ops::Range;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
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

/// Where [`free_port`] looks: below what Linux gives to those who only connect, so that no connection takes a port before QEMU listens at it.
const PORTS: Range<u16> = 10_000..32_000;

/// A TCP port of 127.0.0.1 that nobody listens on at this moment, and that this process has given to nobody.
///
/// # Errors
/// The host has no free port.
pub fn free_port() -> Result<u16> {
    /// What comes next; processes that run at the same time begin at different places.
    static NEXT: Mutex<Option<u32>> = Mutex::new(None);
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in PORTS {
        let number = next.unwrap_or_else(|| std::process::id().wrapping_mul(7919));
        *next = Some(number.wrapping_add(1));
        let port = PORTS.start + u16::try_from(number % u32::from(PORTS.end - PORTS.start))?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free TCP port on 127.0.0.1")
}

#[cfg(test)]
mod tests {
    use super::free_port;
    use std::collections::BTreeSet;

    #[test]
    fn no_port_is_given_twice() {
        let ports: BTreeSet<u16> = (0..100).filter_map(|_| free_port().ok()).collect();
        assert_eq!(ports.len(), 100);
    }
}
