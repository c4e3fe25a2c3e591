"""The plan of one convergence: what one goal takes on this server now, from the spec, the files and an observation.

The spec and the rendered files depend on the goal and the configuration only. They may have been made before, by
`stage` of `relocd.agent.convergence.converge`, and come as one handle, `Staged`. What is on the host is observed
each time; the staged plan itself is used again where that observation is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from relocd.agent.convergence.host import Host, claims_of_spec, desired_without, footprint_without
from relocd.errors import Invalid, RelocdError, Unavailable
from relocd.model.host import NewFile, UnitState
from relocd.model.template_set import First, Role, TemplateSet, UnitAction
from relocd.ports.host import Rendered
from relocd.reconcile.addresses import in_the_way, not_ours
from relocd.reconcile.desired import Desired, DesiredUnit, Footprint, Observed, Placed
from relocd.reconcile.diff import (
    Action,
    AddAddress,
    DropAddress,
    ProbeAddresses,
    UseUnit,
    actions,
    before,
    foreign,
)
from relocd.reconcile.goals import Goal, goal_id, in_role
from relocd.reconcile.spec import PlannedFile, Spec, desired, fallback, misnamed, rendered_file, spec_of

__all__ = [
    "Plan",
    "Staged",
    "make_plan",
    "observe",
    "ours_of",
    "plan_release",
    "raises",
    "stops",
    "substance_of",
    "unit_state",
    "unit_troubles",
]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done for a goal, and the problems that prevent a part of it.

    `desired` is None when nothing may be begun; `spec` is None when the goal has none that could be followed.
    `observed` is what was on the host. `intent` is the footprint to save before the first action.
    """

    spec: Spec | None
    observed: Observed
    desired: Desired | None
    actions: tuple[Action, ...]
    problems: tuple[str, ...]
    intent: Footprint

    def without_probe(self, desired: Desired) -> Plan:
        """The plan where the addresses of what is `desired` are known to be free."""
        rest = tuple(action for action in self.actions if not isinstance(action, ProbeAddresses))
        return replace(self, desired=replace(desired, probe=False), actions=rest)


@dataclass(frozen=True, slots=True)
class Staged:
    """A role that was prepared: its plan, and its files, which are checked and beside their targets.

    `substance` and `footprint` are what it was prepared for, `at` is when (monotonic clock). Spec and files stay valid
    while the substance is the same, the plan only while the host is as it was observed.
    """

    substance: Goal
    footprint: Footprint
    at: float
    plan: Plan
    files: tuple[NewFile, ...]

    def fits(self, goal: Goal, footprint: Footprint) -> bool:
        """Whether spec and files are those of a goal, whoever holds it now and for whatever reason."""
        return self.footprint.name == footprint.name and self.substance == substance_of(goal)

    def current_plan(self, footprint: Footprint, observed: Observed, *, probe: bool) -> Plan | None:
        """The plan, with or without the probe, while it is still the right one; else None."""
        plan = self.plan
        if plan.desired is None or (self.footprint, plan.observed) != (footprint, observed):
            return None
        if plan.desired.probe == probe:
            return plan
        return None if probe else plan.without_probe(plan.desired)


async def make_plan(
    host: Host, goal: Goal, footprint: Footprint, *, staged: Staged | None = None, first: First | None = None
) -> Plan:
    """The plan for a goal; making it changes nothing. `first` is what stops first, whatever the template sets say."""
    spec, problems = _spec(host, goal, footprint.name) if staged is None else (staged.plan.spec, ())
    (files, unrendered), observed = await asyncio.gather(
        _rendered(host, goal, spec, staged), observe(host, spec, footprint)
    )
    problems = (*problems, *unrendered, *_hindrances(host, goal, spec, observed))
    probe = goal.probe and host.probing
    if staged is not None and not problems and first is None:
        plan = staged.current_plan(footprint, observed, probe=probe)
        if plan is not None:
            return plan
    chosen = fallback(goal, footprint) if spec is None or problems else desired(spec, files)
    if chosen is not None:
        chosen = replace(chosen, probe=chosen.probe and probe, first=first or chosen.first)
    return _with_actions(host, goal, Plan(spec, observed, chosen, (), problems, footprint))


async def plan_release(host: Host, goal: Goal, footprint: Footprint) -> Plan:
    """The plan for a goal that is to release: of its units and addresses only, so no file is rendered or looked at."""
    spec, problems = _spec(host, goal, footprint.name)
    observed = await observe(host, spec, footprint, files=False)
    problems = (*problems, *_hindrances(host, goal, spec, observed))
    chosen = fallback(goal, footprint) if spec is None or problems else desired(spec, None)
    return _with_actions(host, goal, Plan(spec, observed, chosen, (), problems, footprint))


async def observe(host: Host, spec: Spec | None, footprint: Footprint, *, files: bool = True) -> Observed:
    """What is on this host of all that a goal asks for or has left, with or without its files."""
    targets = footprint.files.union(file.spec.target for file in (spec.files if spec else ())) if files else frozenset()
    names = sorted({unit.name for unit in (*footprint.units, *(spec.desired.units if spec else ()))})
    states, units = await asyncio.gather(
        host.files.states(targets), asyncio.gather(*(unit_state(host, name) for name in names))
    )
    return Observed(
        files=states,
        addresses=ours_of(host, (*footprint.addresses, *(spec.desired.addresses if spec else ()))),
        units={name: state for name, state in zip(names, units, strict=True) if state is not None},
    )


