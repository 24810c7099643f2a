"""Topics, configurations, groups and the cluster through the admin clients."""

import aiokafka.admin
import confluent_kafka
import kafka
import kafka.errors
import pytest
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)
from kafka.admin import KafkaAdminClient

from broker import PATIENCE, eventually
from clients import (
    BEGINNING,
    CONFLUENT,
    KAFKA_PYTHON_PATIENCE,
    LOOP,
    PATIENCE_MS,
    Message,
    Refused,
)

OFFSET_OUT_OF_RANGE = 1
UNKNOWN_TOPIC = 3
INVALID_TOPIC = 17
TOPIC_EXISTS = 36
INVALID_PARTITIONS = 37
INVALID_CONFIG = 40
NON_EMPTY_GROUP = 68
GROUP_ID_NOT_FOUND = 69


@pytest.fixture
def admin(broker):
    return AdminClient({"bootstrap.servers": broker.kafka})


@pytest.fixture
def python_admin(broker):
    with KafkaAdminClient(bootstrap_servers=broker.kafka, **KAFKA_PYTHON_PATIENCE) as admin:
        yield admin


def done(futures):
    """Waits for all of a call's futures; the result of the only or the last one."""
    result = None
    for future in futures.values():
        result = future.result(PATIENCE)
    return result


def error_of(futures):
    """The code with which the only future fails."""
    with pytest.raises(KafkaException) as raised:
        done(futures)
    return raised.value.args[0].code()


def create(admin, topic, partitions=1, **config):
    config = {key.replace("_", "."): value for key, value in config.items()}
    return admin.create_topics([NewTopic(topic, partitions, 1, config=config)])


def describe(admin, *topics):
    collection = confluent_kafka.TopicCollection(list(topics))
    return done(admin.describe_topics(collection))


def partitions_of(admin, topic):
    return sorted(admin.list_topics(topic, PATIENCE).topics[topic].partitions)


# ------------------------------------------------------------------------------------- topics


def test_create_and_list(admin, name):
    done(create(admin, name, 3))
    listed = admin.list_topics(timeout=PATIENCE).topics
    assert sorted(listed[name].partitions) == [0, 1, 2]
    for partition in listed[name].partitions.values():
        assert partition.error is None
        assert partition.leader in partition.replicas == partition.isrs


def test_create_with_the_default_count(admin, name):
    done(create(admin, name, -1))
    assert partitions_of(admin, name) == [0]


def test_create_twice_is_refused(admin, name):
    done(create(admin, name))
    assert error_of(create(admin, name)) == TOPIC_EXISTS


def test_create_with_bad_arguments_is_refused(admin, name):
    assert error_of(create(admin, f"{name} spaced")) == INVALID_TOPIC
    assert error_of(create(admin, name, 0)) == INVALID_PARTITIONS
    assert error_of(create(admin, name, retention_ms="soon")) == INVALID_CONFIG
    assert error_of(create(admin, name, retention_mx="1")) == INVALID_CONFIG
    assert name not in admin.list_topics(timeout=PATIENCE).topics


def test_validate_only_creates_nothing(admin, name):
    done(admin.create_topics([NewTopic(name, 1, 1)], validate_only=True))
    assert name not in admin.list_topics(timeout=PATIENCE).topics


def test_delete(admin, broker, name):
    done(create(admin, name))
    CONFLUENT.produce(broker, name, [Message(b"x")])
    done(admin.delete_topics([name]))
    assert name not in admin.list_topics(timeout=PATIENCE).topics
    assert error_of(admin.delete_topics([name])) == UNKNOWN_TOPIC


def test_a_recreated_topic_is_new_and_empty(admin, broker, name):
    done(create(admin, name))
    CONFLUENT.produce(broker, name, [Message(b"of the first life")] * 10)
    first = describe(admin, name)
    done(admin.delete_topics([name]))
    done(create(admin, name))
    second = describe(admin, name)
    assert str(first.topic_id) != str(second.topic_id)
    with CONFLUENT.reader(broker) as reader:
        assert reader.bounds(name) == (0, 0)
        assert CONFLUENT.produce(broker, name, [Message(b"of the second")]) == [(0, 0)]
        [record] = reader.start(name, BEGINNING).read(1)
    assert record.value == b"of the second"


