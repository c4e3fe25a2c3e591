"""A bounded queue of what is to be sent: one at a time, in order, tried again with growing pauses.

Whoever puts something in never waits. When it is full the oldest goes. An answer that says no is final (`Failed`,
`Invalid`); where nothing answers (`Unavailable`) the same is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from relocd.agent.pauses import growing_s
from relocd.errors import RelocdError, Unavailable
from relocd.ports.reports import Meter

__all__ = ["Outbox", "Patience"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How much is kept, the pauses between attempts, and for how long one item is tried (0: until it is done)."""

    most: int = 200
    retry_min_s: float = 1.0
    retry_max_s: float = 60.0
    for_s: float = 0.0


class Outbox(Generic[_T]):
    """Sends what is put in. `what` names it in the log and the metrics, such as `history` or `webhook`."""

    def __init__(
        self, what: str, send: Callable[[_T], Awaitable[None]], meter: Meter, patience: Patience | None = None
    ) -> None:
        self._what: Final = what
        self._send = send
        self._meter = meter
        self._patience = patience or Patience()
        self._waiting: deque[tuple[float, _T]] = deque()
        self._put = asyncio.Event()
        self._is_full = False
        self._is_failing = False
        meter.will_send(what)

    def put(self, item: _T) -> None:
        """Send it as soon as possible."""
        if len(self._waiting) >= self._patience.most:
            self._waiting.popleft()
            self._meter.sent(self._what, "dropped")
            if not self._is_full:
                self._is_full = True
                _log.warning("queue is full: the oldest are dropped", extra={"fields": self._fields()})
        self._waiting.append((time.monotonic(), item))
        self._put.set()

    async def run(self) -> None:
        """Send for ever."""
        while True:
            while self._waiting:
                await self._send_first()
            self._is_full = False
            self._put.clear()
            await self._put.wait()

    async def _send_first(self) -> None:
        """Send the oldest item, until it is sent, refused, too old, or dropped for a newer one."""
        first, tries = self._waiting[0], 0
        while self._waiting and self._waiting[0] is first:
            problem = await self._try(first[1])
            if not isinstance(problem, Unavailable):
                self._end(first, "done" if problem is None else "failed")
                return
            tries += 1
            pause_s = growing_s(self._patience.retry_min_s, self._patience.retry_max_s, tries)
            if self._patience.for_s and time.monotonic() + pause_s - first[0] > self._patience.for_s:
                self._end(first, "failed")
                return
            await asyncio.sleep(pause_s)

    def _end(self, first: tuple[float, _T], outcome: str) -> None:
        if self._waiting and self._waiting[0] is first:
            self._waiting.popleft()
            self._meter.sent(self._what, outcome)

    async def _try(self, item: _T) -> RelocdError | None:
        """Send once; what was wrong, None for nothing. A failure is logged once, until something is sent again."""
        try:
            await self._send(item)
        except RelocdError as error:
            level = logging.DEBUG if self._is_failing else logging.WARNING
            fields = self._fields() | {"problem": str(error)}
            _log.log(level, "record or notification cannot be sent", extra={"fields": fields})
            self._is_failing = True
            return error
        if self._is_failing:
            _log.info("records or notifications can be sent again", extra={"fields": self._fields()})
        self._is_failing = False
        return None

    def _fields(self) -> dict[str, object]:
        return {"what": self._what, "waiting": len(self._waiting)}
