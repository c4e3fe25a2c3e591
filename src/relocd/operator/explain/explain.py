"""`relocd explain`: why a service runs where it runs, server by server, by the rules that the agents go by. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from relocd.election.eligibility import decision
from relocd.election.observation import Life, State
from relocd.election.rules import next_step
from relocd.election.steps import Rule, Step
from relocd.model.entries import EntryUUID
from relocd.model.status import Mode
from relocd.operator.change.preflight import proofs
from relocd.operator.explain.forecast import PlannedStep, ServiceModel, forecast, service_model
from relocd.operator.explain.need import Need, NeedKind
from relocd.operator.explain.what_if import Requirements, on_failure, requirements_for
from relocd.operator.service_view import GIVEN_BACK, ServiceView
from relocd.operator.status.health import ServerRow

__all__ = ["IDLE", "Explanation", "Idle", "Part", "ServerExplanation", "explanation"]


class Part(StrEnum):
    """The role of a server."""

    HOLDER = "holder"
    CANDIDATE = "candidate"
    PREVIOUS = "previous"
    CHOSEN = "chosen"
    STANDBY = "standby"
    GAVE_BACK = "gave it back"
    FILES_ONLY = "files only"


class Idle(StrEnum):
    """Why the agent of a server does not act; `IDLE` says it in words."""

    NEVER_HEARD = "never-heard"
    SILENT = "silent"
    PAUSED = "paused"


IDLE: Final[Mapping[Idle, str]] = {
    Idle.NEVER_HEARD: "its agent has never been heard",
    Idle.SILENT: "it is silent, so what its agent does is unknown",
    Idle.PAUSED: "paused: it changes nothing until relocd resume",
}


@dataclass(frozen=True, slots=True)
class ServerExplanation:
    """One server's side of the service.

    `part` is its role by state and links, `link` why it has that role. `waits` is what a candidate waits for before it
    takes over. `step` is what it does now, None where no rule applies; `idle` is why its agent does not act at all.
    `requirements` are how the service would come to it, None where it is or where nothing seen would do it.
    """

    row: ServerRow
    part: Part
    link: str
    reports: str
    step: Step | None = None
    idle: Idle | None = None
    requirements: Requirements | None = None
    waits: tuple[Need, ...] = ()

    @property
    def rule(self) -> Rule | None:
        """The rule of the step, None where no rule applies."""
        return None if self.step is None else self.step.rule

    @property
    def does(self) -> str:
        """The name of the step; `Keep` where it waits, empty where no rule applies."""
        return "" if self.step is None else type(self.step).__name__


@dataclass(frozen=True, slots=True)
class Explanation:
    """A service, the servers that its state names, each server's side of it, and what the agents do next.

    `if_unhealthy` is the server that would have it if it failed by its health where it runs now, empty where it does
    not run or is unhealthy already.
    """

    view: ServiceView
    generation: int | None
    holder: str
    candidate: str
    previous: str
    servers: tuple[ServerExplanation, ...]
    next: tuple[PlannedStep, ...]
    if_unhealthy: str = ""


def explanation(view: ServiceView) -> Explanation:
    """Why the service of a view runs where it runs."""
    model = service_model(view)
    contested = view.service.exclusive
    known = contested and model.state is not None
    state = model.state if model.state is not None and contested else State()
    holder, candidate, previous = (
        "" if each is None else view.name(each) for each in (state.holder, state.asking, state.previous)
    )
    return Explanation(
        view,
        state.generation if known else None,
        holder,
        candidate,
        previous,
        servers=tuple(_stand(view, model, server) for server in view.servers if _concerned(view, model, server)),
        next=forecast(model)[0] if contested else (),
        if_unhealthy=_if_unhealthy(view, model) if contested else "",
    )


def _if_unhealthy(view: ServiceView, model: ServiceModel) -> str:
    taker = on_failure(view, model)
    holder = None if model.state is None else model.state.holder
    known = taker is None or holder is None or model.local_states[holder].failed_here
    return "" if known or taker is None else view.name(taker)


def _concerned(view: ServiceView, model: ServiceModel, server: EntryUUID) -> bool:
    """Whether the service concerns a server, and not only a service that displaces it."""
    linked = decision(view.snapshot, view.servers[server].server, view.service) is not None
    return linked or server in _named(model) or _gave_back(view, server)


def _gave_back(view: ServiceView, server: EntryUUID) -> bool:
    """Whether a server reports that it gave the service back."""
    return any(each.startswith(GIVEN_BACK) for each in view.servers[server].problems_of(view.service.name))


def _named(model: ServiceModel) -> dict[EntryUUID, Part]:
    """The servers that the state names, with their roles."""
    if model.state is None:
        return {}
    named = {
        model.state.previous: Part.PREVIOUS,
        model.state.candidate: Part.CANDIDATE,
        model.state.holder: Part.HOLDER,
    }
    return {server: part for server, part in named.items() if server is not None}


def _stand(view: ServiceView, model: ServiceModel, server: EntryUUID) -> ServerExplanation:
    row = view.servers[server]
    wanted = decision(view.snapshot, row.server, view.service)
    link = "not linked" if wanted is None else wanted.reason
    reports = "" if row.status is None else row.status.report_of(view.service.dn.key)
    if not view.service.exclusive:
        return ServerExplanation(row, Part.CHOSEN, link, reports)
    if wanted is not None and wanted.files_only:
        return ServerExplanation(row, Part.FILES_ONLY, link, reports)
    part = _named(model).get(server, _part(view, model, server))
    here = model.local_states[server]
    return ServerExplanation(
        row,
        part,
        link,
        reports,
        next_step(model.observation(server), here),
        _idle(row),
        None if part is Part.HOLDER and here.active else requirements_for(view, model, server),
        tuple(_waits(view, model, server)),
    )


def _part(view: ServiceView, model: ServiceModel, server: EntryUUID) -> Part:
    """The role of a server that the state does not name."""
    if server in model.eligible.all:
        return Part.CHOSEN
    return Part.GAVE_BACK if _gave_back(view, server) else Part.STANDBY


def _waits(view: ServiceView, model: ServiceModel, server: EntryUUID) -> Iterator[Need]:
    """What a candidate waits for before it takes over from a silent holder: its report, and what ends the wait."""
    state, status = model.state, view.servers[server].status
    if state is None or state.holder is None or state.candidate != server:
        return
    if model.lives.get(state.holder) is Life.SUSPECT:
        name, service = view.name(server), view.service.name
        for reason in () if status is None else status.waits_of(service):
            yield Need(NeedKind.REPORTED, name, service, reason)
        yield Need(NeedKind.HOLDER_DEAD, view.name(state.holder), service, proofs=proofs(view, state.holder))


def _idle(row: ServerRow) -> Idle | None:
    """Why the agent of a server does not act, None where it does."""
    if row.status is None or row.age_s is None:
        return Idle.NEVER_HEARD
    if row.is_silent:
        return Idle.SILENT
    return Idle.PAUSED if row.status.mode == Mode.PAUSED else None
