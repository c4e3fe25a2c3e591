"""What would have to happen for a service to move to a server, found by the agents' own rules. Pure.

For each visible obstacle there is a change of the model that removes it. The answer is the smallest set of changes
after which the forecast ends with the service on that server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, combinations

from relocd.election.clusters import succession
from relocd.election.observation import Life, YieldReason
from relocd.model.entries import EntryUUID
from relocd.model.status import FAILED_HERE, Mode
from relocd.operator.change.changes import cluster_to_activate
from relocd.operator.change.preflight import proofs
from relocd.operator.cluster_view import cluster_view
from relocd.operator.explain.forecast import PlannedStep, ServiceModel, forecast, hindrances
from relocd.operator.explain.need import Need, NeedKind
from relocd.operator.service_view import ServiceView

__all__ = ["Requirements", "on_failure", "requirements_for"]


@dataclass(frozen=True, slots=True)
class Requirements:
    """What has to happen for a service to come to a server, and what the agents do then."""

    needs: tuple[Need, ...]
    planned: tuple[PlannedStep, ...]


@dataclass(frozen=True, slots=True)
class _WhatIf:
    need: Need
    change: Callable[[ServiceModel], ServiceModel]


def requirements_for(view: ServiceView, model: ServiceModel, server: EntryUUID) -> Requirements | None:
    """How the service comes to a server; without needs it is under way, None where nothing seen here would do it."""
    changes = [*_of_server(view, model, server), *_of_choice(view, model, server), *_of_holder(view, model, server)]
    for tried in chain.from_iterable(combinations(changes, size) for size in range(len(changes) + 1)):
        other = model
        for what_if in tried:
            other = what_if.change(other)
        planned, end = forecast(other)
        if end.state is not None and end.state.holder == server and end.local_states[server].active:
            return Requirements(tuple(each.need for each in tried), planned)
    return None


def on_failure(view: ServiceView, model: ServiceModel) -> EntryUUID | None:
    """Which server would have the service if it failed by its health on its holder; None where none serves it now."""
    holder = None if model.state is None else model.state.holder
    if holder is None or holder not in model.local_states or not model.local_states[holder].active:
        return None
    reason = model.local_states[holder].yield_reason or YieldReason.UNHEALTHY
    failing = _here(model, holder, yield_reason=reason, failed_here=True)
    _, end = forecast(_failed_over(view, failing, holder))
    return None if end.state is None else end.state.holder


def _failed_over(view: ServiceView, model: ServiceModel, holder: EntryUUID) -> ServiceModel:
    """The model once a cluster has another active member because the service has failed on its holder."""
    for cluster in view.clusters_with(view.servers[holder].server):
        seen = cluster_view(cluster, view.servers.values())
        if seen.active is not None and seen.active.server == holder:
            failed = replace(seen.active, failed=seen.active.failed | {view.service.name})
            if due := succession(replace(seen, active=failed)):
                return _made_active(model, due.takers[0])
    return model


def _of_server(view: ServiceView, model: ServiceModel, server: EntryUUID) -> Iterator[_WhatIf]:
    """What keeps the server itself from it."""
    row, yield_reason = view.servers[server], model.local_states[server].yield_reason
    mode = "" if row.status is None else row.status.mode
    if row.is_silent:
        yield _WhatIf(_need(view, NeedKind.AGENT_HEARD, server), lambda model: _alive(model, server))
    if yield_reason is YieldReason.FENCED:
        need = _need(view, NeedKind.UNFENCE, server)
        yield _WhatIf(need, lambda model: _stays(_alive(model, server), server))
    elif yield_reason is YieldReason.DISPLACED:
        need = _need(view, NeedKind.DISPLACING_LEAVES, server, view.ownership(server).displaced_by or "")
        yield _WhatIf(need, lambda model: _stays(model, server))
    elif not row.is_silent and mode != Mode.NORMAL:
        yield _WhatIf(_need(view, NeedKind.RESUME, server), lambda model: _stays(_alive(model, server), server))
    if model.local_states[server].failed_here:
        own = any(each.startswith(FAILED_HERE) for each in row.problems_of(view.service.name))
        need = _need(view, NeedKind.RETRY if own else NeedKind.SERVER_HEALTHY, server)
        yield _WhatIf(need, lambda model: _here(model, server, failed_here=False))
    problems = hindrances(row, view.service.name)
    if problems:
        need = _need(view, NeedKind.PROBLEMS_SOLVED, server, "; ".join(problems))
        yield _WhatIf(need, lambda model: _here(model, server, ready=True, failed=False))


def _need(view: ServiceView, kind: NeedKind, server: EntryUUID, detail: str = "") -> Need:
    return Need(kind, view.name(server), view.service.name, detail)


def _of_choice(view: ServiceView, model: ServiceModel, server: EntryUUID) -> Iterator[_WhatIf]:
    """What the links say against it."""
    target, holder = view.servers[server].server, None if model.state is None else model.state.holder
    if server not in model.eligible.all:
        cluster = cluster_to_activate(view, target)
        chosen = _made_active if cluster else _linked
        yield _WhatIf(_need(view, NeedKind.MOVE, server), lambda model: chosen(model, server))
    elif holder in model.eligible.direct and holder != server and server not in model.eligible.direct:
        need = _need(view, NeedKind.DIRECT_LINK_GONE, holder or server)
        yield _WhatIf(need, lambda model: _direct(model, model.eligible.direct - {holder}))


def _of_holder(view: ServiceView, model: ServiceModel, server: EntryUUID) -> Iterator[_WhatIf]:
    """What keeps the holder from handing over."""
    holder = None if model.state is None else model.state.holder
    if holder is None or holder == server:
        return
    row = view.servers.get(holder)
    if model.lives.get(holder) is Life.SUSPECT:
        need = replace(_need(view, NeedKind.HOLDER_DEAD, holder), proofs=proofs(view, holder))
        yield _WhatIf(need, lambda model: replace(model, lives={**model.lives, holder: Life.DEAD}))
    elif row is not None and not row.is_silent and holder not in model.acting:
        yield _WhatIf(_need(view, NeedKind.RESUME, holder), lambda model: _alive(model, holder))


def _alive(model: ServiceModel, server: EntryUUID) -> ServiceModel:
    lives = {**model.lives, server: Life.ALIVE}
    awake = replace(model, lives=lives, acting=model.acting | {server})
    ready = model.local_states[server].ready or not model.local_states[server].steady
    return _here(awake, server, steady=True, expired=False, ready=ready)


def _stays(model: ServiceModel, server: EntryUUID) -> ServiceModel:
    return _here(model, server, yield_reason=None)


def _here(model: ServiceModel, server: EntryUUID, **changed: object) -> ServiceModel:
    here = replace(model.local_states[server], **changed)  # type: ignore[arg-type]
    return replace(model, local_states={**model.local_states, server: here})


def _linked(model: ServiceModel, server: EntryUUID) -> ServiceModel:
    """A new link lets a server try again what failed there."""
    return _direct(_here(model, server, failed_here=False), model.eligible.direct | {server})


def _direct(model: ServiceModel, servers: frozenset[EntryUUID]) -> ServiceModel:
    return replace(model, eligible=replace(model.eligible, direct=servers))


def _made_active(model: ServiceModel, server: EntryUUID) -> ServiceModel:
    """A service that moves with its cluster has no other cluster's active server, and is tried again there."""
    model = _here(model, server, failed_here=False)
    eligible = model.eligible
    standby = (eligible.standby | eligible.by_cluster) - {server}
    return replace(model, eligible=replace(eligible, by_cluster=frozenset({server}), standby=standby))
