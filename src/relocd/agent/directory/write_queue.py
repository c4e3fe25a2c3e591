"""The writes of all services' handovers, in a queue of their own: few are under way at once.

An agent has one connection for its writes. If many services wrote at once, its heartbeat would wait behind all of them:
the server would doubt its own lease and be found dead by others.
"""

from __future__ import annotations

import asyncio
from typing import Final

from relocd.model.dn import DN
from relocd.model.entries import Attributes
from relocd.model.writes import Modification, Outcome
from relocd.ports.directory import DirectoryWriter

__all__ = ["WriteQueue"]

_AT_ONCE: Final = 4


class WriteQueue:
    """The port `DirectoryWriter`; a write waits while others are under way, and is not made if that is given up."""

    def __init__(self, writer: DirectoryWriter) -> None:
        self._writer = writer
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def apply(self, write: Modification) -> Outcome:
        """Make all changes, or none."""
        async with self._free:
            return await self._writer.apply(write)

    async def create(self, dn: DN, attributes: Attributes) -> Outcome:
        """Add an entry."""
        async with self._free:
            return await self._writer.create(dn, attributes)

    async def reach(self) -> None:
        """Return once the directory has answered; that waits for no write in the queue."""
        await self._writer.reach()
