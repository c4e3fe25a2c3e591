"""Whether another host has an address that this server holds, and which of the two lets go (compare RFC 5227, 2.4).

A holder that was cut off keeps its service (`relocIsolation: keep`), and may have been taken over since. It asks the
wire about its own addresses as soon as it may hear again: when an interface gets its carrier back, when its heartbeats
were missing for a lease, and for a while after either. Where nobody else answers it goes on serving. Where another MAC
answers, a direct read decides: the directory says that this server still is the holder, then the other host is a
stranger and is named; it says otherwise, or nothing within `READ_S`, then the addresses are dropped at once, before any
unit is stopped. Where this server was away for less time than a takeover takes, that word may take longer.

With several providers the nearest one may not know yet what the others were told while they were apart. So its word
counts only where this server was away for less time than a takeover takes. And it confirms the heartbeats of a server
that was cut off together with it, so that what is to be released (`release`) may be here still, and is asked about.

On a link that is there again, and after a change of its MAC, the addresses that stay are announced again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from typing import Final

from relocd.agent.convergence.execution import contested
from relocd.agent.convergence.host import Host
from relocd.agent.link_changes import LinkChanges
from relocd.agent.liveness.lease_guard import HandoverDeps, is_confirmed
from relocd.agent.worker import Worker
from relocd.election.eligibility import OwnershipView
from relocd.errors import RelocdError
from relocd.model.entries import Isolation, Problem
from relocd.reconcile.goals import GoalId

__all__ = ["READ_S", "AddressConflicts"]

_log = logging.getLogger(__name__)

READ_S: Final = 0.05
"""How long a holder waits for the directory's word while another host answers on its address."""

_FIRST_S: Final = 0.1
_SELDOM_S: Final = 10.0
_AFTER_S: Final = 60.0
"""How long after a return it is asked often: a switch may forward nothing for half a minute (spanning tree)."""


class AddressConflicts:
    """Asks the wire for all services of this server; `changed` is called when `problems` is another."""

    def __init__(
        self, host: Host, deps: HandoverDeps, workers: Callable[[], Sequence[Worker]], changed: Callable[[], None]
    ) -> None:
        self._host = host
        self._deps = deps
        self._workers = workers
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
        """Addresses or interfaces changed: look what is new on the link layer."""
        news = self._links.news(self._host.addresses.interfaces(), time.monotonic())
        self._to_announce |= news.interfaces
        if news.returned:
            self._is_back(max(news.returned.values()))
        elif news.new_mac:
            self._wake.set()

    def on_return(self) -> None:
        """The heartbeats of this server were missing for a lease, and have come back."""
        self._is_back(inf)

    async def run(self) -> None:
        """Ask when there is a reason to, again with growing pauses while it stands."""
        pause_s = beat_s = self._deps.settings.beat_s
        while True:
            woken, now = await self._woken(pause_s), time.monotonic()
            doubts = self._doubts(now)
            pause_s = min(_FIRST_S if woken else pause_s * 2, self._longest_s(now)) if doubts else beat_s
            if woken or doubts or self._strangers:
                await self._look(asking=doubts or bool(self._strangers))

    def _is_back(self, away_s: float) -> None:
        now = time.monotonic()
        self._away_s = max(away_s, self._away_s) if self._doubts(now) else away_s
        self._returned_at = now
        self._wake.set()

    def _doubts(self, now: float) -> bool:
        """Whether another server may have taken over without this one having heard of it.

        A heartbeat that was sent since, and came back through its own search, has brought everything before it along.
        """
        age_s = self._deps.heartbeat.age_s(now)
        if age_s is None or not self._deps.heartbeat.is_current(now):
            return True
        is_behind = self._deps.providers() > 1 and now - self._returned_at < _AFTER_S
        return is_behind or now - age_s < self._returned_at

    def _longest_s(self, now: float) -> float:
        """The longest pause between two looks."""
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

    async def _look(self, *, asking: bool) -> None:
        before, interfaces = self.problems, self._to_announce
        self._to_announce = frozenset()
        workers = self._workers()
        await asyncio.gather(*(self._look_at(worker, interfaces, asking=asking) for worker in workers))
        for goal in self._strangers.keys() - {worker.goal for worker in workers}:
            del self._strangers[goal]  # nothing of that service is here any more
        if self.problems != before:
            self._changed()

    async def _look_at(self, worker: Worker, interfaces: frozenset[str], *, asking: bool) -> None:
        ownership = worker.contested if asking and self._host.probing else None
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
        """Whether addresses may be here still when others have taken over.

        One provider hears no heartbeats of a server that is cut off, so what is released has gone by then. Of several,
        one may be cut off together with the server and go on hearing them.
        """
        return ownership.isolation is Isolation.KEEP or self._deps.providers() > 1

    async def _rival(self, worker: Worker) -> str:
        """What other host has an address of the service, in words; empty for none, and where it cannot be asked."""
        try:
            return await contested(self._host, worker.raised)
        except RelocdError as error:
            _log.debug("the wire cannot be asked", extra={"fields": {"service": worker.name, "problem": str(error)}})
            return ""

    async def _is_mine(self, ownership: OwnershipView) -> bool:
        """Whether the directory confirms that this server is the holder; after a short absence there is time to ask."""
        settings = self._deps.settings
        heard_of = self._deps.heartbeat.is_current(time.monotonic()) and self._away_s < settings.steady_s
        if not ownership.holds or (self._deps.providers() > 1 and not heard_of):
            return False
        try:
            async with asyncio.timeout(settings.prompt_s if heard_of else READ_S):
                return await is_confirmed(self._deps, ownership)
        except (TimeoutError, RelocdError):
            return False

    def _note(self, worker: Worker, who: str) -> None:
        known = self._strangers.pop(worker.goal, None)
        if who:
            what = "the directory says that this server is the holder; find that host and take the address from it"
            self._strangers[worker.goal] = Problem(worker.name, f"address conflict: {who}, and {what}")
        if self._strangers.get(worker.goal) != known:
            fields = {"service": worker.name, "problem": who}
            _log.log(logging.WARNING if who else logging.INFO, "address conflict", extra={"fields": fields})
