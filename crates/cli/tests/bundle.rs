//! `chaski bundle`.

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use common::{Broker, Process, chaski, command, finish};
use flate2::read::GzDecoder;

/// A record that must not get out.
const RECORD: &str = "a-record-that-is-nobodys-business";

/// Every file in it, by its name.
fn unpacked(path: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(path).unwrap()));
    let entries = archive.entries().unwrap().map(Result::unwrap);
    entries
        .map(|mut entry| {
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (name.strip_prefix("chaski-bundle/").expect("one directory").to_owned(), text)
        })
        .collect()
}

#[test]
fn all_there_is_goes_in_without_secrets_and_records() {
    let broker = Broker::start();
    broker.feed(&["send", &broker.url("t"), "--key", RECORD], RECORD.as_bytes()).ok();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("chaski.toml");
    std::fs::write(&config, "num.partitions = 3\n[http]\ntoken = \"t0ps3cret\"\n").unwrap();
    let file = dir.path().join("b.tar.gz");
    let (file, config) = (file.as_path(), config.as_path());
    let paths = [file, config].map(|path| path.to_str().unwrap());
    // The broker says itself where its data is.
    let args = ["bundle", "--file", paths[0], "--config", paths[1]];
    let mut command = command(&[&args[..], &["-o", "json"]].concat());
    command.env("CHASKI_HTTP", &broker.http).env("CHASKI_HTTP_TOKEN", "t0ps3cret");
    let mut process = Process::start(&mut command);
    drop(process.stdin.take());
    let said = finish(process).ok();
    let bundled = said.json();
    assert_eq!(bundled["left_out"], serde_json::json!([]), "{bundled:#}");

    let files = unpacked(file);
    for part in bundled["parts"].as_array().unwrap() {
        let text = &files[part["name"].as_str().unwrap()];
        assert_eq!(part["bytes"], text.len());
    }
    assert!(files["metrics.txt"].contains("chaski_topics 1"));
    assert!(files["config.json"].contains("\"partitions\": 3"));
    assert!(files["log/files.jsonl"].contains("t-0/00000000000000000000.log"));
    assert!(files["log/batches.jsonl"].contains("\"records\":1"), "{files:?}");
    assert!(files["contents.json"].contains("log/batches.jsonl"));
    for (name, text) in &files {
        assert!(!text.contains("t0ps3cret"), "{name}: {text}");
        assert!(!text.contains(RECORD), "{name}: {text}");
    }
}

#[test]
fn what_is_not_to_be_had_is_said_and_the_rest_goes_in() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("b.tar.gz");
    let data = dir.path().join("none");
    let args = ["bundle", "--file", file.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let args = [&args[..], &["--http", "127.0.0.1:1"]].concat();
    let said = chaski(&args).ok();
    assert!(said.stdout.starts_with("FILE "), "{said:?}");
    for left_out in ["metrics.txt", "overview.json", "log/batches.jsonl", "look into it"] {
        assert!(said.stdout.contains(left_out), "{said:?}");
    }
    assert!(!said.stderr.contains('\r'), "progress without a terminal: {said:?}");
    assert!(unpacked(&file).contains_key("doctor.json"));
    // What is there already is kept.
    chaski(&args).fails(1, &["cannot write", "--file"]);
}
