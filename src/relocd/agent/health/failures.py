"""Which services count as failed on this server by their health, why, and until when.

Whoever checks a service calls `fail` once its local restarts are used up, as often as it likes, and `recover` once the
service is healthy again. A service that failed here is handed over to a server that is ready, and this one does not ask
for it again until something has changed:

- what the service is made of (addresses, interface, template sets, parameters), or anything on this server for which
  the agent tries again what had failed;
- the links: this server was chosen anew;
- an administrator has ordered it (`relocd retry`);
- `health_retry_s` has passed since this server was last the holder. While it is the holder, its checks decide.

A failure of the whole server counts for every service. Its checks run wherever the services are, so it ends only when
they say so.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from relocd.reconcile.goals import Goal, GoalId

__all__ = ["HealthFailures"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a service failed; until when (monotonic clock) it counts, None while this server is the holder."""

    reason: str
    until: float | None

    @property
    def left_s(self) -> float:
        return float("inf") if self.until is None else self.until - time.monotonic()


@dataclass(frozen=True, slots=True)
class _Known:
    """A goal as it was last seen: what it is made of, how this server is chosen for it, and whether it holds it."""

    name: str
    made_of: object
    links: frozenset[str]
    holds: bool

    @classmethod
    def of(cls, goal: Goal) -> _Known:
        made_of = goal.addresses, goal.interface, goal.sets, goal.context.parameters
        ownership = goal.ownership
        if ownership is None:
            return cls(goal.name, made_of, frozenset(), holds=True)
        eligible, me = ownership.eligible, ownership.me
        links = {"direct": me in eligible.direct, "cluster": me in eligible.by_cluster}
        return cls(goal.name, made_of, frozenset(name for name, is_so in links.items() if is_so), ownership.holds)


class HealthFailures:
    """The services that failed here, and whether the whole server did; `retry_s` is the setting `health_retry_s`."""

    def __init__(self, retry_s: float) -> None:
        self._retry_s = retry_s
        self._failures: dict[GoalId, _Failure] = {}
        self._server = ""
        self._known: dict[GoalId, _Known] = {}
        self._watchers: list[Callable[[GoalId | None], None]] = []

    def watch(self, changed: Callable[[GoalId | None], None]) -> None:
        """Call `changed` when a goal has failed or does not count as failed any more; with None when all may have."""
        self._watchers.append(changed)

    def failed(self, goal: GoalId) -> str | None:
        """Why a service counts as failed here, None while it does not."""
        return self.own(goal) or self._server or None

    def own(self, goal: GoalId) -> str | None:
        """The same for the service alone, whatever the health of the server."""
        failure = self._failures.get(goal)
        return failure.reason if failure is not None and failure.left_s > 0 else None

    @property
    def server(self) -> str:
        """Why the whole server counts as failed, empty while it does not."""
        return self._server

    def left_s(self, goal: GoalId) -> float | None:
        """How long the failure of a service still counts, None where time alone does not end it."""
        failure = self._failures.get(goal)
        return None if failure is None or failure.until is None else max(0.0, failure.left_s)

    def fail(self, goal: GoalId, reason: str) -> None:
        """Count a service as failed here: its checks have failed, and restarting it here did not help."""
        known, before = self._known.get(goal), self.own(goal)
        holds = known is None or known.holds
        self._failures[goal] = _Failure(before or reason, None if holds else time.monotonic() + self._retry_s)
        if before is None:
            fields = {"service": self._name(goal), "reason": reason}
            _log.warning("service has failed here by its health", extra={"fields": fields})
            self._tell(goal)

    def recover(self, goal: GoalId) -> None:
        """Count a service as healthy: its checks have passed."""
        self._end(goal, "its checks pass again")

    def retry(self, goal: GoalId, why: str = "an administrator has ordered it") -> None:
        """Let a service be tried here again, whatever failed before."""
        self._end(goal, why)

    def fail_server(self, reason: str) -> None:
        """Count every service as failed here: a check of the whole server has failed."""
        if not self._server:
            _log.warning("server has failed", extra={"fields": {"reason": reason}})
            self._server = reason
            self._tell(None)

    def recover_server(self) -> None:
        """Count this server as healthy: its own checks have passed."""
        if self._server:
            _log.info("server is healthy again", extra={"fields": {"was": self._server}})
            self._server = ""
            self._tell(None)

    def note(self, goal: Goal) -> None:
        """Take in a goal as it is now: end its failure where something has changed, or where its time has passed."""
        before, now = self._known.get(goal.id), _Known.of(goal)
        self._known[goal.id] = now
        failure = self._failures.get(goal.id)
        if failure is None:
            return
        if before is not None and (before.made_of != now.made_of or now.links - before.links):
            self._end(goal.id, "something has changed")
        elif failure.left_s <= 0:
            self._end(goal.id, f"it failed {self._retry_s:g} s ago")
        elif now.holds != (failure.until is None):
            until = None if now.holds else time.monotonic() + self._retry_s
            self._failures[goal.id] = replace(failure, until=until)

    def forget(self, goal: GoalId) -> None:
        """Forget a goal of which nothing is left here."""
        self._known.pop(goal, None)
        self._failures.pop(goal, None)

    def _end(self, goal: GoalId, why: str) -> None:
        if self._failures.pop(goal, None) is not None:
            fields = {"service": self._name(goal), "reason": why}
            _log.info("service does not count as failed here any more", extra={"fields": fields})
            self._tell(goal)

    def _name(self, goal: GoalId) -> str:
        return self._known[goal].name if goal in self._known else goal

    def _tell(self, goal: GoalId | None) -> None:
        for changed in self._watchers:
            changed(goal)
