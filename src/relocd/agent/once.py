"""One cycle and no more, without an agent: read the directory, plan, and either show the plan or carry it out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import unified_diff

from relocd.agent.agent import DirectoryPorts
from relocd.agent.convergence.converge import Options, converge, leave, plan_leave
from relocd.agent.convergence.host import Host, sets_of
from relocd.agent.convergence.planning import make_plan
from relocd.agent.directory.absence_check import absence_doubt, fill, is_unlinked
from relocd.agent.liveness.lease_guard import HolderGuard
from relocd.errors import RelocdError, Unavailable
from relocd.model.dn import DN
from relocd.model.entries import Problem, Snapshot
from relocd.model.host import NewFile
from relocd.model.masking import holds, told
from relocd.model.settings import Settings
from relocd.model.template_set import Role
from relocd.reconcile.desired import Footprint
from relocd.reconcile.diff import Action, InstallFiles
from relocd.reconcile.goals import Goal, GoalId, Goals, goals, service_of
from relocd.sync.mirror import Mirror
from relocd.sync.session import SearchLost

__all__ = ["Cycle", "CycleStep", "apply_once", "plan_once"]

_UNLINKED = "no longer linked"


@dataclass(frozen=True, slots=True)
class CycleStep:
    """What one goal would need or has got: the actions, the differences of its files, and its problems."""

    name: str
    wanted: str
    actions: tuple[Action, ...] = ()
    differences: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cycle:
    """The steps of one cycle and the problems of the directory itself."""

    steps: tuple[CycleStep, ...]
    problems: tuple[Problem, ...]


async def plan_once(settings: Settings, host: Host, directory: DirectoryPorts, timeout_s: float) -> Cycle:
    """What a cycle would do now; nothing is changed. Raises `Unavailable` when the directory does not answer."""
    known = await _known(settings, host, directory, timeout_s)
    ledger = host.claims.adopt(host.ledger.all())
    steps = [await _plan(host, directory, goal, _footprint(ledger, goal)) for goal in known.goals.due(ledger)]
    gone, doubts = await _gone(known, directory, ledger)
    for goal_id in gone:
        actions = await plan_leave(host, goal_id, ledger[goal_id])
        steps.append(CycleStep(ledger[goal_id].name, _UNLINKED, actions))
    return Cycle((*steps, *doubts), known.snapshot.problems)


async def apply_once(settings: Settings, host: Host, directory: DirectoryPorts, timeout_s: float) -> Cycle:
    """Carry out one cycle; every goal is tried, whatever becomes of the others."""
    known = await _known(settings, host, directory, timeout_s)
    ledger = host.claims.adopt(host.ledger.all())
    gone, doubts = await _gone(known, directory, ledger)
    left = await asyncio.gather(*(_leave(host, goal_id, ledger[goal_id]) for goal_id in gone))
    due = known.goals.due(ledger)
    done = await asyncio.gather(*(_converge(host, directory, goal, _footprint(ledger, goal)) for goal in due))
    return Cycle((*left, *done, *doubts), known.snapshot.problems)


@dataclass(frozen=True, slots=True)
class _Known:
    snapshot: Snapshot
    goals: Goals


async def _known(settings: Settings, host: Host, directory: DirectoryPorts, timeout_s: float) -> _Known:
    try:
        async with asyncio.timeout(timeout_s):
            snapshot = await _snapshot(settings, directory)
    except TimeoutError as error:
        raise Unavailable(f"the directory was not read within {timeout_s:g} s") from error
    found = goals(snapshot, sets_of(host), settings.server.template_sets)
    if found is None:
        raise Unavailable("; ".join(str(problem) for problem in snapshot.problems))
    return _Known(snapshot, found)


async def _snapshot(settings: Settings, directory: DirectoryPorts) -> Snapshot:
    mirror = Mirror(DN.parse(settings.server.dn))
    lost: list[str] = []
    async for batch in directory.feed.batches():
        mirror.apply(batch)
        if mirror.snapshot is not None:
            break
        lost += [event.reason for event in batch if isinstance(event, SearchLost)]
        if len(lost) >= len(settings.directory.uris):  # every one was tried
            raise Unavailable("; ".join(lost))
    while mirror.missing:
        if not await fill(mirror, directory.reader):
            await asyncio.sleep(settings.directory.retry_min_s)
    snapshot = mirror.snapshot
    if snapshot is None:
        raise Unavailable("the search ended before the directory was read")
    return snapshot


def _footprint(ledger: Mapping[GoalId, Footprint], goal: Goal) -> Footprint:
    return ledger.get(goal.id) or Footprint(goal.name)


async def _gone(
    known: _Known, directory: DirectoryPorts, ledger: Mapping[GoalId, Footprint]
) -> tuple[list[GoalId], list[CycleStep]]:
    """The goals of the ledger that are positively no longer linked, and a step for each that only seems so."""
    gone: list[GoalId] = []
    doubts: list[CycleStep] = []
    for goal_id in sorted(known.goals.absent(ledger), key=lambda goal: (service_of(goal) is None, goal)):
        doubt = await _doubt(known, directory, goal_id)
        if doubt is None and (service_of(goal_id) is not None or not doubts):
            gone.append(goal_id)
        else:
            why = doubt or "a service that may need it is not confirmed to be gone"
            doubts.append(CycleStep(ledger[goal_id].name, "unknown", problems=(f"stays: {why}",)))
    return gone, doubts


async def _doubt(known: _Known, directory: DirectoryPorts, goal_id: GoalId) -> str | None:
    """Why a goal that seems not to be linked any more must stay, None when it may go."""
    service = service_of(goal_id)
    if service is None or known.snapshot.me is None:
        return None
    return await absence_doubt(is_unlinked(directory.reader, known.snapshot.me.uuid, service))


async def _plan(host: Host, directory: DirectoryPorts, goal: Goal, footprint: Footprint) -> CycleStep:
    wanted = _wanted(goal)
    if _is_undecided(goal, footprint):
        return CycleStep(goal.name, wanted)
    try:
        if goal.ownership is not None and goal.ownership.holds:
            await HolderGuard(directory.reader).permit(goal)
        plan = await make_plan(host, goal, footprint)
    except RelocdError as error:
        return CycleStep(goal.name, wanted, problems=(told(error, goal.secrets),))
    files = [file for action in plan.actions if isinstance(action, InstallFiles) for file in action.files]
    differences = [_difference(await host.files.content(file.target), file, goal) for file in files]
    return CycleStep(goal.name, wanted, plan.actions, tuple(differences), plan.problems)


async def _converge(host: Host, directory: DirectoryPorts, goal: Goal, footprint: Footprint) -> CycleStep:
    wanted = _wanted(goal)
    if _is_undecided(goal, footprint):
        return CycleStep(goal.name, wanted)
    try:
        report = await converge(host, goal, footprint, Options(guard=HolderGuard(directory.reader)))
    except RelocdError as error:
        return CycleStep(goal.name, wanted, problems=(told(error, goal.secrets),))
    return CycleStep(goal.name, wanted, report.actions, problems=report.problems)


def _wanted(goal: Goal) -> str:
    if goal.ownership is not None and (goal.ownership.state is None or goal.ownership.state.holder is None):
        return f"{goal.role}: {goal.reason}; it has no holder yet, which only agents decide"
    return f"{goal.role}: {goal.reason}"


def _is_undecided(goal: Goal, footprint: Footprint) -> bool:
    """Whether something of an exclusive service without a holder is here: only an agent may stop that."""
    ownership = goal.ownership
    undecided = ownership is not None and (ownership.state is None or ownership.state.holder is None)
    return undecided and footprint.role is not Role.STANDBY and bool(footprint.addresses or footprint.units)


async def _leave(host: Host, goal_id: GoalId, footprint: Footprint) -> CycleStep:
    try:
        report = await leave(host, goal_id, footprint, _UNLINKED)
    except RelocdError as error:
        return CycleStep(footprint.name, _UNLINKED, problems=(told(error, None),))
    return CycleStep(footprint.name, _UNLINKED, report.actions, problems=report.problems)


def _difference(old: bytes | None, new: NewFile, goal: Goal) -> str:
    """A difference; also the old content may hold a secret that the template does not use any more."""
    held = old is not None and holds(old.decode(errors="replace"), goal.secrets)
    return difference(old, replace(new, secret=new.secret or held))


def difference(old: bytes | None, new: NewFile) -> str:
    """A unified diff of a file and what is to replace it; content that was made with a secret is not shown."""
    if new.secret:
        return (
            f"--- {new.target}\n+++ {new.target}\n(the content differs; it was made with a secret and is not shown)\n"
        )
    before = [] if old is None else old.decode(errors="replace").splitlines(keepends=True)
    after = new.content.decode(errors="replace").splitlines(keepends=True)
    name = "/dev/null" if old is None else new.target
    lines = unified_diff(before, after, name, new.target)
    return "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)
