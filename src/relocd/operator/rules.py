"""Which rule of `relocd.plan.handover` a step of a server follows from, by its number in the table there. Pure."""

from __future__ import annotations

from relocd.plan.sight import Here, Life, Sight, State
from relocd.plan.steps import (
    Activate,
    BecomeCandidate,
    ClearCandidate,
    ClearPrevious,
    DeleteLink,
    GiveBack,
    HandOver,
    Keep,
    LetGo,
    Step,
    StepDown,
    Stop,
    Withdraw,
)

__all__ = ["rule_of"]


def rule_of(sight: Sight, here: Here, step: Step) -> str:
    """The rule, `R1` to `R9`; empty where none is about a server like this."""
    state = sight.state
    if state is None:
        return ""
    if state.holder == sight.me:
        return _of_holder(sight, here, step)
    match step:
        case Stop():
            return "R7"
        case Withdraw():
            return "R2"
    return _of_other(sight, state, step)


def _of_holder(sight: Sight, here: Here, step: Step) -> str:
    chosen = sight.me in sight.choice.all and here.gives_way is None
    match step:
        case ClearCandidate():
            return "R9"
        case LetGo() | StepDown() | BecomeCandidate():
            return "R6"
        case Stop():
            return "" if here.expired else "R6"
        case DeleteLink() | ClearPrevious():
            return "R4"
        case GiveBack() | HandOver() | Activate() | Keep() if not chosen:
            return "R6"
        case HandOver() | Keep() if here.active:
            return "R3"
        case _:
            return "R5" if here.failed else "R4"


def _of_other(sight: Sight, state: State, step: Step) -> str:
    if isinstance(step, Keep) and sight.me not in sight.choice.all:
        return ""
    if state.holder is None:
        return "R1"
    dead = sight.life(state.holder) is Life.DEAD
    waits_for_proof = state.candidate == sight.me and sight.life(state.holder) is Life.SILENT
    return "R8" if dead or waits_for_proof else "R2" if isinstance(step, BecomeCandidate | Keep) else "R8"
