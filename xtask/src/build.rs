//! Builds an image: kernel, components, bundle, root task; decides no authority.
use crate::caps;
use crate::cargo::{self, Dependencies, Toolchain};
use crate::folders;
use crate::foreign::elf;
use crate::personality::PERSONALITY;
use crate::product::{self, Component, Product};
use crate::progress::Step;
use crate::setup;
use crate::std_tier;
use crate::storage;
use crate::traps;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use hybrid_capgraph::Runtime;
use hybrid_scenarios::hardware::Hardware;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Options of `cargo xtask build`.
#[derive(Args, Clone)]
pub(crate) struct Build {
    /// Which image: a folder below images/
    #[arg(long, default_value = "gateway")]
    pub(crate) product: String,
    /// Which board: a file of kernel-config/boards/
    #[arg(long, default_value = "qemu-virt")]
    pub(crate) board: String,
    /// A kernel with its debug system calls (never for a device in use)
    #[arg(long)]
    pub(crate) debug_kernel: bool,
}

impl Build {
    /// Builds the image and says where it is.
    ///
    /// # Errors
    /// Something is missing, or a part does not compile; names the log.
    pub(crate) fn run(self) -> Result<ExitCode> {
        setup::ensure()?;
        let folder = image(&self.recipe()?)?;
        println!("{}", folders::shown(&folder));
        Ok(ExitCode::SUCCESS)
    }

    /// What these options ask for.
    ///
    /// # Errors
    /// There is no such product or board.
    pub(crate) fn recipe(&self) -> Result<Recipe> {
        check_board(&self.board)?;
        let product = Product::load(&self.product)?;
        let mut recipe = Recipe::of_product(product);
        recipe.board.clone_from(&self.board);
        if self.debug_kernel {
            recipe.folder.push_str("-debug");
            recipe.kernel_features.push("debug-calls");
        }
        Ok(recipe)
    }
}

/// The driver of QEMU's disk.
const DISK_DRIVER: &str = "blk-virtio";

/// Everything that decides what is in an image.
pub(crate) struct Recipe {
    /// Name of the folder below `target/images`.
    pub(crate) folder: String,
    /// What runs first, with all authority.
    pub(crate) root: Root,
    /// The board whose facts the product is resolved with.
    pub(crate) board: String,
    /// Features of the kernel's package.
    pub(crate) kernel_features: Vec<&'static str>,
    /// Whether its default features count too.
    pub(crate) has_kernel_defaults: bool,
    /// Whether securityd gives out capabilities that nobody declared: for the scenario `planted`, never for a device in use.
    pub(crate) is_planted: bool,
    /// Whether components fail on order: for the fault campaign, never for a device in use.
    pub(crate) has_faults: bool,
}

/// The root task of an image.
pub(crate) enum Root {
    /// securityd, which starts the components of a product.
    Product(Product),
    /// Another program in its place (the kernel's test suite, the benchmark).
    Package(&'static str),
    /// None of ours: the kernel alone, and `kernel.elf` beside its `Image`.
    None,
}

impl Recipe {
    /// Whether a component of the product drives a disk.
    pub(crate) fn has_disk(&self) -> bool {
        let Root::Product(product) = &self.root else { return false };
        product.components.iter().any(|component| component.name == DISK_DRIVER)
    }
}

impl Recipe {
    /// The image of a product as it is shipped.
    pub(crate) fn of_product(product: Product) -> Self {
        Self {
            folder: product.name.clone(),
            root: Root::Product(product),
            board: BOARD.into(),
            kernel_features: Vec::new(),
            has_kernel_defaults: true,
            is_planted: false,
            has_faults: false,
        }
    }

    /// The same product, with wrong capabilities in it.
    pub(crate) fn planted(mut self) -> Self {
        self.folder.push_str("+planted");
        self.is_planted = true;
        self
    }

    /// The same components, built so that they fail on order.
    pub(crate) fn with_faults(mut self) -> Self {
        self.folder.push_str("+faults");
        self.has_faults = true;
        self
    }

    /// An image with `package` as its root task.
    pub(crate) fn of_package(package: &'static str, kernel_features: &[&'static str]) -> Self {
        // A folder for each set of features, so that no kernel is taken for another.
        let folder = std::iter::once(package).chain(kernel_features.iter().copied()).collect::<Vec<_>>().join("+");
        Self {
            folder,
            root: Root::Package(package),
            board: BOARD.into(),
            kernel_features: kernel_features.to_vec(),
            has_kernel_defaults: true,
            is_planted: false,
            has_faults: false,
        }
    }
}

impl Recipe {
    /// The same with a kernel for several cores, if there are several.
    #[must_use]
    pub(crate) fn for_cores(mut self, cores: u8) -> Self {
        if cores > 1 && !self.kernel_features.contains(&"smp") {
            self.folder.push_str("+smp");
            self.kernel_features.push("smp");
        }
        self
    }
}

/// The board when none is named.
const BOARD: &str = "qemu-virt";
const KERNEL: &str = "hybrid-kernel";
const ROOT: &str = "servers/securityd";

