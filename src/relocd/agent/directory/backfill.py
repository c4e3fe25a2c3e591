"""Direct reads of what the search does not bring, repeated for as long as it takes: see `Backfill`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from relocd.agent.directory.absence_check import ELSEWHERE, PUT_BACK, contradiction, fill, leads_elsewhere
from relocd.agent.shared_state import SharedState
from relocd.errors import RelocdError
from relocd.model.dn import DN
from relocd.model.entries import Attributes, EntryUUID, Problem, Snapshot, csn_time_s
from relocd.model.settings import DirectorySettings
from relocd.model.writes import Conflict, Lost, Modification, Outcome
from relocd.ports.directory import DirectoryReader, DirectoryWriter
from relocd.sync.mirror import Mirror

__all__ = ["Backfill", "Dangling", "WatchedWriter"]

_log = logging.getLogger(__name__)
_AHEAD_S: Final = 1.0
"""By how much the numbers of changes that are made at once may be out of order."""


class Backfill:
    """Completes a mirror by direct reads. Calls `changed` after them, `read_all` with a reason where they do not help.

    Four things no search tells: entries that have become of interest after they were sent; the secrets of a service
    that was linked just now, since access rules show them to linked servers only and a link does not send the service
    again; that a backup was restored, which a search that resumes from its cookie passes over; and the names of entries
    below one that was renamed. The first full read is requested at once, the next ones with growing pauses.
    """

    def __init__(
        self,
        mirror: Mirror,
        reader: DirectoryReader,
        pace: DirectorySettings,
        state: SharedState,
        changed: Callable[[], None],
        read_all: Callable[[str], None],
    ) -> None:
        self._mirror = mirror
        self._reader = reader
        self._pace = pace
        self._unread = state.unread_secrets
        self._changed = changed
        self._read_all = read_all
        self._missing: frozenset[EntryUUID] = frozenset()
        self._linked: frozenset[EntryUUID] | None = None
        self._links: tuple[object, ...] = (None,) * 3  # what `_linked` was made from
        self._to_read: set[EntryUUID] = set()
        self._resumed = False
        self._unproved = False  # the search was resumed, and what it built on has not been compared yet
        self._dangling = Dangling(mirror, reader, DN.parse(pace.base), changed)
        self._full_read = ""  # why everything has to be read again
        self._full_read_at = self._pause_s = 0.0
        self._ahead_until = ""
        self._due = asyncio.Event()

    def search_started(self, *, fresh: bool) -> None:
        """Note that a search began, `fresh` without a cookie."""
        self._resumed = not fresh

    def refreshed(self) -> None:
        """Note that its refresh is complete."""
        if self._resumed:
            self.check_names()

    def check_names(self) -> None:
        """Compare what is known with the directory, because something contradicts it."""
        self._unproved = True
        self._due.set()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the change numbers (CSNs) of the directory."""
        if not self._ahead_until:
            return ()
        ahead = f"its newest change number is of {self._ahead_until}, for its clock was wrong once"
        risk = "until then a replica that resumes can miss changes; agents read everything again instead"
        return (Problem("directory", f"{ahead}; {risk}"),)

    def stamped(self, csn: str) -> bool:
        """Take the number that this server's own heartbeat was given just now; whether `problems` has changed."""
        before, ahead_s = self._ahead_until, self._mirror.ahead_s(csn)
        newest = datetime.fromtimestamp((csn_time_s(csn) or 0.0) + ahead_s, UTC)
        self._ahead_until = newest.isoformat(" ", "seconds") if ahead_s >= _AHEAD_S else ""
        return before != self._ahead_until

    def must_read(self, snapshot: Snapshot) -> bool:
        """Whether a name in a snapshot leads to nothing and was not read yet; the snapshot has to wait for that."""
        unread = self._dangling.is_unread(snapshot)
        if unread:
            self._due.set()
        return unread

    def check_mirror(self) -> None:
        """Take note of what the mirror misses or doubts after it has taken events."""
        if self._mirror.doubt:
            self.request_full_read(self._mirror.doubt)
        missing = frozenset(record.uuid for record in self._mirror.missing)
        if missing - self._missing:
            self._due.set()
        self._missing = missing

    def take_links(self, snapshot: Snapshot) -> None:
        """Read the services again that were just linked here. Nothing waits for that: the entry is complete."""
        links = (snapshot.me, snapshot.clusters, snapshot.names)
        if snapshot.me is None or all(now is before for now, before in zip(links, self._links, strict=True)):
            return
        self._links = links
        linked = snapshot.linked(snapshot.me)
        new = linked - (linked if self._linked is None else self._linked)
        self._linked = linked
        self._to_read |= new
        self._unread |= new
        if self._to_read:
            self._due.set()

    async def run(self) -> None:
        """Read what is due; what is not found, or cannot be read, is read again later."""
        delay_s = None
        while True:
            woken = await self._woken(delay_s)
            self.request_full_read(await self._dangling.read())  # first, since a snapshot waits for it
            await self._compare()
            filled = await self._fill()
            await self._read_linked()
            self._begin_full_read()
            self._changed()
            if not (self._missing or self._to_read or self._unproved or self._full_read or self._dangling.names):
                delay_s = None
            elif woken or filled or not delay_s:
                delay_s = self._pace.retry_min_s
            else:
                delay_s = min(delay_s * 2, self._pace.retry_max_s)

    async def _woken(self, delay_s: float | None) -> bool:
        """Wait until something is due, or for that long; whether something is due."""
        if self._full_read:
            delay_s = max(0.0, self._full_read_at - time.monotonic())
        try:
            async with asyncio.timeout(delay_s):
                await self._due.wait()
        except TimeoutError:
            return False
        self._due.clear()
        return True

    def request_full_read(self, reason: str) -> None:
        """Have everything read again, for that reason; nothing without one."""
        if reason and not self._full_read:
            self._full_read = reason
            self._due.set()

    def _begin_full_read(self) -> None:
        """Have everything read again, unless that was done just now."""
        now = time.monotonic()
        if not self._full_read or now < self._full_read_at:
            return
        quiet = now > self._full_read_at + self._pace.retry_max_s
        self._pause_s = self._pace.retry_min_s if quiet else min(self._pause_s * 2, self._pace.retry_max_s)
        self._full_read_at = now + self._pause_s
        self._read_all(self._full_read)
        self._full_read = ""

    async def _compare(self) -> None:
        """Compare what a resumed search built on with direct reads."""
        if not self._unproved:
            return
        self._unproved = False
        try:
            self.request_full_read(await contradiction(self._mirror, self._reader))
        except RelocdError as error:
            self._unproved = True
            _log.warning("cannot read", extra={"fields": {"problem": str(error)}})

    async def _fill(self) -> bool:
        if not self._missing:
            return False
        try:
            return await fill(self._mirror, self._reader)
        except RelocdError as error:
            _log.warning("cannot read", extra={"fields": {"problem": str(error)}})
            return False

    async def _read_linked(self) -> None:
        trying = sorted(self._to_read)
        try:
            for uuid in trying:
                known = self._mirror.csn(uuid)
                entry = await self._reader.by_uuid(uuid)
                if entry is not None and entry.csn < known:
                    self.request_full_read(PUT_BACK)
                elif entry is not None:
                    self._mirror.fill(entry)
                    self._changed()
                self._to_read.discard(uuid)
        except RelocdError as error:
            _log.warning("cannot read what was linked", extra={"fields": {"problem": str(error)}})
        self._unread.difference_update(trying)


