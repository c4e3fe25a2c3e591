"""Growing pauses between the tries of what fails, so that nothing that fails goes round in circles.

A pause belongs to one kind of effort for one service, and to what that effort was about: once that is another, it is
tried at once. A pause is never shorter than the try before it took. What was done and did not last counts as a failure
from the second time on: a unit that ends as soon as it has started. Waiting for another host (`Busy`) is no failure and
has a pace of its own.
"""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from relocd.agent.convergence.converge import Report
from relocd.model.settings import AgentSettings
from relocd.model.template_set import UnitAction
from relocd.reconcile.actions import Action, UseUnit

__all__ = ["Attempts", "Effort", "Failure", "Pauses", "growing_s"]

_MOST_DOUBLINGS: Final = 16


class Effort(StrEnum):
    """What is tried."""

    ACTIVATE = "activate"
    RELEASE = "release"
    STOP = "stop"
    KEEP = "keep"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Failure:
    """What was wrong with the last of `tries`, and until when (monotonic) the next has to wait."""

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
        """How long it has to wait yet; 0 when it may be tried."""
        return max(0.0, self.until - time.monotonic())


class Pauses:
    """The failures of one service here, by effort."""

    def __init__(self, settings: AgentSettings) -> None:
        self._first_s = settings.retry_min_s
        self._most_s = settings.retry_max_s
        self._failures: dict[Effort, Failure] = {}

    def last(self, effort: Effort) -> Failure | None:
        """The failure that was not followed by a success."""
        return self._failures.get(effort)

    def waiting(self, effort: Effort, about: object) -> Failure | None:
        """The failure that this effort has to wait for; None when it may be tried."""
        failure = self._failures.get(effort)
        return failure if failure and failure.about == about and failure.left_s > 0 else None

    def note(self, effort: Effort, about: object, report: Report, begun: float) -> None:
        """What became of a try that began then."""
        before, now = self._failures.get(effort), time.monotonic()
        if not report.problems:
            self._note_success(effort, about, report)
            return
        tries = before.tries + 1 if before and before.about == about else 1
        pause_s = max(growing_s(self._first_s, self._most_s, tries), now - begun)
        self._failures[effort] = Failure(about, report.problems, report.broken, tries, now + pause_s)

    def _note_success(self, effort: Effort, about: object, report: Report) -> None:
        """It is over, unless it started what had run before: then it has to last for as long as the next pause."""
        before, now = self._failures.get(effort), time.monotonic()
        again = [str(action) for action in report.actions if effort is Effort.KEEP and _starts(action)]
        if again and report.footprint is not None:
            tries = before.tries + 1 if before and before.is_lasting and now < before.lasts_until else 1
            pause_s = growing_s(self._first_s, self._most_s, tries)
            words = f"{', '.join(again)}: done {tries} times, and it did not last; look at its log"
            until = now if tries == 1 else now + growing_s(self._first_s, self._most_s, tries - 1)
            self._failures[effort] = Failure(about, (words,), True, tries, until, until + pause_s + self._most_s)
        elif not (before and before.is_lasting and now < before.lasts_until):
            self._failures.pop(effort, None)

    def end_failed(self, effort: Effort) -> None:
        """What failed may work now; what did not last has to wait all the same."""
        if (failure := self._failures.get(effort)) and not failure.is_lasting:
            del self._failures[effort]

    def end(self, *efforts: Effort) -> None:
        """What failed may work now: try it at once."""
        for effort in efforts or tuple(Effort):
            self._failures.pop(effort, None)


class Attempts:
    """Growing pauses for several things of one kind, such as a write for each cluster, by a key of each."""

    def __init__(self, settings: AgentSettings) -> None:
        self._first_s = settings.retry_min_s
        self._most_s = settings.retry_max_s
        self._failed: dict[Hashable, tuple[int, float]] = {}

    def is_due(self, key: Hashable) -> bool:
        """Whether it may be tried now."""
        return time.monotonic() >= self._failed.get(key, (0, 0.0))[1]

    def failed(self, key: Hashable) -> None:
        """It was tried and did not work: the next pause is twice as long."""
        tries = self._failed.get(key, (0, 0.0))[0] + 1
        self._failed[key] = tries, time.monotonic() + growing_s(self._first_s, self._most_s, tries)

    def done(self, key: Hashable) -> None:
        """It has worked, or there is no need for it any more."""
        self._failed.pop(key, None)


def _starts(action: Action) -> bool:
    return isinstance(action, UseUnit) and action.action is UnitAction.START


def growing_s(first_s: float, most_s: float, tries: int) -> float:
    """The pause after so many tries: the first, doubling up to the greatest."""
    return min(first_s * 2.0 ** min(tries - 1, _MOST_DOUBLINGS), most_s)
