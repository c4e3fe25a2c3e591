"""What the agents do next about a service, one after the other, by the rules that they go by themselves. Pure.

Every step is assumed to succeed at once: an activation works, no write is lost. So it tells what is under way, and with
something changed in the world what would be.
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

__all__ = ["Act", "after", "forecast"]

_MOST: Final = 24


@dataclass(frozen=True, slots=True)
class Act:
    """One step of one server."""

    server: EntryUUID
    step: Step


def forecast(world: ServiceModel) -> tuple[tuple[Act, ...], ServiceModel]:
    """The next steps until all rest, at most so many, and how things are then."""
    acts: list[Act] = []
    while len(acts) < _MOST:
        act = next(_due(world), None)
        if act is None:
            break
        acts.append(act)
        world = after(world, act)
    return tuple(acts), world


def _due(world: ServiceModel) -> Iterator[Act]:
    """What is due now, the holder's part first."""
    holder = None if world.state is None else world.state.holder
    for server in sorted(world.acting, key=lambda each: (each != holder, each)):
        step = next_step(world.sight(server), world.heres[server])
        if not isinstance(step, Keep):
            yield Act(server, step)


def after(world: ServiceModel, act: Act) -> ServiceModel:
    """The world once a step has been carried out."""
    me, step = act.server, act.step
    if world.state is None:
        return world
    world = replace(world, state=step.applied(world.state), eligible=_linked(world.eligible, act))
    return _up(world, me, runs=isinstance(step, Activate)) if isinstance(step, Activate | Stop | Relinquish) else world


def _up(world: ServiceModel, server: EntryUUID, *, runs: bool) -> ServiceModel:
    here = replace(world.heres[server], active=runs, up=runs, failed=False)
    return replace(world, heres={**world.heres, server: here})


def _linked(eligible: Eligible, act: Act) -> Eligible:
    """Who is chosen once a step has deleted the link that it deletes."""
    match act.step:
        case DeleteLink(server):
            return replace(eligible, direct=eligible.direct - {server})
        case FailBack():
            return replace(eligible, direct=eligible.direct - {act.server})
        case _:
            return eligible
