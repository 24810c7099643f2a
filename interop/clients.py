"""Three Kafka clients behind one small interface, so that a test is written once for all.

A client module-level object has:

- `produce(broker, topic, messages, ...)`: sends, waits for every acknowledgement, returns where
  each message went as a list of (partition, offset); raises `Refused` if the broker says no;
- `reader(broker)`: a consumer outside of any group, see `Reader`;
- `member(broker, group, topics)`: a consumer in a group, see `Member`.
"""

import asyncio
import concurrent.futures
import threading
import time
from typing import NamedTuple, Optional

import aiokafka
import aiokafka.abc
import aiokafka.errors
import confluent_kafka
import kafka
import kafka.errors

from broker import PATIENCE

BEGINNING = "beginning"
END = "end"

# What a client is told to wait for an answer, in ms.
PATIENCE_MS = int(PATIENCE * 1000)

# After which a silent member of a group is given up: none of these is, however busy the machine.
SESSION_MS = PATIENCE_MS // 2

# kafka-python's own are shorter.
KAFKA_PYTHON_PATIENCE = {
    "bootstrap_timeout_ms": PATIENCE_MS,
    "request_timeout_ms": PATIENCE_MS - 1000,
}


class Message(NamedTuple):
    """What is sent."""

    value: Optional[bytes]
    key: Optional[bytes] = None
    headers: tuple = ()
    timestamp: Optional[int] = None
    partition: int = 0


