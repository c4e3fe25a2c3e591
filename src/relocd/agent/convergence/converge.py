"""One convergence of one goal: outline, render, observe, plan, act, and the footprint that is left.

Letting go is all or nothing: `let_go` begins only when every address of the service can leave this host, and succeeds
only when none is left here.

The order of writing keeps every crash recoverable: what the actions may leave behind is in the ledger before the first
of them, and what they have reached only after the last. Only the last waits for the disk: the intent has to survive a
crash of the agent, and after one of the whole server a new start finds no address and no unit of before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from relocd.agent.convergence.asked import asked
from relocd.agent.convergence.execution import (
    Assured,
    ExecContext,
    Outcome,
    ServePermit,
    done_of,
    execute,
    is_broken,
    problems_of,
)
from relocd.agent.convergence.host import Host
from relocd.errors import Failed, Invalid, RelocdError, Unavailable
from relocd.model.entries import ServiceAddress
from relocd.model.host import NewFile, UnitState, no_unit
from relocd.model.template_set import First, Role, TemplateSet, UnitAction
from relocd.ports import Rendered
from relocd.reconcile.actions import Action, AddAddress, DropAddress, InstallFiles, RunCommand, UseUnit
from relocd.reconcile.claims import claims_of_footprint, claims_of_outline, left_of, without
from relocd.reconcile.declarations import misnamed
from relocd.reconcile.desired import Desired, DesiredUnit, Footprint, Observed, Placed
from relocd.reconcile.diff import STOPPED, actions, after, before, foreign, leaving
from relocd.reconcile.goals import Goal, GoalId, goal_id
from relocd.reconcile.presence import copies, foreign_copies, in_the_way, kept_here
from relocd.reconcile.spec import PlannedFile, Spec, desired, fallback, outline, rendered_file

__all__ = [
    "Assured",
    "Files",
    "Permit",
    "Plan",
    "Report",
    "Terms",
    "adopted",
    "converge",
    "leave",
    "plan_leave",
    "is_up",
    "release",
    "obstacles_to",
    "make_plan",
    "stage",
    "still_here",
]

Permit = Callable[[], Awaitable[ServePermit]]
"""Asked before anything is raised that one server only may have; raises `Busy` or `Unavailable` when it may not."""
Files = tuple[NewFile, ...]


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
class Terms:
    """On what terms a goal is brought about: the word that it is over, who is asked first, files rendered already.

    `first` is what goes first on leaving, whatever the template sets say.
    """

    revoked: asyncio.Event = field(default_factory=asyncio.Event)
    permit: Permit | None = None
    files: Files | None = None
    first: First | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a convergence has reached: the footprint left here (None: nothing), what failed, and whether it waits.

    `actions` are those that succeeded. `broken`: what is needed to serve could not be done; with another problem that
    which was reached before goes on. `standing` says in words how this server stands to an exclusive service, and
    `again_s` when to look again though nothing has happened.
    """

    footprint: Footprint | None
    problems: tuple[str, ...] = ()
    busy: bool = False
    actions: tuple[Action, ...] = ()
    broken: bool = False
    reason: str = ""
    again_s: float | None = field(default=None, compare=False)


async def make_plan(host: Host, goal: Goal, footprint: Footprint, terms: Terms | None = None) -> Plan:
    """The plan for a goal; nothing is changed by making it."""
    terms = terms or Terms()
    sketch, problems = _sketch(host, goal, footprint.name)
    (files, unrendered), observed = await asyncio.gather(
        _rendered(host, goal, () if sketch is None else sketch.files, terms.files), _observed(host, sketch, footprint)
    )
    if goal.ownership is not None:
        host.claims.allow(goal.id, map(goal_id, goal.ownership.displaces))
    claimed = () if sketch is None else host.claims.problems(goal.id, claims_of_outline(sketch))
    problems = (*problems, *unrendered, *claimed, *_obstructed(host, sketch, observed))
    chosen = fallback(goal, footprint) if sketch is None or problems else desired(sketch, files)
    if chosen is None:
        return Plan(None, (), problems, footprint)
    if goal.role is not Role.ACTIVE:
        others = host.claims.others(goal.id)
        chosen, footprint = left_of(chosen, others), without(footprint, others)
    chosen = replace(chosen, probe=chosen.probe and host.probing, first=terms.first or chosen.first)
    targets = {file.target for file in chosen.files or ()} - foreign(chosen, observed, footprint)
    return Plan(chosen, actions(chosen, observed, footprint), problems, before(chosen, targets, footprint))


