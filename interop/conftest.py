"""Fixtures: one broker for the whole session, private ones for whoever needs to hurt them."""

import itertools
import re

import pytest

import clients
import zeromq
from agent import Agent
from broker import Broker
from zeromq import MECHANISMS, Libzmq, Sides

_serial = itertools.count()


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory):
    # Some tests write records that are years old: no round of retention comes between.
    day_ms = 24 * 60 * 60 * 1000
    flags = ["--set", f"log.retention.check.interval.ms={day_ms}"]
    broker = Broker(tmp_path_factory.mktemp("shared"), *flags).start()
    yield broker
    try:
        broker.stop()
    finally:
        broker.close()


@pytest.fixture
def broker(shared_broker):
    """The session's broker. Tests share it, so each uses names of its own; see `name`."""
    yield shared_broker
    assert shared_broker.is_running(), f"the broker died:\n{shared_broker.log_tail()}"
    shared_broker.assert_no_panic()


@pytest.fixture
def make_broker(tmp_path):
    """Makes private brokers: `make_broker(*flags)`, started. They may be stopped and killed."""
    made = []

    def make(*flags):
        broker = Broker(tmp_path / f"broker{len(made)}", *flags)
        made.append(broker)
        return broker.start()

    yield make
    for broker in made:
        broker.close()
    for broker in made:
        broker.assert_no_panic()


@pytest.fixture
def chaski():
    """A program with Chaski's sockets."""
    agent = Agent()
    yield agent
    agent.kill()


@pytest.fixture
def libzmq():
    """Libzmq's sockets, by pyzmq."""
    peer = Libzmq()
    yield peer
    peer.close()


@pytest.fixture
def name(request):
    """A name for a topic or group that no other test uses."""
    word = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name).strip("-")
    return f"{word[:80]}-{next(_serial)}"


@pytest.fixture(params=clients.ALL, ids=lambda client: client.name)
def client(request):
    """Each of the three clients in turn."""
    return request.param


@pytest.fixture
def holds(request):
    """Notes for the second table: `holds(mechanism, who)`, with the test's name for the row.

    It counts if the test passes; see `pytest_runtest_logreport`.
    """
    row = request.node.originalname.removeprefix("test_").replace("_", " ")

    def note(mechanism, who):
        request.node.user_properties.append(("holds", (row, mechanism, who)))

    return note


@pytest.fixture(
    params=[(mechanism, server) for mechanism in MECHANISMS for server in ("chaski", "libzmq")],
    ids=lambda param: "{0}-{1} serves".format(*param),
)
def sides(request, holds):
    """Chaski and libzmq, with each mechanism and each as the server."""
    mechanism, server = request.param
    holds(mechanism, {"chaski": "c", "libzmq": "z"}[server])
    sides = Sides(mechanism, server)
    yield sides
    sides.close()


def pytest_runtest_logreport(report):
    """Puts what held into the second table."""
    if report.when != "call" or not report.passed:
        return
    for name, value in report.user_properties:
        if name == "holds":
            row, mechanism, who = value
            zeromq.BEHAVIOUR[row].add((mechanism, "", who))


def pytest_terminal_summary(terminalreporter):
    """Ends the run with the tables of ZeroMQ sockets and those of others."""
    titles = [
        ("ZeroMQ: who talked to whom", "bound", zeromq.MATRIX),
        ("ZeroMQ: what held", "was the server, or published", zeromq.BEHAVIOUR),
    ]
    for title, did, matrix in titles:
        if not matrix:
            continue
        terminalreporter.section(title)
        terminalreporter.line(f"with libzmq: c Chaski {did}, z libzmq")
        terminalreporter.line(f"with omq-tokio: C Chaski {did}, o omq-tokio")
        for line in zeromq.table(matrix):
            terminalreporter.line(line)
