"""The agent: directory events in, wishes to the workers out, and what there is to say about it all.

Everything here runs in one event loop. A cycle converges on the latest snapshot, not on each event. What the snapshot
does not know stays as it is; what it no longer links is left only after a direct read has confirmed it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from relocd import __version__
from relocd.agent.address_conflicts import AddressConflicts
from relocd.agent.auto_failover import AutoFailover
from relocd.agent.bulkhead import Bulkhead
from relocd.agent.convergence.host import Host
from relocd.agent.convergence.pauses import Attempts
from relocd.agent.directory.absence_check import is_unlinked
from relocd.agent.directory.backfill import Backfill
from relocd.agent.directory.watched_writer import WatchedWriter
from relocd.agent.intake import Intake
from relocd.agent.liveness.failure_detector import FailureDetector
from relocd.agent.liveness.heartbeat import Heartbeat
from relocd.agent.liveness.lease_guard import HandoverDeps
from relocd.agent.liveness.peer_heartbeats import PeerHeartbeats
from relocd.agent.status_report import ConnectionState, health, one_line, status, status_entry
from relocd.agent.worker_pool import WorkerPool
from relocd.errors import RelocdError, Unavailable
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID, Problem
from relocd.model.parse import search_filter
from relocd.model.settings import Settings
from relocd.model.snapshot import Snapshot
from relocd.model.template_set import Scope
from relocd.ports import Cache, DirectoryReader, DirectoryWriter, Feed, Notifier, Orders, StatusFile
from relocd.reconcile.goals import GoalId, goals, service_of
from relocd.sync.events import RefreshDone, SearchLost, Started, SyncEvent, Upsert
from relocd.sync.mirror import Mirror, Saved

__all__ = ["Agent", "DirectoryPorts", "Outlets", "scope_of"]

_log = logging.getLogger(__name__)
_STORE_EVERY_S = 300.0
_STATUS_DELAY_S = 0.05
_WITHOUT_ME = "a search from a cookie has not brought this server's own entry, which may be older than that"
_MODE_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class DirectoryPorts:
    """The agent's ways to the directory; `saved` is the content that the feed goes on from, None for the whole."""

    feed: Feed
    reader: DirectoryReader
    writer: DirectoryWriter
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

    def __init__(
        self, settings: Settings, host: Host, directory: DirectoryPorts, outlets: Outlets, orders: Orders
    ) -> None:
        self._settings = settings
        self._host = host
        self._directory = directory
        self._outlets = outlets
        self._mirror = Mirror(DN.parse(settings.server.dn), directory.saved, int(settings.agent.spare_mib * 2**20))
        self._net = Bulkhead(self._changed)
        self._orders = orders
        self._mode, self._mode_problem = orders.mode(), orders.problem
        writer = WatchedWriter(directory.writer, self._name_missed)
        self._heartbeat = Heartbeat(writer, settings.handover, host.heartbeats)
        self._backfill = Backfill(self._mirror, directory.reader, settings.directory, self._reconcile, self._read_anew)
        self._intake = Intake(self._mirror, self._net, self._backfill.want_anew)
        self._deps = self._handover_deps(settings, host, directory.reader, writer)
        self._pool = WorkerPool(host, settings, self._deps, self._changed)
        self._clusters = AutoFailover(self._deps, self._pool, Attempts(settings.agent))
        self._conflicts = AddressConflicts(host, self._deps, lambda: self._pool.workers, self._changed)
        self._connection = ConnectionState("connecting", time.time(), "")
        self._reconciled: Snapshot | None = None
        self._name = DN.parse(settings.server.dn)
        self._problems: tuple[Problem, ...] = ()
        self._said: dict[str, list[str]] = {}
        self._dirty = asyncio.Event()
        self._resumed = False

    async def run(self) -> None:
        """Keep this server as the directory wishes it."""
        self._conflicts.links_changed()
        self._host.addresses.watch(self._conflicts.links_changed)
        self._host.addresses.watch(self._pool.nudge_drifted)
        self._host.addresses.watch(self._try_directory)
        self._host.addresses.watch(self._changed)
        self._host.units.watch(self._pool.nudge_units)
        self._host.sets.watch(self._sets_changed)
        self._outlets.notifier.ready("connecting to the directory")
        try:
            async with asyncio.TaskGroup() as group:
                self._pool.begin(group)
                for part in self._parts():
                    group.create_task(self._net.kept_running(part))
        finally:
            await self._store_now()

    def _parts(self) -> Iterator[Callable[[], Awaitable[None]]]:
        """What goes on beside each other, without an end."""
        yield self._follow
        yield lambda: self._heartbeat.run(self._my_dn, self._my_status, self._search_anew, self._beats)
        yield self._conflicts.run
        yield self._check_clusters
        yield self._apply_mode
        yield self._backfill.run
        yield self._tell
        yield self._store
        if self._outlets.alive_s:
            yield self._stay_alive

    async def _follow(self) -> None:
        async for batch in self._directory.feed.batches():
            started = time.monotonic_ns()
            self._intake.take(batch)
            with self._net.under("heartbeats"):
                self._note(batch, started)
                await self._take_own_heartbeats(batch)
            self._reconcile()

    async def _take_own_heartbeats(self, batch: Sequence[SyncEvent]) -> None:
        """Take this server's own heartbeats out of a batch."""
        for event in batch:
            if isinstance(event, Upsert) and self._is_my_status(event.entry):
                if self._backfill.stamped(event.entry.csn):
                    self._changed()
                had_begun, was_current = self._heartbeat.has_begun, self._heartbeat.is_current(time.monotonic())
                if self._heartbeat.heard(event.entry):
                    self._host.meter.confirmed(self._heartbeat.age_s(time.monotonic()) or 0.0)
                    await self._pool.renew(self._heartbeat.left_s(time.monotonic()))
                    if not was_current:
                        self._pool.nudge_exclusive()
                    if had_begun and not was_current:
                        self._conflicts.on_return()

    def _is_my_status(self, entry: Entry) -> bool:
        return entry.dn == self._name.below(names.STATUS_RDN)

    def _note(self, batch: Sequence[SyncEvent], started: int) -> None:
        """Log what happened to the connection, and keep it for the status."""
        for event in batch:
            match event:
                case Started(uri, fresh):
                    self._backfill.search_started(fresh=fresh)
                    self._resumed = not fresh
                    self._connected("refreshing", uri)
                    self._host.meter.searched()
                    _log.info("search started", extra={"fields": {"uri": uri, "fresh": fresh}})
                case RefreshDone():
                    if self._resumed and not self._mirror.finds(self._name):
                        self._mirror.distrust(_WITHOUT_ME)
                    self._backfill.refreshed()
                    self._connected("refreshing" if self._mirror.doubt else "current", self._connection.detail)
                    _log.info("refresh complete", extra={"fields": {"entries": len(self._mirror)}})
                case SearchLost(reason):
                    if self._connected("lost", reason):
                        _log.warning("directory lost", extra={"fields": {"reason": reason}})
                case Upsert(entry) if self._connection.state == "current" and not self._is_my_status(entry):
                    fields = {"dn": str(entry.dn), "csn": entry.csn, "at_ns": started}
                    _log.debug("change seen", extra={"fields": fields})
                case _:
                    pass

    def _connected(self, state: str, detail: str) -> bool:
        """Keep how the agent stands to the directory; whether that is news."""
        if (state, detail) == (self._connection.state, self._connection.detail):
            return False
        self._connection = ConnectionState(state, time.time(), detail)
        self._changed()
        return True

    def _reconcile(self) -> None:
        """Give every worker its wish from the latest snapshot; nothing happens while the snapshot is the same.

        A defect that it meets changes nothing here: every worker keeps the wish that it has.
        """
        with self._net.under("directory"):
            self._update_goals()

    def _update_goals(self) -> None:
        snapshot = self._mirror.snapshot
        self._backfill.look()
        if snapshot is None or snapshot is self._reconciled or self._backfill.must_read(snapshot):
            return
        self._take_name(snapshot)
        self._backfill.take_links(snapshot)
        self._log_problems(snapshot.problems)
        found = goals(snapshot, scope_of(self._host), self._settings.server.template_sets)
        self._reconciled = snapshot
        if found is not None and snapshot.me is not None:
            me = snapshot.me.uuid
            absent = self._pool.want(found, self._mirror.__contains__)
            self._pool.confirm(absent, lambda goal: self._is_gone(me, goal))
        self._changed()

    def _take_name(self, snapshot: Snapshot) -> None:
        """Search for this server's own status by the name that it has now."""
        if snapshot.me is not None and snapshot.me.dn != self._name:
            self._name = snapshot.me.dn
            self._search_anew()

    def _my_dn(self) -> DN:
        return self._name

    def _search_anew(self) -> None:
        self._directory.feed.restart(search_filter(self._name))

    def _name_missed(self) -> None:
        """A write met a name that does not exist: it may be outdated."""
        self._backfill.check_names()

    def _try_directory(self) -> None:
        """An interface changed: a server that was cut off has to hear at once what has become of its services."""
        if self._connection.state == "lost":
            self._directory.feed.hurry()
            self._heartbeat.beat_soon()

    def _beats(self) -> None:
        """The heartbeat began or ceased to be written: where it can be, the search can be, too; or a clone is heard."""
        if not self._heartbeat.problem:
            self._directory.feed.hurry()
        self._pool.nudge_exclusive()
        self._changed()

    def _my_status(self) -> dict[str, list[str]]:
        problems = (*self._all_problems(), *self._heartbeat.clones)
        return status_entry(self._pool.workers, problems, self._mode)

    def _all_problems(self) -> tuple[Problem, ...]:
        """What somebody should look at, but for services that say so themselves."""
        mode = (Problem("mode", self._mode_problem),) if self._mode_problem else ()
        here = (*self._pool.problems, *self._conflicts.problems, *self._net.problems, *mode)
        return *self._problems, *self._backfill.problems, *here

    def _handover_deps(
        self, settings: Settings, host: Host, reader: DirectoryReader, writer: DirectoryWriter
    ) -> HandoverDeps:
        peers = PeerHeartbeats(reader, settings.handover.lease_s)
        return HandoverDeps(
            reader=reader,
            writer=writer,
            heartbeat=self._heartbeat,
            detector=FailureDetector(host, peers, self._heartbeat, settings.handover),
            settings=settings.handover,
            providers=self._providers,
            mode=lambda: self._mode,
            is_up=lambda service: self._pool.is_up(service),
            may_lack_secrets=self._backfill.may_lack_secrets,
        )

    def _providers(self) -> int:
        """How many providers the directory may have; a cookie names those only that have written what is seen here."""
        return max(self._mirror.providers, 2 if self._heartbeat.provider_id else 1)

    async def _check_clusters(self) -> None:
        """What nobody asks for: a fence that holds nothing any more is cleared, and clusters fail over."""
        while True:
            snapshot = self._reconciled
            if snapshot is not None and self._connection.state == "current":
                await self._clusters.look(snapshot)
            await asyncio.sleep(min(self._settings.handover.beat_s, 0.5))

    async def _apply_mode(self) -> None:
        """Follow what a person tells this agent."""
        while True:
            mode = self._orders.mode()
            if self._orders.problem != self._mode_problem:
                self._mode_problem = self._orders.problem
                self._changed()
            if mode is not self._mode:
                _log.info("mode", extra={"fields": {"was": self._mode, "now": mode}})
                self._mode = mode
                self._reconcile_all()
                self._changed()
            await asyncio.sleep(_MODE_EVERY_S)

    async def _is_gone(self, me: EntryUUID, goal: GoalId) -> bool:
        service = service_of(goal)
        if service is not None:
            return await is_unlinked(self._directory.reader, me, service)
        if self._pool.doubting:
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

    def _read_anew(self, reason: str) -> None:
        _log.warning("the directory is read anew", extra={"fields": {"reason": reason}})
        self._directory.feed.restart(search_filter(self._name), fresh=True)

    def _sets_changed(self) -> None:
        """A template set changed on disk: its scope may be another, and what it renders."""
        self._reconcile_all()

    def _reconcile_all(self) -> None:
        self._reconciled = None
        self._reconcile()
        self._pool.nudge_all()

    def _changed(self) -> None:
        self._dirty.set()

    async def _tell(self) -> None:
        """Write the status soon after it changed, once for many changes."""
        while True:
            await self._dirty.wait()
            await asyncio.sleep(_STATUS_DELAY_S)
            self._dirty.clear()
            workers = self._pool.workers
            self._outlets.notifier.status(one_line(self._connection, workers))
            me = self._settings.server.dn
            problems = (*self._all_problems(), *self._heartbeat.problems)
            told = status(me, __version__, self._connection, workers, problems, self._mode)
            if not await self._outlets.file.write(told):
                asyncio.get_running_loop().call_later(self._settings.agent.retry_min_s, self._changed)
            self._host.meter.stand(health(self._connection, workers, problems, self._mode))
            said = self._my_status()
            if said != self._said:
                self._said = said
                self._heartbeat.beat_soon()

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
        if saved is None or not self._intake.is_whole:
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
        except Exception:  # noqa: BLE001 - also for a defect: the worker of the service meets it again, and says so
            return None

    return scope
