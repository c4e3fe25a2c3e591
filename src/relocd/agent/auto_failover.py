"""Automatic failover of clusters: a member becomes the trigger when another one should be active.

Who should be active, and why, is decided by `relocd.election.clusters`. Here the facts are gathered and the modify is
made, the same single one as any other trigger's. An active member that is drained, or on which a service has failed by
its health, gives the cluster away at once. Anything else is done by the member that takes over, once it finds that it
could run the cluster's services. Each further taker waits a little longer, in case those before it could not.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from relocd.agent.handover.round import HandoverDeps
from relocd.agent.health.readiness import Readiness
from relocd.agent.pauses import Attempts
from relocd.agent.worker_pool import WorkerPool
from relocd.election.clusters import ClusterView, Member, Succession, Vacancy, precedence, succession
from relocd.election.observation import Life
from relocd.errors import RelocdError
from relocd.model import names
from relocd.model.entries import Cluster, EntryUUID, Failover, Server, Snapshot
from relocd.model.status import Mode
from relocd.model.writes import Delete, Done, Modification, swap
from relocd.reconcile.goals import Goal, goal_id

__all__ = ["AutoFailover"]

_log = logging.getLogger(__name__)
_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Case:
    """One cluster of this server, as the directory shows it; `goals` are those of its exclusive services."""

    snapshot: Snapshot
    me: Server
    cluster: Cluster
    goals: tuple[Goal, ...]

    @property
    def active(self) -> EntryUUID | None:
        """The active member; None where the cluster names none, or one without an entry."""
        return None if self.cluster.active is None else self.snapshot.names.get(self.cluster.active)

    @property
    def is_mine(self) -> bool:
        """Whether this server is the active member."""
        return self.active == self.me.uuid

    @property
    def concerns_me(self) -> bool:
        """Whether this server may have something to do: only an active member acts where failover is manual."""
        unknown = self.active is not None and self.active not in self.snapshot.servers
        return bool(self.goals) and not unknown and (self.is_mine or self.cluster.failover is Failover.AUTOMATIC)

    @property
    def is_complete(self) -> bool:
        """Whether every service of the cluster is known here."""
        services = self.snapshot.targets(self.cluster.service_links)
        exclusive = [
            each for each in services if each in self.snapshot.services and self.snapshot.services[each].exclusive
        ]
        return services <= self.snapshot.services.keys() and len(exclusive) == len(self.goals)

    @property
    def is_settled(self) -> bool:
        """Whether no service of the cluster is being handed over."""
        states = [goal.ownership.state if goal.ownership else None for goal in self.goals]
        return all(state is not None and state.asking is None and state.previous is None for state in states)


class AutoFailover:
    """The clusters of this server, and its own fence."""

    def __init__(self, deps: HandoverDeps, pool: WorkerPool, attempts: Attempts) -> None:
        self._deps = deps
        self._pool = pool
        self._attempts = attempts
        self._readiness = Readiness(gap_s=deps.settings.lease_s, least_s=deps.settings.beat_s)
        self._due_since: dict[EntryUUID, tuple[Vacancy, float]] = {}
        self._wake = asyncio.Event()
        deps.failures.watch(lambda _: self._wake.set())

    async def run(self, current: Callable[[], Snapshot | None]) -> None:
        """Check again and again, at once when a service has failed here; not while `current` has no snapshot."""
        while True:
            self._wake.clear()
            if (snapshot := current()) is not None:
                await self.check(snapshot)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(self._deps.settings.beat_s, _EVERY_S)):
                    await self._wake.wait()

    async def check(self, snapshot: Snapshot) -> None:
        """Do what is due for this server's fence, and for every cluster that it belongs to."""
        await self._unfence(snapshot)
        me = snapshot.me
        if me is None or self._deps.state.mode is Mode.PAUSED or not self._deps.heartbeat.is_current(time.monotonic()):
            self._readiness.none_ready()
            return
        for cluster in snapshot.clusters_of(me):
            case = _Case(snapshot, me, cluster, tuple(self._goals(snapshot, cluster)))
            self._readiness.note_active(cluster, is_me=case.is_mine)
            due = await self._due(case) if case.concerns_me else None
            if due is None:
                self._due_since.pop(cluster.uuid, None)
                self._attempts.done(cluster.uuid)
            elif case.is_mine:
                await self._set(case, due.takers[0], due)
            else:
                await self._take(case, due)

    async def _take(self, case: _Case, due: Succession) -> None:
        """Make this server active, once it is its turn and it could run the services."""
        uuid, now = case.cluster.uuid, time.monotonic()
        vacancy, since = self._due_since.get(uuid, (due.vacancy, now))
        self._due_since[uuid] = due.vacancy, since if vacancy is due.vacancy else now
        if now - self._due_since[uuid][1] < self._turn_s(case, due):
            return
        if not await self._could_serve(case):
            self._readiness.not_ready(case.cluster)
        elif await self._set(case, case.me.uuid, due) and due.vacancy is Vacancy.FAILBACK:
            self._readiness.failed_back(case.cluster)

    def _turn_s(self, case: _Case, due: Succession) -> float:
        """How long this server leaves it to those before it.

        Each member learns of a failure from a heartbeat, and so up to one beat later than another. The failed active
        member itself is before all of them.
        """
        rank = due.takers.index(case.me.uuid)
        return self._deps.settings.beat_s * (1 + 2 * rank if due.vacancy is Vacancy.FAILED else rank)

    async def _due(self, case: _Case) -> Succession | None:
        """What is due, and may be done by this server.

        Where it is not the active member, the others are asked for only if it would take over without them: members of
        a large cluster would read much for nothing.
        """
        view = await self._view(case)
        alone = succession(replace(view, members=(self._me(case, view.active),)))
        if alone is None and not case.is_mine:
            return None
        ordered = precedence(case.cluster, case.snapshot.members(case.cluster))
        members = [await self._member(case, each, view.active) for each in ordered]
        due = succession(replace(view, members=tuple(members)))
        return due if due is not None and (case.is_mine or case.me.uuid in due.takers) else None

    async def _view(self, case: _Case) -> ClusterView:
        """The cluster and its active member, without the other members."""
        named, active = case.cluster.active, await self._active(case)
        failed = [goal for goal in case.goals if active is not None and goal.name in active.failed]
        return ClusterView(
            case.cluster.failover,
            members=(),
            active=active,
            missing="no active server" if named is None else f"{named.name} does not exist",
            failback_s=self._readiness.required_s(case.cluster),
            settled=case.is_settled,
            health_moves_spent=any(self._deps.moves.is_spent(goal.id) for goal in failed),
        )

    async def _active(self, case: _Case) -> Member | None:
        """The active member; of one that is not normal only its own agent knows what follows."""
        if case.active is None:
            return None
        if case.is_mine:
            return self._me(case, None)
        server = case.snapshot.servers[case.active]
        life = Life.DEAD if server.fenced else await self._life(case, server.uuid)
        takes = await self._takes_over(case, server.uuid)
        found = await self._as_published(case, server)
        return replace(found, life=life, mode=Mode.NORMAL if takes or life is not Life.ALIVE else Mode.PAUSED)

    async def _life(self, case: _Case, server: EntryUUID) -> Life:
        """Dead is a holder that is dead for a service that it holds, and a member that holds none and is silent.

        Silent is one that has certainly left no heartbeat for its lease, not one that only seems so.
        """
        held = [goal for goal in case.goals if _holder(goal) == server]
        verdicts = [await self._deps.detector.judge(goal, [server], 0.0, wire=True) for goal in held or case.goals[:1]]
        lives = {verdict.lives[server] for verdict in verdicts}
        silent = not held and Life.ALIVE not in lives and await self._deps.detector.is_silent(case.goals[0], server)
        if Life.DEAD in lives or silent:
            return Life.DEAD
        return Life.SUSPECT if Life.SUSPECT in lives else Life.ALIVE

    async def _member(self, case: _Case, server: Server, active: Member | None) -> Member:
        if server.uuid == case.me.uuid:
            return self._me(case, active)
        alive = await self._takes_over(case, server.uuid)
        return replace(await self._as_published(case, server), life=Life.ALIVE if alive else Life.SUSPECT)

    async def _as_published(self, case: _Case, server: Server) -> Member:
        """Another server, by what its agent publishes."""
        failed = [goal.name for goal in case.goals if await self._deps.detector.has_failed(goal, server.uuid)]
        preferred = server.dn in case.cluster.preferred
        return Member(server.uuid, server.name, preferred, fenced=server.fenced, failed=frozenset(failed))

    def _me(self, case: _Case, active: Member | None) -> Member:
        """The member that this server is, by what it knows itself."""
        me, failures = case.me, self._deps.failures
        failed = frozenset(goal.name for goal in case.goals if failures.failed(goal.id) is not None)
        preferred = me.dn in case.cluster.preferred
        member = Member(me.uuid, me.name, preferred, mode=self._deps.state.mode, fenced=me.fenced, failed=failed)
        lacks = not case.is_complete or any(self._pool.has_problems(goal.id) for goal in case.goals)
        if active is None or case.is_mine or not member.is_able or failed or lacks:
            self._readiness.not_ready(case.cluster)
            return member
        return replace(member, ready_s=self._readiness.ready_s(case.cluster, active.server))

    async def _takes_over(self, case: _Case, server: EntryUUID) -> bool:
        return await self._deps.detector.takes_over(case.goals[0], server)

    async def _could_serve(self, case: _Case) -> bool:
        return all([await self._pool.could_serve(goal.id) for goal in case.goals])

    def _goals(self, snapshot: Snapshot, cluster: Cluster) -> list[Goal]:
        """The goals of the exclusive services of a cluster."""
        all_wanted = (self._pool.wanted(goal_id(uuid)) for uuid in sorted(snapshot.targets(cluster.service_links)))
        return [wanted for wanted in all_wanted if isinstance(wanted, Goal) and wanted.ownership is not None]

    async def _set(self, case: _Case, to: EntryUUID, due: Succession) -> bool:
        """Make a member active; whether that is done."""
        cluster, server = case.cluster, case.snapshot.servers[to]
        if not self._attempts.is_due(cluster.uuid):
            return False
        old = None if cluster.active is None else cluster.active.text.encode()
        fields = {"cluster": cluster.name, "active": server.name, "reason": due.reason}
        write = Modification(cluster.dn, swap(names.ACTIVE, old, server.dn.text.encode()))
        if problem := await self._write(cluster.uuid, write):
            _log.warning("cannot make another server active", extra={"fields": fields | {"problem": problem}})
        else:
            _log.info("cluster fails over", extra={"fields": fields})
        return not problem

    async def _unfence(self, snapshot: Snapshot) -> None:
        """Clear this server's own fence once the directory shows that it holds nothing any more."""
        me = snapshot.me
        if me is not None and not me.fenced:
            self._attempts.done(me.uuid)
        if me is None or not me.fenced or self._deps.state.mode is Mode.PAUSED or snapshot.held_by(me):
            return
        if not self._attempts.is_due(me.uuid):
            return
        fields = {"server": me.name}
        write = Modification(me.dn, (Delete(names.FENCED, (b"TRUE",)),))
        if not (problem := await self._write(me.uuid, write)):
            _log.info("fence cleared: this server holds nothing", extra={"fields": fields})
        else:
            _log.warning("cannot clear the fence", extra={"fields": fields | {"problem": problem}})

    async def _write(self, entry: EntryUUID, write: Modification) -> str:
        """Write once; why it is not done, empty when it is. What is not gets the next try after a growing pause."""
        try:
            outcome = await self._deps.writer.apply(write)
        except RelocdError as error:
            problem = str(error)
        else:
            problem = "" if isinstance(outcome, Done) else getattr(outcome, "reason", str(outcome))
        if problem:
            self._attempts.failed(entry)
        else:
            self._attempts.done(entry)
        return problem


def _holder(goal: Goal) -> EntryUUID | None:
    """Who the state of a service says holds it."""
    return goal.ownership.state.holder if goal.ownership is not None and goal.ownership.state is not None else None
