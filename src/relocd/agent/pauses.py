"""Growing pauses between the tries of what fails, so that no failure is retried in a tight loop.

A pause belongs to one kind of effort for one service, and to the matter that the effort was about: once that has
changed the effort is tried at once. A pause is never shorter than the try before it took. What was done and did not
last, as a unit that ends as soon as it has started, counts as a failure from the second time on. Waiting for another
host (`Busy`) is no failure and has a pace of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from relocd.agent.convergence.converge import Report
from relocd.agent.convergence.planning import substance_of
from relocd.election.eligibility import OwnershipView
from relocd.election.steps import Activate, Keep, Relinquish, Step, Stop
from relocd.model.settings import AgentSettings, WireSettings
from relocd.model.template_set import UnitAction
from relocd.reconcile.diff import Action, UseUnit
from relocd.reconcile.goals import Goal

__all__ = [
    "Attempts",
    "Effort",
    "Failure",
    "Pace",
    "Pauses",
    "Throttle",
    "cause_of",
    "effort_of",
    "growing_s",
    "matter_of",
]

_MOST_DOUBLINGS: Final = 16
_UNSTEADY_TRIES: Final = 3
_BUSY_MIN_S, _BUSY_MAX_S = 0.01, 5.0
_BUSY_ATTEMPTS = 16  # one probe interval apart: another host usually stops within moments


class Effort(StrEnum):
    """What is tried."""

    ACTIVATE = "activate"
    RELEASE = "release"
    STOP = "stop"
    KEEP = "keep"
    WRITE = "write"


def effort_of(step: Step) -> Effort:
    """The effort that a step of the handover is."""
    match step:
        case Keep():
            return Effort.KEEP
        case Activate():
            return Effort.ACTIVATE
        case Stop():
            return Effort.STOP
        case _:
            return Effort.RELEASE if isinstance(step, Relinquish) else Effort.WRITE


def matter_of(step: Step, goal: Goal, ownership: OwnershipView) -> object:
    """What a step is about: once that has changed, the step is tried again although it has failed."""
    match step:
        case Keep():
            return substance_of(goal), ownership.holds
        case Activate(generation):
            return generation, cause_of(goal, ownership)
        case _:
            return None if isinstance(step, Relinquish) else (type(step), ownership.state, ownership.eligible)


def cause_of(goal: Goal, ownership: OwnershipView) -> object:
    """What an activation that failed was about: once that has changed, it may be tried again."""
    return goal.addresses, goal.interface, goal.sets, goal.context.parameters, ownership.eligible


@dataclass(frozen=True, slots=True)
class Failure:
    """What was wrong with the last of `tries`, and until when (monotonic clock) the next has to wait."""

    about: object
    problems: tuple[str, ...]
    broken: bool
    tries: int
    until: float
    lasts_until: float = 0.0

    @property
    def is_lasting(self) -> bool:
        """Whether nothing failed, but what was done did not last."""
        return self.lasts_until > 0

    @property
    def left_s(self) -> float:
        """How long the next try still has to wait; 0 when it is due."""
        return max(0.0, self.until - time.monotonic())


class Pauses:
    """The failures of one service here, by effort."""

    def __init__(self, settings: AgentSettings) -> None:
        self._first_s = settings.retry_min_s
        self._most_s = settings.retry_max_s
        self._failures: dict[Effort, Failure] = {}

    def last(self, effort: Effort) -> Failure | None:
        """The last failure of an effort, None after a success."""
        return self._failures.get(effort)

    def unsteady(self, effort: Effort) -> str:
        """What was done again and again lately, and did not last; empty where there is nothing of that kind."""
        failure = self._failures.get(effort)
        lately = failure is not None and failure.tries >= _UNSTEADY_TRIES and time.monotonic() < failure.lasts_until
        return "; ".join(failure.problems) if failure is not None and lately else ""

    def waiting(self, effort: Effort, about: object) -> Failure | None:
        """The failure after which this effort still has to wait; None when it may be tried."""
        failure = self._failures.get(effort)
        return failure if failure and failure.about == about and failure.left_s > 0 else None

    def note(self, effort: Effort, about: object, report: Report, begun: float) -> None:
        """Note the result of a try; `begun` is when it began (monotonic clock)."""
        before, now = self._failures.get(effort), time.monotonic()
        if not report.problems:
            self._note_success(effort, about, report)
            return
        tries = before.tries + 1 if before and before.about == about else 1
        pause_s = max(growing_s(self._first_s, self._most_s, tries), now - begun)
        self._failures[effort] = Failure(about, report.problems, report.broken, tries, now + pause_s)

    def _note_success(self, effort: Effort, about: object, report: Report) -> None:
        """End the pause, unless the try started what had run before: that has to last for as long as the next pause."""
        before, now = self._failures.get(effort), time.monotonic()
        restarted = [str(action) for action in report.actions if effort is Effort.KEEP and _starts(action)]
        if restarted and report.footprint is not None:
            tries = before.tries + 1 if before and before.is_lasting and now < before.lasts_until else 1
            pause_s = growing_s(self._first_s, self._most_s, tries)
            words = f"{', '.join(restarted)}: done {tries} times, and it did not last; look at its log"
            until = now if tries == 1 else now + growing_s(self._first_s, self._most_s, tries - 1)
            self._failures[effort] = Failure(about, (words,), True, tries, until, until + pause_s + self._most_s)
        elif not (before and before.is_lasting and now < before.lasts_until):
            self._failures.pop(effort, None)

    def end_failed(self, effort: Effort) -> None:
        """Try again at once what failed; what did not last still has to wait."""
        if (failure := self._failures.get(effort)) and not failure.is_lasting:
            del self._failures[effort]

    def end(self, *efforts: Effort) -> None:
        """Try again at once whatever failed; without an effort named, of every kind."""
        for effort in efforts or tuple(Effort):
            self._failures.pop(effort, None)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a worker acts: settling, retrying, asking again for a busy address, announcing."""

    agent: AgentSettings
    wire: WireSettings

    def retry_s(self, report: Report, attempt: int) -> float | None:
        """The time until the next round after `attempt` failed ones, None when nothing is due."""
        if not report.problems:
            return report.again_s
        if report.busy:
            first_s = max(self.wire.probe_interval_ms / 1000, _BUSY_MIN_S)
            retry_s = growing_s(first_s, _BUSY_MAX_S, max(attempt - _BUSY_ATTEMPTS, 0) + 1)
        else:
            retry_s = growing_s(self.agent.retry_min_s, self.agent.retry_max_s, attempt)
        return retry_s if report.again_s is None else min(retry_s, report.again_s)


