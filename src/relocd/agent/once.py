"""One cycle and no more: learn what the directory says, plan, and either show the plan or carry it out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff

from relocd.agent.agent import Directory, scope_of
from relocd.agent.confirmation import fill, is_unlinked
from relocd.agent.converge import converged, departed, departure, planned
from relocd.agent.host import Host
from relocd.errors import RelocdError, Unavailable
from relocd.model.dn import DN
from relocd.model.entries import Problem
from relocd.model.host import NewFile
from relocd.model.settings import Settings
from relocd.model.snapshot import Snapshot
from relocd.plan.actions import Action, InstallFiles
from relocd.plan.desired import Footprint
from relocd.plan.goals import Goal, GoalId, Goals, goals, service_of
from relocd.sync.events import Lost
from relocd.sync.mirror import Mirror

__all__ = ["Cycle", "Step", "apply_once", "plan_once"]


@dataclass(frozen=True, slots=True)
class Step:
    """What one goal would need or has got: the actions, the differences of its files, and its problems."""

    name: str
    wish: str
    actions: tuple[Action, ...] = ()
    differences: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cycle:
    """The steps of one cycle and the problems of the directory itself."""

    steps: tuple[Step, ...]
    problems: tuple[Problem, ...]


async def plan_once(settings: Settings, host: Host, directory: Directory, timeout_s: float) -> Cycle:
    """What a cycle would do now; nothing is changed. Raises `Unavailable` when the directory does not answer."""
    known = await _known(settings, host, directory, timeout_s)
    ledger = host.ledger.all()
    steps = [await _planned(host, goal, _footprint(ledger, goal)) for goal in known.goals.wanted.values()]
    for goal_id in await _gone(known, directory, ledger):
        actions = await departure(host, ledger[goal_id])
        steps.append(Step(ledger[goal_id].name, "no longer linked", actions))
    return Cycle(tuple(steps), known.snapshot.problems)


async def apply_once(settings: Settings, host: Host, directory: Directory, timeout_s: float) -> Cycle:
    """Carry out one cycle; every goal is tried, whatever becomes of the others."""
    known = await _known(settings, host, directory, timeout_s)
    ledger = host.ledger.all()
    gone = await _gone(known, directory, ledger)
    left = await asyncio.gather(*(_departed(host, goal_id, ledger[goal_id]) for goal_id in gone))
    done = await asyncio.gather(
        *(_converged(host, goal, _footprint(ledger, goal)) for goal in known.goals.wanted.values())
    )
    return Cycle((*left, *done), known.snapshot.problems)


@dataclass(frozen=True, slots=True)
class _Known:
    snapshot: Snapshot
    goals: Goals


async def _known(settings: Settings, host: Host, directory: Directory, timeout_s: float) -> _Known:
    try:
        async with asyncio.timeout(timeout_s):
            snapshot = await _snapshot(settings, directory)
    except TimeoutError as error:
        raise Unavailable(f"the directory was not read within {timeout_s:g} s") from error
    found = goals(snapshot, scope_of(host), settings.server.template_sets)
    if found is None:
        raise Unavailable("; ".join(str(problem) for problem in snapshot.problems))
    return _Known(snapshot, found)


async def _snapshot(settings: Settings, directory: Directory) -> Snapshot:
    mirror = Mirror(DN.parse(settings.server.dn))
    async for batch in directory.feed.batches():
        lost = next((event for event in batch if isinstance(event, Lost)), None)
        if lost is not None:
            raise Unavailable(lost.reason)
        mirror.apply(batch)
        if mirror.snapshot is not None:
            break
    while mirror.missing:
        await fill(mirror, directory.reader)
    snapshot = mirror.snapshot
    if snapshot is None:
        raise Unavailable("the search ended before the directory was read")
    return snapshot


def _footprint(ledger: Mapping[GoalId, Footprint], goal: Goal) -> Footprint:
    return ledger.get(goal.id) or Footprint(goal.name)


async def _gone(known: _Known, directory: Directory, ledger: Mapping[GoalId, Footprint]) -> list[GoalId]:
    """The goals of the ledger that the directory positively no longer links."""
    if known.snapshot.me is None:
        return []
    gone = []
    for goal_id in ledger.keys() - known.goals.wanted.keys() - known.goals.unknown:
        service = service_of(goal_id)
        if service is None or await is_unlinked(directory.reader, known.snapshot.me.uuid, service):
            gone.append(goal_id)
    return gone


async def _planned(host: Host, goal: Goal, footprint: Footprint) -> Step:
    wish = f"{goal.role}: {goal.reason}"
    try:
        plan = await planned(host, goal, footprint)
    except RelocdError as error:
        return Step(goal.name, wish, problems=(str(error),))
    files = [file for action in plan.actions if isinstance(action, InstallFiles) for file in action.files]
    differences = [difference(await host.files.content(file.target), file) for file in files]
    return Step(goal.name, wish, plan.actions, tuple(differences), plan.problems)


async def _converged(host: Host, goal: Goal, footprint: Footprint) -> Step:
    wish = f"{goal.role}: {goal.reason}"
    try:
        report = await converged(host, goal, footprint)
    except RelocdError as error:
        return Step(goal.name, wish, problems=(str(error),))
    return Step(goal.name, wish, report.actions, problems=report.problems)


async def _departed(host: Host, goal_id: GoalId, footprint: Footprint) -> Step:
    report = await departed(host, goal_id, footprint, "no longer linked")
    return Step(footprint.name, "no longer linked", report.actions, problems=report.problems)


def difference(old: bytes | None, new: NewFile) -> str:
    """A unified diff of a file and what shall replace it; content that was made with a secret is not shown."""
    if new.secret:
        return (
            f"--- {new.target}\n+++ {new.target}\n(the content differs; it was made with a secret and is not shown)\n"
        )
    before = [] if old is None else old.decode(errors="replace").splitlines(keepends=True)
    after = new.content.decode(errors="replace").splitlines(keepends=True)
    name = "/dev/null" if old is None else new.target
    lines = unified_diff(before, after, name, new.target)
    return "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)
