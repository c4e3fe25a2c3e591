"""The pre-flight check of an order: reasons to refuse it, and warnings. Pure.

A modify that names a dead, broken or failing server takes nothing away from the present holder, and takes effect once
that server is well. So a state that may pass is only a warning. An order is refused where it contradicts an earlier
order that is still in force: a fence, a drain, a pause.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from relocd.election.observation import Life
from relocd.model.entries import EntryUUID, Isolation
from relocd.model.status import Mode
from relocd.operator.change.obstacle import Obstacle, ObstacleKind, Proof
from relocd.operator.service_view import ServiceView
from relocd.operator.status.health import ServerRow

__all__ = [
    "Preflight",
    "fence_preflight",
    "lost_preflight",
    "service_preflight",
    "target_preflight",
    "proofs",
    "takes_over",
]


@dataclass(frozen=True, slots=True)
class Preflight:
    """Why an order is refused, and what may prevent or delay it."""

    refusals: tuple[Obstacle, ...] = ()
    warnings: tuple[Obstacle, ...] = ()

    def __add__(self, other: Preflight) -> Preflight:
        return Preflight(self.refusals + other.refusals, self.warnings + other.warnings)


def target_preflight(target: ServerRow, services: Iterable[str]) -> Preflight:
    """The check of a server that is to take over some services, by their cn."""
    return Preflight(tuple(_refusals(target)), tuple(_warnings(target, services)))


def service_preflight(view: ServiceView, target: EntryUUID) -> Preflight:
    """The check of a service that is to move to a server: its holder, candidate and displacing services."""
    return Preflight(warnings=tuple(_obstacles(view, target)))


def lost_preflight(lost: ServerRow) -> Preflight:
    """The check of a server that others are to take over from, where it is not fenced."""
    if lost.server.fenced or not lost.is_silent:
        return Preflight()
    return Preflight(warnings=(_heard(ObstacleKind.LOST_SILENT, lost),))


def fence_preflight(lost: ServerRow) -> Preflight:
    """The check of a server that is to be fenced: a recent heartbeat contradicts it."""
    if lost.age_s is None or (lost.is_silent and not lost.is_of_the_future):
        return Preflight()
    return Preflight(warnings=(_heard(ObstacleKind.FENCED_ALIVE, lost),))


def takes_over(target: ServerRow) -> bool:
    """Whether a server is alive and may take over a service."""
    return not target.is_silent and not any(_refusals(target))


def proofs(view: ServiceView, server: EntryUUID) -> tuple[Proof, ...]:
    """What proves to the agents, besides its silence, that a server is dead."""
    return tuple(_proofs(view, server)) or (Proof.NAMED_NO_MORE,)


def _proofs(view: ServiceView, server: EntryUUID) -> Iterator[Proof]:
    if view.service.isolation is Isolation.RELEASE:
        yield Proof.LEASE_WATCHED
    elif view.service.addresses:
        yield Proof.ADDRESSES_SILENT
    if server in view.servers:
        yield Proof.FENCED


def _heard(kind: ObstacleKind, row: ServerRow) -> Obstacle:
    return Obstacle(kind, row.server.name, seconds=row.age_s, lease_s=row.lease_s)


def _refusals(target: ServerRow) -> Iterator[Obstacle]:
    name = target.server.name
    if target.server.fenced:
        yield Obstacle(ObstacleKind.TARGET_FENCED, name)
    elif target.status is not None and target.status.mode != Mode.NORMAL and not target.is_silent:
        yield Obstacle(ObstacleKind.TARGET_MODE, name, detail=target.status.mode)


def _warnings(target: ServerRow, services: Iterable[str]) -> Iterator[Obstacle]:
    if target.is_silent:
        yield _heard(ObstacleKind.TARGET_SILENT, target)
        return
    for service in services:
        for problem in target.problems_of(service):
            yield Obstacle(ObstacleKind.TARGET_PROBLEM, target.server.name, service, detail=problem)


def _obstacles(view: ServiceView, target: EntryUUID) -> Iterator[Obstacle]:
    ownership, service = view.ownership(target), view.service.name
    if ownership.state is None:
        yield Obstacle(ObstacleKind.STATE_UNKNOWN, service=service)
        return
    if ownership.displaced_by is not None:
        yield Obstacle(ObstacleKind.DISPLACED, view.name(target), service, detail=ownership.displaced_by)
    holder, candidate = ownership.state.holder, ownership.state.candidate
    if candidate not in {None, target, holder}:
        yield Obstacle(ObstacleKind.OTHER_CANDIDATE, view.name(candidate or target), service)
    if holder in {None, target}:
        return
    yield from _about_holder(view, holder or target)


def _about_holder(view: ServiceView, holder: EntryUUID) -> Iterator[Obstacle]:
    row, name, service = view.servers.get(holder), view.name(holder), view.service.name
    if row is None:
        yield Obstacle(ObstacleKind.HOLDER_WITHOUT_ENTRY, name, service, proofs=proofs(view, holder))
    elif view.life(holder) is Life.SUSPECT:
        yield replace(_heard(ObstacleKind.HOLDER_SILENT, row), service=service, proofs=proofs(view, holder))
    elif row.status is not None and row.status.mode == Mode.PAUSED and not row.is_silent:
        yield Obstacle(ObstacleKind.HOLDER_PAUSED, name, service)
