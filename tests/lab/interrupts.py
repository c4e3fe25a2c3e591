"""Ctrl-C and SIGTERM for programs that build things: they end by an exception, and never half way through a step.

A rig is built whole before an interruption counts, and removed whole whatever arrives meanwhile.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Final, TypeVar

__all__ = ["INTERRUPTED", "Interrupts"]

INTERRUPTED: Final = 130
"""The exit code of a program that was interrupted, as shells have it."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_T = TypeVar("_T")


class Interrupts:
    """Turns the first signal into a KeyboardInterrupt; the rest are ignored, for the end has begun."""

    def __init__(self) -> None:
        self._arrived = False
        self._held = False
        self._pending = False

    def begin(self) -> None:
        """Take the signals from now on."""
        for number in _SIGNALS:
            signal.signal(number, self._arrive)

    @contextmanager
    def around(self, rig: AbstractContextManager[_T]) -> Iterator[_T]:
        """A rig whose building and removal are not interrupted; a signal that came meanwhile counts after it."""
        stack = ExitStack()
        try:
            with self._hold():
                value = stack.enter_context(rig)
            yield value
        finally:
            with self._hold():
                stack.close()

    @contextmanager
    def _hold(self) -> Iterator[None]:
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt

    def _arrive(self, _: int, __: object) -> None:
        # Not SIG_IGN for the rest: programs started from now on would inherit that, and not end by SIGTERM.
        if self._arrived:
            return
        self._arrived = True
        if not self._held:
            raise KeyboardInterrupt
        self._pending = True