def test_more_partitions(admin, broker, name):
    done(create(admin, name, 1))
    CONFLUENT.produce(broker, name, [Message(b"kept")])
    done(admin.create_partitions([NewPartitions(name, 4)]))
    assert partitions_of(admin, name) == [0, 1, 2, 3]
    placed = CONFLUENT.produce(broker, name, [Message(b"x", partition=i) for i in range(4)])
    assert placed == [(0, 1), (1, 0), (2, 0), (3, 0)]
    for count in (4, 2):
        error = error_of(admin.create_partitions([NewPartitions(name, count)]))
        assert error == INVALID_PARTITIONS


def test_describe_topic(admin, name):
    done(create(admin, name, 2))
    found = describe(admin, name)
    assert (found.name, len(found.partitions), found.is_internal) == (name, 2, False)
    assert all(partition.leader.id == 1 for partition in found.partitions)


def test_many_topics_at_once(admin, name):
    names = [f"{name}-{i}" for i in range(100)]
    done(admin.create_topics([NewTopic(one, 2, 1) for one in names]))
    listed = admin.list_topics(timeout=PATIENCE).topics
    assert all(len(listed[one].partitions) == 2 for one in names)
    done(admin.delete_topics(names))
    assert not set(names) & set(admin.list_topics(timeout=PATIENCE).topics)


def test_delete_records(admin, broker, name):
    CONFLUENT.produce(broker, name, [Message(str(i).encode()) for i in range(10)])
    deleted = done(admin.delete_records([TopicPartition(name, 0, 4)]))
    assert deleted.low_watermark == 4
    with CONFLUENT.reader(broker) as reader:
        assert reader.bounds(name) == (4, 10)
        assert [r.offset for r in reader.start(name, BEGINNING).read(6)] == list(range(4, 10))
    error = error_of(admin.delete_records([TopicPartition(name, 0, 11)]))
    assert error == OFFSET_OUT_OF_RANGE


def test_deleted_records_stay_deleted(make_broker, name):
    broker = make_broker()
    CONFLUENT.produce(broker, name, [Message(str(i).encode()) for i in range(10)])
    admin = AdminClient({"bootstrap.servers": broker.kafka})
    done(admin.delete_records([TopicPartition(name, 0, 4)]))
    for end in (broker.stop, broker.kill):
        end()
        broker.start()
        with CONFLUENT.reader(broker) as reader:
            assert reader.bounds(name) == (4, 10)


def test_list_offsets(admin, broker, name):
    stamps = [1_700_000_000_000 + i for i in (0, 30, 10)]
    messages = [Message(b"x", timestamp=stamp) for stamp in stamps]
    for message in messages:
        CONFLUENT.produce(broker, name, [message])
    place = TopicPartition(name, 0)

    def offset(spec):
        return done(admin.list_offsets({place: spec})).offset

    assert offset(OffsetSpec.earliest()) == 0
    assert offset(OffsetSpec.latest()) == 3
    assert offset(OffsetSpec.max_timestamp()) == 1
    assert offset(OffsetSpec.for_timestamp(stamps[0] + 1)) == 1


# ----------------------------------------------------------------------------- configurations


def topic_resource(topic):
    return ConfigResource(ResourceType.TOPIC, topic)


def config_of(admin, resource):
    return done(admin.describe_configs([resource]))


def test_every_setting_has_a_value_and_a_source(admin, name):
    done(create(admin, name, retention_ms="12345"))
    found = config_of(admin, topic_resource(name))
    for key in ("cleanup.policy", "max.message.bytes", "segment.bytes", "retention.bytes"):
        assert found[key].value is not None
        assert found[key].is_default, key
    assert found["retention.ms"].value == "12345"
    assert found["retention.ms"].source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    assert not found["retention.ms"].is_default


def test_broker_settings_are_told(admin):
    found = config_of(admin, ConfigResource(ResourceType.BROKER, "1"))
    assert found["num.partitions"].value == "1"
    assert found["message.max.bytes"].value == "1048588"


def change(key, value, op=AlterConfigOpType.SET):
    return ConfigEntry(key, value, incremental_operation=op)


def altered(topic, *entries):
    return ConfigResource(ResourceType.TOPIC, topic, incremental_configs=list(entries))