/// Builds what `recipe` says; returns the folder with `Image` and `root.elf`.
///
/// # Errors
/// No toolchain, or a part does not compile.
pub(crate) fn image(recipe: &Recipe) -> Result<PathBuf> {
    let toolchain = Toolchain::find()?;
    let folder = folders::image(&recipe.folder)?;
    let programs = Programs::of_workspace()?;
    match &recipe.root {
        Root::Product(product) => {
            let (plain, hosted): (Vec<&Component>, Vec<&Component>) =
                product.components.iter().partition(|component| component.runtime == Runtime::Core);
            let plain =
                plain.into_iter().map(|component| product::package(&component.folder)).collect::<Result<Vec<_>>>()?;
            let personality = hosted.first().map(|_| PERSONALITY.to_string());
            compile(&toolchain, recipe, &with_kernel(&[plain.as_slice(), personality.as_slice()].concat()), None)?;
            let built = std_tier::build(&toolchain, &recipe.folder, &hosted)?;
            let mut files = plain
                .iter()
                .map(|package| Ok((package.clone(), programs.path(package)?)))
                .collect::<Result<Vec<_>>>()?;
            files.extend(hosted.iter().map(|component| component.name.clone()).zip(built));
            traps::check_crates(&cargo::libraries(), &programs.crates()?)?;
            let bundle = bundle(product, &recipe.board, &files, &folder)?;
            let root = product::package(Path::new(ROOT))?;
            compile(&toolchain, recipe, std::slice::from_ref(&root), Some(&bundle))?;
            strip(&programs.path(&root)?, &folder.join("root.elf"))?;
            check_root(&folder.join("root.elf"))?;
        }
        Root::Package(root) => {
            compile(&toolchain, recipe, &with_kernel(&[(*root).to_string()]), None)?;
            strip(&programs.path(root)?, &folder.join("root.elf"))?;
        }
        Root::None => {
            compile(&toolchain, recipe, &with_kernel(&[]), None)?;
            let (from, to) = (programs.path(KERNEL)?, folder.join("kernel.elf"));
            std::fs::copy(&from, &to).with_context(|| format!("cannot write {}", to.display()))?;
        }
    }
    flatten(&programs.path(KERNEL)?, &folder.join("Image"))?;
    Ok(folder)
}

/// Most pages of securityd with its bundle. Its first CNode has at most 8,192 slots (`NODE_BITS` of its `space.rs`); the kernel adds to a slot for each
/// page 1,024 spare ones, 230 for untyped memory, 257 for a device tree of 1 MiB and its head, and some 40 for tables and what is fixed.
pub(crate) const ROOT_PAGES_MAX: u64 = 6_628;

/// A root task beyond the bound would end before its first line, on a machine whose console says nothing of it.
fn check_root(path: &Path) -> Result<()> {
    let root = elf::check_file(path, Hardware::default().memory_mib)
        .map_err(|error| anyhow!("{}: {error}", folders::shown(path)))?;
    let pages = (root.end - root.start) / 4096;
    if pages > ROOT_PAGES_MAX {
        bail!(
            "the root task takes {} KiB of memory, and may take {} KiB: leave components out of the product, or make them smaller",
            pages * 4,
            ROOT_PAGES_MAX * 4
        );
    }
    Ok(())
}

fn with_kernel(packages: &[String]) -> Vec<String> {
    std::iter::once(KERNEL.to_string()).chain(packages.iter().cloned()).collect()
}

/// One cargo run for all `packages`, so that the standard library is built once.
fn compile(toolchain: &Toolchain, recipe: &Recipe, packages: &[String], bundle: Option<&Path>) -> Result<()> {
    let image = &recipe.folder;
    let what = match packages {
        _ if bundle.is_some() => "securityd with its bundle",
        [_] => "the kernel",
        _ => "kernel and components",
    };
    let step = Step::start(format!("build {image}: {what} ({})", toolchain.name));
    let mut command = toolchain.build();
    for package in packages {
        command.args(["--package", package]);
    }
    if recipe.is_planted && bundle.is_some() {
        command.args(["--features", "securityd/plant"]);
    }
    if recipe.has_faults {
        let package = if bundle.is_some() { "securityd" } else { "libhybrid" };
        command.args(["--package", package, "--features", &format!("{package}/faults")]);
    }
    if bundle.is_none() {
        for feature in &recipe.kernel_features {
            command.args(["--features", &format!("{KERNEL}/{feature}")]);
        }
        if !recipe.has_kernel_defaults {
            command.arg("--no-default-features");
        }
    }
    match bundle {
        Some(path) => command.env("HYBRID_BUNDLE", path),
        None => command.env_remove("HYBRID_BUNDLE"),
    };
    let part = if bundle.is_some() { "root" } else { "parts" };
    step.command(&format!("build-{image}-{part}"), &mut command)?;
    step.done();
    Ok(())
}

/// The names of the programs that the workspace's packages make.
struct Programs(serde_json::Value);

impl Programs {
    fn of_workspace() -> Result<Self> {
        Ok(Self(cargo::metadata(Dependencies::Without)?))
    }