class Dangling:
    """The names in the latest snapshot that lead to nothing; each is read directly before that counts.

    A search does not tell of an entry below one that was renamed, so what a corrected link leads to may be known by its
    former name only. `unreadable` is called where names count as leading to nothing although they could not be read.
    """

    def __init__(self, mirror: Mirror, reader: DirectoryReader, base: DN, unreadable: Callable[[], None]) -> None:
        self._mirror = mirror
        self._reader = reader
        self._base = base
        self._unreadable = unreadable
        self._tried: set[DN] = set()
        self.names: frozenset[DN] = frozenset()

    def is_unread(self, snapshot: Snapshot) -> bool:
        """Take the names of a snapshot; whether one of them was not read yet."""
        self.names = snapshot.dangling
        self._tried &= self.names
        return bool(self.names - self._tried)

    async def read(self) -> str:
        """Read the names again; why everything has to be read again, empty when they do lead to nothing.

        Once one cannot be read, all count as tried: a snapshot waits for them, and each read may take its whole time
        limit. Whatever would act on the snapshot asks the directory itself.
        """
        reason = ""
        for name in sorted(self.names, key=str):
            try:
                if not reason and await leads_elsewhere(self._mirror, self._reader, name, self._base):
                    reason = ELSEWHERE
            except RelocdError as error:
                _log.warning("cannot read what is linked", extra={"fields": {"dn": str(name), "problem": str(error)}})
                self._tried |= self.names
                self._unreadable()
            self._tried.add(name)
        return reason


class WatchedWriter:
    """The port `DirectoryWriter`; after a write to a name that does not exist, the backfill compares the names."""

    def __init__(self, writer: DirectoryWriter, backfill: Backfill) -> None:
        self._writer = writer
        self._backfill = backfill

    async def apply(self, write: Modification) -> Outcome:
        """Make all changes, or none."""
        return self._checked(await self._writer.apply(write))

    async def create(self, dn: DN, attributes: Attributes) -> Outcome:
        """Add an entry."""
        return self._checked(await self._writer.create(dn, attributes))

    async def reach(self) -> None:
        """Return once the directory has answered."""
        await self._writer.reach()

    def _checked(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Lost) and outcome.conflict is Conflict.NO_SUCH_OBJECT:
            self._backfill.check_names()
        return outcome
