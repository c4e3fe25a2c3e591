"""Random schedules for the world, and what must hold in each of them.

Invariants, with their conditions:
- *never two*: the service's address is never up on two servers, also when servers hang for longer than the lease.
- *never nobody*: once nothing fails or changes any more, the service is active somewhere if a chosen server is there
  that is up, ready and can be activated. It is active nowhere if nobody is chosen.
  It is active on the holder, if that one can serve and anybody is chosen, even where the chosen are not ready.
- *nothing taken by the unready*: who asks for the service is ready for it.
- *no bouncing*: it comes to rest, with nobody left waiting: no ready candidate that the holder should have served, and
  no previous holder behind one that serves.
- *the generation only grows*, with each change of the holder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from relocd.model.entries import EntryUUID
from relocd.plan import handover as rules
from tests.simulation.world import LEASE, Server, World

__all__ = ["EVENTS", "Violation", "run", "shrunk"]

EVENTS = 120
REST_TICKS = 12 * LEASE


class Violation(AssertionError):
    """An invariant does not hold; the message ends with the trace of the run."""


def run(seed: int, make: Callable[[Random], World], ticks: int = EVENTS) -> World:
    """One schedule of so many eventful ticks and the rest after them; raises `Violation` with its trace."""
    random = Random(seed)  # noqa: S311 - a simulation must be repeatable
    world = make(random)
    events = _events(random)
    for _ in range(ticks):
        world.tick()
        for _ in range(random.randrange(1, 5)):
            _progress(world, random.choice([*world.servers.values()]))
            _check(world)
        if random.random() < 0.25:
            random.choice(events)(world, random.choice([*world.servers.values()]))
            _check(world)
    _rest(world)
    return world


def shrunk(seed: int, make: Callable[[Random], World]) -> Violation | None:
    """The violation of the shortest beginning of a schedule that has one, None when it has none at all."""
    for ticks in range(1, EVENTS + 1):
        try:
            run(seed, make, ticks)
        except Violation as found:
            return found
    return None


def _progress(world: World, server: Server) -> None:
    if world.random.random() < 0.4:
        world.deliver(server)
    else:
        world.run(server)


def _events(random: Random) -> list[Callable[[World, Server], None]]:
    """What may happen in this schedule: some of everything, so that schedules differ in kind."""
    calm = [_link, _link, _unlink, _activate_in_cluster]
    faults = [_crash, _start, _start, _hang, _resume, _cut, _heal, _restart_agent, _break, _mend, _fail, _recover]
    return calm + random.sample(faults, random.randrange(0, len(faults) + 1))


def _link(world: World, server: Server) -> None:
    world.note(f"trigger links {server.name}")
    now = world.directory.now
    world.directory.write(replace(now, direct=now.direct | {server.name}))


def _unlink(world: World, server: Server) -> None:
    world.note(f"trigger unlinks {server.name}")
    now = world.directory.now
    world.directory.write(replace(now, direct=now.direct - {server.name}))


def _activate_in_cluster(world: World, server: Server) -> None:
    chosen = world.random.choice([None, server.name])
    world.note(f"trigger makes {chosen} active in the cluster")
    world.directory.write(replace(world.directory.now, cluster_active=chosen))


def _crash(world: World, server: Server) -> None:
    world.note(f"{server.name} crashes")
    world.crash(server)


def _start(world: World, server: Server) -> None:
    if not server.up:
        world.note(f"{server.name} starts")
        world.start(server)


def _hang(world: World, server: Server) -> None:
    world.note(f"{server.name} hangs")
    server.hung = server.up


def _resume(world: World, server: Server) -> None:
    world.note(f"{server.name} resumes")
    server.hung = False


def _cut(world: World, server: Server) -> None:
    world.note(f"{server.name} loses the directory")
    server.cut = True


def _heal(world: World, server: Server) -> None:
    world.note(f"{server.name} has the directory again")
    server.cut = False


def _restart_agent(world: World, server: Server) -> None:
    world.note(f"agent of {server.name} restarts")
    world.restart_agent(server)


def _break(world: World, server: Server) -> None:
    world.note(f"{server.name} is not ready")
    server.ready = False


def _mend(world: World, server: Server) -> None:
    world.note(f"{server.name} is ready")
    server.ready, server.sulks = True, False


def _fail(world: World, server: Server) -> None:
    world.note(f"{server.name} will fail to activate")
    server.failing = True


def _recover(world: World, server: Server) -> None:
    world.note(f"{server.name} can be activated")
    server.failing = server.sulks = False


def _rest(world: World) -> None:
    """Nothing fails or changes any more; hung servers and cut ones come back, crashed ones stay away."""
    world.note("--- rest")
    for server in world.servers.values():
        server.hung = server.cut = False
    for _ in range(REST_TICKS):
        _round(world)
    settled = len(world.directory.versions)
    holders = [server.name for server in world.servers.values() if server.active]
    for _ in range(LEASE):
        _round(world)
    if len(world.directory.versions) != settled and not _retries(world):
        raise _violation(world, "it does not come to rest")
    _check_served(world, holders)


def _round(world: World) -> None:
    world.tick()
    for server in world.servers.values():
        for _ in range(3):
            world.deliver(server)
        for _ in range(4):
            world.run(server)
            _check(world)


def _retries(world: World) -> bool:
    """Whether some chosen server cannot be activated: the service may go round between two such."""
    return any(world.servers[name].failing for name in world.directory.now.choice.all)


def _check(world: World) -> None:
    active = [server.name for server in world.servers.values() if server.active]
    if len(active) > 1:
        raise _violation(world, f"active on {' and '.join(active)}")
    versions = world.directory.versions[-2:]
    if world.unready_asked:
        raise _violation(world, f"{world.unready_asked} asked for the service and was not ready")
    before, after = versions[0].state, versions[-1].state
    if after.generation < before.generation or (
        after.holder != before.holder and after.generation == before.generation
    ):
        raise _violation(world, "the generation has not grown")


def _check_served(world: World, active: list[EntryUUID]) -> None:
    content = world.directory.now
    chosen = [world.servers[name] for name in content.choice.all]
    holder = world.servers[content.state.holder] if content.state.holder else None
    if not chosen and active:
        raise _violation(world, "it runs, and nobody is chosen")
    if not active and any(server.up and server.ready and not server.failing for server in chosen):
        raise _violation(world, "nobody serves")
    if not active and chosen and holder and holder.up and holder.ready and not holder.failing:
        raise _violation(world, "the holder could serve")
    if active:
        _check_nobody_waits(world, content.state, content.choice)


def _check_nobody_waits(world: World, state: rules.State, choice: rules.Choice) -> None:
    outranked = state.holder in choice.direct and state.candidate not in choice.direct
    if state.candidate and world.servers[state.candidate].up and not outranked and not _retries(world):
        raise _violation(world, "a candidate is left waiting")
    if state.previous and state.holder in choice.all and not _retries(world):
        raise _violation(world, "a previous holder is left waiting")


def _violation(world: World, what: str) -> Violation:
    return Violation("\n".join([what, *world.trace]))
