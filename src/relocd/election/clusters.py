"""Which member of a cluster should be the active one, and why. Pure.

Members take precedence as follows: those named by `relocPreferred` before all others, and each of the two groups in the
order of names (the values of an attribute have no order). A *taker* is a member that is alive, neither paused nor
drained nor fenced, and on which no service of the cluster has failed.

| the active member | and | another becomes active |
|---|---|---|
| is missing, fenced or dead | there is a living member | the first taker; where each has failed, the first of these |
| is drained | there is a taker | the first taker |
| has failed for a service of the cluster | there is a taker | the first taker |
| serves, and is not preferred | a preferred taker has been ready for `relocFailback` seconds | that one |

In a cluster with `relocFailover: manual` only a drained member is replaced, in one with `external` none. Where every
member has failed, the cluster stays where it is. It also stays once one of the failed services has moved for its health
as often as it may (`health_moves_spent`). Nothing falls back while a service of the cluster is being handed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from relocd.election.observation import Life
from relocd.model.entries import Cluster, EntryUUID, Failover, Server
from relocd.model.status import Mode

__all__ = ["ClusterView", "Member", "Succession", "Vacancy", "precedence", "succession"]


class Vacancy(StrEnum):
    """Why a cluster should have another active member."""

    MISSING = "missing"
    FENCED = "fenced"
    DEAD = "dead"
    DRAINED = "drained"
    FAILED = "failed"
    FAILBACK = "failback"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a cluster, as one server sees it.

    `mode` is that of its agent. `failed` are the names of the cluster's services that have failed there. `ready_s`:
    for how long it has been ready to run all of them, under the same active member; None where that is not known.
    """

    server: EntryUUID
    name: str
    preferred: bool = False
    life: Life = Life.ALIVE
    mode: str = Mode.NORMAL
    fenced: bool = False
    failed: frozenset[str] = frozenset()
    ready_s: float | None = None

    @property
    def is_able(self) -> bool:
        """Whether it could become active, healthy or not."""
        return self.life is Life.ALIVE and self.mode == Mode.NORMAL and not self.fenced


@dataclass(frozen=True, slots=True)
class ClusterView:
    """A cluster with exclusive services, as one server sees it.

    `members` are in their order of precedence. `active` is the active member; None where the cluster names none, or one
    without an entry: `missing` says which. It may be no member. `settled`: no service is being handed over.
    """

    failover: Failover
    members: tuple[Member, ...]
    active: Member | None
    missing: str = "no active server"
    failback_s: float | None = None
    settled: bool = True
    health_moves_spent: bool = False


@dataclass(frozen=True, slots=True)
class Succession:
    """Why another member should be active, and which: `takers` in order. The next one acts where one does not."""

    vacancy: Vacancy
    reason: str
    takers: tuple[EntryUUID, ...]


def precedence(cluster: Cluster, members: Iterable[Server]) -> tuple[Server, ...]:
    """The members of a cluster in the order in which they become active."""
    return tuple(sorted(members, key=lambda each: (each.dn not in cluster.preferred, each.dn.key)))


def succession(cluster: ClusterView) -> Succession | None:
    """Who should be active in the place of the active member, None where it stays or where no member can take over."""
    vacancy = _vacancy(cluster)
    if vacancy is None or not _is_replaced(cluster.failover, vacancy):
        return None
    takers = _takers(cluster, vacancy)
    if not takers:
        return None
    return Succession(vacancy, _reason(cluster, vacancy, takers[0]), tuple(each.server for each in takers))


def _vacancy(cluster: ClusterView) -> Vacancy | None:
    active = cluster.active
    if active is None:
        return Vacancy.MISSING
    if active.fenced:
        return Vacancy.FENCED
    if active.life is Life.DEAD:
        return Vacancy.DEAD
    if active.life is Life.SUSPECT or active.mode == Mode.PAUSED:
        return None
    if active.mode == Mode.DRAINED:
        return Vacancy.DRAINED
    if active.failed:
        return None if cluster.health_moves_spent else Vacancy.FAILED
    awaits = cluster.failback_s is not None and cluster.settled and not active.preferred
    return Vacancy.FAILBACK if awaits else None


def _is_replaced(failover: Failover, vacancy: Vacancy) -> bool:
    if failover is Failover.MANUAL:
        return vacancy is Vacancy.DRAINED
    return failover is Failover.AUTOMATIC


def _takers(cluster: ClusterView, vacancy: Vacancy) -> list[Member]:
    active = None if cluster.active is None else cluster.active.server
    able = [each for each in cluster.members if each.is_able and each.server != active]
    healthy = [each for each in able if not each.failed]
    match vacancy:
        case Vacancy.MISSING | Vacancy.FENCED | Vacancy.DEAD:
            return healthy or able  # a sick service beats none
        case Vacancy.FAILBACK:
            return [each for each in healthy if each.preferred and _is_ready(each, cluster.failback_s)]
        case _:
            return healthy


def _is_ready(member: Member, failback_s: float | None) -> bool:
    return failback_s is not None and member.ready_s is not None and member.ready_s >= failback_s


def _reason(cluster: ClusterView, vacancy: Vacancy, taker: Member) -> str:
    active = cluster.active
    if active is None:
        return cluster.missing
    match vacancy:
        case Vacancy.FAILED:
            return f"{', '.join(sorted(active.failed))} failed on {active.name}"
        case Vacancy.FAILBACK:
            return f"{taker.name} is preferred and has been ready for {cluster.failback_s:g} s"
        case _:
            return f"{active.name} is {vacancy}"
