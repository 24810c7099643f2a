"""Gateways: pyzmq at one end, three Kafka clients at the other, and kill -9 of each part.

What is promised of each kind is in docs/gateways.md; here the promises are held to it:

- ROUTER: what was answered with an offset is there, whoever dies;
- PUSH: each record is worked on at least once, whoever dies;
- PULL: what was taken is stored, in order and once; what was on the way when somebody died is lost
  as a whole stretch, and nothing else is;
- PUB: a subscriber can tell what it has missed, and gets it.

And counters add up: see `taken_in` and `given_out`.
"""

import contextlib
import json
import subprocess
import sys
import threading
import urllib.error

import confluent_kafka
import pytest
import zmq

from broker import PATIENCE, eventually, free_port
from clients import BEGINNING, Message

PATIENCE_MS = int(PATIENCE * 1000)


class Gateways:
    """The gateways of a broker, over its API."""

    def __init__(self, broker):
        self.broker = broker

    def call(self, method, path, body=None):
        request = {
            "method": method,
            "data": None if body is None else json.dumps(body).encode(),
            "headers": {"Content-Type": "application/json", "X-Chaski": "1"},
        }
        try:
            with self.broker.http_open(f"/api{path}", **request) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def add(self, name, kind, topic, **spec):
        """Adds one that is bound to a port of its own; returns its endpoint."""
        if "connect" not in spec:
            spec.setdefault("bind", [f"tcp://127.0.0.1:{free_port()}"])
        spec |= {"name": name, "kind": kind, "topic": topic}
        status, answer = self.call("POST", "/gateways", spec)
        assert status in (200, 201), answer
        return answer["endpoints"][0]

    def get(self, name):
        _, answer = self.call("GET", "/gateways")
        return next(one for one in answer["gateways"] if one["name"] == name)


def taken_in(gateways, name, count):
    """Holds a gateway in to its counters: what it has taken, by the count of who sent it, is stored
    or dropped, and nothing is held back; its sockets have counted the same for peers still there.
    """

    def adds_up():
        status = gateways.get(name)
        # A batch is timed after it was counted.
        is_timed = (status["latency"]["count"] > 0) == (count > 0)
        return status["messages"] + status["drops"] == count and is_timed and status

    status = eventually(adds_up, f"{count} are stored or dropped")
    assert status["lag"] == 0
    assert status["malformed"] <= status["drops"]
    assert sum(peer["received"] for peer in status["peers"]) <= count
    return status


def taken_in_of_the_dead(gateways, name):
    """The same where nobody is left who knows how much was sent; returns how much is stored.

    What had come may still be on its way into the log when its sender is gone.
    """

    def adds_up():
        status = gateways.get(name)
        stored = end_of(gateways.broker, status["topic"])
        is_over = not status["peers"] and status["lag"] == 0
        return is_over and status["messages"] + status["drops"] == stored and (status, stored)

    status, stored = eventually(adds_up, "what had come is stored or dropped")
    assert status["drops"] == 0
    return stored


def at_rest(gateways, name):
    """A gateway as it is once nothing is on its way."""

    def rests():
        status = gateways.get(name)
        return status["lag"] == 0 and status

    return eventually(rests, "nothing is on its way")


def given_out(gateways, name, count):
    """Holds a gateway out to its counters: each record it has read was handed to its socket once,
    but for those sent again; each peer got it, or waits for it, or has lost it.
    """

    def adds_up():
        status = gateways.get(name)
        return status["messages"] - status["resent"] == count and status["lag"] == 0 and status

    status = eventually(adds_up, f"{count} are handed over")
    for peer in status["peers"]:
        assert peer["sent"] + peer["queued"] + peer["dropped"] <= status["messages"]
    assert status["drops"] >= sum(peer["dropped"] for peer in status["peers"])
    return status


@pytest.fixture
def context():
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


def connected(context, kind, endpoint, **options):
    socket = context.socket(kind)
    socket.rcvtimeo = socket.sndtimeo = PATIENCE_MS
    # Set before it connects: libzmq does not always end one whose handshake is refused otherwise.
    socket.linger = 0
    for name, value in options.items():
        setattr(socket, name, value)
    socket.connect(endpoint)
    return socket


