"""A server of the convergence tests, before and after it has activated the service `one`."""

from __future__ import annotations

import pytest

from relocd.agent.convergence.converge import converge
from tests.support.fakes import FakeServer
from tests.unit.agent.convergence.one import ACTIVE, NOTHING


@pytest.fixture
def server():
    return FakeServer()


@pytest.fixture
async def serving(server):
    """A server that runs the service, and its footprint."""
    report = await converge(server.host, ACTIVE, NOTHING)
    server.take_effects()
    return server, report.footprint
