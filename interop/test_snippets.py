"""What `chaski dev --snippets` prints, pasted and run: a record there and back, in each language.

Python runs everywhere; C where there is a compiler and the library. Rust, Java and Go would have
to fetch their libraries, and are run by hand.
"""

import itertools
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from broker import PATIENCE, binary

# The heading of a program, the file it is pasted into, and what it has to print in the end.
PYTHON = [
    ("confluent-kafka", "kafka_client.py", "hello from Python"),
    ("pyzmq", "zmq_client.py", "hello from pyzmq"),
]
C = [
    ("librdkafka", "try.c", "hello from C", "librdkafka/rdkafka.h", "-lrdkafka"),
    ("libzmq", "try.c", "hello from libzmq", "zmq.h", "-lzmq"),
]


# What `chaski dev` says last.
LAST = "Ctrl-C ends it."


class Dev:
    """A running `chaski dev`, and the programs it prints."""

    def __init__(self, home):
        command = [binary(), "dev", "--snippets", "all", "--topics", "snippets"]
        command += ["--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"]
        # Its directory is below that of the test, whatever becomes of it.
        environment = {**os.environ, "TMPDIR": str(home)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment
        )
        said = "".join(itertools.takewhile(lambda line: LAST not in line, self.process.stdout))
        titles_and_programs = re.split(r"\n---- (.*) ----\n", said)[1:]
        self.programs = dict(zip(titles_and_programs[::2], titles_and_programs[1::2], strict=True))

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
        assert status == 0, f"`chaski dev` ended with status {status}"


@pytest.fixture
def dev(tmp_path):
    """One for each program: what another has left behind does not come to it."""
    dev = Dev(tmp_path)
    yield dev
    dev.close()


def prints(command, wanted):
    """Runs a program as in a terminal until it has printed that; most of them never end."""
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=its_end, stderr=its_end, start_new_session=True
    )
    os.close(its_end)
    killer = threading.Timer(PATIENCE, process.kill)
    killer.start()
    said = b""
    try:
        while wanted.encode() not in said:
            read = os.read(terminal, 4096)
            if not read:
                break
            said += read
    except OSError:
        # A terminal that nobody has any more: the program has ended, or was killed.
        pass
    finally:
        killer.cancel()
        process.kill()
        process.wait()
        os.close(terminal)
    assert wanted.encode() in said, f"status {process.returncode}:\n{said.decode(errors='replace')}"


@pytest.mark.parametrize("library, file, wanted", PYTHON, ids=[it[0] for it in PYTHON])
def test_python_runs_as_pasted(dev, tmp_path, library, file, wanted):
    path = tmp_path / file
    path.write_text(dev.programs[library])
    prints([sys.executable, path], wanted)


@pytest.mark.parametrize("library, file, wanted, header, link", C, ids=[it[0] for it in C])
def test_c_runs_as_pasted(dev, tmp_path, library, file, wanted, header, link):
    path = tmp_path / file
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler `cc`")
    included = subprocess.run(
        [compiler, "-E", "-x", "c", "-"],
        input=f"#include <{header}>\n", capture_output=True, text=True, timeout=PATIENCE,
    )
    if included.returncode != 0:
        pytest.skip(f"there is no <{header}>: the package of {library} for programmers is missing")
    path.write_text(dev.programs[library])
    program = tmp_path / "try"
    compiled = subprocess.run(
        [compiler, path, "-o", program, link], capture_output=True, text=True, timeout=PATIENCE
    )
    assert compiled.returncode == 0, compiled.stderr
    prints([program], wanted)


def test_each_language_has_a_program(dev):
    for library, word in [("kafka-clients", "class Try"), ("rdkafka", "fn main"),
                          ("franz-go", "func main")]:
        assert word in dev.programs[library]
        assert "@" not in dev.programs[library]
