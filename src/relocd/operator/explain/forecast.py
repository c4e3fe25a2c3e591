"""A service as each server sees it, and the next steps of the agents, in order, by their own rules. Pure.

The model is what the directory shows. What only a server knows is taken from its last status, or assumed (`ASSUMED`).
Every step is assumed to succeed at once: an activation works, no write is lost. From the model as it is, the forecast
shows what is under way; from a changed model, what would happen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from relocd.election.eligibility import OwnershipView
from relocd.election.observation import Eligible, Life, LocalState, Observation, State
from relocd.election.rules import next_step
from relocd.election.steps import Activate, DeleteLink, FailBack, Keep, Relinquish, Step, Stop
from relocd.model.entries import EntryUUID, Isolation
from relocd.model.status import FAILED_HERE, Mode
from relocd.operator.service_view import ServiceView
from relocd.operator.status.health import ServerRow

__all__ = ["ASSUMED", "ServiceModel", "service_model", "PlannedStep", "after", "forecast", "hindrances"]

ASSUMED: Final = "a server that reports no problem is ready, its heartbeat is steady, and its candidacy has settled"
_MOST: Final = 24


@dataclass(frozen=True, slots=True)
class ServiceModel:
    """A service, the servers that should run it and all servers that it concerns, at one moment.

    `acting` are the servers whose agent runs and may act, `lives` what is known of whether each is alive.
    """

    state: State | None
    eligible: Eligible
    local_states: Mapping[EntryUUID, LocalState]
    lives: Mapping[EntryUUID, Life] = field(default_factory=dict)
    acting: frozenset[EntryUUID] = frozenset()

    def observation(self, server: EntryUUID) -> Observation:
        """The observation of a server."""
        return Observation(server, self.state, self.eligible, self.lives)


def service_model(view: ServiceView) -> ServiceModel:
    """The model as it is now."""
    ownerships = {server: view.ownership(server) for server in view.servers}
    first = next(iter(ownerships.values()), None)
    if first is None:
        entry = view.snapshot.states.get(view.service.uuid)
        return ServiceModel(State(generation=(entry and entry.generation) or 0), Eligible(), {})
    named = (first.state.holder, first.state.candidate, first.state.previous) if first.state else ()
    concerned = {*view.servers, *filter(None, named)}
    return ServiceModel(
        state=first.state,
        eligible=first.eligible,
        local_states={server: _here(view, ownership) for server, ownership in ownerships.items()},
        lives={server: view.life(server) for server in concerned},
        acting=frozenset(server for server, row in view.servers.items() if _acts(row)),
    )


def _acts(row: ServerRow) -> bool:
    return row.status is not None and not row.is_silent and row.status.mode != Mode.PAUSED


def _here(view: ServiceView, ownership: OwnershipView) -> LocalState:
    row, service = view.servers[ownership.me], view.service
    reports = "" if row.status is None else row.status.services.get(service.dn.key, "")
    unhealthy = row.status is not None and service.dn.key in row.status.failed and reports != "failed"
    return LocalState(
        active=reports == "active",
        up=reports == "active",
        ready=not hindrances(row, service.name) and reports != "failed" and not row.is_silent,
        steady=not row.is_silent,
        failed=reports == "failed" and ownership.holds,
        failed_here=unhealthy,
        settled=True,
        orphaned=reports == "active" and ownership.unlinked_by_other,
        expired=row.is_silent and service.isolation is Isolation.RELEASE,
        yield_reason=ownership.yield_reason(
            drained=row.status is not None and row.status.mode == Mode.DRAINED, unhealthy=unhealthy
        ),
    )


def hindrances(row: ServerRow, service: str) -> tuple[str, ...]:
    """What a server reports of a service, by its cn, but for its health: that is no reason not to be ready."""
    return tuple(each for each in row.problems_of(service) if not each.startswith(FAILED_HERE))


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step of one server."""

    server: EntryUUID
    step: Step


def forecast(model: ServiceModel) -> tuple[tuple[PlannedStep, ...], ServiceModel]:
    """The next steps until none is due, at most `_MOST`, and the model after them."""
    planned: list[PlannedStep] = []
    while len(planned) < _MOST:
        due = next(_due(model), None)
        if due is None:
            break
        planned.append(due)
        model = after(model, due)
    return tuple(planned), model


def _due(model: ServiceModel) -> Iterator[PlannedStep]:
    """The steps that are due now, the holder's first."""
    holder = None if model.state is None else model.state.holder
    for server in sorted(model.acting, key=lambda each: (each != holder, each)):
        step = next_step(model.observation(server), model.local_states[server])
        if not isinstance(step, Keep):
            yield PlannedStep(server, step)


def after(model: ServiceModel, due: PlannedStep) -> ServiceModel:
    """The model once a step has been carried out."""
    me, step = due.server, due.step
    if model.state is None:
        return model
    model = replace(model, state=step.applied(model.state), eligible=_linked(model.eligible, due))
    return _up(model, me, runs=isinstance(step, Activate)) if isinstance(step, Activate | Stop | Relinquish) else model


def _up(model: ServiceModel, server: EntryUUID, *, runs: bool) -> ServiceModel:
    here = replace(model.local_states[server], active=runs, up=runs, failed=False)
    return replace(model, local_states={**model.local_states, server: here})


def _linked(eligible: Eligible, due: PlannedStep) -> Eligible:
    """The eligible servers after a step, which may delete a link."""
    match due.step:
        case DeleteLink(server):
            return replace(eligible, direct=eligible.direct - {server})
        case FailBack():
            return replace(eligible, direct=eligible.direct - {due.server})
        case _:
            return eligible
