"""What goes in comes out: every client, every codec, keys, headers, tombstones, sizes, batches."""

import random

import pytest

from broker import PATIENCE
from clients import ALL, BEGINNING, CONFLUENT, Message, Refused

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]

# Error codes of the protocol.
MESSAGE_TOO_LARGE = 10

# The default of `message.max.bytes`: 1 MiB and the header of a batch.
MAX_BYTES = 1048588


def read_all(client, broker, topic, count):
    with client.reader(broker) as reader:
        return reader.start(topic, BEGINNING).read(count)


def assert_same(records, messages, placed):
    assert [record.offset for record in records] == [offset for _, offset in placed]
    assert [record.value for record in records] == [message.value for message in messages]
    assert [record.key for record in records] == [message.key for message in messages]
    assert [record.headers for record in records] == [message.headers for message in messages]


@pytest.mark.parametrize("codec", CODECS)
def test_round_trip(client, broker, name, codec):
    messages = [
        Message(f"value {i}".encode() * 20, f"key {i % 7}".encode(), (("n", str(i).encode()),))
        for i in range(200)
    ]
    placed = client.produce(broker, name, messages, codec=codec)
    assert placed == [(0, offset) for offset in range(200)]
    assert_same(read_all(client, broker, name, 200), messages, placed)


@pytest.mark.parametrize("codec", CODECS)
def test_one_client_reads_what_another_wrote(broker, name, codec):
    for writer in ALL:
        topic = f"{name}-{writer.name}"
        messages = [Message(f"{writer.name} {i}".encode() * 50) for i in range(50)]
        placed = writer.produce(broker, topic, messages, codec=codec)
        for reader in ALL:
            assert_same(read_all(reader, broker, topic, 50), messages, placed)


@pytest.mark.parametrize("acks", [1, "all"])
def test_each_level_of_acknowledgement_gives_offsets(client, broker, name, acks):
    placed = client.produce(broker, name, [Message(b"a"), Message(b"b")], acks=acks)
    assert placed == [(0, 0), (0, 1)]
    assert [r.value for r in read_all(client, broker, name, 2)] == [b"a", b"b"]


def test_unacknowledged_messages_arrive(broker, name):
    CONFLUENT.produce(broker, name, [Message(b"first")])
    producer = CONFLUENT.producer(broker, acks=0)
    producer.produce(name, b"second", partition=0)
    assert producer.flush(PATIENCE) == 0
    assert [r.value for r in read_all(CONFLUENT, broker, name, 2)] == [b"first", b"second"]


def test_tombstones_and_empty_values_differ(client, broker, name):
    messages = [Message(None, b"gone"), Message(b"", b"empty"), Message(b"x", b"")]
    placed = client.produce(broker, name, messages)
    assert_same(read_all(client, broker, name, 3), messages, placed)


def test_headers_keep_order_repeats_and_nulls(broker, name):
    headers = (("a", b"1"), ("a", b"2"), ("", b""), ("null", None), ("b", bytes(range(256))))
    messages = [Message(b"x", None, headers)]
    placed = CONFLUENT.produce(broker, name, messages)
    assert_same(read_all(CONFLUENT, broker, name, 1), messages, placed)


def test_timestamps_are_the_producers(client, broker, name):
    stamps = [1_600_000_000_000 + i * 1000 for i in range(5)]
    client.produce(broker, name, [Message(b"x", timestamp=stamp) for stamp in stamps])
    assert [r.timestamp for r in read_all(client, broker, name, 5)] == stamps


def test_messages_up_to_the_limit_pass(client, broker, name):
    value = random.Random(1).randbytes(MAX_BYTES - 200)
    placed = client.produce(broker, name, [Message(value)], max_bytes=16 << 20)
    [record] = read_all(client, broker, name, 1)
    assert (record.value == value, placed) == (True, [(0, 0)])


def test_messages_beyond_the_limit_are_refused(client, broker, name):
    with pytest.raises(Refused) as refused:
        client.produce(broker, name, [Message(bytes(MAX_BYTES + 1))], max_bytes=16 << 20)
    assert refused.value.code == MESSAGE_TOO_LARGE
    # The topic still takes what fits, from the first offset on.
    assert client.produce(broker, name, [Message(b"fits")]) == [(0, 0)]


def test_a_topic_may_raise_the_limit(client, make_broker, name):
    broker = make_broker("--set", "message.max.bytes=6000000")
    value = random.Random(2).randbytes(5_000_000)
    client.produce(broker, name, [Message(b"small"), Message(value)], max_bytes=16 << 20)
    # The batch is larger than what a consumer asks for in one fetch; it must come all the same.
    records = read_all(client, broker, name, 2)
    assert [len(record.value) for record in records] == [5, 5_000_000]
    assert records[1].value == value


def test_many_messages_keep_their_order(client, broker, name):
    messages = [Message(str(i).encode()) for i in range(5000)]
    placed = client.produce(broker, name, messages, codec="lz4")
    assert placed == [(0, offset) for offset in range(5000)]
    assert_same(read_all(client, broker, name, 5000), messages, placed)


def test_partitions_number_their_records_apart(broker, make_broker, name):
    private = make_broker("--set", "num.partitions=4")
    messages = [Message(str(i).encode(), partition=i % 4) for i in range(40)]
    placed = CONFLUENT.produce(private, name, messages)
    assert placed == [(i % 4, i // 4) for i in range(40)]
    for client in ALL:
        with client.reader(private) as reader:
            records = reader.start(name, BEGINNING, partitions=range(4)).read(40)
        found = sorted((r.partition, r.offset, r.value) for r in records)
        assert found == sorted((p, o, m.value) for (p, o), m in zip(placed, messages))


def test_compressed_batches_are_kept_as_they_came(broker, name):
    """Compressible data takes less room in the log than its plain size: nobody unpacked it."""
    messages = [Message(b"the same words again " * 50) for _ in range(1000)]
    for codec in ("none", "zstd"):
        CONFLUENT.produce(broker, f"{name}-{codec}", messages, codec=codec)
    sizes = {}
    for line in broker.http_get("/metrics")[1].splitlines():
        for codec in ("none", "zstd"):
            if line.startswith("chaski_partition_bytes{") and f'topic="{name}-{codec}"' in line:
                sizes[codec] = float(line.split()[-1])
    assert sizes["none"] > 1_000_000
    assert sizes["zstd"] < sizes["none"] / 10
