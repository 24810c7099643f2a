//! Crashes between the steps of a change: the topics are those of the MetaStore, whole, with their
//! own records and no others.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::atomic::AtomicI64;

use chaski_batch::{Builder, Codec};
use chaski_kafka::create_partitions;
use chaski_log::LocalLog;
use chaski_log::disk::{Disk, RealDisk};
use chaski_log::store::{Append, AppendOutcome, AppendSink, Durability, PartitionId};
use tempfile::TempDir;

use super::*;

/// Does so many things more; from then on it is as if the process were gone.
#[derive(Debug)]
struct MortalDisk(AtomicI64);

impl MortalDisk {
    fn step(&self) -> io::Result<()> {
        match self.0.fetch_sub(1, Ordering::Relaxed) {
            ..=0 => Err(io::Error::other("the process is gone")),
            _ => Ok(()),
        }
    }

    fn is_dead(&self) -> bool {
        self.0.load(Ordering::Relaxed) < 0
    }
}

impl Disk for MortalDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.step().and_then(|()| RealDisk.create(path))
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.step().and_then(|()| RealDisk.create_dir(path))
    }
    fn write_at(&self, file: &File, bytes: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        self.step().and_then(|()| RealDisk.write_at(file, bytes, position))
    }
    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        self.step().and_then(|()| RealDisk.set_len(file, len))
    }
    fn sync_data(&self, _: &File) -> io::Result<()> {
        self.step()
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        self.step()
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step().and_then(|()| RealDisk.rename(from, to))
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.step().and_then(|()| RealDisk.remove_file(path))
    }
}

struct Nobody;

impl AppendSink for Nobody {
    fn appended(&self, _: u64, _: AppendOutcome) {}
}

/// Writes one record.
fn append(store: &dyn LogStore, partition: PartitionId) {
    let mut builder = Builder::new(Codec::None);
    builder.push(1, None, Some(b"v"), &[]);
    let mut batch = builder.build().expect("a batch");
    let header = chaski_batch::check(&batch).expect("a good one");
    let durability = Durability::PageCache;
    let append = Append { partition, batch: &mut batch, header, durability, token: 0 };
    let (mut now, later) = (Vec::new(), Arc::new(Nobody) as Arc<dyn AppendSink>);
    store.append(&mut [append], &mut now, &later);
    assert!(matches!(now[..], [(0, Ok(_))]), "{now:?}");
}

/// A data directory, in memory where there is such a thing, and the facts beside it.
struct World {
    dir: TempDir,
    facts: Facts,
}

impl World {
    /// With a topic `t` of two partitions and a record in each.
    fn new() -> World {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let world = World { dir: dir.expect("a directory"), facts: Facts::default() };
        let mut scene = world.begin(i64::MAX).0;
        scene.make(&["t"]);
        let topic = scene.control.topic("t").expect("made");
        topic.partitions.iter().for_each(|p| append(&*scene.control.broker.store, *p));
        world
    }

    /// A process that dies after so many steps.
    fn begin(&self, steps: i64) -> (Scene, Arc<MortalDisk>) {
        let disk = Arc::new(MortalDisk(AtomicI64::new(i64::MAX)));
        let log = LocalLog::open_on(disk.clone(), self.dir.path(), 1).expect("opened");
        let scene = Scene::on(log, self.facts.clone());
        disk.0.store(steps, Ordering::Relaxed);
        (scene, disk)
    }

    /// What a new process finds: the records of each partition of each topic.
    fn found(&self) -> Vec<(String, Vec<i64>)> {
        let scene = self.begin(i64::MAX).0;
        let cluster = scene.control.broker.cluster.load();
        let records =
            |p: &PartitionId| scene.control.broker.store.offsets(*p).expect("open").high_watermark;
        let topic = |topic: &Arc<Topic>| {
            (topic.name.to_string(), topic.partitions.iter().map(records).collect())
        };
        cluster.by_name.values().map(topic).collect()
    }
}

