"""One convergence of one goal: outline, render, observe, plan, act, and the footprint that is left.

The order of writing keeps every crash recoverable: what the actions may leave behind is in the ledger before the first
of them, and what they have reached only after the last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from relocd.agent.execution import Outcome, carried_out
from relocd.agent.host import Host
from relocd.errors import Failed, Invalid, RelocdError, Unavailable
from relocd.model.host import NewFile, UnitState
from relocd.model.template_set import Role, TemplateSet
from relocd.plan.actions import Action
from relocd.plan.desired import Desired, Footprint, Observed, Placed
from relocd.plan.diff import actions, after, before, leaving
from relocd.plan.goals import Goal, GoalId
from relocd.plan.outline import Outline, PlannedFile, desired, fallback, outline

__all__ = ["Plan", "Report", "converged", "departed", "departure", "planned"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done for a goal, and the problems that stand against doing all of it.

    `desired` is None when nothing may be begun. `intent` is the footprint to keep before the first action.
    """

    desired: Desired | None
    actions: tuple[Action, ...]
    problems: tuple[str, ...]
    intent: Footprint


@dataclass(frozen=True, slots=True)
class Report:
    """What a convergence has reached: the footprint left here (None: nothing), what failed, and whether it waits.

    `actions` are those that succeeded.
    """

    footprint: Footprint | None
    problems: tuple[str, ...] = ()
    busy: bool = False
    actions: tuple[Action, ...] = ()


async def planned(host: Host, goal: Goal, footprint: Footprint) -> Plan:
    """The plan for a goal; nothing is changed by making it."""
    wanted, problems = await _wanted(host, goal)
    chosen = wanted or fallback(goal, footprint)
    if chosen is None:
        return Plan(None, (), problems, footprint)
    observed = await _observed(host, chosen, footprint)
    targets = () if chosen.files is None else (file.target for file in chosen.files)
    return Plan(chosen, actions(chosen, observed, footprint), problems, before(chosen, targets, footprint))


async def converged(host: Host, goal: Goal, footprint: Footprint) -> Report:
    """Bring a goal about as far as it goes now."""
    plan = await planned(host, goal, footprint)
    if plan.desired is None:
        return Report(footprint, plan.problems)
    if plan.actions:
        await _unkept(host, goal.id, plan.intent)
    entering = footprint.role is not goal.role
    outcomes = await carried_out(host, plan.actions, entering=entering, service=goal.name, reason=goal.reason)
    reached = _reached(plan, footprint, goal.role, complete=not _problems(outcomes))
    problems = (*plan.problems, *_problems(outcomes), *await _unkept(host, goal.id, reached))
    return Report(reached, problems, any(outcome.busy for outcome in outcomes), _done(outcomes))


async def departure(host: Host, footprint: Footprint) -> tuple[Action, ...]:
    """The actions after which nothing of a goal is left here."""
    return leaving(await _observed(host, None, footprint), footprint)


async def departed(host: Host, goal: GoalId, footprint: Footprint, reason: str) -> Report:
    """Leave: what cannot be undone now stays in the footprint and is tried again."""
    plan = await departure(host, footprint)
    await _unkept(host, goal, replace(footprint, role=None))
    outcomes = await carried_out(host, plan, entering=False, service=footprint.name, reason=reason)
    problems = _problems(outcomes)
    if problems:
        return Report(replace(footprint, role=None), problems, actions=_done(outcomes))
    await host.ledger.forget(goal)
    return Report(None, actions=_done(outcomes))


async def _wanted(host: Host, goal: Goal) -> tuple[Desired | None, tuple[str, ...]]:
    """What a goal asks for with its files rendered, or None and why not."""
    try:
        sketch = _sketch(host, goal)
    except Invalid as error:
        return None, (str(error),)
    if sketch.problems:
        return None, sketch.problems
    rendered = await asyncio.gather(*(_rendered(host, goal, file) for file in sketch.files))
    problems = tuple(str(file) for file in rendered if isinstance(file, RelocdError))
    files = tuple(file for file in rendered if isinstance(file, NewFile))
    return (None, problems) if problems else (desired(sketch, files), ())


def _sketch(host: Host, goal: Goal) -> Outline:
    sets: Sequence[TemplateSet] = [host.sets.get(name) for name in goal.sets]
    sketch = outline(goal, sets, host.guards, host.addresses.interfaces())
    return sketch if host.probing else replace(sketch, rest=replace(sketch.rest, probe=False))


async def _rendered(host: Host, goal: Goal, file: PlannedFile) -> NewFile | RelocdError:
    try:
        rendered = await host.renderer.render(file.template_set, file.spec.source, goal.context)
    except RelocdError as error:
        return error
    content = rendered.text.encode()
    return NewFile(
        target=file.spec.target,
        content=content,
        digest=sha256(content).hexdigest(),
        owner=file.spec.owner,
        group=file.spec.group,
        mode=file.spec.mode,
        checks=file.spec.checks,
        check_timeout_s=file.template_set.check_timeout_s,
        secret=rendered.secret,
    )


async def _observed(host: Host, wanted: Desired | None, footprint: Footprint) -> Observed:
    files = () if wanted is None else wanted.files
    targets = () if files is None else {*footprint.files, *(file.target for file in files)}
    names = sorted({unit.name for unit in (*footprint.units, *(wanted.units if wanted else ()))})
    held = host.addresses.held()
    states, units = await asyncio.gather(
        host.files.states(targets), asyncio.gather(*(_unit_state(host, name) for name in names))
    )
    return Observed(
        files=states,
        addresses=frozenset(Placed(each.interface, each.address) for each in held if each.ours),
        units={name: state for name, state in zip(names, units, strict=True) if state is not None},
    )


async def _unit_state(host: Host, name: str) -> UnitState | None:
    try:
        return await host.units.state(name)
    except Unavailable:
        return None


def _reached(plan: Plan, footprint: Footprint, role: Role, *, complete: bool) -> Footprint:
    """The footprint after acting: whole success reaches the role; a fallback reaches no role that it did not have."""
    if plan.desired is None:
        return footprint
    if not complete:
        return plan.intent
    reached = after(plan.desired, plan.intent)
    return replace(reached, role=footprint.role if footprint.role is role else None) if plan.problems else reached


async def _unkept(host: Host, goal: GoalId, footprint: Footprint) -> tuple[str, ...]:
    """Keep a footprint; a full disk is a problem that is reported, and no reason not to serve."""
    try:
        await host.ledger.save(goal, footprint)
    except Failed as error:
        return (f"the ledger cannot be kept: {error}",)
    return ()


def _problems(outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    return tuple(outcome.problem for outcome in outcomes if outcome.problem)


def _done(outcomes: Iterable[Outcome]) -> tuple[Action, ...]:
    return tuple(outcome.action for outcome in outcomes if not outcome.problem)
