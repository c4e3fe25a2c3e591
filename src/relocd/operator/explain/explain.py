"""`relocd explain`: why a service runs where it runs, server by server, by the rules that the agents go by. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from relocd.election.holder import decision
from relocd.election.observation import Life, State
from relocd.election.rules import next_step
from relocd.election.steps import Rule, Step
from relocd.model.entries import EntryUUID
from relocd.model.mode import Mode
from relocd.operator.change.preflight import proof
from relocd.operator.explain.forecast import Act, forecast
from relocd.operator.explain.model import ServiceModel, world_of
from relocd.operator.explain.service_view import GIVEN_BACK, ServiceView
from relocd.operator.explain.what_if import Way, way_to
from relocd.operator.status.health import ServerRow

__all__ = ["Explanation", "Stand", "explanation"]


@dataclass(frozen=True, slots=True)
class Stand:
    """How one server stands to the service.

    `part` is its part by state and links, `link` why it has that. `waits` is what keeps a candidate from taking over.
    `step` is what it does now, None where the rules are not about it; `idle` is why its agent does not do even that.
    `way` is how the service would come to it, None where it is or where nothing seen would do it.
    """

    seen: ServerRow
    part: str
    link: str
    says: str
    step: Step | None = None
    idle: str = ""
    way: Way | None = None
    waits: tuple[str, ...] = ()

    @property
    def rule(self) -> Rule | None:
        """The rule of the step; None where no rule is about a server like this."""
        return None if self.step is None else self.step.rule

    @property
    def does(self) -> str:
        """The name of the step; `Keep` where it waits, empty where the rules are not about it."""
        return "" if self.step is None else type(self.step).__name__


@dataclass(frozen=True, slots=True)
class Explanation:
    """A service, whom its state names, how every server stands to it, and what the agents do next."""

    scene: ServiceView
    generation: int | None
    holder: str
    candidate: str
    previous: str
    stands: tuple[Stand, ...]
    next: tuple[Act, ...]


def explanation(scene: ServiceView) -> Explanation:
    """Why the service of a scene is where it is."""
    world = world_of(scene)
    contested = scene.service.exclusive
    known = contested and world.state is not None
    state = world.state if world.state is not None and contested else State()
    holder, candidate, previous = (
        "" if each is None else scene.name(each) for each in (state.holder, state.asking, state.previous)
    )
    return Explanation(
        scene,
        state.generation if known else None,
        holder,
        candidate,
        previous,
        stands=tuple(_stand(scene, world, server) for server in scene.seen if _concerned(scene, world, server)),
        next=forecast(world)[0] if contested else (),
    )


def _concerned(scene: ServiceView, world: ServiceModel, server: EntryUUID) -> bool:
    """Whether a server has to do with the service, and not only with what displaces it."""
    linked = decision(scene.snapshot, scene.seen[server].server, scene.service) is not None
    return linked or server in _named(world) or _gave_back(scene, server)


def _gave_back(scene: ServiceView, server: EntryUUID) -> bool:
    """Whether a server says that it has given the service back."""
    return any(each.startswith(GIVEN_BACK) for each in scene.seen[server].problems_of(scene.service.name))


def _named(world: ServiceModel) -> dict[EntryUUID, str]:
    """The servers that the state names, and as what."""
    if world.state is None:
        return {}
    named = {world.state.previous: "previous", world.state.candidate: "candidate", world.state.holder: "holder"}
    return {server: part for server, part in named.items() if server is not None}


def _stand(scene: ServiceView, world: ServiceModel, server: EntryUUID) -> Stand:
    seen = scene.seen[server]
    wished = decision(scene.snapshot, seen.server, scene.service)
    link = "not linked" if wished is None else wished.reason
    says = "" if seen.sign is None else seen.sign.says.get(scene.service.dn.key, "nothing")
    if not scene.service.exclusive:
        return Stand(seen, "chosen", link, says)
    if wished is not None and wished.files_only:
        return Stand(seen, "files only", link, says)
    part = _named(world).get(server, _part(scene, world, server))
    here = world.heres[server]
    return Stand(
        seen,
        part,
        link,
        says,
        next_step(world.sight(server), here),
        "; ".join(_idle(seen)),
        None if part == "holder" and here.active else way_to(scene, world, server),
        tuple(_waits(scene, world, server)),
    )


def _part(scene: ServiceView, world: ServiceModel, server: EntryUUID) -> str:
    """What a server is to the service that its state does not name."""
    if server in world.eligible.all:
        return "chosen"
    return "gave it back" if _gave_back(scene, server) else "standby"


def _waits(scene: ServiceView, world: ServiceModel, server: EntryUUID) -> Iterator[str]:
    """What keeps the candidate from taking over from a holder that is silent: its own words, and what ends it."""
    state, sign = world.state, scene.seen[server].sign
    if state is None or state.holder is None or state.candidate != server:
        return
    if world.lives.get(state.holder) is Life.SILENT:
        yield from () if sign is None else sign.waits_of(scene.service.name)
        yield f"takes over when {proof(scene, state.holder)}"


def _idle(seen: ServerRow) -> Iterator[str]:
    """Why the agent of a server does not act."""
    if seen.sign is None or seen.age_s is None:
        yield "its agent has never been heard"
    elif seen.is_silent:
        yield "it is silent, so what its agent does is unknown"
    elif seen.sign.mode == Mode.PAUSED:
        yield "paused: it changes nothing until relocd resume"
