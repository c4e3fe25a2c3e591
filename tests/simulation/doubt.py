"""Whether two providers may have been told different things: the conditions of `tests.simulation.schedule`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relocd.model.entries import Isolation
from tests.simulation.kind import SETTLING

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["note"]


def note(world: World) -> None:
    """Begin a doubt, or end it: the providers have met and agree, and nobody but the holder has the address."""
    first, second = (provider.now.state for provider in world.providers)
    up = {server.name for server in world.servers.values() if server.address}
    served = first.holder == second.holder and up == {first.holder} and world.kind.isolation is Isolation.KEEP
    if any(provider.has_news for provider in world.providers) or not _hear_each_other(world):
        world.met_since = world.now + 1
    _note_half_fenced(world)
    half_fenced = any(server.half_fenced for server in world.servers.values())
    if half_fenced or not (served or _hear_each_other(world)):
        world.begin_doubt()
    elif world.now - world.met_since > SETTLING and first == second and up <= {first.holder}:
        world.doubtful = False


def _note_half_fenced(world: World) -> None:
    """Keep which servers run although they are fenced, because their provider could not be told that."""
    for server in world.servers.values():
        fenced = [server.name in provider.now.fenced for provider in world.providers]
        if not (server.up and any(fenced)):
            server.half_fenced = False
        elif not (all(fenced) or _hear_each_other(world)):
            server.half_fenced = True


def _hear_each_other(world: World) -> bool:
    """Whether two providers know the same but for the delay; one that is down with nothing untold counts, too."""
    down = [provider for provider in world.providers if not provider.up]
    hung = any(provider.hung for provider in world.providers)
    return not hung and not any(provider.has_news for provider in down) and bool(down or not world.apart)
