//! Modules of Linux's kernel, each after those that it needs; loads none.
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A module of the kernel, without its compression.
pub(super) struct Module {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// The modules of these names among the kernel's files, and what they need, in the order in which they may be loaded. Each says itself what it
/// needs: a package that was never installed has no `modules.dep`.
///
/// # Errors
/// A module is missing or cannot be unpacked.
pub(super) fn ordered(files: &[PathBuf], wanted: &[&str]) -> Result<Vec<Module>> {
    let mut order = Vec::new();
    for name in wanted {
        add(name, &mut order, &mut Vec::new(), &|name| unpacked(files, name))?;
    }
    Ok(order)
}

/// Adds a module after what it needs, as often as others need it once; `above` are those that led to it.
fn add(
    name: &str,
    order: &mut Vec<Module>,
    above: &mut Vec<String>,
    read: &impl Fn(&str) -> Result<Vec<u8>>,
) -> Result<()> {
    if order.iter().any(|module| module.name == name) {
        return Ok(());
    }
    ensure!(!above.iter().any(|one| one == name), "the module {name} needs itself: {}", above.join(", "));
    let bytes = read(name)?;
    above.push(name.into());
    for needed in needs(&bytes).with_context(|| format!("the module {name} does not say what it needs"))? {
        add(&needed, order, above, read)?;
    }
    above.pop();
    order.push(Module { name: name.into(), bytes });
    Ok(())
}

/// The names behind `depends=` in a module's section `.modinfo`, whose texts end with NUL each.
fn needs(module: &[u8]) -> Option<Vec<String>> {
    const KEY: &[u8] = b"\0depends=";
    let at = module.windows(KEY.len()).position(|bytes| bytes == KEY)? + KEY.len();
    let text = module[at..].split(|byte| *byte == 0).next()?;
    let names = std::str::from_utf8(text).ok()?.split(',').filter(|name| !name.is_empty());
    Some(names.map(plain).collect())
}

/// A module's name: its file's may have hyphens in it where the kernel has underscores.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

fn unpacked(files: &[PathBuf], module: &str) -> Result<Vec<u8>> {
    let path = file_of(files, module).with_context(|| format!("the kernel has no module {module}"))?;
    if path.extension().is_some_and(|kind| kind == "ko") {
        return std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    }
    let output = Command::new("xz").arg("-dc").arg(path).output().context("cannot start xz")?;
    if output.status.success() { Ok(output.stdout) } else { bail!("{} cannot be unpacked", path.display()) }
}

/// The module's file, compressed or not.
fn file_of<'a>(files: &'a [PathBuf], module: &str) -> Option<&'a Path> {
    let is_it = |path: &&PathBuf| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        file.trim_end_matches(".xz").strip_suffix(".ko").is_some_and(|name| plain(name) == module)
    };
    files.iter().find(is_it).map(PathBuf::as_path)
}

#[cfg(test)]
mod tests {
    use super::{add, file_of, needs};
    use anyhow::{Context, Result};
    use std::path::{Path, PathBuf};

    /// The order for `wanted`, where each module needs what the text behind its name says.
    fn order(modules: &[(&str, &str)], wanted: &str) -> Result<Vec<String>> {
        let read = |name: &str| {
            let (_, needs) = modules.iter().find(|(one, _)| *one == name).context("no such module")?;
            Ok(format!("ELF\0license=GPL\0depends={needs}\0name={name}\0").into_bytes())
        };
        let mut order = Vec::new();
        add(wanted, &mut order, &mut Vec::new(), &read)?;
        Ok(order.into_iter().map(|module| module.name).collect())
    }

    #[test]
    fn modules_come_after_what_they_need_and_once() {
        let modules =
            [("ext4", "jbd2,mbcache,crc16"), ("jbd2", "crc16"), ("mbcache", ""), ("crc16", ""), ("other", "")];
        assert_eq!(order(&modules, "ext4").unwrap(), ["crc16", "jbd2", "mbcache", "ext4"]);
    }

    #[test]
    fn missing_modules_and_circles_are_refused() {
        assert!(order(&[("ext4", "jbd2")], "ext4").is_err());
        let refused = order(&[("a", "b"), ("b", "a")], "a").unwrap_err().to_string();
        assert!(refused.contains("needs itself"), "{refused}");
    }

    #[test]
    fn needs_are_read_from_their_own_text_only() {
        assert_eq!(needs(b"x\0softdep=pre: y\0depends=net-failover,z\0").unwrap(), ["net_failover", "z"]);
        assert_eq!(needs(b"x\0depends=\0name=a\0").unwrap(), Vec::<String>::new());
        assert_eq!(needs(b"x\0name=depends=a\0"), None);
        // A file that ends in the midst of the text, and one whose names are none.
        assert_eq!(needs(b"\0depends=a").unwrap(), ["a"]);
        assert_eq!(needs(b"\0depends=\xff\0"), None);
    }

    #[test]
    fn modules_are_found_by_their_kernels_names() {
        let files = ["m/xcrc32c.ko.xz", "m/crc32c-generic.ko.xz", "m/ext4.ko", "m/ext4.kobj"].map(PathBuf::from);
        assert_eq!(file_of(&files, "crc32c_generic"), Some(Path::new("m/crc32c-generic.ko.xz")));
        assert_eq!(file_of(&files, "ext4"), Some(Path::new("m/ext4.ko")));
        assert_eq!(file_of(&files, "crc32c"), None);
    }
}
