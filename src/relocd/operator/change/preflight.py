"""The pre-flight check of an order: reasons to refuse it, and warnings. Pure.

A modify that names a dead, broken or failing server takes nothing away from the present holder, and takes effect once
that server is well. So a state that may pass is only a warning. An order is refused where it contradicts an earlier
order that is still in force: a fence, a drain, a pause.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from relocd.election.observation import Life
from relocd.model.entries import EntryUUID, Isolation
from relocd.model.status import Mode
from relocd.operator.service_view import ServiceView
from relocd.operator.status.health import ServerRow

__all__ = [
    "Preflight",
    "fence_preflight",
    "lost_preflight",
    "service_preflight",
    "target_preflight",
    "proof",
    "takes_over",
]


@dataclass(frozen=True, slots=True)
class Preflight:
    """Sentences: why an order is refused, and what may prevent or delay it."""

    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

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
    name = lost.server.name
    proved = (
        f"other servers take over once its addresses stop answering, too; if it is powered off: relocd fence {name}"
    )
    return Preflight(warnings=(f"{lost.silence}: {proved}",))


def fence_preflight(lost: ServerRow) -> Preflight:
    """The check of a server that is to be fenced: a recent heartbeat contradicts it."""
    if lost.age_s is None or (lost.is_silent and not lost.is_of_the_future):
        return Preflight()
    heard = lost.silence if lost.is_of_the_future else f"{lost.server.name} was heard {lost.age_s:.1f} s ago"
    return Preflight(warnings=(f"{heard}: if it is not powered off, two servers will answer",))


def takes_over(target: ServerRow) -> bool:
    """Whether a server is alive and may take over a service."""
    return not target.is_silent and not any(_refusals(target))


def proof(view: ServiceView, server: EntryUUID) -> str:
    """What proves to the agents, besides its silence, that a server is dead (`agent.liveness.failure_detector`)."""
    name, ways = view.name(server), []
    if view.service.isolation is Isolation.RELEASE:
        ways.append(f"{name} has been silent for its lease while they watched")
    elif view.service.addresses:
        ways.append(f"the addresses of {view.service.name} do not answer either")
    if server in view.servers:
        ways.append(f"relocd fence {name} confirms that it is powered off")
    return ", or ".join(ways) or f"{name} has an entry again, or the state no longer names it"


def _refusals(target: ServerRow) -> Iterator[str]:
    name = target.server.name
    if target.server.fenced:
        yield f"{name} is fenced, so it counts as powered off; if it is not: relocd unfence {name}"
    elif target.status is not None and target.status.mode != Mode.NORMAL and not target.is_silent:
        yield f"{name} is {target.status.mode} and takes over nothing; run on that server: relocd resume"


def _warnings(target: ServerRow, services: Iterable[str]) -> Iterator[str]:
    if target.is_silent:
        yield f"{target.silence}: it takes over nothing until its agent runs, and the present holder keeps serving"
        return
    for service in services:
        for problem in target.problems_of(service):
            yield f"{target.server.name} reports of {service}: {problem}"


def _obstacles(view: ServiceView, target: EntryUUID) -> Iterator[str]:
    ownership, service = view.ownership(target), view.service.name
    if ownership.state is None:
        yield f"the state of {service} cannot be understood, so no agent acts on it; see relocd show"
        return
    if ownership.displaced_by is not None:
        yield f"{service} stays stopped on {view.name(target)} while {ownership.displaced_by} displaces it there"
    holder, candidate = ownership.state.holder, ownership.state.candidate
    if candidate not in {None, target, holder}:
        yield f"{view.name(candidate or target)} is candidate for {service}, too; they take over one after the other"
    if holder in {None, target}:
        return
    yield from _about_holder(view, holder or target)


def _about_holder(view: ServiceView, holder: EntryUUID) -> Iterator[str]:
    seen, name = view.servers.get(holder), view.name(holder)
    if seen is None:
        yield f"the holder {name} has no entry: others take over when {proof(view, holder)}"
    elif view.life(holder) is Life.SUSPECT:
        yield f"the holder {seen.silence}: others take over when {proof(view, holder)}"
    elif seen.status is not None and seen.status.mode == Mode.PAUSED and not seen.is_silent:
        yield f"the holder {name} is paused and hands nothing over; run on that server: relocd resume"
