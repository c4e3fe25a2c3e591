"""What the releases of all services of a server share: proof that the directory answers, and turns to drop addresses.

From the drop of a service's addresses until the directory names the next holder, no server serves. Writes are made one
after the other. If many services dropped at once, each would wait for the writes of all others. So only few drop at a
time, and the others go on serving until it is their turn.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from relocd.errors import RelocdError
from relocd.ports.directory import DirectoryWriter

__all__ = ["Releases", "Turn"]

_REACHED_WITHIN_S: Final = 0.05
_AT_ONCE: Final = 4
_LONGEST_DROP_S: Final = 0.05


class Releases:
    """One for all services of an agent."""

    def __init__(self, writer: DirectoryWriter) -> None:
        self._writer = writer
        self._reached_at = float("-inf")
        self._reaching = asyncio.Lock()
        self._early: asyncio.Task[None] | None = None
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def reach(self) -> None:
        """Return when the directory has answered within the last moment; raises `Unavailable` or `Failed`.

        Asked before a service is released: if the write cannot be made afterwards, no server serves.
        """
        async with self._reaching:  # one that is under way may do
            asked_at = time.monotonic()
            if asked_at - self._reached_at > _REACHED_WITHIN_S:
                await self._writer.reach()
                self._reached_at = asked_at

    def reach_early(self) -> None:
        """Ask in the background, when a service may be released within moments; `reach` asks again after an error."""
        if self._early is None or self._early.done():
            self._early = asyncio.create_task(self._try_to_reach())

    def turn(self) -> Turn:
        """A turn for one service, which begins before its first address is dropped."""
        return Turn(self, self._free)

    async def _try_to_reach(self) -> None:
        with suppress(RelocdError):
            await self.reach()


class Turn:
    """A context manager; its end is that of the turn.

    A turn that has begun and does not come to its write within a moment ends as well: a unit may take long to stop, and
    holds up no other service.
    """

    def __init__(self, releases: Releases, free: asyncio.Semaphore) -> None:
        self._releases = releases
        self._free = free
        self._begun = False
        self._timer: asyncio.TimerHandle | None = None
        self._held = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    async def begin(self) -> None:
        """Return when it is the service's turn, or has been, and the directory answers; raises as `Releases.reach`."""
        if not self._begun:
            await self._free.acquire()
            self._begun = self._held = True
            self._timer = asyncio.get_running_loop().call_later(_LONGEST_DROP_S, self._end)
        await self._releases.reach()

    def keep(self) -> None:
        """Keep the turn until its end, if it lasts still: the write is about to be made."""
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        self.keep()
        if self._held:
            self._held = False
            self._free.release()
