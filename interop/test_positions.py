"""Where a consumer may begin: the beginning, the end, an offset, a point in time; and its lag."""

import pytest

import wire
from broker import PATIENCE
from clients import BEGINNING, CONFLUENT, END, Message

OFFSET_OUT_OF_RANGE = 1

# The timestamp of the first record of the topics below, and the step to the next.
FIRST_MS = 1_700_000_000_000
STEP_MS = 10


@pytest.fixture
def filled(broker, name):
    """A topic of 100 records, 10 ms apart, in several batches."""
    for batch in range(10):
        stamps = [FIRST_MS + (batch * 10 + i) * STEP_MS for i in range(10)]
        messages = [Message(str(stamp).encode(), timestamp=stamp) for stamp in stamps]
        CONFLUENT.produce(broker, name, messages)
    return name


def test_from_the_beginning(client, broker, filled):
    with client.reader(broker) as reader:
        records = reader.start(filled, BEGINNING).read(100)
    assert [record.offset for record in records] == list(range(100))


def test_from_an_offset_inside_a_batch(client, broker, filled):
    with client.reader(broker) as reader:
        records = reader.start(filled, 57).read(43)
    assert [record.offset for record in records] == list(range(57, 100))


def test_from_the_end_sees_only_what_comes_after(client, broker, filled):
    with client.reader(broker) as reader:
        reader.start(filled, END)
        CONFLUENT.produce(broker, filled, [Message(b"new")])
        [record] = reader.read(1)
    assert (record.offset, record.value) == (100, b"new")


def test_bounds(client, broker, filled):
    with client.reader(broker) as reader:
        assert reader.bounds(filled) == (0, 100)


def test_bounds_of_an_empty_topic(client, broker, name):
    CONFLUENT.producer(broker).list_topics(name, PATIENCE)
    with client.reader(broker) as reader:
        assert reader.bounds(name) == (0, 0)


@pytest.mark.parametrize(
    "after_ms, offset",
    [
        (-1_000_000, 0),
        (0, 0),
        (1, 1),
        (9 * STEP_MS, 9),
        (9 * STEP_MS + 1, 10),
        (57 * STEP_MS, 57),
        (57 * STEP_MS - 5, 57),
        (99 * STEP_MS, 99),
        (99 * STEP_MS + 1, None),
    ],
)
def test_offset_of_a_time(client, broker, filled, after_ms, offset):
    with client.reader(broker) as reader:
        assert reader.offset_at(filled, FIRST_MS + after_ms) == offset


def test_offset_of_a_time_inside_a_compressed_batch(client, broker, name):
    stamps = [FIRST_MS + i * STEP_MS for i in range(50)]
    messages = [Message(b"x" * 100, timestamp=stamp) for stamp in stamps]
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        topic = f"{name}-{codec}"
        CONFLUENT.produce(broker, topic, messages, codec=codec)
        with client.reader(broker) as reader:
            assert reader.offset_at(topic, FIRST_MS + 33 * STEP_MS - 3) == 33, codec


def test_offset_of_a_time_when_clocks_ran_backwards(client, broker, name):
    """The first record that is late enough counts, even if earlier ones follow it."""
    stamps = [FIRST_MS + step * STEP_MS for step in (0, 5, 2, 9, 1)]
    for stamp in stamps:
        CONFLUENT.produce(broker, name, [Message(b"x", timestamp=stamp)])
    with client.reader(broker) as reader:
        assert reader.offset_at(name, FIRST_MS + 2 * STEP_MS) == 1
        assert reader.offset_at(name, FIRST_MS + 6 * STEP_MS) == 3
        assert reader.offset_at(name, FIRST_MS + 10 * STEP_MS) is None


def test_beyond_the_end_is_out_of_range(broker, filled):
    with wire.Connection(broker) as connection:
        for offset in (-1, 101, 1000):
            [(error, _, _)] = connection.fetch(filled, offset)
            assert error == OFFSET_OUT_OF_RANGE, offset
        # The end itself is a place to wait at.
        assert connection.fetch(filled, 100) == [(0, 100, b"")]


def test_a_client_beyond_the_end_begins_anew(client, broker, filled):
    """What is out of range is reset as the client was told: to the earliest record."""
    with client.reader(broker) as reader:
        records = reader.start(filled, 1000).read(100)
    assert [record.offset for record in records] == list(range(100))


def test_lag_is_the_end_less_the_committed_offset(client, broker, filled):
    with client.member(broker, f"{filled}-group", [filled]) as member:
        member.read(100)
        member.commit(filled, 60)
        committed, _ = member.committed(filled)
        assert member.bounds(filled)[1] - committed == 40
