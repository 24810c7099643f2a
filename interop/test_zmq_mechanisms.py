"""What holds under every mechanism, whoever of Chaski and libzmq is the server."""

import time

import pytest
import zmq

from agent import Agent, Refused
from broker import eventually, free_port
from zeromq import (
    MECHANISMS,
    NOT_NOW,
    Keys,
    Libzmq,
    LibzmqSocket,
    bind_again,
    nothing_comes,
    options,
)

LOCAL = "tcp://127.0.0.1:0"

# A frame of each length of length, empty ones at every place.
FRAMES = [b"", b"1", b"22", b"", b"x" * 255, b"y" * 256, b"z" * 300_000, b""]


def asks(dealer, router, question):
    """Whether a question is answered, by who may just have come back."""
    try:
        dealer.send(question, timeout=100)
        identity, asked = router.recv(timeout=100)
        router.send(identity, b"re " + asked)
        return dealer.recv(timeout=1000)
    except NOT_NOW:
        return None


def test_frames_of_all_lengths_arrive_together(sides):
    router, dealer = sides.serving("ROUTER"), sides.calling("DEALER")
    dealer.connect(router.bind(LOCAL))
    for frames in (FRAMES, [b""], [b"", b""], FRAMES[::-1]):
        dealer.send(*frames)
        identity, *came = router.recv()
        assert came == frames
        router.send(identity, *came)
        assert dealer.recv() == frames


def test_a_server_that_comes_back_is_found_again(sides):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    dealer = None
    for life in range(3):
        router = sides.serving("ROUTER")
        bind_again(router, endpoint)
        if dealer is None:
            dealer = sides.calling("DEALER", reconnect_ivl=20)
            dealer.connect(endpoint)
        question = b"life %d" % life
        eventually(lambda: asks(dealer, router, question), "the question is answered")
        if life < 2:
            sides.restart_server()


def test_a_full_receiver_stops_the_sender_and_nothing_is_lost(sides):
    # So that little fits into the system's buffers.
    small = {"sndbuf": 16_384, "rcvbuf": 16_384}
    pull = sides.serving("PULL", rcvhwm=10, **small)
    push = sides.calling("PUSH", sndhwm=10, **small)
    push.connect(pull.bind(LOCAL))
    sent = 0
    with pytest.raises(NOT_NOW):
        while True:
            push.send(b"%8d" % sent, b"x" * 65_536, timeout=200)
            sent += 1
    assert sent >= 10
    for number in range(sent):
        assert int(pull.recv()[0]) == number
    push.send(b"more")
    assert pull.recv() == [b"more"]


def test_a_socket_that_is_closed_sends_what_waits(sides):
    pull, push = sides.serving("PULL"), sides.calling("PUSH")
    push.connect(pull.bind(LOCAL))
    push.send_many(500)
    # The handshake may not even have begun.
    push.close(linger=60_000)
    assert pull.recv_many(500) == (500, True)


def test_what_is_sent_before_anybody_is_there_arrives_in_order(sides):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    push = sides.calling("PUSH", reconnect_ivl=20)
    push.connect(endpoint)
    push.send_many(500)
    pull = sides.serving("PULL")
    pull.bind(endpoint)
    assert pull.recv_many(500) == (500, True)


def test_immediate_queues_for_nobody_who_is_not_there(sides):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    push = sides.calling("PUSH", immediate=True, reconnect_ivl=20)
    push.connect(endpoint)
    with pytest.raises(NOT_NOW):
        push.send(b"nobody is there", timeout=0)
    pull = sides.serving("PULL")
    pull.bind(endpoint)
    push.send(b"you are there")
    assert pull.recv() == [b"you are there"]


def test_a_probe_tells_a_router_who_is_there(sides):
    router = sides.serving("ROUTER")
    dealer = sides.calling("DEALER", probe_router=True, routing_id=b"ada")
    dealer.connect(router.bind(LOCAL))
    assert router.recv() == [b"ada", b""]
    router.send(b"ada", b"hello")
    assert dealer.recv() == [b"hello"]


def test_a_mandatory_router_says_whom_it_does_not_know(sides):
    router = sides.serving("ROUTER", router_mandatory=True)
    dealer = sides.calling("DEALER", routing_id=b"ada")
    endpoint = router.bind(LOCAL)
    with pytest.raises((Refused, zmq.ZMQError)):
        router.send(b"ada", b"not yet")
    dealer.connect(endpoint)
    dealer.send(b"here")
    assert router.recv() == [b"ada", b"here"]
    router.send(b"ada", b"now")
    assert dealer.recv() == [b"now"]


def test_handover_gives_a_name_to_the_last_who_has_it(sides):
    router = sides.serving("ROUTER", router_handover=True)
    endpoint = router.bind(LOCAL)
    for life in (b"first", b"second"):
        dealer = sides.calling("DEALER", routing_id=b"ada", reconnect_ivl=-1)
        dealer.connect(endpoint)
        dealer.send(life)
        assert router.recv() == [b"ada", life]
        router.send(b"ada", b"re " + life)
        assert dealer.recv() == [b"re " + life]


