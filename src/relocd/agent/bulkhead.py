"""Catches defects of relocd: what one input meets ends nothing else, is logged with its traceback, and is a problem.

The errors that relocd raises on purpose are handled where they occur; only others arrive here.

`Intake` applies the search's events to the mirror one by one: a defect that one event meets leaves its entry as it was.
A search that resumes from its cookie does not bring again what was missed. So the whole directory is read again, with
growing pauses while that meets a defect as well. Until a search without a cookie has brought everything, the problem is
reported and the content is not stored for the next start.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from relocd.model.entries import Problem
from relocd.sync.mirror import Mirror
from relocd.sync.session import RefreshDone, Started, SyncEvent, Upsert

__all__ = ["Bulkhead", "defect", "Intake"]

_log = logging.getLogger(__name__)
_PAUSE_S: Final = 1.0
_MOST: Final = 20
_OVER_S: Final = 60.0
"""After this time without another defect, a part that was started again counts as recovered."""
_MISSED: Final = "something that the search has brought met a defect of relocd"


class Bulkhead:
    """Catches defects and keeps the last of each subject; `caught` is called when there is another, or one less."""

    def __init__(self, caught: Callable[[], None]) -> None:
        self._caught = caught
        self._problems: dict[str, Problem] = {}
        self._met_at: dict[str, float] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The defects that still matter."""
        return tuple(self._problems.values())

    @contextmanager
    def under(self, subject: str) -> Iterator[None]:
        """End the block at a defect, and go on after it; `subject` is what the block is about."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end what serves
            self.take(subject, error)
        else:
            self.clear(subject)

    async def kept_running(self, part: Callable[[], Awaitable[None]], subject: str = "agent") -> None:
        """Run a part of the agent to its end, and run it again after a defect and a pause."""
        while True:
            try:
                return await part()
            except Exception as error:  # noqa: BLE001 - as above
                self.take(subject, error)
                self._met_at[subject] = time.monotonic()
                asyncio.get_running_loop().call_later(_PAUSE_S + _OVER_S, self._check_recovered, subject)
            await asyncio.sleep(_PAUSE_S)

    def take(self, subject: str, error: Exception) -> None:
        """Report a defect; a repeated one is logged once."""
        problem = Problem(subject, f"met {defect(error)}; what is here of it stays as it is")
        has_place = subject in self._problems or len(self._problems) < _MOST
        if has_place and self._problems.get(subject) != problem:
            self._problems[subject] = problem
            _log.error("this is a defect of relocd", exc_info=error, extra={"fields": {"subject": subject}})
            self._caught()

    def _check_recovered(self, subject: str) -> None:
        if time.monotonic() - self._met_at[subject] >= _OVER_S:
            self.clear(subject)

    def clear(self, subject: str) -> None:
        """Forget the defect of a subject: the latest attempt met none."""
        if self._problems.pop(subject, None) is not None:
            self._caught()


def defect(error: Exception) -> str:
    """The problem text of a defect, whose traceback is in the log."""
    return f"a defect of relocd, see its log: {type(error).__name__}"


class Intake:
    """Takes events for a mirror; `read_all` is called with a reason when one of them was missed."""

    def __init__(self, mirror: Mirror, net: Bulkhead, read_all: Callable[[str], None]) -> None:
        self._mirror = mirror
        self._net = net
        self._read_all = read_all
        self._missed: set[str] = set()
        self._before: set[str] = set()  # missed before a refresh without a cookie, which runs now

    @property
    def is_whole(self) -> bool:
        """Whether the mirror has taken all that was sent."""
        return not (self._missed or self._before)

    def take(self, batch: Sequence[SyncEvent]) -> None:
        """Apply events in the order they were sent."""
        for event in batch:
            if isinstance(event, Started):
                self._begin(fresh=event.fresh)
            try:
                self._mirror.apply((event,))
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not end what serves
                self._miss(_subject(event), error)
            if isinstance(event, RefreshDone):
                self._clear()

    def _begin(self, *, fresh: bool) -> None:
        """Note that a search begins; one that resumes from a cookie does not bring what was missed."""
        missed = self._missed | self._before
        self._missed, self._before = (set(), missed) if fresh else (missed, set())
        if self._missed:
            self._read_all(_MISSED)

    def _miss(self, subject: str, error: Exception) -> None:
        self._missed.add(subject)
        self._net.take(subject, error)
        self._read_all(_MISSED)

    def _clear(self) -> None:
        """Forget what was missed before a refresh without a cookie, which is complete now."""
        for subject in self._before - self._missed:
            self._net.clear(subject)
        self._before = set()


def _subject(event: SyncEvent) -> str:
    return str(event.entry.dn) if isinstance(event, Upsert) else "search"
