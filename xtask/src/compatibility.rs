//! `docs/compatibility.md` is complete, and names tests that exist.

#![cfg(test)]

use std::fs;

use crate::workspace;

/// What stands between backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn read() -> String {
    fs::read_to_string(workspace::root().join("docs/compatibility.md")).expect("the table is there")
}

#[test]
fn every_feature_has_its_row() {
    let table = read();
    let mut missing: Vec<String> = (1..=50).map(|n| format!("S{n}")).chain((1..=39).map(|n| format!("E{n}"))).collect();
    missing.retain(|id| !table.contains(&format!("| {id} |")));
    assert!(missing.is_empty(), "no row: {missing:?}");
}

#[test]
fn every_test_it_names_exists() {
    let table = read();
    let tests = workspace::root().join("crates/patera/tests/it");
    let mut named = 0;
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'0'..=b'9'));
    let names = code(&table).filter_map(|name| name.split_once("::"));
    // Other paths of Rust: types, and the targets of `tracing`.
    let names = names.filter(|(file, test)| is_name(file) && is_name(test) && *file != "patera");
    for (file, test) in names {
        let path = tests.join(format!("{file}.rs"));
        let source = fs::read_to_string(&path).unwrap_or_else(|_| panic!("no file {}", path.display()));
        assert!(source.contains(&format!("fn {test}(")), "{file}.rs has no test {test}");
        named += 1;
    }
    assert!(named > 50, "the table names {named} tests");
    let conformance = workspace::root().join("conformance");
    for path in code(&table).filter(|name| name.ends_with(".mjs")) {
        assert!(conformance.join(path).is_file(), "no file conformance/{path}");
    }
}

#[test]
fn every_row_has_a_test_or_says_why_not() {
    let table = read();
    for row in table.lines().filter(|line| line.starts_with("| S") || line.starts_with("| E")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, _, _, here, shown_by, _] = cells[..] else { panic!("not four cells: {row}") };
        let excused = ["not yet", "not meant", "`tracing`"].iter().any(|why| here.contains(why));
        assert!(!shown_by.is_empty() || excused, "{row}");
    }
}
