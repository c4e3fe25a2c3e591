"""What this server remembers of an exclusive service from one step to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from relocd.agent.convergence.converge import Files
from relocd.election.observation import State
from relocd.election.writes import Write
from relocd.reconcile.desired import Footprint
from relocd.reconcile.goals import Goal

__all__ = ["WAY_S", "Memory", "Ready"]

WAY_S: Final = 0.005
"""How soon it is looked again first whether what is displaced here has given way."""


@dataclass(frozen=True, slots=True)
class Ready:
    """That this server could take over: what was looked at, when, and the files of the active role."""

    substance: Goal
    footprint: Footprint
    at: float
    files: Files


@dataclass(slots=True)
class Memory:
    """What lies between two steps. Times are of the monotonic clock, numbers are generations.

    `changed_at` is since when the state says what it says, `repeats` how often this server has asked again since then.
    `taken`: this server swapped itself in. `unlinking`: the write that deletes the previous holder's link, done in the
    generation `unlinked_in`. `unasked`: who had the address before is known to have let go, so that the wire need not
    be asked. `failed_cause`: what the last failed activation was about; `failure`: what was wrong. `logged`: the last
    step that was logged, for one that is repeated is logged for debugging only.
    """

    state: State | None = None
    seen_at: float = 0.0
    candidate_since: float | None = None
    changed_at: float = 0.0
    repeats: int = 0
    failed_in: int | None = None
    taken: int | None = None
    unlinking: tuple[int, Write] | None = None
    unlinked_in: int | None = None
    unasked: int | None = None
    failed_cause: object = None
    failure: str = ""
    ready: Ready | None = None
    problems: tuple[str, ...] = ()
    way_s: float = WAY_S
    logged: Mapping[str, object] = field(default_factory=dict)

    def has_unlinked(self, generation: int, done: Write | None) -> bool:
        """Whether that deletion, of this generation, is `done`; then a link that stands there is another order.

        Once it is, it stays so, whatever is written next.
        """
        if self.unlinking is not None and self.unlinking[1] is done:
            self.unlinked_in = self.unlinking[0]
        return self.unlinked_in == generation
