//! The limit: the least program that can stand where a broker stands. It reads the bytes of a
//! Produce from the socket, writes them to a file with one pwrite, and replies; it serves a Fetch
//! with sendfile. It checks nothing and keeps nothing on disk that could be found again. What a
//! broker needs beyond its time is the price of being one.
//!
//! Replies to requests that came in one read leave in one write; every request is a write to the
//! file of its own. It knows as much of the protocol as librdkafka insists on, and patches the base
//! offset of a batch (8 bytes) so that a consumer can follow. One blocking thread per connection.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::wire::batch::{LAST_OFFSET_DELTA_AT, LENGTH_AT};
use crate::wire::{Reader, Writer};

/// Room for the largest request of a client, a batch of 1 MB, and for reading on behind it.
const INBOX_BYTES: usize = 4 << 20;

/// Partitions told to whoever asks for a topic.
const PARTITIONS: i32 = 4;

/// Keys and version ranges told to clients. Produce from 0: librdkafka compresses only then.
const APIS: [(i16, i16, i16); 7] =
    [(0, 0, 7), (1, 0, 4), (2, 0, 1), (3, 0, 4), (10, 0, 0), (18, 0, 0), (22, 0, 1)];

const UNSUPPORTED_VERSION: i16 = 35;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;

/// How the bare server is started: as a process of its own, so that it is measured like a broker.
#[derive(Debug, Args)]
pub struct BareArgs {
    #[arg(long)]
    port: u16,
    #[arg(long)]
    data: PathBuf,
    /// Fdatasync behind every write.
    #[arg(long)]
    sync: bool,
}

/// Serves until killed.
pub fn serve(args: &BareArgs) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port))?;
    let log = Arc::new(Log { data: args.data.clone(), partitions: Mutex::default() });
    for socket in listener.incoming() {
        let mut connection = Connection {
            socket: socket?,
            log: Arc::clone(&log),
            open: HashMap::new(),
            outbox: Vec::new(),
            sync: args.sync,
            port: args.port,
        };
        std::thread::spawn(move || connection.run());
    }
    Ok(())
}

type Name = (String, i32);

/// All partitions, opened at first use.
struct Log {
    data: PathBuf,
    partitions: Mutex<HashMap<Name, Arc<Partition>>>,
}

impl Log {
    fn open(&self, name: &Name) -> Result<Arc<Partition>> {
        let mut partitions = lock(&self.partitions);
        if let Some(partition) = partitions.get(name) {
            return Ok(Arc::clone(partition));
        }
        let partition = Arc::new(Partition::create(&self.data, partitions.len())?);
        partitions.insert(name.clone(), Arc::clone(&partition));
        Ok(partition)
    }
}

/// One file, and where its batches start.
struct Partition {
    file: File,
    written: Mutex<Written>,
    grown: Condvar,
}

#[derive(Default)]
struct Written {
    bytes: u64,
    next_offset: i64,
    /// Base offset and position of every batch, in order.
    batches: Vec<(i64, u64)>,
}

impl Partition {
    fn create(data: &Path, number: usize) -> Result<Partition> {
        let path = data.join(format!("bare-{number}"));
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        Ok(Partition { file, written: Mutex::default(), grown: Condvar::new() })
    }

    fn append(&self, records: &mut [u8], sync: bool) -> Result<i64> {
        let mut written = lock(&self.written);
        let first = written.next_offset;
        let start = written.bytes;
        let mut at = 0;
        while at < records.len() {
            let length = Reader(records.get(at + LENGTH_AT..).unwrap_or(&[])).i32()? as usize;
            let delta = Reader(records.get(at + LAST_OFFSET_DELTA_AT..).unwrap_or(&[])).i32()?;
            let base_offset = written.next_offset;
            records[at..at + 8].copy_from_slice(&base_offset.to_be_bytes());
            written.batches.push((base_offset, start + at as u64));
            written.next_offset += i64::from(delta) + 1;
            at += 12 + length;
        }
        ensure!(at == records.len(), "a batch that ends outside its request");
        self.file.write_all_at(records, start)?;
        if sync {
            self.file.sync_data()?;
        }
        written.bytes += records.len() as u64;
        self.grown.notify_all();
        Ok(first)
    }

