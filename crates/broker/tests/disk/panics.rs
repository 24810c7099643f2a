//! A fault of ours in a change of topics: the broker fails as a whole, and says where.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use chaski_broker::Builder;
use chaski_broker::client::ClientError;
use chaski_log::disk::{Disk, RealDisk};

use super::PATIENCE;

#[derive(Debug, Default)]
struct PanickingDisk(AtomicBool);

impl Disk for PanickingDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        assert!(!self.0.load(Ordering::Relaxed), "the test wants this panic");
        RealDisk.create_dir(path)
    }
}

#[test]
fn a_panic_over_partitions_fails_the_broker_and_leaves_nobody_waiting() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Arc::new(PanickingDisk::default());
    let server = Builder::new().data_dir(dir.path()).disk(disk.clone()).start().expect("started");
    let (tell, told) = mpsc::channel();
    server.when_failed(move |why| tell.send(why.to_owned()).expect("somebody listens"));
    disk.0.store(true, Ordering::Relaxed);
    let made = server.client().create_topic("t", Some(1), &[]);
    assert_eq!(made.expect_err("nobody makes it"), ClientError::Stopped);
    let why = told.recv_timeout(PATIENCE).expect("told");
    assert_eq!(why, "thread chaski-control: thread chaski-files has ended");
    server.stop().expect("the log is closed all the same");
}
