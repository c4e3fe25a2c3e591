"""How often each service has moved for its health within ten minutes, as far as this agent has seen.

Every agent that a service concerns sees each change of its holder. It counts those after which the former holder
publishes that the service has failed there. Whoever would move an unhealthy service, its holder or the trigger of a
cluster, asks its own count first, and leaves the service where it is once `max_health_moves` is reached.

The directory keeps no count: an agent that has just begun knows of no earlier move, and a change that comes and goes
while the agent is away from the directory is not seen.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from relocd.agent.health.failures import HealthFailures
from relocd.election.observation import State
from relocd.model.entries import EntryUUID
from relocd.model.status import FAILED_HERE
from relocd.reconcile.goals import Goal, GoalId

__all__ = ["HealthMoves"]

_log = logging.getLogger(__name__)
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
