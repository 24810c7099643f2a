//! librdkafka on both ends, by its C interface: what one real client pushes through a broker, and,
//! against the mock broker in its own process, what it can push at all.
//!
//! The C calls are made directly, in batches, as the client's own `rdkafka_performance` does, so
//! that no wrapper's cost per message hides the broker's.

#[cfg(feature = "librdkafka")]
pub use client::{Consumer, Mock, Producer, consume, end_to_end, produce, version};

use clap::ValueEnum;

use crate::wire::batch::Payload;

/// Compression done by the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    None,
    Lz4,
}

/// One producer's work.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "librdkafka"), expect(dead_code, reason = "read by the client only"))]
pub struct Production {
    pub records: u64,
    pub value_bytes: usize,
    pub payload: Payload,
    pub compression: Compression,
    pub acks_all: bool,
    pub idempotent: bool,
}

/// What a producer waits for before it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linger {
    /// Nothing: each record leaves at once.
    None,
    /// 5 ms, in which batches fill.
    ForBatches,
}

#[cfg(not(feature = "librdkafka"))]
pub use absent::{Consumer, Mock, Producer, consume, end_to_end, produce, version};

/// Stands in when the feature `librdkafka` is off: every call says so.
#[cfg(not(feature = "librdkafka"))]
mod absent {
    use std::time::Duration;

    use anyhow::{Result, bail};

    use super::{Linger, Production};

    pub struct Producer;

    impl Producer {
        pub fn at(_bootstrap: &str, _topic: &str, _linger: Linger) -> Result<Producer> {
            bail!("built without librdkafka")
        }

        pub fn queue(&self, _values: &[Vec<u8>]) -> Result<()> {
            Ok(())
        }
    }

    pub struct Consumer;

    impl Consumer {
        pub fn at_end(_bootstrap: &str, _topic: &str) -> Result<Consumer> {
            bail!("built without librdkafka")
        }

        pub fn take_some(&self, _each: &mut dyn FnMut(&[u8])) -> Result<()> {
            Ok(())
        }
    }

    pub struct Mock;

    impl Mock {
        pub fn start(_topic: &str) -> Result<Mock> {
            bail!("built without librdkafka")
        }

        pub fn bootstrap(&self) -> String {
            String::new()
        }
    }

    pub fn version() -> Option<String> {
        None
    }

    pub fn produce(_bootstrap: &str, _topic: &str, _work: Production) -> Result<f64> {
        bail!("built without librdkafka")
    }

    pub fn consume(_bootstrap: &str, _topic: &str, _records: u64) -> Result<f64> {
        bail!("built without librdkafka")
    }

    pub fn end_to_end(_: &str, _topic: &str, _rate: u64, _time: Duration) -> Result<Vec<u64>> {
        bail!("built without librdkafka")
    }
}

#[cfg(feature = "librdkafka")]
mod client {
    use std::ffi::{CStr, CString, c_void};
    use std::ptr;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use anyhow::{Context, Result, bail, ensure};
    use rdkafka_sys as sys;
    use sys::rd_kafka_resp_err_t as ErrorCode;

    use super::{Compression, Linger, Production};
    use crate::wire::batch::Values;

    /// Messages handed over or taken in one call.
    const CALL_MESSAGES: usize = 1000;

    /// Different values in a production: enough that compression does not see one value only.
    const DISTINCT_VALUES: usize = 4096;

    /// A client that gets nothing for this long gives up.
    const SILENCE_MAX: Duration = Duration::from_secs(30);

    const PARTITION: i32 = 0;

    /// Behind the last record.
    const OFFSET_END: i32 = -1;

    /// Settings of every producer: those of the client's own benchmark where a default would
    /// measure something else.
    const PRODUCER: [(&str, &str); 6] = [
        ("linger.ms", "5"),
        ("batch.num.messages", "10000"),
        ("queue.buffering.max.messages", "500000"),
        ("queue.buffering.max.kbytes", "1048576"),
        // Success is known from the queue running empty; errors are still reported, and counted.
        ("delivery.report.only.error", "true"),
        ("message.timeout.ms", "30000"),
    ];

