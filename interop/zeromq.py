"""What the ZeroMQ tests share: both sides of a conversation, and the tables of what held."""

import collections
import contextlib
import itertools
import os
import socket as tcp
import threading

import pytest
import zmq
from zmq.auth.thread import ThreadAuthenticator

from agent import TIMEOUT_MS, Agent, Refused
from broker import eventually

MECHANISMS = ["NULL", "PLAIN", "CURVE"]

# For the tables at the end of the run: the combinations that talked, and what else was seen to hold
# with which mechanism. Each row has a set of (mechanism, transport, who).
MATRIX = collections.defaultdict(set)
BEHAVIOUR = collections.defaultdict(set)

# The bytes of a frame that might trip a codec: empty, at the edge of a short frame, large.
SIZES = [0, 1, 37, 38, 39, 254, 255, 256, 8191, 8192, 65535, 65536, 300_000]

_serial = itertools.count()


def endpoint(transport, tmp_path):
    """An endpoint that nobody uses, as given to `bind`."""
    if transport == "tcp6" and not has_ipv6():
        pytest.skip("no IPv6 on this machine: nobody can bind ::1")
    serial = next(_serial)
    return {
        "tcp": "tcp://127.0.0.1:*",
        "tcp6": "tcp://[::1]:*",
        "ipc": f"ipc://{tmp_path}/s{serial}",
        "ipc-abstract": f"ipc://@chaski-interop-{os.getpid()}-{serial}",
    }[transport]


def has_ipv6():
    with contextlib.suppress(OSError), tcp.create_server(("::1", 0), family=tcp.AF_INET6):
        return True
    return False


class Keys:
    """Key pairs of both ends, in Z85."""

    def __init__(self):
        self.server_public, self.server_secret = zmq.curve_keypair()
        self.client_public, self.client_secret = zmq.curve_keypair()


class Keyring:
    """Lets in who has the client's key."""

    def __init__(self, keys):
        self.keys = keys

    def callback(self, _domain, key):
        return key == self.keys.client_public


def options(mechanism, server, keys):
    """The options of one end."""
    if mechanism == "PLAIN":
        credentials = {"plain_username": b"ada", "plain_password": b"x"}
        return {"plain_server": True} if server else credentials
    if mechanism == "CURVE" and server:
        return {"curve_server": True, "curve_secretkey": keys.server_secret}
    if mechanism == "CURVE":
        return {
            "curve_serverkey": keys.server_public,
            "curve_publickey": keys.client_public,
            "curve_secretkey": keys.client_secret,
        }
    return {}


class Libzmq:
    """libzmq, through pyzmq: sockets with the interface of `agent.Socket`."""

    def __init__(self):
        self.context = zmq.Context()
        self.authenticator = None

    def socket(self, kind, **options):
        socket = self.context.socket(getattr(zmq, kind))
        socket.linger = 0
        for name, value in options.items():
            setattr(socket, name, value)
        return LibzmqSocket(socket)

    def admit(self, keys):
        """Lets in who shows the password or the key that `options` gives to a client."""
        self.authenticator = authenticator(
            self.context, passwords={"ada": "x"}, curve=Keyring(keys)
        )

    def close(self):
        if self.authenticator:
            self.authenticator.stop()
        self.context.destroy(linger=0)


class LibzmqSocket:
    """A socket of libzmq."""

    def __init__(self, socket):
        self.zmq = socket
        socket.rcvtimeo = socket.sndtimeo = TIMEOUT_MS

    def bind(self, endpoint):
        if endpoint.startswith("tcp://["):
            self.zmq.ipv6 = True
        self.zmq.bind(endpoint)
        return self.zmq.last_endpoint.decode().rstrip("\0")

    def connect(self, endpoint):
        if endpoint.startswith("tcp://["):
            self.zmq.ipv6 = True
        self.zmq.connect(endpoint)

    def subscribe(self, topic):
        self.zmq.subscribe(topic)

    def unsubscribe(self, topic):
        self.zmq.unsubscribe(topic)

    def send(self, *frames, timeout=TIMEOUT_MS):
        self.zmq.sndtimeo = timeout
        self.zmq.send_multipart(frames)

    def recv(self, timeout=TIMEOUT_MS):
        if not self.zmq.poll(timeout):
            raise TimeoutError
        return self.zmq.recv_multipart()

    def send_many(self, count, size=8):
        for number in range(count):
            self.zmq.send(f"{number:0{size}}".encode())

    def recv_many(self, count, timeout=TIMEOUT_MS):
        received, ordered = 0, True
        while received < count and self.zmq.poll(timeout):
            ordered &= int(self.zmq.recv_multipart()[-1]) == received
            received += 1
        return received, ordered

    def close(self, linger=0):
        self.zmq.close(linger=linger)


