"""kill -9 in a loop while producers run; then the history is judged, see `checker`.

CHASKI_CRASH_SECONDS says for how long (default 60; nightly runs take ten minutes), and
CHASKI_CRASH_SEED which moments are chosen (default: another one each time, printed).
"""

import os
import random
import threading
import time

import pytest

from broker import PATIENCE
from checker import History, Place, Value
from clients import CONFLUENT

SECONDS = float(os.environ.get("CHASKI_CRASH_SECONDS", "60"))
SEED = int(os.environ.get("CHASKI_CRASH_SEED", random.randrange(1 << 32)))

PARTITIONS = 3

# Messages of one producer per second: enough that every kill meets some in every stage, few enough
# that reading all of them after each restart stays a small part of the time.
RATE = 1500


class Sender(threading.Thread):
    """A producer that numbers its messages, keeps sending until told to stop, and never gives up.

    Its delivery reports are the acknowledgements that count.
    """

    def __init__(self, broker, topic, history, *, name, **conf):
        super().__init__(daemon=True)
        self.topic = topic
        self.history = history
        self.label = name
        self.stopping = threading.Event()
        self.refused = []
        self.unsent = None
        self.producer = CONFLUENT.producer(
            broker,
            message_timeout_ms=0,
            reconnect_backoff_ms=20,
            reconnect_backoff_max_ms=200,
            retry_backoff_ms=20,
            **conf,
        )

    def run(self):
        number, began = 0, time.monotonic()
        while not self.stopping.is_set():
            if number < (time.monotonic() - began) * RATE and self._send(number):
                number += 1
            else:
                self.producer.poll(0.005)
        self.unsent = self.producer.flush(PATIENCE)

    def _send(self, number):
        value = Value(self.label, number)
        # Noted before it is sent: it may be read before `produce` returns.
        self.history.sent[self.label] = number + 1
        try:
            self.producer.produce(
                self.topic,
                value.encode(),
                partition=number % PARTITIONS,
                on_delivery=lambda error, message: self._delivered(value, error, message),
            )
        except BufferError:
            self.history.sent[self.label] = number
            return False
        return True

    def _delivered(self, value, error, message):
        if error:
            self.refused.append((value, str(error)))
        else:
            self.history.acknowledged[value] = Place(message.partition(), message.offset())

    def finish(self):
        """Stops sending and waits until everything is acknowledged."""
        self.stopping.set()
        self.join(2 * PATIENCE)
        assert self.unsent == 0, f"{self.label}: {self.unsent} messages were never acknowledged"
        assert not self.refused, f"{self.label}: {self.refused[:5]}"


class Follower(threading.Thread):
    """A consumer that follows the log through all crashes: one long pass."""

    def __init__(self, broker, topic):
        super().__init__(daemon=True)
        self.stopping = threading.Event()
        self.records = []
        self.reader = CONFLUENT.reader(broker).start(topic, 0, partitions=range(PARTITIONS))

    def run(self):
        while not self.stopping.is_set():
            self.records += [placed(record) for record in self.reader.poll(0.2)]

    def finish(self, count):
        """Goes on until it has `count` records, and returns them."""
        deadline = time.monotonic() + PATIENCE
        while len(self.records) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        self.stopping.set()
        self.join(PATIENCE)
        self.reader.close()
        return self.records


def placed(record):
    return Place(record.partition, record.offset), Value.decode(record.value)


def read_everything(broker, topic):
    """One pass over the whole log, at least up to where it ended when the pass began."""
    with CONFLUENT.reader(broker) as reader:
        bounds = [reader.bounds(topic, partition) for partition in range(PARTITIONS)]
        assert all(first == 0 for first, _ in bounds), f"the log lost its beginning: {bounds}"
        ends = [end for _, end in bounds]
        reader.start(topic, 0, partitions=range(PARTITIONS))
        log, deadline = [], time.monotonic() + PATIENCE
        while not complete(log, ends):
            assert time.monotonic() < deadline, f"the log ends at {ends}, but does not come"
            log += [placed(record) for record in reader.poll(0.5)]
        return log


def complete(log, ends):
    """Whether a pass has come to the end of every partition."""
    last = {}
    for place, _ in reversed(log):
        last.setdefault(place.partition, place.offset)
        if len(last) == PARTITIONS:
            break
    return all(last.get(partition, -1) >= end - 1 for partition, end in enumerate(ends))


@pytest.mark.timeout(SECONDS + 360)
def test_nothing_acknowledged_is_lost_by_kill_9(make_broker, name):
    print(f"seed {SEED}, {SECONDS:.0f} s")
    moments = random.Random(SEED)
    # Small segments and flushes, so that kills meet rolls and checkpoints too.
    broker = make_broker(
        *("--set", f"num.partitions={PARTITIONS}"),
        *("--set", "log.segment.bytes=262144"),
        *("--set", "log.flush.interval.ms=300"),
    )
    CONFLUENT.producer(broker).list_topics(name, PATIENCE)
    history = History()
    senders = [
        Sender(broker, name, history, name="idempotent", enable_idempotence=True),
        Sender(broker, name, history, name="idempotent-lz4", enable_idempotence=True,
               compression_type="lz4", linger_ms=20),
        Sender(broker, name, history, name="plain", max_in_flight=1),
    ]
    follower = Follower(broker, name)
    for thread in (*senders, follower):
        thread.start()

    kills, deadline = 0, time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        # Mostly in full swing, sometimes right after a start, sometimes during one.
        time.sleep(moments.choice([0.02, 0.3, 1, 2]) * moments.random())
        acknowledged = dict(history.acknowledged)
        broker.kill()
        if moments.random() < 0.2:
            broker.start(wait=False)
            time.sleep(0.03 * moments.random())
            broker.kill()
        broker.start()
        kills += 1
        log = read_everything(broker, name)
        history.passes.append(log)
        assert_nothing_lost(acknowledged, log, kills)

    for sender in senders:
        sender.finish()
    log = read_everything(broker, name)
    history.passes += [log, follower.finish(len(log))]
    anomalies = history.check(log, once={"idempotent", "idempotent-lz4"})
    assert not anomalies, f"seed {SEED}: {anomalies}"
    in_log = {value for _, value in log}
    missing = [
        value
        for producer, count in history.sent.items()
        for value in (Value(producer, number) for number in range(count))
        if value not in in_log
    ]
    assert not missing, f"seed {SEED}: {len(missing)} missing, {missing[:5]}"
    assert history.acknowledged and kills > 0
    print(f"{kills} kills, {len(history.acknowledged)} acknowledged, {len(log)} in the log")


def assert_nothing_lost(acknowledged, log, kills):
    held = set(log)
    lost = [(value, place) for value, place in acknowledged.items() if (place, value) not in held]
    assert not lost, f"seed {SEED}, kill {kills}: {len(lost)} lost, {lost[:5]}"
