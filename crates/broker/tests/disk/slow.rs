//! A disk that takes its time: what waits for it, and what does not.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use chaski_broker::client::ApiKey;
use chaski_broker::{Builder, Client, Server};
use chaski_kafka::{Message, Reader, Writer, heartbeat};
use chaski_log::disk::{Disk, RealDisk};
use tempfile::TempDir;

use super::PATIENCE;

/// Makes and renames directories only while nobody holds it.
#[derive(Debug, Default)]
struct GatedDisk {
    gate: Mutex<()>,
    /// Calls that have come to the gate.
    came: AtomicUsize,
}

impl GatedDisk {
    fn hold(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a call has come to the gate since there were so many.
    fn until_somebody_waits(&self, before: usize) {
        let patience = Instant::now() + PATIENCE;
        while self.came() == before {
            assert!(Instant::now() < patience, "nobody asks anything of the disk");
            thread::yield_now();
        }
    }

    fn came(&self) -> usize {
        self.came.load(Ordering::Acquire)
    }

    fn pass(&self) {
        self.came.fetch_add(1, Ordering::AcqRel);
        drop(self.hold());
    }
}

impl Disk for GatedDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.pass();
        RealDisk.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.pass();
        RealDisk.rename(from, to)
    }
}

fn on_a_gated_disk() -> (Server, Client, Arc<GatedDisk>, TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Arc::new(GatedDisk::default());
    let server = Builder::new().data_dir(dir.path()).disk(disk.clone()).start().expect("started");
    let client = server.client();
    (server, client, disk, dir)
}

/// A heartbeat; whether it was answered is all that matters.
fn beat(client: &Client) {
    let mut body = Writer::new();
    heartbeat::Request::default().encode(&mut body, 3);
    let answer = client.ask(ApiKey::Heartbeat, 3, body.into_parts().0).expect("answered");
    heartbeat::Response::decode(&mut Reader::new(&answer), 3).expect("an answer");
}

#[test]
fn heartbeats_do_not_wait_for_partitions_that_are_made_or_deleted() {
    let (_server, client, disk, _dir) = on_a_gated_disk();
    thread::scope(|scope| {
        let before = disk.came();
        let held = disk.hold();
        let making = scope.spawn(|| client.create_topic("t", Some(20), &[]));
        disk.until_somebody_waits(before);
        beat(&client);
        assert!(client.topic("t").is_none(), "not before it is whole");
        drop(held);
        assert_eq!(making.join().expect("no panic").expect("made").partitions(), 20);

        let before = disk.came();
        let held = disk.hold();
        let deleting = scope.spawn(|| client.delete_topic("t"));
        disk.until_somebody_waits(before);
        beat(&client);
        assert!(client.topic("t").is_none(), "hidden at once");
        drop(held);
        deleting.join().expect("no panic").expect("deleted");
    });
}

#[test]
fn a_broker_that_stops_finishes_the_change_under_way() {
    let (server, client, disk, dir) = on_a_gated_disk();
    thread::scope(|scope| {
        let before = disk.came();
        let held = disk.hold();
        let making = scope.spawn(|| client.create_topic("t", Some(5), &[]));
        disk.until_somebody_waits(before);
        let stopping = scope.spawn(|| server.stop());
        drop(held);
        stopping.join().expect("no panic").expect("stopped");
        // Whether it hears of it depends on who is quicker.
        let _ = making.join().expect("no panic");
    });
    let server = Builder::new().data_dir(dir.path()).start().expect("started");
    assert_eq!(server.client().topic("t").expect("made").partitions(), 5);
}
