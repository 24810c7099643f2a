"""The command line against a real broker: topics, groups, sending, receiving, settings."""

import json
import subprocess

import pytest

from broker import PATIENCE, binary
from clients import BEGINNING, CONFLUENT, Message


def run(*args, stdin=None, status=0):
    """Runs `chaski`; its standard output."""
    done = subprocess.run(
        [binary(), *args], input=stdin, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == status, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout if status == 0 else done.stderr


@pytest.fixture
def on(broker):
    """The option that names the broker."""
    return ["--broker", broker.kafka]


def topic_names(on):
    return {topic["name"] for topic in json.loads(run("topic", "list", "-o", "json", *on))}


def test_topics_are_created_listed_described_and_deleted(on, name):
    run("topic", "create", name, "--partitions", "3", *on)
    assert name in topic_names(on)
    assert name in run("topic", "list", *on)
    described = json.loads(run("topic", "describe", name, "-o", "json", *on))
    assert described["name"] == name
    assert len(described["partitions"]) == 3
    assert name in run("topic", "describe", name, *on)
    run("topic", "delete", name, *on)
    assert name not in topic_names(on)


def test_failures_say_what_and_fail(on, name):
    run("topic", "create", name, *on)
    assert "exists" in run("topic", "create", name, *on, status=1)
    missing = f"{name}-missing"
    assert missing in run("topic", "describe", missing, *on, status=1)
    assert missing in run("topic", "delete", missing, *on, status=1)


def test_lines_sent_are_lines_received(broker, name):
    url = f"kafka://{broker.kafka}/{name}"
    lines = [f"line {i}" for i in range(100)]
    run("send", url, stdin="\n".join(lines) + "\n")
    received = run("recv", url, "--from", "earliest", "--count", "100")
    assert received.splitlines() == lines
    # Other clients see one record per line.
    with CONFLUENT.reader(broker) as reader:
        records = reader.start(name, BEGINNING).read(100)
    assert [record.value.decode() for record in records] == lines


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_records_of_others_are_received(broker, name, codec):
    messages = [Message(f"value {i}".encode(), b"key") for i in range(50)]
    CONFLUENT.produce(broker, name, messages, codec=codec)
    url = f"kafka://{broker.kafka}/{name}"
    received = run("recv", url, "--from", "earliest", "--count", "50")
    assert received.splitlines() == [f"value {i}" for i in range(50)]
    received = run("recv", url, "--from", "earliest", "--count", "50", "-o", "jsonl")
    records = [json.loads(line) for line in received.splitlines()]
    assert [record["offset"] for record in records] == list(range(50))
    assert {record["key"] for record in records} == {"key"}


def test_groups_are_listed_and_described(broker, on, name):
    CONFLUENT.produce(broker, name, [Message(b"x")] * 10)
    with CONFLUENT.member(broker, name, [name]) as member:
        member.read(10)
        member.commit(name, 4)
        listed = json.loads(run("group", "list", "-o", "json", *on))
        assert name in {group["group"] for group in listed}
        described = json.loads(run("group", "describe", name, "-o", "json", *on))
        assert described["state"].lower() == "stable"
        [offset] = described["offsets"]
        assert (offset["topic"], offset["partition"]) == (name, 0)
        assert (offset["committed"], offset["end"], offset["lag"]) == (4, 10, 6)
        assert name in run("group", "describe", name, *on)


def test_a_broker_that_is_not_there_is_named(name):
    error = run("topic", "list", "--broker", "127.0.0.1:1", status=3)
    assert "127.0.0.1:1" in error


def test_a_configuration_file_is_read(make_broker, tmp_path, name):
    config = tmp_path / "chaski.toml"
    config.write_text("num.partitions = 4\n[log.segment]\nbytes = 1048576\n")
    broker = make_broker("--config", str(config), "--set", "log.segment.bytes=2097152")
    CONFLUENT.produce(broker, name, [Message(b"x")])
    described = run("topic", "describe", name, "-o", "json", "--broker", broker.kafka)
    assert len(json.loads(described)["partitions"]) == 4


def test_an_unknown_setting_is_an_error_with_a_suggestion(tmp_path):
    config = tmp_path / "chaski.toml"
    config.write_text("num.partition = 4\n")
    error = run("serve", "--data", str(tmp_path / "data"), "--config", str(config), status=1)
    assert "num.partitions" in error and "chaski.toml" in error


def test_inspect_reads_the_segments_of_a_stopped_broker(make_broker, name):
    broker = make_broker()
    CONFLUENT.produce(broker, name, [Message(b"x" * 100)] * 20)
    broker.stop()
    segments = [path for path in broker.data.rglob("*.log") if path.stat().st_size > 0]
    assert segments
    shown = "".join(run("inspect", "segment", str(path)) for path in segments)
    assert "19" in shown


def test_bench_channel_reports_every_channel_and_the_limit():
    small = ["--messages", "2000", "--rounds", "1", "-o", "json"]
    report = json.loads(run("bench", "channel", *small))
    assert report["machine"]["cpus"] >= 1
    kinds = {"spsc", "fan-in", "mpsc", "mpmc"}
    for part in ("throughput", "round_trip"):
        assert kinds <= {row["who"] for row in report[part]} <= kinds | {"limit"}
    assert all(row["ns_per_message"] > 0 for row in report["throughput"])
    assert all(row["samples"] == 2000 for row in report["round_trip"])


def test_help_and_version():
    commands = ["serve", "topic", "group", "send", "recv", "shm", "inspect", "bench"]
    for command in [[], *([name] for name in commands)]:
        assert "Usage" in run(*command, "--help")
    assert run("--version").startswith("chaski ")
