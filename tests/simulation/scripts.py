"""The events of a schedule: by chance, or by a script for what chance alone brings about too rarely."""

from __future__ import annotations

from random import Random

from tests.simulation.directory import NAMES
from tests.simulation.events import ACTOR, CALM, FAULTS, FAULTS_OF_TWO, HOLDER, Event

__all__ = ["fenced_and_back", "planned"]


def planned(random: Random, ticks: int, providers: int) -> tuple[Event, ...]:
    """The events of a schedule: of some kinds of fault only, so that schedules differ in kind.

    Some follow a script with little else in it, for what chance alone brings about too rarely.
    """
    faults = [*FAULTS, *(FAULTS_OF_TWO if providers > 1 else ())]
    chosen = random.sample(faults, random.choice([0, 1, 2, 2, 3, 3, 4, 5, len(faults)]))
    kinds = [*CALM, *(kind for fault in chosen for kind in fault)]
    rate = random.choice([0.15, 0.25, 0.4])
    happens = [tick for tick in range(1, ticks + 1) if random.random() < rate]
    by_tick = [Event(random.choice(kinds), random.choice(NAMES), tick=tick) for tick in happens]
    disturbed = [step for step in range(1, ticks) if random.random() < random.choice([0, rate])]
    by_step = [Event(random.choice(kinds), random.choice((ACTOR, HOLDER)), step=step) for step in disturbed]
    scripts = [_return, _late_act, _sick_and_unlinked, _sick_everywhere]
    scripts += [_duel, _late_gift, _crossing] if providers > 1 else [_clock_jumps]
    script = random.choice([*[None] * 4, *scripts])
    return (*script(random), *random.sample(by_tick, min(3, len(by_tick)))) if script else (*by_tick, *by_step)


def _duel(random: Random) -> tuple[Event, ...]:
    """The holder dies, and later the servers of both providers are chosen at once."""
    start = random.randrange(10, 40)
    return (
        Event("trigger links", NAMES[2], tick=2),
        Event("server crashes", NAMES[2], tick=start),
        Event("trigger links everybody", NAMES[0], tick=start + 15),
    )


def _return(random: Random) -> tuple[Event, ...]:
    """The holder hangs when it is about to activate, and comes back, or once more, just when another takes over."""
    return (
        Event("trigger links", NAMES[2], tick=2),
        Event("agent hangs", ACTOR, step=3),
        Event("trigger links", NAMES[0], tick=random.randrange(10, 40)),
        Event(random.choice(["agent resumes", "agent restarts"]), HOLDER, step=random.choice([5, 6, 6])),
    )


def _late_act(random: Random) -> tuple[Event, ...]:
    """A server hangs just when it takes over from a holder that is dead, and goes on when that one is back."""
    return (
        Event("trigger activates in the cluster", NAMES[2], tick=2),
        Event("agent hangs", NAMES[2], tick=25),
        Event("trigger links", NAMES[0], tick=28),
        Event("agent hangs", ACTOR, step=5),
        Event("agent resumes", NAMES[2], tick=random.randrange(55, 65)),
        Event("agent resumes", NAMES[0], tick=random.randrange(80, 110)),
    )


def _clock_jumps(random: Random) -> tuple[Event, ...]:
    """The provider's clock is set while a new holder hangs for less than a lease, and another looks for the first time.

    The holder goes on just when the other one takes over.
    """
    return (
        Event("trigger activates in the cluster", NAMES[2], tick=2),
        Event("trigger links", NAMES[0], step=3),
        Event("agent hangs", ACTOR, step=3),
        Event("a provider's clock is wrong", NAMES[0], step=3),
        Event("agent resumes", HOLDER, step=5),
        Event("agent hurries", HOLDER, step=5),
    )


def _late_gift(random: Random) -> tuple[Event, ...]:
    """A new holder loses the directory, and has it again, to give the service back, just when another takes over."""
    start = random.randrange(10, 40)
    return (
        Event("trigger links", NAMES[2], tick=2),
        Event("trigger links", NAMES[0], tick=start),
        Event("loses the directory", ACTOR, step=6),
        Event("trigger links", NAMES[1], tick=start + 20),
        Event("has the directory again", HOLDER, step=random.choice([8, 9])),
    )


def _crossing(random: Random) -> tuple[Event, ...]:
    """The providers part just when a new holder serves, so that the old one, not hearing of it, takes over again."""
    start = random.randrange(10, 40)
    return (
        Event("trigger links", NAMES[1], tick=2),
        Event("trigger links", NAMES[0], tick=start),
        Event("providers part", ACTOR, step=random.choice([6, 7])),
        Event("providers meet", NAMES[0], tick=start + random.randrange(30, 60)),
    )


def fenced_and_back(random: Random) -> tuple[Event, ...]:
    """A holder is fenced and boots before its search tells it, and is quick once another server has asked.

    Its agent hangs before and after that, so it hears nothing.
    """
    start, again = random.randrange(25, 45), random.randrange(8, 11)
    return (
        Event("trigger links", NAMES[2], tick=2),
        Event("trigger fences", NAMES[2], tick=start),
        Event("server starts", NAMES[2], tick=start + 1),
        Event("agent hangs", NAMES[2], tick=start + 4),
        Event("trigger links", NAMES[0], tick=start + 5),
        Event("agent resumes", NAMES[2], tick=start + again),
        Event("agent hurries", NAMES[2], tick=start + again + 1),
        Event("agent hurries", NAMES[2], tick=start + again + 2),
        Event("agent hangs", NAMES[2], tick=start + again + 3),
    )


def _sick_and_unlinked(random: Random) -> tuple[Event, ...]:
    """The service is sick on its holder, and then no server is to run it."""
    start = random.randrange(10, 40)
    return (
        Event("trigger links", NAMES[2], tick=2),
        Event("its service is sick", NAMES[2], tick=start),
        Event("trigger unlinks", NAMES[2], tick=start + 25),
    )


def _sick_everywhere(random: Random) -> tuple[Event, ...]:
    """The service is sick on every server, and somebody has it tried again and again."""
    tries = (Event("relocd retry", random.choice(NAMES), tick=tick) for tick in range(20, 120, 2))
    return (
        Event("trigger activates in the cluster", NAMES[0], tick=2),
        Event("the services are sick", NAMES[0], tick=10),
        *tries,
    )
