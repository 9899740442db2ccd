//! Installs what this machine lacks; touches nothing that is there.
use crate::cargo::Toolchain;
use crate::musl;
use crate::progress::Step;
use anyhow::{Result, bail};
use clap::Args;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// Options of `cargo xtask setup`.
#[derive(Args)]
pub(crate) struct Setup {
    /// Only say what is missing
    #[arg(long)]
    dry_run: bool,
}

impl Setup {
    /// Installs everything that any command needs.
    ///
    /// # Errors
    /// Something is missing and cannot be installed from here; the text holds the command that does.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let mut missing = missing(&TOOLS);
        missing.extend(self::missing(&C_COMPILER));
        missing.extend(self::missing(&CPP_COMPILER));
        missing.extend(self::missing(&STD_TIER));
        missing.extend(self::missing(&PIP));
        missing.extend(self::missing(&DECODER));
        missing.extend(self::missing(&MQTT_CLIENTS));
        missing.extend(self::missing(&EXT4));
        let browser = self::missing(&BROWSER);
        if self.dry_run {
            for tool in missing.iter().chain(&browser) {
                println!("missing: {} (Debian package {})", tool.what, tool.packages.join(" "));
            }
            return Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        install(&missing)?;
        // One test asks for it, and says so when it has to do without.
        if let Err(why) = install(&browser) {
            eprintln!("note: the capability page is not tried in a browser: {why:#}");
        }
        musl::sysroot()?;
        println!("all that building, booting and testing need is there");
        note_linters();
        Ok(ExitCode::SUCCESS)
    }
}

