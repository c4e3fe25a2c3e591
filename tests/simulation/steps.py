"""How an agent carries a step out, in parts between which anything may happen; its writes are the real code's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from relocd.election.steps import (
    Activate,
    BecomeCandidate,
    ClearCandidate,
    ClearPrevious,
    DeleteLink,
    FailBack,
    HandOver,
    Release,
    Step,
    StepDown,
    Stop,
    SwapIn,
    Withdraw,
)
from tests.simulation.directory import DELAY, Content, Write, link

if TYPE_CHECKING:
    from tests.simulation.server import Server
    from tests.simulation.world import World

__all__ = ["CARRIED_OUT", "HESITATION", "PROMPT", "STEADY"]

HESITATION = 4
"""What was allowed by a read is only carried out within so many ticks; fewer than the lease has."""

PROMPT = 2
"""How old a death may be when the takeover is sent, and how long any write may be on its way."""

STEADY = 2 * PROMPT + DELAY
"""How long a heartbeat stands again before its server acts as a holder: a takeover that began before is known then."""


def _activate(world: World, server: Server, step: Activate, _write: Write | None) -> Iterator[None]:
    read_at = world.now
    if not world.is_alone(server):
        return
    if world.care.reads_first:
        if not world.reaches(server):
            return
        content = world.provider(server).now
        if (content.state.holder, content.state.generation) != (server.name, step.generation):
            return
        if server.name in content.fenced and _reads_fence(world, server, step, content):
            return
        if not world.is_steady(server):
            return
        yield
    if world.answers(server):
        world.note(f"{server.name} waits: the address answers elsewhere")
        return
    yield
    if world.care.acts_in_time and world.now - read_at > HESITATION:
        return
    yield from _bring_up(world, server, step)


def _reads_fence(world: World, server: Server, step: Activate, content: Content) -> bool:
    """Not one that has seen how it became the holder; nor, careless, one whose state was written since it is back."""
    if world.care.reads_fence:
        return server.memory.handed_in != step.generation
    return content.written_at <= server.memory.back_at


def _bring_up(world: World, server: Server, step: Activate) -> Iterator[None]:
    if not (_fails(server) and world.random.random() < 0.5):
        world.raise_address(server)
        yield
    if _fails(server):
        server.memory.failed_in = step.generation
        server.memory.failed_here = True
        world.note(f"{server.name} could not activate")
        return
    server.units = server.memory.believes = True
    yield


def _fails(server: Server) -> bool:
    return server.failing or not server.fit


def _stop(world: World, server: Server, _step: Step, _write: Write | None) -> Iterator[None]:
    """The address first, since another server may have it by now; a unit that does not stop is tried again later."""
    yield from _drop(world, server)
    server.memory.believes = False
    server.units = server.units and server.sticks
    if server.units or server.address:
        world.pauses(server)
    yield


def _drop(world: World, server: Server) -> Iterator[None]:
    if server.address and not server.copy:
        yield
        world.note(f"{server.name} drops the address")
        server.address = server.was_cut = False


def _let(world: World, server: Server) -> Iterator[None]:
    """Units, then the address, before the holder changes; what cannot be released completely serves on."""
    if world.care.drops_all and server.copy:
        world.pauses(server)
        return
    server.units = server.units and server.sticks
    yield
    if server.units and world.care.keeps_what_sticks:
        world.pauses(server)
        return
    yield from _drop(world, server)
    server.memory.believes = False
    if server.units:
        world.bared = server.name
    yield


def _is_gone(world: World, server: Server) -> bool:
    """Whether nothing is left here as far as the agent sees."""
    left = server.address and (world.care.drops_all or not server.copy)
    return not (left or server.units)


def _send(world: World, server: Server, write: Write | None) -> Iterator[None]:
    """The same, or what rules it out, until it is answered; nothing else is done for the service meanwhile."""
    on_its_way_until, again = 0, False
    while write is not None:
        if again and write.changes_holder and not _may_give(world, server):
            yield
            continue
        done = world.send(server, write)
        if done is not None or not world.care.repeats:
            break
        if write.changes_holder:
            on_its_way_until = world.now + PROMPT
        again = True
        if world.care.rules_out:
            write = write.again or write
        for _ in range(world.random.randrange(1, 4)):
            yield
    while world.now < on_its_way_until:
        yield
    yield


def _may_give(world: World, server: Server) -> bool:
    return world.is_steady(server) or not world.care.waits_to_give


def _swap_in(world: World, server: Server, step: SwapIn, write: Write | None) -> Iterator[None]:
    holder = step.state.holder
    if holder is not None and world.care.acts_in_time:
        verdict = server.memory.verdicts.get(holder)
        if verdict is None or world.now - verdict.judged_at > PROMPT:
            return
    server.memory.taken_in = step.state.generation + 1
    if holder in server.memory.view.content.fenced:
        server.memory.handed_in = server.memory.taken_in
    yield from _send(world, server, write)


def _just_write(world: World, server: Server, _step: Step, write: Write | None) -> Iterator[None]:
    yield from _send(world, server, write)


def _delete_link(world: World, server: Server, _step: Step, write: Write | None) -> Iterator[None]:
    state = server.memory.view.content.state
    yield from _send(world, server, write)
    if state.holder == server.name:
        server.memory.unlinked_in = state.generation


def _stop_and_write(world: World, server: Server, _step: Step, write: Write | None) -> Iterator[None]:
    yield from _let(world, server)
    if _is_gone(world, server) and _may_give(world, server):
        yield from _send(world, server, write)


def _give_back(world: World, server: Server, _step: FailBack, write: Write | None) -> Iterator[None]:
    yield from _let(world, server)
    if not _is_gone(world, server):
        return
    if server.name in server.memory.view.content.direct:
        own = link(server.name)
        yield from _send(world, server, Write(((own, True),), ((own, None),)))
    if _may_give(world, server):
        yield from _send(world, server, write)


def _let_go(world: World, server: Server, step: Release, write: Write | None) -> Iterator[None]:
    if world.reaches(server) and not world.provider(server).now.chosen:
        yield from _stop_and_write(world, server, step, write)


CARRIED_OUT: dict[type, Callable[..., Iterator[None]]] = {
    Activate: _activate,
    Stop: _stop,
    SwapIn: _swap_in,
    BecomeCandidate: _just_write,
    Withdraw: _just_write,
    ClearCandidate: _just_write,
    ClearPrevious: _just_write,
    DeleteLink: _delete_link,
    HandOver: _stop_and_write,
    StepDown: _stop_and_write,
    FailBack: _give_back,
    Release: _let_go,
}