async def converge(host: Host, goal: Goal, footprint: Footprint, terms: Terms | None = None) -> Report:
    """Bring a goal about as far as it goes now, and no further once its serving is revoked.

    Raises what the permit raises, before anything is done, when something is to be raised.
    """
    terms, begun = terms or Terms(), time.monotonic()
    plan = await make_plan(host, goal, footprint, terms)
    claimed = host.claims.problems(goal.id, claims_of_footprint(plan.intent))  # by another one meanwhile
    if plan.desired is None or claimed:
        return Report(footprint, (*plan.problems, *claimed))
    take = host.claims.take_over if goal.role is Role.ACTIVE else host.claims.take
    take(goal.id, plan.intent.name, claims_of_footprint(plan.intent))
    try:
        permit, _ = await asyncio.gather(_permitted(terms, plan), _intended(host, goal.id, plan))
    except BaseException:
        host.claims.restore(goal.id, footprint)
        raise
    entering = footprint.role is not goal.role
    context = ExecContext(goal.name, goal.reason, entering, terms.revoked, permit, goal.secrets)
    outcomes = await execute(host, plan.actions, context)
    if outcomes:
        host.meter.acted("all", time.monotonic() - begun, "failed" if problems_of(outcomes) else "done")
    reached = _reached(plan, footprint, goal.role, outcomes)
    host.claims.keep(goal.id, reached)
    troubles = await _troubles(host, plan.desired.units) if goal.role is Role.ACTIVE else ()
    problems = (*plan.problems, *problems_of(outcomes), *troubles, *await _unkept(host, goal.id, reached))
    broken = bool(troubles) or is_broken(outcomes)
    return Report(reached, problems, any(outcome.busy for outcome in outcomes), done_of(outcomes), broken)


async def stage(host: Host, goal: Goal, footprint: Footprint) -> Files:
    """The files of a role, checked and beside their targets: ready to enter it; raises an error that says why not."""
    plan = await make_plan(host, goal, footprint)
    if plan.problems or plan.desired is None or plan.desired.files is None:
        raise Failed("; ".join(plan.problems) or "nothing is known of it here yet")
    missing = [unit.name for unit in plan.desired.units if await _unit_state(host, unit.name) is UnitState.UNKNOWN]
    troubles = tuple(map(no_unit, missing)) or await _troubles(host, plan.desired.units)
    if troubles:
        raise Failed("; ".join(troubles))
    await _check_means(host, plan)
    await host.files.prepare([file for each in plan.actions if isinstance(each, InstallFiles) for file in each.files])
    return plan.desired.files


async def release(host: Host, goal: Goal, footprint: Footprint, assured: Assured) -> Report:
    """Stop what another server is about to start, units and addresses; the rest is left to the next convergence.

    Nothing is done while a copy of an address cannot leave with it, or `assured` raises. A unit that does not stop
    keeps the addresses here. Without a problem in the report none is left on this host, whatever it looks like.
    """
    foreign = foreign_copies(goal.addresses, host.addresses.held())
    if foreign:
        return Report(footprint, kept_here(foreign))
    async with asked(assured()) as assurance:
        plan = await make_plan(host, goal, footprint)
        urgent = [action for action in plan.actions if _stops(action)]
        if urgent:
            await _intend(host, goal.id, plan.intent)
        await assurance
    if plan.desired is None:
        return Report(footprint, plan.problems)
    context = ExecContext(goal.name, goal.reason, secrets=goal.secrets, assured=assured)
    outcomes = await execute(host, urgent, context)
    left = () if problems_of(outcomes) else kept_here(copies(goal.addresses, host.addresses.held()))
    problems = (*problems_of(outcomes), *left)
    return Report(plan.intent if urgent else footprint, problems, actions=done_of(outcomes), broken=bool(problems))


def obstacles_to(host: Host, goal: Goal) -> tuple[str, ...]:
    """What stands on this host against raising a service's addresses here, and what to do."""
    return in_the_way(foreign_copies(goal.addresses, host.addresses.held()))


