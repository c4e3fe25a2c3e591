"""A namespace to change addresses in; a file that needs another host has a fixture of its own by that name."""

from __future__ import annotations

import pytest

from relocd.adapters.net.addresses import NetlinkAddresses
from tests.lab.hosts.hosts import Lan, entered


@pytest.fixture
def host():
    with Lan(["node1"]) as lan, entered(lan["node1"]):
        yield lan["node1"]


@pytest.fixture
async def addresses(host, tmp_path):
    async with NetlinkAddresses(tmp_path) as opened:
        yield opened