def test_incremental_changes_touch_nothing_else(admin, name):
    done(create(admin, name, retention_ms="1000000", segment_bytes="1048576"))
    done(admin.incremental_alter_configs([altered(name, change("retention.ms", "2000000"))]))
    found = config_of(admin, topic_resource(name))
    assert found["retention.ms"].value == "2000000"
    assert found["segment.bytes"].value == "1048576"
    reset = change("retention.ms", None, AlterConfigOpType.DELETE)
    done(admin.incremental_alter_configs([altered(name, reset)]))
    found = config_of(admin, topic_resource(name))
    assert found["retention.ms"].is_default
    assert found["segment.bytes"].value == "1048576"


def test_a_full_change_resets_the_rest(admin, name):
    done(create(admin, name, retention_ms="1000000", segment_bytes="1048576"))
    only = ConfigResource(ResourceType.TOPIC, name, set_config={"segment.bytes": "2097152"})
    done(admin.alter_configs([only]))
    found = config_of(admin, topic_resource(name))
    assert found["segment.bytes"].value == "2097152"
    assert found["retention.ms"].is_default


def test_bad_changes_are_refused(admin, name):
    done(create(admin, name))
    for key, value in [("retention.ms", "soon"), ("no.such.setting", "1")]:
        error = error_of(admin.incremental_alter_configs([altered(name, change(key, value))]))
        assert error == INVALID_CONFIG, key
    missing = altered(f"{name}-missing", change("retention.ms", "1"))
    assert error_of(admin.incremental_alter_configs([missing])) == UNKNOWN_TOPIC


def test_a_changed_limit_is_enforced(admin, broker, name):
    done(create(admin, name))
    done(admin.incremental_alter_configs([altered(name, change("max.message.bytes", "2000"))]))
    with pytest.raises(Refused) as refused:
        CONFLUENT.produce(broker, name, [Message(b"x" * 3000)])
    assert refused.value.code == 10
    assert CONFLUENT.produce(broker, name, [Message(b"x" * 1000)]) == [(0, 0)]


def test_a_compacted_topic_requires_keys(admin, broker, name):
    done(create(admin, name, cleanup_policy="compact"))
    with pytest.raises(Refused) as refused:
        CONFLUENT.produce(broker, name, [Message(b"keyless")])
    assert refused.value.code == 87
    assert CONFLUENT.produce(broker, name, [Message(b"keyed", b"key")]) == [(0, 0)]


def test_log_append_time(admin, broker, name):
    done(create(admin, name, message_timestamp_type="LogAppendTime"))
    CONFLUENT.produce(broker, name, [Message(b"x", timestamp=1_000_000)])
    with CONFLUENT.reader(broker) as reader:
        [record] = reader.start(name, BEGINNING).read(1)
    assert record.timestamp > 1_700_000_000_000


def test_configurations_outlive_the_process(make_broker, name):
    broker = make_broker()
    admin = AdminClient({"bootstrap.servers": broker.kafka})
    done(create(admin, name, 3, retention_ms="1000000"))
    before = describe(admin, name)
    broker.kill()
    broker.start()
    admin = AdminClient({"bootstrap.servers": broker.kafka})
    assert config_of(admin, topic_resource(name))["retention.ms"].value == "1000000"
    after = describe(admin, name)
    assert str(after.topic_id) == str(before.topic_id)
    assert len(after.partitions) == 3


# ------------------------------------------------------------------------ cluster and groups


def test_describe_cluster(admin, broker):
    found = admin.describe_cluster().result(PATIENCE)
    assert found.cluster_id
    assert [(node.id, node.host, node.port) for node in found.nodes] == [
        (1, "127.0.0.1", broker.kafka_port)
    ]
    assert found.controller.id == 1


def test_the_cluster_id_is_stable(make_broker):
    broker = make_broker()
    seen = set()
    for _ in range(2):
        admin = AdminClient({"bootstrap.servers": broker.kafka})
        seen.add(admin.describe_cluster().result(PATIENCE).cluster_id)
        broker.restart()
    assert len(seen) == 1


