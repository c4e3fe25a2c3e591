"""The steps that the rules of `relocd.plan.handover` give, each with its reason in words; one is taken at a time."""

from __future__ import annotations

from dataclasses import dataclass

from relocd.model.entries import EntryUUID
from relocd.plan.sight import State

__all__ = [
    "Activate",
    "BecomeCandidate",
    "ClearCandidate",
    "ClearPrevious",
    "DeleteLink",
    "GiveBack",
    "HandOver",
    "Keep",
    "LetGo",
    "Step",
    "StepDown",
    "Stop",
    "SwapIn",
    "Withdraw",
]


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
class StepDown:
    """Stop, drop, and clear the holder (generation + 1), whoever is chosen: somebody else may take it."""

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
    | StepDown
    | DeleteLink
    | ClearPrevious
)
