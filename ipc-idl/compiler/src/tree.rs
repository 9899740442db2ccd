//! The texts and golden summaries in a checkout: what `cargo xtask idl` and build scripts call.
use crate::diagnostic::{Diagnostics, Source};
use crate::info::InterfaceInfo;
use crate::summary::{Change, changes};
use crate::{Compilation, compile};
use std::fmt;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Folder of the golden summaries below the IDL root.
const API: &str = "api";
/// Folders below the IDL root that hold no texts of the system.
const OTHER: [&str; 2] = [API, "compiler"];

/// Why the texts of a checkout cannot be used.
#[derive(Debug)]
pub enum Error {
    /// A file cannot be read or written.
    Io(PathBuf, io::Error),
    /// Texts break rules.
    Rules(Diagnostics),
    /// A text is not where its library's name says.
    Place {
        /// The text's path below the root.
        found: String,
        /// Where it belongs.
        wanted: String,
    },
    /// Golden summaries differ from the texts; library and its changes.
    Golden(Vec<(String, Vec<Change>)>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Rules(diagnostics) => write!(f, "{diagnostics}"),
            Self::Place { found, wanted } => {
                write!(f, "{found}: by the name of its library this text belongs to {wanted}")
            }
            Self::Golden(list) => golden(f, list),
        }
    }
}

fn golden(f: &mut fmt::Formatter<'_>, list: &[(String, Vec<Change>)]) -> fmt::Result {
    for (library, changes) in list {
        writeln!(f, "{library}: the interface is not the one in ipc-idl/{API}/{library}.txt")?;
        for change in changes {
            match change {
                Change::Added(line) => writeln!(f, "  + {line}")?,
                Change::Broken(line) => writeln!(
                    f,
                    "  - {line}   (an ordinal's meaning never changes: add a new one, or raise the library's version)"
                )?,
            }
        }
    }
    write!(f, "`cargo xtask idl bless` writes the summaries anew")
}

impl std::error::Error for Error {}

/// All texts below the IDL root, by name.
///
/// # Errors
/// A folder or file cannot be read.
pub fn sources(root: &Path) -> Result<Vec<Source>, Error> {
    let mut paths = Vec::new();
    for entry in entries(root)? {
        let is_other = OTHER.iter().any(|other| entry == root.join(other));
        if entry.is_dir() && !is_other {
            paths.extend(entries(&entry)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "idl")));
        }
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).map_err(|error| Error::Io(path.clone(), error))?;
        let below = path.strip_prefix(root).unwrap_or(&path);
        Ok(Source { name: below.to_string_lossy().replace('\\', "/"), text })
    };
    paths.into_iter().map(read).collect()
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |error| Error::Io(folder.to_owned(), error);
    let list: Result<Vec<_>, _> = fs::read_dir(folder).map_err(failed)?.map(|entry| entry.map(|e| e.path())).collect();
    let mut list = list.map_err(failed)?;
    list.sort();
    Ok(list)
}

fn compiled(root: &Path) -> Result<Compilation, Error> {
    let sources = sources(root)?;
    let names: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
    let compilation = compile(sources).map_err(Error::Rules)?;
    for (library, found) in compilation.world.libraries.iter().zip(names) {
        let wanted = place(&library.name);
        if found != wanted {
            return Err(Error::Place { found, wanted });
        }
    }
    Ok(compilation)
}

/// "hybrid.net.stack" stands in "net/stack.idl", "hybrid.log" in "log/log.idl".
fn place(library: &str) -> String {
    let path: Vec<&str> = library.split('.').skip(1).collect();
    match path.as_slice() {
        [one] => format!("{one}/{one}.idl"),
        parts => format!("{}.idl", parts.join("/")),
    }
}

/// The Rust module of all interfaces of the checkout.
///
/// # Errors
/// See [`Error`].
pub fn generate(root: &Path) -> Result<String, Error> {
    Ok(compiled(root)?.rust())
}

/// All interfaces of the checkout as one Markdown page.
///
/// # Errors
/// See [`Error`].
pub fn document(root: &Path) -> Result<String, Error> {
    Ok(compiled(root)?.document())
}

/// What the capability graph needs to know of every interface, by name.
///
/// # Errors
/// See [`Error`].
pub fn interfaces(root: &Path) -> Result<Vec<InterfaceInfo>, Error> {
    Ok(compiled(root)?.interfaces())
}

/// What the capability graph needs to know of one interface; `None` if there is none of this name.
///
/// # Errors
/// See [`Error`].
pub fn interface(root: &Path, name: &str) -> Result<Option<InterfaceInfo>, Error> {
    Ok(interfaces(root)?.into_iter().find(|interface| interface.name == name))
}

/// Name and present summary of every library.
///
/// # Errors
/// See [`Error`].
pub fn summaries(root: &Path) -> Result<Vec<(String, String)>, Error> {
    Ok(compiled(root)?.summaries())
}

/// Checks all texts, and that the golden summaries are theirs.
///
/// # Errors
/// See [`Error`].
pub fn check_all(root: &Path) -> Result<(), Error> {
    let present = summaries(root)?;
    let mut differing = Vec::new();
    for (library, summary) in &present {
        let committed = fs::read_to_string(golden_path(root, library)).unwrap_or_default();
        if committed != *summary {
            differing.push((library.clone(), changes(&committed, summary)));
        }
    }
    for library in committed_libraries(root)? {
        if !present.iter().any(|(name, _)| *name == library) {
            differing.push((library, vec![Change::Broken("the library is gone".to_owned())]));
        }
    }
    if differing.is_empty() { Ok(()) } else { Err(Error::Golden(differing)) }
}

/// Writes the golden summaries anew. Returns the libraries whose summary changed.
///
/// # Errors
/// [`Error::Golden`], and nothing is written, if an ordinal's meaning changed without a new version of its library.
pub fn bless(root: &Path) -> Result<Vec<String>, Error> {
    let (mut broken, mut written) = (Vec::new(), Vec::new());
    let present = summaries(root)?;
    for (library, summary) in &present {
        let committed = fs::read_to_string(golden_path(root, library)).unwrap_or_default();
        let changes = changes(&committed, summary);
        if changes.iter().any(|change| matches!(change, Change::Broken(_))) {
            broken.push((library.clone(), changes));
        } else if committed != *summary {
            written.push((library.clone(), summary));
        }
    }
    if !broken.is_empty() {
        return Err(Error::Golden(broken));
    }
    for (library, summary) in &written {
        let path = golden_path(root, library);
        fs::write(&path, summary).map_err(|error| Error::Io(path, error))?;
    }
    Ok(written.into_iter().map(|(library, _)| library).collect())
}

fn golden_path(root: &Path, library: &str) -> PathBuf {
    root.join(API).join(format!("{library}.txt"))
}

fn committed_libraries(root: &Path) -> Result<Vec<String>, Error> {
    let names = entries(&root.join(API))?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "txt"));
    Ok(names.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect())
}
