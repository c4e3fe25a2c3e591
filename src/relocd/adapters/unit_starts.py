"""How often relocd has started each unit that ended by itself: starts that do not help come with growing pauses.

A unit that was stopped on purpose, or that has run for a minute, begins anew.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from relocd.errors import Failed

__all__ = ["UnitStarts"]

_FORGIVEN_S: Final = 60.0
_FREE: Final = 2
_FIRST_S: Final = 1.0
_MOST_DOUBLINGS: Final = 5


@dataclass(frozen=True, slots=True)
class _Starts:
    number: int
    last: float

    @property
    def pause_s(self) -> float:
        """How long after the last start the next one has to wait."""
        return 0.0 if self.number < _FREE else _FIRST_S * 2.0 ** min(self.number - _FREE, _MOST_DOUBLINGS)


class UnitStarts:
    """The starts of all units; times are of the monotonic clock."""

    def __init__(self) -> None:
        self._starts: dict[str, _Starts] = {}

    def check(self, name: str) -> None:
        """Raise `Failed` while a unit has to wait for its next start."""
        before = self._recent(name)
        left_s = before.last + before.pause_s - time.monotonic() if before else 0.0
        if left_s > 0:
            raise Failed(f"{name} ends by itself each time it is started; the next start is in {left_s:.0f} s")

    def started(self, name: str) -> None:
        """A unit that did not run was started and ran."""
        before = self._recent(name)
        self._starts[name] = _Starts(before.number + 1 if before else 1, time.monotonic())

    def stopped(self, name: str) -> None:
        """A unit was stopped on purpose."""
        self._starts.pop(name, None)

    def trouble(self, name: str) -> str:
        """That a unit ends again and again; empty where it does not."""
        starts = self._recent(name)
        if starts is None or starts.number <= _FREE:
            return ""
        return f"{name} ends by itself: it was started {starts.number} times in short distance; look at its log"

    def _recent(self, name: str) -> _Starts | None:
        starts = self._starts.get(name)
        return starts if starts and time.monotonic() - starts.last < _FORGIVEN_S + starts.pause_s else None
