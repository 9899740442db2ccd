//! The root of a suite that is one crate: its text without its attributes, and with the modules of one program.
//!
//! The attributes are not lost: who builds the program gives them to rustc (`xtask/src/others.rs`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The text of the root at `path`. Its modules in `here` are those of the program; others that the list knows (`elsewhere`) are left out. One that is none
/// of the root, since its authors compile it as a crate of its own, is at the end.
///
/// # Errors
/// There is no such file, it has a module that the list does not name, or an attribute of several lines.
pub(crate) fn text(path: &Path, here: &BTreeSet<String>, elsewhere: &BTreeSet<String>) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut left = here.clone();
    let mut result = String::new();
    // Attributes go with the item that they stand above.
    let mut above = Vec::new();
    for line in text.lines() {
        // Only the first lines of a crate may be such.
        if line.starts_with("#![") && !line.ends_with(']') {
            return Err(format!("{}: {line} does not end in its line", path.display()));
        } else if line.starts_with("#![") || line.starts_with("//!") {
            continue;
        } else if line.starts_with("#[") {
            above.push(line);
        } else if let Some(name) = file_module(line) {
            let above = above.drain(..).filter(|line| !line.starts_with("#[path")).chain([line]);
            if left.remove(name) {
                result.extend(above.map(|line| format!("{line}\n")));
            } else if !elsewhere.contains(name) {
                return Err(format!("{} has the module {name}, which the list does not name", path.display()));
            }
        } else {
            result.extend(above.drain(..).chain([line]).map(|line| format!("{line}\n")));
        }
    }
    result.extend(left.iter().map(|name| format!("mod {name};\n")));
    Ok(result)
}

/// Where the file of a module, and what is below it, must be found beside the root's text: links by their names. A `#[path]` would not do, since rustc looks
/// for the modules of a file that one names beside that file, and not in the folder of the file's name.
pub(crate) fn links(file: &Path) -> Vec<(String, PathBuf)> {
    let is_folders = file.file_stem().is_some_and(|stem| stem == "mod" || stem == "lib");
    let whole = if is_folders { file.parent().unwrap_or(file) } else { file };
    let below = (!is_folders).then(|| file.with_extension(""));
    let paths = std::iter::once(whole.to_path_buf()).chain(below).filter(|path| path.exists());
    paths.filter_map(|path| Some((path.file_name()?.to_str()?.to_string(), path))).collect()
}

/// The name of a module that is another file's, if the line says that there is one.
fn file_module(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub ")).unwrap_or(line);
    line.strip_prefix("mod ")?.strip_suffix(';')
}

#[cfg(test)]
mod tests {
    use super::{links, text};

    const ROOT: &str = "#![no_std]\n#![feature(a)]\n//! x\nextern crate alloc;\n#[cfg(b)]\nmod one;\nmod two;\n#[macro_use]\nmod inner {\n    mod three {}\n}\n\
        #[path = \"../far/mod.rs\"]\nmod far;\n";

    #[test]
    fn root_keeps_what_is_not_of_another_program() {
        let file = std::env::temp_dir().join(format!("others-lists-root-{}.rs", std::process::id()));
        std::fs::write(&file, ROOT).unwrap();
        let here = ["one", "far", "alone"].map(String::from).into();
        let (good, bad) = (text(&file, &here, &["two".into()].into()), text(&file, &here, &["alone".into()].into()));
        std::fs::write(&file, "#![feature(\n").unwrap();
        let open = text(&file, &here, &[].into());
        std::fs::remove_file(&file).unwrap();
        let expected = "extern crate alloc;\n#[cfg(b)]\nmod one;\n#[macro_use]\nmod inner {\n    mod three {}\n}\nmod far;\nmod alone;\n";
        assert_eq!(good.unwrap(), expected);
        assert!(bad.unwrap_err().contains("module two"));
        assert!(open.unwrap_err().contains("does not end"));
    }

    #[test]
    fn module_is_its_file_and_what_is_below_it() {
        let folder = std::env::temp_dir().join(format!("others-lists-links-{}", std::process::id()));
        for file in ["a.rs", "a/b.rs", "c/mod.rs", "d.rs"] {
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let names = ["a.rs", "c/mod.rs", "d.rs"].map(|file| {
            let links = links(&folder.join(file));
            assert!(links.iter().all(|(name, path)| *path == folder.join(name)));
            links.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
        });
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(names, ["a.rs a", "c", "d.rs"]);
    }
}
