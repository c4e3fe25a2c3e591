"""Whether another host has an address that this server holds, and which of the two drops it (compare RFC 5227, 2.4).

A holder that was cut off keeps its service (`relocIsolation: keep`), and another server may have taken over since. The
holder probes its own addresses as soon as it may be heard again: when an interface gets its carrier back, when its
heartbeats were missing for a lease, and for a while after either. Where no other host answers it goes on serving. Where
another MAC answers, a direct read decides:

- the directory says that this server is still the holder: the other host is a stranger, and is reported;
- it says otherwise, or nothing within `READ_S`: the addresses are dropped at once, before any unit is stopped. A server
  that was away for less time than a takeover takes waits longer for the answer.

With several providers the nearest one may not know yet what the others were told while they were apart. So its answer
counts only where this server was away for less time than a takeover takes. It also confirms the heartbeats of a server
that was cut off together with it, so that a service with isolation `release` may still be here, and is probed as well.

On a link that is back, and after a change of its MAC, the addresses that stay are announced again: the neighbours and
the switches may know a wrong way to them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import Final

from relocd.agent.convergence.execution import find_conflict
from relocd.agent.convergence.host import Host
from relocd.agent.handover.round import HandoverDeps
from relocd.agent.worker import Worker
from relocd.agent.worker_pool import WorkerPool
from relocd.election.eligibility import OwnershipView
from relocd.errors import RelocdError
from relocd.model.entries import Isolation, Problem
from relocd.model.host import Interface
from relocd.reconcile.goals import GoalId

__all__ = ["READ_S", "AddressConflicts", "LinkChanges", "LinkNews"]

_log = logging.getLogger(__name__)

READ_S: Final = 0.05
"""How long a holder waits for the directory while another host answers on its address."""

_FIRST_S: Final = 0.1
_SELDOM_S: Final = 10.0
_AFTER_S: Final = 60.0
"""How long after a return it probes often: a switch may forward nothing for half a minute (spanning tree)."""


@dataclass(frozen=True, slots=True)
class LinkNews:
    """What changed on the link layer: `returned` have their carrier again, each with how long it was away in seconds.

    `new_mac` are the interfaces that have another MAC.
    """

    returned: Mapping[str, float] = field(default_factory=dict)
    new_mac: frozenset[str] = frozenset()

    @property
    def interfaces(self) -> frozenset[str]:
        """Every interface on which to announce again."""
        return self.new_mac | self.returned.keys()


class LinkChanges:
    """The interfaces as they were at the last look; an interface that is seen for the first time is no news. Pure."""

    def __init__(self) -> None:
        self._known: dict[int, Interface] = {}
        self._down_at: dict[int, float] = {}

    def news(self, interfaces: Iterable[Interface], now: float) -> LinkNews:
        """What has changed since the last look, `now` by the monotonic clock.

        A carrier that went and came back between two looks counts as well.
        """
        found = {each.index: each for each in interfaces}
        both = [(self._known[index], each) for index, each in found.items() if index in self._known]
        for was, each in both:
            if was.up and not each.up:
                self._down_at[each.index] = now
        news = LinkNews(
            {each.name: self._away_s(was, now) for was, each in both if _returned(was, each)},
            frozenset(each.name for was, each in both if each.up and each.mac != was.mac),
        )
        self._known = found
        return news

    def _away_s(self, was: Interface, now: float) -> float:
        """How long the carrier was away; infinite where it was down when the interface was first seen."""
        return 0.0 if was.up else now - self._down_at.get(was.index, -inf)


class AddressConflicts:
    """Probes for all services of this server; `changed` is called when `problems` has changed."""

    def __init__(self, host: Host, deps: HandoverDeps, pool: WorkerPool, changed: Callable[[], None]) -> None:
        self._host = host
        self._deps = deps
        self._pool = pool
        self._changed = changed
        self._links = LinkChanges()
        self._returned_at = self._away_s = -inf
        self._to_announce: frozenset[str] = frozenset()
        self._strangers: dict[GoalId, Problem] = {}
        self._wake = asyncio.Event()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The addresses that another host has as well, although this server holds them by right."""
        return tuple(self._strangers.values())

    def links_changed(self) -> None:
        """Find out what has changed on the link layer, after addresses or interfaces changed."""
        news = self._links.news(self._host.addresses.interfaces(), time.monotonic())
        self._to_announce |= news.interfaces
        if news.returned:
            self._is_back(max(news.returned.values()))
        elif news.new_mac:
            self._wake.set()

    def on_return(self) -> None:
        """Probe soon: the heartbeats of this server were missing for a lease, and have come back."""
        self._is_back(inf)

    async def run(self) -> None:
        """Probe when there is a reason to, and again with growing pauses while the reason lasts."""
        pause_s = beat_s = self._deps.settings.beat_s
        while True:
            woken, now = await self._woken(pause_s), time.monotonic()
            doubts = self._doubts(now)
            pause_s = min(_FIRST_S if woken else pause_s * 2, self._longest_s(now)) if doubts else beat_s
            if woken or doubts or self._strangers:
                await self._check(probing=doubts or bool(self._strangers))

    def _is_back(self, away_s: float) -> None:
        now = time.monotonic()
        self._away_s = max(away_s, self._away_s) if self._doubts(now) else away_s
        self._returned_at = now
        self._wake.set()

    def _doubts(self, now: float) -> bool:
        """Whether another server may have taken over without this one having learnt of it.

        A heartbeat that was sent since the return, and came back through the own search, came after all changes before
        it.
        """
        age_s = self._deps.heartbeat.age_s(now)
        if age_s is None or not self._deps.heartbeat.is_current(now):
            return True
        is_behind = self._deps.state.providers > 1 and now - self._returned_at < _AFTER_S
        return is_behind or now - age_s < self._returned_at

    def _longest_s(self, now: float) -> float:
        """The longest pause between two probes."""
        beat_s = self._deps.settings.beat_s
        return beat_s if now - self._returned_at < _AFTER_S else max(_SELDOM_S, beat_s)

    async def _woken(self, pause_s: float) -> bool:
        """Whether something has happened; else only time has passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._wake.wait()
        woken = self._wake.is_set()
        self._wake.clear()
        return woken

    async def _check(self, *, probing: bool) -> None:
        before, interfaces = self.problems, self._to_announce
        self._to_announce = frozenset()
        workers = self._pool.workers
        await asyncio.gather(*(self._check_worker(worker, interfaces, probing=probing) for worker in workers))
        for goal in self._strangers.keys() - {worker.goal for worker in workers}:
            del self._strangers[goal]  # nothing of that service is here any more
        if self.problems != before:
            self._changed()

    async def _check_worker(self, worker: Worker, interfaces: frozenset[str], *, probing: bool) -> None:
        ownership = worker.contested if probing and self._host.probing else None
        if ownership is not None and not self._outlives(ownership):
            ownership = None
        who = "" if ownership is None else await self._rival(worker)
        if ownership is not None and who and not await self._is_mine(ownership):
            what = "the directory does not confirm at once that this server is still the holder"
            _log.warning("addresses dropped", extra={"fields": {"service": worker.name, "problem": f"{who}; {what}"}})
            await worker.withdraw(f"{who}, and {what}")
        else:
            self._note(worker, who)
            await worker.announce_on(interfaces)

    def _outlives(self, ownership: OwnershipView) -> bool:
        """Whether addresses may still be here when others have taken over.

        A single provider gets no heartbeats from a server that is cut off, so with isolation `release` the addresses
        have gone by then. Of several providers one may be cut off together with the server and go on confirming them.
        """
        return ownership.isolation is Isolation.KEEP or self._deps.state.providers > 1

    async def _rival(self, worker: Worker) -> str:
        """The other host that has an address of the service, in words; empty for none, or where it cannot probe."""
        try:
            return await find_conflict(self._host, worker.raised)
        except RelocdError as error:
            _log.debug("cannot probe", extra={"fields": {"service": worker.name, "problem": str(error)}})
            return ""

    async def _is_mine(self, ownership: OwnershipView) -> bool:
        """Whether the directory confirms that this server is the holder; after a short absence there is time to ask."""
        settings = self._deps.settings
        known = self._deps.heartbeat.is_current(time.monotonic()) and self._away_s < settings.steady_s
        if not ownership.holds or (self._deps.state.providers > 1 and not known):
            return False
        try:
            async with asyncio.timeout(settings.prompt_s if known else READ_S):
                return await self._deps.guard.is_confirmed(ownership)
        except (TimeoutError, RelocdError):
            return False

    def _note(self, worker: Worker, who: str) -> None:
        before = self._strangers.pop(worker.goal, None)
        if who:
            what = "the directory says that this server is the holder; find that host and take the address from it"
            self._strangers[worker.goal] = Problem(worker.name, f"address conflict: {who}, and {what}")
        if self._strangers.get(worker.goal) != before:
            fields = {"service": worker.name, "problem": who}
            _log.log(logging.WARNING if who else logging.INFO, "address conflict", extra={"fields": fields})


def _returned(was: Interface, now: Interface) -> bool:
    return now.up and (not was.up or now.carrier_ups != was.carrier_ups)
