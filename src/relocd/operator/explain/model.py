"""What each server sees of a service and is itself, as far as that can be told from the directory. Pure.

What only the server knows is taken from what it last said of itself, or assumed (`ASSUMED`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from relocd.election.eligibility import Contest
from relocd.election.observation import Choice, GivesWay, Here, Life, Sight, State
from relocd.model.entries import EntryUUID, Isolation
from relocd.model.mode import Mode
from relocd.operator.explain.service_view import Scene
from relocd.operator.status.health import ServerView

__all__ = ["ASSUMED", "World", "world_of"]

ASSUMED: Final = (
    "what a server reports no problem of is ready there; its heartbeat is steady, a candidacy has settled; "
    "nobody has asked the wire"
)


@dataclass(frozen=True, slots=True)
class World:
    """A service, who shall run it and all servers around it, at one moment.

    `acting` are those whose agent runs and may act, `lives` what each knows of the others.
    """

    state: State | None
    choice: Choice
    heres: Mapping[EntryUUID, Here]
    lives: Mapping[EntryUUID, Life] = field(default_factory=dict)
    acting: frozenset[EntryUUID] = frozenset()

    def sight(self, server: EntryUUID) -> Sight:
        """What a server sees."""
        return Sight(server, self.state, self.choice, self.lives)


def world_of(scene: Scene) -> World:
    """The world as it is now."""
    contests = {server: scene.contest(server) for server in scene.seen}
    first = next(iter(contests.values()), None)
    if first is None:
        entry = scene.snapshot.states.get(scene.service.uuid)
        return World(State(generation=(entry and entry.generation) or 0), Choice(), {})
    named = (first.state.holder, first.state.candidate, first.state.previous) if first.state else ()
    concerned = {*scene.seen, *filter(None, named)}
    return World(
        state=first.state,
        choice=first.choice,
        heres={server: _here(scene, contest) for server, contest in contests.items()},
        lives={server: scene.life(server) for server in concerned},
        acting=frozenset(server for server, seen in scene.seen.items() if _acts(seen)),
    )


def _acts(seen: ServerView) -> bool:
    return seen.sign is not None and not seen.is_silent and seen.sign.mode != Mode.PAUSED


def _here(scene: Scene, contest: Contest) -> Here:
    seen, service = scene.seen[contest.me], scene.service
    says = "" if seen.sign is None else seen.sign.says.get(service.dn.key, "")
    return Here(
        active=says == "active",
        up=says == "active",
        ready=not seen.problems_of(service.name) and says != "failed" and not seen.is_silent,
        steady=not seen.is_silent,
        failed=says == "failed" and contest.holds,
        settled=True,
        expired=seen.is_silent and service.isolation is Isolation.RELEASE,
        gives_way=_gives_way(contest, seen),
    )


def _gives_way(contest: Contest, seen: ServerView) -> GivesWay | None:
    if seen.server.fenced:
        return GivesWay.FENCED
    if contest.displaced_by is not None:
        return GivesWay.DISPLACED
    return GivesWay.DRAINED if seen.sign is not None and seen.sign.mode == Mode.DRAINED else None