/// Dies at each step that `change` takes on the disk, then once more when it is done there but
/// nobody has been told; `found` is what there is after each.
fn die_at_each_step(change: impl Fn(&mut Scene), found: &[(&str, &[i64])]) {
    for steps in 0.. {
        let world = World::new();
        let (mut scene, disk) = world.begin(steps);
        change(&mut scene);
        let done = scene.files.work();
        assert!(done.is_some() && scene.control.effects.replies.is_empty(), "nobody was told");
        let died = disk.is_dead();
        drop((done, scene));
        let there = world.found();
        let there: Vec<_> = there.iter().map(|(name, records)| (&**name, &**records)).collect();
        assert_eq!(there, found, "after {steps} steps");
        if !died {
            return;
        }
    }
}

fn create(scene: &mut Scene, name: &str, num_partitions: i32) {
    let topic = create_topics::RequestTopic {
        name,
        num_partitions,
        replication_factor: 1,
        ..Default::default()
    };
    let request = create_topics::Request { topics: vec![topic], ..Default::default() };
    scene.ask(ApiKey::CreateTopics, 5, &request);
}

fn delete(scene: &mut Scene, name: &str) {
    let request = delete_topics::Request { topic_names: vec![name], ..Default::default() };
    scene.ask(ApiKey::DeleteTopics, 5, &request);
}

#[test]
fn a_topic_that_was_being_made_is_there_whole() {
    die_at_each_step(|scene| create(scene, "new", 3), &[("new", &[0, 0, 0]), ("t", &[1, 1])]);
}

#[test]
fn a_topic_that_was_being_deleted_is_gone_and_another_may_have_its_name() {
    die_at_each_step(|scene| delete(scene, "t"), &[]);
    // The directories that the crash left are there when the name is used again.
    let world = World::new();
    let (mut scene, _disk) = world.begin(0);
    delete(&mut scene, "t");
    drop((scene.files.work(), scene));
    assert!(world.dir.path().join("log/t-0").exists());
    let mut scene = world.begin(i64::MAX).0;
    create(&mut scene, "t", 1);
    assert!(scene.work());
    drop(scene);
    assert_eq!(world.found(), [("t".to_owned(), vec![0])]);
}

#[test]
fn a_topic_that_was_growing_has_grown_and_kept_its_records() {
    let grow = |scene: &mut Scene| {
        let topic = create_partitions::RequestTopic { name: "t", count: 4, assignments: None };
        let request = create_partitions::Request { topics: vec![topic], ..Default::default() };
        scene.ask(ApiKey::CreatePartitions, 3, &request);
    };
    die_at_each_step(grow, &[("t", &[1, 1, 0, 0])]);
}

#[test]
fn a_topic_made_anew_while_its_predecessor_was_going_has_none_of_its_records() {
    let replace = |scene: &mut Scene| {
        delete(scene, "t");
        // The disk may be gone before this is done: what was not set aside is in the way.
        scene.work();
        create(scene, "t", 2);
        scene.work();
        scene.control.effects.replies.clear();
        create(scene, "last", 1);
    };
    for steps in [0, 1, 2, 3, 5, 8, 13, 21, 1000] {
        let world = World::new();
        let mut scene = world.begin(steps).0;
        replace(&mut scene);
        drop(scene);
        for (name, records) in world.found() {
            assert!(records.iter().all(|n| *n == 0), "{name} after {steps} steps: {records:?}");
        }
    }
}

#[test]
fn a_topic_that_cannot_be_made_is_taken_back() {
    let world = World::new();
    let (mut scene, _disk) = world.begin(4);
    create(&mut scene, "new", 3);
    assert!(scene.work());
    scene.control.settle();
    assert!(scene.control.topic("new").is_err());
    drop(scene);
    assert_eq!(world.found(), [("t".to_owned(), vec![1, 1])]);
}
