//! What an image consists of, as its system.toml lists it; no authority.
use crate::cargo::Profile;
use crate::folders;
use crate::personality::Form;
use anyhow::{Context, Result, bail};
use hybrid_capgraph::Runtime;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// An image by its name.
pub(crate) struct Product {
    /// The folder below `images`.
    pub(crate) name: String,
    /// Its components, each once.
    pub(crate) components: Vec<Component>,
}

/// A component as a build must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Component {
    /// Relative to the checkout.
    pub(crate) folder: PathBuf,
    /// The folder's, and the Cargo package's if it has one.
    pub(crate) name: String,
    /// What its program runs on.
    pub(crate) runtime: Runtime,
    /// What a program on it is linked with.
    pub(crate) form: Form,
}

/// The part of component.toml that a build must know.
#[derive(Deserialize)]
struct ComponentText {
    component: ComponentHead,
    #[serde(default)]
    uses: Vec<Interface>,
    #[serde(default)]
    provides: Vec<Interface>,
}

#[derive(Deserialize)]
struct Interface {
    interface: String,
}

#[derive(Deserialize)]
struct ComponentHead {
    name: String,
    #[serde(default)]
    runtime: Runtime,
}

impl Component {
    fn read(folder: PathBuf) -> Result<Self> {
        let text: ComponentText = read_toml(&folders::checkout().join(&folder).join("component.toml"))?;
        let uses: Vec<&str> = text.uses.iter().map(|used| used.interface.as_str()).collect();
        let form = Form::of(&uses, !text.provides.is_empty());
        Ok(Self { folder, name: text.component.name, runtime: text.component.runtime, form })
    }
}

/// The part of system.toml that a build must know; the capability graph's crate reads and checks the whole text.
#[derive(Deserialize)]
struct System {
    product: Head,
    #[serde(default, rename = "instance")]
    instances: Vec<Instance>,
}

#[derive(Deserialize)]
struct Head {
    base: Option<String>,
}

#[derive(Deserialize)]
struct Instance {
    component: String,
}

#[derive(Deserialize)]
struct Manifest {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(default)]
    hybrid: Choices,
}

/// `[package.metadata.hybrid]`: how a program on `std` is built, which is no matter of authority.
#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choices {
    /// What a panic does.
    #[serde(default)]
    panic: Panics,
    /// It is a suite of tests that others wrote.
    pub(crate) tests: Option<Suite>,
}

/// Where tests that others wrote lie.
#[derive(Deserialize, Debug, PartialEq, Eq)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum Suite {
    /// A folder below `library` of the sources that belong to the toolchain, or the root there of a crate that all its tests are modules of.
    Library(PathBuf),
    /// A folder of a published crate, of the release that Cargo.lock has.
    Crate {
        /// The crate.
        #[serde(rename = "crate")]
        name: String,
        /// Where in it.
        folder: PathBuf,
    },
}

#[derive(Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "lowercase")]
enum Panics {
    #[default]
    Abort,
    Unwind,
}

impl Choices {
    /// How cargo builds it. Tests unwind: one that fails ends itself, not the others.
    pub(crate) fn profile(&self) -> Profile {
        match (&self.tests, self.panic) {
            (Some(_), _) => Profile::Tests,
            (None, Panics::Unwind) => Profile::Unwind,
            (None, Panics::Abort) => Profile::Abort,
        }
    }
}

impl Product {
    /// Reads `images/<name>/system.toml`.
    ///
    /// # Errors
    /// There is no such product (the text lists those there are), or its text is broken.
    pub(crate) fn load(name: &str) -> Result<Self> {
        let system = system(name)?;
        let base = system.product.base.as_deref().map(self::system).transpose()?;
        let instances = system.instances.into_iter().chain(base.into_iter().flat_map(|base| base.instances));
        let components: BTreeSet<PathBuf> = instances.map(|instance| instance.component.into()).collect();
        let components = components.into_iter().map(Component::read).collect::<Result<_>>()?;
        Ok(Self { name: name.into(), components })
    }
}

fn system(name: &str) -> Result<System> {
    let path = folders::checkout().join("images").join(name).join("system.toml");
    if !path.exists() {
        bail!("there is no product {name:?}; this checkout has: {}", names()?.join(", "));
    }
    read_toml(&path)
}

/// The names of all products.
///
/// # Errors
/// The folder `images` cannot be read.
pub(crate) fn names() -> Result<Vec<String>> {
    let folder = folders::checkout().join("images");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().join("system.toml").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

/// The name of the Cargo package in `folder` (relative to the checkout).
///
/// # Errors
/// There is no readable Cargo.toml.
pub(crate) fn package(folder: &Path) -> Result<String> {
    let manifest: Manifest = read_toml(&folders::checkout().join(folder).join("Cargo.toml"))?;
    Ok(manifest.package.name)
}

/// How the program on `std` in `folder` is to be built.
///
/// # Errors
/// There is no readable Cargo.toml, or its `[package.metadata.hybrid]` says something else than what is known.
pub(crate) fn choices(folder: &Path) -> Result<Choices> {
    let manifest: Manifest = read_toml(&folders::checkout().join(folder).join("Cargo.toml"))?;
    Ok(manifest.package.metadata.hybrid)
}

/// Reads a text of TOML.
///
/// # Errors
/// It cannot be read, or is no such text; the path is told.
pub(crate) fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", folders::shown(path)))?;
    toml::from_str(&text).with_context(|| format!("{} is not valid", folders::shown(path)))
}
