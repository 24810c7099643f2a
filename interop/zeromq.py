"""What the ZeroMQ tests share: both sides of a conversation, and the table of who talked."""

import collections
import itertools
import threading

import zmq
from zmq.auth.thread import ThreadAuthenticator

TIMEOUT_MS = 5000

# The combinations that talked, for the table at the end of the run.
MATRIX = collections.defaultdict(set)

# The bytes of a frame that might trip a codec: empty, at the edge of a short frame, large.
SIZES = [0, 1, 37, 38, 39, 254, 255, 256, 8191, 8192, 65535, 65536, 300_000]

_serial = itertools.count()


def endpoint(transport, tmp_path):
    """An endpoint that nobody uses, as given to `bind`."""
    serial = next(_serial)
    return {
        "tcp": "tcp://127.0.0.1:*",
        "tcp6": "tcp://[::1]:*",
        "ipc": f"ipc://{tmp_path}/s{serial}",
        "ipc-abstract": f"ipc://@chaski-interop-{tmp_path.name}-{serial}",
    }[transport]


class Libzmq:
    """libzmq, through pyzmq: sockets with the interface of `agent.Socket`."""

    def __init__(self):
        self.context = zmq.Context()

    def socket(self, kind, **options):
        socket = self.context.socket(getattr(zmq, kind))
        socket.linger = 0
        for name, value in options.items():
            setattr(socket, name, value)
        return LibzmqSocket(socket)

    def close(self):
        self.context.destroy(linger=0)


class LibzmqSocket:
    """A socket of libzmq."""

    def __init__(self, socket):
        self.zmq = socket
        socket.rcvtimeo = socket.sndtimeo = TIMEOUT_MS
        if socket.type in (zmq.REQ, zmq.REP):
            return

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

    def send(self, *frames):
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

    def close(self):
        self.zmq.close(linger=0)


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


def table():
    """The table of who talked to whom, as lines."""
    columns = sorted({entry[:2] for row in MATRIX.values() for entry in row})
    heads = [f"{mechanism} {transport}" for mechanism, transport in columns]
    width = max((len(kinds) for kinds in MATRIX), default=0)
    yield " " * width + "".join(f"  {head}" for head in heads)
    for kinds, row in sorted(MATRIX.items()):
        cells = (mark(row, *column).ljust(len(head)) for column, head in zip(columns, heads))
        yield kinds.ljust(width) + "".join(f"  {cell}" for cell in cells).rstrip()


def mark(row, mechanism, transport):
    """Who bound, where it worked: c or z with libzmq, C or o with omq-tokio."""
    binders = [binder for binder in ("c", "z", "C", "o") if (mechanism, transport, binder) in row]
    return "".join(binders) or "-"
