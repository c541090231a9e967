//! Where the lines that were typed are kept.

use std::env;
use std::path::PathBuf;

/// `patera/history` in the state folder of the XDG Base Directory specification, `~/.local/state` by default; `None` where
/// there is no home.
pub(super) fn path() -> Option<PathBuf> {
    path_from(|name| env::var_os(name).map(PathBuf::from))
}

fn path_from(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    // The specification: relative paths are to be ignored.
    let state = variable("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let state = state.or_else(|| Some(variable("HOME").filter(|path| path.is_absolute())?.join(".local/state")))?;
    Some(state.join("patera/history"))
}

/// Whether a line is kept: secrets are not.
pub(super) fn is_kept(line: &str) -> bool {
    let line = line.trim();
    let command =
        if line.starts_with('/') { line.split_once(' ').map_or("", |(_, command)| command.trim()) } else { line };
    !line.is_empty() && !command.starts_with("auth")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_in_the_state_folder() {
        let check = |state: Option<&str>, home: Option<&str>, expected: Option<&str>| {
            let variable = |name: &str| if name == "HOME" { home } else { state }.map(PathBuf::from);
            assert_eq!(path_from(variable), expected.map(PathBuf::from));
        };
        check(Some("/state"), Some("/home/ada"), Some("/state/patera/history"));
        check(Some("state"), Some("/home/ada"), Some("/home/ada/.local/state/patera/history"));
        check(None, Some("/home/ada"), Some("/home/ada/.local/state/patera/history"));
        check(None, None, None);
    }

    #[test]
    fn secrets_are_not_kept() {
        assert!(is_kept("emit auth x") && is_kept("/chat"));
        assert!(!is_kept("auth {}") && !is_kept(" /chat auth {}") && !is_kept("  "));
    }
}
