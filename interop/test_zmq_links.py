"""What lies below and before the messages: bare TCP, proxies, silence, and who may come in."""

import contextlib
import socket as tcp
import threading

import pytest
import zmq
from zmq.auth.thread import ThreadAuthenticator

from agent import Refused
from broker import PATIENCE, eventually, free_port
from zeromq import MECHANISMS, NOT_NOW, Keys, options

LOCAL = "tcp://127.0.0.1:0"


def port_of(endpoint):
    return int(endpoint.rsplit(":", 1)[1])


def until_event(socket, word):
    """Waits until the monitor of a socket of Chaski has told of something."""
    eventually(lambda: any(word in event for event in socket.events()), f"{word} is told")


# Bare TCP.


@pytest.mark.parametrize("binder", ["chaski", "libzmq"])
def test_streams_of_both_talk(chaski, libzmq, binder, holds):
    holds("NULL", {"chaski": "c", "libzmq": "z"}[binder])
    ours, theirs = chaski.socket("STREAM"), libzmq.socket("STREAM")
    server, client = (ours, theirs) if binder == "chaski" else (theirs, ours)
    client.connect(server.bind(LOCAL))
    talk = {}
    for socket in (server, client):
        name, opened = socket.recv()
        assert opened == b""
        talk[socket] = name
    for sender, receiver in ((client, server), (server, client)):
        sent = bytes(range(256)) * 300
        sender.send(talk[sender], sent)
        came = b""
        while len(came) < len(sent):
            name, part = receiver.recv()
            assert name == talk[receiver] and part
            came += part
        assert came == sent
    # An empty part hangs up; the other side is told. libzmq does it as its user next calls.
    client.send(talk[client], b"")

    def told():
        with contextlib.suppress(NOT_NOW):
            client.recv(timeout=1)
        with contextlib.suppress(NOT_NOW):
            return server.recv(timeout=50)

    assert eventually(told, "the end is told") == [talk[server], b""]


def test_a_stream_that_connects_speaks_to_a_bare_server(chaski):
    stream = chaski.socket("STREAM")
    with tcp.create_server(("127.0.0.1", 0)) as listener:
        stream.connect("tcp://127.0.0.1:%d" % listener.getsockname()[1])
        peer, _ = listener.accept()
        name, opened = stream.recv()
        assert opened == b""
        stream.send(name, b"HELO\r\n")
        assert peer.makefile("rb").readline() == b"HELO\r\n"
        peer.sendall(b"250\r\n")
        assert stream.recv() == [name, b"250\r\n"]
        peer.shutdown(tcp.SHUT_RDWR)
        peer.close()
        assert stream.recv() == [name, b""]


# Silence before the first message.


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("says", [b"", b"\xff" + bytes(8) + b"\x7f\x03"])
def test_who_does_not_finish_a_handshake_is_hung_up_on(chaski, mechanism, says, holds):
    holds(mechanism, "c")
    pull = chaski.socket("PULL", handshake_ivl=200, **options(mechanism, True, Keys()))
    with tcp.create_connection(("127.0.0.1", port_of(pull.bind(LOCAL)))) as peer:
        peer.settimeout(PATIENCE)
        peer.sendall(says)
        # It may not even have read what was said.
        with contextlib.suppress(ConnectionResetError):
            while peer.recv(100):
                pass
    until_event(pull, "HandshakeFailed")


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_server_that_does_not_greet_is_tried_again(chaski, mechanism, holds):
    holds(mechanism, "z")
    push = chaski.socket(
        "PUSH", handshake_ivl=200, reconnect_ivl=20, **options(mechanism, False, Keys())
    )
    with tcp.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        push.connect("tcp://127.0.0.1:%d" % listener.getsockname()[1])
        held = [listener.accept() for _ in range(3)]
        assert len(held) == 3


# Through a proxy.


