"""Consumer groups of the classic protocol: join, share, leave, commit, resume, stay static."""

import threading

import confluent_kafka
import kafka
import kafka.coordinator.assignors.cooperative_sticky as kafka_cooperative
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

import wire
from broker import PATIENCE, eventually
from clients import ALL, CONFLUENT, KAFKA_PYTHON, Message, Refused

PARTITIONS = 6


@pytest.fixture
def topic(broker, name):
    """A topic of six partitions with ten records in each."""
    admin = AdminClient({"bootstrap.servers": broker.kafka})
    admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(PATIENCE)
    fill(broker, name)
    return name


def fill(broker, topic, each=10):
    count = each * PARTITIONS
    messages = [Message(str(i).encode(), partition=i % PARTITIONS) for i in range(count)]
    CONFLUENT.produce(broker, topic, messages)


def everything(topic):
    return {(topic, partition) for partition in range(PARTITIONS)}


def settle(members, shares, topic):
    """Polls all members until each has its share and together they have everything; returns what
    each holds.

    Each is polled on a thread of its own: a poll may wait for the others to join.
    """
    held, errors, done = [set() for _ in members], [], threading.Event()

    def drive(index):
        try:
            while not done.is_set():
                members[index].poll(0.1)
                held[index] = members[index].assignment()
        except Exception as error:
            errors.append(error)

    def settled():
        now = list(held)
        whole = set().union(*now) == everything(topic) and sum(map(len, now)) == PARTITIONS
        return errors or (whole and sorted(map(len, now)) == sorted(shares))

    threads = [threading.Thread(target=drive, args=(index,)) for index in range(len(members))]
    for thread in threads:
        thread.start()
    try:
        eventually(settled, f"the group settles on shares of {shares}")
    finally:
        done.set()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    return held


def close_all(members):
    for member in members:
        member.close()


def test_one_member_gets_everything(client, broker, topic):
    with client.member(broker, topic, [topic]) as member:
        records = member.read(PARTITIONS * 10)
        assert member.assignment() == everything(topic)
    assert {(r.partition, r.offset) for r in records} == {
        (partition, offset) for partition in range(PARTITIONS) for offset in range(10)
    }


def test_members_come_and_go(client, broker, topic):
    members = [client.member(broker, topic, [topic])]
    settle(members, [6], topic)
    members.append(client.member(broker, topic, [topic]))
    settle(members, [3, 3], topic)
    members.append(client.member(broker, topic, [topic]))
    settle(members, [2, 2, 2], topic)
    members.pop(0).close()
    settle(members, [3, 3], topic)
    members.pop(0).close()
    settle(members, [6], topic)
    close_all(members)


def test_members_of_different_clients_share_a_group(broker, topic):
    """The leader assigns for all; the broker only carries what it says."""
    strategies = {
        "confluent": {"partition_assignment_strategy": "roundrobin"},
        "kafka-python": {
            "partition_assignment_strategy": [
                kafka.coordinator.assignors.roundrobin.RoundRobinPartitionAssignor
            ]
        },
        "aiokafka": {},
    }
    members = [
        client.member(broker, topic, [topic], **strategies[client.name]) for client in ALL
    ]
    settle(members, [2, 2, 2], topic)
    close_all(members)


def test_a_member_with_no_protocol_in_common_is_refused(broker, topic):
    ranged = CONFLUENT.member(broker, topic, [topic], partition_assignment_strategy="range")
    settle([ranged], [6], topic)
    other = CONFLUENT.member(broker, topic, [topic], partition_assignment_strategy="roundrobin")
    with pytest.raises(Refused) as refused:
        for _ in range(200):
            other.poll(0.2)
            ranged.poll(0.05)
    assert refused.value.code == 23
    close_all([ranged, other])


def test_commit_and_resume(client, broker, topic):
    with client.member(broker, topic, [topic]) as member:
        member.read(PARTITIONS * 10)
        member.commit(topic, 4, partition=0)
        for partition in range(1, PARTITIONS):
            member.commit(topic, 10, partition=partition)
        assert member.committed(topic)[0] == 4
    with client.member(broker, topic, [topic]) as member:
        records = member.read(6)
        assert sorted((r.partition, r.offset) for r in records) == [(0, i) for i in range(4, 10)]


def test_commits_are_the_groups_and_not_the_clients(broker, topic):
    """What one client committed, the others see."""
    with CONFLUENT.member(broker, topic, [topic]) as member:
        member.read(PARTITIONS * 10)
        member.commit(topic, 7, partition=3)
    for client in ALL:
        with client.member(broker, topic, [topic]) as member:
            settle([member], [6], topic)
            assert member.committed(topic, 3)[0] == 7
            assert member.committed(topic, 4)[0] is None


@pytest.mark.parametrize("writer", [CONFLUENT, KAFKA_PYTHON], ids=lambda client: client.name)
def test_metadata_of_a_commit_comes_back(writer, broker, topic):
    with writer.member(broker, topic, [topic]) as member:
        settle([member], [6], topic)
        member.commit(topic, 5, metadata="up to the fifth")
        assert member.committed(topic) == (5, "up to the fifth")
        member.commit(topic, 6)
        assert member.committed(topic) == (6, "")


def test_metadata_beyond_the_limit_is_refused(broker, topic):
    with CONFLUENT.member(broker, topic, [topic]) as member:
        settle([member], [6], topic)
        with pytest.raises(confluent_kafka.KafkaException) as refused:
            member.commit(topic, 5, metadata="x" * 5000)
        assert refused.value.args[0].code() == 12
        assert member.committed(topic)[0] is None


