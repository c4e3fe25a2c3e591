"""Who holds an exclusive service, and what this server does about it now: the rules R1 to R9, pure.

The agents agree through the service's state entry, and each decides alone, from what it sees of it. One call gives one
step; after the step the agent looks again. Every write is a compare-and-swap that fails when somebody was faster, so a
step that follows from an old view does no harm, and a crash between any two steps leaves a state that the rules go on
from. Before an address is raised the state is read directly (R4): a view may be old, and two would serve at once.

| rule | I am | the state says | I do |
|---|---|---|---|
| R1 | chosen and ready | no holder | swap myself in |
| R2 | chosen, not holder | another holder, no live candidate | once ready become candidate; else withdraw |
| R3 | holder | a live candidate that is chosen, no previous waiting | let go in order, then swap it in |
| R4 | holder, not active | me | confirm by a direct read, activate; then clean up behind the previous |
| R5 | holder, activation failed | a live previous, still linked | give back; else to a candidate; else keep trying |
| R6 | holder, not chosen | previous or candidate / another chosen / nobody | give back, hand over / serve on / let go |
| R7 | not holder | another | stop at once what still runs here |
| R8 | chosen and ready | a holder that is dead | become candidate, settle, delete its link, swap myself in |
| R9 | holder | a candidate that is me | clear it |

A direct link outranks a cluster's: who is chosen only through a cluster yields to a directly linked candidate. It may
be candidate while the holder is linked directly, in case that one fails, but a holder that serves does not yield to it.

Who is dead is decided by witnesses, not here: see `Life`. The rules run in `tests/simulation`; the agent does not
follow them yet: `relocd.plan.holder` decides until the writes and the witnesses are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from relocd.model.entries import EntryUUID

__all__ = [
    "Activate",
    "BecomeCandidate",
    "Choice",
    "ClearCandidate",
    "ClearPrevious",
    "DeleteLink",
    "GiveBack",
    "HandOver",
    "Here",
    "Keep",
    "LetGo",
    "Life",
    "Sight",
    "State",
    "Step",
    "Stop",
    "SwapIn",
    "Withdraw",
    "next_step",
]


class Life(StrEnum):
    """What is known of another server: heard of within the lease, not heard of, or proved dead by two witnesses."""

    ALIVE = "alive"
    SILENT = "silent"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class State:
    """The state entry of a service."""

    holder: EntryUUID | None = None
    candidate: EntryUUID | None = None
    previous: EntryUUID | None = None
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """The servers that shall run a service: linked directly, or the active one of a cluster that links it."""

    direct: frozenset[EntryUUID] = frozenset()
    by_cluster: frozenset[EntryUUID] = frozenset()

    @property
    def all(self) -> frozenset[EntryUUID]:
        """Every chosen server."""
        return self.direct | self.by_cluster


@dataclass(frozen=True, slots=True)
class Sight:
    """What this server sees of a service: `state` is None while it is unknown; a server not in `lives` is silent."""

    me: EntryUUID
    state: State | None
    choice: Choice
    lives: Mapping[EntryUUID, Life] = field(default_factory=dict)

    def life(self, server: EntryUUID) -> Life:
        """What is known of a server; of this one itself, that it is alive."""
        return Life.ALIVE if server == self.me else self.lives.get(server, Life.SILENT)


@dataclass(frozen=True, slots=True)
class Here:
    """What is so on this server.

    `ready`: everything that the service needs is here and passes its checks. `failed`: an activation in this
    generation has failed. `settled`: the candidacy stands for as long as two providers may disagree. `steady`: my own
    heartbeat has stood in the directory, since it was last missing for a lease, for longer than another server takes
    from finding me dead to acting on it. Without that a server that hung could read that it is the holder, and
    activate just when another one swaps itself in.
    """

    active: bool
    ready: bool
    steady: bool
    failed: bool = False
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Keep:
    """Change nothing."""

    reason: str


@dataclass(frozen=True, slots=True)
class SwapIn:
    """Swap myself in as holder where `state` still is so (generation + 1); I am no candidate any more.

    From a dead holder only while the witnesses of its death are fresh: it may be coming back.
    """

    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class BecomeCandidate:
    """Set myself as candidate in place of the one in `state`."""

    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Delete my candidacy."""

    reason: str


@dataclass(frozen=True, slots=True)
class ClearCandidate:
    """Delete the candidate that is me, the holder."""

    reason: str


@dataclass(frozen=True, slots=True)
class Activate:
    """Read the state directly; if I still am holder in this generation, raise addresses and start units."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop units and drop addresses at once."""

    reason: str


@dataclass(frozen=True, slots=True)
class HandOver:
    """Stop units, drop addresses, and then in one modify: holder `to`, candidate none, previous me, generation + 1."""

    state: State
    to: EntryUUID
    reason: str


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Stop, drop, delete my own direct link, then swap the holder back to `to` (previous none, generation + 1)."""

    state: State
    to: EntryUUID
    reason: str


@dataclass(frozen=True, slots=True)
class LetGo:
    """Confirm by a direct read that nobody is chosen, stop, drop, and clear the holder (generation + 1)."""

    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class DeleteLink:
    """Delete a server's direct link to the service."""

    server: EntryUUID
    reason: str


@dataclass(frozen=True, slots=True)
class ClearPrevious:
    """Delete the previous holder from the state: it is not needed any more."""

    server: EntryUUID
    reason: str


