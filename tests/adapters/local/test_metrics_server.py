"""The metrics' port: many idle connections cost the agent few descriptors, and the figures can still be fetched."""

from __future__ import annotations

import resource
import socket
import threading
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from relocd.adapters.local.metrics import PrometheusMeter, _RequestHandler
from tests.support.fakes import until

IDLE = 1700


@pytest.fixture
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
async def server():
    async with PrometheusMeter("127.0.0.1:0", 10.0) as meter:
        assert meter._server is not None
        yield meter._server


@pytest.fixture
def port(server):
    return server.server_port


def descriptors():
    return len([*Path("/proc/self/fd").iterdir()])


def latest(server):
    with server._lock, suppress(OSError, IndexError):
        return [*server._connections][-1].getpeername()
    return None


def fetched(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return answer.read().decode()


async def test_idle_connections_are_few_and_the_metrics_are_served(server, port, many_descriptors):
    before, threads = descriptors(), threading.active_count()
    with ExitStack() as stack:
        for number in range(IDLE):
            idle = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            if number % 100 == 0:  # what does not fit into the queue of the kernel would come again after a second
                await until(lambda: latest(server) == idle.getsockname())  # noqa: B023 - at once
        assert "relocd_lease_seconds 10.0" in fetched(port)
        await until(lambda: descriptors() - before - IDLE <= 17)  # theirs are in this process too
        await until(lambda: threading.active_count() - threads <= 17)


async def test_an_idle_connection_is_closed(port, monkeypatch):
    monkeypatch.setattr(_RequestHandler, "timeout", _RequestHandler.timeout / 100)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as silent:
        assert silent.recv(1) == b""


@pytest.mark.parametrize("listen", ["x" * 64 + ":1", "203.0.113.1:1", "nowhere.invalid:1"])
async def test_where_it_cannot_listen_there_are_no_metrics_and_that_is_logged(listen, caplog):
    async with PrometheusMeter(listen, 10.0):
        (record,) = caplog.records
        assert record.fields["listen"] == listen


async def test_it_listens_on_ipv6():
    async with PrometheusMeter("[::1]:0", 10.0) as meter:
        assert meter._server is not None
        assert meter._server.server_address[0] == "::1"