def consume(broker, topic, count, partitions=1):
    """The first `count` records, as (offset, key, value), by confluent-kafka."""
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": broker.kafka, "group.id": "unused", "enable.auto.commit": False}
    )
    start = confluent_kafka.OFFSET_BEGINNING
    consumer.assign(
        [confluent_kafka.TopicPartition(topic, n, start) for n in range(partitions)]
    )
    records = []
    try:
        while len(records) < count:
            batch = consumer.consume(min(count - len(records), 10_000), timeout=PATIENCE)
            assert batch, f"{len(records)} of {count} came"
            for record in batch:
                assert record.error() is None, record.error()
                records.append((record.offset(), record.key(), record.value()))
    finally:
        consumer.close()
    return records


def end_of(broker, topic):
    """How many records the first partition has."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker.kafka, "group.id": "unused"})
    try:
        partition = confluent_kafka.TopicPartition(topic, 0)
        return consumer.get_watermark_offsets(partition, timeout=PATIENCE)[1]
    finally:
        consumer.close()


def produce(broker, topic, values, key=None):
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": broker.kafka, "message.timeout.ms": PATIENCE_MS}
    )
    for value in values:
        producer.produce(topic, value, key, partition=0)
        producer.poll(0)
    assert producer.flush(PATIENCE) == 0


def numbers(start, end):
    return [str(n).encode() for n in range(start, end)]


def python(code, *args, stdin=subprocess.DEVNULL):
    """A process of its own, to be killed."""
    command = [sys.executable, "-c", code, *args]
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, stdin=stdin, **quiet)


def killed(process):
    """What it had printed."""
    process.kill()
    return process.communicate()[0].decode().splitlines()


@pytest.mark.parametrize("acks", ["one", "all"])
def test_push_to_kafka_consumer(client, broker, context, name, acks):
    gateways = Gateways(broker)
    endpoint = gateways.add(name, "pull", name, frames="key,value", acks=acks)
    push = connected(context, zmq.PUSH, endpoint)
    for value in numbers(0, 20_000):
        push.send_multipart([b"k", value, b"trace", b"7"])
    push.send_multipart([b"no value"])
    with client.reader(broker) as reader:
        records = reader.start(name, BEGINNING).read(20_000)
    assert [(r.offset, r.key, r.value) for r in records] == [
        (n, b"k", b"%d" % n) for n in range(20_000)
    ]
    assert {r.headers for r in records} == {(("trace", b"7"),)}
    status = taken_in(gateways, name, 20_001)
    assert (status["drops"], status["malformed"], status["errors"]) == (1, 1, 0)
    eventually(lambda: gateways.get(name)["peers"][0]["received"] == 20_001, "its socket agrees")


def test_kafka_producer_to_sub(client, broker, context, name):
    gateways = Gateways(broker)
    endpoint = gateways.add(name, "pub", name, frames="position,key,value")
    sub = connected(context, zmq.SUB, endpoint, subscribe=name)
    sub.rcvtimeo = 50

    def arrives():
        client.produce(broker, name, [Message(b"probe")])
        try:
            return sub.recv_multipart()
        except zmq.Again:
            return None

    eventually(arrives, "the subscription has arrived")
    sub.rcvtimeo = PATIENCE_MS
    placed = client.produce(broker, name, [Message(value, b"k") for value in numbers(0, 500)])
    values = []
    while len(values) < 500:
        topic, position, key, value = sub.recv_multipart()
        assert topic == name.encode()
        if value != b"probe":
            assert (position, key) == (b"%d:%d" % placed[len(values)], b"k")
            values.append(value)
    assert values == numbers(0, 500)
    assert given_out(gateways, name, end_of(broker, name))["drops"] == 0


def test_dealer_to_kafka_consumer(client, broker, context, name):
    gateways = Gateways(broker)
    dealer = connected(context, zmq.DEALER, gateways.add(name, "router", name))
    for value in numbers(0, 1_000):
        dealer.send_multipart([value, b"", value])
    dealer.send_multipart([b"no envelope"])
    answers = [dealer.recv_multipart() for _ in range(1_001)]
    assert answers[:-1] == [[n, b"", b"ok", b"0", n] for n in numbers(0, 1_000)]
    assert answers[-1][1:3] == [b"error", b"INVALID_RECORD"]
    with client.reader(broker) as reader:
        records = reader.start(name, BEGINNING).read(1_000)
    assert [r.value for r in records] == numbers(0, 1_000)
    status = taken_in(gateways, name, 1_001)
    assert (status["drops"], status["unanswered"]) == (1, 0)


def test_kafka_producer_to_workers(client, broker, context, name):
    gateways = Gateways(broker)
    endpoint = gateways.add(name, "push", name, group=name, **{"from": "earliest"}, settle_ms=100)
    client.produce(broker, name, [Message(value) for value in numbers(0, 500)])
    worker = connected(context, zmq.PULL, endpoint)
    assert [worker.recv() for _ in range(500)] == numbers(0, 500)
    eventually(lambda: committed(broker, name, name) == 500, "it is committed")
    assert given_out(gateways, name, 500)["resent"] == 0
    eventually(lambda: gateways.get(name)["peers"][0]["sent"] == 500, "its socket agrees")


def test_a_configuration_file_brings_gateways(make_broker, context, tmp_path):
    port = free_port()
    config = tmp_path / "chaski.toml"
    config.write_text(
        f"""num.partitions = 1

