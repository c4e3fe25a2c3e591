"""Several servers in memory that share one directory and one wire, each with an agent that can end in any way.

The wire is watched all the time: `MemoryCluster.doubles` says when two servers had the same address or unit.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace

from relocd.agent.agent import Agent, DirectoryPorts
from relocd.model.dn import DN
from relocd.model.host import SentHeartbeats, UnitState
from relocd.model.parse import search_filter
from relocd.model.settings import HandoverSettings, ServerSettings
from tests.support.entries import dn, server
from tests.support.fake_directory import FakeDirectory, FakeReader, FakeWriter
from tests.support.fakes import until
from tests.support.virtual_time import stamped
from tests.unit.agent.lab import SETTINGS, Lab, web

__all__ = ["BOTH", "LEASE_S", "PAIR", "SOON_S", "MemoryNode", "MemoryCluster", "a_while", "remains", "running_cluster"]

LEASE_S = 0.8
SOON_S = 10.0
BOTH = (server("me", services=["web"]), server("twin"), web())
PAIR = (server("me", clusters=["pair"]), server("twin", clusters=["pair"]), web())


class MemoryNode(Lab):
    """One server of a cluster; its agent is started, ended, killed with the server, and started again."""

    def __init__(self, name, directory):
        super().__init__(directory=directory)
        self.name = name
        self.reader = FakeReader(directory.model)
        self.writer = FakeWriter(directory, self.server.world)
        self.writer.by = dn(name)
        self.feed = None
        self.task = None

    @property
    def held(self):
        """The addresses that are up here, without their prefix and interface."""
        return {placed.partition("/")[0] for placed in self.server.addresses.ours}

    @property
    def running(self):
        return {name for name, state in self.server.units.states.items() if state is UnitState.ACTIVE}

    def start(self):
        """Start the agent, on what the ledger has kept."""
        self.feed = self.directory.search(search_filter(DN.parse(dn(self.name))))
        ways = DirectoryPorts(self.feed, self.reader, self.writer, self.directory.cache, None, self.directory.history)
        settings = replace(SETTINGS, server=ServerSettings(dn(self.name)), handover=HandoverSettings(lease_s=LEASE_S))
        agent = Agent(settings, self.server.host, ways, self.said.outlets, self.orders)
        self.failures = agent.failures
        self.task = asyncio.create_task(agent.run())

    def reason_of(self, name):
        """Why a service is as it is here, in words."""
        return next((each["reason"] for each in self.said.status.get("services", ()) if each["name"] == name), "")

    async def stop(self):
        """The agent ends, if it has not ended before; nothing of the server does."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
            if not self.task.cancelled():
                self.task.exception()  # looked at: it was killed
            self.task = None

    async def power_off(self):
        """The server is gone, and everything on it."""
        await self.stop()
        self.server.addresses.there.clear()
        self.server.units.states.clear()
        self.server.ledger.stored.clear()
        self.server.heartbeats.kept = SentHeartbeats()


class MemoryCluster:
    """Servers by name; `state` is that of the service `web`: holder, candidate, previous, generation."""

    def __init__(self, names, entries):
        self.directory = FakeDirectory(*entries, stamp=stamped)
        self.nodes = {name: MemoryNode(name, self.directory) for name in names}
        self.doubles = []
        for node in self.nodes.values():
            others = [other.server.addresses for other in self.nodes.values() if other is not node]
            node.server.wire.beside = others
            node.server.addresses.watch(self._look)
            node.server.units.watch(self._look)

    def __getattr__(self, name):
        try:
            return self.nodes[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def state(self):
        return self.directory.model.named_state("web")

    def links(self, service="web"):
        """The servers with a direct link to a service."""
        found = {entry.dn.name: entry for entry in self.directory.model.entries.values()}
        return {
            name
            for name, entry in found.items()
            if dn(service).encode() in entry.attributes.get("relocservicelink", ())
        }

    def attribute(self, name, attribute):
        """The values of an entry's attribute."""
        return self.directory.model.named(name).attributes.get(attribute.lower(), ())

    def link(self, name, *services, **attributes):
        """A trigger sets the links of a server."""
        self.directory.put(server(name, services=services, **attributes))

    def unlink(self, name):
        self.link(name)

    async def serves(self, name, service="web", *, candidate=None):
        """Wait until it runs there, nowhere else, and nothing of a move is left to be done."""
        await until(lambda: self.is_settled(name, service, candidate=candidate), SOON_S)

    def is_settled(self, name, service="web", *, candidate=None):
        node, state = self.nodes[name], self.directory.model.named_state(service)
        there = node.state_of(service) == "active" and node.held and node.running
        others = any(other.held for other in self.nodes.values() if other is not node)
        return bool(there) and not others and state[:3] == (name, candidate, None)

    def _look(self):
        """Something changed on the wire, or a unit did."""
        there = Counter(what for each in self.nodes.values() for what in (*each.held, *each.running))
        self.doubles += [what for what, servers in there.items() if servers > 1]


@asynccontextmanager
async def running_cluster(*entries, names=("me", "twin")):
    """A cluster whose agents are started, where there is an entry; in the end nothing was ever up twice."""
    found = MemoryCluster(names, entries)
    try:
        for name in names:
            if found.directory.model.named(name):
                found.nodes[name].start()
        yield found
    finally:
        for node in found.nodes.values():
            await node.stop()
    assert found.doubles == []


async def a_while():
    """Long enough for anything that is about to happen."""
    await asyncio.sleep(LEASE_S / 4)


async def remains(lab, name):
    """Nothing of the service happens for a while, but that its address may still be announced again."""
    node, state = lab.nodes[name], lab.state
    node.server.take_effects()
    await a_while()
    assert [each for each in node.server.take_effects() if not each.startswith("announce")] == []
    assert (node.held, lab.state) == ({"192.0.2.10"}, state)
