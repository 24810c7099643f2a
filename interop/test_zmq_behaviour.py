"""What sockets of Chaski do when things go wrong, or are set to do otherwise, with libzmq's."""

import contextlib
import socket as tcp
import struct
import time

import pytest
import zmq

from agent import TIMEOUT_MS, Agent, Refused
from broker import eventually, free_port
from zeromq import (
    Answering,
    Keyring,
    Keys,
    authenticator,
    bind_again,
    nothing_comes,
    options,
)


# Who comes back.


def test_a_server_of_libzmq_that_comes_back_is_found_again(chaski, libzmq):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    dealer = chaski.socket("DEALER", reconnect_ivl=20)
    dealer.connect(endpoint)
    for life in range(3):
        router = libzmq.socket("ROUTER")
        bind_again(router, endpoint)
        with Answering(router):
            dealer.send(b"life %d" % life)
            assert dealer.recv() == [b"life %d" % life]
        router.close()
        eventually(lambda: not dealer.peers()[0]["connected"], "the hang-up is noticed")


def test_what_was_sent_while_nobody_was_there_arrives(chaski, libzmq):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    push = chaski.socket("PUSH", reconnect_ivl=20)
    push.connect(endpoint)
    push.send_many(500)
    pull = libzmq.socket("PULL")
    pull.bind(endpoint)
    assert pull.recv_many(500) == (500, True)


def test_libzmq_finds_a_server_that_was_killed_and_comes_back(libzmq):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    dealer = libzmq.socket("DEALER", reconnect_ivl=20)
    hangs_up = dealer.zmq.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    dealer.connect(endpoint)
    for life in range(3):
        agent = Agent()
        rep = agent.socket("ROUTER")
        rep.bind(endpoint)
        dealer.send(b"life %d" % life)
        identity, body = rep.recv()
        rep.send(identity, body)
        assert dealer.recv() == [b"life %d" % life]
        agent.kill()
        # What it sends before it has noticed, it sends to the dead.
        assert hangs_up.poll(TIMEOUT_MS)
        hangs_up.recv_multipart()


def test_subscriptions_are_told_to_a_publisher_that_comes_back(chaski, libzmq):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    sub = chaski.socket("SUB", reconnect_ivl=20)
    sub.connect(endpoint)
    sub.subscribe(b"a")
    sub.subscribe(b"b")
    sub.unsubscribe(b"b")
    for _ in range(2):
        xpub = libzmq.socket("XPUB")
        bind_again(xpub, endpoint)
        assert xpub.recv() == [b"\x01a"]
        xpub.send(b"b no")
        xpub.send(b"a yes")
        assert sub.recv() == [b"a yes"]
        xpub.close()


# What waits, and how much of it.


@pytest.mark.parametrize("hwm", [1, 2, 10, 1000])
def test_the_high_water_mark_counts_messages(chaski, hwm):
    push = chaski.socket("PUSH", sndhwm=hwm)
    push.connect(f"tcp://127.0.0.1:{free_port()}")
    for _ in range(hwm):
        push.send(b"x", timeout=0)
    with pytest.raises(Refused):
        push.send(b"x", timeout=0)
    assert push.peers()[0]["queued"] == hwm


