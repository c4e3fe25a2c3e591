"""What the tests of the shipped template sets share: a renderer and a host for each file."""

from __future__ import annotations

import pytest
import pytest_asyncio

from relocd.adapters.templates.renderer import WorkerRenderer
from tests.integration.shipped_lab import PATIENCE_S
from tests.lab.hosts.hosts import Lan


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def renderer():
    async with WorkerRenderer(PATIENCE_S) as renderer:
        yield renderer


@pytest.fixture(scope="module")
def node():
    """A host without the service's addresses."""
    with Lan(["node1"]) as lan:
        yield lan["node1"]
