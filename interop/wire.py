"""The Kafka protocol by hand, for what no client would send.

Only what the tests need, mostly in versions before the flexible ones, where a request is

    length i32 | api_key i16 | api_version i16 | correlation_id i32 | client_id string | body

and a response is `length i32 | correlation_id i32 | body`.
"""

import socket
import struct
import time

from kafka.record.memory_records import MemoryRecordsBuilder

from broker import PATIENCE

PRODUCE, FETCH, LIST_OFFSETS, METADATA = 0, 1, 2, 3
FIND_COORDINATOR, JOIN_GROUP, API_VERSIONS, CREATE_TOPICS, INIT_PRODUCER_ID = 10, 11, 18, 19, 22


def i8(n):
    return struct.pack(">b", n)


def i16(n):
    return struct.pack(">h", n)


def i32(n):
    return struct.pack(">i", n)


def i64(n):
    return struct.pack(">q", n)


def string(text):
    """A nullable string with a length of two bytes."""
    return i16(-1) if text is None else i16(len(text.encode())) + text.encode()


def blob(data):
    """Nullable bytes with a length of four bytes."""
    return i32(-1) if data is None else i32(len(data)) + data


def array(items):
    return i32(len(items)) + b"".join(items)


def uvarint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def header(api, version, correlation=1, client="wire"):
    return i16(api) + i16(version) + i32(correlation) + string(client)


def frame(payload):
    return i32(len(payload)) + payload


def batch(records, *, magic=2, producer=None, timestamp=None):
    """A batch of (key, value) records; `producer` is (id, epoch, first sequence)."""
    builder = MemoryRecordsBuilder(magic=magic, compression_type=0, batch_size=1 << 24)
    if producer:
        builder.set_producer_state(*producer, False)
    for key, value in records:
        stamp = int(time.time() * 1000) if timestamp is None else timestamp
        builder.append(None if magic == 0 else stamp, key, value)
    builder.close()
    return bytes(builder.buffer())


def produce_request(topic, records, *, partition=0, acks=-1):
    """The body of Produce v3."""
    part = i32(partition) + blob(records)
    topics = array([string(topic) + array([part])])
    return string(None) + i16(acks) + i32(30000) + topics


def fetch_request(topic, offset, *, max_wait_ms=0, min_bytes=1, max_bytes=1 << 20, parts=(0,)):
    """The body of Fetch v4."""
    wanted = array([i32(part) + i64(offset) + i32(max_bytes) for part in parts])
    head = i32(-1) + i32(max_wait_ms) + i32(min_bytes) + i32(max_bytes) + i8(0)
    return head + array([string(topic) + wanted])


class Closed(Exception):
    """The broker closed the connection."""


class Reading:
    """A response, read from front to back."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        taken = self.data[self.at : self.at + count]
        assert len(taken) == count, "the response is too short"
        self.at += count
        return taken

    def int(self, size):
        return int.from_bytes(self.take(size), "big", signed=True)

    def string(self):
        size = self.int(2)
        return None if size < 0 else self.take(size).decode()

    def blob(self):
        size = self.int(4)
        return None if size < 0 else self.take(size)

    def rest(self):
        return len(self.data) - self.at


class Connection:
    """A socket to the broker."""

    def __init__(self, broker):
        self.socket = socket.create_connection(("127.0.0.1", broker.kafka_port), PATIENCE)
        self.socket.settimeout(PATIENCE)
        self.correlation = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send_raw(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed from None

    def send(self, api, version, body, client="wire"):
        """Sends a request and returns its correlation id."""
        self.correlation += 1
        self.send_raw(frame(header(api, version, self.correlation, client) + body))
        return self.correlation

    def receive_exactly(self, count):
        data = bytearray()
        while len(data) < count:
            try:
                piece = self.socket.recv(min(count - len(data), 1 << 20))
            except ConnectionResetError:
                raise Closed from None
            if not piece:
                raise Closed
            data += piece
        return bytes(data)

    def receive(self):
        """The next response: its correlation id, and its body to read."""
        size = struct.unpack(">i", self.receive_exactly(4))[0]
        answer = Reading(self.receive_exactly(size))
        return answer.int(4), answer

    def call(self, api, version, body, client="wire"):
        sent = self.send(api, version, body, client)
        correlation, answer = self.receive()
        assert correlation == sent, "responses come in the order of requests"
        return answer

    def is_open(self):
        """Whether the broker answers on this connection."""
        try:
            return self.call(API_VERSIONS, 0, b"").int(2) == 0
        except Closed:
            return False

    def api_versions(self):
        """What the broker serves: {api: (min, max)}."""
        answer = self.call(API_VERSIONS, 0, b"")
        assert answer.int(2) == 0
        return {answer.int(2): (answer.int(2), answer.int(2)) for _ in range(answer.int(4))}

    def produce(self, topic, records, *, partition=0, acks=-1):
        """Produce v3 with one batch: the error and the base offset."""
        body = produce_request(topic, records, partition=partition, acks=acks)
        return self.read_produced(self.call(PRODUCE, 3, body))

    @staticmethod
    def read_produced(answer):
        assert answer.int(4) == 1, "one topic"
        answer.string()
        assert answer.int(4) == 1, "one partition"
        answer.int(4)
        return answer.int(2), answer.int(8)

    def fetch(self, topic, offset, **how):
        """Fetch v4 of one topic: a list of (error, high watermark, records)."""
        return self.read_fetched(self.call(FETCH, 4, fetch_request(topic, offset, **how)))

    @staticmethod
    def read_fetched(answer):
        answer.int(4)
        assert answer.int(4) == 1, "one topic"
        answer.string()
        found = []
        for _ in range(answer.int(4)):
            answer.int(4)
            error, high_watermark = answer.int(2), answer.int(8)
            answer.int(8)
            for _ in range(max(0, answer.int(4))):
                answer.take(16)
            found.append((error, high_watermark, answer.blob() or b""))
        return found

    def create_topic(self, topic, partitions=1):
        """CreateTopics v2: the error."""
        one = string(topic) + i32(partitions) + i16(1) + array([]) + array([])
        answer = self.call(CREATE_TOPICS, 2, array([one]) + i32(30000) + i8(0))
        answer.int(4)
        assert answer.int(4) == 1
        answer.string()
        return answer.int(2)

    def init_producer_id(self):
        """InitProducerId v0: the id and the epoch."""
        answer = self.call(INIT_PRODUCER_ID, 0, string(None) + i32(60000))
        answer.int(4)
        error = answer.int(2)
        assert error == 0, f"InitProducerId failed with {error}"
        return answer.int(8), answer.int(2)
