"""Sockets of libzmq in a process of its own, which can be stopped: told what to do as the agent is.

It understands a part of what `interop-agent` does, in the same words.
"""

import json
import sys

import zmq

from zeromq import Libzmq, authenticator


class Admitted:
    """Lets in who has one of these keys."""

    def __init__(self, keys):
        self.keys = {key.encode() for key in keys}

    def callback(self, _domain, key):
        return key in self.keys


class Stage:
    """The sockets that are open, by name."""

    def __init__(self):
        self.libzmq = Libzmq()
        self.sockets = {}

    def carry_out(self, order):
        what, name = order["do"], order["socket"]
        if what == "admit":
            self.libzmq.authenticator = authenticator(
                self.libzmq.context, passwords=order["passwords"], curve=Admitted(order["keys"])
            )
            return None
        if what == "open":
            values = {option: value(text) for option, text in order["options"].items()}
            self.sockets[name] = self.libzmq.socket(order["kind"], **values)
            return None
        socket = self.sockets[name]
        if what in ("bind", "connect"):
            return getattr(socket, what)(order["endpoint"])
        if what == "send":
            frames = (bytes.fromhex(frame) for frame in order["frames"])
            return socket.send(*frames, timeout=order["timeout_ms"])
        if what == "recv":
            frames = [frame.hex() for frame in socket.recv(timeout=order["timeout_ms"])]
            return {"frames": frames, "routing_id": 0}
        raise ValueError(f"that is no order: {what}")


def value(text):
    """The value of an option from its text."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.lstrip("-").isdigit() else text.encode()


def main():
    stage = Stage()
    for line in sys.stdin:
        try:
            answer = {"ok": stage.carry_out(json.loads(line))}
        except (TimeoutError, ValueError, zmq.ZMQError) as error:
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)
    stage.libzmq.close()


if __name__ == "__main__":
    main()
