//! Golden texts by what people call them: an image, a file, a revision; compares nothing.
use crate::{folders, product};
use anyhow::{Context, Result, anyhow, bail};
use hybrid_capgraph::{Graph, Listing};
use std::path::Path;
use std::process::Command;

/// The image that a revision alone means.
const IMAGE: &str = "gateway";

/// An image of this checkout (resolved anew), a file, `REV` or `REV:IMAGE` (the golden file that was committed there).
///
/// # Errors
/// It is none of them, or its text is no golden text.
pub(super) fn listing(source: &str, resolve: impl Fn(&str) -> Result<Graph>) -> Result<Listing> {
    if product::names()?.iter().any(|name| name == source) {
        return parse(&hybrid_capgraph::golden(&resolve(source)?), source);
    }
    if Path::new(source).is_file() {
        return file(Path::new(source));
    }
    let (revision, image) = source.split_once(':').unwrap_or((source, IMAGE));
    // Neither may be taken for an option or for another path.
    let is_plain = |text: &str| !text.is_empty() && !text.starts_with('-') && !text.contains(':');
    if !is_plain(revision) || !is_plain(image) || image.contains('/') {
        bail!("{source:?} is no image, file or revision; write gateway, a path, HEAD~1 or HEAD~1:gateway");
    }
    let path = format!("{revision}:images/{image}/capgraph.golden");
    let output = Command::new("git")
        .current_dir(folders::checkout())
        .args(["show", "--end-of-options", &path])
        .output()
        .context("cannot start git, which knows the revisions")?;
    if !output.status.success() {
        let names = product::names()?.join(", ");
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("{source:?} is no image ({names}), no file, and git has no {path}: {why}");
    }
    parse(&String::from_utf8_lossy(&output.stdout), &path)
}

/// The lines of a file.
///
/// # Errors
/// It cannot be read, or is no listing.
pub(super) fn file(path: &Path) -> Result<Listing> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text, &path.display().to_string())
}

fn parse(text: &str, name: &str) -> Result<Listing> {
    Listing::parse(text).map_err(|error| anyhow!("{name} is no golden text: {error}"))
}
