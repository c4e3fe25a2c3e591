"""The health of the service on the servers: checks, what an agent publishes and counts, and what must hold of it.

An agent checks the service where it is active, once a tick. What it takes as failed it publishes with its heartbeat. In
an automatic cluster a member takes the place of the active one where the service has failed.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from relocd.election.observation import Life, LocalState, Observation, YieldReason
from relocd.election.steps import Activate, BecomeCandidate, HandOver, Release, Rule, Step, StepDown, SwapIn
from relocd.model.entries import EntryUUID
from tests.simulation.directory import Content, Write
from tests.simulation.kind import FALL, MOST, RISE, WINDOW

if TYPE_CHECKING:
    from tests.simulation.server import Server
    from tests.simulation.world import World

__all__ = ["check", "fail_over", "failed_of", "is_spent", "note_change", "note_links", "wrong"]


def check(world: World, server: Server) -> None:
    """The agent's checks of the service, where it is active."""
    memory = server.memory
    if server.flaps and world.random.random() < 0.2:
        server.sick = not server.sick
    if not (server.acts and memory.believes):
        memory.failing = memory.passing = 0
    elif server.sick or server.hangs:
        memory.failing, memory.passing = memory.failing + 1, 0
    else:
        memory.failing, memory.passing = 0, memory.passing + 1
    if memory.failing >= FALL and not memory.failed_by_health:
        memory.failed_by_health = True
        world.note(f"{server.name} is unhealthy")
    elif memory.passing >= RISE and memory.failed_by_health:
        memory.failed_by_health = False
        world.note(f"{server.name} is healthy again")


def note_links(server: Server) -> None:
    """Who is chosen anew may try again."""
    memory, ownership = server.memory, server.memory.view.ownership
    eligible = ownership.eligible
    memory.note_link(ownership)
    memory.failed_here = memory.failed_here and server.name in eligible.all
    chosen = {"direct": eligible.direct, "cluster": eligible.by_cluster}
    links = frozenset(way for way, servers in chosen.items() if server.name in servers)
    if links - memory.links:
        memory.failed_by_health = False
    memory.links = links


def note_change(world: World, server: Server, before: Content, after: Content) -> None:
    """Count a change of the holder whose former one publishes, then or by now, that the service has failed there."""
    former = before.state.holder
    if former is None or former == after.state.holder or after.state.generation <= before.state.generation:
        return
    provider = world.provider(server)
    if former in after.failed or provider.publishes_failed(former):
        server.memory.moves.append(world.now)


def is_spent(world: World, server: Server) -> bool:
    """Whether the service has moved for its health too often, as far as an agent has seen."""
    recent = [tick for tick in server.memory.moves if world.now - tick < WINDOW]
    return world.care.counts_moves and len(recent) >= MOST


def failed_of(world: World, server: Server, watched: frozenset[EntryUUID]) -> frozenset[EntryUUID]:
    """Those of the servers that publish that the service has failed there, as an agent reads it."""
    provider, reads = world.provider(server), world.reaches(server)
    return frozenset(name for name in watched if reads and provider.publishes_failed(name))


def fail_over(world: World, server: Server) -> None:
    """A member that could run the service takes the place of the active one where it has failed."""
    if not (world.kind.automatic and server.acts and world.reaches(server)):
        return
    content, memory = server.memory.view.content, server.memory
    active = content.cluster_active
    takes = server.fit and not (server.has_failed or memory.failed_here)
    if active in {None, server.name} or not takes or server.yield_reason(fenced=server.name in content.fenced):
        return
    if world.provider(server).publishes_failed(active) and not is_spent(world, server) and world.random.random() < 0.3:
        world.note(f"{server.name} becomes the active member: {active} is unhealthy")
        often = _too_often(world, server)
        world.wrong = world.wrong or (f"{server.name} {often}" if often else "")
        world.provider(server).write(Write((("active", active),), (("active", server.name),)), world.now)


def wrong(world: World, server: Server, step: Step, seen: Observation, local: LocalState) -> str:
    """What is wrong with a step for the health of the service, by what the agent knows; empty when nothing is."""
    problem = _wrong(world, server, step, seen, local)
    return f"{server.name} {problem}" if problem else ""


def _wrong(world: World, server: Server, step: Step, seen: Observation, local: LocalState) -> str:
    chosen = seen.me in seen.eligible.all
    unhealthy = chosen and local.yield_reason is YieldReason.UNHEALTHY
    match step:
        case BecomeCandidate() | SwapIn() if step.rule is Rule.R2 and server.has_failed:
            return "asks for the service, which has failed there"
        case StepDown() | Release() if unhealthy:
            return "drops the service for its health"
        case Activate() if unhealthy and step.rule and _waits(seen):
            return "activates an unhealthy service, and another waits"
        case HandOver() if unhealthy:
            return _too_often(world, server)
    return ""


def _waits(seen: Observation) -> bool:
    """Whether the holder sees a candidate to which it could hand over."""
    state = seen.state
    if state is None or state.asking not in seen.eligible.all or seen.life(state.asking) is not Life.ALIVE:
        return False
    previous = state.previous
    return previous not in seen.eligible.all or seen.life(previous) is Life.DEAD


def _too_often(world: World, server: Server) -> str:
    """Whether an agent that has watched for long enough lets the service move for its health too often."""
    memory, provider = server.memory, world.provider(server)
    seen = provider.versions[: memory.seen + 1]
    moved = [after for before, after in pairwise(seen) if _moved_for_health(before, after)]
    watched = world.kind.providers == 1 and world.now - memory.began_at >= WINDOW
    often = watched and sum(world.now - after.at < WINDOW for after in moved) >= MOST
    return "moves the service for its health too often" if often else ""


def _moved_for_health(before: Content, after: Content) -> bool:
    former = before.state.holder
    return former is not None and former != after.state.holder and former in after.failed
