"""One convergence of one goal: plan, get the permit, act, and record the footprint that is left.

Releasing is all or nothing: `release` begins only when every address of the service can leave this host, and succeeds
only when none is left here.

The order of the ledger's writes makes every crash recoverable. Before the first action the ledger names what the
actions may leave behind; what they reached is saved after the last. Only the second write waits for the disk: the
intent has to survive a crash of the agent, and after a crash of the whole server no address and no unit of before is
up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

from relocd.agent.convergence.execution import ActionOutcome, ExecContext, done_of, execute, is_broken, problems_of
from relocd.agent.convergence.host import Host, claims_of_footprint, footprint_without
from relocd.agent.convergence.permit import NotPermitted, PermitSource, Reach, ServePermit
from relocd.agent.convergence.planning import (
    Plan,
    Staged,
    make_plan,
    observe,
    ours_of,
    plan_release,
    raises,
    stops,
    substance_of,
    unit_state,
    unit_troubles,
)
from relocd.errors import Failed, RelocdError
from relocd.model.entries import ServiceAddress
from relocd.model.host import UnitState, no_unit
from relocd.model.template_set import First, Role, UnitAction
from relocd.reconcile.addresses import in_the_way, kept_here, not_ours
from relocd.reconcile.desired import Footprint, Placed
from relocd.reconcile.diff import STOPPED, Action, AddAddress, InstallFiles, RunCommand, UseUnit, after, leaving
from relocd.reconcile.goals import Goal, GoalId

__all__ = [
    "Options",
    "Report",
    "adopted",
    "asked",
    "converge",
    "is_up",
    "leave",
    "obstacles_to",
    "plan_leave",
    "release",
    "stage",
    "still_here",
    "units_run",
]

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Options:
    """How one convergence is carried out.

    `revoked` is set once the service should not be served any more. `guard` issues the permit to raise it; with
    `ask_early` it is asked while the plan is being made, else only when the plan raises something. `staged` is the role
    as it was prepared. `first` is what stops first, whatever the template sets say.
    """

    revoked: asyncio.Event = field(default_factory=asyncio.Event)
    guard: PermitSource | None = None
    ask_early: bool = False
    staged: Staged | None = None
    first: First | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a convergence has reached: the footprint left here (None: nothing), and what failed.

    `busy` says that it only waits, for another host or for a permit. `actions` are those that succeeded. `broken`: what
    is needed to serve could not be done; with any other problem the service goes on as it was. `reason` says in words
    why this server does what it does for an exclusive service. `again_s` is when to act again if nothing happens.
    """

    footprint: Footprint | None
    problems: tuple[str, ...] = ()
    busy: bool = False
    actions: tuple[Action, ...] = ()
    broken: bool = False
    reason: str = ""
    again_s: float | None = field(default=None, compare=False)


async def converge(host: Host, goal: Goal, footprint: Footprint, options: Options | None = None) -> Report:
    """Bring a goal about as far as it goes now, and no further once its serving is revoked.

    Without a permit nothing is done, and the report is busy.
    """
    options = options or Options()
    try:
        if options.guard is None or not options.ask_early:
            return await _converge(host, goal, footprint, options, None)
        async with asked(options.guard.permit(goal)) as permit:
            return await _converge(host, goal, footprint, options, permit)
    except NotPermitted as error:
        return Report(footprint, (str(error),), busy=True)


