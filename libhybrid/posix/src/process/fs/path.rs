//! Paths of programs as texts: absolute, without dots; and which of them lead to a directory that was granted.
//!
//! There are no links, so `..` is resolved as text and exactly ([decision 0142]): `a/../b` is `b`, also where there is no `a`.
//!
//! [decision 0142]: ../../../../../docs/decisions/0142-files-without-links-by-numbers.md
use crate::files::{NAME_MAX, PATH_MAX};
use crate::number::Errno;
use alloc::string::String;
use alloc::vec::Vec;

/// The most bytes of a path as a program gives it, and as it is kept.
pub(in crate::process) const TEXT_MAX: usize = 1024;

/// A path without dots, from the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::process) struct Absolute {
    /// `/`, or names with a `/` before each.
    pub(in crate::process) text: String,
    /// It was written as that of a directory: with `/`, `.` or `..` at its end.
    pub(in crate::process) is_directory: bool,
    /// The last name was `.`, or `..`.
    pub(in crate::process) is_dotted: bool,
}

impl Absolute {
    /// What `path` means from the directory `base`, which is one of these texts.
    ///
    /// # Errors
    /// `ENOENT` for an empty path, `ENAMETOOLONG`, `ENOMEM`.
    pub(in crate::process) fn new(base: &str, path: &str) -> Result<Self, Errno> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        let start = if path.starts_with('/') { "" } else { base };
        let mut text = String::new();
        text.try_reserve_exact(start.len() + path.len() + 2).map_err(|_| Errno::ENOMEM)?;
        for name in start.split('/').chain(path.split('/')) {
            match name {
                "" | "." => {}
                ".." => text.truncate(text.rfind('/').unwrap_or(0)),
                name if name.len() > NAME_MAX => return Err(Errno::ENAMETOOLONG),
                name => {
                    text.push('/');
                    text.push_str(name);
                }
            }
        }
        match text.len() {
            0 => text.push('/'),
            1..=TEXT_MAX => {}
            _ => return Err(Errno::ENAMETOOLONG),
        }
        let last = path.rsplit('/').next().unwrap_or_default();
        let is_dotted = matches!(last, "." | "..");
        Ok(Self { text, is_directory: last.is_empty() || is_dotted, is_dotted })
    }
}

/// What is below `outer`, if `inner` is it or below it: names without a `/` at the start.
pub(in crate::process) fn below<'a>(outer: &str, inner: &'a str) -> Option<&'a str> {
    match outer {
        "/" => inner.strip_prefix('/'),
        outer => match inner.strip_prefix(outer)? {
            "" => Some(""),
            rest => rest.strip_prefix('/'),
        },
    }
}

/// Which directory a path is in: the place of the longest mount point, and the path below it.
///
/// # Errors
/// `ENAMETOOLONG` if the server takes no such path.
pub(in crate::process) fn place<'a>(mounts: &[String], text: &'a str) -> Result<Option<(usize, &'a str)>, Errno> {
    let found = mounts.iter().enumerate().filter_map(|(place, mount)| Some((mount.len(), place, below(mount, text)?)));
    match found.max_by_key(|(length, ..)| *length) {
        Some((_, _, path)) if path.len() > PATH_MAX => Err(Errno::ENAMETOOLONG),
        found => Ok(found.map(|(_, place, path)| (place, path))),
    }
}

/// The names that a directory has for being on the way to mount points, each once.
pub(in crate::process) fn on_the_way<'a>(mounts: &'a [String], text: &str) -> Vec<&'a str> {
    let mut names: Vec<&str> = mounts.iter().filter_map(|mount| below(text, mount)).collect();
    names.retain(|rest| !rest.is_empty());
    names.iter_mut().for_each(|rest| *rest = rest.split('/').next().unwrap_or_default());
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn absolute(base: &str, path: &str) -> String {
        Absolute::new(base, path).expect("it is a path").text
    }

    #[test]
    fn path_is_resolved_from_its_base_without_dots() {
        for (base, path, expected) in [
            ("/", "a", "/a"),
            ("/a/b", "c", "/a/b/c"),
            ("/a/b", "/c", "/c"),
            ("/a/b", "../c/./d//e/", "/a/c/d/e"),
            ("/a", "../../../..", "/"),
            ("/a", ".", "/a"),
            ("/", "/", "/"),
            ("/a", "...", "/a/..."),
        ] {
            assert_eq!(absolute(base, path), expected, "{base} {path}");
        }
        assert_eq!(Absolute::new("/a", ""), Err(Errno::ENOENT));
        let long = "x".repeat(NAME_MAX + 1);
        assert_eq!(Absolute::new("/", &long), Err(Errno::ENAMETOOLONG));
        assert_eq!(Absolute::new("/", &"x/".repeat(TEXT_MAX / 2 + 1)), Err(Errno::ENAMETOOLONG));
    }

    #[test]
    fn path_that_ends_in_a_slash_or_dots_is_a_directorys() {
        let ends = |path| {
            let path = Absolute::new("/", path).expect("it is a path");
            (path.is_directory, path.is_dotted)
        };
        assert_eq!(
            ["a", "a/", "a/.", "a/..", "/"].map(ends),
            [(false, false), (true, false), (true, true), (true, true), (true, false)]
        );
    }

    #[test]
    fn place_is_that_of_the_longest_mount_point() {
        let mounts = ["/".into(), "/data".into(), "/data/deep".into()];
        let at = |text| place(&mounts, text).expect("it is short");
        assert_eq!(at("/database"), Some((0, "database")));
        assert_eq!((at("/data"), at("/data/x/y")), (Some((1, "")), Some((1, "x/y"))));
        assert_eq!((at("/data/deep/z"), at("/")), (Some((2, "z")), Some((0, ""))));
        assert_eq!(place(&mounts[1..], "/x"), Ok(None));
        assert_eq!(place(&mounts, &format!("/{}", "x/".repeat(PATH_MAX / 2 + 1))), Err(Errno::ENAMETOOLONG));
    }

    #[test]
    fn directories_on_the_way_have_the_names_of_mount_points() {
        let mounts = ["/var/data".into(), "/var/tmp".into(), "/z".into()];
        assert_eq!((on_the_way(&mounts, "/"), on_the_way(&mounts, "/var")), (vec!["var", "z"], vec!["data", "tmp"]));
        assert!(on_the_way(&mounts, "/var/data").is_empty() && on_the_way(&mounts, "/va").is_empty());
    }

    proptest! {
        #[test]
        fn path_of_any_names_has_no_way_out(base in "(/[a-c]{1,2}){1,3}", path in "([a-c./]{0,3}/){0,6}[a-c.]{0,3}") {
            if let Ok(resolved) = Absolute::new(&base, &path) {
                let inner = resolved.text.strip_prefix('/').expect("absolute");
                let is_fine = |name: &str| !matches!(name, "" | "." | "..");
                prop_assert!(inner.is_empty() || inner.split('/').all(is_fine), "{}", resolved.text);
                // What is resolved is its own meaning, and what it means does not depend on where it is asked.
                prop_assert_eq!(&absolute(&base, &resolved.text), &resolved.text);
            }
        }
    }
}