    const CONSUMER: [(&str, &str); 2] =
        [("queued.min.messages", "1000000"), ("fetch.queue.backoff.ms", "5")];

    /// The version of the bundled library.
    pub fn version() -> Option<String> {
        // SAFETY: returns a static string.
        let text = unsafe { CStr::from_ptr(sys::rd_kafka_version_str()) };
        text.to_str().ok().map(str::to_owned)
    }

    /// Produces to partition 0, records per second until the last one is acknowledged.
    pub fn produce(bootstrap: &str, topic: &str, work: Production) -> Result<f64> {
        let compression = if work.compression == Compression::Lz4 { "lz4" } else { "none" };
        let mut settings = PRODUCER.to_vec();
        settings.push(("compression.codec", compression));
        settings.push(("acks", if work.acks_all { "all" } else { "1" }));
        settings.push(("enable.idempotence", if work.idempotent { "true" } else { "false" }));
        let mut values = Values::new(work.payload);
        let values: Vec<Vec<u8>> =
            (0..DISTINCT_VALUES).map(|_| values.next(work.value_bytes)).collect();
        let producer = Producer::new(bootstrap, topic, &settings)?;
        // The first record brings connections and metadata up; the clock starts after it.
        producer.send(&values[..1])?;
        producer.flush()?;
        let start = Instant::now();
        let mut left = work.records as usize;
        for chunk in values.chunks(CALL_MESSAGES).cycle() {
            if left == 0 {
                break;
            }
            let now = left.min(chunk.len());
            producer.send(&chunk[..now])?;
            left -= now;
        }
        producer.flush()?;
        Ok(work.records as f64 / start.elapsed().as_secs_f64())
    }

    /// Consumes partition 0 from its beginning; records per second from the first one on.
    pub fn consume(bootstrap: &str, topic: &str, records: u64) -> Result<f64> {
        let consumer = Consumer::new(bootstrap, topic, &CONSUMER, sys::RD_KAFKA_OFFSET_BEGINNING)?;
        let first = consumer.take(1, SILENCE_MAX, |_| ())?;
        ensure!(first == 1, "nothing to consume for {} s", SILENCE_MAX.as_secs());
        let start = Instant::now();
        let mut left = records - 1;
        while left > 0 {
            let wanted = (left as usize).min(CALL_MESSAGES);
            let taken = consumer.take(wanted, SILENCE_MAX, |_| ())?;
            ensure!(taken > 0, "{left} records have not come in {} s", SILENCE_MAX.as_secs());
            left -= taken as u64;
        }
        Ok((records - 1) as f64 / start.elapsed().as_secs_f64())
    }

    impl Producer {
        /// One that produces to partition 0 whatever it is given.
        pub fn at(bootstrap: &str, topic: &str, linger: Linger) -> Result<Producer> {
            let mut settings = PRODUCER.to_vec();
            if linger == Linger::None {
                settings[0] = ("linger.ms", "0");
                settings.push(("socket.nagle.disable", "true"));
            }
            settings.push(("acks", "1"));
            Producer::new(bootstrap, topic, &settings)
        }

        /// Queues all values, waiting while the queue is full.
        pub fn queue(&self, values: &[Vec<u8>]) -> Result<()> {
            self.send(values)
        }
    }

    impl Consumer {
        /// One that consumes partition 0 from its end on.
        pub fn at_end(bootstrap: &str, topic: &str) -> Result<Consumer> {
            Consumer::new(bootstrap, topic, &CONSUMER, OFFSET_END)
        }

