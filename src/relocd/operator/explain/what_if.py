"""What would have to happen for a service to move to a server: tried out with the rules themselves. Pure.

Each obstacle that can be seen is a change of the world that takes it away. The fewest of them with which the forecast
ends with the service on that server are the answer, so it is that of the agents and not a second opinion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, combinations

from relocd.election.observation import Life, YieldReason
from relocd.model.entries import EntryUUID
from relocd.model.mode import Mode
from relocd.operator.change.move import way
from relocd.operator.change.preflight import proof
from relocd.operator.explain.forecast import Act, forecast
from relocd.operator.explain.model import ServiceModel
from relocd.operator.explain.service_view import ServiceView

__all__ = ["Way", "way_to"]


@dataclass(frozen=True, slots=True)
class Way:
    """What has to happen, in words, for a service to come to a server, and what the agents do then."""

    needs: tuple[str, ...]
    acts: tuple[Act, ...]


@dataclass(frozen=True, slots=True)
class _WhatIf:
    words: str
    change: Callable[[ServiceModel], ServiceModel]


def way_to(scene: ServiceView, world: ServiceModel, server: EntryUUID) -> Way | None:
    """How the service comes to a server; without needs it is under way, None where nothing seen here would do it."""
    changes = [*_of_server(scene, world, server), *_of_choice(scene, world, server), *_of_holder(scene, world, server)]
    for tried in chain.from_iterable(combinations(changes, size) for size in range(len(changes) + 1)):
        other = world
        for what_if in tried:
            other = what_if.change(other)
        acts, end = forecast(other)
        if end.state is not None and end.state.holder == server and end.heres[server].active:
            return Way(tuple(each.words for each in tried), acts)
    return None


def _of_server(scene: ServiceView, world: ServiceModel, server: EntryUUID) -> Iterator[_WhatIf]:
    """What keeps the server itself from it."""
    seen, yield_reason = scene.seen[server], world.heres[server].yield_reason
    name, mode = seen.server.name, "" if seen.sign is None else seen.sign.mode
    if seen.is_silent:
        yield _WhatIf(f"the agent of {name} is heard again", lambda world: _alive(world, server))
    if yield_reason is YieldReason.FENCED:
        yield _WhatIf(f"relocd unfence {name}", lambda world: _stays(_alive(world, server), server))
    elif yield_reason is YieldReason.DISPLACED:
        rests = scene.ownership(server).displaced_by
        yield _WhatIf(f"{rests}, which displaces it, leaves {name}", lambda world: _stays(world, server))
    elif not seen.is_silent and mode != Mode.NORMAL:
        yield _WhatIf(f"relocd resume on {name}", lambda world: _stays(_alive(world, server), server))
    problems = seen.problems_of(scene.service.name)
    if problems:
        yield _WhatIf(f"solved: {'; '.join(problems)}", lambda world: _here(world, server, ready=True, failed=False))


def _of_choice(scene: ServiceView, world: ServiceModel, server: EntryUUID) -> Iterator[_WhatIf]:
    """What the links say against it."""
    target, holder = scene.seen[server].server, None if world.state is None else world.state.holder
    if server not in world.eligible.all:
        cluster = way(scene, target)
        chosen = _made_active if cluster else _linked
        yield _WhatIf(f"relocd move {scene.service.name} {target.name}", lambda world: chosen(world, server))
    elif holder in world.eligible.direct and holder != server and server not in world.eligible.direct:
        link = f"the direct link of {scene.name(holder or server)}, which outranks the cluster, goes"
        yield _WhatIf(link, lambda world: _direct(world, world.eligible.direct - {holder}))


def _of_holder(scene: ServiceView, world: ServiceModel, server: EntryUUID) -> Iterator[_WhatIf]:
    """What keeps the holder from handing over."""
    holder = None if world.state is None else world.state.holder
    if holder is None or holder == server:
        return
    name, seen = scene.name(holder), scene.seen.get(holder)
    if world.lives.get(holder) is Life.SILENT:
        yield _WhatIf(proof(scene, holder), lambda world: replace(world, lives={**world.lives, holder: Life.DEAD}))
    elif seen is not None and not seen.is_silent and holder not in world.acting:
        yield _WhatIf(f"relocd resume on {name}", lambda world: _alive(world, holder))


def _alive(world: ServiceModel, server: EntryUUID) -> ServiceModel:
    lives = {**world.lives, server: Life.ALIVE}
    awake = replace(world, lives=lives, acting=world.acting | {server})
    ready = world.heres[server].ready or not world.heres[server].steady
    return _here(awake, server, steady=True, expired=False, ready=ready)


def _stays(world: ServiceModel, server: EntryUUID) -> ServiceModel:
    return _here(world, server, yield_reason=None)


def _here(world: ServiceModel, server: EntryUUID, **changed: object) -> ServiceModel:
    here = replace(world.heres[server], **changed)  # type: ignore[arg-type]
    return replace(world, heres={**world.heres, server: here})


def _linked(world: ServiceModel, server: EntryUUID) -> ServiceModel:
    return _direct(world, world.eligible.direct | {server})


def _direct(world: ServiceModel, servers: frozenset[EntryUUID]) -> ServiceModel:
    return replace(world, eligible=replace(world.eligible, direct=servers))


def _made_active(world: ServiceModel, server: EntryUUID) -> ServiceModel:
    """A service that moves with its cluster has no other cluster's active server."""
    eligible = world.eligible
    standby = (eligible.standby | eligible.by_cluster) - {server}
    return replace(world, eligible=replace(eligible, by_cluster=frozenset({server}), standby=standby))
