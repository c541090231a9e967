//! `docs/guide/limits.md` has every limit of the options, every one that is fixed with its value, and names tests that exist.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace;

/// Where options are declared, and what the page puts in front of them.
const CONFIGS: [(&str, &str, &str); 4] = [
    ("crates/patera/src/config.rs", "pub struct Config {", ""),
    ("crates/patera/src/config.rs", "pub struct ConnectionStateRecovery {", ""),
    ("crates/patera-protocol/src/socketio/config.rs", "pub struct ConnectionConfig {", "protocol."),
    ("crates/patera-cluster/src/config.rs", "pub struct ClusterConfig {", "cluster."),
];

/// Options that bound nothing.
const CHOICES: [&str; 20] = [
    "path",
    "add_trailing_slash",
    "serve_client",
    "transports",
    "allow_eio3",
    "allow_upgrades",
    "cookie",
    "cors",
    "origins",
    "per_message_deflate",
    "http_compression",
    "initial_packet",
    "outbox_policy",
    "rate_policy",
    "cleanup_empty_child_namespaces",
    "parser",
    "protocol",
    "cluster",
    "connection_state_recovery",
    "skip_middlewares",
];

fn read(path: &str) -> String {
    fs::read_to_string(workspace::root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn page() -> String {
    read("docs/guide/limits.md")
}

/// The public fields of a struct, declared one a line.
fn fields(path: &str, start: &str) -> Vec<String> {
    let source = read(path);
    let (_, body) = source.split_once(start).unwrap_or_else(|| panic!("{path} has no {start}"));
    let (body, _) = body.split_once("\n}").expect("it ends");
    let lines = body.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':'));
    lines.map(|(name, _)| name.to_owned()).collect()
}

/// The cells of the tables' rows: limit, default or value, beyond it, shown by.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    rows.filter(|cells| !cells[0].starts_with("limit") && !cells[0].starts_with("constant")).collect()
}

/// The page up to the limits that are no options, and those.
fn parts(page: &str) -> (&str, &str) {
    let (options, rest) = page.split_once("## Fixed limits\n").expect("the section");
    (options, rest.split_once("\n## ").map_or(rest, |(fixed, _)| fixed))
}

/// A size or a number of things; a time is one in milliseconds.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    Count(u64),
    Milliseconds(u64),
}

impl Value {
    /// Of a constant: `64 << 10`, `Duration::from_secs(365 * 24 * 60 * 60)`.
    fn of_source(text: &str) -> Self {
        let number =
            |text: &str| text.replace('_', "").parse::<u64>().unwrap_or_else(|error| panic!("{text}: {error}"));
        let product = |text: &str| match text.split_once(" << ") {
            Some((value, by)) => number(value) << number(by),
            None => text.split(" * ").map(number).product(),
        };
        let time = |unit: &str| text.strip_prefix(unit)?.strip_suffix(')');
        match (time("Duration::from_secs("), time("Duration::from_millis(")) {
            (Some(seconds), _) => Value::Milliseconds(product(seconds) * 1000),
            (_, Some(milliseconds)) => Value::Milliseconds(product(milliseconds)),
            _ => Value::Count(product(text)),
        }
    }

    /// Of a cell: `64 KiB`, `365 days`.
    fn of_page(text: &str) -> Self {
        let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
        let number: u64 = number.replace(',', "").parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        match unit {
            "" | "bytes" => Value::Count(number),
            "KiB" => Value::Count(number << 10),
            "MiB" => Value::Count(number << 20),
            "ms" => Value::Milliseconds(number),
            "s" => Value::Milliseconds(number * 1000),
            "days" => Value::Milliseconds(number * 24 * 60 * 60 * 1000),
            unit => panic!("{text}: what is {unit}?"),
        }
    }
}

