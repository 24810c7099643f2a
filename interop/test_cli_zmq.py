"""`chaski send` and `chaski recv` with sockets of libzmq at the other end."""

import json
import signal
import subprocess

import pytest
import zmq
import zmq.auth

from broker import PATIENCE, binary, eventually, free_port
from zeromq import Answering, Keyring, Keys, authenticator

LINES = [b"one", b"", b"two words", b"\xc3\xa9"]


class Chaski:
    """A `chaski` that runs."""

    def __init__(self, *args, stdin=b""):
        self.process = subprocess.Popen(
            [binary(), *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.stdin = stdin

    def bound(self):
        """What it bound, where it left the port to the system."""
        line = self.process.stderr.readline().decode().strip()
        assert line.startswith("bound to "), line
        return line.removeprefix("bound to ")

    def ends(self, status=0):
        """Gives it its input, and waits for its end: its output, or what it complains of."""
        out, err = self.process.communicate(self.stdin, timeout=PATIENCE)
        assert self.process.returncode == status, f"{self.process.returncode}\n{out}\n{err}"
        return out if status == 0 else err.decode()

    def feed(self):
        """Gives it its input now, and no more after that."""
        self.process.stdin.write(self.stdin)
        self.process.stdin.close()
        self.process.stdin = None
        self.stdin = None

    def kill(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def chaski():
    """Starts `chaski`, and ends those that still run."""
    started = []

    def start(*args, stdin=b""):
        started.append(Chaski(*args, stdin=stdin))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()


class Security:
    """The options of both ends. Which end is the server follows from who binds."""

    def __init__(self, mechanism, chaski_binds, libzmq, tmp_path):
        self.flags, self.options = [], {}
        keys = Keys()
        if mechanism == "CURVE":
            zmq.auth.create_certificates(tmp_path, "ours")
            file = tmp_path / "ours.key_secret"
            # It is pyzmq that lets others read it.
            file.chmod(0o600)
            public, _ = zmq.auth.load_certificate(str(file))
            self.flags = ["--curve-key", str(file)]
            theirs = {
                "curve_publickey": keys.client_public,
                "curve_secretkey": keys.client_secret,
            }
            if chaski_binds:
                self.flags += ["--curve-allow", keys.client_public.decode()]
                self.options = theirs | {"curve_serverkey": public}
            else:
                keys.client_public, server = public, keys.client_public
                libzmq.authenticator = authenticator(libzmq.context, curve=Keyring(keys))
                self.flags += ["--curve-server-key", server.decode()]
                self.options = theirs | {"curve_server": True}
        if mechanism == "PLAIN":
            libzmq.authenticator = authenticator(libzmq.context, passwords={"ada": "secret"})
            file = tmp_path / "password"
            file.write_text("secret\n")
            self.flags = ["--plain-user", "ada", "--plain-password-file", str(file)]
            self.options = {"plain_server": True}


# With each mechanism, who may bind: the server. `chaski` is no server of PLAIN.
WAYS = [
    ("NULL", True),
    ("NULL", False),
    ("CURVE", True),
    ("CURVE", False),
    ("PLAIN", False),
]
ways = pytest.mark.parametrize(
    "mechanism, chaski_binds",
    WAYS,
    ids=[f"{mechanism}-{'chaski' if binds else 'libzmq'} binds" for mechanism, binds in WAYS],
)


def meet(chaski, libzmq, verb, role, kind, way, tmp_path, flags=(), stdin=b"", **more):
    """A running `chaski`, and the socket of libzmq that is connected to it."""
    mechanism, chaski_binds = way
    security = Security(mechanism, chaski_binds, libzmq, tmp_path)
    peer = libzmq.socket(kind, **security.options, **more)
    if kind == "SUB":
        peer.subscribe(b"")
    address = "tcp://127.0.0.1:*" if chaski_binds else peer.bind("tcp://127.0.0.1:0")
    running = chaski(verb, f"zmq+{address}?type={role}", *security.flags, *flags, stdin=stdin)
    if chaski_binds:
        peer.connect(running.bound())
    return running, peer


# How `chaski send` can be, and who hears it.
SENDERS = [
    ("push", "PULL"),
    ("pub", "SUB"),
    ("req", "REP"),
    ("dealer", "ROUTER"),
    ("router", "DEALER"),
    ("pair", "PAIR"),
]
# How `chaski recv` can be, and who speaks to it.
RECEIVERS = [
    ("pull", "PUSH"),
    ("sub&topic=t&topic=u", "XPUB"),
    ("rep", "REQ"),
    ("dealer&routing_id=me", "ROUTER"),
    ("router", "DEALER"),
    ("pair", "PAIR"),
]


@pytest.mark.parametrize("role, kind", SENDERS, ids=[role for role, _ in SENDERS])
@ways
def test_lines_are_sent(chaski, libzmq, role, kind, mechanism, chaski_binds, tmp_path, holds):
    holds(mechanism, "c" if chaski_binds else "z")
    flags, lines, more = [], LINES, {}
    if role == "router":
        flags, more = ["--json"], {"routing_id": b"me"}
        lines = [json.dumps({"frames": ["me", line.decode()]}).encode() for line in LINES]
    stdin = b"".join(line + b"\n" for line in lines)
    way = (mechanism, chaski_binds)
    sending, peer = meet(chaski, libzmq, "send", role, kind, way, tmp_path, flags, stdin, **more)
    if kind == "REP":
        with Answering(peer):
            assert sending.ends() == stdin
        return
    sending.feed()
    came = [peer.recv() for _ in LINES]
    assert [message[-1] for message in came] == LINES
    assert {len(message) for message in came} == {2 if kind == "ROUTER" else 1}
    assert sending.ends() == b""


@pytest.mark.parametrize("role, kind", RECEIVERS, ids=[role for role, _ in RECEIVERS])
@ways
def test_messages_are_received(
    chaski, libzmq, role, kind, mechanism, chaski_binds, tmp_path, holds
):
    if kind == "REQ" and mechanism != "NULL" and not chaski_binds:
        pytest.skip("a REQ of libzmq that serves a mechanism takes the user's name for a reply")
    holds(mechanism, "c" if chaski_binds else "z")
    sent = [[b"t1"], [b"t2", b"x"], [b"t3", b"", b"\xff"]]
    flags = ["-o", "json", "--count", str(len(sent))]
    more = {"DEALER": {"routing_id": b"you"}, "ROUTER": {"router_mandatory": True}}.get(kind, {})
    way = (mechanism, chaski_binds)
    receiving, peer = meet(chaski, libzmq, "recv", role, kind, way, tmp_path, flags, **more)
    if kind == "XPUB":
        assert {peer.recv()[0] for _ in range(2)} == {b"\x01t", b"\x01u"}
        peer.send(b"not wanted")
    for message in sent:
        if kind == "ROUTER":
            eventually(lambda: reaches(peer, b"me", *message), "it is there")
        else:
            peer.send(*message)
        if kind == "REQ":
            assert peer.recv() == message
    came = [json.loads(line) for line in receiving.ends().splitlines()]
    if kind == "DEALER":
        assert came[0] == {"frames": ["you", "t1"]}
        came = [unnamed(message) for message in came]
    assert came == [
        {"value": "t1"},
        {"frames": ["t2", "x"]},
        {"frames": ["t3", "", {"base64": "/w=="}]},
    ]


def reaches(router, *frames):
    """Whether a router knows whom this is for."""
    try:
        router.send(*frames)
    except zmq.ZMQError:
        return False
    return True


def unnamed(message):
    """What a router received, without whom it is from."""
    frames = message["frames"][1:]
    return {"frames": frames} if len(frames) > 1 else {"value": frames[0]}


@pytest.mark.parametrize("form, expected", [
    (["-o", "text"], b"t1\nt2\tx\nt3\t\t\xff\n"),
    (["-o", "text", "--key-separator", "|"], b"t1\nt2|x\nt3||\xff\n"),
    (["-o", "raw"], b"t1t2xt3\xff"),
])
def test_messages_are_printed_as_asked(chaski, libzmq, form, expected):
    push = libzmq.socket("PUSH")
    address = push.bind("tcp://127.0.0.1:0")
    receiving = chaski("recv", f"zmq+{address}", "--count", "3", *form)
    for message in ([b"t1"], [b"t2", b"x"], [b"t3", b"", b"\xff"]):
        push.send(*message)
    assert receiving.ends() == expected


def test_a_separator_and_a_topic_make_frames(chaski, libzmq):
    for flags, query, frames in [
        (["--key-separator", ":"], "", [b"a", b"b:c"]),
        ([], "&topic=news", [b"news", b"a:b:c"]),
        (["--key-separator", ":"], "&topic=news", [b"news", b"a", b"b:c"]),
    ]:
        sub = libzmq.socket("SUB")
        sub.subscribe(frames[0])
        address = sub.bind("tcp://127.0.0.1:0")
        sending = chaski("send", f"zmq+{address}?type=pub{query}", *flags, stdin=b"a:b:c\n")
        sending.feed()
        # libzmq tells what it wants when its user next calls.
        assert sub.recv() == frames
        sending.ends()
        sub.close()


def test_who_received_ends_with_the_sender_and_who_follows_goes_on(chaski, libzmq):
    address = f"tcp://127.0.0.1:{free_port()}"
    push = libzmq.socket("PUSH")
    push.bind(address)
    once = chaski("recv", f"zmq+{address}")
    push.send(b"last words")
    push.close(linger=60_000)
    assert once.ends() == b"last words\n"
    following = chaski("recv", f"zmq+{address}?reconnect_ivl=20", "--follow", "--count", "2")
    for words in (b"first", b"second"):
        push = libzmq.socket("PUSH", immediate=True)
        eventually(lambda: binds(push, address), "the port is free again")
        push.send(words, timeout=int(PATIENCE * 1000))
        push.close(linger=60_000)
    assert following.ends() == b"first\nsecond\n"


def binds(socket, address):
    try:
        socket.bind(address)
    except zmq.ZMQError:
        return False
    return True


def test_failures_have_their_status_and_say_why(chaski, libzmq, tmp_path):
    keys, strangers = Keys(), Keys()
    libzmq.authenticator = authenticator(
        libzmq.context, passwords={"ada": "secret"}, curve=Keyring(keys)
    )
    curve = libzmq.socket("PULL", curve_server=True, curve_secretkey=keys.server_secret)
    plain = libzmq.socket("PULL", plain_server=True)
    pub = libzmq.socket("PUB")
    at = {name: f"zmq+{socket.bind('tcp://127.0.0.1:0')}" for name, socket in
          [("curve", curve), ("plain", plain), ("pub", pub)]}
    password = tmp_path / "password"
    password.write_text("guess\n")
    user = ["--plain-user", "ada", "--plain-password-file", str(password)]
    key, wrong_key = keys.server_public.decode(), strangers.server_public.decode()
    for args, status, said in [
        # A key that nobody knows; the key of another server; no key at all.
        ([at["curve"], "--curve-server-key", key], 3, "authentication"),
        ([at["curve"], "--curve-server-key", wrong_key], 3, "cannot connect"),
        ([at["curve"]], 3, "same kind of security"),
        ([at["plain"], *user], 3, "authentication"),
        # What does not go together.
        ([at["pub"] + "?type=push"], 3, "cannot connect"),
        ([at["pub"] + "?type=sub"], 2, "receives"),
        ([f"zmq+tcp://127.0.0.1:{free_port()}?linger=200"], 3, "not sent when `linger` was over"),
    ]:
        complaint = chaski("send", *args, stdin=b"hello\n").ends(status)
        assert said in complaint, complaint


def test_a_request_that_is_never_answered_is_a_failure(chaski, libzmq):
    rep = libzmq.socket("REP")
    address = rep.bind("tcp://127.0.0.1:0")
    asking = chaski("send", f"zmq+{address}?type=req", stdin=b"anybody?\n")
    asking.feed()
    assert rep.recv() == [b"anybody?"]
    rep.close()
    assert "line 1 was not answered" in asking.ends(status=3)


def test_an_interrupt_ends_a_receiver_in_good_order(chaski, libzmq):
    push = libzmq.socket("PUSH")
    address = push.bind("tcp://127.0.0.1:0")
    receiving = chaski("recv", f"zmq+{address}")
    push.send(b"hello")
    assert receiving.process.stdout.readline() == b"hello\n"
    receiving.process.send_signal(signal.SIGINT)
    assert receiving.ends() == b""


def test_keys_of_chaski_are_certificates_of_pyzmq(chaski, libzmq, tmp_path):
    file = tmp_path / "client.key"
    chaski("keygen", "curve", str(file)).ends()
    public, secret = zmq.auth.load_certificate(str(file))
    printed = chaski("keygen", "public", str(file)).ends()
    assert printed.strip() == public == zmq.curve_public(secret)