[[gateway]]
name = "intake"
kind = "router"
bind = "tcp://127.0.0.1:{port}"
topic = "orders"
"""
    )
    broker = make_broker("--config", str(config))
    req = connected(context, zmq.REQ, f"tcp://127.0.0.1:{port}")
    req.send(b"an order")
    assert req.recv_multipart() == [b"ok", b"0", b"0"]
    assert Gateways(broker).get("intake")["source"] == "config"
    # It is counted after it was answered.
    count = 'chaski_gateway_messages_total{gateway="intake",kind="router"} 1'
    eventually(lambda: count in broker.http_get("/metrics")[1], "it is counted")


def test_a_loop_is_refused(broker, name):
    gateways = Gateways(broker)
    endpoint = gateways.add(name, "pub", name)
    spec = {"name": f"{name}-back", "kind": "sub", "topic": name, "connect": [endpoint]}
    status, answer = gateways.call("POST", "/gateways", spec)
    assert 400 <= status < 500, answer
    assert "go round for ever" in answer["error"]["message"]


def test_a_remote_publisher_is_taken_in(broker, context, name):
    publisher = context.socket(zmq.XPUB)
    publisher.rcvtimeo = PATIENCE_MS
    port = publisher.bind_to_random_port("tcp://127.0.0.1")
    Gateways(broker).add(
        name, "sub", name, connect=[f"tcp://127.0.0.1:{port}"], subscribe=["eur"]
    )
    assert publisher.recv() == b"\x01eur"
    for topic in [b"eur", b"usd", b"eur/x"]:
        publisher.send_multipart([topic, b"1"])
    assert [key for _, key, _ in consume(broker, name, 2)] == [b"eur", b"eur/x"]
    assert taken_in(Gateways(broker), name, 2)["drops"] == 0


class Asking(threading.Thread):
    """A DEALER that sends each message again until it is told an offset."""

    def __init__(self, context, endpoint, count):
        super().__init__(daemon=True)
        self.context, self.endpoint, self.count = context, endpoint, count
        self.offsets = {}

    def run(self):
        patience_ms = 1000
        while (before := len(self.offsets)) < self.count:
            # A new socket: what the old one has queued, it would send twice.
            dealer = connected(self.context, zmq.DEALER, self.endpoint, linger=0)
            dealer.rcvtimeo = patience_ms
            missing = [n for n in range(self.count) if n not in self.offsets]
            try:
                for n in missing[:500]:
                    dealer.send_multipart([b"%d" % n, b"", b"%d" % n])
                for _ in missing[:500]:
                    self.take(dealer.recv_multipart())
            except zmq.Again:
                pass
            dealer.close(0)
            # The broker may be dead, or its disk slow.
            patience_ms = 1000 if len(self.offsets) > before else min(2 * patience_ms, 16_000)

    def take(self, answer):
        correlation, empty, outcome, *where = answer
        assert empty == b""
        if outcome == b"ok":
            self.offsets[int(correlation)] = int(where[1])


def test_router_at_least_once_with_the_broker_killed(make_broker, context, name):
    broker = make_broker()
    endpoint = Gateways(broker).add("in", "router", name, acks="all")
    asking = Asking(context, endpoint, 20_000)
    asking.start()
    for share in (2_000, 6_000, 12_000):
        eventually(lambda share=share: len(asking.offsets) >= share, "some are answered")
        broker.kill()
        broker.start()
    asking.join(PATIENCE)
    assert len(asking.offsets) == 20_000
    records = {offset: value for offset, _, value in consume(broker, name, end_of(broker, name))}
    for n, offset in asking.offsets.items():
        assert records[offset] == b"%d" % n, "what was answered is where it was said to be"
    # Of the broker's last life; what was answered in that is among what is stored.
    status = at_rest(Gateways(broker), "in")
    assert status["drops"] == 0 and status["messages"] <= end_of(broker, name)


ASKER = """
import sys, zmq
dealer = zmq.Context().socket(zmq.DEALER)
dealer.connect(sys.argv[1])
sent = 0
while True:
    for _ in range(100):
        dealer.send_multipart([b"", b"%d" % sent])
        sent += 1
    for _ in range(100):
        empty, outcome, partition, offset = dealer.recv_multipart()
        print(offset.decode(), flush=True)
