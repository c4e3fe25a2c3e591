"""Waiting in a test: for what shall become true, and not for ever."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

__all__ = ["eventually"]


async def eventually(holds: Callable[[], object | Awaitable[object]], timeout_s: float = 5.0) -> None:
    """Return as soon as `holds` returns something true, itself or after being awaited; fail after the deadline."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = holds()
        if await found if inspect.isawaitable(found) else found:
            return
        assert time.monotonic() < deadline, f"{holds} did not hold within {timeout_s} s"
        await asyncio.sleep(0.005)
