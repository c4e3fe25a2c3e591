"""A service that fails here by its health, and one that is healthy again, as records of its history."""

from __future__ import annotations

from collections.abc import Callable

from relocd.agent.health.failures import HealthFailures
from relocd.agent.history.history import History
from relocd.model.dn import DN
from relocd.model.entries import EntryUUID
from relocd.model.history import Happened
from relocd.reconcile.goals import GoalId, service_of

__all__ = ["HealthRecords"]


class HealthRecords:
    """Hears of each service that has failed or recovered; `dn_of` is the name of a service, None while unknown."""

    def __init__(self, history: History, failures: HealthFailures, dn_of: Callable[[EntryUUID], DN | None]) -> None:
        self._history = history
        self._failures = failures
        self._dn_of = dn_of
        self._unhealthy: set[GoalId] = set()

    def changed(self, goal: GoalId | None) -> None:
        """A service has failed or recovered; None is this whole server, which has no history."""
        if goal is None:
            return
        reason, known = self._failures.own(goal), goal in self._unhealthy
        if (reason is not None) is known:
            return
        service = service_of(goal)
        name = None if service is None else self._dn_of(service)
        if reason is None:
            self._unhealthy.discard(goal)
            self._note(name, Happened.RECOVERED, "does not count as failed here any more")
        elif name is not None:
            self._unhealthy.add(goal)
            self._note(name, Happened.UNHEALTHY, reason)

    def _note(self, service: DN | None, event: Happened, reason: str) -> None:
        if service is not None:
            self._history.note(service, event, reason)
