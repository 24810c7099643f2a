//! What the disk is waited for, and what is not held up by it.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use chaski_log::disk::{Disk, RealDisk};

use super::*;

/// Syncs nothing until it is told to.
#[derive(Debug, Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn set(&self, open: bool) {
        *self.open.lock().expect("sound") = open;
        self.opened.notify_all();
    }
}

impl Disk for Gate {
    fn sync_data(&self, file: &File) -> io::Result<()> {
        let open = self.open.lock().expect("sound");
        // A test that fails must end: its broker flushes when it is dropped.
        let waited = self.opened.wait_timeout_while(open, PATIENCE / 4, |open| !*open);
        drop(waited.expect("sound"));
        RealDisk.sync_data(file)
    }
}

#[test]
fn durable_acknowledgements_wait_for_the_disk_and_hold_nobody_else_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = Arc::new(Gate::default());
    gate.set(true);
    let builder = Embedded::new().data_dir(dir.path().join("data")).disk(gate.clone());
    let server = broker(builder, dir.path());
    server.client().create_topic("t", Some(2), &[]).expect("created");
    let mut durable = producer(dir.path(), "t");
    let choices = choices(dir.path()).durability(Durability::PageCache);
    let mut cached = choices.connect(NAME, "t").expect("connected");

    gate.set(false);
    for i in 0..3 {
        durable.push(Record { partition: Some(i % 2), ..Record::of(b"durable") }).expect("taken");
        durable.send();
    }
    // Taken before those that are answered now, or the intake would be behind itself.
    for _ in 0..100 {
        cached.push(Record { partition: Some(1), ..Record::of(b"cached") }).expect("taken");
        cached.flush().expect("not held up");
    }
    assert_eq!((durable.next_ack(), durable.in_flight()), (None, 3));
    gate.set(true);
    let flushed = durable.flush().expect("on disk");
    assert_eq!(flushed.iter().map(|acked| acked.batch).collect::<Vec<_>>(), [0, 1, 2]);
    server.stop().expect("stopped");
}

/// Fails to sync from when it is told to.
#[derive(Debug, Default)]
struct Failing(AtomicBool);

impl Disk for Failing {
    fn sync_data(&self, file: &File) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(5));
        }
        RealDisk.sync_data(file)
    }
}

#[test]
fn what_a_disk_may_have_is_in_doubt_and_what_comes_later_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Arc::new(Failing::default());
    let builder = Embedded::new().data_dir(dir.path().join("data")).disk(disk.clone());
    let server = broker(builder, dir.path());
    server.client().create_topic("t", Some(1), &[]).expect("created");
    let mut t = producer(dir.path(), "t");
    let mut flushed = |value: &[u8]| {
        t.push(Record::of(value)).expect("taken");
        let flushed = t.flush();
        flushed.map(drop).map_err(|error| error.failed().next().expect("one").error.clone())
    };
    assert_eq!(flushed(b"good"), Ok(()));
    disk.0.store(true, Ordering::Relaxed);
    assert_eq!(flushed(b"written"), Err(ProduceError::InDoubt));
    let refused = flushed(b"refused").expect_err("nothing is written any more");
    assert!(matches!(refused, ProduceError::Storage(_)), "{refused:?}");
    assert!(!refused.may_be_stored() && ProduceError::InDoubt.may_be_stored());
}

#[test]
fn a_slow_disk_is_waited_for_as_long_as_was_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let gate = Arc::new(Gate::default());
    gate.set(true);
    let builder = Embedded::new().data_dir(dir.path().join("data")).disk(gate.clone());
    let server = broker(builder, dir.path());
    server.client().create_topic("t", Some(1), &[]).expect("created");
    let mut t = producer(dir.path(), "t");
    gate.set(false);
    t.push(Record::of(b"slow")).expect("taken");
    let slow = std::thread::spawn(move || {
        // Longer than any one wait within the producer, and all that it makes in a row.
        std::thread::sleep(Duration::from_secs(11));
        gate.set(true);
    });
    t.flush().expect("on disk in time");
    slow.join().expect("opened");
}

#[test]
fn a_broker_that_stops_answers_what_waits_for_the_disk() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = broker(Embedded::new().data_dir(dir.path().join("data")), dir.path());
    server.client().create_topic("t", Some(1), &[]).expect("created");
    let mut t = producer(dir.path(), "t");
    for i in 0..200 {
        t.push(Record::of(format!("{i}").as_bytes())).expect("taken");
        t.send();
    }
    server.stop().expect("stopped");
    let server = broker(Embedded::new().data_dir(dir.path().join("data")), dir.path());
    let flushed = t.flush().expect("answered before the end, or taken by the next");
    assert_eq!(flushed.iter().map(|acked| acked.count).sum::<usize>(), 200);
    let values = stored(&server.client(), "t", 0);
    let wanted: Vec<(i64, String)> = (0..200).map(|i| (i, i.to_string())).collect();
    assert_eq!(values, wanted, "each once, in order");
}
