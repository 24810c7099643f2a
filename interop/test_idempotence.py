"""Idempotent producers, and transactions, which are refused cleanly until they exist."""

import aiokafka
import aiokafka.errors
import confluent_kafka
import kafka
import kafka.errors
import pytest

import wire
from broker import PATIENCE
from clients import BEGINNING, CONFLUENT, KAFKA_PYTHON_PATIENCE, LOOP, PATIENCE_MS, Message

NONE = 0
OUT_OF_ORDER_SEQUENCE = 45
INVALID_PRODUCER_EPOCH = 47


def values(broker, topic, count):
    with CONFLUENT.reader(broker) as reader:
        return [record.value for record in reader.start(topic, BEGINNING).read(count)]


def test_idempotent_round_trip(client, broker, name):
    messages = [Message(str(i).encode()) for i in range(1000)]
    placed = client.produce(broker, name, messages, idempotent=True)
    assert placed == [(0, offset) for offset in range(1000)]
    assert values(broker, name, 1000) == [message.value for message in messages]


def test_a_producer_survives_a_restart_of_the_broker(make_broker, name):
    """The same producer, the same sequence: the broker must remember where it was."""
    broker = make_broker()
    producer = CONFLUENT.producer(broker, enable_idempotence=True)
    for round_number in range(6):
        messages = [Message(f"{round_number}.{i}".encode()) for i in range(20)]
        placed = CONFLUENT.produce_with(producer, name, messages)
        assert placed == [(0, round_number * 20 + i) for i in range(20)]
        if round_number % 2:
            broker.kill()
            broker.start()
        else:
            broker.restart()
    with CONFLUENT.reader(broker) as reader:
        assert reader.bounds(name) == (0, 120)


class RawProducer:
    """A producer that numbers its batches as it is told."""

    def __init__(self, broker, topic):
        self.connection = wire.Connection(broker)
        self.topic = topic
        self.id, self.epoch = self.connection.init_producer_id()

    def send(self, sequence, count=1, epoch=None):
        """Sends one batch: the error and the base offset."""
        batch = wire.batch(
            [(b"", f"{sequence + i}".encode()) for i in range(count)],
            producer=(self.id, self.epoch if epoch is None else epoch, sequence),
        )
        return self.connection.produce(self.topic, batch)


@pytest.fixture
def raw_producer(broker, name):
    CONFLUENT.producer(broker).list_topics(name, PATIENCE)
    return RawProducer(broker, name)


def test_a_repeated_batch_is_answered_as_the_first_time(raw_producer):
    assert raw_producer.send(0, 3) == (NONE, 0)
    assert raw_producer.send(3, 2) == (NONE, 3)
    assert raw_producer.send(0, 3) == (NONE, 0)
    assert raw_producer.send(3, 2) == (NONE, 3)
    assert raw_producer.send(5, 1) == (NONE, 5)


def test_five_batches_back_are_remembered(raw_producer):
    for sequence in range(5):
        assert raw_producer.send(sequence) == (NONE, sequence)
    for sequence in range(5):
        assert raw_producer.send(sequence) == (NONE, sequence)


def test_a_gap_is_refused(raw_producer):
    assert raw_producer.send(0) == (NONE, 0)
    assert raw_producer.send(2)[0] == OUT_OF_ORDER_SEQUENCE
    assert raw_producer.send(1) == (NONE, 1)


def test_an_older_epoch_is_refused(raw_producer):
    assert raw_producer.send(0, epoch=1) == (NONE, 0)
    assert raw_producer.send(1, epoch=0)[0] == INVALID_PRODUCER_EPOCH


def test_sequences_are_remembered_over_kill_and_restart(make_broker, name):
    broker = make_broker()
    CONFLUENT.producer(broker).list_topics(name, PATIENCE)
    producer = RawProducer(broker, name)
    for sequence in range(3):
        assert producer.send(sequence) == (NONE, sequence)
    for end in (broker.kill, broker.stop):
        end()
        broker.start()
        producer.connection = wire.Connection(broker)
        assert producer.send(2) == (NONE, 2), "a repeat is known"
        assert producer.send(4)[0] == OUT_OF_ORDER_SEQUENCE, "a gap is known"
    assert producer.send(3) == (NONE, 3)


def test_producer_ids_are_never_given_twice(make_broker):
    broker = make_broker()
    given = []
    for end in (broker.kill, broker.stop, broker.kill):
        given += [wire.Connection(broker).init_producer_id()[0] for _ in range(5)]
        end()
        broker.start()
    given += [wire.Connection(broker).init_producer_id()[0] for _ in range(5)]
    assert len(set(given)) == len(given), given


def test_confluent_transactions_are_refused(broker, name):
    patient = {"transactional_id": name, "transaction_timeout_ms": PATIENCE_MS}
    producer = CONFLUENT.producer(broker, **patient)
    with pytest.raises(confluent_kafka.KafkaException) as refused:
        producer.init_transactions(PATIENCE)
    # An answer, and not the client giving up waiting for one.
    assert refused.value.args[0].code() != confluent_kafka.KafkaError._TIMED_OUT
    assert CONFLUENT.produce(broker, name, [Message(b"the broker lives on")]) == [(0, 0)]


def test_kafka_python_transactions_are_refused(broker, name):
    producer = kafka.KafkaProducer(
        bootstrap_servers=broker.kafka,
        transactional_id=name,
        max_block_ms=PATIENCE_MS,
        **KAFKA_PYTHON_PATIENCE,
    )
    try:
        with pytest.raises(kafka.errors.KafkaError) as refused:
            producer.init_transactions()
        assert not isinstance(refused.value, kafka.errors.KafkaTimeoutError)
    finally:
        producer.close(timeout=1)
    assert CONFLUENT.produce(broker, name, [Message(b"the broker lives on")]) == [(0, 0)]


def test_aiokafka_transactions_are_refused(broker, name):
    async def begin():
        producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=broker.kafka,
            transactional_id=name,
            request_timeout_ms=PATIENCE_MS,
        )
        try:
            await producer.start()
        finally:
            await producer.stop()

    with pytest.raises(aiokafka.errors.KafkaError):
        LOOP.run(begin())
    assert CONFLUENT.produce(broker, name, [Message(b"the broker lives on")]) == [(0, 0)]
