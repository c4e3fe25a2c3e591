"""Random schedules for the world, and what must hold in each of them.

- *Never two*: the address of an exclusive service never answers on two servers. A server whose cable is out may still
  have the address, because no client reaches it. This holds when servers crash, agents hang for longer than the lease,
  providers hang, and writes are carried out late. It does not depend on the probe that precedes the raising of an
  address, except against a server whose cable was out.
- *Never unserved*: once nothing fails or changes any more, the service is active on some server, if a chosen server is
  up, ready and can activate it. If servers are chosen but none is ready, it is active on the holder, if the holder can
  serve. If no server is chosen, it is active on none. A server on which the service failed by its health is ready only
  while no other server is the holder.
- *No order lost*: a service whose links were deleted by servers only, and by no person or trigger, goes on, unless the
  agent of its last holder was restarted or had to yield.
- *Only ready servers become candidates*: a server that asks for the service is ready for it.
- *No needless drop*: a holder that cannot release everything keeps serving, with its address. No holder stops a service
  for its health alone: it hands the service over, or serves on.
- *Unhealthy services move*: a chosen server that can activate the service, and on which nothing of it has failed, gets
  it from a chosen holder on which it failed by its health, unless it has moved too often just now. No server asks
  another for a service that has failed on itself.
- *Displaced and fenced servers release*: they serve nothing. A drained server serves only until another server can.
- *No bouncing*: the service comes to rest and no server is left waiting. No ready candidate is left that the holder
  should have handed over to, and no previous holder is left behind a holder that serves. A holder that has watched the
  service for long enough does not let it move for its health more often than it may.
- *The generation only grows*: each change of the holder raises it.

The conditions:

- A server that was silent in the directory and on the wire for a lease comes back with its address in one way only: its
  cable is plugged in again. It then asks the wire at once, and the time until it has the answer is not counted. Whoever
  sets `relocFenced` has powered the server off, and all its clones.
- If a machine was cloned, its copy is noticed only while the agents of both run and reach the directory. So a clone
  that hangs is not covered.
- Somebody may add the address to a server, or remove the agent's mark from it. Nobody removes the lifetime of an
  address with `relocIsolation: release`.
- An agent may hang between two of its actions. A hang between its last look at the clock and the action that follows is
  not covered.
- If the directory carries out a write at all, it does so within an eighth of the lease (the kernel does not send it
  later), or when a provider that hung wakes up, before it answers any request. The kernel drops the address of a
  service with `relocIsolation: release` when the lease is over.
- A provider's clock may be set, but not back and forward again within a lease.
- Two providers replicate single modifications (delta-syncrepl). A modification needs at most a quarter of the lease to
  arrive. The clocks of the two differ by less than that time. `settle_ms` is longer than one modification in each
  direction needs together.
- If both providers change the state at the same moment, each may keep its own candidate and previous holder (seen with
  OpenLDAP 2.5). For holders and links, the later change (by its CSN) wins on both.
- With two providers, *never two* and *the generation only grows* hold while both have the same content, apart from that
  delay. One may be down if the other has everything that was written to it. While the two cannot replicate, or one
  hangs, both promises hold only with `keep`, and only as long as both name the same holder and it serves without
  interruption. They begin to hold again when the two agree. A server that was started while its provider could not be
  told that it is fenced has to be free of that fence first, or off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

from relocd.model.entries import Isolation
from tests.simulation.directory import Content, Provider
from tests.simulation.events import Event, happen
from tests.simulation.health import is_spent
from tests.simulation.kind import LEASE, Kind
from tests.simulation.scripts import planned
from tests.simulation.server import Server
from tests.simulation.view import Direct, Seeing
from tests.simulation.world import World

__all__ = ["TICKS", "Make", "Schedule", "Violation", "run", "schedule", "shrunk"]

TICKS = 120
REST_TICKS = 20 * LEASE
SPRINT = 12

Make = Callable[[Random, Kind], World]


class Violation(AssertionError):
    """An invariant does not hold; the message ends with the trace of the run."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """One run: the same schedule of the same world gives the same trace."""

    seed: int
    kind: Kind
    ticks: int
    events: tuple[Event, ...]


def schedule(seed: int, providers: int = 1, seeing: Seeing = Direct) -> Schedule:
    """The schedule of a seed."""
    random = Random(f"{providers}/{seed}")  # noqa: S311 - a simulation must be repeatable
    isolation = random.choice([Isolation.KEEP, Isolation.RELEASE])
    automatic = random.random() < 0.5
    return Schedule(seed, Kind(isolation, providers, seeing, automatic), TICKS, planned(random, TICKS, providers))


def run(planned: Schedule, make: Make) -> World:
    """The eventful ticks and the rest after them; raises `Violation` with its trace."""
    world = make(Random(planned.seed), planned.kind)  # noqa: S311
    by_tick = {event.tick: event for event in planned.events if event.tick}
    world.amid_step = lambda _, server: _happen_amid(world, planned, server)
    for tick in range(1, planned.ticks + 1):
        world.tick()
        _progress(world)
        if tick in by_tick:
            happen(world, by_tick[tick])
            _check(world)
    _rest(world)
    return world


def _happen_amid(world: World, planned: Schedule, actor: Server) -> None:
    for event in [each for each in planned.events if each.step == world.steps]:
        happen(world, event, actor)


def shrunk(planned: Schedule, make: Make) -> Violation | None:
    """The violation of a small schedule made from this one by leaving out its end and events, None if it has none."""
    found = _violation_of(planned, make)
    if found is None:
        return None
    smaller = True
    while smaller:
        smaller = False
        for less in _smaller(planned):
            violation = _violation_of(less, make)
            if violation is not None:
                planned, found, smaller = less, violation, True
                break
    return found


def _smaller(planned: Schedule) -> Iterator[Schedule]:
    last = max((event.tick for event in planned.events), default=0)
    for ticks in (planned.ticks // 2, last + 1, planned.ticks - 1):
        if 0 < ticks < planned.ticks:
            events = tuple(event for event in planned.events if event.tick <= ticks)
            yield replace(planned, ticks=ticks, events=events)
    for left_out in range(len(planned.events)):
        yield replace(planned, events=planned.events[:left_out] + planned.events[left_out + 1 :])


def _violation_of(planned: Schedule, make: Make) -> Violation | None:
    try:
        run(planned, make)
    except Violation as violation:
        return violation
    return None


def _progress(world: World) -> None:
    """Some agents do something; now and then one does in no time all that it has to."""
    draw, servers = world.random.random, world.machines
    for _ in range(1 + int(draw() * 5)):
        server = servers[int(draw() * len(servers))]
        kind = draw()
        if kind < 0.35:
            world.deliver(server)
        for _ in range(1 if kind > 0.4 else SPRINT if kind > 0.35 else 0):
            if kind < 0.4:
                world.deliver(server)
            world.run(server)
            _check(world)


def _rest(world: World) -> None:
    """Nothing fails or changes any more; hung servers and cut ones come back, crashed ones stay away."""
    world.note("--- rest")
    world.amid_step = lambda _world, _server: None
    world.apart = False
    world.clones.clear()
    for server in world.servers.values():
        server.hung = server.cut = server.flaps = False
        server.remove_copy()
        if not server.plugged:
            world.plug(server)
    for provider in world.providers:
        provider.up = True
        if provider.hung:
            provider.wake(world.random, world.now)
    if not _comes_to_rest(world) and not _retries(world):
        raise _violation(world, "it does not come to rest")
    for provider in world.providers:
        _check_served(world, provider.now)
        _check_order_kept(world, provider)


def _comes_to_rest(world: World) -> bool:
    """Whether nothing happens for longer than a dead server, a takeover and an activation need."""
    quiet_since, known = world.now, _done(world)
    for _ in range(REST_TICKS):
        _round(world)
        if _done(world) != known:
            quiet_since, known = world.now, _done(world)
        if world.now - quiet_since > 3 * LEASE:
            return True
    return False


def _done(world: World) -> tuple[int, ...]:
    return world.steps, *(len(provider.versions) for provider in world.providers)


def _round(world: World) -> None:
    world.tick()
    for server in world.machines:
        for _ in range(3):
            world.deliver(server)
        for _ in range(2):
            world.run(server)
            _check(world)


def _retries(world: World) -> bool:
    """Whether a chosen server or the holder cannot be activated: it tries again, or two such give it to each other."""
    content = world.providers[0].now
    holder = content.state.holder
    chosen = any(world.servers[name].failing for name in content.chosen)
    return chosen or (holder is not None and not world.servers[holder].able)


def _check(world: World) -> None:
    active = [server.name for server in world.machines if server.answers and not server.heals]
    if len(active) > 1 and not world.doubtful:
        raise _violation(world, f"active on {' and '.join(active)}")
    if world.unready_asked:
        raise _violation(world, f"{world.unready_asked} asked for the service and was not ready")
    if world.bared:
        raise _violation(world, f"{world.bared} dropped the address of a service that it could not give away")
    if world.wrong:
        raise _violation(world, world.wrong)
    for provider in world.providers:
        if len(provider.versions) > 1 and not world.doubted:
            _check_growth(world, *provider.versions[-2:])


def _check_growth(world: World, old: Content, new: Content) -> None:
    before, after = old.state, new.state
    same = after.generation == before.generation and len(world.providers) == 1
    if after.generation < before.generation or (same and after.holder != before.holder):
        raise _violation(world, "the generation has not grown")


def _check_served(world: World, content: Content) -> None:
    servers, state = world.servers, content.state
    serving = [server for server in servers.values() if server.serves]
    holder = servers[state.holder] if state.holder else None
    others = [servers[name] for name in content.chosen if not _yield_reason(servers[name], content)]
    kept = content.chosen or (holder and holder.memory.orphaned and len(world.providers) > 1)
    if not others and any((server is not holder or not kept) and not server.sticks for server in serving):
        raise _violation(world, "it runs, and nobody is chosen")
    if not serving and any(server.able and _may_ask(server, content) for server in others):
        raise _violation(world, "nobody serves")
    if not serving and others and holder and holder.able and holder.name not in content.fenced:
        raise _violation(world, "the holder could serve")
    for server in (each for each in serving if not each.sticks):
        _check_way_given(world, server, content, others)
        _check_nobody_waits(world, content)


def _check_order_kept(world: World, provider: Provider) -> None:
    """A service that was linked, and whose links only other servers deleted, has not ended by that.

    Not where the agent of its last holder was restarted, so that it does not know any more, or had to yield.
    """
    holders = [each.state.holder for each in provider.versions if each.state.holder]
    if not holders or not provider.ordered or provider.ordered != provider.now.unlinked:
        return
    last = world.servers[holders[-1]]
    remembers = len(last.agents) == 1 and last.able and not _yield_reason(last, provider.now)
    if remembers and not any(server.serves for server in world.servers.values()):
        raise _violation(world, "only servers have deleted the links, and nobody serves")


def _yield_reason(server: Server, content: Content) -> bool:
    return server.drained or server.displaced or server.name in content.fenced


def _check_way_given(world: World, server: Server, content: Content, others: list[Server]) -> None:
    if server.displaced or server.name in content.fenced:
        raise _violation(world, f"{server.name} serves, and should have yielded")
    if server.drained and any(other.able and not other.has_failed for other in others):
        raise _violation(world, f"{server.name} is drained and serves, and another could")
    if server.has_failed and not is_spent(world, server) and any(_is_healthy(other) for other in others):
        raise _violation(world, f"{server.name} is unhealthy and serves, and another could")


def _may_ask(server: Server, content: Content) -> bool:
    """Whether a server asks for a service that another one holds or has it; not where it has failed by its health."""
    return content.state.holder in {None, server.name} or not server.has_failed


def _is_healthy(server: Server) -> bool:
    """Whether the service could be activated on a server, where nothing of it has failed."""
    return server.able and not (server.has_failed or server.memory.failed_here)


def _check_nobody_waits(world: World, content: Content) -> None:
    state = content.state
    outranked = state.holder in content.direct and state.asking not in content.direct
    if state.asking and world.servers[state.asking].up and not outranked and not _retries(world):
        raise _violation(world, "a candidate is left waiting")
    serves_on = state.holder in content.chosen and not _yield_reason(world.servers[state.holder], content)
    if state.previous and serves_on and not _retries(world):
        raise _violation(world, "a previous holder is left waiting")


def _violation(world: World, what: str) -> Violation:
    ends = (f"provider {each.number} says {each.now}" for each in world.providers)
    return Violation("\n".join([what, *world.trace, *ends]))