def still_here(host: Host, goal: Goal) -> tuple[str, ...]:
    """What of a service's addresses another server would answer for at the same time, and what to do."""
    return kept_here(foreign_copies(goal.addresses, host.addresses.held()))


async def plan_leave(host: Host, goal: GoalId, footprint: Footprint) -> tuple[Action, ...]:
    """The actions after which nothing of a goal is left here: addresses first, since another server may have them."""
    all_here = adopted(host, (placed.address for placed in footprint.addresses), footprint)
    all_here = without(all_here, host.claims.others(goal))
    return leaving(await _observed(host, None, all_here), replace(all_here, first=First.ADDRESSES))


async def leave(
    host: Host, goal: GoalId, footprint: Footprint, reason: str, secrets: tuple[str, ...] | None = None
) -> Report:
    """Leave: what cannot be undone now stays in the footprint and is tried again.

    `secrets` are those that the goal had while it was linked, None where nothing is known of them any more.
    """
    plan = await plan_leave(host, goal, footprint)
    await _intend(host, goal, replace(footprint, role=None))
    outcomes = await execute(host, plan, ExecContext(footprint.name, reason, secrets=secrets))
    problems = problems_of(outcomes)
    if problems:
        return Report(replace(footprint, role=None), problems, actions=done_of(outcomes))
    host.claims.keep(goal, None)
    await host.ledger.forget(goal)
    return Report(None, actions=done_of(outcomes))


def adopted(host: Host, addresses: Iterable[ServiceAddress], footprint: Footprint) -> Footprint:
    """The footprint with what it should name: addresses of the service that are ours here, whatever the ledger says."""
    ours = (each for each in copies(addresses, host.addresses.held()) if each.ours)
    found = frozenset(Placed(each.interface, each.address) for each in ours)
    return footprint if found <= footprint.addresses else replace(footprint, addresses=footprint.addresses | found)


async def is_up(host: Host, footprint: Footprint) -> bool:
    """Whether something that a server has only while it serves may be up here: an address, or a unit it would stop."""
    held = {Placed(each.interface, each.address) for each in host.addresses.held() if each.ours}
    if footprint.role is Role.ACTIVE or not footprint.addresses.isdisjoint(held):
        return True
    if footprint.role is Role.STANDBY:
        return False
    units = [unit.name for unit in footprint.units if unit.enter in {UnitAction.START, UnitAction.STOP}]
    return any([await _unit_state(host, name) not in STOPPED for name in units])


def _raises(plan: Plan) -> bool:
    """Whether something is raised that one server only may have: an address, or units where there is no address.

    While the addresses of a service are here, nobody else has them, and its units may start again without asking.
    """
    if plan.desired is None:
        return False
    starts = any(isinstance(action, UseUnit) and not _stops(action) for action in plan.actions)
    return any(isinstance(action, AddAddress) for action in plan.actions) or (starts and not plan.desired.addresses)


def _stops(action: Action) -> bool:
    return isinstance(action, DropAddress) or (isinstance(action, UseUnit) and action.action is UnitAction.STOP)


def _obstructed(host: Host, sketch: Spec | None, observed: Observed) -> tuple[str, ...]:
    """What stands against raising the addresses that are not here yet."""
    missing = () if sketch is None else set(sketch.rest.addresses) - observed.addresses
    return in_the_way(foreign_copies((placed.address for placed in missing), host.addresses.held()))


async def _check_means(host: Host, plan: Plan) -> None:
    """Raise `Failed` when an address could not be raised, or a unit not be started, whatever their own state."""
    for action in plan.actions:
        if isinstance(action, AddAddress):
            await host.addresses.check(action.placed.interface, action.placed.address)
        elif isinstance(action, UseUnit) and not _stops(action):
            await host.units.check(action.name)


def _sketch(host: Host, goal: Goal, name: str) -> tuple[Spec | None, tuple[str, ...]]:
    """The outline of a goal, or None and why there is none that could be followed.

    Files and units are called by the `name` that the service had when it came here: a rename restarts nothing.
    """
    try:
        sets: Sequence[TemplateSet] = [host.sets.get(each) for each in goal.sets]
    except RelocdError as error:
        return None, (str(error),)
    sketch = outline(replace(goal, name=name), sets, host.guards, host.addresses.interfaces())
    problems = (*sketch.problems, *misnamed(goal, sets, [_set(host, each) for each in goal.server_sets]))
    return (None, problems) if problems else (sketch, ())


