"""What is acknowledged stays: over clean stops, over kill -9, one owner of a directory."""

import subprocess

import pytest

import broker as harness
from clients import ALL, BEGINNING, CONFLUENT, Message


def numbered(count, first=0):
    return [Message(f"value {i}".encode(), str(i).encode()) for i in range(first, first + count)]


def assert_all_there(broker, topic, count):
    with CONFLUENT.reader(broker) as reader:
        assert reader.bounds(topic) == (0, count)
        records = reader.start(topic, BEGINNING).read(count)
    assert [(r.offset, r.value) for r in records] == [
        (i, f"value {i}".encode()) for i in range(count)
    ]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_everything_acknowledged_is_there_after(client, make_broker, name, end):
    broker = make_broker()
    total = 0
    for _ in range(3):
        client.produce(broker, name, numbered(500, total), acks="all")
        total += 500
        getattr(broker, end)()
        broker.start()
        assert_all_there(broker, name, total)


def test_many_segments_are_found_again(make_broker, name):
    broker = make_broker("--set", "log.segment.bytes=65536")
    CONFLUENT.produce(broker, name, numbered(20_000))
    for end in (broker.kill, broker.stop):
        end()
        broker.start()
        assert_all_there(broker, name, 20_000)
    with CONFLUENT.reader(broker) as reader:
        assert reader.start(name, 12_345).read(1)[0].offset == 12_345


def test_many_partitions_are_found_again(make_broker, name):
    broker = make_broker("--set", "num.partitions=50")
    messages = [Message(str(i).encode(), partition=i % 50) for i in range(5000)]
    CONFLUENT.produce(broker, name, messages)
    for end in (broker.kill, broker.stop):
        end()
        broker.start()
        with CONFLUENT.reader(broker) as reader:
            records = reader.start(name, BEGINNING, partitions=range(50)).read(5000)
        assert sorted(int(r.value) for r in records) == list(range(5000))


def test_a_deleted_topic_stays_deleted(make_broker, name):
    broker = make_broker()
    for topic in (name, f"{name}-kept"):
        CONFLUENT.produce(broker, topic, numbered(10))
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": broker.kafka})
    admin.delete_topics([name])[name].result(harness.PATIENCE)
    broker.kill()
    broker.start()
    admin = AdminClient({"bootstrap.servers": broker.kafka})
    listed = admin.list_topics(timeout=harness.PATIENCE).topics
    assert f"{name}-kept" in listed and name not in listed
    # The name may live again, without a past.
    assert CONFLUENT.produce(broker, name, numbered(1)) == [(0, 0)]


def test_clients_of_every_kind_live_through_a_restart(make_broker, name):
    """Readers stay connected to the address and go on where they were."""
    broker = make_broker()
    CONFLUENT.produce(broker, name, numbered(10))
    readers = [client.reader(broker).start(name, BEGINNING) for client in ALL]
    for reader in readers:
        reader.read(10)
    broker.kill()
    broker.start()
    CONFLUENT.produce(broker, name, numbered(10, 10))
    for reader in readers:
        assert [record.offset for record in reader.read(10)] == list(range(10, 20))
        reader.close()


def test_a_directory_has_one_owner(make_broker):
    broker = make_broker()
    ports = [harness.free_port(), harness.free_port()]
    second = subprocess.run(
        [harness.binary(), "serve", "--data", broker.data]
        + ["--kafka", f"127.0.0.1:{ports[0]}", "--http", f"127.0.0.1:{ports[1]}"],
        capture_output=True,
        text=True,
        timeout=harness.PATIENCE,
    )
    assert second.returncode != 0
    assert str(broker.data) in second.stderr
    assert broker.http_get("/readyz")[0] == 200


def test_a_killed_owner_does_not_keep_the_directory(make_broker):
    broker = make_broker()
    for _ in range(3):
        broker.kill()
        broker.start()
