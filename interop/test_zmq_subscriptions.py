"""Subscriptions: who hears of them and what they bring, with libzmq and omq-tokio either way round.

Nothing here waits for something not to come. A subscription to a topic of its own, or a message
with one, comes after all that was before on the same connection: a fence.
"""

import itertools

import pytest

from agent import Agent, Refused
from broker import eventually, free_port
from zeromq import NOT_NOW, Libzmq, bind_again, nothing_comes

# Who publishes, who subscribes; and the mark in the table.
ENDS = {
    ("chaski", "libzmq"): "c",
    ("libzmq", "chaski"): "z",
    ("chaski", "omq"): "C",
    ("omq", "chaski"): "o",
}
WITH_LIBZMQ = list(ENDS)[:2]

OPENERS = {"chaski": Agent, "libzmq": Libzmq, "omq": lambda: Agent("interop-peer")}

_fences = itertools.count()


class Ends:
    """A publisher and a subscriber of different makes."""

    def __init__(self, publisher, subscriber):
        self.makes = (publisher, subscriber)
        self.sides = {make: OPENERS[make]() for make in self.makes}

    def publisher(self, kind="XPUB", **options):
        return self.sides[self.makes[0]].socket(kind, **options)

    def subscriber(self, kind="SUB", **options):
        socket = self.sides[self.makes[1]].socket(kind, **options)
        return Subscriber(socket, kind)

    def close(self):
        for side in self.sides.values():
            side.kill() if isinstance(side, Agent) else side.close()


class Subscriber:
    """A SUB, or an XSUB that is spoken to in the same words."""

    def __init__(self, socket, kind):
        self.socket = socket
        self.is_raw = kind == "XSUB"

    def subscribe(self, topic):
        self.socket.send(b"\x01" + topic) if self.is_raw else self.socket.subscribe(topic)

    def unsubscribe(self, topic):
        if self.is_raw:
            self.socket.send(b"\x00" + topic)
            return
        try:
            self.socket.unsubscribe(topic)
        except Refused as refused:
            # Chaski tells the user of a SUB; libzmq does not.
            assert "no such subscription" in str(refused)

    def carry_out(self, script):
        """`+a -a`: subscribes to a, unsubscribes from it."""
        for change in script.split():
            topic = change[1:].encode()
            self.subscribe(topic) if change[0] == "+" else self.unsubscribe(topic)


@pytest.fixture(params=ENDS, ids=lambda makes: "{0} publishes to {1}".format(*makes))
def ends(request, holds):
    holds("NULL", ENDS[request.param])
    ends = Ends(*request.param)
    yield ends
    ends.close()


with_libzmq = pytest.mark.parametrize(
    "ends", WITH_LIBZMQ, indirect=True, ids=lambda makes: "{0} publishes to {1}".format(*makes)
)


def heard(xpub, subscriber):
    """What an XPUB hears of what this subscriber has done, as a script."""
    fence = b"fence%d" % next(_fences)
    subscriber.subscribe(fence)
    changes = []
    while (notice := xpub.recv()) != [b"\x01" + fence]:
        assert len(notice) == 1
        sign = {0: "-", 1: "+"}[notice[0][0]]
        changes.append(sign + notice[0][1:].decode())
    return " ".join(changes)


def brought(xpub, subscriber, topics):
    """Which of these messages come."""
    fence = b"fence%d" % next(_fences)
    subscriber.subscribe(fence)
    # Whoever publishes may hear of it only while it waits for something.
    while xpub.recv() != [b"\x01" + fence]:
        pass
    for topic in [*topics, fence]:
        xpub.send(topic)
    came = []
    while (message := subscriber.socket.recv()) != [fence]:
        came.append(message[0])
    return came


TOPICS = [b"", b"a", b"ab", b"abc", b"b"]
A = [b"a", b"ab", b"abc"]

# What the subscriber does, what the publisher hears of it, which of TOPICS come.
STORIES = [
    ("+a", "+a", A),
    ("+a -a", "+a -a", []),
    ("+a +ab -a", "+a +ab -a", [b"ab", b"abc"]),
    ("+ab +a -ab", "+ab +a -ab", A),
    ("+", "+", TOPICS),
    ("+ +a -", "+ +a -", A),
    ("+ -", "+ -", []),
    ("-a", "", []),
    ("-a +a", "+a", A),
    ("+b -a", "+b", [b"b"]),
    ("+a -a +a", "+a -a +a", A),
    ("+a -a -a +a", "+a -a +a", A),
]
# The same topic more than once. Who keeps to the letter of RFC 37 does otherwise; see below.
REPEATED = [
    ("+a +a", "+a", A),
    ("+a +a -a", "+a", A),
    ("+a +a -a -a", "+a -a", []),
    ("+a +a +a -a -a -a -a", "+a -a", []),
    ("+a +a -a -a +a", "+a -a +a", A),
    ("+ + -", "+", TOPICS),
    ("+ + - -", "+ -", []),
]