    /// Where the batch that holds `offset` starts, how many bytes follow, and the end offset; waits
    /// for bytes to come while there are none.
    fn find(&self, offset: i64, wait_max: Duration) -> (u64, u64, i64) {
        let give_up = Instant::now() + wait_max;
        let mut written = lock(&self.written);
        while offset >= written.next_offset {
            let left = give_up.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return (written.bytes, 0, written.next_offset);
            }
            let woken = self.grown.wait_timeout(written, left);
            written = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        let behind = written.batches.partition_point(|(base, _)| *base <= offset);
        let start = written.batches[behind.saturating_sub(1)].1;
        (start, written.bytes - start, written.next_offset)
    }
}

struct Connection {
    socket: TcpStream,
    log: Arc<Log>,
    open: HashMap<Name, Arc<Partition>>,
    /// Replies to the requests of one read; they leave in one write.
    outbox: Vec<u8>,
    sync: bool,
    port: u16,
}

impl Connection {
    /// Reads frames until the peer hangs up. Bytes of a torn frame move to the front only when the
    /// inbox has no room left for the rest of it.
    fn run(&mut self) -> Result<()> {
        self.socket.set_nodelay(true)?;
        let mut inbox = vec![0; INBOX_BYTES];
        let (mut start, mut end) = (0, 0);
        loop {
            while let Some(length) = inbox[start..end].first_chunk::<4>() {
                let frame_end = start + 4 + u32::from_be_bytes(*length) as usize;
                ensure!(frame_end - start <= INBOX_BYTES, "a frame of {}", frame_end - start);
                if frame_end > end {
                    if frame_end > INBOX_BYTES {
                        inbox.copy_within(start..end, 0);
                        (start, end) = (0, end - start);
                    }
                    break;
                }
                self.answer(&mut inbox[start + 4..frame_end])?;
                start = frame_end;
            }
            self.flush()?;
            if start == end {
                (start, end) = (0, 0);
            } else if end == INBOX_BYTES {
                inbox.copy_within(start..end, 0);
                (start, end) = (0, end - start);
            }
            match self.socket.read(&mut inbox[end..])? {
                0 => return Ok(()),
                read => end += read,
            }
        }
    }

    fn answer(&mut self, request: &mut [u8]) -> Result<()> {
        let mut head = Reader(request);
        let (key, version, correlation_id) = (head.i16()?, head.i16()?, head.i32()?);
        let _client = head.string()?;
        let body_at = request.len() - head.0.len();
        let response = Writer::response(correlation_id);
        let body = &mut request[body_at..];
        let response = match key {
            0 => match self.produce(body, response)? {
                Some(response) => response,
                None => return Ok(()),
            },
            1 => return self.fetch(body, response),
            2 => self.list_offsets(body, response)?,
            3 => self.metadata(body, response)?,
            10 => response.i16(COORDINATOR_NOT_AVAILABLE).i32(-1).string("").i32(-1),
            18 => api_versions(version, response),
            19 => create_topics(body, response)?,
            22 => response.i32(0).i16(0).i64(1).i16(0),
            other => anyhow::bail!("no answer to requests of kind {other}"),
        };
        self.outbox.extend(response.finish());
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.socket.write_all(&self.outbox)?;
        self.outbox.clear();
        Ok(())
    }

    fn produce(&mut self, body: &mut [u8], response: Writer) -> Result<Option<Writer>> {
        let mut reader = Reader(body);
        let (_transaction, acks, _timeout) = (reader.string()?, reader.i16()?, reader.i32()?);
        let name = one_partition(&mut reader)?;
        let length = reader.i32()?.max(0) as usize;
        let at = body.len() - reader.0.len();
        let records = body.get_mut(at..at + length).context("the batch ends too early")?;
        let base_offset = self.partition(&name)?.append(records, self.sync)?;
        let response = response.i32(1).string(&name.0).i32(1).i32(name.1).i16(0).i64(base_offset);
        Ok((acks != 0).then(|| response.i64(-1).i64(0).i32(0)))
    }