Step = (
    Keep
    | SwapIn
    | BecomeCandidate
    | Withdraw
    | ClearCandidate
    | Activate
    | Stop
    | HandOver
    | GiveBack
    | LetGo
    | DeleteLink
    | ClearPrevious
)


def next_step(sight: Sight, here: Here) -> Step:
    """What this server does now about a service, and why; `Keep` when there is nothing to do or nothing is known."""
    state = sight.state
    if state is None:
        return Keep("the state is unknown")
    if state.holder == sight.me:
        return _as_holder(sight, state, here)
    return _as_other(sight, state, here)


def _as_holder(sight: Sight, state: State, here: Here) -> Step:
    if state.candidate == sight.me:  # R9
        return ClearCandidate("the holder needs no candidacy")
    if sight.me not in sight.choice.all:
        return _unchosen_holder(sight, state, here)
    if not here.active:
        return _inactive_holder(sight, state, here)
    if state.previous is not None:
        return _clean_up(sight, state.previous)
    to = _successor(sight, state)
    if to is not None and not _outranks(sight, sight.me, to):  # R3
        return HandOver(state, to, "a candidate is ready")
    return Keep("holds and serves")


def _inactive_holder(sight: Sight, state: State, here: Here) -> Step:
    if not here.steady:
        return Keep("waits until its own heartbeat is steady again")
    if not here.failed:  # R4
        return Activate(state.generation, "is the holder")
    if _waits(sight, state.previous):  # R5
        return GiveBack(state, _given(state.previous), "it could not be activated here")
    to = _successor(sight, state)
    if to is not None:
        return HandOver(state, to, "it could not be activated here, and a candidate is ready")
    return Activate(state.generation, "could not be activated, and nobody else can take it: trying again")


def _unchosen_holder(sight: Sight, state: State, here: Here) -> Step:
    """R6."""
    if _waits(sight, state.previous):
        return GiveBack(state, _given(state.previous), "not chosen any more, and the previous holder waits")
    to = _successor(sight, state)
    if to is not None:
        return HandOver(state, to, "not chosen any more, and a candidate is ready")
    if not sight.choice.all:
        return LetGo(state, "nobody is chosen any more")
    if not here.active and here.steady:
        return Activate(state.generation, "not chosen any more, but no other is ready")
    return Keep("not chosen any more, but keeps serving until another is ready")


def _clean_up(sight: Sight, previous: EntryUUID) -> Step:
    """R4, once the service runs here."""
    if previous in sight.choice.direct and previous != sight.me:
        return DeleteLink(previous, "the service runs here now")
    return ClearPrevious(previous, "the service runs here now")


def _as_other(sight: Sight, state: State, here: Here) -> Step:
    if here.active and state.holder is not None:  # R7
        return Stop("another server is the holder")
    if sight.me not in sight.choice.all or not here.ready:
        return _unfit(sight, state, here)
    if state.holder is None:  # R1
        return SwapIn(state, "no holder")
    dead = sight.life(state.holder) is Life.DEAD
    if not dead and state.previous == sight.me:
        return Keep("the previous holder waits for the new one")
    if state.candidate == sight.me:
        return _as_candidate(sight, state, here, dead=dead)
    if not _is_ready(sight, state.candidate) or _outranks(sight, sight.me, state.candidate):  # R2
        return BecomeCandidate(state, "the holder is dead" if dead else "ready to take over")
    return Keep("another candidate waits")


def _unfit(sight: Sight, state: State, here: Here) -> Step:
    why = "not chosen" if sight.me not in sight.choice.all else "not ready"
    if state.candidate == sight.me:  # R2
        return Withdraw(why)
    if here.active and sight.me not in sight.choice.all:
        return Stop("no holder, and not chosen")
    return Keep(why)


def _as_candidate(sight: Sight, state: State, here: Here, *, dead: bool) -> Step:
    if not dead:
        return Keep("candidate: the holder will let go")
    if not here.settled:
        return Keep("candidate: settling before the takeover")
    if state.holder in sight.choice.direct:  # R8
        return DeleteLink(_given(state.holder), "its server is dead")
    return SwapIn(state, "the holder is dead")


def _successor(sight: Sight, state: State) -> EntryUUID | None:
    """The candidate that the holder may hand over to: a ready one, while no previous holder could take it back."""
    waiting = state.previous in sight.choice.all and sight.life(_given(state.previous)) is not Life.DEAD
    return None if waiting or not _is_ready(sight, state.candidate) else state.candidate


def _is_ready(sight: Sight, candidate: EntryUUID | None) -> bool:
    """Whether there is a candidate that is chosen and alive; that it set itself proves that it was ready."""
    return candidate is not None and candidate in sight.choice.all and sight.life(candidate) is Life.ALIVE


def _outranks(sight: Sight, server: EntryUUID, other: EntryUUID | None) -> bool:
    """Whether a server is linked directly and the other is chosen only through a cluster."""
    return server in sight.choice.direct and other not in sight.choice.direct


def _waits(sight: Sight, previous: EntryUUID | None) -> bool:
    """Whether the previous holder is there to take the service back."""
    return previous is not None and previous in sight.choice.all and sight.life(previous) is Life.ALIVE


def _given(server: EntryUUID | None) -> EntryUUID:
    if server is None:
        raise ValueError("a rule named a server that the state does not have")
    return server
