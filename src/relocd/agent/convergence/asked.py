"""A question that goes out before the work that goes on beside it: what is waited for longest begins first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

__all__ = ["asked"]

_Answer = TypeVar("_Answer")


@asynccontextmanager
async def asked(question: Awaitable[_Answer]) -> AsyncIterator[asyncio.Future[_Answer]]:
    """The answer to wait for within the block; who leaves the block without it needs it no more."""
    answer = asyncio.ensure_future(question)
    await asyncio.sleep(0)  # the question is on its way before the block begins
    try:
        yield answer
    finally:
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)
