//! `docs/guide/limits.md` has every limit of the options, and names tests that exist.

#![cfg(test)]

use std::fs;

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

/// The cells of the tables' rows: limit, default, beyond it, shown by.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    rows.filter(|cells| !cells[0].starts_with("limit")).collect()
}

/// What stands between backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_limit_has_its_row() {
    let page = page();
    let limits: Vec<&str> = rows(&page).iter().flat_map(|cells| code(cells[0])).collect();
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
    for cells in rows(&page) {
        assert_eq!(cells.len(), 4, "{cells:?}");
        assert!(cells.iter().all(|cell| !cell.trim().is_empty()), "{cells:?}");
        for name in code(cells[0]) {
            assert!(known.iter().any(|known| known == name), "no option {name}");
        }
    }
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
