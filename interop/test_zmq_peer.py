"""ZeroMQ sockets of Chaski with those of a third implementation, omq-tokio.

It shares no code with libzmq, and has the kinds of sockets that the usual builds of libzmq lack.
"""

import pytest

from agent import Agent
from broker import eventually
from test_zmq import asked, await_subscription, drain
from zeromq import SIZES, Keys, endpoint, options, talked


@pytest.fixture(scope="module")
def chaski():
    agent = Agent()
    yield agent
    agent.kill()


@pytest.fixture(scope="module")
def peer():
    agent = Agent("interop-peer")
    yield agent
    agent.kill()


# Who asks, who answers.
CONVERSATIONS = [
    ("REQ", "REP"),
    ("REQ", "ROUTER"),
    ("DEALER", "REP"),
    ("DEALER", "ROUTER"),
    ("DEALER", "DEALER"),
    ("PAIR", "PAIR"),
    ("CLIENT", "SERVER"),
    ("CHANNEL", "CHANNEL"),
]
ONE_WAY = [
    ("PUSH", "PULL"),
    ("PUB", "SUB"),
    ("XPUB", "XSUB"),
    ("PUB", "XSUB"),
    ("XPUB", "SUB"),
    ("SCATTER", "GATHER"),
    ("RADIO", "DISH"),
]
SECURED = [("REQ", "REP"), ("CLIENT", "SERVER"), ("PUSH", "PULL"), ("RADIO", "DISH")]

# A message of these kinds is one frame.
SINGLE = {"CLIENT", "SERVER", "CHANNEL", "SCATTER", "GATHER"}

WAYS = [
    *[(kinds, "NULL", "tcp") for kinds in CONVERSATIONS + ONE_WAY],
    *[(kinds, "NULL", "ipc") for kinds in SECURED],
    *[(kinds, mechanism, "tcp") for kinds in SECURED for mechanism in ("PLAIN", "CURVE")],
]


def combinations(pairs):
    """The ways of these pairs of kinds, each both ways round, with either side binding."""
    for kinds, mechanism, transport in WAYS:
        if kinds not in pairs:
            continue
        for ours in (0, 1):
            for binder in (0, 1):
                who = "chaski" if binder == ours else "peer"
                side = "speaks" if ours == 0 else "is spoken to"
                name = f"{'-'.join(kinds)}-{mechanism}-{transport}-chaski {side}-{who} binds"
                yield pytest.param(kinds, mechanism, transport, ours, binder, id=name)


PARAMETERS = "kinds, mechanism, transport, ours, binder"


def meet(chaski, peer, kinds, mechanism, transport, ours, binder, tmp_path):
    """Two sockets that are connected, in the order of `kinds`; Chaski's is the one at `ours`.

    The one at `binder` binds, and is the server of the mechanism.
    """
    keys = Keys()
    sides = (chaski, peer) if ours == 0 else (peer, chaski)
    sides[binder].admit(passwords={"ada": "x"}, keys=[keys.client_public])
    sockets = [
        side.socket(kind, **options(mechanism, at == binder, keys))
        for at, (side, kind) in enumerate(zip(sides, kinds))
    ]
    wanted = endpoint(transport, tmp_path).replace("*", "0")
    sockets[1 - binder].connect(sockets[binder].bind(wanted))
    return sockets


def note(kinds, mechanism, transport, ours, binder):
    binds = "C" if binder == ours else "o"
    talked(f"{kinds[ours]} to {kinds[1 - ours]}", mechanism, transport, binds)


def body(kinds, size):
    """A frame of this size, and another one if such a message may have two."""
    frame = bytes([size % 251]) * size
    return [frame] if kinds[0] in SINGLE else [frame, b"tail"]


