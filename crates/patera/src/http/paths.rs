//! Which paths are ours.

use crate::config::Config;

/// `path` with a `/` behind it and all below; without `add_trailing_slash` the bare path too. Byte-exact, nothing is decoded.
pub(crate) struct Paths {
    bare: String,
    prefix: String,
    bare_too: bool,
}

impl Paths {
    pub(crate) fn new(config: &Config) -> Self {
        let bare = config.path.trim_end_matches('/').to_owned();
        Paths { prefix: format!("{bare}/"), bare, bare_too: !config.add_trailing_slash }
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        path.starts_with(&self.prefix) || (self.bare_too && path == self.bare)
    }

    /// What stands behind `path` and its `/`.
    #[cfg(feature = "serve-client")]
    pub(crate) fn below<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(configured: &str, add_trailing_slash: bool, path: &str, matches: bool) {
        let config = Config { path: configured.to_owned(), add_trailing_slash, ..Config::default() };
        assert_eq!(Paths::new(&config).matches(path), matches, "{configured} {path}");
    }

    #[test]
    fn a_path_matches_with_its_slash_and_below() {
        for path in ["/socket.io/", "/socket.io/anything"] {
            check("/socket.io", true, path, true);
            check("/socket.io/", true, path, true);
        }
        for path in ["/socket.io", "/socket.iox/", "//socket.io/", "/SOCKET.IO/", "/", "/%73ocket.io/"] {
            check("/socket.io", true, path, false);
        }
        check("/socket.io", false, "/socket.io", true);
        check("/socket.io", false, "/socket.iox", false);
    }
}
