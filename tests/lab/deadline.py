"""Waiting in a test for a condition, with a deadline."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["eventually", "until"]

_T = TypeVar("_T")


def until(condition: Callable[[], _T], timeout_s: float = 10.0) -> _T:
    """The first true value of a condition; fail after the deadline. Blocks."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{condition} did not come true within {timeout_s:g} s"
        time.sleep(0.005)
    return found


async def eventually(holds: Callable[[], object | Awaitable[object]], timeout_s: float = 5.0) -> None:
    """Return as soon as `holds` returns something true, itself or after being awaited; fail after the deadline."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = holds()
        if await found if inspect.isawaitable(found) else found:
            return
        assert time.monotonic() < deadline, f"{holds} did not hold within {timeout_s} s"
        await asyncio.sleep(0.005)