@pytest.mark.parametrize("kind", ["SUB", "XSUB"])
def test_topics_are_prefixes_that_come_and_go(ends, kind):
    for script, hears, comes in STORIES:
        check_story(ends, kind, script, hears, comes)


@pytest.mark.parametrize("kind", ["SUB", "XSUB"])
@with_libzmq
def test_the_last_of_many_subscriptions_to_a_topic_ends_it(ends, kind):
    for script, hears, comes in REPEATED:
        check_story(ends, kind, script, hears, comes)


def check_story(ends, kind, script, hears, comes):
    xpub, subscriber = ends.publisher(), ends.subscriber(kind)
    subscriber.socket.connect(xpub.bind("tcp://127.0.0.1:0"))
    subscriber.subscribe(b"here")
    assert xpub.recv() == [b"\x01here"]
    subscriber.carry_out(script)
    told = heard(xpub, subscriber)
    # omq-tokio tells its user every change, and says every one.
    if "omq" not in ends.makes:
        assert told == hears, script
    assert brought(xpub, subscriber, TOPICS) == comes, script
    for socket in (xpub, subscriber.socket):
        socket.close()


def test_who_keeps_to_the_letter_of_rfc_37_is_served_as_by_libzmq(holds):
    holds("NULL", "C")
    ends = Ends("chaski", "omq")
    xpub, subscriber = ends.publisher(), ends.subscriber()
    subscriber.socket.connect(xpub.bind("tcp://127.0.0.1:0"))
    subscriber.carry_out("+a +a")
    assert heard(xpub, subscriber) == "+a"
    # It takes one of two back, and says so; to a socket that does as libzmq that is the end.
    subscriber.carry_out("-a")
    assert heard(xpub, subscriber) == "-a"
    assert brought(xpub, subscriber, TOPICS) == []
    ends.close()


@pytest.mark.parametrize("kind", ["SUB", "XSUB"])
@with_libzmq
def test_a_publisher_that_comes_back_hears_each_topic_once(ends, kind):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    subscriber = ends.subscriber(kind, reconnect_ivl=20)
    subscriber.carry_out("+a +a +b +c -b +ab -c +c")
    subscriber.socket.connect(endpoint)
    for _ in range(2):
        xpub = ends.publisher(xpub_verbose=True)
        bind_again(xpub, endpoint)
        told = [notice(xpub, subscriber) for _ in range(3)]
        assert sorted(told) == [b"\x01a", b"\x01ab", b"\x01c"]
        fence = b"fence%d" % next(_fences)
        subscriber.subscribe(fence)
        assert xpub.recv() == [b"\x01" + fence]
        for topic in [*TOPICS, fence]:
            xpub.send(topic)
        assert [subscriber.socket.recv()[0] for _ in range(4)] == [*A, fence]
        subscriber.unsubscribe(fence)
        assert xpub.recv() == [b"\x00" + fence]
        xpub.close()


def notice(xpub, subscriber):
    """What an XPUB hears next. libzmq tells a newcomer when its user next calls, whatever for."""

    def look():
        nothing_comes(subscriber.socket, timeout=1)
        try:
            return xpub.recv(timeout=50)
        except NOT_NOW:
            return None

    return eventually(look, "the topics are told")[0]


@pytest.mark.parametrize("option, one, both", [
    (None, "+a -a", "+a -a"),
    ("xpub_verbose", "+a +a -a", "+a +a -a"),
    ("xpub_verboser", "+a +a -a", "+a +a -a -a"),
])
@with_libzmq
def test_a_verbose_xpub_hears_what_others_do_not(ends, option, one, both):
    xpub = ends.publisher(**{option: True} if option else {})
    first, second = ends.subscriber(), ends.subscriber()
    endpoint = xpub.bind("tcp://127.0.0.1:0")
    for subscriber in (first, second):
        subscriber.socket.connect(endpoint)
        # Who connects tells what it wants by then once, in no order; what comes later as it comes.
        heard(xpub, subscriber)
    first.carry_out("+a +a -a -a")
    assert heard(xpub, first) == one
    told = []
    for subscriber, change in [(first, "+a"), (second, "+a"), (first, "-a"), (second, "-a")]:
        subscriber.carry_out(change)
        told += heard(xpub, subscriber).split()
    assert " ".join(told) == both


