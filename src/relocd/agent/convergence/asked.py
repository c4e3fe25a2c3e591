"""A question to the directory that is sent before the work beside it begins, since its answer takes longest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

__all__ = ["asked"]

_Answer = TypeVar("_Answer")


@asynccontextmanager
async def asked(question: Awaitable[_Answer]) -> AsyncIterator[asyncio.Future[_Answer]]:
    """The answer, to be awaited within the block; it is given up when the block ends without it."""
    answer = asyncio.ensure_future(question)
    await asyncio.sleep(0)  # sends the question before the block begins
    try:
        yield answer
    finally:
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)
