//! Paths as the interface has them: plain names, nothing that leads anywhere else.
use libhybrid::interfaces::fs::{Error, NAME_MAX, PATH_MAX};

/// A checked path: zero or more plain names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Path<'a>(&'a str);

impl<'a> Path<'a> {
    /// Checks `text`: `a/b/c`, or empty for the session's directory.
    pub(crate) fn new(text: &'a str) -> Result<Self, Error> {
        let is_fine = text.len() <= PATH_MAX && (text.is_empty() || text.split('/').all(is_name));
        if is_fine { Ok(Self(text)) } else { Err(Error::BadPath) }
    }

    pub(crate) fn names(self) -> impl Iterator<Item = &'a str> {
        self.0.split('/').filter(|name| !name.is_empty())
    }

    /// The directory's path and the name in it; nothing for the session's directory itself.
    pub(crate) fn split(self) -> Option<(Self, &'a str)> {
        match self.0.rsplit_once('/') {
            Some((directory, name)) => Some((Self(directory), name)),
            None if self.0.is_empty() => None,
            None => Some((Self(""), self.0)),
        }
    }
}

fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.len() <= NAME_MAX && !name.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_plain_names_or_refused() {
        fn names(text: &str) -> Result<Vec<&str>, Error> {
            Path::new(text).map(|path| path.names().collect())
        }
        assert_eq!((names(""), names("a"), names("a/b.c/ ")), (Ok(vec![]), Ok(vec!["a"]), Ok(vec!["a", "b.c", " "])));
        for text in
            ["/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a\0", "a/\0/b", &"x".repeat(NAME_MAX + 1)]
        {
            assert_eq!(names(text), Err(Error::BadPath), "{text:?}");
        }
        assert!(names(&"x".repeat(NAME_MAX)).is_ok() && names(&"a/".repeat(PATH_MAX / 2 + 1)).is_err());
        assert_eq!(names("...").as_deref(), Ok(&["..."][..]));
    }

    #[test]
    fn split_gives_directory_and_name() {
        let split = |text| Path::new(text).expect("fine").split().map(|(directory, name)| (directory.0, name));
        assert_eq!((split(""), split("a"), split("a/b/c")), (None, Some(("", "a")), Some(("a/b", "c"))));
    }
}
