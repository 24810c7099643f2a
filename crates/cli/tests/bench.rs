//! `chaski bench`: small runs, of which no figure is judged.

mod common;

use common::chaski;
use serde_json::Value;

/// Runs that are over at once.
const SMALL: [&str; 4] = ["--messages", "500", "--rounds", "2"];

fn names(rows: &Value, key: &str) -> Vec<String> {
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row[key].as_str().unwrap().to_owned()).filter(|name| name != "limit").collect()
}

#[test]
fn every_channel_is_measured() {
    let report = chaski(&[&["bench", "channel", "-o", "json"][..], &SMALL].concat()).ok().json();
    assert!(report["machine"]["cpus"].as_u64().unwrap() > 0);
    assert_eq!(report["wait"], "adaptive");
    let kinds = ["spsc", "fan-in", "mpsc", "mpmc"];
    assert_eq!(names(&report["throughput"], "who"), kinds);
    assert_eq!(names(&report["round_trip"], "who"), kinds);
    for row in report["throughput"].as_array().unwrap() {
        assert!(row["ns_per_message"].as_f64().unwrap() > 0.0, "{row}");
        assert_eq!(row["size_bytes"], 8);
    }
    for row in report["round_trip"].as_array().unwrap() {
        assert_eq!(row["samples"], 1000, "500 laps in each of 2 rounds");
        let percentile = |name: &str| row[name].as_u64().unwrap();
        assert!(percentile("p50_ns") <= percentile("p99_ns"), "{row}");
        assert!(percentile("p99_9_ns") <= percentile("max_ns"), "{row}");
    }
}

#[test]
fn a_channel_is_measured_as_it_was_asked_for() {
    let asked = "bench channel --kind mpmc --size 64 --producers 3 --consumers 2 --batch 16 \
                 --capacity 32 --wait park --no-pin -o jsonl";
    let args: Vec<&str> = asked.split_whitespace().chain(SMALL).collect();
    let reports = chaski(&args).ok().jsonl();
    let [report] = &reports[..] else { panic!("one line: {reports:?}") };
    let row = report["throughput"].as_array().unwrap().last().unwrap();
    let expected =
        [("producers", 3), ("consumers", 2), ("size_bytes", 64), ("batch", 16), ("capacity", 32)];
    assert_eq!((&row["who"], &row["pinned"]), (&"mpmc".into(), &false.into()));
    expected.iter().for_each(|(key, value)| assert_eq!(row[key], *value, "{key}"));
    assert_eq!(report["wait"], "park");
}

#[test]
fn people_get_tables() {
    let table = chaski(&[&["bench", "channel", "--kind", "spsc"][..], &SMALL].concat()).ok();
    for part in ["CHANNEL  THREADS", "\nspsc     1 to 1", "P99.9 NS", "2 rounds"] {
        assert!(table.stdout.contains(part), "`{part}` is missing: {table:?}");
    }
    assert_eq!(table.stderr, "", "no progress without a terminal");
}

#[test]
fn a_channel_with_one_end_has_one() {
    let spsc = ["bench", "channel", "--kind", "spsc", "--producers", "2"];
    chaski(&spsc).fails(2, &["spsc has one producer", "--kind mpmc"]);
    let mpsc = ["bench", "channel", "--kind", "mpsc", "--consumers", "2"];
    chaski(&mpsc).fails(2, &["mpsc has one consumer"]);
    chaski(&["bench", "channel", "--seconds", "0"]).fails(2, &["0.001"]);
}

#[test]
fn a_pool_is_measured_by_its_workers() {
    let args = "bench pool --workers 3 --work-ns 10 --partitioner hash -o json";
    let args: Vec<&str> =
        args.split_whitespace().chain(["--messages", "200", "--rounds", "1"]).collect();
    let report = chaski(&args).ok().json();
    let rows = report["throughput"].as_array().unwrap();
    let workers: Vec<_> = rows.iter().map(|row| row["workers"].as_u64().unwrap()).collect();
    assert_eq!(workers, [1, 2, 3]);
    assert_eq!(rows[0]["speedup"], 1.0);
    assert!(rows.iter().all(|row| row["limit_speedup"].as_f64().unwrap() > 0.0));
    assert_eq!(report["partitioner"], "hash");
    assert_eq!(names(&report["idle_wake"], "who"), ["pool"]);
    assert_eq!(report["idle_wake"][1]["samples"], 200);
}

#[test]
fn only_the_latency_of_a_pool() {
    let args = ["bench", "pool", "--idle", "--messages", "50", "--rounds", "1"];
    let table = chaski(&args).ok().stdout;
    assert!(table.contains("\npool "), "{table}");
    assert!(!table.contains("WORKERS"), "{table}");
}

#[test]
#[cfg(target_os = "linux")]
fn two_processes_are_measured() {
    let args = "bench shm --size 256 --batch 16 --ring 16384 --wait block --no-pin -o json";
    let args: Vec<&str> = args.split_whitespace().chain(SMALL).collect();
    let report = chaski(&args).ok().json();
    assert_eq!((&report["size_bytes"], &report["wait"]), (&256.into(), &"block".into()));
    assert_eq!(names(&report["round_trip"], "who"), ["shm"]);
    assert_eq!(names(&report["stream"], "who"), ["shm"]);
    let last = |rows: &Value| rows.as_array().unwrap().last().unwrap().clone();
    assert_eq!(last(&report["round_trip"])["samples"], 1000, "500 laps in each of 2 rounds");
    assert!(last(&report["stream"])["ns_per_message"].as_f64().unwrap() > 0.0);
    let table = chaski(&[&["bench", "shm"][..], &SMALL].concat()).ok().stdout;
    assert!(table.contains("Round trip between two processes\nWHO "), "{table}");
    chaski(&["bench", "shm", "--ring", "5000"]).fails(2, &["a power of two"]);
}

#[test]
#[cfg(target_os = "linux")]
fn sockets_are_measured() {
    let args: Vec<&str> = "bench zmq --size 256 --batch 16 --no-pin -o json"
        .split_whitespace()
        .chain(SMALL)
        .collect();
    let report = chaski(&args).ok().json();
    assert_eq!((&report["size_bytes"], &report["transport"]), (&256.into(), &"tcp".into()));
    for part in ["round_trip", "stream"] {
        assert_eq!(names(&report[part], "who"), ["zmq"]);
    }
    assert_eq!(report["round_trip"][1]["samples"], 1000, "500 laps in each of 2 rounds");
    assert!(report["stream"][1]["ns_per_message"].as_f64().unwrap() > 0.0);
    let table = chaski(&[&["bench", "zmq"][..], &SMALL].concat()).ok().stdout;
    assert!(table.contains("Stream from PUSH to PULL"), "{table}");
}