# What a socket of either side raises if a message does not come or cannot go.
NOT_NOW = (TimeoutError, Refused, zmq.Again)


class Sides:
    """A server and a client, one of Chaski and one of libzmq, that know each other."""

    def __init__(self, mechanism, server):
        self.mechanism = mechanism
        self.server = server
        self.keys = Keys()
        self.libzmq, self.chaski = Libzmq(), Agent()
        self._admit()

    def _admit(self):
        if self.mechanism == "NULL":
            return
        if self.server == "libzmq":
            self.libzmq.admit(self.keys)
        else:
            self.chaski.admit(passwords={"ada": "x"}, keys=[self.keys.client_public])

    def serving(self, kind, **more):
        """A socket of the server."""
        side = self.chaski if self.server == "chaski" else self.libzmq
        return side.socket(kind, **options(self.mechanism, True, self.keys), **more)

    def calling(self, kind, **more):
        """A socket of the client."""
        side = self.libzmq if self.server == "chaski" else self.chaski
        return side.socket(kind, **options(self.mechanism, False, self.keys), **more)

    def restart_server(self):
        """Ends the server's program, or what stands for it, with all its sockets."""
        if self.server == "chaski":
            self.chaski.kill()
            self.chaski = Agent()
        else:
            self.libzmq.close()
            self.libzmq = Libzmq()
        self._admit()

    def close(self):
        self.chaski.kill()
        self.libzmq.close()


def nothing_comes(socket, timeout=150):
    try:
        came = socket.recv(timeout=timeout)
    except NOT_NOW:
        return
    raise AssertionError(f"it came: {came}")


def bind_again(socket, endpoint):
    """Binds what was bound a moment ago, as soon as the system lets go of it."""

    def bound():
        try:
            socket.bind(endpoint)
        except (zmq.ZMQError, Refused):
            return False
        return True

    eventually(bound, f"{endpoint} is free again")


class Answering:
    """Answers requests on a REP or ROUTER of libzmq as long as it stands."""

    def __init__(self, socket):
        self.socket = socket
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.over.is_set():
            if self.socket.zmq.poll(20):
                self.socket.zmq.send_multipart(self.socket.zmq.recv_multipart())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def authenticator(context, **kinds):
    """pyzmq's own: started, with `passwords` or `curve` set up."""
    auth = ThreadAuthenticator(context)
    auth.start()
    if "passwords" in kinds:
        auth.configure_plain(domain="*", passwords=kinds["passwords"])
    if "curve" in kinds:
        auth.configure_curve_callback(domain="*", credentials_provider=kinds["curve"])
    return auth


def talked(kinds, mechanism, transport, binder):
    """Notes for the table that this combination has talked."""
    MATRIX[kinds].add((mechanism, transport, binder))


def table(matrix):
    """A table of what held, as lines: a row for each kind of it, a column for each way."""
    columns = sorted({entry[:2] for row in matrix.values() for entry in row}, key=in_order)
    heads = [" ".join(column).strip() for column in columns]
    width = max((len(what) for what in matrix), default=0)
    yield " " * width + "".join(f"  {head}" for head in heads)
    for what, row in sorted(matrix.items()):
        cells = (mark(row, *column).ljust(len(head)) for column, head in zip(columns, heads))
        yield what.ljust(width) + "".join(f"  {cell}" for cell in cells).rstrip()


def in_order(column):
    """The mechanisms in their order, then the transports."""
    mechanism, transport = column
    return (MECHANISMS.index(mechanism), transport)


def mark(row, mechanism, transport):
    """Who bound, where it worked: c or z with libzmq, C or o with omq-tokio."""
    binders = [binder for binder in ("c", "z", "C", "o") if (mechanism, transport, binder) in row]
    return "".join(binders) or "-"
