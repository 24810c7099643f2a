"""ZeroMQ sockets of Chaski and of libzmq with each other: kinds, mechanisms, transports."""

import pytest

from agent import Refused
from zeromq import SIZES, Keyring, Keys, Libzmq, authenticator, endpoint, options, talked


TRANSPORTS = ["tcp", "tcp6", "ipc", "ipc-abstract"]

# Who asks, who answers: (kind of the one that speaks first, kind of the other).
CONVERSATIONS = [
    ("REQ", "REP"),
    ("REQ", "ROUTER"),
    ("DEALER", "REP"),
    ("DEALER", "ROUTER"),
    ("DEALER", "DEALER"),
    ("PAIR", "PAIR"),
]
ONE_WAY = [("PUSH", "PULL"), ("PUB", "SUB"), ("XPUB", "XSUB"), ("PUB", "XSUB"), ("XPUB", "SUB")]
SECURED = [("REQ", "REP"), ("DEALER", "ROUTER"), ("PUSH", "PULL"), ("PUB", "SUB")]


def pair(binder, first, second, kinds, transport, mechanism, tmp_path):
    """Two sockets that are connected: `kinds[0]` of `first`, `kinds[1]` of `second`.

    `binder` says which of the two binds, 0 or 1. The binder is the server of the mechanism.
    """
    keys = Keys()
    sides = (first, second)
    auth = None
    if mechanism != "NULL" and isinstance(sides[binder], Libzmq):
        auth = authenticator(sides[binder].context, passwords={"ada": "x"}, curve=Keyring(keys))
    elif mechanism != "NULL":
        sides[binder].admit(passwords={"ada": "x"}, keys=[keys.client_public])
    sockets = [
        side.socket(kind, **options(mechanism, at == binder, keys))
        for at, (side, kind) in enumerate(zip(sides, kinds))
    ]
    bound = sockets[binder].bind(endpoint(transport, tmp_path))
    sockets[1 - binder].connect(bound)
    return sockets, auth


def combinations(pairs, mechanisms, transports):
    """Each pair of kinds both ways round, with either side binding."""
    for kinds in pairs:
        for mechanism in mechanisms:
            for transport in transports:
                for chaski_first in (True, False):
                    for chaski_binds in (True, False):
                        if is_broken_in_libzmq(kinds, mechanism, chaski_first, chaski_binds):
                            continue
                        name = "-".join(kinds) if chaski_first else "-".join(reversed(kinds))
                        speaker = "chaski" if chaski_first else "libzmq"
                        binder = "chaski" if chaski_binds else "libzmq"
                        yield pytest.param(
                            kinds,
                            mechanism,
                            transport,
                            chaski_first,
                            chaski_binds,
                            id=f"{name}-{mechanism}-{transport}-{speaker} speaks-{binder} binds",
                        )


def is_broken_in_libzmq(kinds, mechanism, chaski_first, chaski_binds):
    """A REQ of libzmq that serves a mechanism takes the user's name for a reply, and hangs up.

    So it does with a REP of its own.
    """
    libzmq_is_req = kinds[0] == "REQ" and not chaski_first
    return libzmq_is_req and mechanism != "NULL" and not chaski_binds


PARAMETERS = "kinds, mechanism, transport, chaski_first, chaski_binds"


def meet(chaski, libzmq, kinds, mechanism, transport, chaski_first, chaski_binds, tmp_path):
    sides = (chaski, libzmq) if chaski_first else (libzmq, chaski)
    binder = 0 if chaski_first == chaski_binds else 1
    return pair(binder, *sides, kinds, transport, mechanism, tmp_path)


def note(kinds, mechanism, transport, chaski_first, chaski_binds):
    ours, theirs = kinds if chaski_first else reversed(kinds)
    talked(f"{ours} to {theirs}", mechanism, transport, "c" if chaski_binds else "z")


@pytest.mark.parametrize(PARAMETERS, [
    *combinations(CONVERSATIONS, ["NULL"], TRANSPORTS),
    *combinations(SECURED[:1], ["PLAIN", "CURVE"], ["tcp", "ipc"]),
    *combinations(SECURED[1:2], ["PLAIN", "CURVE"], TRANSPORTS),
])
def test_conversation(
    chaski, libzmq, kinds, mechanism, transport, chaski_first, chaski_binds, tmp_path
):
    (asker, answerer), auth = meet(
        chaski, libzmq, kinds, mechanism, transport, chaski_first, chaski_binds, tmp_path
    )
    try:
        # A DEALER before a REP speaks as a REQ does, with an empty delimiter.
        envelope = [b""] if kinds == ("DEALER", "REP") else []
        for size in SIZES:
            body = [bytes([size % 251]) * size, b"tail"]
            asker.send(*envelope, *body)
            question = answerer.recv()
            assert question[-2:] == body
            answerer.send(*question)
            assert asker.recv() == envelope + body
    finally:
        if auth:
            auth.stop()
    note(kinds, mechanism, transport, chaski_first, chaski_binds)


@pytest.mark.parametrize(PARAMETERS, [
    *combinations(ONE_WAY, ["NULL"], TRANSPORTS),
    *combinations(SECURED[2:3], ["PLAIN", "CURVE"], TRANSPORTS),
    *combinations(SECURED[3:], ["PLAIN", "CURVE"], ["tcp", "ipc"]),
])
def test_one_way(
    chaski, libzmq, kinds, mechanism, transport, chaski_first, chaski_binds, tmp_path
):
    (sender, receiver), auth = meet(
        chaski, libzmq, kinds, mechanism, transport, chaski_first, chaski_binds, tmp_path
    )
    try:
        if kinds != ("PUSH", "PULL"):
            await_subscription(sender, receiver, kinds)
        for size in SIZES:
            message = [b"topic", bytes([size % 251]) * size, b""]
            sender.send(*message)
            assert receiver.recv() == message
        count = 500
        sender.send_many(count)
        assert receiver.recv_many(count) == (count, True)
    finally:
        if auth:
            auth.stop()
    note(kinds, mechanism, transport, chaski_first, chaski_binds)


def await_subscription(sender, receiver, kinds):
    """Subscribes to everything, and waits until the sender knows."""
    if kinds[1] == "XSUB":
        receiver.send(b"\x01")
    else:
        receiver.subscribe(b"")
    if kinds[0] == "XPUB":
        # libzmq tells what it wants when its user next calls, whatever for.
        while not (told := within(sender, 10)):
            assert not within(receiver, 1)
        assert told == [b"\x01"]
        return
    while not asked(sender, receiver):
        pass
    drain(sender, receiver)


def asked(sender, receiver, *to):
    """Whether what is sent now, to this group if there is one, comes through."""
    sender.send(*to, b"are you there?")
    return within(receiver, 10)


def drain(sender, receiver, *to):
    """Takes all that still comes: this is sent last."""
    sender.send(*to, b"that was all")
    while receiver.recv()[-1] != b"that was all":
        pass


def within(socket, timeout):
    """What comes within so many milliseconds, if anything does."""
    try:
        return socket.recv(timeout=timeout)
    except (TimeoutError, Refused):
        return None