def test_a_relaxed_and_correlated_request_gets_its_own_answer(sides):
    router = sides.serving("ROUTER")
    req = sides.calling("REQ", req_relaxed=True, req_correlate=True)
    req.connect(router.bind(LOCAL))
    asked = []
    for question in (b"one", b"two"):
        req.send(question)
        asked.append(router.recv())
    for question in asked:
        router.send(*question[:-1], b"re " + question[-1])
    assert req.recv() == [b"re two"]


def test_a_rep_answers_the_request_that_it_has(sides):
    rep = sides.serving("REP")
    req = sides.calling("REQ", req_relaxed=True, req_correlate=True)
    req.connect(rep.bind(LOCAL))
    for question in (b"one", b"two"):
        req.send(question)
        assert rep.recv() == [question]
        if question == b"one":
            req.send(b"one again")
            rep.send(b"too late")
            assert rep.recv() == [b"one again"]
        rep.send(b"re " + question)
        assert req.recv() == [b"re " + question]


def test_conflate_keeps_the_newest_that_waits(sides):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    push = sides.calling("PUSH", conflate=True, reconnect_ivl=20)
    push.connect(endpoint)
    push.send_many(100)
    pull = sides.serving("PULL")
    pull.bind(endpoint)
    assert int(pull.recv()[0]) == 99
    nothing_comes(pull, timeout=50)


def test_a_message_over_the_limit_ends_the_connection_and_nothing_else(sides):
    pull = sides.serving("PULL", maxmsgsize=1000)
    endpoint = pull.bind(LOCAL)
    # What CURVE adds counts, too.
    bad, good = sides.calling("PUSH", reconnect_ivl=-1), sides.calling("PUSH")
    ends = HangsUp(bad)
    for push in (bad, good):
        push.connect(endpoint)
        push.send(b"x" * 900)
        assert pull.recv() == [b"x" * 900]
    bad.send(b"x" * 5000)
    assert ends.within(60_000)
    good.send(b"still here")
    assert pull.recv() == [b"still here"]


# Who falls silent.


class HangsUp:
    """Listens from now on for connections of this socket that end."""

    def __init__(self, socket):
        self.socket = socket
        self.monitor = None
        if isinstance(socket, LibzmqSocket):
            self.monitor = socket.zmq.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        else:
            socket.events()

    def within(self, timeout):
        """Whether one ends in so many milliseconds."""
        if self.monitor:
            return bool(self.monitor.poll(timeout))
        deadline = time.monotonic() + timeout / 1000
        while not any("Disconnected" in event for event in self.socket.events()):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


@pytest.mark.parametrize("silent", ["chaski", "libzmq"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("serves", ["silent", "other"])
def test_who_falls_silent_is_given_up_and_found_again(mechanism, silent, serves, holds):
    """By the other's heartbeats, or by its own that stay away, if it had promised them."""
    silent_one = Agent() if silent == "chaski" else Agent("libzmq_agent.py")
    other_one = Libzmq() if silent == "chaski" else Agent()
    keys = Keys()
    server = silent_one if serves == "silent" else other_one
    if isinstance(server, Libzmq):
        server.admit(keys)
    elif mechanism != "NULL":
        server.admit(passwords={"ada": "x"}, keys=[keys.client_public])
    asks_often = {"heartbeat_ivl": 50, "heartbeat_timeout": 1000}
    promises = {"heartbeat_ivl": 50, "heartbeat_timeout": 120_000, "heartbeat_ttl": 1000}
    kinds = {True: "ROUTER", False: "DEALER"}
    quiet = silent_one.socket(
        kinds[serves == "silent"],
        reconnect_ivl=20,
        **options(mechanism, serves == "silent", keys),
        **(promises if serves == "silent" else {}),
    )
    loud = other_one.socket(
        kinds[serves == "other"],
        reconnect_ivl=20,
        **options(mechanism, serves == "other", keys),
        **(asks_often if serves == "other" else {}),
    )
    router, dealer = (quiet, loud) if serves == "silent" else (loud, quiet)
    try:
        dealer.connect(router.bind(LOCAL))
        eventually(lambda: asks(dealer, router, b"there?"), "they talk")
        ends = HangsUp(loud)
        eventually(lambda: is_given_up(silent_one, ends), "the connection ends")
        eventually(lambda: asks(dealer, router, b"there again?"), "they talk again")
    finally:
        silent_one.go_on()
        silent_one.kill()
        other_one.close()
    chaski_serves = (silent == "chaski") == (serves == "silent")
    holds(mechanism, "c" if chaski_serves else "z")


def is_given_up(silent_one, ends):
    """Whether one that stops is. It may not have promised anything yet: that takes a while."""
    if ends.within(120):
        return True
    silent_one.stop()
    given_up = ends.within(5000)
    silent_one.go_on()
    return given_up
