"""Notifications of what happens on this server, to each target by a queue of its own.

A change of holder is told by the server that recorded it. A problem is told once it has lasted for a moment, and again
only after it was gone: numbers in it, such as an age, do not make it another one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Final

from relocd.agent.history.outbox import Outbox, Patience
from relocd.model.dn import DN
from relocd.model.history import HistoryRecord, now
from relocd.model.notification import Notification, NotifiedEvent, notification_of
from relocd.ports.reports import Meter, NotifyTarget

__all__ = ["PATIENCE", "Notifications"]

PATIENCE: Final = Patience(most=100, retry_min_s=1.0, retry_max_s=300.0, for_s=3600.0)
_LASTS_S: Final = 2.0
_NUMBER: Final = re.compile(r"\d+")
_WAITS: Final = re.compile(r"\S+ waits: ")


class Notifications:
    """Tells the targets the `events` that are asked for; `me` is the name of this server."""

    def __init__(
        self, targets: Sequence[NotifyTarget], events: Collection[str], meter: Meter, me: Callable[[], DN]
    ) -> None:
        self._events = frozenset(events)
        self._me = me
        self._outboxes = [Outbox(each.name, _sending(each), meter, PATIENCE) for each in targets]
        self._problems: tuple[str, ...] = ()
        self._told: frozenset[str] = frozenset()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Send for ever; nothing happens without a target."""
        async with asyncio.TaskGroup() as group:
            for outbox in self._outboxes:
                group.create_task(outbox.run())
            group.create_task(self._watch_problems())

    def tell_record(self, service: DN, record: HistoryRecord) -> None:
        """Tell what the history of a service has a record of."""
        found = notification_of(self._me(), service, record)
        if found is not None:
            self._tell(found)

    def take_problems(self, problems: Iterable[str]) -> None:
        """Take in the problems of this server as they are now, as `cn=status` publishes them."""
        self._problems = tuple(problems)
        self._changed.set()

    async def _watch_problems(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            before = {_kind(each) for each in self._problems}
            await asyncio.sleep(_LASTS_S)
            lasting = {_kind(each): each for each in self._problems if _kind(each) in before}
            for kind, problem in lasting.items():
                if kind not in self._told:
                    event = NotifiedEvent.WAITING if _WAITS.match(problem) else NotifiedEvent.PROBLEM
                    self._tell(Notification(now(), event, self._me(), problem))
            self._told = frozenset(lasting)

    def _tell(self, notification: Notification) -> None:
        if notification.event in self._events:
            for outbox in self._outboxes:
                outbox.put(notification)


def _kind(problem: str) -> str:
    return _NUMBER.sub("#", problem)


def _sending(target: NotifyTarget) -> Callable[[Notification], Awaitable[None]]:
    async def send(notification: Notification) -> None:
        await target.send(notification.encoded())

    return send
