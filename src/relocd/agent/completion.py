"""What the search does not bring is read directly, as long as it takes: see `Completion`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from relocd.agent.confirmation import fill, is_put_back
from relocd.errors import RelocdError
from relocd.model.entries import EntryUUID
from relocd.model.settings import DirectorySettings
from relocd.model.snapshot import Snapshot
from relocd.ports import DirectoryReader
from relocd.sync.mirror import Mirror

__all__ = ["Completion"]

_log = logging.getLogger(__name__)
_PUT_BACK = "it was put back to an earlier time"


class Completion:
    """Completes a mirror by direct reads; calls `changed` after them, `read_anew` with a reason where they do not do.

    Three things no search tells of: entries that came to be of concern after they were sent; the secrets of a service
    that was linked just now, since access rules show them to linked servers only and a link sends nobody the service
    anew; and that a backup was restored, which a search that goes on from its cookie passes over.
    """

    def __init__(
        self,
        mirror: Mirror,
        reader: DirectoryReader,
        pace: DirectorySettings,
        changed: Callable[[], None],
        read_anew: Callable[[str], None],
    ) -> None:
        self._mirror = mirror
        self._reader = reader
        self._pace = pace
        self._tell_changed = changed
        self._read_anew = read_anew
        self._missing: frozenset[EntryUUID] = frozenset()
        self._linked: frozenset[EntryUUID] | None = None
        self._to_read: set[EntryUUID] = set()
        self._untried: set[EntryUUID] = set()  # of those
        self._resumed = False
        self._unproved = False  # the search was resumed, and it is not known yet from where the directory goes on
        self._due = asyncio.Event()

    def search_started(self, *, fresh: bool) -> None:
        """A search began, `fresh` without a cookie."""
        self._resumed = not fresh

    def refreshed(self) -> None:
        """Its refresh is complete."""
        if self._mirror.is_mixed_up:
            self._read_anew("names were given to others meanwhile")
            return
        self._unproved = self._resumed
        self._due.set()

    def look(self) -> None:
        """The mirror has taken events: it may miss something now."""
        missing = frozenset(record.uuid for record in self._mirror.missing)
        if missing - self._missing:
            self._due.set()
        self._missing = missing

    def take_links(self, snapshot: Snapshot) -> None:
        """Have the services read again that have just been linked here. Nothing waits for that: the entry is whole."""
        if snapshot.me is None:
            return
        linked = snapshot.linked(snapshot.me)
        new = linked - (linked if self._linked is None else self._linked)
        self._linked = linked
        self._to_read |= new
        self._untried |= new
        if self._to_read:
            self._due.set()

    def may_lack_secrets(self, service: EntryUUID) -> bool:
        """Whether a service was linked just now, and nobody has tried yet to read it again."""
        return service in self._untried

    async def run(self) -> None:
        """Read what is due; what is not found, or cannot be read, is asked for again."""
        delay_s = None
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._due.wait()
            self._due.clear()
            await self._prove()
            filled = await self._fill()
            await self._read_again()
            self._tell_changed()
            if not (self._missing or self._to_read or self._unproved):
                delay_s = None
            elif filled or not delay_s:
                delay_s = self._pace.retry_min_s
            else:
                delay_s = min(delay_s * 2, self._pace.retry_max_s)

    async def _prove(self) -> None:
        """Whether a search that was resumed goes on from where the directory is."""
        if not self._unproved:
            return
        self._unproved = False
        try:
            if await is_put_back(self._mirror, self._reader):
                self._read_anew(_PUT_BACK)
        except RelocdError as error:
            self._unproved = True
            _log.warning("cannot read", extra={"fields": {"problem": str(error)}})

    async def _fill(self) -> bool:
        try:
            return await fill(self._mirror, self._reader)
        except RelocdError as error:
            _log.warning("cannot read", extra={"fields": {"problem": str(error)}})
            return False

    async def _read_again(self) -> None:
        trying = sorted(self._to_read)
        try:
            for uuid in trying:
                known = self._mirror.csn(uuid)
                entry = await self._reader.by_uuid(uuid)
                if entry is not None and entry.csn < known:
                    self._read_anew(_PUT_BACK)
                elif entry is not None:
                    self._mirror.fill(entry)
                    self._tell_changed()
                self._to_read.discard(uuid)
        except RelocdError as error:
            _log.warning("cannot read what was linked", extra={"fields": {"problem": str(error)}})
        self._untried.difference_update(trying)
