"""The next steps of the agents for a service, in order, by their own rules. Pure.

Every step is assumed to succeed at once: an activation works, no write is lost. From the model as it is, it shows what
is under way; from a changed model, what would happen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from relocd.election.observation import Eligible
from relocd.election.rules import next_step
from relocd.election.steps import Activate, DeleteLink, FailBack, Keep, Relinquish, Step, Stop
from relocd.model.entries import EntryUUID
from relocd.operator.explain.model import ServiceModel

__all__ = ["PlannedStep", "after", "forecast"]

_MOST: Final = 24


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
