"""What sort of world a schedule runs in, its times, and what its agents take care of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from relocd.election.observation import LocalState, Observation
from relocd.election.steps import Step
from relocd.model.entries import Isolation
from tests.simulation.view import Direct, Seeing

__all__ = ["FALL", "LEASE", "MOST", "RISE", "SETTLING", "SLOWEST", "WINDOW", "Care", "Kind", "Rules"]

LEASE = 10
"""Ticks without a heartbeat after which a server counts as silent."""

SETTLING = 5
"""How long a candidacy stands before a takeover: longer than a change takes to the other provider and back."""

SLOWEST = 4
"""The most ticks that a heartbeat takes to come back while the directory answers."""

FALL, RISE = 3, 2
"""After how many checks in a row, one a tick, a service counts as failed where it is, and as healthy again."""

WINDOW, MOST = 6 * LEASE, 3
"""In so many ticks a service moves for its health so many times at most."""

Rules = Callable[[Observation, LocalState], Step]


@dataclass(frozen=True, slots=True)
class Care:
    """What an agent takes care of outside the rules; the mutants leave one out."""

    reads_first: bool = True
    reads_fence: bool = True
    acts_in_time: bool = True
    waits_until_steady: bool = True
    waits_to_give: bool = True
    counts_from_sending: bool = True
    judges_again: bool = True
    repeats: bool = True
    rules_out: bool = True
    compares: bool = True
    extends_only: bool = True
    asks_again: bool = True
    asks_when_healed: bool = True
    drops_all: bool = True
    keeps_what_sticks: bool = True
    pauses: bool = True
    tries_first: bool = True
    has_own_clock: bool = True
    notices_set_clocks: bool = True
    notices_others: bool = True
    former_counts_for_a_lease: bool = True
    counts_moves: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """What sort of world it is; `automatic`: the cluster's members take each other's place."""

    isolation: Isolation = Isolation.KEEP
    providers: int = 1
    seeing: Seeing = Direct
    automatic: bool = False
