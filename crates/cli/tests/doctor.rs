//! `chaski doctor`.

mod common;

use std::net::TcpListener;

use common::chaski;
use serde_json::Value;

/// Runs it with a directory of its own and ports that are free.
fn doctor(data: &str, more: &[&str]) -> common::Outcome {
    chaski(&[&["doctor", "--data", data, "--port", "127.0.0.1:0"], more].concat())
}

#[test]
fn every_finding_says_what_it_does_and_a_bad_one_what_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let looked = doctor(data, &["-o", "json"]);
    let findings = looked.json();
    let findings = findings.as_array().unwrap();
    for finding in findings {
        let text = |field: &str| finding[field].as_str().unwrap_or_default().to_owned();
        assert!(!text("what").is_empty() && !text("effect").is_empty(), "{finding}");
        let bad = ["warning", "error"].contains(&text("severity").as_str());
        assert!(!bad || finding["command"].is_string(), "{finding}");
    }
    let checks: Vec<&str> = findings.iter().filter_map(|found| found["check"].as_str()).collect();
    for check in ["open-files", "memlock", "io-uring", "clock", "disk-space", "flush", "port"] {
        assert!(checks.contains(&check), "{check}: {checks:?}");
    }
    let flush = findings.iter().find(|found| found["check"] == "flush").unwrap();
    assert!(flush["what"].as_str().unwrap().contains(" us"), "{flush}");
    let lines: Vec<Value> = doctor(data, &["-o", "jsonl"]).jsonl();
    assert_eq!(lines.len(), findings.len());
    assert_eq!(std::fs::read_dir(data).unwrap().count(), 0, "something was left behind");
}

#[test]
fn the_table_is_followed_by_what_is_to_be_done() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    let args = ["doctor", "--data", dir.path().to_str().unwrap(), "--port", &port];
    let said = chaski(&args);
    assert!(said.stdout.starts_with("STATE "), "{said:?}");
    assert!(said.stdout.contains(&format!("{port} is taken")), "{said:?}");
    assert!(said.stdout.contains("mend it: "), "{said:?}");
    assert!(!said.stderr.contains('\r'), "progress without a terminal: {said:?}");
}

#[test]
fn what_keeps_a_broker_from_working_is_a_failure() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let data = file.path().join("data");
    let failed = doctor(data.to_str().unwrap(), &["-o", "json"]);
    let failed = failed.fails(1, &["would keep a broker from working"]);
    let broken = |found: &&Value| found["severity"] == "error";
    assert_eq!(failed.json().as_array().unwrap().iter().find(broken).unwrap()["check"], "data");
}
