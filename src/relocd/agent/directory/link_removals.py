"""Removes the links of one server together: services that have moved at about the same time share one write.

The entry of a server has the links to all its services. Each write to it is sent whole to every agent that it concerns,
which then looks at all these services again. The first removal is written at once. Those that come while it is under
way follow together in the next write; none waits for a service that has not finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from relocd.errors import RelocdError
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Attributes
from relocd.model.writes import Conflict, Delete, Lost, Modification, Outcome
from relocd.ports.directory import DirectoryWriter

__all__ = ["LinkRemovals"]

_MOST: Final = 500


class _Removal(NamedTuple):
    """A removal that was asked for, and its outcome to come."""

    write: Modification
    outcome: asyncio.Future[Outcome]


@dataclass(slots=True)
class _Queue:
    """The removals of one server's links; who has the lock writes all that wait."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    removals: list[_Removal] = field(default_factory=list)

    @property
    def waiting(self) -> list[_Removal]:
        return [removal for removal in self.removals if not removal.outcome.done()]


class LinkRemovals:
    """The port `DirectoryWriter`, which writes removals of links of one server together, and everything else as is."""

    def __init__(self, writer: DirectoryWriter) -> None:
        self._writer = writer
        self._queues: dict[DN, _Queue] = {}

    async def apply(self, write: Modification) -> Outcome:
        """Make all changes, or none; a removal of links succeeds or fails as if it were written alone."""
        if not _removes_links(write):
            return await self._writer.apply(write)
        queue = self._queues.setdefault(write.dn, _Queue())
        removal = _Removal(write, asyncio.get_running_loop().create_future())
        queue.removals.append(removal)
        try:
            async with queue.lock:
                if not removal.outcome.done():
                    await self._remove(queue.waiting[:_MOST])
                return removal.outcome.result()
        finally:
            queue.removals.remove(removal)

    async def create(self, dn: DN, attributes: Attributes) -> Outcome:
        """Add an entry."""
        return await self._writer.create(dn, attributes)

    async def reach(self) -> None:
        """Return once the directory has answered."""
        await self._writer.reach()

    async def _remove(self, together: Sequence[_Removal]) -> None:
        """Write some removals as one; where a link of them is gone already, each by itself."""
        links = tuple(dict.fromkeys(link for each in together for link in _links(each.write)))
        try:
            outcome = await self._writer.apply(Modification(together[0].write.dn, (Delete(names.SERVICE_LINK, links),)))
        except RelocdError as error:
            for each in together:
                each.outcome.set_exception(error)
                each.outcome.exception()  # who gave up meanwhile does not ask for it
            return
        gone = isinstance(outcome, Lost) and outcome.conflict is Conflict.NO_SUCH_ATTRIBUTE
        for each in together:
            if gone and len(together) > 1:
                await self._remove([each])
            else:
                each.outcome.set_result(outcome)


def _removes_links(write: Modification) -> bool:
    change, *more = write.changes
    return isinstance(change, Delete) and change.attribute == names.SERVICE_LINK and not more and not write.assertion


def _links(write: Modification) -> tuple[bytes, ...]:
    return tuple(value for change in write.changes if isinstance(change, Delete) for value in change.values)