def ours_of(host: Host, addresses: Iterable[Placed]) -> frozenset[Placed]:
    """Those of the addresses that are on this host and ours."""
    wanted = frozenset(addresses)
    held = host.addresses.copies(placed.address for placed in wanted)
    return wanted.intersection(Placed(each.interface, each.address) for each in held if each.ours)


async def unit_state(host: Host, name: str) -> UnitState | None:
    """The state of a unit; None when its manager does not answer."""
    try:
        return await host.units.state(name)
    except Unavailable:
        return None


async def unit_troubles(host: Host, units: Iterable[DesiredUnit]) -> tuple[str, ...]:
    """Why the units that the role starts cannot be relied on."""
    found = []
    for unit in units:
        if unit.enter is UnitAction.START:
            with suppress(Unavailable):
                found.append(await host.units.trouble(unit.name))
    return tuple(filter(None, found))


def raises(plan: Plan) -> bool:
    """Whether a plan raises what only one server may have: an address, or the units of a service without addresses.

    While the addresses of a service are on this host no other server has them: its units may start without a permit.
    """
    if plan.desired is None:
        return False
    starts = any(isinstance(action, UseUnit) and not stops(action) for action in plan.actions)
    return any(isinstance(action, AddAddress) for action in plan.actions) or (starts and not plan.desired.addresses)


def stops(action: Action) -> bool:
    """Whether an action stops a part of what serves."""
    return isinstance(action, DropAddress) or (isinstance(action, UseUnit) and action.action is UnitAction.STOP)


def substance_of(goal: Goal) -> Goal:
    """A goal in the active role, without what changes while it moves: who runs it, why, whether the wire is probed."""
    return replace(in_role(goal, Role.ACTIVE), ownership=None, reason="", probe=False)


def _spec(host: Host, goal: Goal, name: str) -> tuple[Spec | None, tuple[str, ...]]:
    """The spec of a goal, or None and why there is none that could be followed.

    Files and units keep the `name` that the service had when it came here, so that a rename restarts nothing.
    """
    try:
        sets: Sequence[TemplateSet] = [host.sets.get(each) for each in goal.sets]
    except RelocdError as error:
        return None, (str(error),)
    spec = spec_of(replace(goal, name=name), sets, host.guards, host.addresses.interfaces())
    problems = (*spec.problems, *misnamed(goal, sets, [_set(host, each) for each in goal.server_sets]))
    return (None, problems) if problems else (spec, ())


def _hindrances(host: Host, goal: Goal, spec: Spec | None, observed: Observed) -> tuple[str, ...]:
    """What prevents a goal on this host: what other services have, and addresses in the way."""
    if goal.ownership is not None:
        host.claims.allow(goal.id, map(goal_id, goal.ownership.displaces))
    if spec is None:
        return ()
    missing = (placed.address for placed in spec.desired.addresses if placed not in observed.addresses)
    obstructed = in_the_way(not_ours(host.addresses.copies(missing)))
    return (*host.claims.problems(goal.id, claims_of_spec(spec)), *obstructed)


def _with_actions(host: Host, goal: Goal, plan: Plan) -> Plan:
    """The plan with the actions that lead to what is desired, where its `intent` is the footprint of now."""
    chosen, footprint = plan.desired, plan.intent
    if chosen is None:
        return plan
    if goal.role is not Role.ACTIVE:
        others = host.claims.others(goal.id)
        chosen, footprint = desired_without(chosen, others), footprint_without(footprint, others)
    targets = {file.target for file in chosen.files or ()} - foreign(chosen, plan.observed, footprint)
    due, intent = actions(chosen, plan.observed, footprint), before(chosen, targets, footprint)
    return replace(plan, desired=chosen, actions=due, intent=intent)


def _set(host: Host, name: str) -> TemplateSet | None:
    try:
        return host.sets.get(name)
    except RelocdError:  # its own goal reports that
        return None


async def _rendered(
    host: Host, goal: Goal, spec: Spec | None, staged: Staged | None
) -> tuple[tuple[NewFile, ...], tuple[str, ...]]:
    """The files with their content, and why those that are missing could not be rendered."""
    if staged is not None:
        return staged.files, ()
    if spec is None or not spec.files:
        return (), ()
    try:
        texts = await host.renderer.render(spec.files, goal.context)
    except RelocdError as error:
        return (), (str(error),)
    done = [_filled(file, text) for file, text in zip(spec.files, texts, strict=True)]
    problems = dict.fromkeys(str(file) for file in done if isinstance(file, Invalid))  # one value, several files
    return tuple(file for file in done if isinstance(file, NewFile)), tuple(problems)


def _filled(file: PlannedFile, rendered: Rendered | Invalid) -> NewFile | Invalid:
    try:
        return rendered if isinstance(rendered, Invalid) else rendered_file(file, rendered.text, secret=rendered.secret)
    except Invalid as error:
        return error