@with_libzmq
def test_a_subscriber_that_goes_ends_what_it_wanted(ends):
    xpub = ends.publisher()
    endpoint = xpub.bind("tcp://127.0.0.1:0")
    going, staying = ends.subscriber(), ends.subscriber()
    for subscriber, script in [(going, "+a +a +b"), (staying, "+b")]:
        subscriber.socket.connect(endpoint)
        subscriber.carry_out(script)
        heard(xpub, subscriber)
    going.socket.close()
    ended = {bytes(xpub.recv()[0]) for _ in range(2)}
    assert b"\x00a" in ended and b"\x00b" not in ended
    assert brought(xpub, staying, TOPICS) == [b"b"]


@with_libzmq
def test_a_manual_xpub_gives_other_topics_than_were_asked_for(ends):
    xpub, xsub = ends.publisher(xpub_manual=True), ends.subscriber("XSUB")
    xsub.socket.connect(xpub.bind("tcp://127.0.0.1:0"))
    xsub.subscribe(b"please")
    assert xpub.recv() == [b"\x01please"]
    xpub.subscribe(b"given")
    xpub.send(b"please")
    xpub.send(b"given")
    assert xsub.socket.recv() == [b"given"]
    xsub.unsubscribe(b"please")
    assert xpub.recv() == [b"\x00please"]
    xpub.unsubscribe(b"given")
    xpub.subscribe(b"end")
    xpub.send(b"given")
    xpub.send(b"end")
    assert xsub.socket.recv() == [b"end"]
    xsub.subscribe(b"again")
    assert xpub.recv() == [b"\x01again"]
    xsub.socket.close()
    assert xpub.recv() == [b"\x00again"]


@pytest.mark.parametrize("kind", ["SUB", "XSUB"])
@with_libzmq
def test_a_welcome_message_is_the_first(ends, kind):
    xpub, subscriber = ends.publisher(xpub_welcome_msg=b"welcome"), ends.subscriber(kind)
    subscriber.subscribe(b"")
    subscriber.socket.connect(xpub.bind("tcp://127.0.0.1:0"))
    assert xpub.recv() == [b"\x01"]
    xpub.send(b"news")
    assert [subscriber.socket.recv() for _ in range(2)] == [[b"welcome"], [b"news"]]


@with_libzmq
def test_inverted_a_topic_is_what_does_not_come(ends):
    xpub = ends.publisher(invert_matching=True)
    subscriber = ends.subscriber(invert_matching=True)
    subscriber.socket.connect(xpub.bind("tcp://127.0.0.1:0"))
    subscriber.carry_out("+a +b")
    assert sorted(xpub.recv()[0] for _ in range(2)) == [b"\x01a", b"\x01b"]
    for topic in [*TOPICS, b"end"]:
        xpub.send(topic)
    assert [subscriber.socket.recv() for _ in range(2)] == [[b""], [b"end"]]


@with_libzmq
def test_messages_of_an_xsub_reach_the_user_of_xpub(ends):
    xpub, xsub = ends.publisher(), ends.subscriber("XSUB").socket
    xsub.connect(xpub.bind("tcp://127.0.0.1:0"))
    for frames in [(b"hello",), (b"",), (b"\x02", b"two", b"frames")]:
        xsub.send(*frames)
        came = [xpub.recv()]
        # libzmq gives the frames to its user as messages of their own, each marked as not the last.
        while sum(map(len, came)) < len(frames):
            came.append(xpub.recv())
        assert [frame for message in came for frame in message] == list(frames)


@with_libzmq
def test_many_topics_of_any_bytes_find_their_subscriber(ends):
    topics = [b"\x00", b"\x00\x01", b"\x01", b"\xff" * 255, b"x" * 256, b"y" * 70_000]
    xpub, subscriber = ends.publisher(), ends.subscriber()
    subscriber.socket.connect(xpub.bind("tcp://127.0.0.1:0"))
    for topic in topics:
        subscriber.subscribe(topic)
        assert xpub.recv() == [b"\x01" + topic]
    for topic in topics:
        xpub.send(topic[:-1] + b"?")
        xpub.send(topic + b"?", b"body")
    came = []
    while not came or came[-1][0] != topics[-1] + b"?":
        came.append(subscriber.socket.recv())
    with_body = [message for message in came if message[-1] == b"body"]
    assert with_body == [[topic + b"?", b"body"] for topic in topics]
