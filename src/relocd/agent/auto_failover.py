"""Automatic failover of clusters: a member becomes the trigger when the active member is dead.

It makes the same single modify as any other trigger, and only when it is the first, in the order of names, that is
alive and could run the cluster's services; each of the others waits a little longer, in case the first could not. A
drained server hands the clusters in which it is active to another member, whatever triggers their failover otherwise.
"""

from __future__ import annotations

import logging
import time

from relocd.agent.handover.round import HandoverDeps
from relocd.agent.pauses import Attempts
from relocd.agent.worker_pool import WorkerPool
from relocd.election.observation import Life
from relocd.errors import RelocdError
from relocd.model import names
from relocd.model.entries import Cluster, EntryUUID, Failover, Server, Snapshot
from relocd.model.status import Mode
from relocd.model.writes import Delete, Done, Modification, swap
from relocd.reconcile.goals import Goal, goal_id

__all__ = ["AutoFailover"]

_log = logging.getLogger(__name__)


class AutoFailover:
    """The clusters of this server, and its own fence; `check` is called again and again."""

    def __init__(self, deps: HandoverDeps, pool: WorkerPool, attempts: Attempts) -> None:
        self._deps = deps
        self._pool = pool
        self._attempts = attempts
        self._vacant_since: dict[EntryUUID, float] = {}

    async def check(self, snapshot: Snapshot) -> None:
        """Do what is due for this server's fence, and for every cluster that it belongs to."""
        await self._unfence(snapshot)
        me = snapshot.me
        if me is None or self._deps.state.mode is Mode.PAUSED or not self._deps.heartbeat.is_current(time.monotonic()):
            return
        drained = self._deps.state.mode is Mode.DRAINED
        for cluster in snapshot.clusters_of(me):
            active = None if cluster.active is None else snapshot.names.get(cluster.active)
            if active == me.uuid and drained and cluster.failover is not Failover.EXTERNAL:
                await self._give_away(snapshot, me, cluster)
            elif active != me.uuid and cluster.failover is Failover.AUTOMATIC and cluster.service_links:
                await self._check_cluster(snapshot, me, cluster, active, drained=drained)
            else:
                self._attempts.done(cluster.uuid)

    async def _give_away(self, snapshot: Snapshot, me: Server, cluster: Cluster) -> None:
        """Make another member active, the first in the order of names that may take over."""
        others = [member for member in snapshot.members(cluster) if member.uuid != me.uuid]
        takers = [member for member in others if await self._takes_over(snapshot, cluster, member)]
        if takers:
            await self._set(cluster, takers[0], f"{me.name} is drained")

    async def _check_cluster(
        self, snapshot: Snapshot, me: Server, cluster: Cluster, active: EntryUUID | None, *, drained: bool
    ) -> None:
        vacancy = None if drained or me.fenced else await self._vacancy(snapshot, cluster, active)
        if vacancy is None:
            self._vacant_since.pop(cluster.uuid, None)
            self._attempts.done(cluster.uuid)
            return
        since = self._vacant_since.setdefault(cluster.uuid, time.monotonic())
        waits_s = self._deps.settings.beat_s * await self._rank(snapshot, me, cluster, active)
        if time.monotonic() - since >= waits_s and await self._could_serve(snapshot, cluster):
            await self._set(cluster, me, vacancy)

    async def _vacancy(self, snapshot: Snapshot, cluster: Cluster, active: EntryUUID | None) -> str | None:
        """Why the cluster needs another active server, None while it does not."""
        if active is None:
            return "no active server" if cluster.active is None else f"{cluster.active.name} does not exist"
        server = snapshot.servers.get(active)
        if server is None:
            return None
        if server.fenced:
            return f"{server.name} is fenced"
        goals = self._goals(snapshot, cluster)
        held = [
            goal for goal in goals if goal.ownership and goal.ownership.state and goal.ownership.state.holder == active
        ]
        lives = [await self._life(goal, active) for goal in held or goals[:1]]
        dead = Life.DEAD in lives if held else bool(lives) and Life.ALIVE not in lives
        return f"{server.name} is dead" if dead else None

    async def _life(self, goal: Goal, server: EntryUUID) -> Life:
        verdict = await self._deps.detector.judge(goal, [server], 0.0, wire=True)
        return verdict.lives[server]

    async def _rank(self, snapshot: Snapshot, me: Server, cluster: Cluster, active: EntryUUID | None) -> int:
        """How many members that may take over come before this one."""
        before = [each for each in snapshot.members(cluster) if each.dn.key < me.dn.key and each.uuid != active]
        return sum([await self._takes_over(snapshot, cluster, each) for each in before])

    async def _takes_over(self, snapshot: Snapshot, cluster: Cluster, server: Server) -> bool:
        goals = self._goals(snapshot, cluster)
        return bool(goals) and await self._deps.detector.takes_over(goals[0], server.uuid)

    async def _could_serve(self, snapshot: Snapshot, cluster: Cluster) -> bool:
        return all([await self._pool.could_serve(goal.id) for goal in self._goals(snapshot, cluster)])

    def _goals(self, snapshot: Snapshot, cluster: Cluster) -> list[Goal]:
        """The goals of the exclusive services of a cluster."""
        all_wanted = (self._pool.wanted(goal_id(uuid)) for uuid in sorted(snapshot.targets(cluster.service_links)))
        return [wanted for wanted in all_wanted if isinstance(wanted, Goal) and wanted.ownership is not None]

    async def _set(self, cluster: Cluster, to: Server, reason: str) -> None:
        if not self._attempts.is_due(cluster.uuid):
            return
        old = None if cluster.active is None else cluster.active.text.encode()
        fields = {"cluster": cluster.name, "active": to.name, "reason": reason}
        write = Modification(cluster.dn, swap(names.ACTIVE, old, to.dn.text.encode()))
        if not (problem := await self._write(cluster.uuid, write)):
            _log.info("cluster fails over", extra={"fields": fields})
        else:
            _log.warning("cannot make another server active", extra={"fields": fields | {"problem": problem}})

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