"""


def test_router_with_the_client_killed(broker, name):
    gateways = Gateways(broker)
    endpoint = gateways.add(name, "router", name)
    asker = python(ASKER, endpoint)
    eventually(lambda: gateways.get(name)["messages"] > 2_000, "some are stored")
    answered = [int(offset) for offset in killed(asker)]
    stored = taken_in_of_the_dead(gateways, name)
    assert answered == list(range(len(answered))) and len(answered) <= stored
    values = [value for _, _, value in consume(broker, name, stored)]
    assert values == numbers(0, stored), "in order, once, without a gap"


PUSHER = """
import sys, zmq
push = zmq.Context().socket(zmq.PUSH)
push.connect(sys.argv[1])
n = 0
while True:
    push.send(b"%d" % n)
    n += 1
"""


def test_pull_with_the_client_killed(broker, name):
    gateways = Gateways(broker)
    pusher = python(PUSHER, gateways.add(name, "pull", name))
    eventually(lambda: gateways.get(name)["messages"] > 5_000, "some are stored")
    killed(pusher)
    stored = taken_in_of_the_dead(gateways, name)
    values = [value for _, _, value in consume(broker, name, stored)]
    assert values == numbers(0, stored), "what came is a beginning of what was sent"


def test_pull_with_the_broker_killed(make_broker, name):
    broker = make_broker()
    gateways = Gateways(broker)
    pusher = python(PUSHER, gateways.add("in", "pull", name))
    try:
        eventually(lambda: gateways.get("in")["messages"] > 5_000, "some are stored")
        broker.kill()
        broker.start()
        eventually(lambda: gateways.get("in")["messages"] > 5_000, "more are stored")
    finally:
        killed(pusher)
    eventually(lambda: not gateways.get("in")["peers"], "it is gone")
    status = at_rest(gateways, "in")
    stored = end_of(broker, name)
    values = [int(value) for _, _, value in consume(broker, name, stored)]
    assert status["drops"] == 0 and status["messages"] < stored
    steps = [after - before for before, after in zip(values, values[1:])]
    assert values[0] == 0 and min(steps) >= 1, "in order, and none twice"
    assert sum(step > 1 for step in steps) <= 1, "one gap at most: what was on the way"


# It begins when it is told to: what an interpreter takes to start is not a part of the test.
WORKER = """
import sys, time, zmq
pull = zmq.Context().socket(zmq.PULL)
pull.rcvhwm = 1
print("ready", flush=True)
sys.stdin.readline()
pull.connect(sys.argv[1])
while True:
    value = pull.recv()
    time.sleep(0.0005)
    print(value.decode(), flush=True)
