//! The browser client, `packages/client-web`: built and tested by its own npm scripts.

use std::path::PathBuf;

use crate::{
    command::{Outcome, Program},
    workspace,
};

/// Where its sources are.
pub(crate) fn folder() -> PathBuf {
    workspace::root().join("packages/client-web")
}

/// Types, tests, and that the scripts in the server's crate are built from these sources, byte for byte.
pub(crate) fn test() -> Outcome {
    Program::new("npm").args(["test", "--silent"]).within(folder()).run()
}

/// Builds what Node loads, which is not committed.
pub(crate) fn build_package() -> Outcome {
    Program::new("node").args(["build.mjs", "--package"]).within(folder()).run()
}