        /// Waits for a record, and shows the values of those that are there.
        pub fn take_some(&self, each: &mut dyn FnMut(&[u8])) -> Result<()> {
            if self.take(1, SILENCE_MAX, &mut *each)? > 0 {
                self.take(CALL_MESSAGES, Duration::ZERO, each)?;
            }
            Ok(())
        }
    }

    /// Sends `rate` records a second and receives them: sorted times from before the send to after
    /// the receipt, in ns. The send time travels in the record.
    pub fn end_to_end(bootstrap: &str, topic: &str, rate: u64, time: Duration) -> Result<Vec<u64>> {
        let mut settings = PRODUCER.to_vec();
        settings[0] = ("linger.ms", "0");
        settings.push(("socket.nagle.disable", "true"));
        let producer = Producer::new(bootstrap, topic, &settings)?;
        producer.send(&[u64::MAX.to_le_bytes().to_vec()])?;
        producer.flush()?;
        let consumer = Consumer::new(bootstrap, topic, &CONSUMER, OFFSET_END)?;
        // A second in which the consumer finds the end and waits there.
        consumer.take(1, Duration::from_secs(1), |_| ())?;
        let epoch = Instant::now();
        let count = rate * time.as_millis() as u64 / 1000;
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| send_at(&producer, epoch, rate, count));
            let mut latencies_ns = Vec::with_capacity(count as usize);
            while (latencies_ns.len() as u64) < count {
                let taken = consumer.take(1, Duration::from_secs(5), |value| {
                    let now = epoch.elapsed().as_nanos() as u64;
                    let sent = value.first_chunk().map_or(now, |sent| u64::from_le_bytes(*sent));
                    latencies_ns.push(now.saturating_sub(sent));
                })?;
                ensure!(taken > 0, "only {} of {count} records came", latencies_ns.len());
            }
            sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
            latencies_ns.sort_unstable();
            Ok(latencies_ns)
        })
    }

    fn send_at(producer: &Producer, epoch: Instant, rate: u64, count: u64) -> Result<()> {
        let mut value = vec![b'.'; 100];
        for number in 0..count {
            let due = Duration::from_nanos(1_000_000_000 * number / rate);
            std::thread::sleep(due.saturating_sub(epoch.elapsed()));
            let now = epoch.elapsed().as_nanos() as u64;
            value[..8].copy_from_slice(&now.to_le_bytes());
            producer.send(std::slice::from_ref(&value))?;
        }
        producer.flush()
    }

    /// The mock broker of the client library, in this process.
    pub struct Mock {
        host: Handle,
        cluster: *mut sys::rd_kafka_mock_cluster_t,
    }

    impl Mock {
        pub fn start(topic: &str) -> Result<Mock> {
            // It hosts the mock and connects nowhere: its warning about that is not of interest.
            let settings = [("log_level", "3")];
            let host = Handle::new(sys::rd_kafka_type_t::RD_KAFKA_PRODUCER, &settings, None)?;
            // SAFETY: the handle is valid and outlives the cluster, see Drop.
            let cluster = unsafe { sys::rd_kafka_mock_cluster_new(host.0, 1) };
            ensure!(!cluster.is_null(), "no mock cluster");
            let mock = Mock { host, cluster };
            let topic = CString::new(topic)?;
            // SAFETY: cluster and string are valid for the call.
            let error = unsafe { sys::rd_kafka_mock_topic_create(cluster, topic.as_ptr(), 1, 1) };
            ensure!(error == ErrorCode::RD_KAFKA_RESP_ERR_NO_ERROR, "mock topic: {error:?}");
            Ok(mock)
        }

        /// Where clients connect.
        pub fn bootstrap(&self) -> String {
            // SAFETY: the string lives as long as the cluster.
            let text =
                unsafe { CStr::from_ptr(sys::rd_kafka_mock_cluster_bootstraps(self.cluster)) };
            text.to_string_lossy().into_owned()
        }
    }

    impl Drop for Mock {
        fn drop(&mut self) {
            debug_assert!(!self.host.0.is_null());
            // SAFETY: created by new, destroyed once, before its host (a field, dropped after).
            unsafe { sys::rd_kafka_mock_cluster_destroy(self.cluster) };
        }
    }

    /// A client instance.
    struct Handle(*mut sys::rd_kafka_t);

    // SAFETY: rd_kafka_t may be used from any thread (rdkafka.h, "thread-safe").
    unsafe impl Send for Handle {}
    // SAFETY: as above.
    unsafe impl Sync for Handle {}

    impl Handle {
        /// `failures`, when given, outlives the handle and counts records that were not delivered.
        fn new(
            kind: sys::rd_kafka_type_t,
            settings: &[(&str, &str)],
            failures: Option<&AtomicU64>,
        ) -> Result<Handle> {
            let mut error = vec![0; 512];
            // SAFETY: no preconditions.
            let conf = unsafe { sys::rd_kafka_conf_new() };
            for (name, value) in settings {
                let (c_name, c_value) = (CString::new(*name)?, CString::new(*value)?);
                let (text, length) = (error.as_mut_ptr(), error.len());
                // SAFETY: conf is valid, the strings and the buffer live through the call.
                let outcome = unsafe {
                    sys::rd_kafka_conf_set(conf, c_name.as_ptr(), c_value.as_ptr(), text, length)
                };
                if outcome != sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
                    bail!("{name}={value}: {}", message(&error));
                }
            }
            if let Some(failures) = failures {
                let opaque = ptr::from_ref(failures).cast_mut().cast::<c_void>();
                // SAFETY: conf is valid; the counter outlives the handle by this call's contract.
                unsafe {
                    sys::rd_kafka_conf_set_opaque(conf, opaque);
                    sys::rd_kafka_conf_set_dr_msg_cb(conf, Some(count_failure));
                }
            }
            // SAFETY: conf is valid and belongs to the new handle; the buffer is writable.
            let handle = unsafe { sys::rd_kafka_new(kind, conf, error.as_mut_ptr(), error.len()) };
            ensure!(!handle.is_null(), "librdkafka: {}", message(&error));
            Ok(Handle(handle))
        }

        fn topic(&self, name: &str) -> Result<*mut sys::rd_kafka_topic_t> {
            let name = CString::new(name)?;
            // SAFETY: the handle is valid; without a configuration the defaults are used.
            let topic = unsafe { sys::rd_kafka_topic_new(self.0, name.as_ptr(), ptr::null_mut()) };
            ensure!(!topic.is_null(), "no topic {name:?}");
            Ok(topic)
        }
    }

    impl Drop for Handle {
        fn drop(&mut self) {
            // SAFETY: created by rd_kafka_new, destroyed once.
            unsafe { sys::rd_kafka_destroy(self.0) };
        }
    }

    /// Called from within poll and flush for each record that could not be delivered.
    unsafe extern "C" fn count_failure(
        _client: *mut sys::rd_kafka_t,
        _record: *const sys::rd_kafka_message_t,
        failures: *mut c_void,
    ) {
        // SAFETY: the opaque set in Handle::new, an AtomicU64 that outlives the handle.
        let failures = unsafe { &*failures.cast::<AtomicU64>() };
        failures.fetch_add(1, Ordering::Relaxed);
    }

    fn message(buffer: &[std::ffi::c_char]) -> String {
        let bytes: Vec<u8> =
            buffer.iter().take_while(|byte| **byte != 0).map(|byte| *byte as u8).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub struct Producer {
        // Order matters: the handle is dropped before the counter that its callback writes to.
        handle: Handle,
        topic: *mut sys::rd_kafka_topic_t,
        failures: Box<AtomicU64>,
    }

    // SAFETY: rd_kafka_topic_t may be used from any thread, like the handle.
    unsafe impl Sync for Producer {}

    impl Producer {
        fn new(bootstrap: &str, topic: &str, settings: &[(&str, &str)]) -> Result<Producer> {
            let failures = Box::new(AtomicU64::new(0));
            let mut settings = settings.to_vec();
            settings.push(("bootstrap.servers", bootstrap));
            let kind = sys::rd_kafka_type_t::RD_KAFKA_PRODUCER;
            let handle = Handle::new(kind, &settings, Some(&failures))?;
            let topic = handle.topic(topic)?;
            Ok(Producer { handle, topic, failures })
        }

        /// Queues all values, waiting while the queue is full.
        fn send(&self, values: &[Vec<u8>]) -> Result<()> {
            let none = ErrorCode::RD_KAFKA_RESP_ERR_NO_ERROR;
            let mut messages: Vec<sys::rd_kafka_message_t> = values
                .iter()
                .map(|value| sys::rd_kafka_message_t {
                    err: none,
                    rkt: ptr::null_mut(),
                    partition: PARTITION,
                    payload: value.as_ptr().cast_mut().cast(),
                    len: value.len(),
                    key: ptr::null_mut(),
                    key_len: 0,
                    offset: 0,
                    _private: ptr::null_mut(),
                })
                .collect();
            let flags = sys::RD_KAFKA_MSG_F_COPY;
            while !messages.is_empty() {
                let count = messages.len() as i32;
                // SAFETY: topic and messages are valid; F_COPY copies the values in the call.
                let queued = unsafe {
                    sys::rd_kafka_produce_batch(
                        self.topic,
                        PARTITION,
                        flags,
                        messages.as_mut_ptr(),
                        count,
                    )
                };
                if queued == count {
                    return Ok(());
                }
                let full = ErrorCode::RD_KAFKA_RESP_ERR__QUEUE_FULL;
                let refused = messages.iter().find(|m| m.err != none && m.err != full);
                ensure!(refused.is_none(), "produce: {:?}", refused.map(|m| m.err));
                messages.retain(|m| m.err == full);
                messages.iter_mut().for_each(|m| m.err = none);
                // SAFETY: the handle is valid. Serves errors; the pause lets the queue drain.
                unsafe { sys::rd_kafka_poll(self.handle.0, 1) };
                self.check()?;
            }
            Ok(())
        }

        /// Waits until every record is acknowledged.
        fn flush(&self) -> Result<()> {
            let limit = SILENCE_MAX.as_millis() as i32;
            // SAFETY: the handle is valid.
            let error = unsafe { sys::rd_kafka_flush(self.handle.0, limit) };
            ensure!(error == ErrorCode::RD_KAFKA_RESP_ERR_NO_ERROR, "flush: {error:?}");
            self.check()
        }

        fn check(&self) -> Result<()> {
            let failures = self.failures.load(Ordering::Relaxed);
            ensure!(failures == 0, "{failures} records were not delivered");
            Ok(())
        }
    }

    impl Drop for Producer {
        fn drop(&mut self) {
            // SAFETY: created by rd_kafka_topic_new, given back once, before the handle goes.
            unsafe { sys::rd_kafka_topic_destroy(self.topic) };
        }
    }

    pub struct Consumer {
        queue: *mut sys::rd_kafka_queue_t,
        topic: *mut sys::rd_kafka_topic_t,
        _handle: Handle,
    }

    impl Consumer {
        fn new(
            bootstrap: &str,
            topic: &str,
            settings: &[(&str, &str)],
            offset: i32,
        ) -> Result<Consumer> {
            let mut settings = settings.to_vec();
            settings.push(("bootstrap.servers", bootstrap));
            let handle = Handle::new(sys::rd_kafka_type_t::RD_KAFKA_CONSUMER, &settings, None)?;
            let topic = handle.topic(topic)?;
            // SAFETY: the handle is valid.
            let queue = unsafe { sys::rd_kafka_queue_new(handle.0) };
            let consumer = Consumer { queue, topic, _handle: handle };
            // SAFETY: topic and queue are valid.
            let started = unsafe {
                sys::rd_kafka_consume_start_queue(topic, PARTITION, i64::from(offset), queue)
            };
            ensure!(started == 0, "cannot start to consume");
            Ok(consumer)
        }

        /// Waits for up to `wanted` records and shows their values; how many there were.
        fn take(
            &self,
            wanted: usize,
            wait_max: Duration,
            mut each: impl FnMut(&[u8]),
        ) -> Result<usize> {
            let mut records = vec![ptr::null_mut(); wanted];
            let wait_ms = wait_max.as_millis() as i32;
            // SAFETY: the queue is valid and `records` has room for `wanted` pointers.
            let taken = unsafe {
                sys::rd_kafka_consume_batch_queue(self.queue, wait_ms, records.as_mut_ptr(), wanted)
            };
            let taken = usize::try_from(taken).context("consume")?;
            let mut failed = None;
            for record in &records[..taken] {
                // SAFETY: librdkafka has handed over `taken` valid messages; each is read and then
                // given back once.
                unsafe {
                    let message = &**record;
                    if message.err != ErrorCode::RD_KAFKA_RESP_ERR_NO_ERROR {
                        failed = Some(message.err);
                    } else if !message.payload.is_null() {
                        each(std::slice::from_raw_parts(message.payload.cast(), message.len));
                    }
                    sys::rd_kafka_message_destroy(*record);
                }
            }
            ensure!(failed.is_none(), "consume: {failed:?}");
            Ok(taken)
        }
    }

    impl Drop for Consumer {
        fn drop(&mut self) {
            // SAFETY: started and created in new, each given back once, before the handle goes.
            unsafe {
                sys::rd_kafka_consume_stop(self.topic, PARTITION);
                sys::rd_kafka_queue_destroy(self.queue);
                sys::rd_kafka_topic_destroy(self.topic);
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::load::{Lane, Load, Stop};
        use crate::wire::batch::{Codec, Payload, batch};
        use crate::wire::{self, Fetcher, ProduceReplies};

        /// The generator's own encoding, judged by a broker and a client that are not ours.
        #[test]
        fn generated_batches_are_read_by_librdkafka() {
            const RECORDS: u32 = 50;
            const REQUESTS: u64 = 20;
            for codec in [Codec::None, Codec::Lz4] {
                let mock = Mock::start("t").unwrap();
                let address = mock.bootstrap().split(',').next().unwrap().parse().unwrap();
                let batch = batch(RECORDS, 100, Payload::Text, codec).unwrap();
                let frame = wire::produce("t", 0, 1, &batch.bytes);
                let socket = std::net::TcpStream::connect(address).unwrap();
                let lane = Lane::new(socket, &frame, Box::new(ProduceReplies::new("t"))).unwrap();
                Load::new(vec![lane], 8).unwrap().run(Stop::Requests(REQUESTS)).unwrap();

                let mut fetcher =
                    Fetcher::new(wire::Client::connect(address).unwrap(), "t", 0, 1 << 20);
                while fetcher.next_offset() < (REQUESTS * u64::from(RECORDS)) as i64 {
                    fetcher.fetch().unwrap();
                }

                let settings = [("check.crcs", "true")];
                let begin = sys::RD_KAFKA_OFFSET_BEGINNING;
                let consumer = Consumer::new(&mock.bootstrap(), "t", &settings, begin).unwrap();
                let (mut values, mut seen) = (Values::new(Payload::Text), 0);
                for _ in 0..RECORDS {
                    let expected = values.next(100);
                    seen +=
                        consumer.take(1, SILENCE_MAX, |value| assert_eq!(value, expected)).unwrap();
                }
                assert_eq!(seen, RECORDS as usize);
                let rest = REQUESTS as usize * RECORDS as usize - seen;
                assert_eq!(consumer.take(rest, SILENCE_MAX, |_| ()).unwrap(), rest);
            }
        }
    }
}
