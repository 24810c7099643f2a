"""The protocol's corners: versions that are refused, formats that are refused, headers."""

import pytest

import wire
from clients import CONFLUENT, Message
from wire import array, blob, i8, i16, i32, string, uvarint

NONE = 0
CORRUPT_MESSAGE = 2
UNKNOWN_TOPIC = 3
INVALID_REQUIRED_ACKS = 21
UNSUPPORTED_VERSION = 35
UNSUPPORTED_FOR_MESSAGE_FORMAT = 43
INVALID_RECORD = 87


@pytest.fixture
def connection(broker):
    with wire.Connection(broker) as connection:
        yield connection


@pytest.fixture
def topic(connection, name):
    assert connection.create_topic(name) == NONE
    return name


def test_api_versions_lists_what_every_client_needs(connection):
    served = connection.api_versions()
    for api in (0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 22, 32):
        assert api in served, f"api {api}"
        low, high = served[api]
        assert 0 <= low <= high
    # librdkafka takes a minimum above 0 for a broker without compression.
    assert served[wire.PRODUCE][0] == 0
    assert served[wire.PRODUCE][1] >= 9
    assert served[wire.FETCH][1] >= 11


def test_an_unknown_version_of_api_versions_gets_the_list(connection):
    """KIP-511: error 35 in the layout of version 0, with the range of ApiVersions in it."""
    name_and_version = b"\x05test" + b"\x021" + b"\x00"
    answer = connection.call(wire.API_VERSIONS, 99, b"\x00" + name_and_version)
    assert answer.int(2) == UNSUPPORTED_VERSION
    listed = {answer.int(2): (answer.int(2), answer.int(2)) for _ in range(answer.int(4))}
    assert listed[wire.API_VERSIONS][0] == 0
    assert answer.rest() == 0
    assert connection.is_open()


def test_flexible_api_versions_has_a_plain_header(connection):
    """Version 3 has a flexible body, yet its response header never has tagged fields."""
    answer = connection.call(wire.API_VERSIONS, 3, b"\x00" + b"\x05test" + b"\x021" + b"\x00")
    assert answer.int(2) == NONE
    # A compact array: its length plus one, as a varint of one byte for so few.
    entries = answer.int(1) - 1
    assert entries > 10
    for _ in range(entries):
        assert answer.int(2) >= 0
        answer.take(5)
    answer.int(4)


def produce_v2(topic, records):
    """Produce v0 to v2: no transactional id."""
    part = i32(0) + blob(records)
    return i16(-1) + i32(30000) + array([string(topic) + array([part])])


@pytest.mark.parametrize("version", [0, 1, 2])
def test_old_versions_of_produce_are_refused_and_the_connection_lives(connection, topic, version):
    old = wire.batch([(None, b"old")], magic=1 if version == 2 else 0)
    answer = connection.call(wire.PRODUCE, version, produce_v2(topic, old))
    assert answer.int(4) == 1 and answer.string() == topic
    assert answer.int(4) == 1 and answer.int(4) == 0
    assert answer.int(2) == UNSUPPORTED_VERSION
    assert connection.produce(topic, wire.batch([(None, b"new")])) == (NONE, 0)


@pytest.mark.parametrize("magic", [0, 1])
def test_old_message_sets_are_refused_and_the_connection_lives(connection, topic, magic):
    error, _ = connection.produce(topic, wire.batch([(None, b"old")], magic=magic))
    assert error in (UNSUPPORTED_FOR_MESSAGE_FORMAT, INVALID_RECORD)
    assert connection.produce(topic, wire.batch([(None, b"new")])) == (NONE, 0)


def test_a_flipped_bit_is_a_corrupt_message(connection, topic):
    good = wire.batch([(b"key", b"value")])
    for at in range(17, len(good)):
        bad = bytearray(good)
        bad[at] ^= 0x10
        error, _ = connection.produce(topic, bytes(bad))
        assert error in (CORRUPT_MESSAGE, INVALID_RECORD), f"byte {at}"
    assert connection.produce(topic, good) == (NONE, 0)