def _set(host: Host, name: str) -> TemplateSet | None:
    try:
        return host.sets.get(name)
    except RelocdError:  # the problem of its own goal
        return None


async def _rendered(
    host: Host, goal: Goal, files: Sequence[PlannedFile], known: Files | None
) -> tuple[Files, tuple[str, ...]]:
    """The files with their content, and why those that are missing could not be rendered."""
    if known is not None or not files:
        return known or (), ()
    try:
        texts = await host.renderer.render(files, goal.context)
    except RelocdError as error:
        return (), (str(error),)
    done = [_filled(file, text) for file, text in zip(files, texts, strict=True)]
    problems = dict.fromkeys(str(file) for file in done if isinstance(file, Invalid))  # one value, several files
    return tuple(file for file in done if isinstance(file, NewFile)), tuple(problems)


def _filled(file: PlannedFile, rendered: Rendered | Invalid) -> NewFile | Invalid:
    try:
        return rendered if isinstance(rendered, Invalid) else rendered_file(file, rendered.text, secret=rendered.secret)
    except Invalid as error:
        return error


async def _observed(host: Host, sketch: Spec | None, footprint: Footprint) -> Observed:
    """What is here of all that a goal asks for or has left."""
    targets = footprint.files.union(file.spec.target for file in (sketch.files if sketch else ()))
    names = sorted({unit.name for unit in (*footprint.units, *(sketch.rest.units if sketch else ()))})
    states, units = await asyncio.gather(
        host.files.states(targets), asyncio.gather(*(_unit_state(host, name) for name in names))
    )
    return Observed(
        files=states,
        addresses=frozenset(Placed(each.interface, each.address) for each in host.addresses.held() if each.ours),
        units={name: state for name, state in zip(names, units, strict=True) if state is not None},
    )


async def _unit_state(host: Host, name: str) -> UnitState | None:
    try:
        return await host.units.state(name)
    except Unavailable:
        return None


async def _troubles(host: Host, units: Iterable[DesiredUnit]) -> tuple[str, ...]:
    """What keeps the units that the role starts from being relied on."""
    found = []
    for unit in units:
        if unit.enter is UnitAction.START:
            with suppress(Unavailable):
                found.append(await host.units.trouble(unit.name))
    return tuple(filter(None, found))


def _reached(plan: Plan, footprint: Footprint, role: Role, outcomes: Sequence[Outcome]) -> Footprint:
    """The footprint after acting: whole success reaches the role; a fallback reaches no role that it did not have.

    Where only a command failed, the units run with the new files: they are not restarted for the next attempt, and the
    command is owed.
    """
    if plan.desired is None:
        return footprint
    reached = after(plan.desired, plan.intent)
    failed = [outcome.action for outcome in outcomes if outcome.problem]
    intent = replace(plan.intent, files=plan.intent.files | _installed(outcomes))
    if any(not isinstance(action, RunCommand) for action in failed):
        return intent
    if failed:
        return replace(intent, applied=reached.applied, owes_change=True)
    return replace(reached, role=footprint.role if footprint.role is role else None) if plan.problems else reached


def _installed(outcomes: Iterable[Outcome]) -> frozenset[str]:
    done = (each.action for each in outcomes if not each.problem)
    return frozenset(file.target for action in done if isinstance(action, InstallFiles) for file in action.files)


async def _permitted(terms: Terms, plan: Plan) -> ServePermit:
    return await terms.permit() if terms.permit is not None and _raises(plan) else ServePermit()


async def _intended(host: Host, goal: GoalId, plan: Plan) -> None:
    if plan.actions:
        await _intend(host, goal, plan.intent)


async def _intend(host: Host, goal: GoalId, footprint: Footprint) -> None:
    """Note what may be left behind; that it cannot be noted is reported when the end cannot be kept either."""
    with suppress(Failed):
        await host.ledger.intend(goal, footprint)


async def _unkept(host: Host, goal: GoalId, footprint: Footprint) -> tuple[str, ...]:
    """Keep a footprint; a full disk is a problem that is reported, and no reason not to serve."""
    try:
        await host.ledger.save(goal, footprint)
    except Failed as error:
        return (f"the ledger cannot be kept: {error}",)
    return ()