    fn fetch(&mut self, body: &[u8], response: Writer) -> Result<()> {
        let mut reader = Reader(body);
        let (_replica, wait_ms, _min_bytes) = (reader.i32()?, reader.i32()?, reader.i32()?);
        let (_max_bytes, _isolation) = (reader.i32()?, reader.i8()?);
        let name = one_partition(&mut reader)?;
        let (offset, bytes_max) = (reader.i64()?, reader.i32()?);
        self.flush()?;
        let partition = self.partition(&name)?;
        let wait_max = Duration::from_millis(wait_ms.max(0) as u64);
        let (mut position, bytes, end_offset) = partition.find(offset, wait_max);
        let mut left = bytes.min(bytes_max.max(0) as u64) as usize;
        let head = response
            .i32(0)
            .i32(1)
            .string(&name.0)
            .i32(1)
            .i32(name.1)
            .i16(0)
            .i64(end_offset)
            .i64(end_offset)
            .i32(0)
            .i32(left as i32)
            .finish_before(left);
        // MSG_MORE lets the head leave in one segment with the first bytes of the file.
        let more =
            if left > 0 { rustix::net::SendFlags::MORE } else { rustix::net::SendFlags::empty() };
        let sent = rustix::net::send(&self.socket, &head, more)?;
        self.socket.write_all(&head[sent..])?;
        while left > 0 {
            let sent =
                rustix::fs::sendfile(&self.socket, &partition.file, Some(&mut position), left)?;
            ensure!(sent > 0, "the file is shorter than its batches");
            left -= sent;
        }
        Ok(())
    }

    fn list_offsets(&mut self, body: &[u8], response: Writer) -> Result<Writer> {
        let mut reader = Reader(body);
        let _replica = reader.i32()?;
        let name = one_partition(&mut reader)?;
        const EARLIEST: i64 = -2;
        let offset = match reader.i64()? {
            EARLIEST => 0,
            _ => lock(&self.partition(&name)?.written).next_offset,
        };
        Ok(response.i32(1).string(&name.0).i32(1).i32(name.1).i16(0).i64(-1).i64(offset))
    }

    fn metadata(&mut self, body: &[u8], response: Writer) -> Result<Writer> {
        let mut reader = Reader(body);
        let topics = reader.i32()?.max(0);
        let mut response = response
            .i32(0)
            .i32(1)
            .i32(1)
            .string("127.0.0.1")
            .i32(i32::from(self.port))
            .i16(-1)
            .string("bare")
            .i32(1)
            .i32(topics);
        for _topic in 0..topics {
            response = response.i16(0).string(reader.string()?).i8(0).i32(PARTITIONS);
            for index in 0..PARTITIONS {
                response = response.i16(0).i32(index).i32(1).i32(1).i32(1).i32(1).i32(1);
            }
        }
        Ok(response)
    }

    fn partition(&mut self, name: &Name) -> Result<Arc<Partition>> {
        if let Some(partition) = self.open.get(name) {
            return Ok(Arc::clone(partition));
        }
        let partition = self.log.open(name)?;
        self.open.insert(name.clone(), Arc::clone(&partition));
        Ok(partition)
    }
}

/// Reads `[topic [partition`, of which there may be one each.
fn one_partition(reader: &mut Reader<'_>) -> Result<Name> {
    ensure!(reader.i32()? == 1, "one topic a request");
    let topic = reader.string()?.to_owned();
    ensure!(reader.i32()? == 1, "one partition a request");
    Ok((topic, reader.i32()?))
}

fn api_versions(version: i16, response: Writer) -> Writer {
    let error = if version == 0 { 0 } else { UNSUPPORTED_VERSION };
    let response = response.i16(error).i32(APIS.len() as i32);
    APIS.iter().fold(response, |response, (key, min, max)| response.i16(*key).i16(*min).i16(*max))
}

/// Says yes: topics exist once they are written to.
fn create_topics(body: &[u8], response: Writer) -> Result<Writer> {
    let mut reader = Reader(body);
    let (_topics, name) = (reader.i32()?, reader.string()?);
    Ok(response.i32(0).i32(1).string(name).i16(0).i16(-1))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
