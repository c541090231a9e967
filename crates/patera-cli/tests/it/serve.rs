//! `patera serve` with its default options, and what this program's other commands make of it.

use serde_json::{Value as Json, json};

use crate::support::{Demo, Folder, objects, patera, run};

#[test]
fn bench_measures_the_demo_server_as_it_is() {
    let server = Demo::start(&[]);
    let check = |scenario: &str| {
        let arguments = format!("bench {scenario} {} -c 4 -n 40 --warmup 0 --namespace /bench --json", server.url);
        let (out, error, code) = run(&mut patera(arguments.split_whitespace()));
        let report: Json = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{scenario}: {out}{error}"));
        assert_eq!((&report["errors"], code), (&json!({}), Some(0)), "{scenario}: {report}");
        for (name, expected) in [("operations", 40), ("lost", 0), ("duplicated", 0), ("reordered", 0)] {
            assert_eq!(report[name], expected, "{scenario}: {report}");
        }
    };
    for scenario in ["echo", "ack", "broadcast", "rooms", "polling", "churn"] {
        check(scenario);
        check(&format!("{scenario} --binary"));
    }
    check("connect");
}

#[test]
fn events_are_told_without_the_offset_of_recovery() {
    let (server, folder) = (Demo::start(&[]), Folder::new());
    let (out, error, code) = run(&mut patera(["connect", &server.url, "--json", "--linger", "1s"]));
    assert_eq!((error.as_str(), code), ("", Some(0)));
    let events = objects(&out);
    let news = events.iter().find(|event| event["event"] == "news").unwrap();
    assert_eq!(news["args"], json!([{"hello": "world"}]));
    let joined = events.iter().find(|event| event["event"] == "pub").unwrap();
    assert_eq!(joined["args"].as_array().map(Vec::len), Some(1), "{joined}");
    let script =
        folder.file("smoke.txt", "expect news {\"hello\":\"world\"}\nemit message text\nexpect message text\n");
    let mut command = patera(["connect", &server.url, "--script"]);
    let (out, error, code) = run(command.arg(script));
    assert_eq!((error.as_str(), code), ("", Some(0)), "{out}");
    assert!(out.contains("← news {\"hello\":\"world\"}\n"), "{out}");
}

#[test]
fn demo_adds() {
    let server = Demo::start(&[]);
    for (args, sum) in
        [(["1", "2"], "3\n"), (["0.5", "-1"], "-0.5\n"), (["9007199254740991", "0"], "9007199254740991\n")]
    {
        let arguments = ["emit", &server.url, "add", args[0], args[1], "--ack"];
        assert_eq!(run(&mut patera(arguments)), (sum.to_owned(), String::new(), Some(0)), "{args:?}");
    }
}
