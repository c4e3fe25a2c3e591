"""Who holds an exclusive service, and what this server does about it now: the rules R1 to R9, pure.

The agents agree through the service's state entry, and each decides alone, from what it sees of it. One call gives one
step; after the step the agent looks again. Every write is a compare-and-swap that fails when somebody was faster, so a
step that follows from an old view does no harm, and a crash between any two steps leaves a state that the rules go on
from. Before an address is raised the state is read directly (R4): a view may be old, and two would serve at once.

| rule | I am | the state says | I do |
|---|---|---|---|
| R1 | chosen and ready | no holder | become candidate, settle, swap myself in |
| R2 | chosen, not holder | another holder, no live candidate | once ready become candidate; else withdraw |
| R3 | holder | a live candidate that is chosen, no previous waiting | let go in order, then swap it in |
| R4 | holder, not active | me | confirm by a direct read, activate; then clean up behind the previous |
| R5 | holder, activation failed | a live previous, still there | give back; else to a candidate; else keep trying |
| R6 | holder, not chosen | previous or candidate / another chosen / nobody | give back, hand over / serve on / let go |
| R7 | not holder | another | stop at once what still runs here |
| R8 | chosen and ready | a holder that is dead | become candidate, settle, delete its link, swap myself in |
| R9 | holder | a candidate that is me | clear it |

A direct link outranks a cluster's: who is chosen only through a cluster yields to a directly linked candidate. It may
be candidate while the holder is linked directly, in case that one fails, but a holder that serves does not yield to it.

A server may be chosen and yet give way (`YieldReason`): drained, it hands over and serves until it can, as long as
anybody else may run the service; displaced by what it holds, or declared fenced, it steps down. A service given back
after a failed activation goes to a previous holder that is linked or a member of the cluster; whoever failed asks for
it again only when something has changed (`failed_here`).

Whoever finds a service free, by R1 or R8, is a candidate first: two who see that at once, each at a provider of its
own, meet while the candidacy settles. And a holder that was silent for a lease gives nothing away until it is `steady`:
others may have found it dead, and be taking the service at another provider. A holder that is fenced counts as dead
although it is up: it steps down as they take over, as a candidate that has settled.

Two providers that take writes within the same milliseconds may keep different values for good, also under one change
number (seen with OpenLDAP 2.5). So a candidate that is the holder is none, for everybody but a fenced holder; and who
waits for somebody else for a lease (`waited`) says again that it is candidate: that write comes alone, and replaces
what is there at every provider.

Who is dead is decided by witnesses (`relocd.agent.liveness.failure_detector`), and only about the servers of `watched`.
The rules run in `tests/simulation`; `relocd.agent.handover.controller` carries them out.
"""

from __future__ import annotations

from dataclasses import replace

