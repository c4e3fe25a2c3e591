"""Who else has an address that this host has itself; both are real kernels on one bridge."""

from __future__ import annotations

import asyncio
from contextlib import closing
from ipaddress import ip_interface

import pytest

from relocd.adapters.net import frames
from relocd.adapters.net.arp_nd import PacketWire
from relocd.model.host import Probe
from relocd.model.settings import WireSettings
from tests.adapters.net.test_arp_nd import BOTH, LOWER, interface, raise_on, raw_socket
from tests.lab.hosts.hosts import Lan, entered

SETTINGS = WireSettings(probes=3, probe_interval_ms=20)
ADDRESSES = [ip_interface("192.0.2.10/24"), ip_interface("2001:db8::10/64")]


@pytest.fixture
def lan():
    """Two hosts, the first of which has the addresses."""
    with Lan(["node1", "node2"]) as made, entered(made["node1"]):
        for address in ADDRESSES:
            raise_on(made["node1"], address)
        yield made


@pytest.fixture
async def wire(lan):
    async with PacketWire(SETTINGS, lambda: ()) as opened:
        yield opened


@pytest.fixture
def eth0(lan):
    return interface(lan["node1"])


@BOTH
async def test_alone_nobody_else_has_it(wire, eth0, address):
    assert await wire.contested(eth0, [address]) == (Probe(address, None),)


@BOTH
async def test_the_other_host_is_named_and_keeps_its_address(wire, lan, eth0, address):
    raise_on(lan["node2"], address)
    assert await wire.contested(eth0, [address]) == (Probe(address, lan["node2"].mac),)
    assert address.ip in lan["node2"].addresses()


@BOTH
async def test_own_frames_that_a_bond_or_a_bridge_sends_back_do_not_count(wire, lan, eth0, address):
    with closing(raw_socket(lan["node2"])) as other:
        asking = asyncio.create_task(wire.contested(eth0, [address]))
        await asyncio.sleep(0)
        for frame in frames.announcements(eth0.mac, address.ip):
            other.send(frame)
        assert await asking == (Probe(address, None),)


@BOTH
async def test_another_interface_of_this_host_does_not_count(lan, eth0, address):
    raise_on(lan["node2"], address)
    async with PacketWire(SETTINGS, lambda: (interface(lan["node2"]),)) as wire:
        assert await wire.contested(eth0, [address]) == (Probe(address, None),)


@BOTH
async def test_who_only_asks_for_it_has_it_not(wire, lan, eth0, address):
    """Another server that is about to take over asks first, and finds this one."""
    with closing(raw_socket(lan["node2"])) as other:
        asking = asyncio.create_task(wire.contested(eth0, [address]))
        await asyncio.sleep(0)
        other.send(frames.probe(LOWER, address.ip))
        assert await asking == (Probe(address, None),)
