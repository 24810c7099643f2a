//! The few Kafka requests a generator needs, encoded once and sent many times.
//!
//! Old, non-flexible versions on purpose: every broker has them and a request is a flat string of
//! fields. Request: length i32, api key i16, version i16, correlation id i32, client id string,
//! body. Response: length i32, correlation id i32, body.

pub mod batch;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::load::{Replies, Taken};

const PRODUCE: (i16, i16) = (0, 7);
const FETCH: (i16, i16) = (1, 4);
const LIST_OFFSETS: (i16, i16) = (2, 1);
const METADATA: (i16, i16) = (3, 4);
const CREATE_TOPICS: (i16, i16) = (19, 2);

/// Largest response taken from a broker: a Fetch of 1 MiB plus one batch over it.
const RESPONSE_BYTES_MAX: usize = 16 << 20;

/// How long a new topic may take until its partitions have leaders.
const LEADER_MAX: Duration = Duration::from_secs(10);

/// Builds one request.
pub struct Writer(Vec<u8>);

impl Writer {
    pub fn request((key, version): (i16, i16)) -> Writer {
        Writer(vec![0; 4]).i16(key).i16(version).i32(0).string("bench")
    }

    pub fn response(correlation_id: i32) -> Writer {
        Writer(vec![0; 4]).i32(correlation_id)
    }

    pub fn i8(self, value: i8) -> Writer {
        self.raw(&value.to_be_bytes())
    }

    pub fn i16(self, value: i16) -> Writer {
        self.raw(&value.to_be_bytes())
    }

    pub fn i32(self, value: i32) -> Writer {
        self.raw(&value.to_be_bytes())
    }

    pub fn i64(self, value: i64) -> Writer {
        self.raw(&value.to_be_bytes())
    }

    pub fn string(self, value: &str) -> Writer {
        self.i16(value.len() as i16).raw(value.as_bytes())
    }

    pub fn raw(mut self, bytes: &[u8]) -> Writer {
        self.0.extend(bytes);
        self
    }

    /// The bytes with their length in front; `after` more will be sent behind them.
    pub fn finish_before(mut self, after: usize) -> Vec<u8> {
        let length = (self.0.len() - 4 + after) as i32;
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0
    }

    pub fn finish(self) -> Vec<u8> {
        self.finish_before(0)
    }
}

/// Reads fields in order; an error where they end too early.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn i8(&mut self) -> Result<i8> {
        Ok(self.take(1)?[0] as i8)
    }

    pub fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take(2)?.try_into()?))
    }

    pub fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into()?))
    }

    pub fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.take(8)?.try_into()?))
    }

    /// A nullable string; null reads as empty.
    pub fn string(&mut self) -> Result<&'a str> {
        let length = self.i16()?.max(0) as usize;
        Ok(std::str::from_utf8(self.take(length)?)?)
    }

    /// Nullable bytes; null reads as empty.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.i32()?.max(0) as usize;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length).context("the message ends too early")?;
        self.0 = rest;
        Ok(head)
    }
}

/// Produce v7 of one batch to one partition.
pub fn produce(topic: &str, partition: i32, acks: i16, batch: &[u8]) -> Vec<u8> {
    Writer::request(PRODUCE)
        .i16(-1)
        .i16(acks)
        .i32(30_000)
        .i32(1)
        .string(topic)
        .i32(1)
        .i32(partition)
        .i32(batch.len() as i32)
        .raw(batch)
        .finish()
}

/// Counts the answers to [`produce`] and refuses one that carries an error.
pub struct ProduceReplies {
    error_at: usize,
}

impl ProduceReplies {
    pub fn new(topic: &str) -> ProduceReplies {
        // length, correlation id, one topic, its name, one partition, its index: then the error.
        ProduceReplies { error_at: 4 + 4 + 4 + 2 + topic.len() + 4 + 4 }
    }
}

impl Replies for ProduceReplies {
    fn take(&mut self, bytes: &[u8]) -> Result<Taken> {
        let mut taken = Taken::default();
        while let Some(length) = bytes[taken.bytes..].first_chunk::<4>() {
            let end = taken.bytes + 4 + u32::from_be_bytes(*length) as usize;
            ensure!(end - taken.bytes < 4096, "a produce response of {} bytes", end - taken.bytes);
            let Some(reply) = bytes.get(taken.bytes..end) else { break };
            let error =
                reply.get(self.error_at..self.error_at + 2).context("response too short")?;
            ensure!(error == [0, 0], "produce refused with error {}", error[1]);
            taken = Taken { bytes: end, replies: taken.replies + 1 };
        }
        Ok(taken)
    }
}