from relocd.election.observation import Eligible, Life, LocalState, Observation, State, YieldReason
from relocd.election.steps import (
    Activate,
    BecomeCandidate,
    ClearCandidate,
    ClearPrevious,
    DeleteLink,
    FailBack,
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
from relocd.model.entries import EntryUUID

__all__ = ["next_step", "watched"]


def next_step(observation: Observation, local: LocalState) -> Step:
    """What this server does now about a service, and why; `Keep` when there is nothing to do or nothing is known."""
    state = observation.state
    if local.up and local.expired:
        return Stop("its own lease has run out")
    if state is None:
        return Keep("the state is unknown")
    if state.holder != observation.me:
        return _as_other(observation, state, local)
    if local.yield_reason is not None:
        observation = replace(observation, eligible=_without(observation.eligible, observation.me))
    step = _as_holder(observation, state, local)
    return step if local.steady else _kept_until_steady(step, local)


def watched(observation: Observation, local: LocalState) -> frozenset[EntryUUID]:
    """The other servers whose life the next step depends on; none for a holder that has yet to try."""
    state = observation.state
    if state is None or (state.holder is None and state.candidate is None):
        return frozenset()
    trying = (
        state.holder == observation.me
        and observation.me in observation.eligible.all
        and not (local.active or local.failed)
    )
    if trying and local.yield_reason is None:
        return frozenset()
    named = (state.holder, state.candidate, state.previous)
    return frozenset(server for server in named if server is not None and server != observation.me)


def _as_holder(observation: Observation, state: State, local: LocalState) -> Step:
    if state.candidate == observation.me and local.yield_reason is not YieldReason.FENCED:
        return ClearCandidate("the holder needs no candidacy", rule=Rule.R9)
    if local.waited and state.asking is not None and state.asking not in observation.eligible.all:
        return ClearCandidate("the candidate is not chosen, and has not withdrawn", rule=Rule.R3)
    if observation.me not in observation.eligible.all:
        return _unchosen_holder(observation, state, local)
    if not local.active:
        return _inactive_holder(observation, state, local)
    if state.previous is not None:
        return _clean_up(observation, state.previous, local)
    to = _successor(observation, state)
    if to is not None and not _outranks(observation, observation.me, to):
        return HandOver(state, to, "a candidate is ready", rule=Rule.R3)
    return Keep("holds and serves", rule=Rule.R3)


def _kept_until_steady(step: Step, local: LocalState) -> Step:
    """What a holder does of a step while another may take the service at another provider: it gives nothing away."""
    if not isinstance(step, Relinquish):
        return step
    if local.up and isinstance(step, StepDown):
        return Stop(step.reason, rule=step.rule)
    return Keep("waits until its own heartbeat is steady again", rule=step.rule)


def _inactive_holder(observation: Observation, state: State, local: LocalState) -> Step:
    if not local.steady:
        return Keep("waits until its own heartbeat is steady again", rule=Rule.R5 if local.failed else Rule.R4)
    if not local.failed:
        return Activate(state.generation, "is the holder", rule=Rule.R4)
    if _waits(observation, state.previous):
        return FailBack(state, _given(state.previous), "it could not be activated here", rule=Rule.R5)
    to = _successor(observation, state)
    if to is not None:
        return HandOver(state, to, "it could not be activated here, and a candidate is ready", rule=Rule.R5)
    again = "could not be activated, and nobody else can take it: trying again"
    return Activate(state.generation, again, rule=Rule.R5)


def _unchosen_holder(observation: Observation, state: State, local: LocalState) -> Step:
    if local.yield_reason is YieldReason.FENCED:
        return _fenced_holder(observation, state, local)
    if local.yield_reason is YieldReason.DISPLACED:
        return StepDown(state, "displaced here", rule=Rule.R6)
    if _waits(observation, state.previous) and state.previous in observation.eligible.all:
        why = "not chosen any more, and the previous holder waits"
        return FailBack(state, _given(state.previous), why, rule=Rule.R6)
    to = _successor(observation, state)
    if to is not None:
        return HandOver(state, to, f"{_unchosen(local)}, and a candidate is ready", rule=Rule.R6)
    if not observation.eligible.all and local.yield_reason is None:
        return Release(state, "nobody is chosen any more", rule=Rule.R6)
    if not observation.eligible.all and not observation.eligible.standby:
        return StepDown(state, f"{_unchosen(local)}, and nobody else may run it", rule=Rule.R6)
    if not local.active and local.steady:
        return Activate(state.generation, f"{_unchosen(local)}, but no other is ready", rule=Rule.R6)
    return Keep(f"{_unchosen(local)}, but keeps serving until another is ready", rule=Rule.R6)


def _fenced_holder(observation: Observation, state: State, local: LocalState) -> Step:
    if local.up:
        return Stop("fenced here", rule=Rule.R6)
    if state.candidate == observation.me and local.settled:
        return StepDown(state, "fenced here", rule=Rule.R6)
    if state.candidate == observation.me:
        return Keep("fenced here: settling before it steps down", rule=Rule.R6)
    if _is_ready(observation, state.candidate):
        return Keep("fenced here: the candidate takes over", rule=Rule.R6)
    return BecomeCandidate(state, observation.me, "fenced here: about to step down", rule=Rule.R6)


def _unchosen(local: LocalState) -> str:
    return "not chosen any more" if local.yield_reason is None else str(local.yield_reason)


def _clean_up(observation: Observation, previous: EntryUUID, local: LocalState) -> Step:
    """Once the service runs here; a link that was deleted and stands there again is another order."""
    if previous in observation.eligible.direct and previous != observation.me and not local.unlinked:
        return DeleteLink(previous, "the service runs here now", rule=Rule.R4)
    return ClearPrevious(previous, "the service runs here now", rule=Rule.R4)


def _as_other(observation: Observation, state: State, local: LocalState) -> Step:
    if local.up and state.holder is not None:
        return Stop("another server is the holder", rule=Rule.R7)
    if _is_left_over(observation, state, local) and local.waited and not local.ready:
        return ClearCandidate("the holder needs no candidacy", rule=Rule.R9)
    if not (_is_wanted(observation, local) and local.ready):
        return _unfit(observation, state, local)
    rule = _claim(observation, state)
    free = rule is not Rule.R2
    if not free and state.previous == observation.me and not local.waited:
        return Keep("the previous holder waits for the new one", rule=rule)
    if not free and local.failed_here:
        asked = state.candidate == observation.me
        return Withdraw("failed here", rule=rule) if asked else Keep("failed here, and nothing has changed", rule=rule)
    if state.candidate == observation.me:
        return _as_candidate(observation, state, local, rule)
    if not _is_ready(observation, state.asking) or _outranks(observation, observation.me, state.asking):
        return BecomeCandidate(state, observation.me, _vacancy(state) if free else "ready to take over", rule=rule)
    if free and local.waited:
        why = f"{_vacancy(state)}, and the candidate does not take it"
        return BecomeCandidate(state, observation.me, why, rule=rule)
    return Keep("another candidate waits", rule=rule)


def _is_wanted(observation: Observation, local: LocalState) -> bool:
    """Whether a server that is not the holder is chosen and does not give way."""
    return observation.me in observation.eligible.all and local.yield_reason is None


def _unfit(observation: Observation, state: State, local: LocalState) -> Step:
    """The step of a server that is not chosen or not ready; no rule is about one that is not linked."""
    wanted = _is_wanted(observation, local)
    unchosen = "not chosen" if local.yield_reason is None else str(local.yield_reason)
    why = "not ready" if wanted else unchosen
    if state.candidate == observation.me:
        return Withdraw(why, rule=Rule.R2)
    if local.up and not wanted:
        return Stop(f"no holder, and {unchosen}", rule=Rule.R7)
    return Keep(why, rule=_claim(observation, state) if observation.me in observation.eligible.all else None)


def _claim(observation: Observation, state: State) -> Rule:
    """The rule by which a server that is not the holder comes to the service; by R1 and R8 it is free."""
    if state.holder is None:
        return Rule.R1
    return Rule.R8 if observation.life(state.holder) is Life.DEAD else Rule.R2


def _as_candidate(observation: Observation, state: State, local: LocalState, rule: Rule) -> Step:
    if rule is Rule.R2:
        return _waiting_candidate(observation, state, local)
    if not local.settled:
        return Keep("candidate: settling before the takeover", rule=rule)
    if state.holder in observation.eligible.direct:
        return DeleteLink(_given(state.holder), "its server is dead", rule=rule)
    return SwapIn(state, observation.me, _vacancy(state), rule=rule)


def _waiting_candidate(observation: Observation, state: State, local: LocalState) -> Step:
    """The candidate of a holder that is not dead; where that is silent, R8 decides what it waits for."""
    rule = Rule.R8 if observation.life(_given(state.holder)) is Life.SILENT else Rule.R2
    if local.waited:
        again = "still ready to take over: the holder's provider may not have been told"
        return BecomeCandidate(state, observation.me, again, rule=rule)
    return Keep("candidate: the holder will let go", rule=rule)


def _vacancy(state: State) -> str:
    """Why a service is free."""
    return "no holder" if state.holder is None else "the holder is dead"


def _successor(observation: Observation, state: State) -> EntryUUID | None:
    """The candidate that the holder may hand over to: a ready one, while no previous holder could take it back."""
    waiting = state.previous in observation.eligible.all and observation.life(_given(state.previous)) is not Life.DEAD
    return None if waiting or not _is_ready(observation, state.asking) else state.asking


def _is_left_over(observation: Observation, state: State, local: LocalState) -> bool:
    """Whether a holder that is alive, and so not fenced, is called a candidate; who is chosen may write that."""
    held = state.holder is not None and state.candidate == state.holder
    return held and _is_wanted(observation, local) and observation.life(_given(state.holder)) is Life.ALIVE


def _is_ready(observation: Observation, candidate: EntryUUID | None) -> bool:
    """Whether there is a candidate that is chosen and alive; that it set itself proves that it was ready."""
    return candidate is not None and candidate in observation.eligible.all and observation.life(candidate) is Life.ALIVE


def _outranks(observation: Observation, server: EntryUUID, other: EntryUUID | None) -> bool:
    """Whether a server is linked directly and the other is chosen only through a cluster."""
    return server in observation.eligible.direct and other not in observation.eligible.direct


def _waits(observation: Observation, previous: EntryUUID | None) -> bool:
    """Whether the previous holder is there to take the service back."""
    there = observation.eligible.all | observation.eligible.standby
    return previous is not None and previous in there and observation.life(previous) is Life.ALIVE


def _without(eligible: Eligible, server: EntryUUID) -> Eligible:
    """The choice when a server gives way: members stand by for the active one of their cluster only."""
    standby = eligible.standby if server in eligible.by_cluster else frozenset()
    return Eligible(eligible.direct - {server}, eligible.by_cluster - {server}, standby)


def _given(server: EntryUUID | None) -> EntryUUID:
    if server is None:
        raise ValueError("a rule named a server that the state does not have")
    return server
