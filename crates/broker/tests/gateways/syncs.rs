//! A disk that takes its time to sync: intake goes on meanwhile, but not without bound.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chaski_broker::gateway::{Acks, GatewayKind};
use chaski_log::disk::Disk;
use chaski_zmq::Kind;

use super::*;

/// Batches that may be on their way to the disk.
const FLIGHTS_MAX: usize = 8;

/// Syncs end once they are let go.
#[derive(Debug, Default)]
struct SlowDisk {
    held: AtomicBool,
}

impl Disk for SlowDisk {
    fn sync_data(&self, _: &File) -> io::Result<()> {
        while self.held.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

/// Lets go of all syncs, also when a test fails: the broker waits for them.
struct Release(Arc<SlowDisk>);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.held.store(false, Ordering::Release);
    }
}

#[test]
fn intake_goes_on_while_batches_are_on_their_way_to_the_disk() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Arc::new(SlowDisk::default());
    let server = Builder::new().data_dir(dir.path()).disk(disk.clone()).start().expect("started");
    let client = server.client();
    let release = Release(disk.clone());
    let mut spec = bound(GatewayKind::Pull, "t");
    spec.acks = Acks::All;
    let push = socket(Kind::Push, &add(&client, spec));
    let send = |n: usize| {
        push.send(n.to_string()).expect("sent");
        push.flush();
    };
    send(0);
    eventually("it is stored", || status(&client).messages == 1);
    disk.held.store(true, Ordering::Release);
    for n in 1..=FLIGHTS_MAX {
        send(n);
        eventually("it is taken", || status(&client).lag == i64::try_from(n).ok());
    }
    for n in FLIGHTS_MAX + 1..30 {
        send(n);
        let status = status(&client);
        assert_eq!((status.lag, status.messages), (Some(FLIGHTS_MAX as i64), 1), "it is full");
    }
    drop(release);
    let values: Vec<String> = records(&client, "t", 30).into_iter().map(|r| r.2).collect();
    assert!(values.into_iter().eq(numbers(0..30)), "in order and once");
    eventually("all are counted", || status(&client).messages == 30);
    assert_eq!((status(&client).drops, status(&client).lag), (0, Some(0)));
}
