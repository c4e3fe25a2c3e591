"""Which services count as failed on this server by their health, why, until when, and how often each has moved for it.

Whoever checks a service calls `HealthFailures.fail` once its local restarts are used up, as often as it likes, and
`recover` once the service is healthy again. A service that failed here is handed over to a server that is ready, and
this one does not ask for it again until something has changed:

- what the service is made of (addresses, interface, template sets, parameters), or anything on this server for which
  the agent tries again what had failed;
- the links: this server was chosen anew;
- an administrator has ordered it (`relocd retry`);
- `health_retry_s` has passed since this server was last the holder. While it is the holder, its checks decide.

A failure of the whole server counts for every service. Its checks run wherever the services are, so it ends only when
they say so.

Every agent that a service concerns sees each change of its holder. It counts those after which the former holder
publishes that the service has failed there (`HealthMoves`), as far back as ten minutes. Whoever would move an unhealthy
service, its holder or the trigger of a cluster, asks its own count first, and leaves the service where it is once
`max_health_moves` is reached. The directory keeps no count: an agent that has just begun knows of no earlier move, and
a change that comes and goes while the agent is away from the directory is not seen.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from relocd.election.observation import State
from relocd.model.entries import EntryUUID
from relocd.model.status import FAILED_HERE
from relocd.reconcile.goals import Goal, GoalId

__all__ = ["HealthFailures", "HealthMoves"]

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
        self._doubt = ""
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

    @property
    def doubt(self) -> str:
        """Why nothing is taken over here for now: a check of the server failed last, but not yet `fall` times.

        What fails it for this server may fail it for all: the service would go from one to the next.
        """
        return self._doubt

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

    def doubt_server(self, reason: str) -> None:
        """Take nothing over here for now, or take it over again where the reason is empty (see `doubt`)."""
        before, self._doubt = self._doubt, reason
        if bool(before) != bool(reason):
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
        self._end(goal, "nothing of it is left here")
        self._known.pop(goal, None)

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


_WINDOW_S: Final = 600.0
_PUBLISHED_S: Final = 1.0
"""How long after a move the former holder's status is read: by then it publishes what it knew at the move."""

HasFailed = Callable[[Goal, EntryUUID, float], Awaitable[bool]]
"""Whether a server publishes that a service has failed there, by a read that is not older than a moment."""


@dataclass(frozen=True, slots=True)
class _Move:
    goal: Goal
    former: EntryUUID
    at: float


class HealthMoves:
    """The moves of every service; `most` is the setting `max_health_moves`."""

    def __init__(self, failures: HealthFailures, has_failed: HasFailed, most: int) -> None:
        self.most = most
        self._failures = failures
        self._has_failed = has_failed
        self._states: dict[GoalId, State] = {}
        self._moved_at: dict[GoalId, list[float]] = {}
        self._unjudged: asyncio.Queue[_Move] = asyncio.Queue()

    def is_spent(self, goal: GoalId) -> bool:
        """Whether a service may not move for its health now, because it has done so too often."""
        return len(self._recent(goal)) >= self.most

    def left_s(self, goal: GoalId) -> float | None:
        """How long a service may not move for its health, None where it may, or never may."""
        recent = self._recent(goal)
        if not recent or len(recent) < self.most:
            return None
        return max(0.0, recent[-self.most] + _WINDOW_S - time.monotonic())

    def problem(self, goal: GoalId) -> str:
        """Why a service has failed here by its own health, and why it stays all the same; empty where it has not."""
        why = self._failures.own(goal)
        stays = f" (it stays where it is now, having moved {self.most} times for its health within ten minutes)"
        return f"{FAILED_HERE}: {why}{stays if self.is_spent(goal) else ''}" if why else ""

    def note(self, goal: Goal) -> None:
        """Take in a goal as it is now: the holder may have changed."""
        ownership = goal.ownership
        if ownership is None or ownership.state is None:
            return
        before, now = self._states.get(goal.id), ownership.state
        self._states[goal.id] = now
        if before is None or before.holder in {None, now.holder} or now.holder is None:
            return
        if now.generation <= before.generation:  # a backup was restored
            return
        move = _Move(goal, before.holder, time.monotonic())
        if move.former != ownership.me:
            self._unjudged.put_nowait(move)
        elif self._failures.failed(goal.id) is not None:
            self._count(move)

    def forget(self, goal: GoalId) -> None:
        """Forget a goal of which nothing is left here."""
        self._states.pop(goal, None)
        self._moved_at.pop(goal, None)

    async def run(self) -> None:
        """Judge every change of a holder soon after it was seen."""
        while True:
            move = await self._unjudged.get()
            await asyncio.sleep(move.at + _PUBLISHED_S - time.monotonic())
            if await self._has_failed(move.goal, move.former, time.monotonic()):
                self._count(move)

    def _count(self, move: _Move) -> None:
        recent = [*self._recent(move.goal.id), move.at]
        self._moved_at[move.goal.id] = recent
        fields = {"service": move.goal.name, "moves": len(recent), "most": self.most}
        _log.info("service has moved for its health", extra={"fields": fields})

    def _recent(self, goal: GoalId) -> list[float]:
        since = time.monotonic() - _WINDOW_S
        return [at for at in self._moved_at.get(goal, ()) if at > since]
