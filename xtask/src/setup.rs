//! `cargo xtask setup`: installs what the tests need, and does nothing where it is there already.
//!
//! Three things, each from a lock: Debian packages (Chromium, valgrind; only as root), npm packages by `package-lock.json`, two
//! Python environments by the hashes of `requirements.txt` and `requirements-4.txt`. Rust, Node and Python themselves must be there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    client,
    command::{Failure, Outcome, Program},
    workspace,
};

/// Installs what is missing.
pub(crate) fn run() -> Outcome {
    rust_tools()?;
    debian_packages()?;
    npm_packages(&workspace::conformance())?;
    npm_packages(&client::folder())?;
    python_environment(".venv", "requirements.txt")?;
    python_environment(".venv-4", "requirements-4.txt")
}

/// The Chromium to use: `CHROMIUM`, else the first of the usual names on the path.
pub(crate) fn chromium() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("CHROMIUM") {
        return Some(given.into());
    }
    ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|name| on_path(name))
}

/// Whether there is a program of this name.
pub(crate) fn is_on_path(name: &str) -> bool {
    on_path(name).is_some()
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn python_can(statement: &str) -> bool {
    Program::new("python3").args(["-c", statement]).output().is_some()
}

fn rust_tools() -> Outcome {
    for (tool, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if Program::cargo().args([tool, "--version"]).output().is_none() {
            return Err(Failure::own(format!("cargo {tool} is missing: `rustup component add {component}`")));
        }
    }
    for (program, what) in [("node", "Node.js 20 or later"), ("npm", "npm"), ("python3", "Python 3.10 or later")] {
        if on_path(program).is_none() {
            return Err(Failure::own(format!("{program} is missing: install {what}")));
        }
    }
    Ok(())
}

fn debian_packages() -> Outcome {
    let mut missing = Vec::new();
    if chromium().is_none() {
        missing.push("chromium");
    }
    if !is_on_path("valgrind") {
        missing.push("valgrind");
    }
    if !python_can("import venv, ensurepip") {
        missing.push("python3-venv");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if on_path("apt-get").is_none() {
        return Err(Failure::own(format!(
            "missing on this machine: {names}; install them, or set CHROMIUM to a browser"
        )));
    }
    if !is_root() {
        return Err(Failure::own(format!("missing: {names}; as root: `apt-get install {names}`")));
    }
    println!("setup: apt-get install {names}");
    // The emoji font comes along so that screenshots show what the tests send.
    apt_get(["update"])?;
    apt_get(["install", "--yes", "--no-install-recommends", "fonts-noto-color-emoji"].into_iter().chain(missing))
}

fn apt_get<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Outcome {
    let quiet = ["--quiet=2", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"];
    Program::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(quiet).args(arguments).run()
}

fn is_root() -> bool {
    Program::new("id").args(["-u"]).output().is_some_and(|text| text.trim() == "0")
}

/// Installs the npm packages of a folder by its lock.
pub(crate) fn npm_packages(folder: &Path) -> Outcome {
    let lock = folder.join("package-lock.json");
    let stamp = folder.join("node_modules/.installed");
    if is_installed(&lock, &stamp) {
        return Ok(());
    }
    println!("setup: npm ci in {}", folder.display());
    Program::new("npm").args(["ci", "--no-audit", "--no-fund"]).within(folder).run()?;
    mark_installed(&lock, &stamp)
}

/// A Python environment of the conformance tests, by the hashes of `requirements`: one for each generation of clients.
fn python_environment(environment: &str, requirements: &str) -> Outcome {
    let folder = workspace::conformance();
    let requirements = folder.join(requirements);
    let environment = folder.join(environment);
    let stamp = environment.join(".installed");
    if is_installed(&requirements, &stamp) {
        return Ok(());
    }
    println!("setup: Python packages in {}", environment.display());
    Program::new("python3").args(["-m", "venv", "--clear"]).args([&environment]).run()?;
    let pip = Program::new(environment.join("bin/pip"));
    let install = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement"];
    pip.args(install).args([&requirements]).run()?;
    mark_installed(&requirements, &stamp)
}

/// The stamp is a copy of the lock that was installed.
fn is_installed(lock: &Path, stamp: &Path) -> bool {
    matches!((fs::read(lock), fs::read(stamp)), (Ok(wanted), Ok(there)) if wanted == there)
}

fn mark_installed(lock: &Path, stamp: &Path) -> Outcome {
    fs::copy(lock, stamp).map(drop).map_err(Failure::io(stamp.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_lock_is_installed_again() {
        let folder = std::env::temp_dir().join(format!("xtask-setup-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the temporary folder is writable");
        let (lock, stamp) = (folder.join("lock"), folder.join("stamp"));
        fs::write(&lock, "one").expect("writable");
        assert!(!is_installed(&lock, &stamp), "without a stamp");
        mark_installed(&lock, &stamp).expect("writable");
        assert!(is_installed(&lock, &stamp), "with its own stamp");
        fs::write(&lock, "two").expect("writable");
        assert!(!is_installed(&lock, &stamp), "with another's stamp");
        fs::remove_dir_all(&folder).expect("it was made above");
    }

    #[test]
    fn lock_files_hold_no_registry_address() {
        for folder in [workspace::conformance(), client::folder(), workspace::root().join("bench/servers/node")] {
            let lock = fs::read_to_string(folder.join("package-lock.json")).expect("it is committed");
            assert!(!lock.contains("\"resolved\""), "make it with `npm install --omit-lockfile-registry-resolved`");
        }
    }
}
