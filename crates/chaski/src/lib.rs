//! Chaski for programs: each distance behind a feature.
//!
//! | feature | gives | |
//! |---|---|---|
//! | `channel` (default) | [`channel`] | channels between threads and tasks, and select over them |
//! | `pool` (default) | [`pool`] | workers that each own a thread, a state and a queue |
//! | `shm` (default) | [`shm`] | messages between the processes of one machine; on Linux |
//! | `zmq` (default) | [`zmq`] | sockets that talk to every ZeroMQ program; on Linux |
//! | `log` (default) | [`log`] | the durable log, in files or in memory |
//! | `local` (default) | [`log`] | the log of a broker on this machine, in shared memory; Linux |
//! | `broker` | [`broker`] | the broker as a library, to embed and to test against |
//! | `kafka` | [`kafka`] | the Kafka wire protocol, sans I/O |
//! | `futures` | | `Stream` for receivers and `Sink` for senders of [`channel`] |
//! | `tokio` | | workers of [`pool`] on a tokio runtime each; [`shm`] and [`zmq`] in its driver |
//!
//! [`batch`] is the record batch that logs, brokers and the wire share. The crate's folder
//! `examples` has more: a pipeline, logging from many threads, a sharded counter, requests with
//! replies between threads and between processes.
//!
//! # Between threads
//!
//! One thread to another; [`channel`] says which kind to take when.
//!
//! ```
//! # #[cfg(feature = "channel")] {
//! use chaski::channel::spsc;
//! use std::thread;
//!
//! let (mut tx, mut rx) = spsc::channel(1024);
//! let producer = thread::spawn(move || tx.send_all(1..=1000_u64));
//! assert_eq!(rx.iter().sum::<u64>(), 500_500);
//! assert_eq!(producer.join().unwrap(), Ok(1000));
//! # }
//! ```
//!
//! # Workers that share nothing
//!
//! A message goes straight into the queue of the worker that owns its key.
//!
//! ```
//! # #[cfg(feature = "pool")] {
//! use chaski::pool::{Pool, Reply, worker};
//!
//! enum Request { Add(u64), Sum(Reply<u64>) }
//!
//! let adder = worker(|_| 0_u64, |sum, request, _| match request {
//!     Request::Add(number) => *sum += number,
//!     Request::Sum(reply) => drop(reply.send(*sum)),
//! });
//! let pool = Pool::builder().workers(2).start(adder)?;
//! let handle = pool.handle();
//! handle.send("customer-17", Request::Add(3))?;
//! handle.send("customer-17", Request::Add(4))?;
//! assert_eq!(handle.ask("customer-17", Request::Sum)?, 7);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Between processes
//!
//! A name is where two programs meet; messages then go through memory that they share. One binds
//! it:
//!
//! ```no_run
//! # #[cfg(all(feature = "shm", target_os = "linux"))] {
//! use chaski::shm::Server;
//!
//! let mut server = Server::bind("greeter")?;
//! loop {
//!     let request = server.recv()?;
//!     let greeting = format!("hello, {}", String::from_utf8_lossy(&request));
//!     request.reply(greeting.as_bytes())?;
//! }
//! # }
//! # #[allow(unreachable_code)]
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Any number of others connect:
//!
//! ```no_run
//! # #[cfg(all(feature = "shm", target_os = "linux"))] {
//! use chaski::shm::Client;
//!
//! let mut client = Client::connect("greeter")?;
//! assert_eq!(client.call(b"world")?, b"hello, world");
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Either may die at any time: the other goes on, and nothing is left behind. `chaski shm ls` shows
//! who is there, and `chaski send 'shm://greeter?type=call'` asks from the command line.
//!
//! # Between machines
//!
//! Sockets of a pattern: requests and replies, publish and subscribe, pipelines. One side binds an
//! address, the other connects, in any order, and again whenever a connection is lost. Programs
//! with libzmq, in any language, can be either side.
//!
//! ```
//! # #[cfg(all(feature = "zmq", target_os = "linux"))] {
//! use chaski::zmq::{Rep, Req};
//!
//! let server = Rep::new();
//! let endpoint = server.bind("tcp://127.0.0.1:*")?;
//!
//! let client = Req::new();
//! client.connect(&endpoint)?;
//! client.send("hello")?;
//!
//! assert_eq!(&server.recv()?[0], "hello");
//! server.send("world")?;
//! assert_eq!(&client.recv()?[0], "world");
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `chaski send 'zmq+tcp://HOST:PORT?type=req'` asks from the command line.
//!
//! # A log of one's own
//!
//! ```
//! # #[cfg(feature = "log")] {
//! use std::sync::Arc;
//!
//! use chaski::batch::{Builder, Codec, records};
//! use chaski::log::MemoryLog;
//! use chaski::log::store::{
//!     Append, AppendOutcome, AppendSink, Durability, LogConfig, LogStore, PartitionSpec, Read,
//!     Slice,
//! };
//!
//! /// Outcomes that come late: only appends that wait for the disk have them.
//! struct Late;
//! impl AppendSink for Late {
//!     fn appended(&self, _token: u64, _outcome: AppendOutcome) {}
//! }
//!
//! // `LocalLog::open(dir, 2)` is the same in files.
//! let log = MemoryLog::new();
//! let partition = log
//!     .open(&PartitionSpec {
//!         topic: "greetings".to_owned(),
//!         topic_id: uuid::Uuid::new_v4(),
//!         index: 0,
//!         config: LogConfig::default(),
//!     })
//!     .unwrap();
//!
//! let mut builder = Builder::new(Codec::Lz4);
//! builder.push(1_700_000_000_000, Some(b"en"), Some(b"hello"), &[]);
//! let mut batch = builder.build().unwrap();
//! let header = chaski::batch::check(&batch).unwrap();
//! let durability = Durability::PageCache;
//! let append = Append { partition, batch: &mut batch, header, durability, token: 7 };
//!
//! let late: Arc<dyn AppendSink> = Arc::new(Late);
//! let mut outcomes = Vec::new();
//! log.append(&mut [append], &mut outcomes, &late);
//! let (token, outcome) = outcomes.pop().unwrap();
//! assert_eq!((token, outcome.unwrap().base_offset), (7, 0));
//!
//! let read = Read { partition, offset: 0, max_bytes: 1 << 20, at_least_one: true };
//! let mut results = Vec::new();
//! log.read(&[read], &mut results);
//! let Some(Slice::Bytes(bytes)) = results.pop().unwrap().unwrap().records else {
//!     panic!("records in memory are bytes")
//! };
//! let found = records(&bytes, 1 << 20).unwrap();
//! let record = (&found).into_iter().next().unwrap().unwrap();
//! assert_eq!((record.offset, record.value), (0, Some(&b"hello"[..])));
//! # }
//! ```
//!
//! # A broker of one's own
//!
//! With the feature `broker` a broker runs inside the process: in memory for a test, on disk for
//! good. [`broker::client`] is how the process itself produces and reads; Kafka's clients connect
//! if it is told to listen.
//!
//! ```
//! # #[cfg(feature = "broker")] {
//! use std::time::Duration;
//!
//! use chaski::broker::Builder;
//! use chaski::broker::client::{Position, ProducerOptions, Record};
//!
//! // `.data_dir(path)` in place of `.in_memory()` keeps what is produced.
//! let server = Builder::new().in_memory().kafka("127.0.0.1:0").start()?;
//! println!("bootstrap.servers={}", server.kafka_addr().expect("it listens"));
//!
//! let client = server.client();
//! client.create_topic("orders", Some(1), &[])?;
//! let mut producer = client.producer("orders", ProducerOptions::default())?;
//! producer.push(Record { key: Some(b"customer-17"), ..Record::of(b"3 apples") })?;
//! producer.flush()?;
//!
//! let mut reader = client.reader("orders", 0, Position::Earliest)?;
//! let mut orders = Vec::new();
//! while orders.is_empty() && reader.wait(Duration::from_secs(10)) {
//!     while let Some(records) = reader.next(1 << 20)? {
//!         records.for_each(|record| orders.extend(record.value.map(<[u8]>::to_vec)))?;
//!     }
//! }
//! assert_eq!(orders, [b"3 apples"]);
//! server.stop()?;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

#[cfg(feature = "channel")]
pub mod channel;
#[cfg(feature = "log")]
pub mod log;

pub use chaski_batch as batch;
#[cfg(feature = "broker")]
pub use chaski_broker as broker;
#[cfg(feature = "kafka")]
pub use chaski_kafka as kafka;
#[cfg(feature = "pool")]
pub use chaski_pool as pool;
#[cfg(all(feature = "shm", target_os = "linux"))]
pub use chaski_shm as shm;
#[cfg(all(feature = "zmq", target_os = "linux"))]
pub use chaski_zmq as zmq;
