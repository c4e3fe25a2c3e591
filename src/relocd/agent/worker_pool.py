"""The workers of a server: one for each goal that is wanted or has left something here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable

from relocd.agent.bulkhead import Bulkhead
from relocd.agent.convergence.host import Host
from relocd.agent.directory.absence_check import absence_doubt
from relocd.agent.handover.round import HandoverDeps
from relocd.agent.pauses import Pace, Throttle
from relocd.agent.worker import Leave, Worker
from relocd.errors import RelocdError
from relocd.model.entries import EntryUUID, Problem
from relocd.model.settings import Settings
from relocd.model.status import Mode
from relocd.reconcile.desired import Footprint
from relocd.reconcile.goals import Goal, GoalId, Goals, service_of

__all__ = ["WorkerPool"]

_log = logging.getLogger(__name__)
_LOOK_EVERY_S = 0.05


class WorkerPool:
    """Workers by goal. Those for what an earlier run left here exist from the start, before they have a goal."""

    def __init__(self, host: Host, settings: Settings, deps: HandoverDeps, changed: Callable[[], None]) -> None:
        self._host = host
        self._settings = settings
        self._deps = deps
        self._pace = Pace(settings.agent, settings.wire)
        self._changed = changed
        self._workers: dict[GoalId, Worker] = {}
        self._tasks: dict[GoalId, asyncio.Task[None]] = {}
        self._confirming: dict[GoalId, asyncio.Task[None]] = {}
        self._given: dict[GoalId, Goal] = {}  # by worker, the last goal of a snapshot
        self._absent: frozenset[GoalId] = frozenset()
        self._unconfirmed: dict[GoalId, str] = {}
        self._failed_back: dict[GoalId, Problem] = {}
        self._group: asyncio.TaskGroup | None = None
        self._adopted = False
        self._net = Bulkhead(changed)
        self._drift = Throttle(self._nudge_drifted, _LOOK_EVERY_S)
        self._unit_news = Throttle(self._nudge_units, _LOOK_EVERY_S)

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Every worker, for the status."""
        return tuple(self._workers.values())

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What keeps a service here that does not seem to be linked any more, and why others were given back."""
        named = ((self._workers[goal].name, why) for goal, why in self._unconfirmed.items() if goal in self._workers)
        staying = (Problem(name, f"seems not to be linked any more, but stays: {why}") for name, why in named)
        failed = self._deps.moves.problem
        here = ((each.name, (each.failed_back, each.withdrawn, failed(each.goal))) for each in self.workers)
        noted = (Problem(name, why) for name, reasons in here for why in reasons if why)
        server = [Problem("server", why)] if (why := self._deps.failures.server) else []
        return *staying, *noted, *server, *self._failed_back.values(), *self._net.problems

    @property
    def doubting(self) -> bool:
        """Whether a service that has something here seems not to be linked any more and that is not confirmed yet."""
        absent = (self._workers[goal] for goal in self._absent if goal in self._workers and service_of(goal))
        return any(not isinstance(worker.wanted, Leave) for worker in absent)

    def begin(self, group: asyncio.TaskGroup) -> None:
        """Start the workers for what the ledger says was left here."""
        self._group = group
        self._host.claims.watch(self._nudge)
        self._deps.failures.watch(self._on_health)
        for goal, footprint in self._host.claims.adopt(self._host.ledger.all()).items():
            self._spawn(goal, footprint)

    def want(self, goals: Goals, exists: Callable[[EntryUUID], bool]) -> frozenset[GoalId]:
        """Give the workers their goals; returns the goals that have something here and no link.

        `exists` says whether the directory has an entry of that identity.
        """
        self._absent = goals.absent(self._workers)
        for name, error in goals.defects.items():
            self._net.take(name, error)
        for goal in goals.wanted.values():
            if self._given.get(goal.id) is not goal:
                with self._net.under(goal.name):
                    self._give(goal, goals, exists)
        for here in self._unconfirmed.keys() - self._absent:
            del self._unconfirmed[here]
        self._failed_back = {
            goal: why for goal, why in self._failed_back.items() if (service := service_of(goal)) and exists(service)
        }
        for here in self._confirming.keys() - self._absent:
            self._confirming.pop(here).cancel()  # so that the next absence is asked about at once
        if not self._adopted and goals.complete and self._deps.state.mode is not Mode.PAUSED:
            self._adopted = True
            self._start(self._drop_orphans(goals))
        return self._absent

    def _give(self, goal: Goal, goals: Goals, exists: Callable[[EntryUUID], bool]) -> None:
        """Give a worker its goal, unless what is here of it must stay."""
        worker = self._worker(goal, exists)
        if worker.footprint is None or not goals.in_doubt(goal.id):
            worker.want(goal)
            self._given[goal.id] = goal

    def confirm(self, goals: Iterable[GoalId], is_gone: Callable[[GoalId], Awaitable[bool]]) -> None:
        """Leave the goals of which `is_gone` says that they really have no link; ask again while it cannot say."""
        for goal in goals:
            if goal not in self._confirming:
                self._confirming[goal] = self._start(self._confirm(goal, is_gone))

    def nudge_all(self) -> None:
        """Start a round of every worker: something changed that may matter to any service."""
        for worker in self._workers.values():
            worker.nudge(at_all=True)

    def wanted(self, goal: GoalId) -> Goal | Leave | None:
        """What is wanted of a goal, None where that is not known."""
        worker = self._workers.get(goal)
        return None if worker is None else worker.wanted

    async def could_serve(self, goal: GoalId) -> bool:
        """Whether nothing on this server prevents running a service."""
        worker = self._workers.get(goal)
        return worker is not None and not self._deps.failures.doubt and await worker.could_serve()

    def has_problems(self, goal: GoalId) -> bool:
        """Whether a goal is not as it should be here, or not known to be."""
        worker = self._workers.get(goal)
        return worker is None or bool(worker.report.problems)

    async def renew(self, left_s: float) -> None:
        """Extend what the kernel would drop: the lease has been renewed and lasts that long."""
        await asyncio.gather(*(worker.renew(left_s) for worker in self.workers if worker.has_lease))

    def retry(self, names: Collection[str]) -> None:
        """Try services again whatever failed before, by an administrator's order."""
        for worker in self._workers.values():
            if worker.name in names:
                self._deps.failures.retry(worker.goal)
                worker.nudge(at_all=True)

    def nudge_exclusive(self) -> None:
        """Start a round of every exclusive service: what others know of this server has changed."""
        for worker in self._workers.values():
            if isinstance(worker.wanted, Goal) and worker.wanted.ownership is not None:
                worker.nudge()

    def nudge_units(self) -> None:
        """Start a round where it matters that a unit changed its state; of many changes not after each."""
        self._unit_news.call()

    def nudge_drifted(self) -> None:
        """Start a round where it matters that addresses or interfaces changed; of many changes not after each."""
        self._drift.call()

    def _nudge_units(self) -> None:
        for worker in self._workers.values():
            worker.nudge_if_units_matter()

    def _nudge_drifted(self) -> None:
        for worker in self._workers.values():
            worker.nudge_if_drifted()

    def _nudge(self, goal: GoalId) -> None:
        """Start a round of a goal: no other goal has what it was refused any more."""
        if goal in self._workers:
            self._workers[goal].nudge(at_all=True)

    def _on_health(self, goal: GoalId | None) -> None:
        """Start a round of a goal, or of all: by its health it has failed here, or does not count as failed now."""
        for worker in self.workers:
            if goal in {None, worker.goal}:
                worker.nudge()
        self._changed()

    def _worker(self, goal: Goal, exists: Callable[[EntryUUID], bool]) -> Worker:
        if goal.id in self._workers:
            return self._workers[goal.id]
        former = self._former(goal, exists)
        return self._spawn(goal.id, None) if former is None else self._replace(former, goal.id)

    def _former(self, goal: Goal, exists: Callable[[EntryUUID], bool]) -> Worker | None:
        """The idle worker of an entry of the same name that does not exist any more: it was deleted and added again.

        Its footprint is passed on, so that a directory that was loaded again with new identities interrupts nothing.
        """
        if service_of(goal.id) is None:
            return None
        for absent in self._absent:
            worker, service = self._workers[absent], service_of(absent)
            if service is not None and not exists(service) and worker.name == goal.name and not worker.acting:
                return worker
        return None

    def _replace(self, former: Worker, goal: GoalId) -> Worker:
        """End a worker, and go on under another goal with what it has here."""
        self._absent -= {former.goal}
        self._unconfirmed.pop(former.goal, None)
        del self._workers[former.goal]
        self._given.pop(former.goal, None)
        self._tasks.pop(former.goal).cancel()
        self._host.claims.pass_on(former.goal, goal)
        fields = {"service": former.name, "was": former.goal, "now": goal}
        _log.info("entry was added again; it keeps what it has here", extra={"fields": fields})
        return self._spawn(goal, self._deps.state.footprints.pop(former.goal, None), former.goal)

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        if self._group is None:
            raise RuntimeError("begin comes first")
        task = self._group.create_task(self._ended(work))
        task.add_done_callback(lambda _: work.close())  # one that is cancelled before it begins would complain
        return task

    async def _ended(self, work: Coroutine[None, None, None]) -> None:
        with self._net.under("agent"):
            await work

    def _spawn(self, goal: GoalId, footprint: Footprint | None, heir_of: GoalId | None = None) -> Worker:
        self._failed_back.pop(goal, None)
        worker = Worker(self._host, goal, footprint, self._pace, self._deps, self._changed)
        self._workers[goal] = worker
        self._tasks[goal] = self._start(self._run(worker, heir_of))
        return worker

    async def _run(self, worker: Worker, heir_of: GoalId | None) -> None:
        if heir_of is not None:
            await self._transfer_ledger(worker, heir_of)
        await self._net.kept_running(worker.run, worker.name)
        del self._workers[worker.goal], self._tasks[worker.goal]
        self._given.pop(worker.goal, None)
        self._deps.failures.forget(worker.goal)
        self._deps.moves.forget(worker.goal)
        if worker.failed_back:
            self._failed_back[worker.goal] = Problem(worker.name, worker.failed_back)
        for other in self._workers.values():
            if other.name == worker.name:  # added again while this one left: what it removed was the other's too
                other.nudge()
        self._changed()

    async def _transfer_ledger(self, worker: Worker, heir_of: GoalId) -> None:
        if worker.footprint is None:
            return
        try:
            await self._host.ledger.save(worker.goal, worker.footprint)
            await self._host.ledger.forget(heir_of)
        except RelocdError as error:
            _log.warning("cannot keep the ledger", extra={"fields": {"service": worker.name, "problem": str(error)}})

    async def _confirm(self, goal: GoalId, is_gone: Callable[[GoalId], Awaitable[bool]]) -> None:
        delay_s = self._settings.directory.retry_min_s
        try:
            while goal in self._absent and goal in self._workers:
                why = await absence_doubt(is_gone(goal))
                if why is None:
                    self._leave(goal)
                    return
                self._unconfirmed[goal] = why
                self._changed()
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, self._settings.directory.retry_max_s)
        finally:
            if self._confirming.get(goal) is asyncio.current_task():
                del self._confirming[goal]

    def _leave(self, goal: GoalId) -> None:
        """Leave a goal whose link is gone, unless it came back while the directory was asked."""
        self._unconfirmed.pop(goal, None)
        if goal in self._absent and goal in self._workers:
            self._given.pop(goal, None)
            self._workers[goal].want(Leave("no longer linked"))

    async def _drop_orphans(self, goals: Goals) -> None:
        """Drop addresses that are ours and that no goal and no ledger knows, once, when everything is known."""
        known = {address for goal in goals.wanted.values() for address in goal.addresses}
        known |= {
            placed.address for worker in self.workers if worker.footprint for placed in worker.footprint.addresses
        }
        for held in self._host.addresses.held():
            if held.ours and held.address not in known:
                fields = {"address": str(held.address), "interface": held.interface}
                _log.warning("dropping an address that belongs to no service", extra={"fields": fields})
                try:
                    await self._host.addresses.drop(held.interface, held.address)
                except RelocdError as error:
                    _log.warning("cannot drop the address", extra={"fields": fields | {"problem": str(error)}})
