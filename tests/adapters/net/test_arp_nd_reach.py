"""Asking whether a neighbour, such as the gateway, still answers for its address."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import pytest

from relocd.adapters.net.arp_nd import PacketWire
from relocd.errors import RelocdError
from relocd.model.settings import WireSettings
from tests.adapters.net.test_arp_nd import interface
from tests.lab.hosts.hosts import Lan, entered


@pytest.fixture
def lan():
    with Lan(["node1", "gateway"]) as made, entered(made["node1"]):
        yield made


@pytest.fixture
async def wire(lan):
    """Without probes before an address is raised: that setting is about something else."""
    async with PacketWire(WireSettings(probes=0), lambda: (interface(lan["node1"]),)) as opened:
        yield opened


@pytest.mark.parametrize("version", [4, 6])
async def test_a_neighbour_answers_until_it_is_gone(wire, lan, version):
    found = next(each.ip for each in lan["gateway"].own if each.version == version)
    async with asyncio.timeout(5):
        await wire.reach(found)
    lan["gateway"].run(["ip", "link", "set", "eth0", "down"])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await wire.reach(found)


async def test_an_address_in_no_network_of_this_host_cannot_be_asked(wire):
    with pytest.raises(RelocdError, match=r"198\.51\.100\.1"):
        await wire.reach(ip_address("198.51.100.1"))
