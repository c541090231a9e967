//! The dependency edges between our own crates: the whole graph, checked against `cargo metadata`.
//!
//! ```text
//! patera-cli ─▶ patera, patera-client, patera-cluster, patera-redis, patera-nats, patera-postgres
//! patera     ─▶ patera-cluster, patera-protocol, patera-websocket      patera-client ─▶ patera-protocol, patera-websocket
//! patera-redis | patera-nats | patera-postgres ─▶ patera-cluster ─▶ patera-protocol
//! patera-protocol, patera-websocket ─▶ nothing of ours      patera-macros: leaf, used by patera and patera-client
//! ```

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::workspace::Workspace;

/// Every package and what it may depend on of ours. A package that is not listed here is not allowed to exist.
const EDGES: [(&str, &[&str]); 16] = [
    ("patera-websocket", &[]),
    ("patera-protocol", &[]),
    ("patera-macros", &[]),
    ("patera-cluster", &["patera-protocol"]),
    ("patera", &["patera-cluster", "patera-protocol", "patera-websocket", "patera-macros"]),
    ("patera-client", &["patera-protocol", "patera-websocket", "patera-macros"]),
    ("patera-redis", &["patera-cluster"]),
    ("patera-nats", &["patera-cluster"]),
    ("patera-postgres", &["patera-cluster"]),
    (
        "patera-cli",
        &[
            "patera",
            "patera-client",
            "patera-cluster",
            "patera-redis",
            "patera-nats",
            "patera-postgres",
            // The load generator makes frames itself, or it would be what it measures: docs/decisions/0006.
            "patera-websocket",
        ],
    ),
    // What is not published stands outside the graph and uses what users use.
    ("conformance-server", &["patera"]),
    ("conformance-client", &["patera-client"]),
    // It looks inside, at every layer.
    ("fuzz-targets", &["patera", "patera-cluster", "patera-protocol", "patera-websocket"]),
    ("examples", &["patera", "patera-client"]),
    ("patera-examples", &["patera", "patera-client"]),
    ("xtask", &[]),
];

/// What a pure crate must not depend on, unless behind a feature: sockets, clocks, tasks, randomness.
const IMPURE: [&str; 8] = ["tokio", "rand", "getrandom", "hyper", "hyper-util", "mio", "socket2", "async-std"];

/// A dependency as `cargo metadata` lists it.
struct Dependency<'a> {
    name: &'a str,
    optional: bool,
}

/// Dependencies for tests are free: only what ships is an edge.
fn shipped(package: &Value) -> impl Iterator<Item = Dependency<'_>> {
    let all = package["dependencies"].as_array().into_iter().flatten();
    all.filter(|each| each["kind"] != "dev")
        .filter_map(|each| Some(Dependency { name: each["name"].as_str()?, optional: each["optional"] == true }))
}

fn name_of(package: &Value) -> &str {
    package["name"].as_str().expect("cargo metadata names every package")
}

#[test]
fn edges_between_our_crates_are_those_of_the_graph() {
    let workspace = Workspace::load().expect("cargo metadata works where cargo test runs");
    let allowed: BTreeMap<&str, &[&str]> = EDGES.into_iter().collect();
    let ours: BTreeSet<&str> = workspace.packages().map(name_of).collect();
    for package in workspace.packages() {
        let from = name_of(package);
        let to = allowed.get(from).unwrap_or_else(|| panic!("{from} is not in the graph of xtask/src/graph.rs"));
        for dependency in shipped(package).filter(|each| ours.contains(each.name)) {
            assert!(to.contains(&dependency.name), "{from} must not depend on {}", dependency.name);
        }
    }
}

#[test]
fn pure_crates_depend_on_no_socket_clock_or_randomness() {
    let workspace = Workspace::load().expect("cargo metadata works where cargo test runs");
    for package in workspace.packages() {
        if !["patera-protocol", "patera-websocket", "patera-cluster"].contains(&name_of(package)) {
            continue;
        }
        for dependency in shipped(package).filter(|each| !each.optional) {
            let impure = IMPURE.contains(&dependency.name);
            assert!(!impure, "{} is pure and must not depend on {}", name_of(package), dependency.name);
        }
    }
}

#[test]
fn published_crates_are_named_as_their_folders() {
    let workspace = Workspace::load().expect("cargo metadata works where cargo test runs");
    for package in workspace.packages() {
        let manifest = package["manifest_path"].as_str().expect("cargo metadata gives every manifest");
        let folder = std::path::Path::new(manifest).parent().and_then(|path| path.file_name());
        let is_published = package["publish"] != Value::Array(Vec::new());
        if is_published {
            assert_eq!(folder.and_then(|name| name.to_str()), Some(name_of(package)), "{manifest}");
        }
    }
}
