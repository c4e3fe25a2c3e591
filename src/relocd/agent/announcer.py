"""Repeats the announcement of a service's addresses: a burst against lost frames, then a refresh at a low rate."""

from __future__ import annotations

import asyncio
import logging

from relocd.agent.convergence.execution import announce
from relocd.agent.convergence.host import Host
from relocd.errors import RelocdError
from relocd.model.settings import WireSettings
from relocd.reconcile.desired import Placed

__all__ = ["Announcer"]

_log = logging.getLogger(__name__)
_FIRST_S, _LONGEST_S = 0.05, 1.0


class Announcer:
    """Announces what one service has here. The first announcement is a part of the convergence that raised it."""

    def __init__(self, host: Host, settings: WireSettings) -> None:
        self._host = host
        self._settings = settings
        self._task: asyncio.Task[None] | None = None
        self.addresses: frozenset[Placed] = frozenset()

    def keep(self, service: str, addresses: frozenset[Placed]) -> None:
        """Repeat the announcement of these addresses from now on; nothing changes where they are the same."""
        if addresses == self.addresses:
            return
        if self._task is not None:
            self._task.cancel()
        self.addresses = addresses
        self._task = asyncio.create_task(self._repeat(service, addresses)) if addresses else None

    def stop(self) -> None:
        """Announce nothing any more."""
        self.keep("", frozenset())

    async def restart(self, service: str, addresses: frozenset[Placed]) -> None:
        """Announce at once, and begin again with the burst."""
        self.stop()
        self.keep(service, addresses)
        await self._announce(service, addresses)

    async def _repeat(self, service: str, addresses: frozenset[Placed]) -> None:
        delay_s = _FIRST_S
        for _ in range(self._settings.announce_burst - 1):
            await asyncio.sleep(delay_s)
            await self._announce(service, addresses)
            delay_s = min(delay_s * 2, _LONGEST_S)
        while self._settings.announce_refresh_s > 0:
            await asyncio.sleep(self._settings.announce_refresh_s)
            await self._announce(service, addresses)

    async def _announce(self, service: str, addresses: frozenset[Placed]) -> None:
        try:
            await announce(self._host, addresses)
        except RelocdError as error:
            _log.warning("cannot announce", extra={"fields": {"service": service, "problem": str(error)}})
