"""Each rule broken in turn: what the checker must catch, and what no schedule can tell apart, with the reason."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from relocd.election.observation import Life, LocalState, Observation, YieldReason
from relocd.election.rules import next_step
from relocd.election.steps import (
    BecomeCandidate,
    ClearCandidate,
    ClearPrevious,
    DeleteLink,
    HandOver,
    Keep,
    Release,
    Relinquish,
    Rule,
    Step,
    StepDown,
    Stop,
    SwapIn,
    Withdraw,
)
from tests.simulation.kind import Care, Kind, Rules
from tests.simulation.schedule import Make
from tests.simulation.world import World

__all__ = ["CAUGHT", "UNSEEN", "not_reading_fences", "right"]


def right(random: Random, kind: Kind) -> World:
    """The world with the rules as they are, and with agents that take all the care there is."""
    return World(random, kind, next_step, Care())


def _careless(care: Care) -> Make:
    return lambda random, kind: World(random, kind, next_step, care)


def not_reading_fences(random: Random, kind: Kind) -> World:
    """The world in which a holder does not read its fence once another server has written the state."""
    return World(random, kind, next_step, Care(reads_fence=False))


def _deciding(decide: Rules) -> Make:
    return lambda random, kind: World(random, kind, decide, Care())


def _left_out(kind: type, rule: Rule | None = None) -> Make:
    """The world in which no server takes such a step, by one rule or by any."""

    def decide(observation: Observation, local: LocalState) -> Step:
        step = next_step(observation, local)
        return Keep("left out") if isinstance(step, kind) and rule in {None, step.rule} else step

    return _deciding(decide)


def _with(**changed: object) -> Make:
    """The world in which every agent takes this to be so of itself."""
    return _deciding(lambda observation, local: next_step(observation, replace(local, **changed)))


def _giving_at_once(random: Random, kind: Kind) -> World:
    """The world in which a holder gives the service away although others may have found it dead."""

    def decide(observation: Observation, local: LocalState) -> Step:
        step = next_step(observation, local)
        hasty = next_step(observation, replace(local, steady=True))
        return hasty if isinstance(hasty, Relinquish) else step

    return World(random, kind, decide, Care(waits_to_give=False))


def _stops_when_unchosen(observation: Observation, local: LocalState) -> Step:
    step = next_step(observation, local)
    unchosen = observation.me not in observation.eligible.all
    return Stop("not chosen") if unchosen and isinstance(step, Keep) and local.active else step


def _one_fact(observation: Observation, local: LocalState) -> Step:
    """Silence in the directory alone counts as death."""
    lives = {name: Life.DEAD if life is Life.SUSPECT else life for name, life in observation.lives.items()}
    return next_step(replace(observation, lives=lives), local)


def _takes_at_once(observation: Observation, local: LocalState) -> Step:
    """Whoever finds no holder swaps itself in without a candidacy."""
    step = next_step(observation, local)
    free = observation.state is not None and observation.state.holder is None and observation.state.generation > 0
    if free and observation.state is not None and isinstance(step, BecomeCandidate):
        return SwapIn(observation.state, observation.me, "no holder", rule=Rule.R1)
    return step


def _fence_is_nothing(observation: Observation, local: LocalState) -> Step:
    """A server that comes up fenced goes on as if it were not."""
    fenced = local.yield_reason is YieldReason.FENCED
    return next_step(observation, replace(local, yield_reason=None) if fenced else local)


def _rests_beside(observation: Observation, local: LocalState) -> Step:
    """No server yields to anything."""
    return next_step(observation, replace(local, yield_reason=None))


def _counts_the_holder(observation: Observation, local: LocalState) -> Step:
    """A candidate that is the holder counts as one for the others."""
    step, state = next_step(observation, local), observation.state
    doubled = state is not None and state.holder is not None and state.candidate == state.holder
    return Keep("another candidate waits") if doubled and isinstance(step, BecomeCandidate) else step


def _unhealthy_as(reason: YieldReason | None, *, active: tuple[bool, ...] = (True, False)) -> Make:
    """The world in which an unhealthy holder has this reason to yield instead, while it is active or is not."""

    def decide(observation: Observation, local: LocalState) -> Step:
        other = local.yield_reason is YieldReason.UNHEALTHY and local.active in active
        return next_step(observation, replace(local, yield_reason=reason) if other else local)

    return _deciding(decide)


def _keeps_what_is_sick(observation: Observation, local: LocalState) -> Step:
    """An unhealthy holder serves on also where no server is chosen."""
    step = next_step(observation, local)
    unhealthy = local.yield_reason is YieldReason.UNHEALTHY
    return Keep("a sick service beats none") if unhealthy and isinstance(step, Release) else step


def _believes_candidates(observation: Observation, local: LocalState) -> Step:
    """A candidate counts as one, whatever it publishes."""
    return next_step(replace(observation, failed=frozenset()), local)


CAUGHT: dict[str, Make | tuple[Make, int]] = {
    "R1 nobody takes a service without holder": _left_out(SwapIn, Rule.R1),
    "R2 nobody becomes candidate": _left_out(BecomeCandidate),
    "R2 asks without being ready": _with(ready=True),
    "R2 an unready candidate does not withdraw": _left_out(Withdraw),
    "R3 a serving holder never hands over": _left_out(HandOver, Rule.R3),
    "R4 the direct read is left out": _careless(Care(reads_first=False)),
    "R4 what a read has allowed is done however late": _careless(Care(acts_in_time=False)),
    "R4 a server that hung activates at once": _careless(Care(waits_until_steady=False)),
    "R4 nobody cleans up behind the previous holder": _left_out(ClearPrevious),
    "R5 a failed holder keeps the service": _with(failed=False),
    "R6 an unchosen holder stops though no other is ready": _deciding(_stops_when_unchosen),
    "R6 nobody lets go": _left_out(Release),
    "R8 a dead holder keeps the service": _left_out(SwapIn, Rule.R8),
    "R8 nobody deletes the dead holder's link": _left_out(DeleteLink, Rule.R8),
    "R8 one fact is enough": _deciding(_one_fact),
    "R9 a holder stays its own candidate": _left_out(ClearCandidate),
    "R2 a server asks for what has failed there": _with(failed_here=False),
    "R6 an unhealthy holder outranks the others": _unhealthy_as(None, active=(True,)),
    "R6 an unhealthy holder activates before it hands over": _unhealthy_as(None, active=(False,)),
    "R6 an unhealthy holder steps down": _unhealthy_as(YieldReason.DRAINED),
    "R6 an unhealthy holder stays when no server is chosen": _deciding(_keeps_what_is_sick),
    "moves for the health are not counted": _careless(Care(counts_moves=False)),
    "nobody steps down": _left_out(StepDown),
    "no server yields": _deciding(_rests_beside),
    "a fence is not seen": _deciding(_fence_is_nothing),
    "a write does not compare": _careless(Care(compares=False)),
    "a write of unknown outcome is not sent again": _careless(Care(repeats=False)),
    "extending an address raises one that the kernel has dropped": _careless(Care(extends_only=False)),
    "what has lost its mark counts as gone": _careless(Care(drops_all=False)),
    "units that do not stop lose their address": _careless(Care(keeps_what_sticks=False)),
    "what could not be released is tried again at once": _careless(Care(pauses=False)),
    "R2 asks without trying whether the address can be raised": _careless(Care(tries_first=False)),
    "the providers' clocks are believed": _careless(Care(has_own_clock=False, notices_set_clocks=False)),
    "a clock that was set is not noticed": _careless(Care(notices_set_clocks=False)),
    "another agent of the same name is not noticed": _careless(Care(notices_others=False)),
    "a healed holder does not ask the wire": _careless(Care(asks_when_healed=False)),
    "R7 who is not the holder does not stop": (_left_out(Stop), 2),
    "R1 without a candidacy": (_deciding(_takes_at_once), 2),
    "R6 an order is lost where servers deleted each other's links": (_with(orphaned=False), 2),
    "R8 without settling": (_with(settled=True), 2),
    "R9 a candidate that is the holder counts as one": (_deciding(_counts_the_holder), 2),
    "who waits for another does not ask again": (_careless(Care(asks_again=False)), 2),
}
"""By name; with the number of providers where one is not enough."""

UNSEEN: dict[str, tuple[Make, str]] = {
    "a lease that has run out stops nothing": (
        _with(expired=False),
        "the kernel has dropped the address by itself; stopping ends the units, which nobody reaches any more",
    ),
    "the lease counts from when the heartbeat came back": (
        _careless(Care(counts_from_sending=False)),
        "a takeover takes longer than a heartbeat is on its way; only a very slow way back could tell",
    ),
    "an agent that begins was never silent": (
        _careless(Care(former_counts_for_a_lease=False)),
        "it waits for as long as a write may be on its way; only a takeover as late as it is allowed could meet it",
    ),
    "an old verdict counts": (
        _careless(Care(judges_again=False)),
        "a swap refuses a verdict that is too old, and who comes back waits for longer than that before it serves",
    ),
    "what gives the service away is sent again as it was": (
        _careless(Care(rules_out=False)),
        "the candidate has to withdraw and ask again while a copy is on its way: unit/election/test_writes.py",
    ),
    "a candidate at another provider, where it has failed since, counts as one": (
        _deciding(_believes_candidates),
        "it has to withdraw at one provider while a change of the other crosses that: 1 in 17,000 schedules",
    ),
    "a holder that was silent for a lease gives the service away at once": (
        _giving_at_once,
        "two writes at two providers have to meet within the delay: an earlier generator saw 2 in 20,000 schedules",
    ),
}
