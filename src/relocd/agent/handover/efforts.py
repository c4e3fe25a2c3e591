"""What a step of an exclusive service is an effort for, and what it is about: that tells one failure from another."""

from __future__ import annotations

from dataclasses import replace

from relocd.agent.convergence.host import Host
from relocd.agent.convergence.pauses import Effort
from relocd.agent.liveness.lease_guard import Round
from relocd.election.eligibility import OwnershipView
from relocd.election.steps import Activate, FailBack, HandOver, Keep, Release, Step, StepDown, Stop
from relocd.errors import RelocdError
from relocd.model.host import UnitState
from relocd.model.template_set import Role, UnitAction
from relocd.reconcile.desired import Footprint
from relocd.reconcile.goals import Goal, in_role

__all__ = ["cause_of", "effort_of", "matter_of", "runs", "substance_of"]


def effort_of(step: Step) -> Effort:
    """What kind of effort a step is."""
    match step:
        case Keep():
            return Effort.KEEP
        case Activate():
            return Effort.ACTIVATE
        case Stop():
            return Effort.STOP
        case HandOver() | FailBack() | Release() | StepDown():
            return Effort.RELEASE
    return Effort.WRITE


def matter_of(step: Step, round_: Round) -> object:
    """What a step is about: once that is another, it is tried again although it has failed."""
    match step:
        case Keep():
            return substance_of(round_.goal), round_.ownership.holds
        case Activate(generation):
            return generation, cause_of(round_.goal, round_.ownership)
        case HandOver() | FailBack() | Release() | StepDown():
            return None
    return type(step), round_.ownership.state, round_.ownership.eligible


async def runs(host: Host, footprint: Footprint | None) -> bool:
    """Whether all units that are started with a service run; not while that is unknown, or where there is none."""
    names = [unit.name for unit in footprint.units if unit.enter is UnitAction.START] if footprint else []
    try:
        states = {await host.units.state(name) for name in names}
    except RelocdError:
        return False
    return states == {UnitState.ACTIVE}


def substance_of(goal: Goal) -> Goal:
    """A goal without what changes while it moves: who runs it, and why."""
    return replace(in_role(goal, Role.ACTIVE), ownership=None, reason="")


def cause_of(goal: Goal, ownership: OwnershipView) -> object:
    """What a failed activation was about: once it is another, it may be tried again."""
    return goal.addresses, goal.interface, goal.sets, goal.context.parameters, ownership.eligible
