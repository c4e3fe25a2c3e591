"""Each rule broken in turn: what the checker must catch, and what no schedule can tell apart, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from relocd.plan import handover as rules
from tests.simulation.world import Rules, World

__all__ = ["CAUGHT", "UNSEEN", "right"]

Make = Callable[[Random], World]


def right(random: Random) -> World:
    """The world with the rules as they are."""
    return World(random, rules.next_step)


def _left_out(*kinds: type, when: Callable[[rules.Sight, rules.Here, rules.Step], bool] = lambda *_: True) -> Make:
    """The world in which nobody ever takes such a step."""

    def decide(sight: rules.Sight, here: rules.Here) -> rules.Step:
        step = rules.next_step(sight, here)
        return rules.Keep("left out") if isinstance(step, kinds) and when(sight, here, step) else step

    return lambda random: World(random, decide)


def _deciding(decide: Rules) -> Make:
    return lambda random: World(random, decide)


def _no_holder(sight: rules.Sight, _here: rules.Here, _step: rules.Step) -> bool:
    return sight.state is not None and sight.state.holder is None


def _serving(_sight: rules.Sight, here: rules.Here, _step: rules.Step) -> bool:
    return here.active


def _asks_unready(sight: rules.Sight, here: rules.Here) -> rules.Step:
    return rules.next_step(sight, replace(here, ready=True))


def _never_gives_back(sight: rules.Sight, here: rules.Here) -> rules.Step:
    return rules.next_step(sight, replace(here, failed=False))


def _stops_when_unchosen(sight: rules.Sight, here: rules.Here) -> rules.Step:
    step = rules.next_step(sight, here)
    unchosen = sight.me not in sight.choice.all
    return rules.Stop("not chosen") if unchosen and isinstance(step, rules.Keep) and here.active else step


def _one_witness(sight: rules.Sight, here: rules.Here) -> rules.Step:
    """Silence in the directory alone counts as death."""
    lives = {name: rules.Life.DEAD if life is rules.Life.SILENT else life for name, life in sight.lives.items()}
    return rules.next_step(replace(sight, lives=lives), here)


def _unsteady(sight: rules.Sight, here: rules.Here) -> rules.Step:
    return rules.next_step(sight, replace(here, steady=True))


def _unsettled(sight: rules.Sight, here: rules.Here) -> rules.Step:
    return rules.next_step(sight, replace(here, settled=True))


CAUGHT: dict[str, Make] = {
    "R1 nobody takes a service without holder": _left_out(rules.SwapIn, when=_no_holder),
    "R2 nobody becomes candidate": _left_out(rules.BecomeCandidate),
    "R2 asks without being ready": _deciding(_asks_unready),
    "R2 an unready candidate does not withdraw": _left_out(rules.Withdraw),
    "R3 a serving holder never hands over": _left_out(rules.HandOver, when=_serving),
    "R4 the direct read is left out": lambda random: World(random, rules.next_step, confirms=False),
    "R4 a server that hung activates at once": _deciding(_unsteady),
    "R4 nobody cleans up behind the previous holder": _left_out(rules.ClearPrevious),
    "R5 a failed holder keeps the service": _deciding(_never_gives_back),
    "R6 an unchosen holder stops though no other is ready": _deciding(_stops_when_unchosen),
    "R6 nobody lets go": _left_out(rules.LetGo),
    "R8 a dead holder keeps the service": _left_out(
        rules.SwapIn, when=lambda sight, *_: sight.state is not None and sight.state.holder is not None
    ),
    "R8 nobody deletes the dead holder's link": _left_out(
        rules.DeleteLink, when=lambda _sight, here, _step: not here.active
    ),
    "R8 one witness is enough": _deciding(_one_witness),
    "R9 a holder stays its own candidate": _left_out(rules.ClearCandidate),
}

UNSEEN: dict[str, tuple[Make, str]] = {
    "R7 who is not the holder does not stop": (
        _left_out(rules.Stop),
        "a holder stops before it swaps, and nobody is found dead whose address answers: R7 is the second defence",
    ),
    "R8 without settling": (
        _deciding(_unsettled),
        "with one provider the compare-and-swap alone decides; settling is for two that have not met yet",
    ),
}
