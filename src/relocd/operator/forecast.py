"""What the agents do next about a service, one after the other, by the rules that they go by themselves. Pure.

Every step is assumed to succeed at once: an activation works, no write is lost. So it tells what is under way, and with
something changed in the world what would be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from relocd.model.entries import EntryUUID
from relocd.operator.rules import rule_of
from relocd.operator.sights import World
from relocd.plan.handover import next_step
from relocd.plan.sight import Choice, State
from relocd.plan.steps import (
    Activate,
    BecomeCandidate,
    ClearCandidate,
    ClearPrevious,
    DeleteLink,
    GiveBack,
    HandOver,
    Keep,
    LetGo,
    Step,
    StepDown,
    Stop,
    SwapIn,
    Withdraw,
)

__all__ = ["Act", "after", "forecast"]

_MOST: Final = 24


@dataclass(frozen=True, slots=True)
class Act:
    """One step of one server, and the rule."""

    server: EntryUUID
    step: Step
    rule: str


def forecast(world: World) -> tuple[tuple[Act, ...], World]:
    """The next steps until all rest, at most so many, and how things are then."""
    acts: list[Act] = []
    while len(acts) < _MOST:
        act = next(_due(world), None)
        if act is None:
            break
        acts.append(act)
        world = after(world, act)
    return tuple(acts), world


def _due(world: World) -> Iterator[Act]:
    """What is due now, the holder's part first."""
    holder = None if world.state is None else world.state.holder
    for server in sorted(world.acting, key=lambda each: (each != holder, each)):
        sight, here = world.sight(server), world.heres[server]
        step = next_step(sight, here)
        if not isinstance(step, Keep):
            yield Act(server, step, rule_of(sight, here, step))


def after(world: World, act: Act) -> World:
    """The world once a step has been carried out."""
    me, step, state = act.server, act.step, world.state
    if state is None:
        return world
    match step:
        case Activate():
            return _up(world, me, runs=True)
        case Stop():
            return _up(world, me, runs=False)
        case DeleteLink(server):
            return replace(world, choice=_unlinked(world.choice, server))
        case GiveBack():
            world = replace(world, choice=_unlinked(world.choice, me))
    changed = replace(world, state=_written(state, me, step))
    return _up(changed, me, runs=False) if isinstance(step, GiveBack | HandOver | LetGo | StepDown) else changed


def _written(state: State, me: EntryUUID, step: Step) -> State:
    """The state entry after a step that writes it."""
    next_ = state.generation + 1
    others = None if state.candidate == me else state.candidate  # who acts as candidate is none any more
    match step:
        case BecomeCandidate():
            return replace(state, candidate=me)
        case Withdraw() | ClearCandidate():
            return replace(state, candidate=None)
        case ClearPrevious():
            return replace(state, previous=None)
        case SwapIn():
            return State(me, others, None, next_)
        case HandOver(_, to):
            return State(to, None, me, next_)
        case GiveBack(_, to):
            return State(to, state.candidate, None, next_)
        case LetGo() | StepDown():
            return State(None, others, state.previous, next_)
        case _:
            return state


def _up(world: World, server: EntryUUID, *, runs: bool) -> World:
    here = replace(world.heres[server], active=runs, up=runs, failed=False)
    return replace(world, heres={**world.heres, server: here})


def _unlinked(choice: Choice, server: EntryUUID) -> Choice:
    return replace(choice, direct=choice.direct - {server})
