"""Fixtures: one broker for the whole session, private ones for whoever needs to hurt them."""

import itertools
import re

import pytest

import clients
from broker import Broker

_serial = itertools.count()


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory):
    broker = Broker(tmp_path_factory.mktemp("shared")).start()
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
def name(request):
    """A name for a topic or group that no other test uses."""
    word = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name).strip("-")
    return f"{word[:80]}-{next(_serial)}"


@pytest.fixture(params=clients.ALL, ids=lambda client: client.name)
def client(request):
    """Each of the three clients in turn."""
    return request.param


def pytest_terminal_summary(terminalreporter):
    """Ends the run with the table of ZeroMQ sockets that talked to those of others."""
    import zeromq

    if not zeromq.MATRIX:
        return
    terminalreporter.section("ZeroMQ: who talked to whom")
    terminalreporter.line("with libzmq: c Chaski bound, z libzmq bound")
    terminalreporter.line("with omq-tokio: C Chaski bound, o omq-tokio bound")
    for line in zeromq.table():
        terminalreporter.line(line)
