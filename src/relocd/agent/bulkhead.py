"""Catches defects of relocd: what one input meets ends nothing else, is logged with its traceback, and is a problem.

The errors that relocd raises on purpose are handled where they occur; only others arrive here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from relocd.model.entries import Problem

__all__ = ["Bulkhead", "defect"]

_log = logging.getLogger(__name__)
_PAUSE_S: Final = 1.0
_MOST: Final = 20
_OVER_S: Final = 60.0
"""After this time without another defect, a part that was started again counts as recovered."""


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