    /// The libraries that the packages make, as rustc writes their names.
    fn crates(&self) -> Result<BTreeSet<String>> {
        let packages = self.0["packages"].as_array().context("cargo metadata lists no packages")?;
        let targets = packages.iter().filter_map(|entry| entry["targets"].as_array()).flatten();
        // A program's own library has no kind of its own: it is "lib" as well.
        let libraries = targets.filter(|target| {
            let kinds = target["kind"].as_array();
            kinds.into_iter().flatten().any(|kind| kind.as_str().is_some_and(|kind| kind.ends_with("lib")))
        });
        Ok(libraries.filter_map(|target| Some(target["name"].as_str()?.replace('-', "_"))).collect())
    }

    /// Where cargo leaves the one program of `package`.
    fn path(&self, package: &str) -> Result<PathBuf> {
        let packages = self.0["packages"].as_array().context("cargo metadata lists no packages")?;
        let found = packages.iter().find(|entry| entry["name"] == package);
        let targets = found
            .and_then(|entry| entry["targets"].as_array())
            .with_context(|| format!("the workspace has no package {package}"))?;
        let program =
            targets.iter().find(|target| target["kind"][0] == "bin").and_then(|target| target["name"].as_str());
        Ok(cargo::program(program.with_context(|| format!("the package {package} has no program (src/main.rs)"))?))
    }
}

/// Leaves out names and line tables, which only a debugger wants.
fn strip(from: &Path, to: &Path) -> Result<()> {
    convert("llvm-strip", &["--strip-all", "-o"], from, to, Order::TargetFirst)
}

/// The memory image of the kernel, without ELF headers.
fn flatten(from: &Path, to: &Path) -> Result<()> {
    convert("llvm-objcopy", &["-O", "binary"], from, to, Order::SourceFirst)
}

enum Order {
    SourceFirst,
    TargetFirst,
}

fn convert(program: &str, options: &[&str], from: &Path, to: &Path, order: Order) -> Result<()> {
    // Not only what is newer: cargo puts a program that it built earlier in its place again when its source is what it was then.
    let time = |path: &Path| path.metadata().and_then(|data| data.modified());
    let made = time(from).with_context(|| format!("cannot look at {}", from.display()))?;
    if time(to).is_ok_and(|of| of == made) {
        return Ok(());
    }
    let mut command = Command::new(program);
    command.args(options);
    match order {
        Order::SourceFirst => command.arg(from).arg(to),
        Order::TargetFirst => command.arg(to).arg(from),
    };
    let output =
        command.output().with_context(|| format!("cannot start {program}; `cargo xtask setup` installs it"))?;
    if !output.status.success() {
        bail!("{program} failed on {}: {}", folders::shown(from), String::from_utf8_lossy(&output.stderr).trim());
    }
    let dated = File::options().write(true).open(to).and_then(|file| file.set_modified(made));
    dated.with_context(|| format!("cannot date {}", to.display()))
}

/// Writes the bundle (resolved graph and the programs of its components) for securityd.
fn bundle(product: &Product, board: &str, programs: &[(String, PathBuf)], folder: &Path) -> Result<PathBuf> {
    let (graph, book) = caps::resolve(&product.name, board)?;
    storage::check(&graph)?;
    let stripped = folders::created(folder.join("components"))?;
    let mut files = Vec::new();
    for (name, program) in programs {
        let path = stripped.join(format!("{name}.elf"));
        strip(program, &path)?;
        files.push((name, std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?));
    }
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, file)| (name.as_str(), file.as_slice())).collect();
    let bundle = hybrid_capgraph::bundle_for(&graph, &book, &files).map_err(|problems| {
        anyhow!("the programs of {} cannot be bundled:\n{}", product.name, caps::list(&problems))
    })?;
    let path = folder.join("bundle");
    // Written only when it changes: securityd is built anew for each new bundle.
    if std::fs::read(&path).ok().as_deref() != Some(&bundle) {
        std::fs::write(&path, bundle).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(path)
}

fn check_board(board: &str) -> Result<()> {
    let folder = folders::checkout().join("kernel-config/boards");
    if folder.join(format!("{board}.toml")).exists() {
        return Ok(());
    }
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut boards: Vec<String> =
        entries.flatten().filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_string())).collect();
    boards.sort();
    bail!("there is no board {board:?}; this checkout has: {}", boards.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{Order, convert};
    use std::fs::{self, File};
    use std::time::{Duration, SystemTime};

    #[test]
    fn what_is_made_of_an_older_file_again_is_made_anew() {
        let folder = std::env::temp_dir().join(format!("hybrid-convert-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (from, to) = (folder.join("from"), folder.join("to"));
        let now = SystemTime::now();
        for (text, age) in [("new", 0), ("old", 100), ("old", 100), ("newest", 0)] {
            fs::write(&from, text).unwrap();
            let file = File::options().write(true).open(&from).unwrap();
            file.set_modified(now - Duration::from_secs(age)).unwrap();
            convert("cp", &[], &from, &to, Order::SourceFirst).unwrap();
            assert_eq!(fs::read_to_string(&to).unwrap(), text);
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