def test_offsets_outlive_the_process(client, make_broker, name):
    broker = make_broker("--set", f"num.partitions={PARTITIONS}")
    fill(broker, name)
    for offset, end in ((3, broker.stop), (6, broker.kill)):
        with client.member(broker, name, [name]) as member:
            settle([member], [6], name)
            member.commit(name, offset)
        end()
        broker.start()
        with client.member(broker, name, [name]) as member:
            settle([member], [6], name)
            assert member.committed(name)[0] == offset


def test_a_member_lives_through_a_restart(client, make_broker, name):
    broker = make_broker("--set", f"num.partitions={PARTITIONS}")
    fill(broker, name)
    with client.member(broker, name, [name]) as member:
        member.read(PARTITIONS * 10)
        broker.restart()
        fill(broker, name)
        records = member.read(PARTITIONS * 10)
        fresh = {(r.partition, r.offset) for r in records if r.offset >= 10}
        while len(fresh) < PARTITIONS * 10:
            fresh |= {(r.partition, r.offset) for r in member.read(1) if r.offset >= 10}
        # It may just be joining anew.
        settle([member], [6], name)


def test_a_dead_member_is_noticed(client, broker, topic):
    """It says no goodbye; its session runs out."""
    dying = SilentMember(broker, topic)
    member = client.member(broker, topic, [topic])
    # While the silent one lives, the group waits for it or for its session to end.
    settle([member], [6], topic)
    dying.close()
    member.close()


class SilentMember:
    """Joins a group by hand and is never heard of again."""

    def __init__(self, broker, group):
        self.connection = wire.Connection(broker)
        assert self._join(group) == 0

    def _join(self, group):
        """JoinGroup v1, which knows no second round for new members."""
        subscription = wire.blob(self._subscription(group))
        protocols = wire.array([wire.string(p) + subscription for p in ("range", "roundrobin")])
        body = wire.string(group) + wire.i32(6000) + wire.i32(6000) + wire.string("")
        body += wire.string("consumer") + protocols
        return self.connection.call(wire.JOIN_GROUP, 1, body).int(2)

    @staticmethod
    def _subscription(topic):
        return wire.i16(0) + wire.array([wire.string(topic)]) + wire.blob(b"")

    def close(self):
        self.connection.close()


def test_cooperative_members_keep_what_they_can(broker, topic):
    conf = {"partition_assignment_strategy": "cooperative-sticky"}
    members = [CONFLUENT.member(broker, topic, [topic], **conf)]
    [first] = settle(members, [6], topic)
    members.append(CONFLUENT.member(broker, topic, [topic], **conf))
    held = settle(members, [3, 3], topic)
    assert held[0] < first, "the first member only gave away"
    members.append(CONFLUENT.member(broker, topic, [topic], **conf))
    before = held
    held = settle(members, [2, 2, 2], topic)
    assert held[0] < before[0] and held[1] < before[1]
    close_all(members)


def test_cooperative_members_of_kafka_python(broker, topic):
    conf = {"partition_assignment_strategy": [kafka_cooperative.CooperativeStickyAssignor]}
    members = [KAFKA_PYTHON.member(broker, topic, [topic], **conf)]
    settle(members, [6], topic)
    members.append(KAFKA_PYTHON.member(broker, topic, [topic], **conf))
    settle(members, [3, 3], topic)
    close_all(members)


def static(client, broker, topic, who):
    return client.member(broker, topic, [topic], group_instance_id=who)


@pytest.mark.parametrize("client", [CONFLUENT, KAFKA_PYTHON], ids=lambda client: client.name)
def test_a_static_member_comes_back_to_its_partitions(client, broker, topic):
    members = [static(client, broker, topic, who) for who in ("a", "b")]
    held = settle(members, [3, 3], topic)
    # A static member that closes does not leave.
    members[1].close()
    members[1] = static(client, broker, topic, "b")
    assert settle(members, [3, 3], topic) == held
    close_all(members)


def test_a_second_static_member_of_the_same_name_fences_the_first(broker, topic):
    first = static(CONFLUENT, broker, topic, "twin")
    settle([first], [6], topic)
    second = static(CONFLUENT, broker, topic, "twin")
    fenced = confluent_kafka.KafkaError.FENCED_INSTANCE_ID
    with pytest.raises(Refused) as refused:
        for _ in range(200):
            second.poll(0.1)
            first.poll(0.1)
    assert refused.value.code in (fenced, confluent_kafka.KafkaError._FATAL)
    settle([second], [6], topic)
    close_all([second, first])


def test_groups_do_not_see_each_other(broker, topic):
    members = [CONFLUENT.member(broker, f"{topic}-{i}", [topic]) for i in range(5)]
    for member in members:
        assert len(member.read(PARTITIONS * 10)) == PARTITIONS * 10
    close_all(members)


def test_a_pattern_finds_new_topics(broker, name):
    conf = {"topic_metadata_refresh_interval_ms": 200}
    CONFLUENT.produce(broker, f"{name}.one", [Message(b"1")])
    with CONFLUENT.member(broker, name, [f"^{name}[.].*"], **conf) as member:
        assert [record.value for record in member.read(1)] == [b"1"]
        CONFLUENT.produce(broker, f"{name}.two", [Message(b"2")])
        # Nothing was committed, so that the first record may come once more.
        while b"2" not in {record.value for record in member.read(1)}:
            pass