async def _converge(
    host: Host, goal: Goal, footprint: Footprint, options: Options, early: asyncio.Future[ServePermit] | None
) -> Report:
    begun = time.monotonic()
    plan = await make_plan(host, goal, footprint, staged=options.staged, first=options.first)
    claimed = host.claims.problems(goal.id, claims_of_footprint(plan.intent))  # by another one meanwhile
    if plan.desired is None or claimed:
        return Report(footprint, (*plan.problems, *claimed))
    take = host.claims.take_over if goal.role is Role.ACTIVE else host.claims.take
    take(goal.id, plan.intent.name, claims_of_footprint(plan.intent))
    try:
        permit, _ = await asyncio.gather(_permit(options.guard, goal, plan, early), _save_intent(host, goal.id, plan))
    except BaseException:
        host.claims.restore(goal.id, footprint)
        raise
    entering = footprint.role is not goal.role
    context = ExecContext(goal.name, goal.reason, entering, options.revoked, permit, goal.secrets)
    outcomes = await execute(host, plan.actions, context)
    if outcomes:
        host.meter.acted("all", time.monotonic() - begun, "failed" if problems_of(outcomes) else "done")
    reached = _reached(plan, footprint, goal.role, outcomes)
    host.claims.keep(goal.id, reached)
    troubles = await unit_troubles(host, plan.desired.units) if goal.role is Role.ACTIVE else ()
    problems = (*plan.problems, *problems_of(outcomes), *troubles, *await _save(host, goal.id, reached))
    broken = bool(troubles) or is_broken(outcomes)
    return Report(reached, problems, any(outcome.busy for outcome in outcomes), done_of(outcomes), broken)


async def _permit(
    guard: PermitSource | None, goal: Goal, plan: Plan, early: asyncio.Future[ServePermit] | None
) -> ServePermit:
    if guard is None or not raises(plan):
        return ServePermit()
    return await (early or guard.permit(goal))


async def stage(host: Host, goal: Goal, footprint: Footprint) -> Staged:
    """Prepare a role: check its files and leave them beside their targets; raises an error that says why it cannot."""
    staged_at = time.monotonic()
    plan = await make_plan(host, goal, footprint)
    if plan.problems or plan.desired is None or plan.desired.files is None:
        raise Failed("; ".join(plan.problems) or "nothing is known of it here yet")
    missing = [unit.name for unit in plan.desired.units if await unit_state(host, unit.name) is UnitState.UNKNOWN]
    troubles = tuple(map(no_unit, missing)) or await unit_troubles(host, plan.desired.units)
    if troubles:
        raise Failed("; ".join(troubles))
    await _check_means(host, plan)
    await host.files.prepare([file for each in plan.actions if isinstance(each, InstallFiles) for file in each.files])
    return Staged(substance_of(goal), footprint, staged_at, plan, plan.desired.files)


async def release(host: Host, goal: Goal, footprint: Footprint, reach: Reach, before_drop: Reach) -> Report:
    """Stop what another server is about to start, units and addresses; the rest is left to the next convergence.

    Nothing is done while a copy of an address cannot leave with it, or `reach` raises; no address is dropped before
    `before_drop` has returned. A unit that does not stop keeps the addresses here. A report without a problem means
    that no address of the service is left on this host.
    """
    found = not_ours(host.addresses.copies(goal.addresses))
    if found:
        return Report(footprint, kept_here(found))
    async with asked(reach()) as reached:
        plan = await plan_release(host, goal, footprint)
        urgent = [action for action in plan.actions if stops(action)]
        if urgent:
            await _intend(host, goal.id, plan.intent)
        await reached
    if plan.desired is None:
        return Report(footprint, plan.problems)
    context = ExecContext(goal.name, goal.reason, secrets=goal.secrets, before_drop=before_drop)
    outcomes = await execute(host, urgent, context)
    left = () if problems_of(outcomes) else kept_here(host.addresses.copies(goal.addresses))
    problems = (*problems_of(outcomes), *left)
    return Report(plan.intent if urgent else footprint, problems, actions=done_of(outcomes), broken=bool(problems))


def obstacles_to(host: Host, goal: Goal) -> tuple[str, ...]:
    """What on this host prevents raising a service's addresses here, and what to do."""
    return in_the_way(not_ours(host.addresses.copies(goal.addresses)))


def still_here(host: Host, goal: Goal) -> tuple[str, ...]:
    """The service's addresses that answer on this host although relocd did not raise them, and what to do."""
    return kept_here(not_ours(host.addresses.copies(goal.addresses)))