@pytest.mark.parametrize("keep", [0, 1, 11, 12, 60, 61, 70])
def test_a_cut_off_batch_is_refused(connection, topic, keep):
    good = wire.batch([(b"key", b"value" * 10)])
    error, _ = connection.produce(topic, good[:keep])
    assert error != NONE
    assert connection.produce(topic, good) == (NONE, 0)


def test_two_batches_for_one_partition_are_both_kept_or_both_refused(connection, topic):
    """Kafka takes one batch per partition; whatever is answered must be what happened."""
    one = wire.batch([(None, b"1")])
    error, base = connection.produce(topic, one + one)
    [(_, high_watermark, _)] = connection.fetch(topic, 0)
    assert (error, base, high_watermark) in [(NONE, 0, 2), (INVALID_RECORD, -1, 0)]


def test_unknown_acks_are_refused(connection, topic):
    error, _ = connection.produce(topic, wire.batch([(None, b"x")]), acks=5)
    assert error == INVALID_REQUIRED_ACKS


def test_an_unknown_partition_is_refused(connection, topic):
    error, _ = connection.produce(topic, wire.batch([(None, b"x")]), partition=7)
    assert error == UNKNOWN_TOPIC
    error, _ = connection.produce(topic, wire.batch([(None, b"x")]), partition=-1)
    assert error == UNKNOWN_TOPIC


def test_acks_0_is_not_answered(connection, topic):
    body = wire.produce_request(topic, wire.batch([(None, b"silent")]), acks=0)
    connection.send(wire.PRODUCE, 3, body)
    # The next answer belongs to the next request.
    assert connection.produce(topic, wire.batch([(None, b"loud")])) == (NONE, 1)


def test_a_request_header_may_carry_unknown_tags(connection):
    """Flexible headers end in tagged fields; unknown ones are skipped."""
    tags = uvarint(1) + uvarint(77) + uvarint(3) + b"abc"
    body = tags + b"\x05test" + b"\x021" + b"\x00"
    assert connection.call(wire.API_VERSIONS, 3, body).int(2) == NONE


def test_a_null_client_id_is_fine(connection):
    assert connection.call(wire.API_VERSIONS, 0, b"", client=None).int(2) == NONE


def test_requests_may_come_byte_by_byte(connection, topic):
    body = wire.produce_request(topic, wire.batch([(None, b"slowly")]))
    for byte in wire.frame(wire.header(wire.PRODUCE, 3, 9) + body):
        connection.send_raw(bytes([byte]))
    correlation, answer = connection.receive()
    assert (correlation, connection.read_produced(answer)) == (9, (NONE, 0))


def test_the_advertised_address_is_the_one_listened_on(broker, connection):
    answer = connection.call(wire.METADATA, 1, array([]))
    assert answer.int(4) == 1, "one broker"
    node, host, port = answer.int(4), answer.string(), answer.int(4)
    assert (host, port) == ("127.0.0.1", broker.kafka_port)
    answer.string()
    assert answer.int(4) == node, "it is its own controller"
    assert answer.int(4) == 0, "an empty list asks for no topics"


def test_metadata_creates_topics_only_where_allowed(make_broker, broker, connection, name):
    # v4 carries the wish.
    answer = connection.call(wire.METADATA, 4, array([string(name)]) + i8(0))
    assert UNKNOWN_TOPIC == read_topic_error(answer)
    closed = make_broker("--set", "auto.create.topics.enable=false")
    with wire.Connection(closed) as private:
        answer = private.call(wire.METADATA, 4, array([string(name)]) + i8(1))
        assert UNKNOWN_TOPIC == read_topic_error(answer)
    connection.call(wire.METADATA, 4, array([string(name)]) + i8(1))
    assert CONFLUENT.produce(broker, name, [Message(b"x")]) == [(0, 0)]


def read_topic_error(answer):
    """The error of the only topic in Metadata v4."""
    answer.int(4)
    for _ in range(answer.int(4)):
        answer.int(4), answer.string(), answer.int(4), answer.string()
    answer.string()
    answer.int(4)
    assert answer.int(4) == 1
    return answer.int(2)


@pytest.mark.parametrize("bad", ["", ".", "..", "a b", "a/b", "x" * 250, "caf\u00e9"])
def test_invalid_topic_names_are_refused(connection, bad):
    assert connection.create_topic(bad) == 17
    assert connection.is_open()
