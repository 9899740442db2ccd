//! Which provider serves which path; no access decision.

use crate::limits::{ENDPOINTS_PER_SESSION, PATH_MAX};
use alloc::string::String;
use alloc::vec::Vec;
use hybrid_interfaces::provider::{ENDPOINT_MAX, Error};

/// The registered endpoints, longest first.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    endpoint: String,
    session: usize,
}

impl Routes {
    /// Registers `endpoint` for `session`; again is no error.
    ///
    /// # Errors
    /// `BadEndpoint` unless it is "/" or "/a/b" with plain, normalised segments; `EndpointInUse` by another session; `NoRoom` beyond
    /// `ENDPOINTS_PER_SESSION`.
    pub(crate) fn register(&mut self, session: usize, endpoint: &str) -> Result<(), Error> {
        if !is_endpoint(endpoint) {
            return Err(Error::BadEndpoint);
        }
        match self.entries.iter().find(|entry| entry.endpoint == endpoint) {
            Some(entry) if entry.session == session => return Ok(()),
            Some(_) => return Err(Error::EndpointInUse),
            None => {}
        }
        if self.entries.iter().filter(|entry| entry.session == session).count() >= ENDPOINTS_PER_SESSION {
            return Err(Error::NoRoom);
        }
        let place = self.entries.partition_point(|entry| entry.endpoint.len() >= endpoint.len());
        self.entries.insert(place, Entry { endpoint: endpoint.into(), session });
        Ok(())
    }

    /// Who has registered exactly this endpoint.
    pub(crate) fn owner(&self, endpoint: &str) -> Option<usize> {
        self.entries.iter().find(|entry| entry.endpoint == endpoint).map(|entry| entry.session)
    }

    /// Takes one endpoint of `session` away; one that it has not is no error.
    pub(crate) fn unregister(&mut self, session: usize, endpoint: &str) {
        self.entries.retain(|entry| entry.session != session || entry.endpoint != endpoint);
    }

    /// Takes all endpoints of `session` away.
    pub(crate) fn unregister_all(&mut self, session: usize) {
        self.entries.retain(|entry| entry.session != session);
    }

    /// The session for a normalised path, its endpoint, and the path below the endpoint.
    pub(crate) fn find<'a>(&'a self, path: &'a str) -> Option<(usize, &'a str, &'a str)> {
        self.entries
            .iter()
            .find_map(|entry| Some((entry.session, entry.endpoint.as_str(), below(&entry.endpoint, path)?)))
    }
}

/// The rest of `path` below `endpoint`, starting with '/'.
fn below<'a>(endpoint: &str, path: &'a str) -> Option<&'a str> {
    if endpoint == "/" {
        return path.starts_with('/').then_some(path);
    }
    match path.strip_prefix(endpoint)? {
        "" => Some("/"),
        rest => rest.starts_with('/').then_some(rest),
    }
}

fn is_endpoint(endpoint: &str) -> bool {
    let is_segment = |segment: &str| {
        !segment.is_empty()
            && segment != "."
            && segment != ".."
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    endpoint.len() <= ENDPOINT_MAX.min(PATH_MAX)
        && (endpoint == "/" || endpoint.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment)))
}

#[cfg(test)]
mod tests {
    use super::Routes;
    use hybrid_interfaces::provider::Error;

    #[test]
    fn routes_longest_match_on_segments() {
        let mut routes = Routes::default();
        for (session, endpoint) in [(0, "/"), (1, "/lamp"), (2, "/lamp/red"), (1, "/api")] {
            routes.register(session, endpoint).expect(endpoint);
        }
        for (path, expected) in [
            ("/", (0, "/", "/")),
            ("/x", (0, "/", "/x")),
            ("/lamp", (1, "/lamp", "/")),
            ("/lamp/", (1, "/lamp", "/")),
            ("/lamp/on", (1, "/lamp", "/on")),
            ("/lamps", (0, "/", "/lamps")),
            ("/lamp/red", (2, "/lamp/red", "/")),
            ("/lamp/red/x", (2, "/lamp/red", "/x")),
            ("/lamp/redder", (1, "/lamp", "/redder")),
        ] {
            assert_eq!(routes.find(path), Some(expected), "{path}");
        }
        routes.unregister(2, "/lamp");
        routes.unregister(0, "/");
        assert_eq!(routes.find("/x"), None);
        routes.unregister_all(1);
        assert_eq!(routes.find("/lamp"), None);
        assert!(routes.find("/lamp/red").is_some());
    }

    #[test]
    fn routes_refusals() {
        let mut routes = Routes::default();
        for bad in [
            "",
            "x",
            "//",
            "/a/",
            "/a//b",
            "/..",
            "/a/./b",
            "/a b",
            "/%41",
            "/ü",
            "/a?b",
            &format!("/{}", "a".repeat(64)),
        ] {
            assert_eq!(routes.register(0, bad), Err(Error::BadEndpoint), "{bad}");
        }
        assert_eq!(routes.register(0, "/a"), Ok(()));
        assert_eq!(routes.register(0, "/a"), Ok(()));
        assert_eq!(routes.register(1, "/a"), Err(Error::EndpointInUse));
        for number in 1..8 {
            assert_eq!(routes.register(0, &format!("/{number}")), Ok(()));
        }
        assert_eq!(routes.register(0, "/more"), Err(Error::NoRoom));
    }
}
