"""The agent: events of the directory in, goals to the workers out, and the status of all of it.

Everything runs in one event loop. A cycle converges on the latest snapshot, not on each event. What the snapshot does
not know stays as it is. What it does not link any more is left only after a direct read has confirmed that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from relocd import __version__
from relocd.agent.address_conflicts import AddressConflicts
from relocd.agent.auto_failover import AutoFailover
from relocd.agent.bulkhead import Bulkhead, Intake
from relocd.agent.convergence.host import Host, sets_of
from relocd.agent.directory.absence_check import is_unlinked
from relocd.agent.directory.backfill import Backfill, WatchedWriter
from relocd.agent.handover.round import handover_deps
from relocd.agent.health.monitor import HealthMonitor
from relocd.agent.history.health_records import HealthRecords
from relocd.agent.history.history import History
from relocd.agent.history.notifications import Notifications
from relocd.agent.liveness.heartbeat import Heartbeat
from relocd.agent.logs import log_problems
from relocd.agent.pauses import Attempts
from relocd.agent.shared_state import SharedState
from relocd.agent.status_report import ConnectionState, health, one_line, status, status_entry
from relocd.agent.worker_pool import WorkerPool
from relocd.errors import RelocdError, Unavailable
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID, Problem, Snapshot
from relocd.model.parse import search_filter
from relocd.model.settings import Settings
from relocd.model.status import StatusReport
from relocd.ports.directory import Cache, DirectoryReader, DirectoryWriter, Feed, HistoryStore
from relocd.ports.reports import Notifier, NotifyTarget, Orders, StatusFile
from relocd.reconcile.goals import GoalId, GoalMaker, service_of
from relocd.sync.mirror import Mirror
from relocd.sync.saved import Saved
from relocd.sync.session import RefreshDone, SearchLost, Started, SyncEvent, Upsert

__all__ = ["Agent", "DirectoryPorts", "Outlets"]

_log = logging.getLogger(__name__)
_STORE_EVERY_S = 300.0
_STATUS_DELAY_S = 0.05
_STATUS_SHARE = 20  # between two statuses this many times the time that one takes
_WITHOUT_ME = "a search from a cookie has not brought this server's own entry, which may be older than the cookie"
_MODE_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class DirectoryPorts:
    """The agent's connections to the directory; `saved` is the content that the feed resumes from, None for none."""

    feed: Feed
    reader: DirectoryReader
    writer: DirectoryWriter
    cache: Cache
    saved: Saved | None
    history: HistoryStore


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where the agent reports its status; `alive_s` is how often the service manager wants to hear, 0 for never.

    `targets` are told what happens.
    """

    file: StatusFile
    notifier: Notifier
    alive_s: float
    targets: tuple[NotifyTarget, ...] = ()


class Agent:
    """One server's agent; `run` works until it is cancelled, and then leaves everything as it is.

    `failures` are the services that count as failed here by their health; who checks them says so there.
    """

    def __init__(
        self, settings: Settings, host: Host, directory: DirectoryPorts, outlets: Outlets, orders: Orders
    ) -> None:
        self._settings = settings
        self._host = host
        self._name = DN.parse(settings.server.dn)
        self._directory = directory
        self._outlets = outlets
        self._orders = orders
        self._state = SharedState(mode=orders.mode())
        self._mode_problem = orders.problem
        self._mirror = Mirror(DN.parse(settings.server.dn), directory.saved, int(settings.agent.spare_mib * 2**20))
        self._net = Bulkhead(self._changed)
        self._backfill = Backfill(
            self._mirror, directory.reader, settings.directory, self._state, self._reconcile, self._read_all
        )
        self._intake = Intake(self._mirror, self._net, self._backfill.request_full_read)
        writer = WatchedWriter(directory.writer, self._backfill)
        self._heartbeat = Heartbeat(writer, settings.handover, host.heartbeats)
        self._notifications = Notifications(outlets.targets, settings.notify.events, host.meter, self._my_dn)
        self._history = History(directory.history, host.meter, self._my_dn, self._notifications.tell_record)
        deps = handover_deps(
            settings.handover, host, directory.reader, writer, self._heartbeat, self._state, self._history
        )
        self.failures = deps.failures
        self.failures.watch(HealthRecords(self._history, self.failures, self._service_dn).changed)
        self._moves = deps.moves
        self._pool = WorkerPool(host, settings, deps, self._changed)
        self._health = HealthMonitor(host, settings.health, self._pool, deps.failures, self._state, self._changed)
        self._failover = AutoFailover(deps, self._pool, Attempts(settings.agent))
        self._conflicts = AddressConflicts(host, deps, self._pool, self._changed)
        self._connection = ConnectionState("connecting", time.time(), "")
        self._maker = GoalMaker(sets_of(host), settings.server.template_sets)
        self._reconciled: Snapshot | None = None
        self._problems: tuple[Problem, ...] = ()
        self._published: StatusReport | None = None
        self._dirty = asyncio.Event()
        self._resumed = False
        self._count_providers()

    async def run(self) -> None:
        """Keep this server in the state that the directory describes."""
        self._conflicts.links_changed()
        self._host.addresses.watch(self._conflicts.links_changed)
        self._host.addresses.watch(self._pool.nudge_drifted)
        self._host.addresses.watch(self._try_directory)
        self._host.addresses.watch(self._changed)
        self._host.units.watch(self._pool.nudge_units)
        self._host.sets.watch(self._reconcile_all)  # a changed set may have another scope, and renders something else
        self._outlets.notifier.ready("connecting to the directory")
        try:
            async with asyncio.TaskGroup() as group:
                self._pool.begin(group)
                for part in self._parts():
                    group.create_task(self._net.kept_running(part))
        finally:
            await self._store_now()

    def _parts(self) -> Iterator[Callable[[], Awaitable[None]]]:
        """The parts that run beside each other for ever."""
        yield self._follow
        yield self._beat
        yield self._conflicts.run
        yield self._watch_clusters
        yield self._health.run
        yield self._moves.run
        yield self._apply_mode
        yield self._backfill.run
        yield self._publish
        yield self._history.run
        if self._outlets.targets:
            yield self._notifications.run
        yield self._store
        if self._outlets.alive_s:
            yield self._stay_alive

    # The directory's events.

    async def _follow(self) -> None:
        async for batch in self._directory.feed.batches():
            started = time.monotonic_ns()
            self._intake.take(batch)
            with self._net.under("heartbeats"):
                self._count_providers()
                self._note(batch, started)
                await self._take_own_heartbeats(batch)
            self._reconcile()

    def _count_providers(self) -> None:
        """Count the providers; the cookie names only those that have written what this server sees."""
        self._state.providers = max(self._mirror.providers, 2 if self._heartbeat.provider_id else 1)

    async def _take_own_heartbeats(self, batch: Sequence[SyncEvent]) -> None:
        for event in batch:
            if isinstance(event, Upsert) and self._is_my_status(event.entry):
                if self._backfill.stamped(event.entry.csn):
                    self._changed()
                had_begun, was_current = self._heartbeat.has_begun, self._heartbeat.is_current(time.monotonic())
                if self._heartbeat.confirm(event.entry, self._mirror.snapshot):
                    self._count_providers()
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
                    self._heartbeat.search_started()
                    self._resumed = not fresh
                    self._connected("refreshing", uri)
                    self._host.meter.searched()
                    _log.info("search started", extra={"fields": {"uri": uri, "fresh": fresh}})
                case RefreshDone():
                    if self._resumed and not self._mirror.finds(self._name):
                        self._mirror.distrust(_WITHOUT_ME)
                    self._backfill.refreshed()
                    self._heartbeat.refreshed(self._mirror.snapshot)
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
        """Keep the state of the connection; whether it has changed."""
        if (state, detail) == (self._connection.state, self._connection.detail):
            return False
        self._connection = ConnectionState(state, time.time(), detail)
        self._changed()
        return True

    # Goals for the workers.

    def _reconcile(self) -> None:
        """Give every worker its goal by the latest snapshot; nothing happens while the snapshot is the same.

        A defect met here changes nothing: every worker keeps the goal that it has.
        """
        with self._net.under("directory"):
            self._update_goals()

    def _update_goals(self) -> None:
        snapshot = self._mirror.snapshot
        self._backfill.check_mirror()
        if snapshot is None or snapshot is self._reconciled or self._backfill.must_read(snapshot):
            return
        self._take_name(snapshot)
        self._backfill.take_links(snapshot)
        asyncio.get_running_loop().call_soon(self._note_causes, snapshot)  # the workers come first
        log_problems(self._problems, snapshot.problems)
        self._problems = snapshot.problems
        found = self._maker.make(snapshot)
        self._reconciled = snapshot
        if found is not None and snapshot.me is not None:
            absent = self._pool.want(found, self._mirror.__contains__)
            self._pool.confirm(absent, partial(self._is_gone, snapshot.me.uuid))
        self._changed()

    def _reconcile_all(self) -> None:
        self._reconciled = None
        self._maker.forget()
        self._reconcile()
        self._pool.nudge_all()
        self._health.restart_checks()

    async def _is_gone(self, me: EntryUUID, goal: GoalId) -> bool:
        """Whether a direct read confirms that this server has no link to a goal; raises `Unavailable` in doubt."""
        service = service_of(goal)
        if service is not None:
            return await is_unlinked(self._directory.reader, me, service)
        if self._pool.doubting:
            raise Unavailable("a service that may need it seems not to be linked any more, which is not confirmed yet")
        return True

    def _take_name(self, snapshot: Snapshot) -> None:
        """Search for this server's own status by the name that it has now."""
        if snapshot.me is not None and snapshot.me.dn != self._name:
            self._name = snapshot.me.dn
            self._restart_search()

    def _restart_search(self) -> None:
        self._directory.feed.restart(search_filter(self._name))

    def _read_all(self, reason: str) -> None:
        _log.warning("reading the whole directory again", extra={"fields": {"reason": reason}})
        self._directory.feed.restart(search_filter(self._name), fresh=True)

    def _try_directory(self) -> None:
        """An interface changed: after an outage the first thing to learn is what has become of the services."""
        if self._connection.state == "lost":
            self._directory.feed.hurry()
            self._heartbeat.beat_soon()

    async def _beat(self) -> None:
        await self._heartbeat.run(self._my_dn, self._my_status, self._restart_search, self._heartbeat_changed)

    def _my_dn(self) -> DN:
        return self._name

    def _heartbeat_changed(self) -> None:
        """React to a heartbeat that can be written, cannot be written, or is a clone's."""
        if not self._heartbeat.problem:  # where it can be written, the search can run as well
            self._directory.feed.hurry()
        self._pool.nudge_exclusive()
        self._changed()

    async def _watch_clusters(self) -> None:
        """Fail clusters over, and clear this server's own fence once it holds nothing."""
        await self._failover.run(lambda: self._reconciled if self._connection.state == "current" else None)

    async def _apply_mode(self) -> None:
        """Follow `relocd pause`, `relocd drain`, `relocd resume` and `relocd retry`."""
        while True:
            mode = self._orders.mode()
            if self._orders.problem != self._mode_problem:
                self._mode_problem = self._orders.problem
                self._changed()
            self._pool.retry(self._orders.retries())
            if mode is not self._state.mode:
                _log.info("mode", extra={"fields": {"was": self._state.mode, "now": mode}})
                self._state.mode = mode
                self._reconcile_all()
                self._changed()
            await asyncio.sleep(_MODE_EVERY_S)

    # The status.

    def _changed(self) -> None:
        self._dirty.set()
        self._health.woken.set()

    async def _publish(self) -> None:
        """Write the status soon after it changed, once for many changes; of many services less often."""
        took_s = 0.0
        while True:
            await self._dirty.wait()
            await asyncio.sleep(max(_STATUS_DELAY_S, took_s * _STATUS_SHARE))
            self._dirty.clear()
            workers, mode, checks = self._pool.workers, self._state.mode, self._health.server.judgements
            began = time.monotonic()
            self._outlets.notifier.status(one_line(self._connection, workers))
            problems = (*self._all_problems(), *self._heartbeat.problems)
            whole = status(self._settings.server.dn, __version__, self._connection, workers, problems, mode, checks)
            if not await self._outlets.file.write(whole):
                asyncio.get_running_loop().call_later(self._settings.agent.retry_min_s, self._changed)
            said = status_entry(workers, problems, mode, self.failures.failed)
            self._notifications.take_problems(said.problems)
            self._host.meter.stand(health(self._connection, workers, problems, mode, checks))
            entry = self._my_status()
            if entry != self._published:
                self._published = entry
                self._heartbeat.beat_soon()
            took_s = time.monotonic() - began

    def _my_status(self) -> StatusReport:
        problems = (*self._all_problems(), *self._heartbeat.clones)
        return status_entry(self._pool.workers, problems, self._state.mode, self.failures.failed)

    def _note_causes(self, snapshot: Snapshot) -> None:
        with self._net.under("history"):
            self._history.causes.note(snapshot)

    def _service_dn(self, service: EntryUUID) -> DN | None:
        found = None if self._reconciled is None else self._reconciled.services.get(service)
        return None if found is None else found.dn

    def _all_problems(self) -> tuple[Problem, ...]:
        """The problems that no worker reports itself."""
        mode = (Problem("mode", self._mode_problem),) if self._mode_problem else ()
        here = (*self._pool.problems, *self._conflicts.problems, *self._net.problems, *self._health.problems, *mode)
        return *self._problems, *self._backfill.problems, *here

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
