"""Shared memory between processes on the command line: who is there, what arrives, who dies."""

import json
import os
import signal
import stat
import subprocess

import pytest

from broker import PATIENCE, binary, eventually


@pytest.fixture
def services(tmp_path):
    """Runs `chaski` in a directory of services of its own."""
    made = Services(tmp_path / "shm")
    yield made
    made.close()


class Services:
    def __init__(self, home):
        self.home = home
        self.environment = {**os.environ, "CHASKI_SHM_DIR": str(home)}
        self.processes = []

    def run(self, *args, stdin=None, status=0):
        done = subprocess.run(
            [binary(), *args],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=self.environment,
        )
        assert done.returncode == status, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if status == 0 else done.stderr

    def start(self, *args):
        process = subprocess.Popen(
            [binary(), *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        self.processes.append(process)
        return process

    def list(self):
        listed = json.loads(self.run("shm", "ls", "-o", "json"))
        return {service["name"]: service for service in listed}

    def bound(self, name, **expected):
        """Waits until the service is there and says all of this of itself."""

        def found():
            service = self.list().get(name, {})
            return service if service and expected.items() <= service.items() else None

        return eventually(found, f"{name} is bound and {expected}")

    def close(self):
        for process in self.processes:
            process.kill()
            process.communicate()


def finish(process):
    """What a process that ends by itself, and well, has printed."""
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, f"status {process.returncode}\n{out}\n{err}"
    return out


def test_lines_sent_are_lines_collected(services):
    # Fewer bytes than a pipe holds: they are read when all are sent.
    collector = services.start("recv", "shm://lines", "--count", "5000")
    services.bound("lines")
    lines = "".join(f"line {i}\n" for i in range(5_000))
    services.run("send", "shm://lines", stdin=lines)
    assert finish(collector) == lines


def test_a_stream_from_many_processes_arrives_whole(services):
    collector = services.start("recv", "shm://lines", "--count", "5000")
    services.bound("lines")
    senders = [services.start("send", "shm://lines", "-q") for _ in range(5)]
    for number, sender in enumerate(senders):
        sender.stdin.write("".join(f"{number} {i}\n" for i in range(1_000)))
        sender.stdin.close()
        sender.stdin = None
    for sender in senders:
        finish(sender)
    received = finish(collector).splitlines()
    for number in range(5):
        own = [line for line in received if line.startswith(f"{number} ")]
        assert own == [f"{number} {i}" for i in range(1_000)], "each sender's in its order"


def test_nothing_is_left_of_those_who_are_killed(services):
    collector = services.start("recv", "shm://lines")
    services.bound("lines")
    sender = services.start("send", "shm://lines")
    services.bound("lines", peers=1)
    sender.kill()
    sender.wait()
    services.bound("lines", peers=0, departed=1)
    collector.kill()
    collector.wait()
    assert services.list() == {}
    assert list(services.home.iterdir()) == []
    # The name can be taken again at once.
    again = services.start("recv", "shm://lines", "--count", "1")
    services.bound("lines")
    services.run("send", "shm://lines", stdin="hello\n")
    assert finish(again) == "hello\n"


def test_what_a_killed_worker_had_not_taken_goes_to_another(services):
    stopped = services.start("recv", "shm://jobs?connect")
    sender = services.start("send", "shm://jobs?bind")
    services.bound("jobs", peers=1)
    stopped.send_signal(signal.SIGSTOP)
    sender.stdin.write("".join(f"{i}\n" for i in range(100)))
    sender.stdin.close()
    sender.stdin = None
    services.bound("jobs", messages=100)
    stopped.kill()
    stopped.wait()
    worker = services.start("recv", "shm://jobs?connect")
    finish(sender)
    assert finish(worker) == "".join(f"{i}\n" for i in range(100))


def test_only_the_user_can_enter(services):
    services.start("recv", "shm://lines")
    services.bound("lines")
    assert stat.S_IMODE(services.home.stat().st_mode) == 0o700
    assert stat.S_IMODE((services.home / "lines").stat().st_mode) == 0o600
    services.home.chmod(0o777)
    error = services.run("send", "shm://lines", stdin="x\n", status=1)
    assert "not safe to meet in" in error and "mode 0777" in error
    services.home.chmod(0o700)


def test_ctrl_c_ends_what_waits(services):
    for args in (["recv", "shm://lines"], ["recv", "shm://prices?type=sub"]):
        process = services.start(*args)
        if args[1] == "shm://lines":
            services.bound("lines")
        else:
            # It waits for a publisher and has no name to look for; it hears signals by then.
            eventually(lambda: handles_sigint(process.pid), "it has taken over Ctrl-C")
        process.send_signal(signal.SIGINT)
        assert finish(process) == ""


def handles_sigint(pid):
    with open(f"/proc/{pid}/status") as status:
        caught = next(line.split()[1] for line in status if line.startswith("SigCgt:"))
    return bool(int(caught, 16) & 1 << (signal.SIGINT - 1))


def test_bench_shm_reports_both_and_the_limit(services):
    small = ["--messages", "2000", "--rounds", "1", "-o", "json"]
    report = json.loads(services.run("bench", "shm", *small))
    for part in ("round_trip", "stream"):
        assert {"shm"} <= {row["who"] for row in report[part]} <= {"shm", "limit"}
    assert all(row["samples"] == 2000 for row in report["round_trip"])
    assert all(row["ns_per_message"] > 0 for row in report["stream"])
    assert services.list() == {}, "its processes have ended"
