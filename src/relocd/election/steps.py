"""The steps that the rules decide on; a server takes one at a time.

Each step carries its rule and a reason in words. `applied(state)` is the state after the step; the write that makes it
so in the directory is built in `relocd.election.writes`. A step has no rule where none applies, and where it follows
from the agent's own clock or failures.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from relocd.election.observation import State
from relocd.model.entries import EntryUUID

__all__ = [
    "Activate",
    "BecomeCandidate",
    "ClearCandidate",
    "ClearPrevious",
    "DeleteLink",
    "FailBack",
    "Relinquish",
    "HandOver",
    "Keep",
    "Release",
    "Rule",
    "Step",
    "StepDown",
    "Stop",
    "SwapIn",
    "Withdraw",
]


class Rule(StrEnum):
    """The rules by their numbers in the table of `relocd.election.rules`."""

    R1 = "R1"
    R2 = "R2"
    R3 = "R3"
    R4 = "R4"
    R5 = "R5"
    R6 = "R6"
    R7 = "R7"
    R8 = "R8"
    R9 = "R9"


@dataclass(frozen=True, slots=True)
class _Decided:
    """What every step has besides its own fields and `reason`."""

    rule: Rule | None = field(default=None, kw_only=True)

    def applied(self, state: State) -> State:
        """The state after the step, which most steps leave as it is."""
        return state


@dataclass(frozen=True, slots=True)
class Keep(_Decided):
    """Change nothing."""

    reason: str


@dataclass(frozen=True, slots=True)
class SwapIn(_Decided):
    """Swap myself in as holder if `state` is still the same (generation + 1); I am no candidate any more.

    From a dead holder only while the verdict on it is fresh: it may be coming back.
    """

    state: State
    me: EntryUUID
    reason: str

    def applied(self, state: State) -> State:
        """I am the holder, and no candidate any more."""
        return State(self.me, None if state.candidate == self.me else state.candidate, None, state.generation + 1)


@dataclass(frozen=True, slots=True)
class BecomeCandidate(_Decided):
    """Set myself as candidate in place of the one in `state`."""

    state: State
    me: EntryUUID
    reason: str

    def applied(self, state: State) -> State:
        """I am the candidate."""
        return replace(state, candidate=self.me)


@dataclass(frozen=True, slots=True)
class Withdraw(_Decided):
    """Delete my candidacy."""

    reason: str

    def applied(self, state: State) -> State:
        """No server is candidate."""
        return replace(state, candidate=None)


@dataclass(frozen=True, slots=True)
class ClearCandidate(_Decided):
    """Delete the candidate that is me, the holder."""

    reason: str

    def applied(self, state: State) -> State:
        """No server is candidate."""
        return replace(state, candidate=None)


@dataclass(frozen=True, slots=True)
class Activate(_Decided):
    """Read the state directly; if I still am holder in this generation, raise addresses and start units."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class Stop(_Decided):
    """Stop units and drop addresses at once."""

    reason: str


@dataclass(frozen=True, slots=True)
class HandOver(_Decided):
    """Stop units, drop addresses, and then in one modify: holder `to`, candidate none, previous me, generation + 1."""

    state: State
    to: EntryUUID
    reason: str

    def applied(self, state: State) -> State:
        """`to` is the holder, and I am the previous one."""
        return State(self.to, None, state.holder, state.generation + 1)


@dataclass(frozen=True, slots=True)
class FailBack(_Decided):
    """Stop, drop, delete my own direct link, then swap the holder back to `to` (previous none, generation + 1)."""

    state: State
    to: EntryUUID
    reason: str

    def applied(self, state: State) -> State:
        """`to` is the holder again; a candidate stays one."""
        return State(self.to, state.candidate, None, state.generation + 1)


@dataclass(frozen=True, slots=True)
class Release(_Decided):
    """Confirm by a direct read that no server is chosen, stop, drop, and clear the holder (generation + 1)."""

    state: State
    reason: str

    def applied(self, state: State) -> State:
        """No server is the holder."""
        return _without_holder(state)


@dataclass(frozen=True, slots=True)
class StepDown(_Decided):
    """Stop, drop, and clear the holder (generation + 1), whoever is chosen: another server may take the service."""

    state: State
    reason: str

    def applied(self, state: State) -> State:
        """No server is the holder."""
        return _without_holder(state)


@dataclass(frozen=True, slots=True)
class DeleteLink(_Decided):
    """Delete a server's direct link to the service."""

    server: EntryUUID
    reason: str


@dataclass(frozen=True, slots=True)
class ClearPrevious(_Decided):
    """Clear the previous holder: it is not needed any more."""

    server: EntryUUID
    reason: str

    def applied(self, state: State) -> State:
        """No server is the previous holder."""
        return replace(state, previous=None)


def _without_holder(state: State) -> State:
    """The state after its holder released the service to no server in particular."""
    return State(None, state.asking, state.previous, state.generation + 1)


Relinquish = HandOver | FailBack | Release | StepDown
"""The steps by which a holder stops the service and gives it up."""

Step = (
    Keep
    | SwapIn
    | BecomeCandidate
    | Withdraw
    | ClearCandidate
    | Activate
    | Stop
    | HandOver
    | FailBack
    | Release
    | StepDown
    | DeleteLink
    | ClearPrevious
)
