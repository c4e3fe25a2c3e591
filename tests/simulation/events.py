"""What may happen in a schedule: triggers, faults of servers, agents and the directory, and their end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from relocd.model.entries import EntryUUID, Isolation
from tests.simulation.directory import NAMES, Value, Write, fence, link
from tests.simulation.kind import LEASE
from tests.simulation.server import Server
from tests.simulation.world import World

__all__ = ["ACTOR", "CALM", "FAULTS", "FAULTS_OF_TWO", "HOLDER", "Event", "happen"]

ACTOR: Final = EntryUUID("who takes the step")
HOLDER: Final = EntryUUID("the holder")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens to a server or to its provider, at a tick or in the middle of the n-th step.

    Then `server` may also be the one that takes the step (`ACTOR`) or the one that it believes to be the holder
    (`HOLDER`).
    """

    what: str
    server: EntryUUID
    tick: int = 0
    step: int = 0


def happen(world: World, event: Event, actor: Server | None = None) -> None:
    """Let an event happen, and note it where it changes anything."""
    name: EntryUUID | None = event.server
    if actor is not None and name not in NAMES:
        name = actor.name if name == ACTOR else actor.memory.view.content.state.holder
    if name is not None:
        before = len(world.trace)
        world.note(f"* {event.what}: {name}")
        if (world.clones and event.what in _UNNOTICED) or not _EVENTS[event.what](world, world.servers[name]):
            del world.trace[before:]


def _trigger(world: World, name: str, value: Value) -> bool:
    """A trigger writes to a provider that answers; whether there is one."""
    answering = [provider for provider in world.providers if provider.answers]
    if answering:
        world.random.choice(answering).write(Write((), ((name, value),)), world.now)
    return bool(answering)


def _link_everybody(world: World, _server: Server) -> bool:
    linked = [_trigger(world, link(name), True) for name in NAMES]
    return all(linked)


def _fence(world: World, server: Server) -> bool:
    """Whoever declares a server fenced has powered it off, and it stays off until that is written."""
    if not any(provider.answers for provider in world.providers):
        return False
    _crash(world, server)
    _end_clones(world, server)
    return _trigger(world, fence(server.name), True)


def _crash(world: World, server: Server) -> bool:
    """The server loses its power, and its provider with it."""
    crashes = server.up
    server.power_off()
    number = NAMES.index(server.name)
    if 1 < world.kind.providers > number:
        world.stop_provider(world.providers[number])
    return crashes


def _start(world: World, server: Server) -> bool:
    if server.up:
        return False
    server.up = True
    number = NAMES.index(server.name)
    if 1 < world.kind.providers > number:
        world.providers[number].up = True
        server.provider = number
    world.start_agent(server)
    return True


def _restart_agent(world: World, server: Server) -> bool:
    """Only the agent ends, hung or not, and begins again."""
    if server.up and world.reaches(server):
        world.start_agent(server)
        return True
    return False


def _hurry(world: World, server: Server) -> bool:
    """An agent does some parts of what is due while nobody else does anything."""
    can = server.acts and not (server.memory.parts is not None and server.memory.parts.gi_running)
    for _ in range(3 if can else 0):
        world.run(server)
    return can


def _set(attribute: str, value: bool) -> Callable[[World, Server], bool]:
    def happens(_world: World, server: Server) -> bool:
        changes = server.up and getattr(server, attribute) is not value
        if changes:
            setattr(server, attribute, value)
        return changes

    return happens


def _mends(attribute: str, value: bool) -> Callable[[World, Server], bool]:
    """What has failed may work now, so the agent asks for the service again."""

    def happens(_world: World, server: Server) -> bool:
        changes = getattr(server, attribute) is not value or server.memory.failed_here
        setattr(server, attribute, value)
        server.memory.failed_here = False
        return changes

    return happens


def _hang_provider(world: World, server: Server) -> bool:
    provider = world.provider(server)
    hangs, provider.hung = provider.answers, provider.up
    return hangs


def _wake_provider(world: World, server: Server) -> bool:
    provider = world.provider(server)
    wakes = provider.up and provider.hung
    if wakes:
        provider.wake(world.random, world.now)
    return wakes


def _kill_provider(world: World, server: Server) -> bool:
    provider = world.provider(server)
    killed = provider.up
    world.stop_provider(provider)
    return killed


def _start_provider(world: World, server: Server) -> bool:
    """A provider returns, when its server has power."""
    number = NAMES.index(server.name)
    if number >= world.kind.providers or world.providers[number].up or not server.up:
        return False
    world.providers[number].up = True
    return True


def _part(world: World, _server: Server) -> bool:
    parts, world.apart = not world.apart, True
    return parts


def _meet(world: World, _server: Server) -> bool:
    meets, world.apart = world.apart, False
    return meets


def _unplug(world: World, server: Server) -> bool:
    """A server that has no provider of its own is heard by nobody any more."""
    can = server.up and server.plugged and not (1 < world.kind.providers > NAMES.index(server.name))
    if can:
        server.plugged, server.cut, server.was_cut = False, True, server.address
    return can


def _plug(world: World, server: Server) -> bool:
    can = server.acts and not server.plugged
    if can:
        world.plug(server)
    return can


def _reach_again(_world: World, server: Server) -> bool:
    can = server.up and server.plugged and server.cut
    if can:
        server.cut = False
    return can


def _put_copy(world: World, server: Server) -> bool:
    """Somebody puts the address there, or in place of the one that the agent has raised, which loses its mark by that.

    Where the kernel is to drop the address, only the first: the second takes its lifetime away, too.
    """
    can = server.up and not server.copy and not (server.address and world.kind.isolation is Isolation.RELEASE)
    server.copy = server.copy or can
    return can