class Record(NamedTuple):
    """What is read."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: Optional[bytes]
    value: Optional[bytes]
    headers: tuple


class Refused(Exception):
    """The broker answered with this error code of the protocol."""

    def __init__(self, code, text):
        super().__init__(f"error {code}: {text}")
        self.code = code


class Reader:
    """What the readers and members of all clients can do on top of `poll`."""

    def read(self, count):
        """The next `count` records."""
        records = []
        deadline = time.monotonic() + PATIENCE
        while len(records) < count:
            assert time.monotonic() < deadline, f"{len(records)} of {count} records came"
            records += self.poll()
        return records

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# ---------------------------------------------------------------------------- confluent-kafka


class Confluent:
    """confluent-kafka: librdkafka underneath."""

    name = "confluent"

    def producer(self, broker, **conf):
        settings = {
            "bootstrap.servers": broker.kafka,
            "acks": "all",
            "linger.ms": 1,
            "message.timeout.ms": PATIENCE_MS,
            **{key.replace("_", "."): value for key, value in conf.items()},
        }
        return confluent_kafka.Producer(settings)

    def produce(
        self, broker, topic, messages, *, codec="none", acks="all", idempotent=False, max_bytes=None
    ):
        conf = {"compression.type": codec, "acks": acks, "enable.idempotence": idempotent}
        if max_bytes:
            conf["message.max.bytes"] = max_bytes
        return self.produce_with(self.producer(broker, **conf), topic, messages)

    @staticmethod
    def produce_with(producer, topic, messages):
        placed, errors = {}, []

        def delivered(index):
            def report(error, message):
                if error:
                    errors.append(error)
                else:
                    placed[index] = (message.partition(), message.offset())

            return report

        for index, message in enumerate(messages):
            extra = {} if message.timestamp is None else {"timestamp": message.timestamp}
            producer.produce(
                topic,
                message.value,
                message.key,
                message.partition,
                headers=list(message.headers),
                on_delivery=delivered(index),
                **extra,
            )
        assert producer.flush(PATIENCE) == 0, "messages were neither acknowledged nor refused"
        if errors:
            raise Refused(errors[0].code(), errors[0].str())
        return [placed[index] for index in range(len(messages))]

    def reader(self, broker):
        return ConfluentReader(broker, "reader-without-group")

    def member(self, broker, group, topics, **conf):
        return ConfluentMember(broker, group, topics, conf)


class ConfluentReader(Reader):
    def __init__(self, broker, group, conf=()):
        settings = {
            "bootstrap.servers": broker.kafka,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 200,
            **dict(conf),
        }
        self.consumer = confluent_kafka.Consumer(settings)

    def start(self, topic, at, partitions=(0,)):
        """Reads `topic` from `at`: BEGINNING, END or an offset."""
        names = {BEGINNING: confluent_kafka.OFFSET_BEGINNING, END: confluent_kafka.OFFSET_END}
        at_offset = names.get(at, at)
        self.consumer.assign(
            [confluent_kafka.TopicPartition(topic, part, at_offset) for part in partitions]
        )
        # An end is a place only once the client has looked it up.
        waiting = set(partitions) if at == END else set()
        while waiting:
            event = self.consumer.poll(PATIENCE)
            assert event is not None and event.error().code() == -191, "no end of partition"
            waiting.discard(event.partition())
        return self

    def poll(self, seconds=0.2):
        records = []
        for message in self.consumer.consume(1000, seconds):
            if message.error() is None:
                records.append(self._record(message))
            elif message.error().code() != confluent_kafka.KafkaError._PARTITION_EOF:
                raise Refused(message.error().code(), message.error().str())
        return records

    @staticmethod
    def _record(message):
        return Record(
            message.topic(),
            message.partition(),
            message.offset(),
            message.timestamp()[1],
            message.key(),
            message.value(),
            tuple(message.headers() or ()),
        )

    def bounds(self, topic, partition=0):
        """The first offset and the one after the last."""
        place = confluent_kafka.TopicPartition(topic, partition)
        return self.consumer.get_watermark_offsets(place, PATIENCE)

    def offset_at(self, topic, timestamp, partition=0):
        """The first offset whose record is not older than `timestamp`, or None."""
        place = confluent_kafka.TopicPartition(topic, partition, timestamp)
        [found] = self.consumer.offsets_for_times([place], PATIENCE)
        if found.error:
            raise Refused(found.error.code(), found.error.str())
        return found.offset if found.offset >= 0 else None

    def close(self):
        self.consumer.close()


class ConfluentMember(ConfluentReader):
    def __init__(self, broker, group, topics, conf):
        defaults = {"session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": 500}
        renamed = {key.replace("_", "."): value for key, value in conf.items()}
        super().__init__(broker, group, {**defaults, **renamed})
        self.consumer.subscribe(topics)

    def assignment(self):
        return {(place.topic, place.partition) for place in self.consumer.assignment()}

    def commit(self, topic, offset, partition=0, metadata=""):
        place = confluent_kafka.TopicPartition(topic, partition, offset, metadata)
        [done] = self.consumer.commit(offsets=[place], asynchronous=False)
        if done.error:
            raise Refused(done.error.code(), done.error.str())

    def committed(self, topic, partition=0):
        """The committed offset or None, and its metadata."""
        place = confluent_kafka.TopicPartition(topic, partition)
        [found] = self.consumer.committed([place], PATIENCE)
        return (None, "") if found.offset < 0 else (found.offset, found.metadata or "")


# ------------------------------------------------------------------------------- kafka-python


class KafkaPython:
    """kafka-python: all in Python, on threads."""

    name = "kafka-python"

    def produce(
        self, broker, topic, messages, *, codec="none", acks="all", idempotent=False, max_bytes=None
    ):
        conf = {} if max_bytes is None else {"max_request_size": max_bytes}
        producer = kafka.KafkaProducer(
            bootstrap_servers=broker.kafka,
            acks=acks,
            compression_type=None if codec == "none" else codec,
            enable_idempotence=idempotent,
            delivery_timeout_ms=PATIENCE_MS,
            max_block_ms=PATIENCE_MS,
            linger_ms=1,
            **KAFKA_PYTHON_PATIENCE,
            **conf,
        )
        try:
            sent = [
                producer.send(
                    topic,
                    message.value,
                    message.key,
                    list(message.headers),
                    message.partition,
                    message.timestamp,
                )
                for message in messages
            ]
            placed = [future.get(PATIENCE) for future in sent]
        except kafka.errors.KafkaError as error:
            raise Refused(getattr(error, "errno", None), str(error)) from error
        finally:
            producer.close(timeout=PATIENCE)
        return [(place.partition, place.offset) for place in placed]

    def reader(self, broker):
        return KafkaPythonReader(broker)

    def member(self, broker, group, topics, **conf):
        return KafkaPythonMember(broker, group, topics, conf)


class KafkaPythonReader(Reader):
    def __init__(self, broker, **conf):
        self.consumer = kafka.KafkaConsumer(
            bootstrap_servers=broker.kafka,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=200,
            **KAFKA_PYTHON_PATIENCE,
            **conf,
        )

    def start(self, topic, at, partitions=(0,)):
        places = [kafka.TopicPartition(topic, part) for part in partitions]
        self.consumer.assign(places)
        for place in places:
            if at == BEGINNING:
                self.consumer.seek_to_beginning(place)
            elif at == END:
                self.consumer.seek_to_end(place)
                self.consumer.position(place, timeout_ms=PATIENCE_MS)
            else:
                self.consumer.seek(place, at)
        return self

    def poll(self, seconds=0.2):
        found = self.consumer.poll(timeout_ms=int(seconds * 1000))
        return [_plain(record) for batch in found.values() for record in batch]

    def bounds(self, topic, partition=0):
        place = kafka.TopicPartition(topic, partition)
        first = self.consumer.beginning_offsets([place], timeout_ms=PATIENCE_MS)[place]
        return first, self.consumer.end_offsets([place], timeout_ms=PATIENCE_MS)[place]

    def offset_at(self, topic, timestamp, partition=0):
        place = kafka.TopicPartition(topic, partition)
        found = self.consumer.offsets_for_times({place: timestamp}, timeout_ms=PATIENCE_MS)[place]
        return None if found is None or found.offset < 0 else found.offset

    def close(self):
        self.consumer.close(autocommit=False)


class KafkaPythonMember(KafkaPythonReader):
    def __init__(self, broker, group, topics, conf):
        defaults = {"session_timeout_ms": SESSION_MS, "heartbeat_interval_ms": 500}
        super().__init__(broker, group_id=group, **{**defaults, **conf})
        self.consumer.subscribe(topics)

    def assignment(self):
        return {(place.topic, place.partition) for place in self.consumer.assignment()}

    def commit(self, topic, offset, partition=0, metadata=""):
        place = kafka.TopicPartition(topic, partition)
        committed = {place: kafka.OffsetAndMetadata(offset, metadata, -1)}
        self.consumer.commit(committed, timeout_ms=PATIENCE_MS)

    def committed(self, topic, partition=0):
        place = kafka.TopicPartition(topic, partition)
        found = self.consumer.committed(place, metadata=True, timeout_ms=PATIENCE_MS)
        return (None, "") if found is None else (found.offset, found.metadata or "")


def _plain(record):
    return Record(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        tuple(record.headers),
    )


# ----------------------------------------------------------------------------------- aiokafka


class _Loop:
    """An event loop on a thread of its own, so that blocking tests can drive aiokafka."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def begin(self, coroutine):
        """Starts it and returns its future."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def run(self, coroutine):
        """Starts it and waits for its result."""
        return self.begin(coroutine).result(2 * PATIENCE)


LOOP = _Loop()


class AioKafka:
    """aiokafka: all in Python, on asyncio."""

    name = "aiokafka"

    def produce(
        self, broker, topic, messages, *, codec="none", acks="all", idempotent=False, max_bytes=None
    ):
        conf = {} if max_bytes is None else {"max_request_size": max_bytes}
        conf["compression_type"] = None if codec == "none" else codec
        conf["enable_idempotence"] = idempotent
        return LOOP.run(self._produce(broker, topic, messages, acks=acks, **conf))

    @staticmethod
    async def _produce(broker, topic, messages, **conf):
        producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=broker.kafka, request_timeout_ms=PATIENCE_MS, linger_ms=1, **conf
        )
        await producer.start()
        try:
            sent = [
                await producer.send(
                    topic,
                    message.value,
                    message.key,
                    message.partition,
                    message.timestamp,
                    list(message.headers),
                )
                for message in messages
            ]
            placed = [await future for future in sent]
        except aiokafka.errors.KafkaError as error:
            raise Refused(getattr(error, "errno", None), str(error)) from error
        finally:
            await producer.stop()
        return [(place.partition, place.offset) for place in placed]

    def reader(self, broker):
        return AioKafkaReader(broker)

    def member(self, broker, group, topics, **conf):
        return AioKafkaMember(broker, group, topics, conf)


class AioKafkaReader(Reader):
    def __init__(self, broker, *topics, **conf):
        self.consumer = LOOP.run(self._make(broker, topics, conf))
        # What the loop is busy with for this reader: a test that drives several members from one
        # thread must not wait for one of them, since it may in turn wait for another.
        self.busy = LOOP.begin(self.consumer.start())
        if not topics:
            self._settled()

    @staticmethod
    async def _make(broker, topics, conf):
        return aiokafka.AIOKafkaConsumer(
            *topics,
            bootstrap_servers=broker.kafka,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            request_timeout_ms=PATIENCE_MS,
            fetch_max_wait_ms=200,
            **conf,
        )

    def _settled(self):
        """Waits until the loop is no longer busy with this reader."""
        busy, self.busy = self.busy, None
        return busy.result(2 * PATIENCE) if busy else None

    def start(self, topic, at, partitions=(0,)):
        LOOP.run(self._start([aiokafka.TopicPartition(topic, part) for part in partitions], at))
        return self

    async def _start(self, places, at):
        self.consumer.assign(places)
        for place in places:
            if at == BEGINNING:
                await self.consumer.seek_to_beginning(place)
            elif at == END:
                await self.consumer.seek_to_end(place)
                await self.consumer.position(place)
            else:
                self.consumer.seek(place, at)

    def poll(self, seconds=0.2):
        if self.busy is None:
            self.busy = LOOP.begin(self.consumer.getmany(timeout_ms=int(seconds * 1000)))
        done, _ = concurrent.futures.wait([self.busy], timeout=seconds + 0.1)
        found = self._settled() if done else None
        return [_plain(record) for batch in (found or {}).values() for record in batch]

    def bounds(self, topic, partition=0):
        place = aiokafka.TopicPartition(topic, partition)
        first = LOOP.run(self.consumer.beginning_offsets([place]))[place]
        return first, LOOP.run(self.consumer.end_offsets([place]))[place]

    def offset_at(self, topic, timestamp, partition=0):
        place = aiokafka.TopicPartition(topic, partition)
        found = LOOP.run(self.consumer.offsets_for_times({place: timestamp}))[place]
        return None if found is None or found.offset < 0 else found.offset

    def close(self):
        if self.busy:
            self.busy.cancel()
        LOOP.run(self.consumer.stop())


class AioKafkaMember(AioKafkaReader):
    def __init__(self, broker, group, topics, conf):
        defaults = {"session_timeout_ms": SESSION_MS, "heartbeat_interval_ms": 500}
        super().__init__(broker, *topics, group_id=group, **{**defaults, **conf})

    def assignment(self):
        return {(place.topic, place.partition) for place in self.consumer.assignment()}

    def commit(self, topic, offset, partition=0, metadata=""):
        place = aiokafka.TopicPartition(topic, partition)
        committed = {place: aiokafka.structs.OffsetAndMetadata(offset, metadata)}
        LOOP.run(self.consumer.commit(committed))

    def committed(self, topic, partition=0):
        """aiokafka hides the metadata; it is left empty here."""
        place = aiokafka.TopicPartition(topic, partition)
        return LOOP.run(self.consumer.committed(place)), ""


CONFLUENT = Confluent()
KAFKA_PYTHON = KafkaPython()
AIOKAFKA = AioKafka()
ALL = [CONFLUENT, KAFKA_PYTHON, AIOKAFKA]
