"""The broker under test: its process, its ports, its health, its end."""

import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

# Longest wait for anything that should take well under a second.
PATIENCE = 120.0

# What is asked is on this machine, whatever proxy the environment names for the world.
_HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))

# Ports given away: who has one may bind it much later.
_taken = set()


def binary():
    """The `chaski` to test, from CHASKI_BIN."""
    path = os.environ.get("CHASKI_BIN")
    if not path:
        raise RuntimeError("CHASKI_BIN names no binary; run: cargo xtask test --only build interop")
    return path


def free_port():
    """A port that nobody listens on, below the range the kernel picks from on its own.

    Tests choose ports themselves so that a broker comes back where its clients look for it.
    """
    for port in random.sample(sorted(set(range(20000, 32000)) - _taken), 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            _taken.add(port)
            return port
    raise RuntimeError("no free port between 20000 and 32000")


def eventually(condition, what, patience=PATIENCE):
    """Calls `condition` until it returns something true, and returns that."""
    deadline = time.monotonic() + patience
    pause = 0.002
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"never came to pass: {what}")
        time.sleep(pause)
        pause = min(2 * pause, 0.05)


class Broker:
    """A `chaski serve` on a directory of its own; it may be stopped, killed and started again."""

    def __init__(self, home, *flags):
        self.home = Path(home)
        self.data = self.home / "data"
        self.log = self.home / "broker.log"
        self.flags = flags
        self.kafka_port = free_port()
        self.http_port = free_port()
        self.kafka = f"127.0.0.1:{self.kafka_port}"
        self.process = None

    def start(self, wait=True):
        """Starts the process and, unless told otherwise, waits until it is ready."""
        assert self.process is None, "it runs already"
        self.home.mkdir(parents=True, exist_ok=True)
        command = [binary(), "serve", "--data", self.data, "--kafka", self.kafka]
        command += ["--http", f"127.0.0.1:{self.http_port}", *self.flags]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        if wait:
            eventually(self._is_ready, "the broker is ready")
        return self

    def _is_ready(self):
        if self.process.poll() is not None:
            status = self.process.returncode
            raise AssertionError(f"the broker ended with status {status}:\n{self.log_tail()}")
        try:
            return self.http_get("/readyz")[0] == 200
        except OSError:
            return False

    def stop(self):
        """SIGTERM; it must end by itself, cleanly."""
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"SIGTERM did not end the broker:\n{self.log_tail()}") from None
        assert status == 0, f"the broker ended with status {status}:\n{self.log_tail()}"
        self.assert_no_panic()

    def kill(self):
        """SIGKILL: it gets no chance to tidy up."""
        process, self.process = self.process, None
        process.kill()
        process.wait()
        self.assert_no_panic()

    def restart(self):
        """A clean stop and a start."""
        self.stop()
        return self.start()

    def close(self):
        """Ends it however it may be; for fixtures."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def http_get(self, path):
        """GET: the status and the body as text."""
        try:
            with self.http_open(path) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def http_open(self, path, **request):
        """The answer to what `urllib.request.Request` describes."""
        url = f"http://127.0.0.1:{self.http_port}{path}"
        return _HTTP.open(urllib.request.Request(url, **request), timeout=PATIENCE)

    def rss_bytes(self):
        """Resident memory of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(kib) * 1024

    def log_tail(self, lines=40):
        if not self.log.exists():
            return "(no output)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def assert_no_panic(self):
        """A panic anywhere in the process is a bug, even one it survived."""
        text = self.log.read_text(errors="replace")
        assert "panicked at" not in text, self.log_tail()