class Proxy:
    """A SOCKS5 proxy (RFC 1928) that connects to whom it is asked to."""

    def __init__(self, user=None):
        self.user = user
        self.asked = []
        self.listener = tcp.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.sockets = [self.listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                client, _ = self.listener.accept()
                self.sockets.append(client)
                threading.Thread(target=self._serve, args=[client], daemon=True).start()
        except OSError:
            pass

    def _serve(self, client):
        try:
            host, port = self._negotiate(client, client.makefile("rb"))
            server = tcp.create_connection((host, port))
            self.sockets.append(server)
            client.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
            back = threading.Thread(target=pour, args=[server, client], daemon=True)
            back.start()
            pour(client, server)
        except (OSError, AssertionError):
            client.close()

    def _negotiate(self, client, words):
        version, methods = words.read(2)
        offered = words.read(methods)
        method = 2 if self.user else 0
        assert version == 5 and method in offered
        client.sendall(bytes([5, method]))
        if self.user:
            assert words.read(1) == b"\x01"
            given = tuple(words.read(words.read(1)[0]) for _ in range(2))
            client.sendall(bytes([1, given != self.user]))
            assert given == self.user
        version, command, _, kind = words.read(4)
        assert (version, command) == (5, 1)
        if kind == 1:
            host = tcp.inet_ntop(tcp.AF_INET, words.read(4))
        else:
            assert kind == 3
            host = words.read(words.read(1)[0]).decode()
        port = int.from_bytes(words.read(2), "big")
        self.asked.append((host, port))
        return host, port

    def close(self):
        for socket in self.sockets:
            socket.close()


def pour(source, sink):
    """Passes on what comes, until nothing does."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(tcp.SHUT_WR)
    except OSError:
        pass


@pytest.mark.parametrize("user", [None, (b"ada", b"secret")], ids=["anybody", "a user"])
def test_a_client_goes_through_a_socks_proxy(sides, user):
    proxy = Proxy(user)
    named = {"socks_username": b"ada", "socks_password": b"secret"} if user else {}
    router = sides.serving("ROUTER")
    dealer = sides.calling("DEALER", socks_proxy=proxy.address.encode(), **named)
    endpoint = router.bind(LOCAL)
    dealer.connect(endpoint)
    dealer.send(b"hello")
    identity, came = router.recv()
    assert came == b"hello"
    router.send(identity, b"re hello")
    assert dealer.recv() == [b"re hello"]
    assert proxy.asked == [("127.0.0.1", port_of(endpoint))]
    proxy.close()


def test_a_proxy_that_does_not_know_the_user_lets_nothing_through(chaski):
    proxy = Proxy((b"ada", b"secret"))
    push = chaski.socket(
        "PUSH", socks_proxy=proxy.address, socks_username="ada", socks_password="guess"
    )
    push.connect(f"tcp://127.0.0.1:{free_port()}")
    until_event(push, "ConnectRetried")
    assert proxy.asked == []
    proxy.close()


# Who may come in: pyzmq's authenticator and clients of Chaski.


@pytest.fixture
def gate(libzmq):
    auth = ThreadAuthenticator(libzmq.context)
    auth.start()
    yield auth
    auth.stop()


def enters(chaski, server, **how):
    """Whether a client of Chaski gets in, and what the server is told of its user."""
    endpoint = server.zmq.last_endpoint.decode().rstrip("\0")
    push = chaski.socket("PUSH", reconnect_ivl=20, **how)
    push.connect(endpoint)
    # Who was refused for good by then has nobody to send to.
    with contextlib.suppress(Refused):
        push.send(b"hello", timeout=1000)

    def decided():
        if any("HandshakeFailed" in event for event in push.events()):
            return "refused"
        if server.zmq.poll(20):
            return server.zmq.recv(copy=False)
        return None

    answer = eventually(decided, "the authenticator decides")
    push.close(linger=0)
    return answer != "refused" and answer


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("rule, address, is_let_in", [
    ("allow", "127.0.0.1", True),
    ("allow", "127.0.0.2", False),
    ("deny", "127.0.0.1", False),
    ("deny", "127.0.0.2", True),
])
def test_addresses_are_let_in_or_not(
    chaski, libzmq, gate, mechanism, rule, address, is_let_in, holds
):
    holds(mechanism, "z")
    keys = Keys()
    getattr(gate, rule)(address)
    gate.configure_plain(domain="here", passwords={"ada": "x"})
    gate.configure_curve(domain="here", location=zmq.auth.CURVE_ALLOW_ANY)
    pull = libzmq.socket("PULL", zap_domain=b"here", **options(mechanism, True, keys))
    pull.bind(LOCAL)
    assert bool(enters(chaski, pull, **options(mechanism, False, keys))) == is_let_in


@pytest.mark.parametrize("name, password, is_let_in", [
    (b"ada", b"secret", True),
    (b"ada", b"Secret", False),
    (b"ada", b"", False),
    (b"eve", b"secret", False),
    (b"x" * 255, b"y" * 255, True),
])
def test_passwords_are_checked(chaski, libzmq, gate, name, password, is_let_in, holds):
    holds("PLAIN", "z")
    gate.configure_plain(domain="here", passwords={"ada": "secret", "x" * 255: "y" * 255})
    pull = libzmq.socket("PULL", zap_domain=b"here", plain_server=True)
    pull.bind(LOCAL)
    came = enters(chaski, pull, plain_username=name, plain_password=password)
    assert bool(came) == is_let_in
    if is_let_in:
        assert came.get("User-Id") == name.decode()


def test_certificates_are_checked(chaski, libzmq, gate, tmp_path, holds):
    holds("CURVE", "z")
    keys, stranger = Keys(), Keys()
    public, _ = zmq.auth.create_certificates(tmp_path, "friend")
    friend = zmq.auth.load_certificate(str(tmp_path / "friend.key_secret"))
    gate.configure_curve(domain="here", location=str(tmp_path))
    pull = libzmq.socket("PULL", zap_domain=b"here", **options("CURVE", True, keys))
    pull.bind(LOCAL)
    known = {"curve_publickey": friend[0], "curve_secretkey": friend[1]}
    unknown = options("CURVE", False, stranger)
    server = {"curve_serverkey": keys.server_public}
    assert public.endswith(".key")
    assert not enters(chaski, pull, **(unknown | server))
    assert enters(chaski, pull, **(known | server)).get("User-Id")
    assert not enters(chaski, pull)
