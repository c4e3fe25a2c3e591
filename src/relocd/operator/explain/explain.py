"""`relocd explain`: why a service runs where it runs, server by server, by the rules that the agents go by. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from relocd.election.eligibility import decision
from relocd.election.observation import Life, State
from relocd.election.rules import next_step
from relocd.election.steps import Rule, Step
from relocd.model.entries import EntryUUID
from relocd.model.status import Mode
from relocd.operator.change.preflight import proof
from relocd.operator.explain.forecast import PlannedStep, ServiceModel, forecast, service_model
from relocd.operator.explain.what_if import Requirements, requirements_for
from relocd.operator.service_view import GIVEN_BACK, ServiceView
from relocd.operator.status.health import ServerRow

__all__ = ["Explanation", "ServerExplanation", "explanation"]


@dataclass(frozen=True, slots=True)
class ServerExplanation:
    """One server's side of the service.

    `part` is its role by state and links, `link` why it has that role. `waits` is what a candidate waits for before it
    takes over. `step` is what it does now, None where no rule applies; `idle` is why its agent does not act at all.
    `way` is how the service would come to it, None where it is or where nothing seen would do it.
    """

    row: ServerRow
    part: str
    link: str
    reports: str
    step: Step | None = None
    idle: str = ""
    requirements: Requirements | None = None
    waits: tuple[str, ...] = ()

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
    """A service, the servers that its state names, each server's side of it, and what the agents do next."""

    view: ServiceView
    generation: int | None
    holder: str
    candidate: str
    previous: str
    servers: tuple[ServerExplanation, ...]
    next: tuple[PlannedStep, ...]


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
    )


def _concerned(view: ServiceView, model: ServiceModel, server: EntryUUID) -> bool:
    """Whether the service concerns a server, and not only a service that displaces it."""
    linked = decision(view.snapshot, view.servers[server].server, view.service) is not None
    return linked or server in _named(model) or _gave_back(view, server)


def _gave_back(view: ServiceView, server: EntryUUID) -> bool:
    """Whether a server reports that it gave the service back."""
    return any(each.startswith(GIVEN_BACK) for each in view.servers[server].problems_of(view.service.name))


def _named(model: ServiceModel) -> dict[EntryUUID, str]:
    """The servers that the state names, with their roles."""
    if model.state is None:
        return {}
    named = {model.state.previous: "previous", model.state.candidate: "candidate", model.state.holder: "holder"}
    return {server: part for server, part in named.items() if server is not None}


def _stand(view: ServiceView, model: ServiceModel, server: EntryUUID) -> ServerExplanation:
    seen = view.servers[server]
    wanted = decision(view.snapshot, seen.server, view.service)
    link = "not linked" if wanted is None else wanted.reason
    reports = "" if seen.status is None else seen.status.services.get(view.service.dn.key, "nothing")
    if not view.service.exclusive:
        return ServerExplanation(seen, "chosen", link, reports)
    if wanted is not None and wanted.files_only:
        return ServerExplanation(seen, "files only", link, reports)
    part = _named(model).get(server, _part(view, model, server))
    here = model.local_states[server]
    return ServerExplanation(
        seen,
        part,
        link,
        reports,
        next_step(model.observation(server), here),
        "; ".join(_idle(seen)),
        None if part == "holder" and here.active else requirements_for(view, model, server),
        tuple(_waits(view, model, server)),
    )


def _part(view: ServiceView, model: ServiceModel, server: EntryUUID) -> str:
    """The role of a server that the state does not name."""
    if server in model.eligible.all:
        return "chosen"
    return "gave it back" if _gave_back(view, server) else "standby"


def _waits(view: ServiceView, model: ServiceModel, server: EntryUUID) -> Iterator[str]:
    """What a candidate waits for before it takes over from a silent holder: its report, and what ends the wait."""
    state, status = model.state, view.servers[server].status
    if state is None or state.holder is None or state.candidate != server:
        return
    if model.lives.get(state.holder) is Life.SUSPECT:
        yield from () if status is None else status.waits_of(view.service.name)
        yield f"takes over when {proof(view, state.holder)}"


def _idle(seen: ServerRow) -> Iterator[str]:
    """Why the agent of a server does not act."""
    if seen.status is None or seen.age_s is None:
        yield "its agent has never been heard"
    elif seen.is_silent:
        yield "it is silent, so what its agent does is unknown"
    elif seen.status.mode == Mode.PAUSED:
        yield "paused: it changes nothing until relocd resume"