def _remove_copy(_world: World, server: Server) -> bool:
    can = server.copy
    server.remove_copy()
    return can


def _stop_again(_world: World, server: Server) -> bool:
    can, server.sticks = server.sticks, False
    server.memory.kept_until = server.memory.pause = 0
    return can


def _shift_clock(world: World, server: Server) -> bool:
    """A provider's clock goes far beyond what two may differ by.

    Not with two of them where heartbeats are the only witness: the newest wins, so that those after a clock went back
    never reach the other provider. With `keep` the wire has to agree.
    """
    can = world.kind.providers == 1 or world.kind.isolation is Isolation.KEEP
    if can:
        world.provider(server).ahead = world.random.choice([-5 * LEASE, LEASE + 2, 5 * LEASE])
    return can


def _set_clock(world: World, server: Server) -> bool:
    shifted, world.provider(server).ahead = world.provider(server).ahead != 0, 0
    return shifted


def _sicken(*, sick: bool) -> Callable[[World, Server], bool]:
    """What makes the service work, or not, is the same everywhere: its data, or a bad release."""

    def happens(world: World, _server: Server) -> bool:
        changes = any(each.sick is not sick for each in world.servers.values())
        for each in world.servers.values():
            each.sick = sick
        return changes

    return happens


def _retry(_world: World, server: Server) -> bool:
    can = server.memory.failed_by_health
    server.memory.failed_by_health = False
    return can


def _expire(_world: World, server: Server) -> bool:
    """A failure is old, and another server has been the holder since."""
    held = server.memory.believes or server.memory.view.content.state.holder == server.name
    return not held and _retry(_world, server)


def _clone(world: World, server: Server) -> bool:
    can = server.acts and world.reaches(server) and world.kind.providers == 1 and not world.clones
    if can:
        world.clone(server)
    return can


def _end_clones(world: World, _server: Server) -> bool:
    can = bool(world.clones)
    world.clones.clear()
    return can


CALM: Final = (
    *("trigger links", "trigger links everybody", "trigger unlinks"),
    *("trigger activates in the cluster", "trigger deactivates the cluster"),
)
FAULTS: Final = (
    ("server crashes", "server starts"),
    ("trigger fences", "server starts"),
    ("agent hangs", "agent resumes"),
    ("agent restarts",),
    ("loses the directory", "has the directory again"),
    ("is not ready", "is ready"),
    ("will fail to activate", "can be activated"),
    ("is drained", "is undrained"),
    ("is displaced", "is not displaced"),
    ("slapd hangs", "slapd resumes"),
    ("cable comes out", "cable is in again"),
    ("somebody adds the address", "somebody removes the address"),
    ("units do not stop", "units stop again"),
    ("a provider's clock is wrong", "a provider's clock is right"),
    ("is cloned", "clone ends"),
    (
        *("its service is sick", "its service is well", "its service flaps", "its service flaps no more"),
        *("relocd retry", "health_retry_s passes"),
    ),
    (
        *("the services are sick", "the services are well", "its check hangs", "its check answers"),
        *("the server is sick", "the server is well"),
    ),
)
FAULTS_OF_TWO: Final = (("slapd dies", "slapd starts"), ("providers part", "providers meet"))

_UNNOTICED: Final = {"agent hangs", "loses the directory", "cable comes out"}
"""What does not happen while there are two agents of one name: the other one could not notice it."""

_EVENTS: Final[dict[str, Callable[[World, Server], bool]]] = {
    "trigger links": lambda world, server: _trigger(world, link(server.name), True),
    "trigger links everybody": _link_everybody,
    "trigger unlinks": lambda world, server: _trigger(world, link(server.name), None),
    "trigger activates in the cluster": lambda world, server: _trigger(world, "active", server.name),
    "trigger deactivates the cluster": lambda world, _server: _trigger(world, "active", None),
    "trigger fences": _fence,
    "server crashes": _crash,
    "server starts": _start,
    "agent hangs": _set("hung", True),
    "agent resumes": _set("hung", False),
    "agent restarts": _restart_agent,
    "agent hurries": _hurry,
    "loses the directory": _set("cut", True),
    "has the directory again": _reach_again,
    "is not ready": _set("ready", False),
    "is ready": _mends("ready", True),
    "will fail to activate": _set("failing", True),
    "can be activated": _mends("failing", False),
    "is drained": _set("drained", True),
    "is undrained": _set("drained", False),
    "is displaced": _set("displaced", True),
    "is not displaced": _set("displaced", False),
    "slapd hangs": _hang_provider,
    "slapd resumes": _wake_provider,
    "slapd dies": _kill_provider,
    "slapd starts": _start_provider,
    "cable comes out": _unplug,
    "cable is in again": _plug,
    "somebody adds the address": _put_copy,
    "somebody removes the address": _remove_copy,
    "units do not stop": _set("sticks", True),
    "units stop again": _stop_again,
    "a provider's clock is wrong": _shift_clock,
    "a provider's clock is right": _set_clock,
    "its service is sick": _set("sick", True),
    "its service is well": _set("sick", False),
    "the services are sick": _sicken(sick=True),
    "the services are well": _sicken(sick=False),
    "its service flaps": _set("flaps", True),
    "its service flaps no more": _set("flaps", False),
    "its check hangs": _set("hangs", True),
    "its check answers": _set("hangs", False),
    "the server is sick": _set("ill", True),
    "the server is well": _set("ill", False),
    "relocd retry": _retry,
    "health_retry_s passes": _expire,
    "is cloned": _clone,
    "clone ends": _end_clones,
    "providers part": _part,
    "providers meet": _meet,
}