"""


@contextlib.contextmanager
def workers(endpoint, count):
    """So many that are ready to begin."""
    made = [python(WORKER, endpoint, stdin=subprocess.PIPE) for _ in range(count)]
    try:
        for worker in made:
            assert worker.stdout.readline() == b"ready\n"
        yield made
    finally:
        for worker in made:
            worker.kill()
            worker.wait()


def begin(worker):
    worker.stdin.write(b"go\n")
    worker.stdin.flush()


def committed(broker, group, topic):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker.kafka, "group.id": group})
    try:
        partition = confluent_kafka.TopicPartition(topic, 0)
        return consumer.committed([partition], timeout=PATIENCE)[0].offset
    finally:
        consumer.close()


def test_push_at_least_once_with_workers_and_the_broker_killed(make_broker, name):
    broker = make_broker()
    gateways = Gateways(broker)
    # Longer than a message may wait in a worker: the queues of the kernel and of libzmq hold all.
    endpoint = gateways.add(
        "out", "push", name, group=name, **{"from": "earliest"}, settle_ms=30_000
    )
    produce(broker, name, numbers(0, 3_000))
    done = set()
    # One after the other: who comes alone has something to lose.
    with workers(endpoint, 3) as (first, second, third):
        begin(first)
        eventually(lambda: gateways.get("out")["messages"] > 500, "some are on their way")
        begin(second)
        eventually(lambda: len(gateways.get("out")["peers"]) == 2, "the other is there")
        done |= {int(n) for n in killed(first)}
        eventually(lambda: gateways.get("out")["resent"] > 0, "what it had is sent again")
        broker.kill()
        broker.start()
        begin(third)
        eventually(
            lambda: committed(broker, name, name) == 3_000, "all is done and settled", 2 * PATIENCE
        )
        done |= {int(n) for n in killed(second)} | {int(n) for n in killed(third)}
    assert done == set(range(3_000)), "nothing is lost with a worker, nor with the broker"
    status = gateways.get("out")
    assert status["lag"] == 0 and status["drops"] == 0
    assert status["messages"] - status["resent"] <= 3_000


def test_a_subscriber_catches_up_over_the_death_of_the_broker(make_broker, context, name):
    broker = make_broker()
    gateways = Gateways(broker)
    # As many may wait for the subscriber as there are: none is dropped because it was slow.
    endpoint = gateways.add("out", "pub", name, frames="position,value", history=True, hwm=10_000)
    produce(broker, name, numbers(0, 1_000))
    broker.kill()
    broker.start()
    produce(broker, name, numbers(1_000, 2_000))
    sub = connected(context, zmq.SUB, endpoint)
    # Live first, then what was before: in this order nothing is missed.
    sub.subscribe(name)
    sub.subscribe(f"{name}@earliest#me")
    seen = {}
    produced = threading.Thread(target=produce, args=(broker, name, numbers(2_000, 3_000)))
    produced.start()
    while len(seen) < 3_000:
        topic, *rest = sub.recv_multipart()
        if topic == name.encode():
            position, value = rest
        elif len(rest) == 1:
            end = int(rest[0].split(b":")[1])
            assert end >= 2_000
            continue
        else:
            position, topic_frame, again, value = rest
            assert (position, topic_frame) == (again, name.encode())
        assert seen.setdefault(position, value) == value
    produced.join()
    # Since the broker's last start; the history goes to who asked for it, and is counted as well.
    assert at_rest(gateways, "out")["drops"] == 0
    assert seen == {b"0:%d" % n: b"%d" % n for n in range(3_000)}


def test_plain(broker, context, name):
    security = {"mechanism": "plain", "users": {"ada": "secret"}}
    endpoint = Gateways(broker).add(name, "router", name, security=security)
    stranger = connected(
        context, zmq.REQ, endpoint, plain_username=b"ada", plain_password=b"guess"
    )
    stranger.send(b"let me in")
    friend = connected(
        context, zmq.REQ, endpoint, plain_username=b"ada", plain_password=b"secret"
    )
    friend.send(b"hello")
    assert friend.recv_multipart()[0] == b"ok"
    assert [value for _, _, value in consume(broker, name, end_of(broker, name))] == [b"hello"]
    users = [peer["user"] for peer in Gateways(broker).get(name)["peers"]]
    assert "ada" in users
    assert taken_in(Gateways(broker), name, 1)["drops"] == 0
    stranger.close(0)


@pytest.mark.parametrize("kind", ["pull", "pub"])
def test_curve(broker, context, name, kind, tmp_path):
    server_public, server_secret = zmq.curve_keypair()
    public, secret = zmq.curve_keypair()
    path = tmp_path / "server.key"
    path.write_bytes(server_secret)
    security = {
        "mechanism": "curve",
        "secret_key_file": str(path),
        "allow": [public.decode()],
    }
    extra = {"history": True} if kind == "pub" else {}
    produce(broker, name, [b"before"])
    endpoint = Gateways(broker).add(name, kind, name, security=security, **extra)
    keys = {"curve_serverkey": server_public, "curve_publickey": public, "curve_secretkey": secret}
    if kind == "pull":
        push = connected(context, zmq.PUSH, endpoint, **keys)
        push.send(b"sealed")
        assert consume(broker, name, 2)[1][2] == b"sealed"
        taken_in(Gateways(broker), name, 1)
    else:
        sub = connected(context, zmq.SUB, endpoint, **keys)
        sub.subscribe("@earliest")
        assert sub.recv_multipart() == [b"@earliest", b"0:0", name.encode(), b"before"]
    peer = Gateways(broker).get(name)["peers"][0]
    assert (peer["mechanism"], peer["user"]) == ("CURVE", public.decode())
