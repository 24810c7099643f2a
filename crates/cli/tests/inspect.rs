//! `chaski inspect`.

mod common;

use std::fs;

use common::{Broker, chaski};

/// A stopped broker's partition with three batches of two records each.
fn three_batches() -> (tempfile::TempDir, std::path::PathBuf) {
    let broker = Broker::start();
    for (codec, lines) in [("none", "a\nb\n"), ("lz4", "c\nd\n"), ("zstd", "e\nf\n")] {
        let args = ["send", &broker.url("t"), "--codec", codec, "--header", "h=1"];
        broker.feed(&args, lines.as_bytes()).ok();
    }
    let dir = broker.stop();
    let partition = dir.path().join("data/log/t-0");
    (dir, partition)
}

#[test]
fn a_segment_is_listed_batch_by_batch() {
    let (_dir, partition) = three_batches();
    let path = partition.join("00000000000000000000.log");
    let path = path.to_str().unwrap();
    let listed = chaski(&["inspect", "segment", path, "-o", "jsonl"]).ok();
    let batches: Vec<_> = listed.jsonl().into_iter().filter(|row| row["kind"] == "batch").collect();
    let codecs: Vec<_> = batches.iter().map(|row| row["codec"].as_str().unwrap()).collect();
    assert_eq!(codecs, ["none", "lz4", "zstd"]);
    let offsets: Vec<_> = batches.iter().map(|row| row["last_offset"].as_i64().unwrap()).collect();
    assert_eq!(offsets, [1, 3, 5]);
    assert!(listed.stderr.contains("1 segment, 3 batches, 6 records"), "{listed:?}");
    let table = chaski(&["inspect", "segment", path]).ok().stdout;
    assert!(table.starts_with("SEGMENT "), "{table}");
    assert_eq!(table.matches("  ok\n").count(), 3, "{table}");
}

#[test]
fn a_directory_is_listed_record_by_record() {
    let (dir, partition) = three_batches();
    let path = partition.to_str().unwrap();
    let records = chaski(&["inspect", "segment", path, "--records", "-o", "json"]).ok().json();
    let values: Vec<_> =
        records.as_array().unwrap().iter().map(|row| row["value"].as_str().unwrap()).collect();
    assert_eq!(values, ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(records[5]["offset"], 5);
    assert_eq!(records[0]["headers"], serde_json::json!([["h", "1"]]));
    // A directory above is pointed to what was meant.
    let data = dir.path().join("data");
    chaski(&["inspect", "segment", data.to_str().unwrap()]).fails(1, &["no segments", "t-0"]);
    chaski(&["inspect", "segment", "/no/such/path"]).fails(1, &["cannot read /no/such/path"]);
}

#[test]
fn damage_is_listed_where_it_lies() {
    let (_dir, partition) = three_batches();
    let path = partition.join("00000000000000000000.log");
    let args = ["inspect", "segment", path.to_str().unwrap(), "-o", "jsonl"];
    let whole = chaski(&args).ok().jsonl();
    let at = whole[1]["position"].as_u64().unwrap() as usize;
    let mut bytes = fs::read(&path).unwrap();
    bytes[at + 30] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let damaged = chaski(&args).fails(1, &["1 stretch damaged", "never serves"]);
    let rows = damaged.jsonl();
    assert_eq!((&rows[0]["kind"], &rows[2]["kind"]), (&"batch".into(), &"batch".into()));
    assert_eq!((&rows[1]["kind"], &rows[1]["position"]), (&"damage".into(), &whole[1]["position"]));
    assert!(rows[1]["error"].as_str().unwrap().contains("checksum"), "{rows:?}");

    // Nothing good is left behind the second batch: a torn end.
    fs::write(&path, &bytes[..at + 40]).unwrap();
    chaski(&args).fails(1, &["torn", "cuts"]);
}

#[test]
fn a_checkpoint_is_described_and_a_damaged_one_refused() {
    let (_dir, partition) = three_batches();
    let path = partition.join("checkpoint");
    let args = ["inspect", "segment", path.to_str().unwrap(), "-o", "json"];
    assert_eq!(chaski(&args).ok().json()["next_offset"], 6);
    fs::write(&path, b"not a checkpoint").unwrap();
    chaski(&args).fails(1, &["cannot read", "builds it anew"]);
}

#[test]
fn an_index_is_printed_and_other_files_are_not_taken_for_one() {
    let (_dir, partition) = three_batches();
    for name in ["00000000000000000000.index", "00000000000000000000.timeindex", "checkpoint"] {
        let path = partition.join(name);
        if path.exists() {
            let path = path.to_str().unwrap();
            chaski(&["inspect", "index", path, "-o", "json"]).ok().json();
            assert!(!chaski(&["inspect", "index", path]).ok().stdout.is_empty());
        }
    }
    let segment = partition.join("00000000000000000000.log");
    let said = ["not named as an index", "inspect segment"];
    chaski(&["inspect", "index", segment.to_str().unwrap()]).fails(2, &said);
}

#[test]
fn limits_are_listed_with_their_bounds() {
    let limits = chaski(&["inspect", "limits", "-o", "json"]).ok().json();
    let limits = limits.as_array().unwrap();
    let of = |name: &str| limits.iter().find(|limit| limit["limit"] == name).unwrap();
    let connections = of("max.connections");
    assert_eq!((&connections["value"], &connections["least"]), (&20_000.into(), &1.into()));
    assert_eq!(of("batch.inflated.bytes")["setting"], false);
    assert!(limits.iter().all(|limit| !limit["doc"].as_str().unwrap().is_empty()));
    let lines = chaski(&["inspect", "limits", "-o", "jsonl"]).ok().jsonl();
    assert_eq!(lines.len(), limits.len());
    let table = chaski(&["inspect", "limits"]).ok().stdout;
    assert!(table.starts_with("LIMIT "), "{table}");
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_dead_service_left_behind_is_seen_and_not_removed() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let services = dir.path().join("services");
    fs::create_dir(&services).unwrap();
    fs::set_permissions(&services, fs::Permissions::from_mode(0o700)).unwrap();
    let shown = services.to_str().unwrap();
    let url = format!("shm://x?dir={shown}");
    let process = common::Process::start(&mut common::command(&["recv", &url]));
    let state = || {
        let listed = chaski(&["inspect", "shm", "--dir", shown, "-o", "json"]).ok().json();
        let entries = listed.as_array().unwrap();
        let found = entries.iter().find(|entry| entry["name"] == "x");
        found.map(|entry| entry["state"].as_str().unwrap().to_owned())
    };
    let listens = (0..3_000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        state().as_deref() == Some("listening")
    });
    assert!(listens, "{:?}", state());
    process.kill();
    assert_eq!(state().as_deref(), Some("left behind"));
    let table = chaski(&["inspect", "shm", "--dir", shown]).ok().stdout;
    assert!(table.contains("directory") && table.contains("left behind"), "{table}");
    assert_eq!(state().as_deref(), Some("left behind"), "it was removed");
    chaski(&["inspect", "shm", "--dir", "/no/such"]).fails(1, &["cannot read", "--dir"]);
}
