"""Fetch: long polls that wake, limits that hold, batches that stay whole. By hand, on the wire.

Nothing here measures time. A long poll is asked to wait far longer than the test may run, so that
an answer at all means that it was woken.
"""

import pytest

import wire
from broker import PATIENCE
from clients import CONFLUENT, END, Message

FOR_EVER_MS = 2_000_000_000
NONE, OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC = 0, 1, 3


@pytest.fixture
def connection(broker, name):
    with wire.Connection(broker) as connection:
        assert connection.create_topic(name, 2) == NONE
        yield connection


@pytest.fixture
def other(broker):
    with wire.Connection(broker) as other:
        yield other


def batch(*values):
    return wire.batch([(None, value) for value in values])


def test_a_long_poll_wakes_on_append(connection, other, name):
    connection.send(wire.FETCH, 4, wire.fetch_request(name, 0, max_wait_ms=FOR_EVER_MS))
    assert other.produce(name, batch(b"wake up")) == (NONE, 0)
    _, answer = connection.receive()
    [(error, high_watermark, records)] = connection.read_fetched(answer)
    assert (error, high_watermark) == (NONE, 1)
    assert b"wake up" in records


def test_a_long_poll_wakes_on_any_of_its_partitions(connection, other, name):
    body = wire.fetch_request(name, 0, max_wait_ms=FOR_EVER_MS, parts=(0, 1))
    connection.send(wire.FETCH, 4, body)
    assert other.produce(name, batch(b"second"), partition=1) == (NONE, 0)
    _, answer = connection.receive()
    by_partition = connection.read_fetched(answer)
    assert [b"second" in records for _, _, records in by_partition] == [False, True]


def test_a_long_poll_waits_for_its_minimum(connection, other, name):
    body = wire.fetch_request(name, 0, max_wait_ms=FOR_EVER_MS, min_bytes=3000)
    connection.send(wire.FETCH, 4, body)
    for _ in range(3):
        assert other.produce(name, batch(b"x" * 1000))[0] == NONE
    _, answer = connection.receive()
    [(_, high_watermark, records)] = connection.read_fetched(answer)
    assert high_watermark == 3
    assert len(records) >= 3000


def test_every_long_poll_on_a_topic_wakes(broker, connection, name):
    sleepers = [wire.Connection(broker) for _ in range(50)]
    for sleeper in sleepers:
        sleeper.send(wire.FETCH, 4, wire.fetch_request(name, 0, max_wait_ms=FOR_EVER_MS))
    assert connection.produce(name, batch(b"all of you"))[0] == NONE
    for sleeper in sleepers:
        [(error, _, records)] = sleeper.read_fetched(sleeper.receive()[1])
        assert error == NONE and b"all of you" in records
        sleeper.close()


def test_a_long_poll_ends_empty_when_its_time_is_over(connection, name):
    assert connection.fetch(name, 0, max_wait_ms=50) == [(NONE, 0, b"")]


def test_errors_do_not_wait(connection, name):
    [(error, _, _)] = connection.fetch(name, 7, max_wait_ms=FOR_EVER_MS)
    assert error == OFFSET_OUT_OF_RANGE
    [(error, _, _)] = connection.fetch(name, 0, max_wait_ms=FOR_EVER_MS, parts=(99,))
    assert error == UNKNOWN_TOPIC


def test_what_is_stored_comes_back_byte_for_byte(connection, name):
    """But for the two fields outside of the checksum: base offset and leader epoch."""
    sent = [batch(b"a", b"b"), batch(b"c"), batch(b"d" * 5000)]
    for one in sent:
        assert connection.produce(name, one)[0] == NONE
    [(_, high_watermark, records)] = connection.fetch(name, 0)
    assert high_watermark == 4
    at, base = 0, 0
    for one, count in zip(sent, (2, 1, 1)):
        got = records[at : at + len(one)]
        assert got[:8] == wire.i64(base)
        assert got[8:12] == one[8:12] and got[16:] == one[16:]
        at, base = at + len(one), base + count
    assert at == len(records)


def test_the_whole_batch_comes_for_an_offset_inside(connection, name):
    one = batch(b"a", b"b", b"c")
    assert connection.produce(name, one)[0] == NONE
    [(_, _, records)] = connection.fetch(name, 2)
    assert len(records) == len(one) and records[:8] == wire.i64(0)


def test_a_first_batch_beyond_the_limit_comes_all_the_same(connection, name):
    one = batch(b"x" * 100_000)
    for _ in range(2):
        assert connection.produce(name, one)[0] == NONE
    [(_, _, records)] = connection.fetch(name, 0, max_bytes=1000)
    assert len(records) == len(one)


def test_responses_come_in_the_order_of_requests(connection, other, name):
    """A request behind a long poll is answered after it, not before."""
    connection.send(wire.FETCH, 4, wire.fetch_request(name, 0, max_wait_ms=FOR_EVER_MS))
    second = connection.send(wire.API_VERSIONS, 0, b"")
    assert other.produce(name, batch(b"go on"))[0] == NONE
    first_id, _ = connection.receive()
    second_id, _ = connection.receive()
    assert (first_id, second_id) == (second - 1, second)


def test_a_thousand_requests_in_flight(connection, name):
    sent = [
        connection.send(wire.PRODUCE, 3, wire.produce_request(name, batch(str(i).encode())))
        for i in range(1000)
    ]
    for i, expected in enumerate(sent):
        correlation, answer = connection.receive()
        assert correlation == expected
        assert connection.read_produced(answer) == (NONE, i)


def test_consumers_of_every_client_are_woken(client, broker, name):
    CONFLUENT.producer(broker).list_topics(name, PATIENCE)
    with client.reader(broker) as reader:
        reader.start(name, END)
        for i in range(5):
            CONFLUENT.produce(broker, name, [Message(str(i).encode())])
            [record] = reader.read(1)
            assert record.value == str(i).encode()