async def plan_leave(host: Host, goal: GoalId, footprint: Footprint) -> tuple[Action, ...]:
    """The actions after which nothing of a goal is left here: addresses first, since another server may have them."""
    all_here = adopted(host, (placed.address for placed in footprint.addresses), footprint)
    all_here = footprint_without(all_here, host.claims.others(goal))
    return leaving(await observe(host, None, all_here), replace(all_here, first=First.ADDRESSES))


async def leave(
    host: Host, goal: GoalId, footprint: Footprint, reason: str, secrets: tuple[str, ...] | None = None
) -> Report:
    """Leave: what cannot be undone now stays in the footprint and is tried again.

    `secrets` are those that the goal had while it was linked, None where they are not known any more.
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
    """The footprint, completed by the addresses of the service that are ours here, whatever the ledger says."""
    ours = (each for each in host.addresses.copies(addresses) if each.ours)
    found = frozenset(Placed(each.interface, each.address) for each in ours)
    return footprint if found <= footprint.addresses else replace(footprint, addresses=footprint.addresses | found)


async def is_up(host: Host, footprint: Footprint) -> bool:
    """Whether something that a server has only while it serves may be up here: an address, or a unit it would stop."""
    if footprint.role is Role.ACTIVE or ours_of(host, footprint.addresses):
        return True
    if footprint.role is Role.STANDBY:
        return False
    units = [unit.name for unit in footprint.units if unit.enter in {UnitAction.START, UnitAction.STOP}]
    return any([await unit_state(host, name) not in STOPPED for name in units])


async def units_run(host: Host, footprint: Footprint | None) -> bool:
    """Whether all units that start with a service run; False while that is unknown, or where there is none."""
    names = [unit.name for unit in footprint.units if unit.enter is UnitAction.START] if footprint else []
    try:
        states = {await host.units.state(name) for name in names}
    except RelocdError:
        return False
    return states == {UnitState.ACTIVE}


async def _check_means(host: Host, plan: Plan) -> None:
    """Raise `Failed` when an address could not be raised, or a unit not be started, whatever their own state."""
    for action in plan.actions:
        if isinstance(action, AddAddress):
            await host.addresses.check(action.placed.interface, action.placed.address)
        elif isinstance(action, UseUnit) and not stops(action):
            await host.units.check(action.name)


def _reached(plan: Plan, footprint: Footprint, role: Role, outcomes: Sequence[ActionOutcome]) -> Footprint:
    """The footprint after acting: only whole success reaches the role, and a fallback reaches no role it did not have.

    Where only a command failed, the units run with the new files: they are not restarted for the next attempt, and the
    command is still to be run.
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


def _installed(outcomes: Iterable[ActionOutcome]) -> frozenset[str]:
    done = (each.action for each in outcomes if not each.problem)
    return frozenset(file.target for action in done if isinstance(action, InstallFiles) for file in action.files)


async def _save_intent(host: Host, goal: GoalId, plan: Plan) -> None:
    if plan.actions:
        await _intend(host, goal, plan.intent)


async def _intend(host: Host, goal: GoalId, footprint: Footprint) -> None:
    """Note what may be left behind; if that fails, so does saving the footprint at the end, which reports it."""
    with suppress(Failed):
        await host.ledger.intend(goal, footprint)


async def _save(host: Host, goal: GoalId, footprint: Footprint) -> tuple[str, ...]:
    """Save a footprint; a full disk is a problem to report, and no reason not to serve."""
    try:
        await host.ledger.save(goal, footprint)
    except Failed as error:
        return (f"the ledger cannot be kept: {error}",)
    return ()


@asynccontextmanager
async def asked(question: Awaitable[_Answer]) -> AsyncIterator[asyncio.Future[_Answer]]:
    """The answer, to be awaited within the block; it is given up when the block ends without it."""
    answer = asyncio.ensure_future(question)
    await asyncio.sleep(0)  # sends the question before the block begins
    try:
        yield answer
    finally:
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)
