"""Keeps the health checks of each service running while, and only while, it is served here; and those of the server.

The monitor stands beside the workers: it reads what they have here, is never waited for by a handover, and changes
nothing itself. A worker restarts units when it is asked to; `HealthFailures` tells it what failed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from relocd.agent.bulkhead import Bulkhead
from relocd.agent.convergence.host import Host
from relocd.agent.convergence.planning import substance_of
from relocd.agent.health.failures import HealthFailures
from relocd.agent.health.server import ServerChecks
from relocd.agent.health.service import ServiceChecks, serves
from relocd.agent.shared_state import SharedState
from relocd.agent.worker import Worker
from relocd.agent.worker_pool import WorkerPool
from relocd.model.entries import Problem
from relocd.model.settings import ServerCheck
from relocd.model.status import Mode
from relocd.reconcile.goals import Goal, GoalId
from relocd.reconcile.health import server_check

__all__ = ["HealthMonitor"]

_LOOK_EVERY_S: Final = 0.5
_LEAST_S: Final = 0.1


@dataclass(slots=True)
class _Checked:
    """A service whose checks run: for which goal, and in which task."""

    health: ServiceChecks
    goal: Goal
    task: asyncio.Task[None]


class HealthMonitor:
    """The checks of all services that are served here; `changed` is called when the status has something new.

    Whoever has changed something on this server sets `woken`, so that the monitor looks soon.
    """

    def __init__(
        self,
        host: Host,
        checks: Sequence[ServerCheck],
        pool: WorkerPool,
        failures: HealthFailures,
        state: SharedState,
        changed: Callable[[], None],
    ) -> None:
        self.server = ServerChecks(host, tuple(map(server_check, checks)), failures, changed)
        self._host = host
        self._pool = pool
        self._failures = failures
        self._state = state
        self._changed = changed
        self._checked: dict[GoalId, _Checked] = {}
        self.woken = asyncio.Event()
        self._with_carrier: frozenset[str] = frozenset()
        self._net = Bulkhead(changed)

    @property
    def services(self) -> Iterator[ServiceChecks]:
        """The health of each service that is served here."""
        return (each.health for each in self._checked.values())

    def of(self, goal: GoalId) -> ServiceChecks | None:
        """The health of a service, None where it is not served here."""
        found = self._checked.get(goal)
        return None if found is None else found.health

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The checks that cannot be made, and why."""
        found = (Problem(each.worker.name, problem) for each in self.services for problem in each.problems)
        return *found, *self.server.problems, *self._net.problems

    def restart_checks(self) -> None:
        """Read what is checked again: a template set has changed."""
        for each in self._checked.values():
            self._run(each.health, each.goal)

    async def run(self) -> None:
        """Keep the checks running until this is cancelled."""
        server = asyncio.create_task(self._net.kept_running(self.server.run, "health checks"))
        try:
            while True:
                self._look()
                await asyncio.sleep(_LEAST_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_EVERY_S if self._checked else None):
                        await self.woken.wait()
                self.woken.clear()
        finally:
            server.cancel()
            for goal in tuple(self._checked):
                self._end(goal)

    def _look(self) -> None:
        lost, now = self._lost(), time.monotonic()
        served = {each.goal: each for each in self._pool.workers if serves(each)}
        if self._state.mode is Mode.PAUSED:
            served = {}
        for goal in self._checked.keys() - served.keys():
            self._end(goal)
        for goal, worker in served.items():
            with self._net.under(worker.name):
                self._keep(goal, worker)
                self._checked[goal].health.look(lost, now)

    def _lost(self) -> frozenset[str]:
        """The interfaces that had a carrier since this agent started, and have none now."""
        there = self._host.addresses.interfaces()
        up = frozenset(each.name for each in there if each.up)
        self._with_carrier = (self._with_carrier | up) & {each.name for each in there}
        return self._with_carrier - up

    def _keep(self, goal: GoalId, worker: Worker) -> None:
        found, wanted = self._checked.get(goal), worker.wanted
        if not isinstance(wanted, Goal) or (found is not None and found.goal is wanted):
            return
        if found is None or found.health.worker is not worker:
            self._end(goal)
            self._run(ServiceChecks(self._host, worker, self._failures, self._changed), wanted)
        elif substance_of(found.goal) != substance_of(wanted):
            self._run(found.health, wanted)
        else:
            found.goal = wanted

    def _run(self, health: ServiceChecks, goal: Goal) -> None:
        if before := self._checked.get(goal.id):
            before.task.cancel()
        work = self._net.kept_running(partial(health.run, goal), f"health checks of {health.worker.name}")
        self._checked[goal.id] = _Checked(health, goal, asyncio.create_task(work))

    def _end(self, goal: GoalId) -> None:
        if found := self._checked.pop(goal, None):
            found.task.cancel()
            found.health.end()
            self._changed()