/// Says what `cargo xtask check` lacks; rustup's minimal profile comes without these, and nothing else needs them.
fn note_linters() {
    let works = |tool: &str| {
        let version =
            Command::new("cargo").args([tool, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    if !works("fmt") || !works("clippy") {
        eprintln!("note: `cargo xtask check` also needs rustfmt and clippy: run `rustup component add rustfmt clippy`");
    }
}

/// Makes sure that images can be built and booted; silent when all is there.
///
/// # Errors
/// As [`Setup::run`].
pub(crate) fn ensure() -> Result<()> {
    install(&missing(&TOOLS))
}

/// Makes sure that C for bare AArch64 can be compiled, which only foreign root tasks need.
///
/// # Errors
/// As [`Setup::run`].
pub(crate) fn ensure_c_compiler() -> Result<()> {
    install(&missing(&C_COMPILER))
}

/// Makes sure that musl can be compiled, which only components on `std` or C need.
///
/// # Errors
/// As [`Setup::run`].
pub(crate) fn ensure_std_tier() -> Result<()> {
    let missing: Vec<&Tool> = [missing(&C_COMPILER), missing(&STD_TIER)].concat();
    install(&missing)
}

/// Makes sure that C++ can be compiled, which only components with `.cpp` files need.
///
/// # Errors
/// As [`Setup::run`].
pub(crate) fn ensure_cpp_compiler() -> Result<()> {
    install(&missing(&CPP_COMPILER))
}

/// Makes sure that Python packages' sources can be fetched, which only programs of others need.
///
/// # Errors
/// As [`Setup::run`].
pub(crate) fn ensure_pip() -> Result<()> {
    install(&missing(&PIP))
}

/// Makes sure that the host can decode H.264, which only the scenario of others' programs needs.
///
/// # Errors
/// As [`Setup::run`].
pub(crate) fn ensure_decoder() -> Result<()> {
    install(&missing(&DECODER))
}

/// Makes sure that the host has clients of MQTT, which only the scenario of the broker needs.
///
/// # Errors
/// As [`Setup::run`].
pub(crate) fn ensure_mqtt_clients() -> Result<()> {
    install(&missing(&MQTT_CLIENTS))
}

/// Makes sure that the host can make an ext4, which only the comparison with Linux needs.
///
/// # Errors
/// As [`Setup::run`].
pub(crate) fn ensure_ext4_maker() -> Result<()> {
    install(&missing(&EXT4))
}

struct Tool {
    what: &'static str,
    is_there: fn() -> bool,
    packages: &'static [&'static str],
}

const TOOLS: [Tool; 7] = [
    Tool {
        what: "the emulator qemu-system-aarch64",
        is_there: || on_path("qemu-system-aarch64"),
        packages: &["qemu-system-arm"],
    },
    Tool {
        what: "a Rust toolchain with the source of its standard library",
        is_there: || Toolchain::find().is_ok(),
        packages: &["rustc-web", "rust-web-src", "cargo-web"],
    },
    Tool {
        what: "clippy for the device's code",
        is_there: || Toolchain::find().is_ok_and(|toolchain| toolchain.has_clippy()),
        packages: &["rust-web-clippy"],
    },
    Tool { what: "the linker ld.lld", is_there: || on_path("ld.lld"), packages: &["lld"] },
    Tool {
        what: "llvm-objcopy and llvm-strip",
        is_there: || on_path("llvm-objcopy") && on_path("llvm-strip"),
        packages: &["llvm"],
    },
    Tool { what: "the HTTP client curl", is_there: || on_path("curl"), packages: &["curl"] },
    Tool {
        what: "a load generator (wrk or h2load)",
        is_there: || on_path("wrk") || on_path("h2load"),
        packages: &["wrk"],
    },
];

const C_COMPILER: [Tool; 1] = [Tool {
    what: "a C compiler for AArch64",
    is_there: || on_path("aarch64-linux-gnu-gcc"),
    packages: &["gcc-aarch64-linux-gnu"],
}];

const CPP_COMPILER: [Tool; 1] = [Tool {
    what: "a C++ compiler for AArch64",
    is_there: || on_path("aarch64-linux-gnu-g++"),
    packages: &["g++-aarch64-linux-gnu"],
}];

const PIP: [Tool; 1] = [Tool {
    what: "the fetcher of Python packages pip",
    is_there: || on_path("pip3") || on_path("pip"),
    packages: &["python3-pip"],
}];

const DECODER: [Tool; 1] = [Tool {
    what: "a decoder of H.264",
    is_there: || Path::new("/usr/include/wels/codec_api.h").exists(),
    packages: &["libopenh264-dev"],
}];

const MQTT_CLIENTS: [Tool; 1] = [Tool {
    what: "the MQTT clients mosquitto_pub and mosquitto_sub",
    is_there: || on_path("mosquitto_pub") && on_path("mosquitto_sub"),
    packages: &["mosquitto-clients"],
}];

/// What makes an ext4. It is under the GPL, as QEMU is: a program of the host, of which nothing comes into the tree or an image. By its whole path,
/// since only root's search path has its folder.
pub(crate) const EXT4_MAKER: &str = "/usr/sbin/mke2fs";

const EXT4: [Tool; 1] = [Tool {
    what: "the program mke2fs for the disk of the Linux that is compared with",
    is_there: || Path::new(EXT4_MAKER).is_file(),
    packages: &["e2fsprogs"],
}];

const BROWSER: [Tool; 1] = [Tool {
    what: "a browser for the test of the capability page",
    is_there: || ["chromium", "chromium-browser", "google-chrome"].into_iter().any(on_path),
    packages: &["chromium"],
}];

const STD_TIER: [Tool; 3] = [
    Tool { what: "the program make", is_there: || on_path("make"), packages: &["make"] },
    Tool { what: "the program patch", is_there: || on_path("patch"), packages: &["patch"] },
    Tool { what: "the unpacker xz", is_there: || on_path("xz"), packages: &["xz-utils"] },
];

fn missing(tools: &'static [Tool]) -> Vec<&'static Tool> {
    tools.iter().filter(|tool| !(tool.is_there)()).collect()
}

fn install(missing: &[&Tool]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|tool| tool.packages).copied().collect();
    let whats: Vec<&str> = missing.iter().map(|tool| tool.what).collect();
    let install = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    if !on_path("apt-get") {
        bail!(
            "this machine lacks {}. It has no apt-get; install by hand what Debian calls: {}",
            whats.join(", "),
            packages.join(" ")
        );
    }
    let Some(prefix) = root_prefix() else {
        bail!("this machine lacks {}. Only root may install packages; run:\n    sudo {install}", whats.join(", "));
    };
    let step = Step::start(format!("install {}", packages.join(" ")));
    let arguments = ["install", "-y", "--no-install-recommends"];
    let installed = apt(&step, prefix, &arguments, &packages);
    // A list of packages that is old or was never fetched makes the command fail, or install a package that is too old.
    if installed.is_err() || missing.iter().any(|tool| !(tool.is_there)()) {
        apt(&step, prefix, &["update"], &[])?;
        apt(&step, prefix, &arguments, &packages)?;
    }
    let still: Vec<&str> = missing.iter().filter(|tool| !(tool.is_there)()).map(|tool| tool.what).collect();
    if !still.is_empty() {
        bail!(
            "the packages are installed, yet {} cannot be used: this release's packages are probably older than Debian 12's; \
             install a newer one by hand",
            still.join(", ")
        );
    }
    step.done();
    Ok(())
}

fn apt(step: &Step, prefix: &[&str], verb: &[&str], packages: &[&str]) -> Result<()> {
    let words: Vec<&str> = prefix
        .iter()
        .chain(&["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"])
        .chain(verb)
        .chain(packages)
        .copied()
        .collect();
    let Some((program, arguments)) = words.split_first() else { bail!("an empty command") };
    step.command("setup", Command::new(program).args(arguments))
}

/// The words that make a command run as root: none for root, sudo where it asks for no password.
fn root_prefix() -> Option<&'static [&'static str]> {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"));
    if is_root {
        return Some(&[]);
    }
    let sudo = Command::new("sudo").args(["-n", "true"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    sudo.is_ok_and(|status| status.success()).then_some(&["sudo", "-n"])
}

/// Whether `program` can be started by its name.
pub(crate) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| Path::new(&folder).join(program).is_file())
}
