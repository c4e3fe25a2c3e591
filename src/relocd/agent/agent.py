"""The agent: directory events in, wishes to the workers out, and what there is to say about it all.

Everything here runs in one event loop. A cycle converges on the latest snapshot, not on each event. What the snapshot
does not know stays as it is; what it no longer links is left only after a direct read has confirmed it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from relocd import __version__
from relocd.agent.confirmation import fill, is_unlinked
from relocd.agent.crew import Crew
from relocd.agent.host import Host
from relocd.agent.status import Connection, one_line, status
from relocd.errors import Invalid, RelocdError, Unavailable
from relocd.model.dn import DN
from relocd.model.entries import EntryUUID, Problem
from relocd.model.settings import Settings
from relocd.model.snapshot import Snapshot
from relocd.model.template_set import Scope
from relocd.plan.goals import GoalId, goals, service_of
from relocd.ports import Cache, DirectoryReader, Feed, Notifier, StatusFile
from relocd.sync.events import Lost, RefreshDone, Started, SyncEvent, Upsert
from relocd.sync.mirror import Mirror, Saved

__all__ = ["Agent", "Directory", "Outlets", "scope_of"]

_log = logging.getLogger(__name__)
_STORE_EVERY_S = 300.0
_STATUS_DELAY_S = 0.05


@dataclass(frozen=True, slots=True)
class Directory:
    """The agent's ways to the directory; `saved` is the content that the feed goes on from, None for the whole."""

    feed: Feed
    reader: DirectoryReader
    cache: Cache
    saved: Saved | None


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where the agent says how it is; `alive_s` is how often the service manager wants to hear, 0 for never."""

    file: StatusFile
    notifier: Notifier
    alive_s: float


class Agent:
    """One server's agent; `run` works until it is cancelled, and then leaves everything as it is."""

    def __init__(self, settings: Settings, host: Host, directory: Directory, outlets: Outlets) -> None:
        self._settings = settings
        self._host = host
        self._directory = directory
        self._outlets = outlets
        self._mirror = Mirror(DN.parse(settings.server.dn), directory.saved, int(settings.agent.spare_mib * 2**20))
        self._crew = Crew(host, settings, self._changed)
        self._connection = Connection("connecting", time.time(), "")
        self._considered: Snapshot | None = None
        self._problems: tuple[Problem, ...] = ()
        self._missing: frozenset[EntryUUID] = frozenset()
        self._incomplete = asyncio.Event()
        self._dirty = asyncio.Event()

    async def run(self) -> None:
        """Keep this server as the directory wishes it."""
        self._host.addresses.watch(self._crew.nudge_drifted)
        self._host.units.watch(self._crew.nudge_units)
        self._host.sets.watch(self._sets_changed)
        self._outlets.notifier.ready("connecting to the directory")
        try:
            async with asyncio.TaskGroup() as group:
                self._crew.begin(group)
                group.create_task(self._follow())
                group.create_task(self._complete())
                group.create_task(self._tell())
                group.create_task(self._store())
                if self._outlets.alive_s:
                    group.create_task(self._stay_alive())
        finally:
            await self._store_now()

    async def _follow(self) -> None:
        async for batch in self._directory.feed.batches():
            started = time.monotonic_ns()
            self._mirror.apply(batch)
            self._note(batch, started)
            self._consider()

    def _note(self, batch: Sequence[SyncEvent], started: int) -> None:
        """Log what happened to the connection, and keep it for the status."""
        for event in batch:
            match event:
                case Started(uri, fresh):
                    self._connected("refreshing", uri)
                    _log.info("search started", extra={"fields": {"uri": uri, "fresh": fresh}})
                case RefreshDone():
                    self._connected("current", self._connection.detail)
                    _log.info("refresh complete", extra={"fields": {"entries": len(self._mirror)}})
                case Lost(reason):
                    if self._connected("lost", reason):
                        _log.warning("directory lost", extra={"fields": {"reason": reason}})
                case Upsert(entry) if self._connection.state == "current":
                    fields = {"dn": str(entry.dn), "csn": entry.csn, "at_ns": started}
                    _log.debug("change seen", extra={"fields": fields})
                case _:
                    pass

    def _connected(self, state: str, detail: str) -> bool:
        """Keep how the agent stands to the directory; whether that is news."""
        if (state, detail) == (self._connection.state, self._connection.detail):
            return False
        self._connection = Connection(state, time.time(), detail)
        self._changed()
        return True

    def _consider(self) -> None:
        """Give every worker its wish from the latest snapshot; nothing happens while the snapshot is the same."""
        snapshot = self._mirror.snapshot
        missing = frozenset(record.uuid for record in self._mirror.missing)
        if missing - self._missing:
            self._incomplete.set()
        self._missing = missing
        if snapshot is None or snapshot is self._considered:
            return
        self._considered = snapshot
        self._log_problems(snapshot.problems)
        found = goals(snapshot, scope_of(self._host), self._settings.server.template_sets)
        if found is not None and snapshot.me is not None:
            me = snapshot.me.uuid
            absent = self._crew.want(found, self._mirror.__contains__)
            self._crew.confirm(absent, lambda goal: self._is_gone(me, goal))
        self._changed()

    async def _is_gone(self, me: EntryUUID, goal: GoalId) -> bool:
        service = service_of(goal)
        if service is not None:
            return await is_unlinked(self._directory.reader, me, service)
        if self._crew.doubting:
            raise Unavailable("a service that may want it seems not to be linked any more, which is not confirmed yet")
        return True

    def _log_problems(self, problems: tuple[Problem, ...]) -> None:
        for problem in problems:
            if problem not in self._problems:
                fields = {"subject": problem.subject, "problem": problem.message}
                _log.warning("directory has a problem", extra={"fields": fields})
        for problem in self._problems:
            if problem not in problems:
                fields = {"subject": problem.subject, "problem": problem.message}
                _log.info("directory has a problem no more", extra={"fields": fields})
        self._problems = problems

    async def _complete(self) -> None:
        """Read directly what came to be of concern after it was sent; what is not found is asked for again."""
        pace, delay_s = self._settings.directory, None
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._incomplete.wait()
            self._incomplete.clear()
            filled = await self._fill()
            self._consider()
            if not self._missing:
                delay_s = None
            else:
                delay_s = pace.retry_min_s if filled or not delay_s else min(delay_s * 2, pace.retry_max_s)

    async def _fill(self) -> bool:
        try:
            return await fill(self._mirror, self._directory.reader)
        except RelocdError as error:
            _log.warning("cannot read", extra={"fields": {"problem": str(error)}})
            return False

    def _sets_changed(self) -> None:
        """A template set changed on disk: its scope may be another, and what it renders."""
        self._considered = None
        self._consider()
        self._crew.nudge_all()

    def _changed(self) -> None:
        self._dirty.set()

    async def _tell(self) -> None:
        """Write the status soon after it changed, once for many changes."""
        while True:
            await self._dirty.wait()
            await asyncio.sleep(_STATUS_DELAY_S)
            self._dirty.clear()
            workers = self._crew.workers
            self._outlets.notifier.status(one_line(self._connection, workers))
            me = self._settings.server.dn
            problems = (*self._problems, *self._crew.problems)
            await self._outlets.file.write(status(me, __version__, self._connection, workers, problems))

    async def _stay_alive(self) -> None:
        while True:
            self._outlets.notifier.alive()
            await asyncio.sleep(self._outlets.alive_s)

    async def _store(self) -> None:
        while True:
            await asyncio.sleep(_STORE_EVERY_S)
            await self._store_now()

    async def _store_now(self) -> None:
        saved = self._mirror.saved
        if saved is None:
            return
        try:
            await self._directory.cache.store(saved)
        except RelocdError as error:
            _log.warning("cannot store the cache", extra={"fields": {"problem": str(error)}})


def scope_of(host: Host) -> Callable[[str], Scope | None]:
    """The scope of a template set of this host by its name, None while it cannot be read."""

    def scope(name: str) -> Scope | None:
        try:
            return host.sets.get(name).scope
        except Invalid:
            return None

    return scope
