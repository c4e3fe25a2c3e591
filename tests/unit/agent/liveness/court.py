"""A server that asks whether the holder of a service is alive, with a clock that the test turns on."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from relocd.agent.convergence.host import sets_of
from relocd.agent.liveness.failure_detector import FailureDetector, PeerHeartbeats
from relocd.reconcile.goals import goal_id, goals
from tests.support.directory import snapshot
from tests.support.entries import server, service, state, status, uuid_of
from tests.support.fakes import FakeServer
from tests.unit.agent.liveness.heartbeats import SETTINGS, Heart, stamped

__all__ = ["ADDRESS", "RELEASED", "Court"]

NOON = 1_800_000_000.0
ADDRESS = {"relocAddress": "192.0.2.10/24"}
RELEASED = ADDRESS | {"relocIsolation": "release"}
NAMED = state("web", holder="twin", candidate="third", previous="gone")


class Court:
    """The server `me`, whose own heartbeat came back at noon, asking about `twin`, who holds the service `web`."""

    def __init__(self, clock, **attributes):
        self.clock = clock
        self.noon = clock.now
        self.server = FakeServer()
        self.heart = Heart()
        self.entries = [server("me", services=["web"]), service("web", **(attributes or ADDRESS)), NAMED]
        self.others = {name: server(name, services=["web"]) for name in ("twin", "third")}
        peers = PeerHeartbeats(self.heart.directory.reader, SETTINGS.lease_s)
        self._detector = lambda: FailureDetector(self.server.host, peers, self.heart.heartbeat, SETTINGS)

    @property
    def now_s(self):
        """The time by the provider's clock."""
        return NOON + self.clock.now - self.noon

    async def confirm(self):
        """My own heartbeat comes back: from now on the provider's clock is known."""
        self.heart.confirm(await self.heart.beat(), self.now_s)

    async def passes(self, seconds, *, looks=True):
        """Time goes by: my own heartbeats come back; `looks`: I ask about the holder after each."""
        end = self.clock.now + seconds
        while (left_s := end - self.clock.now) > 0:
            self.clock.now += min(left_s, SETTINGS.beat_s)
            await self.confirm()
            if looks:
                await self.life()

    def set_clock(self, seconds):
        """Somebody sets the provider's clock forward or back."""
        self.noon -= seconds

    def beats(self, name="twin", *, ahead_s=0.0, **attributes):
        """Another server's heartbeat is written now, at a provider whose clock is ahead by so much."""
        found = replace(status(name, heartbeat=stamped(self.now_s), **attributes), csn=stamped(self.now_s + ahead_s))
        self.heart.directory.model.entries[found.uuid] = found

    @property
    def goal(self):
        found = goals(snapshot(*self.entries, *self.others.values()), sets_of(self.server.host))
        return found.wanted[goal_id(uuid_of("web"))]

    async def looked_early(self, name="twin"):
        """The heartbeat of a server is read in the background."""
        detector = self._detector()
        detector.look_early(self.goal.ownership, [uuid_of(name)], 0.0)
        await asyncio.gather(*detector._looking)

    async def asked(self, name="twin", *, seen_at=0.0, wire=True):
        """The testimony about one server."""
        goal = self.goal
        named = goal.ownership.names
        identity = next(uuid for uuid, dn in named.items() if dn.name == name)
        verdict = await self._detector().judge(goal, [identity], seen_at, wire=wire)
        return verdict.lives[identity], verdict.words, verdict.again_s

    async def silent(self, name):
        """Whether a server is certainly silent."""
        return await self._detector().is_silent(self.goal, uuid_of(name))

    async def life(self, name="twin", **more):
        return (await self.asked(name, **more))[0]
