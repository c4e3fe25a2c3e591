"""Judges another server: by its heartbeat on two clocks, and by the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relocd.election.observation import Life
from relocd.model.entries import EntryUUID, Isolation
from tests.simulation.kind import LEASE
from tests.simulation.server import Sign, Verdict
from tests.simulation.steps import HESITATION

if TYPE_CHECKING:
    from tests.simulation.server import Server
    from tests.simulation.world import World

__all__ = ["lives_of"]


def lives_of(world: World, server: Server, watched: frozenset[EntryUUID]) -> dict[EntryUUID, Life]:
    """The lives of servers; only that a server is alive is believed for a while."""
    verdicts = server.memory.verdicts
    for name in watched:
        known = verdicts.get(name)
        kept = known is not None and (known.life is Life.ALIVE or not world.care.judges_again)
        if known is None or not kept or world.now - known.judged_at > HESITATION:
            verdicts[name] = Verdict(_life(world, server, name), world.now)
    return {name: verdicts[name].life for name in watched}


def _life(world: World, viewer: Server, name: EntryUUID) -> Life:
    if name in viewer.memory.view.content.fenced:
        return Life.DEAD
    if not world.reaches(viewer):
        return Life.SUSPECT
    beat, silent = world.provider(viewer).last_beat(name), _age(world, viewer, name) >= LEASE
    if world.kind.isolation is Isolation.KEEP:
        answered = any(each.answers or each.copy for each in world.machines if each is not viewer)
        dead = silent and not answered and _is_certain(world, viewer, name)
    else:
        value, since = viewer.memory.watch.get(name, (None, 0))
        if value != beat:
            viewer.memory.watch[name] = (beat, since := world.now)
        dead = world.now - since >= LEASE
    if dead:
        return Life.DEAD
    return Life.SUSPECT if silent else Life.ALIVE


def _is_certain(world: World, viewer: Server, name: EntryUUID) -> bool:
    """Whether a heartbeat is as old as it seems, also if the provider's clock was set."""
    memory, sign = viewer.memory, viewer.memory.signs[name]
    if world.now - sign.since >= LEASE or not world.care.notices_set_clocks:
        return True
    return memory.clock.least_age_s(sign.beat[0], sign.since, world.now) >= LEASE


def _age(world: World, viewer: Server, name: EntryUUID) -> float:
    """How old a heartbeat seems by the providers' stamps, but for what the viewer has seen by its own clock."""
    provider, known = world.provider(viewer), viewer.memory.signs.get(name)
    beat = provider.last_beat(name)
    same = known is not None and known.beat == beat
    unbroken = known is not None and same and world.now - known.read_at < LEASE
    since = known.since if known is not None and unbroken else world.now
    moved_at = None if known is None else known.moved_at if same else known.read_at
    viewer.memory.signs[name] = Sign(beat, world.now, since, moved_at)
    stamped = viewer.memory.clock.age_s(beat[0], world.now)
    if not world.care.has_own_clock:
        return stamped
    age = max(stamped, world.now - since)
    return age if moved_at is None else min(age, world.now - moved_at)