/// One blocking connection: one request at a time.
pub struct Client {
    socket: TcpStream,
    response: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Result<Client> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Client { socket, response: Vec::new() })
    }

    /// Sends a request, returns the response from behind its correlation id.
    pub fn request(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.socket.write_all(request)?;
        let mut length = [0; 4];
        self.socket.read_exact(&mut length).context("no response")?;
        let length = u32::from_be_bytes(length) as usize;
        ensure!((4..=RESPONSE_BYTES_MAX).contains(&length), "a response of {length} bytes");
        if self.response.len() < length {
            self.response.resize(length, 0);
        }
        self.socket.read_exact(&mut self.response[..length])?;
        Ok(&self.response[4..length])
    }

    /// Creates a topic whose segments are `segment_bytes` long, where the broker has such a
    /// setting, and waits until every partition has a leader.
    pub fn create_topic(
        &mut self,
        topic: &str,
        partitions: i32,
        segment_bytes: Option<u64>,
    ) -> Result<()> {
        if self.create(topic, partitions, segment_bytes)? != 0 {
            // Some brokers know neither the setting nor the request; all create on Metadata.
            self.create(topic, partitions, None).ok();
        }
        let give_up = Instant::now() + LEADER_MAX;
        while self.partitions_with_leader(topic)? < partitions as usize {
            ensure!(Instant::now() < give_up, "topic {topic} has no leaders");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// The offset behind the last record.
    pub fn end_offset(&mut self, topic: &str, partition: i32) -> Result<i64> {
        let request = Writer::request(LIST_OFFSETS)
            .i32(-1)
            .i32(1)
            .string(topic)
            .i32(1)
            .i32(partition)
            .i64(-1)
            .finish();
        let mut reader = Reader(self.request(&request)?);
        let (_topics, _name, _partitions) = (reader.i32()?, reader.string()?, reader.i32()?);
        let (_index, error) = (reader.i32()?, reader.i16()?);
        ensure!(error == 0, "list offsets refused with error {error}");
        let (_timestamp, offset) = (reader.i64()?, reader.i64()?);
        Ok(offset)
    }

    fn create(&mut self, topic: &str, partitions: i32, segment_bytes: Option<u64>) -> Result<i16> {
        let request =
            Writer::request(CREATE_TOPICS).i32(1).string(topic).i32(partitions).i16(1).i32(0);
        let request = match segment_bytes {
            None => request.i32(0),
            Some(bytes) => request.i32(1).string("segment.bytes").string(&bytes.to_string()),
        };
        let mut reader = Reader(self.request(&request.i32(10_000).i8(0).finish())?);
        let (_throttle, topics, _name) = (reader.i32()?, reader.i32()?, reader.string()?);
        ensure!(topics == 1, "asked for one topic, told of {topics}");
        reader.i16()
    }

    fn partitions_with_leader(&mut self, topic: &str) -> Result<usize> {
        let request = Writer::request(METADATA).i32(1).string(topic).i8(1).finish();
        let mut reader = Reader(self.request(&request)?);
        let _throttle = reader.i32()?;
        for _broker in 0..reader.i32()? {
            let (_node, _host, _port) = (reader.i32()?, reader.string()?, reader.i32()?);
            let _rack = reader.string()?;
        }
        let (_cluster, _controller) = (reader.string()?, reader.i32()?);
        let topics = reader.i32()?;
        ensure!(topics == 1, "asked for one topic, told of {topics}");
        let (_error, _name, _internal) = (reader.i16()?, reader.string()?, reader.i8()?);
        let mut led = 0;
        for _partition in 0..reader.i32()? {
            let (error, _index, leader) = (reader.i16()?, reader.i32()?, reader.i32()?);
            for _list in ["replicas", "in sync"] {
                for _node in 0..reader.i32()? {
                    reader.i32()?;
                }
            }
            led += usize::from(error == 0 && leader >= 0);
        }
        Ok(led)
    }
}

/// What one [`Fetcher::fetch`] brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Whole batches, in bytes.
    pub bytes: usize,
    pub records: u64,
}

