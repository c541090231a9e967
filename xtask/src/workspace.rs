//! Where things are: the root, the target directory, the packages, all by `cargo metadata`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::{Failure, Outcome, Program};

/// The workspace as `cargo metadata --no-deps` tells it.
pub(crate) struct Workspace {
    metadata: Value,
}

impl Workspace {
    /// Asks cargo about the workspace.
    pub(crate) fn load() -> Outcome<Self> {
        Self::load_from(root())
    }

    /// Asks cargo about the workspace of this folder.
    pub(crate) fn load_from(folder: &Path) -> Outcome<Self> {
        let arguments = ["metadata", "--no-deps", "--format-version", "1"];
        let text = Program::cargo().args(arguments).within(folder).output();
        let text = text.ok_or_else(|| Failure::own("`cargo metadata --no-deps` failed: run it to see why"))?;
        let metadata = serde_json::from_str(&text).map_err(|error| Failure::own(format!("cargo metadata: {error}")))?;
        Ok(Self { metadata })
    }

    /// The packages, as cargo describes them.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &Value> {
        self.metadata["packages"].as_array().into_iter().flatten()
    }

    /// Whether there is a package of this name.
    pub(crate) fn has(&self, package: &str) -> bool {
        self.packages().any(|each| each["name"] == package)
    }

    /// Where `cargo build` with this profile puts the program `name`.
    pub(crate) fn program(&self, profile: &str, name: &str) -> PathBuf {
        let target = self.metadata["target_directory"].as_str().unwrap_or("target");
        Path::new(target).join(profile).join(name)
    }

    /// A folder for what our commands write, inside the target directory.
    pub(crate) fn scratch(&self) -> Outcome<PathBuf> {
        let folder = self.program("xtask", "");
        std::fs::create_dir_all(&folder).map_err(Failure::io(folder.display()))?;
        Ok(folder)
    }
}

/// The workspace's root folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The folder of the conformance tests.
pub(crate) fn conformance() -> PathBuf {
    root().join("conformance")
}