@pytest.mark.parametrize(PARAMETERS, combinations(CONVERSATIONS))
def test_conversation(chaski, peer, kinds, mechanism, transport, ours, binder, tmp_path):
    asker, answerer = meet(
        chaski, peer, kinds, mechanism, transport, ours, binder, tmp_path
    )
    # A DEALER before a REP speaks as a REQ does, with an empty delimiter.
    envelope = [b""] if kinds == ("DEALER", "REP") else []
    for size in SIZES:
        asked = body(kinds, size)
        asker.send(*envelope, *asked)
        question, asking = answerer.recv_with_id()
        assert question[-len(asked):] == asked
        assert (asking != 0) == (kinds[1] == "SERVER")
        answerer.send(*question, routing_id=asking)
        assert asker.recv() == envelope + asked
    note(kinds, mechanism, transport, ours, binder)


@pytest.mark.parametrize(PARAMETERS, combinations(ONE_WAY))
def test_one_way(chaski, peer, kinds, mechanism, transport, ours, binder, tmp_path):
    sender, receiver = meet(
        chaski, peer, kinds, mechanism, transport, ours, binder, tmp_path
    )
    if kinds == ("RADIO", "DISH"):
        await_join(sender, receiver, b"topic")
    elif kinds[0] in ("PUB", "XPUB"):
        await_subscription(sender, receiver, kinds)
    for size in SIZES:
        message = [bytes([size % 251]) * size]
        if kinds[0] != "SCATTER":
            message.insert(0, b"topic")
        sender.send(*message)
        assert receiver.recv() == message
    if kinds != ("RADIO", "DISH"):
        count = 500
        sender.send_many(count)
        assert receiver.recv_many(count) == (count, True)
    note(kinds, mechanism, transport, ours, binder)


def await_join(radio, dish, group):
    """Joins, and waits until the sender knows: a message that comes shows it."""
    dish.join(group)
    eventually(lambda: asked(radio, dish, group), "the group is known")
    drain(radio, dish, group)


@pytest.mark.parametrize("binder", [0, 1], ids=["chaski binds", "peer binds"])
def test_a_dish_gets_what_is_for_its_groups(chaski, peer, binder, tmp_path):
    for ours in (0, 1):
        radio, dish = meet(
            chaski, peer, ("RADIO", "DISH"), "NULL", "tcp", ours, (binder + ours) % 2, tmp_path
        )
        await_join(radio, dish, b"b")
        radio.send(b"a", b"not joined")
        radio.send(b"bb", b"a group is no prefix")
        radio.send(b"b", b"wanted")
        assert dish.recv() == [b"b", b"wanted"]
        dish.leave(b"b")
        await_join(radio, dish, b"last")
        radio.send(b"b", b"left")
        radio.send(b"last", b"end")
        assert dish.recv() == [b"last", b"end"]


@pytest.mark.parametrize("binder", [0, 1], ids=["chaski binds", "peer binds"])
def test_peers_meet(chaski, peer, binder):
    """They shake hands. Each speaks only to whom it knows, and neither program tells whom.

    It is no row of the table: nothing is said.
    """
    ours, _ = sockets = chaski.socket("PEER"), peer.socket("PEER")
    sockets[1 - binder].connect(sockets[binder].bind("tcp://127.0.0.1:0"))

    def met():
        return [one["kind"] for one in ours.peers() if one["connected"]] == ["PEER"]

    eventually(met, "they have shaken hands")


@pytest.mark.parametrize("binder", [0, 1], ids=["chaski binds", "peer binds"])
def test_streams_of_both_talk(chaski, peer, binder, holds):
    """Bytes without frames of ZMTP: a part in front says whose they are."""
    holds("NULL", "Co"[binder])
    sockets = chaski.socket("STREAM"), peer.socket("STREAM")
    server, client = sockets[binder], sockets[1 - binder]
    client.connect(server.bind("tcp://127.0.0.1:0"))
    talk = {}
    for socket in (server, client):
        name, opened = socket.recv()
        assert opened == b""
        talk[socket] = name
    sent = bytes(range(256)) * 300
    for sender, receiver in ((client, server), (server, client)):
        sender.send(talk[sender], sent)
        came = b""
        while len(came) < len(sent):
            name, part = receiver.recv()
            assert name == talk[receiver] and part
            came += part
        assert came == sent
    client.send(talk[client], b"")
    assert server.recv() == [talk[server], b""]
