"""The history of this server's services: what the handover did becomes a record, and the record a notification.

A record is made by the server that knows: the new holder once it serves, any other of what it did itself. Making one
takes no time; it is completed and written by `run`, after the fact. Nothing in a move waits for that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from relocd.agent.history.causes import Causes
from relocd.agent.history.outbox import Outbox
from relocd.errors import RelocdError
from relocd.model.dn import DN
from relocd.model.history import Happened, HistoryRecord, now
from relocd.model.status import Mode, ServerStatus
from relocd.ports.directory import HistoryStore
from relocd.ports.reports import Meter

__all__ = ["History", "with_reason"]

_REPORTED_WITHIN_S: Final = 1.0
"""After that time the former holder has published why it gave the service up."""
_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class _Item:
    """A record on its way below a service; `former` is the server whose status may say why it gave the service up."""

    service: DN
    record: HistoryRecord
    former: DN | None = None
    due: float = 0.0


class History:
    """Records of what happens here. `told` hears each one; `causes` says who began it.

    It belongs to the server of the DN that `me` returns.
    """

    def __init__(
        self,
        store: HistoryStore,
        meter: Meter,
        me: Callable[[], DN],
        told: Callable[[DN, HistoryRecord], None],
    ) -> None:
        self.causes = Causes()
        self.me = me
        self._store = store
        self._told = told
        self._new: asyncio.Queue[_Item] = asyncio.Queue(_MOST)
        self._outbox: Outbox[_Item] = Outbox("history", self._write, meter)

    async def run(self) -> None:
        """Complete, tell and write what is recorded, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._complete())
            group.create_task(self._outbox.run())

    def record(self, service: DN, record: HistoryRecord, former: DN | None = None) -> None:
        """Keep a record of a service; with `former` once that server has had the time to publish its reason."""
        item = _Item(service, record, former, time.monotonic() + _REPORTED_WITHIN_S)
        try:
            self._new.put_nowait(item)
        except asyncio.QueueFull:
            self._keep(item)

    def note(self, service: DN, event: Happened, reason: str, generation: int | None = None) -> None:
        """Keep what happened here by itself, such as a health check that failed."""
        me = self.me().text
        self.record(service, HistoryRecord(now(), event, me, generation, reason=reason, by=me))

    async def _complete(self) -> None:
        while True:
            item = await self._new.get()
            if item.former is not None:
                status = await self._status(item.former, item.due)
                record = with_reason(item.record, item.service.name, item.former, status)
                item = replace(item, record=record)
            self._keep(item)

    async def _status(self, server: DN, due: float) -> ServerStatus | None:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        with suppress(RelocdError):
            return await self._store.status(server)
        return None

    def _keep(self, item: _Item) -> None:
        self._outbox.put(item)
        self._told(item.service, item.record)

    async def _write(self, item: _Item) -> None:
        await self._store.add(item.service, item.record)


def with_reason(record: HistoryRecord, service: str, former: DN, status: ServerStatus | None) -> HistoryRecord:
    """The record, with the reason that the former holder publishes for having given the service up."""
    if status is None:
        return record
    problems = status.problems_of(service)
    if problems:
        return replace(record, reason=f"{former.name}: {problems[0]}")
    if status.mode == Mode.DRAINED:
        return replace(record, rule="R6", reason=f"{former.name} is drained")
    return record
