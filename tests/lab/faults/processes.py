"""Agents and providers that are killed or hang, at any moment of moves that go on all the time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from tests.lab.faults.kind import Kind
from tests.lab.faults.rig import SERVICE
from tests.lab.slapd.reading import links
from tests.lab.timeline import Claim

__all__ = ["AgentKilledInMove", "AgentsHung", "AgentsKilled", "ProvidersHung", "ProvidersKilled"]

_STRIKES = 4
_MOVE_S = 0.02  # what a move takes at most where nothing is in its way


class AgentKilledInMove(Kind):
    """An agent is killed within the milliseconds of a move, and started again as systemd does."""

    name = "agent-killed-in-move"
    what = "one of the agents is killed within the milliseconds of a move, and started again"
    providers = (1, 2)

    def disturb(self) -> None:
        rig = self.rig
        self.victim = rig.chance.choice([self.old, self.new])
        rig.order(self.new)
        time.sleep(rig.chance.uniform(0, _MOVE_S))  # not a synchronisation: when the agent dies
        rig.node(self.victim).kill()

    def heal(self) -> None:
        self.rig.node(self.victim).start()


class _Strikes(Kind):
    """Moves one after the other, without waiting for rest, while something is struck and comes back at random.

    `mute` is the server whose provider is struck: no order can be given there.
    """

    providers = (1, 2)
    longest_leases = 0.5
    """For how long something is away at most."""

    def disturb(self) -> None:
        self.last, self.mute = self.old, ""
        chance = self.rig.chance
        for _ in range(_STRIKES):
            self.move_for(chance.uniform(0.05, 0.5))
            victim = chance.choice(self.rig.names)
            self.strike(victim)
            self.move_for(chance.uniform(0.05, self.longest_leases * self.rig.lease_s))
            self.bring_back(victim)
            self.mute = ""

    def move_for(self, seconds: float) -> None:
        """Order the next move whenever the last one has arrived."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self.rig.watch_for(min(left, 0.1), self.has_arrived):
                self.order_next()

    def has_arrived(self) -> bool:
        return self.rig.stage.holders() == [self.last]

    def order_next(self) -> None:
        """Link the other server; not yet where its last link is still there, or its provider cannot be asked."""
        new = self.rig.other(self.last)
        slapds = self.rig.stage.slapds
        if self.mute and slapds[new] is slapds[self.mute]:
            self.rig.watch_for(0.01)
        elif SERVICE not in links(slapds[new], new):
            self.rig.order(new)
            self.last = new

    def strike(self, server: str) -> None:
        raise NotImplementedError

    def bring_back(self, server: str) -> None:
        raise NotImplementedError

    def ends_at(self) -> Sequence[str]:
        return [self.last]

    def claims(self) -> Iterable[Claim]:
        yield self.rig.alive()


class AgentsKilled(_Strikes):
    name = "agents-killed"
    what = "kill -9 of agents at random while the service moves all the time"

    def strike(self, server: str) -> None:
        self.rig.node(server).kill()

    def bring_back(self, server: str) -> None:
        self.rig.node(server).start()


class AgentsHung(_Strikes):
    name = "agents-hung"
    what = "SIGSTOP of agents at random, for up to two leases, while the service moves all the time"
    longest_leases = 2.0
    alone = ()  # the units of an agent that hangs cannot be stopped; its address is what counts

    def ends_at(self) -> Sequence[str]:
        """An order to a server that then hangs for a lease is given back to the one before."""
        return self.rig.names

    def strike(self, server: str) -> None:
        self.rig.node(server).pause()

    def bring_back(self, server: str) -> None:
        self.rig.node(server).resume()


class _ProviderStrikes(_Strikes):
    def ends_at(self) -> Sequence[str]:
        """With `release` and two providers: while these do not replicate, a server that is not heard of loses it."""
        parts = self.rig.isolation == "release" and self.rig.stage.providers > 1
        return self.rig.names if parts else super().ends_at()


class ProvidersKilled(_ProviderStrikes):
    name = "slapd-killed"
    what = "kill -9 of slapd at random while the service moves all the time"

    def strike(self, server: str) -> None:
        self.mute = server
        self.rig.stage.slapds[server].kill()

    def bring_back(self, server: str) -> None:
        self.rig.stage.slapds[server].start()


class ProvidersHung(_ProviderStrikes):
    name = "slapd-hung"
    what = "SIGSTOP of slapd at random while the service moves all the time"

    def strike(self, server: str) -> None:
        self.mute = server
        self.rig.stage.slapds[server].pause()

    def bring_back(self, server: str) -> None:
        self.rig.stage.slapds[server].resume()
