"""Chaski's ZeroMQ sockets from Python: drives the agent program, one line an order."""

import json
import os
import signal
import subprocess
import sys

# Longest wait for what should come at once, in ms.
TIMEOUT_MS = 60_000


class Refused(Exception):
    """The agent answered with an error."""


class Agent:
    """A process with sockets of Chaski in it, or with those of another program like it."""

    def __init__(self, program="interop-agent"):
        command = [beside(program)]
        if program.endswith(".py"):
            command = [sys.executable, os.path.join(os.path.dirname(__file__), program)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.opened = 0

    def socket(self, kind, **options):
        """Opens a socket; options by libzmq's names in lower case, e.g. `sndhwm=10`."""
        self.opened += 1
        socket = Socket(self, f"{kind}-{self.opened}")
        texts = {name: text(value) for name, value in options.items()}
        socket.do("open", kind=kind, options=texts)
        return socket

    def admit(self, passwords=None, keys=()):
        """Lets in by password (PLAIN) or by public key (CURVE, in Z85)."""
        keys = [key.decode() for key in keys]
        self.order({"socket": "", "do": "admit", "passwords": passwords or {}, "keys": keys})

    def order(self, order):
        """Has one thing done, and waits for it."""
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the agent is gone: status {self.process.wait()}"
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["ok"]

    def stop(self):
        """It is there, and does nothing, until `go_on`."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        """Ends it in good order: what lingers is still sent."""
        self.process.stdin.close()
        return self.process.wait()


class Socket:
    """A socket of the agent. Frames are bytes, times are milliseconds."""

    def __init__(self, agent, name):
        self.agent = agent
        self.name = name

    def do(self, what, **details):
        return self.agent.order({"socket": self.name, "do": what, **details})

    def bind(self, endpoint):
        return self.do("bind", endpoint=endpoint)

    def connect(self, endpoint):
        self.do("connect", endpoint=endpoint)

    def unbind(self, endpoint):
        self.do("unbind", endpoint=endpoint)

    def disconnect(self, endpoint):
        self.do("disconnect", endpoint=endpoint)

    def set(self, option, value):
        self.do("set", option=option, value=text(value))

    def subscribe(self, topic):
        self.do("subscribe", topic=topic.hex())

    def unsubscribe(self, topic):
        self.do("unsubscribe", topic=topic.hex())

    def join(self, group):
        self.do("join", group=group.hex())

    def leave(self, group):
        self.do("leave", group=group.hex())

    def send(self, *frames, routing_id=0, timeout=TIMEOUT_MS):
        frames = [frame.hex() for frame in frames]
        self.do("send", frames=frames, routing_id=routing_id, timeout_ms=timeout)

    def send_many(self, count, size=8, timeout=TIMEOUT_MS):
        self.do("send_many", count=count, bytes=size, timeout_ms=timeout)

    def recv(self, timeout=TIMEOUT_MS):
        return self.recv_with_id(timeout)[0]

    def recv_with_id(self, timeout=TIMEOUT_MS):
        answer = self.do("recv", timeout_ms=timeout)
        return [bytes.fromhex(frame) for frame in answer["frames"]], answer["routing_id"]

    def recv_many(self, count, timeout=TIMEOUT_MS):
        """How many numbered messages came, at most `count`, and whether in order."""
        answer = self.do("recv_many", count=count, timeout_ms=timeout)
        return answer["received"], answer["ordered"]

    def echo(self, quiet=500):
        return self.do("echo", quiet_ms=quiet)

    def flush(self):
        self.do("flush")

    def peers(self):
        return self.do("peers")

    def events(self):
        return self.do("events")

    def close(self, linger=None):
        self.do("close", linger_ms=linger)


def text(value):
    """A value as the text that an option takes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.decode() if isinstance(value, bytes) else str(value)


def beside(program):
    """A program of this suite, which lies beside the `chaski` to test."""
    return os.path.join(os.path.dirname(os.environ["CHASKI_BIN"]), program)
