"""Growing pauses between the tries of what fails, so that nothing that fails goes round in circles.

A pause belongs to one kind of effort for one service, and to what that effort was about: once that is another, it is
tried at once. A pause is never shorter than the try before it took. Waiting for another host (`Busy`) is no failure and
has a pace of its own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from relocd.agent.converge import Report
from relocd.model.settings import AgentSettings

__all__ = ["Effort", "Failure", "Pauses", "growing_s"]

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
        if not report.problems:
            self._failures.pop(effort, None)
            return
        before, now = self._failures.get(effort), time.monotonic()
        tries = before.tries + 1 if before and before.about == about else 1
        pause_s = max(growing_s(self._first_s, self._most_s, tries), now - begun)
        self._failures[effort] = Failure(about, report.problems, report.broken, tries, now + pause_s)

    def end(self, *efforts: Effort) -> None:
        """What failed may work now: try it at once."""
        for effort in efforts or tuple(Effort):
            self._failures.pop(effort, None)


def growing_s(first_s: float, most_s: float, tries: int) -> float:
    """The pause after so many tries: the first, doubling up to the greatest."""
    return min(first_s * 2.0 ** min(tries - 1, _MOST_DOUBLINGS), most_s)
