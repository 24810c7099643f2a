"""Clients that mean harm, or are broken: the broker serves everybody else and stays small.

Every test ends by having a well-behaved client served, and by looking at the resident memory.
"""

import random
import resource
import socket
import struct

import pytest

import wire
from broker import PATIENCE, Broker
from clients import BEGINNING, CONFLUENT, Message
from wire import array, i8, i16, i32, i64, string, uvarint

# What the broker may hold in memory with thousands of connections or a stubborn client: the 64 MB
# it may hold under any load, and a little for the allocator.
RSS_MAX_BYTES = 80 << 20

IDLE_CONNECTIONS = 5000


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    """One broker for the whole module, so that what one attack leaves behind adds up."""
    broker = Broker(tmp_path_factory.mktemp("victim")).start()
    yield broker
    try:
        broker.stop()
    finally:
        broker.close()


@pytest.fixture
def many_files():
    """As many open files as there may be; returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(autouse=True)
def others_are_served(victim, name):
    yield
    assert_serves(victim, f"{name}-after")
    rss = victim.rss_bytes()
    if rss > RSS_MAX_BYTES:
        # The next test is not to blame for this one's.
        victim.restart()
    assert rss <= RSS_MAX_BYTES, f"{rss >> 20} MiB resident"


def assert_serves(broker, topic):
    """A well-behaved client produces and consumes."""
    assert broker.is_running(), broker.log_tail()
    messages = [Message(str(i).encode()) for i in range(20)]
    placed = CONFLUENT.produce(broker, topic, messages)
    with CONFLUENT.reader(broker) as reader:
        records = reader.start(topic, BEGINNING).read(placed[-1][1] + 1)
    assert [record.value for record in records[-20:]] == [message.value for message in messages]


def ends(connection, data, *, finish=True):
    """Sends `data` and reads until the broker closes; returns what it said.

    With `finish` our side closes its half first, as a client that goes away does.
    """
    said = b""
    try:
        connection.send_raw(data)
        if finish:
            connection.socket.shutdown(socket.SHUT_WR)
        while piece := connection.socket.recv(1 << 16):
            said += piece
    except (wire.Closed, ConnectionError):
        pass
    finally:
        connection.close()
    return said


# ------------------------------------------------------------------------------ frame lengths


@pytest.mark.parametrize("length", [0x7FFFFFFF, -1, -0x80000000, 104857601, 1 << 30])
def test_a_giant_or_negative_length_closes_the_connection(victim, length):
    assert ends(wire.Connection(victim), i32(length) + b"x" * 100, finish=False) == b""


@pytest.mark.parametrize("length", range(0, 8))
def test_a_frame_too_short_for_a_header_closes_the_connection(victim, length):
    assert ends(wire.Connection(victim), i32(length) + b"\0" * length, finish=False) == b""


def test_announcing_much_costs_nothing(victim):
    """A hundred clients announce 100 MB each and send a little of it."""
    crowd = [wire.Connection(victim) for _ in range(100)]
    for connection in crowd:
        connection.send_raw(i32(100 << 20) + b"\0" * 1000)
    assert_serves(victim, "while-much-is-announced")
    assert victim.rss_bytes() <= RSS_MAX_BYTES
    for connection in crowd:
        connection.close()


# ---------------------------------------------------------------------------- counts and sizes

HUGE = [0x7FFFFFFF, 0x10000000, 1_000_000, -2, -0x80000000]


def requests_with_count(count):
    """Requests whose first array or string claims to have `count` elements."""
    produce = string(None) + i16(-1) + i32(1000)
    fetch = i32(-1) + i32(0) + i32(1) + i32(1 << 20) + i8(0)
    yield wire.METADATA, 1, i32(count)
    yield wire.METADATA, 4, i32(count)
    yield wire.PRODUCE, 3, produce + i32(count)
    yield wire.PRODUCE, 3, produce + array([string("t") + i32(count)])
    yield wire.PRODUCE, 3, produce + array([string("t") + array([i32(0) + i32(count)])])
    yield wire.FETCH, 4, fetch + i32(count)
    yield wire.FETCH, 4, fetch + array([string("t") + i32(count)])
    yield wire.LIST_OFFSETS, 1, i32(-1) + i32(count)
    yield wire.LIST_OFFSETS, 1, i32(-1) + array([string("t") + i32(count)])
    yield wire.CREATE_TOPICS, 2, i32(count)
    group = string("g") + i32(10000) + i32(10000) + string("") + string("consumer")
    yield wire.JOIN_GROUP, 2, group + i32(count)
    yield wire.JOIN_GROUP, 2, group + array([string("range") + i32(count)])


@pytest.mark.parametrize("count", HUGE)
def test_absurd_counts_are_not_believed(victim, count):
    for api, version, body in requests_with_count(count):
        data = wire.frame(wire.header(api, version) + body)
        ends(wire.Connection(victim), data)
        assert victim.rss_bytes() <= RSS_MAX_BYTES, (api, version)


@pytest.mark.parametrize("size", [1 << 14, 1 << 21, 1 << 28, (1 << 32) - 1, (1 << 63) - 1])
def test_absurd_varints_are_not_believed(victim, size):
    """Flexible versions: compact arrays, compact strings, tagged fields."""
    count = uvarint(size)
    requests = [
        (wire.METADATA, 9, b"\0" + count),
        (wire.METADATA, 12, b"\0" + count),
        (wire.METADATA, 9, count),
        (wire.METADATA, 9, b"\0" + uvarint(2) + count),
        (wire.PRODUCE, 9, b"\0" + count),
        (wire.PRODUCE, 9, b"\0\0" + i16(-1) + i32(1000) + count),
        (wire.FETCH, 12, b"\0" + i32(-1) * 2 + i32(1) + i32(1 << 20) + i8(0) + i64(-1) + count),
        (wire.API_VERSIONS, 3, b"\0" + count),
        (wire.API_VERSIONS, 3, b"\1\0" + count),
        (wire.FIND_COORDINATOR, 4, b"\0" + i8(0) + count),
        (wire.INIT_PRODUCER_ID, 4, b"\0" + count),
    ]
    for api, version, body in requests:
        ends(wire.Connection(victim), wire.frame(wire.header(api, version) + body))
        assert victim.rss_bytes() <= RSS_MAX_BYTES, (api, version)


def test_a_varint_that_never_ends_is_not_followed(victim):
    data = wire.frame(wire.header(wire.METADATA, 9) + b"\0" + b"\xff" * 5000)
    ends(wire.Connection(victim), data)


def test_a_batch_that_lies_about_its_counts(victim):
    """The header of a batch claims more records and more bytes than there are."""
    with wire.Connection(victim) as connection:
        connection.create_topic("lies")
        good = wire.batch([(None, b"x")])
        lies = []
        for at, size in ((8, 4), (23, 4), (57, 4)):
            for claim in (0x7FFFFFFF, -1, -0x80000000, 0, 2):
                lie = bytearray(good)
                lie[at : at + size] = i32(claim)
                # With a checksum that fits, so that the lie is looked at.
                lie[17:21] = struct.pack(">I", crc32c(bytes(lie[21:])))
                if bytes(lie) != good:
                    lies.append(bytes(lie))
        for lie in lies:
            error, _ = connection.produce("lies", lie)
            assert error != 0
        assert connection.produce("lies", good) == (0, 0)


def crc32c(data):
    from kafka.record.util import calc_crc32c

    return calc_crc32c(data)


def test_compressed_bombs_are_stored_and_not_unpacked(victim):
    """A batch of 10 KB that unpacks to 10 MB is just bytes to the broker."""
    placed = CONFLUENT.produce(
        victim, "bomb", [Message(bytes(10_000_000))], codec="zstd", max_bytes=16 << 20
    )
    assert placed == [(0, 0)]
    with CONFLUENT.reader(victim) as reader:
        assert reader.offset_at("bomb", 0) == 0


# ------------------------------------------------------------------------------------- garbage


def test_random_garbage(victim):
    dice = random.Random(20)
    for _ in range(200):
        ends(wire.Connection(victim), dice.randbytes(dice.randrange(1, 5000)))


def test_random_garbage_in_well_formed_frames(victim):
    dice = random.Random(21)
    for _ in range(200):
        frames = [wire.frame(dice.randbytes(dice.randrange(0, 300))) for _ in range(5)]
        ends(wire.Connection(victim), b"".join(frames))


def test_random_bodies_for_every_version_of_every_api(victim):
    dice = random.Random(22)
    with wire.Connection(victim) as connection:
        served = connection.api_versions()
    for api, (low, high) in sorted(served.items()):
        for version in range(low, high + 1):
            for _ in range(4):
                body = dice.randbytes(dice.choice([0, 1, 3, 20, 200]))
                data = wire.frame(wire.header(api, version, client="garbage") + body)
                ends(wire.Connection(victim), data)


def test_bodies_cut_off_anywhere(victim):
    """Good requests that end too early, each on its own connection."""
    with wire.Connection(victim) as connection:
        connection.create_topic("cut")
    requests = [
        (wire.PRODUCE, 3, wire.produce_request("cut", wire.batch([(b"k", b"v")]))),
        (wire.FETCH, 4, wire.fetch_request("cut", 0)),
        (wire.METADATA, 1, array([string("cut")])),
        (wire.LIST_OFFSETS, 1, i32(-1) + array([string("cut") + array([i32(0) + i64(-1)])])),
    ]
    for api, version, body in requests:
        for keep in range(len(body)):
            data = wire.frame(wire.header(api, version) + body[:keep])
            ends(wire.Connection(victim), data)


def test_unknown_apis_and_versions(victim):
    for api in (4, 5, 6, 7, 24, 26, 38, 74, 99, 1000, 32767, -1, -32768):
        for version in (0, 1, 99, -1):
            ends(wire.Connection(victim), wire.frame(wire.header(api, version) + b"\0" * 20))


# ----------------------------------------------------------------------- slow and stubborn ones


def test_half_a_request_held_for_ever(victim, many_files):
    request = wire.frame(wire.header(wire.API_VERSIONS, 0))
    halves = []
    # Four at a time; the broker has other files open than these.
    for _ in range(min(500, (many_files - 500) // 4)):
        for keep in (0, 1, 4, len(request) - 1):
            connection = wire.Connection(victim)
            connection.send_raw(request[:keep])
            halves.append((connection, keep))
    assert_serves(victim, "between-halves")
    for connection, keep in halves[-8:]:
        connection.send_raw(request[keep:])
        assert connection.receive()[1].int(2) == 0
    for connection, _ in halves:
        connection.close()


def test_thousands_of_idle_connections(victim, many_files):
    count = min(IDLE_CONNECTIONS, many_files - 500)
    idle = []
    try:
        for _ in range(count):
            idle.append(socket.create_connection(("127.0.0.1", victim.kafka_port), PATIENCE))
        assert_serves(victim, "among-the-idle")
        assert victim.rss_bytes() <= RSS_MAX_BYTES
        # They are idle, not forgotten.
        for one in random.Random(5).sample(idle, 100):
            one.settimeout(PATIENCE)
            one.sendall(wire.frame(wire.header(wire.API_VERSIONS, 0)))
            assert one.recv(4)
    finally:
        for one in idle:
            one.close()


def fill(broker, topic, megabytes):
    with wire.Connection(broker) as connection:
        connection.create_topic(topic)
        one = wire.batch([(None, bytes(1 << 19))])
        for _ in range(2 * megabytes):
            assert connection.produce(topic, one)[0] == 0


class Stubborn:
    """A client that sends requests and never reads an answer. Its own buffers are small, so that
    what it is owed piles up at the broker or nowhere."""

    def __init__(self, broker):
        self.connection = wire.Connection(broker)
        for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self.connection.socket.setsockopt(socket.SOL_SOCKET, buffer, 1 << 16)

    def send_until_full(self, requests):
        """Sends until the broker has taken nothing more for a while, or hangs up."""
        self.connection.socket.settimeout(0.5)
        try:
            for _ in range(10_000):
                self.connection.socket.sendall(requests)
        except (TimeoutError, ConnectionError):
            pass

    def close(self):
        self.connection.close()


def outlast_stubborn_clients(broker, request, topic):
    """Ten of them at once, and everybody else is served."""
    stubborn = [Stubborn(broker) for _ in range(10)]
    for one in stubborn:
        one.send_until_full(request * 100)
    assert_serves(broker, topic)
    assert broker.rss_bytes() <= RSS_MAX_BYTES
    for one in stubborn:
        one.close()


def test_clients_that_never_read_their_fetches(victim):
    fill(victim, "unread", 50)
    body = wire.fetch_request("unread", 0, max_bytes=50 << 20)
    request = wire.frame(wire.header(wire.FETCH, 4) + body)
    outlast_stubborn_clients(victim, request, "beside-the-unread")


def test_clients_that_never_read_small_answers(victim):
    request = wire.frame(wire.header(wire.API_VERSIONS, 0))
    outlast_stubborn_clients(victim, request, "beside-the-small-unread")


def test_clients_that_vanish_in_the_middle(victim):
    """Reset, not closed: with answers under way and long polls open."""
    fill(victim, "vanish", 10)
    fetch = wire.fetch_request("vanish", 0, max_bytes=10 << 20)
    poll = wire.fetch_request("vanish", 20, max_wait_ms=2_000_000_000)
    for i in range(200):
        connection = wire.Connection(victim)
        connection.send(wire.FETCH, 4, fetch if i % 2 else poll)
        linger = struct.pack("ii", 1, 0)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.close()


def test_one_busy_client_does_not_starve_others(victim):
    """A flood of pipelined requests on one connection, while others are served."""
    flood = wire.Connection(victim)
    flood.socket.setblocking(False)
    request = wire.frame(wire.header(wire.METADATA, 1) + i32(-1)) * 1000
    for _ in range(10):
        try:
            flood.socket.send(request)
        except BlockingIOError:
            break
    assert_serves(victim, "beside-the-flood")
    flood.close()
