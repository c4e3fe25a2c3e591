"""What the search does not bring is read directly, as long as it takes: see `Backfill`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from relocd.agent.directory.absence_check import PUT_BACK, contradiction, fill
from relocd.agent.directory.dangling import Dangling
from relocd.errors import RelocdError
from relocd.model.csn import csn_time_s
from relocd.model.dn import DN
from relocd.model.entries import EntryUUID, Problem
from relocd.model.settings import DirectorySettings
from relocd.model.snapshot import Snapshot
from relocd.ports import DirectoryReader
from relocd.sync.mirror import Mirror

__all__ = ["Backfill"]

_log = logging.getLogger(__name__)
_AHEAD_S: Final = 1.0
"""So much the numbers of changes that are made at once may be out of order."""


class Backfill:
    """Completes a mirror by direct reads; calls `changed` after them, `read_anew` with a reason where they do not do.

    Four things no search tells of: entries that came to be of concern after they were sent; the secrets of a service
    that was linked just now, since access rules show them to linked servers only and a link sends nobody the service
    anew; that a backup was restored, which a search that goes on from its cookie passes over; and the names of entries
    below one that was renamed. Everything is read anew at once, but with growing pauses where that happens again.
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
        self._dangling = Dangling(mirror, reader, DN.parse(pace.base), changed)
        self._anew = ""  # why everything is to be read anew
        self._anew_at = self._pause_s = 0.0
        self._ahead_until = ""
        self._due = asyncio.Event()

    def search_started(self, *, fresh: bool) -> None:
        """A search began, `fresh` without a cookie."""
        self._resumed = not fresh

    def refreshed(self) -> None:
        """Its refresh is complete."""
        if self._resumed:
            self.check_names()

    def check_names(self) -> None:
        """Something speaks against what is known: look whether the directory says the same."""
        self._unproved = True
        self._due.set()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the numbers by which the directory tells what is new."""
        if not self._ahead_until:
            return ()
        ahead = f"its newest change number is of {self._ahead_until}, for its clock was wrong once"
        risk = "until then a replica that resumes can miss changes; agents read everything again instead"
        return (Problem("directory", f"{ahead}; {risk}"),)

    def stamped(self, csn: str) -> bool:
        """The directory has stamped this server's heartbeat just now; whether `problems` is another by that."""
        before, ahead_s = self._ahead_until, self._mirror.ahead_s(csn)
        newest = datetime.fromtimestamp((csn_time_s(csn) or 0.0) + ahead_s, UTC)
        self._ahead_until = newest.isoformat(" ", "seconds") if ahead_s >= _AHEAD_S else ""
        return before != self._ahead_until

    def must_read(self, snapshot: Snapshot) -> bool:
        """Whether a name of a snapshot leads to nothing and has not been read yet: so long the one before it counts."""
        unread = self._dangling.is_unread(snapshot)
        if unread:
            self._due.set()
        return unread

    def look(self) -> None:
        """The mirror has taken events: it may miss something now, or be in doubt."""
        if self._mirror.doubt:
            self.want_anew(self._mirror.doubt)
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
            woken = await self._woken(delay_s)
            self.want_anew(await self._dangling.read())  # first, for a snapshot waits for that
            await self._prove()
            filled = await self._fill()
            await self._read_again()
            self._begin_anew()
            self._tell_changed()
            if not (self._missing or self._to_read or self._unproved or self._anew or self._dangling.names):
                delay_s = None
            elif woken or filled or not delay_s:
                delay_s = self._pace.retry_min_s
            else:
                delay_s = min(delay_s * 2, self._pace.retry_max_s)

    async def _woken(self, delay_s: float | None) -> bool:
        """Wait until something is due, or so long; whether something is due."""
        if self._anew:
            delay_s = max(0.0, self._anew_at - time.monotonic())
        try:
            async with asyncio.timeout(delay_s):
                await self._due.wait()
        except TimeoutError:
            return False
        self._due.clear()
        return True

    def want_anew(self, reason: str) -> None:
        """Have everything read anew, for that reason; nothing without one."""
        if reason and not self._anew:
            self._anew = reason
            self._due.set()

    def _begin_anew(self) -> None:
        """Read everything anew, unless that has just been done."""
        now = time.monotonic()
        if not self._anew or now < self._anew_at:
            return
        quiet = now > self._anew_at + self._pace.retry_max_s
        self._pause_s = self._pace.retry_min_s if quiet else min(self._pause_s * 2, self._pace.retry_max_s)
        self._anew_at = now + self._pause_s
        self._read_anew(self._anew)
        self._anew = ""

    async def _prove(self) -> None:
        """Whether the directory says what the search has told."""
        if not self._unproved:
            return
        self._unproved = False
        try:
            self.want_anew(await contradiction(self._mirror, self._reader))
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
                    self.want_anew(PUT_BACK)
                elif entry is not None:
                    self._mirror.fill(entry)
                    self._tell_changed()
                self._to_read.discard(uuid)
        except RelocdError as error:
            _log.warning("cannot read what was linked", extra={"fields": {"problem": str(error)}})
        self._untried.difference_update(trying)