def test_a_slow_subscriber_loses_and_is_counted_and_a_good_one_does_not(chaski, libzmq):
    pub = chaski.socket("XPUB", sndhwm=100, xpub_verbose=True)
    endpoint = pub.bind("tcp://127.0.0.1:*")
    # The system's buffers are as small for the slow one on any machine.
    slow = libzmq.socket("SUB", rcvhwm=1, rcvbuf=65_536)
    good = chaski.socket("SUB", rcvhwm=0)
    for subscriber in (slow, good):
        subscriber.connect(endpoint)
        subscriber.subscribe(b"")
        assert pub.recv() == [b"\x01"]
    # Far more than the kernel's buffers hold, and at a time no more than may wait for the good one.
    count, size = 3000, 20_000
    for _ in range(count // 100):
        pub.send_many(100, size)
        assert good.recv_many(100) == (100, True)
    dropped = sum(peer["dropped"] for peer in pub.peers())
    assert 0 < dropped < count


def test_linger_decides_what_becomes_of_what_waits(libzmq):
    for linger, arrives in ((60_000, True), (0, False)):
        endpoint = f"tcp://127.0.0.1:{free_port()}"
        agent = Agent()
        push = agent.socket("PUSH", reconnect_ivl=20)
        push.connect(endpoint)
        push.send(b"last words")
        if arrives:
            pull = libzmq.socket("PULL")
            pull.bind(endpoint)
        push.close(linger=linger)
        agent.close()
        if not arrives:
            pull = libzmq.socket("PULL")
            pull.bind(endpoint)
            nothing_comes(pull)
        else:
            assert pull.recv() == [b"last words"]


def test_a_message_over_the_limit_ends_the_connection_and_nothing_else(chaski, libzmq):
    pull = chaski.socket("PULL", maxmsgsize=1000)
    endpoint = pull.bind("tcp://127.0.0.1:*")
    good, bad = libzmq.socket("PUSH"), libzmq.socket("PUSH")
    bad.connect(endpoint)
    bad.send(b"x" * 1001)
    good.connect(endpoint)
    good.send(b"x" * 1000)
    assert pull.recv() == [b"x" * 1000]
    eventually(
        lambda: any("Protocol" in event for event in pull.events()), "the offence is told of"
    )


def test_conflate_keeps_the_newest(chaski, libzmq):
    pull = chaski.socket("PULL", conflate=True)
    push = libzmq.socket("PUSH")
    push.connect(pull.bind("tcp://127.0.0.1:*"))

    def some_are_replaced():
        push.send_many(100)
        time.sleep(0.05)
        # On a busy machine each may be taken before the next has come.
        taken = [int(pull.recv()[0])]
        while taken[-1] != 99:
            taken.append(int(pull.recv()[0]))
        return len(taken) < 100

    eventually(some_are_replaced, "only the newest of those that wait is taken")


# Subscriptions.


@pytest.mark.parametrize("publisher", ["chaski", "libzmq"])
def test_topics_are_prefixes(chaski, libzmq, publisher):
    sides = {"chaski": chaski, "libzmq": libzmq}
    subscriber = "libzmq" if publisher == "chaski" else "chaski"
    xpub, sub = sides[publisher].socket("XPUB"), sides[subscriber].socket("SUB")
    sub.connect(xpub.bind("tcp://127.0.0.1:*"))
    for topic in (b"weather.", b"\x00\x01", b"x" * 255):
        sub.subscribe(topic)
        assert xpub.recv() == [b"\x01" + topic]
    for wanted in (b"weather.", b"weather.nyc", b"\x00\x01\x02", b"x" * 256):
        for unwanted in (b"", b"weather", b"Weather.", b"\x00", b"x" * 254):
            xpub.send(unwanted)
        xpub.send(wanted, b"body")
        assert sub.recv() == [wanted, b"body"]


# Routing.


def test_a_router_knows_peers_by_their_names(chaski, libzmq):
    router = chaski.socket("ROUTER", router_mandatory=True)
    endpoint = router.bind("tcp://127.0.0.1:*")
    dealer = libzmq.socket("DEALER", routing_id=b"ada")
    dealer.connect(endpoint)
    dealer.send(b"hello")
    assert router.recv() == [b"ada", b"hello"]
    router.send(b"ada", b"", b"hi")
    assert dealer.recv() == [b"", b"hi"]
    with pytest.raises(Refused, match="no peer is known"):
        router.send(b"bob", b"hi")


def test_the_second_of_a_name_waits_unless_it_may_take_over(chaski, libzmq):
    for handover in (False, True):
        router = chaski.socket("ROUTER", router_handover=handover)
        endpoint = router.bind("tcp://127.0.0.1:*")
        first = libzmq.socket("DEALER", routing_id=b"ada")
        first.connect(endpoint)
        first.send(b"first")
        assert router.recv() == [b"ada", b"first"]
        second = libzmq.socket("DEALER", routing_id=b"ada", reconnect_ivl=-1)
        second.connect(endpoint)
        if handover:
            second.send(b"second")
            assert router.recv() == [b"ada", b"second"]
        else:
            # It may have been hung up on by now, for good.
            with contextlib.suppress(zmq.Again):
                second.send(b"second", timeout=0)
            nothing_comes(router)
        router.send(b"ada", b"for whom?")
        assert (second if handover else first).recv() == [b"for whom?"]


def test_a_probe_tells_a_router_who_is_there(chaski, libzmq):
    router, dealer = libzmq.socket("ROUTER"), chaski.socket("DEALER", probe_router=True)
    endpoint = router.bind("tcp://127.0.0.1:*")
    dealer.connect(endpoint)
    assert router.recv()[1:] == [b""]


def test_strict_and_relaxed_requests(chaski, libzmq):
    rep = libzmq.socket("ROUTER")
    endpoint = rep.bind("tcp://127.0.0.1:*")
    strict = chaski.socket("REQ")
    strict.connect(endpoint)
    strict.send(b"one")
    with pytest.raises(Refused):
        strict.send(b"two")
    relaxed = chaski.socket("REQ", req_relaxed=True, req_correlate=True)
    relaxed.connect(endpoint)
    rep.recv()
    relaxed.send(b"one")
    old = rep.recv()
    relaxed.send(b"two")
    new = rep.recv()
    rep.send(*old[:-1], b"answer to one")
    rep.send(*new[:-1], b"answer to two")
    assert relaxed.recv() == [b"answer to two"]


def test_libzmq_relaxes_and_correlates_with_a_rep(chaski, libzmq):
    rep = chaski.socket("REP")
    req = libzmq.socket("REQ", req_relaxed=1, req_correlate=1)
    req.connect(rep.bind("tcp://127.0.0.1:*"))
    req.send(b"one")
    assert rep.recv() == [b"one"]
    req.send(b"two")
    rep.send(b"answer to one")
    assert rep.recv() == [b"two"]
    rep.send(b"answer to two")
    assert req.recv() == [b"answer to two"]


def test_work_is_dealt_out_in_turn(chaski, libzmq):
    push = chaski.socket("PUSH")
    endpoint = push.bind("tcp://127.0.0.1:*")
    workers = [libzmq.socket("PULL") for _ in range(4)]
    for worker in workers:
        worker.connect(endpoint)
    eventually(lambda: [peer["connected"] for peer in push.peers()] == [True] * 4, "all are there")
    push.send_many(400)
    for worker in workers:
        got = [worker.recv() for _ in range(100)]
        assert len(got) == 100


# Liveness.


def test_heartbeats_go_both_ways(chaski, libzmq):
    # The timeouts are long, so that a busy machine does not look like a dead peer.
    rep = chaski.socket("REP", heartbeat_ivl=30, heartbeat_timeout=120_000)
    req = libzmq.socket("REQ", heartbeat_ivl=30, heartbeat_timeout=120_000, heartbeat_ttl=600_000)
    req.connect(rep.bind("tcp://127.0.0.1:*"))
    req.send(b"still there?")
    # Neither receives meanwhile: both answer all the same.
    time.sleep(1.5)
    assert rep.recv() == [b"still there?"]
    rep.send(b"yes")
    assert req.recv() == [b"yes"]
    assert not any("Disconnected" in event for event in rep.events())


def test_a_peer_that_answers_no_heartbeat_is_given_up(chaski):
    listener = tcp.create_server(("127.0.0.1", 0))
    dealer = chaski.socket("DEALER", heartbeat_ivl=50, heartbeat_timeout=200, reconnect_ivl=-1)
    dealer.connect("tcp://127.0.0.1:%d" % listener.getsockname()[1])
    peer, _ = listener.accept()
    shake_hands(peer, b"DEALER")
    eventually(
        lambda: any("Disconnected" in event for event in dealer.events()), "it is given up"
    )


def shake_hands(peer, kind):
    """Plays the NULL handshake of ZMTP 3.0 by hand."""
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
    peer.sendall(greeting)
    properties = b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
    ready = b"\x05READY" + properties
    peer.sendall(bytes([4, len(ready)]) + ready)


# Who may come in.


@pytest.mark.parametrize("server", ["chaski", "libzmq"])
def test_a_wrong_password_does_not_get_in(chaski, libzmq, server):
    sides = {"chaski": chaski, "libzmq": libzmq}
    client = "libzmq" if server == "chaski" else "chaski"
    auth = None
    if server == "chaski":
        chaski.admit(passwords={"ada": "secret"})
    else:
        auth = authenticator(libzmq.context, passwords={"ada": "secret"}, curve=None)
    pull = sides[server].socket("PULL", plain_server=True)
    endpoint = pull.bind("tcp://127.0.0.1:*")
    for word, enters in ((b"guess", False), (b"secret", True)):
        push = sides[client].socket("PUSH", plain_username=b"ada", plain_password=word)
        push.connect(endpoint)
        push.send(word)
        if enters:
            assert pull.recv() == [b"secret"]
        else:
            nothing_comes(pull, timeout=400)
    if auth:
        auth.stop()


@pytest.mark.parametrize("server", ["chaski", "libzmq"])
def test_an_unknown_key_and_a_wrong_servers_key_do_not_get_in(chaski, libzmq, server):
    sides = {"chaski": chaski, "libzmq": libzmq}
    client = "libzmq" if server == "chaski" else "chaski"
    keys, strangers = Keys(), Keys()
    auth = None
    if server == "chaski":
        chaski.admit(keys=[keys.client_public])
    else:
        auth = authenticator(libzmq.context, curve=Keyring(keys))
    pull = sides[server].socket("PULL", **options("CURVE", True, keys))
    endpoint = pull.bind("tcp://127.0.0.1:*")
    unknown = options("CURVE", False, strangers) | {"curve_serverkey": keys.server_public}
    misled = options("CURVE", False, keys) | {"curve_serverkey": strangers.server_public}
    for how in (unknown, misled, {}):
        push = sides[client].socket("PUSH", **how)
        push.connect(endpoint)
        push.send(b"let me in")
    nothing_comes(pull, timeout=600)
    push = sides[client].socket("PUSH", **options("CURVE", False, keys))
    push.connect(endpoint)
    push.send(b"it is me")
    assert pull.recv() == [b"it is me"]
    if auth:
        auth.stop()


# Bare TCP.


def test_a_stream_socket_speaks_to_a_bare_program(chaski):
    stream = chaski.socket("STREAM")
    endpoint = stream.bind("tcp://127.0.0.1:*")
    with tcp.create_connection(("127.0.0.1", int(endpoint.rsplit(":", 1)[1]))) as peer:
        identity, opened = stream.recv()
        assert opened == b""
        peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert stream.recv() == [identity, b"GET / HTTP/1.0\r\n\r\n"]
        stream.send(identity, b"HTTP/1.0 204 No Content\r\n\r\n")
        assert peer.recv(100).startswith(b"HTTP/1.0 204")
    assert stream.recv() == [identity, b""]


def test_options_that_do_not_exist_are_refused(chaski):
    for name, value in (("no_such_option", "1"), ("sndhwm", "many"), ("gssapi_server", "true")):
        with pytest.raises(Refused):
            chaski.socket("PUSH", **{name: value})