def test_list_describe_and_delete_a_group(admin, broker, name):
    CONFLUENT.produce(broker, name, [Message(b"x")] * 5)
    member = CONFLUENT.member(broker, name, [name], client_id="watched")
    member.read(5)
    member.commit(name, 3)
    listed = admin.list_consumer_groups().result(PATIENCE).valid
    assert name in {group.group_id for group in listed}
    found = done(admin.describe_consumer_groups([name]))
    assert found.state.name == "STABLE"
    [described] = found.members
    assert described.client_id == "watched"
    assert [(p.topic, p.partition) for p in described.assignment.topic_partitions] == [(name, 0)]
    assert error_of(admin.delete_consumer_groups([name])) == NON_EMPTY_GROUP
    member.close()
    eventually(
        lambda: done(admin.describe_consumer_groups([name])).state.name == "EMPTY",
        "the group is empty",
    )
    done(admin.delete_consumer_groups([name]))
    listed = admin.list_consumer_groups().result(PATIENCE).valid
    assert name not in {group.group_id for group in listed}
    assert error_of(admin.delete_consumer_groups([name])) == GROUP_ID_NOT_FOUND


def test_read_and_move_the_offsets_of_a_group(admin, broker, name):
    CONFLUENT.produce(broker, name, [Message(b"x")] * 5)
    asked = confluent_kafka.ConsumerGroupTopicPartitions
    done(admin.alter_consumer_group_offsets([asked(name, [TopicPartition(name, 0, 2)])]))
    found = done(admin.list_consumer_group_offsets([asked(name)]))
    assert [(p.topic, p.partition, p.offset) for p in found.topic_partitions] == [(name, 0, 2)]
    with CONFLUENT.member(broker, name, [name]) as member:
        assert [record.offset for record in member.read(3)] == [2, 3, 4]


# ------------------------------------------------------------------------ the other admin APIs


def test_kafka_python_admin(python_admin, broker, name):
    admin = python_admin
    admin.create_topics({name: {"num_partitions": 2, "configs": {"retention.ms": "1000000"}}})
    assert name in admin.list_topics()
    [described] = admin.describe_topics([name])
    assert len(described["partitions"]) == 2
    with pytest.raises(kafka.errors.TopicAlreadyExistsError):
        admin.create_topics({name: {"num_partitions": 2}})
    resource = kafka.admin.ConfigResource(kafka.admin.ConfigResourceType.TOPIC, name)
    found = admin.describe_configs([resource])["topic"][name]
    assert {key: entry["value"] for key, entry in found.items()} == {"retention.ms": "1000000"}
    resource = kafka.admin.ConfigResource(
        kafka.admin.ConfigResourceType.TOPIC, name, {"retention.ms": "2000000"}
    )
    assert admin.alter_configs([resource])["topic"][name] == "OK"
    admin.create_partitions({name: 3})
    assert len(admin.describe_topics([name])[0]["partitions"]) == 3
    CONFLUENT.produce(broker, name, [Message(b"x")] * 5)
    place = kafka.TopicPartition(name, 0)
    assert admin.delete_records({place: 2})[place]["low_watermark"] == 2
    assert admin.describe_cluster()["brokers"][0]["port"] == broker.kafka_port
    admin.delete_topics([name])
    assert name not in admin.list_topics()


def test_kafka_python_group_admin(python_admin, broker, name):
    admin = python_admin
    CONFLUENT.produce(broker, name, [Message(b"x")] * 5)
    with CONFLUENT.member(broker, name, [name]) as member:
        member.read(5)
        member.commit(name, 4, metadata="note")
        assert name in {group["group_id"] for group in admin.list_groups()}
        described = admin.describe_groups([name])
        assert name in described
    place = kafka.TopicPartition(name, 0)
    found = admin.list_group_offsets(name)[name][place]
    # confluent-kafka sends the zero byte that ends a string of C along with it.
    assert (found.offset, found.metadata.rstrip("\0")) == (4, "note")
    admin.delete_group_offsets(name, [place])
    assert place not in admin.list_group_offsets(name)[name]
    assert admin.delete_groups([name]) == {name: "OK"}


def test_aiokafka_admin(broker, name):
    async def run():
        admin = aiokafka.admin.AIOKafkaAdminClient(
            bootstrap_servers=broker.kafka, request_timeout_ms=PATIENCE_MS
        )
        await admin.start()
        try:
            await admin.create_topics([aiokafka.admin.NewTopic(name, 2, 1)])
            assert name in await admin.list_topics()
            new = {name: aiokafka.admin.NewPartitions(3)}
            await admin.create_partitions(new)
            [described] = await admin.describe_topics([name])
            assert len(described["partitions"]) == 3
            await admin.delete_topics([name])
            assert name not in await admin.list_topics()
        finally:
            await admin.close()

    LOOP.run(run())