/// Reads a partition from its beginning with Fetch v4, one request after the other.
pub struct Fetcher {
    client: Client,
    request: Vec<u8>,
    next_offset: i64,
}

impl Fetcher {
    pub fn new(client: Client, topic: &str, partition: i32, bytes_max: i32) -> Fetcher {
        let request = Writer::request(FETCH)
            .i32(-1)
            .i32(500)
            .i32(1)
            .i32(bytes_max)
            .i8(0)
            .i32(1)
            .string(topic)
            .i32(1)
            .i32(partition)
            .i64(0)
            .i32(bytes_max)
            .finish();
        Fetcher { client, request, next_offset: 0 }
    }

    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// The next request starts here.
    pub fn seek(&mut self, offset: i64) {
        self.next_offset = offset;
    }

    /// One Fetch; moves on behind the last whole batch.
    pub fn fetch(&mut self) -> Result<Fetched> {
        let offset_at = self.request.len() - 12;
        self.request[offset_at..offset_at + 8].copy_from_slice(&self.next_offset.to_be_bytes());
        let mut reader = Reader(self.client.request(&self.request)?);
        let (_throttle, _topics, _name) = (reader.i32()?, reader.i32()?, reader.string()?);
        let (_partitions, _index, error) = (reader.i32()?, reader.i32()?, reader.i16()?);
        ensure!(error == 0, "fetch refused with error {error}");
        let (_high_watermark, _last_stable) = (reader.i64()?, reader.i64()?);
        for _aborted in 0..reader.i32()? {
            let (_producer, _first) = (reader.i64()?, reader.i64()?);
        }
        let (fetched, next_offset) = whole_batches(reader.bytes()?, self.next_offset)?;
        self.next_offset = next_offset;
        Ok(fetched)
    }
}

/// Hops from batch header to batch header, as a consumer does; a torn last batch is left out.
fn whole_batches(mut bytes: &[u8], mut next_offset: i64) -> Result<(Fetched, i64)> {
    let mut fetched = Fetched::default();
    while bytes.len() >= batch::HEADER_BYTES {
        let mut header = Reader(bytes);
        let (base_offset, length) = (header.i64()?, header.i32()? as usize);
        let Some(rest) = bytes.get(12 + length..) else { break };
        let last_offset_delta = Reader(&bytes[batch::LAST_OFFSET_DELTA_AT..]).i32()?;
        let end = base_offset + i64::from(last_offset_delta) + 1;
        if end <= next_offset {
            bail!("fetch at {next_offset} brought a batch that ends at {end}");
        }
        fetched.bytes += 12 + length;
        fetched.records += (end - next_offset.max(base_offset)) as u64;
        next_offset = end;
        bytes = rest;
    }
    Ok((fetched, next_offset))
}

#[cfg(test)]
mod tests {
    use super::batch::{Codec, Payload, batch};
    use super::*;

    #[test]
    fn replies_are_counted_whole_and_errors_refused() {
        let reply = |error| {
            Writer::response(0)
                .i32(1)
                .string("t")
                .i32(1)
                .i32(0)
                .i16(error)
                .i64(0)
                .i64(-1)
                .i64(0)
                .i32(0)
                .finish()
        };
        let two = [reply(0), reply(0)].concat();
        let mut replies = ProduceReplies::new("t");
        let all = replies.take(&two).unwrap();
        assert_eq!((all.bytes, all.replies), (two.len(), 2));
        let torn = replies.take(&two[..two.len() - 1]).unwrap();
        assert_eq!((torn.bytes, torn.replies), (two.len() / 2, 1));
        assert!(replies.take(&reply(6)).unwrap_err().to_string().contains("error 6"));
    }

    #[test]
    fn a_torn_last_batch_is_fetched_again() {
        let one = batch(10, 100, Payload::Random, Codec::None).unwrap().bytes;
        let mut second = one.clone();
        second[..8].copy_from_slice(&10i64.to_be_bytes());
        let mut both = [one.clone(), second].concat();
        let whole = whole_batches(&both, 0).unwrap();
        assert_eq!(whole, (Fetched { bytes: both.len(), records: 20 }, 20));
        both.pop();
        let torn = whole_batches(&both, 3).unwrap();
        assert_eq!(torn, (Fetched { bytes: one.len(), records: 7 }, 10));
    }
}