/// The constants of all files of options, by the name they have on the page, which says whose they are if they are not the server's.
fn constants() -> Vec<(String, Value)> {
    let mut constants = Vec::new();
    for path in configs(&workspace::root().join("crates")) {
        let path = path.strip_prefix(workspace::root()).expect("it is below");
        let owner = path.iter().nth(1).and_then(|owner| owner.to_str()).expect("a crate");
        let prefix = owner.strip_prefix("patera-").map(|owner| format!("{owner}::")).unwrap_or_default();
        let source = read(path.to_str().expect("a name of ours"));
        for line in source.lines().filter_map(|line| line.strip_prefix("pub(crate) const ")) {
            let (name, rest) = line.split_once(": ").expect("a type");
            let (_, value) = rest.split_once(" = ").expect("a value");
            constants.push((format!("{prefix}{name}"), Value::of_source(value.trim_end_matches(';'))));
        }
    }
    constants
}

/// All files of this name, in folders within each other too.
fn configs(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => configs(&path),
            false => Vec::from_iter(path.ends_with("config.rs").then_some(path)),
        })
        .collect()
}

/// What stands between backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_limit_has_its_row() {
    let page = page();
    let limits: Vec<&str> = rows(parts(&page).0).iter().flat_map(|cells| code(cells[0])).collect();
    let mut known = 0;
    for (path, start, prefix) in CONFIGS {
        let fields = fields(path, start);
        known += fields.len();
        let is_missing =
            |name: &&String| !CHOICES.contains(&name.as_str()) && !limits.contains(&&*format!("{prefix}{name}"));
        let missing: Vec<_> = fields.iter().filter(is_missing).collect();
        assert!(missing.is_empty(), "{path}: no row for {missing:?}");
    }
    assert!(known > 60, "only {known} options were found");
}

#[test]
fn every_row_names_a_limit_and_a_default() {
    let known: Vec<String> = CONFIGS
        .iter()
        .flat_map(|(path, start, prefix)| fields(path, start).into_iter().map(move |name| format!("{prefix}{name}")))
        .collect();
    let page = page();
    for cells in rows(parts(&page).0) {
        assert_eq!(cells.len(), 4, "{cells:?}");
        assert!(cells.iter().all(|cell| !cell.trim().is_empty()), "{cells:?}");
        for name in code(cells[0]) {
            assert!(known.iter().any(|known| known == name), "no option {name}");
        }
    }
}

#[test]
fn every_constant_has_its_row_with_its_value() {
    let page = page();
    let rows: Vec<(&str, Value)> = rows(parts(&page).1)
        .iter()
        .map(|cells| {
            assert!(cells.len() == 4 && cells.iter().all(|cell| !cell.trim().is_empty()), "{cells:?}");
            (code(cells[0]).next().expect("a name"), Value::of_page(cells[1]))
        })
        .collect();
    let constants = constants();
    assert!(constants.len() > 25, "only {} constants were found", constants.len());
    for (name, value) in &constants {
        let row = rows.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no row for {name}"));
        assert_eq!(row.1, *value, "{name}");
    }
    for (name, _) in &rows {
        assert!(constants.iter().any(|(known, _)| known == name), "no constant {name}");
    }
    assert_eq!(rows.len(), constants.len(), "each once");
}

#[test]
fn values_are_read_as_they_are_written() {
    let check = |source: &str, page: &str| assert_eq!(Value::of_source(source), Value::of_page(page), "{source}");
    check("65_536", "65,536");
    check("256 << 10", "256 KiB");
    check("128", "128 bytes");
    check("Duration::from_millis(50)", "50 ms");
    check("Duration::from_secs(365 * 24 * 60 * 60)", "365 days");
    assert_ne!(Value::of_source("5"), Value::of_page("5 ms"));
}

#[test]
fn every_row_names_tests_that_exist() {
    let page = page();
    for cells in rows(&page) {
        assert!(cells[3].contains("::"), "no test: {cells:?}");
        for (file, test) in code(cells[3]).filter_map(|name| name.split_once("::")) {
            let path =
                if file.contains('/') { format!("crates/{file}") } else { format!("crates/patera/tests/it/{file}.rs") };
            assert!(read(&path).contains(&format!("fn {test}(")), "{path} has no test {test}");
        }
    }
}