class Throttle:
    """Calls `act` soon after each `call`; between two of these lie at least `every_s`, and one is for all news."""

    def __init__(self, act: Callable[[], None], every_s: float) -> None:
        self._act = act
        self._every_s = every_s
        self._acted_at = float("-inf")
        self._due = False

    def call(self) -> None:
        """There is news."""
        if self._due:
            return
        wait_s = self._acted_at + self._every_s - time.monotonic()
        if wait_s <= 0:
            self._run()
        else:
            self._due = True
            asyncio.get_running_loop().call_later(wait_s, self._run)

    def _run(self) -> None:
        self._due, self._acted_at = False, time.monotonic()
        self._act()


class Attempts:
    """Growing pauses for several things of one kind, such as a write for each cluster, by a key of each."""

    def __init__(self, settings: AgentSettings) -> None:
        self._first_s = settings.retry_min_s
        self._most_s = settings.retry_max_s
        self._failed: dict[Hashable, tuple[int, float]] = {}

    def is_due(self, key: Hashable) -> bool:
        """Whether a try is due."""
        return time.monotonic() >= self._failed.get(key, (0, 0.0))[1]

    def failed(self, key: Hashable) -> None:
        """Note that a try failed: the next pause is twice as long."""
        tries = self._failed.get(key, (0, 0.0))[0] + 1
        self._failed[key] = tries, time.monotonic() + growing_s(self._first_s, self._most_s, tries)

    def done(self, key: Hashable) -> None:
        """Forget the failures: it has worked, or is not needed any more."""
        self._failed.pop(key, None)


def _starts(action: Action) -> bool:
    return isinstance(action, UseUnit) and action.action is UnitAction.START


def growing_s(first_s: float, most_s: float, tries: int) -> float:
    """The pause after so many tries: the first, doubling up to the greatest."""
    return min(first_s * 2.0 ** min(tries - 1, _MOST_DOUBLINGS), most_s)
